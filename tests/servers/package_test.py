#!/usr/bin/python3
"""What is installed, by `cmake --install` and as a Debian package: into a clean root, used there by ordinary users and by
user mailhook, upgraded, removed, purged. The commands are those of README.md."""
import glob
import json
import os
import pwd
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
import clean_root  # noqa: E402
import installed  # noqa: E402
import private  # noqa: E402

clean_root.enter()
BUILD, SOURCE = os.path.abspath(installed.BUILD), os.path.abspath(installed.SOURCE)
STATE, CONF = "/var/lib/mailhook", "/etc/mailhook"
PROGRAMS = ["bin/mailhook", *("libexec/mailhook/" + p for p in (
    "mailhook-work", "mailhook-imap", "mailhook-token", "actions/ticket", "actions/reply", "actions/rotate",
    "actions/trigger"))]
PAGES = ["share/man/man%s/%s" % (p[-1], os.path.basename(p)) for p in glob.glob(SOURCE + "/mailhook/man/*.[1578]")]
UNITS = ["lib/systemd/system/" + u for u in ("mailhook.service", "mailhook-imap.service", "mailhook-watch.service", "mailhook-watch.timer")]
EXAMPLES = ["share/doc/mailhook/examples/" + e for e in (
    "mailhook.conf", "sendmail.conf", "actions/append-log", "actions/queue-file", "actions/store-token", "rotate/entra.conf",
    "notices/scim/a-8bit.eml", "notices/scim/a-8bit.json", "other/empty.eml", "templates/de/words.conf", "templates/de/reply.html", "presets/trigger/lambda.preset")]
NEW = "99.0"


def command(argv, **kind):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=80, **kind)
    if done.returncode != 0:
        raise AssertionError("%s: %d\n%s" % (argv, done.returncode, done.stdout))
    return done.stdout


