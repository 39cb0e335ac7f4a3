"""Stand-ins for services that start jobs by HTTP: GitHub, GitLab, Jenkins, Azure DevOps, Rundeck, AWX, a webhook receiver.
They keep state, and have the manners of the vendors' documentation; no vendor was asked.

`runs` lists what was really started; `faults` is a list: "drop" (no effect), "lost" (effect, no answer), (status, body,
headers), or None.
"""
import base64
import hashlib
import hmac
import http.server
import json
import re
import threading
import urllib.parse

import token_server

SECRET = "s3cret-of-jobs"
KEY = b"k" * 32
WEBHOOK_SECRET = "whsec_" + base64.b64encode(KEY).decode()


class JobServers:
    def __init__(self):
        self.lock, self.runs, self.faults, self.requests = threading.Lock(), [], [], []
        self.state = {}  # number of a run: how it stands, in the service's words
        self.queued, self.seen_ids, self.details = False, set(), True
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                server.answer(self)

            do_GET = do_POST = handle_any

            def log_message(self, *args):
                pass

        self.httpd = token_server.Quiet(("127.0.0.1", 0), Handler)
        self.httpd.daemon_threads = True
        self.url = "http://127.0.0.1:%d" % self.httpd.server_port
        threading.Thread(target=self.httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self):
        self.httpd.shutdown()
        self.httpd.server_close()

    def answer(self, h):
        body = h.rfile.read(int(h.headers.get("Content-Length") or 0))
        with self.lock:
            self.requests.append((h.command, h.path))
            fault = self.faults.pop(0) if self.faults else None
            if fault == "drop":
                h.close_connection = True
                return
            status, answer, headers = fault if isinstance(fault, tuple) else self.serve(h, body)
            if fault == "lost":
                h.close_connection = True
                return
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        h.send_response(status)
        for k, v in headers.items():
            h.send_header(k, v)
        if status != 204:
            h.send_header("Content-Length", str(len(data)))
        h.end_headers()
        if status != 204:
            h.wfile.write(data)

    def start(self, what):
        self.runs.append(what)
        return len(self.runs)

    def serve(self, h, body):
        for pattern, serve in ((r"/repos/o/r(/.*)?$", self.github), (r"/api/v4/projects/(\d+|g%2Fp)(/.*)$", self.gitlab),
                               (r"/(?:job/rotate scim|queue)/", self.jenkins), (r"/org/proj/_apis/pipelines/7(.*)$", self.azure),
                               (r"/api/41/(.*)$", self.rundeck), (r"/api/v2/(.*)$", self.awx), (r"/hook/$", self.webhook),
                               (r"/any$", self.anything)):
            path = urllib.parse.unquote(h.path) if serve == self.jenkins else h.path
            found = re.match(pattern, path)
            if found:
                return serve(h, path, body)
        return 404, {"message": "Not Found"}, {}

    # -- each as its documentation says

    def github(self, h, path, body):
        if h.headers.get("Authorization") != "Bearer " + SECRET:
            return 401, {"message": "Bad credentials"}, {}
        if not h.headers.get("User-Agent") or h.headers.get("X-GitHub-Api-Version") != "2022-11-28":
            return 403, {"message": "Request forbidden by administrative rules."}, {}
        run = re.fullmatch(r"/repos/o/r/actions/runs/(\d+)", path)
        if run:
            number = int(run.group(1))
            if number not in self.state:
                return 404, {"message": "Not Found"}, {}
            status, conclusion = self.state[number]
            return 200, {"id": number, "status": status, "conclusion": conclusion, "html_url": "https://github.example/runs/%d" % number}, {}
        if h.command == "GET":
            return 200, {"id": 1}, {}
        asked = json.loads(body)
        if path == "/repos/o/r/dispatches":
            if len(asked["client_payload"]) > 10 or len(asked["event_type"]) > 100:
                return 422, {"message": "No more than 10 properties are allowed"}, {}
            self.start(asked)
            return 204, b"", {}
        if path != "/repos/o/r/actions/workflows/rotate.yml/dispatches":
            return 404, {"message": "Not Found"}, {}
        if asked["ref"] != "main" or any(not isinstance(v, str) for v in asked["inputs"].values()):
            return 422, {"message": "No ref found for: " + asked["ref"]}, {}
        number = self.start(asked["inputs"])
        if not (asked.get("return_run_details") and self.details):
            return 204, b"", {}
        self.state[number] = ("queued", None)
        return 200, {"workflow_run_id": number, "html_url": "https://github.example/runs/%d" % number}, {}

    def gitlab(self, h, path, body):
        form = dict(urllib.parse.parse_qsl(body.decode()))
        if not path.endswith("/trigger/pipeline") or form.get("token") != SECRET:
            return 404, {"message": "404 Not Found"}, {}
        if form.get("ref") != "main":
            return 400, {"message": {"base": ["Reference not found"]}}, {}
        number = self.start({k[10:-1]: v for k, v in form.items() if k.startswith("variables[")})
        return 201, {"id": number, "status": "created", "web_url": "https://gitlab.example/p/%d" % number}, {}

    def jenkins(self, h, path, body):
        if h.headers.get("Authorization") != "Basic " + base64.b64encode(("bob:" + SECRET).encode()).decode():
            return 401, b"<html>", {}
        if path == "/job/rotate scim/buildWithParameters" and h.command == "POST":
            number = self.start(dict(urllib.parse.parse_qsl(body.decode())))
            self.state[number] = None
            return 201, b"", {"Location": "%s/queue/item/%d/" % (self.url, number)}
        item = re.fullmatch(r"/queue/item/(\d+)/api/json", path)
        if item:
            number = int(item.group(1))
            if self.queued:
                return 200, {"why": "In the quiet period. Expires in 4.9 sec", "cancelled": False}, {}
            return 200, {"why": None, "executable": {"number": 100 + number, "url": "http://jenkins.example/%d/" % number}}, {}
        build = re.fullmatch(r"/job/rotate scim/(\d+)/api/json", path)
        if build:
            return 200, {"building": self.state[int(build.group(1)) - 100] is None, "result": self.state[int(build.group(1)) - 100]}, {}
        return 200, {"buildable": True}, {}

    def azure(self, h, path, body):
        if h.headers.get("Authorization") != "Basic " + base64.b64encode((":" + SECRET).encode()).decode():
            return 203, b"<html>Sign In", {"Content-Type": "text/html"}  # a wrong token is led to a page
        if not path.endswith("api-version=7.1"):
            return 400, {"message": "No api-version was supplied"}, {}
        run = re.search(r"/runs/(\d+)\?", path)
        if run:
            return 200, {"id": int(run.group(1)), **self.state[int(run.group(1))]}, {}
        if h.command == "GET":
            return 200, {"id": 7}, {}
        asked = json.loads(body)
        number = self.start({k: v["value"] for k, v in asked["variables"].items()})
        self.state[number] = {"state": "inProgress"}
        return 200, {"id": number, "state": "inProgress", "_links": {"web": {"href": "https://dev.azure.example/%d" % number}}}, {}

    def rundeck(self, h, path, body):
        if h.headers.get("X-Rundeck-Auth-Token") != SECRET:
            return 403, {"error": True, "errorCode": "unauthorized", "message": "(Token:x) is not authorized"}, {}
        run = re.search(r"/execution/(\d+)$", path)
        if run:
            return 200, {"id": int(run.group(1)), "status": self.state[int(run.group(1))]}, {}
        if h.command == "GET":
            return 200, {"id": "j"}, {}
        number = self.start(json.loads(body)["options"])
        self.state[number] = "running"
        return 200, {"id": number, "status": "running", "permalink": "https://rundeck.example/%d" % number}, {}

    def awx(self, h, path, body):
        if h.headers.get("Authorization") != "Bearer " + SECRET:
            return 401, {"detail": "Authentication credentials were not provided."}, {}
        run = re.search(r"/jobs/(\d+)/$", path)
        if run:
            return 200, {"id": int(run.group(1)), "status": self.state[int(run.group(1))], "job_explanation": ""}, {}
        if path != "/api/v2/job_templates/9/launch/":
            return 404, {"detail": "Not found."}, {}
        if h.command == "GET":
            return 200, {"can_start_without_user_input": True}, {}
        number = self.start(json.loads(body)["extra_vars"])
        self.state[number] = "pending"
        return 201, {"id": number, "job": number, "status": "pending"}, {}

    def anything(self, h, path, body):
        """Takes all, and answers with what self.state says."""
        self.runs.append((h.command, {k.lower(): v for k, v in h.headers.items()}, body.decode()))
        return self.state["any"]

    def webhook(self, h, path, body):
        identity, stamp = h.headers.get("webhook-id"), h.headers.get("webhook-timestamp")
        wanted = hmac.new(KEY, ("%s.%s." % (identity, stamp)).encode() + body, hashlib.sha256).digest()
        if "v1," + base64.b64encode(wanted).decode() not in h.headers.get("webhook-signature", "").split():
            return 401, b"", {}
        if identity not in self.seen_ids:
            self.start(json.loads(body))
        self.seen_ids.add(identity)
        return 204, b"", {}
