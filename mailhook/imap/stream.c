/* stream.c: see stream.h. */
#include "mailhook/imap/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mailhook/clock.h"

#define READ_BYTES (16u << 10)
#define ETPAN_BUFFER_BYTES 4096 /* libetpan's own, once for reading and once for writing */
#define KEEPALIVE_S 120         /* a firewall that forgets connections does so after some minutes */

struct stream {
	int fd;   /* own */
	SSL *ssl; /* own; NULL: plain */
	mailstream *mail;
	struct screen screen;
	int64_t end_ms; /* of the command in progress, monotonic */
	struct mh_err failure;
};

/* -- trust -------------------------------------------------------------------------------------------------------- */

static void
drop_ctx(SSL_CTX **c)
{
	SSL_CTX_free(*c);
}

enum mh_status
stream_trust(const char *ca_file, SSL_CTX **ret, struct mh_err *err)
{
	MH_AUTO(drop_ctx) SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1) {
		ERR_clear_error();
		return mh_fail(err, MH_RETRY, "no memory for TLS");
	}
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	/* RELEASE_BUFFERS: an idle connection is some 30 kB less */
	(void)SSL_CTX_set_mode(
	    ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	(void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	const int found =
	    ca_file == NULL ? SSL_CTX_set_default_verify_paths(ctx) : SSL_CTX_load_verify_file(ctx, ca_file);
	ERR_clear_error();
	if (found != 1)
		return mh_fail(err, MH_BAD, "%s: no certificate of an authority can be read from it",
		    ca_file == NULL ? "the system's store" : ca_file);
	*ret = ctx;
	ctx = NULL;
	return MH_OK;
}

/* -- waiting ------------------------------------------------------------------------------------------------------ */

static enum mh_status fail(struct stream *s, enum mh_status code, const char *fmt, ...) MH_PRINTF(3, 4);

/* The first failure counts: what follows is mostly its echo. */
static enum mh_status
fail(struct stream *s, enum mh_status code, const char *fmt, ...)
{
	char words[160];
	va_list ap;

	if (s->failure.code != MH_OK)
		return s->failure.code;
	va_start(ap, fmt);
	(void)vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	return mh_fail(&s->failure, code, "%s", words);
}

/* False: the deadline is over, which is noted. */
static bool
wait_for(struct stream *s, short events)
{
	struct pollfd p = { .fd = s->fd, .events = events };
	int n;

	do {
		const int64_t left = s->end_ms - clock_monotonic_ms();
		n = left <= 0 ? 0 : poll(&p, 1, left > INT32_MAX ? INT32_MAX : (int)left);
	} while (n < 0 && errno == EINTR);
	if (n > 0)
		return true;
	(void)fail(s, MH_RETRY, "the server did not answer in time");
	return false;
}

/* What TLS waits for. False: it has failed, which is noted. */
static bool
tls_wants(struct stream *s, int result, short *ret_events)
{
	const int why = SSL_get_error(s->ssl, result);

	*ret_events = why == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN;
	if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
		return true;
	ERR_clear_error();
	(void)fail(
	    s, MH_RETRY, why == SSL_ERROR_SSL ? "the server breaks TLS" : "the server has closed the connection");
	return false;
}

/* -- bytes -------------------------------------------------------------------------------------------------------- */

/* Bytes of the server that are there; 0: none now, and *ret_events says what to wait for; -1: it has failed. */
static ssize_t
read_now(struct stream *s, char *dst, size_t n, short *ret_events)
{
	*ret_events = POLLIN;
	if (s->ssl != NULL) {
		ERR_clear_error();
		const int result = SSL_read(s->ssl, dst, (int)n);
		return result > 0 ? result : tls_wants(s, result, ret_events) ? 0 : -1;
	}
	ssize_t got;
	do
		got = recv(s->fd, dst, n, 0);
	while (got < 0 && errno == EINTR);
	if (got > 0)
		return got;
	if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	(void)fail(s, MH_RETRY, "the server has closed the connection");
	return -1;
}

/* Whether those n bytes of the server pass the screen. */
static bool
feed(struct stream *s, const char *bytes, size_t n)
{
	return screen_feed(&s->screen, (struct mh_span){ bytes, n }, &s->failure) == MH_OK;
}

/* Waits for bytes of the server, and gives them to the screen. */
static bool
feed_more(struct stream *s)
{
	char bytes[READ_BYTES];
	short events;
	ssize_t n;

	if (s->failure.code != MH_OK)
		return false;
	do {
		if (clock_monotonic_ms() >= s->end_ms) { /* a server that sends a byte a second is never waited for */
			(void)fail(s, MH_RETRY, "the server did not come to an end in time");
			return false;
		}
		n = read_now(s, bytes, sizeof(bytes), &events);
	} while (n == 0 && wait_for(s, events));
	return n > 0 && feed(s, bytes, (size_t)n);
}

/* -- what libetpan calls ------------------------------------------------------------------------------------------ */

static ssize_t
low_read(mailstream_low *low, void *dst, size_t n)
{
	struct stream *s = low->data;

	for (;;) {
		const size_t got = screen_take(&s->screen, dst, n);
		if (got > 0)
			return (ssize_t)got;
		if (!feed_more(s))
			return -1; /* not 0: libetpan takes that for "again" inside a literal */
	}
}

static ssize_t
low_write(mailstream_low *low, const void *src, size_t n)
{
	struct stream *s = low->data;
	short events = POLLOUT;

	while (s->failure.code == MH_OK) {
		ssize_t put;

		if (s->ssl != NULL) {
			ERR_clear_error();
			const int result = SSL_write(s->ssl, src, n > INT32_MAX ? INT32_MAX : (int)n);
			if (result > 0)
				return result;
			if (!tls_wants(s, result, &events))
				return -1;
		} else {
			put = send(s->fd, src, n, MSG_NOSIGNAL);
			if (put > 0)
				return put;
			if (put < 0 && errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK)
				(void)fail(s, MH_RETRY, "the server has closed the connection");
		}
		if (s->failure.code == MH_OK && !wait_for(s, events))
			return -1;
	}
	return -1;
}

static int
low_close(mailstream_low *low)
{
	(void)low;
	return 0; /* stream_free does it */
}

static int
low_fd(mailstream_low *low)
{
	const struct stream *s = low->data;

	return s->fd;
}

static void
low_free(mailstream_low *low)
{
	free(low); /* libetpan leaves its own struct to the driver */
}

static void
low_cancel(mailstream_low *low)
{
	(void)low;
}

static mailstream_low_driver driver = {
	.mailstream_read = low_read,
	.mailstream_write = low_write,
	.mailstream_close = low_close,
	.mailstream_get_fd = low_fd,
	.mailstream_free = low_free,
	.mailstream_cancel = low_cancel,
};

/* -- opening ------------------------------------------------------------------------------------------------------ */

enum mh_status
stream_over(int fd, struct stream **ret, struct mh_err *err)
{
	struct stream *s = calloc(1, sizeof(*s));
	mailstream_low *low = s == NULL ? NULL : mailstream_low_new(s, &driver);

	if (low != NULL)
		s->mail = mailstream_new(low, ETPAN_BUFFER_BYTES);
	if (low == NULL || s->mail == NULL) {
		if (low != NULL)
			mailstream_low_free(low);
		free(s);
		(void)close(fd);
		return mh_fail(err, MH_RETRY, "no memory for a connection");
	}
	s->fd = fd;
	screen_init(&s->screen);
	*ret = s;
	return MH_OK;
}

/* A socket to one address, or -1 with errno. */
static int
connect_to(const struct addrinfo *a, int64_t end_ms)
{
	const int on = 1, keep_s = KEEPALIVE_S;
	const int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int code = 0;
	socklen_t n = sizeof(code);

	if (fd < 0)
		return -1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &keep_s, sizeof(keep_s));
	if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
		return fd;
	if (errno == EINPROGRESS) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };
		const int64_t left = end_ms - clock_monotonic_ms();

		code = ETIMEDOUT;
		if (left > 0 && poll(&p, 1, left > INT32_MAX ? INT32_MAX : (int)left) > 0)
			(void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &n);
		if (code == 0)
			return fd;
		errno = code;
	}
	code = errno;
	(void)close(fd);
	errno = code;
	return -1;
}

