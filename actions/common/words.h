/* words.h: the texts that people read, built in (English) or from a folder of files, in any language.
 *
 * FOLDER/words.conf   the words that stand in variables: of events, of time, of trust, of kinds
 * FOLDER/NAME         a template that takes the place of the built-in one of that name, such as "reply.html"
 */
#ifndef ACTIONS_COMMON_WORDS_H
#define ACTIONS_COMMON_WORDS_H

#include "actions/common/own_conf.h"
#include "mailhook/mailhook.h"

struct words {
	cfg_t *cfg; /* own; NULL: the built-in words */
};

/* Reads FOLDER/words.conf; all words that it does not name stay English.
 *   in      folder: NULL or "": the built-in words
 *   errors  MH_BAD there is no such folder, or "FILE:LINE: what"; MH_RETRY not readable */
enum mh_status words_read(const char *folder, struct words *ret, struct mh_err *err);
void words_release(struct words *w);
/* The word, or the template of it, that the table in words.c names. w may be NULL. NULL: there is no such name. */
const char *words_get(const struct words *w, const char *name);
/* What the file says of a kind: "what", "where" or "steps". NULL: nothing. */
const char *words_of_kind(const struct words *w, const char *kind, const char *name);

struct wording {
	char file[512]; /* where it comes from, for errors */
	bool built_in;
	struct buf template; /* own */
};

struct text_place {         /* where templates are looked for */
	const char *folder; /* "": nowhere */
	const char *event;
};

/* Finds a template: named; else FOLDER/NAME-EVENT.TYPE; else FOLDER/NAME.TYPE; else the built-in one.
 *   in      named: a path, or ""; name: "NAME.TYPE"
 *   out     ret: wording_release is due in every case
 *   errors  MH_BAD named is missing or no file; MH_LIMIT longer than 64 kB; MH_RETRY not readable */
enum mh_status wording_read(const struct text_place *place, const char *named, const char *name, const char *built_in,
    struct wording *ret, struct mh_err *err);
/* The same, of one line: a line end behind it is not its own. MH_BAD: it has several.
 *   in      given: the template itself, an option's value; NULL: looked for */
enum mh_status wording_read_line(const struct text_place *place, const char *given, const char *name,
    const char *built_in, struct wording *ret, struct mh_err *err);
void wording_release(struct wording *t);

/* Checks for own_conf.h: an absolute path; a template that renders. */
int check_absolute(cfg_t *cfg, cfg_opt_t *opt);
int check_line_template(cfg_t *cfg, cfg_opt_t *opt);

#endif
