/* local.c: tickets as a folder of text files, one a case, which a person may read and edit.
 *
 * The head ("State: open" and so on) is followed by the description and the history, each of our own lines in full
 * width and each text indented, so that no text can look like a line of ours. What a person writes stays as it is: the
 * file is taken as it stands, the head's values are replaced, entries are appended, and the whole is put in its place
 * by one rename. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actions/common/folder.h"
#include "actions/ticket/ticket.h"

#define FOLDER_MODE 0750
#define FILE_MODE 0640
#define FILE_MAX_BYTES ((size_t)4 << 20) /* years of daily comments */
#define HISTORY "History"

struct local {
	const struct request *request; /* foreign */
	struct arena *arena;           /* foreign */
	const char *path;              /* of the folder */
	int folder;                    /* own */
};

struct text {             /* a ticket file, read; spans point into bytes */
	struct buf bytes; /* own */
	struct mh_span key, state, priority;
	size_t head_bytes, history_at; /* where the head and the history's lines begin to be others' */
};

static void
drop_text(struct text *t)
{
	buf_release(&t->bytes);
}

/* -- reading ------------------------------------------------------------------------------------------------------ */

/* "Name:   value" */
static bool
head_value(struct mh_span line, const char *name, struct mh_span *ret)
{
	const struct mh_span n = span_of(name);

	if (!span_istarts(line, n) || line.n == n.n || line.p[n.n] != ':')
		return false;
	*ret = span_trim(span_from(line, n.n + 1));
	return true;
}

static enum mh_status
parse(const char *id, struct text *t, struct mh_err *err)
{
	struct mh_span rest = buf_span(&t->bytes), line;

	while (span_line(&rest, &line) && span_trim(line).n > 0) {
		(void)(head_value(line, "Key", &t->key) || head_value(line, "State", &t->state) ||
		       head_value(line, "Priority", &t->priority));
		t->head_bytes = t->bytes.n - rest.n;
	}
	if (t->key.p == NULL || t->state.p == NULL)
		return mh_fail(err, MH_BAD, "%s has no Key or no State in its head", id);
	if (!span_ieq(t->state, MH_LIT("open")) && !span_ieq(t->state, MH_LIT("closed")))
		return mh_fail(err, MH_BAD, "the State of %s is neither open nor closed", id);
	t->history_at = t->bytes.n;
	while (span_line(&rest, &line))
		if (span_eq(line, MH_LIT(HISTORY)))
			t->history_at = t->bytes.n - rest.n;
	return MH_OK;
}

/* Has this job left an entry of that kind? Entries are our own unindented lines: "TIME what (job KEY)". */
static bool
has_entry(const struct text *t, const char *what, const char *job_key)
{
	struct mh_span rest = span_from(buf_span(&t->bytes), t->history_at), line;
	char mark[80];

	(void)snprintf(mark, sizeof(mark), "Z %s (job %s)", what, job_key);
	while (span_line(&rest, &line))
		if (line.n > 0 && line.p[0] != ' ' && line.p[0] != '\t' &&
		    span_find(line, span_of(mark), 0) != SIZE_MAX)
			return true;
	return false;
}

static enum mh_status
read_ticket(const struct local *l, const char *id, struct text *ret, struct mh_err *err)
{
	*ret = (struct text){ 0 };
	buf_init(&ret->bytes, FILE_MAX_BYTES);
	const enum mh_status status = file_read(l->folder, id, &ret->bytes, err);
	return status == MH_OK ? parse(id, ret, err) : status;
}

static enum ticket_priority
priority_of(struct mh_span word)
{
	for (int i = 0; i < 3; i++)
		if (span_ieq(word, span_of(priority_names[i])))
			return (enum ticket_priority)i;
	return PRIORITY_URGENT; /* a person's own word is not overwritten: nothing is above it */
}

/* -- finding ------------------------------------------------------------------------------------------------------ */

static bool
carries_key(const char *name, const char *key)
{
	const struct mh_span n = span_of(name), k = span_of(key), tail = MH_LIT(".txt");

	return name[0] != '.' && span_iends(n, tail) && n.n >= k.n + tail.n &&
	       span_iends(span_head(n, n.n - tail.n), k) && (n.n == k.n + tail.n || n.p[n.n - tail.n - k.n - 1] == '-');
}

