/* sandbox_batch_test.c: many messages to one reader, hostile ones among them. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tests/hostile_parser.h"

/* Takes in one message; where the round trip is full, it runs, and the answers are checked in order. */
struct checker {
	struct sandbox_batch *b;
	struct arena arena;
	const char *expected[MH_BATCH]; /* subjects */
	size_t n, good, failed;
};

static void
check_run(struct checker *c)
{
	struct batch_answer answers[MH_BATCH];
	struct mh_err err = { 0 };
	size_t n = 0;

	arena_reset(&c->arena);
	if (sandbox_batch_run(c->b, &c->arena, answers, &n, &err) != MH_OK)
		fail_msg("%s", err.text);
	assert_int_equal(n, c->n);
	for (size_t i = 0; i < n; i++) {
		const struct reading *got = &answers[i].reading;

		if (strcmp(c->expected[i], "good") == 0) {
			c->good++;
			if (got->verdict != MH_IRRELEVANT || !span_eq(got->reason, MH_LIT("good")))
				fail_msg("a good message beside a hostile one: %.*s", (int)got->reason.n,
				    got->reason.p == NULL ? "" : got->reason.p);
			continue;
		}
		c->failed++;
		if (got->verdict != MH_FAILED)
			fail_msg("%s in a batch: verdict %s", c->expected[i], mh_verdict_names[got->verdict]);
	}
	c->n = 0;
}

static void
check_add(struct checker *c, const char *subject)
{
	char text[128];
	const struct mh_span m = message(text, subject);

	memcpy(sandbox_batch_room(c->b), m.p, m.n);
	c->expected[c->n++] = subject;
	if (sandbox_batch_add(c->b, m.n))
		check_run(c);
}

static void
test_batch(void **state)
{
	const struct reader r = { .parser = &hostile, .cpu_s = 1, .memory_bytes = 64u << 20, .wall_ms = 30000 };
	const size_t before = count_descriptors();
	struct mh_err err = { 0 };
	struct checker c = { 0 };
	size_t hostile_ones = 0;

	(void)state;
	arena_init(&c.arena, MH_MAX_ARENA_BYTES);
	assert_int_equal(sandbox_batch_new(&r, &c.b, &err), MH_OK);
	for (size_t i = 0; i < 200; i++)
		check_add(&c, "good");
	check_run(&c);
	check_run(&c); /* nothing to do */
	assert_int_equal(c.good, 200);

	for (size_t i = 0; i < n_deeds; i++) {
		/* Frames said out of turn pass for other messages' answers: such a child lies, and sandbox.h says
		 * what follows from that. */
		if (!can_run(&deeds[i]) || strcmp(deeds[i].name, "twice") == 0 ||
		    strcmp(deeds[i].name, "answer and crash") == 0)
			continue;
		hostile_ones++;
		check_add(&c, "good");
		check_add(&c, deeds[i].name);
		check_add(&c, "good");
		check_run(&c);
	}
	assert_int_equal(c.failed, hostile_ones);
	assert_int_equal(c.good, 200 + 2 * hostile_ones);
	sandbox_batch_free(c.b);
	arena_release(&c.arena);
	assert_no_child("batch");
	assert_int_equal(count_descriptors(), before);
}

/* The limit on processor time is a message's, not the batch's. */
static enum mh_status
slow_parse(void *state, const struct mail *m, struct arena *a, struct reading *ret, struct mh_err *err)
{
	(void)m;
	(void)a;
	(void)err;
	for (volatile unsigned long i = 0, *n = state; i < *n; i++)
		;
	ret->verdict = MH_IRRELEVANT;
	return MH_OK;
}

