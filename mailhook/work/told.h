/* told.h: credentials of which an action says itself when they end: heard, and asked for again once a day.
 *
 * The cases come of them in own.c, beside those of the configuration's credentials.
 */
#ifndef MAILHOOK_WORK_TOLD_H
#define MAILHOOK_WORK_TOLD_H

#include "mailhook/work/launch.h"
#include "mailhook/work/work.h"

#define TOLD_ASK_S MH_DAY_S /* an action that once told of one is asked again, by its check */

/* An action said so. Written only where it is news, or was last heard half a day ago; what cannot be written is logged. */
void told_hear(struct work *w, const char *action, const struct credential_line *c, int64_t now);
/* The action's check, started at that instant, went well: what it did not tell of any more is gone, where it told of
 * any. */
enum mh_status told_all(struct work *w, const char *action, int64_t since, struct mh_err *err);
/* The action that is to be asked now, marked as asked. MH_SKIP: none. */
enum mh_status told_ask(
    struct work *w, int64_t now, struct arena *a, const struct conf_action **ret, struct mh_err *err);

#endif
