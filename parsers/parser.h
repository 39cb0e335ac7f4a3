/* parser.h: what a parser is, and what the core may ask of parsers/. Pure: bytes to meaning, no clock, file, network or log.
 *
 * mail ─▶ carriage.c: views (places where a notice may stand) ─▶ definitions (.notice files): claims, facts ─▶ verdict
 */
#ifndef MAILHOOK_PARSERS_PARSER_H
#define MAILHOOK_PARSERS_PARSER_H

#include "mailhook/mailhook.h"

/* Where a view's facts come from, in the order of belief of its own carriage. */
enum view_kind {
	VIEW_MESSAGE, /* a text part of the outer message, with the outer header */
	VIEW_RFC822,  /* a text part of a message/rfc822 inside */
	VIEW_FORWARD, /* a quoted or marked block with field lines of its own, inside a text part */
	VIEW_EVENT    /* a JSON event (AWS Health, EventBridge) inside a text part: typed facts */
};

/* A stretch of a part's lines that belongs to one view of it. */
struct view_segment {
	size_t view;
	struct mh_span lines;
};

/* One place in a mail where a notice may stand, with what its carriage says of it. p == NULL: not said. */
struct view {
	enum view_kind kind;
	struct mh_span text;    /* normalised for matching: carriage.h says how */
	struct mh_span lines;   /* the same as it stood, with line ends and quote marks: where sentences end */
	struct mh_span from;    /* address, lower case: of this carriage, so unproven in a forward */
	struct mh_span subject; /* decoded */
	bool has_date;          /* of this carriage: in a forward only the forward's own Date counts */
	int64_t date;
	struct mh_span event, account, region; /* typed facts: an event's JSON, header or metadata block */
	struct mh_span resource;
	struct mh_span *accounts; /* where the metadata of an aggregated mail names several; else NULL */
	size_t n_accounts;
	bool
	    account_unread; /* the metadata names accounts in a way that cannot be read: no other place's counts then */
	bool has_days;      /* the event's DaysToExpiry */
	int32_t days;
	bool has_event_time; /* the event's own "time": what its days are counted from */
	int64_t event_time;
	bool backup_event;                   /* AWS's duplicate for the backup region: not a notice */
	const struct mail_part *part;        /* where it stands; NULL: the message has no text */
	const struct view_segment *segments; /* of its part, other views' too; NULL: text stands nowhere as it is */
	size_t n_segments;
	size_t alternative; /* views of one multipart/alternative must not contradict each other */
};

/* Which patterns and senders there are: the shipped definitions and a user's own, read once per process. */
struct definitions;

/* The definitions that are compiled in. NULL: no memory. Cheap: patterns are compiled when their literal first occurs. */
struct definitions *definitions_new(void);
void definitions_free(struct definitions *d);
/* Adds every *.notice of a folder (sorted by name); a definition of a name that exists replaces that one.
 * Every wrong value goes to complain as "FILE:LINE: what"; the files without error are added all the same. Of a file that
 * is refused the phrases stay that can be found in it: mail which has one, and which nothing else reads, is unrecognised.
 *   errors  MH_BAD at least one file was refused; MH_RETRY the folder or a file in it could not be read, so that nobody
 *           knows which mail is irrelevant; MH_SKIP there is no such folder */
enum mh_status definitions_add_folder(struct definitions *d, const char *folder,
    void (*complain)(void *user, const char *line), void *user, struct mh_err *err);

/* The same for one file.
 *   errors  MH_BAD it was refused; MH_LIMIT there are too many; MH_RETRY it could not be read, no memory */
enum mh_status definitions_add_file(struct definitions *d, const char *path,
    void (*complain)(void *user, const char *line), void *user, struct mh_err *err);

/* One definition's face, for check, rules and trust; not of files that were refused. Index from 0; NULL past the end.
 * Strings live as long as d. */
struct definition_info {
	const char *name, *kind, *file; /* file: where it was read, or "(shipped)" */
	const char *const *senders;     /* NULL-ended */
	const char *const *signers;     /* NULL-ended: domains whose DKIM signature proves such a notice */
};
const struct definition_info *definitions_info(const struct definitions *d, size_t index);
/* Who sends AWS's notices, also those that no definition reads. NULL-ended. */
const char *const *definitions_aws_senders(void);

/* A parser turns one decoded mail into notices. The definition engine is one; the sandbox tests bring hostile ones. */
struct mh_parser {
	const char *name, *help;
	/* Fills ret->verdict, reason, parser, notice_like and the notices; all else is set already. Points into a.
	 *   errors  MH_LIMIT the arena is full or a bound of limits.h was hit: the verdict becomes failed */
	enum mh_status (*parse)(
	    void *state, const struct mail *m, struct arena *a, struct reading *ret, struct mh_err *err);
};

extern const struct mh_parser definition_parser; /* its state is a struct definitions */

/* Reads a message to its end: mail_read, the header facts, the parser, the verdict of limits. Never fails: what goes
 * wrong is verdict failed with its reason. This is all that runs in the sandboxed child. (parsers/reading.c) */
struct charset_set;
void read_message(const struct mh_parser *parser, void *state, const struct charset_set *charsets, struct mh_span raw,
    struct arena *a, struct reading *ret);

/* One JSON object for each decision on the way to the verdict, for `parse --explain`: explain.h has its keys. */
struct explain_sink {
	void (*line)(void *user, struct mh_span text);
	void *user;
};
void definitions_explain(struct definitions *d, const struct explain_sink *sink);

#endif
