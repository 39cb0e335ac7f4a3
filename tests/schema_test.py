#!/usr/bin/env python3
"""What the drivers send, against the schemas that vendors publish: tests/long.sh runs it, for it fetches them by npm.

GitHub: the API description of @octokit/openapi, cut to what is used and served by prism. Jira: the schema of documents of
@atlaskit/adf-schema, by python3-jsonschema. What each has sent to a stand-in is what is checked; and each schema must refuse
what is wrong, or it would be blind: prism says nothing where it cannot read a part of a description.
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

import jsonschema

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path[:0] = [HERE, os.path.join(HERE, "servers")]
import ticket_systems_test as systems  # noqa: E402

PACKAGES = ("@octokit/openapi@23.0.2", "@stoplight/prism-cli@5.14.2", "@atlaskit/adf-schema@57.7.22")
STEPS = (("opened", systems.OPENED), ("trusted", systems.OPENED), ("reminded", "2027-01-20T00:00:00Z"),
         ("reminded", "2027-01-31T00:00:00Z"), ("failed", "2027-02-01T00:00:00Z"), ("succeeded", "2027-02-03T06:00:00Z"))
USED = ("/user", "/repos/{owner}/{repo}", "/repos/{owner}/{repo}/issues", "/repos/{owner}/{repo}/issues/{issue_number}",
        "/repos/{owner}/{repo}/issues/{issue_number}/comments", "/repos/{owner}/{repo}/issues/{issue_number}/labels",
        "/repos/{owner}/{repo}/issues/{issue_number}/labels/{name}")


def references(node):
    """Every $ref in it."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        node = node.values()
    elif not isinstance(node, list):
        return
    for item in node:
        yield from references(item)


def mend(node):
    """"nullable" without "type" keeps prism from reading the schema, which then refuses nothing at all."""
    if isinstance(node, dict):
        if node.get("nullable") is True and "type" not in node:
            del node["nullable"]
        node = node.values()
    elif not isinstance(node, list):
        return
    for item in node:
        mend(item)


def cut(api):
    """The description with no more than the paths in USED and what they refer to."""
    out = {k: api[k] for k in ("openapi", "info", "servers")}
    out["paths"], out["components"] = {p: api["paths"][p] for p in USED}, {}
    waiting = set(references(out["paths"]))
    while waiting:
        _, _, kind, name = waiting.pop().split("/", 3)
        if name in out["components"].setdefault(kind, {}):
            continue
        out["components"][kind][name] = api["components"][kind][name]
        waiting |= set(references(out["components"][kind][name]))
    mend(out)
    return out


class Room:
    """The packages, and a folder for the rest."""
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="mailhook-schema.")
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", self.dir, *PACKAGES],
                       check=True, stdout=subprocess.DEVNULL, timeout=600)

    def path(self, *names):
        return os.path.join(self.dir, "node_modules", *names)

    def json(self, *names):
        with open(self.path(*names), encoding="utf-8") as f:
            return json.load(f)

    def remove(self):
        shutil.rmtree(self.dir)


