/* likely.h: whether a message may matter, told by its header alone, for who fetches bodies one by one. Pure. */
#ifndef MAILHOOK_PARSERS_LIKELY_H
#define MAILHOOK_PARSERS_LIKELY_H

#include "parsers/parser.h"

/* The fields that are looked at; NULL-ended. */
extern const char *const likely_fields[];

struct likely { /* the state of likely_parser */
	struct definitions *definitions;
	const char *const *forwarders; /* domains whose mail may hide a notice in any body */
	size_t n_forwarders;
};

/* A parser for sandbox_read over a header without a body: verdict notice where the body is worth reading (a listed
 * sender, a word of a definition, a watch word of the subject, a forwarder), else irrelevant; it makes no notices. */
extern const struct mh_parser likely_parser;

enum likely_key {
	LIKELY_FROM,
	LIKELY_SUBJECT,
	LIKELY_HEADER
}; /* LIKELY_HEADER: text is a field that need only exist */

/* Everything that likely_parser looks for, for a server that can search: a message in which none of it stands is not
 * likely. Words of a subject may be parts of words. */
void likely_keys(
    const struct likely *l, void (*key)(void *user, enum likely_key kind, struct mh_span text), void *user);

#endif
