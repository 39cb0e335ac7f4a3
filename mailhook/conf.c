/* conf.c: the configuration loaded from its files, and what is looked up in it. */
#include "mailhook/conf.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mailhook/conf_parts.h"

#define ARENA_BYTES ((size_t)64 << 20)
/* A SCIM token lives a year and AWS first writes 90 days before its end: 275 days after the last one's, and two weeks. */
#define EXPECT_SCIM_S (289 * MH_DAY_S)
#define KIND_SCIM "aws.identity-center.scim-token"

/* -- loading ------------------------------------------------------------------------------------------------------ */

static int
by_name(const void *a, const void *b)
{
	const char *const *left = a, *const *right = b;

	return strcmp(*left, *right);
}

static bool
is_drop_in(const char *name)
{
	return name[0] != '.' && span_iends(span_of(name), MH_LIT(".conf")) && strlen(name) > sizeof(".conf") - 1;
}

/* FILE.d, its *.conf sorted. No such folder is no error. */
static enum mh_status
read_drop_ins(struct conf_source *s, const char *path, struct mh_err *err)
{
	struct mh_span folder, file;
	const char **names = NULL;
	size_t n = 0, cap = 0;

	if (arena_printf(s->arena, &folder, err, "%s.d", path) != MH_OK)
		return MH_RETRY;
	DIR *d = opendir(folder.p);
	if (d == NULL)
		return errno == ENOENT || errno == ENOTDIR
			   ? MH_OK
			   : mh_fail_errno(err, MH_RETRY, "%s: cannot be opened", folder.p);

	enum mh_status status = MH_OK;
	for (const struct dirent *e = readdir(d); e != NULL && status == MH_OK; e = readdir(d)) {
		if (!is_drop_in(e->d_name))
			continue;
		const char **more = arena_grow(s->arena, names, n, &cap, sizeof(*more));
		if (more == NULL || arena_printf(s->arena, &file, err, "%s/%s", folder.p, e->d_name) != MH_OK) {
			status = mh_fail(err, MH_RETRY, "%s: no memory for its names", folder.p);
			break;
		}
		names = more;
		names[n++] = file.p;
	}
	(void)closedir(d);
	if (n > 0)
		qsort(names, n, sizeof(*names), by_name);
	for (size_t i = 0; i < n && status == MH_OK; i++) {
		status = conf_read_file(s, names[i], err);
		if (status == MH_SKIP)
			status = MH_OK; /* removed since, or a link to nowhere */
	}
	return status;
}

/* The folder in which "actions" and "definitions" stand, absolute: actions run in a folder of their own. */
static const char *
folder_of(struct arena *a, const char *path)
{
	const char *slash = strrchr(path, '/');
	const int n = slash == NULL ? 0 : (int)(slash - path);
	char here[PATH_MAX];
	struct mh_span dir;
	enum mh_status status;

	if (path[0] == '/')
		status = arena_copy(a, (struct mh_span){ path, (size_t)n }, &dir, NULL);
	else if (getcwd(here, sizeof(here)) == NULL)
		return NULL;
	else
		status = arena_printf(a, &dir, NULL, "%s%s%.*s", here, n == 0 ? "" : "/", n, path);
	return status == MH_OK ? dir.p : NULL;
}

enum mh_status
conf_load(const char *path, conf_complain *complain, void *user, struct conf **ret, struct mh_err *err)
{
	const char *file = path != NULL ? path : CONF_DEFAULT_FILE;
	struct conf *c = calloc(1, sizeof(*c));
	struct mh_span copy;
	bool whole = false;

	*ret = NULL;
	if (c == NULL)
		return mh_fail(err, MH_RETRY, "%s: no memory to read it", file);
	arena_init(&c->arena, ARENA_BYTES);
	struct conf_source s = { .arena = &c->arena, .complain = complain, .user = user };

	enum mh_status status = arena_copy(&c->arena, span_of(file), &copy, err);
	const char *dir = status == MH_OK ? folder_of(&c->arena, copy.p) : NULL;
	if (dir == NULL) {
		status = mh_fail(err, MH_RETRY, "%s: its folder cannot be found", file);
		goto fail;
	}
	file = copy.p;
	status = conf_read_file(&s, file, err);
	if (status == MH_SKIP && path != NULL)
		status = MH_RETRY;
	if (status == MH_RETRY)
		goto fail;
	status = read_drop_ins(&s, file, err);

	c->file = s.n > 0 ? file : NULL;
	/* A file that was cut may have named another folder than the usual one: a guess would lose the mail. */
	c->state_dir = s.state_dir != NULL || s.cut || status != MH_OK ? s.state_dir : CONF_DEFAULT_STATE_DIR;
	for (size_t i = 0; i < s.n && s.state_dir == NULL; i++)
		if (conf_given(&s.blocks[i], KEY_STATE_DIR))
			c->state_dir = NULL; /* it was given, and wrong */
	const bool usable = c->state_dir != NULL;
	if (!usable)
		c->state_dir = CONF_DEFAULT_STATE_DIR; /* only so that the rest can be checked */
	if (!conf_build(c, &s, dir, status == MH_OK, &whole)) {
		status = mh_fail(err, MH_RETRY, "%s: no memory to read it", file);
		goto fail;
	}
	if (status == MH_OK && s.wrong)
		status = mh_fail(err, MH_BAD, "%s: the configuration has errors", file);
	if (!usable) /* only where something was complained of */
		goto fail;
	*ret = c;
	return status;
fail:
	conf_free(c);
	return status;
}

void
conf_free(struct conf *c)
{
	if (c == NULL)
		return;
	arena_release(&c->arena);
	free(c);
}

/* -- looking up --------------------------------------------------------------------------------------------------- */

const struct conf_action *
conf_action(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->n_actions; i++)
		if (strcmp(c->actions[i].name, name) == 0)
			return &c->actions[i];
	return NULL;
}

bool
conf_pattern_takes(const char *pattern, struct mh_span s)
{
	const struct mh_span p = span_of(pattern);

	return span_iends(p, MH_LIT("*")) ? span_starts(s, span_head(p, p.n - 1)) : span_eq(s, p);
}

bool
conf_takes(const struct conf_list *list, struct mh_span s)
{
	for (size_t i = 0; i < list->n; i++)
		if (conf_pattern_takes(list->items[i], s))
			return true;
	return list->n == 0;
}

const struct conf_rule *
conf_rule_for(const struct conf *c, struct mh_span kind, struct mh_span account, struct mh_span environment)
{
	for (size_t i = 0; i < c->n_rules; i++)
		if (conf_takes(&c->rules[i].kinds, kind) && conf_takes(&c->rules[i].accounts, account) &&
		    conf_takes(&c->rules[i].environments, environment))
			return &c->rules[i];
	return NULL;
}

const struct conf_credential *
conf_credential(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->n_credentials; i++)
		if (strcmp(c->credentials[i].name, name) == 0)
			return &c->credentials[i];
	return NULL;
}

int
conf_expect_s(const struct conf *c, const char *rule, const char *kind)
{
	for (size_t i = 0; rule != NULL && i < c->n_rules; i++)
		if (strcmp(c->rules[i].name, rule) == 0 && c->rules[i].expect_s != CONF_EXPECT_BY_KIND)
			return c->rules[i].expect_s;
	return strcmp(kind, KIND_SCIM) == 0 ? EXPECT_SCIM_S : 0;
}
