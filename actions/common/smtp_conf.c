/* smtp_conf.c: the options of whatever sends mail by SMTP. */
#include "actions/common/smtp_conf.h"

#include <string.h>

#include "mailhook/clock.h"

#define SPARE_MS 2000 /* to say what came of it, before the action is killed */

static int
word_of(const char *word, const char *const *words, int n)
{
	for (int i = 0; i < n; i++)
		if (strcmp(word, words[i]) == 0)
			return i;
	return -1;
}

int
smtp_check_word(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *word = cfg_opt_getstr(opt);

	if (strcmp(cfg_opt_name(opt), "smtp_tls") == 0 ? word_of(word, smtp_tls_names, 3) < 0
						       : word_of(word, smtp_auth_names, 4) < 0)
		cfg_error(cfg, "%s must be %s", cfg_opt_name(opt),
		    strcmp(cfg_opt_name(opt), "smtp_tls") == 0 ? "starttls, implicit or none"
							       : "none, plain, login or xoauth2");
	return 0;
}

int
smtp_check_number(cfg_t *cfg, cfg_opt_t *opt)
{
	const bool port = strcmp(cfg_opt_name(opt), "smtp_port") == 0;
	const long n = cfg_opt_getnint(opt, 0), max = port ? 65535 : 300;

	if (n < 1 || n > max)
		cfg_error(cfg, "%s must be 1 to %ld", cfg_opt_name(opt), max);
	return 0;
}

int
smtp_check_command(cfg_t *cfg, cfg_opt_t *opt)
{
	const unsigned n = cfg_opt_size(opt);

	if (n > SMTP_MAX_WORDS)
		cfg_error(cfg, "%s: more than %d words", cfg_opt_name(opt), SMTP_MAX_WORDS);
	else if (n > 0 && cfg_opt_getnstr(opt, 0)[0] != '/')
		cfg_error(cfg, "%s: a program needs its whole path", cfg_opt_name(opt));
	return 0;
}

static const char *
set_string(cfg_t *cfg, const char *key)
{
	const char *text = cfg_getstr(cfg, key);

	return text[0] == '\0' ? NULL : text;
}

static void
read_wire(cfg_t *cfg, int64_t deadline_ms, struct wire *w)
{
	const int64_t left = deadline_ms - clock_monotonic_ms() - SPARE_MS,
		      wanted = cfg_getint(cfg, "timeout_s") * 1000;

	*w = (struct wire){ .ca_file = set_string(cfg, "ca_file"),
		.cert_file = set_string(cfg, "cert_file"),
		.key_file = set_string(cfg, "key_file"),
		.proxy = set_string(cfg, "proxy"),
		.allow_plain = cfg_getbool(cfg, "allow_plain") == cfg_true,
		.total_ms = (long)(left < wanted ? left : wanted) };
	if (w->total_ms < 1)
		w->total_ms = 1; /* 0 would mean the default */
}

void
smtp_conf_read(cfg_t *cfg, int64_t deadline_ms, struct smtp_conf *ret)
{
	static const int ports[] = { [SMTP_STARTTLS] = 587, [SMTP_IMPLICIT] = 465, [SMTP_PLAIN] = 25 };
	const enum smtp_tls tls = (enum smtp_tls)word_of(cfg_getstr(cfg, "smtp_tls"), smtp_tls_names, 3);
	const int port = (int)cfg_getint(cfg, "smtp_port");
	const unsigned n = cfg_size(cfg, "password_command");

	*ret = (struct smtp_conf){
		.server = { .host = cfg_getstr(cfg, "smtp_host"),
		    .port = port == 0 ? ports[tls] : port,
		    .tls = tls,
		    .auth = (enum smtp_auth)word_of(cfg_getstr(cfg, "smtp_auth"), smtp_auth_names, 4),
		    .user = set_string(cfg, "smtp_user"),
		    .password_file = set_string(cfg, "password_file"),
		    .token_file = set_string(cfg, "token"),
		    .helo = set_string(cfg, "smtp_helo") },
	};
	for (unsigned i = 0; i < n && i < SMTP_MAX_WORDS; i++)
		ret->command[i] = cfg_getnstr(cfg, "password_command", i);
	ret->server.password_command = n > 0 ? ret->command : NULL;
	read_wire(cfg, deadline_ms, &ret->server.wire);
}
