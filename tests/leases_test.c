/* leases_test.c: jobs that nodes take, keep, lose and take over, the nodes' own rows, and the keeper that ends in time
 * what runs. On SQLite the engine is one that nodes share, but for its name: two handles are two nodes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mailhook/clock.h"
#include "mailhook/work/fence.h"
#include "mailhook/work/job.h"
#include "mailhook/work/ledger/nodes.h"
#include "mailhook/work/ledger/upkeep.h"
#include "mailhook/work/node.h"
#include "mailhook/work/nodes_look.h"
#include "mailhook/work/pass.h"
#include "mailhook/work/runner.h"
#include "mailhook/work/upkeep.h"
#include "tests/engines.h"
#include "tests/room.h"

#define CONF                                                                                                           \
	"max_running = 4\n"                                                                                            \
	"action \"turn\" { program = \"@/turn\" needs = \"unverified\" }\n"                                            \
	"action \"call\" { program = \"@/turn\" needs = \"unverified\" }\n"                                            \
	"rule \"all\" { do = {\"turn\", \"call\"} }\n"
#define LIFE_A "aaaaaaaaaaaaaaaa0000000000000001"
#define LIFE_B "bbbbbbbbbbbbbbbb0000000000000001"

/* -- two nodes ----------------------------------------------------------------------------------------------------- */

struct pair {
	struct room r;     /* node a */
	struct work other; /* node b: but for db and names it is a's */
	struct db_engine shared;
	bool away;                                /* a's ledger cannot be reached */
	bool silent;                              /* what it commits is done, but the answer is lost */
	int begun, committed, away_at, silent_at; /* the same at the nth transaction, the nth commit */
};

static struct pair *now_open; /* for the engine's functions, which know no more than a ledger */

static enum mh_status
begin(struct db *db, enum db_tx_kind kind, struct mh_err *err)
{
	now_open->begun++;
	if ((now_open->away || now_open->begun == now_open->away_at) && db == now_open->r.w.db)
		return mh_fail(err, MH_RETRY, "ledger: no way to it");
	return engines_engine()->begin(db, kind, err);
}

static enum mh_status
commit(struct db *db, struct mh_err *err)
{
	const enum mh_status status = engines_engine()->commit(db, err);

	now_open->committed++;
	return status == MH_OK && (now_open->silent || now_open->committed == now_open->silent_at)
		   ? mh_fail(err, MH_RETRY, "ledger: no answer")
		   : status;
}

static void
name_node(struct work *w, const char *node, const char *life)
{
	(void)snprintf(w->node, sizeof(w->node), "%s", node);
	(void)snprintf(w->life, sizeof(w->life), "%s", life);
	(void)snprintf(w->owner, sizeof(w->owner), "%s/%s", node, life);
}

static void
open_pair(struct pair *p)
{
	const struct db_options o = { .busy_ms = 10000 };
	struct mh_err err = { 0 };

	*p = (struct pair){ .away = false };
	now_open = p;
	room_open(&p->r, CONF);
	p->shared = *engines_engine();
	p->shared.local = false;
	p->shared.begin = begin;
	p->shared.commit = commit;
	p->other = p->r.w;
	if (ledger_open(engines_engine(), engines_where(p->r.w.conf->ledger), &o, &p->other.db, &err) != MH_OK)
		fail_msg("%s", err.text);
	p->r.w.db->engine = p->other.db->engine = &p->shared;
	name_node(&p->r.w, "a", LIFE_A);
	name_node(&p->other, "b", LIFE_B);
}

static void
close_pair(struct pair *p)
{
	db_close(p->other.db);
	room_close(&p->r);
}

/* The job that is next for a node, claimed; 0: none. */
static int64_t
next_of(struct pair *p, struct work *w)
{
	struct mh_err err = { 0 };
	struct arena a;
	struct job_row j = { 0 };

	arena_init(&a, 1 << 20);
	for (;;) {
		const enum mh_status status = ledger_lease_next(w->db, w->node, w->owner, p->r.now, &a, &j, &err);
		if (status == MH_SKIP) {
			arena_release(&a);
			return 0;
		}
		if (status != MH_OK)
			fail_msg("%s", err.text);
		if (j.state == JOB_RUNNING)
			break;
		MH_AUTO(db_tx_drop) struct db_tx tx = { NULL }; /* it is to be settled first */
		assert_int_equal(db_tx_begin(w->db, &tx, &err), MH_OK);
		assert_int_equal(job_settle(w, j.case_id, p->r.now, &err), MH_OK);
		assert_int_equal(db_tx_commit(&tx, &err), MH_OK);
	}
	arena_release(&a);
	return j.id;
}

static void
later(struct pair *p, int64_t s)
{
	room_set_time(&p->r, p->r.now + s);
}

static size_t
lapsed(struct work *w)
{
	struct mh_err err = { 0 };
	struct arena a;
	struct lease_rows rows = { 0 };

	arena_init(&a, 1 << 20);
	assert_int_equal(ledger_leases_lapsed(w->db, &a, &rows, &err), MH_OK);
	arena_release(&a);
	return rows.n;
}

static void
take_back(struct work *w, int64_t job_id, const char *owner, bool lapsed_only, int64_t now)
{
	struct mh_err err = { 0 };
	struct lease_row lease = { job_id, 0, owner };

	assert_int_equal(
	    db_one(w->db, "SELECT attempt FROM jobs WHERE id = $1", DB_ARGS(db_int(job_id)), &lease.attempt, &err),
	    MH_OK);
	if (job_requeue(w, &lease, lapsed_only, "taken back", now, &err) != MH_OK)
		fail_msg("%s", err.text);
}

static bool
held_by(struct pair *p, int64_t job_id, const struct work *w)
{
	char sql[120];

	(void)snprintf(
	    sql, sizeof(sql), "SELECT lease_owner FROM jobs WHERE id = %lld AND state = 'running'", (long long)job_id);
	return strcmp(room_text(&p->r, sql), w == NULL ? "" : w->owner) == 0;
}

/* -- jobs ---------------------------------------------------------------------------------------------------------- */

