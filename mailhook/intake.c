/* intake.c: makes a message durable in a folder, and hands it to the worker.
 *
 * Many users may write into the folder (mode 3777), so nothing that is found in it is believed: names are matched
 * before they are used, files are opened without following links and without waiting, and only regular ones are read.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "mailhook/durable.h"
#include "mailhook/fd.h"
#include "mailhook/intake.h"
#include "mailhook/random.h"

#define NAME_BYTES 64                                    /* as struct intake_list has it */
#define MAX_HEAD_BYTES (3 * MH_MAX_ENVELOPE_BYTES + 100) /* each byte of the sender may take three */
#define MAX_FILE_BYTES ((size_t)MH_MAX_MESSAGE_BYTES + MAX_HEAD_BYTES)
#define STALE_S 3600

static const struct mh_span message_end = MH_LIT(".msg");

/* -- names -------------------------------------------------------------------------------------------------------- */

static bool
is_hex(struct mh_span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
			return false;
	return s.n > 0;
}

static bool
is_message_name(const char *name)
{
	const struct mh_span s = span_of(name);

	return s.n < NAME_BYTES && s.n > message_end.n && span_eq(span_from(s, s.n - message_end.n), message_end) &&
	       is_hex(span_head(s, s.n - message_end.n));
}

static bool
is_tmp_name(const char *name)
{
	const struct mh_span s = span_of(name), end = MH_LIT(".tmp");

	return s.n < NAME_BYTES && s.n > end.n + 1 && s.p[0] == '.' && span_eq(span_from(s, s.n - end.n), end) &&
	       is_hex(span_head(span_from(s, 1), s.n - 1 - end.n));
}

/* Random, so that in a folder of many users nobody can guess it and be there first. */
static enum mh_status
make_names(char tmp[NAME_BYTES], char msg[NAME_BYTES], struct mh_err *err)
{
	char hex[RANDOM_HEX];

	if (random_hex(hex, err) != MH_OK)
		return MH_RETRY;
	(void)snprintf(tmp, NAME_BYTES, ".%s.tmp", hex);
	(void)snprintf(msg, NAME_BYTES, "%s.msg", hex);
	return MH_OK;
}

static int
open_folder(const char *folder, struct mh_err *err)
{
	const int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		(void)mh_fail_errno(err, MH_RETRY, "%.100s: cannot be opened", folder);
	return dir;
}

/* -- the line of our own ------------------------------------------------------------------------------------------ */

static bool
is_plain(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c != '\0' && strchr("@._+-=", c) != NULL);
}

static void
put_head(struct buf *out, const struct envelope *e)
{
	const struct mh_span from = span_head(e->from, MH_MAX_ENVELOPE_BYTES);
	char when[MH_TIME_TEXT];

	buf_printf(out, "mailhook 1 %s from=", time_text(when, e->received));
	if (from.p == NULL)
		buf_putc(out, '-');
	for (size_t i = 0; from.p != NULL && i < from.n; i++) {
		if (is_plain(from.p[i]) && !(from.n == 1 && from.p[0] == '-')) /* a lone hyphen means unknown */
			buf_putc(out, from.p[i]);
		else
			buf_printf(out, "%%%02X", (unsigned)(unsigned char)from.p[i]);
	}
	buf_printf(out, " cut=%d\n", e->cut ? 1 : 0);
}

static int
hex_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decodes in place, which never makes it longer. */
static bool
percent_decode(char *p, size_t n, size_t *ret_n)
{
	size_t out = 0;

	for (size_t i = 0; i < n; i++) {
		if (p[i] != '%') {
			p[out++] = p[i];
			continue;
		}
		const int high = n - i > 2 ? hex_value(p[i + 1]) : -1;
		const int low = n - i > 2 ? hex_value(p[i + 2]) : -1;
		if (high < 0 || low < 0)
			return false;
		p[out++] = (char)(unsigned char)(high * 16 + low);
		i += 2;
	}
	*ret_n = out;
	return out <= MH_MAX_ENVELOPE_BYTES;
}

