/* front_parser.c: the one place that names the reader of mail, so that a test can put a hostile one there. */
#include "mailhook/front.h"
#include "parsers/parser.h"

const struct mh_parser *
front_parser(void)
{
	return &definition_parser;
}
