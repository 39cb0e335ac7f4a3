"""A stand-in for Microsoft Graph's sendMail, with state and its refusals. Microsoft was never asked.

Takes tokens of a TokenServer, mails as MIME in base64, and files them by Message-ID. `faults` as in token_server.
"""
import base64
import binascii
import email
import email.policy
import http.server
import json
import threading
import urllib.parse

import token_server


class GraphServer:
    def __init__(self, tokens):
        self.tokens, self.lock = tokens, threading.Lock()
        self.mailboxes = {"mailhook@example.com": "client-1"}  # mailbox: the client that may send as it
        self.mails, self.requests, self.faults = [], [], []
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                server.answer(self)

            def log_message(self, *args):
                pass

        self.httpd = token_server.Quiet(("127.0.0.1", 0), Handler)
        self.httpd.daemon_threads = True
        self.url = "http://localhost:%d" % self.httpd.server_port
        threading.Thread(target=self.httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self):
        self.httpd.shutdown()
        self.httpd.server_close()

    def answer(self, h):
        body = h.rfile.read(int(h.headers["Content-Length"]))
        with self.lock:
            fault = self.faults.pop(0) if self.faults else None
            self.requests.append((h.path, dict(h.headers)))
        if fault == "drop":
            h.close_connection = True
            return
        if fault == "lost":
            self.send_mail(h, body)
            h.close_connection = True
            return
        if fault == "echo":
            fault = (400, {"error": {"code": "x", "message": h.headers["Authorization"]}}, {})
        status, answer, headers = fault if fault is not None else self.send_mail(h, body) + ({},)
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        h.send_response(status)
        for k, v in headers.items():
            h.send_header(k, v)
        h.send_header("Content-Length", str(len(data)))
        h.end_headers()
        h.wfile.write(data)

    def send_mail(self, h, body):
        def refuse(status, code, message):
            return status, {"error": {"code": code, "message": message, "innerError": {"request-id": "0"}}}

        kind, _, token = h.headers.get("Authorization", "").partition(" ")
        client = self.tokens.valid(token) if kind == "Bearer" else None
        if client is None:
            return refuse(401, "InvalidAuthenticationToken", "Access token has expired or is not yet valid.")
        parts = h.path.split("/")
        if len(parts) != 5 or parts[:3] != ["", "v1.0", "users"] or parts[4] != "sendMail":
            return refuse(400, "BadRequest", "Resource not found for the segment '%s'." % parts[-1])
        mailbox = urllib.parse.unquote(parts[3])
        if mailbox not in self.mailboxes:
            return refuse(404, "ErrorInvalidUser", "The requested user '%s' is invalid." % mailbox)
        if self.mailboxes[mailbox] != client:
            return refuse(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
        if h.headers.get("Content-Type") != "text/plain":  # anything else is read as JSON
            return refuse(400, "BadRequest", "Unable to read JSON request payload.")
        try:
            mail = email.message_from_bytes(base64.b64decode(body, validate=True), policy=email.policy.default)
        except binascii.Error:
            return refuse(400, "ErrorMimeContentInvalidBase64String", "Invalid base64 string for MIME content.")
        if mail["From"].addresses[0].addr_spec != mailbox:
            return refuse(403, "ErrorSendAsDenied", "The user account does not have the right to send mail as another.")
        if not mail["To"]:
            return refuse(400, "ErrorInvalidRecipients", "At least one recipient is not valid.")
        self.mails.append(mail)
        return 202, b""
