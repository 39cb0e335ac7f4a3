#!/usr/bin/env python3
"""The ticket drivers for systems that cannot run here, against stand-ins with state and the vendors' traps.

One table of systems, and each test walks all of them: the life of a ticket, lost answers, people, refusals, hostile
text, check. What only one system does follows below.
"""
import calendar
import json
import os
import re
import shutil
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "servers"))
import desk  # noqa: E402
import ticket_server as servers  # noqa: E402
from hostile import HOSTILE  # noqa: E402

SECRET = servers.SECRET
OPENED = "2026-11-06T09:00:00Z"  # 88 days before the expiry of desk.py


def seconds(text):
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))


def text_of(t):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(t))


class System:
    """How one system is configured and what its words are."""
    reads = True    # what became of a ticket can be asked
    own_state = True
    attaches = False
    due = True
    raises = True   # a priority can be changed, and read

    def __init__(self, folder, name):
        self.name = name
        self.server = self.make()
        self.desk = desk.Desk(folder, self.driver, "")
        self.configure()

    def configure(self, more="", secret=SECRET, **values):
        settings = dict(self.settings(), **values)
        text = "".join("%s = %s\n" % (k, json.dumps(v)) for k, v in settings.items() if v is not None)
        self.desk.configure(text + 'secret_file = "@SECRET@"\n' + self.more + more, secret=secret)

    more = ""

    def run(self, event, now=OPENED, **more):
        self.server.now = seconds(now)
        return self.desk.run(event, now=now, **more)

    def again(self, later_s=0):
        self.server.now += later_s
        return self.desk.again(now=text_of(self.server.now))

    def to_the_end(self, event, now=OPENED, **more):
        """As the worker does it: retried with what was stored, when it was asked to."""
        r = self.run(event, now=now, **more)
        for _ in range(12):
            if r.last["outcome"] != "retry":
                return r
            r = self.again(r.last.get("retry_after_s") or 30)
        raise AssertionError("%s: never ends: %s" % (self.name, r.last))

    def ticket(self):
        found = self.server.tickets()
        if len(found) != 1:
            raise AssertionError("%s: %d tickets" % (self.name, len(found)))
        return found[0]


class Jira(System):
    driver, normal, high, urgent, above, attaches = "jira", "Medium", "High", "Highest", "Highest", True
    more = 'field "AWS Account" { value = "{account}" }\n'

    def make(self):
        return servers.Jira(cloud=True)

    def settings(self):
        return {"url": self.server.url, "user": "bot@example.com", "deployment": "cloud", "queue": "OPS"}


class JiraDC(Jira):
    def make(self):
        return servers.Jira(cloud=False)

    def settings(self):
        return {"url": self.server.url, "deployment": "datacenter", "queue": "OPS"}


class ServiceNow(System):
    driver, normal, high, urgent, above, attaches = "servicenow", "3/3", "2/2", "1/1", "1/1", True
    more = 'field "u_aws_account" { value = "{account}" }\n'

    def make(self):
        return servers.ServiceNow()

    def settings(self):
        return {"url": self.server.url, "user": "mailhook", "queue": "Identity"}


class GitHub(System):
    driver, normal, high, urgent, due = "github", "priority: normal", "priority: high", "priority: urgent", False
    above = urgent

    def make(self):
        return servers.GitHub()

    def settings(self):
        return {"url": self.server.url, "queue": "octo/ops"}


class GitLab(System):
    driver, normal, high, urgent, attaches = "gitlab", "priority::normal", "priority::high", "priority::urgent", True
    above = urgent

    def make(self):
        return servers.GitLab()

    def settings(self):
        return {"url": self.server.url, "queue": "group/ops"}


class PagerDuty(System):
    driver, normal, high, urgent, due, raises = "pagerduty", "warning", "error", "critical", False, False

    def make(self):
        return servers.PagerDuty()

    def settings(self):
        path = os.path.join(self.desk.folder, "api")
        with open(path, "w", encoding="ascii", opener=lambda p, f: os.open(p, f, 0o600)) as f:
            f.write(SECRET)
        return {"url": self.server.url, "site": self.server.url, "api_url": self.server.url, "api_secret_file": path}

    def configure(self, more="", secret=servers.PagerDuty.KEY, **values):
        super().configure(more, secret, **values)


SYSTEMS = (Jira, JiraDC, ServiceNow, GitHub, GitLab, PagerDuty)


class SystemTest(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="mailhook-systems.")
        self.made = []

    def tearDown(self):
        for s in self.made:
            s.server.stop()
        shutil.rmtree(self.dir)

    def make(self, kind, name=""):
        folder = tempfile.mkdtemp(dir=self.dir)
        s = kind(folder, "%s: %s" % (kind.__name__, name))
        self.made.append(s)
        return s

    def each(self, name):
        return (self.make(kind, name) for kind in SYSTEMS)

    def expect(self, s, r, outcome, words=""):
        self.assertIsNotNone(r.last, "%s: no outcome: %s" % (s.name, r.stderr))
        self.assertEqual(r.last["outcome"], outcome, "%s: %s" % (s.name, r.last))
        self.assertIn(words, r.last["summary"], s.name)
        told = json.dumps(r.lines) + r.stderr
        self.assertNotIn(SECRET, told, s.name)
        self.assertNotIn(servers.PagerDuty.KEY, told, s.name)