static void
test_batch_time(void **state)
{
	static const struct mh_parser slow = { .name = "slow", .help = "", .parse = slow_parse };
	unsigned long rounds = 1000000;
	struct timespec from, to;
	struct mh_err err = { 0 };
	struct checker c = { 0 };

	(void)state;
	/* How many rounds are some 300 ms of processor time here? Another load on the core may double it. */
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	for (volatile unsigned long i = 0; i < 20 * rounds; i++)
		;
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
	const double ms = (double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) / 1e6;
	rounds = (unsigned long)(20e6 * 300 / (ms < 1 ? 1 : ms));

	const struct reader r = { .parser = &slow, .parser_state = &rounds, .cpu_s = 1, .wall_ms = 20000 };
	arena_init(&c.arena, MH_MAX_ARENA_BYTES);
	assert_int_equal(sandbox_batch_new(&r, &c.b, &err), MH_OK);
	for (int i = 0; i < 6; i++) {
		struct batch_answer answers[MH_BATCH];
		size_t n;

		memcpy(sandbox_batch_room(c.b), "a: b\n", 5);
		(void)sandbox_batch_add(c.b, 5);
		assert_int_equal(sandbox_batch_run(c.b, &c.arena, answers, &n, &err), MH_OK);
		assert_int_equal(n, 1);
		if (answers[0].reading.verdict != MH_IRRELEVANT)
			fail_msg("message %d: %.*s", i, (int)answers[0].reading.reason.n, answers[0].reading.reason.p);
	}
	sandbox_batch_free(c.b);
	arena_release(&c.arena);
}

static void
explain_all(void *user, const struct explain_sink *sink)
{
	*(struct explain_sink *)user = *sink;
}

static enum mh_status
explaining_parse(void *state, const struct mail *m, struct arena *a, struct reading *ret, struct mh_err *err)
{
	const struct explain_sink *sink = state;

	(void)m;
	(void)a;
	(void)err;
	sink->line(sink->user, MH_LIT("first"));
	sink->line(sink->user, MH_LIT("second"));
	ret->verdict = MH_IRRELEVANT;
	return MH_OK;
}

static void
test_batch_explains(void **state)
{
	static const struct mh_parser explaining = { .name = "explaining", .help = "", .parse = explaining_parse };
	struct explain_sink sink = { 0 };
	const struct reader r = { .parser = &explaining, .parser_state = &sink, .explain = explain_all };
	struct batch_answer answers[MH_BATCH];
	struct mh_err err = { 0 };
	struct sandbox_batch *b;
	struct arena a;
	size_t n;

	(void)state;
	arena_init(&a, MH_MAX_ARENA_BYTES);
	assert_int_equal(sandbox_batch_new(&r, &b, &err), MH_OK);
	for (int i = 0; i < 3; i++)
		(void)sandbox_batch_add(b, 0);
	assert_int_equal(sandbox_batch_run(b, &a, answers, &n, &err), MH_OK);
	assert_int_equal(n, 3);
	for (size_t i = 0; i < n; i++)
		assert_true(span_eq(answers[i].explained, MH_LIT("first\nsecond\n")));
	sandbox_batch_free(b);
	arena_release(&a);
}

/* Charsets that a running child lacks: a fresh one has them. */
static void
test_batch_charsets(void **state)
{
	static const char *const subjects[] = {
		"=?utf-8?q?=C5=81?=", "=?iso-8859-2?q?=A3?=", "=?koi8-r?q?=C1?=", "=?iso-8859-2?q?=A3?="
	};
	static const char *const wanted[] = { "\xC5\x81", "\xC5\x81", "\xD0\xB0", "\xC5\x81" };
	const struct reader r = { .parser = &hostile };
	struct mh_err err = { 0 };
	struct sandbox_batch *b;
	struct arena a;

	(void)state;
	arena_init(&a, MH_MAX_ARENA_BYTES);
	assert_int_equal(sandbox_batch_new(&r, &b, &err), MH_OK);
	for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
		struct batch_answer answers[MH_BATCH];
		char text[128];
		size_t n;

		const struct mh_span m = message(text, subjects[i]);
		memcpy(sandbox_batch_room(b), m.p, m.n);
		(void)sandbox_batch_add(b, m.n);
		assert_int_equal(sandbox_batch_run(b, &a, answers, &n, &err), MH_OK);
		assert_int_equal(n, 1);
		if (!span_eq(answers[0].reading.reason, span_of(wanted[i])))
			fail_msg(
			    "%s: %.*s", subjects[i], (int)answers[0].reading.reason.n, answers[0].reading.reason.p);
	}
	sandbox_batch_free(b);
	arena_release(&a);
}

