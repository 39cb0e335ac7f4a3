/* carriage.h: how a notice is carried: the places in a mail where one may stand, as views.
 *
 * A text part is cut where a forward begins: at a run of field lines (From, Date or Sent, Subject, To; English, German,
 * French, Japanese), at any depth of "> " quoting; a quoted forward ends where its quoting does. A JSON event (AWS
 * Health, EventBridge, also inside an SNS envelope) stands in place of the text that it was.
 *
 * view.text is made for matching: quote marks gone; any white space, also U+00A0 and line ends, is one blank; U+2019
 * and U+2018 are '; soft hyphens and zero-width characters are gone. It is valid UTF-8.
 */
#ifndef MAILHOOK_PARSERS_CARRIAGE_H
#define MAILHOOK_PARSERS_CARRIAGE_H

#include "parsers/parser.h"

struct view_list {
	struct view *items;
	size_t n, cap;
	bool more; /* MH_MAX_VIEWS was hit, or an event was too big to be read */
};

/* All views of a mail but those of delivery reports, outer message first.
 *   errors  MH_LIMIT the arena is full */
enum mh_status carriage_views(const struct mail *m, struct arena *a, struct view_list *ret, struct mh_err *err);

/* Adds a view; NULL: the arena or MH_MAX_VIEWS is at its end, the latter with list->more. */
struct view *view_add(struct view_list *list, struct arena *a);

/* Whether text holds characters that view.text has not: then a phrase may stand in it unseen. */
bool carriage_hides(struct mh_span text);
/* The text as view.text holds it. errors  MH_LIMIT the arena is full */
enum mh_status carriage_flatten(struct mh_span text, struct arena *a, struct mh_span *ret, struct mh_err *err);

/* Where in its part's decoded text the character stands that became text[at] of a view. Walks all that stands before.
 * False: it stands nowhere as it is (an event's text, the end of the text). */
bool carriage_locate(const struct view_list *list, size_t view, size_t at, size_t *ret_offset);

/* Exactly 12 digits, also as 8806-5649-7252, at the beginning of text and no digit behind. ret in the arena. False: none. */
bool account_read(struct mh_span text, struct arena *a, struct mh_span *ret);
/* A region like eu-west-1 in any case at the beginning of text; ret lower case, in the arena. False: none, or "global". */
bool region_read(struct mh_span text, struct arena *a, struct mh_span *ret);
/* What a subject's brackets say: [AWS Account: N] [EU-WEST-1], [AWS ID N], [N]; ret untouched where nothing.
 * False: it names two accounts. */
bool subject_facts(struct mh_span subject, struct arena *a, struct mh_span *ret_account, struct mh_span *ret_region);
/* Sets account, region and event from the "Message metadata" block of AWS's HTML mails, where the text has one. */
void metadata_facts(struct view *v, struct arena *a);
/* The first Health event ARN's region and event code: a hint; its account field is empty and no account is in it. */
void reference_facts(struct mh_span text, struct arena *a, struct mh_span *ret_region, struct mh_span *ret_event);

#endif
