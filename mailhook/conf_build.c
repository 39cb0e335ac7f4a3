/* conf_build.c: blocks and values made into the structs of conf.h, with the built-in ones where nothing was configured. */
#include <stdlib.h>
#include <string.h>

#include "mailhook/conf_parts.h"

/* -- values ------------------------------------------------------------------------------------------------------- */

/* The value of an option in one block; NULL: not given, or wrong. */
static const struct conf_value *
value_in(const struct conf_block *b, enum conf_key key)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->values[i].key == key && b->values[i].right)
			return &b->values[i];
	return NULL;
}

static const char *
text_in(const struct conf_block *b, enum conf_key key)
{
	const struct conf_value *v = value_in(b, key);

	return v == NULL ? NULL : v->text;
}

bool
conf_given(const struct conf_block *b, enum conf_key key)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->values[i].key == key)
			return true;
	return false;
}

/* An option of the top or of trust, which many files may set: the last one counts. */
static const struct conf_block *
last_with(const struct conf_source *s, enum conf_key key)
{
	for (size_t i = s->n; i-- > 0;)
		if (s->blocks[i].kind == conf_options[key].kind && value_in(&s->blocks[i], key) != NULL)
			return &s->blocks[i];
	return NULL;
}

static const char *
text_of(const struct conf_source *s, enum conf_key key, const char *otherwise)
{
	const struct conf_block *b = last_with(s, key);

	return b == NULL ? otherwise : text_in(b, key);
}

/* Values were checked when they were read; these readers cannot fail on them. */
static int
integer_of(const char *text, int otherwise)
{
	int64_t n;

	return text != NULL && conf_integer(text, 0, INT32_MAX, &n) ? (int)n : otherwise;
}

static int
seconds_of(const char *text, int otherwise)
{
	int64_t n;

	return text != NULL && conf_duration(text, &n) && n <= INT32_MAX ? (int)n : otherwise;
}

static int
expect_of(const char *text)
{
	int64_t n;

	return text != NULL && conf_expect(text, &n) && n <= INT32_MAX ? (int)n : CONF_EXPECT_BY_KIND;
}

static bool
list_in(struct arena *a, const struct conf_block *b, enum conf_key key, struct conf_list *ret)
{
	*ret = (struct conf_list){ 0 };
	if (b == NULL)
		return true;
	const char **items = arena_array(a, b->n, sizeof(*items));
	if (items == NULL)
		return false;
	ret->items = items;
	for (size_t i = 0; i < b->n; i++)
		if (b->values[i].key == key && b->values[i].right)
			ret->items[ret->n++] = b->values[i].text;
	return true;
}

/* The array that the blocks of one kind need; NULL with *ret_n 0 where there are none. */
static bool
room_for(struct arena *a, const struct conf_source *s, enum conf_kind kind, size_t size, void **ret)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += s->blocks[i].kind == kind;
	*ret = arena_array(a, n, size);
	return *ret != NULL;
}

/* -- blocks to structs -------------------------------------------------------------------------------------------- */

static void
missing(struct conf_source *s, const struct conf_block *b, enum conf_key key)
{
	if (!b->cut && !conf_given(b, key))
		conf_wrong(s, b->file, b->line, "%s \"%s\" has no %s", conf_kind_names[b->kind], b->title,
		    conf_options[key].name);
}

static const char *
action_config(struct arena *a, const char *dir, const char *name)
{
	struct mh_span path;

	return arena_printf(a, &path, NULL, "%s/actions/%s.conf", dir, name) == MH_OK ? path.p : NULL;
}

static void
action_defaults(struct conf_action *x)
{
	x->role = strcmp(x->program, "ticket") == 0  ? ROLE_TICKET
		  : strcmp(x->program, "reply") == 0 ? ROLE_REPLY
						     : ROLE_EFFECT;
	x->needs = x->role == ROLE_EFFECT ? TRUST_VERIFIED : TRUST_UNVERIFIED;
	x->deadline_s = 60;
	x->give_up_s = 3 * MH_DAY_S;
}

