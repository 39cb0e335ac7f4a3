/* definitions.c: the set of definitions in use: the shipped ones, and what folders added. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parsers/definition.h"
#include "parsers/notice_file.h"
#include "parsers/notice_words.h"
#include "parsers/prefilter.h"

#define USER_ARENA_BYTES ((size_t)64 << 20)

/* Who sends AWS's notices, also those that no definition reads yet. */
static const char *const aws_senders[] = { "health@aws.com", "notifications@aws.com", "no-reply-aws@amazon.com",
	"no-reply@amazonaws.com", "marketplace@aws.com", "no-reply@sns.amazonaws.com", NULL };

const char *const *
definitions_aws_senders(void)
{
	return aws_senders;
}

static bool
slot_init(struct definition_slot *s, const struct definition *def)
{
	struct pattern **compiled = calloc(def->n_patterns + 1, sizeof(struct pattern *));

	if (compiled == NULL)
		return false;
	s->def = def;
	s->compiled = compiled;
	return true;
}

static void
slot_release(struct definition_slot *s)
{
	for (size_t i = 0; i < s->def->n_patterns; i++)
		pattern_free(s->compiled[i]);
	free(s->compiled);
}

void
definitions_free(struct definitions *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; i < d->n; i++)
		slot_release(&d->slots[i]);
	free(d->slots);
	prefilter_free(d->prefilter);
	arena_release(&d->user);
	free(d);
}

struct definitions *
definitions_new(void)
{
	struct definitions *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	arena_init(&d->user, USER_ARENA_BYTES);
	d->cap = n_shipped_definitions;
	d->slots = calloc(d->cap + 1, sizeof(*d->slots));
	for (size_t i = 0; d->slots != NULL && i < n_shipped_definitions; i++) {
		if (!slot_init(&d->slots[i], &shipped_definitions[i])) {
			definitions_free(d);
			return NULL;
		}
		d->n++;
	}
	if (d->slots == NULL) {
		definitions_free(d);
		return NULL;
	}
	return d;
}

static enum mh_status
add(struct definitions *d, const struct definition *def, struct mh_err *err)
{
	struct definition_slot fresh;
	size_t at = 0;

	while (at < d->n && strcmp(d->slots[at].def->info.name, def->info.name) != 0)
		at++;
	if (at == MH_MAX_DEFINITIONS)
		return mh_fail(err, MH_LIMIT, "more than %d definitions", MH_MAX_DEFINITIONS);
	if (at == d->cap) {
		struct definition_slot *more = reallocarray(d->slots, d->cap * 2 + 8, sizeof(*more));

		if (more == NULL)
			return mh_fail(err, MH_RETRY, "no memory for definitions");
		d->slots = more;
		d->cap = d->cap * 2 + 8;
	}
	if (!slot_init(&fresh, def))
		return mh_fail(err, MH_RETRY, "no memory for definitions");
	if (at < d->n)
		slot_release(&d->slots[at]);
	else
		d->n++;
	d->slots[at] = fresh;
	prefilter_free(d->prefilter);
	d->prefilter = NULL;
	return MH_OK;
}

/* -- a user's folder ---------------------------------------------------------------------------------------------- */

static int
is_notice_file(const struct dirent *e)
{
	return e->d_name[0] != '.' && span_iends(span_of(e->d_name), MH_LIT(".notice"));
}

static enum mh_status
read_file(const char *path, char *text, size_t max, size_t *ret_n, struct mh_err *err)
{
	FILE *f = fopen(path, "rbe");
	enum mh_status status = MH_OK;

	/* what is gone, also behind a link, says nothing, now or later: no mail waits for it */
	if (f == NULL)
		return mh_fail_errno(err, errno == ENOENT ? MH_BAD : MH_RETRY, "%s: cannot be read", path);
	errno = 0;
	*ret_n = fread(text, 1, max, f);
	const int reason = errno;
	if (ferror(f)) /* a folder of that name holds no definition, now or later */
		status = mh_fail_errno(err, reason == EISDIR ? MH_BAD : MH_RETRY, "%s: cannot be read", path);
	(void)fclose(f);
	errno = reason; /* for the caller's words */
	return status;
}

static void complain_of(
    const char *path, void (*complain)(void *user, const char *line), void *user, const char *fmt, ...) MH_PRINTF(4, 5);

static void
complain_of(const char *path, void (*complain)(void *user, const char *line), void *user, const char *fmt, ...)
{
	char what[200], line[4400];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	(void)snprintf(line, sizeof(line), "%s:1: %s", path, what);
	complain(user, line);
}

/* A file that is wrong is not nothing: its mail shall not be lost without a word. */
static void
add_blind(struct definitions *d, const char *path, struct mh_span text)
{
	const struct definition *def = NULL;

	if (notice_words(path, text, &d->user, &def, NULL) == MH_OK)
		(void)add(d, def, NULL);
}

