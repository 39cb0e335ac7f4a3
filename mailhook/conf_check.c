/* conf_check.c: every option of the configuration in one table, and what a right value of each is. */
#include <arpa/inet.h>
#include <string.h>

#include "mailhook/conf_parts.h"

const char *const conf_kind_names[CONF_KINDS] = { NULL, "trust", "mailbox", "action", "rule", "escalate",
	"credential" };
const char *const conf_role_names[3] = { "ticket", "effect", "reply" };
const char *const conf_log_names[CONF_LOGS] = { "auto", "text", "json", "journal" };
const char *const conf_log_level_names[CONF_LOG_LEVELS] = { "error", "warning", "notice", "info", "debug" };
const char *const conf_auth_names[CONF_AUTHS] = { "auto", "login", "plain", "xoauth2", "oauthbearer" };
const char *const trust_names[] = { "unverified", "relayed", "verified" };

/* -- what is right ------------------------------------------------------------------------------------------------ */

#define NAME_BYTES 64
#define PATH_BYTES 1024 /* room below PATH_MAX for what is put behind it */

static bool
printable(const char *text, size_t max)
{
	const size_t n = strlen(text);

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return false;
	return n > 0 && n <= max && utf8_valid((struct mh_span){ text, n });
}

static bool
only(const char *text, const char *others, size_t max)
{
	size_t n = 0;

	for (; text[n] != '\0'; n++) {
		const char c = text[n];
		const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (!plain && strchr(others, c) == NULL)
			return false;
	}
	return n > 0 && n <= max;
}

bool
conf_title_right(const char *text)
{
	return only(text, "._-@", NAME_BYTES) && text[0] != '.';
}

bool
conf_credential_title_right(const char *text)
{
	return printable(text, NAME_BYTES) && text[0] != ' ' && text[strlen(text) - 1] != ' ';
}

static bool
is_path(const char *text)
{
	return text[0] == '/' && printable(text, PATH_BYTES);
}

static bool
is_text(const char *text)
{
	return printable(text, PATH_BYTES);
}

static bool
is_program(const char *text)
{
	return is_path(text) || conf_title_right(text);
}

static bool
is_bool(const char *text)
{
	bool b;

	return conf_bool(text, &b);
}

/* The name of a parameter may be written with %XX, as libpq takes it. */
static bool
names(struct mh_span written, const char *name)
{
	size_t i = 0;

	for (; i < written.n && *name != '\0'; name++) {
		unsigned char c = (unsigned char)written.p[i++];
		if (c == '%' && i + 2 <= written.n) {
			const int high = hex_digit(written.p[i]), low = hex_digit(written.p[i + 1]);
			if (high < 0 || low < 0)
				return false;
			c = (unsigned char)(high * 16 + low);
			i += 2;
		}
		if (c != (unsigned char)*name)
			return false;
	}
	return i == written.n && *name == '\0';
}

/* postgresql://USER:PASSWORD@HOST/DATABASE?NAME=VALUE&...: a password there would be a secret in the configuration. */
static bool
url_has_password(struct mh_span url)
{
	struct mh_span rest = span_from(url, sizeof("postgresql://") - 1);
	const size_t at = span_find(rest, MH_LIT("@"), 0), slash = span_find(rest, MH_LIT("/"), 0);
	const size_t question = span_find(rest, MH_LIT("?"), 0);

	if (at < slash && span_find(span_head(rest, at), MH_LIT(":"), 0) != SIZE_MAX)
		return true;
	rest = question == SIZE_MAX ? MH_NONE : span_from(rest, question + 1);
	while (rest.n > 0) {
		const size_t end = span_find(rest, MH_LIT("&"), 0);
		const struct mh_span one = span_head(rest, end);
		const struct mh_span name = span_head(one, span_find(one, MH_LIT("="), 0));
		if (names(name, "password") || names(name, "sslpassword"))
			return true;
		rest = end == SIZE_MAX ? MH_NONE : span_from(rest, end + 1);
	}
	return false;
}

static bool
is_ledger(const char *text)
{
	const struct mh_span s = span_of(text);

	if (!printable(text, PATH_BYTES))
		return false;
	return span_starts(s, MH_LIT("sqlite:/")) || (span_starts(s, MH_LIT("postgresql://")) && !url_has_password(s));
}

static bool
is_domain(const char *text)
{
	return only(text, ".-_", 253) && text[0] != '.' && text[0] != '-';
}

