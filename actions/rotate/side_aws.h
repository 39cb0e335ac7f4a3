/* side_aws.h: what the sides share that call AWS's services themselves, each with a section of its own. */
#ifndef ACTIONS_ROTATE_SIDE_AWS_H
#define ACTIONS_ROTATE_SIDE_AWS_H

#include "actions/common/aws.h"
#include "actions/rotate/rotate.h"

#define SIDE_AWS_TEXT(name)                                                                                            \
	{                                                                                                              \
		name, SIDE_TEXT, NULL, 0                                                                               \
	}
#define SIDE_AWS_LIST(name)                                                                                            \
	{                                                                                                              \
		name, SIDE_LIST, NULL, 0                                                                               \
	}
#define SIDE_AWS_OPTIONS AWS_OPTIONS_LIST(SIDE_AWS_TEXT, SIDE_AWS_LIST)

struct side_aws {             /* begins a side's state */
	struct side_env *env; /* foreign */
	struct aws_conf conf;
	struct aws aws;
};

/* Reads the options; where no Region is set, the place's is. Asks nobody.
 *   out     s: side_aws_stop is due in every case
 *   errors  MH_BAD as aws_conf_read, or no Region is known */
enum mh_status side_aws_start(struct side_aws *s, cfg_t *conf, struct side_env *env, struct mh_err *err);
/* For the slot stop. state: from calloc, its first member a struct side_aws, and nothing else in it owns anything. */
void side_aws_stop(void *state);

#endif
