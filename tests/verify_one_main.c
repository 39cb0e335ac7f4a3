/* verify-one KEYS RECEIVED [NAME=VALUE...]: the verifier for the tests in Python, with keys from a file.
 *
 * KEYS has lines "NAME<TAB>TEXT"; the text "!" is a name that DNS does not answer for. Messages come on stdin, each
 * behind a line with its length; each gives one line: the signatures alone (pass, temporary, fail), the ARC chain alone,
 * the level, "temporary" or "-", what it rests on, and the steps, between tabs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mailhook/verify/verify_impl.h"

#define MAX_LIST 32
#define ARENA_BYTES (256u << 20)

struct key_file {
	char *bytes;
	size_t n;
};

static enum mh_status
txt_of(void *user, const char *name, struct arena *a, struct mh_span *ret_text, struct mh_err *err)
{
	const struct key_file *keys = user;
	struct mh_span rest = { keys->bytes, keys->n }, line;

	while (span_line(&rest, &line)) {
		const size_t tab = span_find(line, MH_LIT("\t"), 0);
		if (tab == SIZE_MAX || !span_ieq(span_head(line, tab), span_of(name)))
			continue;
		const struct mh_span text = span_from(line, tab + 1);
		if (span_eq(text, MH_LIT("!")))
			return mh_fail(err, MH_RETRY, "no answer for %s", name);
		return arena_copy(a, text, ret_text, err);
	}
	return mh_fail(err, MH_SKIP, "no record %s", name);
}

static const char *const status_names[] = {
	[MH_OK] = "pass", [MH_SKIP] = "none", [MH_BAD] = "fail", [MH_RETRY] = "temporary", [MH_LIMIT] = "limit"
};

/* The best of all signatures, whatever their domain, and the reasons of the others. */
static enum mh_status
signatures(struct verify_mail *m, int64_t received, const struct key_source *keys, struct arena *a, struct buf *words)
{
	enum mh_status best = MH_SKIP;

	for (size_t i = 0; i < m->n_fields; i++) {
		struct signature s;
		struct mh_err why = { 0 };

		if (!span_ieq(m->fields[i].name, MH_LIT("DKIM-Signature")))
			continue;
		enum mh_status status = signature_read(m->fields[i].value, SIGNATURE_DKIM, a, &s, &why);
		if (status == MH_OK)
			status = dkim_verify(m, &m->fields[i], &s, received, keys, a, &why);
		if (status != MH_OK)
			buf_printf(words, "%s | ", why.text);
		if (status == MH_OK || best == MH_SKIP || (status == MH_RETRY && best != MH_OK))
			best = status;
	}
	return best;
}

static enum mh_status
chain(struct verify_mail *m, int64_t received, const struct key_source *keys, struct arena *a, struct buf *words)
{
	struct arc_chain c;
	struct mh_err why = { 0 };
	enum mh_status status = arc_read(m, a, &c, &why);

	if (status == MH_OK)
		status = arc_verify(m, &c, received, keys, a, &why);
	if (status != MH_OK && status != MH_SKIP)
		buf_printf(words, "ARC: %s | ", why.text);
	return status;
}

static void
judge(struct mh_span raw, int64_t received, const struct verify_policy *policy, struct key_file *file)
{
	const struct key_source keys = { .txt = txt_of, .user = file, .kept = policy->keys };
	struct verify_result r;
	struct verify_mail m;
	struct mh_err err = { 0 };
	struct arena a;
	struct buf words;

	arena_init(&a, ARENA_BYTES);
	buf_init(&words, 1 << 20);
	if (message_split(raw, &a, &m, &err) != MH_OK ||
	    verify_message(raw, received, policy, txt_of, file, &a, &r, &err) != MH_OK) {
		printf("limit\tlimit\tunverified\t-\t\t%s\n", err.text);
	} else {
		static const char *const levels[] = { "unverified", "relayed", "verified" };
		enum mh_status one = MH_BAD, arc = MH_BAD;

		if (m.malformed == NULL) {
			one = signatures(&m, received, &keys, &a, &words);
			arc = chain(&m, received, &keys, &a, &words);
		} else {
			buf_printf(&words, "%s | ", m.malformed);
		}
		for (size_t i = 0; i < r.n_steps; i++)
			buf_printf(&words, "%.*s | ", (int)r.steps[i].n, r.steps[i].p);
		printf("%s\t%s\t%s\t%s\t%s\t%s\n", status_names[one], status_names[arc], levels[r.level],
		    r.temporary ? "temporary" : "-", r.by, words.n == 0 ? "" : words.p);
	}
	buf_release(&words);
	arena_release(&a);
}