static bool
build_actions(struct conf *c, struct conf_source *s, const char *dir)
{
	void *items;

	if (!room_for(&c->arena, s, CONF_ACTION, sizeof(*c->actions), &items))
		return false;
	c->actions = items;
	for (size_t i = 0; i < s->n; i++) {
		const struct conf_block *b = &s->blocks[i];
		if (b->kind != CONF_ACTION)
			continue;
		struct conf_action *x = &c->actions[c->n_actions++];
		size_t at;

		missing(s, b, KEY_PROGRAM);
		*x = (struct conf_action){ .name = b->title, .file = b->file, .line = b->line };
		x->program = text_in(b, KEY_PROGRAM);
		if (x->program == NULL)
			x->program = b->title; /* complained of, never used */
		action_defaults(x);
		x->config = action_config(&c->arena, dir, x->name);
		if (text_in(b, KEY_ROLE) != NULL && conf_word(text_in(b, KEY_ROLE), conf_role_names, 3, &at)) {
			x->role = (enum action_role)at;
			x->needs = x->role == ROLE_EFFECT ? TRUST_VERIFIED : TRUST_UNVERIFIED;
		}
		if (text_in(b, KEY_NEEDS) != NULL && conf_word(text_in(b, KEY_NEEDS), trust_names, 3, &at))
			x->needs = (enum trust_level)at;
		x->mail_raw = text_in(b, KEY_MAIL) != NULL;
		x->deadline_s = seconds_of(text_in(b, KEY_DEADLINE), x->deadline_s);
		x->give_up_s = seconds_of(text_in(b, KEY_GIVE_UP), x->give_up_s);
		if (x->config == NULL || !list_in(&c->arena, b, KEY_AFTER, &x->after) ||
		    !list_in(&c->arena, b, KEY_PASS_ENV, &x->pass_env))
			return false;
	}
	return true;
}

/* By order, equal orders as written: an insertion sort is stable, and rules are few. */
static void
sort_rules(struct conf *c)
{
	for (size_t i = 1; i < c->n_rules; i++) {
		const struct conf_rule x = c->rules[i];
		size_t j = i;

		for (; j > 0 && c->rules[j - 1].order > x.order; j--)
			c->rules[j] = c->rules[j - 1];
		c->rules[j] = x;
	}
}

static bool
build_rules(struct conf *c, struct conf_source *s)
{
	void *items;

	if (!room_for(&c->arena, s, CONF_RULE, sizeof(*c->rules), &items))
		return false;
	c->rules = items;
	for (size_t i = 0; i < s->n; i++) {
		const struct conf_block *b = &s->blocks[i];
		if (b->kind != CONF_RULE)
			continue;
		struct conf_rule *x = &c->rules[c->n_rules++];

		missing(s, b, KEY_DO);
		*x = (struct conf_rule){ .name = b->title, .file = b->file, .line = b->line };
		x->order = integer_of(text_in(b, KEY_ORDER), 50);
		x->expect_s = expect_of(text_in(b, KEY_EXPECT));
		if (!list_in(&c->arena, b, KEY_KINDS, &x->kinds) ||
		    !list_in(&c->arena, b, KEY_ACCOUNTS, &x->accounts) ||
		    !list_in(&c->arena, b, KEY_ENVIRONMENTS, &x->environments) ||
		    !list_in(&c->arena, b, KEY_DO, &x->actions))
			return false;
		if (conf_given(b, KEY_ENVIRONMENTS) && text_of(s, KEY_ACCOUNTS_FILE, NULL) == NULL)
			conf_wrong(s, b->file, b->line,
			    "rule \"%s\" has environments, and there is no accounts_file that says which account has "
			    "which",
			    b->title);
	}
	return true;
}

