#!/usr/bin/env python3
"""The ticket driver "http": each shipped preset against a stand-in with state, and presets of a user's own."""
import json
import os
import re
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path[:0] = [HERE, os.path.join(HERE, "servers")]
import desk  # noqa: E402
import preset_server as servers  # noqa: E402
from ticket_systems_test import HOSTILE, OPENED, System, SystemTest, seconds, text_of  # noqa: E402
from ticket_server import SECRET  # noqa: E402


class Preset(System):
    driver, due, html = "http", False, False

    def settings(self):
        return dict({"url": self.server.url, "preset": self.preset}, **self.values)

    values = {}


class Zammad(Preset):
    preset, normal, high, urgent, above = "zammad", "2 normal", "3 high", "3 high", "3 high"
    values, lost = {"queue": "Ops"}, ("POST", "/tickets")
    more = 'settings = {"customer=ops@example.com"}\n'

    def make(self):
        return servers.Zammad()


class AzureDevOps(Preset):
    preset, normal, high, urgent, above, html = "azure-devops", "3", "2", "1", "1", True
    values, lost = {"queue": "Cloud Ops"}, ("POST", "$Task")
    more = 'settings = {"organization=acme"}\n'

    def make(self):
        return servers.AzureDevOps()


class Freshservice(Preset):
    preset, normal, high, urgent, above, html = "freshservice", "2", "3", "4", "4", True
    lost = ("POST", "/tickets")
    more = 'settings = {"requester=ops@example.com"}\n'

    def make(self):
        return servers.Freshservice()


class Opsgenie(Preset):
    preset, normal, high, urgent, above = "opsgenie", "P3", "P2", "P1", "P1"
    lost = ("POST", "/alerts")

    def make(self):
        return servers.Opsgenie()


class JsmAlerts(Opsgenie):
    preset = "jsm-alerts"


SYSTEMS = (Zammad, AzureDevOps, Freshservice, Opsgenie, JsmAlerts)


