/* fuzz_mail.c: the whole reader, converters and HTML included; what no mail may break is checked on each. */
#include <stdlib.h>

#include "mailhook/mail/charset.h"
#include "mailhook/mail/mail.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check(bool holds)
{
	if (!holds)
		abort();
}

static bool
is_one_line(struct mh_span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7F)
			return false;
	return utf8_valid(s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct mh_span raw = { (const char *)data, n };
	struct charset_set *set = charset_set_new();
	struct arena a;
	struct mail m;

	if (set == NULL)
		return 0;
	arena_init(&a, MH_MAX_ARENA_BYTES);
	charset_set_open(set, raw);
	check(mail_read(raw, set, &a, &m, NULL) == MH_OK);
	check(m.n_messages >= 1 && m.n_messages <= MH_MAX_MESSAGES && m.n_parts <= MH_MAX_PARTS && m.body_at <= n);
	for (size_t i = 0; i < m.n_messages; i++) {
		const struct mail_message *msg = &m.messages[i];

		check(msg->n_fields <= MH_MAX_FIELDS && msg->depth <= MH_MAX_DEPTH);
		check(i == 0 ? msg->depth == 0 : msg->parent < i && msg->depth == m.messages[msg->parent].depth + 1);
		for (size_t f = 0; f < msg->n_fields; f++) {
			check(is_one_line(msg->fields[f].name) && msg->fields[f].name.n > 0);
			check(is_one_line(msg->fields[f].value) && msg->fields[f].value.n <= MH_MAX_FIELD_BYTES);
		}
	}
	for (size_t i = 0; i < m.n_parts; i++) {
		const struct mail_part *p = &m.parts[i];

		check(p->message < m.n_messages && p->text.n <= MH_MAX_TEXT_BYTES);
		check(utf8_valid(p->text) && utf8_valid(p->links));
		check(span_find(p->text, MH_LIT("\0"), 0) == SIZE_MAX);
		check(p->type == MAIL_HTML || span_find(p->text, MH_LIT("\r"), 0) == SIZE_MAX);
	}
	arena_release(&a);
	charset_set_free(set);
	return 0;
}
