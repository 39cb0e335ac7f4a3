/* member.c: see member.h. */
#include "mailhook/work/member.h"

#include "mailhook/clock.h"
#include "mailhook/work/log.h"
#include "mailhook/work/node.h"
#include "mailhook/work/state.h"

#define ASK_MS 3000   /* a server without calls is asked so often */
#define LOOK_SHARE 20 /* of the time at most a twentieth goes into counting a long intake */

static bool
apart(const struct work *w)
{
	return w->db == NULL || w->db->engine->local;
}

enum mh_status
member_enter(struct member *m, struct work *w, int64_t *ret_seen, int64_t *ret_ago_s, struct mh_err *err)
{
	const enum mh_status status = node_enter(w, ret_seen, ret_ago_s, err);

	m->entered = status == MH_OK;
	m->beat_at_ms = 0;
	return status;
}

static void
look_at_intake(struct member *m, const struct work *w)
{
	const int64_t begun = clock_monotonic_ms();
	struct state s = { 0 };

	if (begun < m->look_at_ms)
		return;
	state_look_at_intake(w->conf->intake_dir, clock_now(), &s);
	m->intake = s.intake;
	m->oldest_s = s.oldest_s;
	m->bad = s.bad;
	m->look_at_ms = begun + (clock_monotonic_ms() - begun) * LOOK_SHARE;
}

enum mh_status
member_round(struct member *m, struct work *w, size_t running, const char *trouble, struct mh_err *err)
{
	const int64_t begun = clock_monotonic_ms();
	int64_t seen, ago;

	if (apart(w) || (begun < m->beat_at_ms && (trouble != NULL) == m->told_trouble))
		return MH_OK;
	look_at_intake(m, w);
	const struct node_report r = { m->intake, m->oldest_s, m->bad, (int64_t)running, trouble };
	enum mh_status status = node_beat(w, &r, err);
	if (status == MH_SKIP) { /* it was forgotten, or taken over while we were away */
		status = member_enter(m, w, &seen, &ago, err);
		if (status == MH_SKIP) {
			m->ousted = true;
			return MH_BAD;
		}
		if (status == MH_OK)
			status = node_beat(w, &r, err);
	}
	if (status == MH_OK) {
		m->beat_at_ms = begun + INT64_C(1000) * node_beat_s();
		m->told_trouble = trouble != NULL;
	}
	return status;
}

int64_t
member_sleep_ms(const struct member *m, const struct work *w, int64_t ms)
{
	const int64_t left = m->beat_at_ms - clock_monotonic_ms();

	if (apart(w))
		return ms;
	if (left < ms)
		ms = left;
	return w->db->engine->ear(w->db) < 0 && ms > ASK_MS ? ASK_MS : ms;
}

size_t
member_pollfds(struct member *m, struct work *w, struct pollfd *fds, int *ret_timeout_ms)
{
	(void)m;
	if (apart(w))
		return 0;
	if (w->db->engine->heard(w->db))
		*ret_timeout_ms = 0;
	const int ear = w->db->engine->ear(w->db);
	if (ear < 0)
		return 0;
	*fds = (struct pollfd){ .fd = ear, .events = POLLIN };
	return 1;
}

enum mh_status
member_leave(struct member *m, struct work *w, struct mh_err *err)
{
	if (apart(w) || !m->entered)
		return MH_OK;
	m->entered = false;
	return node_leave(w, err);
}
