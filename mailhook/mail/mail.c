/* mail.c: reading one message. */
#include <string.h>

#include "mailhook/mail/mail.h"
#include "mailhook/mail/mime.h"

/* A message whose only line ends are bare CRs is read as if they were LFs; the offsets stay the same. */
static struct mh_span
old_line_ends(struct mail_reader *r, struct mh_span raw)
{
	if (raw.n == 0 || memchr(raw.p, '\n', raw.n) != NULL || memchr(raw.p, '\r', raw.n) == NULL)
		return raw;

	char *dst = arena_alloc(r->arena, raw.n);
	if (dst == NULL) {
		r->mail->limits |= MAIL_LIMIT_MEMORY;
		return raw;
	}
	for (size_t i = 0; i < raw.n; i++)
		dst[i] = raw.p[i] == '\r' ? '\n' : raw.p[i];
	return (struct mh_span){ dst, raw.n };
}

enum mh_status
mail_read(
    struct mh_span raw, const struct charset_set *charsets, struct arena *a, struct mail *ret_mail, struct mh_err *err)
{
	struct mail_reader r = {
		.charsets = charsets, .arena = a, .mail = ret_mail, .text_left = MH_MAX_TEXT_TOTAL_BYTES
	};

	*ret_mail = (struct mail){ 0 };
	if (raw.p == NULL)
		raw = MH_LIT("");
	if (raw.n > MH_MAX_MESSAGE_BYTES) {
		raw.n = MH_MAX_MESSAGE_BYTES;
		ret_mail->limits |= MAIL_LIMIT_MESSAGE;
	}

	ret_mail->messages = arena_grow(a, NULL, 0, &r.cap_messages, sizeof(*ret_mail->messages));
	if (ret_mail->messages == NULL) {
		ret_mail->limits |= MAIL_LIMIT_MEMORY;
		return mh_fail(err, MH_LIMIT, "no room for a message in an arena of %zu bytes", a->max_bytes);
	}
	ret_mail->n_messages = 1;
	ret_mail->raw = old_line_ends(&r, raw);
	ret_mail->body_at = mime_read(&r, ret_mail->raw, 0);
	return MH_OK;
}

const struct mail_field *
mail_field_nth(const struct mail_message *m, const char *name, size_t nth)
{
	const struct mh_span wanted = span_of(name);

	for (size_t i = 0; i < m->n_fields; i++)
		if (m->fields[i].name.n == wanted.n && span_ieq(m->fields[i].name, wanted) && nth-- == 0)
			return &m->fields[i];
	return NULL;
}

const struct mail_field *
mail_field(const struct mail_message *m, const char *name)
{
	return mail_field_nth(m, name, 0);
}
