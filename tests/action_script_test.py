#!/usr/bin/python3
"""The reply read back by Python's email package, and the sample actions: each as the core runs them."""
import email
import email.policy
import json
import os
import shutil
import subprocess
import sys
import tempfile

BUILD = os.environ["MAILHOOK_BUILD"]
SOURCE = os.environ["MAILHOOK_SOURCE"]
JOB = "6f1e0c1f5ab14c0d8c1f2b3a4d5e6f70"


def request(state_dir, **changes):
    base = {
        "version": 1, "event": "opened", "attempt": 1, "now": "2025-11-06T09:00:00Z",
        "deadline": "2027-01-01T00:00:00Z", "job_key": JOB, "case_key": "0a1b2c3d4e5f60718293a4b5c6d7e8f9",
        "action": "tell", "config": None, "state_dir": state_dir, "observe": False,
        "case": {"id": 1, "kind": "aws.identity-center.scim-token", "account": "123456789012", "region": "eu-west-1",
                 "resource": None, "expires": "2026-02-03T04:05:06Z", "precision": "second", "days_left": 88},
        "notice": None, "trust": {"level": "unverified", "by": None, "steps": []}, "outcomes": [],
        "message": {"id": "<1@mail.example.com>", "references": "<0@mail.example.com>",
                    "reply_to": "ops@example.com", "envelope_from": "ops@example.com",
                    "auto": False, "list": False, "own": False},
        "state": {},
    }
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            base[key] = {**base[key], **value}
        else:
            base[key] = value
    return base


def drive(program, verb, req, allow=True):
    """Returns the lines of one run; checkpoints are answered while allow is true, then stdin ends."""
    with subprocess.Popen([program, verb], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={}, text=True,
                          encoding="utf-8", cwd="/" if verb == "check" else req["state_dir"]) as process:
        process.stdin.write(json.dumps(req, separators=(",", ":"), ensure_ascii=False) + "\n")
        process.stdin.flush()
        lines = []
        for line in process.stdout:
            lines.append(json.loads(line))
            if "checkpoint" in lines[-1]:
                if allow:
                    process.stdin.write('{"ok":true}\n')
                    process.stdin.flush()
                else:
                    process.stdin.close()
        if not process.stdin.closed:
            process.stdin.close()
    return lines


def expect(what, got, wanted):
    if got != wanted:
        sys.exit(f"{what}: got {got!r}, wanted {wanted!r}")


def expect_in(what, part, whole):
    if part not in whole:
        sys.exit(f"{what}: {part!r} is not in {whole!r}")


def reply_mail(name, **changes):
    folder = tempfile.mkdtemp(prefix="mailhook-reply-")
    try:
        lines = drive(BUILD + "/libexec/mailhook/actions/reply", "run", request(folder, **changes))
        expect(name + ": outcome", lines[-1].get("outcome"), "done")
        with open(f"{folder}/replies/new/{JOB}.mailhook", "rb") as file:
            return email.message_from_binary_file(file, policy=email.policy.default)
    finally:
        shutil.rmtree(folder)