static void
one_job_of_a_case_at_a_time(void **state)
{
	struct pair p;
	struct mh_err err = { 0 };

	(void)state;
	open_pair(&p);
	(void)room_take(&p.r, &(struct say){ 0 }, NULL);
	const int64_t first = next_of(&p, &p.r.w);
	assert_true(first != 0);
	assert_int_equal(next_of(&p, &p.other), 0); /* "call" is due too, and of the same case */
	assert_int_equal(room_count(&p.r, "SELECT count(*) FROM jobs WHERE state <> 'running' AND due IS NOT NULL"), 1);
	(void)room_count(&p.r, "UPDATE jobs SET state = 'queued' WHERE state <> 'running' RETURNING id");
	const int64_t second = room_count(&p.r, "SELECT id FROM jobs WHERE state = 'queued'");
	assert_int_equal(ledger_lease_claim(p.other.db, second, p.other.owner, p.r.now, &err), MH_SKIP);
	assert_int_equal(ledger_lease_claim(p.other.db, first, p.other.owner, p.r.now, &err), MH_SKIP);
	(void)room_take(&p.r, &(struct say){ .account = "123456789013" }, NULL);
	const int64_t third = next_of(&p, &p.other);
	assert_true(third != 0 && third != second);
	assert_true(held_by(&p, first, &p.r.w));
	assert_true(held_by(&p, third, &p.other));
	close_pair(&p);
}

static void
paused_for_one_is_paused_for_all(void **state)
{
	struct pair p;
	struct mh_err err = { 0 };
	const struct pause_row pause = { .scope = "all", .name = "", .by = "alice", .why = "" };

	(void)state;
	open_pair(&p);
	const int64_t id = room_take(&p.r, &(struct say){ 0 }, NULL);
	assert_true(id != 0);
	assert_int_equal(ledger_pause_add(p.r.w.db, &pause, &err), MH_OK);
	assert_int_equal(next_of(&p, &p.other), 0);
	assert_int_equal(ledger_lease_claim(p.other.db, 1, p.other.owner, p.r.now, &err), MH_SKIP);
	assert_int_equal(ledger_pause_remove(p.r.w.db, "all", "", &err), MH_OK);
	assert_true(next_of(&p, &p.other) != 0);
	close_pair(&p);
}

static void
what_a_node_leaves_is_the_others(void **state)
{
	struct pair p;

	(void)state;
	open_pair(&p);
	(void)room_take(&p.r, &(struct say){ 0 }, NULL);
	(void)room_count(&p.r, "INSERT INTO refusals (job_id, node, until, why) SELECT id, 'a', "
			       "'2025-11-06T09:10:00Z', 'no key' FROM jobs RETURNING job_id");
	assert_int_equal(next_of(&p, &p.r.w), 0);
	later(&p, 600); /* its time ends with the end of that second */
	const int64_t id = next_of(&p, &p.r.w);
	assert_true(id != 0);
	take_back(&p.r.w, id, p.r.w.owner, false, p.r.now);
	(void)room_count(&p.r, "UPDATE refusals SET until = '2999-01-01T00:00:00Z' RETURNING job_id");
	assert_int_equal(next_of(&p, &p.r.w), 0);
	assert_true(next_of(&p, &p.other) != 0);
	close_pair(&p);
}

/* Each instant since the claim or the last renewal: what its owner and the others may do. */
static void
a_lease_ends_by_its_time(void **state)
{
	static const struct {
		int64_t after_s;
		enum mh_status owner; /* of a renewal, and of a checkpoint */
		size_t lapsed;
	} rows[] = { { 0, MH_OK, 0 }, { 59, MH_OK, 0 }, { 60, MH_OK, 0 }, { 61, MH_SKIP, 1 }, { 3600, MH_SKIP, 1 } };
	struct pair p;
	struct mh_err err = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (int checkpoint = 0; checkpoint < 2; checkpoint++) {
			open_pair(&p);
			struct work *w = &p.r.w;
			(void)room_take(&p.r, &(struct say){ 0 }, NULL);
			const int64_t id = next_of(&p, w);
			const struct lease_row ours = { id, 1, w->owner };
			later(&p, 20);
			assert_int_equal(ledger_lease_renew(w->db, &ours, &err), MH_OK);
			assert_int_equal(
			    ledger_lease_renew(p.other.db, &(const struct lease_row){ id, 1, p.other.owner }, &err),
			    MH_SKIP);
			later(&p, rows[i].after_s);
			if (lapsed(&p.other) != rows[i].lapsed)
				fail_msg("%d s: lapsed: %zu", (int)rows[i].after_s, lapsed(&p.other));
			const enum mh_status status =
			    checkpoint ? ledger_lease_checkpoint(w->db, &ours, MH_LIT("{\"step\":1}"), &err)
				       : ledger_lease_renew(w->db, &ours, &err);
			if (status != rows[i].owner)
				fail_msg("%d s: %s: %d", (int)rows[i].after_s, checkpoint ? "checkpoint" : "renewal",
				    (int)status);
			later(&p, 60);
			if (lapsed(&p.other) != rows[i].lapsed)
				fail_msg("%d s: it did not last from there", (int)rows[i].after_s);
			assert_int_equal(room_count(&p.r, "SELECT count(*) FROM jobs WHERE action_state <> '{}'"),
			    checkpoint && status == MH_OK);
			close_pair(&p);
		}
}

static void
what_has_ended_is_taken_over_once(void **state)
{
	const struct answer_line done = { .outcome = OUTCOME_DONE, .summary = "late", .retry_after_s = -1 };
	struct pair p;
	struct mh_err err = { 0 };

	(void)state;
	open_pair(&p);
	(void)room_take(&p.r, &(struct say){ 0 }, NULL);
	const int64_t id = next_of(&p, &p.r.w);
	const struct lease_row first = { id, 1, p.r.w.owner };
	assert_int_equal(ledger_lease_checkpoint(p.r.w.db, &first, MH_LIT("{\"step\":7}"), &err), MH_OK);
	take_back(&p.other, id, p.r.w.owner, true, p.r.now); /* not yet */
	assert_true(held_by(&p, id, &p.r.w));
	later(&p, 61);
	take_back(&p.other, id, "a/another-life", true, p.r.now); /* not that lease */
	assert_true(held_by(&p, id, &p.r.w));
	take_back(&p.other, id, p.r.w.owner, true, p.r.now);
	assert_true(held_by(&p, id, NULL));
	assert_int_equal(next_of(&p, &p.other), id);
	take_back(&p.r.w, id, p.r.w.owner, true, p.r.now); /* who saw it lapsed too, and was slower */
	assert_true(held_by(&p, id, &p.other));
	assert_string_equal(room_text(&p.r, "SELECT action_state FROM jobs WHERE state = 'running'"), "{\"step\":7}");
	/* whoever comes back is told nothing, and writes nothing */
	assert_int_equal(ledger_lease_checkpoint(p.r.w.db, &first, MH_LIT("{}"), &err), MH_SKIP);
	assert_int_equal(ledger_lease_renew(p.r.w.db, &first, &err), MH_SKIP);
	assert_int_equal(job_outcome(&p.r.w, &first, &done, false, p.r.now, &err), MH_SKIP);
	assert_true(held_by(&p, id, &p.other));
	assert_int_equal(room_count(&p.r, "SELECT count(*) FROM events WHERE detail LIKE '%taken back%'"), 1);
	assert_int_equal(
	    job_outcome(&p.other, &(const struct lease_row){ id, 2, p.other.owner }, &done, false, p.r.now, &err),
	    MH_OK);
	assert_int_equal(room_count(&p.r, "SELECT attempt FROM jobs WHERE state = 'done'"), 2);
	close_pair(&p);
}

