/* mailhook.h: what the core and the parsers share: bytes, errors, memory, a decoded mail and the notices read from it.
 *
 * bytes ─▶ mail (mailhook/mail/) ─▶ views ─▶ notices (parsers/) ─▶ reading (the sandboxed child's answer)
 * All of this is pure: no clock, no file, no network, no log.
 */
#ifndef MAILHOOK_MAILHOOK_H
#define MAILHOOK_MAILHOOK_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mailhook/limits.h"

#define MH_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define MH_AUTO(drop) __attribute__((cleanup(drop)))

/* -- bytes -------------------------------------------------------------------------------------------------------- */

/* Borrowed bytes: NULs allowed, no terminator. p == NULL means "unknown", which is not the same as empty. */
struct mh_span {
	const char *p;
	size_t n;
};

#define MH_LIT(s) ((struct mh_span){ (s), sizeof(s) - 1 })
#define MH_NONE ((struct mh_span){ NULL, 0 })

struct mh_span span_of(const char *s); /* a C string; NULL gives MH_NONE */
bool span_eq(struct mh_span a, struct mh_span b);
bool span_ieq(struct mh_span a, struct mh_span b); /* ASCII letters without case */
bool span_starts(struct mh_span s, struct mh_span head);
bool span_istarts(struct mh_span s, struct mh_span head);
bool span_iends(struct mh_span s, struct mh_span tail);
bool span_is_graphic(struct mh_span s);                /* not empty, and printable ASCII without a blank */
struct mh_span span_trim(struct mh_span s);            /* SP, TAB, CR, LF at both ends */
struct mh_span span_from(struct mh_span s, size_t at); /* s without its first at bytes; at is cut to s.n */
struct mh_span span_head(struct mh_span s, size_t n);  /* the first n bytes; n is cut to s.n */
/* The first line of *s without its line end (LF or CRLF); *s moves past it. False when *s is empty. */
bool span_line(struct mh_span *s, struct mh_span *ret_line);
struct mh_span span_word(struct mh_span *s); /* takes s up to the next blank, or to its end */
/* Offset of needle in s at or after from, or SIZE_MAX. span_ifind ignores the case of ASCII letters. */
size_t span_find(struct mh_span s, struct mh_span needle, size_t from);
size_t span_ifind(struct mh_span s, struct mh_span needle, size_t from);

static inline int
hex_digit(char c) /* -1: none */
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void hex_put(char *dst, const unsigned char *bytes, size_t n); /* 2n digits, lower case, and a NUL */

bool utf8_valid(struct mh_span s);
bool utf8_text(struct mh_span s);       /* valid and without NUL */
size_t utf8_sequence(struct mh_span s); /* length of the well-formed sequence (Unicode table 3-7) s starts with, or 0 */
size_t utf8_ascii(struct mh_span s);    /* how many ASCII bytes s starts with */
/* Of one well-formed sequence: it would lead a reader's eye astray. A control character (C0, DEL, C1), a separator of
 * lines or paragraphs, a mark that turns the direction of the text around it. */
bool utf8_misleads(struct mh_span sequence);
/* Length of the longest prefix of at most max bytes that does not split a UTF-8 sequence. */
size_t utf8_cut(struct mh_span s, size_t max);

/* -- errors ------------------------------------------------------------------------------------------------------- */

enum mh_status {
	MH_OK,
	MH_SKIP,  /* not mine, nothing there: no error */
	MH_BAD,   /* broken: trying again changes nothing */
	MH_RETRY, /* may pass: no memory, no disk, no network */
	MH_LIMIT  /* a bound of limits.h was hit */
};

struct mh_err {
	enum mh_status code;
	char text[160]; /* what failed first, lower case, no full stop; bytes from mail only escaped and cut */
	bool absent;    /* what is missing is this machine's, a file or a program: another may have it */
	bool of_value;  /* a value is at fault, as one that its column does not take; where it was to go is well */
};

