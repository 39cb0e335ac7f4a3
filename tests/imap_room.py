"""A Dovecot with mailboxes and a mailhook that watches them, for the tests of mailhook-imap. Needs root.

    with Room(config="...") as r:   # config: lines of the mailbox block "ops"
        r.deliver(r.notice(1)); r.once(); r.taken()
"""
import atexit
import email.utils
import fcntl
import glob
import imaplib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time

SOURCE, BUILD = os.environ["MAILHOOK_SOURCE"], os.environ["MAILHOOK_BUILD"]
sys.path.insert(0, os.path.join(SOURCE, "tests", "servers"))
import dovecot  # noqa: E402
import pki  # noqa: E402
import private  # noqa: E402

USER, PASSWORD = "ops@example.com", "a \"quoted\" \\ password"
NOTICE = """\
From: Amazon Web Services <no-reply-aws@amazon.com>
To: ops@example.com
Subject: IAM Identity Center SCIM Access Token Approaching Expiration [AWS Account: %012d]
Date: %s
Message-ID: <notice-%d@example.com>
MIME-Version: 1.0
Content-Type: text/plain; charset=us-ascii

Hello,

The SCIM access token used to automatically provision users expires in 89 days on %s.
"""
PLAIN = """\
From: Ann <ann@example.com>
To: ops@example.com
Subject: lunch %d
Date: Mon, 02 Nov 2026 09:00:00 +0000
Message-ID: <plain-%d@example.com>

Are we going?
"""


def notice(number, day=None):
    """A notice about an expiry of its own: another account each, so that each is another case."""
    day = time.time() if day is None else day
    expires = time.strftime("%a %b %d %H:%M:%S UTC %Y", time.gmtime(day + 89 * 86400 + 3600))
    return (NOTICE % (number, email.utils.formatdate(day), number, expires)).encode()


def plain(number):
    return (PLAIN % (number, number)).encode()


def certificates(made=[]):
    """One set for all rooms: keys take time."""
    if not made:
        made.append(tempfile.mkdtemp(prefix="mailhook-pki-"))
        atexit.register(shutil.rmtree, made[0])
        pki.make(made[0])
    return made[0]


def available():
    return dovecot.available()


