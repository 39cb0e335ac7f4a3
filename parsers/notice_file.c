/* notice_file.c: the .notice format by libconfuse. */
#include "parsers/notice_file.h"

#include <confuse.h>
#include <stdio.h>
#include <string.h>

/* libconfuse hands its callbacks no user pointer; but it keeps the address of a "simple" option's variable. So an
 * option that nobody can sensibly write, in the file and in the block, leads back here: anchor must stay the first. */
struct file_reader {
	long anchor;
	const char *path;
	void (*complain)(void *user, const char *line);
	void *user;
	bool failed;
	char last[400]; /* libconfuse checks a list's last value twice: where it stands, and at the closing brace */
};

#define ANCHOR "\001reader"

static struct file_reader *
reader_of(cfg_t *cfg)
{
	for (cfg_opt_t *o = cfg->opts; o->name != NULL; o++)
		if (strcmp(o->name, ANCHOR) == 0)
			return (struct file_reader *)(void *)o->simple_value.number;
	return NULL;
}

static void complain_at(struct file_reader *r, int line, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));

static void
complain_at(struct file_reader *r, int line, const char *fmt, va_list ap)
{
	char what[400], clean[500], text[4800];

	(void)vsnprintf(what, sizeof(what), fmt, ap);
	if (strcmp(what, r->last) == 0)
		return;
	memcpy(r->last, what, sizeof(what));
	(void)snprintf(text, sizeof(text), "%s:%d: %s", r->path, line, mh_escape(clean, sizeof(clean), span_of(what)));
	r->failed = true;
	r->complain(r->user, text);
}

static void on_error(cfg_t *cfg, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

static void
on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	struct file_reader *r = reader_of(cfg);

	if (r != NULL)
		complain_at(r, cfg->line, fmt, ap);
}

/* -- values, each checked at its line ----------------------------------------------------------------------------- */

static const char *
last_value(cfg_opt_t *opt)
{
	const unsigned n = cfg_opt_size(opt);
	const char *value = n == 0 ? NULL : cfg_opt_getnstr(opt, n - 1);

	return value == NULL ? "" : value;
}

/* The checks complain and let reading go on, so that one run shows all that is wrong in a file. */
static void wrong(cfg_t *cfg, const char *fmt, ...) MH_PRINTF(2, 3);

static void
wrong(cfg_t *cfg, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	on_error(cfg, fmt, ap);
	va_end(ap);
}

static bool
made_of(const char *s, const char *alphabet, size_t max)
{
	const size_t n = strlen(s);

	return n > 0 && n <= max && strspn(s, alphabet) == n;
}

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static int
check_kind(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *kind = last_value(opt);

	if (!made_of(kind, LOWER DIGITS ".-", 100) || strchr(kind, '.') == NULL)
		wrong(cfg, "kind \"%s\": small letters, digits, \"-\" and at least one dot, like aws.acm.certificate",
		    kind);
	return 0;
}

static int
check_sender(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *sender = last_value(opt);
	const char *at = strchr(sender, '@');

	if (at == NULL || at == sender || !made_of(at + 1, LOWER DIGITS ".-", 255) || strlen(sender) > 320 ||
	    strcspn(sender, UPPER " <>,;\"\t\r\n") != strlen(sender))
		wrong(cfg, "sender \"%s\": a whole mail address in small letters", sender);
	return 0;
}

static int
check_signer(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *signer = last_value(opt);

	if (!made_of(signer, LOWER DIGITS ".-", 255) || strchr(signer, '.') == NULL)
		wrong(cfg, "signer \"%s\": a domain in small letters, as d= of a DKIM signature has it", signer);
	return 0;
}

static int
check_event(cfg_t *cfg, cfg_opt_t *opt)
{
	if (!made_of(last_value(opt), UPPER LOWER DIGITS "_- ", 200) || strlen(last_value(opt)) < 8)
		wrong(cfg, "event \"%s\": 8 to 200 letters, digits, \"_\", \"-\" and blanks", last_value(opt));
	return 0;
}

/* The one pass over a mail looks for a phrase's longest word: a short one would be found in every mail. */
static int
check_phrase(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *phrase = last_value(opt);
	size_t longest = 0, word = 0;

	for (const char *c = phrase; *c != '\0'; c++) {
		word = *c == ' ' ? 0 : word + 1;
		longest = word > longest ? word : longest;
	}
	if (strlen(phrase) < PATTERN_MIN_LITERAL || strlen(phrase) > 200 || longest < 5 || !utf8_valid(span_of(phrase)))
		wrong(cfg, "%s \"%s\": 6 to 200 bytes with one word of at least 5 letters", opt->name, phrase);
	else if (strstr(phrase, "  ") != NULL || phrase[0] == ' ' || phrase[strlen(phrase) - 1] == ' ' ||
		 strpbrk(phrase, "\t\r\n") != NULL)
		wrong(cfg, "%s \"%s\": single blanks between words, none at the ends", opt->name, phrase);
	else if (strchr(phrase, '>') != NULL || strstr(phrase, "\xE2\x80\x99") != NULL)
		wrong(cfg, "%s \"%s\": without \">\", and with ' for an apostrophe", opt->name, phrase);
	return 0;
}

