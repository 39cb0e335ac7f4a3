"""A stand-in for the SCIM endpoint of IAM Identity Center: what a token opens, and its traps. AWS was never asked.

Whether a token is valid is asked of `valid`. `faults` decide the next answers, one each: None, "drop", "page" (a proxy's
own page), or (status, headers). `half`: ServiceProviderConfig is given to anybody, as some servers do.
"""
import http.server
import json
import threading
import urllib.parse

import token_server


class ScimServer:
    def __init__(self, tenant, valid):
        self.tenant, self.valid, self.lock = tenant, valid, threading.RLock()
        self.requests, self.faults, self.half = [], [], False
        self.before = self.after = lambda name: None
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                server.answer(self)

            def log_message(self, *args):
                pass

        self.httpd = token_server.Quiet(("127.0.0.1", 0), Handler)
        self.httpd.daemon_threads = True
        self.url = "http://127.0.0.1:%d/%s/scim/v2/" % (self.httpd.server_port, tenant)
        threading.Thread(target=self.httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self):
        self.httpd.shutdown()
        self.httpd.server_close()

    def answer(self, h):
        path = urllib.parse.urlsplit(h.path)
        what = path.path.rsplit("/", 1)[-1]
        self.before("scim " + what)
        with self.lock:
            self.requests.append(what)
            fault = self.faults.pop(0) if self.faults else None
            status, body, headers = self.serve(h, path, what, fault)
        self.after("scim " + what)
        if status is None:
            h.close_connection = True
            return
        h.send_response(status)
        for k, v in headers.items():
            h.send_header(k, v)
        h.send_header("Content-Length", str(len(body)))
        h.end_headers()
        h.wfile.write(body)

    def serve(self, h, path, what, fault):
        def say(status, answer, **headers):
            return status, json.dumps(answer).encode(), {"Content-Type": "application/json", **headers}

        if fault == "drop":
            return None, None, None
        if fault == "page":
            return 200, b"<html>log in to the guest network</html>", {"Content-Type": "text/html"}
        if fault is not None:
            return fault[0], b"", fault[1]
        kind, _, token = h.headers.get("Authorization", "").partition(" ")
        known = kind == "Bearer" and path.path.startswith("/%s/scim/v2/" % self.tenant) and self.valid(token)
        if not known and not (self.half and what == "ServiceProviderConfig"):
            return say(401, {"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": "401",
                             "detail": "UnauthorizedException"})
        if what == "ServiceProviderConfig":
            return say(200, {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
                             "patch": {"supported": True}, "filter": {"supported": True, "maxResults": 50}})
        if what == "Users" and urllib.parse.parse_qs(path.query) == {"count": ["1"]}:
            return say(200, {"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": 0,
                             "itemsPerPage": 0, "startIndex": 1, "Resources": []})
        return say(404, {"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": "404"})
