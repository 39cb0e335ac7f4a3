/* main.c: mailhook-token prints one access token. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "actions/token/token.h"
#include "mailhook/clock.h"
#include "mailhook/fd.h"

static const char usage_text[] = "usage: mailhook-token [--fresh] FILE\n"
				 "       mailhook-token --check FILE\n"
				 "Prints one OAuth 2.0 access token for the configuration FILE.\n";

static int
usage(int code)
{
	(void)fputs(usage_text, code == 0 ? stdout : stderr);
	return code;
}

static int
give(const char *path, bool fresh)
{
	MH_AUTO(secret_release) struct secret token = { 0 };
	struct mh_err err = { 0 };
	int64_t wait_s = -1;

	const enum mh_status status = token_get(path, fresh, clock_now(), &token, &wait_s, &err);
	if (status == MH_OK)
		return fd_write_all(STDOUT_FILENO, secret_span(&token)) && fd_write_all(STDOUT_FILENO, MH_LIT("\n"))
			   ? 0
			   : 75;
	if (wait_s >= 0)
		(void)fprintf(stderr, "mailhook-token: %s: retry after %lld s\n", err.text, (long long)wait_s);
	else
		(void)fprintf(stderr, "mailhook-token: %s\n", err.text);
	return status == MH_RETRY ? 75 : 1;
}

static int
check(const char *path)
{
	struct mh_err err = { 0 };
	const enum mh_status status = token_check(path, clock_now(), &err);

	if (status == MH_OK)
		return 0;
	(void)fprintf(stderr, "mailhook-token: %s\n", err.text);
	return status == MH_RETRY ? 75 : 2;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = { { "fresh", no_argument, NULL, 'f' },
		{ "check", no_argument, NULL, 'c' }, { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 } };
	bool fresh = false, only_check = false;
	int o;

	(void)signal(SIGPIPE, SIG_IGN);
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 'h')
			return usage(0);
		if (o == '?')
			return usage(2);
		fresh |= o == 'f';
		only_check |= o == 'c';
	}
	if (argc - optind != 1 || (fresh && only_check))
		return usage(2);
	return only_check ? check(argv[optind]) : give(argv[optind], fresh);
}
