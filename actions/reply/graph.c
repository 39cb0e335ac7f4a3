/* graph.c: a mail sent as a mailbox of Microsoft 365. A lost answer may send it twice, as by SMTP. */
#include "actions/reply/net.h"
#include "mailhook/clock.h"

static enum mh_status
graph_deliver(const struct delivery *d, bool *ret_earlier, struct mh_err *err)
{
	struct net_conf net;

	*ret_earlier = false;
	net_read(d->conf, d->protocol->deadline_ms, &net);
	const enum mh_status status = net_announce(d, err);
	return status == MH_OK ? graph_send(&net.graph, d->mail, d->request->now, &d->told->retry_after_s, err)
			       : status;
}

static enum mh_status
graph_check_conf(const struct reply_conf *c, const struct request *r, struct mh_err *err)
{
	struct net_conf net;
	int64_t wait_s;

	net_read(c, clock_monotonic_ms() + WIRE_TOTAL_MS, &net);
	return graph_check(&net.graph, net_online(r), r->now, &wait_s, err);
}

const struct transport transport_graph = {
	.name = "graph",
	.help = "a mailbox of Microsoft 365, by Graph",
	.check = graph_check_conf,
	.deliver = graph_deliver,
	.credentials = net_credentials,
};
