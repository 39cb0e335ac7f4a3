/* front_store.c: makes a message durable, and the folders for it where they are missing. */
#include <sys/stat.h>
#include <unistd.h>

#include "mailhook/durable.h"
#include "mailhook/front.h"

/* Mail may come before the worker's first run, which makes the same folders. Only the state folder itself and what is
 * below one of our own: where the folder above is missing (a disk that is not mounted, a mistyped name), or is not ours
 * to write into, something is wrong, and the mail server comes again. */
static bool
make_intake(const struct conf *conf)
{
	struct stat st;

	return durable_folder(conf->state_dir, NULL) == MH_OK && stat(conf->state_dir, &st) == 0 &&
	       S_ISDIR(st.st_mode) && st.st_uid == geteuid() && durable_folder(conf->intake_dir, NULL) == MH_OK;
}

enum mh_status
front_store(const struct conf *conf, struct mh_span raw, const struct envelope *e, struct mh_err *err)
{
	enum mh_status st = intake_put(conf->intake_dir, raw, e, err);

	/* Also where the folder is there by now: another first mail made it while we found none, or began to. */
	if (st != MH_OK && make_intake(conf))
		st = intake_put(conf->intake_dir, raw, e, err);
	return st;
}