static int
check_watch(cfg_t *cfg, cfg_opt_t *opt)
{
	if (strlen(last_value(opt)) < 4 || strlen(last_value(opt)) > 100)
		wrong(cfg, "watch \"%s\": 4 to 100 bytes", last_value(opt));
	return 0;
}

static int
check_pattern(cfg_t *cfg, cfg_opt_t *opt)
{
	struct pattern_plan plan;
	struct mh_err err;

	if (strlen(last_value(opt)) > 2000)
		wrong(cfg, "a pattern longer than 2000 bytes");
	else if (pattern_plan(last_value(opt), &plan, &err) != MH_OK)
		wrong(cfg, "%s", err.text);
	return 0;
}

static int
check_require(cfg_t *cfg, cfg_opt_t *opt)
{
	for (size_t i = 0; i < FACT_COUNT; i++)
		if (strcmp(last_value(opt), fact_names[i]) == 0)
			return 0;
	wrong(cfg, "require \"%s\": one of expires, days, account, region, resource", last_value(opt));
	return 0;
}

static int
check_dates(cfg_t *cfg, cfg_opt_t *opt)
{
	if (strcmp(last_value(opt), "month first") != 0 && strcmp(last_value(opt), "day first") != 0)
		wrong(cfg, "dates \"%s\": \"month first\" or \"day first\"", last_value(opt));
	return 0;
}

/* -- from libconfuse to struct definition ------------------------------------------------------------------------- */

static const char *
copy_string(struct arena *a, const char *s)
{
	struct mh_span copy;

	return arena_copy(a, span_of(s == NULL ? "" : s), &copy, NULL) == MH_OK ? copy.p : NULL;
}

/* A list of the block, NULL-ended; NULL: the arena is full. */
static const char *const *
copy_list(cfg_t *block, const char *name, struct arena *a)
{
	const unsigned n = cfg_size(block, name);
	const char **list = arena_array(a, (size_t)n + 1, sizeof(*list));

	for (unsigned i = 0; list != NULL && i < n; i++) {
		list[i] = copy_string(a, cfg_getnstr(block, name, i));
		if (list[i] == NULL)
			return NULL;
	}
	return list;
}

static const struct definition_pattern *
copy_patterns(cfg_t *block, struct arena *a)
{
	const unsigned n = cfg_size(block, "patterns");
	struct definition_pattern *list = arena_array(a, (size_t)n + 1, sizeof(*list));

	for (unsigned i = 0; list != NULL && i < n; i++) {
		struct pattern_plan plan;

		list[i].regex = copy_string(a, cfg_getnstr(block, "patterns", i));
		if (list[i].regex == NULL || pattern_plan(list[i].regex, &plan, NULL) != MH_OK)
			return NULL;
		list[i].literal = copy_string(a, plan.literal);
		list[i].at_start = plan.at_start;
		list[i].facts = plan.facts;
		if (list[i].literal == NULL)
			return NULL;
	}
	return list;
}

/* What only the whole block can show. */
static void
check_block(struct file_reader *r, cfg_t *block)
{
	if (!made_of(cfg_title(block), LOWER DIGITS "-", 64))
		wrong(block, "name \"%s\": small letters, digits and \"-\"", cfg_title(block));
	if (cfg_getstr(block, "kind") == NULL)
		wrong(block, "kind is missing");
	if (cfg_size(block, "literals") + cfg_size(block, "subjects") + cfg_size(block, "events") == 0)
		wrong(block, "one of literals, subjects and events is needed, to know the mail by");

	bool dated = false;
	for (unsigned i = 0; i < cfg_size(block, "patterns"); i++) {
		struct pattern_plan plan = { 0 };

		if (pattern_plan(cfg_getnstr(block, "patterns", i), &plan, NULL) != MH_OK)
			return; /* complained of at its line */
		dated = dated || (plan.facts & (1u << FACT_EXPIRES | 1u << FACT_DAYS)) != 0;
	}
	if (!dated && !r->failed)
		wrong(block, "no pattern has (?<expires>...) or (?<days>...)");
}

