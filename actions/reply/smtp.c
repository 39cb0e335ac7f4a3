/* smtp.c: a mail handed to a submission server.
 *
 * SMTP has no idempotency key: where the answer to the mail is lost, the next attempt sends it again, with the same
 * Message-ID. The envelope sender is <> by default, so that no bounce comes back (RFC 3834 3.3). */
#include <stdio.h>
#include <string.h>

#include "actions/reply/net.h"
#include "mailhook/clock.h"

_Static_assert(REPLY_MAX_RECIPIENTS <= SMTP_MAX_RECIPIENTS, "what the configuration may name can be sent to");

static enum mh_status
smtp_deliver(const struct delivery *d, bool *ret_earlier, struct mh_err *err)
{
	MH_AUTO(buf_release) struct buf refused;
	struct net_conf net;
	const struct smtp_mail mail = { .from = cfg_getstr(d->conf->cfg, "envelope_from"),
		.to = d->to->items,
		.n_to = d->to->n,
		.bytes = d->mail };

	*ret_earlier = false;
	buf_init(&refused, SMTP_MAX_REFUSED_BYTES);
	net_read(d->conf, d->protocol->deadline_ms, &net);
	enum mh_status status = net_announce(d, err);
	if (status == MH_OK)
		status = smtp_send(&net.smtp.server, &mail, d->request->now, &refused, &d->told->retry_after_s, err);
	if (status == MH_OK)
		(void)snprintf(
		    d->told->refused, sizeof(d->told->refused), "%.*s", (int)refused.n, buf_span(&refused).p);
	return status;
}

static enum mh_status
smtp_check_conf(const struct reply_conf *c, const struct request *r, struct mh_err *err)
{
	struct net_conf net;
	int64_t wait_s;
	const char *from = cfg_getstr(c->cfg, "envelope_from");

	if (from[0] != '\0' && !smtp_address_ok(span_of(from)))
		return mh_fail(err, MH_BAD, "envelope_from is not a plain mail address");
	net_read(c, clock_monotonic_ms() + WIRE_TOTAL_MS, &net);
	return smtp_check(&net.smtp.server, net_online(r), r->now, &wait_s, err);
}

const struct transport transport_smtp = {
	.name = "smtp",
	.help = "a mail server, by SMTP submission",
	.check = smtp_check_conf,
	.deliver = smtp_deliver,
	.credentials = net_credentials,
};