enum mh_status
stream_open(const char *host, const char *port, int deadline_ms, struct stream **ret, struct mh_err *err)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
	const int64_t end_ms = clock_monotonic_ms() + deadline_ms;
	struct addrinfo *list = NULL;
	int fd = -1;

	const int code = getaddrinfo(host, port, &hints, &list);
	if (code != 0)
		return mh_fail(err, MH_RETRY, "%s: %s", host, gai_strerror(code));
	for (const struct addrinfo *a = list; a != NULL && fd < 0; a = a->ai_next)
		fd = connect_to(a, end_ms);
	const int why = errno;
	freeaddrinfo(list);
	errno = why;
	if (fd < 0)
		return mh_fail_errno(err, MH_RETRY, "%s:%s", host, port);
	return stream_over(fd, ret, err);
}

void
stream_free(struct stream *s)
{
	if (s == NULL)
		return;
	(void)mailstream_close(s->mail);
	SSL_free(s->ssl);
	screen_release(&s->screen);
	(void)close(s->fd);
	free(s);
}

mailstream *
stream_mail(struct stream *s)
{
	return s->mail;
}

struct screen *
stream_screen(struct stream *s)
{
	return &s->screen;
}

bool
stream_is_tls(const struct stream *s)
{
	return s->ssl != NULL;
}

