/* aws_call_main.c: one signed call as the actions make it, for aws_test.py.
 * Usage: aws-call CONF ACCOUNT NOW SERVICE PATH TYPE TARGET [HEADER VALUE]... ; the body is stdin. "-": none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actions/common/aws.h"
#include "actions/common/own_conf.h"
#include "mailhook/json.h"

static const char *
given(const char *word)
{
	return strcmp(word, "-") == 0 ? NULL : word;
}

static void
read_stdin(struct buf *out)
{
	char chunk[4096];
	ssize_t n;

	while ((n = read(STDIN_FILENO, chunk, sizeof(chunk))) > 0)
		buf_put(out, (struct mh_span){ chunk, (size_t)n });
}

static void
print(const struct aws *s, const struct aws_answer *a, enum mh_status status, const struct mh_err *err)
{
	static const char *const names[] = { "ok", "skip", "bad", "retry", "limit" };
	static const char *const faults[] = { "fine", "no answer", "broken", "throttled", "credentials", "skewed",
		"denied", "not found", "full", "gone", "refused" };
	MH_AUTO(drop_json) cJSON *j = cJSON_CreateObject();
	MH_AUTO(buf_release) struct buf text;

	buf_init(&text, 4u << 20);
	(void)json_add_string(j, "status", names[status]);
	(void)json_add_string(j, "words", status == MH_OK ? "" : err->text);
	(void)json_add_string(j, "source", s->keys.source);
	(void)json_add_string(j, "key_id", s->keys.key_id.p);
	(void)json_add_string(j, "region", s->region);
	(void)json_add_string(j, "fault", faults[a->fault]);
	(void)json_add_integer(j, "http", a->http.status);
	(void)json_add_span(j, "body", buf_span(&a->http.body));
	if (json_print(j, &text))
		(void)printf("%s\n", text.p);
}

int
main(int argc, char **argv)
{
	cfg_opt_t opts[] = { OWN_CONF_HEAD, AWS_OPTIONS, CFG_END() };
	static const struct own_conf_check checks[] = { { NULL, NULL } };
	const struct wire wire = { .total_ms = 5000 };
	struct http_header headers[4];
	struct aws_conf conf;
	struct aws s = { .retry_after_s = -1 };
	struct aws_answer a;
	struct buf body;
	struct mh_err err = { 0 };
	cfg_t *cfg = NULL;

	if (argc < 8)
		return 2;
	aws_answer_init(&a);
	buf_init(&body, 2u << 20);
	read_stdin(&body);
	struct aws_request q = { .service = argv[4],
		.path = given(argv[5]),
		.type = argv[6],
		.target = given(argv[7]),
		.headers = headers,
		.body = body.n == 0 ? MH_LIT("") : buf_span(&body) };
	for (int i = 8; i + 1 < argc && q.n_headers < 4; i += 2)
		headers[q.n_headers++] = (struct http_header){ argv[i], span_of(argv[i + 1]) };
	enum mh_status status = own_conf_read(argv[1], opts, checks, &cfg, &err);
	if (status == MH_OK)
		status = aws_conf_read(cfg, &wire, &conf, &err);
	if (status == MH_OK) {
		aws_init(&s, &conf, given(argv[2]), strtoll(argv[3], NULL, 10));
		status = aws_post(&s, &q, &a, &err);
	}
	print(&s, &a, status, &err);
	aws_release(&s);
	aws_answer_release(&a);
	buf_release(&body);
	drop_own_conf(&cfg);
	return 0;
}
