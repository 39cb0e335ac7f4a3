/* verify_impl.h: what the files of verify/ share; tests and fuzz targets use it too.
 *
 * message.c: fields and body · canon.c: what is hashed · taglist.c: a=b; c=d · signature.c: the tags of a signature ·
 * key.c: key records · dkim.c, arc.c: signatures and chains · authres.c: RFC 8601 · from.c: the author · sns.c: the
 * topic · policy.c: the levels
 */
#ifndef MAILHOOK_VERIFY_VERIFY_IMPL_H
#define MAILHOOK_VERIFY_VERIFY_IMPL_H

#include <openssl/evp.h>

#include "mailhook/verify/verify.h"

#define MAX_SIGNATURES 10         /* of the domains that count, in one mail: two are usual, and each costs a look-up */
#define MAX_SIGNED_NAMES 200      /* names in h=; SES signs 8, cautious senders sign some twice */
#define MAX_SIGNATURE_BYTES 16384 /* one signature field; RSA-8192 and 200 names stay below */
#define MAX_KEY_RECORD_BYTES 8192 /* RSA-8192 in base64 is 1,500 */
#define MAX_RSA_BITS 8192         /* the time to check one grows by the square */
#define MIN_RSA_BITS 1024         /* RFC 8301 section 3.2 */
#define MAX_TAGS 64               /* in one list; a DKIM-Signature knows 13 */
#define MAX_ARC_INSTANCE 50       /* RFC 8617 section 4.2.1 */
#define MAX_AUTHRES_RESULTS 100   /* in one Authentication-Results */
#define MAX_NAME_BYTES 253        /* RFC 1035: a domain name as text */
#define MAX_KEPT_KEYS 8           /* a chain of one list server has one key, of two relays two */
#define SHA256_BYTES 32

/* -- message.c: the mail as the signer saw it --------------------------------------------------------------------- */

struct verify_field {
	struct mh_span name;  /* up to the colon */
	struct mh_span raw;   /* the whole field as received, without its last line end */
	struct mh_span value; /* behind the colon, folded */
};

enum canon { CANON_SIMPLE, CANON_RELAXED };

struct verify_mail {
	struct verify_field *fields;
	size_t n_fields;
	struct mh_span body;
	const char *malformed; /* why no reader can be sure what its header says; NULL: it is clean */
	bool hashed[2];        /* by enum canon */
	unsigned char body_hash[2][SHA256_BYTES];
};

/* Splits a message. It is malformed, and nothing is believed of it, where a header line is no field, a field holds a
 * NUL or a bare CR, or a bound of limits.h is passed: readers disagree there.
 *   errors  MH_LIMIT the arena is full
 *   source  RFC 5322 2.1, 2.2 */
enum mh_status message_split(struct mh_span raw, struct arena *a, struct verify_mail *ret, struct mh_err *err);
/* The number of fields of that name, and the first of them; NULL where there is none. */
size_t message_count(const struct verify_mail *m, const char *name);
const struct verify_field *message_field(const struct verify_mail *m, const char *name);

/* -- canon.c: canonical forms (RFC 6376 3.4) ---------------------------------------------------------------------- */

/* Adds a field without its line end; LF becomes CRLF. */
void canon_field(struct buf *b, struct mh_span raw, enum canon canon);
/* The SHA-256 of the whole body, kept in m.   errors  MH_LIMIT no memory */
enum mh_status canon_body(
    struct verify_mail *m, enum canon canon, unsigned char ret_hash[SHA256_BYTES], struct mh_err *err);

/* -- taglist.c: tag lists (RFC 6376 3.2) -------------------------------------------------------------------------- */

struct tag {
	struct mh_span name, value; /* value: trimmed, with its inner folds */
	struct mh_span whole;       /* all between "=" and ";" : what is taken out of b= */
};

struct taglist {
	struct tag items[MAX_TAGS];
	size_t n;
};

