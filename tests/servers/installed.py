"""mailhook as it is installed: programs in a prefix of their own, state folders that the mail user owns, and the recipes
of README.md, word for word but for paths."""
import fcntl
import glob
import json
import os
import re
import shutil
import subprocess
import tempfile
from datetime import datetime, timedelta, timezone

import private

SOURCE = os.environ.get("MAILHOOK_SOURCE", os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
BUILD = os.environ.get("MAILHOOK_BUILD", os.path.join(SOURCE, "build"))
AS_MAIL = {"user": private.MAIL_UID, "group": private.MAIL_GID, "extra_groups": []}

NOTICE = """\
From: "Amazon Web Services, Inc." <no-reply-aws@amazon.com>
To: cloud@example.com
Subject: [Action required] AWS IAM Identity Center (successor to AWS Single
 Sign-On) SCIM Access Token Approaching Expiration. [AWS Account: %(account)s]
Date: %(date)s
Message-ID: <scim-%(account)s@example.com>
MIME-Version: 1.0
%(head)sX-SM-COMMUNICATION-TYPE: AWS_IAMIDENTITYCENTER_SCIM_BEARER_TOKEN_EXPIRY_NOTIFICATION

%(before)sHello,

The SCIM access token used to automatically provision users and groups from
your IdP to IAM Identity Center expires in 89 days on %(expires)s.

%(after)s"""
PLAIN = 'Content-Type: text/plain; charset="UTF-8"\nContent-Transfer-Encoding: %s\n'
NEWSLETTER = b"""\
From: Shop <news@example.com>
To: ann@example.com
Subject: Our spring offers
Date: Thu, 6 Nov 2025 02:11:12 +0000
Message-ID: <news-1@example.com>
X-Odd:   two  blanks\t and a tab
MIME-Version: 1.0
Content-Type: text/plain; charset="UTF-8"
Content-Transfer-Encoding: 8bit

Hello Ann,

new shoes are here, for 12 \xe2\x82\xac.
.
..
>From here on: the offer expires in 7 days.
trailing blanks  \t
"""
AWS_NEWSLETTER = b"""\
From: "Amazon Web Services, Inc." <no-reply-aws@amazon.com>
To: ops@example.com
Subject: What is new this month
Date: Thu, 6 Nov 2025 02:11:12 +0000
Message-ID: <aws-news-1@example.com>

Hello,

the console has a new look. Read about it in our blog.
"""


def notice(account="123456789012", head=PLAIN % "7bit", before="", after="", **values):
    """A notice of three minutes ago about a token that has 89 days left."""
    sent = datetime.now(timezone.utc) - timedelta(minutes=3)
    expires = sent + timedelta(days=89, hours=4)
    return (NOTICE % {"account": account, "date": sent.strftime("%a, %d %b %Y %H:%M:%S +0000"), "head": head,
                      "before": before, "after": after,
                      "expires": expires.strftime("%a %b %d %H:%M:%S UTC %Y"), **values}).encode()


def notice_8bit():
    return notice(head=PLAIN % "8bit", after="Freundliche Grüße, bien à vous, и всё\n")


def notice_of_25_mb():
    """The notice, and an attachment that nobody reads."""
    line = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAxMjM0NTY3\n"
    return notice(
        head='Content-Type: multipart/mixed; boundary="part"\n', before="--part\n" + PLAIN % "7bit" + "\n",
        after="--part\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n"
        + line * ((25 << 20) // len(line)) + "--part--\n")


def recipes():
    """{"name" or "name file": text} of README.md's marked blocks."""
    with open(os.path.join(SOURCE, "README.md"), encoding="utf-8") as f:
        found = re.findall(r"^<!-- recipe: ([^\n]+?) -->\n+```[a-z]*\n(.*?)^```$", f.read(), re.M | re.S)
    names = [name for name, _ in found]
    assert len(names) == len(set(names)) and names, "README.md's recipes: %s" % names
    return dict(found)


class Installed:
    """Programs, configuration and state of one mailhook."""

    def __init__(self, folder=None, more="", actions=None, uid=private.MAIL_UID, gid=private.MAIL_GID):
        """more: of the configuration. actions: name: text of actions/NAME.conf."""
        self.temporary = folder is None
        self.dir = folder or tempfile.mkdtemp(prefix="mailhook-recipe-")
        self.uid, self.gid, self.more, self.n = uid, gid, more, 0
        os.makedirs(os.path.join(self.dir, "etc", "actions"), exist_ok=True)
        os.chmod(self.dir, 0o755)
        self.bin = os.path.join(self.dir, "bin", "mailhook")
        self.conf = os.path.join(self.dir, "etc", "mailhook.conf")
        os.makedirs(os.path.dirname(self.bin))
        shutil.copy2(os.path.join(BUILD, "bin", "mailhook"), self.bin)
        shutil.copytree(os.path.join(BUILD, "libexec"), os.path.join(self.dir, "libexec"))
        for name, text in (actions or {}).items():
            path = os.path.join(self.dir, "etc", "actions", name + ".conf")
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
        self.fresh()

    def fresh(self):
        """A state folder that nothing has happened in. A worker of the last one may still end in its own."""
        self.n += 1
        self.state = os.path.join(self.dir, "state-%d" % self.n)
        self.intake = os.path.join(self.state, "intake")
        private.own(self.state, self.uid, self.gid)
        with open(self.conf + ".new", "w", encoding="utf-8") as f:
            f.write('state_dir = "%s"\n%s' % (self.state, self.more))
        os.rename(self.conf + ".new", self.conf)

    def close(self):
        for n in range(1, self.n + 1):
            with Lock(os.path.join(self.dir, "state-%d" % n)):
                pass
        if self.temporary:
            remove(self.dir)

    # -- recipes

    def here(self, text, also=()):
        """A recipe with this installation's paths for the printed ones; prints what it replaced."""
        rows = [("/usr/bin/mailhook %s" % c, "%s %s --config %s" % (self.bin, c, self.conf)) for c in ("pipe", "filter")]
        rows += [('["%s"]' % c, '["%s", "--config", "%s"]' % (c, self.conf)) for c in ("pipe", "filter")]
        for old, new in [*also, *rows]:
            if old in text:
                print("  replaced: %s -> %s" % (old, new), flush=True)
                text = text.replace(old, new)
        return text

    # -- faults

    def break_intake(self):
        """No message can be stored, not even by root."""
        with Lock(self.state):
            if os.path.isdir(self.intake):
                os.rename(self.intake, self.intake + ".away")
            with open(self.intake, "w", encoding="utf-8"):
                pass

    def mend_intake(self):
        os.unlink(self.intake)
        if os.path.isdir(self.intake + ".away"):
            os.rename(self.intake + ".away", self.intake)

    def stall(self):
        """The mail arrives, and its end does not: nothing more comes, and nothing is closed. SIGTERM reaches mailhook."""
        real, self.ends = self.bin + ".real", os.path.join(private.own(os.path.join(self.dir, "notes")), "ends")
        os.rename(self.bin, real)
        with open(self.ends, "w", encoding="utf-8"):
            os.chmod(self.ends, 0o666)
        with open(self.bin + ".new", "w", encoding="utf-8") as f:
            f.write("#!/usr/bin/python3 -ISB\nimport shutil, signal, subprocess, sys, time\n"
                    "begun = time.monotonic()\n"
                    "p = subprocess.Popen(['%s'] + sys.argv[1:], stdin=subprocess.PIPE)\n"
                    "signal.signal(signal.SIGTERM, lambda *_: p.terminate())\n"
                    "shutil.copyfileobj(sys.stdin.buffer, p.stdin)\np.stdin.flush()\n"
                    "code = p.wait()\n"
                    "with open('%s', 'a') as f:\n"
                    "    f.write('%%d %%f\\n' %% (code, time.monotonic() - begun))\n"
                    "sys.exit(code)\n" % (real, self.ends))
        os.chmod(self.bin + ".new", 0o755)
        os.rename(self.bin + ".new", self.bin)

    def stalled(self):
        """(exit code, seconds) of each that stalled and ended by itself."""
        with open(self.ends, encoding="utf-8") as f:
            return [(int(code), float(seconds)) for code, seconds in map(str.split, f)]

    def flow(self):
        os.rename(self.bin + ".real", self.bin)

    # -- work and what came of it

    def do(self, *args, stdin=b""):
        who = {"user": self.uid, "group": self.gid, "extra_groups": []} if os.geteuid() == 0 else {}
        return subprocess.run([self.bin, *args, "--config", self.conf], input=stdin, capture_output=True, timeout=120,
                              env={"PATH": "/usr/bin:/bin"}, cwd="/", check=False, **who)

    def work(self):
        """The worker until nothing is left that is due now; whoever holds the lock is waited for."""
        with Lock(self.state):
            pass
        done = self.do("run", "--once")
        assert done.returncode in (0, 1), done
        with Lock(self.state):
            pass

    def tickets(self):
        return read_all(glob.glob(os.path.join(self.state, "tickets", "[!.]*.txt")))

    def replies(self):
        return read_all(glob.glob(os.path.join(self.state, "replies", "new", "*")))

    def waiting(self):
        return glob.glob(os.path.join(self.intake, "*.msg"))

    def cases(self):
        done = self.do("list", "--json")
        return [json.loads(line) for line in done.stdout.splitlines() if line.strip()]

    def until_done(self, what):
        """Works until there is a ticket and a reply, and nothing waits."""
        def done():
            self.work()
            return self.tickets() and self.replies() and not self.waiting()
        private.wait_until("%s: ticket and reply" % what, done, 60)


class Lock:
    """The worker's lock: held, nobody works."""

    def __init__(self, state):
        self.path, self.file = os.path.join(state, "worker.lock"), None

    def __enter__(self):
        if os.path.exists(self.path):
            self.file = open(self.path, "rb")
            fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, kind, value, trace):
        if self.file is not None:
            self.file.close()


def remove(folder):
    """A worker that a pipe started may write in it to its end."""
    def gone():
        shutil.rmtree(folder, ignore_errors=True)
        return not os.path.exists(folder)
    private.wait_until("%s is gone" % folder, gone)


def read_all(paths):
    mails = []
    for path in sorted(paths):
        with open(path, "rb") as f:
            mails.append(f.read())
    return mails


def maildir_mails(*folders):
    """The bytes of each mail of Maildirs and of the folders in them."""
    paths = []
    for folder in folders:
        for sub in ("new", "cur", ".*/new", ".*/cur", "*/new", "*/cur"):
            paths += glob.glob(os.path.join(folder, sub, "*"))
    return read_all(set(paths))
