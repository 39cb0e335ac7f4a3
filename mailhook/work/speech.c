/* speech.c: see speech.h. */
#include "mailhook/work/speech.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define LINE_BYTES 4096
#define SAID_BYTES ((size_t)16 << 20)

void
speech_open(struct speech *s, bool json)
{
	*s = (struct speech){ .json = json, .whole = true };
	if (!json)
		return;
	s->j = cJSON_CreateObject();
	s->said = cJSON_CreateArray();
	s->whole = s->j != NULL && s->said != NULL;
}

void
speech_release(struct speech *s)
{
	cJSON_Delete(s->j);
	cJSON_Delete(s->said);
	*s = (struct speech){ 0 };
}

static void
add_line(struct speech *s, const char *line)
{
	cJSON *text = cJSON_CreateString(line);

	if (text != NULL && cJSON_AddItemToArray(s->said, text))
		return;
	cJSON_Delete(text);
	s->whole = false;
}

void
speech_say(struct speech *s, const char *fmt, ...)
{
	char line[LINE_BYTES];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (s->json && s->whole)
		add_line(s, line);
	else if (!s->json)
		(void)puts(line);
}

void
speech_integer(struct speech *s, const char *key, int64_t value)
{
	s->whole = s->whole && (!s->json || json_add_integer(s->j, key, value));
}

void
speech_string(struct speech *s, const char *key, const char *value)
{
	s->whole = s->whole && (!s->json || json_add_string(s->j, key, value));
}

void
speech_bool(struct speech *s, const char *key, bool value)
{
	s->whole = s->whole && (!s->json || cJSON_AddBoolToObject(s->j, key, value) != NULL);
}

cJSON *
speech_item(struct speech *s, const char *list)
{
	if (!s->json || !s->whole)
		return NULL;
	cJSON *items = cJSON_GetObjectItemCaseSensitive(s->j, list), *item = cJSON_CreateObject();
	if (items == NULL)
		items = cJSON_AddArrayToObject(s->j, list);
	if (items != NULL && item != NULL && cJSON_AddItemToArray(items, item))
		return item;
	cJSON_Delete(item);
	s->whole = false;
	return NULL;
}

enum mh_status
speech_end(struct speech *s, struct mh_err *err)
{
	struct buf out;

	if (!s->json)
		return MH_OK;
	if (s->whole && cJSON_AddItemToObject(s->j, "said", s->said))
		s->said = NULL; /* j has it */
	buf_init(&out, SAID_BYTES);
	const bool ok = s->said == NULL && s->whole && json_print(s->j, &out) && buf_ok(&out);
	if (ok)
		(void)puts(out.p);
	buf_release(&out);
	return ok ? MH_OK : mh_fail(err, MH_RETRY, "it is done, and there is no memory to tell of it");
}

enum mh_status
speech_listen(struct speech *s, int *ret_keep, struct mh_err *err)
{
	int keep = -1;

	*ret_keep = -1;
	if (!s->json)
		return MH_OK;
	(void)fflush(stdout);
	const int file = memfd_create("said", MFD_CLOEXEC);
	if (file >= 0)
		keep = dup(STDOUT_FILENO);
	const bool ok = keep >= 0 && dup2(file, STDOUT_FILENO) >= 0;
	if (!ok)
		mh_fail_errno(err, MH_RETRY, "no file for what is said");
	if (!ok && keep >= 0)
		(void)close(keep);
	if (file >= 0)
		(void)close(file);
	*ret_keep = ok ? keep : -1;
	return ok ? MH_OK : MH_RETRY;
}

/* The lines of what was printed. */
static void
read_lines(struct speech *s, FILE *from)
{
	char *line = NULL;
	size_t bytes = 0;
	ssize_t n;

	rewind(from);
	while (s->whole && (n = getline(&line, &bytes, from)) > 0) {
		if (line[n - 1] == '\n')
			line[n - 1] = '\0';
		add_line(s, line);
	}
	free(line);
}

void
speech_hear(struct speech *s, int keep)
{
	if (keep < 0)
		return;
	(void)fflush(stdout);
	const int copy = dup(STDOUT_FILENO);
	FILE *from = copy < 0 ? NULL : fdopen(copy, "r");
	(void)dup2(keep, STDOUT_FILENO);
	(void)close(keep);
	if (from == NULL && copy >= 0)
		(void)close(copy);
	s->whole = s->whole && from != NULL;
	if (from == NULL)
		return;
	read_lines(s, from);
	(void)fclose(from);
}
