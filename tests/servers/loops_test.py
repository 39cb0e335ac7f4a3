#!/usr/bin/env python3
"""What answers mail by itself, and mailhook: each talk ends after one message of mailhook's. Real Postfix, Pigeonhole,
Request Tracker and mlmmj. Needs root.

mailhook is configured as carelessly as can be: whoever sends gets an answer, however little is known of him. A round in
which the queue is empty, no message waits and nothing new was sent is the end of a talk."""
import email
import email.policy
import os
import re
import shutil
import smtplib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
import dovecot  # noqa: E402
import installed  # noqa: E402
import mlmmj  # noqa: E402
import postfix  # noqa: E402
import private  # noqa: E402
import rt  # noqa: E402

HOOKS = ("hook-a@example.com", "hook-b@example.com")
PERSON, VACATION, LIST, BARE, CLOSED, RT, GONE, ARCHIVE, GATE_A, GATE_B = ("%s@example.com" % name for name in (
    "person", "vacation", "list", "bare", "closed", "rt", "gone", "archive", "gate-a", "gate-b"))
# What a list puts on its mails is up to whoever keeps it: mlmmj adds nothing by itself.
LISTS = {
    LIST: ([PERSON, HOOKS[0]], ["List-Id: <list.example.com>", "List-Post: <mailto:%s>" % LIST, "Precedence: list"], []),
    BARE: ([PERSON, HOOKS[0]], [], []),
    CLOSED: ([PERSON], [], ["subonlypost"]),  # tells others than subscribers that it did not take their mail
}

SENDS = """\
import email, email.policy, smtplib, sys
mail = email.message_from_binary_file(sys.stdin.buffer, policy=email.policy.SMTP.clone(refold_source="none"))
def send(sender, recipients):
    with open(%(port)r) as f, smtplib.SMTP("127.0.0.1", int(f.read())) as s:
        s.sendmail(sender, recipients, mail.as_bytes(), mail_options=["BODY=8BITMIME"])
"""
# A gateway that takes away what tells machines from people, and hands on to the other mailhook.
GATE_PROGRAM = SENDS + """
for name in [n for n in mail.keys() if n.lower().startswith("x-") or n.lower() == "auto-submitted"]:
    del mail[name]
send("relay@example.com", [sys.argv[1]])
"""
SIEVE = """\
require ["vacation"];
vacation :days 1 :addresses ["%s", "%s"] "I am away until Monday.";
""" % (VACATION, GONE)


