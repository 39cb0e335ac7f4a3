/* publish.c: files that others read, replaced whole. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mailhook/fd.h"
#include "mailhook/work/publish.h"

#define CASES_ARENA_BYTES ((size_t)64 << 20)

bool
publish_link(const char *url)
{
	const struct mh_span s = span_of(url);

	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= 0x20 || s.p[i] == 0x7f || strchr("<>\"\\^`{|}", s.p[i]) != NULL)
			return false;
	return span_istarts(s, MH_LIT("https://")) || span_istarts(s, MH_LIT("http://"));
}

/* Not synced: what a crash loses is written anew when the worker starts. */
enum mh_status
publish_file(const char *folder, const char *name, struct mh_span bytes, struct mh_err *err)
{
	MH_AUTO(drop_fd) int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char fresh[80];

	if (dir < 0)
		return mh_fail_errno(err, MH_RETRY, "%.100s cannot be opened", folder);
	(void)snprintf(fresh, sizeof(fresh), ".%.60s.new", name);
	MH_AUTO(drop_fd)
	int fd = openat(dir, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);
	if (fd < 0)
		return mh_fail_errno(err, MH_RETRY, "%.100s/%s cannot be written", folder, fresh);
	if (!fd_write_all(fd, bytes) || fchmod(fd, 0644) != 0 || renameat(dir, fresh, dir, name) != 0) {
		const enum mh_status status = mh_fail_errno(err, MH_RETRY, "%.100s/%s cannot be written", folder, name);
		(void)unlinkat(dir, fresh, 0);
		return status;
	}
	return MH_OK;
}

enum mh_status
publish_check(const char *folder, bool make, struct mh_err *err)
{
	const char *slash = strrchr(folder, '/');
	char above[4096];

	if (faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) == 0)
		return MH_OK;
	if (!make || errno != ENOENT || slash == NULL)
		return mh_fail_errno(err, MH_RETRY, "%.100s cannot be written", folder);
	(void)snprintf(above, sizeof(above), "%.*s", slash == folder ? 1 : (int)(slash - folder), folder);
	return faccessat(AT_FDCWD, above, W_OK | X_OK, AT_EACCESS) == 0
		   ? MH_OK
		   : mh_fail_errno(err, MH_RETRY, "%.100s cannot be made", folder);
}

static enum mh_status
print_both(struct work *w, const char *folder, int64_t now, struct arena *a, struct buf *out, struct mh_err *err)
{
	struct case_rows cases = { 0 };
	int64_t open = 0;
	enum mh_status status = ledger_cases_open(w->db, PUBLISH_MOST_CASES, a, &cases, err);

	if (status == MH_OK)
		status = db_one(w->db, "SELECT count(*) FROM cases WHERE state = 'open'", NULL, 0, &open, err);
	if (status == MH_OK)
		status = page_print(w, &cases, open - (int64_t)cases.n, now, out, err);
	if (status == MH_OK)
		status = publish_file(folder, "index.html", buf_span(out), err);
	buf_clear(out);
	if (status == MH_OK)
		status = calendar_print(w, &cases, out, err);
	if (status == MH_OK)
		status = publish_file(folder, "mailhook.ics", buf_span(out), err);
	return status;
}

enum mh_status
publish_cases(struct work *w, const char *folder, int64_t now, struct mh_err *err)
{
	struct arena a;
	struct buf out;

	if (mkdir(folder, 0755) == 0)
		(void)chmod(folder, 0755); /* whatever the umask: it is there for others */
	else if (errno != EEXIST)
		return mh_fail_errno(err, MH_RETRY, "%.100s cannot be made", folder);
	arena_init(&a, CASES_ARENA_BYTES);
	buf_init(&out, PUBLISH_MAX_BYTES);
	const enum mh_status status = print_both(w, folder, now, &a, &out, err);
	buf_release(&out);
	arena_release(&a);
	return status;
}
