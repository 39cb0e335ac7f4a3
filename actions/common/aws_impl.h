/* aws_impl.h: what the files of the AWS side share. */
#ifndef ACTIONS_COMMON_AWS_IMPL_H
#define ACTIONS_COMMON_AWS_IMPL_H

#include "actions/common/aws.h"

/* -- aws_ini.c: the shared files' format. Pure. */

/* The value of key in [section]; MH_NONE: there is none. The last one counts; indented lines, which belong to the line
 * above, do not. section as written inside the brackets, blanks and quotes aside. */
struct mh_span aws_ini_get(struct mh_span text, const char *section, const char *key);
bool aws_ini_has(struct mh_span text, const char *section);
/* Splits a command as a shell would, without a shell: quotes and backslashes, nothing else.
 *   out     words: NULL-ended, in the arena
 *   errors  MH_BAD a quote is not closed, no word, more than max - 1 words */
enum mh_status aws_split(struct mh_span command, const char **words, size_t max, struct arena *a, struct mh_err *err);

/* -- aws_sources.c: each gives keys.
 *   errors  MH_BAD wrongly configured, or what it gives are no keys
 *           MH_RETRY it does not answer as it should, no memory
 *           MH_SKIP of the container and of EC2: it is not set, or there is nobody
 *           of aws_assume and aws_assume_web: those of aws_try too */

/* What a source prints or answers: JSON with the keys; token_key: its name for the session token. */
enum mh_status aws_keys_of_json(
    struct mh_span json, const char *token_key, const char *source, struct aws_keys *ret, struct mh_err *err);
enum mh_status aws_keys_set(struct mh_span key_id, struct mh_span secret, struct mh_span token, const char *source,
    struct aws_keys *ret, struct mh_err *err);
enum mh_status aws_from_process(struct mh_span command, struct aws_keys *ret, struct mh_err *err);
enum mh_status aws_from_container(const struct aws *s, struct aws_keys *ret, struct mh_err *err);
enum mh_status aws_from_ec2(const struct aws *s, struct aws_keys *ret, struct mh_err *err);

struct aws_role {
	struct mh_span arn, external_id, session_name, duration_s; /* MH_NONE: not set */
	struct mh_span token_file;                                 /* of a web identity */
};
/* AssumeRole signed with keys, or AssumeRoleWithWebIdentity, which nothing signs. */
enum mh_status aws_assume(
    struct aws *s, const struct aws_keys *with, const struct aws_role *role, struct aws_keys *ret, struct mh_err *err);
enum mh_status aws_assume_web(struct aws *s, const struct aws_role *role, struct aws_keys *ret, struct mh_err *err);

/* ISO 8601 with "Z" or an offset, fractions allowed. MH_BAD: it is none. */
enum mh_status aws_time(struct mh_span s, int64_t *ret, struct mh_err *err);

/* -- aws_call.c: one request with these keys; unsigned where they are none. Errors: those of aws_post. */
enum mh_status aws_try(struct aws *s, const struct aws_request *q, const struct aws_keys *keys, struct aws_answer *ret,
    struct mh_err *err);

#endif