def test_reply():
    unusual = "Köln 日本語 🔑 =?x?= a=b\tc  "
    long_word = "x" * 300
    # Only of a proven mail people see such a name; that it came of itself keeps its sender without an answer.
    proven = {"trust": {"level": "verified", "by": "dkim aws.com x", "steps": []}, "message": {"auto": True}}
    rows = [
        ("plain", {}),
        ("8-bit", {"case": {"resource": unusual}, **proven}),
        ("long", {"case": {"resource": long_word}, **proven}),
        ("line ends", {"case": {"resource": "a\r\nBcc: evil@example.net\r\n\r\n.\r\nFrom b"}, **proven}),
        ("succeeded", {"event": "succeeded", "outcomes": [
            {"action": "entra", "role": "effect", "event": "opened", "outcome": "done", "summary": "new token saved"},
            {"action": "jira", "role": "ticket", "event": "succeeded", "outcome": "done", "summary": "closed",
             "url": "https://example.com/T-1"}]}),
        ("unrecognised", {"case": {"kind": "unrecognised", "account": None, "expires": None, "precision": None,
                                   "resource": "health@aws.com", "reason": "ambiguous date"}}),
    ]
    for name, changes in rows:
        mail = reply_mail(name, **changes)
        expect(name + ": defects", [str(d) for d in mail.defects], [])
        expect(name + ": type", mail.get_content_type(),
               "multipart/alternative" if name == "unrecognised" else "multipart/mixed")
        expect(name + ": To", mail["To"], "postmaster@localhost")
        expect(name + ": Bcc", mail["Bcc"], None)
        expect(name + ": Auto-Submitted", mail["Auto-Submitted"], "auto-replied")
        expect(name + ": Date", mail["Date"].datetime.isoformat(), "2025-11-06T09:00:00+00:00")
        expect(name + ": In-Reply-To", mail["In-Reply-To"], "<1@mail.example.com>")
        expect(name + ": References", mail["References"].split(), ["<0@mail.example.com>", "<1@mail.example.com>"])
        expect(name + ": X-Mailhook-Job", mail["X-Mailhook-Job"], JOB)
        expect(name + ": Message-ID begins", mail["Message-ID"][:34], "<" + JOB + "@")
        body = mail.get_body(("plain",)).get_content()
        resource = changes.get("case", {}).get("resource")
        if resource is not None:
            shown = "".join(" " if ord(c) < 32 else c for c in resource)
            expect_in(name + ": body", f"Resource:  {shown}\n", body)
            if name != "long" and name != "unrecognised":
                expect_in(name + ": subject", " ".join(shown.split()), " ".join(str(mail["Subject"]).split()))
        if name == "plain":
            for part in ("Account:   123456789012", "Region:    eu-west-1", "Expires:   2026-02-03 04:05:06 UTC",
                         "Days left: 88", "Nothing proves who sent the mail", "1. In the AWS console"):
                expect_in(name + ": body", part, body)
        if name == "succeeded":
            expect_in(name, "- entra: done: new token saved\n", body)
            expect_in(name, "Ticket:    https://example.com/T-1\n", body)
            expect(name + ": steps", "by hand" in body, False)
        if name == "unrecognised":
            expect_in(name, "Not read:  ambiguous date\n", body)


def summaries(lines):
    return [next(iter(line)) for line in lines[:-1]] + [lines[-1].get("outcome"), lines[-1].get("summary")]


def test_bad_requests():
    """What is no request ends in an outcome with a reason, never in a crash, and does nothing."""
    folder = tempfile.mkdtemp(prefix="mailhook-bad-")
    good = json.dumps(request(folder))
    rows = [
        ("nothing", b"", "retry", "no request came"),
        ("an empty line", b"\n", "failed", "empty where JSON was expected"),
        ("garbage", b"hello\n", "failed", "not JSON"),
        ("a list", b"[]\n", "failed", "not of version 1"),
        ("half of it", good[:200].encode() + b"\n", "failed", "not JSON"),
        ("no line end", good.encode(), "retry", "taken away"),
        ("bytes that are no UTF-8", good.encode().replace(b"eu-west-1", b"\xff\xfe") + b"\n", "failed", "UTF-8"),
        ("a key twice", b'{"version":1,"version":1}\n', "failed", "a key twice"),
        ("deep", b"[" * 5000 + b"\n", "failed", "nested deeper"),
        ("too long", b"x" * 2000000 + b"\n", "retry", "no request came"),
        ("a relative state_dir", good.replace(folder, "here").encode() + b"\n", "failed", "no absolute path"),
        ("a wrong type", good.replace('"eu-west-1"', "[1]").encode() + b"\n", "retry", "taken away"),
        ("outcomes of the wrong shape", good.replace('"outcomes": []', '"outcomes": [1]').encode() + b"\n", "failed",
         "lacks action or outcome"),
    ]
    try:
        for action in ("ticket", "reply"):
            for name, text, word, words in rows:
                done = subprocess.run([f"{BUILD}/libexec/mailhook/actions/{action}", "run"], input=text, env={},
                                      stdout=subprocess.PIPE, cwd=folder, check=False)
                last = json.loads(done.stdout.splitlines()[-1])
                expect(f"{action}, {name}: outcome", last["outcome"], word)
                expect_in(f"{action}, {name}", words, last["summary"])
        left = [name for name in os.listdir(folder + "/tickets") + os.listdir(folder + "/replies/new")
                if not name.startswith(".")]
        expect("bad requests: effects", left, [])
    finally:
        shutil.rmtree(folder)


