/* check_mailboxes.c: whether mailboxes can be watched: their secrets, and, online, their servers. */
#include <stdio.h>

#include "mailhook/work/child.h"
#include "mailhook/work/commands.h"

#define PROVE_MS 150000 /* of each mailbox: a token, and a server that is slow */
#define MOST_MS 3600000

size_t
check_mailboxes(const struct work *w, const char *config, bool online)
{
	char path[sizeof(w->libexec) + 32];
	const char *argv[] = { path, "prove", online ? "--online" : NULL, NULL, NULL, NULL };
	const size_t at = online ? 3 : 2;
	const int64_t ms = (int64_t)w->conf->n_mailboxes * PROVE_MS;
	struct mh_err err = { 0 };
	int code = 0;

	if (w->conf->n_mailboxes == 0)
		return 0;
	argv[at] = config == NULL ? NULL : "--config";
	argv[at + 1] = config;
	(void)snprintf(path, sizeof(path), "%s/mailhook-imap", w->libexec);
	(void)fflush(stdout); /* the program writes there too */
	if (child_run(argv, MH_LIT(""), ms < MOST_MS ? (int)ms : MOST_MS, &code, &err) == MH_OK)
		return code != 0;
	work_log("%s", err.text);
	return 1;
}
