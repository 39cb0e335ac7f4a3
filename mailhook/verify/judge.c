/* judge.c: a mail's verdict, in a process that the mail may take over without gaining anything. */
#include "mailhook/verify/judge.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mailhook/cli.h"
#include "mailhook/fd.h"
#include "mailhook/json.h"
#include "mailhook/verify/ask.h"
#include "mailhook/verify/dns.h"
#include "mailhook/verify/opener.h"
#include "mailhook/verify/verify.h"

#define MAIL_FD 3

struct judge {
	struct arena arena;
	struct conf_trust trust;
	struct verify_policy policy;
	int64_t received;
	struct mh_span mail;
	struct dns dns;
	struct opener opener;  /* pid 0: there is none */
	struct mh_err dns_err; /* why there is no resolver */
};

static enum mh_status
read_request(struct buf *out, struct mh_err *err)
{
	char bytes[16384];
	ssize_t n;

	while ((n = read(STDIN_FILENO, bytes, sizeof(bytes))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return mh_fail_errno(err, MH_RETRY, "the question cannot be read");
		buf_put(out, (struct mh_span){ bytes, (size_t)n });
	}
	return buf_ok(out) ? MH_OK : mh_fail(err, MH_BAD, "the question is too long");
}

/* A list of the request as a NULL-ended array of copies. */
static enum mh_status
read_names(const cJSON *j, const char *key, struct arena *a, const char ***ret_items, size_t *ret_n, struct mh_err *err)
{
	const cJSON *list = json_array(j, key), *item;
	size_t n = 0;

	if (list == NULL)
		return mh_fail(err, MH_BAD, "the question lacks \"%s\"", key);
	const char **items = arena_array(a, (size_t)cJSON_GetArraySize(list) + 1, sizeof(*items));
	if (items == NULL)
		return mh_fail(err, MH_RETRY, "no memory for the question");
	cJSON_ArrayForEach(item, list)
	{
		const char *s = cJSON_GetStringValue(item);
		struct mh_span copy;

		if (s == NULL)
			return mh_fail(err, MH_BAD, "\"%s\" of the question is no list of names", key);
		if (arena_copy(a, span_of(s), &copy, err) != MH_OK)
			return MH_RETRY;
		items[n++] = copy.p;
	}
	*ret_items = items;
	*ret_n = n;
	return MH_OK;
}

static enum mh_status
read_trust(struct judge *d, const cJSON *trust, struct mh_err *err)
{
	const struct {
		const char *key;
		struct conf_list *list;
	} lists[] = { { "authserv_id", &d->trust.authserv_id }, { "arc_sealers", &d->trust.arc_sealers },
		{ "forwarders", &d->trust.forwarders }, { "sns_topics", &d->trust.sns_topics } };
	const char *resolver = json_string(trust, "resolver");
	int64_t hops = 0;
	enum mh_status status = MH_OK;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]) && status == MH_OK; i++)
		status = read_names(trust, lists[i].key, &d->arena, &lists[i].list->items, &lists[i].list->n, err);
	if (status != MH_OK)
		return status;
	if (!json_integer(trust, "hops", 0, 1000, &hops) ||
	    !json_bool(trust, "authres_stripped", &d->trust.authres_stripped))
		return mh_fail(err, MH_BAD, "the question lacks a value of \"trust\"");
	d->trust.hops = (int)hops;
	/* A mail may be judged without DNS: then only what needs it is open. */
	(void)dns_init(&d->dns, resolver, &d->dns_err);
	return MH_OK;
}

static enum mh_status
understand(struct judge *d, struct mh_span request, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *j = json_parse(request, err);
	const cJSON *trust = j == NULL ? NULL : json_object(j, "trust");
	const char *received = j == NULL ? NULL : json_string(j, "received");
	const char **signers = NULL, **senders = NULL;
	size_t n = 0;

	if (j == NULL)
		return MH_BAD;
	if (trust == NULL || received == NULL)
		return mh_fail(err, MH_BAD, "the question is not whole");
	enum mh_status status = time_read(span_of(received), &d->received, err);
	if (status == MH_OK)
		status = read_names(j, "signers", &d->arena, &signers, &n, err);
	if (status == MH_OK)
		status = read_names(j, "senders", &d->arena, &senders, &n, err);
	if (status == MH_OK)
		status = read_trust(d, trust, err);
	d->policy = (struct verify_policy){
		.trust = &d->trust, .signers = signers, .senders = senders, .keys = verify_keys_new()
	};
	return status;
}

