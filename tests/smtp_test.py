#!/usr/bin/env python3
"""Replies by SMTP: real Postfix as submission server, with Dovecot's SASL and a token server behind it."""
import base64
import email
import email.policy
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "servers"))
import action  # noqa: E402
import dovecot  # noqa: E402
import pki  # noqa: E402
import postfix  # noqa: E402
import token_server  # noqa: E402

PROGRAM = os.path.join(os.environ["MAILHOOK_BUILD"], "libexec/mailhook/actions/reply")
BOXES = ["ops@example.com", "second@example.com", "third@example.com"]
PASSWORD = "pa ss=word\u00e9"
NOW = "2026-01-04T04:05:06Z"
SEND = os.path.join(os.environ["MAILHOOK_BUILD"], "tests/smtp-send")
ENV = {k: v for k, v in os.environ.items() if k.startswith(("ASAN", "UBSAN", "LSAN"))}


class Scripted:
    """An SMTP server of one session after the other that says what it is told to: for faults that Postfix has not."""

    def __init__(self, answers, tls=None, implicit=False, cuts=0):
        """answers: command: reply; "<": the greeting, ".": the answer to the mail; None: hangs up; "": says nothing.
        tls: a context, by STARTTLS or at once. cuts: so many sessions end when TLS has begun."""
        self.answers, self.heard, self.mails = answers, [], []
        self.tls, self.implicit, self.cuts, self.sessions = tls, implicit, cuts, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            self.sessions += 1
            try:
                conn = self.secure(conn) if self.implicit else conn
                self.session(conn, conn.makefile("rb"))
            except OSError:
                pass
            conn.close()

    def secure(self, conn):
        conn = self.tls.wrap_socket(conn, server_side=True)
        self.cuts -= 1
        if self.cuts >= 0:
            conn.close()
            raise OSError("cut")
        return conn

    def say(self, conn, key, default):
        text = self.answers.get(key, default)
        if text:
            conn.sendall(text.replace("\n", "\r\n").encode("latin-1") + b"\r\n")
        return text

    def session(self, conn, lines, greeting=True):
        conn.settimeout(30)
        if greeting and self.say(conn, "<", "220 scripted") is None:
            return
        for line in lines:
            verb = line.split(b" ")[0].strip().upper().decode("latin-1")
            self.heard.append(line.decode("latin-1").rstrip("\r\n"))
            defaults = {"EHLO": "250-scripted\n250 SIZE 1000000", "DATA": "354 go on", "QUIT": "221 bye"}
            if self.tls and not isinstance(conn, ssl.SSLSocket):
                defaults.update({"EHLO": "250-scripted\n250 STARTTLS", "STARTTLS": "220 go on"})
            if self.say(conn, verb, defaults.get(verb, "250 2.0.0 ok")) is None or verb == "QUIT":
                return
            if verb == "STARTTLS":
                conn = self.secure(conn)
                self.session(conn, conn.makefile("rb"), greeting=False)
                return
            if verb == "DATA" and self.answers.get("DATA", "354").startswith("354"):
                text = b""
                for part in lines:
                    if part == b".\r\n":
                        break
                    text += part
                self.mails.append(text)
                if self.say(conn, ".", "250 2.0.0 taken") is None:
                    return

    def stop(self):
        self.listener.close()


