/* report.c: see report.h. Without libetpan: the worker links it too. */
#include "mailhook/imap/report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "mailhook/fd.h"
#include "mailhook/imap/slot.h"
#include "mailhook/json.h"

/* -- writing ------------------------------------------------------------------------------------------------------- */

static bool
put_row(cJSON *list, const char *name, struct slot *slot)
{
	const int64_t last_ok = atomic_load(&slot->last_ok);
	const bool watching = atomic_load(&slot->watching) != 0;
	char words[sizeof(slot->words)];
	cJSON *j = cJSON_CreateObject();

	if (j == NULL || !cJSON_AddItemToArray(list, j))
		return false;
	memcpy(words, slot->words, sizeof(words));
	words[sizeof(words) - 1] = '\0';
	return json_add_string(j, "name", name) && cJSON_AddBoolToObject(j, "watching", watching) != NULL &&
	       (last_ok == 0 ? json_add_string(j, "last_ok", NULL) : json_add_time(j, "last_ok", last_ok)) &&
	       json_add_string(
		   j, "error", watching || words[0] == '\0' || !utf8_valid(span_of(words)) ? NULL : words) &&
	       json_add_integer(j, "filing", atomic_load(&slot->filing)) &&
	       json_add_integer(j, "again", atomic_load(&slot->again)) &&
	       json_add_integer(j, "taken", (int64_t)atomic_load(&slot->taken)) &&
	       json_add_string(j, "node", slot->elsewhere[0] == '\0' ? NULL : slot->elsewhere);
}

static bool
put_report(const struct conf *conf, struct slot *slots, int64_t now, struct buf *out)
{
	MH_AUTO(drop_json) cJSON *j = cJSON_CreateObject();
	bool ok = j != NULL && json_add_integer(j, "version", 1) && json_add_time(j, "written", now);
	cJSON *list = ok ? cJSON_AddArrayToObject(j, "mailboxes") : NULL;

	ok = list != NULL;
	for (size_t i = 0; i < conf->n_mailboxes && ok; i++)
		ok = put_row(list, conf->mailboxes[i].name, &slots[i]);
	ok = ok && json_print(j, out);
	buf_putc(out, '\n');
	return ok && buf_ok(out);
}

/* Not on disk at once: what is lost with the machine is the past of a machine that was off. */
enum mh_status
report_write(const struct conf *conf, struct slot *slots, int64_t now, struct mh_err *err)
{
	char path[4200], tmp[4200];
	struct buf text;
	enum mh_status status = MH_OK;

	(void)snprintf(path, sizeof(path), "%s/" REPORT_FILE, conf->state_dir);
	(void)snprintf(tmp, sizeof(tmp), "%s/." REPORT_FILE ".new", conf->state_dir); /* one process holds the lock */
	buf_init(&text, MH_MAX_JSON_BYTES);
	MH_AUTO(drop_fd) int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		status = mh_fail_errno(err, MH_RETRY, "%s", tmp);
	else if (!put_report(conf, slots, now, &text))
		status = mh_fail(err, MH_RETRY, "no memory for the mailboxes' report");
	else if (!fd_write_all(fd, buf_span(&text)) || rename(tmp, path) != 0)
		status = mh_fail_errno(err, MH_RETRY, "%s", path);
	buf_release(&text);
	return status;
}

/* -- reading ------------------------------------------------------------------------------------------------------- */

static bool
slurp(const char *path, struct buf *out)
{
	MH_AUTO(drop_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char bytes[8192];
	ssize_t n = -1;

	while (fd >= 0 && (n = read(fd, bytes, sizeof(bytes))) > 0)
		buf_put(out, (struct mh_span){ bytes, (size_t)n });
	return n == 0 && buf_ok(out);
}

static const char *
keep(struct arena *a, const char *text)
{
	struct mh_span copy;

	return text != NULL && arena_copy(a, span_of(text), &copy, NULL) == MH_OK ? copy.p : NULL;
}

static bool
read_row(const cJSON *j, struct arena *a, struct report_row *ret)
{
	const char *last_ok = json_string(j, "last_ok");
	struct report_row r = { .name = keep(a, json_string(j, "name")),
		.error = keep(a, json_string(j, "error")),
		.node = keep(a, json_string(j, "node")) };

	r.has_last_ok = last_ok != NULL && time_read(span_of(last_ok), &r.last_ok, NULL) == MH_OK;
	if (r.name == NULL || !json_bool(j, "watching", &r.watching) ||
	    !json_integer(j, "filing", 0, UINT32_MAX, &r.filing) ||
	    !json_integer(j, "again", 0, UINT32_MAX, &r.again) || !json_integer(j, "taken", 0, INT64_MAX, &r.taken))
		return false;
	*ret = r;
	return true;
}

static bool
is_running(const char *state_dir)
{
	char path[4200];

	(void)snprintf(path, sizeof(path), "%s/" REPORT_LOCK, state_dir);
	MH_AUTO(drop_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

enum mh_status
report_read(const char *state_dir, struct arena *a, struct report *ret, struct mh_err *err)
{
	char path[4200];
	struct buf text;
	struct report r = { .running = is_running(state_dir) };

	(void)snprintf(path, sizeof(path), "%s/" REPORT_FILE, state_dir);
	buf_init(&text, MH_MAX_JSON_BYTES);
	MH_AUTO(drop_json) cJSON *j = slurp(path, &text) ? json_parse(buf_span(&text), NULL) : NULL;
	buf_release(&text);
	const cJSON *list = j == NULL ? NULL : json_array(j, "mailboxes"), *item;
	const char *written = j == NULL ? NULL : json_string(j, "written");
	if (list != NULL && written != NULL && time_read(span_of(written), &r.written, NULL) == MH_OK) {
		r.rows = arena_array(a, (size_t)cJSON_GetArraySize(list), sizeof(*r.rows));
		if (r.rows == NULL)
			return mh_fail(err, MH_RETRY, "no memory for the mailboxes' report");
		cJSON_ArrayForEach(item, list)
		{
			if (read_row(item, a, &r.rows[r.n]))
				r.n++;
		}
	}
	*ret = r;
	return MH_OK;
}

const struct report_row *
report_of(const struct report *r, const char *name)
{
	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->rows[i].name, name) == 0)
			return &r->rows[i];
	return NULL;
}

void
report_last(const char *state_dir, const char *name, struct slot *slot)
{
	struct arena a;
	struct report r = { 0 };
	const struct report_row *row = NULL;

	arena_init(&a, (size_t)4 << 20);
	if (report_read(state_dir, &a, &r, NULL) == MH_OK)
		row = report_of(&r, name);
	if (row != NULL && row->has_last_ok)
		atomic_store(&slot->last_ok, row->last_ok);
	arena_release(&a);
}
