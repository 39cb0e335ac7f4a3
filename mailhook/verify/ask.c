/* ask.c: the side that asks: starts the verifier, waits no longer than its time, believes only what has its shape. */
#include "mailhook/verify/ask.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mailhook/clock.h"
#include "mailhook/fd.h"
#include "mailhook/json.h"
#include "mailhook/work/launch_impl.h"

#define MAX_STEPS 100
#define MAX_BY_BYTES 800
#define MAX_STEP_BYTES 2000

/* -- the question -------------------------------------------------------------------------------------------------- */

static bool
add_names(cJSON *j, const char *key, const char *const *names, size_t n)
{
	cJSON *list = cJSON_AddArrayToObject(j, key);

	for (size_t i = 0; list != NULL && i < n; i++) {
		cJSON *item = cJSON_CreateString(names[i]);
		if (!cJSON_AddItemToArray(list, item)) {
			cJSON_Delete(item);
			return false;
		}
	}
	return list != NULL;
}

static size_t
count(const char *const *names)
{
	size_t n = 0;

	while (names[n] != NULL)
		n++;
	return n;
}

static enum mh_status
write_request(const struct verify_ask *q, struct buf *out, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *j = cJSON_CreateObject();
	const struct conf_trust *t = q->trust;
	cJSON *trust = j == NULL ? NULL : cJSON_AddObjectToObject(j, "trust");
	const struct {
		const char *key;
		const struct conf_list *list;
	} lists[] = { { "authserv_id", &t->authserv_id }, { "arc_sealers", &t->arc_sealers },
		{ "forwarders", &t->forwarders }, { "sns_topics", &t->sns_topics } };
	bool ok = trust != NULL && json_add_time(j, "received", q->received) &&
		  add_names(j, "signers", q->lists.signers, count(q->lists.signers)) &&
		  add_names(j, "senders", q->lists.senders, count(q->lists.senders)) &&
		  json_add_integer(trust, "hops", t->hops) &&
		  cJSON_AddBoolToObject(trust, "authres_stripped", t->authres_stripped) != NULL &&
		  json_add_string(trust, "resolver", t->resolver);

	for (size_t i = 0; ok && i < sizeof(lists) / sizeof(lists[0]); i++)
		ok = add_names(trust, lists[i].key, lists[i].list->items, lists[i].list->n);
	return ok && json_print(j, out) ? MH_OK : mh_fail(err, MH_RETRY, "no memory to ask the verifier");
}

/* -- the talk ------------------------------------------------------------------------------------------------------ */

struct talk {
	struct spawned child;
	struct mh_span request; /* what was not written yet */
	struct buf answer;
	bool late, too_much;
};

static void
write_some(struct talk *t)
{
	const ssize_t n = write(t->child.in_fd, t->request.p, t->request.n);

	if (n > 0)
		t->request = span_from(t->request, (size_t)n);
	else if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	else
		t->request.n = 0; /* it reads no more: its end says why */
	if (t->request.n == 0)
		drop_fd(&t->child.in_fd);
}

/* Takes what there is into to; what it says on stderr is let go. */
static void
read_some(int *fd, struct buf *to)
{
	char bytes[16384];
	const ssize_t n = read(*fd, bytes, sizeof(bytes));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0)
		drop_fd(fd);
	else if (to != NULL)
		buf_put(to, (struct mh_span){ bytes, (size_t)n });
}

static void
talk(struct talk *t, int64_t until_ms)
{
	while (t->child.out_fd >= 0 || t->child.errout_fd >= 0) {
		struct pollfd fds[] = { { t->child.in_fd, POLLOUT, 0 }, { t->child.out_fd, POLLIN, 0 },
			{ t->child.errout_fd, POLLIN, 0 } };
		const int64_t left = until_ms - clock_monotonic_ms();

		t->late = left <= 0;
		t->too_much = !buf_ok(&t->answer);
		if (t->late || t->too_much)
			return;
		if (poll(fds, 3, (int)left) < 0 && errno != EINTR)
			return;
		if (fds[0].revents != 0)
			write_some(t);
		if (fds[1].revents != 0)
			read_some(&t->child.out_fd, &t->answer);
		if (fds[2].revents != 0)
			read_some(&t->child.errout_fd, NULL);
	}
	t->too_much = !buf_ok(&t->answer);
}

static int
end(struct talk *t)
{
	struct pollfd ended = { .fd = t->child.pidfd, .events = POLLIN };
	int status = -1;

	/* Its streams are closed, so its end is near; where it is late it has no more time. */
	if (t->late || t->too_much || poll(&ended, 1, 1000) <= 0)
		(void)kill(-t->child.pid, SIGKILL);
	while (waitpid(t->child.pid, &status, 0) < 0 && errno == EINTR)
		continue;
	drop_fd(&t->child.in_fd);
	drop_fd(&t->child.out_fd);
	drop_fd(&t->child.errout_fd);
	drop_fd(&t->child.pidfd);
	return status;
}