class LifeTest(SystemTest):
    def test_life(self):
        """Each step twice: the second time nothing may change."""
        steps = (
            ("opened", OPENED, "normal", 0, True), ("trusted", OPENED, "normal", 1, True),
            ("reminded", "2026-12-05T00:00:00Z", "normal", 2, True), ("reminded", "2027-01-20T00:00:00Z", "high", 3, True),
            ("reminded", "2027-01-31T00:00:00Z", "urgent", 4, True), ("reminded", "2027-01-02T00:00:00Z", "urgent", 5, True),
            ("failed", "2027-02-01T00:00:00Z", "urgent", 6, True), ("expired", "2027-02-03T05:00:00Z", "urgent", 7, True),
            ("succeeded", "2027-02-03T06:00:00Z", "urgent", 8, False),
        )
        for s in self.each("life"):
            for i, (event, now, priority, comments, is_open) in enumerate(steps):
                name = "%s: step %d %s" % (s.name, i, event)
                for attempt in range(2):
                    r = s.run(event, now=now, trust="verified") if attempt == 0 else s.again()
                    self.expect(s, r, "done")
                    if s.driver == "pagerduty":  # it merges what is sent twice, and has no comments
                        self.assertEqual(s.ticket()["open"], is_open, name)
                        continue
                    t = s.ticket()
                    self.assertEqual(len(t["comments"]), comments, "%s, attempt %d: %s" % (name, attempt, t["comments"]))
                    self.assertEqual((t["open"], t["priority"]), (is_open, getattr(s, priority)), name)
                    if s.due:
                        self.assertEqual(t["due"], "2027-02-03", name)
            self.assertIn("123456789012", s.ticket()["title"], s.name)

    def test_without_own_state(self):
        """The ledger is new: the ticket is found by its key, also among others."""
        for s in self.each("no own state"):
            self.expect(s, s.run("opened"), "done")
            s.desk.outcomes.clear()
            self.expect(s, s.run("reminded", now="2027-01-31T00:00:00Z"), "done")
            self.expect(s, s.run("succeeded", now="2027-02-01T00:00:00Z"), "done")
            self.assertFalse(s.ticket()["open"], s.name)

    def test_another_case(self):
        """A ticket of another case is not taken for this one's."""
        for s in self.each("another case"):
            self.expect(s, s.run("opened"), "done", "ticket opened")
            s.server.now += 3600
            s.desk.case("f" * 32)
            self.expect(s, s.run("opened", now="2026-11-06T11:00:00Z"), "done", "ticket opened")
            self.assertEqual(len(s.server.tickets()), 2, s.name)

    def test_people(self):
        """What a person closed stays closed; what a person raised is not lowered."""
        for s in self.each("people"):
            self.expect(s, s.run("opened"), "done")
            if s.raises:
                s.server.person_sets_priority(s.above)
                self.expect(s, s.run("reminded", now="2027-01-20T00:00:00Z"), "done")
                self.assertEqual(s.ticket()["priority"], s.above, s.name)
            s.server.person_closes()
            before = json.dumps(s.server.tickets())
            r = s.run("reminded", now="2027-01-31T00:00:00Z")
            self.expect(s, r, "skipped", "was closed, and stays so")
            self.assertEqual(json.dumps(s.server.tickets()), before, s.name)
            self.expect(s, s.run("failed", now="2027-01-31T00:00:00Z"), "done")
            self.assertFalse(s.ticket()["open"], s.name + ": a failure is told, nothing is opened")

    def test_nothing_to_close(self):
        for s in self.each("success without a ticket"):
            r = s.run("succeeded")
            self.assertIn(r.last["outcome"], ("skipped", "done"), s.name)
            self.assertEqual(s.server.tickets(), [], s.name)

    def test_describe(self):
        for s in self.each("describe"):
            r = s.desk.describe("opened")
            self.expect(s, r, "done", "would open a ticket")
            self.assertIn("title: ", "\n".join(r.said), s.name)
            self.assertEqual(s.server.tickets(), [], s.name)

    def test_mail_attached(self):
        for s in self.each("the mail"):
            if not s.attaches:
                continue
            for attempt in range(2):
                r = s.run("opened", trust="verified", mail=True) if attempt == 0 else s.again()
                self.expect(s, r, "done")
                self.assertEqual(len(self.files(s)), 1, s.name)
            if s.driver == "gitlab":
                self.assertEqual(s.ticket()["comments"], ["[notice.eml](/uploads/0123/notice.eml)"])
            s.desk.case("e" * 32)
            s.server.now += 600
            self.expect(s, s.run("opened", now="2026-11-06T10:00:00Z", mail=True), "done")
            self.assertEqual((len(s.server.tickets()), len(self.files(s))), (2, 1), s.name + ": unverified mail")

    def files(self, s):
        return [f for i in s.server.issues.values() for f in i["files"]] if s.driver == "jira" else s.server.files


