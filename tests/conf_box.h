/* conf_box.h: a folder with a main file and drop-ins, and what is complained of. */
#ifndef MAILHOOK_TESTS_CONF_BOX_H
#define MAILHOOK_TESTS_CONF_BOX_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mailhook/conf.h"

/* for rows: a complaint's file, an action, a rule */
#define M "mailhook.conf:"
#define T "action \"t\" { program = ticket }\n"
#define R "rule \"r\" { do = {\"t\"} }\n"

struct box {
	char dir[64], file[128], drop_ins[160];
};

/* Complaints joined by '\n', the folder's path taken away. */
struct heard {
	char text[4096];
	const char *dir;
};

void box_open(struct box *b);
void write_file(const char *path, const char *text, size_t n);
void box_drop_in(const struct box *b, const char *name, const char *text);
void box_close(const struct box *b);
void hear(void *user, const char *line);

#endif
