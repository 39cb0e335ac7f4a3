/* error.c: one place that words an error. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mailhook/mailhook.h"

const char *const mh_verdict_names[] = {
	[MH_IRRELEVANT] = "irrelevant",
	[MH_NOTICE] = "notice",
	[MH_UNRECOGNISED] = "unrecognised",
	[MH_FAILED] = "failed",
};

const char *const mh_precision_names[] = {
	[MH_SECOND] = "second",
	[MH_DAY] = "day",
	[MH_DERIVED] = "derived",
};

static void word_error(struct mh_err *err, enum mh_status code, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));

static void
word_error(struct mh_err *err, enum mh_status code, const char *fmt, va_list ap)
{
	char text[sizeof(err->text) + 4]; /* room for the whole of a character that the cut would split */

	(void)vsnprintf(text, sizeof(text), fmt, ap); /* a long text is cut: it is for a person */
	const struct mh_span cut = span_head(span_of(text), utf8_cut(span_of(text), sizeof(err->text) - 1));
	memcpy(err->text, cut.p, cut.n);
	err->text[cut.n] = '\0';
	err->code = code;
	err->absent = err->of_value = false;
}

enum mh_status
mh_fail(struct mh_err *err, enum mh_status code, const char *fmt, ...)
{
	if (err != NULL) {
		va_list ap;

		va_start(ap, fmt);
		word_error(err, code, fmt, ap);
		va_end(ap);
	}
	return code;
}

enum mh_status
mh_fail_errno(struct mh_err *err, enum mh_status code, const char *fmt, ...)
{
	const int number = errno;

	if (err != NULL) {
		char why[64];
		va_list ap;

		va_start(ap, fmt);
		word_error(err, code, fmt, ap);
		va_end(ap);

		const size_t used = strlen(err->text);
		const char *words =
		    strerrordesc_np(number); /* not strerror: that one may be rewritten by another thread */
		(void)snprintf(why, sizeof(why), ": %s", words == NULL ? "unknown error" : words);
		(void)snprintf(err->text + used, sizeof(err->text) - used, "%s", why);
		err->absent = number == ENOENT || number == ENOTDIR;
	}
	errno = number;
	return code;
}

enum mh_status
mh_absent(struct mh_err *err, enum mh_status code)
{
	if (err != NULL)
		err->absent = true;
	return code;
}

enum mh_status
mh_of_value(struct mh_err *err, enum mh_status code)
{
	if (err != NULL)
		err->of_value = true;
	return code;
}

static const char *
escape(char *dst, size_t dst_bytes, struct mh_span s, bool backslash)
{
	static const char hex[] = "0123456789abcdef";
	size_t used = 0;

	if (dst_bytes == 0)
		return dst;
	for (size_t i = 0; i < s.n; i++) {
		const unsigned char c = (unsigned char)s.p[i];
		const bool plain = c >= 0x20 && c < 0x7F && (c != '\\' || !backslash);
		const size_t need = plain ? 1 : 4;

		if (need + 4 > dst_bytes - used) { /* room for "..." and NUL must stay */
			if (dst_bytes - used >= 4) {
				memcpy(dst + used, "...", 3);
				used += 3;
			}
			break;
		}
		if (plain) {
			dst[used++] = (char)c;
		} else {
			dst[used++] = '\\';
			dst[used++] = 'x';
			dst[used++] = hex[c >> 4];
			dst[used++] = hex[c & 15];
		}
	}
	dst[used] = '\0';
	return dst;
}

const char *
mh_escape(char *dst, size_t dst_bytes, struct mh_span s)
{
	return escape(dst, dst_bytes, s, true);
}

const char *
mh_escape_words(char *dst, size_t dst_bytes, const char *words)
{
	return escape(dst, dst_bytes, span_of(words), false);
}
