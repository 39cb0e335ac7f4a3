/* front_test_notice.c: `test-notice`: a definition tried on mails, beside what is expected of them. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mailhook/cli.h"
#include "mailhook/front.h"
#include "mailhook/json.h"
#include "mailhook/sandbox.h"
#include "parsers/parser.h"
#include "parsers/probe.h"
#include "parsers/render.h"

#define MAIL_END ".eml"
#define EXPECTED_END ".json"
#define MAX_WHERE 200 /* "notices[0].expires" */

enum result { AS_EXPECTED, DIFFERS, NOT_EXPECTED, UNREADABLE, RESULTS };
static const char *const result_words[RESULTS] = { "ok", "differs", "new", "unreadable" };

struct trial {
	struct reader reader;
	bool json;
	char *room; /* own */
	size_t n;   /* of the mail in it; SIZE_MAX: none could be read */
	size_t count[RESULTS];
};

/* -- comparing ---------------------------------------------------------------------------------------------------- */

static bool
differ(char where[MAX_WHERE], struct buf *ret, const cJSON *want, const cJSON *got)
{
	buf_printf(ret, "%s is ", where[0] == '\0' ? "the whole" : where);
	if (got == NULL)
		buf_put(ret, MH_LIT("not there"));
	else
		(void)json_print(got, ret);
	buf_put(ret, MH_LIT(", expected "));
	(void)json_print(want, ret);
	return false;
}

/* Whether got has all that want has; else the first place where it has not is put into ret. */
static bool
covers(char where[MAX_WHERE], const cJSON *want, const cJSON *got, struct buf *ret)
{
	const size_t n = strlen(where);
	const cJSON *item;
	int i = 0;

	if (got == NULL || (want->type & 0xFF) != (got->type & 0xFF))
		return differ(where, ret, want, got);
	if (!cJSON_IsObject(want) && !cJSON_IsArray(want))
		return cJSON_Compare(want, got, true) ? true : differ(where, ret, want, got);
	if (cJSON_IsArray(want) && cJSON_GetArraySize(want) != cJSON_GetArraySize(got))
		return differ(where, ret, want, got);
	cJSON_ArrayForEach(item, want)
	{
		const bool array = cJSON_IsArray(want);
		const cJSON *other =
		    array ? cJSON_GetArrayItem(got, i) : cJSON_GetObjectItemCaseSensitive(got, item->string);

		if (array)
			(void)snprintf(where + n, MAX_WHERE - n, "[%d]", i);
		else
			(void)snprintf(where + n, MAX_WHERE - n, "%s%s", n == 0 ? "" : ".", item->string);
		if (!covers(where, item, other, ret))
			return false;
		i++;
	}
	where[n] = '\0';
	return true;
}

/* -- one mail ----------------------------------------------------------------------------------------------------- */

static char *
room(void *user)
{
	return ((struct trial *)user)->room;
}

static bool
add(void *user, size_t n, const char *source)
{
	(void)source;
	((struct trial *)user)->n = n;
	return false; /* of an mbox the first message */
}

static void
trouble(void *user, const char *path, const struct mh_err *err)
{
	char line[1200], name[1000];

	(void)user;
	(void)snprintf(line, sizeof(line), "%s: %s", mh_escape(name, sizeof(name), span_of(path)), err->text);
	front_complain(NULL, line);
}

/* What stands in a file beside the mail. MH_SKIP: there is no such file. */
static enum mh_status
read_expected(const char *path, cJSON **ret)
{
	struct mh_err err = { 0 };
	struct buf text;
	char some[4096];
	size_t n;
	FILE *f = fopen(path, "rbe");

	if (f == NULL && errno == ENOENT)
		return MH_SKIP;
	if (f == NULL) {
		(void)mh_fail_errno(&err, MH_BAD, "cannot be read");
		trouble(NULL, path, &err);
		return MH_BAD;
	}
	buf_init(&text, MH_MAX_JSON_BYTES + 1);
	while ((n = fread(some, 1, sizeof(some), f)) > 0)
		buf_put(&text, (struct mh_span){ some, n });
	if (ferror(f) || !buf_ok(&text))
		(void)mh_fail(&err, MH_BAD, "cannot be read, or is too long");
	else
		*ret = json_parse(buf_span(&text), &err);
	(void)fclose(f);
	buf_release(&text);
	if (*ret != NULL)
		cJSON_DeleteItemFromObjectCaseSensitive(*ret, "source"); /* where it lies now says nothing */
	else
		trouble(NULL, path, &err);
	return *ret == NULL ? MH_BAD : MH_OK;
}

/* The line of `parse` for a mail. NULL: complained of. */
static cJSON *
read_mail(struct trial *t, const char *path)
{
	const struct front_sink sink = { .room = room, .add = add, .trouble = trouble, .user = t };
	struct mh_err err = { 0 };
	struct reading r;
	struct arena a;
	struct buf line;
	cJSON *j = NULL;

	t->n = SIZE_MAX;
	(void)front_source(path, &sink);
	if (t->n == SIZE_MAX)
		return NULL;
	arena_init(&a, 4 * (size_t)MH_MAX_ANSWER_BYTES);
	buf_init(&line, 4 * (size_t)MH_MAX_ANSWER_BYTES);
	if (sandbox_read(&t->reader, (struct mh_span){ t->room, t->n }, &a, &r, &err) != MH_OK)
		trouble(NULL, path, &err);
	else if (!reading_render(&r, path, &line) || (j = json_parse(buf_span(&line), &err)) == NULL)
		front_complain(NULL, "no memory for the answer");
	buf_release(&line);
	arena_release(&a);
	return j;
}