static enum mh_status
map_mail(struct judge *d, struct mh_err *err)
{
	struct stat st;

	if (fstat(MAIL_FD, &st) < 0 || st.st_size < 0)
		return mh_fail_errno(err, MH_RETRY, "there is no mail on descriptor %d", MAIL_FD);
	if (st.st_size == 0) {
		d->mail = MH_LIT("");
		return MH_OK;
	}
	void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, MAIL_FD, 0);
	if (p == MAP_FAILED)
		return mh_fail_errno(err, MH_RETRY, "the mail cannot be read");
	d->mail = (struct mh_span){ p, (size_t)st.st_size };
	return MH_OK;
}

/* Whoever has the mail later cannot open a socket. Before the mail is mapped, so that it is no part of the opener. */
static void
prepare_dns(struct judge *d)
{
	if (d->dns.n == 0)
		return;
	d->dns.opener = opener_open;
	d->dns.opener_user = &d->opener;
	if (opener_start(&d->opener, &d->dns, &d->dns_err) != MH_OK)
		d->dns.n = 0; /* as without a resolver */
}

static enum mh_status
look_up(void *user, const char *name, struct arena *a, struct mh_span *ret_text, struct mh_err *err)
{
	struct judge *d = user;

	if (d->dns.n == 0)
		return mh_fail(err, MH_RETRY, "%s", d->dns_err.text);
	return dns_txt(&d->dns, name, a, ret_text, err);
}

static bool
render(const struct verify_result *r, struct buf *out)
{
	MH_AUTO(drop_json) cJSON *j = cJSON_CreateObject();

	if (j == NULL || !json_add_string(j, "level", trust_names[r->level]) ||
	    cJSON_AddBoolToObject(j, "temporary", r->temporary) == NULL ||
	    !json_add_string(j, "by", r->by[0] == '\0' ? NULL : r->by))
		return false;
	cJSON *steps = cJSON_AddArrayToObject(j, "steps");
	for (size_t i = 0; steps != NULL && i < r->n_steps; i++) {
		char text[1024];
		cJSON *item = cJSON_CreateString(mh_escape(text, sizeof(text), r->steps[i]));
		if (!cJSON_AddItemToArray(steps, item)) {
			cJSON_Delete(item);
			return false;
		}
	}
	return steps != NULL && json_print(j, out);
}

static bool
write_line(struct buf *out)
{
	buf_putc(out, '\n');
	return buf_ok(out) && fd_write_all(STDOUT_FILENO, buf_span(out));
}

static int
judge(struct judge *d, struct buf *out)
{
	struct verify_result r = { 0 };
	struct mh_err err = { 0 };
	const enum mh_status status = verify_message(d->mail, d->received, &d->policy, look_up, d, &d->arena, &r, &err);

	if (status != MH_OK)
		r = (struct verify_result){
			.temporary = status == MH_RETRY, .steps = { span_of(err.text) }, .n_steps = 1
		};
	return render(&r, out) && write_line(out) ? CLI_OK : CLI_LATER;
}

int
judge_main(void)
{
	struct judge d = { 0 };
	struct mh_err err = { 0 };
	struct buf request, answer;

	arena_init(&d.arena, MH_MAX_ARENA_BYTES);
	buf_init(&request, VERIFY_MAX_REQUEST_BYTES);
	buf_init(&answer, VERIFY_MAX_ANSWER_BYTES);
	/* Else it would read its own configuration when it is first used, and no file can be opened by then. */
	enum mh_status status = OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) == 1
				    ? read_request(&request, &err)
				    : mh_fail(&err, MH_RETRY, "no memory for the crypto library");
	if (status == MH_OK)
		status = understand(&d, buf_span(&request), &err);
	if (status == MH_OK && close_range(MAIL_FD + 1, ~0u, 0) != 0)
		status = mh_fail_errno(&err, MH_RETRY, "descriptors cannot be closed");
	if (status == MH_OK)
		prepare_dns(&d);
	if (status == MH_OK)
		status = map_mail(&d, &err);
	if (status == MH_OK && !judge_shut_in())
		status = mh_fail_errno(&err, MH_RETRY, "the verifier cannot be shut in");
	const int code = status == MH_OK ? judge(&d, &answer) : status == MH_BAD ? CLI_USAGE : CLI_LATER;
	if (status != MH_OK)
		(void)fprintf(stderr, "mailhook: verify: %s\n", err.text);
	if (d.opener.pid > 0)
		opener_end(&d.opener);
	/* Not through exit(): what the libraries would do there is not needed, and not allowed. */
	_exit(code);
}
