/* own_conf.c: libconfuse with its complaints gathered. */
#include "actions/common/own_conf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actions/common/folder.h"

#define HEAD "(complaints)"
#define MAX_BYTES ((size_t)256 << 10)

struct complaints {
	struct mh_err first;
	int n;
};

void
drop_own_conf(cfg_t **cfg)
{
	if (*cfg != NULL)
		(void)cfg_free(*cfg);
	*cfg = NULL;
}

static void
complain(struct complaints *c, const char *file, int line, const char *what)
{
	struct mh_err e;

	(void)mh_fail(&e, MH_BAD, "%s:%d: %s", file, line, what);
	(void)fprintf(stderr, "mailhook: %s\n", e.text);
	if (c->n++ == 0)
		c->first = e;
}

static void on_error(cfg_t *cfg, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

static void
on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	cfg_opt_t *head = cfg_getopt(cfg, HEAD);
	struct complaints *c = head == NULL ? NULL : (struct complaints *)(void *)head->simple_value.ptr;
	char what[160];

	(void)vsnprintf(what, sizeof(what), fmt, ap);
	if (c != NULL)
		complain(c, cfg->filename == NULL ? "?" : cfg->filename, cfg->line, what);
}

/* Overwrites comments by spaces, line ends stay: libconfuse 3.3 counts each comment line three times, so that every
 * line number after it would be wrong. Strings may span lines and hold any of these signs. */
static void
blank_comments(struct buf *text)
{
	enum { PLAIN, DOUBLE, SINGLE, LINE, BLOCK } in = PLAIN;

	for (size_t i = 0; i < text->n; i++) {
		const char c = text->p[i], next = i + 1 < text->n ? text->p[i + 1] : '\0';
		/* Inside a bare word, as in /a//b, they are part of it. */
		const bool starts = i == 0 || strchr(" \t\r\n={}(),;\"'", text->p[i - 1]) != NULL;

		if (in == PLAIN) {
			if (c == '"' || c == '\'')
				in = c == '"' ? DOUBLE : SINGLE;
			else if (starts && (c == '#' || (c == '/' && next == '/')))
				in = LINE;
			else if (starts && c == '/' && next == '*')
				in = BLOCK;
		} else if (in == DOUBLE || in == SINGLE) {
			if (c == '\\')
				i++;
			else if (c == (in == DOUBLE ? '"' : '\''))
				in = PLAIN;
		} else if (in == LINE && c == '\n') {
			in = PLAIN;
		} else if (in == BLOCK && c == '*' && next == '/') {
			text->p[i] = text->p[i + 1] = ' ';
			i++;
			in = PLAIN;
			continue;
		}
		if ((in == LINE || in == BLOCK) && c != '\n')
			text->p[i] = ' ';
	}
}

/* "${" would be filled from the environment by libconfuse: a secret's way into the open. */
static void
refuse_variables(const char *path, struct mh_span text, struct complaints *c)
{
	struct mh_span line;

	for (int n = 1; span_line(&text, &line); n++)
		if (span_find(line, MH_LIT("${"), 0) != SIZE_MAX)
			complain(c, path, n, "${ is not taken here: write the value, or name a file");
}

static enum mh_status
parse(cfg_t *cfg, const char *path, const struct buf *text, struct complaints *c, struct mh_err *err)
{
	if (text->p == NULL || text->n == 0)
		return MH_OK;
	if (memchr(text->p, '\0', text->n) != NULL) {
		complain(c, path, 1, "a NUL is no text");
		return MH_OK;
	}

	FILE *in = fmemopen(text->p, text->n, "r");
	cfg->filename = strdup(path); /* cfg_free ends it */
	if (in == NULL || cfg->filename == NULL) {
		if (in != NULL)
			(void)fclose(in);
		return mh_fail(err, MH_RETRY, "no memory to read %s", path);
	}
	/* What is wrong has been said, by libconfuse or by a check; a failure without words must not pass. */
	if (cfg_parse_fp(cfg, in) != CFG_SUCCESS && c->n == 0)
		complain(c, path, cfg->line, "not understood");
	(void)fclose(in);
	return MH_OK;
}

/* libconfuse complains in the section where the fault is. */
static void
hear_complaints(cfg_opt_t *opts, struct complaints *c)
{
	for (cfg_opt_t *o = opts; o != NULL && o->name != NULL; o++) {
		if (strcmp(o->name, HEAD) == 0)
			o->simple_value.ptr = (void **)(void *)c;
		if (o->type == CFGT_SEC)
			hear_complaints(o->subopts, c);
	}
}