@unittest.skipUnless(postfix.available() and dovecot.available(), "needs root, Postfix and Dovecot")
class SmtpTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="mailhook-smtp.")
        os.chmod(cls.dir, 0o755)
        cls.postfix = cls.dovecot = cls.tokens = None
        try:
            cls.start()
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def start(cls):
        cls.pki = os.path.join(cls.dir, "pki")
        os.mkdir(cls.pki)
        pki.make(cls.pki)
        cls.tokens = token_server.TokenServer()
        cls.tokens.secrets["client-1"] = "s3cret"
        cls.tokens.users["client-1"] = "ops@example.com"
        cls.dovecot = dovecot.Dovecot(cls.dir, {"ops@example.com": PASSWORD}, pki=cls.pki,
                                      mechanisms="plain login xoauth2", oauth=cls.tokens.base + "/introspect").start()
        auth = {"smtpd_sasl_auth_enable": "yes", "smtpd_recipient_restrictions":
                "check_recipient_access texthash:%s/postfix/access, permit_sasl_authenticated, reject" % cls.dir,
                "smtpd_end_of_data_restrictions": "check_sender_access texthash:%s/postfix/end" % cls.dir,
                "smtpd_sender_restrictions": "check_sender_access texthash:%s/postfix/senders" % cls.dir}
        tls = dict(auth, smtpd_tls_security_level="encrypt", smtpd_tls_auth_only="yes")

        def cert(name):
            return {"smtpd_tls_cert_file": "%s/%s.pem" % (cls.pki, name), "smtpd_tls_key_file": "%s/%s.key" % (cls.pki, name)}
        cls.postfix = postfix.Postfix(
            cls.dir, {"submission": tls, "submissions": dict(tls, smtpd_tls_wrappermode="yes"),
                      "wrong": dict(tls, **cert("wrong")), "unknown": dict(tls, **cert("unknown")),
                      "expired": dict(tls, **cert("expired")), "plain": {},
                      "nologin": {"smtpd_tls_security_level": "encrypt"},
                      "client": dict(tls, smtpd_tls_req_ccert="yes", smtpd_tls_CAfile=cls.pki + "/ca.pem")},
            main=dict(cert("server"), smtpd_sasl_type="dovecot", smtpd_sasl_path=cls.dovecot.auth_socket,
                      message_size_limit="20000", virtual_mailbox_limit="0"),
            mailboxes=BOXES)
        cls.postfix.table("access", [("later@example.com", "451 4.7.1 greylisted, come back"),
                                     ("never@example.com", "550 5.1.1 no such user here"),
                                     ("odd@example.com", "550 5.7.1 \x1b[2J$(id) \xe9 <b>odd</b>")])
        cls.postfix.table("end", [("end-later@example.com", "452 4.3.1 disk is full"),
                                  ("end-never@example.com", "554 5.7.1 looks like spam")])
        cls.postfix.table("senders", [("bad@example.com", "553 5.7.1 not your address"),
                                      ("slow@example.com", "450 4.7.1 too many mails")])
        cls.postfix.start()

    @classmethod
    def tearDownClass(cls):
        for server in (cls.postfix, cls.dovecot, cls.tokens):
            if server is not None:
                server.stop()
        shutil.rmtree(cls.dir)

    def setUp(self):
        self.tmp = tempfile.mkdtemp(prefix="mailhook-smtp-conf.")
        self.scripted, self.confs = [], 0
        for box in BOXES:
            self.postfix.empty(box)
        self.tokens.faults, self.tokens.requests = [], []

    def tearDown(self):
        for s in self.scripted:
            s.stop()
        shutil.rmtree(self.tmp)

    # -- a configuration and a run of the action

    def write(self, name, text, mode=0o600):
        path = os.path.join(self.tmp, name)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def conf(self, service="submission", **values):
        base = {"transport": "smtp", "from": "mailhook@example.com", "to": ["ops@example.com"], "smtp_host": "localhost",
                "smtp_port": service if isinstance(service, int) else self.postfix.port[service],
                "ca_file": self.pki + "/ca.pem", "smtp_auth": "plain", "smtp_user": "ops@example.com", "timeout_s": 20,
                "password_file": self.write("password", PASSWORD + "\n")}
        base.update(values)
        lines = []
        for key, value in base.items():
            if isinstance(value, list):
                value = "{%s}" % ", ".join(json.dumps(v) for v in value)
            elif isinstance(value, bool):
                value = "true" if value else "false"
            elif isinstance(value, str):
                value = json.dumps(value, ensure_ascii=False)
            if value is not None:
                lines.append("%s = %s\n" % (key, value))
        self.confs += 1
        return self.write("tell%d.conf" % self.confs, "".join(lines))

    def no_auth(self, port, **values):
        return self.conf(port, **dict({"smtp_auth": None, "smtp_user": None, "password_file": None, "smtp_tls": "none",
                                       "timeout_s": 3}, **values))

    def server(self, **answers):
        s = Scripted({{"greeting": "<", "end": "."}.get(k, k): v for k, v in answers.items()})
        self.scripted.append(s)
        return s

    def run_action(self, conf, verb="run", **kind):
        values = kind.pop("values", {})
        r = action.run(PROGRAM, verb, action.request(conf, NOW, **values), env=ENV, **kind)
        self.assertNotIn(PASSWORD, json.dumps(r.lines, ensure_ascii=False) + r.stderr)
        self.assertNotIn("s3cret", json.dumps(r.lines) + r.stderr)
        self.assertIsNotNone(r.last, "no outcome: " + r.stderr)
        return r

    def outcome(self, name, conf, outcome, words, **kind):
        with self.subTest(name):
            r = self.run_action(conf, **kind)
            self.assertEqual(r.last["outcome"], outcome, r.last)
            self.assertIn(words, r.last["summary"])
            return r
        return None

    def mails(self, box="ops@example.com"):
        return [email.message_from_bytes(m, policy=email.policy.default) for m in self.postfix.mails(box)]

    # -- the ways in

    def test_ways_in(self):
        token = self.write("token.conf", "grant = client_credentials\ntoken_url = \"%s\"\nclient_id = client-1\n"
                           "scope = \"https://graph.example/.default\"\nclient_secret_file = \"%s\"\ncache_file = \"%s\"\n"
                           % (self.tokens.url, self.write("client", "s3cret"), os.path.join(self.tmp, "token.json")))
        xoauth2 = {"smtp_auth": "xoauth2", "password_file": None, "token": token}
        client = self.client("client")
        command = ["/bin/cat", self.write("password2", PASSWORD)]
        rows = (
            ("STARTTLS, PLAIN", "submission", {}),
            ("implicit TLS, PLAIN", "submissions", {"smtp_tls": "implicit"}),
            ("LOGIN", "submission", {"smtp_auth": "login"}),
            ("XOAUTH2", "submission", xoauth2),
            ("XOAUTH2, kept token", "submissions", dict(xoauth2, smtp_tls="implicit")),
            ("password from a program", "submission", {"password_file": None, "password_command": command}),
            ("client certificate", "client", client),
            ("plain to loopback", "plain", {"smtp_tls": "none", "smtp_auth": None, "smtp_user": None, "password_file": None}),
            ("own helo name", "submission", {"smtp_helo": "host.example.com"}),
            ("own envelope sender", "submission", {"envelope_from": "mailhook@example.com"}),
        )
        for n, (name, service, values) in enumerate(rows, 1):
            self.outcome(name, self.conf(service, **values), "done", "reply sent to ops@example.com")
            self.assertEqual(len(self.mails()), n, name + "\n" + self.postfix.words()[-2000:])
        senders = {m["Return-Path"] for m in self.mails()}
        self.assertEqual(senders, {"<>", "<mailhook@example.com>"})
        self.assertTrue(any("host.example.com" in m["Received"] for m in self.mails()))
        self.assertEqual(len(self.tokens.requests), 1)
        for name, service, values in rows:
            self.outcome("check: " + name, self.conf(service, **values), "done", "replies can be sent", verb="check",
                         values={"online": True})

    def test_refused_ways_in(self):
        rows = (
            ("wrong name", "wrong", {}, "failed", "localhost: "),
            ("unknown CA", "unknown", {}, "failed", "localhost: "),
            ("expired certificate", "expired", {}, "failed", "localhost: "),
            ("another CA is configured", "submission", {"ca_file": self.pki + "/other-ca.pem"}, "failed", "localhost: "),
            ("no STARTTLS offered", "plain", {}, "failed", "no STARTTLS offered"),
            ("wrong password", "submission", {"password_file": self.write("p2", "wrong")}, "failed", "login refused: 535"),
            ("wrong user", "submission", {"smtp_user": "nobody@example.com"}, "failed", "login refused: 535"),
            ("the password's file is open", "submission", {"password_file": self.write("p3", "x", 0o644)}, "failed",
             "others can read"),
            ("no such password", "submission", {"password_file": self.tmp + "/none"}, "failed", "No such file"),
            ("implicit TLS where there is none", "plain", {"smtp_tls": "implicit"}, "retry", "localhost: "),
            ("STARTTLS where TLS is implicit", "submissions", {"timeout_s": 2}, "retry", "localhost: "),
            ("nobody listens", 1, {}, "retry", "localhost: "),
            ("plain to elsewhere", 25, {"smtp_host": "192.0.2.1", "smtp_tls": "none"}, "failed", "only to loopback"),
            ("a host that is none", 25, {"smtp_host": "localhost/x y"}, "failed", "not a host"),
            ("a helo name with a line end", 25, {"smtp_helo": "x\r\nMAIL FROM:<>"}, "failed", "not a helo name"),
            ("auth without user", "submission", {"smtp_user": None}, "failed", "needs a user"),
            ("a token with PLAIN", "submission", {"password_file": None, "token": "/x"}, "failed", "xoauth2"),
            ("client certificate missing", "client", {}, "failed", "421 4.7.1 mx.example.com Error: No client certificate"),
            ("client certificate of another CA", "client", self.client("unknown"), "failed", "Client certificate not trusted"),
            ("client certificate that has ended", "client", self.client("expired"), "failed", "Client certificate not trusted"),
        )
        for name, service, values, outcome, words in rows:
            self.outcome(name, self.conf(service, **values), outcome, words)
        self.assertEqual(self.mails(), [])

    def client(self, name):
        return {"cert_file": "%s/%s.pem" % (self.pki, name), "key_file": "%s/%s.key" % (self.pki, name)}

    def tls_server(self, version=ssl.TLSVersion.TLSv1_3, need=ssl.CERT_REQUIRED, **kind):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.maximum_version, context.verify_mode = version, need
        context.load_cert_chain(self.pki + "/server.pem", self.pki + "/server.key")
        context.load_verify_locations(self.pki + "/ca.pem")
        s = Scripted({}, tls=context, **kind)
        self.scripted.append(s)
        return s

    def test_client_certificate_refused_in_tls(self):
        """By an alert, that may or may not arrive: with TLS 1.3 after the handshake, with 1.2 while our side still writes."""
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            for implicit in (False, True):
                kind = {"smtp_tls": "implicit" if implicit else "starttls"}
                for name, values, outcome, words in (
                        ("none", {}, "failed", "it may want a client certificate"),
                        ("of another CA", self.client("unknown"), "failed", "it may not accept our client certificate"),
                        ("one that has ended", self.client("expired"), "failed", "it may not accept our client certificate"),
                        ("the right one", self.client("client"), "done", "reply sent")):
                    s = self.tls_server(version, implicit=implicit)
                    self.outcome("%s, %s, implicit: %s" % (name, version.name, implicit),
                                 self.no_auth(s.port, **kind, **values), outcome, words)
                    self.assertEqual(len(s.mails), outcome == "done")

    def test_line_that_breaks(self):
        """No certificate is wanted. Once is chance, twice is not; what is begun anew is not sent twice."""
        for implicit in (False, True):
            for cuts, outcome, sessions in ((0, "done", 1), (1, "done", 2), (2, "failed", 2)):
                s = self.tls_server(need=ssl.CERT_NONE, implicit=implicit, cuts=cuts)
                self.outcome("%d cuts" % cuts, self.no_auth(s.port, smtp_tls="implicit" if implicit else "starttls"), outcome,
                             "reply sent" if outcome == "done" else "the server ended TLS")
                self.assertEqual((len(s.mails), s.sessions), (outcome == "done", sessions))

    def test_token_refused(self):
        token = self.write("token.conf", "grant = client_credentials\ntoken_url = \"%s\"\nclient_id = client-1\n"
                           "scope = \"https://graph.example/.default\"\nclient_secret_file = \"%s\"\ncache_file = \"%s\"\n"
                           % (self.tokens.url, self.write("client", "s3cret"), os.path.join(self.tmp, "token.json")))
        conf = self.conf(smtp_auth="xoauth2", password_file=None, token=token)
        self.outcome("first", conf, "done", "reply sent")
        self.tokens.issued.clear()  # revoked before its end
        self.outcome("a revoked token is asked for anew", conf, "done", "reply sent")
        self.assertEqual(len(self.tokens.requests), 2)
        self.tokens.issued.clear()
        self.tokens.users["client-1"] = "someone@example.com"
        try:
            self.outcome("another user's token", conf, "failed", "login refused")
        finally:
            self.tokens.users["client-1"] = "ops@example.com"
        os.unlink(os.path.join(self.tmp, "token.json"))
        self.tokens.faults = [(429, {}, {"Retry-After": "77"})]
        r = self.outcome("the token server is busy", conf, "retry", "HTTP 429")
        self.assertEqual(r.last["retry_after_s"], 77)

    # -- the mail

    def test_text_arrives_as_it_is(self):
        lines = [".", "..", ".dot", "a.", "", "From x", "\u00e4\u00f6\u00fc \u2603", "x" * 3000, ". ." * 30, "end", "."]
        lines += ["." * (n % 5) + "%d" % n for n in range(900)]  # dots beside every edge of libcurl's buffers
        text = "\n".join(lines) + "\n"
        conf = self.conf(template=self.write("body", text), subject="Abl\u00e4uft \u2603 " + "lang " * 30)
        self.outcome("8-bit and dots", conf, "done", "reply sent")
        (mail,) = self.mails()
        self.assertEqual(mail.get_body().get_content().replace("\r\n", "\n"), text)
        self.assertEqual(mail["Subject"], ("Abl\u00e4uft \u2603 " + "lang " * 30).strip())
        self.assertEqual(mail["To"], "ops@example.com")
        self.assertEqual(mail["From"].addresses[0].addr_spec, "mailhook@example.com")
        raw = self.postfix.mails("ops@example.com")[0]
        self.assertEqual(raw, raw.decode("ascii").encode(), "7-bit")
        self.assertNotIn(b"\r", raw)

    def test_same_message_id_again(self):
        for _ in range(2):
            self.run_action(self.conf())
        self.assertEqual(len({m["Message-ID"] for m in self.mails()}), 1)

    def test_wire(self):
        """What goes over the wire: CRLF at each line's end, dots doubled, the null sender, no parameter but SIZE."""
        s = self.server()
        self.outcome("sent", self.no_auth(s.port, template=self.write("body", "a\n.b\n..\n")), "done", "reply sent")
        mail = s.mails[0]
        self.assertEqual(mail.count(b"\n"), mail.count(b"\r\n"))
        self.assertIn(b"\r\nFrom: ", mail)
        self.assertTrue(any(h.startswith("MAIL FROM:<> SIZE=") for h in s.heard), s.heard)
        self.assertIn("RCPT TO:<ops@example.com>", s.heard)

    def send(self, port, mail, *to):
        return subprocess.run([SEND, str(port), ""] + list(to or ("ops@example.com",)), input=mail, env=ENV, timeout=60,
                              stdout=subprocess.PIPE, check=True).stdout.decode()

    def test_dots(self):
        rows = (
            ("first", b".a\nb\n"), ("alone", b"a\n.\nb\n"), ("alone at the end", b"a\n.\n"), ("nothing but dots", b".\n" * 50),
            ("CRLF", b"a\r\n.\r\nb\r\n"), ("no final line end", b"a\n."), ("empty lines", b"\n\n.\n\n"),
            ("lines at the limit", (b"." * 998 + b"\n") * 20),
            ("beside every edge of a buffer", b"".join(b"x" * (n % 97) + b"\n.\n..\n.x\n" for n in range(2000))),
            ("a server's words", b"a\n250 ok\nQUIT\n"),
        )
        for name, mail in rows:
            with self.subTest(name):
                s = self.server()
                self.assertEqual(self.send(s.port, mail), "0 \n")
                got = s.mails[0]
                self.assertEqual(got.count(b"\n"), got.count(b"\r\n"))
                got = b"".join(line[1:] if line.startswith(b".") else line for line in got.splitlines(True))
                want = mail.replace(b"\r\n", b"\n")
                self.assertEqual(got.replace(b"\r\n", b"\n"), want if want.endswith(b"\n") else want + b"\n")

    def test_dots_by_postfix(self):
        body = b"".join(b"x" * (n % 97) + b"\n.\n..\n.x\n" for n in range(250))
        self.assertEqual(self.send(self.postfix.port["plain"], b"Subject: dots\n\n" + body), "0 \n")
        (mail,) = self.postfix.mails("ops@example.com")
        self.assertEqual(mail.partition(b"\n\n")[2], body)

    def test_what_is_not_sent(self):
        rows = (
            ("8-bit", b"Subject: \xe4\n\n", "not 7-bit"), ("NUL", b"a\0b\n", "not 7-bit"),
            ("a lone CR", b"a\rb\n", "cannot be sent"), ("CR before a dot", b"a\n\r.\n", "cannot be sent"),
            ("a line past the limit", b"x" * 999 + b"\n", "cannot be sent"), ("empty", b"", "0 bytes"),
            ("far too large", b"x\n" * (6 << 20), "12582912 bytes"),
        )
        for name, mail, words in rows:
            with self.subTest(name):
                s = self.server()
                said = self.send(s.port, mail)
                self.assertTrue(said.startswith("2 "), said)
                self.assertIn(words, said)
                self.assertEqual(s.heard, [])

    # -- recipients

    def test_recipients(self):
        ok, later, never = "ops@example.com", "later@example.com", "never@example.com"
        rows = (
            ("two", [ok, "second@example.com"], "done", "reply sent to", ""),
            ("one refused for good", [never, ok], "done", "refused: never@example.com: 550 5.1.1", "no such user here"),
            ("one refused for now", [ok, later], "done", "refused: later@example.com: 451 4.7.1", "greylisted"),
            ("two refused", [later, never, ok], "done", "later@example.com: 451 4.7.1", "never@example.com: 550 5.1.1"),
            ("all refused for good", [never], "failed", "recipient refused: 550 5.1.1", "no such user here"),
            ("all refused for now", [later], "retry", "recipient refused: 451 4.7.1", "greylisted"),
            ("all refused, one for now", [later, never], "retry", "recipient refused: 451 4.7.1", ""),
            ("a strange answer", ["odd@example.com"], "failed", "550 5.7.1", "$(id)"),
        )
        for name, to, outcome, words, more in rows:
            r = self.outcome(name, self.conf(to=to), outcome, words)
            self.assertIn(more, r.last["summary"], name)
            self.assertFalse(set(r.last["summary"]) & set(map(chr, range(32))), name)
        self.assertEqual((len(self.mails()), len(self.mails("second@example.com"))), (4, 1))

    def test_recipients_that_smuggle(self):
        """Neither a configuration nor a mail can add a parameter, a command or a recipient."""
        for to in ("ops@example.com> NOTIFY=SUCCESS", "<ops@example.com> NOTIFY=SUCCESS", "ops@example.com\r\nRCPT TO:<x@y>",
                   "ops@example.com,x@example.com", "\"a b\"@example.com", "ops", "@example.com", "ops@", "-f@example.com"):
            s = self.server()
            with self.subTest(to):
                r = self.run_action(self.no_auth(s.port, to=[to]))
                self.assertEqual(r.last["outcome"], "failed", r.last)
                self.assertEqual(s.heard, [])

    def test_many_recipients(self):
        s = self.server()
        fifty = ["user%d@example.com" % n for n in range(50)]
        self.outcome("50", self.no_auth(s.port, to=fifty), "done", "reply sent")
        self.assertEqual(sum(h.startswith("RCPT") for h in s.heard), 50)
        patch = {"case": dict(action.CASE, owner="pay@example.com"),
                 "message": {"id": "<m1@example.com>", "envelope_from": "ann@example.com", "reply_to": "ann@example.com"}}
        self.outcome("the sender and the owner besides", self.no_auth(s.port, to=fifty, to_owner=True), "done", "reply sent",
                     values=patch)
        self.assertEqual(sum(h.startswith("RCPT") for h in s.heard), 102)
        heard = len(s.heard)
        for n in (51, 3000):
            r = self.run_action(self.no_auth(s.port, to=["user%d@example.com" % i for i in range(n)]))
            self.assertEqual(r.last["outcome"], "failed", n)
        self.assertEqual(len(s.heard), heard)

    # -- answers

    def test_postfix_refuses(self):
        big = self.write("body", "x" * 60 + "\n" + ("y" * 60 + "\n") * 500)
        rows = (
            ("sender refused for good", {"envelope_from": "bad@example.com"}, "failed", "refused: 553 5.7.1 <bad@exa"),
            ("sender refused for now", {"envelope_from": "slow@example.com"}, "retry", "refused: 450 4.7.1"),
            ("mail refused for now", {"envelope_from": "end-later@example.com"}, "retry", "mail refused: 452 4.3.1"),
            ("mail refused for good", {"envelope_from": "end-never@example.com"}, "failed", "mail refused: 554 5.7.1"),
            ("too large", {"template": big}, "failed", "sender refused: 552 5.3.4"),
            ("an envelope sender that smuggles", {"envelope_from": "a@example.com> SIZE=1"}, "failed", "to send from"),
        )
        for name, values, outcome, words in rows:
            self.outcome(name, self.conf(**values), outcome, words)
        self.outcome("login needed and not configured", self.conf(
            smtp_auth=None, smtp_user=None, password_file=None), "failed", "recipient refused: 554")
        self.outcome("no login offered", self.conf("nologin"), "failed", "AUTH plain")
        self.assertEqual(self.mails(), [])

    def test_scripted_faults(self):
        rows = (
            ("busy", {"greeting": "421 4.3.2 too busy"}, "retry", "421 4.3.2 too busy", 0),
            ("closed for us", {"greeting": "554 5.7.1 go away"}, "failed", "554 5.7.1 go away", 0),
            ("no greeting", {"greeting": None}, "retry", "localhost: ", 0),
            ("silent", {"greeting": ""}, "retry", "localhost: ", 0),
            ("hello refused", {"EHLO": "502 no", "HELO": "550 not you"}, "failed", "hello refused: 550 not you", 0),
            ("several lines, the first says most", {"MAIL": "550-5.7.8 the reason\n550 5.7.8 see a web page"}, "failed",
             "550-5.7.8 the reason", 0),
            ("DATA refused", {"DATA": "451 4.3.0 not now"}, "retry", "DATA refused: 451 4.3.0", 0),
            ("DATA refused for good", {"DATA": "554 5.5.1 no"}, "failed", "DATA refused: 554", 0),
            ("hangs up at the recipient", {"RCPT": None}, "retry", "localhost: ", 0),
            ("the answer to the mail is lost", {"end": None}, "retry", "may have been taken", 1),
            ("the answer to the mail is late", {"end": ""}, "retry", "may have been taken", 1),
            ("an answer that is none", {"MAIL": "hello"}, "retry", "localhost: ", 0),
            ("control characters", {"MAIL": "550 a\x00b\x1b[31m\xe9"}, "failed", "a\\x00b\\x1b[31m\\xe9", 0),
            ("far too long a line", {"MAIL": "550 " + "z" * 60000}, "failed", "zzz...", 0),
            ("endless lines", {"MAIL": "250-x\n" * 200000 + "250 x"}, "retry", "localhost: ", 0),
        )
        for name, answers, outcome, words, mails in rows:
            s = self.server(**answers)
            r = self.outcome(name, self.no_auth(s.port), outcome, words)
            self.assertLess(len(r.last["summary"]), 400, name)
            self.assertEqual(len(s.mails), mails, name)

    def test_servers_that_give_the_login_back(self):
        """Mail servers quote what they do not understand."""
        login = base64.b64encode(("\0ops@example.com\0" + PASSWORD).encode()).decode()
        alone = base64.b64encode(PASSWORD.encode()).decode()
        for said in (login, alone, PASSWORD.encode().decode("latin-1")):
            s = self.server(EHLO="250-scripted\n250 AUTH PLAIN LOGIN", AUTH="535 5.7.8 not known: " + said + " <- that")
            r = self.outcome(said, self.conf(s.port, smtp_tls="none", timeout_s=5), "failed", "login refused: 535 with words")
            told = json.dumps(r.lines, ensure_ascii=False) + r.stderr
            for part in (login[:12], alone[:12], PASSWORD[:5]):
                self.assertNotIn(part, told)

    def test_no_effect_without_the_lease(self):
        s = self.server()
        r = self.run_action(self.no_auth(s.port), lease=lambda: False)
        self.assertEqual((r.last["outcome"], s.heard), ("retry", []))
        self.assertEqual(len(r.checkpoints), 1)

    def test_describe_and_check_have_no_effect(self):
        s = self.server()
        self.run_action(self.no_auth(s.port), verb="describe")
        self.run_action(self.no_auth(s.port), verb="check")
        self.assertEqual(s.heard, [])
        r = self.run_action(self.no_auth(s.port), verb="check", values={"online": True})
        self.assertEqual(r.last["outcome"], "done", r.last)
        self.assertEqual([h.split(" ")[0] for h in s.heard], ["EHLO", "NOOP", "QUIT"])
        rows = (
            ("wrong password", self.conf(password_file=self.write("p2", "wrong")), "login refused: 535"),
            ("unknown CA", self.conf("unknown"), "localhost: "),
        )
        for name, conf, words in rows:
            self.outcome("check: " + name, conf, "failed", words, verb="check", values={"online": True})
        self.assertEqual(self.mails(), [])

    def test_configuration(self):
        rows = (
            ("no such TLS", {"smtp_tls": "maybe"}, "smtp_tls must be"),
            ("no such login", {"smtp_auth": "cram-md5"}, "smtp_auth must be"),
            ("a port that is none", {"smtp_port": 70000}, "smtp_port must be"),
            ("a time that is none", {"timeout_s": 0}, "timeout_s must be"),
            ("a relative CA file", {"ca_file": "ca.pem"}, "absolute path"),
            ("a relative program", {"password_command": ["cat"]}, "whole path"),
            ("half a client certificate", {"key_file": self.pki + "/client.key"}, "needs its key"),
        )
        for name, values, words in rows:
            self.outcome(name, self.conf(**values), "failed", words)

    def test_deadline(self):
        s = self.server(EHLO="")
        start = time.monotonic()
        r = self.run_action(self.no_auth(s.port, timeout_s=60), values={"deadline": "2026-01-04T04:05:10Z"})
        self.assertEqual(r.last["outcome"], "retry")
        self.assertLess(time.monotonic() - start, 4, "it answers before it is killed")


if __name__ == "__main__":
    unittest.main()
