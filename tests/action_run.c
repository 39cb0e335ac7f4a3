/* action_run.c: the core's side of an action, as short as it can be. */
#include "tests/action_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char base_request[] =
    "{\"version\":1,\"event\":\"opened\",\"attempt\":1,\"now\":\"2025-11-06T09:00:00Z\","
    "\"deadline\":\"2027-01-01T00:00:00Z\",\"job_key\":\"6f1e0c1f5ab14c0d8c1f2b3a4d5e6f70\","
    "\"case_key\":\"0a1b2c3d4e5f60718293a4b5c6d7e8f9\",\"action\":\"tell\",\"config\":null,\"state_dir\":null,"
    "\"observe\":false,\"case\":{\"id\":1,\"kind\":\"aws.identity-center.scim-token\",\"account\":\"123456789012\","
    "\"account_name\":null,\"owner\":null,\"region\":\"eu-west-1\",\"resource\":null,"
    "\"expires\":\"2026-02-03T04:05:06Z\",\"precision\":\"second\",\"days_left\":88,\"reason\":null,"
    "\"state\":\"open\",\"opened\":\"2025-11-06T09:00:00Z\",\"closed_by\":null,\"notices\":1,\"ticket_url\":null},"
    "\"notice\":null,\"trust\":{\"level\":\"unverified\",\"by\":null,\"steps\":[\"no signature\"]},\"outcomes\":[],"
    "\"message\":{\"id\":\"<1@mail.example.com>\",\"references\":null,\"reply_to\":\"ops@example.com\","
    "\"envelope_from\":\"ops@example.com\",\"auto\":false,\"list\":false,\"own\":false},\"state\":{}}";

static void
merge(cJSON *into, const cJSON *patch)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, patch)
	{
		cJSON *old = cJSON_GetObjectItemCaseSensitive(into, item->string);

		if (cJSON_IsObject(item) && cJSON_IsObject(old)) {
			merge(old, item);
			continue;
		}
		cJSON_DeleteItemFromObjectCaseSensitive(into, item->string);
		assert_true(cJSON_AddItemToObject(into, item->string, cJSON_Duplicate(item, 1)));
	}
}

struct seen {
	struct action_ran *ran;
	int allow;
};

static bool
on_checkpoint(void *user, struct mh_span state)
{
	struct seen *s = user;

	buf_clear(&s->ran->state);
	buf_put(&s->ran->state, state);
	return s->ran->checkpoints++ < s->allow;
}

static void
on_say(void *user, struct mh_span text)
{
	struct seen *s = user;

	buf_put(&s->ran->said, text);
	buf_putc(&s->ran->said, '\n');
}

void
action_run(const char *program, const char *verb, const char *dir, const char *patch, int allow, struct action_ran *ret)
{
	static const char *const env[] = { "ASAN_OPTIONS=detect_leaks=1", NULL };
	MH_AUTO(drop_json) cJSON *request = json_parse(span_of(base_request), NULL);
	struct mh_err err = { 0 };
	struct seen seen = { ret, allow };
	struct launch *l = NULL;
	struct answer_line answer;
	struct buf text;

	*ret = (struct action_ran){ 0 };
	buf_init(&ret->said, 1u << 20);
	buf_init(&ret->state, 1u << 20);
	buf_init(&text, 1u << 20);
	assert_non_null(request);
	assert_true(cJSON_ReplaceItemInObjectCaseSensitive(request, "state_dir", cJSON_CreateString(dir)));
	if (patch != NULL) {
		MH_AUTO(drop_json) cJSON *changes = json_parse(span_of(patch), &err);
		if (changes == NULL)
			fail_msg("%s: %s", patch, err.text);
		merge(request, changes);
	}
	/* Strings before objects, as the protocol says: a patched string has moved to the end. */
	MH_AUTO(drop_json) cJSON *ordered = cJSON_CreateObject();
	for (int objects = 0; objects < 2; objects++) {
		const cJSON *item;
		cJSON_ArrayForEach(item, request) if ((cJSON_IsObject(item) || cJSON_IsArray(item)) == objects)
		    assert_true(cJSON_AddItemToObject(ordered, item->string, cJSON_Duplicate(item, 1)));
	}
	assert_true(json_print(ordered, &text));

	const struct launch_spec spec = {
		.program = program,
		.verb = verb,
		.request = buf_span(&text),
		.raw = MH_NONE,
		.env = env,
		.dir = dir,
		.deadline_ms = 30000,
		.checkpoint = on_checkpoint,
		.say = on_say,
		.user = &seen,
	};
	if (launch_start(&spec, &l, &err) != MH_OK)
		fail_msg("%s: %s", program, err.text);
	for (;;) {
		struct pollfd fds[4];
		int timeout;
		const size_t n = launch_pollfds(l, fds, &timeout);

		assert_true(poll(fds, n, timeout) >= 0 || errno == EINTR);
		if (launch_step(l, &answer) == MH_OK)
			break;
	}
	ret->outcome = answer.outcome;
	(void)snprintf(ret->summary, sizeof(ret->summary), "%s", answer.summary);
	(void)snprintf(ret->url, sizeof(ret->url), "%s", answer.url == NULL ? "" : answer.url);
	launch_free(l);
	buf_release(&text);
	/* The exit code of an action says nothing, so a sanitizer's last words must be looked for. */
	if (span_find(buf_span(&ret->said), MH_LIT("Sanitizer"), 0) != SIZE_MAX)
		fail_msg("%s", buf_span(&ret->said).p);
}

void
action_ran_release(struct action_ran *r)
{
	buf_release(&r->said);
	buf_release(&r->state);
}

char *
temp_folder(void)
{
	char *path = strdup("/tmp/mailhook-action-XXXXXX");

	assert_non_null(path);
	assert_non_null(mkdtemp(path));
	return path;
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *walk)
{
	(void)st;
	(void)kind;
	(void)walk;
	return remove(path);
}

void
drop_temp_folder(char *path)
{
	assert_int_equal(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	free(path);
}

static void
join(char dst[512], const char *dir, const char *name)
{
	assert_in_range(snprintf(dst, 512, "%s/%s", dir, name), 1, 511);
}

void
write_text(const char *dir, const char *name, const char *text, unsigned mode)
{
	char path[512];

	join(path, dir, name);
	const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(close(fd), 0);
}

void
read_text(const char *dir, const char *name, struct buf *ret)
{
	char path[512], chunk[4096];
	ssize_t n;

	join(path, dir, name);
	buf_clear(ret);
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		buf_put(ret, (struct mh_span){ chunk, (size_t)n });
	assert_int_equal(n, 0);
	assert_int_equal(close(fd), 0);
}

static int
visible(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

void
list_names(const char *dir, const char *folder, struct buf *ret)
{
	struct dirent **names;
	char path[512];

	join(path, dir, folder);
	buf_clear(ret);
	const int n = scandir(path, &names, visible, alphasort);
	for (int i = 0; i < n; i++) {
		buf_puts(ret, names[i]->d_name);
		buf_putc(ret, '\n');
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

size_t
count_of(struct mh_span text, const char *needle)
{
	size_t n = 0;

	for (size_t at = 0; (at = span_find(text, span_of(needle), at)) != SIZE_MAX; at++)
		n++;
	return n;
}
