/* fuzz_imap.c: what an IMAP server says, through stream, screen and libetpan: greeting, SELECT, SEARCH, FETCH, IDLE. */
#include <assert.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mailhook/imap/find.h"

#define MOST_BYTES (96u << 10) /* what a socket takes without anybody reading */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libetpan leaves what it had read of an answer that breaks off; the process that had the connection ends then. */
const char *
__lsan_default_suppressions(void)
{
	return "leak:libetpan";
}

static void
look(struct session *s)
{
	struct found_header found[MH_IMAP_HEADERS];
	struct uids all = { 0 };
	struct mh_err err = { 0 };
	struct buf message;
	size_t at = 0, n = 0;
	bool more = false, news = false;

	buf_init(&message, 1 << 20);
	enum mh_status status = find_above(s, 0, 0, &all, &err);
	for (size_t i = 1; i < all.n; i++)
		assert(all.items[i - 1] < all.items[i]);
	if (status == MH_OK && all.n > 0)
		status = find_headers(s, &all, &at, found, &n, &err);
	for (size_t i = 0; status == MH_OK && i < n; i++)
		assert(uids_have(&all, found[i].uid));
	if (status == MH_OK && all.n > 0)
		status = find_message(s, all.items[0], 65536, &message, &more, &err);
	assert(message.n <= 65536);
	if (status == MH_OK)
		(void)session_idle(s, 0, &news, &err);
	buf_release(&message);
	uids_release(&all);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct conf_mailbox box = { .name = "f", .url = "imap://localhost/INBOX", .user = "u", .timeout_s = 5 };
	struct stream *stream = NULL;
	struct session *s = NULL;
	struct mh_err err = { 0 };
	int ends[2];

	if (size > MOST_BYTES || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
		return 0;
	if (fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0 || write(ends[1], data, size) != (ssize_t)size ||
	    shutdown(ends[1], SHUT_WR) != 0 || stream_over(ends[0], &stream, &err) != MH_OK) {
		(void)close(ends[0]);
		(void)close(ends[1]);
		return 0;
	}
	if (session_over(&box, stream, &s, &err) == MH_OK)
		look(s);
	session_free(s);
	(void)close(ends[1]);
	return 0;
}
