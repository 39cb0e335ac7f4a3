/* conf_read.c: one file through libconfuse into blocks and values with their places.
 *
 * libconfuse is the syntax and no more: all options are strings to it, since its own type errors would end the file.
 * Traps of 3.3 that stand behind this code: it takes one line of "#" or "//" comment for three, and a comment inside a
 * list for a value; so comments are blanked before it sees the text. It expands ${VAR} in double quotes; refused here.
 * Its error callback has no user pointer; ours travels as a hidden option of each section.
 */
#include <confuse.h>
#include <stdio.h>
#include <string.h>

#include "mailhook/conf_parts.h"

/* '#' cannot be written in a file as a name, so this name is only ours. */
#define ROOT "root"  /* libconfuse's name of the top */
#define SELF "#self" /* points to the reader */

struct reader {
	void *self; /* what the hidden option points to */
	struct conf_source *source;
	const char *file;
	struct mh_span text;
	size_t block; /* index of the open block in source->blocks */
	size_t top;   /* and of the file's top */
	int *lines;   /* of each block's '{', in the file's order */
	size_t n_lines, cap_lines, next_line;
	const cfg_opt_t *twice; /* complained of already */
	bool failed;            /* the first syntax error was complained of */
	bool no_memory;
	const char *bad; /* what libconfuse would not find, or NULL; it sees the text only up to there */
	size_t bad_at;
	int bad_line;
};

/* -- places and complaints ---------------------------------------------------------------------------------------- */

void
conf_wrong(struct conf_source *s, const char *file, int line, const char *fmt, ...)
{
	char text[1024], line_text[1024];
	va_list ap;

	va_start(ap, fmt);
	const int n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n >= sizeof(text))
		text[utf8_cut((struct mh_span){ text, sizeof(text) - 1 }, sizeof(text) - 4)] = '\0';
	for (char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?'; /* one complaint is one line */
	(void)snprintf(line_text, sizeof(line_text), "%.400s:%d: %.600s", file, line, text);
	s->wrong = true;
	if (s->complain != NULL)
		s->complain(s->user, line_text);
}

static const char *
keep(struct reader *r, const char *text)
{
	struct mh_span copy;

	if (arena_copy(r->source->arena, span_of(text), &copy, NULL) == MH_OK)
		return copy.p;
	r->no_memory = true;
	return NULL;
}

static bool
open_block(struct reader *r, enum conf_kind kind, const char *title, int line)
{
	struct conf_source *s = r->source;
	struct conf_block *items = arena_grow(s->arena, s->blocks, s->n, &s->cap, sizeof(*items));

	if (items == NULL) {
		r->no_memory = true;
		return false;
	}
	s->blocks = items;
	s->blocks[s->n] = (struct conf_block){ .kind = kind, .title = title, .file = r->file, .line = line };
	r->block = s->n++;
	return true;
}

/* -- libconfuse's callbacks --------------------------------------------------------------------------------------- */

static struct reader *
reader_of(cfg_t *cfg)
{
	const cfg_opt_t *self = cfg_getopt(cfg, SELF);

	return *self->simple_value.ptr;
}

static void
on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	struct reader *r = reader_of(cfg);
	char text[256];

	if (r->failed)
		return; /* what follows the first one is mostly its echo */
	if (r->bad != NULL && cfg->line >= r->bad_line)
		return; /* an echo of where the text was cut */
	r->failed = true;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the library's own format, with the library's arguments */
	(void)vsnprintf(text, sizeof(text), fmt, ap);
#pragma GCC diagnostic pop
	/* the commonest of them, and the least like an error of syntax */
	const bool unknown = span_starts(span_of(text), MH_LIT("no such option"));
	conf_wrong(r->source, r->file, cfg->line, "%s%s", text,
	    unknown ? ": mailhook.conf(5) has all; what stands behind it was not read" : "");
}