class Loops(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="mailhook-loops-")
        os.chmod(cls.dir, 0o755)
        cls.addClassCleanup(cls.remove)
        cls.hooks = [installed.Installed(os.path.join(cls.dir, "hook-%s" % n), more=(
            'action "ticket" { program = "ticket" }\naction "tell" { program = "reply" }\n'
            'rule "all" { do = {"ticket", "tell"} }\n')) for n in "ab"]
        for hook in cls.hooks:
            cls.addClassCleanup(hook.close)
        cls.port_file = os.path.join(cls.dir, "port")
        master = ""
        for n, hook in zip("ab", cls.hooks):
            line = installed.recipes()["postfix-pipe master.cf"].replace("mailhook unix", "hook-%s unix" % n)
            master += hook.here(line, [("user=mailhook", "user=nobody")])
        path = os.path.join(cls.dir, "gate.py")
        with open(path, "w", encoding="utf-8") as f:
            f.write(GATE_PROGRAM.replace("%(port)r", repr(cls.port_file)))
        master += "gate unix - n n - - pipe\n  flags=R user=nobody argv=/usr/bin/python3 -IB %s ${nexthop}\n" % path
        cls.rt = rt.RT(os.path.join(cls.dir, "rt"), {"Credentials": RT}, user_address="operator@example.com")
        cls.addClassCleanup(cls.rt.stop)
        cls.rt.start()
        master += "rt unix - n n - - pipe\n  flags=R user=nobody argv=%s\n" % " ".join(cls.rt.gate("Credentials"))
        cls.lists = [mlmmj.MailingList(os.path.join(cls.dir, "lists"), address, members, headers, settings)
                     for address, (members, headers, settings) in LISTS.items()]
        master += "".join(one.master for one in cls.lists)
        master += "gone unix - n n - - pipe\n  user=nobody argv=/bin/false\n"  # after it was taken: a bounce
        lmtp = os.path.join(cls.dir, "lmtp")
        routes = [(HOOKS[0], "hook-a:"), (HOOKS[1], "hook-b:"), (RT, "rt:"),
                  (VACATION, "lmtp:unix:" + lmtp), (GONE, "gone:")]
        routes += [(GATE_A, "gate:" + HOOKS[0]), (GATE_B, "gate:" + HOOKS[1])] + [one.route for one in cls.lists]
        boxes = [GATE_A, GATE_B, PERSON, VACATION, *LISTS, RT, GONE, ARCHIVE, *HOOKS]
        main = {"always_bcc": ARCHIVE, "notify_classes": "", "recipient_delimiter": "+"}  # list+bounces-1@ is the list's
        cls.mx = postfix.Postfix(cls.dir, {"mx": {}}, main, boxes, master=master)
        cls.mx.main["transport_maps"] = cls.mx.table("routes", routes)
        cls.addClassCleanup(cls.mx.stop)
        cls.mx.start()
        with open(cls.port_file, "w", encoding="utf-8") as f:
            f.write("%d" % cls.mx.port["mx"])
        cls.rt.relay(cls.mx.port["mx"])
        for one in cls.lists:
            one.send_to(cls.mx.port["mx"])
        more = """
protocol lmtp {
  mail_plugins = $mail_plugins sieve
}
service lmtp {
  unix_listener %s {
    mode = 0666
  }
}
submission_host = 127.0.0.1:%d
""" % (lmtp, cls.mx.port["mx"])
        os.makedirs(os.path.join(cls.dir, "imap"))
        cls.away = dovecot.Dovecot(os.path.join(cls.dir, "imap"), {VACATION: "secret"}, protocols=("lmtp",), more=more)
        cls.addClassCleanup(cls.away.stop)
        cls.away.start()
        home = private.own(os.path.join(cls.away.mail, VACATION))
        with open(os.path.join(home, ".dovecot.sieve"), "w", encoding="utf-8") as f:
            f.write(SIEVE)

    @classmethod
    def remove(cls):
        if os.environ.get("MAILHOOK_KEEP"):
            print("kept: " + cls.dir)
        else:
            installed.remove(cls.dir)

    def setUp(self):
        for hook in self.hooks:
            hook.fresh()
        for box in (PERSON, ARCHIVE):
            self.mx.empty(box)
        home = os.path.join(self.away.mail, VACATION)
        for name in (".dovecot.lda-dupes", "Maildir"):  # whom the vacation has answered, and what it got
            path = os.path.join(home, name)
            shutil.rmtree(path) if os.path.isdir(path) else os.path.exists(path) and os.unlink(path)
        self.seen = len(self.mx.words())
        self.last_ticket = max([0] + [int(t["id"]) for t in self.rt.get("tickets?query=id>0&per_page=100")[1]["items"]])
        self.configure(0, [])
        self.configure(1, [])

    def configure(self, n, to, more=""):
        path = os.path.join(os.path.dirname(self.hooks[n].conf), "actions", "tell.conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write('transport = "smtp"\nsmtp_host = "127.0.0.1"\nsmtp_port = %d\nsmtp_tls = "none"\nfrom = "%s"\n'
                    'sender_needs = "unverified"\nto = {%s}\n%s' % (
                        self.mx.port["mx"], HOOKS[n], ", ".join('"%s"' % a for a in to), more))

    def send(self, mail, sender, *to):
        with smtplib.SMTP("127.0.0.1", self.mx.port["mx"]) as s:
            self.assertEqual(s.sendmail(sender, to, mail.replace(b"\n", b"\r\n"), mail_options=["BODY=8BITMIME"]), {})

    def came_in(self, n):
        """How many mails Postfix gave to a mailhook."""
        return len(re.findall(r"to=<%s>.*status=sent" % HOOKS[n], self.mx.words()[self.seen:]))

    def archive(self):
        return [email.message_from_bytes(m, policy=email.policy.default) for m in self.mx.mails(ARCHIVE)]

    def end_of_talk(self):
        """All mails that were sent, once nothing moves any more. A talk without end has no such round."""
        before = -1
        for _ in range(12):
            self.mx.settle()
            for hook in self.hooks:
                hook.work()
            now = len(self.archive())
            if now == before and not any(hook.waiting() for hook in self.hooks):
                return self.archive()
            before = now
        raise AssertionError("the talk does not end: %d mails\n%s" % (now, self.mx.words()))

    def talk(self, replies, total, cases=(1, 0), came_in=None):
        """replies: by mailhooks; total: with what began the talk and what others wrote."""
        mails = self.end_of_talk()
        words = ["%s -> %s: %s" % (m["From"], m["To"], m["Subject"]) for m in mails]
        jobs = {m["X-Mailhook-Job"] for m in mails if m["X-Mailhook-Job"]}
        self.assertEqual((len(jobs), len(mails)), (replies, total), words)
        self.assertEqual([len(hook.cases()) for hook in self.hooks], list(cases))
        if came_in is not None:
            self.assertEqual(self.came_in(0), came_in, self.mx.words()[self.seen:])
        for mail in mails:
            if mail["X-Mailhook-Job"]:
                self.assertEqual(mail["Auto-Submitted"], "auto-replied")
        return mails

    # -- the talks

    def test_two_mailhooks_without_marks(self):
        """Nothing tells that a program wrote; but a reply is worded so that it is no notice, and so it ends too."""
        self.configure(0, [GATE_B])
        self.configure(1, [GATE_A])
        self.send(installed.notice(), PERSON, HOOKS[0])
        mails = self.talk(replies=1, total=3, cases=(1, 0), came_in=1)
        self.assertEqual(self.came_in(1), 1)
        stripped = [m for m in mails if m["From"].addresses[0].addr_spec == HOOKS[0] and not m["X-Mailhook-Job"]]
        self.assertEqual([m["Auto-Submitted"] for m in stripped], [None], "the gate must have taken the marks away")

    def test_two_mailhooks(self):
        self.configure(0, [HOOKS[1]])
        self.configure(1, [HOOKS[0]])
        self.send(installed.notice(), PERSON, HOOKS[0])
        self.talk(replies=1, total=2, cases=(1, 0))

    def test_two_mailhooks_that_both_got_it(self):
        self.configure(0, [HOOKS[1]])
        self.configure(1, [HOOKS[0]])
        self.send(installed.notice(), PERSON, *HOOKS)
        self.talk(replies=2, total=3, cases=(1, 1), came_in=2)

    def test_own_reply_through_the_pipe(self):
        self.configure(0, [HOOKS[0], PERSON])
        self.send(installed.notice(), PERSON, HOOKS[0])
        self.talk(replies=1, total=2, came_in=2)
        self.assertEqual(len(self.mx.mails(PERSON)), 1)

    def from_person(self, who):
        """A person who hands a notice on, and so may be answered."""
        old = b'"Amazon Web Services, Inc." <no-reply-aws@amazon.com>'
        return installed.notice().replace(old, who.encode()).replace(b"Subject: ", b"Subject: Fwd: ")

    def test_person_is_answered(self):
        self.send(self.from_person(PERSON), PERSON, HOOKS[0])
        self.talk(replies=1, total=2, came_in=1)
        self.assertEqual(len(self.mx.mails(PERSON)), 1)

    def test_vacation_of_the_sender(self):
        self.send(self.from_person(VACATION), VACATION, HOOKS[0])
        self.talk(replies=1, total=2, came_in=1)
        self.assertEqual(len(self.vacation_box()), 1)

    def vacation_box(self):
        return installed.maildir_mails(os.path.join(self.away.mail, VACATION, "Maildir"))

    def test_vacation_answers_the_hook(self):
        """Somebody writes in mailhook's name; the vacation answers to mailhook, whose replies it is to get as well."""
        self.configure(0, [VACATION])
        mail = self.from_person(HOOKS[0]).replace(b"To: cloud@example.com", b"To: " + VACATION.encode())
        self.send(mail, HOOKS[0], VACATION)
        mails = self.talk(replies=1, total=3, came_in=1)
        answers = [m for m in mails if "I am away" in m.get_body(("plain",)).get_content()]
        self.assertEqual(len(answers), 1, "the vacation must have answered, or nothing is shown")
        self.assertEqual(answers[0]["To"], HOOKS[0])

    def test_bounce_of_a_reply(self):
        self.configure(0, [GONE])
        self.send(installed.notice(), PERSON, HOOKS[0])
        self.talk(replies=1, total=2, came_in=1)
        self.assertIn("status=bounced", self.mx.words()[self.seen:])

    def test_bounce_of_a_reply_that_comes_back(self):
        """An envelope sender of our own is a mistake that the configuration allows: then the bounce comes to us."""
        self.configure(0, [GONE], 'envelope_from = "%s"\n' % HOOKS[0])
        self.send(installed.notice(), PERSON, HOOKS[0])
        self.talk(replies=1, total=2, came_in=2)
        self.assertIn("status=bounced", self.mx.words()[self.seen:])

    def to(self, mail, address):
        """The notice as somebody sends it to a list or to RT, who want to be named."""
        return mail.replace(b"To: cloud@example.com", b"To: " + address.encode())

    def test_mailing_list(self):
        """Told to write to the list that brought the notice: the list brings the reply to mailhook as well."""
        self.configure(0, [LIST])
        self.send(self.to(installed.notice(), LIST), PERSON, LIST)
        mails = self.talk(replies=1, total=6, came_in=2)
        self.assertEqual([m["List-Id"] for m in mails].count("<list.example.com>"), 4, "a notice and a reply, to two")
        self.assertEqual(len(self.mx.mails(PERSON)), 2)

    def test_mailing_list_without_marks(self):
        self.configure(0, [BARE])
        self.send(self.to(installed.notice(), BARE), PERSON, BARE)
        mails = self.talk(replies=1, total=6, came_in=2)
        self.assertEqual({m["List-Id"] or m["Precedence"] for m in mails}, {None}, "the list must have added nothing")

    def test_mailing_list_is_not_answered(self):
        self.send(self.to(self.from_person(PERSON), LIST), PERSON, LIST)
        self.talk(replies=0, total=3, came_in=1)
        self.assertEqual(len(self.mx.mails(PERSON)), 1)

    def test_mailing_list_without_marks_is_not_answered(self):
        """Only the envelope sender, who stands for one bounce of one member, tells of a list."""
        self.send(self.to(self.from_person(PERSON), BARE), PERSON, BARE)
        self.talk(replies=0, total=3, came_in=1)
        self.assertEqual(len(self.mx.mails(PERSON)), 1)

    def test_mailing_list_that_refuses_the_reply(self):
        """The list's own answer, with the reply in it: no field of it says that a program wrote it."""
        self.configure(0, [CLOSED])
        self.send(installed.notice(), PERSON, HOOKS[0])
        mails = self.talk(replies=1, total=3, came_in=2)
        answers = [m for m in mails if "denied" in m["Subject"]]
        self.assertEqual([(m["To"], m["Auto-Submitted"], m["Precedence"]) for m in answers], [(HOOKS[0], None, None)])

    # -- Request Tracker

    def tickets(self):
        return self.rt.find("id > %d" % self.last_ticket)

    def test_rt_gets_the_reply(self):
        self.configure(0, [RT])
        self.send(installed.notice(), PERSON, HOOKS[0])
        self.talk(replies=1, total=2, came_in=1)
        self.assertEqual([t["Requestor"][0]["id"] for t in self.tickets()], [HOOKS[0]], "RT must have made a ticket of it")

    def test_rt_answers_the_hook(self):
        """A ticket whose requestor is mailhook's own mailbox: RT answers to it, with the notice in its text."""
        self.configure(0, [RT])
        self.send(self.to(self.from_person(HOOKS[0]), RT), HOOKS[0], RT)
        mails = self.talk(replies=1, total=3, came_in=1)
        answers = [m for m in mails if m["X-RT-Loop-Prevention"]]
        self.assertEqual([m["To"] for m in answers], [HOOKS[0]], "RT must have answered, or nothing is shown")

    def test_rt_as_the_sender(self):
        """RT hands a notice to mailhook, and gets no answer: a program sent it."""
        self.send(self.to(self.from_person(HOOKS[0]), RT), HOOKS[0], RT)
        self.talk(replies=0, total=2, came_in=1)

    def test_person_answers_in_rt(self):
        """RT sends a person's words, with a notice in them, to mailhook; nothing but Precedence says that RT did. What it
        sends when the ticket is resolved looks like a notice by its subject alone: a case of its own, and a person hears."""
        self.configure(0, [RT])
        self.send(self.to(self.from_person(HOOKS[0]), RT), HOOKS[0], RT)
        self.end_of_talk()
        number = self.tickets()[0]["id"]
        text = installed.notice("123456789013").decode()
        status, words = self.rt.post("ticket/%s/correspond" % number, {
            "Content": "See below.\n\n" + text, "ContentType": "text/plain", "Status": "resolved"})
        self.assertEqual(status, 201, words)
        mails = self.talk(replies=3, total=7, cases=(3, 0), came_in=3)
        told = [m for m in mails if m["X-RT-Loop-Prevention"] and not m["Auto-Submitted"]]
        self.assertEqual([(m["To"], m["Precedence"]) for m in told], [(HOOKS[0], "bulk")] * 2)
        self.assertEqual({m["To"] for m in mails if m["X-Mailhook-Job"]}, {RT}, "only who is configured hears")


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("loops_test.py: skipped: only root can start mail servers")
        sys.exit(77)
    unittest.main(verbosity=2)
