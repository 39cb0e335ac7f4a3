#!/usr/bin/env python3
"""README.md's recipes, as printed, with the real servers. Usage: recipes_test.py SERVER (a class below). Needs root.

For each recipe: a notice becomes a ticket and a reply; so it does with two recipients at once, as 8-bit mail, and with
25 MB; other mail is delivered byte for byte; and while mailhook cannot take mail, at once or by its own deadline, no
mail is lost, doubled or bounced, and all comes to mailhook later."""
import os
import shutil
import smtplib
import subprocess
import sys
import tempfile
import threading
import unittest

sys.dont_write_bytecode = True
import dovecot  # noqa: E402
import installed  # noqa: E402
import postfix  # noqa: E402
import private  # noqa: E402

RECIPES = installed.recipes()
ANN, BOB, SENDER = "ann@example.com", "bob@example.com", "sender@example.com"
AS_MAIL = installed.AS_MAIL


class Room(unittest.TestCase):
    """One server. LATER: recipes after whose failure the mail server comes again; the others keep the mail in the box."""
    SETTINGS = {"message_size_limit": "60000000", "mailbox_size_limit": "0", "virtual_mailbox_limit": "0"}

    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="mailhook-recipes-")
        os.chmod(cls.dir, 0o755)
        cls.boxes = private.own(os.path.join(cls.dir, "boxes"))
        cls.hook = installed.Installed(os.path.join(cls.dir, "hook"))
        cls.server = None

    @classmethod
    def tearDownClass(cls):
        if cls.server is not None:
            cls.server.stop()
        cls.hook.close()
        if os.environ.get("MAILHOOK_KEEP"):
            print("kept: " + cls.dir)
        else:
            installed.remove(cls.dir)

    def recipe(self, name, also=()):
        print("%s:" % name, flush=True)
        return self.hook.here(RECIPES[name], also)

    # -- what servers differ in

    def send(self, mail, *recipients):
        with smtplib.SMTP("127.0.0.1", self.server.port["mx"], timeout=60) as s:
            mail = mail.replace(b"\n", b"\r\n")
            self.assertEqual(s.sendmail(SENDER, recipients, mail, mail_options=["BODY=8BITMIME"]), {})

    def box_folder(self, who):
        return os.path.join(self.boxes, who)

    def server_waits(self):
        return bool(self.server.queue())

    def settle(self):
        self.server.settle()

    def words(self):
        return self.server.words() if self.server is not None else ""

    # -- the same for all

    def box(self, who):
        self.settle()
        return installed.maildir_mails(self.box_folder(who))

    def start_again(self):
        self.settle()
        self.hook.fresh()
        for who in (ANN, BOB, SENDER):
            for name in ("new", "cur"):
                for folder in (self.box_folder(who), *self.folders_of(who)):
                    shutil.rmtree(os.path.join(folder, name), ignore_errors=True)

    def folders_of(self, who):
        top = self.box_folder(who)
        return [os.path.join(top, n) for n in os.listdir(top) if n.startswith(".")] if os.path.isdir(top) else []

    def catch_up(self, who, recipe="cron-box", folder=None):
        """The cron job over a box."""
        folder = folder or self.box_folder(who)
        script = self.recipe(recipe, [('"$HOME/Maildir"', '"%s"' % folder)])
        subprocess.run(["sh", "-c", script], check=False, timeout=60, env={"PATH": "/usr/bin:/bin"}, **AS_MAIL)

    def one_of_all(self, what, boxes=(ANN,), kept=True):
        """One ticket, one reply, and the mail once in each box, or in none."""
        self.hook.until_done(what)
        self.assertEqual((len(self.hook.tickets()), len(self.hook.replies()), len(self.hook.cases())), (1, 1, 1), what)
        self.assertIn(b"123456789012", self.hook.tickets()[0], what)
        self.assertIn(b"123456789012", self.hook.replies()[0], what)
        for who in boxes:
            self.assertEqual(len(self.box(who)), 1 if kept else 0, (what, who, self.words()))
        self.assertEqual(self.box(SENDER), [], "%s: a bounce" % what)

    def sender_is_told(self):
        """The envelope sender stands beside the message: who must not be answered is known by it."""
        self.start_again()
        self.send(installed.notice(), ANN)
        self.one_of_all("sender")
        ledger = os.path.join(self.hook.state, "ledger.db")
        found = subprocess.run(["sqlite3", ledger, "SELECT envelope_from FROM messages"], capture_output=True, text=True,
                               check=True, **AS_MAIL)
        self.assertEqual(found.stdout, SENDER + "\n")

    def prove(self, name, later, kept=True, sorts=False, tries_again=None, others=(installed.NEWSLETTER,)):
        """later: the server comes again. kept: the box has the notice too. sorts: with fields on top."""
        for what, mail, to in (("notice", installed.notice(), (ANN,)), ("two recipients", installed.notice(), (ANN, BOB)),
                               ("8-bit", installed.notice_8bit(), (ANN,)), ("25 MB", installed.notice_of_25_mb(), (ANN,))):
            with self.subTest("%s: %s" % (name, what)):
                self.start_again()
                self.send(mail, *to)
                self.one_of_all(what, to, kept)
                for who in to if kept else ():
                    self.assertTrue(self.box(who)[0].endswith(mail), "%s: changed" % what)
                    self.assertEqual(b"X-Mailhook-Verdict: notice" in self.box(who)[0], sorts, what)
        for mail in others:
            with self.subTest("%s: other mail" % name):
                self.start_again()
                self.send(mail, ANN, BOB)
                for who in (ANN, BOB):
                    private.wait_until("other mail", lambda: self.box(who))
                    self.assertEqual(len(self.box(who)), 1)
                    self.assertTrue(self.box(who)[0].endswith(mail), self.box(who))
                self.hook.work()
                self.assertEqual(self.hook.cases(), [])
        for what, spoil, mend in (("no intake", self.hook.break_intake, self.hook.mend_intake),
                                  ("stalled", self.hook.stall, self.hook.flow)):
            with self.subTest("%s: %s" % (name, what)):
                self.start_again()
                spoil()
                try:
                    self.cannot_take(what, later, kept)
                finally:
                    mend()
                if not later:
                    (tries_again or self.catch_up)(ANN)
                self.one_of_all(what, (ANN,), kept)

    def cannot_take(self, what, later, kept):
        seen = len(self.words())
        self.send(installed.notice(), ANN)
        if later:
            private.wait_until("deferred", lambda: "status=deferred" in self.words()[seen:])
            self.assertTrue(self.server_waits())
        else:
            private.wait_until("the mail in the box", lambda: self.box(ANN))
        self.ended_by_itself(what)
        self.assertEqual(len(installed.maildir_mails(self.box_folder(ANN))), 0 if later and not self.BESIDE else int(kept))
        self.assertEqual(installed.maildir_mails(self.box_folder(SENDER)), [], "a bounce")
        self.assertNotIn("status=bounced", self.words()[seen:])
        self.assertEqual(self.hook.waiting(), [])

    def ended_by_itself(self, what):
        """By our own deadline, which is before that of any server; or at once, where the server's was made short."""
        least, most = {"stalled": (7.9, 9.9), "the server's limit": (1, 6)}.get(what, (None, None))
        if least is not None:
            ends = self.hook.stalled()
            self.assertTrue(ends)
            for code, seconds in ends:
                self.assertEqual(code, 75)
                self.assertTrue(least < seconds < most, seconds)

    def ended_by_the_server(self, later, tries_again=None, what="the server's limit"):
        """The server's limit is 2 s here: it sends SIGTERM, which is not the mail's end."""
        self.start_again()
        self.hook.stall()
        try:
            self.cannot_take(what, later, kept=True)
        finally:
            self.hook.flow()
        if not later:
            (tries_again or self.catch_up)(ANN)
        self.one_of_all(what)

    BESIDE = False  # the box has its own delivery, which the failure does not touch


