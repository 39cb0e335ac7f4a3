/* bench/gmime.c: what `parse` is measured against: GMime takes the same mbox apart and gets the same text out of it.
 *
 * gmime-bench MBOX: decodes every text/plain and text/html part that is no attachment into UTF-8; HTML becomes text by
 * the renderer that mailhook has, since GMime has none. Prints how many messages there were, and how many bytes of text. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <gmime/gmime.h>

#include "mailhook/mail/html.h"

struct count {
	size_t messages, text_bytes;
	struct arena arena;
};

static void
count_part(GMimeObject *parent, GMimeObject *part, gpointer user)
{
	struct count *c = user;
	struct mh_span text, links;

	(void)parent;
	if (!GMIME_IS_TEXT_PART(part))
		return;
	GMimeContentType *type = g_mime_object_get_content_type(part);
	const bool html = g_mime_content_type_is_type(type, "text", "html");
	if (!html && !g_mime_content_type_is_type(type, "text", "plain"))
		return;

	char *s = g_mime_text_part_get_text(GMIME_TEXT_PART(part));
	if (s == NULL)
		return;
	text = (struct mh_span){ s, strlen(s) };
	arena_reset(&c->arena);
	if (!html || html_to_text(text, &c->arena, &text, &links, NULL) == MH_OK)
		c->text_bytes += text.n;
	g_free(s);
}

int
main(int argc, char **argv)
{
	struct count c = { 0 };
	const int fd = argc == 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0) {
		(void)fputs("usage: gmime-bench MBOX\n", stderr);
		return 2;
	}
	g_mime_init();
	arena_init(&c.arena, (size_t)64 << 20);
	GMimeStream *stream = g_mime_stream_buffer_new(g_mime_stream_fs_new(fd), GMIME_STREAM_BUFFER_BLOCK_READ);
	GMimeParser *parser = g_mime_parser_new_with_stream(stream);
	g_mime_parser_set_format(parser, GMIME_FORMAT_MBOX);
	while (!g_mime_parser_eos(parser)) {
		GMimeMessage *m = g_mime_parser_construct_message(parser, NULL);

		if (m == NULL)
			break;
		g_mime_message_foreach(m, count_part, &c);
		g_object_unref(m);
		c.messages++;
	}
	(void)printf("%zu %zu\n", c.messages, c.text_bytes);
	g_object_unref(parser);
	g_object_unref(stream);
	arena_release(&c.arena);
	return 0;
}