class PresetTest(SystemTest):
    def each(self, name):
        return (self.make(kind, name) for kind in SYSTEMS)

    def test_life(self):
        steps = (
            ("opened", OPENED, "normal", 0, True), ("trusted", OPENED, "normal", 1, True),
            ("reminded", "2026-12-05T00:00:00Z", "normal", 2, True), ("reminded", "2027-01-20T00:00:00Z", "high", 3, True),
            ("reminded", "2027-01-31T00:00:00Z", "urgent", 4, True), ("reminded", "2027-01-02T00:00:00Z", "urgent", 5, True),
            ("failed", "2027-02-01T00:00:00Z", "urgent", 6, True), ("succeeded", "2027-02-03T06:00:00Z", "urgent", 7, False),
        )
        for s in self.each("life"):
            for i, (event, now, priority, comments, is_open) in enumerate(steps):
                for attempt in range(2):
                    name = "%s: step %d %s, attempt %d" % (s.name, i, event, attempt)
                    r = s.run(event, now=now, trust="verified") if attempt == 0 else s.again()
                    self.expect(s, r, "done")
                    t = s.ticket()
                    self.assertEqual((t["open"], t["priority"]), (is_open, getattr(s, priority)), name)
                    self.assertEqual(len(t["comments"]), comments, "%s: %s" % (name, t["comments"]))

    def test_without_own_state(self):
        for s in self.each("no own state"):
            self.expect(s, s.run("opened"), "done")
            s.desk.outcomes.clear()
            self.expect(s, s.run("reminded", now="2027-01-31T00:00:00Z"), "done", "priority raised")
            s.desk.outcomes.clear()
            self.expect(s, s.run("succeeded", now="2027-02-01T00:00:00Z"), "done", "closed")
            self.assertFalse(s.ticket()["open"], s.name)
            s.server.now += 600
            s.desk.case("f" * 32)
            self.expect(s, s.run("opened", now="2027-02-01T01:00:00Z"), "done", "ticket opened")
            self.assertEqual(len(s.server.tickets()), 2, s.name)

    def test_people(self):
        for s in self.each("people"):
            self.expect(s, s.run("opened"), "done")
            s.server.person_sets_priority(s.above)
            self.expect(s, s.run("reminded", now="2027-01-20T00:00:00Z"), "done")
            self.assertEqual(s.ticket()["priority"], s.above, s.name)
            s.server.person_closes()
            self.expect(s, s.run("reminded", now="2027-01-31T00:00:00Z"), "skipped", "stays so")

    def test_lost_answers(self):
        steps = (("opened", OPENED), ("reminded", "2027-01-20T00:00:00Z"), ("succeeded", "2027-02-01T00:00:00Z"))
        for kind in SYSTEMS[:4]:
            plain = self.make(kind, "count")
            counts = []
            for event, now in steps:
                plain.server.requests.clear()
                self.expect(plain, plain.run(event, now=now), "done")
                counts.append(len(plain.server.requests))
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
                        self.assertEqual((t["open"], len(t["comments"])), (False, 2), "%s: %s" % (s.name, t))
                        s.server.stop()
                        self.made.remove(s)

    def test_refusals(self):
        rows = (
            ("401", (401, {"message": "Words of the server", "error": "Words of the server"}, {}), "failed", "401", None),
            ("422", (422, {"message": "Words of the server", "error": "Words of the server"}, {}), "failed", "Words of the server", None),
            ("429", (429, {"message": "slow"}, {"Retry-After": "120"}), "retry", "429", 120),
            ("503", (503, b"<html>", {}), "retry", "503", None),
            ("dropped", "drop", "retry", "localhost", None),
            ("a redirect", (302, b"", {"Location": "http://localhost:1/"}), "failed", "302", None),
            ("the secret comes back", (400, {"message": SECRET, "error": SECRET}, {}), "failed", "400", None),
        )
        for kind in SYSTEMS[:4]:
            for name, fault, outcome, words, wait_s in rows:
                s = self.make(kind, name)
                s.server.faults = [(kind.lost[0], kind.lost[1], fault)]
                r = s.run("opened")
                self.expect(s, r, outcome, words)
                self.assertEqual(r.last.get("retry_after_s"), wait_s, s.name)
                self.assertEqual(s.server.tickets(), [], s.name)

    def test_check(self):
        for s in self.each("check"):
            r = s.desk.check(online=False)
            self.expect(s, r, "done", "tickets can be written")
            self.assertEqual(s.server.requests, [], s.name)
            self.expect(s, s.desk.check(), "done", "tickets can be written")
            self.assertEqual([q for q in s.server.requests if q[0] != "GET" and "validateOnly=true" not in q[1]], [], s.name)
            self.assertEqual(s.server.tickets(), [], s.name)
            s.configure(secret="wrong")
            self.expect(s, s.desk.check(), "failed", "cannot check")
            self.expect(s, s.run("opened"), "failed")

    def test_hostile_text(self):
        for kind in SYSTEMS[:4]:
            s = self.make(kind, "")
            for i, text in enumerate(HOSTILE):
                s.name = "%s: %r" % (kind.__name__, text[:40])
                s.server.now += 3600
                s.desk.case("%032x" % (i + 1), resource=text.replace("\x00", ""), reason="a " + text.replace("\x00", " "))
                now = text_of(s.server.now or seconds(OPENED))
                self.expect(s, s.run("opened", now=now), "done", "ticket opened")
                self.expect(s, s.run("failed", now=now, outcomes=[
                    {"action": "entra", "role": "effect", "event": "failed", "outcome": "failed",
                     "summary": text.replace("\x00", "")}]), "done")
                t = s.server.tickets()[-1]
                self.assertEqual((len(s.server.tickets()), t["open"]), (i + 1, True), s.name)
                self.assertNotIn("\n", t["title"], s.name)
                for words in (t["text"], *t["comments"]):
                    self.assertIsNone(re.search(r"[\x00-\x08\x0b-\x1f\x7f]", words), s.name)
                    if s.html:
                        self.assertIsNone(re.search(r"<(?!br>)|[\"']", words), "%s: %r" % (s.name, words))

    def test_search_that_is_not_narrowed(self):
        s = self.make(AzureDevOps, "ignored filter")
        self.expect(s, s.run("opened"), "done")
        s.server.ignore_filter = True
        s.server.now += 600
        s.desk.case("f" * 32)
        self.expect(s, s.run("opened", now="2026-11-06T11:00:00Z"), "failed", "not narrowed")
        z = self.make(Zammad, "a full page of others")
        z.server.now = seconds(OPENED)
        for i in range(60):
            z.server.all.append(z.server.new("about %s" % i, "2 normal"))
        z.server.search = lambda r: [{k: t[k] for k in ("id", "title", "state", "priority")} for t in z.server.all[:50]]
        self.expect(z, z.run("opened"), "failed", "not narrowed")

    def test_azure_fields(self):
        """A due date goes where the process has a field for it; a field that it has not is found by the check."""
        s = self.make(AzureDevOps, "due date")
        for field, outcome, words in (("Microsoft.VSTS.Scheduling.DueDate", "done", "can be written"),
                                      ("Custom.Nope", "failed", "Cannot find field Custom.Nope")):
            s.more = 'settings = {"organization=acme", "due_field=%s"}\n' % field
            s.configure()
            self.expect(s, s.desk.check(), outcome, words)
        s.more = 'settings = {"organization=acme", "due_field=Microsoft.VSTS.Scheduling.DueDate"}\n'
        s.configure()
        self.expect(s, s.run("opened"), "done", "ticket opened")
        self.assertEqual(s.server.items[0]["fields"]["Microsoft.VSTS.Scheduling.DueDate"], "2027-02-03T00:00:00Z")

    def test_closing_that_does_not_close(self):
        s = self.make(Zammad, "another state")
        self.expect(s, s.run("opened"), "done")
        s.server.states.add("parked")
        s.more = ""
        s.configure('settings = {"customer=ops@example.com", "close_state=parked"}\n')
        self.expect(s, s.run("succeeded", now="2026-11-07T00:00:00Z"), "failed", "still open")


