#!/usr/bin/python3
"""The ticket action against a real Request Tracker 5 and a real Redmine 5, over REST: a ticket's whole life, and what goes wrong.

One server of each is started for all of it. Usage: ticket_servers_test.py [--all] [unittest's arguments]
"""
import concurrent.futures
import http.server
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import desk  # noqa: E402
import lossy  # noqa: E402
import redmine  # noqa: E402
import rt  # noqa: E402
from hostile import HOSTILE  # noqa: E402

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "faults"))
from world import World, notice  # noqa: E402

ALL = False  # each request lost, each call killed at; else a sample
KILLS = ((0.35, 0.6, 0.8),)  # of the calls of each event
KEYS = iter("%032x" % (n * 0x9e3779b97f4a7c15f39cc0605cedc835 % 2 ** 128) for n in range(1, 10000))


def squeeze(text):
    """As it is to be read: without spaces, control characters, marks that turn the direction, and what breaks words unseen."""
    text = re.sub(r"[\s\x00-\x1f\x7f\u2060\u202a-\u202e]", "", text)
    return text[:200] if text.startswith("xxxx") else text


class Rt:
    """What the tests ask RT itself."""
    driver, normal, high, urgent = "rt", "Low", "Medium", "High"
    # which request of its event it is
    raising, commenting, last_comment, closing, attaching = ("PUT ", 1), ("POST ", 1), ("POST ", 1), ("PUT ", 1), ("POST ", 2)
    words = {"0": "Low", "50": "Medium", "100": "High"}  # RT says either
    close_status = "resolved"
    fields = 'field "AWS Account" { value = "{account}" }\nfield "Expires On" { value = "{expires_day}" }\n'

    def __init__(self, folder):
        self.server = rt.RT(folder, queues={"Credentials": "rt@example.com"}, fields={
            "Case Key": "FreeformSingle", "AWS Account": "FreeformSingle", "Expires On": "Date"}).start()
        self.port, self.secret = self.server.port, self.server.token

    def conf(self, url, more="", queue="Credentials"):
        return ('url = "%s"\nsecret_file = "@SECRET@"\nqueue = "%s"\nkey_field = "Case Key"\n%s%s' % (url, queue, self.fields, more))

    def ids(self, query):
        status, answer = self.server.get("tickets?per_page=100&orderby=id&query=" + urllib.parse.quote(query))
        assert status == 200, answer
        return [item["id"] for item in answer["items"]]

    def find(self, key):
        return [self.server.ticket(number) for number in self.ids("'CF.{Case Key}' = '%s'" % key)]

    def all(self):
        return self.server.get("tickets?per_page=1&query=" + urllib.parse.quote("id > 0"))[1]["total"]

    def counts(self, ticket):
        """How many comments, and which files: what the list of attachments shows."""
        items = self.server.get("ticket/%s/attachments?fields=Subject,Filename&per_page=100" % ticket["id"])[1]["items"]
        return len([1 for i in items if re.fullmatch("mailhook [0-9a-f]{32}", i["Subject"])]), [i["Filename"] for i in items if i["Filename"]]

    def state(self, ticket):
        return self.words.get(ticket["Priority"], ticket["Priority"]), ticket["Status"] in ("new", "open", "stalled")

    def facts(self, ticket):
        history = self.server.history(ticket["id"])
        comments = [t for kind, t in history if kind in ("Comment", "Correspond") and "The notice as it came in" not in t]
        return {"title": ticket["Subject"], "open": ticket["Status"] in ("new", "open", "stalled"), "priority": ticket["Priority"],
                "due": ticket["Due"][:10], "account": self.server.field(ticket, "AWS Account"), "body": history[0][1],
                "comments": comments}

    def close(self, ticket):
        assert self.server.put("ticket/%s" % ticket["id"], {"Status": "rejected"})[0] == 200

    def raise_above(self, ticket):
        assert self.server.put("ticket/%s" % ticket["id"], {"Priority": "200"})[0] == 200
        return self.server.ticket(ticket["id"])["Priority"]

    def forbid_closing(self, url):
        return self.conf(url).replace('key_field', 'close_status = "nonsense"\nkey_field', 1), self.secret

    def url(self, base, ticket):
        return "%s/Ticket/Display.html?id=%s" % (base, ticket["id"])


