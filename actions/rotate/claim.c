/* claim.c: I2, one rotation a tenant. A lock while a run lasts, and a name in the file between the runs.
 *
 * The file is of this machine: the ledger gives a job to one worker only, and one tenant's cases to one node at a time is
 * what a shared ledger's configuration has to see to. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "actions/common/folder.h"
#include "actions/rotate/machine.h"

#define KEY_HEX 32
#define CLAIM_BYTES (KEY_HEX + MH_TIME_TEXT) /* "KEY TIME" */
#define VOID_AFTER_S (120 * DAY_S) /* the next cycle's notice comes some 275 days later, whatever became of this one */

/* The tenant as a file name: what is none of a name's letters becomes '_', and the digest tells such apart. */
static enum mh_status
claim_name(const struct run *r, char *dst, size_t dst_bytes, struct mh_err *err)
{
	char digest[IDP_DIGEST_HEX];
	const enum mh_status status = seal_digest(span_of(r->conf.place.endpoint), digest, err);

	if (status == MH_OK)
		(void)snprintf(dst, dst_bytes, "tenant-%.16s", digest);
	return status;
}

static enum mh_status
read_claim(int fd, char claim[CLAIM_BYTES + 1], struct mh_err *err)
{
	const ssize_t n = pread(fd, claim, CLAIM_BYTES, 0);

	if (n < 0)
		return mh_fail_errno(err, MH_RETRY, "cannot read the tenant's claim");
	claim[n] = '\0';
	return MH_OK;
}

static enum mh_status
write_claim(int fd, const char *claim, struct mh_err *err)
{
	const size_t n = strlen(claim);

	if (pwrite(fd, claim, n, 0) != (ssize_t)n || ftruncate(fd, (off_t)n) != 0 || fsync(fd) != 0)
		return mh_fail_errno(err, MH_RETRY, "cannot write the tenant's claim");
	return MH_OK;
}

static int
keep(int *fd)
{
	const int kept = *fd;

	*fd = -1;
	return kept;
}

/* Somebody else's, and not so old that it was forgotten. A claim that cannot be read counts as one. */
static bool
is_held(const struct run *r, const char *claim)
{
	int64_t since = INT64_MAX;

	if (claim[0] == '\0' || strncmp(claim, r->request->case_key, KEY_HEX) == 0)
		return false;
	if (strlen(claim) > KEY_HEX + 1)
		(void)time_read(span_of(claim + KEY_HEX + 1), &since, NULL);
	return since == INT64_MAX || run_now(r) - since < VOID_AFTER_S;
}

enum mh_status
claim_take(struct run *r, struct mh_err *err)
{
	MH_AUTO(drop_fd) int state = -1;
	MH_AUTO(drop_fd) int folder = -1;
	char name[64], claim[CLAIM_BYTES + 1], t[MH_TIME_TEXT];
	enum mh_status status = MH_OK;

	if (r->claim_fd >= 0)
		return MH_OK;
	status = claim_name(r, name, sizeof(name), err);
	if (status == MH_OK)
		status = folder_open(r->request->state_dir, 0700, &state, err);
	if (status == MH_OK)
		status = folder_open_at(state, "rotate", 0700, &folder, err);
	if (status != MH_OK)
		return status;
	MH_AUTO(drop_fd) int fd = openat(folder, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || fsync(folder) != 0)
		return mh_fail_errno(err, MH_RETRY, "cannot open the tenant's claim");
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		return errno == EWOULDBLOCK ? mh_fail(err, MH_SKIP, "another rotation of this tenant runs just now")
					    : mh_fail_errno(err, MH_RETRY, "cannot lock the tenant's claim");
	status = read_claim(fd, claim, err);
	if (status != MH_OK)
		return status;
	if (is_held(r, claim))
		return mh_fail(err, MH_SKIP,
		    "the rotation of case %.32s has not ended; if it was given up, remove rotate/%s in the state "
		    "folder",
		    claim, name);
	(void)snprintf(claim, sizeof(claim), "%.32s %s", r->request->case_key, time_text(t, run_now(r)));
	status = write_claim(fd, claim, err);
	if (status != MH_OK)
		return status;
	r->claim_fd = keep(&fd);
	return MH_OK;
}

void
claim_release(struct run *r, bool ended)
{
	struct mh_err err;

	if (r->claim_fd < 0)
		return;
	if (ended && write_claim(r->claim_fd, "", &err) != MH_OK)
		say(r->protocol, "%s", err.text); /* the next rotation of the tenant will say so again */
	drop_fd(&r->claim_fd);
}
