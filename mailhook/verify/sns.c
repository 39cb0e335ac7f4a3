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

/* The last unsubscribe link of a text that begins a line, quote marks of a forward aside.
 *   out  ret_behind: how many lines that are not blank follow it */
static bool
last_line(struct mh_span text, struct mh_span *ret, size_t *ret_behind)
{
	struct mh_span line;
	bool found = false;

	while (span_line(&text, &line)) {
		line = span_trim(line);
		while (line.n > 0 && (line.p[0] == '>' || line.p[0] == ' '))
			line = span_from(line, 1);
		if (span_istarts(line, MH_LIT("https://sns.")) &&
		    span_ifind(line, MH_LIT("SubscriptionArn="), 0) != SIZE_MAX) {
			*ret = line;
			*ret_behind = 0;
			found = true;
		} else {
			*ret_behind += line.n > 0;
		}
	}
	return found;
}

enum mh_status
sns_topic(struct mh_span raw, struct arena *a, bool direct, struct mh_span *ret_topic, struct mh_err *err)
{
	struct mail mail;
	struct mh_span line = MH_NONE;
	size_t behind = 0;
	const enum mh_status status = mail_read(raw, NULL, a, &mail, err);

	if (status != MH_OK)
		return status;
	if (mail.limits != 0)
		return mh_fail(err, MH_BAD, "the mail is larger than mailhook reads, so its footer cannot be found");
	if (direct && (mail.n_messages != 1 || mail.n_parts != 1 || mail.parts[0].type != MAIL_PLAIN))
		return mh_fail(err, MH_BAD, "a mail of SNS that is not one plain text");
	for (size_t i = 0; i < mail.n_parts; i++)
		last_line(mail.parts[i].text, &line, &behind);
	if (line.p == NULL)
		return mh_fail(err, MH_SKIP, "there is no unsubscribe link of SNS");
	/* Should AWS word its footer anew, a false one above must not become the last that is known. */
	if (direct && behind > MAX_LINES_BEHIND)
		return mh_fail(err, MH_BAD, "more stands behind the unsubscribe link than SNS writes there");
	return read_line(line, ret_topic, err);
}
