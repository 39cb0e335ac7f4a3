#!/usr/bin/python3
"""What mailhook shows: list as a table, JSON, a calendar and a page; status and metrics; the log. Time is a file's."""
import json
import os
import re
import signal
import socket
import stat
import subprocess
import time
import unittest
import xml.etree.ElementTree as xml
from html.parser import HTMLParser

import icalendar
from sight_room import START, Room

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=y>\'&amp;\u202egpj;\\,\n\x07\u00e9' + "\u00e9" * 60
VOID = {"meta", "link", "img", "br", "hr", "input", "col", "base"}
NO_CASES = "Nothing is known to expire."


class Strict(HTMLParser):
    """HTML whose every element is closed where it must be; collects what could load or run something."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.open, self.loads, self.texts, self.links = [], [], [], []
        self.feed(page)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, attrs)
        if tag not in VOID:
            self.open.append(tag)
        self.loads += [(tag, n, v) for n, v in attrs if n in ("src", "srcset", "data", "action", "style") or
                       n.startswith("on") or (n == "href" and tag != "a" and v != "data:,")]
        self.links += [v for n, v in attrs if n == "href" and tag == "a"]
        if tag in ("script", "iframe", "object", "embed", "form", "base", "svg"):
            self.loads.append((tag, None, None))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data):
        self.texts.append(data)

    def text(self):
        return "".join(self.texts)


def page_of(room, *args):
    page = room.run("list", "--html", *args).stdout.decode()
    assert page.startswith("<!DOCTYPE html>\n"), page[:80]
    xml.fromstring(page[len("<!DOCTYPE html>"):])
    return page


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def until(what, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        got = what()
        if got:
            return got
        time.sleep(0.02)
    raise AssertionError("not within %d s" % seconds)


class List(unittest.TestCase):
    def test_nothing_yet(self):
        with Room() as r:
            self.assertEqual(r.run("list").stdout, b"")
            self.assertIn(NO_CASES, page_of(r))
            self.assertEqual(len(icalendar.Calendar.from_ical(r.run("list", "--ics").stdout).walk("VEVENT")), 0)

    def test_order_and_window(self):
        with Room() as r:
            r.fill()
            rows = [json.loads(line) for line in r.run("list", "--json").stdout.splitlines()]
            dates = [row["expires"] or "" for row in rows]
            self.assertEqual(dates, sorted(dates), "by expiry, no date first")
            self.assertEqual(len(rows), 9)
            for within, n in (("1h", 0), ("8d", 1), ("46d", 2), ("90d", 4), ("400d", 8)):
                with self.subTest(within=within):
                    got = [json.loads(x) for x in r.run("list", "--json", "--within", within).stdout.splitlines()]
                    self.assertEqual(got, [x for x in rows if x["expires"]][:n])
            r.at(8 * 24 * 60)
            self.assertEqual(r.run("list", "--json", "--within=1d").stdout, b"", "what is past does not expire any more")

    def test_nonsense(self):
        with Room() as r:
            for args, words in ((("--ics", "--html"), "take one"), (("--json", "--ics"), "take one"),
                                (("--all", "--within", "1d"), "take one"), (("--within", "soon"), "as 30d"),
                                (("--within", "0"), "as 30d"), (("--within", "99999999d"), "as 30d"),
                                (("--color", "blue"), "auto, always or never")):
                with self.subTest(args=args):
                    said = r.run("list", *args, code=2).stderr.decode()
                    self.assertIn(words, said)
                    self.assertEqual(said.count("\n"), 1)

    def test_colour(self):
        with Room() as r:
            r.fill()
            r.at(60 * 24 * 88)
            self.assertNotIn(b"\x1b", r.run("list").stdout, "not to a pipe")
            colored = r.run("list", "--color=always").stdout.decode().splitlines()
            for begin, case in (("\x1b[31m", 6), ("\x1b[31m", 7), ("\x1b[33m", 1), ("\x1b[1m", 3), ("\x1b[35m", 9)):
                self.assertTrue(any(x.startswith("%s%-6d " % (begin, case)) and x.endswith("\x1b[0m") for x in colored), case)
            master, slave = os.openpty()
            for env, on in (({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False),
                            ({"TERM": "xterm", "NO_COLOR": ""}, True)):
                with self.subTest(env=env):
                    subprocess.run(r.command("list"), stdout=slave, env=r.env(**env), timeout=30, check=True)
                    self.assertEqual(b"\x1b[33m" in os.read(master, 65536), on)
            os.close(master)
            os.close(slave)


class Calendar(unittest.TestCase):
    def test_events(self):
        with Room() as r:
            r.fill()
            r.sql("UPDATE cases SET resource = ? WHERE id = 3", HOSTILE)
            raw = r.run("list", "--ics").stdout
            for line in raw.split(b"\r\n"):
                self.assertLessEqual(len(line), 75)
                self.assertNotRegex(line, rb"[\x00-\x1f\x7f]")
                line.decode()
            self.assertTrue(raw.endswith(b"END:VCALENDAR\r\n"))
            events = icalendar.Calendar.from_ical(raw).walk("VEVENT")
            self.assertEqual(len(events), 8, "one a case that has a date")
            keys = {x[0]: x[1] for x in r.sql("SELECT key, id FROM cases")}
            by_id = {keys[str(e["UID"]).replace("mailhook-", "")]: e for e in events}
            self.assertEqual(by_id[1]["DTSTART"].dt.strftime("%Y%m%dT%H%M%SZ"), "20260203T040506Z")
            self.assertEqual(str(by_id[7]["DTSTART"].dt), "2025-12-21", "a day is a day")
            self.assertEqual(by_id[1]["DTSTAMP"].dt, START)
            self.assertIn("Payments & <Billing>", str(by_id[1]["SUMMARY"]))
            self.assertEqual(str(by_id[1]["URL"]), "https://tickets.example.com/browse/OPS-42")
            self.assertIn("<script>alert(1)</script>\"><img src=x onerror=y>'&amp;gpj;", str(by_id[3]["DESCRIPTION"]))
            self.assertIn("gpj\\;\\\\\\,\\n", raw.decode().replace("\r\n ", ""), "each in its escape")
            self.assertEqual(r.run("list", "--ics").stdout, raw, "stable")
            r.at(10)
            r.run("close", "1")
            self.assertEqual(len(icalendar.Calendar.from_ical(r.run("list", "--ics").stdout).walk("VEVENT")), 7)
            closed = [e for e in icalendar.Calendar.from_ical(r.run("list", "--ics", "--all").stdout).walk("VEVENT")
                      if e["STATUS"] == "CANCELLED"]
            self.assertEqual([e["UID"] for e in closed], [by_id[1]["UID"]])
            self.assertGreater(closed[0]["DTSTAMP"].dt, START, "it changed")


class Page(unittest.TestCase):
    def test_page(self):
        with Room() as r:
            r.fill()
            r.sql("UPDATE cases SET resource = ?, region = ?, ticket_url = ? WHERE id = 3", HOSTILE, "<b>", "javascript:alert(1)")
            r.sql("UPDATE cases SET ticket_url = ? WHERE id = 4", 'https://x.example.com/"><script>')
            r.at(60 * 24 * 88)
            page = page_of(r)
            html = Strict(page)
            self.assertEqual(html.loads, [], "nothing is loaded, nothing runs")
            self.assertEqual(set(html.links), {"https://tickets.example.com/browse/OPS-42"})
            self.assertIn("default-src &#39;none&#39;", page)
            text = html.text()
            for words in ("as of 2026-02-02 09:00 UTC", "2 expired", "2 within 7 days", "1 within 30 days", "3 later",
                          "1 without a date", "4 wait for a person", "tomorrow", "81 days ago", "in 12 days",
                          "Payments & <Billing>", "Ada Example", "sandbox@example.com", "mailhook approve 1",
                          "403 from <the> \"pager\" & friends", "ambiguous date 09/07/2026", "deploy key",
                          "<script>alert(1)</script>\"><img src=x onerror=y>'&amp;\ufffdgpj;\\, \ufffd\u00e9"):
                self.assertIn(words, text)
            self.assertEqual(page.count("<tr id="), 9)
            r.run("close", "1")
            self.assertNotIn('id="case-1"', page_of(r))
            self.assertRegex(page_of(r, "--all"), r'<tr id="case-1" class="blank closed">')
            self.assertEqual(page_of(r, "--within", "2d").count("<tr id="), 1)


class Publish(unittest.TestCase):
    def test_once(self):
        with Room('publish_dir = "@/pub"\nmetrics_file = "@/mailhook.prom"\n') as r:
            done = r.run("run", "--once")
            self.assertEqual(done.stderr, b"")
            self.assertIn(NO_CASES, r.read("pub/index.html"))
            r.fill()
            r.at(1)
            r.run("run", "--once")
            self.assertEqual(r.read("pub/index.html"), page_of(r))
            self.assertEqual(r.read("pub/mailhook.ics").encode(), r.run("list", "--ics").stdout)
            self.assertEqual(sorted(os.listdir(r.dir + "/pub")), ["index.html", "mailhook.ics"])
            self.assertIn("\nmailhook_cases_open 9\n", r.read("mailhook.prom"))
            self.assertIn("\nmailhook_worker_running 0\n", r.read("mailhook.prom"))
            for name in ("pub/index.html", "pub/mailhook.ics", "mailhook.prom"):
                self.assertEqual(stat.S_IMODE(os.stat(os.path.join(r.dir, name)).st_mode), 0o644, name)
            self.assertEqual(stat.S_IMODE(os.stat(r.dir + "/pub").st_mode), 0o755)

    def test_cannot_be_written(self):
        with Room('publish_dir = "@/a/b"\nmetrics_file = "@/a/m.prom"\n') as r:
            said = r.fill().stderr.decode()
            self.assertEqual(len(re.findall("event=outlet", said)), 2, "each once: " + said)
            self.assertEqual(r.sql("SELECT count(*) FROM cases"), [(9,)], "and the work is done")
            told = r.run("check", code=1)
            for option, what in (("publish_dir", "/a/b cannot be made"), ("metrics_file", "/a cannot be written")):
                self.assertIn("%s: not fit: %s%s: No such file or directory\n" % (option, r.dir, what), told.stdout.decode())
            r.write("other", "kept")
            os.mkdir(r.dir + "/a")
            told = r.run("check", code=1).stdout.decode()
            self.assertNotIn("publish_dir", told)
            self.assertNotIn("metrics_file", told)
            os.mkdir(r.dir + "/a/b")
            os.symlink(r.dir + "/other", r.dir + "/a/b/.index.html.new")
            self.assertIn("level=warning event=outlet", r.run("run", "--once").stderr.decode(), "no link is followed")
            self.assertEqual(r.read("other"), "kept")


class Service:
    """A worker that runs, and is ended."""

    def __init__(self, room, **env):
        self.room = room
        self.log = os.path.join(room.dir, "log")
        with open(self.log, "wb") as f:
            self.process = subprocess.Popen(room.command("run"), stderr=f, env=room.env(**env))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30)
        self.all_said = self.said()

    def said(self):
        return self.room.read("log")


def ask(port, request, host="127.0.0.1"):
    with socket.create_connection((host, port), timeout=10) as s:
        s.sendall(request)
        got = b""
        while True:
            more = s.recv(65536)
            if not more:
                return got.decode()
            got += more


class Serve(unittest.TestCase):
    def test_requests(self):
        port = free_port()
        with Room('metrics_listen = "127.0.0.1:%d"\npublish_dir = "@/pub"\n' % port) as r, Service(r) as worker:
            def up():
                try:
                    return ask(port, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                except OSError:
                    return None
            self.assertRegex(until(up), r"^HTTP/1\.1 200 OK\r\n(?s:.*)\r\n\r\nok\n$")
            rows = (
                ("metrics", b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 200, "\nmailhook_intake_messages 0\n"),
                ("a query", b"GET /metrics?x=1 HTTP/1.0\r\n\r\n", 200, "mailhook_worker_running 1\n"),
                ("bare line ends", b"GET /healthz HTTP/1.0\n\n", 200, "\r\n\r\nok\n"),
                ("another path", b"GET / HTTP/1.1\r\n\r\n", 404, "Not Found\n"),
                ("a longer path", b"GET /metrics/ HTTP/1.1\r\n\r\n", 404, "Not Found\n"),
                ("POST", b"POST /metrics HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", 405, "Allow: GET, HEAD\r\n"),
                ("no version", b"GET /metrics\r\n\r\n", 400, "Bad Request\n"),
                ("not HTTP", b"\x16\x03\x01\x00\r\n\r\n", 400, "Bad Request\n"),
                ("too large", b"GET /metrics HTTP/1.1\r\nX: " + b"y" * 5000, 431, "Request Header"),
                ("a NUL", b"GET /metrics\0 HTTP/1.1\r\n\r\n", 404, "Not Found\n"),
            )
            for name, request, code, words in rows:
                with self.subTest(name):
                    got = ask(port, request)
                    self.assertTrue(got.startswith("HTTP/1.1 %d " % code), got[:200])
                    self.assertIn(words, got)
                    head, body = got.split("\r\n\r\n", 1)
                    self.assertIn("\r\nContent-Length: %d\r\n" % len(body), head + "\r\n")
            head = ask(port, b"HEAD /metrics HTTP/1.1\r\n\r\n")
            self.assertTrue(head.endswith("\r\n\r\n"), "no body")
            self.assertRegex(head, "Content-Length: [1-9]")

            # those who say nothing, or slowly, hinder nobody for longer than their time, and the work not at all
            idle = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(12)]
            idle[0].sendall(b"GET /met")
            r.put("notices/scim/a-8bit")
            until(lambda: 'id="case-1"' in r.read("pub/index.html"))
            self.assertIn("mailhook_cases_open 1\n", ask(port, b"GET /metrics HTTP/1.0\r\n\r\n"))
            for s in idle:
                s.close()
            self.assertEqual(worker.process.poll(), None)
        self.assertNotIn("level=error", worker.all_said)

    def test_port_taken(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            with Room('metrics_listen = "127.0.0.1:%d"\n' % other.getsockname()[1]) as r, Service(r) as worker:
                r.put("notices/scim/a-8bit")
                until(lambda: "event=outcome" in worker.said())
            self.assertEqual(len(re.findall("level=warning event=outlet .*Address already in use", worker.all_said)), 1)

    def test_trouble(self):
        port = free_port()
        with Room('metrics_listen = "[::1]:%d"\n' % port) as r, Service(r):
            def asked(words):
                def look():
                    try:
                        return words in ask(port, b"GET /healthz HTTP/1.0\r\n\r\n", "::1")
                    except OSError:
                        return False
                return look
            until(asked("200 OK"))
            os.rename(r.state + "/intake", r.state + "/away")
            r.write("state/wake", "")
            until(asked("503 Service Unavailable"))
            os.rename(r.state + "/away", r.state + "/intake")
            r.write("state/wake", "")
            until(asked("200 OK"))

            r.run("pause")
            self.assertTrue(asked("\r\n\r\nok\n")(), "a person just did it")
            r.at(24 * 60 + 1)
            self.assertTrue(asked("503 Service Unavailable")(), "and forgot it")
            self.assertTrue(asked("\r\n\r\neverything is paused since 2025-11-06T09:00:00Z by ")())
            r.run("resume")
            self.assertTrue(asked("200 OK")())

    def test_refused(self):
        for listen in ("0.0.0.0:9100", "192.0.2.1:9100", "[::]:9100", "localhost:9100", "127.0.0.1", "127.0.0.1:0",
                       "127.0.0.1:65536", ":9100", "127.1:9100"):
            with self.subTest(listen), Room('metrics_listen = "%s"\n' % listen) as r:
                said = r.run("run", "--once", code=2).stderr.decode()
                self.assertRegex(said, r"^mailhook: \S+mailhook\.conf:2: metrics_listen must be 127\.0\.0\.1:PORT")


class Log(unittest.TestCase):
    def lines(self, more, parse):
        with Room(more) as r:
            r.write("broken", "#!/bin/sh\nread -r x\nprintf '%s\\n' '{\"say\":\"one\\ntwo \\u00e9\"}' "
                    "'{\"outcome\":\"retry\",\"summary\":\"later\"}'\n", 0o700)
            said = r.fill(("kinds/acm",)).stderr.decode()
            r.put("other/newsletter")
            said += r.run("run", "--once").stderr.decode()
            return [parse(line) for line in said.splitlines()]

    @staticmethod
    def key_value(line):
        assert re.fullmatch(r'(?:[a-z]+=(?:[^ "]+|"(?:[^"\\]|\\.)*")(?: |$))+', line), line
        return {k: v.strip('"') for k, v in re.findall(r'([a-z]+)=([^ "]+|"(?:[^"\\]|\\.)*")', line)}

    def test_events(self):
        for form, parse in (("", self.key_value), ('log = "json"\n', json.loads)):
            lines = self.lines(form, parse)
            with self.subTest(form=form):
                self.assertTrue(all({"time", "level", "event", "text"} <= set(x) for x in lines), lines)
                by = {}
                for x in lines:
                    by.setdefault((x["level"], x["event"]), []).append({k: str(v) for k, v in x.items()})
                self.assertEqual(by["notice", "case"][0]["case"], "1")
                self.assertEqual(by["notice", "case"][0]["message"], "1")
                self.assertEqual(len(by["info", "taken"]), 1, "a newsletter is not worth a line")
                self.assertEqual(len(by["warning", "taken"]), 1)
                said = by["info", "action"][0]
                self.assertEqual((said["case"], said["message"], said["action"]), ("1", "1", "pager"))
                self.assertIn(r"one two \xc3\xa9", said["text"])
                self.assertEqual([x["outcome"] for x in by["warning", "outcome"]], ["retry"])
                self.assertEqual({x["time"] for x in lines}, {"2025-11-06T09:00:00Z"})

    def test_level(self):
        levels = ("error", "warning", "notice", "info", "debug")
        counts = []
        for i, level in enumerate(levels):
            lines = self.lines('log_level = "%s"\n' % level, self.key_value)
            self.assertTrue({x["level"] for x in lines} <= set(levels[:i + 1]), lines)
            counts.append(len(lines))
        self.assertEqual(counts, sorted(counts))
        self.assertEqual(counts[0], 0)
        self.assertGreater(counts[4], counts[3])

    def test_wrong_words(self):
        with Room('log = "syslog"\nlog_level = "loud"\nmetrics_file = "/tmp/metrics.txt"\npublish_dir = "pub"\n') as r:
            said = r.run("check", code=2).stderr.decode()
            for words in ('conf:2: log must be auto, text, json or journal, not "syslog"',
                          "conf:3: log_level must be error, warning, notice, info or debug", "conf:4: metrics_file must be",
                          "conf:5: publish_dir must be an absolute path"):
                self.assertIn(words, said)

    def test_command_stays_plain(self):
        with Room('log = "json"\n') as r:
            self.assertTrue(r.run("show", "77", code=2).stderr.startswith(b"mailhook: no case 77"))


class Status(unittest.TestCase):
    def test_forms(self):
        with Room() as r:
            r.fill()
            r.at(3 * 24 * 60)
            numbers = json.loads(r.run("status", "--json", code=1).stdout)
            self.assertEqual((numbers["approvals"], numbers["approval_oldest_s"], numbers["failed_open"]), (2, 3 * 86400, 1))
            self.assertIn("approvals   2 wait for a person, the oldest for 3 days\n", r.run("status", code=1).stdout.decode())
            text = r.run("status", "--prometheus", code=1).stdout.decode()
            families, values = set(), {}
            for line in text.splitlines():
                if line.startswith("# "):
                    word, name = line.split()[1:3]
                    self.assertNotIn((word, name), families, "each family once")
                    families.add((word, name))
                    continue
                m = re.fullmatch(r'(mailhook_[a-z0-9_]+)((?:\{[a-z]+="[^"]*"\})?) (\d+)', line)
                self.assertTrue(m, line)
                self.assertIn(("TYPE", m[1]), families)
                values[m[1] + m[2]] = int(m[3])
            self.assertEqual(values["mailhook_approvals_waiting"], 2)
            self.assertEqual(values["mailhook_approvals_oldest_seconds"], 3 * 86400)
            self.assertEqual(values['mailhook_jobs{state="failed"}'], 1)
            self.assertEqual(values["mailhook_cases_open"], 9)
            self.assertEqual(values['mailhook_cases_expiring{within="7d"}'], 1)
            self.assertEqual(values["mailhook_written_timestamp_seconds"], int(START.timestamp()) + 3 * 86400)
            self.assertIn("take one", r.run("status", "--json", "--prometheus", code=2).stderr.decode())


if __name__ == "__main__":
    unittest.main()