/* Words an error and returns its code, so that "return mh_fail(...)" is one line. err may be NULL. */
enum mh_status mh_fail(struct mh_err *err, enum mh_status code, const char *fmt, ...) MH_PRINTF(3, 4);
/* The same with ": strerror(errno)" behind it; absent where that is ENOENT or ENOTDIR. */
enum mh_status mh_fail_errno(struct mh_err *err, enum mh_status code, const char *fmt, ...) MH_PRINTF(3, 4);
/* Notes the same of a failure that has no errno. Returns code. */
enum mh_status mh_absent(struct mh_err *err, enum mh_status code);
/* Notes that a value is at fault. Returns code. */
enum mh_status mh_of_value(struct mh_err *err, enum mh_status code);
/* Writes bytes from outside for a person: control, non-ASCII and '\\' as \xNN, cut with "..." to fit. Returns dst. */
const char *mh_escape(char *dst, size_t dst_bytes, struct mh_span s);
/* The same, but a backslash stays: for words of our own that hold such escapes already. */
const char *mh_escape_words(char *dst, size_t dst_bytes, const char *words);

/* -- memory ------------------------------------------------------------------------------------------------------- */

/* One arena a message: everything that reading it makes points in here and ends with it. */
struct arena {
	struct arena_chunk *chunks; /* own */
	size_t used_bytes, max_bytes;
	size_t fail_at; /* tests: the fail_at-th allocation from now fails; 0: none */
};

void arena_init(struct arena *a, size_t max_bytes);
void arena_release(struct arena *a);
void arena_reset(struct arena *a); /* forgets all, keeps one chunk: for the next message of a batch */
/* Zeroed, aligned for any type; NULL when the maximum or memory is reached. n == 0 gives a valid pointer. */
void *arena_alloc(struct arena *a, size_t n);
/* The same for an array; NULL on overflow of count * size. */
void *arena_array(struct arena *a, size_t count, size_t size);
/* Room for one more than n in an array of the arena that has room for *cap: items itself, or a copy of twice the size and
 * *cap with it. NULL: full, and nothing is changed. */
void *arena_grow(struct arena *a, void *items, size_t n, size_t *cap, size_t size);
/* Copies s with a NUL behind it that ret does not count. MH_LIMIT when the arena is full. */
enum mh_status arena_copy(struct arena *a, struct mh_span s, struct mh_span *ret, struct mh_err *err);
enum mh_status arena_printf(struct arena *a, struct mh_span *ret, struct mh_err *err, const char *fmt, ...)
    MH_PRINTF(4, 5);

/* A growing byte buffer that cannot be born without a maximum. Past it, or out of memory, it is failed: it keeps what
 * it had, takes nothing more, and buf_ok() is false; so callers write freely and look once. Always NUL-terminated. */
struct buf {
	char *p; /* own; NULL until the first byte */
	size_t n, cap, max;
	bool failed;
};

void buf_init(struct buf *b, size_t max);
void buf_release(struct buf *b);
void buf_clear(struct buf *b); /* n = 0, failed = false */
void buf_put(struct buf *b, struct mh_span s);
void buf_puts(struct buf *b, const char *s);
void buf_put_text(struct buf *b, struct mh_span s); /* each NUL, and each byte that is no UTF-8, as U+FFFD */
void buf_putc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) MH_PRINTF(2, 3);
bool buf_ok(const struct buf *b);
struct mh_span buf_span(const struct buf *b);

/* -- instants ----------------------------------------------------------------------------------------------------- */

/* All instants are UTC seconds since 1970 without leap seconds, from 0001-01-01 to 9999-12-31. */
#define MH_TIME_TEXT 21 /* "2026-02-03T04:05:06Z" and its NUL */
const char *time_text(char dst[MH_TIME_TEXT], int64_t t);
/* MH_BAD unless s is exactly RFC 3339 in UTC with "Z". */
enum mh_status time_read(struct mh_span s, int64_t *ret_t, struct mh_err *err);
int64_t time_of_civil(int year, int month, int day, int hour, int minute, int second); /* proleptic Gregorian */
void time_to_civil(int64_t t, int *ret_year, int *ret_month, int *ret_day);
#define MH_DAY_S INT64_C(86400)
int64_t time_day(int64_t t); /* days since 1970-01-01, rounded down */

/* -- a mail, decoded ---------------------------------------------------------------------------------------------- */

struct mail_field {
	struct mh_span name;  /* as written */
	struct mh_span raw;   /* the value's bytes in the message, folded, without the last line end */
	struct mh_span value; /* unfolded, RFC 2047 decoded, UTF-8 (bad bytes U+FFFD), trimmed */
};

