/* ask.h: has a mail judged by mailhook-verify, in a process that has the mail, a resolver, and nothing else.
 *
 * "mailhook-verify judge" reads one JSON object on standard input and the mail on descriptor 3:
 *   {"received":RFC3339,"signers":[...],"senders":[...],"trust":{"authserv_id":[...],"arc_sealers":[...],
 *    "forwarders":[...],"sns_topics":[...],"hops":N,"authres_stripped":BOOL,"resolver":TEXT|null}}
 * and answers with one line:
 *   {"level":"unverified|relayed|verified","temporary":BOOL,"by":TEXT|null,"steps":[TEXT,...]}
 */
#ifndef MAILHOOK_VERIFY_ASK_H
#define MAILHOOK_VERIFY_ASK_H

#include "mailhook/conf.h"
#include "mailhook/mailhook.h"

struct definitions;

#define VERIFY_WALL_MS 8000 /* one verdict: DNS has 4 s of it */
#define VERIFY_MAX_REQUEST_BYTES (1u << 20)
#define VERIFY_MAX_ANSWER_BYTES (256u << 10)

struct verify_lists {
	const char *const *signers, *const *senders; /* NULL-ended */
};

/* Who may speak for what the mail says: of each kind among the notices those that one of its definitions names, and of
 * several kinds those that all of them have. Without a notice those of the definition that claims the mail, else those
 * of the AWS family.
 *   in      kinds, n: of the notices; parser: a definition's name, or NULL
 *   errors  MH_RETRY no memory */
enum mh_status verify_lists_of(const struct definitions *d, const struct mh_span *kinds, size_t n,
    struct mh_span parser, struct arena *a, struct verify_lists *ret, struct mh_err *err);
enum mh_status verify_lists_of_reading(const struct definitions *d, const struct reading *r, struct arena *a,
    struct verify_lists *ret, struct mh_err *err);

/* The mail has something that could raise its level: a signature, a chain, or a field that a configured server writes.
 * Where not, nobody needs to be asked. */
bool verify_has_proof(struct mh_span raw, const struct conf_trust *trust);

struct verify_ask {
	const char *program; /* mailhook-verify's path */
	const struct conf_trust *trust;
	struct verify_lists lists;
	struct mh_span raw;
	int64_t received;
};
struct verify_answer {
	enum trust_level level;
	bool temporary;
	const char *by;    /* NULL: nothing proved it */
	const char *steps; /* JSON list of words for a person */
};

/* Waits for the verdict, VERIFY_WALL_MS at most. Whatever goes wrong is a verdict too: a verifier that crashes on the
 * mail has not proved it; one that cannot be started, or is late, is temporary.
 *   errors  MH_RETRY no memory */
enum mh_status verify_ask(const struct verify_ask *q, struct arena *a, struct verify_answer *ret, struct mh_err *err);

#endif