/* libconfuse has no call at a section's start: a section opens with its first value, or at its end. */
static bool
open_section(struct reader *r, const cfg_t *section)
{
	struct conf_source *s = r->source;
	const char *title = section->title == NULL ? NULL : keep(r, section->title);
	const int line = r->next_line < r->n_lines ? r->lines[r->next_line++] : section->line;
	size_t kind;

	if (!conf_word(section->name, conf_kind_names + 1, CONF_KINDS - 1, &kind))
		return false;
	kind++;
	if (!open_block(r, (enum conf_kind)kind, title, line))
		return false;
	if (title == NULL)
		return true;
	if (kind == CONF_CREDENTIAL && !conf_credential_title_right(title))
		conf_wrong(s, r->file, line, "the name of credential \"%s\" must be 1 to 64 bytes of one line", title);
	if (kind != CONF_CREDENTIAL && !conf_title_right(title))
		conf_wrong(s, r->file, line, "the name of %s \"%s\" must be 1 to 64 letters, digits or any of .-_@",
		    section->name, title);
	for (size_t i = 0; i + 1 < s->n; i++) {
		const struct conf_block *b = &s->blocks[i];
		if (b->kind == (enum conf_kind)kind && b->title != NULL && strcmp(b->title, title) == 0) {
			conf_wrong(s, r->file, line, "%s \"%s\" stands already at %s:%d", section->name, title, b->file,
			    b->line);
			break;
		}
	}
	return true;
}

#define ENDED (-1) /* in a section's line, which counts from 1 */

static int
on_end(cfg_t *cfg, cfg_opt_t *opt)
{
	struct reader *r = reader_of(cfg);
	unsigned at = opt->nvalues - 1;

	/* Mostly the last one; a title that stood already takes its place. */
	while (at > 0 && opt->values[at]->section->line == ENDED)
		at--;
	cfg_t *section = opt->values[at]->section;
	if (r->block == r->top && !open_section(r, section))
		return 1;
	section->line = ENDED;
	r->block = r->top;
	r->twice = NULL;
	return 0;
}

static const struct conf_option *
option_of(enum conf_kind kind, const char *name)
{
	for (size_t i = 0; i < CONF_KEYS; i++)
		if (conf_options[i].kind == kind && strcmp(conf_options[i].name, name) == 0)
			return &conf_options[i];
	return NULL;
}

/* Called behind each value, and once more at the '}' of a list. */
static int
on_value(cfg_t *cfg, cfg_opt_t *opt)
{
	struct reader *r = reader_of(cfg);
	struct conf_source *s = r->source;

	if (r->block == r->top && strcmp(cfg->name, ROOT) != 0 && !open_section(r, cfg))
		return 1;
	struct conf_block *b = &s->blocks[r->block];
	const struct conf_option *o = option_of(b->kind, opt->name);
	const enum conf_key key = (enum conf_key)(o - conf_options);
	const char *written = opt->nvalues == 0 ? NULL : opt->values[opt->nvalues - 1]->string;
	const struct conf_value *last = NULL;
	size_t have = 0;

	for (size_t i = 0; i < b->n; i++) {
		if (b->values[i].key == key) {
			last = &b->values[i];
			have++;
		}
	}
	if (written == NULL || (o->list && have == opt->nvalues && strcmp(last->text, written) == 0))
		return 0; /* the '}' */
	if (r->twice == opt)
		return 0;
	if (have > 0 && (!o->list || have >= opt->nvalues)) {
		conf_wrong(s, r->file, cfg->line, "%s was set already in line %d", o->name, last->line);
		r->twice = opt;
		return 0;
	}

	const char *text = keep(r, written);
	struct conf_value *values =
	    text == NULL ? NULL : arena_grow(s->arena, b->values, b->n, &b->cap, sizeof(*values));
	if (values == NULL) {
		r->no_memory = true;
		return 1;
	}
	bool right = o->right(text);
	if (!right && (key == KEY_URL || key == KEY_LEDGER)) /* it may hold a password, and complaints are logged */
		conf_wrong(s, r->file, cfg->line, "%s must be %s", o->name, o->must);
	else if (!right)
		conf_wrong(s, r->file, cfg->line, "%s must be %s, not \"%s\"", o->name, o->must, text);
	for (size_t i = 0; right && o->list && i < b->n; i++) {
		if (b->values[i].key == key && strcmp(b->values[i].text, text) == 0) {
			conf_wrong(s, r->file, cfg->line, "%s has \"%s\" twice", o->name, text);
			right = false;
		}
	}
	b->values = values;
	b->values[b->n++] = (struct conf_value){ key, text, r->file, cfg->line, right };
	if (right && key == KEY_STATE_DIR)
		s->state_dir = text;
	return 0;
}

