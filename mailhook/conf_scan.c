/* conf_scan.c: state_dir from a file that does not parse, so that no notice is lost for a typing error. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mailhook/conf_parts.h"

static enum mh_status
read_all(int fd, char *p, size_t n, const char *path, struct mh_err *err)
{
	size_t used = 0;

	while (used < n) {
		const ssize_t got = read(fd, p + used, n - used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return mh_fail_errno(err, MH_RETRY, "%s: cannot be read", path);
		if (got == 0)
			return mh_fail(err, MH_RETRY, "%s: became shorter while it was read", path);
		used += (size_t)got;
	}
	return MH_OK;
}

enum mh_status
conf_slurp(const char *path, struct arena *a, struct mh_span *ret, struct mh_err *err)
{
	struct stat st;
	char *p = NULL;
	/* O_NONBLOCK: a FIFO of that name must not hold up a mail */
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return mh_fail_errno(
		    err, errno == ENOENT || errno == ENOTDIR ? MH_SKIP : MH_RETRY, "%s: cannot be opened", path);

	enum mh_status s = MH_OK;
	if (fstat(fd, &st) != 0)
		s = mh_fail_errno(err, MH_RETRY, "%s: cannot be read", path);
	else if (!S_ISREG(st.st_mode))
		s = mh_fail(err, MH_RETRY, "%s: is no regular file", path);
	else if (st.st_size > MH_MAX_CONF_BYTES)
		s = mh_fail(err, MH_LIMIT, "%s: is longer than %d bytes", path, MH_MAX_CONF_BYTES);
	else if ((p = arena_alloc(a, (size_t)st.st_size + 1)) == NULL)
		s = mh_fail(err, MH_RETRY, "%s: no memory to read it", path);
	else
		s = read_all(fd, p, (size_t)st.st_size, path, err);
	(void)close(fd);
	if (s == MH_OK)
		*ret = (struct mh_span){ p, (size_t)st.st_size };
	return s;
}

/* The value of a line "state_dir = VALUE" with or without quotes; MH_NONE for all other lines. */
static struct mh_span
state_dir_of(struct mh_span line)
{
	struct mh_span s = span_trim(line);

	if (!span_starts(s, MH_LIT("state_dir")))
		return MH_NONE;
	s = span_trim(span_from(s, sizeof("state_dir") - 1));
	if (!span_starts(s, MH_LIT("=")))
		return MH_NONE;
	s = span_trim(span_from(s, 1));
	if (s.n == 0)
		return MH_NONE;

	size_t end = 0;
	if (s.p[0] == '"' || s.p[0] == '\'') {
		const char quote[1] = { s.p[0] };

		s = span_from(s, 1);
		end = span_find(s, (struct mh_span){ quote, 1 }, 0);
		if (end == SIZE_MAX)
			return MH_NONE;
	} else {
		while (end < s.n && strchr(" \t#\"'{}", s.p[end]) == NULL)
			end++;
	}
	s = span_head(s, end);
	/* An escape or a variable would need the real parser; a wrong guess would put mail where nobody looks. */
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '\\' || s.p[i] == '$' || (unsigned char)s.p[i] < 0x20)
			return MH_NONE;
	return span_starts(s, MH_LIT("/")) ? s : MH_NONE;
}

const char *
conf_scan_text(struct mh_span text, struct arena *a)
{
	struct mh_span line, found = MH_NONE, copy;

	while (span_line(&text, &line)) {
		const struct mh_span dir = state_dir_of(line);
		if (dir.p != NULL)
			found = dir; /* the last one counts, as it does for the parser */
	}
	if (found.p == NULL || arena_copy(a, found, &copy, NULL) != MH_OK)
		return NULL;
	return copy.p;
}
