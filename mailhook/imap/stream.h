/* stream.h: a connection to an IMAP server as libetpan's mailstream: TLS by OpenSSL with the server's name proven, poll()
 * for every wait, one deadline for a whole command, the end of the stream an error, and every answer through the screen.
 *
 * libetpan's own streams verify no certificate, wait by select(), count the deadline anew with each byte, and turn for
 * ever where a server ends inside a literal.
 */
#ifndef MAILHOOK_IMAP_STREAM_H
#define MAILHOOK_IMAP_STREAM_H

#include <libetpan/libetpan.h>
#include <openssl/ssl.h>

#include "mailhook/imap/screen.h"

/* Who is trusted: the authorities in a PEM file, or, where it is NULL, the system's. TLS 1.2 at least.
 *   errors  MH_BAD the file cannot be read or holds no certificate; MH_RETRY no memory */
enum mh_status stream_trust(const char *ca_file, SSL_CTX **ret, struct mh_err *err);

struct stream;

/* Connects, with a deadline of its own for the whole. Without TLS so far.
 *   errors  MH_RETRY: in words for a person */
enum mh_status stream_open(
    const char *host, const char *port, int deadline_ms, struct stream **ret, struct mh_err *err);
/* A stream over a socket that is connected, which it owns from now on; for the tests. */
enum mh_status stream_over(int fd, struct stream **ret, struct mh_err *err);
void stream_free(struct stream *s);

/* What libetpan reads and writes. It stays ours: mailstream_close and mailimap_logout must not be called. */
mailstream *stream_mail(struct stream *s);
struct screen *stream_screen(struct stream *s);

/* Begins a command: its limits, and how long it may take from now on to its end. */
void stream_begin(struct stream *s, const struct screen_limits *limits, int deadline_ms);
/* TLS from here on, with host in the certificate.
 *   errors  MH_BAD the certificate does not prove the host, words say why; or there are bytes that came before TLS did,
 *           which somebody between put in. MH_RETRY the network */
enum mh_status stream_start_tls(struct stream *s, SSL_CTX *trust, const char *host, struct mh_err *err);
bool stream_is_tls(const struct stream *s);
/* Why the last read or write failed; MH_OK: none did. */
enum mh_status stream_failure(const struct stream *s, struct mh_err *err);

/* Waits until the server tells of new messages, or ms have passed. Nothing of what comes is lost to libetpan.
 *   out     ret_news: an EXISTS came
 *   errors  as screen_feed; MH_RETRY the connection is gone */
enum mh_status stream_wait(struct stream *s, int ms, bool *ret_news, struct mh_err *err);

#endif