class WebhookTest(SystemTest):
    def hook(self, kind):
        class One(Preset):
            preset = kind

            def make(self):
                return servers.Hook(kind)

            def settings(self):
                return {"preset": kind, "url": self.server.url + "/hook" if kind == "webhook" else None}

            def configure(self, more="", secret=None, **values):
                super().configure(more, secret or self.server.secret, **values)
        return self.make(One, kind)

    def test_life(self):
        for kind in ("slack", "teams", "webhook"):
            s = self.hook(kind)
            steps = (("opened", OPENED, "done"), ("reminded", "2027-01-20T00:00:00Z", "done"), ("succeeded", "2027-02-01T00:00:00Z", "done"))
            for i, (event, now, outcome) in enumerate(steps):
                r = s.run(event, now=now)
                self.expect(s, r, outcome)
                self.assertNotIn(s.server.secret, json.dumps(r.lines) + r.stderr, s.name)
                self.assertEqual(len(s.server.messages), i + 1, s.name)
            self.assertIn("It has been renewed.", s.server.texts()[-1], s.name)
            self.assertNotRegex(s.server.texts()[-1], r"mailhook [0-9a-f]{32}", s.name)

    def test_signature(self):
        """A second attempt has the same id, another job another one; two keys while one is rotated."""
        s = self.hook("webhook")
        s.server.faults = [("POST", "/hook", (503, {"message": "later"}, {}))]
        self.expect(s, s.run("opened"), "retry")
        self.expect(s, s.again(60), "done")
        self.expect(s, s.run("reminded", now="2027-01-20T00:00:00Z"), "done")
        self.assertEqual(len(set(s.server.ids)), 2)
        s.configure(secret="whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldY" + "\n" + s.server.secret)
        self.expect(s, s.run("reminded", now="2027-01-21T00:00:00Z"), "done")
        s.configure(secret="whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldY")
        self.expect(s, s.run("reminded", now="2027-01-22T00:00:00Z"), "failed", "No matching signature")
        s.configure(secret="not base64!")
        self.expect(s, s.run("reminded", now="2027-01-23T00:00:00Z"), "failed", "base64")

    def test_hostile_text(self):
        for kind in ("slack", "teams", "webhook"):
            s = self.hook(kind)
            for i, text in enumerate(HOSTILE):
                s.name = "%s: %r" % (kind, text[:40])
                s.desk.case("%032x" % (i + 1), resource=text.replace("\x00", "x"), reason="a " + text.replace("\x00", " "))
                self.expect(s, s.run("opened"), "done", "ticket opened")
                self.assertEqual(len(s.server.messages), i + 1, s.name)
                shape = json.dumps(self.shape(s.server.messages[-1]), sort_keys=True)
                first = shape if i == 0 else first
                self.assertEqual(shape, first, s.name + ": the same shape for every text")

    def shape(self, value):
        if isinstance(value, dict):
            return {k: self.shape(v) for k, v in value.items()}
        return [self.shape(v) for v in value] if isinstance(value, list) else type(value).__name__

    def test_wrong_address(self):
        s = self.hook("slack")
        s.configure(secret=s.server.url + "/services/elsewhere")
        r = s.run("opened")
        self.expect(s, r, "failed", "invalid_token")
        self.assertNotIn("elsewhere", json.dumps(r.lines) + r.stderr)


