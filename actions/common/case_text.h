/* case_text.h: a case in words, for tickets, mails and whatever else a person reads. */
#ifndef ACTIONS_COMMON_CASE_TEXT_H
#define ACTIONS_COMMON_CASE_TEXT_H

#include "actions/common/protocol.h"
#include "actions/common/template.h"
#include "actions/common/words.h"

/* Whom a text is for. Programs get the facts as they are. People get those of a mail that nothing proves only in a form
 * that leaves no room for its sender's own words. What goes by mail may reach a ticket system, which must not take a
 * number in it for a ticket. */
enum case_readers { READERS_PROGRAMS, READERS_PEOPLE, READERS_BY_MAIL };

/* The variables that every template may use; mailhook-action-reply(7) lists them.
 *   in      w: NULL: the built-in words
 *   out     ret: in the arena, and pointing into r and w
 *   errors  MH_LIMIT the arena is full; MH_BAD a word that is a template and wrong */
enum mh_status case_vars(const struct request *r, const struct words *w, enum case_readers readers, struct arena *a,
    struct template_vars *ret, struct mh_err *err);
/* Whether a template has those variables only, and is right otherwise. Errors: those of template_render. */
enum mh_status case_template_check(const char *file, struct mh_span text, struct mh_err *err);
/* The made-up case that templates are shown and proven with: all that r lacks. */
void case_sample(struct request *r);

/* "in 12 days", "within a day", "3 days ago". */
enum mh_status due_words(
    int64_t days_left, const struct words *w, struct arena *a, struct mh_span *ret, struct mh_err *err);

/* One paragraph, broken at spaces; head before its first line, indent before the others; a line end behind it. */
void text_wrap(struct buf *out, struct mh_span text, const char *head, const char *indent);

/* One of the variables; MH_NONE where it is unknown. */
struct mh_span case_var(const struct template_vars *vars, const char *name);

/* -- case_facts.c ------------------------------------------------------------------------------------------------- */

enum mail_fact { MAIL_ACCOUNT, MAIL_REGION, MAIL_RESOURCE, MAIL_REASON };
/* What a text says of a fact that stood in a mail.
 *   in      value: NULL: unknown; elsewhere: what to say where it is not shown
 *   out     ret: in the arena, or value or elsewhere itself; p == NULL where value is
 *   errors  MH_LIMIT the arena is full */
enum mh_status mail_fact_show(const struct request *r, enum mail_fact what, const char *value,
    enum case_readers readers, struct mh_span elsewhere, struct arena *a, struct mh_span *ret, struct mh_err *err);

/* -- kinds.c ------------------------------------------------------------------------------------------------------ */

struct kind_words {
	const char *kind;       /* NULL: any other */
	const char *what;       /* what expires */
	const char *short_name; /* for file names: [a-z0-9-] */
	const char *where;      /* where its truth stands: "AWS" */
	const char *console;    /* the console's page: AWS's name of the service, or a whole URL; NULL: none is known */
	const char *steps;      /* template: what a person does by hand, one step a line */
};
const struct kind_words *kind_words(const char *kind);

#endif