/* -- the answer ---------------------------------------------------------------------------------------------------- */

/* A verdict of our own, where there is none: the level that nothing proved. */
static enum mh_status
unproven(bool temporary, const char *why, struct arena *a, struct verify_answer *ret, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *list = cJSON_CreateArray();
	cJSON *item = cJSON_CreateString(why);
	struct buf out;
	struct mh_span copy;
	enum mh_status status = MH_RETRY;

	buf_init(&out, 4096);
	if (list == NULL || !cJSON_AddItemToArray(list, item))
		cJSON_Delete(item);
	else if (json_print(list, &out))
		status = arena_copy(a, buf_span(&out), &copy, NULL);
	buf_release(&out);
	if (status != MH_OK)
		return mh_fail(err, MH_RETRY, "no memory for a verdict");
	*ret = (struct verify_answer){ .level = TRUST_UNVERIFIED, .temporary = temporary, .steps = copy.p };
	return MH_OK;
}

static bool
right_steps(const cJSON *list)
{
	const cJSON *item;

	if (list == NULL || cJSON_GetArraySize(list) > MAX_STEPS)
		return false;
	cJSON_ArrayForEach(item, list)
	{
		const char *s = cJSON_GetStringValue(item);
		if (s == NULL || strlen(s) > MAX_STEP_BYTES)
			return false;
	}
	return true;
}

/* MH_BAD: not of the shape that the verifier writes. */
static enum mh_status
read_answer(struct mh_span line, struct arena *a, struct verify_answer *ret, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *j = json_parse(line, err);
	const char *level = j == NULL ? NULL : json_string(j, "level");
	const char *by = j == NULL ? NULL : json_string(j, "by");
	const cJSON *steps = j == NULL ? NULL : json_array(j, "steps");
	struct verify_answer v = { 0 };
	struct mh_span copy = MH_NONE, text;
	struct buf out;
	size_t at = 0;

	while (level != NULL && at < 3 && strcmp(trust_names[at], level) != 0)
		at++;
	if (level == NULL || at == 3 || !json_bool(j, "temporary", &v.temporary) || !right_steps(steps) ||
	    (by != NULL && strlen(by) > MAX_BY_BYTES))
		return mh_fail(err, MH_BAD, "not a verdict");
	v.level = (enum trust_level)at;
	buf_init(&out, VERIFY_MAX_ANSWER_BYTES);
	enum mh_status status = json_print(steps, &out) ? arena_copy(a, buf_span(&out), &text, err) : MH_RETRY;
	buf_release(&out);
	if (status == MH_OK && by != NULL)
		status = arena_copy(a, span_of(by), &copy, err);
	if (status != MH_OK)
		return mh_fail(err, MH_RETRY, "no memory for a verdict");
	v.by = copy.p;
	v.steps = text.p;
	*ret = v;
	return MH_OK;
}

static enum mh_status
conclude(struct talk *t, int status, struct arena *a, struct verify_answer *ret, struct mh_err *err)
{
	char why[120];

	if (t->late)
		return unproven(true, "the verifier gave no answer in time", a, ret, err);
	if (t->too_much)
		return unproven(false, "the verifier answered too much", a, ret, err);
	if (WIFSIGNALED(status)) {
		const char *name = sigabbrev_np(WTERMSIG(status));
		(void)snprintf(why, sizeof(why), "the verifier crashed on the mail (SIG%s)", name == NULL ? "?" : name);
		return unproven(false, why, a, ret, err);
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return unproven(true, "the verifier could not begin its work", a, ret, err);
	const enum mh_status read = read_answer(buf_span(&t->answer), a, ret, err);
	return read == MH_BAD || read == MH_LIMIT ? unproven(false, "the verifier answered garbage", a, ret, err)
						  : read;
}

enum mh_status
verify_ask(const struct verify_ask *q, struct arena *a, struct verify_answer *ret, struct mh_err *err)
{
	static const char *const no_env[] = { NULL };
	const struct launch_spec spec = {
		.program = q->program, .verb = "judge", .raw = q->raw, .env = no_env, .dir = "/"
	};
	struct talk t = { 0 };
	struct mh_err why = { 0 };
	struct buf request;

	buf_init(&request, VERIFY_MAX_REQUEST_BYTES);
	buf_init(&t.answer, VERIFY_MAX_ANSWER_BYTES);
	enum mh_status status = write_request(q, &request, err);
	if (status == MH_OK && spawn_action(&spec, &t.child, &why) != MH_OK) {
		status = unproven(true, why.text, a, ret, err);
	} else if (status == MH_OK) {
		t.request = buf_span(&request);
		talk(&t, clock_monotonic_ms() + VERIFY_WALL_MS);
		status = conclude(&t, end(&t), a, ret, err);
	}
	buf_release(&t.answer);
	buf_release(&request);
	return status;
}