class Postfix(Room):
    """pipe(8) and an alias: the box has a delivery of its own."""
    BESIDE = True
    MAPS = ("mailhook_virtual", "mailhook_transport")

    def start(self, recipe, main, master=""):
        also = [("aws@example.com ops@example.com", "%s %s" % (ANN, "box-" + ANN))]
        main = dict(self.SETTINGS, **main)
        server = postfix.Postfix(self.dir, {"mx": {}}, main, ["box-" + ANN, BOB, SENDER], master=master)
        etc = private.own(os.path.join(self.dir, "postfix"), 0, 0, 0o755)
        for name in self.MAPS:
            text = RECIPES.get("%s %s" % (recipe, name))
            if text is not None:
                with open(os.path.join(etc, name), "w", encoding="utf-8") as f:
                    f.write(self.recipe("%s %s" % (recipe, name), also))
        type(self).server = server
        server.start()

    def settings(self, text):
        return dict(line.split(" = ", 1) for line in text.splitlines())

    def box_folder(self, who):
        return os.path.join(self.server.mail, "box-" + who if who == ANN else who, "Maildir")

    def tearDown(self):
        self.server.stop()

    def test_pipe(self):
        tables = [("/etc/postfix/", os.path.join(self.dir, "postfix", ""))]
        main = self.settings(self.recipe("postfix-pipe main.cf", tables))
        self.start("postfix-pipe", main, self.recipe("postfix-pipe master.cf", [("user=mailhook", "user=nobody")]))
        self.prove("postfix-pipe", later=True)
        self.sender_is_told()

    def start_alias(self):
        tables = [("/etc/postfix/", os.path.join(self.dir, "postfix", ""))]
        main = self.settings(self.recipe("postfix-pipe main.cf", tables))
        del main["transport_maps"]
        aliases = os.path.join(self.dir, "aliases")
        with open(aliases, "w", encoding="utf-8") as f:
            f.write(self.recipe("postfix-alias aliases"))
        main.update({"mydestination": "localhost", "alias_maps": "hash:" + aliases, "virtual_transport": "virtual"})
        self.start("postfix-alias", main)
        made = self.server.command("postalias", "hash:" + aliases)
        self.assertEqual(made.returncode, 0, made)

    def test_alias(self):
        self.start_alias()
        self.prove("postfix-alias", later=True)
        self.sender_is_told()

    def test_alias_of_another_user(self):
        """The alias runs as nobody, and the state is another user's: a folder that anybody may put messages into."""
        owner = 64990
        self.hook = installed.Installed(os.path.join(self.dir, "others"), uid=owner, gid=owner)
        self.addCleanup(self.hook.close)
        script = self.recipe("intake-of-many", [("/var/lib/mailhook", self.hook.state),
                                                ("-o mailhook -g mailhook", "-o %d -g %d" % (owner, owner))])
        subprocess.run(["sh", "-ec", script], check=True, timeout=60)
        self.start_alias()
        self.server.empty("box-" + ANN)
        self.send(installed.notice(), ANN)
        self.settle()
        self.assertEqual([os.stat(f).st_uid for f in self.hook.waiting()], [private.MAIL_UID])
        for command in (["ls", self.hook.intake], ["ls", self.hook.state], ["cat", self.hook.waiting()[0]]):
            allowed = subprocess.run(command, user=owner + 1, group=owner + 1, extra_groups=[], capture_output=True,
                                     check=False).returncode == 0
            self.assertEqual(allowed, command[1] == self.hook.intake, command)
        self.one_of_all("another user's state")


