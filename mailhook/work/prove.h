/* prove.h: how far a message may be believed, and once more where DNS did not answer. */
#ifndef MAILHOOK_WORK_PROVE_H
#define MAILHOOK_WORK_PROVE_H

#include "mailhook/verify/ask.h"
#include "mailhook/work/work.h"

#define PROVE_GIVE_UP_S                                                                                                \
	(3 * MH_DAY_S)       /* since a message was first judged; keys are taken away some time after their use */
#define PROVE_MAX_PENDING 16 /* copies of one message that wait for a verdict */
#define PROVE_SLOW_MS 1000
#define PROVE_QUIET_MS                                                                                                 \
	30000            /* where DNS took longer than that and did not answer, nobody is asked for so long: mail must
			      * not wait. A quick failure may be one name's alone, and costs nobody time */
#define PROVE_TAKE_S 300 /* longer than a judgement takes: what a node that died had begun is anybody's then */

/* Judges a message that was read. Waits for the verdict.
 *   errors  MH_RETRY no memory */
enum mh_status prove(struct work *w, struct mh_span raw, int64_t received, const struct reading *r, struct arena *a,
    struct verify_answer *ret, struct mh_err *err);

/* When a message without a verdict is judged again. attempts: made so far. */
int64_t prove_again_at(int64_t message_id, int64_t attempts, int64_t now);

/* Judges again what is due, one message. *ret_more: others are. */
enum mh_status prove_due(struct work *w, int64_t now, bool *ret_more, struct mh_err *err);

#endif
