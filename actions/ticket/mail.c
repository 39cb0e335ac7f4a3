/* mail.c: tickets by mail to a queue's address, for systems that cannot be reached otherwise.
 *
 * A queue makes a ticket of a mail and joins the next one by what it finds in it: a tag in the subject that it gave the
 * ticket ("[example.com #12]": RT, Redmine), or In-Reply-To (Jira, Zammad). Both are written; the tag is known once an
 * answer of the queue lies in a Maildir that we may read. There is no search and no reading back: what was sent is known
 * by the outcomes of earlier jobs. After a kill between the sending and the outcome the answer is looked for; where none
 * can be, the mail goes out again with the same Message-ID, and it is for the queue to see that. What a person has done
 * to the ticket cannot be seen, so its priority is never touched. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actions/common/folder.h"
#include "actions/common/mail_text.h"
#include "actions/common/sendmail.h"
#include "actions/common/smtp_conf.h"
#include "actions/ticket/ticket.h"
#include "mailhook/clock.h"
#include "mailhook/mail/mail.h"

#define HEAD_BYTES ((size_t)32 << 10) /* of an answer that is looked at */
#define ARENA_BYTES ((size_t)4 << 20)
#define MAIL_BYTES ((size_t)1 << 20)
#define MAX_ANSWERS 100000
#define ANSWER_S 60     /* after which an answer is looked for again */
#define TITLE_CHARS 130 /* with tag and key a subject stays below RT's 200 */

struct mailer {
	struct ticket_desk *desk;
	const char *from, *to, *answers, *answers_from, *tag_head, *tag_tail; /* answers, tag_head NULL: none */
	const char *number;                                                   /* of the ticket; NULL: not known */
	bool smtp, marked;
};

/* -- what the queue answered ----------------------------------------------------------------------------------------- */

/* The number in a subject that carries the key and the queue's tag; 0: none. */
static int64_t
number_in(const struct mailer *m, struct mh_span subject, const char *key)
{
	const struct mh_span head = span_of(m->tag_head), tail = span_of(m->tag_tail);
	size_t at = 0;

	if (span_find(subject, span_of(key), 0) == SIZE_MAX)
		return 0;
	while ((at = span_find(subject, head, at)) != SIZE_MAX) {
		const struct mh_span rest = span_from(subject, at + head.n);
		size_t digits = 0;

		while (digits < rest.n && rest.p[digits] >= '0' && rest.p[digits] <= '9')
			digits++;
		if (digits > 0 && digits < 16 && span_starts(span_from(rest, digits), tail))
			return strtoll(rest.p, NULL, 10);
		at += head.n > 0 ? head.n : 1;
	}
	return 0;
}

/* The one address of From, as far as it must be read to be compared. */
static bool
is_from(const struct mail_message *message, const char *address)
{
	const struct mail_field *from = mail_field(message, "From");
	struct mh_span value = from == NULL ? MH_NONE : from->value;
	const size_t open = span_find(value, MH_LIT("<"), 0);

	if (mail_field_nth(message, "From", 1) != NULL)
		return false;
	if (open != SIZE_MAX) {
		value = span_from(value, open + 1);
		value = span_head(value, span_find(value, MH_LIT(">"), 0));
	}
	return span_ieq(span_trim(value), span_of(address));
}

static int64_t
number_in_file(const struct mailer *m, int folder, const char *name, const char *key, struct arena *a)
{
	MH_AUTO(drop_fd) int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct mail mail;
	char *bytes = arena_alloc(a, HEAD_BYTES);
	ssize_t n = fd < 0 || bytes == NULL ? -1 : pread(fd, bytes, HEAD_BYTES, 0);

	if (n <= 0)
		return 0;
	struct mh_span head = { bytes, (size_t)n };
	const size_t end = span_find(head, MH_LIT("\n\n"), 0), end_crlf = span_find(head, MH_LIT("\r\n\r\n"), 0);
	head = span_head(head, end < end_crlf ? end + 1 : end_crlf == SIZE_MAX ? head.n : end_crlf + 2);
	if (mail_read(head, NULL, a, &mail, NULL) != MH_OK || !is_from(&mail.messages[0], m->answers_from))
		return 0;
	const struct mail_field *subject = mail_field(&mail.messages[0], "Subject");
	return subject == NULL ? 0 : number_in(m, subject->value, key);
}