/* errors  MH_BAD not a tag list, a name twice, more than MAX_TAGS */
enum mh_status taglist_read(struct mh_span text, struct taglist *ret, struct mh_err *err);
/* The value of a tag; MH_NONE where it is not there. */
struct mh_span tag_value(const struct taglist *t, const char *name);
/* Takes the next item of a colon-separated list out of *list, trimmed. False at the end. */
bool tag_item(struct mh_span *list, struct mh_span *ret_item);
/* Is word (without case) one of a colon-separated list? */
bool tag_lists(struct mh_span list, const char *word);
/* Decodes base64 with folds in it, strictly.   errors  MH_BAD, MH_LIMIT */
enum mh_status tag_base64(struct mh_span text, struct arena *a, struct mh_span *ret, struct mh_err *err);
/* Digits only, at most 18 of them.   errors  MH_BAD */
enum mh_status tag_number(struct mh_span text, int64_t *ret, struct mh_err *err);

/* -- domains (taglist.c) ------------------------------------------------------------------------------------------ */

bool domain_valid(struct mh_span d);                         /* LDH and "_" labels, two at least */
bool domain_within(struct mh_span d, struct mh_span around); /* equal or below it, by whole labels */

/* -- signature.c: DKIM-Signature, ARC-Message-Signature, ARC-Seal ------------------------------------------------- */

enum signature_kind { SIGNATURE_DKIM, SIGNATURE_ARC, SIGNATURE_SEAL };
enum key_type { KEY_RSA, KEY_ED25519 };

struct signature {
	enum signature_kind kind;
	enum key_type type;
	enum canon header, body;
	struct mh_span d, s;     /* as written; both are valid names */
	struct mh_span identity; /* the domain of i=; DKIM only, d where there is none */
	struct mh_span h;        /* colon-separated; empty for a seal */
	struct mh_span bh, b;    /* decoded */
	struct mh_span b_whole;  /* where b= stands in the field */
	bool has_x;
	int64_t x;
	int64_t instance;  /* ARC */
	struct mh_span cv; /* a seal's */
};

/* Finds the d= of a signature, however bad the rest is; MH_NONE if it cannot be found. For the words. */
struct mh_span signature_domain(struct mh_span value);
/* Reads a signature's tags and refuses what must be refused before any key is asked for: l=, rsa-sha1, other v=.
 *   errors  MH_BAD with the reason; MH_LIMIT
 *   source  RFC 6376 3.5, 8301, 8463; RFC 8617 4.1 */
enum mh_status signature_read(
    struct mh_span value, enum signature_kind kind, struct arena *a, struct signature *ret, struct mh_err *err);
/* The same where the tag list was read already; its length is the caller's to look at. */
enum mh_status signature_of_tags(
    const struct taglist *t, enum signature_kind kind, struct arena *a, struct signature *ret, struct mh_err *err);

/* -- key.c: key records (RFC 6376 3.6.1) -------------------------------------------------------------------------- */

struct key {
	EVP_PKEY *pkey;   /* own */
	bool same_domain; /* t=s: the domain of i= must be d= itself */
};

void key_release(struct key *k);
/* Reads a record for a signature of that type.
 *   errors  MH_BAD with the reason: revoked, t=y, another k=, h= or s=, an RSA key below 1024 bits, not a key */
enum mh_status key_read(
    struct mh_span record, enum key_type type, struct arena *a, struct key *ret, struct mh_err *err);
/* The same, out of keys where that very record was read for that type before; what is read is put there. keys: may be
 * NULL. */
enum mh_status key_get(struct verify_keys *keys, struct mh_span record, enum key_type type, struct arena *a,
    struct key *ret, struct mh_err *err);

/* -- dkim.c ------------------------------------------------------------------------------------------------------- */

struct key_source {
	verify_txt *txt;
	void *user;
	struct verify_keys *kept; /* may be NULL */
};