/* The one file of that key. MH_SKIP: there is none. */
static enum mh_status
find_file(const struct local *l, const char *key, const char **ret_id, struct mh_err *err)
{
	const int fd = openat(l->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct mh_span id = MH_NONE;
	enum mh_status status = MH_OK;
	const struct dirent *e;

	if (dir == NULL) {
		(void)mh_fail_errno(err, MH_RETRY, "cannot list %s", l->path);
		if (fd >= 0)
			(void)close(fd);
		return MH_RETRY;
	}
	for (errno = 0; status == MH_OK && (e = readdir(dir)) != NULL; errno = 0) {
		if (!carries_key(e->d_name, key))
			continue;
		if (id.p != NULL)
			status = mh_fail(err, MH_BAD, "two tickets carry the key %s", key);
		else
			status = arena_copy(l->arena, span_of(e->d_name), &id, err);
	}
	if (status == MH_OK && errno != 0)
		status = mh_fail_errno(err, MH_RETRY, "cannot list %s", l->path);
	(void)closedir(dir);
	if (status == MH_OK && id.p == NULL)
		return mh_fail(err, MH_SKIP, "no ticket carries the key %s", key);
	if (status == MH_OK)
		*ret_id = id.p;
	return status;
}

static enum mh_status
file_url(const struct local *l, const char *id, const char **ret, struct mh_err *err)
{
	struct buf url;
	struct mh_span copy = MH_NONE;

	buf_init(&url, 8192);
	buf_puts(&url, "file://");
	for (int part = 0; part < 2; part++) {
		for (const char *p = part == 0 ? l->path : id; *p != '\0'; p++) {
			const unsigned char c = (unsigned char)*p;
			const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
					   strchr("/-._~", c) != NULL;

			if (plain)
				buf_putc(&url, (char)c);
			else
				buf_printf(&url, "%%%02X", c);
		}
		if (part == 0)
			buf_putc(&url, '/');
	}
	const enum mh_status status = buf_ok(&url) ? arena_copy(l->arena, buf_span(&url), &copy, err)
						   : mh_fail(err, MH_RETRY, "no memory for a url");
	buf_release(&url);
	if (status == MH_OK)
		*ret = copy.p;
	return status;
}

static enum mh_status
local_find(void *state, const char *key, struct ticket_ref *ret, struct mh_err *err)
{
	const struct local *l = state;
	struct ticket_ref ref = { .id = "" };
	MH_AUTO(drop_text) struct text t = { 0 };
	enum mh_status status = find_file(l, key, &ref.id, err);

	if (status == MH_OK)
		status = read_ticket(l, ref.id, &t, err);
	if (status == MH_SKIP)
		return status;
	if (status == MH_OK && !span_eq(t.key, span_of(key)))
		status = mh_fail(err, MH_BAD, "%s carries another key inside", ref.id);
	if (status == MH_OK)
		status = file_url(l, ref.id, &ref.url, err);
	if (status != MH_OK)
		return status;
	ref.open = span_ieq(t.state, MH_LIT("open"));
	ref.of_job = has_entry(&t, "opened", l->request->job_key);
	ref.priority = priority_of(t.priority);
	*ret = ref;
	return MH_OK;
}

/* -- writing ------------------------------------------------------------------------------------------------------ */

static void
drop_lock(int *fd)
{
	drop_fd(fd); /* the lock ends with its description */
}

/* One writer at a time, for the few milliseconds of a rewrite; a holder that hangs is killed at its deadline, as we
 * are at ours. */
static enum mh_status
lock_folder(const struct local *l, int *ret_fd, struct mh_err *err)
{
	const int fd = openat(l->folder, ".lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);

	while (fd >= 0 && flock(fd, LOCK_EX) != 0)
		if (errno != EINTR) {
			(void)mh_fail_errno(err, MH_RETRY, "cannot lock %s", l->path);
			(void)close(fd);
			return MH_RETRY;
		}
	if (fd < 0)
		return mh_fail_errno(err, MH_RETRY, "cannot open the lock of %s", l->path);
	*ret_fd = fd;
	return MH_OK;
}

static void
put_indented(struct buf *out, struct mh_span text)
{
	struct mh_span line;

	while (span_line(&text, &line)) {
		if (line.n > 0)
			buf_puts(out, "  ");
		buf_put(out, line);
		buf_putc(out, '\n');
	}
}

static void
put_entry(const struct local *l, struct buf *out, const char *what, struct mh_span text)
{
	char now[MH_TIME_TEXT];

	buf_printf(out, "%s %s (job %s)\n", time_text(now, l->request->now), what, l->request->job_key);
	put_indented(out, text);
}

/* A part of the file's name: lower case letters, digits, and single dashes. */
static void
put_name_part(struct buf *out, const char *text)
{
	size_t n = 0;

	for (const char *p = text; *p != '\0' && n < 40; p++) {
		const char c = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;

		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
			buf_putc(out, c);
			n++;
		} else if (n > 0 && out->p[out->n - 1] != '-') {
			buf_putc(out, '-');
			n++;
		}
	}
	if (n > 0 && out->p[out->n - 1] != '-')
		buf_putc(out, '-');
}

static void
put_name(struct buf *out, const struct request *r, const struct ticket_new *t)
{
	put_name_part(out, kind_words(r->expiry.kind)->short_name);
	if (r->expiry.account != NULL)
		put_name_part(out, r->expiry.account);
	else if (r->expiry.resource != NULL)
		put_name_part(out, r->expiry.resource);
	if (t->due.n > 0) {
		buf_put(out, t->due);
		buf_putc(out, '-');
	}
	buf_puts(out, t->key);
	buf_puts(out, ".txt");
}

static void
put_head(struct buf *out, const char *name, struct mh_span value)
{
	if (value.n == 0)
		return;
	buf_puts(out, name);
	buf_put(out, value);
	buf_putc(out, '\n');
}

static enum mh_status
local_open(void *state, const struct ticket_new *t, struct ticket_ref *ret, struct mh_err *err)
{
	const struct local *l = state;
	MH_AUTO(drop_lock) int lock = -1;
	struct buf name, text;

	enum mh_status status = lock_folder(l, &lock, err);
	if (status != MH_OK)
		return status;
	status = local_find(state, t->key, ret, err); /* under the lock: nobody opens a second one meanwhile */
	if (status != MH_SKIP)
		return status;

	buf_init(&name, 255 - sizeof("..tmp"));
	buf_init(&text, FILE_MAX_BYTES);
	put_name(&name, l->request, t);
	buf_printf(&text, "Title:    ");
	buf_put(&text, t->title);
	buf_printf(&text, "\nState:    open\nPriority: %s\n", priority_names[t->priority]);
	put_head(&text, "Due:      ", t->due);
	put_head(&text, "Assignee: ", span_of(t->assignee));
	for (size_t i = 0; i < t->n_fields; i++) {
		buf_puts(&text, t->fields[i].name);
		put_head(&text, ": ", t->fields[i].value);
	}
	buf_printf(&text, "Key:      %s\n\n", t->key);
	put_indented(&text, t->body);
	buf_puts(&text, "\n" HISTORY "\n");
	put_entry(l, &text, "opened", MH_NONE);
	status = buf_ok(&name) && buf_ok(&text) ? file_replace(l->folder, name.p, buf_span(&text), FILE_MODE, err)
						: mh_fail(err, MH_BAD, "the ticket is longer than %zu bytes", text.max);
	buf_release(&name);
	buf_release(&text);
	return status == MH_OK ? local_find(state, t->key, ret, err) : status;
}

/* The head with new values where they are given, and all else as it stands. */
static void
put_rewritten(
    struct buf *out, const struct text *t, const char *new_state, const char *new_priority, struct mh_span new_due)
{
	struct mh_span head = span_head(buf_span(&t->bytes), t->head_bytes), line, old;
	bool due_there = false;

	while (span_line(&head, &line)) {
		if (new_state != NULL && head_value(line, "State", &old)) {
			buf_printf(out, "State:    %s\n", new_state);
		} else if (new_priority != NULL && head_value(line, "Priority", &old)) {
			buf_printf(out, "Priority: %s\n", new_priority);
		} else {
			due_there = due_there || head_value(line, "Due", &old);
			buf_put(out, line);
			buf_putc(out, '\n');
		}
	}
	if (!due_there && new_due.n > 0) {
		buf_puts(out, "Due:      ");
		buf_put(out, new_due);
		buf_putc(out, '\n');
	}
	buf_put(out, span_from(buf_span(&t->bytes), t->head_bytes));
	if (out->n > 0 && out->p[out->n - 1] != '\n')
		buf_putc(out, '\n');
	if (t->history_at == t->bytes.n && span_find(buf_span(&t->bytes), MH_LIT("\n" HISTORY "\n"), 0) == SIZE_MAX)
		buf_puts(out, "\n" HISTORY "\n"); /* a person removed it */
}

/* Under the lock: reads, appends one entry unless this job has left it already, replaces the file. */
static enum mh_status
rewrite(const struct local *l, const struct ticket_ref *ref, const char *what, struct mh_span text,
    const char *new_state, const struct ticket_change *change, struct mh_err *err)
{
	MH_AUTO(drop_lock) int lock = -1;
	MH_AUTO(drop_text) struct text t = { 0 };
	struct buf out;

	enum mh_status status = lock_folder(l, &lock, err);
	if (status == MH_OK)
		status = read_ticket(l, ref->id, &t, err);
	if (status == MH_SKIP)
		return mh_fail(err, MH_RETRY, "%s has gone", ref->id);
	if (status != MH_OK || has_entry(&t, what, l->request->job_key))
		return status;

	const enum ticket_priority now = priority_of(t.priority);
	const bool raise = change != NULL && change->raise_to > now;
	if (change != NULL && !raise)
		return MH_OK;
	buf_init(&out, FILE_MAX_BYTES);
	put_rewritten(&out, &t, new_state, raise ? priority_names[change->raise_to] : NULL,
	    change == NULL ? MH_NONE : change->due);
	put_entry(l, &out, what, text);
	if (raise)
		buf_printf(&out, "  priority from %s to %s\n", priority_names[now], priority_names[change->raise_to]);
	status = buf_ok(&out) ? file_replace(l->folder, ref->id, buf_span(&out), FILE_MODE, err)
			      : mh_fail(err, MH_BAD, "%s would become longer than %zu bytes", ref->id, out.max);
	buf_release(&out);
	return status;
}

static enum mh_status
local_comment(void *state, const struct ticket_ref *ref, const struct ticket_comment *c, struct mh_err *err)
{
	return rewrite(state, ref, "comment", c->text, NULL, NULL, err);
}

static enum mh_status
local_change(void *state, const struct ticket_ref *ref, const struct ticket_change *c, struct mh_err *err)
{
	return rewrite(state, ref, "changed", MH_NONE, NULL, c, err);
}

static enum mh_status
local_close(void *state, const struct ticket_ref *ref, struct mh_err *err)
{
	return rewrite(state, ref, "closed", MH_NONE, "closed", NULL, err);
}

static enum mh_status
local_read(void *state, const struct ticket_ref *ref, struct buf *ret_text, struct mh_err *err)
{
	const struct local *l = state;

	return file_read(l->folder, ref->id, ret_text, err);
}

/* -- life --------------------------------------------------------------------------------------------------------- */

static void
local_stop(void *state)
{
	struct local *l = state;

	drop_fd(&l->folder);
}

static enum mh_status
local_start(struct ticket_desk *d, void **ret_state, struct mh_err *err)
{
	const struct request *r = d->request;
	struct arena *a = d->arena;
	struct local *l = arena_alloc(a, sizeof(*l));
	const char *folder = cfg_getstr(d->conf, "folder");
	struct mh_span path;
	enum mh_status status;

	if (l == NULL)
		return mh_fail(err, MH_RETRY, "no memory for the ticket folder");
	*l = (struct local){ .request = r, .arena = a, .folder = -1 };
	*ret_state = l;
	if (folder == NULL || folder[0] == '\0')
		status = arena_printf(a, &path, err, "%s/tickets", r->state_dir);
	else
		status = arena_copy(a, span_of(folder), &path, err);
	if (status == MH_OK)
		l->path = path.p;
	/* A dry run makes no folder: where there is none, there is no ticket. */
	if (status == MH_OK && (r->verb != VERB_RUN || r->observe)) {
		l->folder = open(l->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (l->folder < 0 && errno != ENOENT)
			status = mh_fail_errno(err, MH_RETRY, "cannot open the folder %s", l->path);
	} else if (status == MH_OK) {
		status = folder_open(l->path, FOLDER_MODE, &l->folder, err);
	}
	return status;
}

static enum mh_status
local_find_or_none(void *state, const char *key, struct ticket_ref *ret, struct mh_err *err)
{
	const struct local *l = state;

	if (l->folder < 0)
		return mh_fail(err, MH_SKIP, "there is no folder %s yet", l->path);
	return local_find(state, key, ret, err);
}

/* A folder that is not there yet must be makeable: its parent is what counts then. */
static enum mh_status
local_check(void *state, struct mh_err *err)
{
	const struct local *l = state;

	if (l->folder >= 0) {
		if (faccessat(l->folder, ".", W_OK | X_OK, AT_EACCESS) != 0)
			return mh_fail_errno(err, MH_BAD, "cannot write to %s", l->path);
		return MH_OK;
	}
	if (!folder_can_be_made(l->path, l->request->state_dir))
		return mh_fail_errno(err, MH_BAD, "cannot make the folder %s", l->path);
	return MH_OK;
}

static const cfg_opt_t local_options[] = { CFG_STR("folder", "", CFGF_NONE), CFG_END() };
static const struct own_conf_check local_checks[] = { { "folder", check_absolute }, { NULL, NULL } };

const struct ticket_driver ticket_local = {
	.name = "local",
	.help = "a folder of text files, one a case",
	.options = local_options,
	.checks = local_checks,
	.format = FORMAT_PLAIN,
	.own_marks = true,
	.start = local_start,
	.stop = local_stop,
	.check = local_check,
	.find = local_find_or_none,
	.open = local_open,
	.comment = local_comment,
	.change = local_change,
	.close = local_close,
	.read = local_read,
};
