/* hostile_mail_main.c: prints one hostile mail, or their names. */
#include <stdio.h>
#include <string.h>

#include "tests/hostile_mail.h"

int
main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		for (size_t i = 0; i < n_hostile_mails; i++)
			(void)puts(hostile_mails[i].name);
		return ferror(stdout) != 0 || fflush(stdout) != 0;
	}
	for (size_t i = 0; argc == 2 && i < n_hostile_mails; i++) {
		if (strcmp(argv[1], hostile_mails[i].name) != 0)
			continue;

		struct buf b;
		buf_init(&b, HOSTILE_MAIL_BYTES);
		hostile_mails[i].write(&b);
		const struct mh_span mail = buf_span(&b);
		const bool done = buf_ok(&b) && fwrite(mail.p, 1, mail.n, stdout) == mail.n && fflush(stdout) == 0;
		buf_release(&b);
		return done ? 0 : 1;
	}
	(void)fputs("usage: hostile-mail --list | NAME\n", stderr);
	return 2;
}
