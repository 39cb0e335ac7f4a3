/* log.c: lines for the person who runs the worker. */
#include <stdio.h>

#include "mailhook/work/work.h"

void
work_log(const char *fmt, ...)
{
	char line[1400];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	(void)fprintf(stderr, "mailhook: %s\n", line);
}

void
work_complain(void *user, const char *line)
{
	(void)user;
	work_log("%s", line);
}
