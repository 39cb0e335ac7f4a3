/* ticket.h: what a ticket system is to mailhook. A new one is one driver file and one line in registry.c.
 *
 * request ─▶ texts (texts.c) ─▶ find ─▶ plan (plan.c, pure) ─▶ open | attach, change, comment, close (life.c) ─▶ driver
 *
 * A job may run twice. The core looks before each step what an earlier attempt has done, so a driver's calls need not
 * be idempotent themselves, but what can be searched must be searchable: the ticket by its key, a comment by its mark.
 */
#ifndef ACTIONS_TICKET_TICKET_H
#define ACTIONS_TICKET_TICKET_H

#include "actions/common/case_text.h"
#include "actions/common/own_conf.h"
#include "actions/common/protocol.h"

#define TICKET_MAX_LABELS 16
#define TICKET_MAX_FIELDS 32
#define TICKET_TITLE_BYTES 250        /* Jira and Redmine stop at 255 characters */
#define TICKET_MAX_MAIL_KB 10240      /* the largest notice to attach that can be configured */
#define TICKET_SERVER_WORDS_BYTES 700 /* of a refusal, for the operator */

/* What body and comment are written in; values in them are escaped for it (markup.h), so that none can become markup, a
 * link, a mention, a reference or a command there. A driver that builds structured text (Jira Cloud's ADF) takes
 * FORMAT_PLAIN: nothing in a text node is read as anything. */
enum text_format {
	FORMAT_PLAIN,    /* ticket.txt: shown as it stands */
	FORMAT_MARKDOWN, /* ticket.md: GitHub, GitLab */
	FORMAT_WIKI      /* ticket.wiki: Jira Data Center */
};

enum ticket_priority { PRIORITY_NORMAL, PRIORITY_HIGH, PRIORITY_URGENT };
extern const char *const priority_names[3]; /* "normal", "high", "urgent": ours, not the system's */

struct ticket_field { /* of the system's own, as configured: field "AWS Account" { value = "{account}" } */
	const char *name;
	struct mh_span value; /* UTF-8 of one line, never empty */
};

struct ticket_ref {      /* a ticket that was found or opened; strings in the arena */
	const char *id;  /* the driver's own */
	const char *url; /* for a person; its id can be read from it: id_of_url */
	bool open;
	bool of_job; /* this very job has opened it; false where the system cannot tell */
	/* The highest of ours that is not above the system's own; PRIORITY_URGENT where the system's is not known: what a
	 * person chose is not overwritten. */
	enum ticket_priority priority;
	size_t others; /* more open tickets that carry the key; the oldest is this one */
};

struct ticket_new {
	const char *key;            /* 32 hex digits: what it is found by; lower case */
	struct mh_span title, body; /* UTF-8; title is one line of plain text, body as the driver's format says */
	struct mh_span due;         /* "2026-02-03", or unknown */
	enum ticket_priority priority;
	const char *priority_name; /* the system's own */
	const char *labels[TICKET_MAX_LABELS];
	size_t n_labels;
	const char *assignee; /* NULL: none is configured */
	struct ticket_field fields[TICKET_MAX_FIELDS];
	size_t n_fields;
};

struct ticket_change {
	enum ticket_priority raise_to;
	const char *priority_name; /* the system's own */
	struct mh_span due;        /* unknown: stays */
};

struct ticket_comment {
	struct mh_span text;  /* in the driver's format; ends with the mark, but for drivers with own_marks */
	const char *mark;     /* 32 hex digits: no two comments of mailhook share one */
	struct mh_span title; /* of the case as it stands now, for systems whose comments have one */
	bool closing;         /* the ticket is closed next; to be said to whoever opened it, where a system has both */
};

struct ticket_file {
	const char *name, *type; /* "notice.eml", "message/rfc822" */
	struct mh_span bytes;
};

/* What a driver works with, and what it tells besides its status. One a run. */
struct ticket_desk {
	cfg_t *conf;                   /* the action's file; a driver's own options by name */
	const struct request *request; /* never its account, resource or words in anything but a value */
	struct protocol *protocol;     /* for say() */
	struct arena *arena;
	const char *const *priorities; /* [3]: the system's own words, by enum ticket_priority */
	/* Queue, project, repository or group, as the system calls it: of the case's account, else of all; NULL: none is
	 * configured. In a check queues has all of them. */
	const char *queue;
	const char *const *queues;
	size_t n_queues;
	const char *const *fields; /* n_fields names of configured fields, for check */
	size_t n_fields;
	bool online;           /* check may ask the network */
	int64_t retry_after_s; /* -1: not said. With MH_RETRY: what the server asked for */
	struct buf dropped;    /* what the server took without a word of refusal and did not keep: ticket_dropped() */
	struct buf words;      /* a refusal in full, where mh_err cuts it; begins with the error's text */
};

/* "the server did not keep WHAT": goes into the outcome, for a person. */
void ticket_dropped(struct ticket_desk *d, const char *what, struct mh_span name);

