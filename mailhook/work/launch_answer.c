/* launch_answer.c: one line of an action's output, checked. Nothing in it is believed: an action may be anybody's. */
#include <string.h>

#include "mailhook/work/launch_impl.h"

const char *const outcome_names[] = {
	[OUTCOME_DONE] = "done",
	[OUTCOME_RETRY] = "retry",
	[OUTCOME_FAILED] = "failed",
	[OUTCOME_WAITING] = "waiting",
	[OUTCOME_SKIPPED] = "skipped",
};

const char *const waiting_for_names[] = {
	[WAIT_NOTHING] = NULL,
	[WAIT_TIME] = "time",
	[WAIT_APPROVAL] = "approval",
	[WAIT_INPUT] = "input",
};

/* Length of the control character at s: C0, DEL, or C1 as UTF-8 has it; 0: it is none. */
static size_t
control_at(struct mh_span s)
{
	const unsigned char c = (unsigned char)s.p[0];

	if (c < 0x20 || c == 0x7F)
		return 1;
	if (c == 0xC2 && s.n > 1 && (unsigned char)s.p[1] >= 0x80 && (unsigned char)s.p[1] < 0xA0)
		return 2;
	return 0;
}

void
put_clean(struct buf *out, struct mh_span text, size_t max)
{
	const bool valid = utf8_valid(text);

	text = span_head(text, valid ? utf8_cut(text, max) : max);
	while (text.n > 0) {
		const size_t control = control_at(text);

		if (control > 0)
			buf_putc(out, ' ');
		else
			buf_putc(out, !valid && (unsigned char)text.p[0] >= 0x80 ? '?' : text.p[0]);
		text = span_from(text, control > 0 ? control : 1);
	}
}

/* Index of word among names[first..n), or n. */
static size_t
word_index(const char *word, const char *const *names, size_t first, size_t n)
{
	for (size_t i = first; i < n; i++)
		if (word != NULL && strcmp(word, names[i]) == 0)
			return i;
	return n;
}

static enum mh_status
read_state(const cJSON *object, struct buf *ret, struct mh_err *err)
{
	if (!cJSON_IsObject(object))
		return mh_fail(err, MH_BAD, "gave a state that is no object");
	if (!json_print(object, ret))
		return mh_fail(err, MH_LIMIT, "gave a state of more than %u bytes", MH_MAX_ACTION_STATE_BYTES);
	return MH_OK;
}

/* A link is shown to people and may be clicked: plain characters only, and dropped rather than mended. */
static void
read_url(const char *url, struct buf *ret)
{
	const struct mh_span s = span_of(url);

	if (s.n > MH_MAX_ACTION_SUMMARY_BYTES)
		return;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= 0x20 || s.p[i] >= 0x7F || s.p[i] == '"' || s.p[i] == '<' || s.p[i] == '>')
			return;
	buf_put(ret, s);
}

/* A word that a person can type. */
static enum mh_status
read_step(const char *step, char ret[MH_MAX_ACTION_STEP_BYTES + 1], struct mh_err *err)
{
	const size_t n = step == NULL ? 0 : strlen(step);

	if (step == NULL)
		return MH_OK;
	if (n == 0 || n > MH_MAX_ACTION_STEP_BYTES || strspn(step, "abcdefghijklmnopqrstuvwxyz0123456789-") != n)
		return mh_fail(err, MH_BAD, "waits with a step that is no word of a-z, 0-9 and '-'");
	memcpy(ret, step, n + 1);
	return MH_OK;
}

static enum mh_status
read_renewed(const cJSON *j, struct action_line *ret, struct mh_err *err)
{
	const char *expires = json_string(j, "expires"), *notice = json_string(j, "notice");

	if (j == NULL)
		return MH_OK;
	if (expires == NULL || time_read(span_of(expires), &ret->renewed_expires, NULL) != MH_OK ||
	    (notice != NULL && time_read(span_of(notice), &ret->renewed_notice, NULL) != MH_OK))
		return mh_fail(err, MH_BAD, "told of a renewal whose times are none");
	return MH_OK;
}

static enum mh_status
read_outcome(const cJSON *j, struct action_line *ret, struct mh_err *err)
{
	const size_t n_outcomes = sizeof(outcome_names) / sizeof(outcome_names[0]);
	const size_t n_waits = sizeof(waiting_for_names) / sizeof(waiting_for_names[0]);
	const size_t outcome = word_index(json_string(j, "outcome"), outcome_names, 0, n_outcomes);
	const char *summary = json_string(j, "summary");

	if (outcome == n_outcomes)
		return mh_fail(err, MH_BAD, "answered with an unknown outcome");
	if (summary == NULL)
		return mh_fail(err, MH_BAD, "answered without a summary");
	ret->outcome = (enum outcome)outcome;
	put_clean(&ret->text, span_of(summary), MH_MAX_ACTION_SUMMARY_BYTES);
	read_url(json_string(j, "url"), &ret->url);
	if (!json_integer(j, "retry_after_s", 0, MH_MAX_RETRY_AFTER_S, &ret->retry_after_s))
		ret->retry_after_s = -1;
	if (ret->outcome == OUTCOME_RETRY) {
		(void)json_bool(j, "elsewhere", &ret->elsewhere);
	} else if (ret->outcome == OUTCOME_WAITING) {
		const size_t wait = word_index(json_string(j, "waiting_for"), waiting_for_names, WAIT_TIME, n_waits);

		if (wait == n_waits)
			return mh_fail(err, MH_BAD, "waits for something unknown");
		ret->waiting_for = (enum waiting_for)wait;
		const enum mh_status status = read_step(json_string(j, "step"), ret->step, err);
		if (status != MH_OK)
			return status;
	} else if (ret->outcome == OUTCOME_DONE) {
		const enum mh_status status = read_renewed(json_object(j, "renewed"), ret, err);
		if (status != MH_OK)
			return status;
	}

	const cJSON *state = cJSON_GetObjectItemCaseSensitive(j, "state");
	return state == NULL || cJSON_IsNull(state) ? MH_OK : read_state(state, &ret->state, err);
}

