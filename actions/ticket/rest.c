/* rest.c: a call is a request built anew, an answer, and words for what came of it. */
#include "actions/ticket/rest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actions/token/token.h"

#define REQUEST_BYTES (16u << 20)
#define NAMES_BYTES 200

/* -- options ------------------------------------------------------------------------------------------------------ */

int
rest_check_url(cfg_t *cfg, cfg_opt_t *opt)
{
	MH_AUTO(wire_url_release) struct wire_url u = { 0 };
	const char *url = cfg_opt_getstr(opt);
	struct mh_err err;

	if (url == NULL || url[0] == '\0')
		return 0;
	if (wire_url_read(url, &u, &err) != MH_OK)
		cfg_error(cfg, "%s: %s", cfg_opt_name(opt), err.text);
	else if (strchr(url, '?') != NULL)
		cfg_error(cfg, "%s must have no question mark", cfg_opt_name(opt));
	return 0;
}

int
rest_check_timeout(cfg_t *cfg, cfg_opt_t *opt)
{
	const long n = cfg_opt_getnint(opt, 0);

	if (n < 1 || n > 300)
		cfg_error(cfg, "%s must be 1 to 300", cfg_opt_name(opt));
	return 0;
}

/* -- the secret --------------------------------------------------------------------------------------------------- */

enum mh_status
rest_secret(cfg_t *cfg, struct secret *ret, struct mh_err *err)
{
	const char *file = own_conf_text(cfg, "secret_file");
	const char *argv[OWN_CONF_MAX_WORDS + 1];
	const unsigned n = own_conf_command(cfg, "secret_command", argv);

	if (file != NULL && n > 0)
		return mh_fail(err, MH_BAD, "both secret_file and secret_command are set");
	if (file != NULL)
		return secret_from_file(file, ret, err);
	if (n == 0)
		return mh_fail(err, MH_BAD, "there is neither secret_file nor secret_command");
	return secret_from_command(argv, 0, ret, err);
}

/* The header's value. fresh: an access token that the server has refused is not taken again. */
static enum mh_status
read_credential(struct rest *r, bool fresh, struct mh_err *err)
{
	MH_AUTO(secret_release) struct secret secret = { 0 };
	cfg_t *cfg = r->desk->conf;
	const char *token = own_conf_text(cfg, "token"), *user = own_conf_text(cfg, "user");
	const bool basic = token == NULL && user != NULL && r->auth.basic;
	enum mh_status status;

	if (token != NULL)
		status = token_get(token, fresh, r->desk->request->now, &secret, &r->desk->retry_after_s, err);
	else
		status = rest_secret(cfg, &secret, err);
	if (status != MH_OK)
		return status;
	secret_buf_release(&r->credential);
	buf_init(&r->credential, 2 * SECRET_MAX_BYTES);
	if (basic) {
		http_basic(&r->credential, span_of(user), secret_span(&secret));
	} else {
		buf_puts(&r->credential, token != NULL ? "Bearer " : r->auth.prefix);
		buf_put(&r->credential, secret_span(&secret));
	}
	if (!buf_ok(&r->credential))
		return mh_fail(err, MH_RETRY, "no memory for a credential");
	r->headers[0] =
	    (struct http_header){ token != NULL || basic ? "Authorization" : r->auth.header, buf_span(&r->credential) };
	return MH_OK;
}

/* -- life --------------------------------------------------------------------------------------------------------- */

enum mh_status
rest_add_header(struct rest *r, const char *name, struct mh_span value, struct mh_err *err)
{
	if (r->n_headers == REST_MAX_HEADERS)
		return mh_fail(err, MH_LIMIT, "more than %d headers", REST_MAX_HEADERS);
	const enum mh_status status = arena_copy(r->desk->arena, value, &value, err);
	if (status == MH_OK)
		r->headers[r->n_headers++] = (struct http_header){ name, value };
	return status;
}

enum mh_status
rest_start(
    struct rest *r, struct ticket_desk *d, const char *default_base, const struct rest_auth *auth, struct mh_err *err)
{
	cfg_t *cfg = d->conf;
	const char *url = own_conf_text(cfg, "url");
	struct mh_span base = span_of(url == NULL ? default_base : url);