static bool
is_topic(const char *text)
{
	const struct mh_span s = span_of(text);

	return span_starts(s, MH_LIT("arn:aws")) && span_find(s, MH_LIT(":sns:"), 0) != SIZE_MAX &&
	       only(text, ":._-", 512);
}

static bool
is_address(const char *text)
{
	unsigned char bytes[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

/* "192.0.2.1", "192.0.2.1:53", "2001:db8::1", "[2001:db8::1]:53" */
static bool
is_resolver(const char *text)
{
	char host[INET6_ADDRSTRLEN];
	int64_t port;
	const bool bracket = text[0] == '[';
	const char *end = strrchr(text, bracket ? ']' : ':');

	if (is_address(text))
		return true;
	if (end == NULL)
		return false;
	const char *start = text + (bracket ? 1 : 0), *number = end + (bracket ? 2 : 1);
	const size_t n = (size_t)(end - start);
	if (n >= sizeof(host) || (bracket && end[1] != ':'))
		return false;
	memcpy(host, start, n);
	host[n] = '\0';
	return is_address(host) && conf_integer(number, 1, 65535, &port) && bracket == (strchr(host, ':') != NULL);
}

/* An address of this machine only, with a port: 127.0.0.0/8 or ::1. */
static bool
is_loopback(const char *text)
{
	struct in_addr four;
	char host[INET_ADDRSTRLEN];
	int64_t port;

	if (strncmp(text, "[::1]:", 6) == 0)
		return conf_integer(text + 6, 1, 65535, &port);
	const char *colon = strchr(text, ':');
	if (colon == NULL || (size_t)(colon - text) >= sizeof(host))
		return false;
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';
	return inet_pton(AF_INET, host, &four) == 1 && ntohl(four.s_addr) >> 24 == 127 &&
	       conf_integer(colon + 1, 1, 65535, &port);
}

/* node_exporter's textfile collector reads no other names. */
static bool
is_metrics_file(const char *text)
{
	return is_path(text) && span_iends(span_of(text), MH_LIT(".prom")) && strrchr(text, '/')[1] != '.' &&
	       strlen(strrchr(text, '/')) <= 60;
}

static bool
is_log(const char *text)
{
	size_t at;

	return conf_word(text, conf_log_names, CONF_LOGS, &at);
}

static bool
is_log_level(const char *text)
{
	size_t at;

	return conf_word(text, conf_log_level_names, CONF_LOG_LEVELS, &at);
}

static bool
is_url(const char *text)
{
	const struct mh_span s = span_of(text);
	const size_t scheme = span_istarts(s, MH_LIT("imaps://")) ? 8 : span_istarts(s, MH_LIT("imap://")) ? 7 : 0;

	if (scheme == 0 || !printable(text, PATH_BYTES))
		return false;
	const struct mh_span rest = span_from(s, scheme);
	const size_t slash = span_find(rest, MH_LIT("/"), 0);
	/* a password in the URL would be a secret in the configuration */
	return slash != SIZE_MAX && slash > 0 && slash + 1 < rest.n && span_find(rest, MH_LIT("@"), 0) == SIZE_MAX;
}

/* A kind, or its start with '*' behind. */
static bool
is_kind(const char *text)
{
	const size_t n = strlen(text);
	const size_t star = n > 0 && text[n - 1] == '*' ? n - 1 : n;

	for (size_t i = 0; i < star; i++)
		if (!((text[i] >= 'a' && text[i] <= 'z') || (text[i] >= '0' && text[i] <= '9') ||
			strchr(".-", text[i]) != NULL))
			return false;
	return n > 0 && n <= 128;
}

static bool
is_account(const char *text)
{
	const char *star = strchr(text, '*');

	return printable(text, 256) && (star == NULL || star[1] == '\0');
}

static bool
is_variable(const char *text)
{
	return only(text, "_", 128) && !(text[0] >= '0' && text[0] <= '9');
}

static bool
is_trust(const char *text)
{
	size_t at;

	return conf_word(text, trust_names, 3, &at);
}

static bool
is_role(const char *text)
{
	size_t at;

	return conf_word(text, conf_role_names, 3, &at);
}

static bool
is_raw(const char *text)
{
	return strcmp(text, "raw") == 0;
}

static bool
is_duration(const char *text, int64_t max_s)
{
	int64_t s;

	return conf_duration(text, &s) && s >= 1 && s <= max_s;
}

static bool
is_deadline(const char *text)
{
	return is_duration(text, 3600);
}

static bool
is_give_up(const char *text)
{
	return is_duration(text, 365 * MH_DAY_S);
}

static bool
is_lead(const char *text)
{
	return is_duration(text, 3650 * MH_DAY_S);
}

static bool
is_expect(const char *text)
{
	return strcmp(text, "never") == 0 || is_lead(text);
}

static bool
is_expiry(const char *text)
{
	int64_t t;
	bool day;

	return conf_instant(text, &t, &day);
}

static bool
is_keep(const char *text)
{
	int64_t s;

	return conf_duration(text, &s) && s >= MH_DAY_S && s <= 3650 * MH_DAY_S;
}

static bool
is_quarantine_bytes(const char *text)
{
	int64_t n;

	return conf_size(text, &n) && n <= (int64_t)1 << 40;
}

/* RFC 3501: an atom; a backslash in front would be one of the system's own flags. */
static bool
is_keyword(const char *text)
{
	return only(text, "._-$", NAME_BYTES);
}

static bool
is_auth(const char *text)
{
	size_t at;

	return conf_word(text, conf_auth_names, CONF_AUTHS, &at);
}

static bool
is_poll(const char *text)
{
	return is_duration(text, MH_DAY_S);
}

/* RFC 2177: a server may end an IDLE after 30 minutes, and says to come again every 29. */
static bool
is_idle(const char *text)
{
	return is_duration(text, 28 * 60);
}

static bool
is_timeout(const char *text)
{
	return is_duration(text, 3600);
}

static bool
is_bodies(const char *text)
{
	return strcmp(text, "likely") == 0 || strcmp(text, "all") == 0;
}

static bool
is_search(const char *text)
{
	return strcmp(text, "auto") == 0 || strcmp(text, "never") == 0;
}

static bool
is_max_message(const char *text)
{
	int64_t n;

	return conf_size(text, &n) && n >= 64 << 10 && n <= MH_MAX_MESSAGE_BYTES;
}

static bool
is_running(const char *text)
{
	int64_t n;

	return conf_integer(text, 1, 64, &n);
}

static bool
is_hops(const char *text)
{
	int64_t n;

	return conf_integer(text, 1, 50, &n);
}

static bool
is_days(const char *text)
{
	int64_t n;

	return conf_integer(text, 1, 3650, &n);
}

static bool
is_count(const char *text)
{
	int64_t n;

	return conf_integer(text, 0, 1000000, &n);
}

#define COUNT_WORDS "a whole number from 0 to 1000000"
#define PATH_WORDS "an absolute path"
#define DOMAIN_WORDS "a domain name"
#define BOOL_WORDS "true or false"
#define TEXT_WORDS "one line of text"
#define NAME_WORDS "the name of an action"
#define LEAD_WORDS "a time from 1s to 3650d"
#define KIND_WORDS "a kind in lower case, or its start with * behind it"
#define ACCOUNT_WORDS "an account, or its start with * behind it"

const struct conf_option conf_options[CONF_KEYS] = {
	[KEY_STATE_DIR] = { CONF_TOP, false, "state_dir", is_path, PATH_WORDS },
	[KEY_ACCOUNTS_FILE] = { CONF_TOP, false, "accounts_file", is_path, PATH_WORDS },
	[KEY_LEDGER] = { CONF_TOP, false, "ledger", is_ledger, "sqlite:/PATH, or postgresql://... without a password" },
	[KEY_LEDGER_PASSWORD_FILE] = { CONF_TOP, false, "ledger_password_file", is_path, PATH_WORDS },
	[KEY_LEDGER_PASSWORD_COMMAND] = { CONF_TOP, false, "ledger_password_command", is_path,
	    "the absolute path of a program, and its arguments" },
	[KEY_NODE] = { CONF_TOP, false, "node", conf_title_right, "1 to 64 letters, digits or any of .-_@" },
	[KEY_DEFINITIONS_DIR] = { CONF_TOP, false, "definitions_dir", is_path, PATH_WORDS },
	[KEY_PUBLISH_DIR] = { CONF_TOP, false, "publish_dir", is_path, PATH_WORDS },
	[KEY_METRICS_FILE] = { CONF_TOP, false, "metrics_file", is_metrics_file,
	    "an absolute path that ends in .prom" },
	[KEY_METRICS_LISTEN] = { CONF_TOP, false, "metrics_listen", is_loopback,
	    "127.0.0.1:PORT or [::1]:PORT: nobody else may ask" },
	[KEY_LOG] = { CONF_TOP, false, "log", is_log, "auto, text, json or journal" },
	[KEY_LOG_LEVEL] = { CONF_TOP, false, "log_level", is_log_level, "error, warning, notice, info or debug" },
	[KEY_OBSERVE] = { CONF_TOP, false, "observe", is_bool, BOOL_WORDS },
	[KEY_MAX_RUNNING] = { CONF_TOP, false, "max_running", is_running, "a whole number from 1 to 64" },
	[KEY_FLOOD_UNLISTED] = { CONF_TOP, false, "flood_unlisted", is_count, COUNT_WORDS },
	[KEY_FLOOD_LISTED] = { CONF_TOP, false, "flood_listed", is_count, COUNT_WORDS },
	[KEY_FLOOD_ACCOUNT] = { CONF_TOP, false, "flood_account", is_count, COUNT_WORDS },
	[KEY_FLOOD_UNREAD] = { CONF_TOP, false, "flood_unread", is_count, COUNT_WORDS },
	[KEY_QUARANTINE_MESSAGES] = { CONF_TOP, false, "quarantine_messages", is_count, COUNT_WORDS },
	[KEY_QUARANTINE_BYTES] = { CONF_TOP, false, "quarantine_bytes", is_quarantine_bytes,
	    "a number of bytes, or with k, M or G behind it" },
	[KEY_THRESHOLDS] = { CONF_TOP, true, "thresholds", is_days, "a number of days from 1 to 3650" },
	[KEY_KEEP_MAIL] = { CONF_TOP, false, "keep_mail", is_keep, "a time from 1d to 3650d" },
	[KEY_KEEP_CASES] = { CONF_TOP, false, "keep_cases", is_keep, "a time from 1d to 3650d" },
	[KEY_AUTHSERV_ID] = { CONF_TRUST, true, "authserv_id", is_domain, DOMAIN_WORDS },
	[KEY_HOPS] = { CONF_TRUST, false, "hops", is_hops, "a whole number from 1 to 50" },
	[KEY_ARC_SEALERS] = { CONF_TRUST, true, "arc_sealers", is_domain, DOMAIN_WORDS },
	[KEY_FORWARDERS] = { CONF_TRUST, true, "forwarders", is_domain, DOMAIN_WORDS },
	[KEY_SNS_TOPICS] = { CONF_TRUST, true, "sns_topics", is_topic, "the ARN of an SNS topic" },
	[KEY_RESOLVER] = { CONF_TRUST, false, "resolver", is_resolver, "an IP address, or one with :PORT behind it" },
	[KEY_AUTHRES_STRIPPED] = { CONF_TRUST, false, "authres_stripped", is_bool, BOOL_WORDS },
	[KEY_URL] = { CONF_MAILBOX, false, "url", is_url, "imaps://HOST/FOLDER without user or password" },
	[KEY_USER] = { CONF_MAILBOX, false, "user", is_text, TEXT_WORDS },
	[KEY_PASSWORD_FILE] = { CONF_MAILBOX, false, "password_file", is_path, PATH_WORDS },
	[KEY_PASSWORD_COMMAND] = { CONF_MAILBOX, false, "password_command", is_path,
	    "the absolute path of a program, with its arguments" },
	[KEY_DONE] = { CONF_MAILBOX, false, "done", is_text, TEXT_WORDS },
	[KEY_REVIEW] = { CONF_MAILBOX, false, "review", is_text, TEXT_WORDS },
	[KEY_IRRELEVANT] = { CONF_MAILBOX, false, "irrelevant", is_text, TEXT_WORDS },
	[KEY_KEYWORD] = { CONF_MAILBOX, false, "keyword", is_keyword, "a word of letters, digits or any of ._-$" },
	[KEY_MARK_SEEN] = { CONF_MAILBOX, false, "mark_seen", is_bool, BOOL_WORDS },
	[KEY_TOKEN] = { CONF_MAILBOX, false, "token", is_path, PATH_WORDS },
	[KEY_AUTH] = { CONF_MAILBOX, false, "auth", is_auth, "auto, login, plain, xoauth2 or oauthbearer" },
	[KEY_CA_FILE] = { CONF_MAILBOX, false, "ca_file", is_path, PATH_WORDS },
	[KEY_ALLOW_PLAIN] = { CONF_MAILBOX, false, "allow_plain", is_bool, BOOL_WORDS },
	[KEY_POLL] = { CONF_MAILBOX, false, "poll", is_poll, "a time from 1s to 1d" },
	[KEY_IDLE] = { CONF_MAILBOX, false, "idle", is_idle, "a time from 1s to 28m" },
	[KEY_TIMEOUT] = { CONF_MAILBOX, false, "timeout", is_timeout, "a time from 1s to 1h" },
	[KEY_RESCAN] = { CONF_MAILBOX, false, "rescan", is_keep, "a time from 1d to 3650d" },
	[KEY_SILENT] = { CONF_MAILBOX, false, "silent", is_lead, LEAD_WORDS },
	[KEY_BODIES] = { CONF_MAILBOX, false, "bodies", is_bodies, "likely or all" },
	[KEY_SEARCH] = { CONF_MAILBOX, false, "search", is_search, "auto or never" },
	[KEY_MAX_MESSAGE] = { CONF_MAILBOX, false, "max_message", is_max_message, "a size from 64k to 64M" },
	[KEY_PREFER] = { CONF_MAILBOX, false, "prefer", conf_title_right, "1 to 64 letters, digits or any of .-_@" },
	[KEY_PROGRAM] = { CONF_ACTION, false, "program", is_program, "the name of a program, or an absolute path" },
	[KEY_ROLE] = { CONF_ACTION, false, "role", is_role, "ticket, effect or reply" },
	[KEY_NEEDS] = { CONF_ACTION, false, "needs", is_trust, "unverified, relayed or verified" },
	[KEY_AFTER] = { CONF_ACTION, true, "after", conf_title_right, NAME_WORDS },
	[KEY_PASS_ENV] = { CONF_ACTION, true, "pass_env", is_variable, "the name of an environment variable" },
	[KEY_MAIL] = { CONF_ACTION, false, "mail", is_raw, "raw" },
	[KEY_DEADLINE] = { CONF_ACTION, false, "deadline", is_deadline, "a time from 1s to 1h" },
	[KEY_GIVE_UP] = { CONF_ACTION, false, "give_up", is_give_up, "a time from 1s to 365d" },
	[KEY_KINDS] = { CONF_RULE, true, "kinds", is_kind, KIND_WORDS },
	[KEY_ACCOUNTS] = { CONF_RULE, true, "accounts", is_account, ACCOUNT_WORDS },
	[KEY_ENVIRONMENTS] = { CONF_RULE, true, "environments", is_account,
	    "an environment of the accounts file, with '*' only at its end" },
	[KEY_DO] = { CONF_RULE, true, "do", conf_title_right, NAME_WORDS },
	[KEY_ORDER] = { CONF_RULE, false, "order", is_count, COUNT_WORDS },
	[KEY_EXPECT] = { CONF_RULE, false, "expect", is_expect, "a time from 1s to 3650d, or never" },
	[KEY_ESCALATE_AFTER] = { CONF_ESCALATE, false, "after", is_lead, LEAD_WORDS },
	[KEY_ESCALATE_BEFORE] = { CONF_ESCALATE, false, "before", is_lead, LEAD_WORDS },
	[KEY_ESCALATE_RULES] = { CONF_ESCALATE, true, "rules", conf_title_right, "the name of a rule" },
	[KEY_ESCALATE_KINDS] = { CONF_ESCALATE, true, "kinds", is_kind, KIND_WORDS },
	[KEY_ESCALATE_ACCOUNTS] = { CONF_ESCALATE, true, "accounts", is_account, ACCOUNT_WORDS },
	[KEY_ESCALATE_DO] = { CONF_ESCALATE, true, "do", conf_title_right, NAME_WORDS },
	[KEY_EXPIRES] = { CONF_CREDENTIAL, false, "expires", is_expiry, "a date, or an instant in UTC with Z" },
	[KEY_CERTIFICATE_FILE] = { CONF_CREDENTIAL, false, "certificate_file", is_path, PATH_WORDS },
	[KEY_REMIND] = { CONF_CREDENTIAL, true, "remind", is_days, "a number of days from 1 to 3650" },
	[KEY_RENEW] = { CONF_CREDENTIAL, false, "renew", is_text, TEXT_WORDS },
};
