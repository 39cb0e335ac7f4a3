/* durable.h: folders whose names are on the disk before anything is stored in them.
 *
 * A folder that was made and whose maker was killed before it synced the folder above would be lost in a power cut, with
 * all that others stored in it meanwhile. So it is made with the sticky bit, which goes when its name is durable:
 * whoever finds it set finishes the work first.
 */
#ifndef MAILHOOK_DURABLE_H
#define MAILHOOK_DURABLE_H

#include <sys/stat.h>

#include "mailhook/mailhook.h"

/* Whether a folder was begun so and not finished. One of many users (3777) is sticky and open to all: it is none. */
bool durable_begun(const struct stat *st);

/* Makes a folder for us alone (0700, whatever the umask is), or finishes one that is begun. One that is there is left as
 * it is. The folder above must be there.
 *   errors  MH_RETRY it is not there, or not durable */
enum mh_status durable_folder(const char *path, struct mh_err *err);

/* Makes the last name of a path durable: syncs the folder that holds it. */
enum mh_status durable_name(const char *path, struct mh_err *err);

#endif