	*r = (struct rest){ .desk = d, .auth = *auth };
	wire_conf_read(cfg, d->protocol->deadline_ms, &r->wire);
	buf_init(&r->credential, 2 * SECRET_MAX_BYTES);
	if (base.p == NULL)
		return mh_fail(err, MH_BAD, "url is not set");
	while (base.n > 0 && base.p[base.n - 1] == '/')
		base.n--;
	enum mh_status status = arena_copy(d->arena, base, &base, err);
	if (status != MH_OK)
		return status;
	r->base = base.p;
	if (auth->header == NULL && own_conf_text(cfg, "token") == NULL)
		return MH_OK;
	r->n_headers = 1;
	return read_credential(r, false, err);
}

void
rest_stop(struct rest *r)
{
	secret_buf_release(&r->credential);
}

/* -- what a refusal says ------------------------------------------------------------------------------------------- */

static void
put_words(struct buf *out, const char *text)
{
	if (text == NULL || text[0] == '\0')
		return;
	if (out->n > 0)
		buf_puts(out, "; ");
	buf_puts(out, text);
}

/* Strings of a list, or of a list's objects, or of an object's members: {"errors":{"summary":"is required"}}. */
static void
put_list(struct buf *out, const cJSON *list)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, list)
	{
		const char *text = cJSON_GetStringValue(item);

		if (text != NULL && item->string != NULL) {
			put_words(out, item->string);
			buf_puts(out, ": ");
			buf_puts(out, text);
		} else if (text != NULL) {
			put_words(out, text);
		} else if (cJSON_IsArray(item)) {
			put_words(out, item->string);
			put_list(out, item);
		} else if (cJSON_IsObject(item)) {
			put_words(out, json_string(item, "field"));
			put_words(out, json_string(item, "message"));
			put_words(out, json_string(item, "code"));
		}
	}
}

/* Words that hold what we prove ourselves by are not told. */
static bool
gives_back(const struct rest *r, struct mh_span body)
{
	struct mh_span secret = r->credential.n == 0 ? MH_NONE : buf_span(&r->credential);

	for (size_t i = secret.n; i > 0; i--)
		if (secret.p[i - 1] == ' ' || secret.p[i - 1] == '=') {
			/* "Bearer X", "Token token=X"; a '=' at the end is padding */
			if (i < secret.n && secret.p[i] != '=') {
				secret = span_from(secret, i);
				break;
			}
		}
	return secret.n > 0 && span_find(body, secret, 0) != SIZE_MAX;
}

/* Where the systems of this world put their words; a page of HTML has none. */
static void
find_words(const struct rest *r, const struct rest_answer *a, struct buf *out)
{
	static const char *const texts[] = { "message", "error", "detail", "error_description", "title",
		"description" };
	static const char *const lists[] = { "errorMessages", "errors", "error", "message" };
	const struct mh_span body = span_trim(buf_span(&a->http.body));

	if (gives_back(r, buf_span(&a->http.body)))
		return;
	if (a->json == NULL) {
		if (body.n > 0 && body.p[0] != '<' && body.p[0] != '{' && body.p[0] != '[')
			buf_put(out, span_head(body, utf8_cut(body, 300)));
		return;
	}
	if (r->words_of != NULL) {
		buf_put(out, r->words_of(a->json, r->desk->arena));
		if (out->n > 0)
			return;
	}
	if (cJSON_IsArray(a->json))
		put_list(out, a->json);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		put_words(out, json_string(a->json, texts[i]));
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		const cJSON *list = cJSON_GetObjectItemCaseSensitive(a->json, lists[i]);

		if (cJSON_IsArray(list) || cJSON_IsObject(list))
			put_list(out, list);
	}
}

enum mh_status
rest_refused(
    struct rest *r, const struct rest_call *c, const struct rest_answer *a, enum mh_status code, struct mh_err *err)
{
	MH_AUTO(wire_url_release) struct wire_url u = { 0 };
	MH_AUTO(buf_release) struct buf words;
	struct buf *full = &r->desk->words;

	(void)wire_url_read(r->base, &u, NULL);
	buf_init(&words, HTTP_MAX_BODY_BYTES);
	find_words(r, a, &words);
	if (gives_back(r, buf_span(&words))) /* JSON may write it in other bytes: "\/" */
		buf_clear(&words);
	buf_clear(full);
	buf_printf(full, "%s: cannot %s: %ld", u.host == NULL ? "the server" : u.host, c->doing, a->status);
	if (words.n > 0) {
		const struct template_var clean = { "", buf_span(&words), LINES_ONE };

		buf_puts(full, ": ");
		template_plain(full, &clean);
	}
	full->failed = false; /* it is cut, and that is all; its maximum lies above, so that no character is split */
	full->n = utf8_cut(buf_span(full), TICKET_SERVER_WORDS_BYTES);
	full->p[full->n] = '\0';
	return mh_fail(err, code, "%.*s", (int)utf8_cut(buf_span(full), sizeof(err->text) - 1), full->p);
}

