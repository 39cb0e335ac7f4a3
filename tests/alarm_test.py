#!/usr/bin/python3
"""`mailhook status --alarm`: silent while the work goes on, else one sentence, exit 1, and a mail a day. Time is a file's."""
import fcntl
import glob
import json
import os
import shutil
import stat
import subprocess
import tempfile
import unittest
from datetime import datetime, timedelta, timezone

SOURCE, BUILD = os.environ["MAILHOOK_SOURCE"], os.environ["MAILHOOK_BUILD"]
NOTICE = os.path.join(SOURCE, "samples", "notices", "scim", "a-8bit.eml")
START = datetime(2025, 11, 6, 9, 0, tzinfo=timezone.utc)
NO_WORKER = "no worker runs, and "
BUSY = "the worker runs, and "


class Room:
    def __init__(self, more=""):
        self.dir = tempfile.mkdtemp(prefix="mailhook-alarm-")
        self.state = os.path.join(self.dir, "state")
        os.mkdir(self.state)
        self.conf = self.file("mailhook.conf", 'state_dir = "%s"\n%s' % (self.state, more))
        self.at(0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.dir)

    def file(self, name, text, mode=0o600):
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def at(self, minutes):
        """Sets the time, in minutes since the start."""
        self.file("clock.new", (START + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ\n"))
        os.rename(os.path.join(self.dir, "clock.new"), os.path.join(self.dir, "clock"))

    def run(self, *args, stdin=b""):
        return subprocess.run([BUILD + "/bin/mailhook", *args, "--config", self.conf], input=stdin, capture_output=True,
                              env={"MAILHOOK_CLOCK_FILE": self.dir + "/clock"}, timeout=60, check=False)

    def alarm(self, *args):
        done = self.run("status", "--alarm", *args)
        assert done.stdout == b"", done.stdout
        return done.returncode, done.stderr.decode()

    def put(self):
        """A message in the intake that came at the start, and no worker that is woken for it."""
        with Worker(self), open(NOTICE, "rb") as f:
            done = self.run("pipe", stdin=f.read())
        assert done.returncode == 0, done
        for path in glob.glob(self.state + "/intake/*.msg"):
            os.utime(path, (START.timestamp(), START.timestamp()))


class Worker:
    """Holds the worker's lock, as a worker does that does nothing."""

    def __init__(self, room):
        self.path = os.path.join(room.state, "worker.lock")

    def __enter__(self):
        self.file = open(self.path, "wb")
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, *_):
        self.file.close()


class Alarm(unittest.TestCase):
    def rows(self, room, worker, rows):
        for minutes, code, words in rows:
            with self.subTest(worker=worker, minutes=minutes):
                room.at(minutes)
                if worker:
                    with Worker(room):
                        got = room.alarm()
                else:
                    got = room.alarm()
                self.assertEqual(got[0], code, got)
                self.assertIn(words, got[1])
                self.assertEqual(got[1].count("\n"), code, "one sentence, or silence")

    def agrees(self, room, worker, rows):
        """Status says the same, with exit 1, where it is no message that waits: for that it waits no minute."""
        self.rows(room, worker, rows)
        for minutes, code, words in rows:
            with self.subTest("status", worker=worker, minutes=minutes):
                room.at(minutes)
                if worker:
                    with Worker(room):
                        done = room.run("status")
                else:
                    done = room.run("status")
                self.assertEqual(done.returncode, code, done)
                self.assertIn(words, done.stdout.decode())

    def test_nothing_came_yet(self):
        with Room() as room:
            self.rows(room, False, [(0, 0, ""), (100000, 0, "")])

    def test_message(self):
        with Room() as room:
            room.put()
            self.rows(room, False, [(0, 0, ""), (7, 0, ""), (8, 1, NO_WORKER + "a message waits in the intake for 8 min")])
            self.rows(room, True, [(8, 0, ""), (30, 0, ""), (31, 1, BUSY + "a message waits in the intake for 31 min")])
            self.assertEqual(room.run("run", "--once").returncode, 0)
            self.rows(room, False, [(31, 0, "")])

    def test_job(self):
        """A retry that is due: 'later' was answered at the start, so it is due about a minute behind it."""
        with Room('action "a" { program = "@/later" needs = "unverified" }\nrule "r" { do = {"a"} }\n') as room:
            room.file("later", "#!/bin/sh\nread -r request\necho '{\"outcome\":\"retry\",\"summary\":\"busy\",\"retry_after_s\":60}'\n", 0o700)
            with open(room.conf, encoding="utf-8") as f:
                text = f.read()
            room.file("mailhook.conf", text.replace("@", room.dir))
            room.put()
            done = room.run("run", "--once")
            self.assertIn(done.returncode, (0, 1), done)
            self.agrees(room, False, [(7, 0, ""), (12, 1, NO_WORKER + "a job of case 1 is due since 2025-11-06T09:0")])
            self.agrees(room, True, [(12, 0, ""), (40, 1, BUSY + "a job of case 1 is due since 2025-11-06T09:0")])
            # what is paused is not due
            self.assertEqual(room.run("pause", "--action", "a").returncode, 0)
            self.agrees(room, False, [(5000, 0, "")])

    def test_job_of_a_dead_worker(self):
        with Room() as room:
            room.put()
            self.assertEqual(room.run("run", "--once").returncode, 0)
            subprocess.run(["sqlite3", room.state + "/ledger.db", "UPDATE jobs SET state = 'running', due = NULL, "
                            "lease_until = '2025-11-06T09:01:00Z'"], check=True)
            self.agrees(room, False, [(7, 0, ""), (9, 1, NO_WORKER + "the last one left an action unfinished")])
            self.agrees(room, True, [(9, 0, "")])

    def test_paused(self):
        """By a person, who may forget it; and by mailhook itself, of which nobody knows."""
        paused = "everything is paused since 2025-11-06T09:00:00Z by "
        with Room() as room:
            room.put()
            self.assertEqual(room.run("run", "--once").returncode, 0)
            self.assertEqual(room.run("pause").returncode, 0)
            self.rows(room, False, [(0, 0, ""), (1440, 0, ""), (1441, 1, paused)])
            for minutes in (0, 1441):
                room.at(minutes)
                done = room.run("status")
                self.assertEqual(done.returncode, 1, done)
            self.assertRegex(room.alarm()[1], r" by [^:;]+; 'mailhook resume' lets it go on\n$")
            self.assertEqual(room.run("resume").returncode, 0)
            self.agrees(room, False, [(1441, 0, "")])
            room.at(0)
            os.unlink(room.state + "/ledger.mark")
            self.assertEqual(room.run("run", "--once").returncode, 0)
            self.rows(room, False, [(0, 1, paused + "mailhook: nothing beside it says that it was at work here; "
                                     "'mailhook resume' lets it go on")])
            self.assertEqual(room.run("status").returncode, 1)

    def test_broken(self):
        with Room() as room:
            room.file("state/ledger.db", "no ledger at all, and long enough to be looked at as one" * 20)
            self.assertEqual(room.alarm()[0], 1, "a ledger that is none")
        with Room("nonsense = 1\n") as room:
            code, said = room.alarm()
            self.assertEqual(code, 1, "a configuration that is wrong")
            self.assertIn("nothing is done: ", said)
        with Room() as room:
            room.file("state/intake", "")
            self.assertEqual(room.alarm()[0], 1, "an intake that is no folder")

    def test_wrong_definition(self):
        """Who is told of it is told by status too; a worker that read the folder before does not matter."""
        with Room() as room:
            os.mkdir(room.dir + "/definitions")
            path = room.file("definitions/x.notice", 'notice "x" {\n\tkinds = "example.licence"\n}\n')
            words = path + ":2: no such option 'kinds'"
            code, said = room.alarm()
            self.assertEqual((code, said), (1, "mailhook: a definition is wrong, and nobody reads its mail: %s\n" % words))
            done = room.run("status")
            self.assertEqual(done.returncode, 1)
            self.assertIn("definitions %s\n" % words, done.stdout.decode())
            self.assertEqual(json.loads(room.run("status", "--json").stdout)["definitions_wrong"], 1)
            self.assertIn("\nmailhook_definitions_wrong 1\n", room.run("status", "--prometheus").stdout.decode())
            os.unlink(path)
            os.symlink("x.notice", path)
            self.assertIn(path + ":1: cannot be read: ", room.alarm()[1])
            os.unlink(path)
            self.assertEqual(room.alarm(), (0, ""))
            self.assertEqual(room.run("status").returncode, 0)
            os.rmdir(room.dir + "/definitions")
            os.symlink("definitions", room.dir + "/definitions")
            self.assertIn("cannot read the definitions in ", room.alarm()[1])

    def test_mail(self):
        with Room() as room:
            sendmail = room.file("sendmail", "#!/bin/sh\n(printf '%%s ' \"$@\"; echo; cat) >>'%s/mails'\nexit $(cat '%s/code')\n"
                                 % (room.dir, room.dir), stat.S_IRWXU)
            mails = os.path.join(room.dir, "mails")
            args = ("--mail", "ops+x@example.com", "--sendmail=" + sendmail)
            room.file("code", "0")

            def sent():
                if not os.path.exists(mails):
                    return []
                with open(mails, encoding="utf-8") as f:
                    text = f.read()
                os.unlink(mails)
                return text.split("-i -f <> -- ops+x@example.com \n")[1:]
            room.at(20)
            self.assertEqual(room.alarm(*args), (0, ""))
            self.assertEqual(sent(), [], "all was well")
            room.put()
            self.assertEqual(room.alarm(*args)[0], 1)
            first = sent()
            self.assertEqual(len(first), 1)
            head, body = first[0].split("\n\n", 1)
            self.assertIn("\nTo: ops+x@example.com\n", head)
            self.assertRegex(head, r"\nSubject: mailhook on \S+ does not work\n")
            self.assertIn("\nAuto-Submitted: auto-generated", head)
            self.assertTrue(body.startswith(NO_WORKER + "a message waits in the intake for 20 minutes.\n"), body)
            for minutes, n in ((21, 0), (20 + 1439, 0), (20 + 1440, 1), (20 + 1441, 0)):
                room.at(minutes)
                self.assertEqual(room.alarm(*args)[0], 1)
                self.assertEqual(len(sent()), n, "mails at minute %d" % minutes)
            # what was mended is forgotten, and told anew
            self.assertEqual(room.run("run", "--once").returncode, 0)
            self.assertEqual(room.alarm(*args), (0, ""))
            room.put()
            done = None
            for code in ("75", "0", "0"):
                room.file("code", code)
                self.assertEqual(room.alarm(*args)[0], 1)
                self.assertEqual(len(sent()), 0 if done == "0" else 1, "again until the mail was taken")
                done = code

    def test_usage(self):
        with Room() as room:
            for args in (["--mail", "ops@example.com"], ["--alarm", "--mail"], ["--alarm", "--sendmail", "/bin/true"],
                         ["--alarm", "--mail", "ops@example.com", "--sendmail", "true"], ["--alarm", "--mail", "-ooo"],
                         ["--alarm", "--mail", "a@example.com,b@example.com"], ["--alarm", "--mail="],
                         ["--alarm", "--mail", "a@example.com\nBcc: b@example.com"], ["--alarm", "--mailx=1"]):
                with self.subTest(args=args):
                    done = room.run("status", *args)
                    self.assertEqual((done.returncode, done.stdout), (2, b""), done)


if __name__ == "__main__":
    unittest.main()
