/* fence.h: kills what runs under a lease before the lease can end, also while this process is stopped or waits for a
 * ledger that does not answer.
 *
 * A small process of its own keeps the times. It ends with us, and what it still has in its keeping with it.
 */
#ifndef MAILHOOK_WORK_FENCE_H
#define MAILHOOK_WORK_FENCE_H

#include <sys/types.h>

#include "mailhook/mailhook.h"

struct fence;

enum mh_status fence_open(struct fence **ret, struct mh_err *err);
void fence_close(struct fence *f); /* NULL: nothing */

#define FENCE_NEVER INT64_MAX
/* That process group, whose leader is our child, is killed at that instant of clock_boot_ms(), unless another is set
 * before. FENCE_NEVER: it is let go.
 *   errors  MH_RETRY the keeper is gone: nobody will kill it */
enum mh_status fence_set(struct fence *f, pid_t group, int64_t at_ms, struct mh_err *err);

#endif
