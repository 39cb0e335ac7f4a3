/* secret.h: secrets, read where they are needed and zeroed after use; never logged, never in argv or environment.
 *
 * A configuration names them by ..._file or ..._command. A name without '/' is a file of $CREDENTIALS_DIRECTORY
 * (systemd's LoadCredential=).
 */
#ifndef ACTIONS_COMMON_SECRET_H
#define ACTIONS_COMMON_SECRET_H

#include "mailhook/mailhook.h"

#define SECRET_MAX_BYTES (64u << 10) /* a key with its chain is some 10 kB, an access token below 4 kB */
#define SECRET_COMMAND_MS 20000

struct secret {
	char *p; /* own, NUL-terminated; NULL: none */
	size_t n;
};

void secret_release(struct secret *s); /* zeroes and frees; for MH_AUTO too */
struct mh_span secret_span(const struct secret *s);
/* A secret with these bytes. MH_RETRY: no memory. */
enum mh_status secret_copy(struct mh_span s, struct secret *ret, struct mh_err *err);
void secret_buf_release(struct buf *b); /* the same for a buffer that held one */
/* Whether a piece of it, of 16 bytes or more, stands in text: for words of others that we show. False for no secret. */
bool secret_shows(struct mh_span text, struct mh_span secret);

/* Reads a secret file, without one final line end.
 *   errors  MH_BAD missing (then err->absent), not a regular file, of another owner than us or root, readable or
 *           writable by group or others, empty, with a NUL, a bare name without $CREDENTIALS_DIRECTORY
 *           MH_LIMIT too long; MH_RETRY else */
enum mh_status secret_from_file(const char *path, struct secret *ret, struct mh_err *err);

/* The same checks for a file that a library reads itself (a client key); reads nothing of it. */
enum mh_status secret_check_file(const char *path, struct mh_err *err);

/* Reads a secret from a program's stdout, without one final line end.
 *   in      argv: NULL-ended, argv[0] an absolute path; no shell. Its stdin is empty, its stderr is ours
 *           deadline_ms: then it is killed; 0: SECRET_COMMAND_MS
 *   errors  MH_BAD: it could not be started, or printed nothing or a NUL; MH_LIMIT too much
 *           MH_RETRY: it failed (a vault may be down), or ran out of time */
enum mh_status secret_from_command(const char *const *argv, int deadline_ms, struct secret *ret, struct mh_err *err);

#define SECRET_COMMAND_WORDS 64
/* The same for a program and its arguments in one line, split at blanks.
 *   errors  MH_BAD more than SECRET_COMMAND_WORDS of them; else those of secret_from_command */
enum mh_status secret_from_line(const char *line, int deadline_ms, struct secret *ret, struct mh_err *err);
/* How such a line is split; argv: SECRET_COMMAND_WORDS + 1, it points into line, whose blanks become NULs. */
enum mh_status secret_split(char *line, const char **argv, struct mh_err *err);

#endif
