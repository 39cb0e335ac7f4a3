/* limits.h: the bounds that mailhook sets on messages, on reading them, on mailboxes and on what actions say, with their
 * reasons. Those of signatures and of DNS stand in verify/verify_impl.h and verify/dns.h, those of what servers answer to
 * actions in actions/common/: http.h, preset.h, template.h.
 *
 * A bound that is hit is marked (enum mail_limit in mailhook.h, or MH_LIMIT) and the work goes on with what was
 * read; it is never silent.
 */
#ifndef MAILHOOK_LIMITS_H
#define MAILHOOK_LIMITS_H

/* -- one message -------------------------------------------------------------------------------------------------- */
#define MH_MAX_MESSAGE_BYTES (64u << 20) /* big providers stop at 25 to 50 MB; sieve gives a filter 256 MiB in all */
#define MH_MAX_HEADER_BYTES (1u << 20)   /* of one message; Postfix stops at 100 kB by default */
#define MH_MAX_FIELDS 1000               /* of one message; real mail through five lists stays below 150 */
#define MH_MAX_FIELD_BYTES (64u << 10)   /* one field, unfolded */
#define MH_MAX_DEPTH 32              /* nested multiparts and messages; 10,000 is an attack, 5 is a chain of forwards */
#define MH_MAX_PARTS 500             /* text leaves; an aggregated digest stays below 100 */
#define MH_MAX_MESSAGES 256          /* the outer message and its message/rfc822 parts: more than MH_MAX_NOTICES */
#define MH_MAX_PARAMS 64             /* parameters of one structured field, RFC 2231 sections included */
#define MH_MAX_COMMENT_DEPTH 100     /* nested comments of a structured field */
#define MH_MAX_ENCODED_WORDS 1000    /* RFC 2047 words in one field */
#define MH_MAX_TEXT_BYTES (4u << 20) /* decoded text of one part; AWS's largest notice seen is 53 kB of HTML */
#define MH_MAX_TEXT_TOTAL_BYTES (16u << 20) /* decoded text of one message */
#define MH_MAX_ARENA_BYTES                                                                                             \
	(64u << 20) /* all that reading one message may allocate: 100 MB of memory with the raw mail's pages */

/* -- parsing ------------------------------------------------------------------------------------------------------ */
#define MH_MAX_NOTICES 200           /* the first 200 count, and "reason" says "partial" */
#define MH_MAX_VIEWS 400             /* places in one message where a notice may stand */
#define MH_MAX_JSON_BYTES (1u << 20) /* one JSON document; cJSON's own depth limit of 1,000 stays below this */
#define MH_MAX_JSON_DEPTH 100
#define MH_MAX_SUBJECT_BYTES (256u << 10) /* what one pattern is run over; more is cut and marked */
#define MH_MAX_CALLOUTS                                                                                                \
	200000 /* one match: match_limit does not stop polynomial blow-up, a clock would make parsing impure */
#define MH_MAX_PATTERN_HEAP_KB 4096
#define MH_MAX_DEFINITIONS 1000
#define MH_MAX_NOTICE_FILE_BYTES (256u << 10)
#define MH_MAX_CONF_BYTES (1 << 20) /* one configuration file; 200 mailboxes stay below 100 kB */

/* -- the sandboxed child ------------------------------------------------------------------------------------------ */
#define MH_CHILD_CPU_S 5                   /* RLIMIT_CPU: the worst adversarial mail needs below 1 s */
#define MH_CHILD_MEMORY_BYTES (192u << 20) /* RLIMIT_AS above what the process has when it forks */
#define MH_CHILD_WALL_MS 6000              /* pipe's own deadline is 8 s, sieve kills at 10 */
#define MH_MAX_ANSWER_BYTES (1u << 20)     /* 200 notices of at most 2 kB, and the header facts */
#define MH_MAX_FACT_BYTES 1024             /* one string of an answer: account, resource, subject */
#define MH_MAX_REFERENCES_BYTES 8192       /* References, cut in front: the thread's newest ids are its last */

/* -- front -------------------------------------------------------------------------------------------------------- */
#define MH_PIPE_DEADLINE_MS 8000   /* Pigeonhole kills at 10 s */
#define MH_MAX_ENVELOPE_BYTES 1024 /* an envelope address is at most 320 octets by RFC 5321 */

/* -- IMAP --------------------------------------------------------------------------------------------------------- */
#define MH_IMAP_LINE_BYTES (64u << 10)   /* a line of an answer outside its literals; RFC 7162 asks for 8 kB */
#define MH_IMAP_ANSWER_BYTES (2u << 20)  /* all that one command brings; libetpan takes some ten times that */
#define MH_IMAP_SEARCH_BYTES (16u << 20) /* a SEARCH names a message in 8 bytes: 2 million of them */
#define MH_IMAP_HEADER_BYTES (16u << 10) /* of one message's fields that are looked at; the rest is cut */
#define MH_IMAP_HEADERS 64               /* messages whose fields come in one answer: 1 MB at most */
#define MH_IMAP_CHUNK_BYTES (1u << 20)   /* a message comes in pieces: one answer stays small, its deadline just */
#define MH_IMAP_AGAIN 100                /* messages that the server would not give; more of them stop the mailbox */
#define MH_IMAP_POSITION_BYTES                                                                                         \
	(512u << 10) /* MH_IMAP_FILING lines of 34 bytes at most, and the rest; as JSON below MH_MAX_JSON_BYTES */
#define MH_IMAP_FILING 10000 /* messages that wait to be filed; more are left where they are */

/* -- actions ------------------------------------------------------------------------------------------------------ */
#define MH_MAX_ACTION_REQUEST_BYTES (1u << 20) /* one request: the history of a case can be long */
#define MH_MAX_ACTION_LINE_BYTES (256u << 10)  /* one line from an action */
#define MH_MAX_ACTION_OUTPUT_BYTES (4u << 20)  /* all lines of one run */
#define MH_MAX_ACTION_STATE_BYTES (128u << 10) /* a checkpoint as it is stored */
#define MH_MAX_ACTION_STEP_BYTES 40            /* a step's name: what a person types behind --step */
#define MH_MAX_ACTION_SUMMARY_BYTES 1000u      /* summary, and url: one line of a mail or a ticket */
#define MH_MAX_ACTION_SAY_BYTES 500u           /* one line of "say" or of stderr in the log */
#define MH_MAX_ACTION_CREDENTIALS 16           /* of one run; each is a case before it ends */
#define MH_MAX_ACTION_CREDENTIAL_BYTES 60u     /* a credential's name: with the action's it is a ticket's title */
#define MH_MAX_ACTION_CLAIM_BYTES 240u         /* a claim's name: an id of somebody's, and a word of the action's */
#define MH_MAX_ACTION_CLAIMS 64                /* claims and releases of one run: each is a transaction */
#define MH_MAX_ACTION_SAY_LINES 200            /* of one run: the log is the administrator's, not the action's */
#define MH_MAX_RETRY_AFTER_S 604800            /* a week: more is a mistake, and jobs are given up before */

#endif