struct lists {
	const char *signers[MAX_LIST + 1], *senders[MAX_LIST + 1];
	const char *ids[MAX_LIST], *sealers[MAX_LIST], *forwarders[MAX_LIST], *topics[MAX_LIST];
	struct conf_trust trust;
};

static bool
add(const char **list, size_t *n, const char *arg, const char *name)
{
	const size_t length = strlen(name);

	if (strncmp(arg, name, length) != 0)
		return false;
	if (*n < MAX_LIST)
		list[(*n)++] = arg + length;
	return true;
}

static bool
read_args(int argc, char **argv, struct lists *l)
{
	struct conf_trust *t = &l->trust;
	size_t signers = 0, senders = 0;

	*t = (struct conf_trust){ .hops = 1,
		.authserv_id = { l->ids, 0 },
		.arc_sealers = { l->sealers, 0 },
		.forwarders = { l->forwarders, 0 },
		.sns_topics = { l->topics, 0 } };
	for (int i = 3; i < argc; i++) {
		if (strncmp(argv[i], "hops=", 5) == 0)
			t->hops = (int)strtol(argv[i] + 5, NULL, 10);
		else if (strcmp(argv[i], "authres_stripped=true") == 0)
			t->authres_stripped = true;
		else if (!add(l->signers, &signers, argv[i], "signer=") &&
			 !add(l->senders, &senders, argv[i], "sender=") &&
			 !add(l->ids, &t->authserv_id.n, argv[i], "authserv_id=") &&
			 !add(l->sealers, &t->arc_sealers.n, argv[i], "arc_sealer=") &&
			 !add(l->forwarders, &t->forwarders.n, argv[i], "forwarder=") &&
			 !add(l->topics, &t->sns_topics.n, argv[i], "sns_topic="))
			return false;
	}
	return true;
}

static bool
read_keys(const char *path, struct key_file *ret)
{
	FILE *f = fopen(path, "rb");

	if (f == NULL)
		return false;
	ret->bytes = malloc(1 << 20);
	ret->n = ret->bytes == NULL ? 0 : fread(ret->bytes, 1, 1 << 20, f);
	fclose(f);
	return ret->bytes != NULL;
}

int
main(int argc, char **argv)
{
	struct lists lists = { 0 };
	struct key_file keys = { 0 };
	char head[32];
	int status = 0;

	if (argc < 3 || !read_args(argc, argv, &lists) || !read_keys(argv[1], &keys)) {
		fprintf(stderr, "usage: verify-one KEYS RECEIVED [NAME=VALUE...]\n");
		return 2;
	}
	struct verify_keys *kept = verify_keys_new();
	const struct verify_policy policy = {
		.trust = &lists.trust, .signers = lists.signers, .senders = lists.senders, .keys = kept
	};
	const int64_t received = strtoll(argv[2], NULL, 10);

	while (fgets(head, sizeof(head), stdin) != NULL) {
		const size_t n = strtoul(head, NULL, 10);
		char *raw = n > (256u << 20) ? NULL : malloc(n == 0 ? 1 : n); /* of its exact size, for the sanitizer */

		if (raw == NULL || fread(raw, 1, n, stdin) != n) {
			free(raw);
			status = 2;
			break;
		}
		judge((struct mh_span){ raw, n }, received, &policy, &keys);
		free(raw);
		fflush(stdout);
	}
	verify_keys_free(kept);
	free(keys.bytes);
	return status;
}