/* A run of a job that is over has no say any more, though its worker has the job again. */
static void
a_run_that_is_over_is_not_the_next(void **state)
{
	const struct answer_line again = { .outcome = OUTCOME_RETRY, .summary = "again", .retry_after_s = 5 };
	struct pair p;
	struct mh_err err = { 0 };
	bool is_lapsed = false;

	(void)state;
	open_pair(&p);
	struct work *w = &p.r.w;
	(void)room_take(&p.r, &(struct say){ 0 }, NULL);
	const int64_t id = next_of(&p, w);
	const struct lease_row first = { id, 1, w->owner }, second = { id, 2, w->owner };
	assert_int_equal(job_outcome(w, &first, &again, false, p.r.now, &err), MH_OK);
	later(&p, 5);
	assert_int_equal(next_of(&p, w), id);
	assert_int_equal(ledger_lease_renew(w->db, &first, &err), MH_SKIP);
	assert_int_equal(ledger_lease_checkpoint(w->db, &first, MH_LIT("{\"step\":1}"), &err), MH_SKIP);
	assert_int_equal(ledger_lease_look(w->db, &first, &is_lapsed, &err), MH_SKIP);
	assert_int_equal(job_outcome(w, &first, &again, false, p.r.now, &err), MH_SKIP);
	assert_int_equal(job_requeue(w, &first, false, "stopped", p.r.now, &err), MH_OK);
	assert_true(held_by(&p, id, w));
	assert_int_equal(ledger_lease_renew(w->db, &second, &err), MH_OK);
	close_pair(&p);
}

static void
one_node_judges_a_message(void **state)
{
	struct pair p;
	struct mh_err err = { 0 };
	struct verification_row of_a, of_b;
	struct taken taken = { 0 };

	(void)state;
	open_pair(&p);
	(void)room_take(&p.r, &(struct say){ 0 }, &taken);
	assert_int_equal(ledger_verification_add(p.r.w.db, taken.message_id, p.r.now, p.r.now, MH_NONE, &err), MH_OK);
	assert_int_equal(ledger_verification_due(p.r.w.db, p.r.now, &of_a, &err), MH_OK);
	assert_int_equal(ledger_verification_due(p.other.db, p.r.now, &of_b, &err), MH_OK);
	assert_int_equal(ledger_verification_take(p.r.w.db, &of_a, p.r.now + 300, &err), MH_OK);
	assert_int_equal(ledger_verification_take(p.other.db, &of_b, p.r.now + 300, &err), MH_SKIP);
	assert_int_equal(ledger_verification_due(p.other.db, p.r.now + 299, &of_b, &err), MH_SKIP);
	assert_int_equal(ledger_verification_due(p.other.db, p.r.now + 300, &of_b, &err), MH_OK);
	assert_int_equal(of_b.attempts, of_a.attempts);
	close_pair(&p);
}

/* With a ledger of one machine a lease ends with its worker, whatever the clock does; but a terminal's by its time. */
static void
a_local_lease_has_no_end(void **state)
{
	struct pair p;
	struct mh_err err = { 0 };
	char owner[160];
	int64_t next = 0;

	(void)state;
	open_pair(&p);
	p.shared.local = true;
	(void)room_take(&p.r, &(struct say){ 0 }, NULL);
	const int64_t id = next_of(&p, &p.r.w);
	const struct lease_row ours = { id, 1, p.r.w.owner };
	later(&p, 86400);
	assert_int_equal(lapsed(&p.other), 0);
	assert_int_equal(ledger_leases_next(p.r.w.db, p.r.now, &next, &err), MH_SKIP);
	assert_int_equal(ledger_lease_checkpoint(p.r.w.db, &ours, MH_LIT("{}"), &err), MH_OK);
	take_back(&p.r.w, id, p.r.w.owner, false, p.r.now);
	(void)snprintf(owner, sizeof(owner), "%s%s", p.r.w.owner, LEDGER_HANDOVER);
	assert_int_equal(ledger_lease_claim(p.r.w.db, id, owner, p.r.now, &err), MH_OK);
	assert_int_equal(ledger_leases_next(p.r.w.db, p.r.now, &next, &err), MH_OK);
	assert_int_equal(next, p.r.now + 61);
	later(&p, 61);
	assert_int_equal(lapsed(&p.other), 1);
	close_pair(&p);
}

/* -- nodes --------------------------------------------------------------------------------------------------------- */

enum doing { ENTER, BEAT, LEAVE, FORGET };

struct step {
	enum doing doing;
	const char *node, *life;
	int64_t after_s; /* since the step before */
	enum mh_status comes;
};