class FaultTest(SystemTest):
    def mutations(self, s, event):
        """How many requests of the last run may have changed something."""
        return len([r for r in s.server.requests if r[0] != "GET" and "search" not in r[1]])

    def test_lost_answers(self):
        """Each request of each step is lost once, before or after it was done: one ticket, each comment once."""
        steps = (("opened", OPENED), ("reminded", "2027-01-20T00:00:00Z"), ("succeeded", "2027-02-01T00:00:00Z"))
        for kind in SYSTEMS:
            plain = self.make(kind, "count")
            counts = []
            for event, now in steps:
                plain.server.requests.clear()
                self.expect(plain, plain.run(event, now=now), "done")
                counts.append(len(plain.server.requests))
            comments = len(plain.ticket()["comments"])
            for at, (event, now) in enumerate(steps):
                for number in range(counts[at]):
                    for fault in ("lost", "drop"):
                        s = self.make(kind, "%s of request %d of %s" % (fault, number + 1, event))
                        for before, then in steps[:at]:
                            self.expect(s, s.run(before, now=then), "done")
                        s.server.faults = [("*", "", None)] * number + [("*", "", fault)]
                        self.expect(s, s.to_the_end(event, now=now), "done")
                        for after, then in steps[at + 1:]:
                            self.expect(s, s.to_the_end(after, now=then), "done")
                        t = s.ticket()
                        self.assertFalse(t["open"], s.name)
                        if s.driver != "pagerduty":
                            self.assertEqual(len(t["comments"]), comments, "%s: %s" % (s.name, t["comments"]))
                        s.server.stop()
                        self.made.remove(s)

    def test_late_index(self):
        """The answer to the creation was lost and the index does not show it yet: no second one."""
        for s in self.each("late index"):
            s.server.lag_s = 25
            s.server.faults = [("POST", "issue" if s.driver != "servicenow" else "incident", "lost")]
            if s.driver in ("pagerduty",):
                continue
            self.expect(s, s.run("opened"), "retry")
            r = s.again(1)
            if s.driver == "servicenow":  # a database: it shows at once
                self.expect(s, r, "done")
            else:
                self.expect(s, r, "retry", "looked for again")
                self.assertGreater(r.last["retry_after_s"], 0, s.name)
                self.expect(s, s.again(60), "done")
            self.assertEqual(len(s.server.tickets()), 1, s.name)

    def test_file_that_comes_later(self):
        """What was opened is known by its number, however long the index takes, while its file is tried again."""
        for kind in (Jira, JiraDC):
            s = self.make(kind, "a file that comes later")
            s.server.lag_s = 100000
            s.server.faults.append(("POST", "/attachments", (429, {}, {})))
            self.expect(s, s.run("opened", trust="verified", mail=True), "retry", "429")
            self.expect(s, s.again(later_s=3600), "done")
            self.assertEqual(s.ticket()["comments"], [], s.name)
            self.assertEqual([len(i["files"]) for i in s.server.issues.values()], [1], s.name)

    def test_refusals(self):
        words = "Words of the server.\r\nMore <b>of</b> them \x1b[31m"
        bodies = {"jira": {"errorMessages": [words], "errors": {}}, "servicenow": {"error": {"message": words, "detail": None}},
                  "github": {"message": words}, "gitlab": {"message": words}, "pagerduty": {"message": words, "errors": ["x"]}}
        rows = [("%d" % n, (n, "words", {}), "failed", "Words of the server.", None) for n in (400, 401, 403, 404, 405, 422)]
        rows += [
            ("429 with seconds", (429, "words", {"Retry-After": "120"}), "retry", "429", 120),
            ("429 with a date", (429, "words", {"Retry-After": "Fri, 06 Nov 2026 09:01:00 GMT"}), "retry", "429", 60),
            ("503", (503, "words", {}), "retry", "503", None),
            ("503 with HTML", (503, b"<html><body>down</body></html>", {}), "retry", "503", None),
            ("500", (500, "words", {}), "retry", "500", None),
            ("a login page", (200, b"<html>Please log in</html>", {}), "retry", "", None),
            ("a redirect", (302, b"", {"Location": "http://localhost:1/"}), "failed", "302", None),
            ("an endless answer", (200, b"[" + b" " * 2000000, {}), "failed", "bytes", None),
            ("dropped", "drop", "retry", "", None),
            ("the credential comes back", "echo", "failed", "400", None),
        ]
        for kind in SYSTEMS:
            for name, fault, outcome, said, wait_s in rows:
                s = self.make(kind, name)
                if isinstance(fault, tuple) and fault[1] == "words":
                    fault = (fault[0], bodies[s.driver], fault[2])
                part = "/v2/enqueue" if s.driver == "pagerduty" else ""
                s.server.faults = [("*", part, fault)]
                r = s.run("opened")
                self.expect(s, r, outcome, said)
                if wait_s is not None:
                    self.assertEqual(r.last.get("retry_after_s"), wait_s, s.name)
                self.assertNotIn("\x1b", r.last["summary"], s.name)
                if fault == "echo" and s.driver != "pagerduty":
                    self.assertTrue(r.last["summary"].endswith(": 400"), "%s: %s" % (s.name, r.last))
                self.assertEqual(s.server.tickets(), [], s.name)

    def test_slow_answers_are_fine(self):
        """Azure's manner, and others': Retry-After beside a success says slow down, and no more."""
        for s in self.each("Retry-After on success"):
            plain = s.server.answer
            s.server.answer = lambda r, plain=plain: (lambda a: (a[0], a[1], dict(a[2], **{"Retry-After": "30"})))(plain(r))
            self.expect(s, s.run("opened"), "done", "ticket opened")

    def test_no_secret_on_this_machine(self):
        for s in self.each("no secret"):
            os.unlink(s.desk.secret)
            last = s.run("opened", others=True).last
            self.assertEqual((last["outcome"], last.get("elsewhere")), ("retry", True), s.name)
            last = s.run("opened").last
            self.assertEqual((last["outcome"], last.get("elsewhere")), ("failed", None), s.name)

    def test_no_server(self):
        for s in self.each("no server"):
            s.configure(url="http://localhost:1")
            self.expect(s, s.run("opened"), "retry", "localhost")
            s.configure(url="https://mailhook-test.invalid")
            self.expect(s, s.run("opened"), "retry", "mailhook-test.invalid")
            s.configure(url=s.server.url.replace("http:", "https:"))  # it speaks no TLS
            self.expect(s, s.run("opened"), "retry", "localhost")
            s.configure("timeout_s = 1\n")
            s.server.faults = [("*", "", "stall")]
            self.expect(s, s.run("opened"), "retry", "localhost")
            s.configure(url="http://192.0.2.1")
            self.expect(s, s.run("opened"), "failed", "https only")

    def test_no_effect_without_the_lease(self):
        import action
        for s in self.each("no lease"):
            asked = s.desk.asked("opened", "0" * 32, OPENED, "verified", {})
            r = action.run(desk.PROGRAM, "run", asked, lease=lambda: False)
            self.assertEqual(r.last["outcome"], "retry", s.name)
            self.assertEqual(s.server.tickets(), [], s.name)


