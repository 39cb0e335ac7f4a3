/* verify.h: how far a mail may be believed: DKIM, ARC, Authentication-Results (the trust levels of README and manual).
 *
 * Pure but for the keys, which come through one callback. Nothing that a mail says of itself raises its level: what
 * counts are signatures, the seals of configured relays, and what a configured server wrote above the sender's reach.
 */
#ifndef MAILHOOK_VERIFY_VERIFY_H
#define MAILHOOK_VERIFY_VERIFY_H

#include "mailhook/conf.h" /* enum trust_level, struct conf_trust */
#include "mailhook/mailhook.h"

/* Asks for the TXT record of a name; the strings of one record are joined.
 *   out     ret_text: in the arena
 *   errors  MH_SKIP there is no such record; MH_RETRY no answer, or a temporary failure; MH_BAD several records, or one
 *           that is too long */
typedef enum mh_status verify_txt(
    void *user, const char *name, struct arena *a, struct mh_span *ret_text, struct mh_err *err);

/* Keys that were read from their records, so that those of a chain, whose seals and message one key often signs, are read
 * once. What is kept goes by the record's text: DNS is asked all the same. NULL where there is no memory. */
struct verify_keys *verify_keys_new(void);
void verify_keys_free(struct verify_keys *keys);

/* What the verdict rests on beside the mail. All lists may be empty; they are borrowed. */
struct verify_policy {
	const struct conf_trust *trust;
	/* Of the definitions that the mail fits, or of the AWS family where it fits none; each ended by NULL. */
	const char *const *signers; /* domains whose signature proves such a notice */
	const char *const *senders; /* addresses that such a notice comes from */
	struct verify_keys *keys;   /* NULL: none are kept */
};

#define VERIFY_MAX_BY_BYTES 600 /* "dkim " and two names of at most 253 bytes */
#define VERIFY_MAX_STEPS 64     /* 10 signatures, a chain, and the words around them stay below */

struct verify_result {
	enum trust_level level;
	bool temporary;               /* DNS did not answer where its answer could have raised the level: try again */
	char by[VERIFY_MAX_BY_BYTES]; /* "dkim aws.com selector", "arc google.com", "authres mx.example.com"; else "" */
	struct mh_span steps[VERIFY_MAX_STEPS]; /* words for a person, in the arena; ASCII, bytes from mail escaped */
	size_t n_steps;
};

/* Judges a message.
 *   in      raw: the whole message as it was received, LF or CRLF, perhaps an mbox "From " line in front
 *           received: when it arrived, UTC seconds; what x= is compared with
 *   out     ret: always a verdict; a doubt of any kind is TRUST_UNVERIFIED and a step that says which
 *   errors  MH_LIMIT the arena is full; MH_RETRY the crypto library is out of memory: nothing is known then
 *   source  RFC 6376, 8301, 8463 (DKIM), 8617 (ARC), 8601 (Authentication-Results) */
enum mh_status verify_message(struct mh_span raw, int64_t received, const struct verify_policy *p, verify_txt *txt,
    void *user, struct arena *a, struct verify_result *ret, struct mh_err *err);

#endif
