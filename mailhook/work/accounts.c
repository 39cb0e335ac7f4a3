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
#define ACCOUNT_DIGITS ((size_t)12)
#define MAX_ADDRESS_BYTES 254 /* RFC 5321 4.5.3.1.3, less the angle brackets */
#define MAX_LOCAL_BYTES 64

static int
by_account(const void *a, const void *b)
{
	const struct account_row *left = a, *right = b;

	return strcmp(left->account, right->account);
}

static int
by_account_and_line(const void *a, const void *b)
{
	const struct account_row *left = a, *right = b;
	const int order = by_account(a, b);

	return order != 0 ? order : (left->line > right->line) - (left->line < right->line);
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

/* One field of *line, and whether another follows; a doubled quote inside quotes is one. *ret_wrong: why it is none. */
static enum mh_status
next_field(struct mh_span *line, struct arena *a, const char **ret, bool *ret_more, const char **ret_wrong)
{
	const struct mh_span rest = span_trim(*line);
	char *out = arena_alloc(a, rest.n + 1);
	size_t n = 0, i = 0;

	if (out == NULL)
		return MH_RETRY;
	if (rest.n > 0 && rest.p[0] == '"') {
		for (i = 1; i < rest.n && (rest.p[i] != '"' || (i + 1 < rest.n && rest.p[i + 1] == '"')); i++) {
			out[n++] = rest.p[i];
			i += rest.p[i] == '"';
		}
		if (i >= rest.n) {
			*ret_wrong = "a quote without its end in this line";
			return MH_BAD;
		}
		for (i++; i < rest.n && rest.p[i] != ','; i++)
			if (rest.p[i] != ' ' && rest.p[i] != '\t') {
				*ret_wrong = "text behind a closing quote";
				return MH_BAD;
			}
	} else {
		while (i < rest.n && rest.p[i] != ',')
			i++;
		const struct mh_span plain = span_trim(span_head(rest, i));
		if (plain.n > 0)
			memcpy(out, plain.p, plain.n);
		n = plain.n;
	}
	out[n] = '\0';
	*ret_more = i < rest.n;
	*line = span_from(rest, i + 1);
	*ret = n == 0 ? NULL : out;
	return MH_OK;
}

static bool
all_digits(const char *s)
{
	return s[strspn(s, "0123456789")] == '\0';
}

/* A plain dot-atom and a host's name, as the reply action takes them: nothing that needs quotes, no option. */
static bool
is_address(const char *s)
{
	static const char alnum[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	const char *at = strchr(s, '@');
	char before = '.';

	if (at == NULL || at == s || at - s > MAX_LOCAL_BYTES || strlen(s) > MAX_ADDRESS_BYTES || s[0] == '-')
		return false;
	for (const char *p = s; *p != '\0'; before = *p++) {
		const bool edge = before == '.' || before == '@';
		if (p == at ? before == '.' : *p == '.' ? edge || (p > at && before == '-') : false)
			return false;
		if (p > at && *p == '-' && edge)
			return false;
		if (p != at && strchr(alnum, *p) == NULL && strchr(p < at ? ".!#$%&'*+-/=?^_`{|}~" : ".-", *p) == NULL)
			return false;
	}
	return before != '.' && before != '-' && before != '@';
}

/* True where the row is right; else why it is not, bytes of the file escaped and cut. */
static bool
row_right(const struct account_row *row, char *why, size_t why_bytes)
{
	char shown[100];
	const size_t n = row->account == NULL ? 0 : strlen(row->account);

	if (n == 0) {
		(void)snprintf(why, why_bytes, "no account");
	} else if (n < ACCOUNT_DIGITS && all_digits(row->account)) {
		(void)snprintf(why, why_bytes,
		    "account %s has %zu digits, not 12: its leading zeros are lost, should it be %0*d%s?", row->account,
		    n, (int)(ACCOUNT_DIGITS - n), 0, row->account);
	} else if (n != ACCOUNT_DIGITS || !all_digits(row->account)) {
		(void)snprintf(why, why_bytes, "account \"%s\" is not 12 digits",
		    mh_escape(shown, sizeof(shown), span_of(row->account)));
	} else if (row->owner != NULL && !is_address(row->owner)) {
		(void)snprintf(why, why_bytes, "the owner's \"%s\" is no plain mail address",
		    mh_escape(shown, sizeof(shown), span_of(row->owner)));
	} else {
		return true;
	}
	return false;
}

static enum mh_status
read_row(struct mh_span line, struct arena *a, struct account_row *ret, char *why, size_t why_bytes)
{
	const char *fields[FIELDS] = { NULL }, *wrong = NULL;
	enum mh_status status = MH_OK;
	bool more = true;

	for (size_t i = 0; i < line.n && wrong == NULL; i++)
		if (((unsigned char)line.p[i] < ' ' && line.p[i] != '\t') || line.p[i] == 0x7f)
			wrong = "a control character";
	if (wrong == NULL && !utf8_valid(line))
		wrong = "not UTF-8";
	for (size_t i = 0; i < FIELDS && more && wrong == NULL && status == MH_OK; i++)
		status = next_field(&line, a, &fields[i], &more, &wrong);
	if (status == MH_RETRY)
		return status;
	if (wrong == NULL && more)
		wrong = "more than the 5 fields account, name, owner, environment, assignee";
	if (wrong != NULL) {
		(void)snprintf(why, why_bytes, "%s", wrong);
		return MH_BAD;
	}
	ret->account = fields[0];
	ret->name = fields[1];
	ret->owner = fields[2];
	ret->environment = fields[3];
	ret->assignee = fields[4];
	return row_right(ret, why, why_bytes) ? MH_OK : MH_BAD;
}

/* Spreadsheets write an empty row as commas. */
static bool
is_empty(struct mh_span line)
{
	size_t i = 0;

	while (i < line.n && (line.p[i] == ',' || line.p[i] == ' ' || line.p[i] == '\t'))
		i++;
	return i == line.n;
}

static bool
is_heading(struct mh_span line)
{
	return span_istarts(span_from(line, line.n > 0 && line.p[0] == '"'), MH_LIT("account"));
}

/* Where the file's words go. */
struct voice {
	const char *path;
	conf_complain *complain;
	void *user;
};

static void
complain_of(struct accounts *acc, const struct voice *r, size_t line, const char *why)
{
	char text[1024];

	(void)snprintf(text, sizeof(text), "%s:%zu: %s", r->path, line, why);
	r->complain(r->user, text);
	acc->wrong++;
}

/* Of several lines of an account the first counts. */
static void
drop_doubles(struct accounts *acc, const struct voice *r)
{
	size_t kept = 0;
	char why[100];

	qsort(acc->rows, acc->n, sizeof(*acc->rows), by_account_and_line);
	for (size_t i = 0; i < acc->n; i++) {
		if (kept == 0 || strcmp(acc->rows[kept - 1].account, acc->rows[i].account) != 0) {
			acc->rows[kept++] = acc->rows[i];
			continue;
		}
		(void)snprintf(why, sizeof(why), "account %s stands in line %zu already", acc->rows[i].account,
		    acc->rows[kept - 1].line);
		complain_of(acc, r, acc->rows[i].line, why);
	}
	acc->n = kept;
}

static enum mh_status
read_rows(struct accounts *acc, struct mh_span text, const struct voice *r, struct mh_err *err)
{
	size_t lines = 1, number = 0;
	bool first = true;
	struct mh_span line;
	char why[300];

	if (span_starts(text, MH_LIT("\xef\xbb\xbf"))) /* spreadsheets begin with a byte order mark */
		text = span_from(text, 3);
	for (size_t i = 0; i < text.n; i++)
		lines += text.p[i] == '\n';
	acc->rows = arena_array(&acc->arena, lines, sizeof(*acc->rows));
	if (acc->rows == NULL)
		return mh_fail(err, MH_RETRY, "%s: no memory for %zu lines", r->path, lines);
	while (span_line(&text, &line)) {
		const struct mh_span shown = span_trim(line);
		number++;
		if (is_empty(shown) || shown.p[0] == '#')
			continue;
		const bool heading = first && is_heading(shown);
		first = false;
		if (heading)
			continue;
		struct account_row *row = &acc->rows[acc->n];
		const enum mh_status status = read_row(shown, &acc->arena, row, why, sizeof(why));
		if (status == MH_RETRY)
			return mh_fail(err, MH_RETRY, "%s: no memory", r->path);
		row->line = number;
		if (status == MH_OK)
			acc->n++;
		else
			complain_of(acc, r, number, why);
	}
	drop_doubles(acc, r);
	return MH_OK;
}

enum mh_status
accounts_load(const char *path, conf_complain *complain, void *user, struct accounts **ret, struct mh_err *err)
{
	const struct voice r = { path, complain, user };
	struct buf file;
	struct accounts *acc = calloc(1, sizeof(*acc));

	if (acc == NULL)
		return mh_fail(err, MH_RETRY, "no memory for accounts");
	arena_init(&acc->arena, MAX_FILE_BYTES * 8);
	buf_init(&file, MAX_FILE_BYTES);
	enum mh_status status = read_file(path, &file, err);
	if (status == MH_OK)
		status = read_rows(acc, buf_span(&file), &r, err);
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
