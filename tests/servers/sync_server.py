"""A stand-in for Microsoft Graph's synchronization of one enterprise application. Microsoft was never asked.

Its traps: what is saved reads back as "*"; a PUT may be refused with 403 or 409 until Graph is consistent, or is seen
only some requests later; validateCredentials says 204 or 400, and the reason is JSON inside the message of JSON; a job
whose token does not work goes into quarantine, and only `start` or a success lifts it.
`fault(NAME, WHAT...)`: the next requests of that name: "drop", "lost", or (status, code, headers).
"""
import datetime
import http.server
import json
import threading
import urllib.parse

import token_server

PRINCIPAL = "11111111-2222-3333-4444-555555555555"
JOB = "AWSIAMIdentityCenter.e4bbf44533ea4eabb17027f3a92e92aa"


class SyncServer:
    def __init__(self, tokens, works, now):
        self.tokens, self.works, self.now, self.lock = tokens, works, now, threading.RLock()
        self.owner = "client-1"
        self.principals = [{"id": PRINCIPAL, "appId": "app-1", "displayName": "AWS IAM Identity Center"}]
        self.jobs = [JOB]
        self.saved = {"BaseAddress": "", "SecretToken": "", "SyncNotificationSettings": "{\"Enabled\":true}", "SyncAll": "false"}
        self.coming, self.lag = None, 0  # what was PUT, seen after so many more requests
        self.replaces = False  # a PUT that drops the keys it does not name
        self.shows_base = True
        self.code, self.quarantine, self.schedule = "Active", None, "Active"
        self.last_success = None
        self.starts, self.puts, self.requests, self.faults = 0, [], [], {}
        self.before = self.after = lambda name: None
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                server.answer(self)

            do_GET = do_POST = do_PUT = handle_any

            def log_message(self, *args):
                pass

        self.httpd = token_server.Quiet(("127.0.0.1", 0), Handler)
        self.httpd.daemon_threads = True
        self.url = "http://127.0.0.1:%d" % self.httpd.server_port
        threading.Thread(target=self.httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self):
        self.httpd.shutdown()
        self.httpd.server_close()

    def fault(self, name, *what):
        self.faults.setdefault(name, []).extend(what)

    # -- what goes on by itself

    def sync(self):
        """One cycle, by the token that is saved."""
        with self.lock:
            if self.schedule != "Active" or self.code in ("Paused", "Quarantine"):
                return False
            if not self.works(self.saved["BaseAddress"], self.saved["SecretToken"]):
                self.hold("EncounteredQuarantineException")
                return False
            self.last_success = self.now()
            return True

    def hold(self, reason):
        self.code, self.quarantine = "Quarantine", reason

    # -- requests

    def answer(self, h):
        body = h.rfile.read(int(h.headers.get("Content-Length") or 0))
        path = urllib.parse.urlsplit(h.path)
        name = self.name(h.command, path.path)
        self.before("graph " + name)
        with self.lock:
            fault = self.faults[name].pop(0) if self.faults.get(name) else None
            self.requests.append(name)
            if fault == "drop":
                done = None
            elif isinstance(fault, tuple):
                done = self.refuse(*fault)
            else:
                done = self.serve(h, name, path, body)
            if self.coming is not None:
                self.lag -= 1
                if self.lag < 0:
                    self.saved, self.coming = self.coming, None
        self.after("graph " + name)
        if done is None or fault == "lost":
            h.close_connection = True
            return
        status, answer, headers = done
        data = b"" if answer is None else json.dumps(answer).encode()
        h.send_response(status)
        for k, v in headers.items():
            h.send_header(k, v)
        h.send_header("request-id", "6ba7b810-9dad-11d1-80b4-00c04fd430c8")
        if status != 204:
            h.send_header("Content-Length", str(len(data)))
        h.end_headers()
        if status != 204:
            h.wfile.write(data)

    @staticmethod
    def name(method, path):
        last = path.rstrip("/").rsplit("/", 1)[-1]
        if last in ("jobs", "secrets", "servicePrincipals", "validateCredentials", "start"):
            return "%s %s" % (method, last)
        return "%s job" % method

    @staticmethod
    def refuse(status, code, headers=None, message="Words of the server."):
        inner = {"code": code, "message": message, "target": None}
        return status, {"error": {"code": "UnknownError", "message": json.dumps({"error": inner}),
                                  "innerError": {"date": "2026-01-01T00:00:00", "request-id": "0"}}}, headers or {}

    def serve(self, h, name, path, body):
        kind, _, token = h.headers.get("Authorization", "").partition(" ")
        client = self.tokens.valid(token) if kind == "Bearer" else None
        if client is None:
            return self.refuse(401, "InvalidAuthenticationToken")
        if not h.headers.get("client-request-id") or (h.command != "GET" and h.headers.get("Content-Type") != "application/json"):
            return self.refuse(400, "BadRequest")
        if client != self.owner:
            return self.refuse(403, "Authorization_RequestDenied")
        if name == "GET servicePrincipals":
            return 200, {"value": self.search(urllib.parse.parse_qs(path.query)["$filter"][0])}, {}
        parts = [urllib.parse.unquote(p) for p in path.path.split("/")]
        if parts[:3] != ["", "v1.0", "servicePrincipals"] or parts[3] not in [p["id"] for p in self.principals]:
            return self.refuse(404, "Request_ResourceNotFound")
        if parts[4] != "synchronization" or (len(parts) > 6 and parts[6] not in self.jobs):
            return self.refuse(404, "NotFound")
        return getattr(self, name.replace(" ", "_"))(json.loads(body or b"{}"))

    def search(self, text):
        if text.startswith("appId eq "):
            return [p for p in self.principals if p["appId"] == text.split("'")[1]]
        assert text.startswith("startswith(displayName,'"), text
        return [p for p in self.principals if p["displayName"].startswith(text.split("'")[1])]

    def job(self, job):
        def instant(t):
            return datetime.datetime.fromtimestamp(t, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S") + ".1234567Z"

        last = None if self.last_success is None else {
            "timeBegan": instant(self.last_success), "timeEnded": instant(self.last_success + 50), "state": "Succeeded"}
        held = None if self.quarantine is None else {"reason": self.quarantine, "seriesCount": 1, "error": None}
        return {"id": job, "templateId": job.split(".")[0], "schedule": {"expiration": None, "interval": "PT40M", "state": self.schedule},
                "status": {"code": self.code, "countSuccessiveCompleteFailures": 0, "lastExecution": last,
                           "lastSuccessfulExecution": last, "quarantine": held}}

    def GET_jobs(self, asked):
        return 200, {"value": [self.job(j) for j in self.jobs]}, {}

    def GET_job(self, asked):
        return 200, self.job(self.jobs[0]), {}

    def GET_secrets(self, asked):
        return 200, {"value": [{"key": k, "value": v if k == "BaseAddress" and self.shows_base else "*"}
                               for k, v in self.saved.items()]}, {}

    def PUT_secrets(self, asked):
        fresh = {} if self.replaces else dict(self.saved)
        fresh.update({p["key"]: p["value"] for p in asked["value"]})
        self.puts.append({p["key"]: p["value"] for p in asked["value"]})
        if self.lag > 0:
            self.coming = fresh
        else:
            self.saved = fresh
        return 204, None, {}

    def POST_validateCredentials(self, asked):
        if asked == {"useSavedCredentials": True}:
            base, token = self.saved["BaseAddress"], self.saved["SecretToken"]
        else:
            pairs = {p["key"]: p["value"] for p in asked["credentials"]}
            base, token = pairs["BaseAddress"], pairs["SecretToken"]
        if self.works(base, token):
            return 204, None, {}
        # a server that gives back what it was sent
        return self.refuse(400, "SystemForCrossDomainIdentityManagementCredentialValidationUnavailable",
                           message="We received this unexpected response from your application: 401 for %s" % token)

    def POST_start(self, asked):
        self.starts += 1
        if self.code in ("Quarantine", "Paused"):
            self.code, self.quarantine = "Active", None
        return 204, None, {}
