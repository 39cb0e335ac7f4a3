#!/usr/bin/env python3
"""Credentials of AWS and signed calls, against a stand-in that checks each signature with python3-botocore."""
import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "servers"))
import aws_server  # noqa: E402

PROGRAM = os.path.join(os.environ["MAILHOOK_BUILD"], "tests/aws-call")
SANITIZERS = {k: v for k, v in os.environ.items() if k.startswith(("ASAN", "UBSAN", "LSAN"))}
ID, KEY = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
STATIC = {"AWS_ACCESS_KEY_ID": ID, "AWS_SECRET_ACCESS_KEY": KEY}
ROLE = "arn:aws:iam::123456789012:role/mailhook-rotate"
OTHER = "arn:aws:iam::123456789012:role/other"
FORM = "application/x-www-form-urlencoded; charset=utf-8"
PAIR = "aws_access_key_id = %s\naws_secret_access_key = %s\n" % (ID, KEY)
IDENTITY = "Action=GetCallerIdentity&Version=2011-06-15"


class Base(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="mailhook-aws.")
        self.aws = aws_server.AwsServer()
        self.aws.roles[ROLE] = {"trust": ["111122223333", "123456789012", "web"], "external_id": None}
        self.aws.roles[OTHER] = {"trust": ["111122223333"], "external_id": "ext-1"}
        self.process = self.write("process", "#!/bin/sh\nprintf '{\"Version\":%s,\"AccessKeyId\":\"%s\",\"SecretAccessKey\":\"" + KEY
                                  + "\"}' \"${1:-1}\" \"${2:-" + ID + "}\"\n", 0o700)

    def tearDown(self):
        self.aws.stop()
        shutil.rmtree(self.dir)

    def write(self, name, text, mode=0o600):
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def conf(self, **values):
        base = {"region": "eu-west-1", "endpoint": self.aws.url}
        base.update(values)
        return self.write("aws.conf", "".join("%s = %s\n" % (k, "{%s}" % ", ".join('"%s"' % x for x in v) if isinstance(v, list)
                                                             else '"%s"' % v) for k, v in base.items() if v is not None))

    def call(self, conf, env=None, account="-", service="sts", path="/", kind=FORM, target="-", body=IDENTITY, headers=(), now=None):
        words = [PROGRAM, conf, account, str(int(now or time.time())), service, path, kind, target, *headers]
        done = subprocess.run(words, input=body, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=30, check=False,
                              env={**SANITIZERS, "AWS_EC2_METADATA_DISABLED": "true", **(env or {})})
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        said = json.loads(done.stdout)
        for secret in [KEY] + [s for keys in self.aws.keys.values() for s in keys[:2] if s]:
            self.assertNotIn(secret, said["words"])
        return said