static void
tell(const struct trial *t, enum result result, const char *name, struct mh_span difference, const cJSON *got)
{
	char shown[512], words[2048];

	if (t->json) {
		MH_AUTO(drop_json) cJSON *j = cJSON_CreateObject();
		struct buf line;

		buf_init(&line, 8 * (size_t)MH_MAX_ANSWER_BYTES);
		(void)json_add_string(j, "mail", name);
		(void)json_add_string(j, "result", result_words[result]);
		(void)json_add_span(j, "difference", difference.n > 0 ? difference : MH_NONE);
		(void)cJSON_AddItemToObject(
		    j, "reading", got == NULL ? cJSON_CreateNull() : cJSON_Duplicate(got, true));
		if (json_print(j, &line))
			(void)printf("%.*s\n", (int)line.n, line.p);
		buf_release(&line);
		return;
	}
	(void)printf("%-10s %s", result_words[result], mh_escape(shown, sizeof(shown), span_of(name)));
	if (difference.n > 0)
		(void)printf(": %s", mh_escape(words, sizeof(words), difference));
	(void)putchar('\n');
}

static void
try_mail(struct trial *t, const char *folder, const char *name)
{
	const size_t stem = strlen(name) - strlen(MAIL_END);
	char mail[4096], beside[4096], where[MAX_WHERE] = "";
	MH_AUTO(drop_json) cJSON *want = NULL;
	enum result result = UNREADABLE;
	struct buf difference;

	buf_init(&difference, MH_MAX_ANSWER_BYTES);
	(void)snprintf(mail, sizeof(mail), "%s/%s", folder, name);
	(void)snprintf(beside, sizeof(beside), "%s/%.*s" EXPECTED_END, folder, (int)stem, name);

	const enum mh_status expected = read_expected(beside, &want);
	MH_AUTO(drop_json) cJSON *got = expected == MH_BAD ? NULL : read_mail(t, mail);
	if (got != NULL && expected == MH_SKIP) {
		cJSON_DeleteItemFromObjectCaseSensitive(got, "source");
		buf_printf(&difference, "no %.*s" EXPECTED_END " says what to expect; it reads ", (int)stem, name);
		(void)json_print(got, &difference);
		result = NOT_EXPECTED;
	} else if (got != NULL) {
		result = covers(where, want, got, &difference) ? AS_EXPECTED : DIFFERS;
	}
	t->count[result]++;
	tell(t, result, name, buf_span(&difference), got);
	buf_release(&difference);
}

/* -- the command -------------------------------------------------------------------------------------------------- */

static int
is_mail(const struct dirent *e)
{
	return e->d_name[0] != '.' && span_iends(span_of(e->d_name), MH_LIT(MAIL_END));
}

static int
try_folder(struct trial *t, const char *folder)
{
	struct dirent **names = NULL;
	struct mh_err err = { 0 };
	const int n = scandir(folder, &names, is_mail, alphasort);

	if (n < 0)
		(void)mh_fail_errno(&err, MH_BAD, "cannot be read");
	else if (n == 0)
		(void)mh_fail(&err, MH_BAD, "no mail is there: their names end in " MAIL_END);
	if (n <= 0) {
		trouble(NULL, folder, &err);
		free(names);
		return CLI_USAGE;
	}
	for (int i = 0; i < n; i++) {
		try_mail(t, folder, names[i]->d_name);
		free(names[i]);
	}
	free(names);
	if (!t->json)
		(void)printf("%d mails: %zu as expected, %zu differ, %zu new, %zu unreadable\n", n,
		    t->count[AS_EXPECTED], t->count[DIFFERS], t->count[NOT_EXPECTED], t->count[UNREADABLE]);
	return fflush(stdout) == 0 && t->count[AS_EXPECTED] == (size_t)n ? CLI_OK : CLI_ATTENTION;
}

int
front_test_notice(int argc, char **argv)
{
	struct trial t = { 0 };
	struct front_options o;
	struct mh_err err = { 0 };
	size_t slow = 0;
	int code = CLI_USAGE;

	if (front_options(argc, argv, "jp", &o, &err) != MH_OK) {
		front_complain(NULL, err.text);
		return CLI_USAGE;
	}
	if (o.n_paths != 2) {
		front_complain(NULL, "test-notice: a definition and a folder of mails are needed");
		return CLI_USAGE;
	}

	struct definitions *d = definitions_new();
	t.room = malloc((size_t)MH_MAX_MESSAGE_BYTES + 1);
	t.json = o.json;
	t.reader = (struct reader){ .parser = front_parser(), .parser_state = d };
	if (d == NULL || t.room == NULL) {
		front_complain(NULL, "no memory");
		code = CLI_LATER;
	} else if (definitions_add_file(d, o.paths[0], front_complain, NULL, &err) != MH_OK) {
		code = CLI_USAGE; /* also where it cannot be read: who named it is there to mend it */
	} else if (definitions_probe(d, front_complain, NULL, &slow, &err) == MH_OK) {
		if (slow == 0)
			code = try_folder(&t, o.paths[1]);
	} else if (err.code == MH_RETRY) {
		front_complain(NULL, err.text);
		code = CLI_LATER;
	}
	free(t.room);
	definitions_free(d);
	return code;
}
