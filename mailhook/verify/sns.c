/* sns.c: which topic a mail of Amazon SNS was published to.
 *
 * Anybody may have SNS send a text of their own, signed by AWS; only the footer is AWS's. Its last line decides, since
 * the publisher's text, false footers and all, stands above it. The x-amz-sns- fields are not signed. */
#include <string.h>

#include "mailhook/mail/mail.h"
#include "mailhook/verify/verify_impl.h"

#define MAX_LINES_BEHIND 2 /* AWS writes one; a footer in other words has four */

static bool
is_arn_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
	       c == '.';
}

/* arn:PARTITION:sns:REGION:ACCOUNT:TOPIC of a subscription's ARN, which has one part more. */
static bool
topic_of(struct mh_span arn, struct mh_span *ret_topic, struct mh_span *ret_region)
{
	struct mh_span part[7], rest = arn;
	size_t n = 0;

	while (n < 7 && tag_item(&rest, &part[n])) {
		for (size_t i = 0; i < part[n].n; i++)
			if (!is_arn_byte(part[n].p[i]))
				return false;
		if (part[n++].n == 0)
			return false;
	}
	if (n != 7 || rest.p != NULL || !span_eq(part[0], MH_LIT("arn")) || !span_starts(part[1], MH_LIT("aws")) ||
	    !span_eq(part[2], MH_LIT("sns")))
		return false;
	*ret_topic = (struct mh_span){ arn.p, (size_t)(part[6].p - arn.p) - 1 };
	*ret_region = part[3];
	return true;
}

/* https://sns.REGION.amazonaws.com/unsubscribe.html?SubscriptionArn=ARN&Endpoint=... */
static enum mh_status
read_line(struct mh_span line, struct mh_span *ret_topic, struct mh_err *err)
{
	const struct mh_span path = MH_LIT("/unsubscribe.html?SubscriptionArn=");
	const struct mh_span host = span_from(line, MH_LIT("https://sns.").n);
	const size_t slash = span_find(host, MH_LIT("/"), 0);
	struct mh_span arn, topic, region;

	if (slash == SIZE_MAX || !span_starts(span_from(host, slash), path))
		return mh_fail(err, MH_BAD, "the last line of SNS is no unsubscribe link");
	arn = span_from(host, slash + path.n);
	arn = span_head(arn, span_find(arn, MH_LIT("&"), 0));
	if (!topic_of(arn, &topic, &region))
		return mh_fail(err, MH_BAD, "the unsubscribe link of SNS names no topic");

	const struct mh_span behind = span_from(span_head(host, slash), region.n);
	if (!span_starts(host, region) ||
	    (!span_eq(behind, MH_LIT(".amazonaws.com")) && !span_eq(behind, MH_LIT(".amazonaws.com.cn"))))
		return mh_fail(err, MH_BAD, "the unsubscribe link of SNS is of another region than its topic");
	*ret_topic = topic;
	return MH_OK;
}

/* One text after another is looked through for unsubscribe links: as SNS sent it those that begin a line, else all, since
 * whoever sent it on may have written something in front of them. */
struct links {
	bool direct;
	struct mh_span last;
	size_t behind; /* lines that are not blank and follow it */
	bool inner;    /* one of those has a link too, behind other words */
	struct mh_span topic;
};

/* The next link in a line at or behind an offset; SIZE_MAX where there is none. */
static size_t
find_link(struct mh_span line, size_t from)
{
	const size_t at = span_ifind(line, MH_LIT("https://sns."), from);

	return at == SIZE_MAX || span_ifind(line, MH_LIT("SubscriptionArn="), at) == SIZE_MAX ? SIZE_MAX : at;
}

static enum mh_status
look_at_all(struct links *l, struct mh_span line, struct mh_err *err)
{
	for (size_t at = 0; (at = find_link(line, at)) != SIZE_MAX; at++) {
		struct mh_span topic = MH_NONE;

		l->last = span_from(line, at);
		const enum mh_status status = read_line(l->last, &topic, err);
		if (status != MH_OK)
			return status;
		if (l->topic.p != NULL && !span_eq(l->topic, topic))
			return mh_fail(
			    err, MH_BAD, "unsubscribe links of several topics, and no saying whose is SNS's");
		l->topic = topic;
	}
	return MH_OK;
}

static enum mh_status
look_through(struct links *l, struct mh_span text, struct mh_err *err)
{
	struct mh_span line;
	enum mh_status status = MH_OK;

	while (status == MH_OK && span_line(&text, &line)) {
		line = span_trim(line);
		if (!l->direct) {
			status = look_at_all(l, line, err);
		} else if (find_link(line, 0) == 0) {
			l->last = line;
			l->behind = 0;
			l->inner = false;
		} else {
			l->behind += line.n > 0;
			l->inner = l->inner || find_link(line, 0) != SIZE_MAX;
		}
	}
	return status;
}

enum mh_status
sns_topic(struct mh_span raw, struct arena *a, bool direct, struct mh_span *ret_topic, struct mh_err *err)
{
	struct mail mail;
	struct links links = { .direct = direct };
	enum mh_status status = mail_read(raw, NULL, a, &mail, err);

	if (status != MH_OK)
		return status;
	if (mail.limits != 0)
		return mh_fail(err, MH_BAD, "the mail is larger than mailhook reads, so its footer cannot be found");
	if (direct && (mail.n_messages != 1 || mail.n_parts != 1 || mail.parts[0].type != MAIL_PLAIN))
		return mh_fail(err, MH_BAD, "a mail of SNS that is not one plain text");
	for (size_t i = 0; i < mail.n_parts && status == MH_OK; i++)
		status = look_through(&links, mail.parts[i].text, err);
	if (status != MH_OK)
		return status;
	if (links.last.p == NULL)
		return mh_fail(err, MH_SKIP, "there is no unsubscribe link of SNS");
	/* Should AWS word its footer anew, a false one above must not become the last that is known. */
	if (direct && (links.inner || links.behind > MAX_LINES_BEHIND))
		return mh_fail(err, MH_BAD, "more stands behind the unsubscribe link than SNS writes there");
	return read_line(links.last, ret_topic, err);
}