class Agent(Room):
    """A delivery agent that Postfix starts by pipe(8), one for each recipient, with a filter file of its own."""
    ARGV = ""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.filter = os.path.join(cls.dir, "filter")
        main = dict(cls.SETTINGS, virtual_transport="agent", agent_destination_recipient_limit="1")
        master = "agent unix - n n - 4 pipe\n  flags=R user=nobody argv=%s\n" % (cls.ARGV % {
            "filter": cls.filter, "boxes": cls.boxes})
        cls.server = postfix.Postfix(cls.dir, {"mx": {}}, main, [ANN, BOB, SENDER], master=master)
        cls.server.start()

    def write(self, text):
        with open(self.filter, "w", encoding="utf-8") as f:
            f.write(text)
        os.chown(self.filter, private.MAIL_UID, private.MAIL_GID)
        os.chmod(self.filter, 0o600)


class Procmail(Agent):
    ARGV = "/usr/bin/procmail BOX=%(boxes)s/${recipient} %(filter)s"

    def use(self, name, head=""):
        self.write("SHELL=/bin/sh\nMAILDIR=$BOX\nDEFAULT=$BOX/\n" + head + self.recipe(name))
        for who in (ANN, BOB, SENDER):
            private.own(self.box_folder(who))

    def test_copy(self):
        self.use("procmail-copy")
        self.prove("procmail-copy", later=False)
        self.use("procmail-copy", "TIMEOUT=2\n")
        self.ended_by_the_server(later=False)

    def test_retry(self):
        self.use("procmail-retry")
        self.prove("procmail-retry", later=True)
        self.use("procmail-retry", "TIMEOUT=2\n")
        self.ended_by_the_server(later=True)

    def test_filter(self):
        self.use("procmail-filter", "TIMEOUT=2\n")
        self.ended_by_the_server(later=False)
        self.use("procmail-filter")
        self.prove("procmail-filter", later=False, sorts=True)
        self.start_again()
        self.send(installed.notice(), ANN)
        self.settle()
        self.assertEqual(len(installed.maildir_mails(os.path.join(self.box_folder(ANN), ".expiring"))), 1)


