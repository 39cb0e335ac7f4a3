#!/usr/bin/env python3
"""What others wrote as the other end: a SCIM server (scimmy-routers), webhook signatures (standardwebhooks) and signed client
assertions (jose). tests/long.sh runs it, for it fetches them by npm."""
import http.server
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "servers"))
import action  # noqa: E402
import pki  # noqa: E402
import rotation  # noqa: E402
import token_server  # noqa: E402

BUILD = os.environ["MAILHOOK_BUILD"]
PACKAGES = ("scimmy@1", "scimmy-routers@1", "express@5", "standardwebhooks@1", "jose@6")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
# A folder where the packages are already; else they are fetched.
FOLDER = os.environ.get("MAILHOOK_NODE_PACKAGES")


def setUpModule():
    global FOLDER, fetched
    fetched = None
    if FOLDER is None:
        FOLDER = fetched = tempfile.mkdtemp(prefix="mailhook-foreign.")
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", FOLDER, *PACKAGES], check=True,
                       stdout=subprocess.DEVNULL, timeout=600)
    for script in ("scim.mjs", "verify.mjs"):  # modules are looked for from where the script lies
        shutil.copy(os.path.join(HERE, "foreign", script), FOLDER)


def tearDownModule():
    if fetched is not None:
        shutil.rmtree(fetched)


def verify(**asked):
    return subprocess.run(["node", os.path.join(FOLDER, "verify.mjs")], input=json.dumps(asked), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=60, check=False)


class Judge:
    """Says whether a token is valid, 200 or 401; or keeps what is posted."""

    def __init__(self, valid=lambda token: False):
        self.posted = []
        judge = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200 if valid(self.headers["Authorization"].partition(" ")[2]) else 401)
                self.end_headers()

            def do_POST(self):
                judge.posted.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *args):
                pass

        self.httpd = token_server.Quiet(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d/" % self.httpd.server_port
        threading.Thread(target=self.httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self):
        self.httpd.shutdown()
        self.httpd.server_close()


class Scimmy:
    """In the place of scim_server.ScimServer."""

    def __init__(self, tenant, valid):
        self.judge = Judge(valid)
        self.node = subprocess.Popen(["node", os.path.join(FOLDER, "scim.mjs"), tenant, self.judge.url], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, text=True)
        self.url = "http://127.0.0.1:%d/%s/scim/v2/" % (int(self.node.stdout.readline()), tenant)
        self.before = self.after = None

    def stop(self):
        self.node.stdin.close()
        self.node.wait(20)
        self.node.stdout.close()
        self.judge.stop()


class Foreign(unittest.TestCase):
    def write(self, name, text):
        folder = tempfile.mkdtemp(prefix="mailhook-foreign-")
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, name)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, 0o600)
        return path

    def test_scim(self):
        ours, rotation.scim_server.ScimServer = rotation.scim_server.ScimServer, Scimmy
        try:
            w = rotation.World()
        finally:
            rotation.scim_server.ScimServer = ours
        self.addCleanup(w.close)
        last = w.drive()
        self.assertEqual(last["outcome"], "done", last)
        self.assertIn("rotated", last["summary"])
        w.check(self, "by an independent SCIM server", last)
        self.assertEqual([t["Token"] for t in w.center.tokens], [w.sync.saved["SecretToken"]])

    def test_scim_refuses(self):
        ours, rotation.scim_server.ScimServer = rotation.scim_server.ScimServer, lambda tenant, valid: Scimmy(tenant, lambda token: False)
        try:
            w = rotation.World()
        finally:
            rotation.scim_server.ScimServer = ours
        self.addCleanup(w.close)
        self.assertEqual(w.drive()["outcome"], "failed")
        self.assertEqual(w.sync.puts, [], "a token that AWS does not take is not saved")

    def test_webhook(self):
        receiver = Judge()
        self.addCleanup(receiver.stop)
        conf = self.write("go.conf", "preset = \"webhook\"\nurl = \"%s\"\nsecret_file = \"%s\"\nvalues = {\"x=\u00e4 \u2603 {account}\"}\n"
                          % (receiver.url, self.write("secret", SECRET)))
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        r = action.run(os.path.join(BUILD, "libexec/mailhook/actions/trigger"), "run", action.request(conf, now))
        self.assertEqual(r.last["outcome"], "waiting", r.last)
        ((headers, body),) = receiver.posted
        sent = {k.lower(): v for k, v in headers.items()}
        good = {"secret": SECRET, "headers": sent, "body": body.decode()}
        done = verify(webhook=good)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["data"]["x"], "\u00e4 \u2603 123456789012")
        for name, change in (("another body", {"body": body.decode() + " "}), ("another key", {"secret": "whsec_" + "b" * 32}),
                             ("another id", {"headers": {**sent, "webhook-id": "msg_x"}}),
                             ("an old time", {"headers": {**sent, "webhook-timestamp": "1614265330"}})):
            self.assertEqual(verify(webhook={**good, **change}).returncode, 1, name)

    def test_assertion(self):
        folder = tempfile.mkdtemp(prefix="mailhook-foreign-")
        self.addCleanup(shutil.rmtree, folder)
        pki.make(folder)
        certificate, other = (open(os.path.join(folder, n + ".pem")).read() for n in ("client", "server"))
        receiver = Judge()
        self.addCleanup(receiver.stop)
        conf = self.write("token.conf", "grant = client_credentials\ntoken_url = \"%s\"\nclient_id = client-1\nscope = \"x\"\n"
                          "certificate_file = \"%s\"\nkey_file = \"%s\"\ncache_file = \"\"\n"
                          % (receiver.url, os.path.join(folder, "client.pem"), os.path.join(folder, "client.key")))
        subprocess.run([os.path.join(BUILD, "libexec/mailhook/mailhook-token"), conf], stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, timeout=60, check=False)
        ((_, form),) = receiver.posted
        jwt = dict(urllib.parse.parse_qsl(form.decode()))["client_assertion"]
        good = {"jwt": jwt, "certificate": certificate, "audience": receiver.url, "subject": "client-1"}
        done = verify(assertion=good)
        self.assertEqual(done.returncode, 0, done.stderr)
        claims = json.loads(done.stdout)
        self.assertTrue(300 <= claims["exp"] - claims["nbf"] <= 900 and claims["jti"], claims)
        for name, change in (("another certificate", {"certificate": other}), ("another audience", {"audience": "https://x.example/"}),
                             ("another client", {"subject": "client-2"}), ("one bit", {"jwt": jwt[:-8] + ("A" if jwt[-8] != "A" else "B") + jwt[-7:]})):
            self.assertEqual(verify(assertion={**good, **change}).returncode, 1, name)


if __name__ == "__main__":
    unittest.main(warnings="ignore")