void
stream_begin(struct stream *s, const struct screen_limits *limits, int deadline_ms)
{
	screen_begin(&s->screen, limits);
	s->end_ms = clock_monotonic_ms() + deadline_ms;
}

enum mh_status
stream_failure(const struct stream *s, struct mh_err *err)
{
	if (s->failure.code != MH_OK)
		return mh_fail(err, s->failure.code, "%s", s->failure.text);
	return MH_OK;
}

/* -- TLS ---------------------------------------------------------------------------------------------------------- */

static bool
is_address(const char *host)
{
	unsigned char bytes[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* Why a certificate was refused, for the person who can mend it. */
static enum mh_status
refused(struct stream *s, const char *host)
{
	const long why = SSL_get_verify_result(s->ssl);

	switch (why) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return fail(s, MH_BAD, "the server's certificate is for another name than %s", host);
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return fail(s, MH_BAD, "the server's certificate has expired");
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		return fail(s, MH_BAD,
		    "the server's certificate is of an authority that is not trusted here: ca_file can name it");
	default:
		return fail(s, MH_BAD, "the server's certificate is refused: %s", X509_verify_cert_error_string(why));
	}
}

/* Our side of TLS, with the name that the server must prove. */
static bool
prepare_tls(struct stream *s, SSL_CTX *trust, const char *host)
{
	s->ssl = SSL_new(trust);
	if (s->ssl == NULL || SSL_set_fd(s->ssl, s->fd) != 1)
		return false;
	SSL_set_hostflags(s->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (is_address(host))
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(s->ssl), host) == 1;
	return SSL_set1_host(s->ssl, host) == 1 && SSL_set_tlsext_host_name(s->ssl, host) == 1;
}

enum mh_status
stream_start_tls(struct stream *s, SSL_CTX *trust, const char *host, struct mh_err *err)
{
	char extra;
	int result;

	/* What came in plain text behind the server's OK would be believed as if it had come by TLS; a server says
	 * nothing before our hello. */
	if (s->screen.behind || !screen_empty(&s->screen) || s->mail->read_buffer_len > 0 ||
	    recv(s->fd, &extra, 1, MSG_PEEK) > 0)
		(void)fail(s, MH_BAD, "somebody put plain text in front of TLS");
	else if (!prepare_tls(s, trust, host))
		(void)fail(s, MH_RETRY, "no memory for TLS");
	while (s->failure.code == MH_OK && (result = SSL_connect(s->ssl)) != 1) {
		short events;

		if (SSL_get_error(s->ssl, result) == SSL_ERROR_SSL) {
			const char *reason = ERR_reason_error_string(ERR_peek_last_error());

			if (SSL_get_verify_result(s->ssl) != X509_V_OK)
				(void)refused(s, host);
			else
				(void)fail(s, MH_RETRY, "TLS cannot be agreed with the server: %s",
				    reason == NULL ? "it speaks something else" : reason);
		} else if (tls_wants(s, result, &events)) {
			(void)wait_for(s, events);
		}
	}
	ERR_clear_error();
	return stream_failure(s, err);
}

/* -- idling ------------------------------------------------------------------------------------------------------- */

enum mh_status
stream_wait(struct stream *s, int ms, bool *ret_news, struct mh_err *err)
{
	const int64_t until_ms = clock_monotonic_ms() + ms;
	char bytes[READ_BYTES];
	short events = POLLIN;

	*ret_news = false;
	while (s->failure.code == MH_OK) {
		struct pollfd p = { .fd = s->fd, .events = events };
		const int64_t left = until_ms - clock_monotonic_ms();

		if (s->screen.news) {
			s->screen.news = false;
			*ret_news = true;
			return MH_OK;
		}
		/* what TLS has taken from the socket already, poll() does not see */
		if (s->ssl == NULL || SSL_pending(s->ssl) == 0) {
			if (left <= 0)
				return MH_OK;
			if (poll(&p, 1, left > INT32_MAX ? INT32_MAX : (int)left) <= 0)
				continue;
		}
		const ssize_t n = read_now(s, bytes, sizeof(bytes), &events);
		if (n > 0)
			(void)feed(s, bytes, (size_t)n);
	}
	return stream_failure(s, err);
}