class Redmine:
    driver, normal, high, urgent = "redmine", "Normal", "High", "Urgent"
    raising, commenting, last_comment, closing, attaching = ("PUT ", 1), ("PUT ", 2), ("PUT ", 1), ("PUT ", 2), ("PUT ", 1)
    close_status = "Closed"
    fields = 'field "AWS Account" { value = "{account}" }\n'

    def __init__(self, folder):
        self.server = redmine.Redmine(folder, projects={"credentials": "Credentials"}, fields={
            "Case Key": "string", "AWS Account": "string"}, users={"mailhook": "Manager", "rep": "Reporter"}).start()
        self.port, self.secret = self.server.port, self.server.key
        self.server.post("issues", {"issue": {"project_id": "credentials", "subject": "one that shows its fields"}})

    def conf(self, url, more="", queue="credentials"):
        return ('url = "%s"\nsecret_file = "@SECRET@"\nqueue = "%s"\nkey_field = "Case Key"\n%s%s' % (url, queue, self.fields, more))

    def find(self, key):
        return self.server.find(**{"cf_%d" % self.server.ids["field"]["Case Key"]: key})

    def all(self):
        return self.server.get("issues?status_id=*&limit=1")[1]["total_count"]

    def counts(self, issue):
        return len([1 for j in issue["journals"] if j["notes"]]), [a["filename"] for a in issue["attachments"]]

    def state(self, issue):
        return issue["priority"]["name"], not issue["status"]["is_closed"]

    def facts(self, issue):
        return {"title": issue["subject"], "open": not issue["status"]["is_closed"], "priority": issue["priority"]["name"],
                "due": issue["due_date"], "account": self.server.field(issue, "AWS Account"), "body": issue["description"],
                "comments": [j["notes"] for j in issue["journals"] if j["notes"]]}

    def close(self, issue):
        self.server.put("issues/%s" % issue["id"], {"issue": {"status_id": self.server.ids["status"]["Rejected"]}})
        assert self.server.issue(issue["id"])["status"]["is_closed"]

    def raise_above(self, issue):
        self.server.put("issues/%s" % issue["id"], {"issue": {"priority_id": self.server.ids["priority"]["Immediate"]}})
        return self.server.issue(issue["id"])["priority"]["name"]

    def forbid_closing(self, url):
        return self.conf(url), self.server.keys["rep"]

    def url(self, base, issue):
        return "%s/issues/%s" % (base, issue["id"])


