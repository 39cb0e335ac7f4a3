"""A stand-in for AWS, with state and its traps. AWS itself was never asked.

It checks every signature with Debian's python3-botocore, so that it agrees with something this project did not write;
tests/aws_peer_test.py drives it with botocore's own clients. The services stand in aws_services.py and
identity_center.py. `fault(NAME, WHAT)`: the next call of that name is "drop" (no effect), "lost" (effect, no answer),
"throttle", "skew", "expired", "denied", "broken", or (status, body, headers).
"""
import base64
import datetime
import hmac
import http.server
import json
import threading
import time
import urllib.parse
import uuid

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

import aws_services
import identity_center
import token_server
from aws_services import Refused


class Dropped(Exception):
    pass


class Call:
    """One signed request, taken apart."""

    def __init__(self, handler, body):
        self.method, self.path, self.body = handler.command, handler.path, body
        self.headers = {k.lower(): v for k, v in handler.headers.items()}
        self.service = self.region = self.account = None
        self.target = self.headers.get("x-amz-target", "")

    def json(self):
        return json.loads(self.body or b"{}")

    def form(self):
        pairs = urllib.parse.parse_qsl(self.body.decode(), keep_blank_values=True, strict_parsing=True)
        if len({k for k, _ in pairs}) != len(pairs):
            raise Refused(400, "InvalidParameterValue", "a name twice")
        return dict(pairs)