class AwsTest(Base):
    # -- signatures

    def test_signed(self):
        rows = (
            ("a form", "sts", "/", FORM, "-", IDENTITY, ()),
            ("an action's JSON", "sso", "/", "application/x-amz-json-1.1", "SWBExternalService.ListInstances", '{"MaxResults":10}', ()),
            ("a path", "identitystore", "/identitystore/", "application/x-amz-json-1.1",
             "AWSIdentityStoreService.ListProvisioningTenants", '{"IdentityStoreId":"d-99677abcde"}', ()),
            ("a function by its name", "lambda", "/2015-03-31/functions/rotate/invocations", "application/json", "-",
             '{"account":"123456789012"}', ("X-Amz-Invocation-Type", "Event")),
            ("many bytes, not ASCII", "events", "/", "application/x-amz-json-1.1", "AWSEvents.PutEvents",
             json.dumps({"Entries": [{"Source": "m", "DetailType": "x", "Detail": json.dumps({"t": "\u00e4\u2603" * 40000})}]},
                        ensure_ascii=False), ()),
        )
        for session in (False, True):
            env = dict(STATIC)
            account = "111122223333" if not session else "123456789012"
            self.aws.identity_center.account = account
            if session:
                key_id = self.aws.mint(account)
                env = {"AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": self.aws.keys[key_id][0],
                       "AWS_SESSION_TOKEN": self.aws.keys[key_id][1]}
            for name, service, path, kind, target, body, headers in rows:
                said = self.call(self.conf(), env, service=service, path=path, kind=kind, target=target, body=body, headers=headers)
                self.assertEqual((said["status"], said["words"]), ("ok", ""), name)
        self.assertNotIn("expect", self.aws.calls[-1][1].headers)

    def test_refused_before_it_is_sent(self):
        form = {"service": "sts", "kind": FORM}
        rows = (
            ("a function by its ARN", {**form, "path": "/f/arn%3Aaws%3Alambda/invocations"}),
            ("a query", {**form, "path": "/?a=b"}),
            ("a path that libcurl would not normalise as AWS does", {**form, "path": "/a/../b"}),
            ("two slashes", {**form, "path": "//"}),
            ("a body that libcurl would announce", {**form, "body": "x" * ((1 << 20) + 1)}),
            ("a date of our own", {**form, "headers": ("X-Amz-Date", "20260301T120000Z")}),
            ("a header without value", {**form, "headers": ("X-Amz-Log-Type", "")}),
            ("a header twice", {**form, "headers": ("X-Amz-A", "1", "x-amz-a", "2")}),
        )
        for name, how in rows:
            said = self.call(self.conf(), STATIC, **how)
            self.assertEqual(said["status"], "bad", name)
            self.assertEqual(said["http"], 0, name)
        self.assertEqual(self.aws.calls, [])
        self.assertEqual(self.call(self.conf(), STATIC, body="x" * (1 << 20))["http"], 404, "at the limit")
        self.assertEqual(self.call(self.conf(), {**STATIC, "AWS_ACCESS_KEY_ID": "AKID,x"})["status"], "bad")

    def test_refusals(self):
        rows = (  # fault, status, meaning, words
            ("throttle", "retry", "throttled", "ThrottlingException: Rate exceeded"),
            ("broken", "retry", "broken", "InternalServerException"),
            ("drop", "retry", "no answer", "AWS sts: 127.0.0.1"),
            ("lost", "retry", "no answer", "AWS sts: 127.0.0.1"),
            ("skew", "bad", "skewed", "this machine's clock is wrong (RequestTimeTooSkewed)"),
            ("denied", "bad", "denied", "AccessDeniedException: User is not authorized"),
            ((404, b"<html>", {}), "bad", "gone", "HTTP 404"),
            ((503, b"<html>", {"Retry-After": "7"}), "retry", "broken", "HTTP 503"),
            ((429, b"", {}), "retry", "throttled", "HTTP 429"),
            ((400, b'{"__type":"a#ConflictException","message":"x\\u001by\\nmore"}', {}), "bad", "full", "ConflictException: x\\x1by"),
            ((400, b'{}', {"x-amzn-ErrorType": "ResourceNotFoundException:http://x/"}), "bad", "not found", "ResourceNotFound"),
            ((400, ('{"__type":"X","message":"you sent %s"}' % KEY).encode(), {}), "bad", "refused", "HTTP 400 X"),
            ((302, b"", {"Location": "http://127.0.0.1:1/"}), "bad", "refused", "HTTP 302"),
        )
        for fault, status, meaning, words in rows:
            self.aws.fault("GetCallerIdentity", fault)
            said = self.call(self.conf(), STATIC)
            self.assertEqual((said["status"], said["fault"]), (status, meaning), fault)
            self.assertIn(words, said["words"], fault)
        self.assertEqual(self.call(self.conf(), {**STATIC, "AWS_SECRET_ACCESS_KEY": "wrong"})["fault"], "credentials")
        self.assertEqual(self.call(self.conf(), {**STATIC, "AWS_ACCESS_KEY_ID": "AKIDOTHER"})["fault"], "credentials")
        self.aws.clock_off_s = 3600
        said = self.call(self.conf(), STATIC)
        self.assertEqual(said["fault"], "skewed")
        self.assertIn("clock is wrong (InvalidSignatureException)", said["words"])

    # -- the chain

    def test_chain(self):
        web = self.write("web", "web-token-1\n", 0o644)
        wrong = self.write("wrong", "no-token\n", 0o644)
        self.aws.web_tokens.add("web-token-1")
        self.aws.container_keys = self.aws.mint("111122223333")
        self.aws.container_token = "container-token"
        token = self.write("token", "container-token\n", 0o644)
        broken = self.write("broken-token", "a\nb\n")
        container = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": self.aws.url + "/container",
                     "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": token}
        self.aws.ec2.update(role="ec2-role", answer=lambda: self.aws.keys_as_json(self.aws.mint("111122223333"), Code="Success"))
        ec2 = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": self.aws.url + "/", "AWS_EC2_METADATA_DISABLED": ""}
        webs = {"AWS_ROLE_ARN": ROLE, "AWS_WEB_IDENTITY_TOKEN_FILE": web}
        run = "credential_process = \"%s\"" % self.process
        default, ops = "[default]\n" + PAIR, "[ops]\n" + PAIR
        chained = ("[profile a]\nrole_arn = %s\nsource_profile = b\n[profile b]\nrole_arn = %s\nexternal_id = ext-1\n"
                   "source_profile = c\n[profile c]\n%s\n" % (ROLE, OTHER, run))
        # name, environment, credentials file, config file, configuration, outcome: a source, or "bad: words"
        rows = (
            ("nothing", {}, "", "", {}, "bad: no credentials of AWS"),
            ("environment", STATIC, "", "", {}, "the environment"),
            ("a key without its secret", {"AWS_ACCESS_KEY_ID": ID}, "", "", {}, "bad: AWS_SECRET_ACCESS_KEY is not"),
            ("the environment's ended", {**STATIC, "AWS_CREDENTIAL_EXPIRATION": "2020-01-01T00:00:00Z"}, "", "", {}, "retry: have ended"),
            ("an end that is none", {**STATIC, "AWS_CREDENTIAL_EXPIRATION": "soon"}, "", "", {}, "bad: no time"),
            ("an end with an offset", {**STATIC, "AWS_CREDENTIAL_EXPIRATION": "2099-01-01T00:00:00.123+02:00"}, "", "", {},
             "the environment"),
            ("default profile", {}, default, "", {}, "profile default"),
            ("default of the config file", {}, "", "[default]\n" + PAIR, {}, "profile default"),
            ("default, named so", {}, "", "[profile default]\n" + PAIR, {}, "profile default"),
            ("environment before profile", STATIC, "[default]\n" + run, "", {}, "the environment"),
            ("a profile named here before the environment", {**STATIC, "AWS_ACCESS_KEY_ID": "AKIDOTHER"}, ops, "",
             {"profile": "ops"}, "profile ops"),
            ("a profile named by the environment", {"AWS_PROFILE": "ops"}, ops, "", {}, "profile ops"),
            ("no such profile", {"AWS_PROFILE": "none"}, ops, "", {}, "bad: no profile none"),
            ("a quoted name, comments, another case", {}, "", "# x\n; y\n[profile \"ops\"]\nAWS_Access_Key_Id=%s\n"
             "aws_secret_access_key =%s\ns3 =\n  aws_access_key_id = no\n" % (ID, KEY), {"profile": "ops"}, "profile ops"),
            ("a profile without its secret", {}, "[default]\naws_access_key_id = x\n", "", {}, "bad: without its secret"),
            ("credentials before config", {}, default, "[default]\naws_access_key_id = no\naws_secret_access_key = no\n", {},
             "profile default"),
            ("a process", {}, "", "[default]\n" + run, {}, "credential_process"),
            ("a process with quoted words", {}, "", "[default]\ncredential_process = '%s' \"1\" AKID\\EXAMPLE" % self.process, {},
             "credential_process"),
            ("a process of another version", {}, "", "[default]\n%s 2" % run, {}, "bad: version 1"),
            ("a process that fails", {}, "", "[default]\ncredential_process = /bin/false", {}, "retry: exit status 1"),
            ("a process without a path", {}, "", "[default]\ncredential_process = aws", {}, "bad: whole path"),
            ("a process with an open quote", {}, "", "[default]\ncredential_process = /bin/echo 'x", {}, "bad: quote"),
            ("roles over roles", {}, "", chained, {"profile": "a"}, "the role " + ROLE),
            ("a wrong external id", {}, "", chained.replace("ext-1", "ext-2"), {"profile": "a"}, "bad: AccessDenied"),
            ("a role and its own keys", {}, "", "[profile a]\nrole_arn = %s\nsource_profile = a\n%s" % (ROLE, PAIR), {"profile": "a"},
             "the role " + ROLE),
            ("a circle", {}, "", "[profile a]\nrole_arn = %s\nsource_profile = b\n[profile b]\nrole_arn = %s\nsource_profile = a\n"
             % (ROLE, ROLE), {"profile": "a"}, "bad: in a circle"),
            ("a role without a source", {}, "", "[default]\nrole_arn = %s\n" % ROLE, {}, "bad: needs source_profile"),
            ("a source that is not there", {}, "", "[default]\nrole_arn = %s\nsource_profile = x\n" % ROLE, {}, "bad: is not there"),
            ("a role with a code to type", {}, "", "[default]\nrole_arn = %s\ncredential_source = Environment\nmfa_serial = x\n" % ROLE,
             {}, "bad: mfa_serial"),
            ("a role by a container", container, "", "[default]\nrole_arn = %s\ncredential_source = EcsContainer\n" % ROLE, {},
             "the role " + ROLE),
            ("a role by EC2", ec2, "", "[default]\nrole_arn = %s\ncredential_source = Ec2InstanceMetadata\n" % ROLE, {},
             "the role " + ROLE),
            ("a role by nobody", {}, "", "[default]\nrole_arn = %s\ncredential_source = EcsContainer\n" % ROLE, {}, "bad: nothing is there"),
            ("a login", {}, "", "[default]\nsso_session = x\n", {}, "bad: credential_process can ask"),
            ("web identity", webs, "", "", {}, "the role " + ROLE),
            ("web identity before keys of a profile", webs, default, "", {}, "the role " + ROLE),
            ("web identity of a profile", {}, "", "[default]\nrole_arn = %s\nweb_identity_token_file = %s\n" % (ROLE, web), {},
             "the role " + ROLE),
            ("a wrong web identity", {**webs, "AWS_WEB_IDENTITY_TOKEN_FILE": wrong}, "", "", {}, "bad: InvalidIdentityToken"),
            ("web identity without a role", {"AWS_WEB_IDENTITY_TOKEN_FILE": web}, "", "", {}, "bad: AWS_ROLE_ARN is not"),
            ("web identity without its file", {**webs, "AWS_WEB_IDENTITY_TOKEN_FILE": "/nonexistent"}, "", "", {}, "bad: no such token"),
            ("a container", container, "", "", {}, "the container's credentials"),
            ("a container, its token in the environment", {**container, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "",
                                                           "AWS_CONTAINER_AUTHORIZATION_TOKEN": "container-token"}, "", "", {},
             "the container's credentials"),
            ("a container's token of two lines", {**container, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": broken}, "", "", {}, "bad: no token"),
            ("a container that refuses", {**container, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": wrong}, "", "", {}, "bad: HTTP 401"),
            ("a container anywhere", {**container, "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://192.0.2.1/x"}, "", "", {},
             "bad: 192.0.2.1 is no host"),
            ("EC2", ec2, "", "", {}, "EC2's metadata"),
            ("EC2 switched off", {**ec2, "AWS_EC2_METADATA_DISABLED": "true"}, "", "", {}, "bad: no credentials"),
            ("container before EC2", {**ec2, **container}, "", "", {}, "the container's credentials"),
            ("profile before container", container, default, "", {}, "profile default"),
            ("the configured role", STATIC, "", "", {"role": ROLE}, "the role " + ROLE),
            ("the notice's account's role", STATIC, "", "", {"role": ROLE.replace("123456789012", "{account}"),
                                                             "accounts": ["123456789012"]}, "the role " + ROLE),
            ("the role of an account that is not listed", STATIC, "", "", {"role": ROLE.replace("123456789012", "{account}"),
                                                                           "accounts": ["210987654321"]}, "bad: is not among accounts"),
            ("any account's role", STATIC, "", "", {"role": ROLE.replace("123456789012", "{account}")}, "bad: accounts = {...}"),
            ("external id", STATIC, "", "", {"role": OTHER, "external_id": "ext-1"}, "the role " + OTHER),
            ("without external id", STATIC, "", "", {"role": OTHER}, "bad: AccessDenied"),
            ("a role that is none", STATIC, "", "", {"role": "admin"}, "bad: no ARN"),
            ("an account that is none", STATIC, "", "", {"accounts": ["12345"]}, "bad: 12 digits"),
            ("Region of the environment", {**STATIC, "AWS_REGION": "eu-central-1"}, "", "", {"region": None}, "the environment"),
            ("Region of the profile", STATIC, "", "[default]\nregion = eu-north-1\n", {"region": None}, "the environment"),
            ("no Region", STATIC, "", "", {"region": None}, "bad: no Region"),
            ("a Region that is none", {**STATIC, "AWS_REGION": "../x"}, "", "", {"region": None}, "bad: none of AWS's"),
        )
        for name, env, credentials, config, values, wanted in rows:
            files = {"AWS_SHARED_CREDENTIALS_FILE": self.write("credentials", credentials), "AWS_CONFIG_FILE": self.write("config", config)}
            said = self.call(self.conf(**values), {**files, **env}, account="123456789012")
            kind, _, words = wanted.partition(": ")
            if kind in ("bad", "retry"):
                self.assertEqual(said["status"], kind, "%s: %s" % (name, said))
                self.assertIn(words, said["words"], name)
            else:
                self.assertEqual((said["status"], said["source"], said["words"]), ("ok", wanted, ""), name)
        self.assertEqual({c.region for _, c in self.aws.calls if c.region}, {"eu-west-1", "eu-central-1", "eu-north-1"})

    def test_files_that_others_read(self):
        env = {"AWS_SHARED_CREDENTIALS_FILE": self.write("credentials", "[default]\n" + PAIR, 0o644)}
        said = self.call(self.conf(), env)
        self.assertEqual(said["status"], "bad")
        self.assertIn("others can read the secret", said["words"])
        said = self.call(self.conf(credentials_file="/nonexistent"), {})
        self.assertIn("no such file", said["words"])
        home = os.path.join(self.dir, ".aws")
        os.mkdir(home)
        self.write(".aws/credentials", "[default]\n" + PAIR)
        self.assertEqual(self.call(self.conf(), {"HOME": self.dir})["source"], "profile default")

    def test_ec2(self):
        ec2 = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": self.aws.url, "AWS_EC2_METADATA_DISABLED": ""}
        good = lambda: self.aws.keys_as_json(self.aws.mint("111122223333"), Code="Success")  # noqa: E731
        ended = self.aws.mint("111122223333", 60)
        rows = (
            ("no role", None, True, good, "bad: no credentials"),
            ("version 1 only", "r", False, good, "bad: no credentials"),
            ("HTTP 200 with an error", "r", True, lambda: b'{"Code":"AssumeRoleUnauthorizedAccess","Message":"x"}', "retry: AssumeRole"),
            ("no JSON", "r", True, lambda: b"<html>", "retry: no JSON"),
            ("without keys", "r", True, lambda: b'{"Code":"Success"}', "bad: no credentials"),
            ("a name that climbs", "../x", True, good, "bad: a role that is none"),
            ("keys that end in a minute, for want of others", "r", True, lambda: self.aws.keys_as_json(ended, Code="Success"), "ok: "),
        )
        for name, role, v2, answer, wanted in rows:
            self.aws.ec2.update(role=role, v2=v2, answer=answer)
            said = self.call(self.conf(), ec2)
            self.assertEqual(said["status"], wanted.split(": ")[0], "%s: %s" % (name, said))
            self.assertIn(wanted.split(": ")[1], said["words"], name)
        self.aws.ec2["role"] = "r"
        self.assertEqual(self.call(self.conf(), {**ec2, "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1"})["status"], "bad",
                         "nobody there")

    def test_ended_keys_are_asked_for_anew(self):
        self.aws.container_keys = self.aws.mint("111122223333")
        env = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": self.aws.url + "/container"}
        self.aws.fault("GetCallerIdentity", "expired")
        self.assertEqual(self.call(self.conf(), env)["status"], "ok")
        self.assertEqual(self.aws.count("/container"), 2)
        self.assertEqual(self.aws.count("GetCallerIdentity"), 2)
        self.aws.fault("GetCallerIdentity", "expired", "expired", "expired")
        said = self.call(self.conf(), env)
        self.assertEqual((said["status"], said["fault"]), ("bad", "credentials"), "once")
        self.assertIn("ExpiredTokenException", said["words"])
        self.assertEqual(self.call(self.conf(), env, now=self.aws.now() + 7200)["status"], "retry", "the source has old ones")


# -- the addresses that nothing configures, in a network of our own

WELL_KNOWN = ("127.0.0.1", "169.254.170.2", "169.254.170.23", "169.254.169.254")
INSIDE = "--own-network"


def own_network():
    """Gives loopback the addresses that AWS uses."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for i, address in enumerate(WELL_KNOWN):
            name = b"lo" if i == 0 else b"lo:%d" % i
            fcntl.ioctl(s, 0x8916, struct.pack("16sHH4s8x", name, socket.AF_INET, 0, socket.inet_aton(address)))  # SIOCSIFADDR
            fcntl.ioctl(s, 0x8914, struct.pack("16sH14x", name, 0x41))  # SIOCSIFFLAGS: up, running


class WellKnown(Base):
    def inside(self):
        for address, variables, source in (
                (WELL_KNOWN[1], {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/container/v2/x"}, "the container's credentials"),
                (WELL_KNOWN[2], {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/container/v1"}, "the container's credentials"),
                (WELL_KNOWN[3], {"AWS_EC2_METADATA_DISABLED": ""}, "EC2's metadata")):
            local = aws_server.AwsServer(address=(address, 80))
            self.addCleanup(local.stop)
            local.keys = self.aws.keys
            local.container_keys = self.aws.mint("111122223333")
            local.ec2.update(role="r", answer=lambda s=local: s.keys_as_json(s.container_keys, Code="Success"))
            said = self.call(self.conf(), variables)
            self.assertEqual((said["status"], said["source"], said["key_id"]), ("ok", source, local.container_keys), address)

    def test_addresses(self):
        words = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]
        done = subprocess.run(words + [sys.executable, os.path.abspath(__file__), INSIDE], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("Ran 1 test", done.stdout)


if __name__ == "__main__":
    if INSIDE in sys.argv:
        own_network()
        unittest.main(argv=[sys.argv[0], "WellKnown.inside"])
    unittest.main()