class HostileTest(SystemTest):
    def test_hostile_text(self):
        """No value becomes more than text: not in JSON, a query, a header, a document, Markdown or wiki text."""
        for kind in SYSTEMS:
            s = self.make(kind, "")
            for i, text in enumerate(HOSTILE):
                s.name = "%s: %r" % (kind.__name__, text[:40])
                s.server.now += 3600
                s.desk.case("%032x" % (i + 1), resource=text.replace("\x00", ""), reason="a " + text.replace("\x00", " "))
                now = text_of(s.server.now or seconds(OPENED))
                self.expect(s, s.run("opened", now=now, outcomes=[
                    {"action": "entra", "role": "effect", "event": "opened", "outcome": "failed",
                     "summary": text.replace("\x00", "")}]), "done", "ticket opened")
                self.expect(s, s.run("failed", now=now, outcomes=[
                    {"action": "entra", "role": "effect", "event": "failed", "outcome": "failed",
                     "summary": text.replace("\x00", "")}]), "done")
                t = s.server.tickets()[-1]
                self.assertEqual(len(s.server.tickets()), i + 1, s.name)
                self.assertNotIn("\n", t["title"], s.name)
                self.assertTrue(t["open"], s.name)
                for words in (t["text"], *t["comments"]):
                    self.check_text(s, words)

    def check_text(self, s, text):
        self.assertIsNone(re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text), s.name)
        if s.driver in ("github", "gitlab"):
            self.check_markdown(s, text)
        if isinstance(s, JiraDC):
            self.check_wiki(s, text)
        if s.driver == "servicenow":
            self.assertIsNone(re.search(r"\[/?code\]", text, re.I), s.name)

    def check_markdown(self, s, text):
        text = re.sub(r"\n\n<!-- mailhook [0-9a-f]{32} [0-9a-f]{32} -->\n$", "", text)
        text = re.sub(r"\n*<sub>mailhook [0-9a-f]{32}</sub>\n?$", "", text)
        ours = re.compile(r"<https://[a-z.]*(amazon\.com|github\.com)[^>\s]*>|\[[^\]]*\]\(https://console[^)]*\)")
        outside = re.sub(r"(?s)(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", "", ours.sub("", text))
        for what, pattern in (("a mention", r"(?<![\w\u2060])@\w"), ("a reference", r"(?<![\w&\u2060])[#!~]\w"),
                              ("a link", r"(?<!\\)\]\("), ("a bare link", r"https?://|www\."), ("HTML", r"(?<!\\)<"),
                              ("a quick action", r"(?m)^\s*/")):
            self.assertIsNone(re.search(pattern, outside), "%s: %s in %r" % (s.name, what, outside))

    def check_wiki(self, s, text):
        ours = re.compile(r"\[https://[a-z.]*(amazon\.com|github\.com)[^\]\s]*\]|https://[a-z.]*(amazon\.com|github\.com)\S*")
        text = ours.sub("", text)
        for what, pattern in (("a macro", r"(?<!\\)\{"), ("a link", r"(?<!\\)\["), ("a bare link", r"https?://|www\."),
                              ("a picture", r"(?<!\\)![^ ]"), ("a heading", r"(?m)^h\d\.")):
            self.assertIsNone(re.search(pattern, text), "%s: %s in %r" % (s.name, what, text))


