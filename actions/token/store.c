/* store.c: the kept token and the rotated refresh token: one small JSON file, replaced whole. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actions/token/parts.h"
#include "mailhook/clock.h"
#include "mailhook/fd.h"
#include "mailhook/json.h"

void
token_state_release(struct token_state *s)
{
	secret_release(&s->access_token);
	secret_release(&s->refresh_token);
	*s = (struct token_state){ 0 };
}

void
token_store_close(struct token_store *t)
{
	if (t->lock_fd >= 0)
		(void)close(t->lock_fd);
	if (t->dir_fd >= 0)
		(void)close(t->dir_fd);
	t->lock_fd = t->dir_fd = -1;
}

static const char *
base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

/* The folder of the file; made where only the last of it is missing. */
static int
open_dir(const char *path)
{
	char dir[4096];
	const size_t n = (size_t)(base_name(path) - path);

	if (n >= sizeof(dir)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(dir, n == 0 ? "." : path, n == 0 ? 1 : n);
	dir[n == 0 ? 1 : n] = '\0';
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && mkdir(dir, 0700) == 0)
		fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd;
}

/* flock has no deadline of its own. */
static bool
lock(int fd)
{
	const int64_t end_ms = clock_monotonic_ms() + TOKEN_LOCK_MS;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return false;
		if (clock_monotonic_ms() >= end_ms)
			return false;
		(void)poll(NULL, 0, 20);
	}
	return true;
}

static bool
name_beside(const char *path, const char *suffix, char *dst, size_t dst_bytes)
{
	const int n = snprintf(dst, dst_bytes, "%s%s", base_name(path), suffix);

	return n > 0 && (size_t)n < dst_bytes;
}

enum mh_status
token_store_open(const char *path, struct token_store *ret, struct mh_err *err)
{
	struct token_store t = { .path = path, .lock_fd = -1, .dir_fd = -1 };
	char name[256];

	if (path == NULL) {
		*ret = t;
		return MH_OK;
	}
	if (base_name(path)[0] == '\0' || !name_beside(path, ".lock", name, sizeof(name)))
		return mh_fail(err, MH_BAD, "not a name for a cache file: %s", path);
	t.dir_fd = open_dir(path);
	if (t.dir_fd < 0)
		return mh_fail_errno(err, MH_BAD, "folder of %s", path);
	t.lock_fd = openat(t.dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (t.lock_fd < 0 || !lock(t.lock_fd)) {
		const enum mh_status status =
		    mh_fail_errno(err, errno == EWOULDBLOCK || errno == EINTR ? MH_RETRY : MH_BAD, "lock of %s", path);

		token_store_close(&t);
		return status;
	}
	*ret = t;
	return MH_OK;
}

static bool
take(const cJSON *j, const char *key, struct secret *ret)
{
	const char *text = json_string(j, key);

	if (text == NULL || text[0] == '\0')
		return false;
	return secret_copy(span_of(text), ret, NULL) == MH_OK;
}

static void
take_digest(const cJSON *j, const char *key, char ret[TOKEN_ID])
{
	const char *text = json_string(j, key);

	if (text != NULL && strlen(text) == TOKEN_ID - 1)
		memcpy(ret, text, TOKEN_ID);
}

void
drop_secret_json(cJSON **j)
{
	cJSON *item;

	cJSON_ArrayForEach(item, *j)
	{
		if (cJSON_IsString(item))
			explicit_bzero(item->valuestring, strlen(item->valuestring));
	}
	drop_json(j);
}

enum mh_status
token_store_read(const struct token_store *t, struct token_state *ret, struct mh_err *err)
{
	MH_AUTO(secret_release) struct secret text = { 0 };
	char path[4200];

	if (t->path == NULL)
		return MH_SKIP;
	/* "./": a bare name would be a credential's */
	(void)snprintf(path, sizeof(path), "%s%s", strchr(t->path, '/') == NULL ? "./" : "", t->path);
	if (faccessat(t->dir_fd, base_name(t->path), F_OK, 0) < 0)
		return MH_SKIP;
	const enum mh_status status = secret_from_file(path, &text, err);
	if (status != MH_OK)
		return status;
	MH_AUTO(drop_secret_json) cJSON *j = json_parse(secret_span(&text), NULL);
	if (j == NULL)
		return MH_SKIP;

	struct token_state s = { 0 };
	const int64_t last = time_of_civil(9999, 12, 31, 0, 0, 0);
	if (!take(j, "access_token", &s.access_token) || !json_integer(j, "expires", 0, last, &s.expires) ||
	    !json_integer(j, "keep_until", 0, last, &s.keep_until))
		secret_release(&s.access_token);
	(void)take(j, "refresh_token", &s.refresh_token);
	take_digest(j, "for", s.for_conf);
	take_digest(j, "seed", s.for_seed);
	*ret = s;
	return MH_OK;
}

static bool
print_state(const struct token_state *s, struct buf *out)
{
	MH_AUTO(drop_secret_json) cJSON *j = cJSON_CreateObject();

	return j != NULL && json_add_span(j, "access_token", secret_span(&s->access_token)) &&
	       json_add_integer(j, "expires", s->expires) && json_add_integer(j, "keep_until", s->keep_until) &&
	       json_add_span(j, "refresh_token", secret_span(&s->refresh_token)) &&
	       json_add_string(j, "for", s->for_conf) && json_add_string(j, "seed", s->for_seed) && json_print(j, out);
}

enum mh_status
token_store_write(const struct token_store *t, const struct token_state *s, struct mh_err *err)
{
	MH_AUTO(secret_buf_release) struct buf text;
	char aside[256];

	buf_init(&text, 4 * SECRET_MAX_BYTES);
	if (t->path == NULL)
		return MH_OK;
	if (!print_state(s, &text) || !name_beside(t->path, ".new", aside, sizeof(aside)))
		return mh_fail(err, MH_RETRY, "no memory to keep a token");

	/* We hold the lock: what lies there is left over from a process that was killed. */
	(void)unlinkat(t->dir_fd, aside, 0);
	const int fd = openat(t->dir_fd, aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return mh_fail_errno(err, MH_RETRY, "%s cannot be written", t->path);
	const bool written = fd_write_all(fd, buf_span(&text)) && fsync(fd) == 0;
	const int why = errno;
	(void)close(fd);
	errno = why;
	if (!written || renameat(t->dir_fd, aside, t->dir_fd, base_name(t->path)) < 0 || fsync(t->dir_fd) < 0) {
		const enum mh_status status = mh_fail_errno(err, MH_RETRY, "%s cannot be written", t->path);

		(void)unlinkat(t->dir_fd, aside, 0);
		return status;
	}
	return MH_OK;
}
