/* fuzz_preset.c: any bytes as a service's answer, read by every kind of path and condition; and as AWS's XML, JSON and
 * shared files. The secret is in no word that comes out. */
#include <stdlib.h>
#include <string.h>

#include "actions/common/aws_impl.h"
#include "actions/common/preset.h"
#include "actions/common/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char text[] =
    "{\"title\":\"t\",\"requests\":{\"start\":{\"method\":\"POST\",\"url\":\"https://x.example/{a}\","
    "\"headers\":{\"Authorization\":\"Bearer {secret}\"},"
    "\"retry_if\":{\"e.code\":[\"~later\"]},\"skip_if\":{\"none\":[\"true\"]},\"already_if\":{\"list.[k.l={job_key}]."
    "x\":[\"*\"]},"
    "\"refused_if\":{\"ok\":[\"false\"]},\"done_if\":{\"list.0.{job_key}\":[\"*\"],\"http:status\":[\"200\"]},"
    "\"failed_if\":{\"header:X-E#last\":[\"*\"]},\"words\":[\"e.message\",\"xml:Message\",\"body\"],"
    "\"take\":{\"a\":\"id\",\"b\":\"list.[n~x].id\",\"c\":\"xml:Id\",\"d\":\"header:Location#last\",\"f!\":\"f\"}}}}";
static const struct preset_shipped shipped[] = { { "p", text }, { NULL, NULL } };
static const char secret[] = "s3cret-of-a-service";

struct answer {
	struct mh_span body;
	long status;
};

static enum mh_status
answer_so(void *user, const struct http_request *q, const char *aws, struct http_answer *ret, struct mh_err *err)
{
	const struct answer *a = user;

	(void)q;
	(void)aws;
	(void)err;
	http_answer_init(ret);
	ret->body.max = HTTP_MAX_BODY_BYTES;
	ret->status = a->status;
	ret->sent = true;
	buf_put(&ret->body, a->body);
	buf_puts(&ret->kept, "Location: https://x.example/a/b/7/\n");
	return MH_OK;
}

static void
read_as_aws(struct mh_span bytes)
{
	struct aws_keys keys = { .expires = 0 };
	const char *words[8];
	struct arena a;
	struct buf out;
	int64_t t;

	buf_init(&out, 1u << 20);
	(void)xml_text(bytes, "Code", &out, NULL);
	if (aws_keys_of_json(bytes, "Token", "x", &keys, NULL) == MH_OK && (keys.key_id.n == 0 || keys.secret.n == 0))
		abort();
	aws_keys_release(&keys);
	const struct mh_span value = aws_ini_get(bytes, "profile x", "k");
	if (value.p != NULL && (value.n == 0 || value.p < bytes.p || value.p + value.n > bytes.p + bytes.n))
		abort();
	arena_init(&a, 1u << 20);
	if (memchr(bytes.p, '\0', bytes.n) == NULL && aws_split(bytes, words, 8, &a, NULL) == MH_OK && words[0] == NULL)
		abort();
	(void)aws_time(bytes, &t, NULL);
	arena_release(&a);
	buf_release(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const long statuses[] = { 200, 204, 400, 404, 429, 503 };
	static const char *const requests[] = { "start", NULL };
	const struct template_var items[] = { { "job_key", { "k", 1 }, LINES_ONE } };
	const struct template_vars vars = { items, 1 };
	struct preset_settings settings = { .retry_after_s = -1 };
	struct preset_answer said;
	struct preset *p = NULL;
	struct mh_err err = { 0 };

	if (n == 0)
		return 0;
	struct answer a = { { (const char *)data + 1, n - 1 }, statuses[data[0] % 6] };
	if (preset_read("p", shipped, requests, &p, &err) != MH_OK ||
	    secret_copy(MH_LIT("s3cret-of-a-service"), &settings.secret, &err) != MH_OK)
		abort();
	const struct preset_context c = {
		.preset = p, .settings = &settings, .vars = &vars, .now = 1, .send = answer_so, .user = &a
	};
	const enum mh_status status = preset_ask(&c, "start", &said, &err);
	if (strstr(said.words, secret) != NULL || (status != MH_OK && strstr(err.text, secret) != NULL))
		abort();
	if (status == MH_OK && json_string(said.taken, "f") == NULL && a.status != 204 && a.body.n > 0 &&
	    said.status == 0)
		abort();
	preset_answer_release(&said);
	preset_settings_release(&settings);
	drop_preset(&p);
	read_as_aws(a.body);
	return 0;
}
