/* own_conf.h: an action's own configuration file (libconfuse). The core never reads it. */
#ifndef ACTIONS_COMMON_OWN_CONF_H
#define ACTIONS_COMMON_OWN_CONF_H

#include <confuse.h>

#include "mailhook/mailhook.h"

/* The option that own_conf_read needs first in every table of options, those of sections too: it takes libconfuse's
 * complaints, which has no user pointer for them. No file can name it. */
#define OWN_CONF_HEAD CFG_PTR_CB("(complaints)", NULL, CFGF_NONE, NULL, NULL)

struct own_conf_check { /* looks at one option where it is set; complains by cfg_error and returns 0 */
	const char *option;
	cfg_validate_callback_t check;
};

/* Reads path.
 *   in      path: NULL or a file that does not exist: the defaults hold
 *           opts: begins with OWN_CONF_HEAD, ends with CFG_END(); checks: ends with { NULL, NULL }
 *   out     *ret: drop_own_conf
 *   errors  MH_BAD with "FILE:LINE: what" of the first fault (all of them go to stderr); MH_RETRY not readable */
enum mh_status own_conf_read(
    const char *path, cfg_opt_t *opts, const struct own_conf_check *checks, cfg_t **ret, struct mh_err *err);
void drop_own_conf(cfg_t **cfg);

/* Reads one option of the file's top level, a word or a string, before it is known which others there may be.
 *   in      path: as above
 *   out     dst: NUL-terminated; untouched where the file does not set it, or is not right: own_conf_read says so
 *   errors  MH_RETRY not readable */
enum mh_status own_conf_peek(const char *path, const char *option, char *dst, size_t dst_bytes, struct mh_err *err);

/* A string's value; NULL where it is not set, or empty. */
const char *own_conf_text(cfg_t *cfg, const char *option);

/* The words of a command, which is a list of strings.
 *   out     argv: NULL behind the last; points into cfg
 *   returns how many there are; 0: it is not set */
#define OWN_CONF_MAX_WORDS 32
unsigned own_conf_command(cfg_t *cfg, const char *option, const char *argv[OWN_CONF_MAX_WORDS + 1]);
/* For the checks of such an option: a program with its whole path, and not too many words. */
int check_command(cfg_t *cfg, cfg_opt_t *opt);

#endif
