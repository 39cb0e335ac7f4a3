/* compile_notices.c: the build's step from .notice files to a C table, by the reader that users' files go through.
 * usage: compile_notices OUT.c FILE.notice... */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parsers/notice_file.h"

static void
complain(void *user, const char *line)
{
	(void)user;
	(void)fprintf(stderr, "%s\n", line);
}

static void
put_string(FILE *f, const char *s)
{
	(void)fputc('"', f);
	for (const char *c = s; *c != '\0'; c++) {
		const unsigned char u = (unsigned char)*c;

		if (u >= 0x20 && u < 0x7F && u != '"' && u != '\\' && u != '?')
			(void)fputc(u, f);
		else
			(void)fprintf(f, "\\%03o", (unsigned)u);
	}
	(void)fputc('"', f);
}

static void
put_list(FILE *f, size_t number, const char *name, const char *const *list)
{
	(void)fprintf(f, "static const char *const %s_%zu[] = { ", name, number);
	for (; *list != NULL; list++) {
		put_string(f, *list);
		(void)fputs(", ", f);
	}
	(void)fputs("NULL };\n", f);
}

static void
put_lists(FILE *f, size_t n, const struct definition *d)
{
	put_list(f, n, "senders", d->info.senders);
	put_list(f, n, "signers", d->info.signers);
	put_list(f, n, "events", d->events);
	put_list(f, n, "subjects", d->subjects);
	put_list(f, n, "literals", d->literals);
	put_list(f, n, "watch", d->watch);
	put_list(f, n, "ignore", d->ignore);
	(void)fprintf(f, "static const struct definition_pattern patterns_%zu[] = {\n", n);
	for (size_t i = 0; i < d->n_patterns; i++) {
		(void)fputs("\t{ ", f);
		put_string(f, d->patterns[i].regex);
		(void)fputs(", ", f);
		put_string(f, d->patterns[i].literal);
		(void)fprintf(f, ", %s, %uu },\n", d->patterns[i].at_start ? "true" : "false", d->patterns[i].facts);
	}
	(void)fputs("};\n", f);
}

static void
put_definition(FILE *f, size_t n, const struct definition *d)
{
	(void)fputs("\t{ { ", f);
	put_string(f, d->info.name);
	(void)fputs(", ", f);
	put_string(f, d->info.kind);
	(void)fprintf(f,
	    ", \"(shipped)\", senders_%zu, signers_%zu },\n"
	    "\t  events_%zu, subjects_%zu, literals_%zu, watch_%zu, ignore_%zu,\n"
	    "\t  patterns_%zu, %zu, %uu, (enum date_order)%d, false },\n",
	    n, n, n, n, n, n, n, n, d->n_patterns, d->require, (int)d->dates);
}

static char *
read_file(const char *path, size_t *ret_n)
{
	FILE *f = fopen(path, "rb");
	char *text = malloc(MH_MAX_NOTICE_FILE_BYTES + 1);

	if (f == NULL || text == NULL) {
		(void)fprintf(stderr, "%s: cannot be read\n", path);
		exit(1);
	}
	*ret_n = fread(text, 1, MH_MAX_NOTICE_FILE_BYTES + 1, f);
	(void)fclose(f);
	return text;
}

int
main(int argc, char **argv)
{
	const struct definition **list = argc > 2 ? calloc((size_t)argc, sizeof(struct definition *)) : NULL;
	struct arena arena;
	size_t n = 0;

	if (list == NULL) {
		(void)fprintf(stderr, "usage: compile_notices OUT.c FILE.notice...\n");
		return 2;
	}
	arena_init(&arena, 64u << 20);
	for (int i = 2; i < argc; i++) {
		size_t bytes;
		char *text = read_file(argv[i], &bytes);

		if (notice_file_read(
			argv[i], (struct mh_span){ text, bytes }, &arena, complain, NULL, &list[n], NULL) != MH_OK)
			return 1;
		n++;
		free(text);
	}

	FILE *f = fopen(argv[1], "wb");
	if (f == NULL) {
		(void)fprintf(stderr, "%s: cannot be written\n", argv[1]);
		return 1;
	}
	(void)fputs("/* Written by the build from the .notice files; a change here is lost. */\n"
		    "#include \"parsers/definition.h\"\n\n",
	    f);
	for (size_t i = 0; i < n; i++)
		put_lists(f, i, list[i]);
	(void)fputs("\nconst struct definition shipped_definitions[] = {\n", f);
	for (size_t i = 0; i < n; i++)
		put_definition(f, i, list[i]);
	(void)fprintf(f, "};\nconst size_t n_shipped_definitions = %zu;\n", n);

	const int failed = ferror(f);
	arena_release(&arena);
	free(list);
	return fclose(f) != 0 || failed ? 1 : 0;
}