/* -- calls -------------------------------------------------------------------------------------------------------- */

void
rest_answer_release(struct rest_answer *a)
{
	drop_json(&a->json);
	http_answer_release(&a->http);
}

enum mh_status
rest_path(struct rest *r, const char **ret, struct mh_err *err, const char *fmt, ...)
{
	struct buf path;
	struct mh_span copy = MH_NONE;
	va_list ap;

	buf_init(&path, 8192);
	va_start(ap, fmt);
	for (const char *p = fmt; *p != '\0'; p++) {
		if (p[0] == '%' && p[1] == 's') {
			http_encode(&path, span_of(va_arg(ap, const char *)));
			p++;
		} else {
			buf_putc(&path, *p);
		}
	}
	va_end(ap);
	const enum mh_status status = buf_ok(&path) ? arena_copy(r->desk->arena, buf_span(&path), &copy, err)
						    : mh_fail(err, MH_LIMIT, "a request's path is too long");
	buf_release(&path);
	if (status == MH_OK)
		*ret = copy.p;
	return status;
}

static enum mh_status
url_of(const struct rest *r, const char *path, const char **ret, struct mh_err *err)
{
	struct mh_span url = MH_NONE;
	const struct mh_span base = span_of(r->base), whole = span_of(path);
	enum mh_status status = MH_OK;

	if (path[0] == '/')
		status = arena_printf(r->desk->arena, &url, err, "%s%s", r->base, path);
	else if (span_starts(whole, base) && (whole.n == base.n || whole.p[base.n] == '/' || whole.p[base.n] == '?'))
		url = whole;
	else
		status = mh_fail(err, MH_BAD, "a URL that the server named is not below url");
	if (status == MH_OK)
		*ret = url.p;
	return status;
}

/* -1: not said. Long words of a server that speaks of seconds are its business; the core takes a week at most. */
static void
tell_wait(struct rest *r, int64_t wait_s)
{
	if (wait_s > r->desk->retry_after_s)
		r->desk->retry_after_s = wait_s;
}

static enum mh_status
send_once(struct rest *r, const struct rest_call *c, struct mh_span body, struct rest_answer *ret, struct mh_err *err)
{
	struct http_header headers[REST_MAX_HEADERS + 2];
	size_t n = r->n_headers;
	const char *url;
	enum mh_status status = url_of(r, c->path, &url, err);

	memcpy(headers, r->headers, n * sizeof(headers[0]));
	if (body.p != NULL)
		headers[n++] =
		    (struct http_header){ "Content-Type", span_of(c->type == NULL ? "application/json" : c->type) };
	headers[n++] = (struct http_header){ "Accept", MH_LIT("application/json") };
	for (size_t i = 0; i < r->n_headers; i++)
		if (strcmp(headers[i].name, "Accept") == 0) {
			n--;
			break;
		}
	const struct http_request q = { .method = c->method,
		.url = url,
		.headers = headers,
		.n_headers = n,
		.body = body,
		.keep = r->keep,
		.now = r->desk->request->now };

	r->wire.total_ms = wire_conf_time_ms(r->desk->conf, r->desk->protocol->deadline_ms);
	if (status == MH_OK)
		status = http_try(&r->wire, &q, &ret->http, err);
	ret->status = ret->http.status;
	return status;
}

static enum mh_status
judge_answer(struct rest *r, const struct rest_call *c, struct rest_answer *ret, struct mh_err *err)
{
	int64_t wait_s = ret->http.retry_after_s;
	const struct mh_span body = span_trim(buf_span(&ret->http.body));
	enum mh_status status =
	    r->judge == NULL ? http_class(ret->status) : r->judge(&ret->http, r->desk->request->now, &wait_s);

	ret->json = body.n == 0 ? NULL : json_parse(body, NULL);
	if (status != MH_OK) {
		if (status == MH_RETRY)
			tell_wait(r, wait_s);
		return c->statuses ? MH_OK : rest_refused(r, c, ret, status, err);
	}
	if (body.n > 0 && ret->json == NULL && !c->accept_any)
		return mh_fail(err, r->desk->request->verb == VERB_CHECK ? MH_BAD : MH_RETRY,
		    "cannot %s: the answer %ld is not JSON", c->doing, ret->status);
	return MH_OK;
}

