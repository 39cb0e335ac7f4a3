#!/usr/bin/env python3
"""The built program as mail servers run it: every exit code and manner of pipe, filter and parse."""

import fcntl
import glob
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

BUILD = os.environ["MAILHOOK_BUILD"]
MAILHOOK = os.path.join(BUILD, "bin", "mailhook")
HOSTILE = os.path.join(BUILD, "tests", "mailhook-hostile")
HOSTILE_MAIL = os.path.join(BUILD, "tests", "hostile-mail")
with open(MAILHOOK, "rb") as _program:
    SANITIZED = b"__asan_init" in _program.read()

IRRELEVANT = b"From: Ann <ann@example.com>\nSubject: lunch\n\nAt noon?\n"
NOTICE = (
    b'From: "Amazon Web Services, Inc." <no-reply-aws@amazon.com>\n'
    b"To: cloud@example.com\n"
    b"Subject: IAM Identity Center SCIM Access Token Approaching Expiration [AWS Account: 123456789012]\n"
    b"Date: Thu, 1 Jan 2026 03:00:00 +0000\n"
    b"Message-ID: <scim-1@example.com>\n"
    b"Content-Type: text/plain; charset=UTF-8\n"
    b"\n"
    b"The SCIM access token used to automatically provision users and groups from\n"
    b"your IdP to IAM Identity Center expires in 89 days on Tue Mar 31 04:05:06 UTC 2026.\n"
)
UNRECOGNISED = NOTICE.replace(b"Tue Mar 31 04:05:06 UTC 2026", b"09/07/2026")
BIG = 64 << 20


def read(path):
    with open(path, "rb") as f:
        return f.read()


