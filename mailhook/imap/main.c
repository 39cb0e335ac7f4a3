/* main.c: mailhook-imap: "imap" watches mailboxes, "prove" looks whether they can be, "append" puts a message into one. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mailhook/cli.h"
#include "mailhook/front.h"
#include "mailhook/imap/imap.h"
#include "mailhook/imap/stream.h"
#include "mailhook/owner.h"
#include "mailhook/work/log.h"

static void
complain(void *user, const char *line)
{
	(void)user;
	log_event(LOG_ERROR, "configuration", NULL, "%s", line);
}

/* -- loading ------------------------------------------------------------------------------------------------------- */

void
imap_aim(struct imap *im)
{
	im->likely = (struct likely){ .definitions = im->definitions,
		.forwarders = im->conf->trust.forwarders.items,
		.n_forwarders = im->conf->trust.forwarders.n };
	im->reader = (struct reader){ .parser = front_parser(), .parser_state = im->definitions };
	im->header_reader = (struct reader){ .parser = &likely_parser, .parser_state = &im->likely };
}

static bool
same_file(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Each file of authorities once: the system's is 200 certificates, and all mailboxes share it after the fork. */
static enum mh_status
load_trust(struct imap *im, struct mh_err *err)
{
	const struct conf *c = im->conf;

	im->trust = calloc(c->n_mailboxes + 1, sizeof(SSL_CTX *));
	im->trust_err = calloc(c->n_mailboxes + 1, sizeof(*im->trust_err));
	if (im->trust == NULL || im->trust_err == NULL)
		return mh_fail(err, MH_RETRY, "no memory for mailboxes");
	for (size_t i = 0; i < c->n_mailboxes; i++) {
		size_t k = 0;

		while (k < i && !same_file(c->mailboxes[k].ca_file, c->mailboxes[i].ca_file))
			k++;
		if (k == i) {
			(void)stream_trust(c->mailboxes[i].ca_file, &im->trust[i], &im->trust_err[i]);
		} else {
			im->trust_err[i] = im->trust_err[k];
			im->trust[i] = im->trust[k];
			if (im->trust[i] != NULL)
				(void)SSL_CTX_up_ref(im->trust[i]);
		}
	}
	return MH_OK;
}

static bool
find_libexec(char *dst, size_t dst_bytes)
{
	if (!libexec_path("mailhook-imap", dst, dst_bytes))
		return false;
	*strrchr(dst, '/') = '\0';
	return true;
}

enum mh_status
imap_load(struct imap *im, const char *config, struct mh_err *err)
{
	enum mh_status status = conf_load(config, complain, NULL, &im->conf, err);

	im->config = config;
	im->told = -1;
	if (status != MH_OK)
		return MH_BAD; /* a file that cannot be read is as wrong as one that cannot be understood */
	if (!find_libexec(im->libexec, sizeof(im->libexec)))
		return mh_fail(err, MH_RETRY, "the folder of this program is not known");
	im->definitions = definitions_new();
	if (im->definitions == NULL)
		return mh_fail(err, MH_RETRY, "no memory for the definitions");
	/* a definition that is wrong is the worker's and check's to complain of */
	im->definitions_missing =
	    definitions_add_folder(im->definitions, im->conf->definitions_dir, complain, NULL, NULL) == MH_RETRY;
	imap_aim(im);
	status = load_trust(im, err);
	return status;
}

void
imap_release(struct imap *im)
{
	for (size_t i = 0; im->trust != NULL && i < im->conf->n_mailboxes; i++)
		SSL_CTX_free(im->trust[i]);
	free(im->trust);
	free(im->trust_err);
	definitions_free(im->definitions);
	conf_free(im->conf);
	*im = (struct imap){ 0 };
}

/* -- commands ------------------------------------------------------------------------------------------------------ */

static enum mh_status
make_state(const struct conf *c, struct mh_err *err)
{
	struct stat st;

	/* the folder above must be there: a disk that is not mounted is no place for a state */
	if (stat(c->state_dir, &st) == 0 || mkdir(c->state_dir, 0700) == 0 || stat(c->state_dir, &st) == 0)
		return MH_OK;
	return mh_fail_errno(err, MH_RETRY, "%s", c->state_dir);
}

static int
watch(struct imap *im, const char *config, bool once)
{
	struct mh_err err = { 0 };

	enum mh_status status = owner_may_work(im->conf->state_dir, &err);
	if (status == MH_OK)
		status = make_state(im->conf, &err);
	if (status != MH_OK) {
		log_event(LOG_ERROR, "start", NULL, "%s", err.text);
		return status == MH_BAD ? CLI_USAGE : CLI_LATER;
	}
	log_open(im->conf, LOG_JOURNAL_SOCKET);
	return supervise(im, config, once);
}

static int
usage(const char *what)
{
	(void)fprintf(stderr, "mailhook: %s; usage: mailhook imap [--config FILE] [--once]\n", what);
	return CLI_USAGE;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = { { "config", required_argument, NULL, 'c' },
		{ "once", no_argument, NULL, 'o' }, { "online", no_argument, NULL, 'n' }, { NULL, 0, NULL, 0 } };
	const char *config = NULL, *command = argc > 1 ? argv[1] : "";
	bool once = false, online = false;
	struct imap im = { 0 };
	struct mh_err err = { 0 };
	int o, code;

	opterr = 0;
	optind = 2;
	while (argc > 1 && (o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 'c')
			config = optarg;
		else if (o == 'o' && strcmp(command, "imap") == 0)
			once = true;
		else if (o == 'n' && strcmp(command, "prove") == 0)
			online = true;
		else
			return usage("an option is not known or lacks its value");
	}
	const int wanted = strcmp(command, "append") == 0 ? 1 : 0;
	if (argc - optind != wanted)
		return usage("wrong number of arguments");
	const enum mh_status status = imap_load(&im, config, &err);
	if (status != MH_OK) {
		log_event(LOG_ERROR, "start", NULL, "%s", err.text);
		code = status == MH_RETRY ? CLI_LATER : CLI_USAGE;
	} else if (strcmp(command, "imap") == 0) {
		code = watch(&im, config, once);
	} else if (strcmp(command, "prove") == 0) {
		code = prove(&im, online);
	} else if (strcmp(command, "append") == 0) {
		code = append(&im, argv[optind]);
	} else {
		code = usage("no such command");
	}
	imap_release(&im);
	return code;
}
