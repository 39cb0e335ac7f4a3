/* wire.c: libcurl, set up once for all that use it. */
#include "actions/common/wire.h"

#include <pthread.h>
#include <string.h>

#include "actions/common/secret.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
start_curl(void)
{
	(void)curl_global_init(CURL_GLOBAL_DEFAULT); /* where it failed, curl_easy_init fails too and is looked at */
}

void
drop_curl(CURL **c)
{
	curl_easy_cleanup(*c);
	*c = NULL;
}

void
drop_slist(struct curl_slist **l)
{
	curl_slist_free_all(*l);
	*l = NULL;
}

void
wire_url_release(struct wire_url *u)
{
	curl_free(u->scheme);
	curl_free(u->host);
	curl_free(u->port);
	*u = (struct wire_url){ 0 };
}

/* The URL parser has made 127.1 and 0x7f000001 into dotted form before this looks, and libcurl resolves "localhost"
 * itself. */
static bool
is_loopback(const char *host)
{
	return strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0;
}

/* A name that begins with "127." is only an address where digits and dots are all of it: 127.evil.example is none. */
static bool
is_numeric(const char *host)
{
	return host[strspn(host, "0123456789.")] == '\0';
}

static void
drop_curlu(CURLU **u)
{
	curl_url_cleanup(*u);
	*u = NULL;
}

static bool
has_part(CURLU *u, CURLUPart part)
{
	char *text = NULL;
	const bool has = curl_url_get(u, part, &text, 0) == CURLUE_OK;

	curl_free(text);
	return has;
}

static void
strip_brackets(char *host)
{
	const size_t n = strlen(host);

	if (n < 2 || host[0] != '[' || host[n - 1] != ']')
		return;
	memmove(host, host + 1, n - 2);
	host[n - 2] = '\0';
}