class AwsServer:
    SKEW_S = 300

    def __init__(self, now=time.time, address=("127.0.0.1", 0)):
        self.now, self.lock = now, threading.RLock()
        self.keys = {"AKIDEXAMPLE": ("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None, "111122223333", None)}
        self.roles = {}  # ARN: {"external_id": ..., "trust": [account or "web"]}
        self.web_tokens, self.container_token, self.container_keys = set(), None, None
        self.ec2 = {"role": None, "v2": True, "answer": None, "tokens": set()}
        self.clock_off_s = 0
        self.calls, self.faults, self.sessions = [], {}, 0
        self.identity_center = identity_center.IdentityCenter(self)
        self.services = aws_services.Services(self)
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                server.answer(self)

            do_GET = do_POST = do_PUT = handle_any

            def log_message(self, *args):
                pass

        self.httpd = token_server.Quiet(address, Handler)
        self.httpd.daemon_threads = True
        self.port = self.httpd.server_port
        self.url = "http://%s:%d" % (address[0], self.port)
        threading.Thread(target=self.httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self):
        self.httpd.shutdown()
        self.httpd.server_close()

    def fault(self, name, *what):
        self.faults.setdefault(name, []).extend(what)

    def count(self, name):
        return sum(n == name for n, _ in self.calls)

    # -- one request

    def answer(self, h):
        body = h.rfile.read(int(h.headers.get("Content-Length") or 0))
        with self.lock:
            try:
                status, data, headers = self.serve(Call(h, body))
            except Dropped:
                h.close_connection = True
                return
        h.send_response(status)
        for k, v in headers.items():
            h.send_header(k, v)
        h.send_header("x-amzn-RequestId", str(uuid.uuid4()))
        h.send_header("Content-Length", str(len(data)))
        h.end_headers()
        h.wfile.write(data)

    def serve(self, call):
        if call.method != "POST" or call.path.startswith("/container"):
            return self.local(call)
        name = self.name(call)
        try:
            fault = self.faults.get(name, []).pop(0) if self.faults.get(name) else None
            if fault == "drop":
                raise Dropped
            if isinstance(fault, tuple):
                self.calls.append((name, call))
                return fault
            self.authenticate(call, name)
            self.calls.append((name, call))
            self.refuse(fault)
            done = self.dispatch(call, name)
            if fault == "lost":
                raise Dropped
            return done
        except Refused as e:
            return self.error(call, e)

    @staticmethod
    def name(call):
        if call.target:
            return call.target
        if "/functions/" in call.path:
            return "Lambda.Invoke"
        return dict(urllib.parse.parse_qsl(call.body.decode("latin-1"))).get("Action", "?")

    @staticmethod
    def refuse(fault):
        kinds = {"throttle": (400, "ThrottlingException", "Rate exceeded"),
                 "skew": (400, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large."),
                 "expired": (400, "ExpiredTokenException", "The security token included in the request is expired"),
                 "denied": (400, "AccessDeniedException", "User is not authorized to perform this action"),
                 "broken": (500, "InternalServerException", "An internal error occurred")}
        if fault in kinds:
            raise Refused(*kinds[fault])

    def error(self, call, e):
        if call.service in ("sts", "sns") or "Action=" in call.body[:40].decode("latin-1"):
            text = ("<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>"
                    "<Code>%s</Code><Message>%s</Message></Error><RequestId>x</RequestId></ErrorResponse>")
            return e.status, (text % (e.code, e.message.replace("<", "&lt;"))).encode(), {"Content-Type": "text/xml"}
        key = "Message" if e.code in ("AccessDeniedException", "InvalidSignatureException") else "message"
        body = json.dumps({"__type": "com.amazonaws.%s#%s" % (call.service or "coral", e.code), key: e.message}).encode()
        return e.status, body, {"Content-Type": call.headers.get("content-type", "application/x-amz-json-1.1")}

    # -- signatures, checked by botocore

    def authenticate(self, call, name):
        if name == "AssumeRoleWithWebIdentity":
            return
        auth = call.headers.get("authorization", "")
        if not auth.startswith("AWS4-HMAC-SHA256 "):
            raise Refused(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
        parts = dict(p.strip().split("=", 1) for p in auth[17:].split(","))
        key_id, date, call.region, call.service, _ = parts["Credential"].split("/")
        if key_id not in self.keys:
            raise Refused(400, "UnrecognizedClientException", "The security token included in the request is invalid.")
        secret, token, call.account, expires = self.keys[key_id]
        if call.headers.get("x-amz-security-token") != token:
            raise Refused(400, "UnrecognizedClientException", "The security token included in the request is invalid.")
        if expires is not None and expires <= self.now():
            raise Refused(400, "ExpiredTokenException", "The security token included in the request is expired")
        stamp = call.headers["x-amz-date"]
        when = datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc).timestamp()
        if abs(when - time.time() - self.clock_off_s) > self.SKEW_S:
            raise Refused(403, "InvalidSignatureException", "Signature expired: %s is now earlier than another time" % stamp)
        signed = parts["SignedHeaders"].split(";")
        must = ["host", "content-type", *(k for k in call.headers if k.startswith("x-amz-"))]
        if not date == stamp[:8] or any(k not in signed for k in must if k in call.headers) or \
                any(k not in call.headers for k in signed) or \
                not hmac.compare_digest(parts["Signature"], self.signature(call, secret, signed)):
            raise Refused(403, "InvalidSignatureException", "The request signature we calculated does not match the "
                          "signature you provided.\n\nThe Canonical String for this request should have been ...")

    @staticmethod
    def signature(call, secret, signed):
        request = AWSRequest(method=call.method, url="http://" + call.headers["host"] + call.path, data=call.body,
                             headers={k: call.headers[k] for k in signed})
        request.context["timestamp"] = call.headers["x-amz-date"]
        auth = SigV4Auth(Credentials("x", secret), call.service, call.region)
        text = auth.string_to_sign(request, auth.canonical_request(request))
        auth.credentials = Credentials("x", secret)
        return auth.signature(text, request)

    # -- who answers

    def dispatch(self, call, name):
        if name in ("AssumeRole", "AssumeRoleWithWebIdentity", "GetCallerIdentity"):
            return self.sts(call, name)
        if name.startswith(("AWSIdentityStoreService.", "SWBExternalService.")):
            return self.identity_center.serve(call, name)
        return self.services.serve(call, name)

    def mint(self, account, life_s=3600):
        self.sessions += 1
        key_id = "ASIAEXAMPLE%d" % self.sessions
        self.keys[key_id] = ("secret%d/+=" % self.sessions, "token%d/+=" % self.sessions + "x" * 300, account, self.now() + life_s)
        return key_id

    def stamp(self, t):
        return datetime.datetime.fromtimestamp(t, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

    def sts(self, call, name):
        form = call.form()
        if form.get("Version") != "2011-06-15":
            raise Refused(400, "InvalidAction", "Could not find operation")
        if name == "GetCallerIdentity":
            text = "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>%s</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
            return 200, (text % call.account).encode(), {"Content-Type": "text/xml"}
        role = self.roles.get(form["RoleArn"])
        if name == "AssumeRoleWithWebIdentity":
            call.service = "sts"
            if form["WebIdentityToken"] not in self.web_tokens:
                raise Refused(400, "InvalidIdentityToken", "No OpenIDConnect provider found")
            trusted = role is not None and "web" in role["trust"]
        else:
            trusted = role is not None and call.account in role["trust"] and role.get("external_id") == form.get("ExternalId")
        if not trusted or not form.get("RoleSessionName"):
            raise Refused(403, "AccessDenied", "User is not authorized to perform: sts:" + name + " on resource: " + form["RoleArn"])
        key_id = self.mint(form["RoleArn"].split(":")[4], int(form.get("DurationSeconds", 3600)))
        secret, token, _, expires = self.keys[key_id]
        text = ("<?xml version=\"1.0\"?><%sResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><%sResult>"
                "<AssumedRoleUser><Arn>x</Arn></AssumedRoleUser><Credentials>"
                "<AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>%s</SessionToken>"
                "<Expiration>%s</Expiration></Credentials></%sResult></%sResponse>")
        return 200, (text % (name, name, key_id, secret, token, self.stamp(expires), name, name)).encode(), {"Content-Type": "text/xml"}

    # -- what runs beside a workload, unsigned: a container's credentials, and EC2's metadata

    def keys_as_json(self, key_id, **more):
        secret, token, _, expires = self.keys[key_id]
        return json.dumps({"AccessKeyId": key_id, "SecretAccessKey": secret, "Token": token,
                           "Expiration": self.stamp(expires), **more}).encode()

    def local(self, call):
        self.calls.append((call.path, call))
        if call.path.startswith("/container"):
            if self.container_token is not None and call.headers.get("authorization") != self.container_token:
                return 401, b'{"code":"Unauthorized","message":"x"}', {}
            return 200, self.keys_as_json(self.container_keys), {"Content-Type": "application/json"}
        if call.method == "PUT" and call.path == "/latest/api/token":
            if not self.ec2["v2"] or not call.headers.get("x-aws-ec2-metadata-token-ttl-seconds", "").isdigit():
                return 405, b"", {}
            token = base64.b64encode(uuid.uuid4().bytes).decode()
            self.ec2["tokens"].add(token)
            return 200, token.encode(), {}
        if call.headers.get("x-aws-ec2-metadata-token") not in self.ec2["tokens"]:
            return 401, b"", {}
        folder = "/latest/meta-data/iam/security-credentials/"
        if call.path == folder and self.ec2["role"]:
            return 200, self.ec2["role"].encode(), {}
        if call.path == folder + str(self.ec2["role"]):
            return 200, self.ec2["answer"](), {}
        return 404, b"", {}
