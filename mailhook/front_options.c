/* front_options.c: the few options of the face, read without getopt, whose messages a mail server would hand on; and
 * how the face complains. */
#include <string.h>

#include "mailhook/front.h"

/* --name VALUE or --name=VALUE. False: arg is another one. */
static bool
takes_value(const char *name, int argc, char **argv, int *i, const char **ret_value, bool *ret_missing)
{
	const size_t n = strlen(name);

	if (strncmp(argv[*i], name, n) != 0)
		return false;
	if (argv[*i][n] == '=') {
		*ret_value = argv[*i] + n + 1;
		return true;
	}
	if (argv[*i][n] != '\0')
		return false;
	*ret_missing = *i + 1 >= argc;
	if (!*ret_missing)
		*ret_value = argv[++*i];
	return true;
}

enum mh_status
front_options(int argc, char **argv, const char *flags, struct front_options *ret, struct mh_err *err)
{
	struct front_options o = { 0 };
	int i;

	for (i = 1; i < argc && argv[i][0] == '-' && argv[i][1] != '\0'; i++) {
		bool missing = false;
		char shown[64];

		if (strcmp(argv[i], "--") == 0) {
			i++;
			break;
		}
		if (strchr(flags, 'e') != NULL && strcmp(argv[i], "--explain") == 0)
			o.explain = true;
		else if (strchr(flags, 'j') != NULL && strcmp(argv[i], "--json") == 0)
			o.json = true;
		else if (!takes_value("--config", argc, argv, &i, &o.config, &missing) &&
			 !(strchr(flags, 's') != NULL && takes_value("--sender", argc, argv, &i, &o.sender, &missing)))
			return mh_fail(err, MH_BAD, "%s: no such option: %s", argv[0],
			    mh_escape(shown, sizeof(shown), span_of(argv[i])));
		if (missing)
			return mh_fail(err, MH_BAD, "%s: an option lacks its value", argv[0]);
	}
	o.paths = argv + i;
	o.n_paths = (size_t)(argc - i);
	if (o.n_paths > 0 && strchr(flags, 'p') == NULL)
		return mh_fail(err, MH_BAD, "%s: takes no path", argv[0]);
	*ret = o;
	return MH_OK;
}

void
front_complain(void *user, const char *line)
{
	(void)user;
	(void)fprintf(stderr, "mailhook: %s\n", line);
}