static const struct node_row_test {
	const char *name;
	struct step steps[6];
} nodes_rows[] = {
	{ "two names", { { ENTER, "a", LIFE_A, 0, MH_OK }, { ENTER, "b", LIFE_B, 0, MH_OK },
			   { BEAT, "a", LIFE_A, 10, MH_OK }, { BEAT, "b", LIFE_B, 0, MH_OK } } },
	{ "one name is one worker's",
	    { { ENTER, "a", LIFE_A, 0, MH_OK }, { ENTER, "a", LIFE_B, 0, MH_SKIP }, { ENTER, "a", LIFE_B, 30, MH_SKIP },
		{ BEAT, "a", LIFE_B, 0, MH_SKIP }, { BEAT, "a", LIFE_A, 0, MH_OK } } },
	{ "who was not seen for half a minute has lost its name",
	    { { ENTER, "a", LIFE_A, 0, MH_OK }, { ENTER, "a", LIFE_B, 31, MH_OK }, { BEAT, "a", LIFE_A, 0, MH_SKIP },
		{ ENTER, "a", LIFE_A, 0, MH_SKIP }, { BEAT, "a", LIFE_B, 0, MH_OK } } },
	{ "a worker of the same folder is dead when the next one starts",
	    { { ENTER, "a", LIFE_A, 0, MH_OK }, { ENTER, "a", "aaaaaaaaaaaaaaaa0000000000000002", 0, MH_OK },
		{ BEAT, "a", LIFE_A, 0, MH_SKIP } } },
	{ "who stopped in order leaves the name",
	    { { ENTER, "a", LIFE_A, 0, MH_OK }, { LEAVE, "a", LIFE_A, 0, MH_OK }, { ENTER, "a", LIFE_B, 0, MH_OK } } },
	{ "nobody leaves for another",
	    { { ENTER, "a", LIFE_A, 0, MH_OK }, { LEAVE, "a", LIFE_B, 0, MH_OK }, { BEAT, "a", LIFE_A, 0, MH_OK } } },
	{ "who lives is not forgotten", { { ENTER, "a", LIFE_A, 0, MH_OK }, { FORGET, "a", NULL, 60, MH_SKIP },
					    { FORGET, "b", NULL, 0, MH_SKIP }, { FORGET, "a", NULL, 1, MH_OK },
					    { BEAT, "a", LIFE_A, 0, MH_SKIP }, { ENTER, "a", LIFE_A, 0, MH_OK } } },
	{ "who stopped is forgotten at once",
	    { { ENTER, "a", LIFE_A, 0, MH_OK }, { LEAVE, "a", LIFE_A, 0, MH_OK }, { FORGET, "a", NULL, 0, MH_OK } } },
};

static enum mh_status
do_step(struct work *w, const struct step *s, int64_t now, struct mh_err *err)
{
	const struct node_report report = { 3, 40, 0, 2, "a \"trouble\"" };
	int64_t seen, ago;

	if (s->doing == FORGET)
		return ledger_node_forget(w->db, s->node, now - node_silent_s(), err);
	name_node(w, s->node, s->life);
	if (s->doing == ENTER)
		return node_enter(w, &seen, &ago, err);
	return s->doing == BEAT ? node_beat(w, &report, err) : node_leave(w, err);
}

static void
nodes_have_names(void **state)
{
	struct pair p;
	struct mh_err err = { 0 };

	(void)state;
	open_pair(&p);
	for (size_t i = 0; i < sizeof(nodes_rows) / sizeof(nodes_rows[0]); i++) {
		(void)room_count(&p.r, "DELETE FROM nodes RETURNING 1");
		for (size_t k = 0; k < 6 && nodes_rows[i].steps[k].node != NULL; k++) {
			const struct step *s = &nodes_rows[i].steps[k];

			later(&p, s->after_s);
			const enum mh_status status = do_step(&p.r.w, s, p.r.now, &err);
			if (status != s->comes)
				fail_msg("%s: step %zu: %d: %s", nodes_rows[i].name, k, (int)status,
				    status == MH_OK ? "" : err.text);
		}
	}
	close_pair(&p);
}

static void
nodes_are_looked_at(void **state)
{
	const struct node_report well = { 3, 40, 0, 2, NULL }, ill = { 0, 0, 0, 0, "a \"trouble\"" };
	struct pair p;
	struct mh_err err = { 0 };
	struct arena a;
	struct node_looks nodes = { 0 };
	int64_t seen, ago;

	(void)state;
	open_pair(&p);
	arena_init(&a, 1 << 20);
	assert_int_equal(node_enter(&p.r.w, &seen, &ago, &err), MH_OK);
	assert_int_equal(node_enter(&p.other, &seen, &ago, &err), MH_OK);
	assert_int_equal(node_beat(&p.r.w, &well, &err), MH_OK);
	assert_int_equal(node_beat(&p.other, &well, &err), MH_OK);
	assert_int_equal(nodes_look(&p.r.w, &a, &nodes, &err), MH_OK);
	assert_int_equal(nodes.n, 2);
	assert_string_equal(nodes.items[1].name, "b");
	assert_int_equal(nodes.items[1].intake * 100 + nodes.items[1].running, 302);
	assert_int_equal(nodes.items[1].state, NODE_RUNS);
	assert_false(nodes_attention(&nodes));

	later(&p, 60);
	assert_int_equal(node_beat(&p.r.w, &well, &err), MH_OK);
	assert_int_equal(nodes_look(&p.r.w, &a, &nodes, &err), MH_OK);
	assert_false(nodes_attention(&nodes));
	later(&p, 1);
	assert_int_equal(nodes_look(&p.r.w, &a, &nodes, &err), MH_OK);
	assert_int_equal(nodes.items[0].state, NODE_RUNS);
	assert_int_equal(nodes.items[1].state, NODE_SILENT);
	assert_int_equal(nodes.items[1].running, 0);
	assert_true(nodes_attention(&nodes));

	assert_int_equal(node_leave(&p.other, &err), MH_OK);
	assert_int_equal(nodes_look(&p.r.w, &a, &nodes, &err), MH_OK);
	assert_int_equal(nodes.items[1].state, NODE_STOPPED);
	assert_false(nodes_attention(&nodes));
	later(&p, NODES_STOPPED_S + 1);
	assert_int_equal(node_beat(&p.r.w, &well, &err), MH_OK);
	assert_int_equal(nodes_look(&p.r.w, &a, &nodes, &err), MH_OK);
	assert_true(nodes_attention(&nodes));

	assert_int_equal(ledger_node_forget(p.r.w.db, "b", p.r.now, &err), MH_OK);
	assert_int_equal(node_beat(&p.r.w, &ill, &err), MH_OK);
	assert_int_equal(nodes_look(&p.r.w, &a, &nodes, &err), MH_OK);
	assert_int_equal(nodes.n, 1);
	assert_string_equal(nodes.items[0].trouble, "a \"trouble\"");
	assert_true(nodes_attention(&nodes));
	arena_release(&a);
	close_pair(&p);
}

static enum mh_status
a_day_behind(struct db *db, int64_t *ret, struct mh_err *err)
{
	const enum mh_status status = engines_engine()->now(db, ret, err);

	*ret -= INT64_C(86400);
	return status;
}

static enum mh_status
a_day_and_a_second_ahead(struct db *db, int64_t *ret, struct mh_err *err)
{
	const enum mh_status status = engines_engine()->now(db, ret, err);

	*ret += INT64_C(86401);
	return status;
}