class Life:
    """Of any system; self.system is one of the above."""

    def setUp(self):
        self.addCleanup(lambda asked=len(self.proxy.seen), at=time.monotonic(): print(
            "%s: %d requests, %.1f s" % (self.id().rpartition(".")[2], len(self.proxy.seen) - asked, time.monotonic() - at)))

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="mailhook-desk-")
        os.chmod(cls.folder, 0o755)
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.system = cls.kind(os.path.join(cls.folder, "server"))
        cls.addClassCleanup(cls.system.server.stop)
        cls.proxy = lossy.Lossy(cls.system.port)
        cls.addClassCleanup(cls.proxy.close)

    def desk(self, conf=None, secret=None, **kind):
        folder = tempfile.mkdtemp(dir=self.folder)
        d = desk.Desk(folder, self.system.driver, "", **kind)
        d.configure(conf or self.system.conf(self.proxy.url()), secret or self.system.secret)
        d.case(next(KEYS))
        return d

    def one(self, d):
        tickets = self.system.find(d.key)
        self.assertEqual(len(tickets), 1, "tickets of the key")
        return tickets[0]

    def look(self, d):
        return self.system.facts(self.one(d))

    def ended(self, r, outcome, summary, name=""):
        self.assertIsNotNone(r.last, "%s: no outcome; %s" % (name, r.stderr))
        self.assertEqual((r.last["outcome"], summary in r.last["summary"]), (outcome, True), "%s: %s" % (name, r.last))
        return r.last

    # -- the whole life

    def test_life(self):
        s, d = self.system, self.desk()
        failed = [{"action": "entra", "role": "effect", "event": "failed", "outcome": "failed", "summary": "no such application"}]
        steps = (
            # event, now, trust, more; outcome's words; priority, open, comments; words in its comment
            ("opened", "2026-11-06T09:00:00Z", "unverified", {}, "ticket opened", s.normal, True, 0, ""),
            ("trusted", "2026-11-06T10:00:00Z", "verified", {}, "ticket commented", s.normal, True, 1, "The mail is proven"),
            ("reminded", "2027-01-20T00:00:00Z", "verified", {}, "priority raised", s.high, True, 2, "in 14 days"),
            ("reminded", "2027-01-31T00:00:00Z", "verified", {}, "priority raised", s.urgent, True, 3, "in 3 days"),
            ("reminded", "2027-01-02T00:00:00Z", "verified", {}, "ticket commented", s.urgent, True, 4, "in 32 days"),
            ("failed", "2027-01-31T01:00:00Z", "verified", {"outcomes": failed}, "ticket commented", s.urgent, True, 5, "no such application"),
            ("succeeded", "2027-02-03T06:00:00Z", "verified", {}, "commented and closed", s.urgent, False, 6, "renewed"),
            ("reminded", "2027-02-03T07:00:00Z", "verified", {}, "was closed, and stays so", s.urgent, False, 6, ""),
        )
        for event, now, trust, more, words, priority, is_open, _, _ in steps:
            name = "%s at %s" % (event, now)
            r = d.run(event, now=now, trust=trust, mail=True, **more)
            last = self.ended(r, "skipped" if "stays so" in words else "done", words, name)
            ticket = self.one(d)
            self.assertEqual(s.state(ticket), (priority, is_open), name)
            self.assertEqual(last["url"], s.url(self.proxy.url(), ticket), name)
            self.assertNotIn("did not keep", last["summary"], name)
        f = s.facts(self.one(d))
        self.assertEqual(len(f["comments"]), steps[-1][7])
        for step, said in zip([x for x in steps if x[8]], f["comments"]):
            self.assertIn(step[8], re.sub(r"\s+", " ", said))
        self.assertEqual(s.counts(self.one(d)), (steps[-1][7], ["notice.eml"]))
        self.assertEqual((f["due"], f["account"]), ("2027-02-03", "123456789012"))
        self.assertEqual(f["title"], "SCIM access token of IAM Identity Center of account 123456789012 expires on 2027-02-03")
        for words in ("Nothing proves who sent the mail", "https://console.aws.amazon.com/singlesignon/home?region=eu-west-1", "Generate a token"):
            self.assertIn(words, re.sub(r"\s+", " ", f["body"]))

    def test_key_in_the_title(self):
        """Without a field of its own for the key."""
        d = self.desk(self.system.conf(self.proxy.url()).replace('key_field = "Case Key"\n', ""))
        before = self.system.all()
        self.ended(d.run("opened"), "done", "ticket opened")
        d.outcomes = []  # a new ledger
        self.ended(d.run("opened"), "done", "ticket commented")
        d.outcomes = []
        self.ended(d.run("reminded", now="2027-01-20T00:00:00Z"), "done", "priority raised")
        self.ended(d.run("closed"), "done", "commented and closed")
        self.assertEqual(self.system.all(), before + 1)

    # -- people

    def test_person_closes(self):
        d = self.desk()
        d.run("opened")
        self.system.close(self.one(d))
        for event, words, outcome in (("reminded", "was closed, and stays so", "skipped"), ("failed", "ticket commented", "done"),
                                      ("succeeded", "ticket commented", "done")):
            self.ended(d.run(event), outcome, words, event)
        ticket = self.one(d)
        self.assertEqual((self.system.state(ticket)[1], self.system.counts(ticket)[0]), (False, 2))

    def test_person_raises(self):
        d = self.desk()
        d.run("opened")
        higher = self.system.raise_above(self.one(d))
        self.ended(d.run("expired", now="2027-02-04T00:00:00Z"), "done", "ticket commented")
        self.assertEqual(self.one(d)["priority"]["name"] if self.system.driver == "redmine" else self.one(d)["Priority"], higher)

    # -- many at once

    def test_eight_at_once(self):
        d = self.desk()
        jobs = []
        for n in range(8):
            one = desk.Desk(d.folder, d.driver, "", key=d.key)
            one.conf, one.secret, one.jobs = d.conf, d.secret, n
            jobs.append(one)
        d.configure(self.system.conf(self.proxy.url()), self.system.secret)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            results = list(pool.map(lambda one: one.run("opened"), jobs))
        self.assertEqual(sorted(r.last["summary"] for r in results), ["ticket commented"] * 7 + ["ticket opened"])
        self.assertEqual(self.system.counts(self.one(d))[0], 7)

    # -- refusals

    def test_refusals(self):
        s, url = self.system, self.proxy.url()
        before = s.all()
        rows = (
            ("a wrong key", s.conf(url), "not-the-key", "401"),
            ("no such queue", s.conf(url, queue="nope"), s.secret, "nope"),
            ("no such field for the key", s.conf(url).replace("Case Key", "No Such"), s.secret, "No Such"),
        )
        for name, conf, secret, words in rows:
            for verb in ("check", "run"):
                d = self.desk(conf, secret)
                r = d.check() if verb == "check" else d.run("opened")
                self.ended(r, "failed", words, "%s: %s" % (verb, name))
                self.assertLess(len(r.last["summary"]), 800, name)
        self.assertEqual(s.all(), before, "something was opened all the same")

    def test_wrong_path(self):
        """Where pages are: 404, or one for people."""
        d = self.desk(self.system.conf(self.proxy.url("/elsewhere")))
        self.assertRegex(self.ended(d.check(), "failed", "cannot")["summary"], "404|not JSON")
        self.assertIn(d.run("opened").last["outcome"], ("failed", "retry"))

    def test_nobody_there(self):
        d = self.desk(self.system.conf("http://127.0.0.1:1"))
        self.ended(d.run("opened"), "retry", "127.0.0.1")
        self.ended(d.check(), "retry", "127.0.0.1")
        self.assertEqual(d.check(online=False).last["outcome"], "done")

    def test_checks(self):
        r = self.desk().check()
        self.ended(r, "done", "tickets can be written")
        self.assertTrue([x for x in r.said if "can be opened" in x], r.said)
        self.ended(self.desk(self.system.conf(self.proxy.url(), 'field "Nope" { value = "x" }\n')).check(), "failed", "Nope")

    def test_describe(self):
        """The dry run says the ticket as it would be, and makes none."""
        d = self.desk()
        r = d.describe("opened")
        self.ended(r, "done", "would open a ticket")
        for line in ("driver: %s" % self.system.driver, "priority: %s" % self.system.normal, "due: 2027-02-03", "label: mailhook",
                     "field AWS Account: 123456789012", "| Region:        eu-west-1",
                     "title: SCIM access token of IAM Identity Center of account 123456789012 expires on 2027-02-03"):
            self.assertIn(line, r.said)
        self.assertEqual(self.system.find(d.key), [])

    def test_dropped_field(self):
        d = self.desk(self.system.conf(self.proxy.url(), 'field "Nope" { value = "{kind}" }\n'))
        self.ended(d.run("opened"), "done", "ticket opened; the server did not keep: field Nope")
        self.one(d)

    def test_forbidden_status(self):
        d = self.desk()
        d.run("opened")
        d.configure(*self.system.forbid_closing(self.proxy.url()))
        for attempt in (d.run("succeeded"), d.again(now="2026-11-07T09:00:00Z")):
            self.ended(attempt, "failed", "stays open")
            ticket = self.one(d)
            self.assertEqual((self.system.state(ticket)[1], self.system.counts(ticket)[0]), (True, 1), "open, commented once")

    def test_assignee(self):
        who = {"rt": "mailhook", "redmine": "mailhook example"}[self.system.driver]
        d = self.desk()
        d.case(d.key, assignee=who)
        self.ended(d.run("opened"), "done", "ticket opened")
        self.assertNotIn("did not keep", d.outcomes[0]["summary"])
        d.case(next(KEYS), assignee="nobody-of-that-name")
        self.assertIn("nobody-of-that-name", self.ended(d.run("opened"), "done", "did not keep")["summary"])

    # -- lost answers

    EVENTS = (("opened", "2026-11-06T09:00:00Z", 0, True), ("reminded", "2027-01-31T00:00:00Z", 1, True),
              ("succeeded", "2027-02-01T00:00:00Z", 2, False))

    def goes_on(self, d, r, now, name):
        """The job is tried again soon, and then later; in the end it is done."""
        for then in (now[:-3] + "02Z", now[:-6] + "40:00Z"):
            if r.last is None or r.last["outcome"] == "retry":
                if r.last is not None and "lost" in r.last["summary"]:
                    self.assertIn(r.last.get("retry_after_s"), range(1, 31), name)
                r = d.again(now=then)
        self.assertIsNotNone(r.last, name)
        self.assertEqual(r.last["outcome"], "done", "%s: %s" % (name, r.last))

    def stands(self, d, comments, is_open, name):
        ticket = self.one(d)
        self.assertEqual((self.system.counts(ticket), self.system.state(ticket)[1]), ((comments, ["notice.eml"]), is_open), name)

    def lose(self, what, plan):
        """One case, of whose events the nth such request, or its answer, is lost: plan says word and nth of each. True: one was."""
        d, lost = self.desk(), False
        for (event, now, comments, is_open), (word, nth) in zip(self.EVENTS, plan):
            name = "%s %d of %s%s lost" % (what, nth, word, event)
            getattr(self.proxy, "lose_" + what)(nth, word.encode())
            r = d.run(event, now=now, trust="verified", mail=True)
            lost = self.proxy.calm() or lost
            self.goes_on(d, r, now, name)
        self.stands(d, comments, is_open, name)
        return lost

    def test_lost_answers(self):
        """Requests are carried out and never answered, or do not arrive: one ticket, and each comment once."""
        plans = [("answer", (("POST ", 1), self.system.raising, self.system.last_comment)),
                 ("answer", (self.system.attaching, self.system.commenting, self.system.closing)),
                 ("request", (("POST ", 1), self.system.commenting, self.system.closing))]
        for what, plan in plans if ALL or self.system.driver != "rt" else plans[:2]:  # RT takes long for each request
            self.assertTrue(self.lose(what, plan), "nothing was lost: %s %s" % (what, plan))
        for what in ("answer", "request") if ALL else ():
            nth = 1
            while self.lose(what, (("", nth),) * 3):
                nth += 1
            self.assertGreater(nth, 4)

    # -- kills

    def test_kills(self):
        """Killed between any two steps of open, comment, close: one ticket, each comment once."""
        killer = os.path.join(desk.BUILD, "tests/killer")
        d, calls = self.desk(), []
        report = os.path.join(d.folder, "report")
        for event, now, _, _ in self.EVENTS:
            self.ended(d.run(event, now=now, trust="verified", mail=True, before=(killer, "--report", report, "0")), "done", "ticket")
            with open(report, encoding="ascii") as f:
                how, status, count = f.read().split()
            self.assertEqual((how, status), ("ended", "0"))
            self.assertGreater(int(count), 5)
            calls.append(int(count))
        most = max(calls)
        for parts in [((n + 1) / most,) * 3 for n in range(most)] if ALL else KILLS:
            d = self.desk()
            for (event, now, comments, is_open), count, part in zip(self.EVENTS, calls, parts):
                number = max(1, round(part * count))
                name = "%s killed at call %d of %d" % (event, number, count)
                r = d.run(event, now=now, trust="verified", mail=True, before=(killer, "--after", "--report", report, str(number)))
                with open(report, encoding="ascii") as f:
                    self.assertIn(f.read().split()[0], ("killed", "ended"), name)
                self.goes_on(d, r, now, name)
            self.stands(d, comments, is_open, name)

    # -- all of mailhook

    def test_from_mail_to_ticket(self):
        """Mail, worker and ticket: two mails about one expiry are one ticket, which a person's "close" closes."""
        with World(desk.BUILD, 'action "desk" { program = "ticket" mail = "raw" }\nrule "all" { do = {"desk"} }\n', self.folder) as w:
            os.mkdir(os.path.join(w.dir, "actions"))
            conf = self.system.conf(self.proxy.url()).replace("@SECRET@", os.path.join(w.dir, "secret"))
            for name, text in (("secret", self.system.secret), ("actions/desk.conf", 'driver = "%s"\n%s' % (self.system.driver, conf))):
                with open(os.path.join(w.dir, name), "w", encoding="utf-8", opener=lambda p, f: os.open(p, f, 0o600)) as f:
                    f.write(text)
            for number in (1, 2):
                self.assertEqual(w.pipe(notice(number)).returncode, 0)
                w.run_once()
            (key,), = w.rows("SELECT key FROM cases")
            ticket, = self.system.find(key)
            self.assertEqual((self.system.state(ticket), self.system.counts(ticket)), ((self.system.normal, True), (0, [])))
            (url,), = w.rows("SELECT ticket_url FROM cases")
            self.assertEqual(url, self.system.url(self.proxy.url(), ticket))
            done = w.do("close", "1")
            self.assertEqual(done.returncode, 0, done.stderr)
            w.run_once()
            ticket, = self.system.find(key)
            self.assertEqual((self.system.state(ticket)[1], self.system.counts(ticket)), (False, (1, [])))

    # -- by mail

    def by_mail(self, more, gate):
        """A desk that writes mail as mailhook@example.com; gate: the command that takes it."""
        folder = tempfile.mkdtemp(dir=self.folder)
        program, answers = os.path.join(folder, "sendmail"), os.path.join(folder, "answers")
        with open(program, "w", encoding="utf-8", opener=lambda p, f: os.open(p, f, 0o755)) as f:
            f.write('#!/bin/sh\ncat > "%s/last"\nNO_PROXY=127.0.0.1 HOME=/ LANG=C.UTF-8 exec %s < "%s/last"\n' % (folder, shlex.join(gate), folder))
        for name in ("new", "cur", "tmp"):
            os.makedirs(os.path.join(answers, name))
        d = desk.Desk(folder, "mail", 'from = "mailhook@example.com"\nqueue = "rt@example.com"\nsendmail = "%s"\nanswers = "%s"\n%s' % (
            program, answers, more))
        d.case(next(KEYS), resource="Köln token")
        return d, answers

    def deliver_answers(self, answers):
        """What the server mailed to us, as a mail server would leave it."""
        n = 0
        for number, mail in enumerate(self.system.server.sent()):
            if re.search(rb"(?mi)^To:.*mailhook@example\.com", mail):
                with open(os.path.join(answers, "new", "%d.eml" % number), "wb") as f:
                    f.write(mail)
                n += 1
        return n

    def mail_life(self, d, answers, find):
        before = self.system.all()
        self.ended(d.check(), "done", "tickets can be written")
        self.ended(d.run("opened", trust="verified"), "done", "ticket opened")
        self.ended(d.run("reminded", now="2027-01-31T00:00:00Z"), "retry", "has not come yet")
        self.assertGreater(self.deliver_answers(answers), 0, "the server did not answer")
        self.ended(d.again(), "done", "ticket commented")
        self.ended(d.run("succeeded", now="2027-02-01T00:00:00Z"), "done", "told of the end")
        self.ended(d.run("reminded", now="2027-02-01T00:00:00Z"), "skipped", "stays so")
        self.assertEqual(self.system.all(), before + 1, "one ticket for all mails")
        f = self.system.facts(find(d.key))
        self.assertIn("Köln token", f["title"])
        self.assertEqual(len(f["comments"]), 2)
        self.assertIn("in 3 days", re.sub(r"\s+", " ", f["comments"][0]))
        return f

    # -- hostile words

    def test_hostile_words(self):
        """They stand in the ticket as words, and what searches by the key still finds it."""
        before, groups = self.system.all(), [HOSTILE[i:i + 5] for i in range(0, len(HOSTILE), 5)]
        for group in groups if ALL or self.system.driver != "rt" else groups[1:3]:  # as above
            words = [text.replace("\x00", "nothing") for text in (*group, *HOSTILE)][:5]
            d = self.desk(self.system.conf(self.proxy.url(), 'labels = {"{resource}"}\ntitle = "{resource|none} {account}"\n'))
            d.case(d.key, resource=words[0], region=words[1], reason=words[2], environment=words[3])
            d.facts.update(account="1", owner=words[4])
            self.ended(d.run("opened", trust="verified"), "done", "ticket opened", repr(words))
            outcomes = [{"action": w or "x", "role": "effect", "event": "closed", "outcome": "failed", "summary": w} for w in words]
            self.ended(d.run("closed", outcomes=outcomes), "done", "commented and closed", repr(words))
            f = self.look(d)
            self.assertTrue(squeeze(f["title"]).startswith(squeeze(words[0])[:100]), "%r: %r" % (words[0], f["title"]))
            for w in words:
                self.assertIn(squeeze(w), squeeze(f["body"]), repr(w))
                self.assertIn(squeeze(w), squeeze(f["comments"][0]), repr(w))
            self.assertNotIn("\n", f["title"])
            if self.system.driver == "redmine":
                for part in (f["body"], *f["comments"]):
                    self.assertEqual((part.count("<pre>"), part.count("</pre>"), part.strip()[-6:]), (1, 1, "</pre>"), repr(words))
        self.assertLessEqual(self.system.all(), before + len(groups))