/* The lowest number that an answer in new/ or cur/ names. 0: none. */
static enum mh_status
look_in(const struct mailer *m, const char *sub, const char *key, int64_t *ret_number, struct mh_err *err)
{
	char path[4096];
	struct arena a;
	const struct dirent *e;
	enum mh_status status = MH_OK;

	(void)snprintf(path, sizeof(path), "%s/%s", m->answers, sub);
	DIR *dir = opendir(path);
	if (dir == NULL)
		return mh_fail_errno(err, MH_RETRY, "cannot list the answers in %s", path);
	arena_init(&a, ARENA_BYTES);
	errno = 0;
	for (size_t n = 0; status == MH_OK && (e = readdir(dir)) != NULL; n++, errno = 0) {
		if (e->d_name[0] == '.')
			continue;
		if (n == MAX_ANSWERS)
			status = mh_fail(err, MH_LIMIT, "more than %d answers in %s", MAX_ANSWERS, path);
		arena_reset(&a);
		const int64_t number = number_in_file(m, dirfd(dir), e->d_name, key, &a);
		if (number > 0 && (*ret_number == 0 || number < *ret_number))
			*ret_number = number;
	}
	if (status == MH_OK && errno != 0)
		status = mh_fail_errno(err, MH_RETRY, "cannot list the answers in %s", path);
	arena_release(&a);
	(void)closedir(dir);
	return status;
}

static enum mh_status
look_for_number(struct mailer *m, const char *key, struct mh_err *err)
{
	int64_t number = 0;
	struct mh_span text;
	enum mh_status status = MH_OK;

	if (m->answers == NULL)
		return MH_OK;
	status = look_in(m, "new", key, &number, err);
	if (status == MH_OK)
		status = look_in(m, "cur", key, &number, err);
	if (status == MH_OK && number > 0)
		status = arena_printf(m->desk->arena, &text, err, "%" PRId64, number);
	if (status == MH_OK && number > 0)
		m->number = text.p;
	return status;
}

/* -- finding ------------------------------------------------------------------------------------------------------- */

static bool
is_word(const char *text, const char *word)
{
	return text != NULL && strcmp(text, word) == 0;
}

/* What earlier jobs of this action came to: has a first mail been sent, and did a closing one follow? */
static void
recall(const struct mailer *m, bool *ret_sent, bool *ret_closed)
{
	const struct request *q = m->desk->request;

	for (size_t i = 0; i < q->n_outcomes; i++) {
		const struct job_outcome *o = &q->outcomes[i];

		if (q->action == NULL || strcmp(o->action, q->action) != 0 || strcmp(o->outcome, "done") != 0)
			continue;
		*ret_sent = true;
		*ret_closed = *ret_closed || is_word(o->event, "succeeded") || is_word(o->event, "closed");
	}
}

static enum mh_status
mail_find(void *state, const char *key, struct ticket_ref *ret, struct mh_err *err)
{
	struct mailer *m = state;
	bool sent = false, closed = false;
	struct mh_span url;
	enum mh_status status = look_for_number(m, key, err);

	recall(m, &sent, &closed);
	if (status != MH_OK)
		return status;
	if (!sent && m->number == NULL)
		return mh_fail(err, MH_SKIP, "no mail was sent");
	status = arena_printf(m->desk->arena, &url, err, "mailto:%s", m->to);
	if (status == MH_OK)
		*ret = (struct ticket_ref){ .id = m->number == NULL ? "" : m->number,
			.url = url.p,
			.open = !closed,
			.priority = PRIORITY_NORMAL };
	return status;
}

/* -- writing ------------------------------------------------------------------------------------------------------- */

static const char *
domain_of(const char *address)
{
	const char *at = strrchr(address, '@');

	return at == NULL ? "localhost" : at + 1;
}

/* "[tag #12] TITLE [mailhook KEY]" */
static enum mh_status
put_subject(const struct mailer *m, struct buf *out, struct mh_span title, struct mh_err *err)
{
	MH_AUTO(buf_release) struct buf line;

	buf_init(&line, 4096);
	if (m->number != NULL && m->tag_head != NULL)
		buf_printf(&line, "%s%s%s ", m->tag_head, m->number, m->tag_tail);
	buf_put(&line, span_head(title, utf8_cut(title, TITLE_CHARS)));
	buf_printf(&line, " [mailhook %s]", m->desk->request->case_key);
	if (!buf_ok(&line))
		return mh_fail(err, MH_LIMIT, "the subject becomes too long");
	mail_put_subject(out, buf_span(&line));
	return MH_OK;
}