class Prism:
    def __init__(self, room, api):
        path = os.path.join(room.dir, "api.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(api, f)
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.process = subprocess.Popen([room.path(".bin", "prism"), "mock", "--errors", "--host", "127.0.0.1", "--port",
                                         str(self.port), path], stdout=subprocess.DEVNULL, start_new_session=True)
        end = time.monotonic() + 120
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                if self.process.poll() is not None:
                    raise
                time.sleep(0.1)
        raise AssertionError("prism does not answer")

    def stop(self):
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(30)

    def ask(self, method, path, body):
        """What prism objects to in the request. Its own made-up answers do not always fit the description either."""
        q = urllib.request.Request("http://127.0.0.1:%d%s" % (self.port, path), data=body or None, method=method, headers={
            "Authorization": "Bearer x", "Accept": "application/json", "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(q, timeout=60) as a:
                said = json.loads(a.headers.get("sl-violations") or "[]")
        except urllib.error.HTTPError as e:
            problem = json.loads(e.read())
            said = json.loads(e.headers.get("sl-violations") or "null") or problem.get("validation")
            if said is None:
                raise AssertionError("%s %s: %d %s" % (method, path, e.code, problem)) from e
        return [v["message"] for v in said if v["location"][0] == "request"]


class SchemaTest(systems.SystemTest):
    @classmethod
    def setUpClass(cls):
        cls.room = Room()

    @classmethod
    def tearDownClass(cls):
        cls.room.remove()

    def sent(self, kind):
        """All requests of a life, and of every hostile text."""
        s = self.make(kind, "schema")
        for event, now in STEPS:
            self.expect(s, s.run(event, now=now), "done")
        for i, text in enumerate(systems.HOSTILE):
            s.server.now += 3600
            s.desk.case("%032x" % (i + 1), resource=text.replace("\x00", ""), reason="a " + text.replace("\x00", " "))
            now = systems.text_of(s.server.now)
            for event in ("opened", "failed"):
                self.expect(s, s.run(event, now=now, outcomes=[
                    {"action": "entra", "role": "effect", "event": event, "outcome": "failed",
                     "summary": text.replace("\x00", "")}]), "done")
        return s.server.requests

    def test_github(self):
        prism = Prism(self.room, cut(self.room.json("@octokit", "openapi", "generated", "api.github.com.json")))
        self.addCleanup(prism.stop)
        issues = "/repos/octo/ops/issues"
        for name, method, path, body in (
                ("no title", "POST", issues, {"body": "x"}), ("labels that are text", "POST", issues, {"title": "x", "labels": "a"}),
                ("a state that is none", "PATCH", issues + "/1", {"state": "done"}),
                ("a reason that is none", "PATCH", issues + "/1", {"state": "closed", "state_reason": "rotated"}),
                ("a comment without text", "POST", issues + "/1/comments", {}),
                ("a page that is no number", "GET", issues + "?page=x", None)):
            said = prism.ask(method, path, json.dumps(body).encode() if body is not None else None)
            self.assertNotEqual(said, [], name + " is not refused")
        kinds = set()
        for method, path, body in self.sent(systems.GitHub):
            self.assertEqual(prism.ask(method, path, body), [], "%s %s %s" % (method, path, body[:300]))
            kinds.add(method)
        self.assertEqual(kinds, {"GET", "POST", "PATCH", "DELETE"})

    def test_jira_documents(self):
        schema = jsonschema.Draft4Validator(self.room.json("@atlaskit", "adf-schema", "dist", "json-schema", "v1", "full.json"))

        def doc(*content):
            return {"version": 1, "type": "doc", "content": list(content)}

        def text(words):
            return {"type": "text", "text": words}
        for name, document in (
                ("plain text", "x"), ("an empty text", doc({"type": "paragraph", "content": [text("")]})),
                ("text at the top", doc(text("x"))), ("no version", {"type": "doc", "content": []}),
                ("text in a list item", doc({"type": "bulletList", "content": [{"type": "listItem", "content": [text("x")]}]})),
                ("a list without items", doc({"type": "bulletList", "content": []})),
                ("an unknown node", doc({"type": "sneeze"}))):
            self.assertFalse(schema.is_valid(document), name + " is not refused")
        documents = []
        for _, path, body in self.sent(systems.Jira):
            j = json.loads(body) if body.startswith(b"{") else {}
            documents += [j["body"]] if path.endswith("/comment") and "body" in j else []
            documents += [j["fields"]["description"]] if "description" in j.get("fields", {}) else []
        self.assertGreater(len(documents), 2 * len(systems.HOSTILE))
        for document in documents:
            errors = [e.message for e in schema.iter_errors(document)]
            self.assertEqual(errors, [], json.dumps(document)[:2000])


if __name__ == "__main__":
    unittest.main()