def package(folder, *more):
    """README's first line, into another folder, and by somebody who shares nothing; the path of the package."""
    line = installed.recipes()["install-package"].splitlines()[0]
    assert line == "(cd build && cpack)", line
    print("replaced: %s -> cpack in the tested build, into a folder of this test" % line, flush=True)
    os.makedirs(folder)
    command(["cpack", "--config", BUILD + "/CPackConfig.cmake", "-B", folder, *more], cwd=folder, umask=0o077,
            env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"})
    found = glob.glob(folder + "/mailhook_*.deb")
    assert len(found) == 1, found
    return found[0]


def complaints(units):
    """What systemd says of our units; those of the machine, which it loads beside them, are others' to mend."""
    said = command(["systemd-analyze", "verify", "--man=no", *units])
    return [line for line in said.splitlines() if not re.match(r"/(usr/)?lib/systemd/system/(?!mailhook)", line)]


class Installation(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="mailhook-package-")
        os.chmod(cls.dir, 0o755)
        cls.deb = package(cls.dir + "/one")
        cls.new_deb = package(cls.dir + "/new", "-D", "CPACK_PACKAGE_VERSION=" + NEW)
        cls.depends = command(["dpkg-deb", "-f", cls.deb, "Depends"])

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.dir)

    def root(self):
        """A clean root in memory, that ends with the test."""
        path = tempfile.mkdtemp(prefix="root-", dir=self.dir)
        command(["mount", "-t", "tmpfs", "-o", "mode=755", "root", path])

        def end():
            with installed.Lock(path + STATE):  # a worker that a pipe woke
                pass
            command(["umount", "--recursive", "--lazy", path])
            os.rmdir(path)
        self.addCleanup(end)
        root = clean_root.Root(path, self.depends)
        for deb in (self.deb, self.new_deb):
            shutil.copy(deb, path + "/tmp")
        return root

    def modes(self, root, rows):
        for path, owner, group, mode in rows:
            about = os.lstat(root.at(path))
            self.assertEqual((self.name(root, "passwd", about.st_uid), self.name(root, "group", about.st_gid),
                              oct(stat.S_IMODE(about.st_mode))), (owner, group, oct(mode)), path)

    @staticmethod
    def name(root, table, number):
        with open(root.at("/etc/" + table), encoding="utf-8") as f:
            return {line.split(":")[2]: line.split(":")[0] for line in f}.get(str(number), str(number))

    def cases(self, root, program="/usr/bin/mailhook"):
        done = root.run(program, "list", "--json", uid="mailhook")
        return [json.loads(line) for line in done.stdout.splitlines() if line]

    def work(self, root, program="/usr/bin/mailhook"):
        root.run(program, "run", "--once", uid="mailhook")
        with installed.Lock(root.at(STATE)):
            pass

    # -- the package

    def test_contents(self):
        rows = [line.split(None, 5) for line in command(["dpkg-deb", "-c", self.deb]).splitlines()]
        found = {row[5].removeprefix("./"): row for row in rows}
        wanted = PROGRAMS + UNITS + EXAMPLES + [p + ".gz" for p in PAGES] + [
            "share/doc/mailhook/" + d for d in ("README.md", "copyright", "changelog.gz")] + [
            "libexec/mailhook/ledger-postgresql.so",
            "share/bash-completion/completions/mailhook", "share/zsh/vendor-completions/_mailhook",
            "share/fish/vendor_completions.d/mailhook.fish"]
        for name in ["usr/" + w for w in wanted] + ["etc/mailhook/mailhook.conf"]:
            self.assertIn(name, found)
        self.assertEqual([n for n in found if n and not n.startswith(("usr/", "etc/"))], [])
        for name, row in found.items():
            with self.subTest(name):
                runs = name.endswith("/") or name.startswith(("usr/bin/", "usr/libexec/")) or "/examples/actions/" in name
                runs = runs and not name.endswith(".so")
                self.assertEqual((row[0][1:], row[1]), ("rwxr-xr-x" if runs else "rw-r--r--", "root/root"))
        self.assertEqual(set(self.depends.replace(",", " ").split()) & {"adduser", "libc6", "libpq5", "libsqlite3-0"},
                         {"adduser", "libc6", "libpq5", "libsqlite3-0"})

    def test_same_bytes(self):
        again = package(self.dir + "/again")
        with open(self.deb, "rb") as one, open(again, "rb") as two:
            self.assertEqual(one.read(), two.read())

    def test_life(self):
        root = self.root()
        before = root.files()
        root.run("sh", "-c", "dpkg -i /tmp/mailhook_[!9]*.deb")
        listed = root.run("dpkg", "-L", "mailhook").stdout.decode().splitlines()
        self.assertEqual(root.run("dpkg", "--verify", "mailhook").stdout, b"")
        self.modes(root, [
            (STATE, "mailhook", "mailhook", 0o711), (STATE + "/intake", "mailhook", "mailhook", 0o3777),
            (CONF, "root", "root", 0o755), (CONF + "/mailhook.conf", "root", "root", 0o644),
            (CONF + "/definitions", "root", "root", 0o755),
            (CONF + "/actions", "root", "mailhook", 0o750), (CONF + "/secrets", "root", "mailhook", 0o750)])
        for unit, wants in (("mailhook.service", "multi-user.target"), ("mailhook-imap.service", "multi-user.target"), ("mailhook-watch.timer", "timers.target")):
            link = os.readlink(root.at("/etc/systemd/system/%s.wants/%s" % (wants, unit)))
            self.assertTrue(os.path.exists(root.at(link)), link)
        root.run("mailhook", "check", uid="mailhook")
        self.assertEqual(root.run("mailhook", "status", "--alarm", uid="mailhook").stderr, b"")

        # An ordinary user, who is nobody to mailhook.
        root.run("mailhook", "pipe", uid=1000, stdin=installed.notice())
        waiting = glob.glob(root.at(STATE + "/intake/*"))
        self.assertEqual(len(waiting), 1, "a notice waits, and nothing beside it")
        name = waiting[0][len(root.path):]
        self.modes(root, [(name, "1000", "mailhook", 0o640)])
        for argv in (["cat", name], ["rm", "-f", name], ["mv", name, name + ".bad"], ["ls", STATE],
                     ["ls", CONF + "/secrets"], ["mailhook", "run", "--once"]):
            self.assertNotEqual(root.run(*argv, uid=1001, check=False).returncode, 0, "another user: %s" % argv)
        self.work(root)
        self.assertEqual(glob.glob(root.at(STATE + "/intake/*")), [])
        self.assertEqual(len(glob.glob(root.at(STATE + "/tickets/[!.]*"))), 1)
        self.assertEqual(len(glob.glob(root.at(STATE + "/replies/new/*"))), 1)
        self.assertEqual([c["account"] for c in self.cases(root)], ["123456789012"])
        self.assertNotEqual(root.run("mailhook", "list", uid=1001, check=False).returncode, 0, "another user lists cases")

        # User mailhook, as of a mail server's transport: the pipe starts the work itself.
        root.run("mailhook", "pipe", uid="mailhook", stdin=installed.notice("210987654321"))
        private.wait_until("a second ticket", lambda: len(glob.glob(root.at(STATE + "/tickets/[!.]*"))) == 2)
        self.work(root)
        self.assertEqual(glob.glob(root.at(STATE + "/intake/*")), [])

        # Configured, and upgraded. Whose mail is piped sees the configuration, and not into the folders of actions.
        mine = 'action "reply" { program = "reply" }\nrule "all" { do = {"reply"} }\nflood_unlisted = 7\n'
        with open(root.at(CONF + "/mailhook.conf"), "a", encoding="utf-8") as f:
            f.write(mine)
        with open(root.at(CONF + "/actions/reply.conf"), "w", encoding="utf-8") as f:
            f.write("# mine\n")
        root.run("mailhook", "pipe", uid=1000, stdin=installed.notice("333333333333"))
        self.work(root)
        os.chmod(root.at(STATE + "/intake"), 0o700)
        cases = self.cases(root)
        self.assertEqual(len(cases), 3)
        root.run("sh", "-c", "dpkg -i /tmp/mailhook_9*.deb")
        self.assertEqual(root.run("dpkg-query", "-W", "-f", "${Version}", "mailhook").stdout.decode(), NEW)
        self.assertEqual(self.cases(root), cases)
        with open(root.at(CONF + "/mailhook.conf"), encoding="utf-8") as f:
            self.assertTrue(f.read().endswith("\n" + mine))
        self.modes(root, [(STATE, "mailhook", "mailhook", 0o711), (STATE + "/intake", "mailhook", "mailhook", 0o700),
                          (CONF + "/actions", "root", "mailhook", 0o750)])

        # Removed: configuration and state stay; installed again: they are there.
        root.run("dpkg", "-r", "mailhook")
        self.only(root, before, (CONF, STATE))
        self.gone(root, listed, keep=(CONF + "/mailhook.conf", CONF + "/actions", CONF))
        root.run("sh", "-c", "dpkg -i /tmp/mailhook_9*.deb")
        self.assertEqual(self.cases(root), cases)

        root.run("dpkg", "-P", "mailhook")
        self.only(root, before, ())
        self.gone(root, listed, keep=())
        self.assertEqual(root.run("dpkg-query", "-l", "mailhook", check=False).stdout, b"")

    def only(self, root, before, folders):
        """What is there now and was not before stands in these folders, or is a table of users."""
        left = {f for f in root.files() - before if not any(f == x or f.startswith(x + "/") for x in folders)}
        self.assertEqual({f for f in left if f not in ("/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-")}, set())

    def gone(self, root, listed, keep):
        for path in listed:
            if "mailhook" in path and path not in keep:
                self.assertFalse(os.path.lexists(root.at(path)), path)

    def test_units_follow_the_package(self):
        """Where systemd runs; here a program that notes what it is asked."""
        root = self.root()
        os.makedirs(root.at("/run/systemd/system"))
        with open(root.at("/usr/bin/systemctl"), "w", encoding="utf-8") as f:
            f.write('#!/bin/sh\necho "$*" >>/tmp/asked\ncase $* in *is-enabled*) echo enabled ;; esac\n')
        os.chmod(root.at("/usr/bin/systemctl"), 0o755)

        def asked(*argv):
            root.run(*argv)
            path = root.at("/tmp/asked")
            with open(path, encoding="utf-8") as f:
                lines = f.read().splitlines()
            os.unlink(path)
            return [re.sub(r"(--\S+ )+", "", line) for line in lines if "is-" not in line]
        rows = [
            ("installed", ["sh", "-c", "dpkg -i /tmp/mailhook_[!9]*.deb"],
             ["preset mailhook.service", "preset mailhook-imap.service", "preset mailhook-watch.timer", "daemon-reload",
              "start mailhook.service mailhook-imap.service mailhook-watch.timer"]),
            ("upgraded", ["sh", "-c", "dpkg -i /tmp/mailhook_9*.deb"],
             ["daemon-reload", "restart mailhook.service mailhook-imap.service mailhook-watch.timer"]),
            ("removed", ["dpkg", "-r", "mailhook"],
             ["stop mailhook-watch.timer mailhook-watch.service mailhook-imap.service mailhook.service", "daemon-reload"])]
        for name, argv, wanted in rows:
            self.assertEqual(asked(*argv), wanted, name)

    # -- without a package

    def test_prefix(self):
        root = self.root()
        lines = installed.recipes()["install-prefix"].splitlines()
        self.assertEqual(lines[0], "cmake --install build")
        print("replaced: %s -> DESTDIR=the clean root, of the tested build" % lines[0], flush=True)
        command(["cmake", "--install", BUILD, "--prefix", "/usr/local"], env={**os.environ, "DESTDIR": root.path})
        for line in lines[1:]:
            root.run("sh", "-c", line)
        for name, mode in (("", 0o755), ("/actions", 0o750), ("/secrets", 0o750)):
            self.assertEqual(stat.S_IMODE(os.stat(root.at("/etc/mailhook" + name)).st_mode), mode, name)
        for name in PROGRAMS + PAGES + UNITS + EXAMPLES + [
                "share/doc/mailhook/README.md", "share/doc/mailhook/LICENSE", "share/zsh/site-functions/_mailhook"]:
            self.assertTrue(os.path.isfile(root.at("/usr/local/" + name)), name)
        with open(root.at("/usr/local/" + UNITS[0]), encoding="utf-8") as f:
            self.assertIn("\nExecStart=/usr/local/bin/mailhook run\n", f.read())
        self.assertNotEqual(root.run("/usr/local/bin/mailhook", "pipe", uid=1000, stdin=installed.notice(),
                                     check=False).returncode, 0, "no intake for many yet")
        for line in installed.recipes()["intake-of-many"].splitlines():
            root.run("sh", "-c", line)
        root.run("/usr/local/bin/mailhook", "pipe", uid=1000, stdin=installed.notice())
        # As in the service: nothing but the state can be written.
        command(["mount", "--bind", root.at(STATE), root.at(STATE)])
        command(["mount", "-o", "remount,bind,ro", root.path])
        self.assertNotEqual(root.run("touch", "/etc/x", check=False).returncode, 0)
        self.work(root, "/usr/local/bin/mailhook")
        self.assertEqual(len(glob.glob(root.at(STATE + "/tickets/[!.]*"))), 1)
        self.assertEqual(len(glob.glob(root.at(STATE + "/replies/new/*"))), 1)

    # -- units

    def prefix(self):
        path = os.path.join(self.dir, "prefix")
        if not os.path.exists(path):
            command(["cmake", "--install", BUILD, "--prefix", path])
        return path

    @unittest.skipUnless(shutil.which("systemd-analyze"), "systemd-analyze is not installed")
    def test_units(self):
        units = [os.path.join(self.prefix(), u) for u in UNITS]
        self.assertEqual(complaints(units), [])
        # out of 100, from shut in to open: what a later edit must not exceed
        command(["systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold=20", *units[:2]])
        # the drop-in takes back all that would keep a sendmail program from gaining rights
        folder = os.path.join(self.dir, "drop-in")
        os.makedirs(folder + "/mailhook.service.d")
        shutil.copy(units[0], folder)
        shutil.copy(os.path.join(self.prefix(), "share/doc/mailhook/examples/sendmail.conf"), folder + "/mailhook.service.d")
        self.assertEqual(complaints([folder + "/mailhook.service"]), [])
        with open(folder + "/mailhook.service", "a", encoding="utf-8") as f:
            f.write("[Service]\nNonsense=1\n")
        self.assertNotEqual(complaints([folder + "/mailhook.service"]), [], "what is wrong is told")

    @unittest.skipUnless(shutil.which("systemd-analyze"), "systemd-analyze is not installed")
    def test_system_calls(self):
        """The unit's filter of system calls, set here as systemd sets it, lets the reading child and the actions work."""
        with open(os.path.join(self.prefix(), UNITS[0]), encoding="utf-8") as f:
            sets = re.search(r"^SystemCallFilter=(.*)$", f.read(), re.M).group(1).split()
        filtered = os.path.join(os.path.dirname(os.path.abspath(__file__)), "filtered.py")
        there = installed.Installed()
        self.addCleanup(there.close)
        there.do("run", "--once")  # makes the folders
        mount = subprocess.run([filtered, *sets, "--", "/bin/mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True,
                               check=False)
        self.assertNotEqual(mount.returncode, 0, "the filter holds nothing back")
        nobody = pwd.getpwuid(private.MAIL_UID)
        who = ["setpriv", "--reuid", str(nobody.pw_uid), "--regid", str(nobody.pw_gid), "--clear-groups"]
        with installed.Lock(there.state):
            self.assertEqual(there.do("pipe", stdin=installed.notice()).returncode, 0)
        done = subprocess.run([*who, filtered, *sets, "--", there.bin, "run", "--once", "--config", there.conf],
                              capture_output=True, check=False, timeout=60)
        self.assertEqual((done.returncode, len(there.tickets()), len(there.replies())), (0, 1, 1), done)

    # -- completions

    def test_bash(self):
        path = os.path.join(self.prefix(), "share/bash-completion/completions/mailhook")
        os.makedirs(self.dir + "/mails/in a box", exist_ok=True)
        rows = [
            ("mailhook par", "parse"), ("mailhook pa", "parse pause"), ("mailhook --v", "--version"),
            ("mailhook status --al", "--alarm"),
            ("mailhook check --", "--config --help --json --online --show-templates"), ("mailhook list x", ""),
            ("mailhook check ", "--config --help --json --online --show-templates"),
            ("mailhook parse --ex", "--explain"), ("mailhook parse %s/mai" % self.dir, self.dir + "/mails"),
            ("mailhook run --config %s/mai" % self.dir, self.dir + "/mails"),
            ("mailhook parse %s/mails/" % self.dir, self.dir + "/mails/in a box"),
            ("mailhook pause --rule ", ""), ("mailhook resume --rule ", ""), ("mailhook pause --r", "--rule"),
            ("mailhook retry --rule ", "--config --help --json --rule"), ("mailhook pause --json --action ", ""),
            ("mailhook ledger ", "--config --help --json --undo check forget copy"), ("mailhook ledger ch", "check"),
            ("mailhook list --color ", "auto always never"), ("mailhook list --color n", "never"),
            ("mailhook backtest --trust ", "verified relayed unverified"),
            ("mailhook pipe --sender ", ""), ("mailhook nonsense --", "")]
        for line, wanted in rows:
            with self.subTest(line):
                words = line.split(" ")
                script = '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _mailhook; echo "${COMPREPLY[*]}"'
                self.assertEqual(command(["bash", "-c", script, "bash", path, *words]), wanted + "\n")
        commands = command(["bash", "-c", '. "$1"; COMP_WORDS=(mailhook ""); COMP_CWORD=1; _mailhook; echo "${COMPREPLY[*]}"',
                            "bash", path]).split()
        listed = re.findall(r"^  ([a-z-]+) ", command([BUILD + "/bin/mailhook", "--help"]), re.M)
        self.assertEqual(commands, ["--help", "--version", *listed])

    @unittest.skipUnless(shutil.which("zsh"), "zsh is not installed")
    def test_zsh(self):
        folder = os.path.join(self.prefix(), "share/zsh/site-functions")
        command(["zsh", "-n", folder + "/_mailhook"])
        script = 'fpath=("$1" $fpath); autoload -U compinit; compinit -u -D; print $_comps[mailhook]'
        self.assertEqual(command(["zsh", "-fc", script, "zsh", folder], env={"HOME": self.dir, "PATH": os.environ["PATH"]}),
                         "_mailhook\n")

    @unittest.skipUnless(shutil.which("fish"), "fish is not installed")
    def test_fish(self):
        path = os.path.join(self.prefix(), "share/fish/vendor_completions.d/mailhook.fish")
        for line, wanted in (("mailhook sta", ["status"]), ("mailhook status --al", ["--alarm"]),
                             ("mailhook pipe --s", ["--sender"]), ("mailhook list x", []),
                             ("mailhook list --color n", ["never"]), ("mailhook ledger ch", ["check"])):
            out = command(["fish", "--no-config", "-c", "source $argv[1]; complete -C $argv[2]", path, line],
                          env={"HOME": self.dir, "PATH": os.environ["PATH"]})
            self.assertEqual([found.split("\t")[0] for found in out.splitlines()], wanted, line)


if __name__ == "__main__":
    unittest.main()