class CheckTest(SystemTest):
    def test_check(self):
        for s in self.each("check"):
            r = s.desk.check(online=False)
            self.expect(s, r, "done", "tickets can be written")
            self.assertEqual(s.server.requests, [], s.name)
            self.expect(s, s.desk.check(), "done", "tickets can be written")
            self.assertEqual(s.server.tickets(), [], s.name)
            written = [q for q in s.server.requests if q[0] != "GET" and "search" not in q[1] and b"mailhook-check" not in q[2]]
            self.assertEqual(written, [], s.name)
            s.configure(secret="x" * 32)
            self.expect(s, s.desk.check(), "failed")

    def rows(self, kind, rows):
        for name, change, words in rows:
            s = self.make(kind, name)
            change(s)
            self.expect(s, s.desk.check(), "failed", words)

    def test_jira(self):
        self.rows(Jira, (
            ("no such project", lambda s: s.configure(queue="NOPE"), "No project could be found"),
            ("no such type", lambda s: s.configure(issue_type="Epic"), "there is no issue type \"Epic\"; there are: Task, Bug"),
            ("no such priority", lambda s: s.configure('priority { urgent = "P1" }\n'), "no priority \"P1\"; there are: Highest"),
            ("no such transition", lambda s: s.configure(close_transition="Archive"), "no transition or status \"Archive\""),
            ("no such field", lambda s: s.configure('field "Nope" { value = "x" }\n'), "no field for a new issue \"Nope\""),
            ("a field of another screen", lambda s: s.configure('field "Elsewhere" { value = "x" }\n'), "\"Elsewhere\""),
            ("no permission", lambda s: s.server.denied.add("TRANSITION_ISSUES"), "no permission TRANSITION_ISSUES"),
            ("no labels", lambda s: s.server.screen.discard("labels"), "no field \"labels\""),
            ("no queue", lambda s: s.configure(queue=None), "no queue is set"),
        ))
        s = self.make(Jira, "a transition of an open issue")
        self.expect(s, s.run("opened"), "done")
        s.server.now += 60
        s.configure(close_transition="Finish")
        self.expect(s, s.desk.check(), "done")

    def test_github(self):
        self.rows(GitHub, (
            ("no such repository", lambda s: s.configure(queue="octo/nope"), "Not Found"),
            ("no repository", lambda s: s.configure(queue="octo"), "OWNER/NAME"),
            ("a path", lambda s: s.configure(queue="octo/../x"), "OWNER/NAME"),
            ("no issues", lambda s: setattr(s.server, "has_issues", False), "has no issues"),
            ("a wrong reason", lambda s: s.configure(close_reason="x"), "completed or not_planned"),
        ))
        for text, at in (("2026-12-01 00:00:00 UTC", "2026-12-01T00:00:00Z"), ("2026-12-01 01:30:00 +0130", "2026-12-01T00:00:00Z")):
            s = self.make(GitHub, text)
            s.server.expiration = text
            r = s.desk.check()
            self.expect(s, r, "done")
            self.assertIn(at, json.dumps(r.lines), s.name)
        s.server.expiration, s.server.push = None, False
        self.assertIn("labels and assignees will be dropped", json.dumps(s.desk.check().lines))

    def test_gitlab(self):
        self.rows(GitLab, (
            ("no such project", lambda s: s.configure(queue="group/nope"), "404 Project Not Found"),
            ("only a guest", lambda s: setattr(s.server, "level", 10), "planner or reporter"),
            ("a token that may only read", lambda s: setattr(s.server, "scopes", ["read_api"]), "no scope \"api\""),
        ))
        s = self.make(GitLab, "the token's end")
        self.assertIn("2026-03-01T00:00:00Z", json.dumps(s.desk.check().lines))
        s.server.knows_self = False
        self.assertIn("does not tell", json.dumps(s.desk.check().lines))

    def test_servicenow(self):
        self.rows(ServiceNow, (
            ("no such table", lambda s: s.configure(table="incidents"), "Invalid table"),
            ("no such group", lambda s: s.configure(queue="Nobody"), "no group \"Nobody\""),
            ("a group with a condition", lambda s: s.configure(queue="Identity^active=true"), "'^'"),
            ("no such column", lambda s: s.configure('field "u_nope" { value = "x" }\n'), "no column \"u_nope\""),
            ("no such code", lambda s: s.configure(close_code="Fixed"), "no choice \"Fixed\"; it has: Solved"),
            ("a hidden key", lambda s: s.server.hidden.add("correlation_id"), "shows no correlation_id"),
            ("a priority that is none", lambda s: s.configure('priority { high = "2" }\n'), "IMPACT/URGENCY"),
            ("a table that is a path", lambda s: s.configure(table="../x"), "small letters"),
        ))

    def test_pagerduty(self):
        self.rows(PagerDuty, (
            ("a key of another length", lambda s: s.configure(secret="abc"), "32 characters"),
            ("no site", lambda s: s.configure(site=None), "site is not set"),
            ("a severity that is none", lambda s: s.configure('priority { high = "bad" }\n'), "severity is"),
        ))


