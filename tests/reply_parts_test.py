#!/usr/bin/python3
"""What a reply consists of: text, HTML and calendar read back, in English, in German, and with the user's own words."""
import email
import email.policy
import html.parser
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

import icalendar

BUILD = os.environ["MAILHOOK_BUILD"]
SOURCE = os.environ["MAILHOOK_SOURCE"]
JOB = "6f1e0c1f5ab14c0d8c1f2b3a4d5e6f70"
CASE = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
EVENTS = ("opened", "trusted", "approved", "reminded", "succeeded", "failed", "expired", "closed")
HOSTILE = 'a<b>&"c\'; x,\\y {what}\r\nEND:VEVENT\x01 K\u00f6ln \u202egro\u2066x\u2069\u2028z\u200f ' + "\u65e5\u672c\u8a9e" * 40
MISLEADS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def one_line(text):
    """A value as a reply shows it: one line that is read in one direction."""
    return MISLEADS.sub(" ", text)


class Page(html.parser.HTMLParser):
    """The text of a page; complains of all that is fetched, runs or links."""

    def __init__(self, text):
        super().__init__()
        self.text, self.open = "", []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        if tag not in ("html", "head", "meta", "title", "body", "p", "b", "table", "tr", "td", "br"):
            raise AssertionError("a tag <%s>" % tag)
        for name, value in attrs:
            if name not in ("style", "charset", "lang") or "url" in value:
                raise AssertionError("%s=%r" % (name, value))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            raise AssertionError("</%s> ends another" % tag)

    def handle_data(self, data):
        self.text += data


def content_lines(data):
    """RFC 5545 3.1, to the letter: (name, parameters, value) of each line."""
    if not data.endswith(b"\r\n") or re.search(rb"(?<!\r)\n|\r(?!\n)", data):
        raise AssertionError("a line does not end in CRLF")
    for line in data[:-2].split(b"\r\n"):
        if len(line) > 75:
            raise AssertionError("a line of %d octets: %r" % (len(line), line))
        line.decode("utf-8")  # no character is split
        if re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", line):
            raise AssertionError("a control character: %r" % line)
    lines = []
    for line in data[:-2].replace(b"\r\n ", b"").decode("utf-8").split("\r\n"):
        match = re.fullmatch(r"([A-Z-]+)((?:;[A-Z-]+=[A-Za-z0-9-]+)*):(.*)", line)
        if not match:
            raise AssertionError("no content line: %r" % line)
        lines.append(match.groups())
    return lines


def unescape(text):
    if re.search(r"(?<!\\)(?:\\\\)*(?:[;,]|\\[^\\;,nN])", text):
        raise AssertionError("not escaped: %r" % text)
    return re.sub(r"\\(.)", lambda m: "\n" if m[1] in "nN" else m[1], text)


PROVEN = {"level": "verified", "by": "dkim example.com s1", "steps": []}  # else it is not shown