static enum mh_status
build(const char *path, cfg_t *block, struct arena *a, const struct definition **ret, struct mh_err *err)
{
	struct definition *d = arena_alloc(a, sizeof(*d));

	if (d == NULL)
		return mh_fail(err, MH_LIMIT, "no room for another definition");
	d->info = (struct definition_info){
		.name = copy_string(a, cfg_title(block)),
		.kind = copy_string(a, cfg_getstr(block, "kind")),
		.file = copy_string(a, path),
		.senders = copy_list(block, "senders", a),
		.signers = copy_list(block, "signers", a),
	};
	d->events = copy_list(block, "events", a);
	d->subjects = copy_list(block, "subjects", a);
	d->literals = copy_list(block, "literals", a);
	d->watch = copy_list(block, "watch", a);
	d->ignore = copy_list(block, "ignore", a);
	d->patterns = copy_patterns(block, a);
	d->n_patterns = cfg_size(block, "patterns");
	if (d->info.name == NULL || d->info.kind == NULL || d->info.file == NULL || d->info.senders == NULL ||
	    d->info.signers == NULL || d->events == NULL || d->subjects == NULL || d->literals == NULL ||
	    d->watch == NULL || d->ignore == NULL || d->patterns == NULL)
		return mh_fail(err, MH_LIMIT, "no room for another definition");

	d->require = 1u << FACT_EXPIRES;
	if (span_starts(span_of(d->info.kind), MH_LIT("aws."))) /* mailhook-notice(5), "kind" */
		d->require |= 1u << FACT_ACCOUNT;
	for (unsigned i = 0; i < cfg_size(block, "require"); i++)
		for (size_t f = 0; f < FACT_COUNT; f++)
			if (strcmp(cfg_getnstr(block, "require", i), fact_names[f]) == 0)
				d->require |= 1u << f;

	const char *dates = cfg_getstr(block, "dates");
	if (dates != NULL)
		d->dates = strcmp(dates, "month first") == 0 ? DATE_MONTH_FIRST : DATE_DAY_FIRST;
	*ret = d;
	return MH_OK;
}

/* libconfuse reads C strings, expands ${VAR} from the environment, and may call yylex on anything else. */
static bool
check_bytes(struct file_reader *r, struct mh_span text)
{
	const char *what = NULL;
	size_t at = 0;

	if (!utf8_valid(text)) {
		what = "not UTF-8";
		while (at < text.n && utf8_valid(span_head(text, at + 1)))
			at++;
	} else if (memchr(text.p == NULL ? "" : text.p, '\0', text.n) != NULL) {
		what = "a NUL byte";
		at = span_find(text, (struct mh_span){ "", 1 }, 0);
	} else if (span_find(text, MH_LIT("${"), 0) != SIZE_MAX) {
		what = "${...} is not read from the environment here";
		at = span_find(text, MH_LIT("${"), 0);
	}
	if (what == NULL)
		return true;

	int line = 1;
	for (size_t i = 0; i < at && i < text.n; i++)
		line += text.p[i] == '\n';

	char message[4200];
	(void)snprintf(message, sizeof(message), "%s:%d: %s", r->path, line, what);
	r->complain(r->user, message);
	return false;
}

/* Offset behind the string that begins at p[at], or n where it has no end. */
static size_t
string_end(const char *p, size_t at, size_t n)
{
	const char quote = p[at++];

	while (at < n && p[at] != quote)
		at += p[at] == '\\' ? 2 : 1;
	return at < n ? at + 1 : n;
}

/* Offset behind the comment that begins at p[at]; at itself where none does; n + 1 where it has no end. */
static size_t
comment_end(const char *p, size_t at, size_t n)
{
	const bool slashes = p[at] == '/' && p[at + 1] == '/' && (at == 0 || strchr(" \t\r\n", p[at - 1]) != NULL);

	if (p[at] == '#' || slashes) {
		const char *end = memchr(p + at, '\n', n - at);
		return end == NULL ? n : (size_t)(end - p);
	}
	if (p[at] == '/' && p[at + 1] == '*') {
		const char *end = strstr(p + at + 2, "*/");
		return end == NULL ? n + 1 : (size_t)(end - p) + 2;
	}
	return at;
}

/* Blanks comments, which libconfuse cannot stand inside of a list, and finds what has no end, which it overlooks or
 * reports at the file's last line. text is NUL-terminated. */