/* Of two options that say the same in two ways exactly one is given. */
static void
one_of(struct conf_source *s, const struct conf_block *b, enum conf_key first, enum conf_key second)
{
	const char *one = conf_options[first].name, *other = conf_options[second].name;

	if (conf_given(b, first) && conf_given(b, second))
		conf_wrong(s, b->file, b->line, "%s \"%s\" has both %s and %s", conf_kind_names[b->kind], b->title, one,
		    other);
	else if (!b->cut && !conf_given(b, first) && !conf_given(b, second))
		conf_wrong(s, b->file, b->line, "%s \"%s\" has neither %s nor %s", conf_kind_names[b->kind], b->title,
		    one, other);
}

static bool
build_escalations(struct conf *c, struct conf_source *s)
{
	void *items;

	if (!room_for(&c->arena, s, CONF_ESCALATE, sizeof(*c->escalations), &items))
		return false;
	c->escalations = items;
	for (size_t i = 0; i < s->n; i++) {
		const struct conf_block *b = &s->blocks[i];
		if (b->kind != CONF_ESCALATE)
			continue;
		struct conf_escalate *x = &c->escalations[c->n_escalations++];

		missing(s, b, KEY_ESCALATE_DO);
		one_of(s, b, KEY_ESCALATE_AFTER, KEY_ESCALATE_BEFORE);
		*x = (struct conf_escalate){ .name = b->title,
			.after_s = seconds_of(text_in(b, KEY_ESCALATE_AFTER), -1),
			.before_s = seconds_of(text_in(b, KEY_ESCALATE_BEFORE), -1),
			.file = b->file,
			.line = b->line };
		if (!list_in(&c->arena, b, KEY_ESCALATE_RULES, &x->rules) ||
		    !list_in(&c->arena, b, KEY_ESCALATE_KINDS, &x->kinds) ||
		    !list_in(&c->arena, b, KEY_ESCALATE_ACCOUNTS, &x->accounts) ||
		    !list_in(&c->arena, b, KEY_ESCALATE_DO, &x->actions))
			return false;
	}
	return true;
}

static bool
switch_in(const struct conf_block *b, enum conf_key key)
{
	const char *text = text_in(b, key);
	bool on = false;

	return text != NULL && conf_bool(text, &on) && on;
}

static struct conf_mailbox
mailbox_of(const struct conf_block *b)
{
	const char *bodies = text_in(b, KEY_BODIES), *search = text_in(b, KEY_SEARCH), *auth = text_in(b, KEY_AUTH);
	const char *max = text_in(b, KEY_MAX_MESSAGE);
	struct conf_mailbox m = { .name = b->title,
		.url = text_in(b, KEY_URL),
		.user = text_in(b, KEY_USER),
		.password_file = text_in(b, KEY_PASSWORD_FILE),
		.password_command = text_in(b, KEY_PASSWORD_COMMAND),
		.token = text_in(b, KEY_TOKEN),
		.done = text_in(b, KEY_DONE),
		.review = text_in(b, KEY_REVIEW),
		.irrelevant = text_in(b, KEY_IRRELEVANT),
		.keyword = text_in(b, KEY_KEYWORD),
		.ca_file = text_in(b, KEY_CA_FILE),
		.prefer = text_in(b, KEY_PREFER),
		.mark_seen = switch_in(b, KEY_MARK_SEEN),
		.allow_plain = switch_in(b, KEY_ALLOW_PLAIN),
		.all_bodies = bodies != NULL && strcmp(bodies, "all") == 0,
		.no_search = search != NULL && strcmp(search, "never") == 0,
		.poll_s = seconds_of(text_in(b, KEY_POLL), 60),
		.idle_s = seconds_of(text_in(b, KEY_IDLE), 9 * 60),
		.timeout_s = seconds_of(text_in(b, KEY_TIMEOUT), 120),
		.rescan_s = seconds_of(text_in(b, KEY_RESCAN), 90 * MH_DAY_S),
		.silent_s = seconds_of(text_in(b, KEY_SILENT), 2 * 3600),
		.max_message_bytes = MH_MAX_MESSAGE_BYTES,
		.file = b->file,
		.line = b->line };
	size_t at;

	if (auth != NULL && conf_word(auth, conf_auth_names, CONF_AUTHS, &at))
		m.auth = (enum mailbox_auth)at;
	if (max != NULL)
		(void)conf_size(max, &m.max_message_bytes);
	return m;
}