/* Is the signature good over these canonical header bytes? Asks for the key.
 *   errors  MH_BAD no; MH_RETRY the key could not be had; MH_LIMIT */
enum mh_status signature_verify(const struct signature *s, struct mh_span signed_bytes, const struct key_source *keys,
    struct arena *a, struct mh_err *err);
/* Adds the signature's own field with an empty b=, without a line end.   errors  MH_LIMIT */
enum mh_status signature_put_self(
    const struct verify_field *f, const struct signature *s, struct arena *a, struct buf *b, struct mh_err *err);
/* Checks a DKIM-Signature or ARC-Message-Signature whose tags were read: x=, body hash, key, signature.
 *   errors  as above */
enum mh_status dkim_verify(struct verify_mail *m, const struct verify_field *f, const struct signature *s,
    int64_t received, const struct key_source *keys, struct arena *a, struct mh_err *err);
/* Does it cover what mailhook reads? whole: Content-Type and Content-Transfer-Encoding too.   errors  MH_BAD */
enum mh_status dkim_covers(const struct verify_mail *m, const struct signature *s, bool whole, struct mh_err *err);

/* -- authres.c: Authentication-Results (RFC 8601) ----------------------------------------------------------------- */

struct authres_result {
	struct mh_span method, result;
	struct mh_span header_d, header_i; /* MH_NONE where not given */
};

struct authres {
	struct mh_span id; /* authserv-id */
	struct authres_result results[MAX_AUTHRES_RESULTS];
	size_t n_results;
};

/* errors  MH_BAD it breaks the grammar; MH_LIMIT */
enum mh_status authres_read(struct mh_span value, struct arena *a, struct authres *ret, struct mh_err *err);
/* The domain that a dkim=pass speaks of; MH_NONE where the result is another, or names none. */
struct mh_span authres_dkim_domain(const struct authres_result *r);

/* -- arc.c: the chain (RFC 8617) ---------------------------------------------------------------------------------- */

struct arc_set {
	const struct verify_field *results, *message, *seal;
	struct signature message_signature, seal_signature;
};

struct arc_chain {
	struct arc_set *sets; /* sets[0] is instance 1 */
	size_t n;
};

/* Collects the chain and reads its tags; asks for no key.
 *   errors  MH_SKIP there is none; MH_BAD a set is not whole, an instance is out of order, cv= is not none and then pass */
enum mh_status arc_read(const struct verify_mail *m, struct arena *a, struct arc_chain *ret, struct mh_err *err);
/* Checks the newest message signature and every seal.   errors  MH_BAD, MH_RETRY, MH_LIMIT */
enum mh_status arc_verify(struct verify_mail *m, const struct arc_chain *c, int64_t received,
    const struct key_source *keys, struct arena *a, struct mh_err *err);
/* The results that a set took over: its ARC-Authentication-Results behind "i=N;".   errors  MH_BAD, MH_LIMIT */
enum mh_status arc_results(const struct arc_set *s, struct arena *a, struct authres *ret, struct mh_err *err);

/* -- from.c, sns.c ------------------------------------------------------------------------------------------------ */

/* The one address of a From value, lower case.
 *   errors  MH_BAD not exactly one mailbox whose address is plain: a quoted local part, a group, a route are refused
 *   source  RFC 5322 3.4 */
enum mh_status from_read(struct mh_span value, struct arena *a, struct mh_span *ret_address, struct mh_err *err);

/* The topic of a mail of SNS, from the last unsubscribe line of its text: what stands above may be the publisher's.
 *   in      direct: as SNS sent it, so it must be one plain text. Else a relay's footer or a forward may be around it, and
 *           what stands below may be anybody's: then all such lines must name one topic
 *   errors  MH_SKIP there is no such line; MH_BAD it cannot be read, or the mail is not one plain text, or names several
 *           topics; MH_LIMIT */
enum mh_status sns_topic(
    struct mh_span raw, struct arena *a, bool direct, struct mh_span *ret_topic, struct mh_err *err);

#endif
