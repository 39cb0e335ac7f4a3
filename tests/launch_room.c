/* launch_room.c: see launch_room.h. */
#include "tests/launch_room.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool
on_checkpoint(void *user, struct mh_span state)
{
	struct seen *s = user;

	buf_put(&s->states, state);
	return s->checkpoints++ < s->allow;
}

static void
on_say(void *user, struct mh_span text)
{
	struct seen *s = user;

	buf_put(&s->said, text);
	buf_putc(&s->said, '\n');
}

static void
on_credential(void *user, const struct credential_line *c)
{
	struct seen *s = user;
	char t[MH_TIME_TEXT];

	buf_printf(
	    &s->said, "%s%s%s\n", c->name, c->day ? " day " : " ", c->has_expires ? time_text(t, c->expires) : "never");
}

static enum claim_answer
on_claim(void *user, const char *name, char held[CLAIM_HELD_BYTES])
{
	struct seen *s = user;

	buf_printf(&s->said, "claim %s\n", name);
	if (strcmp(name, "lost") == 0)
		return CLAIM_LOST;
	if (strcmp(name, "theirs") != 0)
		return CLAIM_OURS;
	memcpy(held, OTHER_CASE, CLAIM_HELD_BYTES);
	return CLAIM_HELD;
}

static bool
on_release(void *user, const char *name)
{
	struct seen *s = user;

	buf_printf(&s->said, "release %s\n", name);
	return strcmp(name, "lost") != 0;
}

void
write_program(const char *path, const char *text)
{
	const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(close(fd), 0);
}

static const char *const test_env[] = { "PATH=/usr/bin:/bin", "GIVEN=yes", NULL };

struct launch_spec
spec_for(const char *program, const char *dir, struct seen *seen)
{
	return (struct launch_spec){
		.program = program,
		.verb = "run",
		.request = MH_LIT("{\"version\":1}"),
		.raw = MH_NONE,
		.env = test_env,
		.dir = dir,
		.deadline_ms = 20000,
		.checkpoint = on_checkpoint,
		.claim = on_claim,
		.release = on_release,
		.say = on_say,
		.credential = on_credential,
		.user = seen,
	};
}

struct answer_line
await(struct launch *l)
{
	struct answer_line answer;

	for (;;) {
		struct pollfd fds[4];
		int timeout;
		const size_t n = launch_pollfds(l, fds, &timeout);

		assert_true(poll(fds, n, timeout) >= 0 || errno == EINTR);
		if (launch_step(l, &answer) == MH_OK)
			return answer;
	}
}

int
make_folder(void **state)
{
	char *dir = strdup("/tmp/mailhook-launch-XXXXXX");

	if (dir == NULL || mkdtemp(dir) == NULL) {
		free(dir);
		return -1;
	}
	*state = dir;
	return 0;
}

int
drop_folder(void **state)
{
	static const char *const files[] = { "action", "here", "plain", "binary", "script", "good", "fifo" };
	char path[256];

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", (const char *)*state, files[i]);
		(void)unlink(path);
	}
	const int result = rmdir(*state);
	free(*state);
	return result;
}
