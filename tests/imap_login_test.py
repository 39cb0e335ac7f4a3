#!/usr/bin/env python3
"""Who is believed, and who believes us: certificates, STARTTLS, passwords and tokens, with a real Dovecot whose OAuth2
passdb checks JWTs. Exit 77 without Dovecot or root."""
import base64
import json
import os
import sys
import time
import unittest

sys.dont_write_bytecode = True
import jwt  # noqa: E402
import imap_room  # noqa: E402
from imap_room import PASSWORD, USER, Room, notice  # noqa: E402
import imap_proxy  # noqa: E402
import token_server  # noqa: E402

SECRET = b"0123456789abcdef0123456789abcdef"
LOCAL = """
auth_cache_size = 0
passdb {
 driver = oauth2
 mechanisms = xoauth2 oauthbearer
 args = @/oauth2.conf
}
"""
# active_attribute empty with the default value would end the auth process
OAUTH = """introspection_mode = local
local_validation_key_dict = fs:posix:prefix=%s/keys/
username_attribute = email
scope = mail
issuers = https://issuer.example
active_attribute = active
active_value = true
"""
TLS = 'ca_file = "@/pki/ca.pem"'


def certificate(name):
    return "ssl_cert = <@/pki/%s.pem\nssl_key = <@/pki/%s.key\n" % (name, name)


class Tls(unittest.TestCase):
    def test_certificates(self):
        for row, name, config, host, code, words in (
                ("a good one", "server", TLS, "localhost", 0, ""),
                ("a good one, for an address", "server", TLS, "127.0.0.1", 0, ""),
                ("of another name", "wrong", TLS, "localhost", 1, "for another name than localhost"),
                ("of another name, by address", "wrong", TLS, "127.0.0.1", 1, "for another name than 127.0.0.1"),
                ("that has expired", "expired", TLS, "localhost", 1, "has expired"),
                ("of an authority that nobody knows", "unknown", TLS, "localhost", 1, "not trusted here"),
                ("of one that the system does not know", "server", "", "localhost", 1, "not trusted here"),
                ("of a client", "client", TLS, "localhost", 1, "for another name")):
            with self.subTest(row), Room(config, tls=True, start=False) as r:
                r.server.more = certificate(name).replace("@", r.dir)
                r.server.start()
                r.configure(host=host)
                words_said = r.once(code=code).stderr.decode()
                self.assertIn(words, words_said, row)
                with open(r.server.log) as f:
                    self.assertEqual("method=PLAIN" in f.read(), code == 0, row + ": the password was sent")

    def test_starttls(self):
        for row, config, tls, code, words in (
                ("offered and good", TLS, True, 0, ""),
                ("not offered", TLS, False, 1, "offers no STARTTLS"),
                ("not offered, and that is all right", TLS + " allow_plain = true", False, 0, ""),
                ("plain text to this machine", "", False, 0, "")):
            with self.subTest(row), Room(config, tls=True, scheme="imap", start=False) as r:
                if not tls:
                    r.server.pki = None
                r.server.start()
                r.configure()
                if code == 0:
                    r.deliver(notice(1))
                self.assertIn(words, r.once(code=code).stderr.decode(), row)
                if code == 0:
                    self.assertEqual(len(r.intake()), 1, row)
                    with open(r.server.log) as f:
                        lines = [line for line in f if "Login:" in line]
                    self.assertEqual("TLS" in lines[-1], tls, row)

    def test_an_old_tls(self):
        with Room(TLS, tls=True, start=False) as r:
            r.server.more = "ssl_min_protocol = TLSv1\nssl_cipher_list = ALL:@SECLEVEL=0\n"
            r.server.start()
            r.configure()
            r.once(code=0)
            r.server.daemon.process.kill()
            r.server.stop()

    def test_nothing_is_said_before_tls_is_proved(self):
        """A server that lets in without a login, and one that says what it can before TLS."""
        with Room(TLS, tls=True, scheme="imap", port=lambda: proxy.port, start=False) as r:
            r.server.start()
            proxy = imap_proxy.Proxy(r.server.port["imap"])
            r.configure()
            proxy.arm(imap_proxy.Fault(lambda c, _: c.say(b"* PREAUTH welcome\r\n" + c.tag + b" OK\r\n")), b"CAPABILITY", 9)
            self.assertIn("without a login", r.once(code=1).stderr.decode())
            proxy.stop()