/* -- before libconfuse -------------------------------------------------------------------------------------------- */

static int
line_of(struct mh_span text, size_t at)
{
	int line = 1;

	for (size_t i = 0; i < at; i++)
		line += text.p[i] == '\n';
	return line;
}

/* The first place counts. */
static void
bad(struct reader *r, size_t at, const char *what)
{
	if (r->bad != NULL && r->bad_at <= at)
		return;
	r->bad = what;
	r->bad_at = at;
	r->bad_line = line_of(r->text, at);
}

/* The offset behind a string that starts at at, or SIZE_MAX where it has no end. */
static size_t
behind_string(struct mh_span t, size_t at)
{
	const char quote = t.p[at];

	for (size_t i = at + 1; i < t.n; i++) {
		if (t.p[i] == '\\')
			i++;
		else if (t.p[i] == quote)
			return i + 1;
	}
	return SIZE_MAX;
}

/* The offset of a comment's end (its line end stays), at itself where none starts there, SIZE_MAX: it is not closed. */
static size_t
behind_comment(struct mh_span t, size_t at, bool token_start)
{
	const struct mh_span rest = span_from(t, at);

	if (rest.p[0] == '#' || (token_start && span_starts(rest, MH_LIT("//")))) {
		const size_t end = span_find(t, MH_LIT("\n"), at);
		return end == SIZE_MAX ? t.n : end;
	}
	if (token_start && span_starts(rest, MH_LIT("/*"))) {
		const size_t end = span_find(t, MH_LIT("*/"), at + 2);
		return end == SIZE_MAX ? SIZE_MAX : end + 2;
	}
	return at;
}

/* What no file may have, wherever it stands. */
static void
clean(struct reader *r)
{
	const size_t variable = span_find(r->text, MH_LIT("${"), 0), nul = span_find(r->text, MH_LIT("\0"), 0);

	if (variable != SIZE_MAX)
		bad(r, variable, "\"${\" is refused: variables are not expanded here");
	if (nul != SIZE_MAX)
		bad(r, nul, "NUL byte");
	struct mh_span rest = r->text, line;
	while (span_line(&rest, &line)) {
		if (!utf8_valid(line)) {
			bad(r, (size_t)(line.p - r->text.p), "the file is not UTF-8");
			break;
		}
	}
}

/* Where the next token is looked for. */
struct walk {
	size_t at;
	int line;
	size_t opened;    /* where the outermost open brace stands */
	unsigned depth;   /* of braces */
	char last;        /* the last character that is no white space */
	bool token_start; /* the one before was white space or stands for itself */
};

/* One character outside strings and comments. */
static bool
walk_plain(struct reader *r, struct walk *w)
{
	const char c = r->text.p[w->at++];

	if (c == '{' && w->depth == 0)
		w->opened = w->at - 1;
	if (c == '{' && w->depth++ == 0 && w->last != '=') {
		int *lines = arena_grow(r->source->arena, r->lines, r->n_lines, &r->cap_lines, sizeof(*lines));
		if (lines == NULL)
			return !(r->no_memory = true);
		r->lines = lines;
		r->lines[r->n_lines++] = w->line;
	}
	if (c == '}' && w->depth > 0)
		w->depth--;
	w->line += c == '\n';
	w->token_start = strchr(" \t\r\n{}=,+", c) != NULL;
	if (strchr(" \t\r\n", c) == NULL)
		w->last = c;
	return true;
}

/* Blanks comments in p, a copy of the text, notes where blocks begin and what has no end. */
static void
prepare(struct reader *r, char *p)
{
	const struct mh_span t = r->text;
	struct walk w = { .line = 1, .token_start = true };

	while (w.at < t.n) {
		const bool string = p[w.at] == '"' || p[w.at] == '\'';
		const size_t start = w.at,
			     end = string ? behind_string(t, start) : behind_comment(t, start, w.token_start);

		if (end == SIZE_MAX) {
			bad(r, start,
			    string ? "a string starts here and has no end" : "a comment starts here and has no end");
			return;
		}
		if (end == start) {
			if (!walk_plain(r, &w))
				return;
			continue;
		}
		for (; w.at < end; w.at++) {
			w.line += p[w.at] == '\n';
			if (!string && p[w.at] != '\n')
				p[w.at] = ' ';
		}
		w.token_start = true;
		w.last = string ? '"' : w.last;
	}
	if (w.depth > 0)
		bad(r, w.opened, "a \"{\" stands here and has no \"}\"");
}

