/* front_source.c: where `parse` finds messages: a file, a Maildir, an mbox, standard input. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mailhook/front.h"

#define ROOM_BYTES ((size_t)MH_MAX_MESSAGE_BYTES + 1)

static void
drop_fd(int *fd)
{
	if (*fd > STDIN_FILENO)
		(void)close(*fd);
}

static bool
trouble(const struct front_sink *sink, const char *path)
{
	struct mh_err err;

	(void)mh_fail_errno(&err, MH_RETRY, "cannot be read");
	sink->trouble(sink->user, path, &err);
	return true; /* the rest goes on */
}

/* Reads one message from fd to its end, or as far as one is kept. */
static bool
message_of(int fd, const char *source, const struct front_sink *sink)
{
	char *room = sink->room(sink->user);
	size_t n = 0;
	ssize_t got;

	do {
		got = read(fd, room + n, ROOM_BYTES - n);
		if (got > 0)
			n += (size_t)got;
	} while ((got > 0 && n < ROOM_BYTES) || (got < 0 && errno == EINTR));
	if (got < 0)
		return trouble(sink, source);
	return sink->add(sink->user, n, source);
}

/* -- mbox --------------------------------------------------------------------------------------------------------- */

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "From SENDER Tue Nov 24 08:00:00 2026": a sentence that begins with "From " has no time of day and no year. */
static bool
is_from_line(struct mh_span line)
{
	bool time = false, year = false;

	if (!span_starts(line, MH_LIT("From ")))
		return false;
	for (size_t i = 5; i + 4 < line.n + 1; i++) {
		const char *p = line.p + i;

		time = time || (i + 5 <= line.n && is_digit(p[0]) && is_digit(p[1]) && p[2] == ':' && is_digit(p[3]) &&
				   is_digit(p[4]));
		year =
		    year || (i + 4 <= line.n && p[-1] == ' ' && (p[0] == '1' || p[0] == '2') && is_digit(p[1]) &&
				is_digit(p[2]) && is_digit(p[3]) && (i + 4 == line.n || p[4] == ' ' || p[4] == '\r'));
	}
	return time && year;
}

static struct mh_span
line_at(struct mh_span s, size_t at)
{
	struct mh_span rest = span_from(s, at), line = MH_NONE;

	(void)span_line(&rest, &line);
	return line;
}

/* Where the next message's "From " line begins: behind an empty line; s.n where there is none.
 *   out     ret_quoted: a ">From " may stand in front of it */
static size_t
next_from_line(struct mh_span s, size_t from, bool *ret_quoted)
{
	*ret_quoted = false;
	for (size_t at = from; (at = span_find(s, MH_LIT("From "), at)) != SIZE_MAX; at++) {
		const struct mh_span before = span_head(s, at);

		if ((span_iends(before, MH_LIT("\n\n")) || span_iends(before, MH_LIT("\n\r\n"))) &&
		    is_from_line(line_at(s, at)))
			return at;
		*ret_quoted = *ret_quoted || span_iends(before, MH_LIT(">"));
	}
	return s.n;
}

/* Copies bytes to a place in the room, as many as fit. Returns how many. */
static size_t
copy(struct mh_span s, char *room, size_t at)
{
	s = span_head(s, ROOM_BYTES - at);
	if (s.n > 0)
		memcpy(room + at, s.p, s.n);
	return s.n;
}

/* Copies a message, with one '>' less in front of each ">From " (mboxrd). Returns its length in the room. */
static size_t
copy_unquoted(struct mh_span s, char *room)
{
	size_t n = 0, done = 0;

	for (size_t at = 0; (at = span_find(s, MH_LIT(">From "), at)) != SIZE_MAX; at++) {
		size_t start = at;

		while (start > done && s.p[start - 1] == '>')
			start--;
		if (start > 0 && s.p[start - 1] != '\n')
			continue;
		const size_t run = start - done;
		if (run > ROOM_BYTES - n)
			break;
		memcpy(room + n, s.p + done, run);
		n += run;
		done = start + 1;
	}

	return n + copy(span_from(s, done), room, n);
}

/* The empty line that mbox puts behind each message is not the message's. */
static struct mh_span
without_last_line(struct mh_span s)
{
	const size_t end = span_iends(s, MH_LIT("\r\n")) ? 2 : 1;

	if (s.n < end || s.p[s.n - 1] != '\n' || (s.n > end && s.p[s.n - end - 1] != '\n'))
		return s;
	return span_head(s, s.n - end);
}

