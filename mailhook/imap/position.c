/* position.c: see position.h. */
#include "mailhook/imap/position.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mailhook/fd.h"

#define MAX_FILE_BYTES MH_IMAP_POSITION_BYTES
#define AGAIN_FIRST_S 60
#define AGAIN_MOST_S 3600

const char *const filing_names[FILINGS] = { "done", "review", "irrelevant" };

/* -- rows --------------------------------------------------------------------------------------------------------- */

bool
position_file(struct position *p, uint32_t uid, enum filing as)
{
	for (size_t i = 0; i < p->n_filing; i++) {
		if (p->filing[i].uid == uid) {
			p->filing[i].as = as;
			return true;
		}
	}
	if (p->n_filing == MH_IMAP_FILING)
		return false;
	if (p->n_filing == p->cap_filing) {
		const size_t cap = p->cap_filing == 0 ? 64 : 2 * p->cap_filing;
		struct filing_row *more = reallocarray(p->filing, cap, sizeof(*more));

		if (more == NULL)
			return false;
		p->filing = more;
		p->cap_filing = cap;
	}
	p->filing[p->n_filing++] = (struct filing_row){ .uid = uid, .as = as };
	return true;
}

bool
position_again(struct position *p, uint32_t uid, int64_t now)
{
	size_t i = 0;

	while (i < p->n_again && p->again[i].uid != uid)
		i++;
	if (i == MH_IMAP_AGAIN)
		return false;
	if (i == p->n_again)
		p->again[p->n_again++] = (struct again_row){ .uid = uid };
	struct again_row *r = &p->again[i];
	/* once more at once: most refusals pass */
	const int64_t wait_s = r->tries == 0 ? 0 : (int64_t)AGAIN_FIRST_S << (r->tries < 6 ? r->tries - 1 : 6);
	r->tries++;
	r->due = now + (wait_s < AGAIN_MOST_S ? wait_s : AGAIN_MOST_S);
	return true;
}

bool
position_waits(const struct position *p, uint32_t uid, int64_t now)
{
	for (size_t i = 0; i < p->n_again; i++)
		if (p->again[i].uid == uid)
			return p->again[i].due > now;
	return false;
}

void
position_forget(struct position *p, uint32_t uid)
{
	for (size_t i = 0; i < p->n_again; i++) {
		if (p->again[i].uid == uid) {
			p->again[i] = p->again[--p->n_again];
			return;
		}
	}
}

void
position_reset(struct position *p, uint32_t uidvalidity, int64_t since)
{
	p->uidvalidity = uidvalidity;
	p->uid = 0;
	p->since = since;
	p->n_filing = p->n_again = 0;
}

void
position_release(struct position *p)
{
	free(p->filing);
	p->filing = NULL;
	p->n_filing = p->cap_filing = 0;
}

/* -- reading ------------------------------------------------------------------------------------------------------- */

static bool
number(struct mh_span s, uint64_t max, uint64_t *ret)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9' || n > max / 10)
			return false;
		n = n * 10 + (uint64_t)(s.p[i] - '0');
	}
	*ret = n;
	return s.n > 0 && n <= max;
}

static bool
read_filing(struct position *p, struct mh_span uid_text, struct mh_span rest)
{
	const struct mh_span as = span_word(&rest);
	uint64_t uid = 0;

	for (size_t i = 0; i < FILINGS; i++) {
		if (!span_eq(as, span_of(filing_names[i])) || !number(uid_text, UINT32_MAX, &uid))
			continue;
		if (!position_file(p, (uint32_t)uid, (enum filing)i))
			return false;
		p->filing[p->n_filing - 1].copied = span_eq(rest, MH_LIT("copied"));
		return true;
	}
	return false;
}

static bool
read_line(struct position *p, struct mh_span line)
{
	const struct mh_span name = span_word(&line), first = span_word(&line);
	uint64_t a = 0, b = 0, c = 0;

	if (span_eq(name, MH_LIT("file")))
		return read_filing(p, first, line);
	if (span_eq(name, MH_LIT("since")))
		return time_read(first, &p->since, NULL) == MH_OK;
	if (!number(first, UINT32_MAX, &a))
		return false;
	if (span_eq(name, MH_LIT("uidvalidity")))
		p->uidvalidity = (uint32_t)a;
	else if (span_eq(name, MH_LIT("uid")))
		p->uid = (uint32_t)a;
	else if (!span_eq(name, MH_LIT("again")) || p->n_again == MH_IMAP_AGAIN ||
		 !number(span_word(&line), UINT32_MAX, &b) || !number(line, INT64_MAX, &c))
		return false;
	else
		p->again[p->n_again++] =
		    (struct again_row){ .uid = (uint32_t)a, .tries = (uint32_t)b, .due = (int64_t)c };
	return true;
}

static void
put_box(struct buf *out, const struct conf_mailbox *box)
{
	buf_printf(out, "%s %s", box->url, box->user);
}

/* False: it is of another mailbox, or none that can be understood. */
static bool
read_text(struct position *p, const struct conf_mailbox *box, struct mh_span text)
{
	struct mh_span line;
	struct buf own;

	buf_init(&own, 8192);
	put_box(&own, box);
	const bool same = span_line(&text, &line) && span_eq(line, MH_LIT("mailhook-mailbox 1")) &&
			  span_line(&text, &line) && span_eq(line, buf_span(&own));
	buf_release(&own);
	while (same && span_line(&text, &line)) {
		if (span_eq(line, MH_LIT("end")))
			return p->uidvalidity != 0 && text.n == 0;
		if (!read_line(p, line))
			return false;
	}
	return false;
}

