/* handover.c: the way without an API: a person makes the token in the console, hands it over, and deletes the old one. */
#include "actions/rotate/rotate.h"

static enum mh_status
start(cfg_t *conf, struct side_env *env, void **ret_state, struct mh_err *err)
{
	(void)conf;
	(void)env;
	(void)err;
	*ret_state = NULL;
	return MH_OK;
}

static void
stop(void *state)
{
	(void)state;
}

static enum mh_status
check(void *state, bool online, struct mh_err *err)
{
	(void)state;
	(void)online;
	(void)err;
	return MH_OK;
}

const struct aws_side aws_handover = {
	.name = "handover",
	.by_hand = true,
	.start = start,
	.stop = stop,
	.check = check,
};