class World:
    """A state folder, a configuration, and the way to run the program there."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="mailhook-front-")
        self.state = os.path.join(self.dir, "state")
        self.intake = os.path.join(self.state, "intake")
        self.conf = os.path.join(self.dir, "mailhook.conf")
        os.mkdir(self.state, 0o700)
        self.configure(f'state_dir = "{self.state}"\n')
        self.env = {"MAILHOOK_CLOCK_FILE": os.path.join(self.dir, "clock")}
        with open(self.env["MAILHOOK_CLOCK_FILE"], "w") as f:
            f.write("2026-01-01T04:00:00Z\n")
        # Somebody works: the pipe starts no worker, which would take away what a test looks at.
        self.lock = open(os.path.join(self.state, "worker.lock"), "w")
        fcntl.flock(self.lock, fcntl.LOCK_EX)

    def configure(self, text):
        with open(self.conf, "w") as f:
            f.write(text)

    def close(self):
        self.lock.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def run(self, command, mail, *args, program=MAILHOOK, env=None, **more):
        return subprocess.run(
            [program, command, "--config", self.conf, *args],
            input=mail,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**self.env, **(env or {})},
            timeout=60,
            **more,
        )

    def measure(self, mail):
        """Exit status and peak memory of pipe, in kB: of the largest of its processes."""
        # A bare Python between: what forks lends its own memory to the count, and this one is too large.
        small = ("import os,sys\np=os.fork()\np or os.execv(sys.argv[1], sys.argv[1:])\n"
                 "_,s,u=os.wait4(p,0)\nprint(s,u.ru_maxrss)")
        p = subprocess.run(
            [sys.executable, "-I", "-S", "-c", small, MAILHOOK, "pipe", "--config", self.conf],
            input=mail, stdout=subprocess.PIPE, env=self.env, check=True, timeout=60)
        return map(int, p.stdout.split())

    def kept(self):
        files = sorted(glob.glob(os.path.join(self.intake, "*.msg")))
        return [read(f) for f in files]

    def leftovers(self):
        """What is in the intake and is no message."""
        names = os.listdir(self.intake) if os.path.isdir(self.intake) else []
        return [n for n in names if not n.endswith(".msg")]


class FrontCase(unittest.TestCase):
    def setUp(self):
        self.w = World()
        self.addCleanup(lambda: self.w.close())  # whichever it is by then

    def assert_quiet(self, p, code):
        """The exit code, and standard error as a stranger may read it."""
        self.assertEqual(p.returncode, code, p.stderr)
        lines = p.stderr.splitlines()
        self.assertLessEqual(len(lines), 1, p.stderr)
        if code == 0:
            self.assertEqual(p.stderr, b"")
        for line in lines:
            self.assertTrue(line.startswith(b"mailhook: "), line)
            for private in (b"123456789012", b"example.com", b"SCIM"):
                self.assertNotIn(private, line)


class Pipe(FrontCase):
    def test_verdicts(self):
        rows = [
            ("irrelevant", IRRELEVANT, 0),
            ("empty", b"", 0),
            ("nothing but a line end", b"\n", 0),
            ("NULs", b"\0" * 1000, 0),
            ("notice", NOTICE, 1),
            ("notice, CRLF", NOTICE.replace(b"\n", b"\r\n"), 1),
            ("notice behind a From line", b"From a@example.com Thu Jan  1 03:00:00 2026\n" + NOTICE, 1),
            ("notice without a final line end", NOTICE[:-1], 1),
            ("unrecognised", UNRECOGNISED, 1),
        ]
        for name, mail, kept in rows:
            with self.subTest(name):
                self.assert_quiet(self.w.run("pipe", mail), 0)
                files = self.w.kept()
                self.assertEqual(len(files), kept)
                for f in files:
                    head, _, rest = f.partition(b"\n")
                    self.assertEqual(rest, mail)
                    self.assertTrue(head.startswith(b"mailhook 1 2026-01-01T04:00:00Z from="), head)
                    self.assertTrue(head.endswith(b" cut=0"), head)
                self.assertEqual(self.w.leftovers(), [])
                shutil.rmtree(self.w.intake, ignore_errors=True)

    def test_irrelevant_touches_nothing(self):
        self.w.run("pipe", IRRELEVANT)
        self.assertEqual(os.listdir(self.w.state), ["worker.lock"])

    def test_sender(self):
        rows = [
            ("nobody says", NOTICE, {}, (), b"from=- "),
            ("Postfix, Dovecot", NOTICE, {"SENDER": "bounce@example.com"}, (), b"from=bounce@example.com "),
            ("Postfix, empty sender", NOTICE, {"SENDER": "MAILER-DAEMON"}, (), b"from= "),
            ("maildrop", NOTICE, {"FROM": "m@example.com"}, (), b"from=m@example.com "),
            ("option", NOTICE, {"SENDER": "s@example.com"}, ("--sender", "o@example.com"), b"from=o@example.com "),
            ("option, joined and empty", NOTICE, {}, ("--sender=",), b"from= "),
            ("login name", NOTICE, {"LOGNAME": "ann"}, (), b"from=- "),
            ("From line", b"From f@example.com Thu Jan\n" + NOTICE, {}, (), b"from=f@example.com "),
            ("Return-Path", b"Return-Path: <r@example.com>\n" + NOTICE, {}, (), b"from=- "),
        ]
        for name, mail, env, args, want in rows:
            with self.subTest(name):
                self.assert_quiet(self.w.run("pipe", mail, *args, env=env), 0)
                self.assertIn(want, self.w.kept()[0].split(b"\n")[0])
                shutil.rmtree(self.w.intake)

    def test_not_durable_is_later(self):
        w = self.w

        def no_folder_above():
            w.configure(f'state_dir = "{w.dir}/none/state"\n')

        def intake_is_a_file():
            open(w.intake, "w").close()

        def file_size_limit():
            os.mkdir(w.intake)
            return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

        def no_configuration():
            os.unlink(w.conf)

        def configuration_is_a_folder():
            os.unlink(w.conf)
            os.mkdir(w.conf)

        def state_dir_is_wrong():
            w.configure('password = 1\nstate_dir = "here"\n')

        def only_state_dir_is_wrong():
            w.configure('state_dir = "here"\n')

        def nobody_knows_the_state_dir():
            w.configure('nonsense = "secret"\nstate_dir = "$HOME"\n')

        rows = {
            no_folder_above: "{0}/none/state/intake: cannot be opened: No such file or directory",
            intake_is_a_file: "{0}/state/intake: cannot be opened: Not a directory",
            file_size_limit: "{0}/state/intake: a message cannot be written: File too large",
            no_configuration: "{0}/mailhook.conf: cannot be opened: No such file or directory",
            configuration_is_a_folder: "{0}/mailhook.conf: is no regular file",
            state_dir_is_wrong: "{0}/mailhook.conf:1: is wrong: 'mailhook check' says all",
            only_state_dir_is_wrong: "{0}/mailhook.conf:1: state_dir must be an absolute path, not \"here\"",
            nobody_knows_the_state_dir: "{0}/mailhook.conf:1: is wrong: 'mailhook check' says all",
        }
        for spoil, words in rows.items():
            with self.subTest(spoil.__name__):
                self.w.close()
                w = self.w = World()
                preexec = spoil()
                for command in ("pipe", "filter"):
                    p = w.run(command, NOTICE, preexec_fn=preexec)
                    self.assert_quiet(p, 75)
                    self.assertEqual(p.stderr.decode(), "mailhook: " + words.format(w.dir) + "\n")
                    self.assertEqual(p.stdout, b"")
                    self.assertEqual(w.kept(), [])
                    self.assertEqual(w.leftovers(), [])

    @unittest.skipUnless(os.geteuid() == 0, "only root can become another user")
    def test_not_permitted_is_later(self):
        os.chmod(self.w.dir, 0o755)
        os.chmod(self.w.state, 0o755)
        os.mkdir(self.w.intake, 0o755)
        self.assert_quiet(self.w.run("pipe", NOTICE, user=65534), 75)
        os.chmod(self.w.intake, 0o3777)
        self.assert_quiet(self.w.run("pipe", NOTICE, user=65534), 0)
        f = glob.glob(self.w.intake + "/*.msg")[0]
        self.assertEqual(os.stat(f).st_mode & 0o7777, 0o640)
        os.unlink(self.w.conf)
        self.w.configure(f'state_dir = "{self.w.state}"\n')
        os.chmod(self.w.conf, 0)
        self.assert_quiet(self.w.run("pipe", NOTICE, user=65534), 75)

    def test_broken_configuration_still_takes(self):
        rows = [
            ("an unknown option", f'state_dir = "{self.w.state}"\nnonsense = 1\n'),
            ("a syntax error", f'state_dir = "{self.w.state}"\nrule "x" {{\n'),
            ("a syntax error before", f'rule "x" {{ = = \nstate_dir = "{self.w.state}"\n'),
        ]
        for name, text in rows:
            with self.subTest(name):
                self.w.configure(text)
                self.assert_quiet(self.w.run("pipe", NOTICE), 0)
                self.assertEqual(len(self.w.kept()), 1)
                shutil.rmtree(self.w.intake)

    def test_wrong_usage_is_later_and_reads_all(self):
        big = NOTICE + b"x" * (1 << 20)
        for args in (("--nonsense",), ("--sender",), ("path",)):
            with self.subTest(args):
                for command in ("pipe", "filter"):
                    p = self.w.run(command, big, *args)
                    self.assert_quiet(p, 75)
                    self.assertEqual(p.stdout, b"")

    def test_reads_all(self):
        """A mail server that meets a closed pipe calls it a failure, though the mail was taken."""
        for name, spoil in (("kept", None), ("no configuration", lambda: os.unlink(self.w.conf))):
            with self.subTest(name):
                if spoil:
                    spoil()
                p = subprocess.Popen(
                    [MAILHOOK, "pipe", "--config", self.w.conf],
                    stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=self.w.env)
                for _ in range(80):
                    p.stdin.write(b"Subject: x\n\n" + b"y" * (1 << 20))
                p.stdin.close()
                p.stderr.read()
                p.stderr.close()
                p.wait(30)

    def test_unreadable_input_is_later(self):
        def close_it():
            os.close(0)

        def write_only():  # Pigeonhole without :pipe
            os.dup2(os.open("/dev/null", os.O_WRONLY), 0)

        def folder():
            os.dup2(os.open("/", os.O_RDONLY), 0)

        for spoil in (close_it, write_only, folder):
            for command in ("pipe", "filter"):
                with self.subTest(spoil.__name__, command=command):
                    p = subprocess.run(
                        [MAILHOOK, command, "--config", self.w.conf],
                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.w.env, preexec_fn=spoil, timeout=30)
                    self.assert_quiet(p, 75)
                    self.assertEqual(p.stdout, b"")

    def test_bare_surroundings(self):
        def nothing_open():
            os.close(1)
            os.close(2)

        def ignored():
            for s in (signal.SIGPIPE, signal.SIGCHLD, signal.SIGXFSZ, signal.SIGXCPU):
                signal.signal(s, signal.SIG_IGN)

        def blocked():
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGALRM, signal.SIGCHLD})

        def leaked():
            for n in (3, 5, 9, 251):
                os.dup2(os.open("/etc/passwd", os.O_RDONLY), n)

        def umask():
            os.umask(0o777)

        def elsewhere():
            os.chdir("/")

        for way in (nothing_open, ignored, blocked, leaked, umask, elsewhere):
            with self.subTest(way.__name__):
                p = self.w.run("pipe", NOTICE, preexec_fn=way, close_fds=False)
                self.assertEqual(p.returncode, 0)
                self.assertEqual(len(self.w.kept()), 1)
                shutil.rmtree(self.w.intake)

    def test_input_is_not_written_into(self):
        """With 2 closed, the intake's file must not become standard error."""
        def close_two():
            os.close(2)

        p = subprocess.run(
            [MAILHOOK, "pipe", "--config", self.w.conf], input=NOTICE, env=self.w.env, preexec_fn=close_two, timeout=30)
        self.assertEqual(p.returncode, 0)
        self.assertTrue(self.w.kept()[0].endswith(NOTICE))

    @unittest.skipIf(SANITIZED, "a sanitizer needs all of the address space")
    def test_sieve_memory(self):
        """Pigeonhole gives 256 MiB of address space: the largest message is taken, or it is later."""
        def limit():
            resource.setrlimit(resource.RLIMIT_AS, (256 << 20, 256 << 20))

        self.assert_quiet(self.w.run("pipe", NOTICE, preexec_fn=limit), 0)
        self.assertEqual(len(self.w.kept()), 1)
        big = NOTICE + b"an ordinary line of some sixty letters, as people write them\n" * (BIG // 61 - 100)
        p = self.w.run("pipe", big, preexec_fn=limit)
        self.assertIn(p.returncode, (0, 75))
        if p.returncode == 0:
            self.assertEqual(len(self.w.kept()), 2)

    def test_longer_than_kept(self):
        big = NOTICE + b"an ordinary line of some sixty letters, as people write them\n" * (BIG // 61)
        p = self.w.run("pipe", big)
        self.assert_quiet(p, 0)
        head, _, rest = self.w.kept()[0].partition(b"\n")
        self.assertTrue(head.endswith(b" cut=1"))
        self.assertEqual(len(rest), BIG)
        self.assertTrue(big.startswith(rest))

    def test_signals_are_later(self):
        for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGALRM, signal.SIGUSR1):
            with self.subTest(s):
                p = subprocess.Popen(
                    [MAILHOOK, "pipe", "--config", self.w.conf],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.w.env)
                # It waits for more only after it has set its signals and read this.
                p.stdin.write(NOTICE)
                p.stdin.flush()
                wait_until(lambda: sleeps_on_pipe(p.pid))
                p.send_signal(s)
                _, err = p.communicate(timeout=30)
                self.assertEqual(p.returncode, 75)
                self.assertEqual(err, b"")
                self.assertEqual(self.w.kept(), [])

    def test_own_deadline(self):
        start = time.monotonic()
        p = subprocess.Popen(
            [MAILHOOK, "pipe", "--config", self.w.conf], stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=self.w.env)
        self.assertEqual(p.wait(30), 75)
        self.assertLess(time.monotonic() - start, 9.5)
        self.assertGreater(time.monotonic() - start, 7)
        p.stdin.close()
        p.stderr.close()

    def test_two_at_once(self):
        ps = [
            subprocess.Popen([MAILHOOK, "pipe", "--config", self.w.conf], stdin=subprocess.PIPE, env=self.w.env)
            for _ in range(20)
        ]
        for p in ps:
            p.stdin.write(NOTICE)
            p.stdin.close()
        for p in ps:
            self.assertEqual(p.wait(60), 0)
        self.assertEqual(len(self.w.kept()), 20)

    def test_definitions_of_the_user(self):
        folder = os.path.join(self.w.dir, "definitions")
        os.mkdir(folder)
        with open(os.path.join(folder, "broken.notice"), "w") as f:
            f.write("no definition at all\n")
        self.assert_quiet(self.w.run("pipe", IRRELEVANT), 0)
        self.assert_quiet(self.w.run("pipe", NOTICE), 0)
        self.assertEqual(len(self.w.kept()), 1)
        os.mkdir(os.path.join(folder, "folder.notice"))  # these hold no definition, now or later
        os.symlink("gone", os.path.join(folder, "gone.notice"))
        self.assert_quiet(self.w.run("pipe", IRRELEVANT), 0)
        # What a file or a folder that cannot be read would have said, nobody knows.
        loop = os.path.join(folder, "loop.notice")
        os.symlink("loop.notice", loop)
        for command in ("pipe", "filter"):
            p = self.w.run(command, IRRELEVANT)
            self.assert_quiet(p, 75)
            self.assertIn(loop.encode() + b": cannot be read: ", p.stderr)
            self.assertEqual(p.stdout, b"")
        self.assert_quiet(self.w.run("pipe", NOTICE), 0)
        self.assertEqual(len(self.w.kept()), 2)
        shutil.rmtree(folder)
        os.symlink("definitions", folder)
        p = self.w.run("pipe", IRRELEVANT)
        self.assert_quiet(p, 75)
        self.assertIn(folder.encode(), p.stderr)

    def test_wrong_definition_loses_no_mail(self):
        """What its phrases can still be found in is unrecognised; all other mail passes as ever."""
        folder = os.path.join(self.w.dir, "definitions")
        os.mkdir(folder)
        right = """notice "example-licence" {
    kind     = "example.licence"
    senders  = {"billing@example.com"}
    literals = {"Your Example licence"}
    patterns = {'Your Example licence (?<resource>[A-Z0-9-]{8,20}) ends on (?<expires>.{6,40})'}
}
"""
        mail = (b"From: billing@example.com\nDate: Thu, 6 Nov 2025 02:11:12 +0000\nSubject: hello\n\n"
                b"Your Example\nlicence AB12-CD34 ends on March 5, 2026.\n")
        rows = [
            ("right", right, b"notice"),
            ("an unknown option", right.replace("kind ", "kinds"), b"unrecognised"),
            ("a wrong pattern", right.replace("(?<expires>", "(?<expiry>"), b"unrecognised"),
            ("a string without an end", right.replace('licence"}', "licence}"), b"unrecognised"),
            ("no quotes", right.replace('"Your Example licence"', "Your Example licence"), b"unrecognised"),
            ("a mistyped key", right.replace("literals", "literal"), b"unrecognised"),
            ("no equals sign", right.replace("literals =", "literals"), b"unrecognised"),
            ("two blanks", right.replace("Your Example", "Your  Example"), b"unrecognised"),
            ("no last brace", right[:-2], b"unrecognised"),
            ("not UTF-8 elsewhere", right.replace("notice", "# \xe4\nnotice", 1), b"unrecognised"),
            ("only half written", right[:right.index("patterns")], b"unrecognised"),
            ("a variable", right.replace("example.licence", "${KIND}"), b"unrecognised"),
            ("its sender alone", right.replace("Your Example", "My").replace("patterns", "pattern"), b"unrecognised"),
            ("a phrase that is in every mail", right.replace('"Your Example licence"', '"a"').replace(
                "billing", "nobody").replace("patterns", "pattern"), b"irrelevant"),
        ]
        for name, text, verdict in rows:
            with self.subTest(name):
                with open(os.path.join(folder, "licence.notice"), "w", encoding="latin-1") as f:
                    f.write(text)
                p = self.w.run("filter", mail if name != "its sender alone" else mail.replace(b"hello", b"expires"))
                self.assert_quiet(p, 0)
                self.assertIn(b"X-Mailhook-Verdict: " + verdict + b"\n", p.stdout)
                self.assertEqual(len(self.w.kept()), verdict != b"irrelevant")
                shutil.rmtree(self.w.intake, ignore_errors=True)
                for other in (IRRELEVANT, mail.replace(b"Example", b"own").replace(b"billing", b"ann")):
                    p = self.w.run("filter", other)
                    self.assert_quiet(p, 0)
                    self.assertIn(b"X-Mailhook-Verdict: irrelevant\n", p.stdout)
        # What a right definition reads is as ever, whatever a wrong one says of it.
        with open(os.path.join(folder, "licence.notice"), "w") as f:
            f.write('notice "aws-scim-token" {\n literals = {"SCIM access token used to automatically provision"}\n}\n')
        p = self.w.run("filter", NOTICE)
        self.assertIn(b"X-Mailhook-Verdict: notice\n", p.stdout)
        # A person hears of it in words that name the file.
        with open(os.path.join(folder, "licence.notice"), "w") as f:
            f.write(right.replace("kind ", "kinds"))
        p = self.w.run("parse", mail)
        self.assertEqual(json.loads(p.stdout)["reason"],
                         "the definition licence.notice is wrong: mailhook check says where")
        self.assertIn(folder.encode() + b"/licence.notice:2: no such option 'kinds'\n", p.stderr)


class Worker(FrontCase):
    """What the pipe starts where nobody works."""

    def setUp(self):
        super().setUp()
        self.w.lock.close()
        # The program as it is installed, with a worker that writes down how it was started.
        self.root = os.path.join(self.w.dir, "root")
        self.said = os.path.join(self.w.dir, "said")
        os.makedirs(self.root + "/bin")
        os.makedirs(self.root + "/libexec/mailhook")
        shutil.copy(MAILHOOK, self.root + "/bin/mailhook")
        worker = self.root + "/libexec/mailhook/mailhook-work"
        with open(worker, "w") as f:
            f.write("#!/bin/sh\n{ echo \"args $*\"; env | sort; pwd; ls -l /proc/$$/fd; cut -d' ' -f4-6 /proc/$$/stat; } "
                    f">{self.said}.new 2>&1\nmv {self.said}.new {self.said}\n")
        os.chmod(worker, 0o755)

    def pipe(self, mail, **more):
        return self.w.run("pipe", mail, program=self.root + "/bin/mailhook", **more)

    def test_started_detached(self):
        os.chdir(self.w.dir)
        p = self.pipe(NOTICE, env={"SECRET": "x"}, close_fds=False)
        self.assert_quiet(p, 0)
        wait_until(lambda: os.path.exists(self.said))
        with open(self.said) as f:
            said = f.read()
        self.assertIn("args run --once --no-wait --config " + self.w.conf + "\n", said)
        self.assertIn("PATH=/usr/bin:/bin\n", said)
        self.assertIn("MAILHOOK_CLOCK_FILE=" + self.w.env["MAILHOOK_CLOCK_FILE"], said)
        self.assertNotIn("SECRET", said)
        self.assertIn("\n/\n", said)
        self.assertNotIn("pipe:", said)
        self.assertNotIn("socket:", said)
        self.assertIn("0 -> /dev/null", said)
        stat = said.split("\n")[-2].split()
        self.assertNotEqual(stat[2], str(os.getsid(0)), "a session of its own")

    def test_not_started(self):
        def irrelevant():
            return IRRELEVANT

        def somebody_works():
            self.lock = open(os.path.join(self.w.state, "worker.lock"), "w")
            fcntl.flock(self.lock, fcntl.LOCK_EX)
            self.addCleanup(self.lock.close)
            return NOTICE

        for way in (irrelevant, somebody_works):
            with self.subTest(way.__name__):
                self.assert_quiet(self.pipe(way()), 0)
                # A worker that was started is a process by now, or has said so: exec follows the fork at once.
                self.assertFalse(any_process_of(self.root))
                self.assertFalse(os.path.exists(self.said))

    @unittest.skipUnless(os.geteuid() == 0, "only root can become another user")
    def test_not_started_by_another_user(self):
        os.chmod(self.w.dir, 0o755)
        os.chmod(self.w.state, 0o755)
        os.mkdir(self.w.intake)
        os.chmod(self.w.intake, 0o3777)
        self.assert_quiet(self.pipe(NOTICE, user=65534), 0)
        self.assertFalse(any_process_of(self.root))
        self.assertFalse(os.path.exists(self.said))

    def test_no_worker_program(self):
        shutil.rmtree(self.root + "/libexec")
        self.assert_quiet(self.pipe(NOTICE), 0)
        self.assertEqual(len(self.w.kept()), 1)


class Filter(FrontCase):
    def fields(self, verdict, notice=False, end=b"\n"):
        all_in_one = b"X-Mailhook: verdict=" + verdict
        if notice:
            all_in_one += b"; kind=aws.identity-center.scim-token; account=123456789012; expires=2026-03-31T04:05:06Z"
        lines = [all_in_one, b"X-Mailhook-Verdict: " + verdict]
        if notice:
            lines += [
                b"X-Mailhook-Kind: aws.identity-center.scim-token",
                b"X-Mailhook-Account: 123456789012",
                b"X-Mailhook-Expires: 2026-03-31T04:05:06Z",
            ]
        lines.append(b"X-Mailhook-Notices: " + (b"1" if notice else b"0"))
        return b"".join(x + end for x in lines)

    def test_byte_for_byte(self):
        line = b"From a@example.com Thu Jan  1 03:00:00 2026\n"
        crlf = NOTICE.replace(b"\n", b"\r\n")
        rows = [
            ("irrelevant", IRRELEVANT, self.fields(b"irrelevant") + IRRELEVANT),
            ("notice", NOTICE, self.fields(b"notice", True) + NOTICE),
            ("CRLF", crlf, self.fields(b"notice", True, b"\r\n") + crlf),
            ("From line", line + NOTICE, line + self.fields(b"notice", True) + NOTICE),
            ("unrecognised", UNRECOGNISED, self.fields(b"unrecognised") + UNRECOGNISED),
            ("empty", b"", self.fields(b"irrelevant")),
            ("no final line end", IRRELEVANT[:-1], self.fields(b"irrelevant") + IRRELEVANT[:-1]),
            ("NULs and 8-bit", b"A: \0\xff\r\n\r\n\0\xe9", self.fields(b"irrelevant", end=b"\r\n") + b"A: \0\xff\r\n\r\n\0\xe9"),
            ("forged", b"X-Mailhook-Verdict: notice\n folded\n" + IRRELEVANT, self.fields(b"irrelevant") + IRRELEVANT),
            ("loop mark", b"X-Mailhook-Job: j\n" + IRRELEVANT, self.fields(b"irrelevant") + b"X-Mailhook-Job: j\n" + IRRELEVANT),
            ("3 MB", IRRELEVANT + b"\0\n" * (3 << 19), self.fields(b"irrelevant") + IRRELEVANT + b"\0\n" * (3 << 19)),
        ]
        for name, mail, want in rows:
            with self.subTest(name):
                p = self.w.run("filter", mail)
                self.assert_quiet(p, 0)
                self.assertTrue(p.stdout == want, p.stdout[:600])

    def test_stores_as_pipe(self):
        self.w.run("filter", IRRELEVANT)
        self.assertEqual(self.w.kept(), [])
        self.w.run("filter", NOTICE)
        self.assertTrue(self.w.kept()[0].endswith(NOTICE))

    def test_longer_than_kept(self):
        big = NOTICE + b"an ordinary line of some sixty letters, as people write them\n" * (BIG // 61 + 50000)
        p = self.w.run("filter", big)
        self.assert_quiet(p, 0)
        self.assertTrue(p.stdout.endswith(big))

    def test_header_longer_than_kept(self):
        """No field that a stranger wrote is a field behind the bytes that were looked at."""
        big = b"Subject: x\n" + (b"A: " + b"b" * 70 + b"\n") * (BIG // 74 + 50000) + b"X-Mailhook-Verdict: notice\n\nbody\n"
        p = self.w.run("filter", big)
        self.assert_quiet(p, 0)
        head, body = p.stdout.split(b"\n\n", 1)
        self.assertEqual(re.findall(rb"(?m)^X-Mailhook-Verdict: .*", head), [b"X-Mailhook-Verdict: failed"])
        self.assertTrue(body.endswith(b"\nX-Mailhook-Verdict: notice\n\nbody\n"))

    def test_output_lost_is_later(self):
        def closed():
            os.close(1)

        def full():
            os.dup2(os.open("/dev/full", os.O_WRONLY), 1)

        def no_reader():
            r, w = os.pipe()
            os.dup2(w, 1)
            os.close(r)
            os.close(w)

        for spoil in (closed, full, no_reader):
            with self.subTest(spoil.__name__):
                p = subprocess.run(
                    [MAILHOOK, "filter", "--config", self.w.conf],
                    input=IRRELEVANT, stderr=subprocess.PIPE, env=self.w.env, preexec_fn=spoil, timeout=30)
                self.assert_quiet(p, 75)


class Hostile(FrontCase):
    """A captured parser: the face lives, the message is kept, the verdict is failed."""

    ORDERS = ("crash", "spin", "open", "fork", "garbage", "silent")

    def test_pipe_and_filter(self):
        for order in self.ORDERS:
            with self.subTest(order):
                mail = f"Subject: {order}\n\nbody\n".encode()
                p = self.w.run("pipe", mail, program=HOSTILE)
                self.assert_quiet(p, 0)
                self.assertTrue(self.w.kept()[0].endswith(mail))
                shutil.rmtree(self.w.intake)
        for order in ("crash", "garbage"):
            mail = f"Subject: {order}\n\nbody\n".encode()
            p = self.w.run("filter", mail, program=HOSTILE)
            self.assert_quiet(p, 0)
            self.assertEqual(p.stdout, b"X-Mailhook: verdict=failed\nX-Mailhook-Verdict: failed\nX-Mailhook-Notices: 0\n" + mail)

    def test_parse(self):
        paths = []
        for order in self.ORDERS + ("nothing", "crash", "nothing"):
            path = os.path.join(self.w.dir, f"{len(paths)}-{order}")
            with open(path, "w") as f:
                f.write(f"Subject: {order}\n\nbody\n")
            paths.append(path)
        p = subprocess.run([HOSTILE, "parse", *paths], stdout=subprocess.PIPE, timeout=60)
        self.assertEqual(p.returncode, 0)
        got = [json.loads(line) for line in p.stdout.splitlines()]
        self.assertEqual([g["source"] for g in got], paths)
        for g, path in zip(got, paths):
            want = "irrelevant" if path.endswith("nothing") else "failed"
            self.assertEqual(g["verdict"], want, path)
            self.assertEqual(g["reason"] is None, want == "irrelevant", path)


class HostileMail(FrontCase):
    def test_all(self):
        """An answer within 2 s and 100 MB, and never a code but 0: hostile mail is a mail."""
        names = subprocess.run([HOSTILE_MAIL, "--list"], stdout=subprocess.PIPE, check=True).stdout.split()
        self.assertGreater(len(names), 20)
        for name in names:
            with self.subTest(name):
                mail = subprocess.run([HOSTILE_MAIL, name], stdout=subprocess.PIPE, check=True).stdout
                for command in ("pipe", "filter"):
                    start = time.monotonic()
                    p = self.w.run(command, mail)
                    took = time.monotonic() - start
                    self.assert_quiet(p, 0)
                    if command == "filter":
                        self.assertTrue(p.stdout.endswith(mail))
                    if not SANITIZED:
                        self.assertLess(took, 2)
                if not SANITIZED:
                    status, kilobytes = self.w.measure(mail)
                    self.assertEqual(status, 0)
                    self.assertLess(kilobytes, 100 << 10)
                p = subprocess.run([MAILHOOK, "parse"], input=mail, stdout=subprocess.PIPE, timeout=60)
                self.assertEqual(p.returncode, 0)
                self.assertIn(json.loads(p.stdout)["verdict"], ("irrelevant", "failed", "unrecognised", "notice"))


class Parse(FrontCase):
    def parse(self, *args, mail=b"", **more):
        p = subprocess.run([MAILHOOK, "parse", *args], input=mail, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           env=self.w.env, timeout=60, **more)
        return p, [json.loads(line) for line in p.stdout.splitlines()]

    def file(self, name, content):
        path = os.path.join(self.w.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(content)
        return path

    def test_standard_input(self):
        for args in ((), ("-",)):
            p, got = self.parse(*args, mail=NOTICE)
            self.assertEqual((p.returncode, p.stderr), (0, b""))
            self.assertEqual(got, [{
                "source": "-", "message_id": "<scim-1@example.com>", "verdict": "notice", "reason": None,
                "parser": "aws-scim-token",
                "notices": [{
                    "kind": "aws.identity-center.scim-token", "account": "123456789012", "region": None,
                    "resource": None, "expires": "2026-03-31T04:05:06Z", "precision": "second", "days_stated": 89,
                    "event": None}]}])

    def test_no_side_effect(self):
        before = sorted(os.listdir(self.w.state))
        self.parse("--config", self.w.conf, mail=NOTICE)
        self.assertEqual(sorted(os.listdir(self.w.state)), before)

    def test_file(self):
        path = self.file("a.eml", NOTICE)
        line = self.file("b.eml", b"From here\n" + NOTICE)
        empty = self.file("c.eml", b"")
        p, got = self.parse(path, line, empty)
        self.assertEqual(p.returncode, 0)
        self.assertEqual([(g["source"], g["verdict"]) for g in got],
                         [(path, "notice"), (line, "notice"), (empty, "irrelevant")])

    def test_maildir(self):
        box = os.path.join(self.w.dir, "Maildir")
        want = []
        for name in ("new/3", "new/1", "cur/2:2,S", "cur/4:2,"):
            want.append(self.file("Maildir/" + name, NOTICE))
        self.file("Maildir/tmp/5", NOTICE)
        self.file("Maildir/new/.hidden", NOTICE)
        os.mkfifo(box + "/new/fifo")
        p, got = self.parse(box)
        self.assertEqual((p.returncode, p.stderr), (0, b""))
        self.assertEqual([g["source"] for g in got], sorted(want))
        os.mkdir(box + "/new/folder")
        p, got = self.parse(box + "/")
        self.assertEqual(len(got), 4)

    def test_mbox(self):
        line = b"From a@example.com Thu Jan  1 03:00:00 2026\n"
        path = self.file("box", line + NOTICE + b"\n" + line + IRRELEVANT + b">From x\n\n" + line + UNRECOGNISED + b"\n")
        p, got = self.parse(path)
        self.assertEqual(p.returncode, 0)
        self.assertEqual([(g["source"], g["verdict"]) for g in got],
                         [(path + ":1", "notice"), (path + ":2", "irrelevant"), (path + ":3", "unrecognised")])

    def test_many_at_once(self):
        for i in range(300):
            self.file(f"many/new/{i:04}", NOTICE.replace(b"scim-1@", b"scim-%d@" % i) if i % 3 else IRRELEVANT)
        p, got = self.parse(os.path.join(self.w.dir, "many"))
        self.assertEqual(len(got), 300)
        for i, g in enumerate(got):
            self.assertEqual(g["verdict"], "notice" if i % 3 else "irrelevant")
            self.assertEqual(g["message_id"], f"<scim-{i}@example.com>" if i % 3 else None)

    def test_cannot_open(self):
        good = self.file("good", NOTICE)
        p, got = self.parse(self.w.dir + "/none", good)
        self.assertEqual(p.returncode, 1)
        self.assertEqual([g["source"] for g in got], [good])
        self.assertIn(b"none", p.stderr)
        self.assertEqual(len(p.stderr.splitlines()), 1)
        os.mkdir(self.w.dir + "/plain")
        self.assertEqual(self.parse(self.w.dir + "/plain")[0].returncode, 1)

    def test_codes(self):
        self.assertEqual(self.parse("--nonsense")[0].returncode, 2)
        self.assertEqual(self.parse("--config", self.w.dir + "/none", mail=NOTICE)[0].returncode, 2)
        self.w.configure("nonsense = 1\n")
        p = self.parse("--config", self.w.conf, mail=NOTICE)[0]
        self.assertEqual(p.returncode, 2)
        self.assertIn(b"mailhook.conf:1: ", p.stderr)
        with open("/dev/full", "w") as full:
            p = subprocess.run([MAILHOOK, "parse"], input=NOTICE, stdout=full, stderr=subprocess.PIPE)
        self.assertEqual(p.returncode, 1)
        p = subprocess.run([MAILHOOK, "parse"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=lambda: os.close(0))
        self.assertEqual(p.returncode, 1)

    def test_explain(self):
        plain = self.parse(mail=NOTICE)[0].stdout
        p, got = self.parse("--explain", mail=NOTICE)
        self.assertEqual((p.returncode, p.stdout), (0, plain))
        lines = p.stderr.decode().splitlines()
        self.assertEqual(lines[0], "-:")
        self.assertLessEqual(max(map(len, lines)), 80)
        words = " ".join(p.stderr.decode().split())
        self.assertIn('aws-scim-token: claimed by its literal "SCIM access token used to automatically provision", '
                      "in the text of part 1, bytes 4 to 53", words)
        self.assertIn('date "Tue Mar 31 04:05:06 UTC 2026" = 2026-03-31T04:05:06Z counts: ', words)
        self.assertIn("aws-acm: not claimed: no word of it is in the mail", words)
        self.assertEqual(lines[-1], '  verdict "notice"')

    def test_explain_json(self):
        box = self.file("box", b"".join(b"From a@example.com Mon Jan  5 09:00:00 2026\n" + m + b"\n" for m in (NOTICE, b"\nx")))
        p, got = self.parse("--explain", "--json", box)
        self.assertEqual([g["verdict"] for g in got], ["notice", "irrelevant"])
        said = [json.loads(line) for line in p.stderr.splitlines()]
        self.assertEqual({tuple(s) for s in said}, {(
            "source", "decision", "parser", "text", "words", "time", "regex", "place", "number", "part", "at", "bytes",
            "counts")})
        date, = [s for s in said if s["decision"] == "date" and s["counts"]]
        body = NOTICE.split(b"\n\n", 1)[1]
        self.assertEqual(body[date["at"]:date["at"] + date["bytes"]].decode(), date["text"])
        self.assertEqual((date["source"], date["time"], date["place"], date["part"], date["number"]),
                         (box + ":1", "2026-03-31T04:05:06Z", "text", 1, 1))
        self.assertIn("expires", date["regex"])
        self.assertEqual({s["parser"] for s in said if s["source"] == box + ":1" and s["decision"] == "claim"} - {None},
                         {s["parser"] for s in said if s["source"] == box + ":2" and s["decision"] == "claim"})
        self.assertEqual([s["text"] for s in said if s["decision"] == "verdict"], ["notice", "irrelevant"])

    def test_explain_bounds(self):
        """A mail of many forwards says more than there is room for; what is printed is whole all the same."""
        one = b"From: health@aws.com\nDate: Thu, 1 Jan 2026 03:00:00 +0000\nSubject: s\n" + NOTICE.split(b"\n\n", 1)[1]
        mail = NOTICE + 300 * (b"and\n\n> " + one.replace(b"\n", b"\n> ") + b"\n\n")
        p, got = self.parse("--explain", "--json", mail=mail)
        self.assertGreater(len([json.loads(line) for line in p.stderr.splitlines()]), 100)
        self.assertLess(len(p.stderr), 300 << 10)
        p, again = self.parse("--explain", mail=mail)
        self.assertEqual(got, again)
        self.assertTrue(p.stderr.endswith(b"  there is more to tell than there is room for\n"), p.stderr[-100:])


class Face(FrontCase):
    def run_it(self, *args):
        return subprocess.run([MAILHOOK, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=30)

    def test_help(self):
        p = self.run_it("--help")
        self.assertEqual(p.returncode, 0)
        commands = self.listed(p.stdout)
        self.assertIn("pipe", commands)
        for name in commands:
            with self.subTest(name):
                p = self.run_it(name, "--help")
                self.assertEqual((p.returncode, p.stderr), (0, b""))
                self.assertTrue(p.stdout.startswith(b"usage: mailhook " + name.encode()))

    def test_worker_has_the_same_usage(self):
        """Each command that the face hands on is named and used in the same way by the worker."""
        ours = self.listed(self.run_it("--help").stdout) - {"pipe", "filter", "parse", "test-notice", "verify", "imap"}
        worker = os.path.join(BUILD, "libexec", "mailhook", "mailhook-work")
        self.assertGreater(len(ours), 10)
        for name in sorted(ours):
            with self.subTest(name):
                p = subprocess.run([worker, name, "--nonsense"], stdin=subprocess.DEVNULL, capture_output=True, timeout=30)
                self.assertEqual((p.returncode, p.stdout), (2, b""))
                usage = self.run_it(name, "--help").stdout.split(b"\n", 1)[0]
                self.assertEqual(p.stderr[p.stderr.find(b"usage: "):], usage + b"\n")
        # Handed on with its arguments, and with the worker's exit code.
        self.assertEqual(self.run_it("list", "--nonsense").returncode, 2)

    @staticmethod
    def listed(text):
        lines = [line.decode() for line in text.splitlines()]
        return {line.split()[0] for line in lines if line.startswith("  ") and line[2] != " "}

    def test_version(self):
        p = self.run_it("--version")
        self.assertEqual(p.returncode, 0)
        self.assertRegex(p.stdout, rb"^mailhook \d+\.\d+\.\d+\n$")

    def test_wrong_command(self):
        for args in ((), ("nonsense",), ("--nonsense",), ("", "x")):
            with self.subTest(args):
                p = self.run_it(*args)
                self.assertEqual(p.returncode, 2)
                self.assertNotEqual(p.stderr, b"")
                self.assertEqual(p.stdout, b"")

    def test_configuration_first(self):
        p = subprocess.run([MAILHOOK, "--config", self.w.conf, "parse", "-"], input=NOTICE, stdout=subprocess.PIPE)
        self.assertEqual(p.returncode, 0)
        self.assertIn(b'"verdict":"notice"', p.stdout)

    def test_missing_program(self):
        os.makedirs(self.w.dir + "/root/bin")
        shutil.copy(MAILHOOK, self.w.dir + "/root/bin/mailhook")
        p = subprocess.run([self.w.dir + "/root/bin/mailhook", "run", "--once"], stderr=subprocess.PIPE)
        self.assertEqual(p.returncode, 2)
        self.assertIn(b"mailhook-work", p.stderr)

    @unittest.skipIf(SANITIZED, "the sanitizers bring libraries of their own")
    def test_libraries(self):
        """What starts in front of every mail links libc, PCRE2, cJSON and libconfuse, and nothing else."""
        out = subprocess.run(["readelf", "-d", MAILHOOK], stdout=subprocess.PIPE, check=True).stdout.decode()
        needed = {line.split("[")[1].split(".so")[0] for line in out.splitlines() if "(NEEDED)" in line}
        self.assertLessEqual(needed, {"libc", "libpcre2-8", "libcjson", "libconfuse"})

    @unittest.skipIf(SANITIZED, "the sanitizers' memory is not ours")
    def test_memory(self):
        mail = NOTICE + b"an ordinary line of some sixty letters, as people write them\n" * 820
        status, kilobytes = self.w.measure(mail)
        self.assertEqual(status, 0)
        self.assertLess(kilobytes, 12 << 10)


def wait_until(true):
    """For what other processes do by themselves; never for a fixed time."""
    end = time.monotonic() + 30
    while not true():
        if time.monotonic() > end:
            raise AssertionError("waited in vain")
        os.sched_yield()


def sleeps_on_pipe(pid):
    try:
        with open(f"/proc/{pid}/wchan") as f:
            if "pipe" in f.read():
                return True
        with open(f"/proc/{pid}/syscall") as f:
            return f.read().startswith("0 0x0 ") or f.read().startswith("63 0x0 ")
    except OSError:
        return False


def any_process_of(root):
    for f in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(f, "rb") as text:
                if root.encode() in text.read():
                    return True
        except OSError:
            pass
    return False


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + ["-v"] + sys.argv[1:])