class Room:
    def __init__(self, config="", tls=False, scheme=None, more="", top="", users=None, oauth=None, mechanisms="plain login",
                 port=None, start=True):
        """config: lines of the mailbox block; top: of the whole; more: of Dovecot; port: of a proxy, as a function."""
        self.dir = tempfile.mkdtemp(prefix="mailhook-imap-")
        os.chmod(self.dir, 0o755)
        self.state = os.path.join(self.dir, "state")
        self.pki = None
        if tls:
            self.pki = os.path.join(self.dir, "pki")
            shutil.copytree(certificates(), self.pki)
        self.users = users or {USER: PASSWORD}
        self.server = dovecot.Dovecot(self.dir, self.users, pki=self.pki, oauth=oauth, mechanisms=mechanisms, more=more)
        self.process, self.log = None, os.path.join(self.dir, "mailhook.log")
        self.scheme, self.config, self.top, self.port_of = scheme or ("imaps" if tls else "imap"), config, top, port
        self.hold_worker()
        if start:
            self.server.start()
            self.configure()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.stop()
        if self.server.daemon is not None:
            self.server.daemon.process.kill()  # its own end takes seconds, and nothing of it is kept
        self.server.stop()
        fcntl.flock(self.worker, fcntl.LOCK_EX)  # a worker that was woken comes to its end
        self.worker.close()
        shutil.rmtree(self.dir)

    # -- configuration

    def port(self):
        return self.port_of() if self.port_of else self.server.port["imaps" if self.scheme == "imaps" else "imap"]

    def write(self, name, text, mode=0o600):
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def configure(self, config=None, folder="INBOX", host="localhost", secret=True, boxes=None):
        """boxes: other mailbox blocks than the one."""
        if config is not None:
            self.config = config
        self.write("password", PASSWORD + "\n")
        block = """mailbox "ops" { url = "%s://%s:%d/%s" user = "%s" %s %s }\n""" % (
            self.scheme, host, self.port(), folder, USER,
            'password_file = "%s/password"' % self.dir if secret else "", self.config.replace("@", self.dir))
        self.conf = self.write("mailhook.conf", 'state_dir = "%s"\n%s\n%s' % (
            self.state, self.top.replace("@", self.dir), block if boxes is None else boxes))

    # -- mailhook

    def hold_worker(self):
        """Nobody works the intake while this is held: what came stays there to be counted."""
        os.makedirs(self.state, mode=0o700, exist_ok=True)
        self.worker = open(self.state + "/worker.lock", "w")
        fcntl.flock(self.worker, fcntl.LOCK_EX)

    def env(self, **more):
        return {"PATH": "/usr/bin:/bin", **more}

    def run(self, *args, code=0, stdin=b"", timeout=120, env=None):
        done = subprocess.run([BUILD + "/bin/mailhook", *args, "--config", self.conf], input=stdin, capture_output=True,
                              env=self.env(**(env or {})), timeout=timeout, check=False)
        assert code is None or done.returncode == code, (args, done.returncode, done.stdout.decode(), done.stderr.decode())
        return done

    def once(self, code=0, **kind):
        return self.run("imap", "--once", code=code, **kind)

    def start(self, env=None):
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen([BUILD + "/bin/mailhook", "imap", "--config", self.conf], stdin=subprocess.DEVNULL,
                                            stdout=out, stderr=out, env=self.env(**(env or {})))
        return self

    def stop(self, how=signal.SIGTERM):
        if self.process is None:
            return None
        self.process.send_signal(how)
        code = self.process.wait(20)
        self.process = None
        return code

    def words(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def report(self, name="ops"):
        try:
            with open(self.state + "/imap.json") as f:
                return next((b for b in json.load(f)["mailboxes"] if b["name"] == name), None)
        except (FileNotFoundError, json.JSONDecodeError):
            return None

    def wait(self, what, test, deadline_s=30):
        try:
            return private.wait_until(what, test, deadline_s)
        except AssertionError as e:
            raise AssertionError("%s\n%s\n%s" % (e, self.words() if os.path.exists(self.log) else "", self.report())) from e

    def watched(self, name="ops"):
        return self.wait("mailbox %s watched" % name, lambda: (self.report(name) or {}).get("watching"))

    # -- what came of it

    def intake(self):
        """Message-IDs in the intake, in no order."""
        found = []
        for path in glob.glob(self.state + "/intake/*.msg"):
            try:
                with open(path, "rb") as f:
                    text = f.read()
            except FileNotFoundError:  # taken by the worker just now
                continue
            found += [line.split(b"<")[1].split(b">")[0].decode() for line in text.splitlines()
                      if line.lower().startswith(b"message-id:")]
        return found

    def position(self, name="ops"):
        with open("%s/mailboxes/%s" % (self.state, name)) as f:
            return f.read().splitlines()

    # -- the mailbox

    def client(self, user=USER):
        if self.pki is not None and self.scheme == "imaps":
            context = ssl.create_default_context(cafile=self.pki + "/ca.pem")
            c = imaplib.IMAP4_SSL("localhost", self.server.port["imaps"], ssl_context=context)
        else:
            c = imaplib.IMAP4("127.0.0.1", self.server.port["imap"])
        c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or each APPEND waits for a delayed ACK
        c.login(user, self.users[user])
        return c

    def deliver(self, *mails, folder="INBOX", user=USER, date=None):
        c = self.client(user)
        for mail in mails:
            code, words = c.append(folder, None, date, mail.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
            assert code == "OK", words
        c.logout()

    def fill(self, mails, user=USER):
        """Many at once, into the Maildir itself, in their order."""
        new = os.path.join(self.server.mail, user, "Maildir", "new")
        for folder in (os.path.dirname(os.path.dirname(new)), os.path.dirname(new), new, new[:-3] + "cur", new[:-3] + "tmp"):
            private.own(folder)
        for i, mail in enumerate(mails):
            path = "%s/%d.M%06dP%d.test" % (new, 1700000000 + i, i, os.getpid())
            with open(path, "wb") as f:
                f.write(mail)
            os.chown(path, private.MAIL_UID, private.MAIL_GID)

    def in_folder(self, folder, user=USER):
        """Message-IDs of a folder, with their flags."""
        c = self.client(user)
        code, _ = c.select('"%s"' % folder, readonly=True)
        found = []
        if code == "OK":
            _, data = c.fetch("1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])") if c.untagged_responses.get(
                "EXISTS", [b"0"])[-1] != b"0" else ("OK", [])
            for item in data:
                if isinstance(item, tuple):
                    ident = item[1].decode().split("<")[1].split(">")[0]
                    found.append((ident, " ".join(f.decode() for f in imaplib.ParseFlags(item[0]))))
        c.logout()
        return sorted(found)

    def ids(self, folder, user=USER):
        return [ident for ident, _ in self.in_folder(folder, user)]
