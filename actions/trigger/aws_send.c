/* aws_send.c: a preset's request to AWS: signed, and refusals that every service has alike judged alike. */
#include <string.h>
#include <strings.h>

#include "actions/trigger/trigger.h"

#define MAX_HEADERS 8

/* What is one of AWS's refusals for all services is said as such; what a service means by its own is the preset's. */
static bool
is_for_all(enum aws_fault fault)
{
	switch (fault) {
	case AWS_FINE:
	case AWS_NOT_FOUND:
	case AWS_FULL:
	case AWS_REFUSED:
		return false;
	case AWS_NO_ANSWER:
	case AWS_BROKEN:
	case AWS_THROTTLED:
	case AWS_CREDENTIALS:
	case AWS_SKEWED:
	case AWS_DENIED:
	case AWS_GONE:
		return true;
	}
	return true;
}

enum mh_status
trigger_send(void *user, const struct http_request *q, const char *aws, struct http_answer *ret, struct mh_err *err)
{
	struct trigger *t = user;
	struct http_header more[MAX_HEADERS];
	struct aws_answer a;

	if (aws == NULL)
		return http_try(&t->settings.wire, q, ret, err);
	struct aws_request r = { .service = aws,
		.path = q->url,
		.type = "application/json",
		.headers = more,
		.body = q->body.p == NULL ? MH_LIT("") : q->body,
		.keep = q->keep };
	for (size_t i = 0; i < q->n_headers; i++) {
		if (strcasecmp(q->headers[i].name, "Content-Type") == 0)
			r.type = q->headers[i].value.p; /* of a buffer, which ends with a NUL */
		else if (r.n_headers < MAX_HEADERS)
			more[r.n_headers++] = q->headers[i];
	}
	aws_answer_init(&a);
	enum mh_status status = aws_post(&t->aws, &r, &a, err);
	t->fault = a.fault;
	if (secret_shows(buf_span(&a.http.body), secret_span(&t->aws.keys.secret)) ||
	    secret_shows(buf_span(&a.http.body), secret_span(&t->aws.keys.token)))
		buf_clear(&a.http.body); /* words that give our keys back are not told */
	if (status == MH_BAD && a.http.status != 0 && !is_for_all(a.fault))
		status = MH_OK;
	/* the answer is the caller's from here */
	http_answer_release(ret);
	*ret = a.http;
	return status;
}
