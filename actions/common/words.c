/* words.c: the table of words, and where templates are looked for. */
#include "actions/common/words.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "actions/common/case_text.h"
#include "actions/common/folder.h"

#define MAX_TEMPLATE_BYTES ((size_t)64 << 10)

/* {days} in the words of time, {by} and {where} in those of trust, {case} in not_shown; the others are no templates. */
static const struct {
	const char *name, *english;
} table[] = {
	{ "event_opened", "A notice of an expiry came in." },
	{ "event_trusted", "The notice is better proven than before." },
	{ "event_approved", "A person has approved the case." },
	{ "event_reminded", "A reminder: this is still open." },
	{ "event_succeeded", "It has been renewed." },
	{ "event_failed", "Renewing it has failed: a person must see to it." },
	{ "event_expired", "The expiry is past." },
	{ "event_closed", "The case was closed." },
	{ "short_opened", "notice" },
	{ "short_trusted", "notice proven" },
	{ "short_approved", "approved" },
	{ "short_reminded", "reminder" },
	{ "short_succeeded", "renewed" },
	{ "short_failed", "renewal failed" },
	{ "short_expired", "expired" },
	{ "short_closed", "closed" },
	{ "due_today", "within a day" },
	{ "due_just_past", "within the last day" },
	{ "due_in_one", "in 1 day" },
	{ "due_in", "in {days} days" },
	{ "due_one_ago", "1 day ago" },
	{ "due_ago", "{days} days ago" },
	{ "trust_verified", "The mail is proven to come from the sender that it names{?by} ({by}){/by}." },
	{ "trust_relayed", "A forwarder that you have named vouches for the mail{?by} ({by}){/by}; on its word alone "
			   "nothing is changed "
			   "without a person's approval." },
	{ "trust_unverified", "Nothing proves who sent the mail: it may be forged. Look at {where} before you act on "
			      "it, and follow no link "
			      "in the mail." },
	{ "not_shown", "named in the mail: see mailhook show {case|CASE}" },
	{ "drill", "DRILL: nothing expires" },
	{ "drill_words", "This is a drill: the notice was written by \"mailhook drill\", and nothing expires." },
};

#define N_WORDS (sizeof(table) / sizeof(table[0]))

static bool
is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

enum mh_status
words_read(const char *folder, struct words *ret, struct mh_err *err)
{
	static const struct own_conf_check checks[] = { { NULL, NULL } };
	cfg_opt_t kind[] = {
		CFG_STR("what", NULL, CFGF_NONE),
		CFG_STR("where", NULL, CFGF_NONE),
		CFG_STR("steps", NULL, CFGF_NONE),
		CFG_END(),
	};
	cfg_opt_t opts[N_WORDS + 3] = { OWN_CONF_HEAD };
	char path[4096];

	*ret = (struct words){ NULL };
	if (folder == NULL || folder[0] == '\0')
		return MH_OK;
	if (!is_folder(folder))
		return mh_fail(err, MH_BAD, "templates: there is no folder %.100s", folder);
	for (size_t i = 0; i < N_WORDS; i++)
		opts[i + 1] = (cfg_opt_t)CFG_STR(table[i].name, table[i].english, CFGF_NONE);
	opts[N_WORDS + 1] = (cfg_opt_t)CFG_SEC("kind", kind, CFGF_TITLE | CFGF_MULTI | CFGF_NO_TITLE_DUPES);
	opts[N_WORDS + 2] = (cfg_opt_t)CFG_END();
	if (snprintf(path, sizeof(path), "%s/words.conf", folder) >= (int)sizeof(path))
		return mh_fail(err, MH_BAD, "templates: the path is too long");
	return own_conf_read(path, opts, checks, &ret->cfg, err);
}

void
words_release(struct words *w)
{
	drop_own_conf(&w->cfg);
}

const char *
words_get(const struct words *w, const char *name)
{
	for (size_t i = 0; i < N_WORDS; i++)
		if (strcmp(table[i].name, name) == 0)
			return w != NULL && w->cfg != NULL ? cfg_getstr(w->cfg, name) : table[i].english;
	return NULL;
}

const char *
words_of_kind(const struct words *w, const char *kind, const char *name)
{
	cfg_t *section = w == NULL || w->cfg == NULL ? NULL : cfg_gettsec(w->cfg, "kind", kind);

	return section == NULL ? NULL : cfg_getstr(section, name);
}

/* -- templates ----------------------------------------------------------------------------------------------------- */

