"""A stand-in OAuth 2.0 token server with state, with the manners of Microsoft's and Google's. No vendor was asked.

Checks grant, client, secret or PS256 assertion (python3-jwt, python3-cryptography), scope and refresh token; rotates
refresh tokens; fails on demand. `faults` is a list: the first entry decides the next answer, None is "none".
"""
import base64
import hashlib
import http.server
import json
import socket
import ssl
import sys
import threading
import time
import urllib.parse

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import serialization

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class Refusal(Exception):
    def __init__(self, status, error, description=""):
        super().__init__(error)
        self.status, self.error, self.description = status, error, description


class Quiet(http.server.ThreadingHTTPServer):
    def __init__(self, *args):
        super().__init__(*args)
        self.talks, self.talks_change = 0, threading.Condition()

    def count(self, n):
        with self.talks_change:
            self.talks += n
            self.talks_change.notify_all()

    def process_request(self, request, client_address):
        self.count(1)
        super().process_request(request, client_address)

    def process_request_thread(self, request, client_address):
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.count(-1)

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError, ssl.SSLError)):
            super().handle_error(request, client_address)


class TokenServer:
    def __init__(self, now=time.time, context=None):
        self.now, self.lock = now, threading.Lock()
        self.secrets, self.certificates = {}, {}  # client id: secret; client id: PEM
        self.scopes = {"https://graph.example/.default"}
        self.life_s, self.rotate = 3600, False
        self.users = {}  # client id: the mailbox that its tokens open
        self.refresh_tokens = {}  # token: client id; ended ones stay with None
        self.issued = {}  # access token: (client id, expires)
        self.seen_jti, self.requests, self.faults = set(), [], []
        self.consent, self.number, self.expires_as_text = True, 0, False
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                server.answer(self)

            def log_message(self, *args):
                pass

        self.httpd = Quiet(("127.0.0.1", 0), Handler)
        self.httpd.daemon_threads = True
        if context is not None:
            self.httpd.socket = context.wrap_socket(self.httpd.socket, server_side=True)
        scheme = "http" if context is None else "https"
        self.base = "%s://localhost:%d" % (scheme, self.httpd.server_port)
        self.url = self.base + "/tenant/oauth2/v2.0/token"
        threading.Thread(target=self.httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self):
        self.httpd.shutdown()
        self.httpd.server_close()

    def settle(self):
        """Waits until all that clients have sent is dealt with, also of clients that were killed meanwhile."""
        with socket.create_connection(("localhost", self.httpd.server_port), timeout=60) as last:  # is accepted last
            last.sendall(b"POST /introspect HTTP/1.0\r\nContent-Length: 0\r\n\r\n")
            while last.recv(4096):
                pass
        with self.httpd.talks_change:
            if not self.httpd.talks_change.wait_for(lambda: self.httpd.talks == 0, 60):
                raise AssertionError("the server is still at work")

    def valid(self, token):
        """The client id that an access token was given to and is still good for, or None."""
        client, expires = self.issued.get(token, (None, 0))
        return client if self.now() < expires else None

    def introspect(self, form):
        """RFC 7662, for a server that takes the tokens: the user is users[client]."""
        client = self.valid(form.get("token", ""))
        if client is None:
            return {"active": False}
        return {"active": "true", "username": self.users.get(client, client)}

    def answer(self, h):
        form = urllib.parse.parse_qsl(h.rfile.read(int(h.headers["Content-Length"])).decode(), keep_blank_values=True)
        if h.path == "/introspect":
            return self.send(h, 200, {}, self.introspect(dict(form)))
        with self.lock:
            fault = self.faults.pop(0) if self.faults else None
            self.requests.append(dict(form))
        headers = {"Content-Type": "application/json"}
        if fault == "stall":
            h.connection.settimeout(20)
            h.connection.recv(1)
        if fault in ("stall", "drop"):
            h.close_connection = True
            return None
        if fault is not None:
            status, body = fault[0], fault[1]
            headers.update(fault[2] if len(fault) > 2 else {})
        else:
            try:
                if len(form) != len(dict(form)) or h.headers.get("Content-Type") != "application/x-www-form-urlencoded":
                    raise Refusal(400, "invalid_request")
                with self.lock:
                    status, body = 200, self.grant(dict(form))
            except Refusal as r:
                status, body = r.status, {"error": r.error, "error_description": r.description, "trace_id": "0"}
        return self.send(h, status, headers, body)

    @staticmethod
    def send(h, status, headers, body):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        h.send_response(status)
        for k, v in headers.items():
            h.send_header(k, v)
        h.send_header("Content-Length", str(len(data)))
        h.end_headers()
        h.wfile.write(data)

    def grant(self, form):
        client = form.get("client_id")
        if client not in self.secrets and client not in self.certificates:
            raise Refusal(400, "unauthorized_client", "AADSTS700016: Application was not found in the directory.\r\nTrace ID: 0")
        self.prove(client, form)
        if form.get("grant_type") == "client_credentials":
            if form.get("scope") not in self.scopes:
                raise Refusal(400, "invalid_scope", "AADSTS70011: The provided scope is not valid.")
            if not self.consent:
                raise Refusal(400, "invalid_grant", "AADSTS65001: The user or administrator has not consented.")
            return self.issue(client, {})
        if form.get("grant_type") == "refresh_token":
            if self.refresh_tokens.get(form.get("refresh_token")) != client:
                raise Refusal(400, "invalid_grant", "Token has been expired or revoked.")
            more = {}
            if self.rotate:
                self.refresh_tokens[form["refresh_token"]] = None
                more["refresh_token"] = "refresh-%d" % (len(self.refresh_tokens) + 1)
                self.refresh_tokens[more["refresh_token"]] = client
            return self.issue(client, more)
        raise Refusal(400, "unsupported_grant_type")

    def issue(self, client, more):
        self.number += 1
        token = "access-%d.%s" % (self.number, "x" * 1500)
        self.issued[token] = (client, self.now() + self.life_s)
        life = str(self.life_s) if self.expires_as_text else self.life_s
        return dict({"token_type": "Bearer", "expires_in": life, "access_token": token}, **more)

    def prove(self, client, form):
        if client in self.certificates:
            return self.prove_by_certificate(client, form)
        if form.get("client_secret") != self.secrets[client]:
            raise Refusal(401, "invalid_client", "AADSTS7000215: Invalid client secret provided.")
        return None

    def prove_by_certificate(self, client, form):
        cert = x509.load_pem_x509_certificate(self.certificates[client].encode())
        der = cert.public_bytes(serialization.Encoding.DER)
        thumb = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()
        try:
            if form.get("client_assertion_type") != ASSERTION or "client_secret" in form:
                raise ValueError("no assertion")
            token = form["client_assertion"]
            head = jwt.get_unverified_header(token)
            if head != {"alg": "PS256", "typ": "JWT", "x5t#S256": thumb}:
                raise ValueError("header")
            claims = jwt.decode(token, cert.public_key(), algorithms=["PS256"], audience=self.url,
                                options={"verify_exp": False, "verify_nbf": False, "verify_iat": False})
            now = self.now()
            if not claims["nbf"] <= now < claims["exp"] or not 300 <= claims["exp"] - claims["nbf"] <= 600:
                raise ValueError("time")
            if claims["iss"] != client or claims["sub"] != client or claims["jti"] in self.seen_jti:
                raise ValueError("claims")
            self.seen_jti.add(claims["jti"])
        except (ValueError, KeyError, jwt.PyJWTError) as e:
            raise Refusal(401, "invalid_client", "AADSTS700027: Client assertion is not valid: %s" % e) from e
