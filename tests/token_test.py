#!/usr/bin/env python3
"""mailhook-token against a stand-in token server: grants, proofs, the kept token, rotation, and refusals in words."""
import email.utils
import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "servers"))
import pki  # noqa: E402
import token_server  # noqa: E402

PROGRAM = os.path.join(os.environ["MAILHOOK_BUILD"], "libexec/mailhook/mailhook-token")
KILLER = os.path.join(os.environ["MAILHOOK_BUILD"], "tests/killer")
SCOPE = "https://graph.example/.default"
SECRET = "s3cret/with+odd=&chars"
EPOCH = int(time.time())  # certificates are made now; from here on time is the test's


class TokenTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.pki = tempfile.mkdtemp(prefix="mailhook-token-pki.")
        pki.make(cls.pki)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.pki)

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="mailhook-token.")
        self.clock = os.path.join(self.dir, "clock")
        self.set_time(0)
        self.server = token_server.TokenServer(now=lambda: self.now)
        self.server.secrets["client-1"] = SECRET
        self.write("secret", SECRET + "\n")

    def tearDown(self):
        self.server.stop()
        shutil.rmtree(self.dir)

    def set_time(self, after_s):
        self.now = EPOCH + after_s
        with open(self.clock + ".new", "w") as f:
            subprocess.run(["date", "-u", "-d", "@%d" % self.now, "+%Y-%m-%dT%H:%M:%SZ"], stdout=f, check=True)
        os.rename(self.clock + ".new", self.clock)

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text, mode=0o600):
        with open(self.path(name), "w") as f:
            f.write(text)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def conf(self, name="t.conf", **values):
        base = {"grant": "client_credentials", "token_url": self.server.url, "client_id": "client-1", "scope": SCOPE,
                "client_secret_file": self.path("secret"), "cache_file": self.path("state.json"), "timeout_s": 2}
        base.update(values)
        lines = ["%s = %s" % (k, v if isinstance(v, int) else v if v.startswith("{") else json.dumps(v))
                 for k, v in base.items() if v is not None]
        return self.write(name, "\n".join(lines) + "\n", 0o644)

    def run_token(self, *args):
        env = {"MAILHOOK_CLOCK_FILE": self.clock, "HTTP_PROXY": "http://127.0.0.1:1", "http_proxy": "http://127.0.0.1:1"}
        env.update({k: v for k, v in os.environ.items() if k.startswith(("ASAN", "UBSAN", "LSAN"))})
        return subprocess.run([PROGRAM] + list(args), env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60)

    def token(self, *args):
        r = self.run_token(*args)
        self.assertEqual((r.returncode, r.stderr), (0, ""))
        self.assertTrue(r.stdout.endswith("\n"))
        self.assertIsNotNone(self.server.valid(r.stdout[:-1]), "a token that the server does not know")
        return r.stdout[:-1]

    def refused(self, code, words, *args):
        r = self.run_token(*args)
        self.assertEqual((r.returncode, r.stdout), (code, ""), r.stderr)
        self.assertIn(words, r.stderr)
        self.assertEqual(r.stderr.count("\n"), 1, "one line of error")
        self.assertNotIn(SECRET, r.stderr)
        self.assertTrue(r.stderr.startswith("mailhook-token: "))

    def test_kept_until_shortly_before_the_end(self):
        conf = self.conf()
        first = self.token(conf)
        for after, same, what in ((10, True, "10 s later"), (3299, True, "301 s before the end"),
                                  (3301, False, "299 s before the end")):
            self.set_time(after)
            self.assertEqual(self.token(conf) == first, same, what)
        self.assertEqual(len(self.server.requests), 2)
        self.assertEqual(os.stat(self.path("state.json")).st_mode & 0o7777, 0o600)

    def test_short_life_and_no_life(self):
        conf = self.conf()
        self.server.life_s = 100
        first = self.token(conf)
        self.set_time(89)
        self.assertEqual(self.token(conf), first)
        self.set_time(91)
        self.assertNotEqual(self.token(conf), first)
        self.server.faults = [(200, {"access_token": "bare", "token_type": "bearer"})] * 2
        self.set_time(1000)
        for _ in range(2):
            self.assertEqual(self.run_token(conf).stdout, "bare\n")
        self.assertEqual(len(self.server.requests), 4, "a token of unknown life must not be kept")

    def test_life_as_text(self):
        self.server.expires_as_text = True
        conf = self.conf()
        self.assertEqual(self.token(conf), self.token(conf))

    def test_fresh(self):
        conf = self.conf()
        first = self.token(conf)
        second = self.token("--fresh", conf)
        self.assertNotEqual(first, second)
        self.assertEqual(self.token(conf), second)

    def test_other_configuration_same_cache(self):
        first = self.token(self.conf())
        self.server.secrets["client-2"] = SECRET
        second = self.token(self.conf(client_id="client-2"))
        self.assertNotEqual(first, second)
        self.assertEqual(self.server.valid(second), "client-2")

    def test_many_at_once_ask_once(self):
        conf = self.conf()
        env = {"MAILHOOK_CLOCK_FILE": self.clock}
        running = [subprocess.Popen([PROGRAM, conf], env=env, stdout=subprocess.PIPE, text=True) for _ in range(8)]
        tokens = {p.communicate(timeout=60)[0] for p in running}
        self.assertEqual(len(tokens), 1)
        self.assertEqual(len(self.server.requests), 1)

    def test_no_place_to_keep(self):
        conf = self.conf(cache_file="/proc/nowhere/state.json")
        self.assertNotEqual(self.token(conf), self.token(conf))
        conf = self.conf(cache_file="")
        self.assertNotEqual(self.token(conf), self.token(conf))
        self.assertFalse(os.path.exists(self.path("state.json")))

    def test_broken_state(self):
        conf = self.conf()
        first = self.token(conf)
        for text in ("", "{", "[]", '{"access_token":1}', '{"access_token":"x","expires":"a"}', "x" * 70000):
            self.write("state.json", text or "\n")
            r = self.run_token(conf)
            if r.returncode != 0:
                self.assertIn("state.json", r.stderr, text[:40])
                os.unlink(self.path("state.json"))
                self.token(conf)
            self.assertNotEqual(r.stdout[:-1], first)
        os.chmod(self.path("state.json"), 0o644)
        self.refused(1, "others can read", conf)

    def test_left_over_file(self):
        self.write("state.json.new", "half a st")
        conf = self.conf()
        self.assertEqual(self.token(conf), self.token(conf))

    def test_certificate(self):
        with open(os.path.join(self.pki, "client.pem")) as f:
            self.server.certificates["client-1"] = f.read()
        conf = self.conf(client_secret_file=None, certificate_file=os.path.join(self.pki, "client.pem"),
                         key_file=os.path.join(self.pki, "client.key"))
        self.assertNotEqual(self.token(conf), self.token("--fresh", conf))
        self.assertNotIn("client_secret", self.server.requests[0])
        rows = (
            ("key of another certificate", {"key_file": os.path.join(self.pki, "server.key")}, "is not the key of"),
            ("expired certificate", {"certificate_file": os.path.join(self.pki, "expired.pem"),
                                     "key_file": os.path.join(self.pki, "expired.key")}, "expired"),
            ("not registered", {"certificate_file": os.path.join(self.pki, "server.pem"),
                                "key_file": os.path.join(self.pki, "server.key")}, "not registered"),
            ("no such key", {"key_file": self.path("none")}, "No such file"),
            ("no key in it", {"key_file": self.path("secret")}, "private key"),
            ("no certificate in it", {"certificate_file": self.path("secret")}, "certificate in PEM"),
        )
        os.unlink(self.path("state.json"))
        for name, values, words in rows:
            with self.subTest(name):
                base = {"client_secret_file": None, "certificate_file": os.path.join(self.pki, "client.pem"),
                        "key_file": os.path.join(self.pki, "client.key")}
                self.refused(1, words, self.conf(**dict(base, **values)))

    def refresh_conf(self, seed="refresh-0", **values):
        self.server.refresh_tokens[seed] = "client-1"
        self.write("refresh", seed + "\n")
        return self.conf(grant="refresh_token", refresh_token_file=self.path("refresh"), scope=None, **values)

    def test_refresh(self):
        conf = self.refresh_conf()
        first = self.token(conf)
        self.assertEqual(self.token(conf), first)
        self.set_time(4000)
        self.assertNotEqual(self.token(conf), first)
        self.assertEqual([r["refresh_token"] for r in self.server.requests], ["refresh-0", "refresh-0"])

    def test_refresh_rotation(self):
        self.server.rotate = True
        conf = self.refresh_conf()
        for i in range(5):
            self.set_time(4000 * i)
            self.token(conf)
        self.assertEqual(len({r["refresh_token"] for r in self.server.requests}), 5)

    def test_new_consent_replaces_the_kept_refresh_token(self):
        self.server.rotate = True
        self.token(self.refresh_conf())
        self.server.refresh_tokens = {}  # all revoked
        conf = self.refresh_conf(seed="consent-2")
        self.token(conf)
        self.assertEqual(self.server.requests[-1]["refresh_token"], "consent-2")

    def test_refresh_needs_a_place(self):
        """A rotated token that cannot be kept is lost, so nothing is asked then."""
        self.server.rotate = True
        conf = self.refresh_conf(cache_file="/proc/nowhere/state.json")
        self.refused(1, "/proc/nowhere", conf)
        self.assertEqual(self.server.requests, [])

    def killed(self, conf, n, *more):
        """Runs it until its n-th change; what it printed, and whether it came that far."""
        report = self.path("report")
        env = {"MAILHOOK_CLOCK_FILE": self.clock}
        r = subprocess.run([KILLER] + list(more) + ["--report", report, str(n), PROGRAM, conf], env=env, timeout=90,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
        with open(report) as f:
            return r.stdout, f.read().startswith("killed")

    def test_killed_anywhere(self):
        """A refresh token is durable before its access token is seen, and a half-written state never counts."""
        if not os.path.exists(KILLER):
            self.skipTest("the killer is not built")
        for rotate in (False, True):
            for more in ((), ("--after",)):
                for n in range(1, 200):
                    for name in ("state.json", "state.json.new", "state.json.lock"):
                        if os.path.exists(self.path(name)):
                            os.unlink(self.path(name))
                    self.server.rotate = rotate
                    self.server.refresh_tokens = {}
                    conf = self.refresh_conf(seed="seed-%d" % n)
                    printed, was_killed = self.killed(conf, n, *more)
                    self.server.settle()
                    where = "rotate %s, change %d %s" % (rotate, n, more)
                    live = [t for t, client in self.server.refresh_tokens.items() if client is not None]
                    kept = None
                    if os.path.exists(self.path("state.json")):
                        with open(self.path("state.json")) as f:
                            kept = json.load(f)["refresh_token"]
                    if printed or kept is not None:
                        self.assertEqual([kept], live, where)
                    if not rotate or kept is not None or live == ["seed-%d" % n]:
                        self.token(conf)
                    if not was_killed:
                        break
                self.assertGreater(n, 4, "changes were counted")
                self.assertFalse(was_killed)

    def test_command(self):
        rows = (
            ("what it prints", '{"/bin/echo", "tok-en"}', 0, "tok-en\n", ""),
            ("two words", '{"/bin/echo", "a b"}', 1, "", "not one token"),
            ("nothing", '{"/bin/true"}', 1, "", "empty"),
            ("it fails", '{"/bin/false"}', 75, "", "exit status 1"),
            ("relative", '{"echo", "x"}', 1, "", "whole path"),
        )
        for name, command, code, out, words in rows:
            with self.subTest(name):
                conf = self.conf(grant="command", command=command, token_url=None, client_id=None, scope=None,
                                 client_secret_file=None)
                r = self.run_token(conf)
                self.assertEqual((r.returncode, r.stdout), (code, out), r.stderr)
                self.assertIn(words, r.stderr)

    def test_command_kept(self):
        count = self.write("count.sh", "#!/bin/sh\necho x >>%s; wc -l <%s\n" % (self.path("n"), self.path("n")), 0o700)
        conf = self.conf(grant="command", command='{"%s"}' % count, command_life_s=60, token_url=None, client_id=None,
                         scope=None, client_secret_file=None)
        self.assertEqual([self.run_token(conf).stdout for _ in range(2)], ["1\n", "1\n"])
        self.set_time(61)
        self.assertEqual(self.run_token(conf).stdout, "2\n")

    def test_secret_command(self):
        self.token(self.conf(client_secret_file=None, client_secret_command='{"/bin/cat", "%s"}' % self.path("secret")))

    def test_refusals(self):
        html = b"<html>Sign in to the hotel's network</html>"
        rows = (
            ("429", (429, {}, {"Retry-After": "17"}), 75, "retry after 17 s"),
            ("429 with a date", (429, {}, {"Retry-After": email.utils.formatdate(EPOCH + 60, usegmt=True)}), 75, "retry after 60 s"),
            ("503", (503, html), 75, "HTTP 503"),
            ("500 with JSON", (500, {"error": "server_error"}), 75, "HTTP 500 server_error"),
            ("temporarily_unavailable with 400", (400, {"error": "temporarily_unavailable"}), 75, "busy"),
            ("slow", "stall", 75, "localhost"),
            ("dropped", "drop", 75, "localhost"),
            ("HTML with 200", (200, html), 75, "not JSON"),
            ("JSON with a key twice", (200, b'{"access_token":"a","access_token":"b"}'), 75, "not JSON"),
            ("no token in it", (200, {"token_type": "Bearer"}), 1, "holds none"),
            ("a token with a line end", (200, {"access_token": "a\r\nb"}), 1, "holds none"),
            ("a token of another kind", (200, {"access_token": "a", "token_type": "mac"}), 1, "Bearer"),
            ("too much", (200, b'"' + b"x" * 300000 + b'"'), 1, "131072 bytes"),
            ("a redirect", (302, b"", {"Location": "http://localhost:1/"}), 1, "HTTP 302"),
            ("access_denied", (403, {"error": "access_denied"}), 1, "consent is missing"),
            ("interaction_required", (400, {"error": "interaction_required"}), 1, "sign in"),
            ("secret expired", (401, {"error": "invalid_client", "error_description": "AADSTS7000222: The provided "
                                      "client secret keys are expired."}), 1, "the client secret has expired"),
            ("an unknown number with a known head", (400, {"error": "invalid_client", "error_description":
                                                          "AADSTS70002220: x"}), 1, "client or secret refused"),
            ("words with no secret", (400, {"error": "invalid_request", "error_description": "no client_credentials here"}),
             1, "no client_credentials here"),
            ("an echo of the secret", (400, {"error": "invalid_request", "error_description": "bad " + SECRET}), 1,
             "the request is refused (invalid_request)"),
            ("the secret as the error", (400, {"error": SECRET}), 1, "HTTP 400"),
            ("control characters", (400, {"error": "x\u001b[2Jy", "error_description": "a\u0007b\ncut"}), 1, "a\\x07b"),
            ("404", (404, html), 1, "HTTP 404"),
        )
        conf = self.conf()
        for name, fault, code, words in rows:
            with self.subTest(name):
                self.server.faults = [fault]
                self.refused(code, words, conf)
        self.token(conf)

    def test_refused_by_the_server(self):
        rows = (
            ("wrong secret", lambda: self.write("secret", "wrong\n"), {}, "the client secret is wrong"),
            ("unknown client", None, {"client_id": "nobody"}, "no such client"),
            ("unknown scope", None, {"scope": "x"}, "the scope is not one"),
            ("no consent", lambda: setattr(self.server, "consent", False), {}, "consent is missing"),
            ("revoked", lambda: self.write("refresh", "gone\n"),
             {"grant": "refresh_token", "refresh_token_file": self.path("refresh")}, "ask for consent again"),
        )
        for name, change, values, words in rows:
            with self.subTest(name):
                self.write("secret", SECRET)
                self.server.consent = True
                if change is not None:
                    change()
                self.refused(1, words, self.conf(**values))

    def test_configuration(self):
        good = "grant = client_credentials\ntoken_url = \"%s\"\nclient_id = client-1\n" % self.server.url
        proof = "client_secret_file = \"%s\"\n" % self.path("secret")
        rows = (
            ("no grant", "client_id = x\n", "grant must be"),
            ("unknown grant", "grant = password\n", "grant must be"),
            ("no proof", good, "needs a client secret or a certificate"),
            ("two proofs", good + proof + "client_secret_command = {\"/bin/true\"}\n", "one of"),
            ("half a certificate", good + "key_file = \"/x\"\n", "go together"),
            ("unknown key", good + proof + "client_secret = hunter2\n", "bad.conf:5"),
            ("syntax", good + proof + "scope = {\n", "bad.conf:"),
            ("variable", good + proof + "scope = \"${HOME}\"\n", "\"${\""),
            ("command without the grant", good + proof + "command = {\"/bin/true\"}\n", "needs grant"),
            ("a wrong time", good + proof + "timeout_s = 0\n", "timeout_s"),
            ("no URL", "grant = client_credentials\nclient_id = x\n" + proof, "token_url"),
            ("no refresh token", good.replace("client_credentials", "refresh_token"), "refresh_token_file"),
        )
        for name, text, words in rows:
            with self.subTest(name):
                r = self.run_token("--check", self.write("bad.conf", text, 0o644))
                self.assertEqual((r.returncode, r.stdout), (2, ""))
                self.assertIn(words, r.stderr)
                self.assertNotIn("hunter2", r.stderr)
        self.assertEqual(self.run_token("--check", self.conf()).returncode, 0)
        self.assertEqual(self.run_token("--check", self.path("none")).returncode, 2)
        self.assertEqual(self.run_token().returncode, 2)
        self.assertEqual(self.run_token("--help").returncode, 0)
        self.assertEqual(self.server.requests, [], "--check asks nobody")

    def test_open_secret(self):
        os.chmod(self.path("secret"), 0o640)
        self.refused(1, "others can read", self.conf())
        self.assertEqual(self.server.requests, [])

    def test_tls(self):
        for name, ca, code in (("right", "ca", 0), ("wrong CA", "other-ca", 1)):
            with self.subTest(name):
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(os.path.join(self.pki, "server.pem"), os.path.join(self.pki, "server.key"))
                server = token_server.TokenServer(now=lambda: self.now, context=context)
                server.secrets["client-1"] = SECRET
                r = self.run_token(self.conf(token_url=server.url, ca_file=os.path.join(self.pki, ca + ".pem"),
                                             cache_file=""))
                server.stop()
                self.assertEqual(r.returncode, code, r.stderr)
                self.assertEqual(len(server.requests), 1 - code)


if __name__ == "__main__":
    unittest.main()
