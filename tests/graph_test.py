#!/usr/bin/env python3
"""Replies by Microsoft Graph, against a stand-in with state."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "servers"))
import action  # noqa: E402
import graph_server  # noqa: E402
import pki  # noqa: E402
import token_server  # noqa: E402

PROGRAM = os.path.join(os.environ["MAILHOOK_BUILD"], "libexec/mailhook/actions/reply")
NOW = "2026-01-04T04:05:06Z"
ENV = {k: v for k, v in os.environ.items() if k.startswith(("ASAN", "UBSAN", "LSAN"))}
SECRET = "gr4ph-s3cret"


class GraphTest(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="mailhook-graph.")
        self.confs = 0
        self.tokens = token_server.TokenServer(now=lambda: 1767499506)  # NOW: an action has no other clock
        self.tokens.secrets["client-1"] = SECRET
        self.graph = graph_server.GraphServer(self.tokens)
        self.token = self.write("token.conf", "grant = client_credentials\ntoken_url = \"%s\"\nclient_id = client-1\n"
                                "scope = \"https://graph.example/.default\"\nclient_secret_file = \"%s\"\ncache_file = \"%s\"\n"
                                % (self.tokens.url, self.write("client", SECRET), os.path.join(self.dir, "token.json")))

    def tearDown(self):
        self.graph.stop()
        self.tokens.stop()
        shutil.rmtree(self.dir)

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, 0o600)
        return path

    def conf(self, **values):
        base = {"transport": "graph", "from": "mailhook@example.com", "graph_url": self.graph.url, "token": self.token,
                "timeout_s": 10}
        base.update(values)
        text = "to = {\"ops@example.com\", \"b@example.com\"}\n"
        text += "".join("%s = %s\n" % (k, json.dumps(v, ensure_ascii=False)) for k, v in base.items() if v is not None)
        self.confs += 1
        return self.write("tell%d.conf" % self.confs, text)

    def outcome(self, name, conf, outcome, words, verb="run", **values):
        r = action.run(PROGRAM, verb, action.request(conf, NOW, **values), env=ENV)
        self.assertIsNotNone(r.last, name + ": no outcome: " + r.stderr)
        self.assertEqual(r.last["outcome"], outcome, "%s: %s" % (name, r.last))
        self.assertIn(words, r.last["summary"], name)
        told = json.dumps(r.lines) + r.stderr
        self.assertNotIn(SECRET, told, name)
        self.assertNotIn("access-", told, name)
        return r

    def test_sent(self):
        conf = self.conf(template=self.write("body", ".\n\u00e4 \u2603\n" + "x" * 2000 + "\n"), subject="\u00dcber \u2603")
        r = self.outcome("sent", conf, "done", "reply sent to ops@example.com, b@example.com")
        self.assertEqual(len(r.checkpoints), 1)
        (mail,) = self.graph.mails
        self.assertEqual(mail.get_body().get_content(), ".\n\u00e4 \u2603\n" + "x" * 2000 + "\n")
        self.assertEqual(mail["Subject"], "\u00dcber \u2603")
        self.assertEqual([a.addr_spec for a in mail["To"].addresses], ["ops@example.com", "b@example.com"])
        self.outcome("again, with the kept token", conf, "done", "reply sent")
        self.assertEqual(len(self.tokens.requests), 1)
        self.assertEqual(len({m["Message-ID"] for m in self.graph.mails}), 1)
        self.assertEqual(self.graph.requests[0][0], "/v1.0/users/mailhook%40example.com/sendMail")

    def test_refusals(self):
        def error(status, code, **headers):
            return status, {"error": {"code": code, "message": "Words of the server.\r\nMore"}}, headers
        rows = (
            ("429", error(429, "ApplicationThrottled", **{"Retry-After": "120"}), "retry", "HTTP 429", 120),
            ("429 with a date", error(429, "x", **{"Retry-After": "Sun, 04 Jan 2026 04:06:06 GMT"}), "retry", "HTTP 429", 60),
            ("429 without", error(429, "ApplicationThrottled"), "retry", "ApplicationThrottled", None),
            ("503", error(503, "ServiceUnavailable"), "retry", "HTTP 503", None),
            ("504 with HTML", (504, b"<html>", {}), "retry", "HTTP 504", None),
            ("400", error(400, "ErrorMimeContentInvalid"), "failed", "Words of the server.", None),
            ("403", error(403, "ErrorAccessDenied"), "failed", "Mail.Send", None),
            ("413", error(413, "ErrorMessageSizeExceeded"), "failed", "too large", None),
            ("a code with control characters", error(400, "x\u001by"), "failed", "x\\x1by", None),
            ("an echo of the token", "echo", "failed", "HTTP 400", None),
            ("a redirect", (302, b"", {"Location": "http://localhost:1/"}), "failed", "HTTP 302", None),
            ("dropped", "drop", "retry", "may have been taken", None),
            ("lost answer", "lost", "retry", "may have been taken", None),
            ("too large an answer", (200, b"x" * 2000000, {}), "failed", "bytes", None),
        )
        conf = self.conf()
        for name, fault, outcome, words, wait_s in rows:
            self.graph.faults = [fault]
            r = self.outcome(name, conf, outcome, words)
            self.assertEqual(r.last.get("retry_after_s"), wait_s, name)
        self.assertEqual(len(self.graph.mails), 1, "the lost answer's")

    def test_refused_by_state(self):
        self.graph.mailboxes["other@example.com"] = "client-2"
        rows = (
            ("no such mailbox", {"graph_mailbox": "none@example.com"}, "no such mailbox"),
            ("another client's mailbox", {"graph_mailbox": "other@example.com"}, "may not send as this mailbox"),
            ("a mailbox that is a path", {"graph_mailbox": "x/../mailhook@example.com"}, "no such mailbox"),
            ("From is not the mailbox", {"from": "else@example.com", "graph_mailbox": "mailhook@example.com"}, "From is not"),
            ("no token configuration", {"token": None}, "token configuration"),
            ("plain HTTP to elsewhere", {"graph_url": "http://192.0.2.1"}, "https only"),
        )
        for name, values, words in rows:
            self.outcome(name, self.conf(**values), "failed", words)
        self.assertEqual(self.graph.mails, [])

    def test_revoked_token(self):
        conf = self.conf()
        self.outcome("first", conf, "done", "reply sent")
        self.tokens.issued.clear()
        self.outcome("a revoked token is asked for anew", conf, "done", "reply sent")
        self.assertEqual(len(self.tokens.requests), 2)
        self.tokens.consent = False
        self.tokens.issued.clear()
        self.outcome("and refused", conf, "failed", "consent is missing")
        self.tokens.consent = True
        unknown = {"error": {"code": "InvalidAuthenticationToken", "message": "x"}}
        self.graph.faults = [(401, unknown, {}), (401, unknown, {})]
        self.outcome("401 with a fresh token too", conf, "failed", "the access token is not for Graph")

    def test_check(self):
        self.outcome("offline", self.conf(), "done", "replies can be sent", verb="check")
        self.assertEqual(self.tokens.requests, [])
        self.outcome("online", self.conf(), "done", "replies can be sent", verb="check", online=True)
        self.tokens.consent = False
        os.unlink(os.path.join(self.dir, "token.json"))
        self.outcome("online, no consent", self.conf(), "failed", "consent is missing", verb="check", online=True)
        self.write("client", "wrong")
        self.outcome("online, wrong secret", self.conf(), "failed", "client secret is wrong", verb="check", online=True)
        self.assertEqual(self.graph.requests, [])

    def test_tells_when_its_certificates_end(self):
        """By check and by run: what the client proves itself by, to TLS and to the token server."""
        pki.make(self.dir)
        path = lambda name: os.path.join(self.dir, name)  # noqa: E731
        end = subprocess.run(["openssl", "x509", "-in", path("client.pem"), "-noout", "-enddate", "-dateopt", "iso_8601"],
                             capture_output=True, text=True, check=True).stdout.strip()[len("notAfter="):].replace(" ", "T")
        token = self.write("proof.conf", "grant = client_credentials\ntoken_url = \"%s\"\nclient_id = client-1\n"
                           "certificate_file = \"%s\"\nkey_file = \"%s\"\ncache_file = \"\"\n"
                           % (self.tokens.url, path("client.pem"), path("client.key")))
        both = [("TLS client certificate", end), ("token client certificate", end)]
        rows = (
            ("none", {}, []),
            ("both", {"token": token, "cert_file": path("client.pem"), "key_file": path("client.key")}, both),
            ("of the token", {"token": token}, both[1:]),
            ("no certificate in the file", {"cert_file": path("client"), "key_file": path("client.key")}, []),
        )
        for name, values, wanted in rows:
            for verb in ("check", "run"):
                r = action.run(PROGRAM, verb, action.request(self.conf(**values), NOW), env=ENV)
                self.assertIsNotNone(r.last, name + ": no outcome: " + r.stderr)
                told = [(x["credential"]["name"], x["credential"]["expires"]) for x in r.lines if "credential" in x]
                self.assertEqual(told, wanted, "%s, by %s" % (name, verb))

    def test_no_effect_without_the_lease(self):
        r = action.run(PROGRAM, "run", action.request(self.conf(), NOW), lease=lambda: False, env=ENV)
        self.assertEqual(r.last["outcome"], "retry")
        self.assertEqual((self.graph.requests, self.tokens.requests), ([], []))


if __name__ == "__main__":
    unittest.main()
