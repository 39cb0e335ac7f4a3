/* outlet.c: see outlet.h. Nothing here may stop the work: what cannot be written is logged once, and tried again. */
#include "mailhook/work/outlet.h"

#include <stdio.h>
#include <string.h>

#include "mailhook/clock.h"
#include "mailhook/work/log.h"
#include "mailhook/work/publish.h"
#include "mailhook/work/standstill.h"
#include "mailhook/work/state.h"

#define PAGES_OFTEN_MS 2000    /* a thousand messages are a few pages */
#define PAGES_AGAIN_MS 3600000 /* "in 12 days" grows old without an event */
#define NUMBERS_OFTEN_MS 5000  /* collectors look every 15 s or less often */
#define LISTEN_AGAIN_MS 30000  /* the port may become free */
#define NUMBERS_BYTES 65536

void
outlet_init(struct outlet *o)
{
	*o = (struct outlet){ .last_event = -1, .pages_ms = -PAGES_OFTEN_MS, .numbers_ms = -NUMBERS_OFTEN_MS };
	serve_init(&o->serve);
}

void
outlet_close(struct outlet *o)
{
	serve_close(&o->serve);
}

static void
say_once(bool *said, enum mh_status status, const struct mh_err *err)
{
	if (status == MH_SKIP)
		return; /* it was not tried */
	if (status != MH_OK && !*said)
		log_event(LOG_WARNING, "outlet", NULL, "%s", err->text);
	*said = status != MH_OK;
}

/* Written a moment ago: the next look is when it may be written again. */
static bool
too_soon(struct outlet *o, int64_t written_ms, int64_t often_ms)
{
	const int64_t at = written_ms + often_ms;

	if (clock_monotonic_ms() >= at)
		return false;
	if (o->again_ms == 0 || at < o->again_ms)
		o->again_ms = at;
	return true;
}

/* -- pages --------------------------------------------------------------------------------------------------------- */

/* Every change of a case is an event. */
static enum mh_status
write_pages(struct outlet *o, struct work *w, bool last, struct mh_err *err)
{
	const int64_t ms = clock_monotonic_ms();
	int64_t event = 0;

	if (!last && too_soon(o, o->pages_ms, PAGES_OFTEN_MS))
		return MH_SKIP;
	enum mh_status status = db_one(w->db, "SELECT COALESCE(max(id), 0) FROM events", NULL, 0, &event, err);
	if (status != MH_OK || (event == o->last_event && ms - o->pages_ms < PAGES_AGAIN_MS))
		return status;
	o->pages_ms = ms;
	status = publish_cases(w, w->conf->publish_dir, clock_now(), err);
	if (status == MH_OK)
		o->last_event = event;
	return status;
}

/* -- numbers ------------------------------------------------------------------------------------------------------- */

static enum mh_status
print_numbers(struct work *w, bool runs, struct buf *out, struct mh_err *err)
{
	struct state s;
	const int64_t now = clock_now();
	const enum mh_status status = state_read(w, runs, now, &s, err);

	if (status == MH_OK) {
		state_prometheus(&s, now, out);
		state_release(&s);
	}
	return status == MH_OK && !buf_ok(out) ? mh_fail(err, MH_RETRY, "no memory for the metrics") : status;
}

static enum mh_status
write_numbers(struct outlet *o, struct work *w, bool last, struct mh_err *err)
{
	const char *slash = strrchr(w->conf->metrics_file, '/');
	char folder[1100];
	struct buf out;

	if (!last && too_soon(o, o->numbers_ms, NUMBERS_OFTEN_MS))
		return MH_SKIP;
	o->numbers_ms = clock_monotonic_ms();
	(void)snprintf(folder, sizeof(folder), "%.*s", (int)(slash - w->conf->metrics_file), w->conf->metrics_file);
	buf_init(&out, NUMBERS_BYTES);
	enum mh_status status = print_numbers(w, !last, &out, err);
	if (status == MH_OK)
		status = publish_file(folder[0] == '\0' ? "/" : folder, slash + 1, buf_span(&out), err);
	buf_release(&out);
	return status;
}