/* No quoting is needed: the addresses are plain ones. */
static enum mh_status
put_mail(
    const struct mailer *m, struct buf *out, bool first, struct mh_span title, struct mh_span text, struct mh_err *err)
{
	const struct request *q = m->desk->request;
	const char *domain = domain_of(m->from);

	mail_put_date(out, q->now);
	buf_printf(out, "From: mailhook <%s>\nTo: %s\n", m->from, m->to);
	const enum mh_status status = put_subject(m, out, title, err);
	if (status != MH_OK)
		return status;
	buf_printf(out, "Message-ID: <%s.%s@%s>\n", q->case_key, first ? "ticket" : q->job_key, domain);
	if (!first)
		buf_printf(out, "In-Reply-To: <%s.ticket@%s>\nReferences: <%s.ticket@%s>\n", q->case_key, domain,
		    q->case_key, domain);
	if (m->marked)
		buf_puts(out, "Auto-Submitted: auto-generated\n");
	buf_printf(out, "X-Mailhook-Job: %s\nMIME-Version: 1.0\n", q->job_key);
	mail_put_quoted(out, "text/plain", text);
	return buf_ok(out) ? MH_OK : mh_fail(err, MH_LIMIT, "the mail is longer than %zu bytes", out->max);
}

static enum mh_status
send_mail(struct mailer *m, struct mh_span mail, struct mh_err *err)
{
	MH_AUTO(buf_release) struct buf refused;
	cfg_t *cfg = m->desk->conf;
	const char *const to[] = { m->to };
	struct smtp_conf smtp;

	buf_init(&refused, SMTP_MAX_REFUSED_BYTES);
	if (!m->smtp) {
		const struct sendmail s = { cfg_getstr(cfg, "sendmail"), to, 1, mail };
		return sendmail_send(&s, m->desk->protocol, err);
	}
	const struct smtp_mail s = { .from = cfg_getstr(cfg, "envelope_from"), .to = to, .n_to = 1, .bytes = mail };
	smtp_conf_read(cfg, m->desk->protocol->deadline_ms, &smtp);
	return smtp_send(&smtp.server, &s, m->desk->request->now, &refused, &m->desk->retry_after_s, err);
}

/* Words that Redmine, and RT with its command extension, read as values; people read them too. */
static void
put_keyword(struct buf *out, const char *name, struct mh_span value)
{
	if (value.n == 0)
		return;
	buf_printf(out, "%s: ", name);
	buf_put(out, value);
	buf_putc(out, '\n');
}

static enum mh_status
mail_open(void *state, const struct ticket_new *t, struct ticket_ref *ret, struct mh_err *err)
{
	struct mailer *m = state;
	MH_AUTO(buf_release) struct buf text;
	MH_AUTO(buf_release) struct buf mail;
	struct mh_span url;

	buf_init(&text, MAIL_BYTES);
	buf_init(&mail, 4 * MAIL_BYTES);
	buf_put(&text, t->body);
	buf_putc(&text, '\n');
	put_keyword(&text, "Priority", span_of(t->priority_name));
	put_keyword(&text, "Due date", t->due);
	put_keyword(&text, "Assigned to", span_of(t->assignee));
	for (size_t i = 0; i < t->n_fields; i++)
		put_keyword(&text, t->fields[i].name, t->fields[i].value);
	enum mh_status status = put_mail(m, &mail, true, t->title, buf_span(&text), err);
	if (status == MH_OK)
		status = send_mail(m, buf_span(&mail), err);
	if (status == MH_OK)
		status = arena_printf(m->desk->arena, &url, err, "mailto:%s", m->to);
	if (status == MH_OK)
		*ret = (struct ticket_ref){ .id = "", .url = url.p, .open = true, .priority = t->priority };
	return status;
}

/* Where the tag is what joins, a mail without it would become a ticket of its own. */
static enum mh_status
mail_comment(void *state, const struct ticket_ref *ref, const struct ticket_comment *c, struct mh_err *err)
{
	struct mailer *m = state;
	MH_AUTO(buf_release) struct buf text;
	MH_AUTO(buf_release) struct buf mail;

	(void)ref;
	buf_init(&text, MAIL_BYTES);
	buf_init(&mail, 4 * MAIL_BYTES);
	if (m->answers != NULL && m->number == NULL) {
		m->desk->retry_after_s = ANSWER_S;
		return mh_fail(err, MH_RETRY, "the queue's answer, which says the ticket's number, has not come yet");
	}
	buf_put(&text, c->text);
	if (c->closing && cfg_getstr(m->desk->conf, "close_status")[0] != '\0') {
		buf_putc(&text, '\n');
		put_keyword(&text, "Status", span_of(cfg_getstr(m->desk->conf, "close_status")));
	}
	const enum mh_status status = put_mail(m, &mail, false, c->title, buf_span(&text), err);
	return status == MH_OK ? send_mail(m, buf_span(&mail), err) : status;
}

/* -- life ---------------------------------------------------------------------------------------------------------- */