static void
add_subject(struct sandbox_batch *b, const char *subject)
{
	char text[128];
	const struct mh_span m = message(text, subject);

	memcpy(sandbox_batch_room(b), m.p, m.n);
	(void)sandbox_batch_add(b, m.n);
}

/* Two that have begun, and are waited for in the other order. */
static void
test_batches_side_by_side(void **state)
{
	static const char *const subjects[2][2] = { { "one", "two" }, { "three", "four" } };
	const struct reader r = { .parser = &hostile };
	struct mh_err err = { 0 };
	struct sandbox_batch *b[2];
	struct arena a;

	(void)state;
	arena_init(&a, MH_MAX_ARENA_BYTES);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(sandbox_batch_new(&r, &b[i], &err), MH_OK);
		for (size_t k = 0; k < 2; k++)
			add_subject(b[i], subjects[i][k]);
		assert_int_equal(sandbox_batch_start(b[i], &err), MH_OK);
	}
	for (size_t i = 2; i-- > 0;) {
		struct batch_answer answers[MH_BATCH];
		size_t n;

		assert_int_equal(sandbox_batch_run(b[i], &a, answers, &n, &err), MH_OK);
		assert_int_equal(n, 2);
		for (size_t k = 0; k < n; k++)
			assert_true(span_eq(answers[k].reading.reason, span_of(subjects[i][k])));
		assert_int_equal(sandbox_batch_run(b[i], &a, answers, &n, &err), MH_OK);
		assert_int_equal(n, 0);
	}
	for (size_t i = 0; i < 2; i++)
		sandbox_batch_free(b[i]);
	arena_release(&a);
}

static enum mh_status
peeking_parse(void *state, const struct mail *m, struct arena *a, struct reading *ret, struct mh_err *err)
{
	const volatile char *const *other = state;

	(void)m;
	(void)a;
	(void)err;
	if (*other != NULL && **other != '\0')
		ret->verdict = MH_IRRELEVANT;
	return MH_OK;
}

/* What one batch holds is not even in the memory of another's child. */
static void
test_batch_is_alone(void **state)
{
	static const struct mh_parser peeking = { .name = "peeking", .help = "", .parse = peeking_parse };
	const char *other = NULL;
	const struct reader plain = { .parser = &hostile }, r = { .parser = &peeking, .parser_state = &other };
	struct batch_answer answers[MH_BATCH];
	struct mh_err err = { 0 };
	struct sandbox_batch *held, *b;
	struct arena a;
	size_t n;

	(void)state;
	arena_init(&a, MH_MAX_ARENA_BYTES);
	assert_int_equal(sandbox_batch_new(&plain, &held, &err), MH_OK);
	assert_int_equal(sandbox_batch_new(&r, &b, &err), MH_OK);
	other = sandbox_batch_room(held);
	add_subject(held, "private");
	add_subject(b, "curious");
	assert_int_equal(sandbox_batch_run(b, &a, answers, &n, &err), MH_OK);
	assert_int_equal(n, 1);
	assert_int_equal(answers[0].reading.verdict, MH_FAILED);
	sandbox_batch_free(b);
	sandbox_batch_free(held);
	arena_release(&a);
}

static enum mh_status
erasing_parse(void *state, const struct mail *m, struct arena *a, struct reading *ret, struct mh_err *err)
{
	const struct mail_field *f = mail_field(&m->messages[0], "Subject");
	const uintptr_t page = (uintptr_t)m->raw.p & ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1);

	(void)state;
	if (f != NULL && span_eq(f->value, MH_LIT("erase"))) {
		(void)madvise((void *)page, 1, MADV_REMOVE);
		_exit(0);
	}
	ret->verdict = MH_IRRELEVANT;
	return f == NULL ? MH_OK : arena_copy(a, f->value, &ret->reason, err);
}