class TrapTest(SystemTest):
    def test_jira_answers_nobody(self):
        """A wrong credential, where a Jira lets nobody search: 200 and no issues is not "none"."""
        for kind in (Jira, JiraDC):
            s = self.make(kind, "anonymous")
            s.server.anonymous = True
            s.configure(secret="wrong")
            self.expect(s, s.run("opened"), "failed", "did not take the credential")
            self.assertEqual(s.server.tickets(), [])

    def test_jira_fields_off_screen(self):
        s = self.make(Jira, "a team-managed project")
        s.server.screen -= {"priority", "duedate", "customfield_10050"}
        self.expect(s, s.run("opened"), "done", "did not keep")
        r = s.run("reminded", now="2027-01-31T00:00:00Z")
        self.expect(s, r, "done", "did not keep")
        self.assertIn("field priority", r.last["summary"])
        self.assertEqual(len(s.ticket()["comments"]), 1)

    def test_jira_needs_its_label(self):
        s = self.make(Jira, "no labels")
        s.server.screen.discard("labels")
        self.expect(s, s.run("opened"), "failed", "labels")
        self.assertEqual(s.server.tickets(), [])

    def test_jira_label_removed_by_a_person(self):
        s = self.make(Jira, "the property holds")
        self.expect(s, s.run("opened"), "done")
        next(iter(s.server.issues.values()))["fields"]["labels"] = []
        self.expect(s, s.run("reminded", now="2027-01-31T00:00:00Z"), "done", "priority raised")
        self.assertEqual(len(s.server.tickets()), 1)

    def test_jira_transition_conflict(self):
        s = self.make(Jira, "conflict")
        self.expect(s, s.run("opened"), "done")
        s.server.faults = [("POST", "/transitions", (409, {"errorMessages": ["Another transition is in progress"]}, {}))]
        self.expect(s, s.run("succeeded", now="2026-11-07T00:00:00Z"), "retry", "409")
        self.expect(s, s.again(60), "done", "closed")
        self.assertEqual(len(s.ticket()["comments"]), 1)

    def test_jira_no_transition(self):
        s = self.make(Jira, "no way to Done")
        self.expect(s, s.run("opened"), "done")
        s.server.transitions["To Do"] = [("11", "Start", "In Progress")]
        self.expect(s, s.run("succeeded", now="2026-11-07T00:00:00Z"), "failed", "no transition \"Done\" now; it has: Start")

    def test_jira_transition_that_closes_nothing(self):
        s = self.make(Jira, "Done is not done")
        self.expect(s, s.run("opened"), "done")
        s.server.categories["Done"] = "indeterminate"
        self.expect(s, s.run("succeeded", now="2026-11-07T00:00:00Z"), "failed", "still open")

    def test_jira_priority_between(self):
        """Of names that are not ours the order of Jira's own list decides."""
        for name, at, after in (("Blocker", "2027-01-31T00:00:00Z", "Blocker"), ("Lowest", "2027-01-31T00:00:00Z", "Highest")):
            s = self.make(Jira, name)
            s.server.priorities.insert(0, "Blocker")
            self.expect(s, s.run("opened"), "done")
            s.server.person_sets_priority(name)
            self.expect(s, s.run("reminded", now=at), "done")
            self.assertEqual(s.ticket()["priority"], after, name)

    def test_jira_service_management(self):
        s = self.make(Jira, "internal comments")
        s.configure(internal_comments=None, more="internal_comments = true\n")
        self.expect(s, s.run("opened"), "done")
        self.expect(s, s.run("reminded", now="2027-01-20T00:00:00Z"), "done")
        self.expect(s, s.run("succeeded", now="2027-01-21T00:00:00Z"), "done")
        inner, outer = next(iter(s.server.issues.values()))["comments"]
        self.assertEqual(inner["properties"], [{"key": "sd.public.comment", "value": {"internal": True}}])
        self.assertNotIn("properties", outer)

    def test_jira_long_issue(self):
        """Others have written much: what is read of it stays within bounds, and the mark is found all the same."""
        s = self.make(Jira, "long")
        self.expect(s, s.run("opened"), "done")
        issue = next(iter(s.server.issues.values()))
        many = {"type": "doc", "version": 1, "content": [{"type": "paragraph", "content": [{"type": "text", "text": "x" * 30000}]}]}
        issue["comments"] += [{"body": many} for _ in range(60)]
        s.server.faults = [("POST", "/comment", "lost")]
        self.expect(s, s.to_the_end("reminded", now="2027-01-31T00:00:00Z"), "done", "ticket commented")
        issue["comments"] += [{"body": many} for _ in range(60)]
        self.expect(s, s.again(3600), "done")
        self.assertEqual(len(issue["comments"]), 121)

    def test_jira_too_many_fields(self):
        s = self.make(Jira, "fields")
        fields = [{"id": "customfield_%d" % n, "name": "x" * 1000, "schema": {"type": "string"}} for n in range(2000)]
        s.server.faults = [("GET", "/field", (200, fields, {}))]
        self.expect(s, s.run("opened"), "done", "did not keep: field AWS Account")

    def test_jira_link_to_the_console(self):
        s = self.make(Jira, "link")
        self.expect(s, s.run("opened"), "done")
        text = json.dumps(next(iter(s.server.issues.values()))["fields"]["description"])
        self.assertIn('"marks": [{"type": "link", "attrs": {"href": "https://console.aws.amazon.com/', text)
        self.assertEqual(text.count('"marks"'), 1)

    def test_servicenow_ignored_filter(self):
        """A part of the query is not understood: rows come all the same, and none of them is ours."""
        s = self.make(ServiceNow, "ignored filter")
        s.server.hidden.add("correlation_id")
        self.expect(s, s.run("opened"), "failed", "not narrowed")
        self.assertEqual(s.server.tickets(), [])

    def test_servicenow_dropped_column(self):
        s = self.make(ServiceNow, "dropped")
        s.server.columns.discard("u_aws_account")
        self.expect(s, s.run("opened"), "done", "did not keep: column u_aws_account")

    def test_servicenow_unknown_group(self):
        s = self.make(ServiceNow, "unknown group")
        s.configure(queue="Nobody")
        self.expect(s, s.run("opened"), "done", "did not keep: assignment_group Nobody")

    def test_servicenow_data_policy(self):
        s = self.make(ServiceNow, "data policy")
        s.server.mandatory = {"close_code"}
        self.expect(s, s.run("opened"), "done")
        s.configure(close_code="")
        self.expect(s, s.run("succeeded", now="2026-11-07T00:00:00Z"), "failed", "fields are mandatory: close_code")
        s.configure()
        self.expect(s, s.run("succeeded", now="2026-11-08T00:00:00Z"), "done", "closed")

    def test_servicenow_hidden_notes(self):
        s = self.make(ServiceNow, "hidden notes")
        self.expect(s, s.run("opened"), "done")
        s.server.hidden.add("work_notes")
        s.server.faults = [("PATCH", "", "lost")]
        self.expect(s, s.run("trusted"), "retry")
        self.expect(s, s.again(60), "failed", "cannot be read")

    def test_github_rate_limits(self):
        rows = (
            ("primary, 403", (403, {"message": "API rate limit exceeded"}, {
                "x-ratelimit-remaining": "0", "x-ratelimit-reset": str(seconds(OPENED) + 600)}), "retry", 600),
            ("primary, 429", (429, {"message": "API rate limit exceeded"}, {
                "x-ratelimit-remaining": "0", "x-ratelimit-reset": str(seconds(OPENED) + 600)}), "retry", 600),
            ("secondary with Retry-After", (403, {"message": "You have exceeded a secondary rate limit."},
                                            {"Retry-After": "90"}), "retry", 90),
            ("secondary without", (403, {"message": "You have exceeded a secondary rate limit."}, {}), "retry", 60),
            ("403 that is a refusal", (403, {"message": "Resource not accessible by personal access token"},
                                       {"x-ratelimit-remaining": "4999"}), "failed", None),
        )
        for name, fault, outcome, wait_s in rows:
            s = self.make(GitHub, name)
            s.server.faults = [("GET", "/issues", fault)]
            r = s.run("opened")
            self.expect(s, r, outcome)
            self.assertEqual(r.last.get("retry_after_s"), wait_s, name)

    def test_credential_in_other_bytes(self):
        """JSON may write "/" as "\\/": what is shown is looked at, not only what came."""
        s = self.make(GitHub, "echo")
        s.configure(secret="abc/defg/hijk")
        for body in (b'{"message":"not Bearer abc\\/defg\\/hijk"}', b'["not \\u0061bc/defg/hijk"]'):
            s.server.faults.append(("*", "", (400, body, {})))
            r = s.run("opened")
            self.expect(s, r, "failed", "400")
            self.assertNotIn("hijk", json.dumps(r.lines) + r.stderr, body)

    def test_github_without_push(self):
        """Labels are dropped without a word: the ticket is found by its creator."""
        s = self.make(GitHub, "no push")
        s.server.push = False
        self.expect(s, s.run("opened"), "done", "did not keep: label mailhook")
        s.desk.outcomes.clear()
        r = s.run("opened")
        self.expect(s, r, "done", "ticket commented")
        self.assertEqual(len(s.server.tickets()), 1)
        self.expect(s, s.run("reminded", now="2027-01-31T00:00:00Z"), "done", "did not keep: label priority: urgent")
        self.assertEqual(len(s.ticket()["comments"]), 2)
        s.server.issues[1]["user"]["login"] = "mallory"  # who copied the text
        s.server.now += 3600
        s.desk.outcomes.clear()
        self.expect(s, s.run("opened", now="2027-02-01T11:00:00Z"), "done", "ticket opened")

    def test_github_app(self):
        s = self.make(GitHub, "an app's token")
        s.server.login = None
        self.expect(s, s.run("opened"), "done", "ticket opened")
        self.expect(s, s.run("succeeded", now="2026-11-07T00:00:00Z"), "done", "closed")

    def test_github_assignee_has_left(self):
        s = self.make(GitHub, "assignee")
        for who, words in (("ann", "ticket opened"), ("gone", "did not keep: assignee gone")):
            s.desk.case({"ann": "a", "gone": "b"}[who] * 32)
            s.configure(assignee=who)
            self.expect(s, s.run("opened"), "done", words)

    def test_github_long_label(self):
        s = self.make(GitHub, "long label")
        s.configure(labels=None, more='labels = {"team-%s"}\n' % ("x" * 80))
        self.expect(s, s.run("opened"), "done", "ticket opened")
        self.assertIn("team-" + "x" * 45, s.ticket()["labels"])

    def test_github_many_issues(self):
        s = self.make(GitHub, "pages")
        self.expect(s, s.run("opened"), "done")
        s.desk.outcomes.clear()
        for i in range(250):
            s.server.issues.append(s.server.new("later %d" % i, "text", ["mailhook"], "mailhook-bot"))
        self.expect(s, s.run("reminded", now="2027-01-31T00:00:00Z"), "done", "priority raised")

    def test_gitlab_label_not_kept(self):
        s = self.make(GitLab, "labels")
        s.server.may_label = False
        self.expect(s, s.run("opened"), "done", "did not keep: label mailhook")

    def test_gitlab_assignee(self):
        s = self.make(GitLab, "assignee")
        for who, words in (("ann", "ticket opened"), ("gone", "did not keep: assignee gone")):
            s.desk.case({"ann": "a", "gone": "b"}[who] * 32)
            s.configure(assignee=who)
            self.expect(s, s.run("opened"), "done", words)
        self.assertEqual([i["assignees"] for i in s.server.issues], [[{"id": 7}], []])

    def test_gitlab_conflict(self):
        s = self.make(GitLab, "409")
        self.expect(s, s.run("opened"), "done")
        s.server.faults = [("PUT", "/issues/", (409, {"message": "409 Conflict"}, {}))]
        self.expect(s, s.run("succeeded", now="2026-11-07T00:00:00Z"), "retry", "409")
        self.expect(s, s.again(60), "done", "closed")

    def test_pagerduty_life(self):
        s = self.make(PagerDuty, "events")
        for event, now in (("opened", OPENED), ("approved", OPENED), ("reminded", "2027-01-20T00:00:00Z")):
            self.expect(s, s.run(event, now=now), "done")
        (alert,) = s.server.incidents
        self.assertEqual([e["severity"] for e in alert["events"]], ["warning", "error"])
        self.assertEqual(s.server.acknowledged, 1)
        self.assertEqual(s.server.changes, [])
        self.expect(s, s.run("succeeded", now="2027-01-21T00:00:00Z"), "done")
        self.assertEqual(alert["status"], "resolved")
        (change,) = s.server.changes
        self.assertIn("Renewed: SCIM access token", change["payload"]["summary"])

    def test_pagerduty_without_the_rest_api(self):
        s = self.make(PagerDuty, "events alone")
        s.configure(api_secret_file=None)
        self.expect(s, s.run("opened"), "done")
        s.desk.outcomes.clear()
        self.expect(s, s.run("opened"), "done")
        self.assertEqual(len(s.server.incidents), 1, "the second trigger joins")
        self.expect(s, s.run("succeeded", now="2027-01-21T00:00:00Z"), "done")
        self.assertEqual(s.server.incidents[0]["status"], "resolved")

    def test_pagerduty_busy(self):
        s = self.make(PagerDuty, "429 without a time")
        s.server.faults = [("POST", "/v2/enqueue", (429, {"message": "Too many"}, {}))]
        r = s.run("opened")
        self.expect(s, r, "retry")
        self.assertEqual(r.last["retry_after_s"], 180)

    def test_pagerduty_gives_the_key_back(self):
        s = self.make(PagerDuty, "echo")
        s.server.faults = [("POST", "/v2/enqueue", (400, {"message": "bad key " + s.server.KEY}, {}))]
        self.expect(s, s.run("opened"), "failed", "give the integration key back")


if __name__ == "__main__":
    unittest.main()
