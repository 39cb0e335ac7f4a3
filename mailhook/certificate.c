/* certificate.c: see certificate.h. */
#include "mailhook/certificate.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <time.h>

#define MAX_CERTIFICATES 100 /* of one file: a chain has three or four */

static void
drop_bio(BIO **b)
{
	(void)BIO_free(*b);
}

static void
drop_x509(X509 **x)
{
	X509_free(*x);
}

enum mh_status
certificate_end(const char *path, int64_t *ret, struct mh_err *err)
{
	struct stat sb;
	int64_t first = INT64_MAX;
	int n = 0;

	if (stat(path, &sb) != 0)
		return mh_fail_errno(err, MH_BAD, "%s cannot be read", path);
	if (!S_ISREG(sb.st_mode)) /* a pipe would hold us for ever */
		return mh_fail(err, MH_BAD, "%s is no file", path);
	MH_AUTO(drop_bio) BIO *file = BIO_new_file(path, "re");
	if (file == NULL) {
		ERR_clear_error();
		return mh_fail(err, MH_BAD, "%s cannot be read", path);
	}
	for (; n < MAX_CERTIFICATES; n++) {
		MH_AUTO(drop_x509) X509 *x = PEM_read_bio_X509(file, NULL, NULL, NULL);
		struct tm tm = { 0 };

		if (x == NULL)
			break;
		if (ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm) != 1) {
			ERR_clear_error();
			return mh_fail(err, MH_BAD, "%s: a certificate in it has no date", path);
		}
		const int64_t end =
		    time_of_civil(tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
		first = end < first ? end : first;
	}
	const unsigned long why = ERR_peek_last_error();
	ERR_clear_error();
	if (n == 0)
		return mh_fail(err, MH_BAD, "%s: no certificate in it", path);
	/* a file that is written just now has no end yet, or a broken one */
	if (n < MAX_CERTIFICATES && ERR_GET_REASON(why) != PEM_R_NO_START_LINE)
		return mh_fail(err, MH_BAD, "%s: certificate %d in it cannot be read", path, n + 1);
	*ret = first;
	return MH_OK;
}
