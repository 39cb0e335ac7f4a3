/* fuzz_notice_file.c: any bytes as a .notice file: either a whole definition, or a complaint with its line, and then the
 * phrases that can be found all the same. */
#include <stdlib.h>
#include <string.h>

#include "parsers/notice_file.h"
#include "parsers/notice_words.h"
#include "parsers/prefilter.h"
#include "parsers/sample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
complain(void *user, const char *line)
{
	size_t *complaints = user;

	if (strncmp(line, "f.notice:", 9) != 0)
		abort();
	++*complaints;
}

/* Each can be looked for, and is found in itself. */
static void
check_phrases(const struct definition *d)
{
	for (const char *const *p = d->literals; *p != NULL; p++) {
		if (!utf8_valid(span_of(*p)) || strlen(*p) > 200)
			abort();
		if (phrase_at(span_of(*p), 0, span_of(*p)) != strlen(*p))
			abort();
	}
	for (const char *const *s = d->info.senders; *s != NULL; s++)
		if (strchr(*s, '@') == NULL)
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct definition *def = NULL;
	size_t complaints = 0;
	struct arena a;

	arena_init(&a, (size_t)8 << 20);
	const enum mh_status status = notice_file_read(
	    "f.notice", (struct mh_span){ (const char *)data, n }, &a, complain, &complaints, &def, NULL);
	if ((status == MH_OK) != (def != NULL) || (status == MH_BAD && complaints == 0))
		abort();
	const struct definition *blind = NULL;
	if (notice_words("d/f.notice", (struct mh_span){ (const char *)data, n }, &a, &blind, NULL) == MH_OK)
		check_phrases(blind);
	struct sample sample;

	sample_init(&sample);
	for (size_t i = 0; status == MH_OK && i < def->n_patterns; i++) {
		if (sample_write(def->patterns[i].regex, &sample, NULL) != MH_OK)
			continue;
		for (size_t k = 0; k < sample.n_runs; k++)
			if (sample.runs[k].n == 0 || sample.runs[k].at + sample.runs[k].n > sample.text.n)
				abort();
	}
	sample_release(&sample);
	if (status == MH_OK && (def->info.name[0] == '\0' || def->info.kind[0] == '\0' || def->n_patterns == 0))
		abort();
	arena_release(&a);
	return 0;
}