/* Nothing that a child does takes the other messages out of the memory that it shares with us. */
static void
test_batch_is_kept(void **state)
{
	static const struct mh_parser erasing = { .name = "erasing", .help = "", .parse = erasing_parse };
	const struct reader r = { .parser = &erasing };
	struct batch_answer answers[MH_BATCH];
	struct mh_err err = { 0 };
	struct sandbox_batch *b;
	struct arena a;
	size_t n;

	(void)state;
	arena_init(&a, MH_MAX_ARENA_BYTES);
	assert_int_equal(sandbox_batch_new(&r, &b, &err), MH_OK);
	add_subject(b, "before");
	add_subject(b, "erase");
	add_subject(b, "behind");
	assert_int_equal(sandbox_batch_run(b, &a, answers, &n, &err), MH_OK);
	assert_int_equal(n, 3);
	assert_true(span_eq(answers[0].reading.reason, MH_LIT("before")));
	assert_int_equal(answers[1].reading.verdict, MH_FAILED);
	assert_true(holds(answers[1].reading.reason, "forbids"));
	assert_true(span_eq(answers[2].reading.reason, MH_LIT("behind")));
	sandbox_batch_free(b);
	arena_release(&a);
	assert_no_child("erase");
}

/* How long the message is, and the sum of its bytes. */
static enum mh_status
summing_parse(void *state, const struct mail *m, struct arena *a, struct reading *ret, struct mh_err *err)
{
	unsigned sum = 0;

	(void)state;
	for (size_t i = 0; i < m->raw.n; i++)
		sum += (unsigned char)m->raw.p[i];
	ret->verdict = MH_UNRECOGNISED; /* a limit that was hit makes a failure of less */
	return arena_printf(a, &ret->reason, err, "%zu %u", m->raw.n, sum);
}

/* What reaches beyond the memory that is shared with a child is read as what does not, and so is what comes behind it. */
static void
test_batch_big(void **state)
{
	static const struct mh_parser summing = { .name = "summing", .help = "", .parse = summing_parse };
	static const size_t sizes[] = { 100, 20u << 20, 100, 900000, 4600000, 100, 5u << 20, (5u << 20) + 1, 6u << 20,
		100, 21u << 20, 100 };
	const struct reader r = { .parser = &summing };
	struct batch_answer answers[MH_BATCH];
	struct mh_err err = { 0 };
	struct sandbox_batch *b;
	char want[MH_BATCH][40];
	size_t waiting = 0, read = 0;
	struct arena a;

	(void)state;
	arena_init(&a, MH_MAX_ARENA_BYTES);
	assert_int_equal(sandbox_batch_new(&r, &b, &err), MH_OK);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char *room = sandbox_batch_room(b);
		unsigned sum = 0;
		size_t n = 0;

		for (size_t k = 0; k < sizes[i]; k++) {
			room[k] = (char)('a' + (i + k) % 17);
			sum += (unsigned char)room[k];
		}
		(void)snprintf(want[waiting++], sizeof(want[0]), "%zu %u", sizes[i], sum);
		const bool full = sandbox_batch_add(b, sizes[i]);
		if (!full && i + 1 < sizeof(sizes) / sizeof(sizes[0]))
			continue;
		if (sandbox_batch_run(b, &a, answers, &n, &err) != MH_OK)
			fail_msg("%s", err.text);
		assert_int_equal(n, waiting);
		for (; waiting > 0; waiting--, read++)
			if (!span_eq(answers[waiting - 1].reading.reason, span_of(want[waiting - 1])))
				fail_msg("a message's length and sum: not %s", want[waiting - 1]);
		arena_reset(&a);
	}
	assert_int_equal(read, sizeof(sizes) / sizeof(sizes[0]));
	sandbox_batch_free(b);
	arena_release(&a);
	assert_no_child("big messages");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_batch),
		cmocka_unit_test(test_batch_time),
		cmocka_unit_test(test_batch_explains),
		cmocka_unit_test(test_batch_charsets),
		cmocka_unit_test(test_batches_side_by_side),
		cmocka_unit_test(test_batch_is_alone),
		cmocka_unit_test(test_batch_is_kept),
		cmocka_unit_test(test_batch_big),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
