/* ask.c: one request to a token server, and its answer in words that tell whom to call. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actions/common/http.h"
#include "actions/token/parts.h"
#include "mailhook/json.h"

#define MAX_FORM_BYTES (256u << 10)

/* -- the request -------------------------------------------------------------------------------------------------- */

static enum mh_status
client_secret(const struct token_conf *c, struct secret *ret, struct mh_err *err)
{
	if (c->client_secret_command != NULL)
		return secret_from_command(c->client_secret_command, 0, ret, err);
	return secret_from_file(c->client_secret_file, ret, err);
}

/* The client's proof. A refresh grant of a public client has none. */
static enum mh_status
put_proof(const struct token_conf *c, int64_t now, struct buf *form, struct mh_err *err)
{
	MH_AUTO(secret_release) struct secret secret = { 0 };
	MH_AUTO(secret_buf_release) struct buf jwt;
	enum mh_status status = MH_OK;

	buf_init(&jwt, 64u << 10);
	if (c->certificate_file != NULL) {
		status = token_assertion(c, now, &jwt, err);
		http_form_put(
		    form, "client_assertion_type", MH_LIT("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
		http_form_put(form, "client_assertion", buf_span(&jwt));
	} else if (c->client_secret_file != NULL || c->client_secret_command != NULL) {
		status = client_secret(c, &secret, err);
		http_form_put(form, "client_secret", secret_span(&secret));
	}
	return status;
}

static enum mh_status
build_form(const struct token_conf *c, const struct secret *refresh, int64_t now, struct buf *form, struct mh_err *err)
{
	const bool refreshing = c->grant == TOKEN_REFRESH;

	http_form_put(form, "grant_type", refreshing ? MH_LIT("refresh_token") : MH_LIT("client_credentials"));
	http_form_put(form, "client_id", span_of(c->client_id));
	if (c->scope != NULL)
		http_form_put(form, "scope", span_of(c->scope));
	if (refreshing)
		http_form_put(form, "refresh_token", secret_span(refresh));
	const enum mh_status status = put_proof(c, now, form, err);
	if (status == MH_OK && !buf_ok(form))
		return mh_fail(err, MH_RETRY, "no memory for a token request");
	return status;
}

/* -- what a refusal means ----------------------------------------------------------------------------------------- */

struct meaning {
	const char *code; /* RFC 6749 5.2, OpenID Connect 3.1.2.6, or the start of Microsoft's error_description */
	enum mh_status status;
	const char *words;
};

/* Microsoft's own numbers first: it answers invalid_client and invalid_grant for a dozen different faults. */
static const struct meaning by_description[] = {
	{ "AADSTS7000222", MH_BAD, "the client secret has expired: make a new one in Entra ID" },
	{ "AADSTS7000215", MH_BAD, "the client secret is wrong (its value is needed, not its id)" },
	{ "AADSTS700016", MH_BAD, "no such client in this tenant" },
	{ "AADSTS700027", MH_BAD, "the certificate is not registered with this client" },
	{ "AADSTS65001", MH_BAD, "consent is missing: an administrator must grant it" },
	{ "AADSTS90002", MH_BAD, "no such tenant" },
	{ "AADSTS70011", MH_BAD, "the scope is not one of this server" },
	{ "AADSTS70008", MH_BAD, "the refresh token has expired: ask for consent again" },
	{ "AADSTS700082", MH_BAD, "the refresh token has expired: ask for consent again" },
};

static const struct meaning by_error[] = {
	{ "invalid_client", MH_BAD, "client or secret refused" },
	{ "unauthorized_client", MH_BAD, "this client may not use this grant" },
	{ "invalid_grant", MH_BAD,
	    "the grant is refused (a refresh token: revoked or expired, ask for consent again)" },
	{ "invalid_scope", MH_BAD, "the scope is refused" },
	{ "unsupported_grant_type", MH_BAD, "the server does not know this grant" },
	{ "invalid_request", MH_BAD, "the request is refused" },
	{ "access_denied", MH_BAD, "consent is missing" },
	{ "consent_required", MH_BAD, "consent is missing: an administrator must grant it" },
	{ "interaction_required", MH_BAD, "the server wants a person to sign in" },
	{ "temporarily_unavailable", MH_RETRY, "the token server is busy" },
	{ "slow_down", MH_RETRY, "the token server is busy" },
	{ "server_error", MH_RETRY, "the token server failed" },
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct meaning *
meaning_of(const char *error, const char *description)
{
	for (size_t i = 0; description != NULL && i < COUNT(by_description); i++) {
		const struct mh_span code = span_of(by_description[i].code);

		/* the next character must end the number */
		if (span_starts(span_of(description), code) && (description[code.n] < '0' || description[code.n] > '9'))
			return &by_description[i];
	}
	for (size_t i = 0; error != NULL && i < COUNT(by_error); i++)
		if (strcmp(error, by_error[i].code) == 0)
			return &by_error[i];
	return NULL;
}

/* True where text gives back one of the request's secrets. Both are percent-encoded the same way, byte by byte. */
static bool
holds_secret(struct mh_span text, struct mh_span form)
{
	static const char *const names[] = { "client_secret=", "client_assertion=", "refresh_token=" };
	MH_AUTO(secret_buf_release) struct buf encoded;

	buf_init(&encoded, 4u * HTTP_MAX_BODY_BYTES);
	http_encode(&encoded, text);
	for (size_t i = 0; i < COUNT(names); i++) {
		const struct mh_span name = span_of(names[i]);
		const size_t at = span_find(form, name, 0);
		const struct mh_span rest = at == SIZE_MAX ? MH_NONE : span_from(form, at + name.n);
		const struct mh_span value = span_head(rest, span_find(rest, MH_LIT("&"), 0));

		if (value.n > 0 && span_find(buf_span(&encoded), value, 0) != SIZE_MAX)
			return true;
	}
	return !buf_ok(&encoded);
}

/* The server's own first line is told too, unless it gives back what must stay secret. */
static void
server_words(char *dst, size_t dst_bytes, const char *text, struct mh_span form)
{
	struct mh_span rest = span_of(text), line = MH_NONE;

	dst[0] = '\0';
	if (text != NULL && span_line(&rest, &line) && !holds_secret(line, form))
		(void)mh_escape(dst, dst_bytes, line);
}

static enum mh_status
refused(long http, const cJSON *j, struct mh_span form, struct mh_err *err)
{
	const char *error = j == NULL ? NULL : json_string(j, "error");
	const char *description = j == NULL ? NULL : json_string(j, "error_description");
	const struct meaning *m = meaning_of(error, description);
	char code[40], words[72];

	server_words(words, sizeof(words), description, form);
	server_words(code, sizeof(code), error, form);
	if (http == 429 || http >= 500 || m == NULL)
		return mh_fail(err, http_class(http) == MH_RETRY ? MH_RETRY : MH_BAD, "no token: HTTP %ld%s%s%s%s",
		    http, code[0] == '\0' ? "" : " ", code, words[0] == '\0' ? "" : ": ", words);
	if (words[0] != '\0')
		return mh_fail(err, m->status, "no token: %s: %s", m->words, words);
	return mh_fail(err, m->status, "no token: %s (%s)", m->words, code);
}

/* -- a token ------------------------------------------------------------------------------------------------------ */

/* RFC 6750 b64token and what else is printable: it goes into headers and SASL, where a blank or ^A would be syntax. */
static bool
is_token(const char *s)
{
	return span_is_graphic(span_of(s)) && strlen(s) < SECRET_MAX_BYTES;
}

/* A number, or a number as a string: Microsoft's first endpoint writes the latter. 0: not said, so not to be kept. */
static int64_t
life_of(const cJSON *j)
{
	int64_t life_s = 0;
	const char *text = json_string(j, "expires_in");

	if (json_integer(j, "expires_in", 0, INT32_MAX, &life_s))
		return life_s < TOKEN_MAX_LIFE_S ? life_s : TOKEN_MAX_LIFE_S;
	for (size_t i = 0; text != NULL && text[i] != '\0' && life_s < TOKEN_MAX_LIFE_S; i++) {
		if (text[i] < '0' || text[i] > '9')
			return 0;
		life_s = life_s * 10 + (text[i] - '0');
	}
	return life_s < TOKEN_MAX_LIFE_S ? life_s : TOKEN_MAX_LIFE_S;
}

static enum mh_status
take_token(const cJSON *j, int64_t now, struct token_state *ret, struct mh_err *err)
{
	const char *token = json_string(j, "access_token"), *refresh = json_string(j, "refresh_token");
	const char *type = json_string(j, "token_type");

	if (token == NULL || !is_token(token))
		return mh_fail(err, MH_BAD, "no token: the answer holds none");
	if (type != NULL && !span_ieq(span_of(type), MH_LIT("Bearer")))
		return mh_fail(err, MH_BAD, "no token: not one of type Bearer");

	const int64_t life_s = life_of(j);
	const int64_t early_s = life_s / 10 < TOKEN_EARLY_S ? life_s / 10 : TOKEN_EARLY_S;
	struct token_state s = { .expires = now + life_s, .keep_until = now + life_s - early_s };
	if (secret_copy(span_of(token), &s.access_token, NULL) != MH_OK ||
	    (refresh != NULL && is_token(refresh) && secret_copy(span_of(refresh), &s.refresh_token, NULL) != MH_OK)) {
		token_state_release(&s);
		return mh_fail(err, MH_RETRY, "no memory for a token");
	}
	*ret = s;
	return MH_OK;
}

enum mh_status
token_answer(
    long http, struct mh_span body, struct mh_span form, int64_t now, struct token_state *ret, struct mh_err *err)
{
	MH_AUTO(drop_secret_json) cJSON *j = json_parse(body, NULL);

	if (http_class(http) != MH_OK)
		return refused(http, j, form, err);
	if (j == NULL) /* a portal that answers for the server, most often */
		return mh_fail(err, MH_RETRY, "no token: HTTP %ld with something that is not JSON", http);
	return take_token(j, now, ret, err);
}

enum mh_status
token_ask(const struct token_conf *c, const struct secret *refresh, int64_t now, struct token_state *ret,
    int64_t *ret_retry_after_s, struct mh_err *err)
{
	MH_AUTO(secret_buf_release) struct buf form;
	MH_AUTO(http_answer_release) struct http_answer a;
	const struct http_header headers[] = {
		{ "Content-Type", MH_LIT("application/x-www-form-urlencoded") },
		{ "Accept", MH_LIT("application/json") },
	};

	http_answer_init(&a);
	buf_init(&form, MAX_FORM_BYTES);
	enum mh_status status = build_form(c, refresh, now, &form, err);
	if (status != MH_OK)
		return status;

	const struct http_request q = { .method = "POST",
		.url = c->token_url,
		.headers = headers,
		.n_headers = COUNT(headers),
		.body = buf_span(&form),
		.max_body_bytes = 2u * SECRET_MAX_BYTES,
		.now = now };
	status = http_try(&c->wire, &q, &a, err);
	if (status != MH_OK)
		return status;
	*ret_retry_after_s = a.retry_after_s;

	return token_answer(a.status, buf_span(&a.body), buf_span(&form), now, ret, err);
}
