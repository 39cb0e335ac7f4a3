/* fuzz_action_line.c: one line of an action's output: whatever it is, what is taken from it is clean and within bounds. */
#include <stdlib.h>

#include "mailhook/work/launch_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check_clean(const struct buf *text, size_t max)
{
	if (text->n > max || !utf8_valid(buf_span(text)))
		abort();
	for (size_t i = 0; i < text->n; i++)
		if ((unsigned char)text->p[i] < 0x20 || text->p[i] == 0x7F)
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct mh_span line = { (const char *)data, n };
	struct action_line read;
	struct mh_err err = { 0 };
	struct buf clean;

	if (action_line_read(line, &read, &err) == MH_OK) {
		check_clean(&read.text, MH_MAX_ACTION_SUMMARY_BYTES);
		check_clean(&read.url, MH_MAX_ACTION_SUMMARY_BYTES);
		if (read.state.n > 0) {
			MH_AUTO(drop_json) cJSON *again = json_parse(buf_span(&read.state), NULL);
			if (!cJSON_IsObject(again))
				abort(); /* what is stored must be readable at the next attempt */
		}
	}
	action_line_release(&read);

	buf_init(&clean, MH_MAX_ACTION_SAY_BYTES);
	put_clean(&clean, line, MH_MAX_ACTION_SAY_BYTES);
	if (!buf_ok(&clean))
		abort();
	buf_release(&clean);
	return 0;
}