/* MH_SKIP: there is no such file. */
/* The mail and the ticket say that they are UTF-8. */
static enum mh_status
utf8_lines(const struct wording *t, struct mh_err *err)
{
	struct mh_span rest = buf_span(&t->template), line;

	for (int n = 1; span_line(&rest, &line); n++)
		if (!utf8_valid(line) || span_find(line, (struct mh_span){ "", 1 }, 0) != SIZE_MAX)
			return mh_fail(err, MH_BAD, "%s:%d: this is no text in UTF-8", t->file, n);
	return MH_OK;
}

static enum mh_status
read_file(struct wording *t, struct mh_err *err)
{
	buf_clear(&t->template);
	const enum mh_status status = file_read(AT_FDCWD, t->file, &t->template, err);
	return status == MH_OK ? utf8_lines(t, err) : status;
}

static bool
fits(int n, const struct wording *t)
{
	return n >= 0 && n < (int)sizeof(t->file);
}

/* FOLDER/NAME-EVENT.TYPE, else FOLDER/NAME.TYPE. */
static enum mh_status
read_from_folder(const struct text_place *p, const char *name, struct wording *t, struct mh_err *err)
{
	const char *dot = strrchr(name, '.');
	const int stem = (int)(dot == NULL ? strlen(name) : (size_t)(dot - name));
	enum mh_status status = MH_SKIP;

	if (!fits(snprintf(t->file, sizeof(t->file), "%s/%.*s-%s%s", p->folder, stem, name, p->event, name + stem), t))
		return mh_fail(err, MH_BAD, "the path of template %.40s is too long", name);
	status = read_file(t, err);
	if (status != MH_SKIP)
		return status;
	(void)snprintf(t->file, sizeof(t->file), "%s/%s", p->folder, name);
	return read_file(t, err);
}

enum mh_status
wording_read(const struct text_place *place, const char *named, const char *name, const char *built_in,
    struct wording *ret, struct mh_err *err)
{
	enum mh_status status = MH_SKIP;

	*ret = (struct wording){ .built_in = false };
	buf_init(&ret->template, MAX_TEMPLATE_BYTES);
	if (named[0] != '\0') {
		if (!fits(snprintf(ret->file, sizeof(ret->file), "%s", named), ret))
			return mh_fail(err, MH_BAD, "the path of template %.40s is too long", name);
		status = read_file(ret, err);
		return status == MH_SKIP ? mh_fail(err, MH_BAD, "there is no template %s", named) : status;
	}
	if (place->folder[0] != '\0')
		status = read_from_folder(place, name, ret, err);
	if (status != MH_SKIP)
		return status;
	(void)snprintf(ret->file, sizeof(ret->file), "built-in template");
	ret->built_in = true;
	buf_puts(&ret->template, built_in);
	return buf_ok(&ret->template) ? MH_OK : mh_fail(err, MH_RETRY, "no memory for a template");
}

enum mh_status
wording_read_line(const struct text_place *place, const char *given, const char *name, const char *built_in,
    struct wording *ret, struct mh_err *err)
{
	if (given != NULL) {
		*ret = (struct wording){ .built_in = false };
		buf_init(&ret->template, MAX_TEMPLATE_BYTES);
		(void)snprintf(ret->file, sizeof(ret->file), "%s", name);
		buf_puts(&ret->template, given);
		return buf_ok(&ret->template) ? MH_OK : mh_fail(err, MH_LIMIT, "%s is too long", name);
	}
	const enum mh_status status = wording_read(place, "", name, built_in, ret, err);
	if (status != MH_OK)
		return status;
	while (ret->template.n > 0 && strchr("\r\n", ret->template.p[ret->template.n - 1]) != NULL)
		ret->template.p[--ret->template.n] = '\0';
	if (span_find(buf_span(&ret->template), MH_LIT("\n"), 0) != SIZE_MAX)
		return mh_fail(err, MH_BAD, "%s:2: one line is all that it may have", ret->file);
	return MH_OK;
}

void
wording_release(struct wording *t)
{
	buf_release(&t->template);
}

/* -- checks -------------------------------------------------------------------------------------------------------- */

int
check_absolute(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *path = cfg_opt_getstr(opt);

	if (path != NULL && path[0] != '\0' && path[0] != '/')
		cfg_error(cfg, "%s must be an absolute path", cfg_opt_name(opt));
	return 0;
}

int
check_line_template(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *text = cfg_opt_getstr(opt);
	struct mh_err err = { 0 };

	if (text != NULL && strchr(text, '\n') != NULL)
		cfg_error(cfg, "%s: one line is all that it may have", cfg_opt_name(opt));
	else if (text != NULL && case_template_check(cfg_opt_name(opt), span_of(text), &err) != MH_OK)
		cfg_error(cfg, "%s", err.text);
	return 0;
}
