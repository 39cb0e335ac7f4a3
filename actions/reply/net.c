/* net.c: settings of the transports that use the network. */
#include "actions/reply/net.h"

#include "actions/token/token.h"
#include "mailhook/certificate.h"

void
net_read(const struct reply_conf *c, int64_t deadline_ms, struct net_conf *ret)
{
	const char *mailbox = own_conf_text(c->cfg, "graph_mailbox");

	smtp_conf_read(c->cfg, deadline_ms, &ret->smtp);
	ret->graph = (struct graph){ .base_url = cfg_getstr(c->cfg, "graph_url"),
		.mailbox = mailbox == NULL ? c->from : mailbox,
		.token_file = own_conf_text(c->cfg, "token"),
		.wire = ret->smtp.server.wire };
}

enum mh_status
net_announce(const struct delivery *d, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *state = cJSON_CreateObject();

	if (state == NULL || !json_add_string(state, "sending", d->message_id))
		return mh_fail(err, MH_RETRY, "no memory for a checkpoint");
	if (!checkpoint(d->protocol, state))
		return mh_fail(err, MH_RETRY, "the job was taken away before the reply was sent");
	return MH_OK;
}

void
net_credentials(const struct reply_conf *c, struct protocol *p)
{
	const char *certificate = own_conf_text(c->cfg, "cert_file"), *token = own_conf_text(c->cfg, "token");
	struct mh_err err; /* that a file cannot be used is the check's or the transfer's to say */
	int64_t end;

	if (certificate != NULL && certificate_end(certificate, &end, &err) == MH_OK)
		credential_ends(p, "TLS client certificate", end);
	if (token != NULL && token_credential_end(token, &end, &err) == MH_OK)
		credential_ends(p, "token client certificate", end);
}

bool
net_online(const struct request *r)
{
	bool online = false;

	return json_bool(r->json, "online", &online) && online;
}
