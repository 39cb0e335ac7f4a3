/* accounts.c: a small CSV. */
#include "mailhook/work/accounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_FILE_BYTES ((size_t)16 << 20) /* some 200,000 accounts */
#define FIELDS 5

static int
by_account(const void *a, const void *b)
{
	const struct account_row *left = a, *right = b;

	return strcmp(left->account, right->account);
}

static enum mh_status
read_file(const char *path, struct buf *out, struct mh_err *err)
{
	char chunk[65536];
	ssize_t n;
	const int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return mh_fail_errno(err, errno == ENOENT ? MH_SKIP : MH_RETRY, "%s", path);
	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		buf_put(out, (struct mh_span){ chunk, (size_t)n });
	(void)close(fd);
	if (n < 0)
		return mh_fail_errno(err, MH_RETRY, "%s", path);
	return buf_ok(out) ? MH_OK : mh_fail(err, MH_RETRY, "%s: larger than %zu bytes", path, MAX_FILE_BYTES);
}

/* One field of *line; a doubled quote inside quotes is one. MH_BAD: a quote without its end. */
static enum mh_status
next_field(struct mh_span *line, struct arena *a, const char **ret)
{
	struct mh_span rest = span_trim(*line);
	char *out = arena_alloc(a, rest.n + 1);
	size_t n = 0, i = 0;

	if (out == NULL)
		return MH_RETRY;
	if (rest.n > 0 && rest.p[0] == '"') {
		for (i = 1; i < rest.n && (rest.p[i] != '"' || (i + 1 < rest.n && rest.p[i + 1] == '"')); i++) {
			out[n++] = rest.p[i];
			i += rest.p[i] == '"';
		}
		if (i >= rest.n)
			return MH_BAD;
		i++;
		while (i < rest.n && rest.p[i] != ',')
			i++;
	} else {
		while (i < rest.n && rest.p[i] != ',')
			i++;
		const struct mh_span plain = span_trim(span_head(rest, i));
		memcpy(out, plain.p, plain.n);
		n = plain.n;
	}
	out[n] = '\0';
	*line = span_from(rest, i + 1);
	*ret = n == 0 ? NULL : out;
	return MH_OK;
}

static enum mh_status
read_row(struct mh_span line, struct arena *a, struct account_row *ret)
{
	const char *fields[FIELDS] = { NULL };
	enum mh_status status = MH_OK;

	for (size_t i = 0; i < FIELDS && status == MH_OK; i++)
		status = next_field(&line, a, &fields[i]);
	if (status == MH_OK)
		*ret = (struct account_row){ fields[0], fields[1], fields[2], fields[3], fields[4] };
	return status == MH_OK && fields[0] == NULL ? MH_BAD : status;
}

static enum mh_status
read_rows(struct accounts *acc, struct mh_span text, const char *path, conf_complain *complain, void *user,
    struct mh_err *err)
{
	size_t lines = 1, number = 0;
	struct mh_span line;

	for (size_t i = 0; i < text.n; i++)
		lines += text.p[i] == '\n';
	acc->rows = arena_array(&acc->arena, lines, sizeof(*acc->rows));
	if (acc->rows == NULL)
		return mh_fail(err, MH_RETRY, "%s: no memory for %zu lines", path, lines);
	while (span_line(&text, &line)) {
		const struct mh_span shown = span_trim(line);
		number++;
		if (shown.n == 0 || shown.p[0] == '#' || (number == 1 && span_istarts(shown, MH_LIT("account"))))
			continue;
		const enum mh_status status = memchr(shown.p, '\0', shown.n) != NULL || !utf8_valid(shown)
						  ? MH_BAD
						  : read_row(shown, &acc->arena, &acc->rows[acc->n]);
		if (status == MH_RETRY)
			return mh_fail(err, MH_RETRY, "%s: no memory", path);
		if (status == MH_OK) {
			acc->n++;
		} else {
			char text_line[512];
			(void)snprintf(text_line, sizeof(text_line),
			    "%s:%zu: not \"account, name, owner, environment, assignee\"", path, number);
			complain(user, text_line);
		}
	}
	qsort(acc->rows, acc->n, sizeof(*acc->rows), by_account);
	return MH_OK;
}

enum mh_status
accounts_load(const char *path, conf_complain *complain, void *user, struct accounts **ret, struct mh_err *err)
{
	struct buf file;
	struct accounts *acc = calloc(1, sizeof(*acc));

	if (acc == NULL)
		return mh_fail(err, MH_RETRY, "no memory for accounts");
	arena_init(&acc->arena, MAX_FILE_BYTES * 8);
	buf_init(&file, MAX_FILE_BYTES);
	enum mh_status status = read_file(path, &file, err);
	if (status == MH_OK)
		status = read_rows(acc, buf_span(&file), path, complain, user, err);
	buf_release(&file);
	if (status != MH_OK) {
		accounts_free(acc);
		return status;
	}
	*ret = acc;
	return MH_OK;
}

void
accounts_free(struct accounts *a)
{
	if (a == NULL)
		return;
	arena_release(&a->arena);
	free(a);
}

const struct account_row *
accounts_find(const struct accounts *a, const char *account)
{
	const struct account_row key = { .account = account };

	if (a == NULL || account == NULL || a->n == 0)
		return NULL;
	return bsearch(&key, a->rows, a->n, sizeof(*a->rows), by_account);
}
