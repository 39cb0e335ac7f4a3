/* conf_box.c: see conf_box.h. */
#include "tests/conf_box.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void
box_open(struct box *b)
{
	(void)snprintf(b->dir, sizeof(b->dir), "/tmp/mailhook-conf-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	(void)snprintf(b->file, sizeof(b->file), "%s/mailhook.conf", b->dir);
	(void)snprintf(b->drop_ins, sizeof(b->drop_ins), "%s.d", b->file);
}

void
write_file(const char *path, const char *text, size_t n)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

void
box_drop_in(const struct box *b, const char *name, const char *text)
{
	char path[256];

	assert_true(mkdir(b->drop_ins, 0700) == 0 || errno == EEXIST);
	(void)snprintf(path, sizeof(path), "%s/%s", b->drop_ins, name);
	write_file(path, text, strlen(text));
}

void
box_close(const struct box *b)
{
	static const char *const names[] = { "10.conf", "20.conf", ".30.conf", "40.conf~" };
	char path[256];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", b->drop_ins, names[i]);
		(void)unlink(path);
	}
	(void)rmdir(b->drop_ins);
	(void)unlink(b->file);
	assert_int_equal(rmdir(b->dir), 0);
}

void
hear(void *user, const char *line)
{
	struct heard *h = user;
	const size_t n = strlen(h->text), skip = strlen(h->dir) + 1;

	assert_true(strncmp(line, h->dir, skip - 1) == 0);
	(void)snprintf(h->text + n, sizeof(h->text) - n, "%s%s", n == 0 ? "" : "\n", line + skip);
}