/* -- one file ----------------------------------------------------------------------------------------------------- */

/* Fills opts for one kind; ends with the empty option. */
static void
options_of(struct reader *r, enum conf_kind kind, cfg_opt_t *opts)
{
	size_t n = 0;

	opts[n++] = (cfg_opt_t){ .name = SELF, .type = CFGT_PTR, .simple_value.ptr = &r->self };
	for (size_t i = 0; i < CONF_KEYS; i++)
		if (conf_options[i].kind == kind)
			opts[n++] = (cfg_opt_t){ .name = conf_options[i].name,
				.type = CFGT_STR,
				.flags = CFGF_NODEFAULT | (conf_options[i].list ? CFGF_LIST : 0),
				.validcb = on_value };
	opts[n] = (cfg_opt_t)CFG_END();
}

#define MAX_OPTIONS 32 /* of one kind, hidden ones and the end included */

static enum mh_status
parse(struct reader *r, const char *text, struct mh_err *err)
{
	cfg_opt_t opts[CONF_KINDS][MAX_OPTIONS];
	size_t n = 0;

	for (size_t k = 0; k < CONF_KINDS; k++)
		options_of(r, (enum conf_kind)k, opts[k]);
	while (opts[CONF_TOP][n].name != NULL)
		n++;
	for (size_t k = 1; k < CONF_KINDS; k++)
		opts[CONF_TOP][n++] = (cfg_opt_t){ .name = conf_kind_names[k],
			.type = CFGT_SEC,
			.flags = CFGF_MULTI | (k == CONF_TRUST ? 0 : CFGF_TITLE),
			.subopts = opts[k],
			.validcb = on_end };
	opts[CONF_TOP][n] = (cfg_opt_t)CFG_END();

	cfg_t *cfg = cfg_init(opts[CONF_TOP], CFGF_NONE);
	if (cfg == NULL)
		return mh_fail(err, MH_RETRY, "%s: no memory to read it", r->file);
	(void)cfg_set_error_function(cfg, on_error);
	const int rc = cfg_parse_buf(cfg, text);
	(void)cfg_free(cfg);
	if (r->no_memory || (rc != CFG_SUCCESS && !r->failed && r->bad == NULL))
		return mh_fail(err, MH_RETRY, "%s: no memory to read it", r->file);
	return MH_OK;
}

enum mh_status
conf_read_file(struct conf_source *s, const char *path, struct mh_err *err)
{
	struct reader r = { .source = s, .file = path };
	struct mh_span text;

	r.self = &r;
	enum mh_status status = conf_slurp(path, s->arena, &text, err);
	if (status != MH_OK)
		return status == MH_LIMIT ? MH_RETRY : status;
	char *p = arena_alloc(s->arena, text.n + 1); /* libconfuse's copy, without comments */
	if (p == NULL || !open_block(&r, CONF_TOP, NULL, 1))
		return mh_fail(err, MH_RETRY, "%s: no memory to read it", path);
	memcpy(p, text.p, text.n + 1);
	r.text = text;
	r.top = r.block;

	clean(&r);
	prepare(&r, p);
	if (r.bad != NULL)
		p[r.bad_at] = '\0';
	status = r.no_memory ? mh_fail(err, MH_RETRY, "%s: no memory to read it", path) : parse(&r, p, err);
	if (r.bad != NULL && !r.failed) {
		r.failed = true;
		conf_wrong(s, path, r.bad_line, "%s", r.bad);
	}
	if (!r.failed)
		return status;
	s->cut = true;
	s->blocks[r.block].cut = true;
	s->blocks[r.top].cut = true;
	const char *dir = conf_scan_text(text, s->arena);
	if (dir != NULL)
		s->state_dir = dir;
	return status;
}
