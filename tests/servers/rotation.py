"""A whole rotation against stand-ins, with the core's part played here: checkpoints and claims kept, approvals given, time passed.

World: AWS, SCIM, Graph and a token server that share one clock and one truth: which token is valid. `kill` says when the
action is killed: at a request, before or after its effect, or at a checkpoint, before or after it is durable. check()
looks at what must hold at the end of every run, whatever happened in it.
"""
import datetime
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import unittest

import action
import aws_server
import scim_server
import sync_server
import token_server

PROGRAM = os.path.join(os.environ["MAILHOOK_BUILD"], "libexec/mailhook/actions/rotate")
ENV = {k: v for k, v in os.environ.items() if k.startswith(("ASAN", "UBSAN", "LSAN"))}
DAY = 86400
START = 1767499506  # 2026-01-04T04:05:06Z
EXPIRES = 1770091506  # 2026-02-03T04:05:06Z, 30 days later
CASE_KEY = "fedcba9876543210" * 2
ACCOUNT = "123456789012"
PIECE = 24  # so many bytes of a token in a row are a leak


def instant(t):
    return datetime.datetime.fromtimestamp(t, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(text):
    return int(datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc).timestamp())


class World:
    def __init__(self, aws="console-api", idp="entra", approval="ask", tokens=(EXPIRES,), account=ACCOUNT, **options):
        self.account = account
        self.dir = tempfile.mkdtemp(prefix="mailhook-rotate.")
        self.state_dir = os.path.join(self.dir, "state")
        os.mkdir(self.state_dir, 0o700)
        self.t = START
        self.aws = aws_server.AwsServer(now=lambda: self.t)
        self.center = self.aws.identity_center
        self.center.account, self.center.instances = account, [self.center.instance(self.center.store, account)]
        self.scim = scim_server.ScimServer(self.center.tenant, self.center.valid)
        self.center.endpoint = lambda tenant: self.scim.url
        self.tokens = token_server.TokenServer(now=lambda: self.t)
        self.tokens.secrets["client-1"] = "gr4ph-s3cret"
        self.sync = sync_server.SyncServer(self.tokens, lambda base, value: base == self.scim.url and self.center.valid(value),
                                           lambda: self.t)
        self.aws.keys["AKIDEXAMPLE"] = ("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None, account, None)
        for expires in tokens:
            self.center.add(expires)
        self.sync.saved["BaseAddress"] = self.scim.url
        self.sync.saved["SecretToken"] = self.center.tokens[-1]["Token"] if self.center.tokens else "x" * 500
        self.created, self.secrets_seen = [], []
        create = self.center.CreateBearerToken

        def created(asked):
            made = create(asked)
            self.created.append(made["BearerToken"]["TokenId"])
            return made
        self.center.CreateBearerToken = created
        self.state, self.approvals, self.told, self.attempt = {}, [], [], 0
        self.claims, self.others = {}, False
        self.proc, self.kill, self.requests, self.checkpoints, self.lease = None, None, [], 0, True
        self.lock = threading.Lock()
        self.hook()
        self.conf = self.configure(aws, idp, approval, options)
        self.deny = set()

    def write(self, name, text, mode=0o600):
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def configure(self, aws, idp, approval, options):
        key = self.write("key", "0123456789abcdef" * 4 + "\n")
        token = self.write("token.conf", "grant = client_credentials\ntoken_url = \"%s\"\nclient_id = client-1\n"
                           "scope = \"https://graph.example/.default\"\nclient_secret_file = \"%s\"\ncache_file = \"%s\"\n"
                           % (self.tokens.url, self.write("client", "gr4ph-s3cret"), os.path.join(self.dir, "token.json")))
        credentials = self.write("credentials", "[default]\naws_access_key_id = AKIDEXAMPLE\n"
                                 "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY\n")
        base = {"account": self.account, "scim_endpoint": self.scim.url, "region": "eu-west-1", "aws": aws, "idp": idp,
                "approval": approval, "key_file": key, "timeout_s": 5}
        sections = {
            "entra": {"token": token, "graph_url": self.sync.url, "service_principal": sync_server.PRINCIPAL},
            "console_api": {"credentials_file": credentials, "url": self.aws.url + "/identitystore/",
                            "endpoint": self.aws.url},
            "exec": {},
        }
        for k, v in options.items():
            if isinstance(v, dict):
                sections.setdefault(k, {}).update(v)
            else:
                base[k] = v

        def line(k, v):
            if isinstance(v, bool):
                return "%s = %s\n" % (k, "true" if v else "false")
            if isinstance(v, (list, tuple)):
                return "%s = {%s}\n" % (k, ", ".join(json.dumps(x) for x in v))
            return "%s = %s\n" % (k, json.dumps(v))
        text = "".join(line(k, v) for k, v in base.items() if v is not None)
        for name, values in sections.items():
            if name in (idp, aws.replace("-", "_")):
                text += "%s {\n%s}\n" % (name, "".join(line(k, v) for k, v in values.items() if v is not None))
        return self.write("rotate.conf", text)

    def replace(self, name, before, after):
        with open(os.path.join(self.dir, name)) as f:
            text = f.read()
        return self.write(name, text.replace(before, after))

    def close(self):
        for server in (self.aws, self.scim, self.tokens, self.sync):
            server.stop()
        shutil.rmtree(self.dir)

    # -- kills

    def hook(self):
        self.scim.before = self.sync.before = lambda name: self.at_request(name, "before")
        self.scim.after = self.sync.after = lambda name: self.at_request(name, "after")
        serve = self.aws.serve

        def watched(call):
            name = "aws " + self.aws.name(call).split(".")[-1] if call.method == "POST" else "aws local"
            self.at_request(name, "before")
            try:
                return serve(call)
            finally:
                self.at_request(name, "after")
        self.aws.serve = watched

    def at_request(self, name, when):
        with self.lock:
            if when == "before":
                self.requests.append(name)
                self.look_at_process()
            if self.kill is not None and self.kill[:3] == ("request", len(self.requests) - 1, when):
                self.kill = None
                self.strike()
        if when == "after":
            self.look_at_tokens()

    def strike(self):
        os.kill(self.proc.pid, signal.SIGKILL)
        try:  # dead, before any effect follows
            os.waitid(os.P_PID, self.proc.pid, os.WEXITED | os.WNOWAIT)
        except ChildProcessError:
            pass  # and buried

    def look_at_process(self):
        """Nothing secret in argv or environment, at any moment."""
        pids = [self.proc.pid] if self.proc is not None else [int(p) for p in os.listdir("/proc") if p.isdigit()]
        for pid in pids:
            try:
                with open("/proc/%d/cmdline" % pid, "rb") as f:
                    line = f.read().decode("latin-1")
                if os.environ["MAILHOOK_BUILD"] not in line:
                    continue
                with open("/proc/%d/environ" % pid, "rb") as f:
                    self.told += [line, f.read().decode("latin-1")]
            except OSError:
                pass

    def look_at_tokens(self):
        """What the provider presents is valid, after each request: provisioning is never interrupted."""
        if self.guarded and not self.works():
            self.broken.append(list(self.requests[-3:]))

    def works(self):
        return self.center.valid(self.sync.saved["SecretToken"])

    guarded = False

    # -- the core's part

    def request(self, **values):
        self.attempt += 1
        case = dict(action.CASE, expires=instant(EXPIRES), days_left=(EXPIRES - self.t) // DAY)
        base = {"attempt": self.attempt, "deadline": instant(self.t + 120), "state_dir": self.state_dir, "case": case,
                "case_key": CASE_KEY, "action": "entra", "state": self.state, "approvals": self.approvals,
                "others": self.others}
        base.update(values)
        return action.request(self.conf, instant(self.t), **base)

    def run(self, verb="run", typed=None, **values):
        """One run. None: it was killed, or gave no outcome."""
        asked = self.request(**values)
        self.kinds = set()
        errors = tempfile.TemporaryFile("w+")
        extra = {}
        if typed is not None:
            r, w = os.pipe()
            os.write(w, typed.encode())
            os.close(w)
            extra = {"preexec_fn": lambda: os.dup2(r, 3), "close_fds": False}
        p = self.proc = subprocess.Popen([PROGRAM, verb], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                                         env=ENV, cwd=self.state_dir, **extra)
        if typed is not None:
            os.close(r)
        last = None
        try:
            p.stdin.write(json.dumps(asked, separators=(",", ":")).encode() + b"\n")
            p.stdin.flush()
            for line in p.stdout:
                self.told.append(line.decode())
                j = json.loads(line)
                if "checkpoint" in j:
                    self.take(p, lambda: setattr(self, "state", j["checkpoint"]))
                elif "claim" in j:
                    self.take(p, lambda: self.claims.setdefault(j["claim"], asked["case_key"]),
                              lambda: self.claims[j["claim"]], asked["case_key"])
                elif "release" in j:
                    self.take(p, lambda: self.let_go(j["release"], asked["case_key"]))
                elif "outcome" in j:
                    last = j
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            try:
                p.stdin.close()
            except BrokenPipeError:
                pass
            p.wait(60)
            p.stdout.close()
            errors.seek(0)
            text = errors.read()
            self.told.append(text)
            errors.close()
        if p.returncode not in (0, -signal.SIGKILL):
            raise AssertionError("rotate ended with %s: %s" % (p.returncode, text[-3000:]))
        return last

    def let_go(self, name, case_key):
        if self.claims.get(name) == case_key:
            del self.claims[name]

    def take(self, p, keep, holder=lambda: None, case_key=None):
        """A checkpoint, a claim, or what is let go: kept, and answered."""
        self.checkpoints += 1
        plan = self.kill if self.kill is not None and self.kill[:2] == ("checkpoint", self.checkpoints - 1) else None
        if plan is not None:
            self.kill = None
            if plan[2] == "before":
                self.strike()
                return
        keep()
        if plan is not None:
            self.strike()
            return
        if self.lease:
            held = holder()
            p.stdin.write(b'{"ok":true}\n' if held == case_key else b'{"ok":false,"held":"%s"}\n' % held.encode())
            p.stdin.flush()
        else:
            p.stdin.close()

    def drive(self, rounds=60, approve=True, typed=None, killed_s=60):
        """To an end, or to what nobody here does. Time passes as outcomes ask for it."""
        self.guarded, self.broken = self.works(), []
        last = None
        for _ in range(rounds):
            last = self.run()
            if last is None:
                self.t += killed_s
                continue
            self.steps = getattr(self, "steps", []) + [last.get("step")]
            if last["outcome"] == "waiting" and last["waiting_for"] == "approval":
                if not approve or last["step"] in self.deny:
                    return last
                self.t += 5
                self.approvals.append({"step": last["step"], "by": "alice", "at": instant(self.t)})
            elif last["outcome"] == "waiting" and last["waiting_for"] == "input":
                if typed is None:
                    return last
                self.handed = self.run("input", typed=typed(self), by="alice")
                self.t += 1
            elif last["outcome"] in ("waiting", "retry"):
                self.t += max(1, last.get("retry_after_s", 60))
                self.sync.sync()
            else:
                return last
            self.t += 1
        return last

    # -- what must hold at the end of every run

    def values(self):
        return [t["Token"] for t in self.center.tokens + self.center.deleted] + self.secrets_seen

    def check(self, test, name, last, creates=1, told=None):
        text = "\n".join(self.told) + (told or "")
        for value in self.values():
            for i in range(0, len(value) - PIECE, PIECE):
                test.assertNotIn(value[i:i + PIECE], text, name + ": a piece of a token was told")
        test.assertEqual(self.broken, [], name + ": the identity provider was left without a working token")
        if self.guarded:
            test.assertTrue(self.works(), name + ": provisioning works at the end")
        test.assertLessEqual(len(self.created), creates, name + ": creates")
        listed = [t["TokenId"] for t in self.center.tokens]
        summary = "" if last is None else last["summary"]
        in_use = [t["TokenId"] for t in self.center.tokens if t["Token"] == self.sync.saved["SecretToken"]]
        for token in self.created:
            if token in listed and token not in in_use:
                test.assertIn(token, summary, name + ": an orphan that nobody is told of")


class RotationTest(unittest.TestCase):
    def world(self, **options):
        w = World(**options)
        self.addCleanup(w.close)
        return w

    def rotated(self, name, w, last, **more):
        """All that a whole rotation must leave behind."""
        self.assertIsNotNone(last, name)
        self.assertEqual(last["outcome"], "done", "%s: %s" % (name, last))
        self.assertEqual(len(w.center.tokens), 1, name)
        self.assertEqual(w.center.tokens[0]["Token"], w.sync.saved["SecretToken"], name)
        self.assertNotIn("sealed", w.state, name + ": the token is scrubbed")
        w.check(self, name, last, **more)
