/* cmd_ledger.c: mailhook ledger WORD: what is done to a ledger as a whole. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mailhook/work/commands.h"

/* -- check --------------------------------------------------------------------------------------------------------- */

struct findings {         /* the user of on_wrong */
	bool json, whole; /* whole: no memory ran out */
	cJSON *wrong;     /* with json: the lines, own */
};

static void
on_wrong(void *user, const char *line)
{
	struct findings *f = user;
	cJSON *text = f->json ? cJSON_CreateString(line) : NULL;

	if (!f->json) {
		(void)puts(line);
	} else if (text == NULL || !cJSON_AddItemToArray(f->wrong, text)) {
		cJSON_Delete(text);
		f->whole = false;
	}
}

static enum mh_status
print_findings(struct findings *f, int64_t cases, int64_t jobs, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *j = cJSON_CreateObject();
	struct buf out;
	bool ok = f->whole && j != NULL &&
		  cJSON_AddBoolToObject(j, "well", cJSON_GetArraySize(f->wrong) == 0) != NULL &&
		  json_add_integer(j, "cases", cases) && json_add_integer(j, "jobs", jobs) &&
		  cJSON_AddItemToObject(j, "wrong", f->wrong);

	if (ok)
		f->wrong = NULL; /* j has it */
	buf_init(&out, (size_t)16 << 20);
	ok = ok && json_print(j, &out) && buf_ok(&out);
	if (ok)
		(void)puts(out.p);
	buf_release(&out);
	return ok ? MH_OK : mh_fail(err, MH_RETRY, "no memory for what was found");
}

static int
check_ledger(const struct options *o)
{
	struct work w = { 0 };
	struct mh_err err = { 0 };
	struct findings f = { .json = o->json, .whole = true };
	size_t wrong = 0;
	int64_t cases = 0, jobs = 0;

	f.wrong = cJSON_CreateArray();
	enum mh_status status = f.wrong == NULL ? mh_fail(&err, MH_RETRY, "no memory") : work_load(&w, o->config, &err);
	if (status == MH_OK)
		status = work_open_ledger(&w, false, &err);
	if (status == MH_SKIP)
		status = mh_fail(&err, MH_SKIP, "there is no ledger yet: no message was taken in");
	if (status == MH_OK)
		status = ledger_check(w.db, on_wrong, &f, &wrong, &err);
	if (status == MH_OK)
		status = db_one(w.db, "SELECT count(*) FROM cases", NULL, 0, &cases, &err);
	if (status == MH_OK)
		status = db_one(w.db, "SELECT count(*) FROM jobs", NULL, 0, &jobs, &err);
	if (status == MH_OK && o->json)
		status = print_findings(&f, cases, jobs, &err);
	else if (status == MH_OK && wrong == 0)
		(void)printf("all is well: %" PRId64 " case%s, %" PRId64 " job%s\n", cases, cases == 1 ? "" : "s", jobs,
		    jobs == 1 ? "" : "s");
	if (status != MH_OK)
		work_log("%s", err.text);
	cJSON_Delete(f.wrong);
	work_release(&w);
	return status == MH_OK && wrong > 0 ? EXIT_ATTENTION : work_exit(status);
}

/* -- the words ----------------------------------------------------------------------------------------------------- */

/* A row here is a new one; it stands in the usage of mailhook/cli.c and work/main.c too. */
static const struct {
	const char *name;
	size_t n_operands; /* behind it: operands[1] and so on */
	const char *needs;
	int (*run)(const struct options *o);
} words[] = {
	{ "check", 0, "takes no more words", check_ledger },
	{ "copy", 2, "needs FROM and TO, or --undo and the LEDGER alone", copy_command },
	{ "forget", 1, "needs a NODE, as status names them", forget_command },
};

int
ledger_command(const struct options *o)
{
	char list[100] = "", shown[60];
	size_t used = 0;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (o->n_operands > 0 && strcmp(o->operands[0], words[i].name) == 0) {
			const bool undo = o->undo != NULL && words[i].run == copy_command;
			if (o->n_operands == (undo ? 1 : words[i].n_operands + 1) && (undo || o->undo == NULL))
				return words[i].run(o);
			work_log("ledger %s: it %s: see 'mailhook ledger --help'", words[i].name, words[i].needs);
			return EXIT_USAGE;
		}
		const int n = snprintf(
		    list + used, sizeof(list) - used, "%s'mailhook ledger %s'", i == 0 ? "" : ", ", words[i].name);
		used += n > 0 && (size_t)n < sizeof(list) - used ? (size_t)n : 0;
	}
	if (o->n_operands == 0)
		work_log("ledger: which? %s", list);
	else
		work_log("ledger: not \"%s\"; what there is: %s",
		    mh_escape(shown, sizeof(shown), span_of(o->operands[0])), list);
	return EXIT_USAGE;
}