enum mh_status
own_conf_read(const char *path, cfg_opt_t *opts, const struct own_conf_check *checks, cfg_t **ret, struct mh_err *err)
{
	struct complaints c = { .n = 0 };
	struct buf text;
	enum mh_status status = MH_OK;

	buf_init(&text, MAX_BYTES);
	hear_complaints(opts, &c);
	MH_AUTO(drop_own_conf) cfg_t *cfg = cfg_init(opts, CFGF_NONE);
	if (cfg == NULL) {
		status = mh_fail(err, MH_RETRY, "no memory for a configuration");
		goto out;
	}
	(void)cfg_set_error_function(cfg, on_error);
	for (size_t i = 0; checks[i].option != NULL; i++)
		(void)cfg_set_validate_func(cfg, checks[i].option, checks[i].check);

	if (path != NULL) {
		status = file_read(AT_FDCWD, path, &text, err);
		if (status == MH_SKIP)
			status = MH_OK;
	}
	if (status == MH_OK && path != NULL && text.n > 0) {
		blank_comments(&text);
		refuse_variables(path, buf_span(&text), &c);
		if (c.n == 0)
			status = parse(cfg, path, &text, &c, err);
	}
	if (status == MH_OK && c.n > 0) {
		if (err != NULL)
			*err = c.first;
		status = MH_BAD;
	}
	if (status == MH_OK) {
		cfg_getopt(cfg, HEAD)->simple_value.ptr = NULL; /* c ends here */
		*ret = cfg;
		cfg = NULL;
	}
out:
	buf_release(&text);
	return status;
}

/* -- what is set ---------------------------------------------------------------------------------------------------- */

const char *
own_conf_text(cfg_t *cfg, const char *option)
{
	const char *text = cfg_getstr(cfg, option);

	return text == NULL || text[0] == '\0' ? NULL : text;
}

unsigned
own_conf_command(cfg_t *cfg, const char *option, const char *argv[OWN_CONF_MAX_WORDS + 1])
{
	const unsigned size = cfg_size(cfg, option), n = size < OWN_CONF_MAX_WORDS ? size : OWN_CONF_MAX_WORDS;

	for (unsigned i = 0; i < n; i++)
		argv[i] = cfg_getnstr(cfg, option, i);
	argv[n] = NULL;
	return n;
}

int
check_command(cfg_t *cfg, cfg_opt_t *opt)
{
	const unsigned n = cfg_opt_size(opt);

	if (n > OWN_CONF_MAX_WORDS)
		cfg_error(cfg, "%s: more than %d words", cfg_opt_name(opt), OWN_CONF_MAX_WORDS);
	else if (n > 0 && cfg_opt_getnstr(opt, 0)[0] != '/')
		cfg_error(cfg, "%s: a program needs its whole path", cfg_opt_name(opt));
	return 0;
}

/* -- one option, before all others ---------------------------------------------------------------------------------- */

/* The next word, string or sign of a text without comments; false at its end. */
static bool
next_token(struct mh_span *text, struct mh_span *ret)
{
	size_t i = 0, n;

	while (i < text->n && strchr(" \t\r\n;,", text->p[i]) != NULL)
		i++;
	*text = span_from(*text, i);
	if (text->n == 0)
		return false;
	if (text->p[0] == '"' || text->p[0] == '\'') {
		for (n = 1; n < text->n && text->p[n] != text->p[0]; n++)
			if (text->p[n] == '\\')
				n++;
		*ret = span_from(span_head(*text, n), 1);
		n = n < text->n ? n + 1 : text->n;
	} else if (strchr("={}()+", text->p[0]) != NULL) {
		n = 1;
		*ret = span_head(*text, n);
	} else {
		for (n = 1; n < text->n && strchr(" \t\r\n;,={}()+\"'", text->p[n]) == NULL; n++)
			continue;
		*ret = span_head(*text, n);
	}
	*text = span_from(*text, n);
	return true;
}

enum mh_status
own_conf_peek(const char *path, const char *option, char *dst, size_t dst_bytes, struct mh_err *err)
{
	struct buf text;
	struct mh_span rest, token, before = MH_NONE, name = MH_NONE;
	int depth = 0;

	if (path == NULL)
		return MH_OK;
	buf_init(&text, MAX_BYTES);
	const enum mh_status status = file_read(AT_FDCWD, path, &text, err);
	if (status == MH_OK && text.n > 0)
		blank_comments(&text);
	rest = buf_span(&text);
	while (status == MH_OK && next_token(&rest, &token)) {
		depth += span_eq(token, MH_LIT("{")) ? 1 : span_eq(token, MH_LIT("}")) ? -1 : 0;
		if (depth == 0 && span_eq(before, MH_LIT("=")) && span_eq(name, span_of(option)) &&
		    token.n < dst_bytes) {
			memcpy(dst, token.p, token.n);
			dst[token.n] = '\0';
		}
		name = before;
		before = token;
	}
	buf_release(&text);
	return status == MH_RETRY ? status : MH_OK;
}
