/* protocol.c: lines out, one line in after each checkpoint. */
#include "actions/common/protocol.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mailhook/clock.h"
#include "mailhook/fd.h"

#define NO_DEADLINE INT64_MAX

void
protocol_init(struct protocol *p, int in_fd, int out_fd)
{
	*p = (struct protocol){ .in_fd = in_fd, .out_fd = out_fd, .deadline_ms = NO_DEADLINE };
	buf_init(&p->input, MH_MAX_ACTION_REQUEST_BYTES + 1);
}

void
protocol_release(struct protocol *p)
{
	buf_release(&p->input);
}

/* Waits for bytes, but never past the deadline. */
static bool
wait_input(const struct protocol *p)
{
	for (;;) {
		struct pollfd fd = { p->in_fd, POLLIN, 0 };
		const int64_t left = p->deadline_ms == NO_DEADLINE ? 60000 : p->deadline_ms - clock_monotonic_ms();

		if (left <= 0)
			return false;
		const int n = poll(&fd, 1, left > 60000 ? 60000 : (int)left);
		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			return false;
		if (n == 0 && p->deadline_ms == NO_DEADLINE)
			return false;
	}
}

/* The next line, without its end; the bytes stay in p->input, *ret_taken of them. A last line without an end counts. */
static bool
read_line(struct protocol *p, struct mh_span *ret_line, size_t *ret_taken)
{
	char chunk[8192];

	for (;;) {
		const size_t end = span_find(buf_span(&p->input), MH_LIT("\n"), 0);

		if (end != SIZE_MAX) {
			*ret_line = span_head(buf_span(&p->input), end);
			*ret_taken = end + 1;
			return true;
		}
		if (!wait_input(p))
			return false;
		const ssize_t n = read(p->in_fd, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		if (n == 0) {
			*ret_line = buf_span(&p->input);
			*ret_taken = p->input.n;
			return p->input.n > 0;
		}
		buf_put(&p->input, (struct mh_span){ chunk, (size_t)n });
		if (!buf_ok(&p->input))
			return false;
	}
}

static void
take(struct protocol *p, size_t n)
{
	memmove(p->input.p, p->input.p + n, p->input.n - n + 1);
	p->input.n -= n;
}

/* A core that is gone gets nothing: SIGPIPE or EPIPE ends the matter, and the next attempt finds the state. */
static bool
write_line(struct protocol *p, const cJSON *line)
{
	struct buf out;

	buf_init(&out, MH_MAX_ACTION_LINE_BYTES);
	bool ok = line != NULL && json_print(line, &out);
	buf_putc(&out, '\n');
	ok = ok && buf_ok(&out) && fd_write_all(p->out_fd, buf_span(&out));
	buf_release(&out);
	return ok;
}

/* One line, and the line that answers it. NULL: there was none. */
static cJSON *
ask(struct protocol *p, const cJSON *line)
{
	struct mh_span text;
	size_t taken;

	if (line == NULL || !write_line(p, line) || !read_line(p, &text, &taken))
		return NULL;
	cJSON *answer = json_parse(text, NULL);
	take(p, taken);
	return answer;
}

bool
checkpoint(struct protocol *p, const cJSON *state)
{
	MH_AUTO(drop_json) cJSON *line = cJSON_CreateObject();
	bool ok = false;

	/* A reference: the state stays the caller's. cJSON_Delete leaves what is referred to alone. */
	cJSON *reference = cJSON_CreateObjectReference(state->child);
	if (line == NULL || reference == NULL || !cJSON_AddItemToObject(line, "checkpoint", reference)) {
		cJSON_Delete(reference);
		return false;
	}
	MH_AUTO(drop_json) cJSON *answer = ask(p, line);
	return answer != NULL && json_bool(answer, "ok", &ok) && ok;
}

bool
state_time(const cJSON *state, const char *key, int64_t *ret)
{
	const char *text = json_string(state, key);

	return text == NULL || time_read(span_of(text), ret, NULL) == MH_OK;
}

enum mh_status
claim_name(struct protocol *p, const char *name, char held[PROTOCOL_KEY_BYTES], struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *line = cJSON_CreateObject();
	bool ok = false;

	if (line == NULL || !json_add_string(line, "claim", name))
		return mh_fail(err, MH_RETRY, "no memory to claim %.100s", name);
	MH_AUTO(drop_json) cJSON *answer = ask(p, line);
	if (answer == NULL || !json_bool(answer, "ok", &ok))
		return mh_fail(err, MH_RETRY, "the job was taken away, or %.80s could not be claimed", name);
	if (ok)
		return MH_OK;
	const char *key = json_string(answer, "held");
	(void)snprintf(held, PROTOCOL_KEY_BYTES, "%s", key == NULL ? "" : key);
	return mh_fail(err, MH_SKIP, "case %s has claimed %.80s", held, name);
}

bool
release_name(struct protocol *p, const char *name)
{
	MH_AUTO(drop_json) cJSON *line = cJSON_CreateObject();
	bool ok = false;

	if (line == NULL || !json_add_string(line, "release", name))
		return false;
	MH_AUTO(drop_json) cJSON *answer = ask(p, line);
	return answer != NULL && json_bool(answer, "ok", &ok) && ok;
}

void
credential_ends(struct protocol *p, const char *name, int64_t at)
{
	MH_AUTO(drop_json) cJSON *line = cJSON_CreateObject();
	cJSON *j = line == NULL ? NULL : cJSON_AddObjectToObject(line, "credential");

	if (j != NULL && json_add_string(j, "name", name) &&
	    (at == CREDENTIAL_NO_END ? json_add_string(j, "expires", NULL) : json_add_time(j, "expires", at)))
		(void)write_line(p, line);
}

void
say(struct protocol *p, const char *fmt, ...)
{
	struct buf text;
	char words[MH_MAX_ACTION_SAY_BYTES];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	buf_init(&text, sizeof(words));
	buf_put(&text, span_head(span_of(words), utf8_cut(span_of(words), sizeof(words) - 1)));
	MH_AUTO(drop_json) cJSON *line = cJSON_CreateObject();
	if (line != NULL && buf_ok(&text) && json_add_span(line, "say", buf_span(&text)))
		(void)write_line(p, line);
	buf_release(&text);
}

void
outcome(struct protocol *p, const struct outcome_line *o, const char *fmt, ...)
{
	char words[MH_MAX_ACTION_SUMMARY_BYTES + 1];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	words[utf8_cut(span_of(words), MH_MAX_ACTION_SUMMARY_BYTES - 4)] = '\0';

	MH_AUTO(drop_json) cJSON *line = cJSON_CreateObject();
	bool ok =
	    line != NULL && json_add_string(line, "outcome", o->outcome) && json_add_string(line, "summary", words);
	if (ok && o->url != NULL)
		ok = json_add_string(line, "url", o->url);
	if (ok && o->waiting_for != NULL)
		ok = json_add_string(line, "waiting_for", o->waiting_for);
	if (ok && o->retry_after_s >= 0)
		ok = json_add_integer(line, "retry_after_s", o->retry_after_s);
	if (ok && o->elsewhere)
		ok = cJSON_AddTrueToObject(line, "elsewhere") != NULL;
	if (ok && o->step != NULL)
		ok = json_add_string(line, "step", o->step);
	if (ok && o->renewed_expires != 0) {
		cJSON *renewed = cJSON_AddObjectToObject(line, "renewed");

		ok = renewed != NULL && json_add_time(renewed, "expires", o->renewed_expires) &&
		     (o->renewed_notice == 0 || json_add_time(renewed, "notice", o->renewed_notice));
	}
	if (ok)
		(void)write_line(p, line);
}

bool
lacks_here(const struct protocol *p, const struct mh_err *err)
{
	return p->others && err->absent && err->code == MH_BAD; /* what may pass may pass here too */
}

void
outcome_of_error(struct protocol *p, const struct mh_err *err)
{
	const bool lacks = lacks_here(p, err);
	const struct outcome_line o = {
		.outcome = err->code == MH_RETRY || lacks ? "retry" : "failed", .retry_after_s = -1, .elsewhere = lacks
	};

	outcome(p, &o, "%s", err->text);
}

/* The request's line, for request_read: the first that comes. */
static enum mh_status
read_request_line(struct protocol *p, cJSON **ret, struct mh_err *err)
{
	struct mh_span text;
	size_t taken;

	if (!read_line(p, &text, &taken))
		return mh_fail(err, MH_RETRY, "no request came on standard input");
	*ret = json_parse(text, err);
	take(p, taken);
	if (*ret == NULL)
		return err == NULL ? MH_BAD : err->code;
	return MH_OK;
}

const char *const event_names[8] = { "opened", "trusted", "approved", "reminded", "succeeded", "failed", "expired",
	"closed" };
const char *const trust_words[3] = { "unverified", "relayed", "verified" };

static size_t
index_of(const char *word, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (word != NULL && strcmp(word, names[i]) == 0)
			return i;
	return n;
}

static bool
is_key(const char *s)
{
	return s != NULL && strlen(s) == 32 && strspn(s, "0123456789abcdef") == 32;
}

static bool
read_time(const cJSON *j, const char *key, int64_t *ret)
{
	const char *text = json_string(j, key);

	return text != NULL && time_read(span_of(text), ret, NULL) == MH_OK;
}

/* Missing, null and false are the same. */
static bool
flag(const cJSON *j, const char *key)
{
	bool value = false;

	return json_bool(j, key, &value) && value;
}

static enum mh_status
read_case(const cJSON *c, struct request *r, struct mh_err *err)
{
	r->expiry.kind = json_string(c, "kind");
	r->expiry.account = json_string(c, "account");
	r->expiry.account_name = json_string(c, "account_name");
	r->expiry.owner = json_string(c, "owner");
	r->expiry.environment = json_string(c, "environment");
	r->expiry.assignee = json_string(c, "assignee");
	r->expiry.region = json_string(c, "region");
	r->expiry.resource = json_string(c, "resource");
	r->expiry.reason = json_string(c, "reason");
	r->expiry.closed_by = json_string(c, "closed_by");
	r->expiry.ticket_url = json_string(c, "ticket_url");
	r->expiry.has_expires = read_time(c, "expires", &r->expiry.expires);
	(void)json_integer(c, "id", 1, INT64_MAX, &r->expiry.id);
	if (r->expiry.kind == NULL)
		return mh_fail(err, MH_BAD, "the request's case has no kind");
	if (!r->expiry.has_expires && json_string(c, "expires") != NULL)
		return mh_fail(err, MH_BAD, "the request's expiry is no time");
	if (!r->expiry.has_expires)
		return MH_OK;

	const char *precision = json_string(c, "precision");
	const int64_t left_s = r->expiry.expires - r->now;
	r->expiry.by_the_second = precision == NULL || strcmp(precision, "second") == 0;
	r->expiry.days_left = time_day(left_s); /* the core counts so too */
	return MH_OK;
}

static enum mh_status
read_outcomes(const cJSON *list, struct request *r, struct mh_err *err)
{
	const cJSON *item;
	size_t n = 0;

	if (list == NULL)
		return MH_OK;
	cJSON_ArrayForEach(item, list) n++;
	r->outcomes = calloc(n + 1, sizeof(*r->outcomes));
	if (r->outcomes == NULL)
		return mh_fail(err, MH_RETRY, "no memory for the request");
	cJSON_ArrayForEach(item, list)
	{
		const struct job_outcome o = {
			.action = json_string(item, "action"),
			.role = json_string(item, "role"),
			.event = json_string(item, "event"),
			.outcome = json_string(item, "outcome"),
			.waiting_for = json_string(item, "waiting_for"),
			.summary = json_string(item, "summary"),
			.url = json_string(item, "url"),
		};

		if (o.action == NULL || o.outcome == NULL)
			return mh_fail(err, MH_BAD, "an outcome in the request lacks action or outcome");
		r->outcomes[r->n_outcomes++] = o;
	}
	return MH_OK;
}

static enum mh_status
read_approvals(const cJSON *list, struct request *r, struct mh_err *err)
{
	const cJSON *item;
	size_t n = 0;

	cJSON_ArrayForEach(item, list) n++;
	r->approvals = calloc(n + 1, sizeof(*r->approvals));
	if (r->approvals == NULL)
		return mh_fail(err, MH_RETRY, "no memory for the request");
	cJSON_ArrayForEach(item, list)
	{
		struct approval_word w = { json_string(item, "step"), json_string(item, "by"), 0 };

		if (w.by == NULL || !read_time(item, "at", &w.at))
			return mh_fail(err, MH_BAD, "an approval in the request lacks by or at");
		r->approvals[r->n_approvals++] = w;
	}
	return MH_OK;
}

static enum mh_status
read_job(const cJSON *j, struct request *r, struct mh_err *err)
{
	const size_t event = index_of(json_string(j, "event"), event_names, 8);
	const cJSON *c = json_object(j, "case"), *trust = json_object(j, "trust"), *m = json_object(j, "message");

	r->job_key = json_string(j, "job_key");
	r->case_key = json_string(j, "case_key");
	if (event == 8)
		return mh_fail(err, MH_BAD, "the request has no known event");
	if (!is_key(r->job_key) || !is_key(r->case_key))
		return mh_fail(err, MH_BAD, "the request's job_key or case_key is not 32 hexadecimal digits");
	if (c == NULL)
		return mh_fail(err, MH_BAD, "the request has no case");
	r->event = (enum case_event)event;
	r->drill = flag(c, "drill");
	(void)json_integer(j, "event_number", 0, INT64_MAX, &r->event_number);

	/* An unknown level is no trust, and an unknown mail nobody's. */
	const size_t level = index_of(json_string(trust, "level"), trust_words, 3);
	r->trust.level = level == 3 ? TRUST_NONE : (enum trust)level;
	r->trust.by = json_string(trust, "by");
	r->message.id = json_string(m, "id");
	r->message.references = json_string(m, "references");
	r->message.reply_to = json_string(m, "reply_to");
	r->message.envelope_from = json_string(m, "envelope_from");
	const char *mail = json_string(m, "trust");
	const size_t own = index_of(mail, trust_words, 3);
	r->message.trust = mail == NULL ? r->trust.level : own == 3 ? TRUST_NONE : (enum trust)own;
	r->message.automatic = flag(m, "auto");
	r->message.list = flag(m, "list");
	r->message.own = flag(m, "own");
	r->state = json_object(j, "state");
	r->by = json_string(j, "by");

	enum mh_status status = read_case(c, r, err);
	if (status == MH_OK)
		status = read_outcomes(json_array(j, "outcomes"), r, err);
	return status == MH_OK ? read_approvals(json_array(j, "approvals"), r, err) : status;
}

enum mh_status
request_read(struct protocol *p, const char *verb, struct request *ret, struct mh_err *err)
{
	static const char *const verbs[] = { "run", "check", "describe", "input" };
	int64_t version;

	*ret = (struct request){ .verb = (enum verb)index_of(verb, verbs, 4) };
	const enum mh_status status = read_request_line(p, &ret->json, err);
	if (status != MH_OK)
		return status;

	const cJSON *j = ret->json;
	if (!json_integer(j, "version", 1, 1, &version))
		return mh_fail(err, MH_BAD, "the request is not of version 1");
	if (!read_time(j, "now", &ret->now))
		return mh_fail(err, MH_BAD, "the request says no time (now)");
	if (!read_time(j, "deadline", &ret->deadline))
		ret->deadline = ret->now + 60;
	p->deadline_ms = clock_monotonic_ms() + (ret->deadline > ret->now ? ret->deadline - ret->now : 0) * 1000;
	ret->action = json_string(j, "action");
	ret->config = json_string(j, "config");
	ret->state_dir = json_string(j, "state_dir");
	ret->observe = flag(j, "observe");
	ret->others = p->others = flag(j, "others");
	ret->sample = flag(j, "sample");
	if (ret->state_dir == NULL || ret->state_dir[0] != '/')
		return mh_fail(err, MH_BAD, "the request's state_dir is no absolute path");
	if (ret->verb == VERB_INPUT && json_object(j, "case") == NULL)
		return MH_OK; /* it is not asked about a case */
	return ret->verb == VERB_RUN || ret->verb == VERB_DESCRIBE || ret->verb == VERB_INPUT ? read_job(j, ret, err)
											      : MH_OK;
}

void
request_release(struct request *r)
{
	free(r->outcomes);
	r->outcomes = NULL;
	free(r->approvals);
	r->approvals = NULL;
	drop_json(&r->json);
}
