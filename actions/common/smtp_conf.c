/* smtp_conf.c: the options of whatever sends mail by SMTP. */
#include "actions/common/smtp_conf.h"

#include <string.h>

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

void
smtp_conf_read(cfg_t *cfg, int64_t deadline_ms, struct smtp_conf *ret)
{
	static const int ports[] = { [SMTP_STARTTLS] = 587, [SMTP_IMPLICIT] = 465, [SMTP_PLAIN] = 25 };
	const enum smtp_tls tls = (enum smtp_tls)word_of(cfg_getstr(cfg, "smtp_tls"), smtp_tls_names, 3);
	const int port = (int)cfg_getint(cfg, "smtp_port");

	*ret = (struct smtp_conf){
		.server = { .host = cfg_getstr(cfg, "smtp_host"),
		    .port = port == 0 ? ports[tls] : port,
		    .tls = tls,
		    .auth = (enum smtp_auth)word_of(cfg_getstr(cfg, "smtp_auth"), smtp_auth_names, 4),
		    .user = own_conf_text(cfg, "smtp_user"),
		    .password_file = own_conf_text(cfg, "password_file"),
		    .token_file = own_conf_text(cfg, "token"),
		    .helo = own_conf_text(cfg, "smtp_helo") },
	};
	if (own_conf_command(cfg, "password_command", ret->command) > 0)
		ret->server.password_command = ret->command;
	wire_conf_read(cfg, deadline_ms, &ret->server.wire);
}
