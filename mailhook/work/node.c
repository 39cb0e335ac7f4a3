/* node.c: see node.h. */
#include "mailhook/work/node.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mailhook/clock.h"
#include "mailhook/durable.h"
#include "mailhook/imap/report.h"
#include "mailhook/json.h"
#include "mailhook/random.h"
#include "mailhook/work/ledger/leases.h"
#include "mailhook/work/ledger/nodes.h"

#define KIN_DIGITS 16 /* of a life: the state folder's */
#define PLACE_BYTES 96
#define NODE_ARENA_BYTES ((size_t)8 << 20)
#define REPORT_BYTES 65536
#define CLOCK_OFF_S 60 /* from the server's: more than a slow answer makes */

_Static_assert(WORK_LIFE_BYTES == RANDOM_HEX, "a life is such digits");

int
node_beat_s(void)
{
	return ledger_lease_s() < 6 ? 1 : ledger_lease_s() / 6;
}

/* For how long after its sign of life another worker of its name is kept out. 30 s, or less as above. */
static int
same_s(void)
{
	return ledger_lease_s() / 2;
}

int
node_silent_s(void)
{
	return ledger_lease_s();
}

/* -- the name ------------------------------------------------------------------------------------------------------ */

/* A host's name as a node's: what stands in neither a file's name nor a list of owners becomes a '-'. */
static void
host_name(char dst[WORK_NODE_BYTES])
{
	if (gethostname(dst, WORK_NODE_BYTES) != 0 || dst[0] == '\0')
		(void)snprintf(dst, WORK_NODE_BYTES, "localhost");
	dst[WORK_NODE_BYTES - 1] = '\0';
	for (char *p = dst; *p != '\0'; p++)
		if (!((*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') || *p == '_' ||
			*p == '-' || (*p == '.' && p != dst)))
			*p = '-';
}

static void
set_owner(struct work *w)
{
	(void)snprintf(w->owner, sizeof(w->owner), "%s/%s", w->node, w->life);
}

enum mh_status
node_name(struct work *w, struct mh_err *err)
{
	const enum mh_status status = random_hex(w->life, err);

	if (w->conf->node == NULL)
		host_name(w->node);
	else
		(void)snprintf(w->node, sizeof(w->node), "%s", w->conf->node);
	set_owner(w);
	return status;
}

/* Where the file lies: a copy of the folder lies elsewhere, in another file or on a machine that was started at another
 * time, and a worker that is called the same there may live. */
static bool
place_of(int fd, char ret[PLACE_BYTES])
{
	char boot[40] = "";
	struct stat st;

	const int boot_fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (boot_fd >= 0 && read(boot_fd, boot, sizeof(boot) - 1) < 0)
		boot[0] = '\0'; /* then the file alone must do */
	if (boot_fd >= 0)
		(void)close(boot_fd);
	boot[strcspn(boot, "\n")] = '\0';
	if (fstat(fd, &st) != 0)
		return false;
	(void)snprintf(
	    ret, PLACE_BYTES, "%s %" PRIuMAX " %" PRIuMAX "\n", boot, (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return true;
}

/* False: there is none, or it is not this place's. */
static bool
read_kin(const char *path, char kin[KIN_DIGITS])
{
	char text[KIN_DIGITS + 1 + PLACE_BYTES], place[PLACE_BYTES];
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	const ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	const bool known = n > KIN_DIGITS && place_of(fd, place);

	if (fd >= 0)
		(void)close(fd);
	if (!known)
		return false;
	text[n] = '\0';
	if (strspn(text, "0123456789abcdef") != KIN_DIGITS || text[KIN_DIGITS] != ' ' ||
	    strcmp(text + KIN_DIGITS + 1, place) != 0)
		return false;
	memcpy(kin, text, KIN_DIGITS);
	return true;
}

static enum mh_status
write_kin(const char *path, const char kin[KIN_DIGITS], struct mh_err *err)
{
	char tmp[4096], text[KIN_DIGITS + 1 + PLACE_BYTES], place[PLACE_BYTES];

	if ((size_t)snprintf(tmp, sizeof(tmp), "%s.new", path) >= sizeof(tmp))
		return mh_fail(err, MH_BAD, "node.id: the name of state_dir is too long");
	const int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return mh_fail_errno(err, MH_RETRY, "%s", tmp);
	bool written = place_of(fd, place);
	if (written) {
		const int n = snprintf(text, sizeof(text), "%.*s %s", KIN_DIGITS, kin, place);
		written = write(fd, text, (size_t)n) == n && fsync(fd) == 0;
	}
	const enum mh_status status = written ? MH_OK : mh_fail_errno(err, MH_RETRY, "%s", tmp);
	(void)close(fd);
	if (status == MH_OK && rename(tmp, path) != 0)
		return mh_fail_errno(err, MH_RETRY, "%s", path);
	return status == MH_OK ? durable_name(path, err) : status;
}

enum mh_status
node_settle(struct work *w, struct mh_err *err)
{
	char path[4096], kin[RANDOM_HEX];
	enum mh_status status = MH_OK;

	if ((size_t)snprintf(path, sizeof(path), "%s/node.id", w->conf->state_dir) >= sizeof(path))
		return mh_fail(err, MH_BAD, "node.id: the name of state_dir is too long");
	if (!read_kin(path, kin)) {
		status = random_hex(kin, err);
		if (status == MH_OK)
			status = write_kin(path, kin, err);
	}
	if (status == MH_OK) {
		memcpy(w->life, kin, KIN_DIGITS);
		set_owner(w);
	}
	return status;
}

struct mh_span
node_owners(const struct work *w)
{
	return (struct mh_span){ w->owner, strlen(w->node) + 1 + KIN_DIGITS };
}

/* -- the row ------------------------------------------------------------------------------------------------------- */

/* When whoever has the name was seen; now where there is nobody. */
static enum mh_status
last_seen(struct work *w, int64_t now, int64_t *ret, struct mh_err *err)
{
	bool known = false;
	int64_t seen = now;
	const enum mh_status status =
	    db_one_time(w->db, "SELECT seen FROM nodes WHERE name = $1", DB_ARGS(db_str(w->node)), &known, &seen, err);

	if (status != MH_OK && status != MH_SKIP)
		return status;
	*ret = seen;
	return MH_OK;
}

enum mh_status
node_enter(struct work *w, int64_t *ret_seen, int64_t *ret_ago_s, struct mh_err *err)
{
	int64_t now = 0;
	enum mh_status status = w->db->engine->now(w->db, &now, err);
	const struct node_row n = { .name = w->node,
		.life = w->life,
		.version = MAILHOOK_VERSION,
		.started = now,
		.seen = now,
		.report = "{}" };

	if (status == MH_OK)
		status = ledger_node_enter(w->db, &n, (struct mh_span){ w->life, KIN_DIGITS }, now - same_s(), err);
	if (status != MH_SKIP)
		return status;
	status = last_seen(w, now, ret_seen, err);
	if (status != MH_OK)
		return status;
	*ret_ago_s = now > *ret_seen ? now - *ret_seen : 0;
	return mh_fail(err, MH_SKIP,
	    "another worker is node \"%s\" of this ledger, seen %" PRId64
	    " s ago: give each machine a name of its own (node = \"...\")",
	    w->node, *ret_ago_s);
}

/* The mailboxes that are watched here. */
static bool
add_mailboxes(const struct work *w, cJSON *j, struct arena *a)
{
	cJSON *list = cJSON_AddArrayToObject(j, "mailboxes");
	struct report report = { 0 };
	struct mh_err err = { 0 };
	bool ok = list != NULL;

	if (!ok || w->conf->n_mailboxes == 0 || report_read(w->conf->state_dir, a, &report, &err) != MH_OK ||
	    !report.running)
		return ok;
	for (size_t i = 0; i < w->conf->n_mailboxes && ok; i++) {
		const struct report_row *row = report_of(&report, w->conf->mailboxes[i].name);

		if (row != NULL && row->watching)
			ok = cJSON_AddItemToArray(list, cJSON_CreateString(w->conf->mailboxes[i].name));
	}
	return ok;
}

static enum mh_status
print_report(const struct work *w, const struct node_report *r, struct arena *a, struct buf *out, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *j = cJSON_CreateObject();
	const bool ok = j != NULL && json_add_integer(j, "intake", r->intake) &&
			json_add_integer(j, "intake_oldest_s", r->oldest_s) &&
			json_add_integer(j, "set_aside", r->set_aside) && json_add_integer(j, "running", r->running) &&
			json_add_string(j, "trouble", r->trouble) && add_mailboxes(w, j, a) && json_print(j, out);

	return ok && buf_ok(out) ? MH_OK : mh_fail(err, MH_RETRY, "no memory for a node's report");
}

/* Leases do not mind; what time brings, a reminder or a case of silence, comes for all by whichever right clock is first. */
static bool
clock_is_off(int64_t ahead_s, char *dst, size_t dst_bytes)
{
	if (ahead_s >= -CLOCK_OFF_S && ahead_s <= CLOCK_OFF_S)
		return false;
	(void)snprintf(dst, dst_bytes, "its clock is %" PRId64 " s %s the ledger server's",
	    ahead_s < 0 ? -ahead_s : ahead_s, ahead_s < 0 ? "behind" : "ahead of");
	return true;
}

enum mh_status
node_beat(struct work *w, const struct node_report *r, struct mh_err *err)
{
	struct arena a;
	struct buf out;
	struct node_report said = *r;
	char words[120];
	int64_t now = 0;

	arena_init(&a, NODE_ARENA_BYTES);
	buf_init(&out, REPORT_BYTES);
	enum mh_status status = w->db->engine->now(w->db, &now, err);
	if (status == MH_OK)
		w->clock_off = clock_is_off(clock_now() - now, words, sizeof(words));
	if (status == MH_OK && w->clock_off && said.trouble == NULL)
		said.trouble = words;
	if (status == MH_OK)
		status = print_report(w, &said, &a, &out, err);
	if (status == MH_OK)
		status = ledger_node_seen(w->db, w->node, w->life, now, out.p, err);
	buf_release(&out);
	arena_release(&a);
	return status;
}

enum mh_status
node_clock(struct work *w, struct mh_err *err)
{
	char words[120];
	int64_t now = 0;
	const enum mh_status status = w->db->engine->now(w->db, &now, err);

	if (status != MH_OK)
		return status;
	w->clock_off = clock_is_off(clock_now() - now, words, sizeof(words));
	return w->clock_off ? mh_fail(err, MH_SKIP, "%s", words) : MH_OK;
}

enum mh_status
node_leave(struct work *w, struct mh_err *err)
{
	int64_t now = 0;
	const enum mh_status status = w->db->engine->now(w->db, &now, err);

	return status == MH_OK ? ledger_node_leave(w->db, w->node, w->life, now, err) : status;
}