enum mh_status
wire_url_read(const char *url, struct wire_url *ret, struct mh_err *err)
{
	(void)pthread_once(&once, start_curl);
	MH_AUTO(drop_curlu) CURLU *u = curl_url();
	struct wire_url out = { 0 };

	if (u == NULL)
		return mh_fail(err, MH_RETRY, "no memory for a URL");
	if (url == NULL || curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
		return mh_fail(err, MH_BAD, "not a URL with scheme and host");
	if (has_part(u, CURLUPART_USER) || has_part(u, CURLUPART_PASSWORD))
		return mh_fail(err, MH_BAD, "a URL must not hold a user or password");
	if (has_part(u, CURLUPART_FRAGMENT))
		return mh_fail(err, MH_BAD, "a URL with a fragment cannot be asked");
	if (curl_url_get(u, CURLUPART_SCHEME, &out.scheme, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_HOST, &out.host, 0) != CURLUE_OK || out.host[0] == '\0') {
		wire_url_release(&out);
		return mh_fail(err, MH_BAD, "not a URL with scheme and host");
	}
	(void)curl_url_get(u, CURLUPART_PORT, &out.port, 0);
	strip_brackets(out.host);
	out.loopback = is_loopback(out.host) && (strncmp(out.host, "127.", 4) != 0 || is_numeric(out.host));
	*ret = out;
	return MH_OK;
}

/* Sets one option; the first failure stays. */
#define SET(c, option, value)                                                                                          \
	do {                                                                                                           \
		if (code == CURLE_OK)                                                                                  \
			code = curl_easy_setopt(c, option, value);                                                     \
	} while (0)

static CURLcode
set_tls(CURL *c, const struct wire *w)
{
	CURLcode code = CURLE_OK;

	SET(c, CURLOPT_SSL_VERIFYPEER, 1L);
	SET(c, CURLOPT_SSL_VERIFYHOST, 2L);
	SET(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (w->ca_file != NULL) {
		SET(c, CURLOPT_CAINFO, w->ca_file);
		SET(c, CURLOPT_CAPATH, NULL); /* Debian builds in a folder, which would be trusted besides the file */
	}
	if (w->cert_file != NULL) {
		SET(c, CURLOPT_SSLCERT, w->cert_file);
		SET(c, CURLOPT_SSLKEY, w->key_file);
	}
	return code;
}

static CURLcode
set_common(CURL *c, const struct wire *w, char *error_text)
{
	CURLcode code = CURLE_OK;

	error_text[0] = '\0';
	SET(c, CURLOPT_ERRORBUFFER, error_text);
	SET(c, CURLOPT_NOSIGNAL, 1L);
	SET(c, CURLOPT_CONNECTTIMEOUT_MS, w->connect_ms > 0 ? w->connect_ms : (long)WIRE_CONNECT_MS);
	SET(c, CURLOPT_TIMEOUT_MS, w->total_ms > 0 ? w->total_ms : (long)WIRE_TOTAL_MS);
	SET(c, CURLOPT_FOLLOWLOCATION, 0L);
	SET(c, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(c, CURLOPT_PROXY, w->proxy == NULL ? "" : w->proxy); /* "" and not NULL: NULL asks the environment */
	SET(c, CURLOPT_NOPROXY, "");
	SET(c, CURLOPT_FORBID_REUSE, 1L);
	return code;
}

enum mh_status
wire_open(const struct wire *w, char *error_text, CURL **ret, struct mh_err *err)
{
	if ((w->cert_file == NULL) != (w->key_file == NULL))
		return mh_fail(err, MH_BAD, "a client certificate needs its key, and a key its certificate");
	if (w->key_file != NULL && secret_check_file(w->key_file, err) != MH_OK)
		return MH_BAD;

	(void)pthread_once(&once, start_curl);
	CURL *c = curl_easy_init();
	if (c == NULL)
		return mh_fail(err, MH_RETRY, "libcurl did not start");

	CURLcode code = set_common(c, w, error_text);
	if (code == CURLE_OK)
		code = set_tls(c, w);
	if (code != CURLE_OK) {
		curl_easy_cleanup(c);
		return mh_fail(err, code == CURLE_OUT_OF_MEMORY ? MH_RETRY : MH_BAD, "libcurl refuses an option: %s",
		    curl_easy_strerror(code));
	}
	*ret = c;
	return MH_OK;
}

static bool
holds_one(const char *text, const char *const words[], size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (span_ifind(span_of(text), span_of(words[i]), 0) != SIZE_MAX)
			return true;
	return false;
}

/* The server's alert before it said anything: what it minds is our certificate, or that there is none. With TLS 1.3 it
 * comes when the handshake is over for us, and GnuTLS names an alert only in the handshake. */
static bool
minds_certificate(CURLcode code, const char *error_text)
{
	static const char *const later[] = { "alert" };
	static const char *const reasons[] = { "certificate", "CA is unknown", "unknown ca", "Access was denied",
		"access denied", "Handshake failed", "handshake failure" };

	if (code == CURLE_RECV_ERROR)
		return holds_one(error_text, later, sizeof(later) / sizeof(later[0]));
	return code == CURLE_SSL_CONNECT_ERROR && holds_one(error_text, reasons, sizeof(reasons) / sizeof(reasons[0]));
}

const char *
wire_client_doubt(const struct wire *w)
{
	return w->cert_file == NULL ? "it may want a client certificate" : "it may not accept our client certificate";
}

bool
wire_hung_up(const struct wire *w, CURLcode code, const char *error_text)
{
	/* Our side writes on in the handshake, and may not come to read why the other has ended it. */
	static const char *const written[] = { "Send failure", "push function" };
	static const char *const read[] = { "Recv failure", "pull function", "terminated" };

	if (code == CURLE_SSL_CONNECT_ERROR)
		return holds_one(error_text, written, sizeof(written) / sizeof(written[0])) ||
		       (w->cert_file != NULL && holds_one(error_text, read, sizeof(read) / sizeof(read[0])));
	return code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR || code == CURLE_GOT_NOTHING;
}

enum mh_status
wire_error(
    const struct wire *w, CURLcode code, bool answered, const char *error_text, const char *host, struct mh_err *err)
{
	char who[80], why[200];
	bool lasting = false, detail = false; /* detail: libcurl's own text holds names and reasons only */

	switch ((int)code) { /* CURLcode has a hundred values; what is not named here may pass */
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
		lasting = detail = true;
		break;
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_URL_MALFORMAT:
	case CURLE_NOT_BUILT_IN:
	case CURLE_USE_SSL_FAILED:
	case CURLE_BAD_FUNCTION_ARGUMENT:
	case CURLE_UNKNOWN_OPTION:
		lasting = true;
		break;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_CONNECT:
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_SSL_CONNECT_ERROR:
		detail = true;
		break;
	default:
		break;
	}
	const bool minds = !answered && minds_certificate(code, error_text);
	if ((!detail && !minds) || error_text[0] == '\0')
		error_text = curl_easy_strerror(code);
	(void)mh_escape(who, sizeof(who), span_of(host));
	(void)mh_escape(why, sizeof(why), span_of(error_text));
	if (minds)
		return mh_fail(err, MH_BAD, "%s: the server ended TLS: %s (%s)", who, wire_client_doubt(w), why);
	return mh_fail(err, lasting ? MH_BAD : MH_RETRY, "%s: %s", who, why);
}