bool
front_mbox(struct mh_span bytes, const char *path, const struct front_sink *sink)
{
	struct mh_span line;
	size_t number = 0;

	while (bytes.n > 0) {
		struct mh_span rest = bytes;
		char source[4200];

		(void)span_line(&rest, &line); /* the "From " line */
		const size_t body = bytes.n - rest.n;
		bool quoted;
		const size_t end = next_from_line(bytes, body, &quoted);
		const struct mh_span m =
		    end > body ? without_last_line(span_head(rest, end - body)) : (struct mh_span){ rest.p, 0 };

		(void)snprintf(source, sizeof(source), "%s:%zu", path, ++number);
		char *room = sink->room(sink->user);
		if (!sink->add(sink->user, quoted ? copy_unquoted(m, room) : copy(m, room, 0), source))
			return false;
		bytes = span_from(bytes, end);
	}
	return true;
}

/* -- a path ------------------------------------------------------------------------------------------------------- */

struct names {
	char **items; /* own */
	size_t n, cap;
};

static void
drop_names(struct names *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->items[i]);
	free(l->items);
}

static int
by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool
add_name(struct names *l, const char *name)
{
	if (l->n == l->cap) {
		const size_t cap = l->cap == 0 ? 64 : 2 * l->cap;
		char **items = reallocarray(l->items, cap, sizeof(*items));

		if (items == NULL)
			return false;
		l->items = items;
		l->cap = cap;
	}
	l->items[l->n] = strdup(name);
	return l->items[l->n] != NULL && ++l->n > 0;
}

/* The names in a folder but those that begin with a dot, sorted. */
static bool
list_folder(int fd, struct names *ret)
{
	const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *e;

	if (d == NULL) {
		if (copy >= 0)
			(void)close(copy);
		return false;
	}
	bool ok = true;
	for (errno = 0; ok && (e = readdir(d)) != NULL; errno = 0)
		if (e->d_name[0] != '.')
			ok = add_name(ret, e->d_name);
	ok = ok && errno == 0;
	const int number = errno;
	(void)closedir(d);
	errno = number;
	if (ok && ret->n > 1)
		qsort(ret->items, ret->n, sizeof(ret->items[0]), by_bytes);
	return ok;
}

/* One of a Maildir's two folders with messages. A link is followed, a fifo is not waited for. */
static bool
maildir_folder(int fd, const char *path, const char *sub, const struct front_sink *sink)
{
	MH_AUTO(drop_names) struct names list = { 0 };
	bool go_on = true;

	if (!list_folder(fd, &list))
		return trouble(sink, path);
	for (size_t i = 0; go_on && i < list.n; i++) {
		char source[4200];
		struct stat st;

		(void)snprintf(source, sizeof(source), "%s/%s/%s", path, sub, list.items[i]);
		MH_AUTO(drop_fd) int file = openat(fd, list.items[i], O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		if (file < 0 || fstat(file, &st) < 0)
			go_on = trouble(sink, source);
		else if (S_ISREG(st.st_mode))
			go_on = message_of(file, source, sink);
	}
	return go_on;
}

static bool
maildir(int fd, const char *path, const struct front_sink *sink)
{
	static const char *const subs[] = { "cur", "new" };
	bool any = false, go_on = true;

	for (size_t i = 0; go_on && i < sizeof(subs) / sizeof(subs[0]); i++) {
		MH_AUTO(drop_fd) int sub = openat(fd, subs[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (sub < 0 && errno == ENOENT)
			continue;
		any = true;
		go_on = sub < 0 ? trouble(sink, path) : maildir_folder(sub, path, subs[i], sink);
	}
	if (!any) {
		struct mh_err err;

		(void)mh_fail(&err, MH_BAD, "is a folder, and no Maildir");
		sink->trouble(sink->user, path, &err);
	}
	return go_on;
}

/* A regular file: an mbox by its first line, else one message. Mapped, for an mbox has no maximum. */
static bool
regular(int fd, size_t size, const char *path, const struct front_sink *sink)
{
	char first[1024];

	const ssize_t n = pread(fd, first, sizeof(first), 0);
	if (n < 0)
		return trouble(sink, path);
	if (!is_from_line(line_at((struct mh_span){ first, (size_t)n }, 0)))
		return message_of(fd, path, sink);

	char *p = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return trouble(sink, path);
	const bool go_on = front_mbox((struct mh_span){ p, size }, path, sink);
	(void)munmap(p, size);
	return go_on;
}

bool
front_source(const char *path, const struct front_sink *sink)
{
	struct stat st;

	if (strcmp(path, "-") == 0)
		return message_of(STDIN_FILENO, path, sink);

	MH_AUTO(drop_fd) int fd = open(path, O_RDONLY | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return trouble(sink, path);
	if (S_ISDIR(st.st_mode))
		return maildir(fd, path, sink);
	return S_ISREG(st.st_mode) ? regular(fd, (size_t)st.st_size, path, sink) : message_of(fd, path, sink);
}
