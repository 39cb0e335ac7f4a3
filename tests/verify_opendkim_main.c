/* verify-opendkim KEYS: libopendkim's opinion, for the differential test: the same frames as verify-one's on stdin, a
 * line "pass" or "fail" for each. One process a message: the library has asserts and over-reads (DEVIATIONS.md). */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <opendkim/dkim.h>

static const char *key_file; /* the callback of this library has no pointer of its own at this place */

static DKIM_CBSTAT
key_lookup(DKIM *dkim, DKIM_SIGINFO *sig, unsigned char *buf, size_t buflen)
{
	char name[600], line[8192];
	FILE *f = fopen(key_file, "r");

	(void)dkim;
	if (f == NULL)
		return DKIM_CBSTAT_ERROR;
	snprintf(name, sizeof(name), "%s._domainkey.%s\t", (const char *)dkim_sig_getselector(sig),
	    (const char *)dkim_sig_getdomain(sig));
	while (fgets(line, sizeof(line), f) != NULL) {
		if (strncasecmp(line, name, strlen(name)) != 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf((char *)buf, buflen, "%s", line + strlen(name));
		fclose(f);
		return DKIM_CBSTAT_CONTINUE;
	}
	fclose(f);
	return DKIM_CBSTAT_NOTFOUND;
}

static bool
verify(unsigned char *raw, size_t n)
{
	DKIM_LIB *lib = dkim_init(NULL, NULL);
	DKIM_STAT status;
	uint64_t fixed = 1;
	DKIM *dkim;

	if (lib == NULL)
		return false;
	dkim_options(lib, DKIM_OP_SETOPT, DKIM_OPTS_FIXEDTIME, &fixed, sizeof(fixed));
	dkim_set_key_lookup(lib, key_lookup);
	dkim = dkim_verify(lib, (const unsigned char *)"id", NULL, &status);
	if (dkim == NULL)
		return false;
	if (dkim_chunk(dkim, raw, n) != DKIM_STAT_OK || dkim_chunk(dkim, NULL, 0) != DKIM_STAT_OK)
		return false;
	return dkim_eom(dkim, NULL) == DKIM_STAT_OK;
}

int
main(int argc, char **argv)
{
	char head[32];

	if (argc != 2)
		return 2;
	key_file = argv[1];
	while (fgets(head, sizeof(head), stdin) != NULL) {
		const size_t n = strtoul(head, NULL, 10);
		unsigned char *raw = malloc(n + 1);
		int status = 1;

		if (raw == NULL || fread(raw, 1, n, stdin) != n)
			return 2;
		raw[n] = '\0';
		const pid_t child = fork();
		if (child == 0) {
			const struct rlimit none = { 0, 0 };
			setrlimit(RLIMIT_CORE, &none);
			fclose(stderr);
			_exit(verify(raw, n) ? 0 : 1);
		}
		if (child < 0 || waitpid(child, &status, 0) != child)
			return 2;
		puts(WIFEXITED(status) && WEXITSTATUS(status) == 0 ? "pass" : "fail");
		fflush(stdout);
		free(raw);
	}
	return 0;
}