enum mail_limit { /* bits: what reading this mail had to cut */
	MAIL_LIMIT_MESSAGE = 1 << 0,
	MAIL_LIMIT_HEADER = 1 << 1,
	MAIL_LIMIT_FIELDS = 1 << 2,
	MAIL_LIMIT_FIELD = 1 << 3,
	MAIL_LIMIT_DEPTH = 1 << 4,
	MAIL_LIMIT_PARTS = 1 << 5,
	MAIL_LIMIT_TEXT = 1 << 6,
	MAIL_LIMIT_WORDS = 1 << 7,
	MAIL_LIMIT_MEMORY = 1 << 8,
	MAIL_LIMIT_COMMENT = 1 << 9,
	MAIL_LIMIT_PARAMS = 1 << 10
};

enum mail_type { MAIL_PLAIN, MAIL_HTML };

/* One leaf that is text a person would see. Attachments and other types are not read and not listed. */
struct mail_part {
	enum mail_type type;
	struct mh_span text;   /* UTF-8, LF; for HTML the rendered text (html.h says how) */
	struct mh_span links;  /* HTML: the href of each <a>, decoded, one a line, in their order; else empty */
	struct mh_span source; /* the part's bytes in the message, still encoded: for --explain */
	size_t message;        /* index in mail.messages of the message that it belongs to */
	size_t alternative;    /* parts of one multipart/alternative share a number > 0; 0: none */
	const char *encoding;  /* "base64", "quoted-printable"; NULL: source is not encoded */
	bool charset_unknown;  /* decoded byte by byte as Windows-1252 for want of a better guess */
	bool cut;              /* MH_MAX_TEXT_BYTES was hit */
};

/* The outer message (index 0) or one message/rfc822 inside it. */
struct mail_message {
	struct mail_field *fields;
	size_t n_fields;
	size_t parent;  /* index of the message around it; 0 for the outer one */
	unsigned depth; /* 0: outer */
	bool report;    /* stands in, or is, a multipart/report: a delivery report's returned message is no notice */
};

struct mail {
	struct mail_message *messages; /* at least one */
	size_t n_messages;
	struct mail_part *parts;
	size_t n_parts;
	struct mh_span raw; /* what was read: sources point into it, but of a message that was encoded itself */
	size_t body_at;     /* offset of the outer body in the raw bytes; their number where there is none */
	unsigned limits;    /* enum mail_limit bits */
};

/* The first field of that name (any case), or NULL; _nth the n-th from 0. */
const struct mail_field *mail_field(const struct mail_message *m, const char *name);
const struct mail_field *mail_field_nth(const struct mail_message *m, const char *name, size_t nth);

/* -- what was read ------------------------------------------------------------------------------------------------ */

enum mh_precision { MH_SECOND, MH_DAY, MH_DERIVED };
enum mh_verdict { MH_IRRELEVANT, MH_NOTICE, MH_UNRECOGNISED, MH_FAILED };
extern const char *const mh_verdict_names[];   /* "irrelevant", "notice", ... by enum */
extern const char *const mh_precision_names[]; /* "second", "day", "derived" */

struct notice { /* what one message says about one expiry; p == NULL: unknown */
	struct mh_span kind, account, region, resource, event;
	int64_t expires;
	enum mh_precision precision;
	int32_t days_stated; /* -1: none */
};

struct notice_list {
	struct notice *items;
	size_t n, cap;
	bool more; /* MH_MAX_NOTICES was hit */
};

/* What one message came to: the sandboxed child's whole answer, and all that the rest of mailhook knows of the mail. */
struct reading {
	enum mh_verdict verdict;
	bool notice_like;      /* a listed sender, a literal or an event code was there: silence would be wrong */
	struct mh_span reason; /* words for a person; NULL where there is nothing to say */
	struct mh_span parser; /* the definition's name */
	struct mh_span message_id, from, date, subject,
	    content_type;            /* unfolded raw values of the outer message, cut */
	struct mh_span from_address; /* the one address of From, lower case; NULL where there is none or several */
	struct mh_span reply_to;     /* first address of Reply-To, else from_address */
	struct mh_span references;   /* References, else In-Reply-To; message ids only */
	bool automatic;   /* Auto-Submitted other than "no", Precedence bulk/junk, X-Auto-Response-Suppress, a report */
	bool list;        /* List-*, Precedence: list, Mailing-List, X-BeenThere */
	bool own;         /* carries our own loop mark: X-Mailhook-Job, written by the reply action */
	uint64_t body_at; /* where the body starts in the raw bytes */
	struct notice *notices;
	size_t n_notices;
};

#endif