enum mh_status
definitions_add_file(struct definitions *d, const char *path, void (*complain)(void *user, const char *line),
    void *user, struct mh_err *err)
{
	const size_t max = MH_MAX_NOTICE_FILE_BYTES + 1;
	char *text = malloc(max);
	const struct definition *def = NULL;
	struct mh_err own = { 0 };
	size_t n = 0;
	enum mh_status status = text == NULL ? mh_fail(&own, MH_RETRY, "%s: no memory to read it", path)
					     : read_file(path, text, max, &n, &own);

	if (status != MH_OK) {
		complain_of(path, complain, user, "cannot be read: %s", strerrordesc_np(errno));
	} else {
		const struct mh_span all = { text, n };

		status = notice_file_read(path, all, &d->user, complain, user, &def, &own);
		if (status == MH_OK) {
			status = add(d, def, &own);
			if (status != MH_OK)
				complain_of(path, complain, user, "%s", own.text);
		} else {
			add_blind(d, path, all);
		}
	}
	free(text);
	if (status != MH_OK && err != NULL)
		*err = own;
	return status;
}

enum mh_status
definitions_add_folder(struct definitions *d, const char *folder, void (*complain)(void *user, const char *line),
    void *user, struct mh_err *err)
{
	struct dirent **names = NULL;
	const int n = scandir(folder, &names, is_notice_file, alphasort);
	enum mh_status worst = MH_OK;

	if (n < 0 && (errno == ENOENT || errno == ENOTDIR))
		return mh_fail_errno(err, MH_SKIP, "no folder of definitions at %s", folder);
	if (n < 0)
		return mh_fail_errno(err, MH_RETRY, "cannot read the definitions in %s", folder);
	for (int i = 0; i < n; i++) {
		char path[4096];
		struct mh_err own = { 0 };
		const int length = snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
		enum mh_status status = MH_BAD;

		if (length > 0 && (size_t)length < sizeof(path))
			status = definitions_add_file(d, path, complain, user, &own);
		if (status == MH_RETRY && worst != MH_RETRY && err != NULL)
			*err = own;
		if (status != MH_OK && worst != MH_RETRY)
			worst = status == MH_RETRY ? MH_RETRY : MH_BAD;
		free(names[i]);
	}
	free(names);
	return worst == MH_BAD ? mh_fail(err, MH_BAD, "a definition in %s was refused", folder) : worst;
}

/* -- what is asked of the set ------------------------------------------------------------------------------------- */

const struct definition_info *
definitions_info(const struct definitions *d, size_t index)
{
	for (size_t i = 0; i < d->n; i++)
		if (!d->slots[i].def->blind && index-- == 0)
			return &d->slots[i].def->info;
	return NULL;
}

void
definitions_explain(struct definitions *d, const struct explain_sink *sink)
{
	d->sink = sink;
}

enum mh_status
definitions_pattern(struct definitions *d, size_t slot, size_t pattern, struct pattern **ret, struct mh_err *err)
{
	struct definition_slot *s = &d->slots[slot];

	if (s->compiled[pattern] == NULL) {
		const enum mh_status status = pattern_new(s->def->patterns[pattern].regex, &s->compiled[pattern], err);
		if (status != MH_OK)
			return status;
	}
	*ret = s->compiled[pattern];
	return MH_OK;
}

static size_t
put_phrases(struct phrase *to, size_t at, const char *const *list, uint32_t tag)
{
	for (; *list != NULL; list++, at++)
		if (to != NULL)
			to[at] = (struct phrase){ .text = span_of(*list), .tag = tag };
	return at;
}

static size_t
all_phrases(const struct definitions *d, struct phrase *to)
{
	size_t n = put_phrases(to, 0, aws_senders, TAG_SENDER);

	for (size_t i = 0; i < d->n; i++) {
		const struct definition *def = d->slots[i].def;

		n = put_phrases(to, n, def->info.senders, TAG_SENDER);
		n = put_phrases(to, n, def->literals, (uint32_t)i);
		n = put_phrases(to, n, def->subjects, (uint32_t)i);
		n = put_phrases(to, n, def->events, (uint32_t)i);
	}
	return n;
}

const struct prefilter *
definitions_prefilter(struct definitions *d)
{
	if (d->prefilter != NULL)
		return d->prefilter;

	const size_t n = all_phrases(d, NULL);
	struct phrase *phrases = calloc(n + 1, sizeof(*phrases));

	if (phrases == NULL)
		return NULL;
	(void)all_phrases(d, phrases);
	d->prefilter = prefilter_new(phrases, n);
	free(phrases);
	return d->prefilter;
}

static bool
listed(const char *const *list, struct mh_span address)
{
	for (; *list != NULL; list++)
		if (span_eq(span_of(*list), address))
			return true;
	return false;
}

bool
definitions_sender(const struct definitions *d, struct mh_span address)
{
	if (address.n == 0)
		return false;
	if (listed(aws_senders, address))
		return true;
	for (size_t i = 0; i < d->n; i++)
		if (listed(d->slots[i].def->info.senders, address))
			return true;
	return false;
}
