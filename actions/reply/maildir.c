/* maildir.c: a mail as a file of a Maildir: exactly once, since its name is the job's.
 *
 * The name is looked for in new/ and cur/ before anything is written; a reader that has seen the mail moves it to cur/
 * and puts flags behind a colon, but keeps the name before it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "actions/common/folder.h"
#include "actions/reply/reply.h"

#define FOLDER_MODE 0750
#define FILE_MODE 0640

struct maildir {
	int top, tmp, fresh, cur; /* own; -1: not open */
};

static void
drop_maildir(struct maildir *m)
{
	drop_fd(&m->top);
	drop_fd(&m->tmp);
	drop_fd(&m->fresh);
	drop_fd(&m->cur);
}

static void
folder_path(const struct reply_conf *c, const struct request *r, char *dst, size_t dst_bytes)
{
	const char *folder = cfg_getstr(c->cfg, "folder");

	if (folder[0] == '\0')
		(void)snprintf(dst, dst_bytes, "%s/replies", r->state_dir);
	else
		(void)snprintf(dst, dst_bytes, "%s", folder);
}

static enum mh_status
open_maildir(const struct reply_conf *c, const struct request *r, struct maildir *m, struct mh_err *err)
{
	char path[4096];

	folder_path(c, r, path, sizeof(path));
	enum mh_status status = folder_open(path, FOLDER_MODE, &m->top, err);
	if (status == MH_OK)
		status = folder_open_at(m->top, "tmp", FOLDER_MODE, &m->tmp, err);
	if (status == MH_OK)
		status = folder_open_at(m->top, "new", FOLDER_MODE, &m->fresh, err);
	if (status == MH_OK)
		status = folder_open_at(m->top, "cur", FOLDER_MODE, &m->cur, err);
	return status;
}

/* MH_OK: the name, or the name and flags, is in the folder; MH_SKIP: it is not. */
static enum mh_status
look_for(int folder, const char *name, struct mh_err *err)
{
	const int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const size_t n = strlen(name);
	enum mh_status status = MH_SKIP;
	const struct dirent *e;

	if (dir == NULL) {
		(void)mh_fail_errno(err, MH_RETRY, "cannot list a Maildir");
		if (fd >= 0)
			(void)close(fd);
		return MH_RETRY;
	}
	for (errno = 0; status == MH_SKIP && (e = readdir(dir)) != NULL; errno = 0)
		if (strncmp(e->d_name, name, n) == 0 && (e->d_name[n] == '\0' || e->d_name[n] == ':'))
			status = MH_OK;
	if (status == MH_SKIP && errno != 0)
		status = mh_fail_errno(err, MH_RETRY, "cannot list a Maildir");
	(void)closedir(dir);
	return status;
}

static enum mh_status
announce(const struct delivery *d, const char *name, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *state = cJSON_CreateObject();

	if (state == NULL || !json_add_string(state, "sending", name))
		return mh_fail(err, MH_RETRY, "no memory for a checkpoint");
	if (!checkpoint(d->protocol, state))
		return mh_fail(err, MH_RETRY, "the job was taken away before the reply was sent");
	return MH_OK;
}

static enum mh_status
maildir_deliver(const struct delivery *d, bool *ret_earlier, struct mh_err *err)
{
	MH_AUTO(drop_maildir) struct maildir m = { -1, -1, -1, -1 };
	char name[64];

	(void)snprintf(name, sizeof(name), "%s.mailhook", d->request->job_key);
	enum mh_status status = open_maildir(d->conf, d->request, &m, err);
	if (status == MH_OK)
		status = look_for(m.fresh, name, err);
	if (status == MH_SKIP)
		status = look_for(m.cur, name, err);
	if (status != MH_SKIP) {
		*ret_earlier = status == MH_OK;
		return status;
	}

	status = file_write(m.tmp, name, d->mail, FILE_MODE, err);
	if (status == MH_OK)
		status = announce(d, name, err);
	if (status == MH_OK && renameat(m.tmp, name, m.fresh, name) != 0)
		status = mh_fail_errno(err, MH_RETRY, "cannot rename a reply to new/");
	if (status == MH_OK && (fsync(m.fresh) != 0 || fsync(m.top) != 0))
		status = mh_fail_errno(err, MH_RETRY, "cannot make a reply durable");
	if (status != MH_OK)
		(void)unlinkat(m.tmp, name, 0);
	return status;
}

static enum mh_status
maildir_check(const struct reply_conf *c, const struct request *r, struct mh_err *err)
{
	char path[4096];

	folder_path(c, r, path, sizeof(path));
	if (faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS) == 0)
		return MH_OK;
	if (errno != ENOENT)
		return mh_fail_errno(err, MH_BAD, "cannot write to the Maildir %s", path);
	if (!folder_can_be_made(path, r->state_dir))
		return mh_fail_errno(err, MH_BAD, "cannot make the Maildir %s", path);
	return MH_OK;
}

const struct transport transport_maildir = {
	.name = "maildir",
	.help = "a Maildir, where a mail reader or server looks",
	.check = maildir_check,
	.deliver = maildir_deliver,
};