static bool
prepare(cfg_t *cfg, char *p, size_t n)
{
	const int first_line = cfg->line;
	const char *open = NULL; /* what has no end, and its line */
	int line = 1, depth = 0, opened = 1;

	for (size_t i = 0; i < n && open == NULL;) {
		const bool string = p[i] == '"' || p[i] == '\'';
		const size_t end = string ? string_end(p, i, n) : comment_end(p, i, n);

		if (string && (p[end - 1] != p[i] || end == i + 1)) {
			open = "a string has no end";
			opened = line;
		} else if (!string && end > n) {
			open = "a comment has no end";
			opened = line;
		} else if (end > i) {
			for (; i < end; i++) {
				line += p[i] == '\n';
				if (!string && p[i] != '\n')
					p[i] = ' ';
			}
		} else {
			if (p[i] == '{' && depth++ == 0)
				opened = line;
			depth -= p[i] == '}' && depth > 0;
			line += p[i] == '\n';
			i++;
		}
	}
	if (open == NULL && depth > 0)
		open = "a \"{\" has no \"}\"";
	if (open == NULL)
		return true;
	cfg->line = opened;
	wrong(cfg, "%s", open);
	cfg->line = first_line;
	return false;
}

/* Reads the one block of a file whose bytes are right. */
static enum mh_status
read_block(struct file_reader *r, cfg_t *cfg, struct mh_span text, struct arena *a, const struct definition **ret,
    struct mh_err *err)
{
	struct mh_span terminated = MH_NONE;

	if (arena_copy(a, text, &terminated, err) != MH_OK)
		return MH_LIMIT;
	if (!prepare(cfg, (char *)(uintptr_t)terminated.p, terminated.n))
		return mh_fail(err, MH_BAD, "a definition file is wrong");
	if (cfg_parse_buf(cfg, terminated.p) != CFG_SUCCESS) {
		if (!r->failed)
			wrong(cfg, "not the form notice \"name\" { key = value }");
	} else if (cfg_size(cfg, "notice") != 1) {
		wrong(cfg_size(cfg, "notice") > 1 ? cfg_getnsec(cfg, "notice", 1) : cfg,
		    "a file holds one notice block, not %u", cfg_size(cfg, "notice"));
	} else {
		check_block(r, cfg_getnsec(cfg, "notice", 0));
	}
	return r->failed ? mh_fail(err, MH_BAD, "a definition file is wrong")
			 : build(r->path, cfg_getnsec(cfg, "notice", 0), a, ret, err);
}

enum mh_status
notice_file_read(const char *path, struct mh_span text, struct arena *a, void (*complain)(void *user, const char *line),
    void *user, const struct definition **ret, struct mh_err *err)
{
	struct file_reader reader = { .path = path, .complain = complain, .user = user };
	cfg_opt_t block_opts[] = {
		CFG_STR("kind", NULL, CFGF_NODEFAULT),
		CFG_STR_LIST("senders", NULL, CFGF_NODEFAULT),
		CFG_STR_LIST("signers", NULL, CFGF_NODEFAULT),
		CFG_STR_LIST("events", NULL, CFGF_NODEFAULT),
		CFG_STR_LIST("subjects", NULL, CFGF_NODEFAULT),
		CFG_STR_LIST("literals", NULL, CFGF_NODEFAULT),
		CFG_STR_LIST("watch", NULL, CFGF_NODEFAULT),
		CFG_STR_LIST("ignore", NULL, CFGF_NODEFAULT),
		CFG_STR_LIST("patterns", NULL, CFGF_NODEFAULT),
		CFG_STR_LIST("require", NULL, CFGF_NODEFAULT),
		CFG_STR("dates", NULL, CFGF_NODEFAULT),
		CFG_SIMPLE_INT(ANCHOR, &reader.anchor),
		CFG_END(),
	};
	static const cfg_validate_callback_t checks[] = { check_kind, check_sender, check_signer, check_event,
		check_phrase, check_phrase, check_watch, check_phrase, check_pattern, check_require, check_dates };
	cfg_opt_t file_opts[] = {
		CFG_SEC("notice", block_opts, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
		CFG_SIMPLE_INT(ANCHOR, &reader.anchor),
		CFG_END(),
	};

	if (text.n > MH_MAX_NOTICE_FILE_BYTES) {
		char message[4200];

		(void)snprintf(message, sizeof(message), "%s:1: longer than %u bytes", path, MH_MAX_NOTICE_FILE_BYTES);
		complain(user, message);
		return mh_fail(err, MH_LIMIT, "a definition file is too long");
	}
	if (!check_bytes(&reader, text))
		return mh_fail(err, MH_BAD, "a definition file is wrong");
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		block_opts[i].validcb = checks[i];

	cfg_t *cfg = cfg_init(file_opts, CFGF_NONE);
	if (cfg == NULL)
		return mh_fail(err, MH_RETRY, "no memory for a definition file");
	(void)cfg_set_error_function(cfg, on_error);
	const enum mh_status status = read_block(&reader, cfg, text, a, ret, err);
	cfg_free(cfg);
	return status;
}