enum mh_status
rest_call(struct rest *r, const struct rest_call *c, struct rest_answer *ret, struct mh_err *err)
{
	MH_AUTO(buf_release) struct buf body;
	struct mh_span bytes = c->bytes;

	*ret = (struct rest_answer){ 0 };
	http_answer_init(&ret->http);
	buf_init(&body, REQUEST_BYTES);
	buf_clear(&r->desk->words);
	if (c->body != NULL) {
		if (!json_print(c->body, &body))
			return mh_fail(err, MH_RETRY, "cannot %s: no memory for the request", c->doing);
		bytes = buf_span(&body);
	}
	enum mh_status status = send_once(r, c, bytes, ret, err);
	if (status == MH_OK && ret->status == 401 && own_conf_text(r->desk->conf, "token") != NULL) {
		/* an access token may have been revoked before its time */
		status = read_credential(r, true, err);
		if (status == MH_OK)
			status = send_once(r, c, bytes, ret, err);
	}
	return status == MH_OK ? judge_answer(r, c, ret, err) : status;
}

/* -- small things -------------------------------------------------------------------------------------------------- */

const char *
rest_id(struct rest *r, const cJSON *j, const char *key)
{
	const char *text = json_string(j, key);
	struct mh_span copy;
	int64_t number;

	if (text != NULL)
		return arena_copy(r->desk->arena, span_of(text), &copy, NULL) == MH_OK ? copy.p : NULL;
	if (!json_integer(j, key, 0, INT64_MAX, &number))
		return NULL;
	return arena_printf(r->desk->arena, &copy, NULL, "%" PRId64, number) == MH_OK ? copy.p : NULL;
}

const cJSON *
rest_at(const cJSON *j, const char *path)
{
	struct mh_span rest = span_of(path);

	while (j != NULL && rest.n > 0) {
		const size_t dot = span_find(rest, MH_LIT("."), 0);
		const struct mh_span key = span_head(rest, dot);
		const cJSON *item, *found = NULL;

		if (cJSON_IsObject(j))
			cJSON_ArrayForEach(item, j) if (item->string != NULL && span_eq(span_of(item->string), key))
			    found = item;
		j = found;
		rest = dot == SIZE_MAX ? MH_NONE : span_from(rest, dot + 1);
	}
	return j;
}

void
rest_names(const cJSON *list, const char *key, struct buf *out)
{
	const size_t before = out->n;
	const cJSON *item;

	cJSON_ArrayForEach(item, list)
	{
		const char *name = json_string(item, key);
		const struct template_var clean = { "", span_of(name), LINES_ONE };

		if (name == NULL)
			continue;
		if (out->n - before + strlen(name) > NAMES_BYTES) {
			buf_puts(out, ", ...");
			return;
		}
		if (out->n > before)
			buf_puts(out, ", ");
		template_plain(out, &clean);
	}
}

void
rest_put_line(struct buf *out, const char *name, const char *value)
{
	const struct template_var clean = { "", span_of(value), LINES_ONE };

	if (value == NULL)
		return;
	buf_puts(out, name);
	template_plain(out, &clean);
	buf_putc(out, '\n');
}

enum mh_status
rest_id_of_url(struct rest *r, const char *url, const char *before, const char **ret_id, struct mh_err *err)
{
	const struct mh_span base = span_of(r->base), head = span_of(before);
	struct mh_span rest = span_of(url), id;

	if (!span_starts(rest, base) || !span_starts(span_from(rest, base.n), head))
		return mh_fail(err, MH_SKIP, "not a ticket of this system");
	rest = span_from(rest, base.n + head.n);
	id = span_head(rest, rest.p == NULL ? 0 : strcspn(rest.p, "/?&#"));
	if (id.n == 0)
		return mh_fail(err, MH_SKIP, "not a ticket of this system");
	const enum mh_status status = arena_copy(r->desk->arena, id, &id, err);
	if (status == MH_OK)
		*ret_id = id.p;
	return status;
}