static void
a_clock_that_is_off_is_told(void **state)
{
	static const struct {
		const char *name;
		enum mh_status (*server)(struct db *db, int64_t *ret, struct mh_err *err);
		const char *trouble; /* of the round itself */
		const char *told;
	} rows[] = {
		{ "one clock", NULL, NULL, NULL },
		{ "ahead", a_day_behind, NULL, "its clock is 86400 s ahead of the ledger server's" },
		{ "behind", a_day_and_a_second_ahead, NULL, "its clock is 86401 s behind the ledger server's" },
		{ "what fails is told first", a_day_behind, "no room", "no room" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pair p;
		struct arena a;
		struct mh_err err = { 0 };
		struct node_looks nodes;
		int64_t seen, ago;
		const struct node_report r = { .trouble = rows[i].trouble };

		open_pair(&p);
		arena_init(&a, 1 << 20);
		if (rows[i].server != NULL)
			p.shared.now = rows[i].server;
		assert_int_equal(node_enter(&p.r.w, &seen, &ago, &err), MH_OK);
		assert_int_equal(node_beat(&p.r.w, &r, &err), MH_OK);
		assert_int_equal(nodes_look(&p.r.w, &a, &nodes, &err), MH_OK);
		const char *told = nodes.items[0].trouble;
		if ((told == NULL) != (rows[i].told == NULL) || (told != NULL && strcmp(told, rows[i].told) != 0))
			fail_msg("%s: %s", rows[i].name, told == NULL ? "nothing" : told);
		assert_int_equal(nodes_attention(&nodes), rows[i].told != NULL);
		/* nor does it do what cannot be undone: it leaves what time brings, and the purge, to right ones */
		struct pass pass = { 0 };
		bool more;
		assert_int_equal(pass_time(&p.r.w, &pass, p.r.now, &more, &err), MH_OK);
		assert_int_equal(upkeep_round(&p.r.w, p.r.now, &more, &err), MH_OK);
		const int64_t purged = room_count(&p.r, "SELECT count(*) FROM meta WHERE name = 'purged'");
		if (pass.started != (rows[i].server == NULL) || purged != (rows[i].server == NULL))
			fail_msg("%s: it does what time brings", rows[i].name);
		arena_release(&a);
		close_pair(&p);
	}
}

/* The folder's half of a life stays, so that what an earlier worker of it left is known. */
static void
a_life_is_of_its_folder(void **state)
{
	struct pair p;
	struct mh_err err = { 0 };
	struct work again;
	char first[WORK_LIFE_BYTES];

	(void)state;
	open_pair(&p);
	assert_int_equal(node_name(&p.r.w, &err), MH_OK);
	assert_int_equal(node_settle(&p.r.w, &err), MH_OK);
	(void)snprintf(first, sizeof(first), "%s", p.r.w.life);
	again = p.r.w;
	assert_int_equal(node_name(&again, &err), MH_OK);
	assert_int_not_equal(strncmp(again.life, first, 16), 0);
	assert_int_equal(node_settle(&again, &err), MH_OK);
	assert_int_equal(strncmp(again.life, first, 16), 0);
	assert_int_not_equal(strcmp(again.life, first), 0);
	assert_true(span_starts(span_of(p.r.w.owner), node_owners(&again)));
	close_pair(&p);
}

/* Whoever runs in the folder that this one was copied from is alive, for all that is known. */
static void
a_copy_of_the_folder_has_a_life_of_its_own(void **state)
{
	struct pair p;
	struct mh_err err = { 0 };
	char path[300], kept[320], text[200], first[WORK_LIFE_BYTES];

	(void)state;
	open_pair(&p);
	assert_int_equal(node_name(&p.r.w, &err), MH_OK);
	assert_int_equal(node_settle(&p.r.w, &err), MH_OK);
	(void)snprintf(first, sizeof(first), "%s", p.r.w.life);
	(void)snprintf(path, sizeof(path), "%s/node.id", p.r.w.conf->state_dir);
	(void)snprintf(kept, sizeof(kept), "%s.kept", path);
	assert_int_equal(rename(path, kept), 0);
	FILE *from = fopen(kept, "re"), *to = fopen(path, "we");
	assert_true(from != NULL && to != NULL);
	const size_t n = fread(text, 1, sizeof(text), from);
	assert_true(n > 16 && fwrite(text, 1, n, to) == n);
	assert_true(fclose(from) == 0 && fclose(to) == 0);
	assert_int_equal(node_settle(&p.r.w, &err), MH_OK);
	assert_int_not_equal(strncmp(p.r.w.life, first, 16), 0);
	(void)snprintf(first, sizeof(first), "%s", p.r.w.life); /* which stays from there */
	assert_int_equal(node_settle(&p.r.w, &err), MH_OK);
	assert_int_equal(strncmp(p.r.w.life, first, 16), 0);
	close_pair(&p);
}

/* -- the keeper ---------------------------------------------------------------------------------------------------- */

/* A group of two that only a signal ends; *ret_end says by its end of file when both are gone. */
static pid_t
start_group(int *ret_end)
{
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	const pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)setpgid(0, 0);
		(void)close(ends[0]);
		(void)fork();
		(void)alarm(60); /* outlives no test for long */
		for (;;)
			(void)pause();
	}
	(void)setpgid(pid, pid);
	(void)close(ends[1]);
	*ret_end = ends[0];
	return pid;
}

static bool
gone_within(int end, int ms)
{
	struct pollfd fd = { .fd = end, .events = POLLIN };

	return poll(&fd, 1, ms) == 1;
}