static bool
build_mailboxes(struct conf *c, struct conf_source *s)
{
	void *items;

	if (!room_for(&c->arena, s, CONF_MAILBOX, sizeof(*c->mailboxes), &items))
		return false;
	c->mailboxes = items;
	for (size_t i = 0; i < s->n; i++) {
		const struct conf_block *b = &s->blocks[i];
		if (b->kind != CONF_MAILBOX)
			continue;
		missing(s, b, KEY_URL);
		missing(s, b, KEY_USER);
		const struct conf_value *command = value_in(b, KEY_PASSWORD_COMMAND);
		if (command != NULL && conf_given(b, KEY_PASSWORD_FILE))
			conf_wrong(s, command->file, command->line,
			    "mailbox \"%s\" has a password_file and a password_command", b->title);
		const struct conf_value *token = value_in(b, KEY_TOKEN);
		if (token != NULL && (command != NULL || conf_given(b, KEY_PASSWORD_FILE)))
			conf_wrong(s, token->file, token->line, "mailbox \"%s\" has a password and a token", b->title);
		c->mailboxes[c->n_mailboxes++] = mailbox_of(b);
	}
	return true;
}

static bool
build_trust(struct conf *c, const struct conf_source *s)
{
	static const struct {
		enum conf_key key;
		size_t at;
	} lists[] = {
		{ KEY_AUTHSERV_ID, offsetof(struct conf_trust, authserv_id) },
		{ KEY_ARC_SEALERS, offsetof(struct conf_trust, arc_sealers) },
		{ KEY_FORWARDERS, offsetof(struct conf_trust, forwarders) },
		{ KEY_SNS_TOPICS, offsetof(struct conf_trust, sns_topics) },
	};
	const char *stripped = text_of(s, KEY_AUTHRES_STRIPPED, NULL);

	c->trust.hops = integer_of(text_of(s, KEY_HOPS, NULL), 1);
	c->trust.resolver = text_of(s, KEY_RESOLVER, NULL);
	if (stripped != NULL)
		(void)conf_bool(stripped, &c->trust.authres_stripped);
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct conf_list *list = (struct conf_list *)(void *)((char *)&c->trust + lists[i].at);
		if (!list_in(&c->arena, last_with(s, lists[i].key), lists[i].key, list))
			return false;
	}
	return true;
}

static int
by_days_falling(const void *a, const void *b)
{
	const char *const *left = a, *const *right = b;
	const int x = integer_of(*left, 0), y = integer_of(*right, 0);

	return (x < y) - (x > y);
}

static bool
build_thresholds(struct conf *c, const struct conf_source *s)
{
	static const char *const usual[] = { "60", "30", "14", "7", "3", "1" };

	if (!list_in(&c->arena, last_with(s, KEY_THRESHOLDS), KEY_THRESHOLDS, &c->thresholds))
		return false;
	if (c->thresholds.n > 0) {
		qsort(c->thresholds.items, c->thresholds.n, sizeof(*c->thresholds.items), by_days_falling);
		return true;
	}
	c->thresholds.items = arena_array(&c->arena, sizeof(usual) / sizeof(usual[0]), sizeof(*usual));
	if (c->thresholds.items == NULL)
		return false;
	for (; c->thresholds.n < sizeof(usual) / sizeof(usual[0]); c->thresholds.n++)
		c->thresholds.items[c->thresholds.n] = usual[c->thresholds.n];
	return true;
}

