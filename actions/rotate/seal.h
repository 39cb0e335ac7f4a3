/* seal.h: a secret as text that only this installation can read: AES-256-GCM under a key that the ledger does not hold.
 *
 * What is bound to it (case, step, key) is authenticated: a sealed text that was moved to another case, or kept from
 * another step, does not open.
 */
#ifndef ACTIONS_ROTATE_SEAL_H
#define ACTIONS_ROTATE_SEAL_H

#include "actions/common/secret.h"

#define SEAL_KEY_BYTES 32
#define SEAL_KEY_ID 17 /* 16 hex digits, with NUL */
#define SEAL_MAX_PLAIN_BYTES 8192

struct seal_key {
	unsigned char bytes[SEAL_KEY_BYTES];
	char id[SEAL_KEY_ID]; /* of the key's own digest: says which key it was, nothing about it */
};

/* Reads a key: 64 hex digits, as "openssl rand -hex 32" prints them. Errors: those of secret_from_file. */
enum mh_status seal_key_read(const char *path, struct seal_key *ret, struct mh_err *err);
void seal_key_release(struct seal_key *k); /* zeroes */

/* Writes "KEY-ID:HEX" of nonce, tag and text. bound: what it is for. */
enum mh_status seal_put(
    const struct seal_key *k, struct mh_span bound, struct mh_span plain, struct buf *out, struct mh_err *err);
/* False: it was not sealed by k; ret: by which key, "" where it is no sealed text. */
bool seal_is_by(const struct seal_key *k, const char *sealed, char ret[SEAL_KEY_ID]);
/* MH_BAD: sealed by another key, for something else, or changed. */
enum mh_status seal_open(
    const struct seal_key *k, struct mh_span bound, const char *sealed, struct secret *ret, struct mh_err *err);

/* SHA-256 in lower case hex with NUL. MH_RETRY: no memory. */
enum mh_status seal_digest(struct mh_span s, char ret[65], struct mh_err *err);

#endif
