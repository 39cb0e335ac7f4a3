/* links.h: links that gateways and click counters have wrapped around AWS's own, taken apart as far as they hold an event.
 *
 * No digit in a link is an account: what they hold is a hint of region and event code.
 */
#ifndef MAILHOOK_PARSERS_LINKS_H
#define MAILHOOK_PARSERS_LINKS_H

#include "parsers/parser.h"

/* The link inside a wrapped one, also where several are wrapped around each other; the link itself where none is.
 *   in      link: without blanks; "&amp;" for "&" is met
 *   out     ret: in the arena, percent-decoded by each wrapper that does so
 *   errors  MH_LIMIT the arena is full
 *   source  Safe Links url=, awstrack.me /L0/, Google /url?q=, Proofpoint URL Defense v1 to v3, Barracuda, Cisco,
 *           Symantec, FireEye, Trustwave, all as met in mail */
enum mh_status link_unwrap(struct mh_span link, struct arena *a, struct mh_span *ret, struct mh_err *err);

/* Region and event code of the first AWS Health event ARN that the view names, in its text or in a link, wrapped or not;
 * for an HTML part also in the links behind its words, where they all name one event. Untouched where there is none. */
void view_reference(const struct view *v, struct arena *a, struct mh_span *ret_region, struct mh_span *ret_event);

#endif