class OwnPresetTest(SystemTest):
    GOOD = {"title": "own", "requests": {"open": {"method": "POST", "url": "{url}/x", "json": {"t": "{title}"}}}}

    def own(self, text):
        class Own(Preset):
            preset = ""

            def make(self):
                return servers.Hook("slack")
        s = self.make(Own, "own")
        path = os.path.join(s.desk.folder, "own.preset")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        s.configure(preset=path)
        return s

    def test_errors_name_file_and_line(self):
        good = json.dumps(self.GOOD, indent=1)
        rows = (
            ("good", good, "done", "tickets can be written"),
            ("no JSON", good.replace('"json": {', '"json": {,'), "failed", "own.preset:7:"),
            ("an unknown key", good.replace('"method"', '"methud"'), "failed", "own.preset:5: \"methud\" is not known here"),
            ("an unknown request", good.replace('"open"', '"open": {"method": "POST", "url": "x"},\n"fly"'), "failed",
             "own.preset:5: nobody asks for a request \"fly\""),
            ("no open", good.replace('"open"', '"find"'), "failed", "there is no request \"open\""),
            ("an unknown method", good.replace('"POST"', '"FETCH"'), "failed", "own.preset:4: \"open\" needs a method"),
            ("an unknown variable", good.replace("{title}", "{titel}"), "failed", "own.preset:8: there is no variable {titel}"),
            ("a brace that is not closed", good.replace("{title}", "{title"), "failed", "own.preset:8: a brace is not closed"),
            ("empty", "", "failed", "own.preset:1:"),
        )
        for name, text, outcome, words in rows:
            s = self.own(text)
            s.name = name
            self.expect(s, s.desk.check(online=False), outcome, words)

    def test_configuration(self):
        for name, values, more, words in (
                ("no preset", {"preset": None}, "", "preset is not set"),
                ("an unknown one", {"preset": "jiira"}, "", "there is no preset \"jiira\""),
                ("a file that is not there", {"preset": "/nothing/here"}, "", "/nothing/here"),
                ("an unknown setting", {}, 'settings = {"colour=red"}\n', "no setting \"colour\""),
                ("a setting without a value", {}, 'settings = {"colour"}\n', "NAME=VALUE")):
            s = self.own(json.dumps(self.GOOD))
            s.name = name
            s.configure(more, **dict({"preset": os.path.join(s.desk.folder, "own.preset")}, **values))
            self.expect(s, s.desk.check(online=False), "failed", words)


class SampleTest(SystemTest):
    def test_samples(self):
        """Every sample is a configuration that does, and every driver of ours and every preset has one."""
        folder = os.path.join(HERE, "..", "samples", "tickets")
        names = sorted(os.listdir(folder))
        told = ""
        for name in names:
            with open(os.path.join(folder, name), encoding="utf-8") as f:
                text = f.read()
            told += text
            s = desk.Desk(self.dir, "http", "")
            s.configure("", secret="https://example.com/x" if name in ("slack.conf", "teams.conf") else
                        "whsec_MDEyMzQ1Njc4OWFiY2RlZg==" if name == "webhook.conf" else "0123456789abcdef" * 2)
            with open(s.conf, "w", encoding="utf-8") as f:
                text = re.sub(r'"/etc/mailhook/secrets/[^"]*"', '"%s"' % s.secret, text)
                f.write(re.sub(r'"/var/(lib|mail)/mailhook/[^"]*"', '"%s"' % os.path.join(self.dir, "box"), text))
            for part in ("new", "cur", "tmp"):
                os.makedirs(os.path.join(self.dir, "box", part), exist_ok=True)
            r = s.check(online=False)
            self.assertEqual(r.last, {"outcome": "done", "summary": "tickets can be written"}, "%s: %s" % (name, r.last))
        presets = os.listdir(os.path.join(HERE, "..", "actions", "ticket", "presets"))
        for word in ["jira", "servicenow", "github", "gitlab", "pagerduty", *(p.removesuffix(".preset") for p in presets)]:
            self.assertIn('"%s"' % word, told)


if __name__ == "__main__":
    unittest.main()
