/* fuzz_read.c: any bytes, read as a message to a verdict; what comes out, and what is told of the way, keeps its promises. */
#include <stdlib.h>

#include "mailhook/json.h"
#include "parsers/parser.h"
#include "parsers/render.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check(bool ok)
{
	if (!ok)
		abort();
}

static void
listen(void *user, struct mh_span line)
{
	MH_AUTO(drop_json) cJSON *j = json_parse(line, NULL);
	size_t *lines = user;

	check(j != NULL && json_string(j, "decision") != NULL);
	(*lines)++;
}

/* The same again with somebody who listens: each line is JSON, and nothing else changes. */
static void
explain(struct definitions *d, struct mh_span raw, struct arena *a, const struct reading *before)
{
	size_t lines = 0;
	const struct explain_sink sink = { listen, &lines };
	const enum mh_verdict verdict = before->verdict;
	const size_t notices = before->n_notices;
	struct reading r;

	definitions_explain(d, &sink);
	arena_reset(a);
	read_message(&definition_parser, d, NULL, raw, a, &r);
	definitions_explain(d, NULL);
	check(r.verdict == MH_FAILED || (r.verdict == verdict && r.n_notices == notices && lines > 0));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct mh_span raw = { (const char *)data, n };
	static struct definitions *d; /* once: making it anew would be most of a run */
	struct reading r;
	struct arena a;
	struct buf out;

	if (d == NULL)
		d = definitions_new();
	check(d != NULL);
	arena_init(&a, MH_MAX_ARENA_BYTES);
	buf_init(&out, (size_t)4 << 20);
	read_message(&definition_parser, d, NULL, raw, &a, &r);
	check(r.body_at <= n && r.n_notices <= MH_MAX_NOTICES);
	check((r.verdict == MH_NOTICE) == (r.n_notices > 0));
	check((r.verdict != MH_UNRECOGNISED && r.verdict != MH_FAILED) || r.reason.n > 0);
	check(reading_render(&r, "-", &out));
	for (size_t i = 0; i < r.n_notices; i++)
		check(r.notices[i].kind.n > 0 &&
		      (!span_starts(r.notices[i].kind, MH_LIT("aws.")) || r.notices[i].account.n == 12));
	if (n % 4 == 0) /* telling costs more than reading */
		explain(d, raw, &a, &r);
	buf_release(&out);
	arena_release(&a);
	return 0;
}
