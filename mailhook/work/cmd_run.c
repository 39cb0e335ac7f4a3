/* cmd_run.c: the worker. */
#include "mailhook/work/commands.h"
#include "mailhook/work/log.h"

int
run_command(const struct options *o)
{
	struct work w = { 0 };
	struct mh_err err = { 0 };
	bool right = true;
	enum mh_status status = work_load(&w, o->config, &err);

	if (status == MH_OK) {
		log_open(w.conf, LOG_JOURNAL_SOCKET); /* a wrong configuration was complained of by FILE:LINE */
		status = work_make_folders(&w, &err);
	}
	if (status == MH_OK)
		status = work_read_definitions(&w, &right, &err);
	/* the right ones are used; check says which are not. Mail that only one that cannot be read may know waits in the
	 * intake */
	if (status == MH_RETRY && w.definitions != NULL) {
		log_event(LOG_ERROR, "definitions", NULL, "%s", err.text);
		status = MH_OK;
	}
	if (status == MH_OK)
		status = work_open_ledger(&w, true, &err);
	if (status == MH_RETRY && !o->once && w.conf != NULL && w.conf->ledger_path == NULL && w.db == NULL)
		status = MH_OK; /* a server that is away is waited for */
	if (status != MH_OK)
		log_event(LOG_ERROR, "start", NULL, "%s", err.text);
	const struct loop_options lo = { .once = o->once, .no_wait = o->no_wait, .config = o->config };
	const int code = status == MH_OK ? loop_run(&w, &lo) : work_exit(status);
	work_release(&w);
	log_close();
	return code;
}