/* Behind build_thresholds(): a credential without thresholds of its own has those of all. */
static bool
build_credentials(struct conf *c, struct conf_source *s)
{
	void *items;

	if (!room_for(&c->arena, s, CONF_CREDENTIAL, sizeof(*c->credentials), &items))
		return false;
	c->credentials = items;
	for (size_t i = 0; i < s->n; i++) {
		const struct conf_block *b = &s->blocks[i];
		if (b->kind != CONF_CREDENTIAL)
			continue;
		struct conf_credential *x = &c->credentials[c->n_credentials++];
		const char *expires = text_in(b, KEY_EXPIRES);

		one_of(s, b, KEY_EXPIRES, KEY_CERTIFICATE_FILE);
		*x = (struct conf_credential){ .name = b->title,
			.certificate_file = text_in(b, KEY_CERTIFICATE_FILE),
			.renew = text_in(b, KEY_RENEW),
			.file = b->file,
			.line = b->line };
		x->has_expires = expires != NULL && conf_instant(expires, &x->expires, &x->day);
		if (!list_in(&c->arena, b, KEY_REMIND, &x->thresholds))
			return false;
		if (x->thresholds.n > 0)
			qsort(x->thresholds.items, x->thresholds.n, sizeof(*x->thresholds.items), by_days_falling);
		else
			x->thresholds = c->thresholds;
	}
	return true;
}

static void
build_log(struct conf *c, const struct conf_source *s)
{
	size_t at;

	c->log_level = LOG_INFO;
	if (conf_word(text_of(s, KEY_LOG, "auto"), conf_log_names, CONF_LOGS, &at))
		c->log = (enum conf_log)at;
	if (conf_word(text_of(s, KEY_LOG_LEVEL, "info"), conf_log_level_names, CONF_LOG_LEVELS, &at))
		c->log_level = (enum log_level)at;
}

static bool
build_top(struct conf *c, const struct conf_source *s, const char *dir)
{
	const char *observe = text_of(s, KEY_OBSERVE, NULL);
	struct mh_span path;

	c->accounts_file = text_of(s, KEY_ACCOUNTS_FILE, NULL);
	c->publish_dir = text_of(s, KEY_PUBLISH_DIR, NULL);
	c->metrics_file = text_of(s, KEY_METRICS_FILE, NULL);
	c->metrics_listen = text_of(s, KEY_METRICS_LISTEN, NULL);
	build_log(c, s);
	if (observe != NULL)
		(void)conf_bool(observe, &c->observe);
	c->max_running = integer_of(text_of(s, KEY_MAX_RUNNING, NULL), 4);
	c->flood_unlisted = integer_of(text_of(s, KEY_FLOOD_UNLISTED, NULL), 5);
	c->flood_listed = integer_of(text_of(s, KEY_FLOOD_LISTED, NULL), 100);
	c->flood_account = integer_of(text_of(s, KEY_FLOOD_ACCOUNT, NULL), 20);
	c->flood_unread = integer_of(text_of(s, KEY_FLOOD_UNREAD, NULL), 20);
	c->quarantine_messages = integer_of(text_of(s, KEY_QUARANTINE_MESSAGES, NULL), 200);
	(void)conf_size(text_of(s, KEY_QUARANTINE_BYTES, "64M"), &c->quarantine_bytes);
	c->keep_mail_s = seconds_of(text_of(s, KEY_KEEP_MAIL, NULL), 90 * MH_DAY_S);
	c->keep_cases_s = seconds_of(text_of(s, KEY_KEEP_CASES, NULL), 0);

	if (arena_printf(&c->arena, &path, NULL, "%s/intake", c->state_dir) != MH_OK)
		return false;
	c->intake_dir = path.p;
	c->node = text_of(s, KEY_NODE, NULL);
	c->ledger = text_of(s, KEY_LEDGER, NULL);
	c->ledger_password_file = text_of(s, KEY_LEDGER_PASSWORD_FILE, NULL);
	c->ledger_password_command = text_of(s, KEY_LEDGER_PASSWORD_COMMAND, NULL);
	if (c->ledger == NULL) {
		if (arena_printf(&c->arena, &path, NULL, "sqlite:%s/ledger.db", c->state_dir) != MH_OK)
			return false;
		c->ledger = path.p;
	}
	const struct mh_span ledger = span_of(c->ledger);
	c->ledger_path = span_starts(ledger, MH_LIT("sqlite:")) ? span_from(ledger, sizeof("sqlite:") - 1).p : NULL;
	c->definitions_dir = text_of(s, KEY_DEFINITIONS_DIR, NULL);
	if (c->definitions_dir == NULL) {
		if (arena_printf(&c->arena, &path, NULL, "%s/definitions", dir) != MH_OK)
			return false;
		c->definitions_dir = path.p;
	}
	return true;
}