static enum mh_status
mail_check(void *state, struct mh_err *err)
{
	struct mailer *m = state;
	struct smtp_conf smtp;
	int64_t number = 0, wait_s;
	enum mh_status status = MH_OK;

	if (m->answers != NULL)
		status = look_in(m, "new", "-", &number, err);
	if (status == MH_OK && m->answers != NULL)
		status = look_in(m, "cur", "-", &number, err);
	if (status == MH_OK && !m->smtp)
		return sendmail_check_program(cfg_getstr(m->desk->conf, "sendmail"), err);
	if (status != MH_OK)
		return status;
	smtp_conf_read(m->desk->conf, m->desk->protocol->deadline_ms, &smtp);
	return smtp_check(&smtp.server, m->desk->online, m->desk->request->now, &wait_s, err);
}

static enum mh_status
read_tag(struct mailer *m, struct mh_err *err)
{
	const struct mh_span tag = span_of(cfg_getstr(m->desk->conf, "tag"));
	const size_t at = span_find(tag, MH_LIT("%"), 0);
	struct mh_span head = MH_NONE, tail = MH_NONE;

	if (tag.n == 0)
		return m->answers == NULL ? MH_OK : mh_fail(err, MH_BAD, "answers is set, and tag is not");
	if (at == SIZE_MAX || at == 0 || at + 1 == tag.n)
		return mh_fail(err, MH_BAD, "tag must be the queue's, with a %% for the number: \"[example.com #%%]\"");
	enum mh_status status = arena_copy(m->desk->arena, span_head(tag, at), &head, err);
	if (status == MH_OK)
		status = arena_copy(m->desk->arena, span_from(tag, at + 1), &tail, err);
	m->tag_head = head.p;
	m->tag_tail = tail.p;
	return status;
}

static enum mh_status
mail_start(struct ticket_desk *d, void **ret_state, struct mh_err *err)
{
	struct mailer *m = arena_alloc(d->arena, sizeof(*m));
	const char *answers = cfg_getstr(d->conf, "answers"), *answers_from = cfg_getstr(d->conf, "answers_from");

	if (m == NULL)
		return mh_fail(err, MH_RETRY, "no memory for a mail");
	*m = (struct mailer){ .desk = d,
		.from = cfg_getstr(d->conf, "from"),
		.to = d->queue != NULL  ? d->queue
		      : d->n_queues > 0 ? d->queues[0]
					: "",
		.answers = answers[0] == '\0' ? NULL : answers,
		.smtp = strcmp(cfg_getstr(d->conf, "transport"), "smtp") == 0,
		.marked = cfg_getbool(d->conf, "auto_submitted") == cfg_true };
	m->answers_from = answers_from[0] == '\0' ? m->to : answers_from;
	*ret_state = m;
	if (!smtp_address_ok(span_of(m->to)) || m->to[0] == '-')
		return mh_fail(err, MH_BAD, "queue must be the plain mail address of a queue");
	if (!smtp_address_ok(span_of(m->from)))
		return mh_fail(err, MH_BAD, "from must be a plain mail address");
	return read_tag(m, err);
}

static void
mail_stop(void *state)
{
	(void)state;
}

static int
check_transport(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *word = cfg_opt_getstr(opt);

	if (word == NULL || (strcmp(word, "sendmail") != 0 && strcmp(word, "smtp") != 0))
		cfg_error(cfg, "%s must be sendmail or smtp", cfg_opt_name(opt));
	return 0;
}

static const cfg_opt_t options[] = { SMTP_OPTIONS, CFG_STR("transport", "sendmail", CFGF_NONE),
	CFG_STR("sendmail", "/usr/sbin/sendmail", CFGF_NONE), CFG_STR("from", "", CFGF_NONE),
	CFG_STR("answers", "", CFGF_NONE), CFG_STR("answers_from", "", CFGF_NONE), CFG_STR("tag", "", CFGF_NONE),
	CFG_STR("close_status", "", CFGF_NONE), CFG_BOOL("auto_submitted", cfg_false, CFGF_NONE), CFG_END() };
static const struct own_conf_check checks[] = { SMTP_CHECKS, { "transport", check_transport },
	{ "sendmail", check_absolute }, { "answers", check_absolute }, { "token", check_absolute },
	{ "ca_file", check_absolute }, { "cert_file", check_absolute }, { "key_file", check_absolute },
	{ NULL, NULL } };

const struct ticket_driver ticket_mail = {
	.name = "mail",
	.help = "a mail to a queue's address",
	.options = options,
	.checks = checks,
	.priorities = { "Normal", "High", "Urgent" },
	.format = FORMAT_PLAIN,
	.lag_s = 120,
	.own_marks = true,
	.by_mail = true,
	.start = mail_start,
	.stop = mail_stop,
	.check = mail_check,
	.find = mail_find,
	.open = mail_open,
	.comment = mail_comment,
};