struct ticket_driver {
	const char *name, *help;
	const cfg_opt_t *options;            /* of its own in the action's file, ends with CFG_END(); NULL: none */
	const struct own_conf_check *checks; /* of those options, ends with { NULL, NULL }; NULL: none */
	const char *priorities[3];           /* the default names; NULL: priority_names */
	enum text_format format;             /* of body and comment */
	/* NULL: format. For a driver whose configuration decides. */
	enum text_format (*format_of)(cfg_t *conf);
	/* For so long after a create or a comment whose answer was lost a search may fail to show it; then it was not
	 * taken. 0: at once. The server may still be working on the lost request, so a database is no reason for 0. */
	int lag_s;
	bool own_marks; /* comment() keeps the mark beside the text: the text has none */
	bool by_mail;   /* what is written goes by mail: no word of it may be taken for the number of another ticket */

	/* Makes ret_state, in the arena where it can be. Asks nobody.
	 *   errors  MH_BAD the configuration does not do; MH_RETRY it may pass */
	enum mh_status (*start)(struct ticket_desk *d, void **ret_state, struct mh_err *err);
	void (*stop)(void *state);
	/* The configuration; with desk->online also URL, credentials, project, fields, names of transitions or statuses:
	 * without making anything. Says by say() what it found, and how long the credential lives where the system
	 * tells; the error is the first thing that is missing. */
	enum mh_status (*check)(void *state, struct mh_err *err);
	/* The id in a url of ours, copied into the arena. MH_SKIP: the url is not of this system. NULL: no own state. */
	enum mh_status (*id_of_url)(void *state, const char *url, const char **ret_id, struct mh_err *err);
	/* By id, the system's index aside; key: what it must carry itself. MH_SKIP: it is gone or carries another. */
	enum mh_status (*get)(void *state, const char *id, const char *key, struct ticket_ref *ret, struct mh_err *err);
	/* By search; accepts only what carries this very key, open ones before closed ones. MH_SKIP: none does. A search
	 * that failed, or whose answer is not that of a search, is MH_RETRY or MH_BAD, never MH_SKIP. */
	enum mh_status (*find)(void *state, const char *key, struct ticket_ref *ret, struct mh_err *err);
	/* Opens it and reads it back: ticket_dropped() for each thing that is not there.
	 *   errors  MH_RETRY also where the answer was lost */
	enum mh_status (*open)(void *state, const struct ticket_new *t, struct ticket_ref *ret, struct mh_err *err);
	/* NULL: the system takes no files. The core asks only for mail that is proven. Does nothing where the ticket
	 * has a file of that name. */
	enum mh_status (*attach)(
	    void *state, const struct ticket_ref *ref, const struct ticket_file *f, struct mh_err *err);
	/* Is a comment with that mark there? MH_SKIP: no. NULL: comment() looks itself; or nobody can, and after a lost
	 * answer it is made twice rather than never. */
	enum mh_status (*commented)(void *state, const struct ticket_ref *ref, const char *mark, struct mh_err *err);
	enum mh_status (*comment)(
	    void *state, const struct ticket_ref *ref, const struct ticket_comment *c, struct mh_err *err);
	/* NULL: there is nothing to raise. Called only where raise_to is above ref->priority or a due date came; reads
	 * back as open does. */
	enum mh_status (*change)(
	    void *state, const struct ticket_ref *ref, const struct ticket_change *c, struct mh_err *err);
	/* By the configured status or transition, by its name; reads back: what is still open is MH_BAD, with the names
	 * that are allowed. Called only for an open ticket. */
	enum mh_status (*close)(void *state, const struct ticket_ref *ref, struct mh_err *err);
	/* The ticket as it stands, for people: describe and tests. MH_SKIP: it is gone. NULL: it cannot be read. */
	enum mh_status (*read)(void *state, const struct ticket_ref *ref, struct buf *ret_text, struct mh_err *err);
};

extern const struct ticket_driver ticket_local;   /* local.c */
extern const struct ticket_driver ticket_rt;      /* rt.c */
extern const struct ticket_driver ticket_redmine; /* redmine.c */
extern const struct ticket_driver ticket_mail;    /* mail.c */
extern const struct ticket_driver ticket_jira;    /* jira.c */
extern const struct ticket_driver ticket_github, ticket_gitlab, ticket_servicenow, ticket_pagerduty, ticket_http;
/* NULL: there is none of that name. */
const struct ticket_driver *ticket_driver(const char *name);

/* -- plan.c: which event does what. Pure. ------------------------------------------------------------------------- */

struct ticket_limits {
	int64_t high_days, urgent_days;
};

struct ticket_plan {
	bool open;    /* when there is none */
	bool comment; /* when there is one */
	bool raise, close;
	enum ticket_priority priority; /* of a new one, or to be raised to */
};

/* found: the ticket, or NULL where none was found. resumed: this job has begun to open one before. */
struct ticket_plan ticket_plan(
    const struct request *r, const struct ticket_limits *l, const struct ticket_ref *found, bool resumed);

#endif
