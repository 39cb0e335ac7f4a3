/* preflight.c: what the tokens that AWS lists come to. Nothing is done on a doubt: I4, nobody's token is deleted on
 * suspicion. */
#include "actions/rotate/machine.h"

static bool
is_notices(const struct aws_token *t, int64_t expires)
{
	const int64_t apart = t->expires - expires;

	return apart >= -MATCH_S && apart <= MATCH_S;
}

static struct preflight
person(const char *words)
{
	return (struct preflight){ .plan = PLAN_PERSON, .words = words };
}

static struct preflight
of_one(const struct aws_token *t, int64_t expires, int64_t now)
{
	if (is_notices(t, expires))
		return (struct preflight){ .plan = PLAN_ROTATE, .old = t, .words = "one token, the notice's" };
	if (t->expires > now + NOTICE_BEFORE_S)
		return (struct preflight){ .plan = PLAN_RENEWED, .fresh = t, .words = "the token was renewed already" };
	return person("the only token does not end when the notice says");
}

/* Both have ended: neither can be in use. The one that is not the notice's goes; of two, the one that ended first. */
static struct preflight
of_ended(const struct aws_token *a, const struct aws_token *b, int64_t expires)
{
	const struct aws_token *drop = is_notices(a, expires) != is_notices(b, expires)
					   ? (is_notices(a, expires) ? b : a)
					   : (a->expires <= b->expires ? a : b);

	return (struct preflight){
		.plan = PLAN_DROP, .drop = drop, .words = "both tokens have ended: provisioning does not work"
	};
}

static struct preflight
of_two(const struct aws_token *a, const struct aws_token *b, int64_t expires, int64_t now)
{
	const bool a_is = is_notices(a, expires), b_is = is_notices(b, expires);
	const struct aws_token *old = a_is ? a : b, *other = a_is ? b : a;

	if (a->expires <= now && b->expires <= now)
		return of_ended(a, b, expires);
	if (!a_is && !b_is)
		return person("none of the two tokens ends when the notice says");
	if (a_is && b_is)
		return person("both tokens end when the notice says: which one is in use is not known");
	if (other->expires <= now)
		return (struct preflight){
			.plan = PLAN_DROP, .drop = other, .words = "the other token has ended and goes first"
		};
	if (other->created > old->created && other->expires > now + NOTICE_BEFORE_S && other->expires > old->expires)
		return (struct preflight){
			.plan = PLAN_ADOPT, .old = old, .fresh = other, .words = "somebody has made a new token already"
		};
	return person("there are two tokens and both end soon: which one is in use is not known");
}

struct preflight
preflight(const struct aws_tokens *t, int64_t expires, int64_t now)
{
	switch (t->n) {
	case 0:
		return (struct preflight){ .plan = PLAN_FRESH,
			.words = "there is no token at all: provisioning does not work" };
	case 1:
		return of_one(&t->items[0], expires, now);
	case 2:
		return of_two(&t->items[0], &t->items[1], expires, now);
	default:
		return person("AWS lists more than two tokens");
	}
}
