/* complete.c: a program of the build: writes what a shell needs to complete mailhook's commands, from their table.
 *
 * What a command takes is read from its usage ("[--json] [--mail ADDRESS] CASE"), so that nothing is said twice: an
 * option is what begins with "--", a word in capitals behind it is its value, FILE, PATH or PROGRAM are files, and a
 * small word stands for itself. Two commands may have an option of one name, one with a value and one without.
 */
#include <string.h>

#include "mailhook/cli.h"

#define MAX_OPTIONS 16
#define MAX_WORDS 8
#define COMMON 2 /* options of every command, the first */

struct option {
	struct mh_span name;
	struct mh_span value; /* n == 0: none */
};

struct usage {
	struct option options[MAX_OPTIONS];
	size_t n;
	struct mh_span words[MAX_WORDS]; /* operands */
	size_t n_words;
	bool files; /* operands are files */
};

struct shell {
	const char *name;
	void (*write)(FILE *out);
};

/* -- usages -------------------------------------------------------------------------------------------------------- */

static bool
is_file(struct mh_span word)
{
	return span_eq(word, MH_LIT("FILE")) || span_eq(word, MH_LIT("PATH")) || span_eq(word, MH_LIT("PROGRAM"));
}

/* What a value can be, of those that are one of a few words; else NULL. */
static const char *
choice(struct mh_span value)
{
	static const struct {
		const char *value, *words;
	} choices[] = { { "WHEN", "auto always never" }, { "LEVEL", "verified relayed unverified" } };

	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++)
		if (span_eq(value, span_of(choices[i].value)))
			return choices[i].words;
	return NULL;
}

static struct mh_span
take(const char **s, const char *of)
{
	const size_t n = strspn(*s, of);
	const struct mh_span word = { *s, n };

	*s += n;
	return word;
}

/* Notes an operand that is a word, once. False: there are too many. */
static bool
add_word(struct usage *u, struct mh_span word)
{
	for (size_t i = 0; i < u->n_words; i++)
		if (span_eq(u->words[i], word))
			return true;
	if (u->n_words == MAX_WORDS)
		return false;
	u->words[u->n_words++] = word;
	return true;
}

