/* sendmail.c: a reply handed to a sendmail program. */
#include "actions/common/sendmail.h"
#include "actions/reply/reply.h"

static enum mh_status
sendmail_deliver(const struct delivery *d, bool *ret_earlier, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *state = cJSON_CreateObject();
	const struct sendmail m = { cfg_getstr(d->conf->cfg, "sendmail"), d->to->items, d->to->n, d->mail };

	*ret_earlier = false;
	if (state == NULL || !json_add_string(state, "sending", d->message_id))
		return mh_fail(err, MH_RETRY, "no memory to send a reply");
	if (!checkpoint(d->protocol, state))
		return mh_fail(err, MH_RETRY, "the job was taken away before the reply was sent");
	return sendmail_send(&m, d->protocol, err);
}

static enum mh_status
sendmail_check(const struct reply_conf *c, const struct request *r, struct mh_err *err)
{
	(void)r;
	return sendmail_check_program(cfg_getstr(c->cfg, "sendmail"), err);
}

const struct transport transport_sendmail = {
	.name = "sendmail",
	.help = "a sendmail program",
	.check = sendmail_check,
	.deliver = sendmail_deliver,
};
