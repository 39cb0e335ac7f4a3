/* state.c: a rotation as the JSON of a checkpoint, and back. The token is in it only sealed, for this case and step. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actions/rotate/machine.h"

#define STATE_VERSION 1
#define MAX_COUNT 1000000

const char *const step_names[STEP_REPORTED + 1] = { "NONE", "PLANNED", "CREATED", "SCIM_OK", "IDP_VALIDATED",
	"IDP_SAVED", "IDP_VERIFIED", "SOAKED", "OLD_DELETED", "REPORTED" };
static const char *const mark_names[MARK_DELETING + 1] = { "none", "creating", "saving", "deleting" };

void
rotation_forget_secret(struct rotation *x)
{
	secret_release(&x->secret);
}

void
rotation_release(struct rotation *x)
{
	rotation_forget_secret(x);
}

/* -- writing ------------------------------------------------------------------------------------------------------- */

static void
bound_to(struct buf *out, const struct rotation *x, const char *case_key)
{
	buf_printf(out, "mailhook rotate 1\ncase %s\nstep %s\n", case_key, step_names[x->step]);
}

static bool
add_time(cJSON *j, const char *key, int64_t t)
{
	return t == 0 || json_add_time(j, key, t);
}

static bool
add_flag(cJSON *j, const char *key, bool value)
{
	return !value || cJSON_AddTrueToObject(j, key) != NULL;
}

static bool
add_text(cJSON *j, const char *key, const char *value)
{
	return value[0] == '\0' || json_add_string(j, key, value);
}

static bool
add_count(cJSON *j, const char *key, int64_t n)
{
	return n == 0 || json_add_integer(j, key, n);
}

static bool
fill_token(cJSON *j, const struct aws_token *t)
{
	return j != NULL && json_add_string(j, "id", t->id) && json_add_time(j, "created", t->created) &&
	       json_add_time(j, "expires", t->expires);
}

static bool
add_token(cJSON *j, const char *key, bool known, const struct aws_token *t)
{
	return !known || fill_token(cJSON_AddObjectToObject(j, key), t);
}

static bool
add_before(cJSON *j, const struct aws_tokens *t)
{
	cJSON *list = cJSON_AddArrayToObject(j, "before");

	for (size_t i = 0; list != NULL && i < t->n; i++) {
		cJSON *item = cJSON_CreateObject();

		if (item == NULL || !cJSON_AddItemToArray(list, item)) {
			cJSON_Delete(item);
			return false;
		}
		if (!fill_token(item, &t->items[i]))
			return false;
	}
	return list != NULL;
}

static bool
add_consent(cJSON *j, const char *key, const struct consent *c)
{
	cJSON *o;

	if (c->at == 0)
		return true;
	o = cJSON_AddObjectToObject(j, key);
	return o != NULL && json_add_string(o, "by", c->by) && json_add_time(o, "at", c->at);
}

static enum mh_status
add_secret(cJSON *j, const struct rotation *x, const struct seal_key *key, const char *case_key, struct mh_err *err)
{
	struct buf bound, sealed;
	enum mh_status status = MH_OK;

	if (x->secret.p == NULL)
		return MH_OK;
	buf_init(&bound, 512);
	buf_init(&sealed, (size_t)4 * SEAL_MAX_PLAIN_BYTES);
	bound_to(&bound, x, case_key);
	status = seal_put(key, buf_span(&bound), secret_span(&x->secret), &sealed, err);
	if (status == MH_OK && !json_add_string(j, "sealed", sealed.p))
		status = mh_fail(err, MH_RETRY, "no memory for a checkpoint");
	buf_release(&bound);
	buf_release(&sealed);
	return status;
}

cJSON *
rotation_json(const struct rotation *x, const struct seal_key *key, const char *case_key, struct mh_err *err)
{
	cJSON *j = cJSON_CreateObject();
	const bool ok =
	    j != NULL && json_add_integer(j, "version", STATE_VERSION) &&
	    json_add_string(j, "step", step_names[x->step]) && json_add_string(j, "mark", mark_names[x->mark]) &&
	    add_time(j, "marked_at", x->marked_at) && add_flag(j, "by_hand", x->by_hand) &&
	    add_text(j, "closed", x->closed) && add_time(j, "closed_at", x->closed_at) &&
	    add_flag(j, "adopted", x->adopted) && add_flag(j, "unproven", x->unproven) &&
	    add_flag(j, "resumed", x->resumed) && add_flag(j, "soak_skipped", x->soak_skipped) &&
	    add_before(j, &x->before) && add_token(j, "old", x->has_old, &x->old) &&
	    add_token(j, "new", x->has_fresh, &x->fresh) && add_text(j, "drop", x->drop) &&
	    add_text(j, "orphan", x->orphan) && add_text(j, "left", x->left) && add_text(j, "digest", x->digest) &&
	    add_time(j, "refused_since", x->refused_since) && add_time(j, "put_at", x->put_at) &&
	    add_count(j, "saves", x->saves) && add_count(j, "resaves", x->resaves) &&
	    add_time(j, "proof_at", x->proof_at) && add_consent(j, "start", &x->start) &&
	    add_consent(j, "delete", &x->del) && add_consent(j, "handed", &x->handed) && add_text(j, "note", x->note);

	if (ok && add_secret(j, x, key, case_key, err) == MH_OK)
		return j;
	cJSON_Delete(j);
	if (!ok)
		(void)mh_fail(err, MH_RETRY, "no memory for a checkpoint");
	return NULL;
}