static enum mh_status
read_head(struct buf *file, struct mh_span *ret_raw, struct envelope *ret, struct mh_err *err)
{
	const struct mh_span all = buf_span(file);
	const struct mh_span head = span_head(all, MAX_HEAD_BYTES);
	struct envelope e = { 0 };

	const char *lf = head.n == 0 ? NULL : memchr(head.p, '\n', head.n);
	if (lf == NULL)
		return mh_fail(err, MH_BAD, "the file does not begin as an intake file");

	struct mh_span line = span_head(head, (size_t)(lf - head.p));
	const struct mh_span mark = span_word(&line), version = span_word(&line), when = span_word(&line);
	const struct mh_span from = span_word(&line), cut = span_word(&line);
	if (!span_eq(mark, MH_LIT("mailhook")) || !span_eq(version, MH_LIT("1")) ||
	    time_read(when, &e.received, NULL) != MH_OK || !span_starts(from, MH_LIT("from=")) || line.n != 0 ||
	    !(span_eq(cut, MH_LIT("cut=0")) || span_eq(cut, MH_LIT("cut=1"))))
		return mh_fail(err, MH_BAD, "the file does not begin as an intake file");

	if (!span_eq(from, MH_LIT("from=-"))) {
		char *p = file->p + (from.p - all.p) + 5;

		if (!percent_decode(p, from.n - 5, &e.from.n))
			return mh_fail(err, MH_BAD, "the envelope sender of an intake file is not of its form");
		e.from.p = p;
	}
	e.cut = cut.p[4] == '1';
	*ret_raw = span_from(all, (size_t)(lf - head.p) + 1);
	*ret = e;
	return MH_OK;
}

/* -- put ---------------------------------------------------------------------------------------------------------- */

static bool
write_two(int fd, struct mh_span a, struct mh_span b)
{
	while (a.n > 0 || b.n > 0) {
		const struct iovec v[] = { { .iov_base = (void *)(uintptr_t)a.p, .iov_len = a.n },
			{ .iov_base = (void *)(uintptr_t)b.p, .iov_len = b.n } };
		const ssize_t n = writev(fd, v, 2);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			if (n == 0)
				errno = EIO;
			return false;
		}
		const size_t of_a = (size_t)n < a.n ? (size_t)n : a.n;
		a = span_from(a, of_a);
		b = span_from(b, (size_t)n - of_a);
	}
	return true;
}

/* In a folder of many users its group must be able to read what they put; whatever the umask is. */
static mode_t
file_mode(int dir)
{
	struct stat st;

	return fstat(dir, &st) == 0 && (st.st_mode & (S_ISVTX | S_IWOTH)) == (S_ISVTX | S_IWOTH) ? 0640 : 0600;
}

static enum mh_status
write_tmp(const char *folder, int dir, const char *tmp, struct mh_span head, struct mh_span raw, struct mh_err *err)
{
	const int fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return mh_fail_errno(err, MH_RETRY, "%.100s: no file can be made in it", folder);
	if (fchmod(fd, file_mode(dir)) < 0 || !write_two(fd, head, raw) || fsync(fd) < 0) {
		(void)mh_fail_errno(err, MH_RETRY, "%.100s: a message cannot be written", folder);
		(void)close(fd);
		return MH_RETRY;
	}
	if (close(fd) < 0) /* NFS and quota speak here */
		return mh_fail_errno(err, MH_RETRY, "%.100s: a message cannot be written", folder);
	return MH_OK;
}