static bool
read_usage(const char *s, struct usage *ret)
{
	static const char capitals[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", lower[] = "abcdefghijklmnopqrstuvwxyz-";
	struct usage u = { .options = { { MH_LIT("--config"), MH_LIT("FILE") }, { MH_LIT("--help"), MH_NONE } },
		.n = COMMON };
	const char *begin = s;

	while (*s != '\0') {
		if (strncmp(s, "--", 2) == 0) {
			if (u.n == MAX_OPTIONS)
				return false;
			struct option *o = &u.options[u.n++];
			o->name = take(&s, lower);
			o->value = MH_NONE;
			if (s[0] == ' ' && s[1] != '\0' && strchr(capitals, s[1]) != NULL) {
				s++;
				o->value = take(&s, capitals);
			}
			continue;
		}
		const bool begins = s == begin || strchr(" [", s[-1]) != NULL;
		struct mh_span word = take(&s, capitals);
		if (word.n > 0) {
			u.files = u.files || is_file(word);
			continue;
		}
		word = begins ? take(&s, lower) : MH_NONE;
		if (word.n == 0)
			s++;
		else if (!add_word(&u, word))
			return false;
	}
	*ret = u;
	return true;
}

static bool
all_usages_fit(void)
{
	struct usage u;

	for (const struct command *c = commands; c->name != NULL; c++)
		if (!read_usage(c->arguments, &u))
			return false;
	return true;
}

static struct usage
usage_of(const struct command *c)
{
	struct usage u = { 0 };

	(void)read_usage(c->arguments, &u); /* looked at before: all_usages_fit */
	return u;
}

/* The first line of a command's help, with a backslash or what else before each of the bytes of special. */
static void
put_help(FILE *out, const struct command *c, const char *special, const char *before)
{
	for (const char *p = c->help; *p != '\0' && *p != '\n'; p++)
		(void)fprintf(out, "%s%c", strchr(special, *p) == NULL ? "" : before, *p);
}

/* -- bash ---------------------------------------------------------------------------------------------------------- */

/* Behind an option that has a value: the lines of a case of "COMMAND,OPTION". */
static void
bash_values(FILE *out)
{
	(void)fputs("\t\t*,--config) files=yes ;;\n", out);
	for (const struct command *c = commands; c->name != NULL; c++) {
		const struct usage u = usage_of(c);

		for (size_t i = COMMON; i < u.n; i++) {
			const struct option *o = &u.options[i];
			const char *words = choice(o->value);

			if (o->value.n == 0)
				continue;
			(void)fprintf(out, "\t\t%s,%.*s) ", c->name, (int)o->name.n, o->name.p);
			if (words != NULL)
				(void)fprintf(out, "words='%s' ", words);
			(void)fprintf(out, "%s;;\n", is_file(o->value) ? "files=yes " : "");
		}
	}
}

static void
bash(FILE *out)
{
	(void)fputs("# bash completion for mailhook, written from its table of commands\n"
		    "_mailhook()\n{\n"
		    "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words= files=\n\n"
		    "\tif [[ $COMP_CWORD -eq 1 ]]; then\n"
		    "\t\twords='--help --version",
	    out);
	for (const struct command *c = commands; c->name != NULL; c++)
		(void)fprintf(out, " %s", c->name);
	(void)fputs("'\n\telse\n\t\tcase ${COMP_WORDS[1]},$prev in\n", out);
	bash_values(out);
	(void)fputs("\t\t*)\n\t\t\tcase ${COMP_WORDS[1]} in\n", out);
	for (const struct command *c = commands; c->name != NULL; c++) {
		const struct usage u = usage_of(c);

		(void)fprintf(out, "\t\t\t%s) words='", c->name);
		for (size_t i = 0; i < u.n; i++)
			(void)fprintf(out, "%s%.*s", i == 0 ? "" : " ", (int)u.options[i].name.n, u.options[i].name.p);
		for (size_t i = 0; i < u.n_words; i++)
			(void)fprintf(out, " %.*s", (int)u.words[i].n, u.words[i].p);
		(void)fprintf(out, "'%s ;;\n", u.files ? " files=yes" : "");
	}
	(void)fputs("\t\t\tesac\n\t\t\t[[ $cur == -* || ! $files ]] && files= || words=\n\t\t\t;;\n\t\tesac\n\tfi\n"
		    "\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
		    "\tif [[ $files ]]; then\n"
		    "\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
		    "\t\tcompopt -o filenames 2>/dev/null\n"
		    "\tfi\n\treturn 0\n}\n"
		    "complete -F _mailhook mailhook\n",
	    out);
}

/* -- zsh ----------------------------------------------------------------------------------------------------------- */

static void
zsh(FILE *out)
{
	(void)fputs("#compdef mailhook\n# zsh completion for mailhook, written from its table of commands\n"
		    "local curcontext=\"$curcontext\" state line\nlocal -a commands\ntypeset -A opt_args\n\n"
		    "commands=(\n",
	    out);
	for (const struct command *c = commands; c->name != NULL; c++) {
		(void)fprintf(out, "\t'%s:", c->name);
		put_help(out, c, "'", "'\\'"); /* ' becomes '\'' */
		(void)fputs("'\n", out);
	}
	(void)fputs(")\n\n_arguments -C '(- *)--help' '(- *)--version' '1:command:->command' '*::argument:->argument'\n"
		    "case $state in\ncommand) _describe command commands ;;\nargument)\n\tcase $words[1] in\n",
	    out);
	for (const struct command *c = commands; c->name != NULL; c++) {
		const struct usage u = usage_of(c);

		(void)fprintf(out, "\t%s) _arguments", c->name);
		for (size_t i = 0; i < u.n; i++) {
			const struct option *o = &u.options[i];
			(void)fprintf(out, " '%.*s", (int)o->name.n, o->name.p);
			if (o->value.n > 0 && is_file(o->value))
				(void)fprintf(out, ":%.*s:_files", (int)o->value.n, o->value.p);
			else if (o->value.n > 0)
				(void)fprintf(out, ":%.*s:(%s)", (int)o->value.n, o->value.p,
				    choice(o->value) == NULL ? " " : choice(o->value));
			(void)fputc('\'', out);
		}
		for (size_t i = 0; i < u.n_words; i++)
			(void)fprintf(out, "%s%.*s%s", i == 0 ? " '1:WORD:(" : " ", (int)u.words[i].n, u.words[i].p,
			    i + 1 == u.n_words ? ")'" : "");
		(void)fprintf(out, "%s ;;\n", u.files ? " '*:PATH:_files'" : "");
	}
	(void)fputs("\tesac\n\t;;\nesac\n", out);
}

/* -- fish ---------------------------------------------------------------------------------------------------------- */

static void
fish(FILE *out)
{
	(void)fputs("# fish completion for mailhook, written from its table of commands\n"
		    "complete -c mailhook -f\n"
		    "complete -c mailhook -n __fish_use_subcommand -l help\n"
		    "complete -c mailhook -n __fish_use_subcommand -l version\n",
	    out);
	for (const struct command *c = commands; c->name != NULL; c++) {
		const struct usage u = usage_of(c);

		(void)fprintf(out, "complete -c mailhook -n __fish_use_subcommand -a %s -d '", c->name);
		put_help(out, c, "'\\", "\\");
		(void)fputs("'\n", out);
		for (size_t i = 0; i < u.n; i++) {
			const struct option *o = &u.options[i];
			(void)fprintf(out, "complete -c mailhook -n '__fish_seen_subcommand_from %s' -l %.*s%s",
			    c->name, (int)o->name.n - 2, o->name.p + 2,
			    o->value.n == 0     ? ""
			    : is_file(o->value) ? " -r -F"
						: " -x");
			if (choice(o->value) != NULL)
				(void)fprintf(out, " -a '%s'", choice(o->value));
			(void)fputc('\n', out);
		}
		for (size_t i = 0; i < u.n_words; i++)
			(void)fprintf(out, "complete -c mailhook -n '__fish_seen_subcommand_from %s' -a %.*s\n",
			    c->name, (int)u.words[i].n, u.words[i].p);
		if (u.files)
			(void)fprintf(out, "complete -c mailhook -n '__fish_seen_subcommand_from %s' -F\n", c->name);
	}
}

static const struct shell shells[] = {
	{ .name = "bash", .write = bash },
	{ .name = "zsh", .write = zsh },
	{ .name = "fish", .write = fish },
};

int
main(int argc, char **argv)
{
	const struct shell *shell = NULL;

	for (size_t i = 0; argc == 3 && i < sizeof(shells) / sizeof(shells[0]); i++)
		if (strcmp(argv[1], shells[i].name) == 0)
			shell = &shells[i];
	if (shell == NULL || !all_usages_fit()) {
		(void)fputs("usage: complete bash|zsh|fish FILE\n", stderr);
		return CLI_USAGE;
	}
	FILE *out = fopen(argv[2], "we");
	if (out == NULL) {
		perror(argv[2]);
		return CLI_USAGE;
	}
	shell->write(out);
	const bool bad = ferror(out) != 0;
	if (fclose(out) != 0 || bad) {
		perror(argv[2]);
		(void)remove(argv[2]);
		return CLI_USAGE;
	}
	return CLI_OK;
}
