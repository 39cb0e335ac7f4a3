/* definition.h: one .notice file as data, and the set of all of them. mailhook-notice(5) says what each key means. */
#ifndef MAILHOOK_PARSERS_DEFINITION_H
#define MAILHOOK_PARSERS_DEFINITION_H

#include "parsers/date.h"
#include "parsers/parser.h"
#include "parsers/pattern.h"

struct definition_pattern {
	const char *regex;
	const char *literal; /* its fixed text: the regex is tried only where this stands */
	bool at_start;       /* the literal begins the match */
	unsigned facts;      /* bits 1 << enum fact */
};

struct definition {
	struct definition_info info;
	const char *const *events;   /* NULL-ended, as all lists here */
	const char *const *subjects; /* phrases of the subject: they claim, but promise nothing of the text */
	const char *const *literals; /* phrases of the text: where one stands, a notice must be read */
	const char *const *watch;    /* words that make a listed sender's unread mail worth a person's look */
	const char *const *ignore;   /* phrases that say the matter is settled */
	const struct definition_pattern *patterns;
	size_t n_patterns;
	unsigned require; /* bits 1 << enum fact; FACT_EXPIRES always */
	enum date_order dates;
	bool blind; /* of a file that is wrong: what it claims, nobody can read */
};

/* Compiled in: written by the build from the .notice files of this folder, sorted by name. */
extern const struct definition shipped_definitions[];
extern const size_t n_shipped_definitions;

/* A definition in use: its patterns are compiled when their literal first occurs. */
struct definition_slot {
	const struct definition *def;
	struct pattern **compiled; /* own: one a pattern, NULL until used */
};

struct prefilter;
#define TAG_SENDER UINT32_MAX /* the prefilter's tag of a sender's address; other tags are slots */

struct definitions {
	struct definition_slot *slots; /* own */
	size_t n, cap;
	struct arena user;           /* what folders added */
	struct prefilter *prefilter; /* own; NULL until first used after a change */
	const struct explain_sink *sink;
};

/* The pattern, compiled now if it was not. errors  MH_RETRY no memory */
enum mh_status definitions_pattern(
    struct definitions *d, size_t slot, size_t pattern, struct pattern **ret, struct mh_err *err);
/* The prefilter over all definitions; NULL: no memory. */
const struct prefilter *definitions_prefilter(struct definitions *d);
/* Whether an address, lower case, is a definition's or the shipped list's sender. */
bool definitions_sender(const struct definitions *d, struct mh_span address);

#endif
