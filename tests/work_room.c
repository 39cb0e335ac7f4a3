/* work_room.c: see work_room.h. */
#include "tests/work_room.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mailhook/intake.h"

#define WORK BUILD_DIR "/libexec/mailhook/mailhook-work"

static const char notice_mail[] =
    "From: \"Amazon Web Services, Inc.\" <no-reply-aws@amazon.com>\r\n"
    "To: ops@example.com\r\n"
    "Subject: [Action required] AWS IAM Identity Center (successor to AWS Single Sign-On) SCIM Access Token "
    "Approaching "
    "Expiration. [AWS Account: 123456789012]\r\n"
    "Date: Thu, 6 Nov 2025 08:00:00 +0000\r\n"
    "Message-ID: <%d@example.com>\r\n"
    "Content-Type: text/plain; charset=\"UTF-8\"\r\n"
    "X-SM-COMMUNICATION-TYPE: AWS_IAMIDENTITYCENTER_SCIM_BEARER_TOKEN_EXPIRY_NOTIFICATION\r\n\r\n"
    "Hello,\r\n\r\nThe SCIM access token used to automatically provision users and groups from your IdP to IAM "
    "Identity\r\n"
    "Center expires in 88 days on Tue Feb 03 04:05:06 UTC 2026.\r\n";

void
put_raw(struct room *r, struct mh_span raw)
{
	char intake[128];
	struct mh_err err = { 0 };
	const struct envelope e = { .received = r->now };

	(void)snprintf(intake, sizeof(intake), "%s/state/intake", r->dir);
	if (intake_put(intake, raw, &e, &err) != MH_OK)
		fail_msg("%s", err.text);
}

void
put_notice(struct room *r, int number)
{
	char mail[2048];
	const int n = snprintf(mail, sizeof(mail), notice_mail, number);

	put_raw(r, (struct mh_span){ mail, (size_t)n });
}

pid_t
start(struct room *r, char *const argv[])
{
	char out[128], errors[128];
	const pid_t child = fork();

	assert_true(child >= 0);
	if (child > 0)
		return child;
	(void)snprintf(out, sizeof(out), "%s/out", r->dir);
	(void)snprintf(errors, sizeof(errors), "%s/err", r->dir);
	const int o = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	const int e = open(errors, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (dup2(o, 1) == 1 && dup2(e, 2) == 2)
		(void)execv(WORK, argv);
	_exit(126);
}

int
ended(pid_t child)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int
run(struct room *r, const char *command, const char *arg)
{
	char *argv[] = { (char[]){ "mailhook-work" }, strdup(command), (char[]){ "--config" }, r->conf,
		arg == NULL ? NULL : strdup(arg), NULL };
	const int code = ended(start(r, argv));

	free(argv[1]);
	free(argv[4]);
	return code;
}

bool
printed(struct room *r, const char *file, const char *part)
{
	char text[65536];

	room_read(r, file, text, sizeof(text));
	return strstr(text, part) != NULL;
}

size_t
intake_holds(struct room *r, const char *end)
{
	char intake[128];
	size_t n = 0;
	const struct dirent *e;

	(void)snprintf(intake, sizeof(intake), "%s/state/intake", r->dir);
	DIR *d = opendir(intake);
	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		const size_t len = strlen(e->d_name), k = strlen(end);
		n += len > k && strcmp(e->d_name + len - k, end) == 0;
	}
	assert_int_equal(closedir(d), 0);
	return n;
}

void
stage(struct room *r, const char *conf)
{
	room_open(r, conf);
	room_script(r, "desk", DESK);
}