/* "2027-01-31T12:00:00Z", or a day, whose last second then counts. */
static bool
read_end(const char *text, struct credential_line *ret)
{
	char whole[MH_TIME_TEXT];
	const size_t day_bytes = sizeof("2027-01-31") - 1;

	ret->has_expires = true;
	ret->day = strlen(text) == day_bytes;
	if (!ret->day)
		return time_read(span_of(text), &ret->expires, NULL) == MH_OK;
	memcpy(whole, text, day_bytes);
	memcpy(whole + day_bytes, "T23:59:59Z", sizeof("T23:59:59Z"));
	return time_read(span_of(whole), &ret->expires, NULL) == MH_OK;
}

static enum mh_status
read_credential(const cJSON *j, struct action_line *ret, struct mh_err *err)
{
	const cJSON *expires = cJSON_GetObjectItemCaseSensitive(j, "expires");
	const struct mh_span name = span_trim(span_of(json_string(j, "name")));

	if (name.n == 0 || name.n > MH_MAX_ACTION_CREDENTIAL_BYTES)
		return mh_fail(err, MH_BAD, "told of a credential without a name of 1 to %u bytes",
		    MH_MAX_ACTION_CREDENTIAL_BYTES);
	put_clean(&ret->text, name, MH_MAX_ACTION_CREDENTIAL_BYTES);
	if (expires == NULL ||
	    !(cJSON_IsNull(expires) || (cJSON_IsString(expires) && read_end(expires->valuestring, &ret->credential))))
		return mh_fail(err, MH_BAD, "told of a credential whose end is neither a time nor null");
	return MH_OK;
}

/* Names are compared, so what is not plain is refused, not mended. */
static enum mh_status
read_claim(const cJSON *name, struct action_line *ret, struct mh_err *err)
{
	const struct mh_span s = span_of(cJSON_GetStringValue(name));

	if (s.n == 0 || s.n > MH_MAX_ACTION_CLAIM_BYTES)
		return mh_fail(
		    err, MH_BAD, "claims or lets go without a name of 1 to %u bytes", MH_MAX_ACTION_CLAIM_BYTES);
	if (!span_is_graphic(s))
		return mh_fail(err, MH_BAD, "claims or lets go a name that is not plain ASCII without spaces");
	buf_put(&ret->text, s);
	return MH_OK;
}

enum mh_status
action_line_read(struct mh_span line, struct action_line *ret, struct mh_err *err)
{
	*ret = (struct action_line){ .retry_after_s = -1 };
	buf_init(&ret->state, MH_MAX_ACTION_STATE_BYTES);
	buf_init(&ret->text, MH_MAX_ACTION_SUMMARY_BYTES);
	buf_init(&ret->url, MH_MAX_ACTION_SUMMARY_BYTES);
	if (span_trim(line).n == 0)
		return MH_OK;

	struct mh_err why = { 0 };
	MH_AUTO(drop_json) cJSON *j = json_parse(line, &why);
	if (j == NULL)
		return mh_fail(err, why.code, "wrote garbage (%s)", why.text);
	if (!cJSON_IsObject(j))
		return mh_fail(err, MH_BAD, "wrote garbage (JSON, but no object)");

	const cJSON *checkpoint = cJSON_GetObjectItemCaseSensitive(j, "checkpoint");
	const cJSON *say = cJSON_GetObjectItemCaseSensitive(j, "say");
	const cJSON *credential = cJSON_GetObjectItemCaseSensitive(j, "credential");
	const cJSON *claim = cJSON_GetObjectItemCaseSensitive(j, "claim");
	const cJSON *release = cJSON_GetObjectItemCaseSensitive(j, "release");
	const cJSON *outcome = cJSON_GetObjectItemCaseSensitive(j, "outcome");

	if ((checkpoint != NULL) + (say != NULL) + (credential != NULL) + (claim != NULL) + (release != NULL) +
		(outcome != NULL) !=
	    1)
		return mh_fail(err, MH_BAD,
		    "wrote a line without exactly one of checkpoint, say, credential, claim, release, outcome");
	if (checkpoint != NULL) {
		ret->kind = LINE_CHECKPOINT;
		return read_state(checkpoint, &ret->state, err);
	}
	if (say != NULL) {
		if (!cJSON_IsString(say))
			return mh_fail(err, MH_BAD, "said something that is no string");
		ret->kind = LINE_SAY;
		put_clean(&ret->text, span_of(say->valuestring), MH_MAX_ACTION_SAY_BYTES);
		return MH_OK;
	}
	if (credential != NULL) {
		ret->kind = LINE_CREDENTIAL;
		return read_credential(credential, ret, err);
	}
	if (claim != NULL || release != NULL) {
		ret->kind = claim != NULL ? LINE_CLAIM : LINE_RELEASE;
		return read_claim(claim != NULL ? claim : release, ret, err);
	}
	ret->kind = LINE_OUTCOME;
	return read_outcome(j, ret, err);
}

void
action_line_release(struct action_line *l)
{
	buf_release(&l->state);
	buf_release(&l->text);
	buf_release(&l->url);
}
