/* golden_test.c: each sample mail against the whole JSON that stands beside it. */
#include <dirent.h>
#include <stdio.h>

#include "mailhook/json.h"
#include "mailhook/mail/charset.h"
#include "parsers/parser.h"
#include "parsers/render.h"
#include "tests/exact.h"

#define MAX_FILE_BYTES ((size_t)4 << 20)

static char *
read_file(const char *path, size_t *ret_n)
{
	FILE *f = fopen(path, "rb");
	char *text = malloc(MAX_FILE_BYTES);

	if (f == NULL)
		fail_msg("%s: cannot be read", path);
	assert_non_null(text);
	*ret_n = fread(text, 1, MAX_FILE_BYTES, f);
	(void)fclose(f);
	return text;
}

/* Reads a sample as the front does and returns its JSON. */
static cJSON *
read_sample(struct definitions *d, const char *path)
{
	struct arena a;
	struct reading r;
	struct buf out;
	struct mh_err err = { 0 };
	size_t n;
	char *text = read_file(path, &n);
	char *exact = exact_copy((struct mh_span){ text, n });
	const struct mh_span raw = { exact, n };
	struct charset_set *charsets = charset_set_new();

	free(text);
	assert_non_null(charsets);
	charset_set_open(charsets, raw);
	arena_init(&a, MH_MAX_ARENA_BYTES);
	buf_init(&out, MH_MAX_JSON_BYTES);
	read_message(&definition_parser, d, charsets, raw, &a, &r);
	if (!reading_render(&r, "-", &out))
		fail_msg("%s: no JSON", path);

	cJSON *j = json_parse(buf_span(&out), &err);
	if (j == NULL)
		fail_msg("%s: what is printed is no JSON: %s", path, err.text);
	buf_release(&out);
	arena_release(&a);
	charset_set_free(charsets);
	free(exact);
	return j;
}

static cJSON *
read_expected(const char *sample)
{
	char path[4096];
	struct mh_err err = { 0 };
	const int n = snprintf(path, sizeof(path), "%.*s.json", (int)(strlen(sample) - strlen(".eml")), sample);

	assert_true(n > 0 && (size_t)n < sizeof(path));
	size_t bytes;
	char *text = read_file(path, &bytes);
	cJSON *j = json_parse((struct mh_span){ text, bytes }, &err);
	if (j == NULL)
		fail_msg("%s: %s", path, err.text);
	free(text);
	return j;
}

static int
is_sample(const struct dirent *e)
{
	return span_iends(span_of(e->d_name), MH_LIT(".eml"));
}

/* Every sample of one folder; at least min of them, so that a folder that moved is no success. */
static void
check_folder(const char *folder, int min)
{
	struct definitions *d = definitions_new();
	struct dirent **names = NULL;
	char path[4096];
	int wrong = 0;

	(void)snprintf(path, sizeof(path), "%s/samples/%s", SOURCE_DIR, folder);
	const int n = scandir(path, &names, is_sample, alphasort);
	if (n < min)
		fail_msg("%s: %d samples, fewer than %d", path, n, min);
	assert_non_null(d);
	for (int i = 0; i < n; i++) {
		(void)snprintf(path, sizeof(path), "%s/samples/%s/%s", SOURCE_DIR, folder, names[i]->d_name);
		cJSON *want = read_expected(path), *got = read_sample(d, path);

		cJSON_DeleteItemFromObjectCaseSensitive(want, "source");
		cJSON_DeleteItemFromObjectCaseSensitive(got, "source");
		char *want_text = cJSON_PrintUnformatted(want), *got_text = cJSON_PrintUnformatted(got);
		if (strcmp(want_text, got_text) != 0) { /* keys in the contract's order, too */
			print_error("%s/%s\n  got  %s\n  want %s\n", folder, names[i]->d_name, got_text, want_text);
			wrong++;
		}
		cJSON_free(want_text);
		cJSON_free(got_text);
		cJSON_Delete(want);
		cJSON_Delete(got);
		free(names[i]);
	}
	free(names);
	definitions_free(d);
	if (wrong > 0)
		fail_msg("%s: %d samples are read wrongly", folder, wrong);
}

static void
test_scim(void **state)
{
	(void)state;
	check_folder("notices/scim", 40);
}

static void
test_kinds(void **state)
{
	(void)state;
	check_folder("notices/kinds", 9);
}

static void
test_other(void **state)
{
	(void)state;
	check_folder("other", 25);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scim),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