enum mh_status
intake_put(const char *folder, struct mh_span raw, const struct envelope *e, struct mh_err *err)
{
	MH_AUTO(drop_fd) int dir = open_folder(folder, err);
	char tmp[NAME_BYTES], msg[NAME_BYTES];
	struct stat sb;
	struct buf head;

	if (dir < 0)
		return MH_RETRY;
	if (fstat(dir, &sb) == 0 && durable_begun(&sb))
		return mh_fail(err, MH_RETRY, "%.100s: is not made to its end", folder);
	enum mh_status st = make_names(tmp, msg, err);
	if (st != MH_OK)
		return st;

	buf_init(&head, MAX_HEAD_BYTES);
	put_head(&head, e);
	st = buf_ok(&head) ? write_tmp(folder, dir, tmp, buf_span(&head), span_head(raw, MH_MAX_MESSAGE_BYTES), err)
			   : mh_fail(err, MH_RETRY, "no memory");
	buf_release(&head);

	/* link, not rename: it never replaces. */
	if (st == MH_OK && linkat(dir, tmp, dir, msg, 0) < 0)
		st = mh_fail_errno(err, MH_RETRY, "%.100s: a message cannot be named in it", folder);
	else if (st == MH_OK && fsync(dir) < 0) {
		st = mh_fail_errno(err, MH_RETRY, "%.100s: cannot be made durable", folder);
		(void)unlinkat(dir, msg, 0);
	}
	(void)unlinkat(dir, tmp, 0); /* what is left of it after a crash goes with the next scan */
	return st;
}

enum mh_status
intake_count(const char *folder, size_t *ret, struct mh_err *err)
{
	size_t n = 0;
	const struct dirent *d;
	const int fd = open_folder(folder, err);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (fd >= 0 && dir == NULL) {
		(void)mh_fail_errno(err, MH_RETRY, "%.100s: cannot be read", folder);
		(void)close(fd);
	}
	if (dir == NULL)
		return MH_RETRY;
	for (errno = 0; (d = readdir(dir)) != NULL; errno = 0)
		n += is_message_name(d->d_name);
	const enum mh_status st = errno == 0 ? MH_OK : mh_fail_errno(err, MH_RETRY, "%.100s: cannot be read", folder);
	(void)closedir(dir);
	if (st == MH_OK)
		*ret = n;
	return st;
}

/* -- scan --------------------------------------------------------------------------------------------------------- */

struct found {
	char name[NAME_BYTES];
	struct timespec when;
};

