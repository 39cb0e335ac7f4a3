/* owner.h: whose a state folder is. What another user makes in it, root before all, its owner cannot open. */
#ifndef MAILHOOK_OWNER_H
#define MAILHOOK_OWNER_H

#include "mailhook/mailhook.h"

/* Whether we may work in a state folder. One that is not there is nobody's.
 *   errors  MH_BAD it is another user's, and we are root or may not write there: the words say whom to be */
enum mh_status owner_may_work(const char *folder, struct mh_err *err);

/* What went wrong with a file beside a state folder, in better words where we are denied it.
 *   in      status: as it is known, with err
 *   out     MH_BAD another user should do this, and err says who; else status */
enum mh_status owner_denied(const char *file, const char *folder, enum mh_status status, struct mh_err *err);

/* What root made in a state folder becomes its owner's. */
void owner_give(const char *folder, int fd);

#endif
