/* case.h: which expiry a notice speaks of, and taking in a message. */
#ifndef MAILHOOK_WORK_CASE_H
#define MAILHOOK_WORK_CASE_H

#include "mailhook/intake.h"
#include "mailhook/work/work.h"

#define CASE_UNRECOGNISED "unrecognised"
#define CASE_FLOOD "flood"
#define CASE_DRILL                                                                                                     \
	"drill: nothing expires" /* the reason of a case that "mailhook drill" opened; no mail can bring it about */

struct incoming {
	const struct reading *reading;
	struct mh_span raw;
	const struct envelope *envelope;
	enum trust_level trust;
	const char *trust_by, *trust_steps; /* NULL: nothing proved it */
	bool temporary;                     /* DNS did not answer: it is judged again */
};

struct seen { /* in AWS, by a person */
	const char *account;
	int64_t expires;
	enum mh_precision precision;
};

enum taken_as { TAKEN_NOT, TAKEN_NEW, TAKEN_COPY };
struct taken {
	enum taken_as as; /* TAKEN_NOT: irrelevant, or our own reply that came back */
	int64_t message_id;
	size_t opened, joined, flooded; /* notices that opened a case, joined one, went into the digest case */
};

/* Takes one message in, in one transaction: message, notices, cases, events, jobs. Again with the same message: a copy is
 * counted and nothing else changes, unless its trust is better, or it is a notice and the first copy could not be read:
 * then its bytes and facts replace the first copy's.
 *   errors  those of db.h; nothing has changed then */
enum mh_status case_take(struct work *w, const struct incoming *in, int64_t now, struct taken *ret, struct mh_err *err);

/* A message that is in the ledger was proved by what in says: its trust rises, its notices and their cases hear of it.
 * Where it is trusted so far already nothing changes. */
enum mh_status case_proved(
    struct work *w, int64_t message_id, const struct incoming *in, int64_t now, struct mh_err *err);

/* A message that could not be read is read now, by a definition that came since: its notices find their cases, and a case
 * of unread mail that has no unread message left is closed.
 *   in      in: its reading is a notice; trust: not below what the ledger has of it. by: who had it read again
 *   errors  MH_SKIP it is a notice in the ledger too */
enum mh_status case_reread(struct work *w, int64_t message_id, const struct incoming *in, const char *by, int64_t now,
    struct taken *ret, struct mh_err *err);

/* A person closes a case: its effects that have not begun are skipped, event "closed".
 *   errors  MH_BAD it is closed already */
enum mh_status case_close(struct work *w, int64_t case_id, const char *by, int64_t now, struct mh_err *err);
/* A person approves: relayed counts as verified from now, what waits for approval or trust is woken.
 *   in      step: that a job of the case waits with; NULL: the one that waits, or the case as a whole
 *   errors  MH_BAD closed; nothing waits with that step, or several do and none is named */
enum mh_status case_approve(
    struct work *w, int64_t case_id, const char *step, const char *by, int64_t now, struct mh_err *err);
/* What failed, or waits for its next try or for input, is tried at once; *ret_n: how many jobs. */
enum mh_status case_retry(
    struct work *w, int64_t case_id, const char *by, int64_t now, size_t *ret_n, struct mh_err *err);

/* A person who saw account and expiry in AWS vouches for them: an approval that lifts any level to verified, until a
 * notice that is better trusted than what the case stands on says otherwise. No other mail changes the case's facts
 * meanwhile.
 *   in      expires: as seen; precision MH_SECOND, or MH_DAY where only the day was read (then T23:59:59Z)
 *   errors  MH_BAD closed, no expiry to vouch for, or seen is not what the case says */
enum mh_status case_vouch(
    struct work *w, int64_t case_id, const struct seen *seen, const char *by, int64_t now, struct mh_err *err);
/* Chooses the rule anew: actions that are new get their job of the opening, those that are gone lose what has not begun.
 *   out     ret_rule: its name, which lives as long as a and the configuration
 *   errors  MH_BAD closed, or no rule takes it; MH_SKIP it has that rule with those actions already */
enum mh_status case_choose_again(struct work *w, struct arena *a, int64_t case_id, const char *by, int64_t now,
    const char **ret_rule, struct mh_err *err);
/* Effects of all open cases that have not ended wait for approval from now, whoever approved before. */
enum mh_status case_hold_effects(struct work *w, int64_t now, size_t *ret_n, struct mh_err *err);

bool case_is_drill(const struct case_row *c);
/* The level that jobs are measured by: approval by a person lifts relayed to verified, and nothing lifts unverified but a
 * person who vouched. */
enum trust_level case_trust(const struct case_row *c);
/* One line: "aws.acm.certificate, account 123456789012, eu-west-1, expires 2026-02-03T04:05:06Z". */
void case_words(const struct case_row *c, struct buf *out);

#endif