class RtTest(Life, unittest.TestCase):
    fixture, kind = rt, Rt

    def test_merged(self):
        """A person merges the ticket into another, which carries no key: it goes on there."""
        d = self.desk()
        d.run("opened")
        ours = self.one(d)
        status, answer = self.system.server.post("ticket", {"Queue": "Credentials", "Subject": "the big one"})
        self.assertEqual(status, 201)
        script = ("use lib qw(/usr/share/request-tracker5/lib /usr/local/share/request-tracker5/lib); use RT; RT::LoadConfig(); RT::Init(); "
                  "my $t = RT::Ticket->new(RT->SystemUser); $t->Load(%s); my ($ok, $m) = $t->MergeInto(%s); die $m unless $ok;"
                  % (ours["id"], answer["id"]))
        done = subprocess.run(["/usr/bin/perl", "-e", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                              **self.system.server._kind())
        self.assertEqual(done.returncode, 0, done.stdout)
        last = self.ended(d.run("reminded", now="2027-01-20T00:00:00Z"), "done", "priority raised")
        self.assertTrue(last["url"].endswith("id=%s" % answer["id"]), last)


    def test_by_mail(self):
        d, answers = self.by_mail('tag = "[example.com #%]"\n', self.system.server.gate("Credentials"))
        self.mail_life(d, answers, lambda key: self.system.server.ticket(self.system.ids("Subject LIKE '%s'" % key)[0]))


class Refusing(http.server.BaseHTTPRequestHandler):
    """Answers everything by 422 and words."""
    words = ""

    def do_GET(self):
        body = json.dumps({"errors": [self.words]}).encode()
        self.send_response(422)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class RedmineTest(Life, unittest.TestCase):
    fixture, kind = redmine, Redmine

    def test_words_of_a_refusal(self):
        """They reach a person: cut between characters, on one line, with nothing that cannot be seen."""
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        d = self.desk(self.system.conf("http://127.0.0.1:%d" % server.server_address[1]))
        for pad in range(4):
            Refusing.words = "x" * pad + "a\r\nb\x1b[2J " + "\u65e5\u672c\u8a9e" * 2000
            last = self.ended(d.check(), "failed", "422: " + "x" * pad + "a  b [2J \u65e5")
            self.assertRegex(last["summary"], "^[^\x00-\x1f\x7f\ufffd]{200,300}$")

    def test_by_mail(self):
        server = self.system.server  # who writes is told the number, which is not Redmine's habit
        server.put("my/account", {"user": {"mail_notification": "all"}, "pref": {"no_self_notified": "0"}})
        d, answers = self.by_mail('tag = "[Credentials - Bug #%]"\nanswers_from = "redmine@example.com"\nclose_status = "Closed"\n'
                                  'field "AWS Account" { value = "{account}" }\n',
                                  self.system.server.handler("credentials", "--allow-override", "all"))
        f = self.mail_life(d, answers, lambda key: next(i for i in self.system.server.find() if key in i["subject"]))
        self.assertEqual((f["open"], f["priority"], f["due"], f["account"]), (False, "Normal", "2027-02-03", "123456789012"))


if __name__ == "__main__":
    if "--all" in sys.argv:
        ALL = True
        sys.argv.remove("--all")
    if not rt.available() or not redmine.available():
        print("Request Tracker 5 or Redmine 5 is not installed: tests/packages.sh test")
        sys.exit(77)
    unittest.main()