/* The built-in actions and their one rule. */
static bool
build_embedded(struct conf *c, const char *dir)
{
	static const char *const names[] = { "ticket", "reply" };
	const char **order = arena_array(&c->arena, 2, sizeof(*order));

	c->actions = arena_array(&c->arena, 2, sizeof(*c->actions));
	c->rules = arena_array(&c->arena, 1, sizeof(*c->rules));
	if (order == NULL || c->actions == NULL || c->rules == NULL)
		return false;
	for (size_t i = 0; i < 2; i++) {
		struct conf_action *x = &c->actions[i];

		order[i] = x->name = x->program = names[i];
		action_defaults(x);
		x->config = action_config(&c->arena, dir, x->name);
		if (x->config == NULL)
			return false;
	}
	c->rules[0] = (struct conf_rule){
		.name = "default", .order = 50, .expect_s = CONF_EXPECT_BY_KIND, .actions = { order, 2 }
	};
	c->n_actions = 2;
	c->n_rules = 1;
	c->embedded = true;
	return true;
}

/* -- all of it ----------------------------------------------------------------------------------------------------- */

static void
check_ledger(struct conf_source *s)
{
	const struct conf_block *b = last_with(s, KEY_LEDGER_PASSWORD_COMMAND);
	const struct conf_value *command = b == NULL ? NULL : value_in(b, KEY_LEDGER_PASSWORD_COMMAND);

	if (command != NULL && last_with(s, KEY_LEDGER_PASSWORD_FILE) != NULL)
		conf_wrong(
		    s, command->file, command->line, "ledger_password_file and ledger_password_command are both set");
}

bool
conf_build(struct conf *c, struct conf_source *s, const char *dir, bool readable, bool *ret_whole)
{
	bool configured = false;

	*ret_whole = false;
	for (size_t i = 0; i < s->n; i++)
		configured = configured || s->blocks[i].kind == CONF_ACTION || s->blocks[i].kind == CONF_RULE;
	if (!configured && !build_embedded(c, dir))
		return false;
	if (configured && (!build_actions(c, s, dir) || !build_rules(c, s)))
		return false;
	if (!build_escalations(c, s) || !build_thresholds(c, s) || !build_credentials(c, s))
		return false;
	if (!s->cut && readable) { /* else a name may be unknown only for what was not read */
		if (!conf_check_names(c, s))
			return false;
	}
	sort_rules(c);
	check_ledger(s);
	if (!build_mailboxes(c, s))
		return false;
	*ret_whole = !s->wrong && readable;

	/* What was half understood is not acted by; but the intake stays usable. */
	const struct conf_source nothing = { .arena = s->arena };
	const struct conf_source *from = *ret_whole ? s : &nothing;
	if (!*ret_whole)
		c->n_mailboxes = c->n_escalations = c->n_credentials = 0;
	if (!*ret_whole && !build_embedded(c, dir))
		return false;
	return build_top(c, from, dir) && build_trust(c, from) && build_thresholds(c, from);
}