static enum mh_status
read_file(const char *path, struct buf *out, struct mh_err *err)
{
	MH_AUTO(drop_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char bytes[8192];
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? MH_SKIP : mh_fail_errno(err, MH_RETRY, "%s", path);
	while ((n = read(fd, bytes, sizeof(bytes))) > 0)
		buf_put(out, (struct mh_span){ bytes, (size_t)n });
	return n < 0 ? mh_fail_errno(err, MH_RETRY, "%s", path) : MH_OK;
}

static enum mh_status
path_of(const char *state_dir, const char *name, char dst[4096], struct mh_err *err)
{
	const int n = snprintf(dst, 4096, "%s/mailboxes", state_dir);

	if (n < 0 || (size_t)n + strlen(name) + 8 >= 4096)
		return mh_fail(err, MH_BAD, "the name of state_dir is too long");
	if (mkdir(dst, 0700) != 0 && errno != EEXIST)
		return mh_fail_errno(err, MH_RETRY, "%s", dst);
	(void)snprintf(dst + n, 4096 - (size_t)n, "/%s", name);
	return MH_OK;
}

enum mh_status
position_load(const char *state_dir, const struct conf_mailbox *box, struct position *ret, struct mh_err *err)
{
	struct buf text;
	enum mh_status status = path_of(state_dir, box->name, ret->path, err);

	if (status != MH_OK)
		return status;
	position_reset(ret, 0, 0);
	buf_init(&text, MAX_FILE_BYTES);
	status = read_file(ret->path, &text, err);
	if (status == MH_OK && (!buf_ok(&text) || !read_text(ret, box, buf_span(&text))))
		position_reset(ret, 0, 0);
	buf_release(&text);
	return status == MH_SKIP ? MH_OK : status;
}

/* -- writing ------------------------------------------------------------------------------------------------------- */

static void
put_text(struct buf *out, const struct position *p, const struct conf_mailbox *box)
{
	char t[MH_TIME_TEXT];

	buf_puts(out, "mailhook-mailbox 1\n");
	put_box(out, box);
	buf_printf(out, "\nuidvalidity %" PRIu32 "\nuid %" PRIu32 "\n", p->uidvalidity, p->uid);
	if (p->since != 0)
		buf_printf(out, "since %s\n", time_text(t, p->since));
	for (size_t i = 0; i < p->n_filing; i++)
		buf_printf(out, "file %" PRIu32 " %s%s\n", p->filing[i].uid, filing_names[p->filing[i].as],
		    p->filing[i].copied ? " copied" : "");
	for (size_t i = 0; i < p->n_again; i++)
		buf_printf(out, "again %" PRIu32 " %" PRIu32 " %" PRId64 "\n", p->again[i].uid, p->again[i].tries,
		    p->again[i].due);
	buf_puts(out, "end\n");
}

static bool
sync_folder_of(const char *path)
{
	char folder[4096];

	(void)snprintf(folder, sizeof(folder), "%s", path);
	char *slash = strrchr(folder, '/');
	if (slash == NULL)
		return false;
	*slash = '\0';
	MH_AUTO(drop_fd) int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 && fsync(fd) == 0;
}

enum mh_status
position_save(const struct position *p, const struct conf_mailbox *box, struct mh_err *err)
{
	char tmp[4200];
	struct buf text;

	(void)snprintf(tmp, sizeof(tmp), "%s.new", p->path); /* one process a mailbox */
	buf_init(&text, MAX_FILE_BYTES);
	put_text(&text, p, box);
	MH_AUTO(drop_fd) int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	const bool written = fd >= 0 && buf_ok(&text) && fd_write_all(fd, buf_span(&text)) && fsync(fd) == 0;
	const enum mh_status status = written ? MH_OK : mh_fail_errno(err, MH_RETRY, "%s", tmp);
	buf_release(&text);
	if (status != MH_OK)
		return status;
	if (rename(tmp, p->path) != 0 || !sync_folder_of(p->path))
		return mh_fail_errno(err, MH_RETRY, "%s", p->path);
	return MH_OK;
}

/* -- from node to node --------------------------------------------------------------------------------------------- */

enum mh_status
position_export(const char *state_dir, const char *name, struct buf *out, struct mh_err *err)
{
	char path[4096];
	enum mh_status status = path_of(state_dir, name, path, err);

	buf_clear(out);
	if (status == MH_OK)
		status = read_file(path, out, err);
	if (status == MH_OK && !buf_ok(out))
		return mh_fail(err, MH_LIMIT, "%s is too long", path);
	return status;
}

enum mh_status
position_import(
    const char *state_dir, const struct conf_mailbox *box, bool own, struct mh_span text, struct mh_err *err)
{
	struct position here = { 0 }, written = { 0 };
	enum mh_status status = position_load(state_dir, box, &here, err);

	memcpy(written.path, here.path, sizeof(written.path));
	if (status == MH_OK && !(own && here.uidvalidity != 0) && read_text(&written, box, text))
		status = position_save(&written, box, err);
	position_release(&here);
	position_release(&written);
	return status;
}