static int
by_age(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	if (x->when.tv_sec != y->when.tv_sec)
		return x->when.tv_sec < y->when.tv_sec ? -1 : 1;
	if (x->when.tv_nsec != y->when.tv_nsec)
		return x->when.tv_nsec < y->when.tv_nsec ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* The oldest of a folder of any size, in memory for twice as many as are asked for. */
struct oldest {
	struct found *items; /* own */
	size_t n, max;
	bool more;
};

static void
keep_oldest(struct oldest *o)
{
	if (o->n > 1)
		qsort(o->items, o->n, sizeof(o->items[0]), by_age);
	if (o->n > o->max) {
		o->n = o->max;
		o->more = true;
	}
}

static void
look_at(int dir, const char *name, int64_t now, struct oldest *o)
{
	struct stat st;

	if (is_tmp_name(name)) {
		if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_mtim.tv_sec < now - STALE_S)
			(void)unlinkat(dir, name, 0);
		return;
	}
	if (!is_message_name(name) || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (o->n == 2 * o->max)
		keep_oldest(o);
	o->items[o->n].when = st.st_mtim;
	memcpy(o->items[o->n].name, name, strlen(name) + 1); /* shorter than NAME_BYTES, or it were no message name */
	o->n++;
}

enum mh_status
intake_scan(const char *folder, int64_t now, size_t max, struct intake_list *ret, struct mh_err *err)
{
	struct oldest o = { .max = max };
	enum mh_status st = MH_OK;
	const struct dirent *d;

	const int fd = open_folder(folder, err);
	if (fd < 0)
		return MH_RETRY;
	DIR *dir = fdopendir(fd);
	if (dir == NULL) {
		(void)close(fd);
		return mh_fail_errno(err, MH_RETRY, "%.100s: cannot be read", folder);
	}
	o.items = max == 0 ? NULL : calloc(max, 2 * sizeof(o.items[0]));
	char(*names)[NAME_BYTES] = max == 0 ? NULL : calloc(max, NAME_BYTES);
	if (o.items == NULL || names == NULL) {
		st = mh_fail(err, MH_RETRY, "no memory for a list of the intake");
		goto out;
	}

	for (errno = 0; (d = readdir(dir)) != NULL; errno = 0)
		look_at(fd, d->d_name, now, &o);
	if (errno != 0) {
		st = mh_fail_errno(err, MH_RETRY, "%.100s: cannot be read", folder);
		goto out;
	}
	keep_oldest(&o);
	for (size_t i = 0; i < o.n; i++)
		memcpy(names[i], o.items[i].name, NAME_BYTES);
	*ret = (struct intake_list){ .names = names, .n = o.n, .more = o.more };
	names = NULL;
out:
	free(names);
	free(o.items);
	(void)closedir(dir);
	return st;
}

void
intake_list_release(struct intake_list *l)
{
	free(l->names);
	*l = (struct intake_list){ 0 };
}

/* -- get, drop, set aside ----------------------------------------------------------------------------------------- */

static enum mh_status
read_file(int fd, struct buf *ret_file, struct mh_err *err)
{
	char bytes[64u << 10];

	for (;;) {
		const ssize_t n = read(fd, bytes, sizeof(bytes));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return mh_fail_errno(err, MH_RETRY, "an intake file cannot be read");
		if (n == 0)
			return MH_OK;
		buf_put(ret_file, (struct mh_span){ bytes, (size_t)n });
		if (!buf_ok(ret_file))
			return ret_file->n + (size_t)n > MAX_FILE_BYTES
				   ? mh_fail(err, MH_BAD, "an intake file is larger than a message may be")
				   : mh_fail(err, MH_RETRY, "no memory for an intake file");
	}
}

enum mh_status
intake_get(const char *folder, const char *name, struct buf *ret_file, struct mh_span *ret_raw,
    struct envelope *ret_envelope, struct mh_err *err)
{
	MH_AUTO(drop_fd) int dir = open_folder(folder, err);
	struct stat sb;

	if (dir < 0)
		return MH_RETRY;
	/* Without waiting: opening a planted fifo must not hang. */
	MH_AUTO(drop_fd) int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return mh_fail(err, MH_SKIP, "the intake file is gone");
	if (fd < 0 && (errno == ELOOP || errno == ENXIO || errno == EACCES || errno == EISDIR))
		return mh_fail_errno(err, MH_BAD, "an intake file cannot be opened");
	if (fd < 0)
		return mh_fail_errno(err, MH_RETRY, "an intake file cannot be opened");
	if (fstat(fd, &sb) < 0 || !S_ISREG(sb.st_mode))
		return mh_fail(err, MH_BAD, "an intake file is no regular file");

	buf_release(ret_file);
	buf_init(ret_file, MAX_FILE_BYTES);
	const enum mh_status st = read_file(fd, ret_file, err);
	return st == MH_OK ? read_head(ret_file, ret_raw, ret_envelope, err) : st;
}

enum mh_status
intake_drop(const char *folder, const char *name, struct mh_err *err)
{
	MH_AUTO(drop_fd) int dir = open_folder(folder, err);

	if (dir < 0)
		return MH_RETRY;
	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		return mh_fail_errno(err, MH_RETRY, "an intake file cannot be removed");
	return MH_OK;
}

enum mh_status
intake_set_aside(const char *folder, const char *name, struct mh_err *err)
{
	MH_AUTO(drop_fd) int dir = open_folder(folder, err);
	char bad[NAME_BYTES + 4];

	if (dir < 0)
		return MH_RETRY;
	if ((size_t)snprintf(bad, sizeof(bad), "%s.bad", name) >= sizeof(bad))
		return mh_fail(err, MH_BAD, "the name of an intake file is too long");
	if (renameat(dir, name, dir, bad) < 0 && errno != ENOENT)
		return mh_fail_errno(err, MH_RETRY, "an intake file cannot be set aside");
	return MH_OK;
}