class Replies(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="mailhook-parts-")
        self.addCleanup(shutil.rmtree, self.dir)

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as f:
            f.write(text)
        return path

    def run_action(self, action, verb, conf="", event="opened", case=None, **more):
        """The lines of one run; its conf is in the file FOLDER/ACTION.conf."""
        self.write(action + ".conf", conf)
        request = {
            "version": 1, "event": event, "attempt": 1, "now": "2025-11-06T09:00:00Z",
            "deadline": "2027-01-01T00:00:00Z", "job_key": JOB, "case_key": CASE, "action": action,
            "config": "%s/%s.conf" % (self.dir, action), "state_dir": self.dir, "observe": False, "event_number": 3,
            "case": {"id": 1, "kind": "aws.identity-center.scim-token", "account": "123456789012",
                     "region": "eu-west-1", "expires": "2026-02-03T04:05:06Z", "precision": "second", **(case or {})},
            "trust": {"level": "unverified"}, "outcomes": [], "message": None, "state": {}, **more}
        with subprocess.Popen(["%s/libexec/mailhook/actions/%s" % (BUILD, action), verb], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, env={}, text=True, encoding="utf-8", cwd=self.dir) as process:
            process.stdin.write(json.dumps(request, ensure_ascii=False) + "\n")
            process.stdin.flush()
            lines = []
            for line in process.stdout:
                lines.append(json.loads(line))
                if "checkpoint" in lines[-1]:
                    process.stdin.write('{"ok":true}\n')
                    process.stdin.flush()
            process.stdin.close()
        return lines

    def mail(self, conf="", **request):
        shutil.rmtree(os.path.join(self.dir, "replies"), ignore_errors=True)
        lines = self.run_action("reply", "run", conf, **request)
        self.assertEqual(lines[-1]["outcome"], "done", lines[-1])
        with open("%s/replies/new/%s.mailhook" % (self.dir, JOB), "rb") as f:
            mail = email.message_from_binary_file(f, policy=email.policy.default)
        for part in mail.walk():
            self.assertEqual(part.defects, [])
        return mail

    def ics(self, mail):
        parts = [p for p in mail.walk() if p.get_content_type() == "text/calendar"]
        self.assertEqual(len(parts), 1)
        self.assertEqual(parts[0].get_content_disposition(), "attachment")
        self.assertEqual(parts[0].get_filename(), "expiry.ics")
        self.assertEqual(parts[0].get_param("method"), "PUBLISH")
        return parts[0].get_payload(decode=True)

    def event(self, mail):
        """The one event, checked line by line, and again by another's parser."""
        data = self.ics(mail)
        lines = content_lines(data)
        names = [name for name, _, _ in lines]
        self.assertEqual(names, ["BEGIN", "VERSION", "PRODID", "CALSCALE", "METHOD", "BEGIN", "UID", "DTSTAMP", "SEQUENCE",
                                 "DTSTART", "ORGANIZER", "STATUS", "TRANSP", "SUMMARY", "DESCRIPTION", "END", "END"])
        self.assertEqual([v for n, _, v in lines if n in ("BEGIN", "END")],
                         ["VCALENDAR", "VEVENT", "VEVENT", "VCALENDAR"])
        values = {n: (p, unescape(v) if n in ("SUMMARY", "DESCRIPTION") else v) for n, p, v in lines}
        events = icalendar.Calendar.from_ical(data).walk("VEVENT")
        self.assertEqual(len(events), 1)
        self.assertEqual(events[0].errors, [])
        self.assertEqual(str(events[0]["SUMMARY"]), values["SUMMARY"][1])
        self.assertEqual(str(events[0]["DESCRIPTION"]), values["DESCRIPTION"][1])
        return values

    def test_forms(self):
        rows = [
            ("both", "", ["multipart/mixed", "multipart/alternative", "text/plain", "text/html", "text/calendar"]),
            ("no calendar", "calendar = false\n", ["multipart/alternative", "text/plain", "text/html"]),
            ("no HTML", "html = false\n", ["multipart/mixed", "text/plain", "text/calendar"]),
            ("text alone", "html = false\ncalendar = false\n", ["text/plain"]),
        ]
        for name, conf, types in rows:
            with self.subTest(name):
                self.assertEqual([p.get_content_type() for p in self.mail(conf).walk()], types)

    def test_no_expiry(self):
        mail = self.mail(case={"kind": "unrecognised", "account": None, "expires": None, "precision": None,
                               "resource": "health@aws.com", "reason": "ambiguous date"})
        self.assertEqual([p.get_content_type() for p in mail.walk()],
                         ["multipart/alternative", "text/plain", "text/html"])

    def test_html(self):
        for event in EVENTS:
            for case in ({}, {"resource": HOSTILE, "account": None}, {"resource": "<script>alert(1)</script>"}):
                with self.subTest(event=event, case=case):
                    page = Page(self.mail(event=event, case=case, trust=PROVEN).get_body(("html",)).get_content())
                    self.assertEqual(page.open, [])
                    self.assertIn("2026-02-03 04:05:06 UTC", page.text)
                    if "resource" in case:
                        shown = one_line(case["resource"])
                        self.assertIn(shown, page.text)

    def test_calendar(self):
        for event in EVENTS:
            with self.subTest(event):
                e = self.event(self.mail(event=event, event_number=EVENTS.index(event)))
                self.assertEqual(e["UID"], ("", "mailhook-" + CASE))
                self.assertEqual(e["SEQUENCE"], ("", str(EVENTS.index(event))))
                self.assertEqual(e["DTSTAMP"], ("", "20251106T090000Z"))
                self.assertEqual(e["DTSTART"], ("", "20260203T040506Z"))
                self.assertEqual(e["STATUS"], ("", "CANCELLED" if event in ("succeeded", "closed") else "CONFIRMED"))
                self.assertEqual(e["SUMMARY"][1],
                                 "SCIM access token of IAM Identity Center of account 123456789012 expires")

    def test_whole_day(self):
        for precision in ("day", "derived"):
            e = self.event(self.mail(case={"precision": precision, "expires": "2026-02-03T23:59:59Z"}))
            self.assertEqual(e["DTSTART"], (";VALUE=DATE", "20260203"))

    def test_calendar_organizer(self):
        """RFC 5546 3.2.1: what is published names an organizer."""
        for address, uri in (("mailhook@example.com", "mailhook@example.com"), ("a+b%c?d=e@example.com", "a+b%25c%3Fd%3De@example.com")):
            self.assertEqual(self.event(self.mail('from = "%s"\n' % address))["ORGANIZER"], ("", "mailto:" + uri))

    def test_hostile_facts(self):
        mail = self.mail(event="failed", case={"resource": HOSTILE}, trust=PROVEN, outcomes=[
            {"action": "jira", "outcome": "failed", "summary": "no \u202egro\u2028 way\n", "url": None}])
        text = mail.get_body(("plain",)).get_content()
        self.assertIn(one_line(HOSTILE)[:60], mail["Subject"])
        self.assertIn(one_line(HOSTILE), text)
        self.assertIn("- jira: failed: no gro way", text)
        self.assertEqual(MISLEADS.findall(mail["Subject"] + text.replace("\n", "")), [])

    def test_calendar_of_hostile_facts(self):
        e = self.event(self.mail(case={"resource": HOSTILE}, trust=PROVEN))
        shown = one_line(HOSTILE)
        self.assertIn(shown, e["SUMMARY"][1])
        self.assertIn(shown, e["DESCRIPTION"][1])

    def test_german(self):
        conf = 'templates = "%s/samples/templates/de"\n' % SOURCE
        for event in EVENTS:
            with self.subTest(event):
                mail = self.mail(conf, event=event)
                plain = mail.get_body(("plain",)).get_content()
                page = Page(mail.get_body(("html",)).get_content())
                self.assertIn("l\u00e4uft ab am 2026-02-03", mail["Subject"])
                for text in (plain, page.text):
                    self.assertIn("in 88 Tagen", text)
                    self.assertIn("SCIM-Zugriffstoken", text)
                    self.assertIn("Nichts belegt, wer die Mail", text)
                    for english in ("Expires", "notice", "Nothing", " days", "What", "In the AWS", "left"):
                        self.assertNotIn(english, text)
                self.assertIn("SCIM-Zugriffstoken", self.event(mail)["SUMMARY"][1])
                lines = self.run_action("ticket", "describe", conf, event=event, sample=True)
                said = "\n".join(line.get("say", "") for line in lines)
                self.assertEqual(lines[-1]["outcome"], "done")
                self.assertIn("title: SCIM-Zugriffstoken", said)
                self.assertIn("Was abl\u00e4uft:", said)
                for english in ("Expires", "notice", "Nothing", " days", "What"):
                    self.assertNotIn(english, said)

    def test_words_of_one_event(self):
        self.write("t/reply.txt", "all {event}\n")
        self.write("t/reply-reminded.txt", "again {event}\n")
        self.write("t/reply-subject.txt", "S {what}\n")
        self.write("t/words.conf", 'due_in = "{days}!"\nkind "other.kind" { what = "thing" }\n')
        conf = 'templates = "%s/t"\n' % self.dir
        rows = [("opened", "all opened\n"), ("reminded", "again reminded\n")]
        for event, text in rows:
            mail = self.mail(conf, event=event, case={"kind": "other.kind"})
            self.assertEqual(mail.get_body(("plain",)).get_content(), text)
            self.assertEqual(mail["Subject"], "S thing")
            # The text is the user's, the built-in HTML is not: both would say different things.
            self.assertIsNone(mail.get_body(("html",)))

    def test_wrong_words(self):
        rows = [
            ("no folder", {}, 'templates = "/nothing/here"\n', "templates: there is no folder /nothing/here"),
            ("a relative folder", {}, '\ntemplates = "de"\n', "reply.conf:2: templates must be an absolute path"),
            ("a word of no name", {"words.conf": '# x\nhello = "y"\n'}, None, "words.conf:2: no such option 'hello'"),
            ("a variable of no name", {"reply.txt": "a\nb {nope}\n"}, None, "/t/reply.txt:2: there is no variable {nope}"),
            ("one in the page", {"reply.html": "\n\n{?nope}\n"}, None, "/t/reply.html:3: there is no variable {nope}"),
            ("one of a later event", {"reply-closed.txt": "{/x}\n"}, None, "/t/reply-closed.txt:1: nothing of that name"),
            ("a subject of two lines", {"reply-subject.txt": "a\nb\n"}, None, "/t/reply-subject.txt:2: one line"),
            ("one line is Latin-1", {"reply.txt": "a\n\udce4\n"}, None, "/t/reply.txt:2: this is no text in UTF-8"),
            ("one line has a NUL", {"reply.html": "a\nb\nc\0\n"}, None, "/t/reply.html:3: this is no text in UTF-8"),
            ("a subject of two lines in the option", {}, '\nsubject = "a\\nb"\n', "reply.conf:2: subject: one line"),
            ("a subject that becomes several lines", {}, 'subject = "{steps}"\n', "subject: the subject has more than one line"),
            ("a word that is a template", {"words.conf": 'trust_unverified = "{nope}"\n'}, None,
             "trust_unverified:1: there is no variable {nope}"),
            ("a subject in the file", {}, '# x\n\nsubject = "{nope}"\n', "reply.conf:3: subject:1: there is no variable"),
        ]
        for name, files, conf, words in rows:
            with self.subTest(name):
                shutil.rmtree(os.path.join(self.dir, "t"), ignore_errors=True)
                for file, text in files.items():
                    self.write("t/" + file, text)
                lines = self.run_action("reply", "check", conf or 'templates = "%s/t"\n' % self.dir)
                self.assertEqual(lines[-1]["outcome"], "failed")
                self.assertIn(words, lines[-1]["summary"])

    def test_drill(self):
        mail = self.mail(case={"drill": True})
        self.assertTrue(mail["Subject"].startswith("DRILL: nothing expires: [mailhook]"), mail["Subject"])
        for kind in ("plain", "html"):
            self.assertIn("This is a drill", mail.get_body((kind,)).get_content())
        self.assertNotIn("text/calendar", [p.get_content_type() for p in mail.walk()])
        mail = self.mail('subject = "mine"\n', case={"drill": True})
        self.assertEqual(mail["Subject"], "DRILL: nothing expires: mine")
        self.run_action("ticket", "run", 'title = "mine"\n', case={"drill": True})
        tickets = os.listdir(self.dir + "/tickets")
        with open("%s/tickets/%s" % (self.dir, [t for t in tickets if t.endswith(".txt")][0]), encoding="utf-8") as f:
            text = f.read()
        self.assertIn("DRILL: nothing expires: mine\n", text)
        self.assertIn("This is a drill", text)

    def test_shown(self):
        lines = self.run_action("reply", "describe", sample=True)
        said = "\n".join(line.get("say", "") for line in lines)
        for part in ("subject: [mailhook] notice", "| What:", "html: <!DOCTYPE html>", "calendar: BEGIN:VEVENT"):
            self.assertIn(part, said)


if __name__ == "__main__":
    unittest.main()