/* -- asked --------------------------------------------------------------------------------------------------------- */

struct asked {
	struct outlet *outlet;
	struct work *w;
};

/* An answer at all means that the loop turns. */
static int
answer_health(const struct outlet *o, struct work *w, struct buf *out)
{
	char pause[STANDSTILL_WORDS] = "";
	struct mh_err err = { 0 };
	const enum mh_status status = o->trouble ? MH_OK : standstill_pause(w, clock_now(), pause, &err);

	if (!o->trouble && status == MH_OK && pause[0] == '\0') {
		buf_puts(out, "ok\n");
		return 200;
	}
	if (o->trouble || status != MH_OK)
		buf_printf(out, "trouble: %s\n", o->trouble ? o->text : err.text);
	else
		buf_printf(out, "%s\n", pause);
	return 503;
}

static int
answer(void *user, struct mh_span path, struct buf *out, const char **ret_type)
{
	const struct asked *a = user;
	struct mh_err err = { 0 };

	if (span_eq(path, MH_LIT("/healthz")))
		return answer_health(a->outlet, a->w, out);
	if (!span_eq(path, MH_LIT("/metrics")))
		return 404;
	*ret_type = "text/plain; version=0.0.4; charset=utf-8";
	if (print_numbers(a->w, true, out, &err) == MH_OK)
		return 200;
	*ret_type = "text/plain; charset=utf-8";
	buf_clear(out);
	buf_printf(out, "%s\n", err.text);
	return 503;
}

/* It is another address than the one that was tried last, or that one could not be had. */
static void
listen_as_configured(struct outlet *o, const char *wanted)
{
	struct mh_err err = { 0 };

	if (strcmp(wanted, o->listens) == 0 && too_soon(o, o->listen_ms, LISTEN_AGAIN_MS))
		return;
	serve_close(&o->serve);
	o->listen_ms = clock_monotonic_ms();
	(void)snprintf(o->listens, sizeof(o->listens), "%s", wanted);
	say_once(&o->said[0], wanted[0] == '\0' ? MH_OK : serve_open(&o->serve, wanted, &err), &err);
}

/* -- the loop's side ----------------------------------------------------------------------------------------------- */

void
outlet_round(struct outlet *o, struct work *w, enum mh_status status, const struct mh_err *err, bool service, bool last)
{
	const char *wanted = !service || w->conf->metrics_listen == NULL ? "" : w->conf->metrics_listen;
	struct mh_err own = { 0 };

	o->trouble = status != MH_OK;
	(void)snprintf(o->text, sizeof(o->text), "%s", o->trouble ? err->text : "");
	o->again_ms = 0;
	if (strcmp(wanted, o->listens) != 0 || (wanted[0] != '\0' && o->serve.fd < 0))
		listen_as_configured(o, wanted);
	if (w->conf->publish_dir != NULL)
		say_once(&o->said[1], write_pages(o, w, last, &own), &own);
	if (w->conf->metrics_file != NULL)
		say_once(&o->said[2], write_numbers(o, w, last, &own), &own);
}

size_t
outlet_pollfds(const struct outlet *o, struct pollfd *fds, int *ret_timeout_ms)
{
	const int64_t left = o->again_ms - clock_monotonic_ms();
	const int ms = left < 0 ? 0 : (int)left;

	if (o->again_ms != 0 && (*ret_timeout_ms < 0 || ms < *ret_timeout_ms))
		*ret_timeout_ms = ms;
	return serve_pollfds(&o->serve, fds, ret_timeout_ms);
}

void
outlet_hear(struct outlet *o, struct work *w)
{
	struct asked asked = { o, w };

	serve_step(&o->serve, answer, &asked);
}
