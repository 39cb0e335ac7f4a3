/* own.c: credentials of our own, which no mail tells of: their dates stand in the configuration or in a certificate. */
#include <inttypes.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "mailhook/work/case_impl.h"
#include "mailhook/work/job.h"
#include "mailhook/work/ledger/times.h"
#include "mailhook/work/pass.h"

#define DAY_S 86400
#define MAX_CERTIFICATES 100 /* of one file: a chain has three or four */

static void
drop_bio(BIO **b)
{
	(void)BIO_free(*b);
}

static void
drop_x509(X509 **x)
{
	X509_free(*x);
}

enum mh_status
own_certificate_end(const char *path, int64_t *ret, struct mh_err *err)
{
	struct stat sb;
	int64_t first = INT64_MAX;
	int n = 0;

	if (stat(path, &sb) != 0)
		return mh_fail_errno(err, MH_BAD, "%s cannot be read", path);
	if (!S_ISREG(sb.st_mode)) /* a pipe would hold us for ever */
		return mh_fail(err, MH_BAD, "%s is no file", path);
	MH_AUTO(drop_bio) BIO *file = BIO_new_file(path, "re");
	if (file == NULL) {
		ERR_clear_error();
		return mh_fail(err, MH_BAD, "%s cannot be read", path);
	}
	for (; n < MAX_CERTIFICATES; n++) {
		MH_AUTO(drop_x509) X509 *x = PEM_read_bio_X509(file, NULL, NULL, NULL);
		struct tm tm = { 0 };

		if (x == NULL)
			break;
		if (ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm) != 1) {
			ERR_clear_error();
			return mh_fail(err, MH_BAD, "%s: a certificate in it has no date", path);
		}
		const int64_t end =
		    time_of_civil(tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
		first = end < first ? end : first;
	}
	const unsigned long why = ERR_peek_last_error();
	ERR_clear_error();
	if (n == 0)
		return mh_fail(err, MH_BAD, "%s: no certificate in it", path);
	/* a file that is written just now has no end yet, or a broken one */
	if (n < MAX_CERTIFICATES && ERR_GET_REASON(why) != PEM_R_NO_START_LINE)
		return mh_fail(err, MH_BAD, "%s: certificate %d in it cannot be read", path, n + 1);
	*ret = first;
	return MH_OK;
}

/* What a credential's case must say now. */
static enum mh_status
wanted(const struct conf_credential *k, struct arena *a, struct case_row *ret, struct mh_err *err)
{
	struct case_row c = { .kind = KIND_CREDENTIAL,
		.resource = k->name,
		.has_expires = true,
		.expires = k->expires,
		.precision = k->day ? MH_DAY : MH_SECOND,
		.reason = k->renew,
		.trust = TRUST_VERIFIED }; /* the administrator's own word */
	struct mh_err why = { 0 };
	struct mh_span reason;

	if (k->certificate_file != NULL && own_certificate_end(k->certificate_file, &c.expires, &why) != MH_OK) {
		if (arena_copy(a, span_of(why.text), &reason, err) != MH_OK)
			return MH_RETRY;
		c.has_expires = false;
		c.reason = reason.p;
	}
	*ret = c;
	return MH_OK;
}

static bool
same(const struct case_row *have, const struct case_row *want)
{
	if (have->resource == NULL || strcmp(have->resource, want->resource) != 0)
		return false;
	return have->has_expires == want->has_expires && (!have->has_expires || have->expires == want->expires);
}

static enum mh_status
shut(struct work *w, struct arena *a, struct case_row *c, const struct case_row *want, int64_t now, struct mh_err *err)
{
	struct mh_span why = MH_LIT("it is not configured any more");
	char t[MH_TIME_TEXT];

	if (want != NULL && want->has_expires &&
	    arena_printf(a, &why, err, "it expires at %s now", time_text(t, want->expires)) != MH_OK)
		return MH_RETRY;
	if (want != NULL && !want->has_expires)
		why = span_of(want->reason);
	c->open = false;
	c->has_closed = true;
	c->closed = now;
	c->closed_by = "mailhook";
	const enum mh_status status = ledger_case_update(w->db, c, err);
	return status == MH_OK ? case_event(w, c, "closed", "mailhook", why.p, NULL, now, err) : status;
}

/* Closes what is past, and notes in have[] of which credentials there is a case. */
static enum mh_status
close_old(struct work *w, struct arena *a, const struct case_row *want, bool *have, int64_t now, struct mh_err *err)
{
	struct id_rows ids = { 0 };
	enum mh_status status = ledger_open_of_kind(w->db, KIND_CREDENTIAL, a, &ids, err);

	for (size_t i = 0; i < ids.n && status == MH_OK; i++) {
		const struct case_row *now_is = NULL;
		struct case_row c;
		size_t k = 0;

		status = ledger_case_get(w->db, ids.items[i], a, &c, err);
		for (; status == MH_OK && k < w->conf->n_credentials && now_is == NULL; k++)
			if (c.resource != NULL && strcmp(want[k].resource, c.resource) == 0)
				now_is = &want[k];
		if (status == MH_OK && now_is != NULL && same(&c, now_is))
			have[now_is - want] = true;
		else if (status == MH_OK)
			status = shut(w, a, &c, now_is, now, err);
	}
	return status;
}

/* Thresholds fall, so the first is the highest. */
static bool
near(const struct conf_credential *k, const struct case_row *want, int64_t now)
{
	int64_t days = 0;

	for (const char *p = k->thresholds.items[0]; *p >= '0' && *p <= '9'; p++)
		days = days * 10 + (*p - '0');
	return !want->has_expires || want->expires - days * DAY_S <= now;
}

enum mh_status
own_credentials(struct work *w, struct arena *a, int64_t now, struct mh_err *err)
{
	const struct conf *conf = w->conf;
	struct case_row *want = arena_array(a, conf->n_credentials, sizeof(*want));
	bool *have = arena_array(a, conf->n_credentials, sizeof(*have));
	enum mh_status status = MH_OK;

	if (want == NULL || have == NULL)
		return mh_fail(err, MH_RETRY, "no memory for credentials");
	for (size_t i = 0; i < conf->n_credentials && status == MH_OK; i++)
		status = wanted(&conf->credentials[i], a, &want[i], err);
	if (status == MH_OK)
		status = close_old(w, a, want, have, now, err);
	for (size_t i = 0; i < conf->n_credentials && status == MH_OK; i++) {
		struct take t = { .w = w, .a = a, .now = now };
		bool known = false;

		if (have[i] || !near(&conf->credentials[i], &want[i], now))
			continue;
		status = ledger_case_known(w->db, &want[i], &known, err); /* a person closed it: their word stands */
		if (status == MH_OK && !known)
			status = case_open(&t, &want[i], err);
	}
	return status;
}
