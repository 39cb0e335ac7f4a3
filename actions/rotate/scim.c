/* scim.c: proves a SCIM token without changing anything: ServiceProviderConfig, then one page of one user.
 *
 * The first alone is weak evidence: there are servers that answer it to anybody. Source: IAM Identity Center SCIM
 * developer guide, "ServiceProviderConfig", "ListUsers"; 401 also where the tenant is wrong. */
#include <string.h>

#include "actions/common/http.h"
#include "actions/rotate/idp.h"
#include "mailhook/json.h"

#define URL_BYTES (ROTATE_URL_BYTES + 64)

static enum mh_status
judge(struct side_env *env, const struct http_answer *a, const char *what, struct mh_err *err)
{
	if (a->status == 401 || a->status == 403)
		return mh_fail(err, MH_BAD, "AWS does not take the new token (SCIM %s: HTTP %ld)", what, a->status);
	if (http_class(a->status) == MH_OK) {
		MH_AUTO(drop_json) cJSON *j = json_parse(buf_span(&a->body), NULL);

		/* a proxy's page of its own proves nothing */
		if (json_array(j, "schemas") != NULL)
			return MH_OK;
		return mh_fail(err, MH_RETRY, "SCIM %s: HTTP %ld, but no answer of SCIM", what, a->status);
	}
	env->retry_after_s = a->retry_after_s;
	return mh_fail(err, MH_RETRY, "SCIM %s: HTTP %ld, no verdict on the token", what, a->status);
}

static enum mh_status
ask(struct side_env *env, struct mh_span token, const char *what, struct mh_err *err)
{
	MH_AUTO(secret_buf_release) struct buf bearer;
	MH_AUTO(http_answer_release) struct http_answer a;
	struct buf url;
	struct mh_err net;

	http_answer_init(&a);
	buf_init(&bearer, ROTATE_TOKEN_MAX_BYTES + 16);
	buf_init(&url, URL_BYTES);
	buf_puts(&bearer, "Bearer ");
	buf_put(&bearer, token);
	buf_puts(&url, env->place->endpoint);
	buf_puts(&url, what);
	const struct http_header headers[] = { { "Authorization", buf_span(&bearer) },
		{ "Accept", MH_LIT("application/scim+json, application/json") } };
	const struct http_request q = {
		.method = "GET", .url = url.p, .headers = headers, .n_headers = 2, .now = env->now
	};
	enum mh_status status = buf_ok(&bearer) && buf_ok(&url) ? http_try(&env->wire, &q, &a, &net)
								: mh_fail(&net, MH_RETRY, "no memory for a request");
	buf_release(&url);
	/* Not even a certificate that is refused says anything about the token. */
	if (status != MH_OK)
		return mh_fail(err, MH_RETRY, "SCIM: %s", net.text);
	return judge(env, &a, what, err);
}

enum mh_status
scim_prove(struct side_env *env, struct mh_span token, struct mh_err *err)
{
	const enum mh_status status = ask(env, token, "ServiceProviderConfig", err);

	return status == MH_OK ? ask(env, token, "Users?count=1", err) : status;
}
