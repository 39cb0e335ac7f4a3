/* dns_answer.c: one answer of a resolver, believed in nothing but what it says of the name that was asked for. */
#include <arpa/nameser.h>
#include <string.h>

#include "mailhook/verify/dns.h"

#define HEADER_BYTES 12

bool
dns_answers(struct mh_span answer, struct mh_span question)
{
	if (answer.n < HEADER_BYTES || question.n <= HEADER_BYTES || memcmp(answer.p, question.p, 2) != 0)
		return false;

	const unsigned char *a = (const unsigned char *)answer.p, *q = (const unsigned char *)question.p;
	if ((a[2] & 0x80) == 0 || (a[2] & 0x78) != (q[2] & 0x78)) /* not an answer, or to another operation */
		return false;
	/* Servers that fail may leave the question out; one that says that a name is not there may not. */
	const unsigned code = a[3] & 0x0f;
	if (a[4] == 0 && a[5] == 0)
		return code != ns_r_noerror && code != ns_r_nxdomain;
	if (memcmp(answer.p + 4, question.p + 4, 2) != 0 || answer.n < question.n)
		return false;
	return span_ieq(
	    span_head(span_from(answer, HEADER_BYTES), question.n - HEADER_BYTES), span_from(question, HEADER_BYTES));
}

/* The strings of one record, joined; each has its length in front. */
static enum mh_status
join_strings(const ns_rr *rr, struct arena *a, struct mh_span *ret, struct mh_err *err)
{
	const unsigned char *p = ns_rr_rdata(*rr);
	size_t left = ns_rr_rdlen(*rr), n = 0;
	char *text = arena_alloc(a, left + 1);

	if (text == NULL)
		return mh_fail(err, MH_RETRY, "no memory for a record");
	while (left > 0) {
		const size_t length = p[0];

		if (length > left - 1)
			return mh_fail(err, MH_RETRY, "a record in the resolver's answer is broken");
		memcpy(text + n, p + 1, length);
		n += length;
		p += length + 1;
		left -= length + 1;
	}
	*ret = (struct mh_span){ text, n };
	return MH_OK;
}

/* Whether the record belongs to name; both as presentation text, without the last dot. */
static bool
is_of(const ns_rr *rr, const char *name)
{
	return span_ieq(span_of(ns_rr_name(*rr)), span_of(name));
}

/* The alias of name in the answer, into alias; MH_SKIP where there is none. */
static enum mh_status
follow(ns_msg *m, const char *name, char alias[NS_MAXDNAME], struct mh_err *err)
{
	for (int i = 0; i < ns_msg_count(*m, ns_s_an); i++) {
		ns_rr rr;

		if (ns_parserr(m, ns_s_an, i, &rr) != 0)
			return mh_fail(err, MH_RETRY, "the resolver's answer is broken");
		if (ns_rr_type(rr) != ns_t_cname || ns_rr_class(rr) != ns_c_in || !is_of(&rr, name))
			continue;
		if (ns_name_uncompress(ns_msg_base(*m), ns_msg_end(*m), ns_rr_rdata(rr), alias, NS_MAXDNAME) < 0)
			return mh_fail(err, MH_RETRY, "an alias in the resolver's answer is broken");
		return MH_OK;
	}
	return MH_SKIP;
}

static enum mh_status
find_record(ns_msg *m, const char *name, struct arena *a, struct mh_span *ret, struct mh_err *err)
{
	struct mh_span text = MH_NONE;

	for (int i = 0; i < ns_msg_count(*m, ns_s_an); i++) {
		ns_rr rr;

		if (ns_parserr(m, ns_s_an, i, &rr) != 0)
			return mh_fail(err, MH_RETRY, "the resolver's answer is broken");
		if (ns_rr_type(rr) != ns_t_txt || ns_rr_class(rr) != ns_c_in || !is_of(&rr, name))
			continue;
		if (text.p != NULL) /* RFC 6376 3.6.2.2: which one counts is not defined */
			return mh_fail(err, MH_BAD, "several TXT records");
		const enum mh_status status = join_strings(&rr, a, &text, err);
		if (status != MH_OK)
			return status;
	}
	if (text.p == NULL)
		return MH_SKIP;
	*ret = text;
	return MH_OK;
}

static enum mh_status
read_records(ns_msg *m, const char *name, struct arena *a, struct mh_span *ret, struct mh_err *err)
{
	char now[NS_MAXDNAME], next[NS_MAXDNAME];
	const size_t n = strlen(name);

	memcpy(now, name, n + 1);
	for (int hops = 0; hops <= DNS_MAX_ALIASES; hops++) {
		enum mh_status status = find_record(m, now, a, ret, err);

		if (status == MH_SKIP)
			status = follow(m, now, next, err);
		else
			return status;
		if (status == MH_SKIP)
			return mh_fail(err, MH_SKIP, "no TXT record");
		if (status != MH_OK)
			return status;
		memcpy(now, next, sizeof(now));
	}
	return mh_fail(err, MH_BAD, "more than %d aliases", DNS_MAX_ALIASES);
}

enum mh_status
dns_answer_read(struct mh_span answer, const char *name, struct arena *a, struct mh_span *ret_text, struct mh_err *err)
{
	ns_msg m;

	if (answer.n < HEADER_BYTES || answer.n > 65535 || strlen(name) > DNS_MAX_NAME_BYTES)
		return mh_fail(err, MH_RETRY, "the resolver's answer is broken");

	const unsigned char flags = (unsigned char)answer.p[2], code = (unsigned char)answer.p[3] & 0x0f;
	if (code == ns_r_nxdomain)
		return mh_fail(err, MH_SKIP, "no such name");
	if (code != ns_r_noerror)
		return mh_fail(err, MH_RETRY, "the resolver failed (code %u)", (unsigned)code);
	if ((flags & 0x02) != 0)
		return mh_fail(err, MH_LIMIT, "the answer is cut");
	if (ns_initparse((const unsigned char *)answer.p, (int)answer.n, &m) != 0)
		return mh_fail(err, MH_RETRY, "the resolver's answer is broken");
	return read_records(&m, name, a, ret_text, err);
}