class Maildrop(Agent):
    ARGV = "/usr/bin/maildrop %(filter)s %(boxes)s/${recipient}"

    def use(self, name):
        self.write('SHELL="/bin/sh"\nDEFAULT="$1"\n' + self.recipe(name))
        for who in (ANN, BOB, SENDER):
            for folder in (self.box_folder(who), os.path.join(self.box_folder(who), ".expiring")):
                for sub in ("", "tmp", "new", "cur"):
                    private.own(os.path.join(folder, sub))

    def start_again(self):
        super().start_again()
        name = self.name
        self.use(name)

    def test_copy(self):
        self.name = "maildrop-copy"
        self.prove(self.name, later=True)

    def test_to(self):
        self.name = "maildrop-to"
        self.prove(self.name, later=True, kept=False, others=(installed.NEWSLETTER, installed.AWS_NEWSLETTER))

    def test_filter(self):
        self.name = "maildrop-filter"
        self.prove(self.name, later=True, sorts=True)
        self.start_again()
        self.send(installed.notice(), ANN)
        self.settle()
        self.assertEqual(len(installed.maildir_mails(os.path.join(self.box_folder(ANN), ".expiring"))), 1)


class Dovecot(Room):
    """Dovecot's LMTP server with Pigeonhole."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        programs = private.own(os.path.join(cls.dir, "programs"), 0, 0, 0o755)
        os.symlink(cls.hook.bin, os.path.join(programs, "mailhook"))
        print("sieve dovecot.conf:")
        cls.more = cls.hook.here(RECIPES["sieve dovecot.conf"], [("/etc/dovecot/mailhook", programs)])
        cls.server = cls.start(cls.dir, cls.more)

    @staticmethod
    def start(folder, more):
        users = {who: "secret" for who in (ANN, BOB, SENDER)}
        return dovecot.Dovecot(folder, users, protocols=("lmtp",), more=more).start()

    def test_limit(self):
        folder, usual = os.path.join(self.dir, "limited"), self.server
        os.mkdir(folder)
        limits = "".join("  sieve_%s_exec_timeout = 2s\n" % what for what in ("pipe", "execute", "filter"))
        type(self).server = self.start(folder, self.more + "plugin {\n%s}\n" % limits)
        try:
            # Not the filter: Pigeonhole 0.5.19 crashes where it ends one, and the mail server comes again.
            for name, tries_again in (("sieve-copy", None), ("sieve-execute", self.again)):
                with self.subTest(name):
                    self.script = self.recipe(name)
                    self.ended_by_the_server(later=False, tries_again=tries_again)
        finally:
            self.server.stop()
            type(self).server = usual

    def send(self, mail, *recipients):
        with smtplib.LMTP("127.0.0.1", self.server.port["lmtp"], timeout=60) as s:
            s.ehlo_or_helo_if_needed()
            replies = [s.mail(SENDER), *(s.rcpt(who) for who in recipients), s.data(mail.replace(b"\n", b"\r\n"))]
            replies += [s.getreply() for _ in recipients[1:]]  # LMTP answers for each, which smtplib does not know
            self.assertEqual([code for code, _ in replies], [250] * len(replies), replies)

    def box_folder(self, who):
        return os.path.join(self.server.mail, who, "Maildir")

    def box(self, who):
        return [m.replace(b"\r\n", b"\n") for m in super().box(who)]

    def settle(self):
        pass

    def server_waits(self):
        return False

    def start_again(self):
        self.hook.fresh()
        for who in (ANN, BOB, SENDER):
            home = private.own(os.path.dirname(self.box_folder(who)))
            shutil.rmtree(self.box_folder(who), ignore_errors=True)
            script = os.path.join(home, ".dovecot.sieve")
            with open(script, "w", encoding="utf-8") as f:
                f.write(self.script)
            if os.path.exists(script + "c"):
                os.unlink(script + "c")

    def test_copy(self):
        self.script = self.recipe("sieve-copy")
        self.prove("sieve-copy", later=False)
        self.sender_is_told()

    def test_execute(self):
        self.script = self.recipe("sieve-execute")
        self.prove("sieve-execute", later=False, tries_again=self.again)

    def again(self, who):
        folder = os.path.join(self.box_folder(who), ".mailhook-again")
        self.assertEqual(len(installed.maildir_mails(folder)), 1)
        self.catch_up(who, "cron-maildir", folder)
        self.assertEqual((len(os.listdir(folder + "/new")), len(os.listdir(folder + "/cur"))), (0, 1))
        shutil.rmtree(folder)

    def cannot_take(self, what, later, kept):
        if self.script.find("mailhook-again") < 0:
            super().cannot_take(what, later, kept)
            return
        self.send(installed.notice(), ANN)
        self.assertEqual(len(self.box(ANN)), 2)
        self.ended_by_itself(what)

    def test_filter(self):
        self.script = self.recipe("sieve-filter")
        self.prove("sieve-filter", later=False, sorts=True)
        self.start_again()
        self.send(installed.notice(), ANN)
        self.assertEqual(len(installed.maildir_mails(os.path.join(self.box_folder(ANN), ".expiring"))), 1)


class Fdm(Room):
    """fdm as a delivery agent, on standard input; one home for each user."""
    HEAD = ""

    def setUp(self):
        for who in (ANN, BOB, SENDER):
            home = private.own(os.path.join(self.boxes, who))
            path = os.path.join(home, ".fdm.conf")
            with open(path, "w", encoding="utf-8") as f:
                # nobody has no home, and fdm asks the password file for it
                f.write('set lock-file "%s/lock"\nset maximum-size 64M\n%saccount "stdin" stdin\n' % (home, self.HEAD)
                        + self.recipe("fdm", [("%h", home)]))
            os.chown(path, private.MAIL_UID, private.MAIL_GID)
            os.chmod(path, 0o600)

    def box_folder(self, who):
        return os.path.join(self.boxes, who, "Maildir")

    def settle(self):
        pass

    def send(self, mail, *recipients):
        ended = []

        def fetch(who):
            home = os.path.join(self.boxes, who)
            ended.append(subprocess.run(["/usr/bin/fdm", "-f", home + "/.fdm.conf", "-a", "stdin", "fetch"], input=mail,
                                        env={"HOME": home, "PATH": "/usr/bin:/bin"}, timeout=60, check=False,
                                        cwd=home, capture_output=True, **AS_MAIL))
        threads = [threading.Thread(target=fetch, args=(who,)) for who in recipients]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual([p.returncode for p in ended], [0] * len(recipients), ended)

    def test_copy(self):
        self.prove("fdm", later=False)

    def test_limit(self):
        self.HEAD = "set timeout 2\n"
        self.setUp()
        self.ended_by_the_server(later=False, what="given up")  # fdm lets go of what it started
        private.wait_until("mailhook's own end", self.hook.stalled)
        self.assertEqual([code for code, _ in self.hook.stalled()], [75])


class Cron(Room):
    """The two cron jobs alone, over Maildirs that hold mail."""

    def setUp(self):
        for sub in ("", "tmp", "new", "cur"):
            private.own(os.path.join(self.boxes, "Maildir", sub))
        self.folder = os.path.join(self.boxes, "Maildir")

    def tearDown(self):
        shutil.rmtree(self.folder)

    def settle(self):
        pass

    def put(self, sub, name, mail):
        with open(os.path.join(self.folder, sub, name), "wb") as f:
            f.write(mail)

    def names(self, sub):
        return sorted(os.listdir(os.path.join(self.folder, sub)))

    def test_maildir(self):
        mails = {"1.a.host": installed.notice(), "2.b.host:2,": installed.NEWSLETTER, "-3 c*.host": installed.notice_8bit(),
                 "4.d.host": installed.notice_of_25_mb()}
        for what, spoil, mend in (("no intake", self.hook.break_intake, self.hook.mend_intake),
                                  ("stalled", self.hook.stall, self.hook.flow)):
            with self.subTest(what):
                self.hook.fresh()
                self.tearDown()
                self.setUp()
                for name, mail in mails.items() if what == "no intake" else (("1.a.host", mails["1.a.host"]),):
                    self.put("new", name, mail)
                before = self.names("new")
                spoil()
                try:
                    self.catch_up(None, "cron-maildir", self.folder)
                finally:
                    mend()
                self.assertEqual(self.names("new"), [n for n in before if n != "2.b.host:2,"], "only what was taken moves")
                self.catch_up(None, "cron-maildir", self.folder)
                self.catch_up(None, "cron-maildir", self.folder)
                self.assertEqual(self.names("new"), [])
                self.assertEqual(self.names("cur"), sorted(n if n.endswith(":2,") else n + ":2," for n in before))
                for name in self.names("cur"):
                    with open(os.path.join(self.folder, "cur", name), "rb") as f:
                        self.assertEqual(f.read(), mails[name] if name in mails else mails[name[:-3]], name)
                self.hook.until_done(what)
                self.assertEqual((len(self.hook.tickets()), len(self.hook.replies())), (1, 1))

    def test_box(self):
        self.put("cur", "1.a.host:2,S", installed.notice())
        self.put("new", "2.b.host", installed.NEWSLETTER)
        self.hook.break_intake()
        self.catch_up(None, "cron-box", self.folder)
        self.hook.mend_intake()
        self.assertEqual(self.hook.waiting(), [])
        for _ in range(2):
            self.catch_up(None, "cron-box", self.folder)
            self.hook.until_done("box")
            self.assertEqual((len(self.hook.tickets()), len(self.hook.replies()), len(self.hook.cases())), (1, 1, 1))
        self.assertEqual((self.names("cur"), self.names("new")), (["1.a.host:2,S"], ["2.b.host"]))


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("recipes_test.py: skipped: only root can start mail servers")
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], *sys.argv[1:]], verbosity=2)