/* -- reading ------------------------------------------------------------------------------------------------------- */

static bool
index_of(const char *word, const char *const *names, size_t n, size_t *ret)
{
	for (size_t i = 0; word != NULL && i < n; i++)
		if (strcmp(word, names[i]) == 0) {
			*ret = i;
			return true;
		}
	return false;
}

/* Missing is fine: then dst stays "". False: too long. */
static bool
read_text(const cJSON *j, const char *key, char *dst, size_t dst_bytes)
{
	const char *s = json_string(j, key);

	return s == NULL || (size_t)snprintf(dst, dst_bytes, "%s", s) < dst_bytes;
}

static bool
flag(const cJSON *j, const char *key)
{
	bool value = false;

	return json_bool(j, key, &value) && value;
}

static bool
read_token(const cJSON *j, struct aws_token *ret)
{
	return read_text(j, "id", ret->id, sizeof(ret->id)) && state_time(j, "created", &ret->created) &&
	       state_time(j, "expires", &ret->expires);
}

static bool
read_tokens(const cJSON *j, struct rotation *x)
{
	const cJSON *old = json_object(j, "old"), *fresh = json_object(j, "new"), *item;

	x->has_old = old != NULL;
	x->has_fresh = fresh != NULL;
	if ((old != NULL && !read_token(old, &x->old)) || (fresh != NULL && !read_token(fresh, &x->fresh)))
		return false;
	cJSON_ArrayForEach(item, json_array(j, "before"))
	{
		if (x->before.n == ROTATE_MAX_TOKENS || !read_token(item, &x->before.items[x->before.n]))
			return false;
		x->before.n++;
	}
	return true;
}

static bool
read_consent(const cJSON *j, const char *key, struct consent *ret)
{
	const cJSON *o = json_object(j, key);

	return o == NULL || (read_text(o, "by", ret->by, sizeof(ret->by)) && state_time(o, "at", &ret->at));
}

static bool
read_facts(const cJSON *j, struct rotation *x)
{
	x->by_hand = flag(j, "by_hand");
	x->adopted = flag(j, "adopted");
	x->unproven = flag(j, "unproven");
	x->resumed = flag(j, "resumed");
	x->soak_skipped = flag(j, "soak_skipped");
	(void)json_integer(j, "saves", 0, MAX_COUNT, &x->saves);
	(void)json_integer(j, "resaves", 0, MAX_COUNT, &x->resaves);
	return state_time(j, "marked_at", &x->marked_at) && state_time(j, "closed_at", &x->closed_at) &&
	       read_text(j, "closed", x->closed, sizeof(x->closed)) && read_tokens(j, x) &&
	       read_text(j, "drop", x->drop, sizeof(x->drop)) && read_text(j, "orphan", x->orphan, sizeof(x->orphan)) &&
	       read_text(j, "left", x->left, sizeof(x->left)) && read_text(j, "digest", x->digest, sizeof(x->digest)) &&
	       state_time(j, "refused_since", &x->refused_since) && state_time(j, "put_at", &x->put_at) &&
	       state_time(j, "proof_at", &x->proof_at) && read_consent(j, "start", &x->start) &&
	       read_consent(j, "delete", &x->del) && read_consent(j, "handed", &x->handed) &&
	       read_text(j, "note", x->note, sizeof(x->note));
}

enum mh_status
rotation_read(
    const cJSON *state, const struct seal_key *key, const char *case_key, struct rotation *ret, struct mh_err *err)
{
	struct rotation x = { 0 };
	const char *sealed = json_string(state, "sealed");
	int64_t version;
	size_t step, mark;

	*ret = x;
	if (state == NULL || state->child == NULL)
		return MH_OK;
	if (!json_integer(state, "version", STATE_VERSION, STATE_VERSION, &version) ||
	    !index_of(json_string(state, "step"), step_names, STEP_REPORTED + 1, &step) ||
	    !index_of(json_string(state, "mark"), mark_names, MARK_DELETING + 1, &mark) || !read_facts(state, &x))
		return mh_fail(err, MH_BAD, "the job's state is not one of this action: look at both sides by hand");
	x.step = (enum step)step;
	x.mark = (enum mark)mark;
	if (sealed != NULL) {
		struct buf bound;
		struct mh_err why = { 0 };

		buf_init(&bound, 512);
		bound_to(&bound, &x, case_key);
		if (seal_is_by(key, sealed, x.foreign_key))
			x.foreign_key[0] = '\0';
		const enum mh_status status = seal_open(key, buf_span(&bound), sealed, &x.secret, &why);
		buf_release(&bound);
		if (status == MH_RETRY)
			return mh_fail(err, status, "%s", why.text);
	}
	*ret = x;
	return MH_OK;
}
