/* side_aws.c: a session with AWS as the state of a side. */
#include "actions/rotate/side_aws.h"

#include <stdlib.h>

enum mh_status
side_aws_start(struct side_aws *s, cfg_t *conf, struct side_env *env, struct mh_err *err)
{
	s->env = env;
	const enum mh_status status = aws_conf_read(conf, &env->wire, &s->conf, err);
	if (s->conf.region == NULL && env->place->region[0] != '\0')
		s->conf.region = env->place->region;
	aws_init(&s->aws, &s->conf, env->place->account, env->now);
	return status == MH_OK ? aws_find_region(&s->aws, err) : status;
}

void
side_aws_stop(void *state)
{
	struct side_aws *s = state;

	aws_release(&s->aws);
	free(state);
}