def test_append_log():
    program = SOURCE + "/samples/actions/append-log"
    folder = tempfile.mkdtemp(prefix="mailhook-append-")
    rows = [
        ("check", "check", {}, True, ["done", "the log can be written"], 0),
        ("dry run", "describe", {}, True, ["done", "would append a line to expiry.log"], 0),
        ("refused", "run", {}, False, ["checkpoint", "retry", "the job was taken away"], 0),
        ("first", "run", {}, True, ["checkpoint", "done", "appended a line to expiry.log"], 1),
        ("again", "run", {}, True, ["done", "the line was there already"], 1),
        ("another job", "run", {"job_key": "a" * 32, "event": "reminded",
                                "outcomes": [{"action": "x", "outcome": "done", "event": "opened"}]}, True,
         ["checkpoint", "done", "appended a line to expiry.log"], 2),
        ("no key", "run", {"job_key": "$(touch oops)"}, True,
         ["failed", "the request lacks job_key, now or event"], 2),
        ("unknown verb", "fly", {}, True, ["skipped", "nothing to do for this verb"], 2),
    ]
    try:
        for name, verb, changes, allow, wanted, n_lines in rows:
            expect("append-log, " + name, summaries(drive(program, verb, request(folder, **changes), allow)), wanted)
            path = folder + "/expiry.log"
            text = open(path, encoding="utf-8").read() if os.path.exists(path) else ""
            expect("append-log, " + name + ": lines", text.count("\n"), n_lines)
        expect("append-log: the log", text, f"2025-11-06T09:00:00Z opened {JOB}\n2025-11-06T09:00:00Z reminded "
               + "a" * 32 + "\n")
        expect("append-log: files", sorted(os.listdir(folder)), ["expiry.log"])
    finally:
        shutil.rmtree(folder)


def test_queue_file():
    program = SOURCE + "/samples/actions/queue-file"
    folder = tempfile.mkdtemp(prefix="mailhook-queue-")
    name = JOB + ".json"
    begun = {"state": {"queueing": name}}
    rows = [
        ("check", "check", {}, True, ["done", "the queue can be written"], []),
        ("dry run", "describe", {}, True, ["done", f"would queue a file in {folder}/queue"], []),
        ("refused", "run", {}, False, ["checkpoint", "retry", "the job was taken away"], ["." + name]),
        ("killed before the rename", "run", begun, True, ["checkpoint", "done", "queued as " + name], [name]),
        ("again", "run", begun, True, ["done", "the job was queued already"], [name]),
        ("taken meanwhile", "run", begun, True, ["done", "the job was queued and has been taken"], []),
        ("unknown verb", "fly", {}, True, ["skipped", "nothing to do for this verb"], []),
    ]
    try:
        for row, verb, changes, allow, wanted, files in rows:
            if row == "taken meanwhile":
                with open(f"{folder}/queue/{name}", encoding="utf-8") as file:
                    expect("queue-file: the file", json.load(file)["case"]["account"], "123456789012")
                os.unlink(f"{folder}/queue/{name}")
            expect("queue-file, " + row, summaries(drive(program, verb, request(folder, **changes), allow)), wanted)
            there = sorted(os.listdir(folder + "/queue")) if os.path.isdir(folder + "/queue") else []
            expect("queue-file, " + row + ": files", there, files)
    finally:
        shutil.rmtree(folder)


test_reply()
test_bad_requests()
test_append_log()
test_queue_file()