class Tokens(unittest.TestCase):
    def room(self, config, mechanisms="xoauth2 oauthbearer", **kind):
        r = Room(config, mechanisms="plain login " + mechanisms, start=False, **kind)
        keys = os.path.join(r.dir, "keys", "default", "HS256")
        os.makedirs(keys)
        for path, text in ((keys + "/default", base64.b64encode(SECRET).decode()), (r.dir + "/oauth2.conf", OAUTH % r.dir)):
            with open(path, "w") as f:
                f.write(text)
        for folder, _, files in os.walk(r.dir + "/keys"):
            os.chmod(folder, 0o755)
            for name in files:
                os.chmod(os.path.join(folder, name), 0o644)
        r.server.more = LOCAL.replace("@", r.dir)
        r.server.start()
        r.configure(secret=False)
        r.write("say", "#!/bin/sh\necho x >>%s/asked\ncat %s/token\n" % (r.dir, r.dir), 0o700)
        r.write("ops-token.conf", 'grant = "command"\ncommand = {"%s/say"}\ncache_file = "%s/kept.json"\ncommand_life_s = 600\n'
                % (r.dir, r.dir))
        return r

    @staticmethod
    def token(**more):
        claims = {"sub": "ops", "email": USER, "active": "true", "iss": "https://issuer.example", "scope": "mail", "iat": int(time.time()) - 5,
                  "exp": int(time.time()) + 600}
        claims.update(more)
        return jwt.encode(claims, SECRET, algorithm="HS256")

    def test_both_mechanisms(self):
        for row, auth, mechanisms, method in (("by itself", "auto", "xoauth2 oauthbearer", "XOAUTH2"),
                                              ("only the newer", "auto", "oauthbearer", "OAUTHBEARER"),
                                              ("only the older", "auto", "xoauth2", "XOAUTH2"),
                                              ("as told", "oauthbearer", "xoauth2 oauthbearer", "OAUTHBEARER")):
            with self.subTest(row), self.room('token = "@/ops-token.conf"  auth = ' + auth, mechanisms) as r:
                r.write("token", self.token() + "\n")
                r.deliver(notice(1))
                r.once()
                self.assertEqual(len(r.intake()), 1, row)
                with open(r.server.log) as f:
                    self.assertIn("method=" + method, f.read(), row)

    def test_refused_tokens(self):
        for row, claims in (("expired", {"exp": 1000}), ("of another", {"email": "eve@example.com"}),
                            ("of another issuer", {"iss": "https://evil.example"}), ("for something else", {"scope": "files"})):
            for auth in ("xoauth2", "oauthbearer"):
                with self.subTest(row + " by " + auth), self.room('token = "@/ops-token.conf"  auth = ' + auth) as r:
                    r.write("token", self.token(**claims) + "\n")
                    words = r.once(code=1).stderr.decode()
                    self.assertIn("the token is refused", words, row)
                    self.assertNotIn(self.token(**claims)[:20], words)
                    with open(r.dir + "/asked") as f:
                        self.assertEqual(len(f.read().split()), 2, "after a refusal one fresh token is asked for")

    def test_a_kept_token_that_the_server_ended(self):
        with self.room('token = "@/ops-token.conf"') as r:
            r.write("token", self.token(exp=1000) + "\n")
            r.once(code=1)
            r.write("token", self.token() + "\n")
            r.once(code=0)

    def test_words_for_people(self):
        with self.room('token = "@/ops-token.conf"') as r:
            server = token_server.TokenServer()
            server.secrets["client"] = "s3cret"
            server.consent = False
            r.write("client", "s3cret\n")
            r.write("ops-token.conf", 'grant = "client_credentials"\ntoken_url = "%s"\nclient_id = "client"\nscope = '
                    '"https://graph.example/.default"\nclient_secret_file = "%s/client"\ncache_file = "%s/kept.json"\n'
                    % (server.url, r.dir, r.dir))
            self.assertIn("consent is missing", r.once(code=1).stderr.decode())
            self.assertIn("consent is missing", r.run("check", "--online", code=1).stdout.decode())
            r.write("client", "wrong\n")
            self.assertIn("client secret is wrong", r.run("check", "--online", code=1).stdout.decode())
            server.stop()
        with self.room("", mechanisms="") as r:
            r.configure('token = "@/ops-token.conf"', secret=False)
            r.write("token", self.token() + "\n")
            self.assertIn("takes no tokens", r.once(code=1).stderr.decode())

    def test_servers_that_want_no_password(self):
        for row, said, words in (
                ("Exchange", b"* CAPABILITY IMAP4 IMAP4rev1 AUTH=XOAUTH2 LOGINDISABLED\r\n%s OK done\r\n", "Basic authentication is disabled"),
                ("none at all", b"* CAPABILITY IMAP4rev1 LOGINDISABLED\r\n%s OK done\r\n", "LOGINDISABLED")):
            with self.subTest(row), Room(port=lambda: proxy.port, start=False) as r:
                r.server.start()
                proxy = imap_proxy.Proxy(r.server.port["imap"])
                r.configure()
                proxy.arm(imap_proxy.Fault(lambda c, _: c.say(said % c.tag)), b"CAPABILITY", 9)
                self.assertIn(words, r.once(code=1).stderr.decode(), row)
                proxy.stop()

    def test_refusals_of_exchange(self):
        """Its words, as it says them; it was never asked itself."""
        for row, trigger, said, words in (
                ("passwords", b"AUTHENTICATE", b"%s NO AUTHENTICATE failed: Basic authentication is disabled.\r\n",
                 "Basic authentication is disabled"),
                ("another's mailbox", b"SELECT", b"%s BAD User is authenticated but not connected.\r\n", "not granted")):
            with self.subTest(row), Room(port=lambda: proxy.port, start=False) as r:
                r.server.start()
                proxy = imap_proxy.Proxy(r.server.port["imap"])
                r.configure()
                proxy.arm(imap_proxy.Fault(lambda c, _: c.say(said % c.tag)), trigger, 9)
                text = r.once(code=1).stderr.decode()
                self.assertIn(words, text, row)
                self.assertNotIn(PASSWORD, text)
                proxy.stop()

    def test_a_server_that_gives_the_password_back(self):
        with Room("auth = login", port=lambda: proxy.port, start=False) as r:
            r.server.start()
            proxy = imap_proxy.Proxy(r.server.port["imap"])
            r.configure()
            said = b"%s NO not " + PASSWORD.encode() + b"\r\n"
            proxy.arm(imap_proxy.Fault(lambda c, _: c.say(said % c.tag)), b"LOGIN", 9)
            text = r.once(code=1).stderr.decode()
            self.assertIn("user or password refused", text)
            self.assertNotIn("quoted", text)
            self.assertNotIn("quoted", json.dumps(r.report()))
            proxy.stop()

    def test_login_without_sasl(self):
        with Room("auth = login") as r:
            r.deliver(notice(1))
            r.once()
            self.assertEqual(len(r.intake()), 1)


if __name__ == "__main__":
    if not imap_room.available():
        print("no Dovecot, or not root")
        sys.exit(77)
    unittest.main(verbosity=2)
