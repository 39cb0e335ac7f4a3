/* smtp_send_main.c: sends the mail on stdin by SMTP without TLS to loopback: smtp-send PORT FROM TO...
 * For tests of what the reply action's own mails cannot hold. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "actions/common/smtp.h"

int
main(int argc, char **argv)
{
	struct buf mail, refused;
	char block[4096];
	ssize_t n;
	int64_t wait_s;
	struct mh_err err = { 0 };

	if (argc < 4)
		return 2;
	buf_init(&mail, 2u * SMTP_MAX_MAIL_BYTES);
	buf_init(&refused, SMTP_MAX_REFUSED_BYTES);
	while ((n = read(STDIN_FILENO, block, sizeof(block))) > 0)
		buf_put(&mail, (struct mh_span){ block, (size_t)n });
	const struct smtp_server s = {
		.host = "127.0.0.1", .port = (int)strtol(argv[1], NULL, 10), .tls = SMTP_PLAIN, .wire.total_ms = 20000
	};
	const struct smtp_mail m = {
		.from = argv[2], .to = (const char *const *)argv + 3, .n_to = (size_t)argc - 3, .bytes = buf_span(&mail)
	};
	const enum mh_status status = smtp_send(&s, &m, 0, &refused, &wait_s, &err);
	(void)printf("%d %s\n", (int)status, status == MH_OK ? buf_span(&refused).p : err.text);
	buf_release(&mail);
	buf_release(&refused);
	return 0;
}