static void
end_group(pid_t pid, int end)
{
	(void)kill(-pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(gone_within(end, 10000));
	(void)close(end);
}

static void
the_keeper_ends_in_time(void **state)
{
	struct fence *f = NULL;
	struct mh_err err = { 0 };
	int ends[3];
	pid_t groups[3];

	(void)state;
	assert_int_equal(fence_open(&f, &err), MH_OK);
	for (size_t i = 0; i < 3; i++)
		groups[i] = start_group(&ends[i]);
	const int64_t begun = clock_boot_ms();
	assert_int_equal(fence_set(f, groups[0], begun + 200, &err), MH_OK);
	assert_int_equal(fence_set(f, groups[1], begun + 100, &err), MH_OK);
	assert_int_equal(fence_set(f, groups[1], begun + 60000, &err), MH_OK); /* renewed */
	assert_int_equal(fence_set(f, groups[2], begun + 100, &err), MH_OK);
	assert_int_equal(fence_set(f, groups[2], FENCE_NEVER, &err), MH_OK);
	assert_true(gone_within(ends[0], 10000));
	assert_true(clock_boot_ms() - begun >= 200);
	assert_false(gone_within(ends[1], 0));
	assert_false(gone_within(ends[2], 0));
	fence_close(f);
	assert_true(gone_within(ends[1], 10000)); /* what was still kept ends with the worker */
	assert_false(gone_within(ends[2], 0));
	for (size_t i = 0; i < 3; i++)
		end_group(groups[i], ends[i]);
}

/* A worker that hangs keeps nothing from its end. */
static void
the_keeper_ends_for_a_stopped_worker(void **state)
{
	int end, status = 0;

	(void)state;
	const pid_t group = start_group(&end);
	const pid_t worker = fork();
	assert_true(worker >= 0);
	if (worker == 0) {
		struct fence *f = NULL;
		struct mh_err err = { 0 };

		(void)close(end);
		if (fence_open(&f, &err) != MH_OK || fence_set(f, group, clock_boot_ms() + 200, &err) != MH_OK)
			_exit(1);
		(void)raise(SIGSTOP);
		_exit(0);
	}
	assert_int_equal(waitpid(worker, &status, WUNTRACED), worker);
	assert_true(WIFSTOPPED(status));
	assert_true(gone_within(end, 10000));
	assert_int_equal(waitpid(group, NULL, 0), group);
	(void)close(end);
	assert_int_equal(kill(worker, SIGKILL), 0);
	assert_int_equal(waitpid(worker, NULL, 0), worker);
}

/* -- a worker that is cut off -------------------------------------------------------------------------------------- */

static int64_t
step_until(struct runner *runner, bool (*over)(const struct pair *p, const struct runner *r), const struct pair *p)
{
	struct mh_err err = { 0 };
	const int64_t until = clock_monotonic_ms() + 20000;

	while (!over(p, runner)) {
		struct pollfd fds[16];
		int timeout = 50;
		const size_t n = runner_pollfds(runner, fds, 16, &timeout);

		assert_true(clock_monotonic_ms() < until);
		(void)poll(fds, n, timeout > 50 ? 50 : timeout);
		(void)runner_step(runner, &err); /* MH_RETRY while it is cut off */
	}
	return clock_monotonic_ms();
}

static bool
works(const struct pair *p, const struct runner *r)
{
	char path[160];

	(void)r;
	(void)snprintf(path, sizeof(path), "%s/works", p->r.dir);
	return access(path, F_OK) == 0;
}

static bool
nothing_runs(const struct pair *p, const struct runner *r)
{
	(void)p;
	return runner_running(r) == 0;
}

static void
who_is_cut_off_ends_its_action_in_time(void **state)
{
	struct pair p;
	struct runner *runner = NULL;
	struct mh_err err = { 0 };
	bool more;

	(void)state;
	assert_int_equal(setenv("MAILHOOK_LEASE_S", "3", 1), 0);
	open_pair(&p);
	room_script(&p.r, "turn", "IFS= read -r q\n: >@/works\nwhile IFS= read -r q; do :; done\nsleep 60\n");
	(void)room_take(&p.r, &(struct say){ 0 }, NULL);
	assert_int_equal(runner_new(&p.r.w, &runner, &err), MH_OK);
	const int64_t begun = clock_monotonic_ms();
	assert_int_equal(runner_start(runner, p.r.now, &more, &err), MH_OK);
	assert_int_equal(runner_running(runner), 1);
	(void)step_until(runner, works, &p);
	p.away = true;
	const int64_t over = step_until(runner, nothing_runs, &p);
	/* once renewed at most before it was cut off; the lease is 3 s from there */
	if (over - begun < 2700 || over - begun > 4000)
		fail_msg("ended after %d ms", (int)(over - begun));
	p.away = false;
	assert_int_equal(room_count(&p.r, "SELECT count(*) FROM jobs WHERE state = 'running'"), 1);
	assert_int_equal(runner_step(runner, &err), MH_OK);
	assert_int_equal(lapsed(&p.other), 0); /* by the room's clock, which stood still */
	later(&p, 4);
	struct runner *others = NULL;
	assert_int_equal(runner_new(&p.other, &others, &err), MH_OK);
	assert_int_equal(runner_start(others, p.r.now, &more, &err), MH_OK);
	assert_int_equal(runner_running(others), 1);
	assert_string_equal(room_text(&p.r, "SELECT detail FROM events WHERE what = 'outcome'"),
	    "opened, attempt 1: queued again: node a did not renew its lease");
	assert_int_equal(room_count(&p.r, "SELECT attempt FROM jobs WHERE state = 'running'"), 2);
	runner_free(others);
	runner_free(runner);
	close_pair(&p);
	(void)unsetenv("MAILHOOK_LEASE_S");
}

static bool
works_again(const struct pair *p, const struct runner *r)
{
	char path[160];

	(void)r;
	(void)snprintf(path, sizeof(path), "%s/works-again", p->r.dir);
	return access(path, F_OK) == 0;
}

static bool
unanswered(const struct pair *p, const struct runner *r)
{
	struct pair *same = now_open;

	(void)r;
	assert_ptr_equal(p, same);
	return room_count(&same->r, "SELECT count(*) FROM jobs WHERE state = 'queued' AND summary = 'again'") == 1;
}

/* The outcome was written, nobody here knows it, and the job is due again: its next run is not ended by that answer. */
static void
an_answer_of_a_run_before_ends_no_run(void **state)
{
	struct pair p;
	struct runner *runner = NULL;
	struct mh_err err = { 0 };
	bool more;

	(void)state;
	open_pair(&p);
	room_script(&p.r, "turn",
	    "IFS= read -r q\nif [ -e @/works ]; then :>@/works-again; while IFS= read -r q; do :; done; sleep 60; "
	    "fi\n:>@/works\n"
	    "echo '{\"outcome\":\"retry\",\"summary\":\"again\",\"retry_after_s\":5}'\n");
	(void)room_take(&p.r, &(struct say){ 0 }, NULL);
	(void)room_count(&p.r, "UPDATE jobs SET state = 'done', due = NULL WHERE action = 'call' RETURNING id");
	assert_int_equal(runner_new(&p.r.w, &runner, &err), MH_OK);
	assert_int_equal(runner_start(runner, p.r.now, &more, &err), MH_OK);
	p.silent = true;
	(void)step_until(runner, unanswered, &p);
	p.silent = false;
	assert_int_equal(runner_running(runner), 1); /* it waits to be written */
	later(&p, 5);
	assert_int_equal(runner_start(runner, p.r.now, &more, &err), MH_OK);
	assert_int_equal(runner_running(runner), 2);
	assert_int_equal(runner_step(runner, &err), MH_OK);
	(void)step_until(runner, works_again, &p);
	assert_int_equal(runner_running(runner), 1);
	assert_int_equal(room_count(&p.r, "SELECT attempt FROM jobs WHERE state = 'running'"), 2);
	assert_int_equal(room_count(&p.r, "SELECT count(*) FROM events WHERE what = 'outcome'"), 1);
	assert_int_equal(runner_stop(runner, &err), MH_OK);
	assert_int_equal(room_count(&p.r, "SELECT count(*) FROM jobs WHERE state = 'running'"), 0);
	runner_free(runner);
	close_pair(&p);
}

/* What a person gave is written, though the ledger is away for a moment. */
static void
what_a_person_gave_is_written(void **state)
{
	static const struct {
		const char *name;
		int away_at, silent_at; /* the first is the lease's renewal */
	} rows[] = {
		{ "at once", 0, 0 },
		{ "the ledger is away", 2, 0 },
		{ "the answer is lost", 0, 2 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pair p;
		struct arena a;
		struct buf out;
		struct job_row j;
		struct mh_err err = { 0 };
		bool taken = false;

		open_pair(&p);
		arena_init(&a, 1 << 20);
		buf_init(&out, 8192);
		room_script(&p.r, "turn", "IFS= read -r q\necho '{\"outcome\":\"done\",\"summary\":\"sealed\"}'\n");
		(void)room_take(&p.r, &(struct say){ 0 }, NULL);
		const int64_t id =
		    room_count(&p.r, "UPDATE jobs SET state = 'waiting', waiting_for = 'input', due = NULL "
				     "WHERE action = 'turn' RETURNING id");
		name_node(&p.r.w, "a", LIFE_A LEDGER_HANDOVER);
		assert_int_equal(ledger_lease_claim(p.r.w.db, id, p.r.w.owner, p.r.now, &err), MH_OK);
		assert_int_equal(ledger_job_get(p.r.w.db, id, &a, &j, &err), MH_OK);
		p.begun = p.committed = 0;
		p.away_at = rows[i].away_at;
		p.silent_at = rows[i].silent_at;
		const enum mh_status status = runner_input(&p.r.w, &j, "ada", &taken, &out, &err);
		if (status != MH_OK || !taken || strcmp(out.p, "sealed") != 0 ||
		    room_count(&p.r, "SELECT count(*) FROM jobs WHERE action = 'turn' AND state = 'done'") != 1 ||
		    room_count(&p.r, "SELECT count(*) FROM events WHERE what = 'outcome'") != 1)
			fail_msg("%s: %d, %s", rows[i].name, (int)status, status == MH_OK ? out.p : err.text);
		buf_release(&out);
		arena_release(&a);
		close_pair(&p);
	}
}

/* -- a ledger that went back --------------------------------------------------------------------------------------- */

static void
put_mark(struct pair *p, const char *words)
{
	char path[200];

	(void)snprintf(path, sizeof(path), "%s/shared.mark", p->r.w.conf->state_dir);
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	assert_true(
	    fprintf(f, "%s%s\n", room_text(&p->r, "SELECT value FROM meta WHERE name = 'identity'"), words) > 0);
	assert_int_equal(fclose(f), 0);
}

/* A worker of a node had seen all of a ledger, died, and comes back; meanwhile something has become of that ledger. */
static void
a_ledger_that_went_back_is_noticed(void **state)
{
#define LAST "(SELECT max(id) FROM events)"
#define MORE                                                                                                           \
	"INSERT INTO events (at, what, by, detail) VALUES ('2025-11-06T10:00:00Z', 'paused', 'b', ''), "               \
	"('2025-11-06T10:00:00Z', 'resumed', 'b', '') RETURNING id"
	static const struct {
		const char *name, *change, *more;
		const char *mark;   /* behind the identity, in place of its own; NULL: its own */
		bool lives, paused; /* lives: the worker has not died, and its mark could not be written */
	} rows[] = {
		{ "nothing", NULL, NULL, NULL, false, false },
		{ "others went on", MORE, NULL, NULL, false, false },
		{ "the last event is gone", "DELETE FROM events WHERE id = " LAST " RETURNING id", NULL, NULL, false,
		    true },
		{ "the last event is gone, and others went on", "DELETE FROM events WHERE id = " LAST " RETURNING id",
		    MORE, NULL, false, true },
		{ "another one in its place, and others went on",
		    "UPDATE events SET at = '2025-11-06T09:59:59Z' WHERE id = " LAST " RETURNING id", MORE, NULL, false,
		    true },
		{ "it is gone, as others know", "DELETE FROM events WHERE id = " LAST " RETURNING id",
		    "INSERT INTO meta VALUES ('events-gone', '1000') RETURNING value", NULL, false, false },
		{ "a mark of an earlier version", MORE, NULL, " 1", false, false },
		{ "a mark of an earlier version that is ahead", NULL, NULL, " 99", false, true },
		{ "only the process itself knows", "DELETE FROM events WHERE id = " LAST " RETURNING id", MORE, " 1",
		    true, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pair p;
		struct mh_err err = { 0 };

		open_pair(&p);
		assert_int_equal(mark_look(&p.r.w, p.r.now, &err), MH_OK);
		(void)room_take(&p.r, &(struct say){ 0 }, NULL);
		assert_int_equal(ledger_event_add(p.r.w.db, 0, p.r.now, "resumed", "a", "", NULL, &err), MH_OK);
		mark_note(&p.r.w);
		if (rows[i].mark != NULL)
			put_mark(&p, rows[i].mark);
		if (rows[i].change != NULL)
			(void)room_count(&p.r, rows[i].change);
		if (rows[i].more != NULL)
			(void)room_count(&p.r, rows[i].more);
		if (!rows[i].lives)
			p.r.w.db->noted = (struct db_note){ 0 };
		for (int again = 0; again < 2; again++) { /* once, and not for the next one that looks */
			assert_int_equal(mark_look(&p.r.w, p.r.now, &err), MH_OK);
			const int64_t said =
			    room_count(&p.r, "SELECT count(*) FROM events WHERE what = 'restored' AND case_id IS NULL");
			if (said != rows[i].paused || room_count(&p.r, "SELECT count(*) FROM pauses") != rows[i].paused)
				fail_msg("%s: look %d: said %d times", rows[i].name, again, (int)said);
		}
		close_pair(&p);
	}
}

#define OTHER_IDENTITY "0123456789abcdef0123456789abcdef"

/* A folder stands where the mark's file is written first: that stops root, too. */
static void
a_mark_that_cannot_be_written_does_no_harm(void **state)
{
	static const struct {
		const char *name;
		bool another; /* the ledger is another one than the mark's */
		int said;
	} rows[] = {
		{ "the ledger of the mark", false, 0 },
		{ "another ledger", true, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pair p;
		struct mh_err err = { 0 };
		char path[200], tmp[240];

		open_pair(&p);
		(void)snprintf(path, sizeof(path), "%s/shared.mark", p.r.w.conf->state_dir);
		(void)snprintf(tmp, sizeof(tmp), "%s.%ld", path, (long)getpid());
		assert_true(mark_is_own(strrchr(tmp, '/') + 1) && !mark_is_own(strrchr(path, '/') + 1));
		assert_int_equal(mark_look(&p.r.w, p.r.now, &err), MH_OK);
		if (rows[i].another)
			(void)room_count(&p.r, "UPDATE meta SET value = '" OTHER_IDENTITY "' WHERE name = 'identity' "
					       "RETURNING 1");
		assert_int_equal(mkdir(tmp, 0700), 0);
		for (int look = 0; look < 3; look++) {
			const enum mh_status status = mark_look(&p.r.w, p.r.now, &err);
			const int64_t said =
			    room_count(&p.r, "SELECT count(*) FROM events WHERE what = 'restored' AND case_id IS NULL");
			if ((status == MH_OK) == rows[i].another || said != rows[i].said ||
			    room_count(&p.r, "SELECT count(*) FROM pauses") != (look == 0 ? rows[i].said : 0))
				fail_msg("%s: look %d: said %d times", rows[i].name, look, (int)said);
			(void)room_count(&p.r, "DELETE FROM pauses WHERE scope = 'all' RETURNING 1");
		}
		(void)room_take(&p.r, &(struct say){ 0 }, NULL);
		mark_note(&p.r.w);
		if (mark_write(&p.r.w, &err) == MH_OK)
			fail_msg("%s: it cannot be written, and nothing says so", rows[i].name);
		if (mark_write(&p.r.w, &err) != MH_OK)
			fail_msg("%s: it is tried again at once", rows[i].name);
		assert_int_equal(rmdir(tmp), 0);
		mark_note(&p.r.w);
		p.r.w.mark_again_ms = 1; /* a minute later */
		if (mark_write(&p.r.w, &err) != MH_OK || p.r.w.mark_again_ms != 0 || access(tmp, F_OK) == 0 ||
		    mark_look(&p.r.w, p.r.now, &err) != MH_OK || p.r.w.paused_of[0] != '\0')
			fail_msg("%s: it is not written later: %s", rows[i].name, err.text);
		close_pair(&p);
	}
}

static bool
asks(const struct pair *p, const struct runner *r)
{
	(void)r;
	return room_count((struct room *)&p->r, "SELECT count(*) FROM jobs WHERE action_state <> '{}'") == 1;
}

/* What is no event: a claim, or a checkpoint behind which an effect may be. */
static void
a_run_that_a_ledger_forgets_is_noticed(void **state)
{
	static const struct {
		const char *name, *change;
		bool paused;
	} rows[] = {
		{ "nothing", "SELECT 1", false },
		{ "its checkpoint", "UPDATE jobs SET action_state = '{}' WHERE state = 'running' RETURNING id", true },
		{ "its claim", "UPDATE jobs SET state = 'queued', attempt = 0 WHERE state = 'running' RETURNING id",
		    true },
		{ "all of it", "UPDATE jobs SET id = id + 100 WHERE state = 'running' RETURNING id", true },
		{ "it was taken back", "UPDATE jobs SET state = 'queued' WHERE state = 'running' RETURNING id", false },
		{ "another has it",
		    "UPDATE jobs SET attempt = 2, action_state = '{}' WHERE state = 'running' RETURNING id", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pair p;
		struct runner *runner = NULL;
		struct mh_err err = { 0 };
		bool more;

		open_pair(&p);
		room_script(&p.r, "turn",
		    "IFS= read -r q\necho '{\"checkpoint\":{\"step\":1}}'\nIFS= read -r q\nwhile IFS= read -r q; do :; "
		    "done\n");
		(void)room_take(&p.r, &(struct say){ 0 }, NULL);
		assert_int_equal(runner_new(&p.r.w, &runner, &err), MH_OK);
		assert_int_equal(runner_start(runner, p.r.now, &more, &err), MH_OK);
		(void)step_until(runner, asks, &p);
		(void)room_count(&p.r, rows[i].change);
		for (int again = 0; again < 2; again++) {
			assert_int_equal(runner_look(runner, p.r.now, &err), MH_OK);
			if (room_count(
				&p.r, "SELECT count(*) FROM events WHERE what = 'restored' AND case_id IS NULL") !=
			    rows[i].paused)
				fail_msg("%s: look %d", rows[i].name, again);
		}
		runner_free(runner);
		close_pair(&p);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_job_of_a_case_at_a_time),
		cmocka_unit_test(paused_for_one_is_paused_for_all),
		cmocka_unit_test(what_a_node_leaves_is_the_others),
		cmocka_unit_test(a_lease_ends_by_its_time),
		cmocka_unit_test(what_has_ended_is_taken_over_once),
		cmocka_unit_test(a_run_that_is_over_is_not_the_next),
		cmocka_unit_test(one_node_judges_a_message),
		cmocka_unit_test(a_local_lease_has_no_end),
		cmocka_unit_test(nodes_have_names),
		cmocka_unit_test(nodes_are_looked_at),
		cmocka_unit_test(a_clock_that_is_off_is_told),
		cmocka_unit_test(a_life_is_of_its_folder),
		cmocka_unit_test(a_copy_of_the_folder_has_a_life_of_its_own),
		cmocka_unit_test(the_keeper_ends_in_time),
		cmocka_unit_test(the_keeper_ends_for_a_stopped_worker),
		cmocka_unit_test(who_is_cut_off_ends_its_action_in_time),
		cmocka_unit_test(a_ledger_that_went_back_is_noticed),
		cmocka_unit_test(a_mark_that_cannot_be_written_does_no_harm),
		cmocka_unit_test(a_run_that_a_ledger_forgets_is_noticed),
		cmocka_unit_test(an_answer_of_a_run_before_ends_no_run),
		cmocka_unit_test(what_a_person_gave_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
