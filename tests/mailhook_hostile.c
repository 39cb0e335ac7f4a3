/* mailhook_hostile.c: the reader of the program mailhook-hostile, which is mailhook with a parser that does what the
 * mail's Subject says: what a captured parser would do. All else is the real thing. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "mailhook/front.h"
#include "parsers/parser.h"

static enum mh_status
obey(void *state, const struct mail *m, struct arena *a, struct reading *ret, struct mh_err *err)
{
	const struct mail_field *f = mail_field(&m->messages[0], "Subject");
	const struct mh_span order = f == NULL ? MH_NONE : f->value;

	(void)state;
	(void)a;
	(void)err;
	if (span_eq(order, MH_LIT("crash")))
		__builtin_trap();
	if (span_eq(order, MH_LIT("spin")))
		for (volatile unsigned i = 0;; i++)
			;
	if (span_eq(order, MH_LIT("open")))
		(void)open("/etc/passwd", O_RDONLY);
	if (span_eq(order, MH_LIT("fork")))
		(void)fork();
	if (span_eq(order, MH_LIT("garbage")) && write(STDIN_FILENO, "\x05\0\0\0hello", 9) == 9)
		_exit(0);
	if (span_eq(order, MH_LIT("silent")))
		_exit(0);
	ret->verdict = MH_IRRELEVANT;
	return MH_OK;
}

const struct mh_parser *
front_parser(void)
{
	static const struct mh_parser hostile = { .name = "hostile", .help = "", .parse = obey };

	return &hostile;
}
