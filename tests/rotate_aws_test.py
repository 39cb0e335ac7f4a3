#!/usr/bin/env python3
"""The sides of a rotation that talk with AWS: the console's calls, whatever they answer, and Secrets Manager."""
import json
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "servers"))
from aws_services import Refused  # noqa: E402
from rotation import ACCOUNT, EXPIRES, START, World  # noqa: E402

PRIVATE = "AWSIdentityStoreService."
LIST, CREATE, DELETE = PRIVATE + "ListBearerTokens", PRIVATE + "CreateBearerToken", PRIVATE + "DeleteBearerToken"
TENANTS, INSTANCES = PRIVATE + "ListProvisioningTenants", "SWBExternalService.ListInstances"


def said(**answer):
    return 200, json.dumps(answer).encode(), {}


class SecretWorld(World):
    """The provider reads its token from a secret: what stands there is what it presents."""
    KEY = None

    def configure(self, aws, idp, approval, options):
        path = super().configure(aws, idp, approval, options)
        with open(path, "a") as f:
            f.write("secrets_manager {\ncredentials_file = \"%s\"\nendpoint = \"%s\"\nsecret = \"SSOSyncSCIMAccessToken\"\n%s}\n"
                    % (os.path.join(self.dir, "credentials"), self.aws.url, "json_key = \"%s\"\n" % self.KEY if self.KEY else ""))
        token = self.center.tokens[-1]["Token"]
        self.secret = self.aws.services.secrets.setdefault("SSOSyncSCIMAccessToken", {"versions": {
            "v" * 32: (json.dumps({"url": "x", self.KEY: token, "n": [1, 2]}) if self.KEY else token, {"AWSCURRENT"})}})
        return path

    def current(self):
        text = self.secret["versions"][self.aws.services.current(self.secret)][0]
        return json.loads(text)[self.KEY] if self.KEY else text

    def works(self):
        self.sync.saved["SecretToken"] = self.current()
        return super().works()

    def check(self, test, name, last, **more):
        self.works()
        super().check(test, name, last, **more)


class JsonSecretWorld(SecretWorld):
    KEY = "scim_token"


class RotateAwsTest(unittest.TestCase):
    def world(self, kind=World, **options):
        w = kind(**options)
        self.addCleanup(w.close)
        return w

    def ends(self, name, w, last, outcome, words, waiting_for=None):
        self.assertEqual((last["outcome"], last.get("waiting_for")), (outcome, waiting_for), "%s: %s" % (name, last))
        self.assertIn(words, last["summary"], name)
        w.check(self, name, last)

    # -- the console's calls

    def test_where_it_is(self):
        def instances(w, *some):
            w.center.instances = list(some)
        rows = (  # what is there, words of the failure
            ("no instance", lambda w: instances(w), "no instance of Identity Center"),
            ("another account's", lambda w: instances(w, w.center.instance(w.center.store, "210987654321")), "belongs to account 210987654321"),
            ("at home elsewhere", lambda w: instances(w, w.center.instance(w.center.store, ACCOUNT, PrimaryRegion="us-east-1")),
             "primary Region is us-east-1, not eu-west-1"),
            ("two", lambda w: instances(w, *(w.center.instance(s, ACCOUNT) for s in (w.center.store, "d-0000000000"))), "identity_store must say"),
            ("a store that is no id", lambda w: instances(w, w.center.instance("d 1\n", ACCOUNT)), "makes no sense"),
            ("another tenant", lambda w: setattr(w.center, "tenants", ["other"]), "knows no tenant"),
            ("another endpoint", lambda w: setattr(w.center, "endpoint", lambda tenant: "https://scim.example/x/scim/v2/"), "another SCIM endpoint"),
            ("no list", lambda w: w.aws.fault(INSTANCES, said(Instances={})), "makes no sense"),
            ("a list without end", lambda w: w.aws.fault(INSTANCES, *[said(Instances=[], NextToken="x")] * 4), "more than 4 pages"),
            ("a wrong signature", lambda w: w.aws.keys.update(AKIDEXAMPLE=("other", None, ACCOUNT, None)), "InvalidSignature"),
            ("a wrong clock", lambda w: setattr(w.aws, "clock_off_s", 3600), "clock is wrong"),
        )
        for name, change, words in rows:
            w = self.world()
            change(w)
            self.ends(name, w, w.drive(), "failed", words)
            self.assertEqual((w.created, len(w.center.tokens)), ([], 1), name)
        w = self.world(identity_store="d-99677abcde")
        instances(w, *(w.center.instance(s, ACCOUNT) for s in ("d-0000000000", w.center.store)))
        self.ends("the one that is named", w, w.drive(), "done", "rotated")
        w = self.world()
        page = w.center.instances
        w.aws.fault(INSTANCES, said(Instances=[], NextToken="n"), None)
        self.ends("on the second page", w, w.drive(), "done", "rotated")
        self.assertEqual(json.loads([c for n, c in w.aws.calls if n == INSTANCES][1].body)["NextToken"], "n")
        self.assertEqual(page, w.center.instances)

    def test_tokens_that_make_no_sense(self):
        def token(**more):
            return {"TokenId": "t-1", "CreationTime": START - 1000.5, "ExpirationTime": EXPIRES, **more}
        rows = (
            ("no end", [token(ExpirationTime=None)], "makes no sense"),
            ("a time in words", [token(CreationTime="2026-01-01")], "makes no sense"),
            ("a time before all", [token(ExpirationTime=-1)], "makes no sense"),
            ("no id", [token(TokenId="")], "makes no sense"),
            ("an id of two lines", [token(TokenId="a\nb")], "makes no sense"),
            ("an id without end", [token(TokenId="x" * 500)], "makes no sense"),
            ("nine", [token(TokenId="t-%d" % i) for i in range(9)], "more than 8 tokens"),
        )
        for name, tokens, words in rows:
            w = self.world()
            w.aws.fault(LIST, said(BearerTokens=tokens))
            self.ends(name, w, w.drive(), "failed", words)
            self.assertEqual(w.created, [], name)

    def test_create_answers(self):
        """An answer without a token is no answer: what was made is found in the list, and nothing is made again."""
        good = {"TokenId": "t", "CreationTime": START, "ExpirationTime": START + 9, "Token": "t" * 520}
        for name, answer in (("no JSON", b"<html>"), ("nothing", b""), ("no token", {k: v for k, v in good.items() if k != "Token"}),
                             ("a short one", {**good, "Token": "t" * 99}), ("one of two lines", {**good, "Token": "t" * 300 + "\n" + "t" * 300}),
                             ("no id", {**good, "TokenId": None})):
            w = self.world()
            body = answer if isinstance(answer, bytes) else json.dumps({"BearerToken": answer}).encode()
            w.aws.fault(CREATE, (200, body, {}))
            last = w.drive()
            self.ends(name, w, last, "done", "rotated")
            self.assertEqual(len(w.created), 1, name + ": the list showed that none was made")
            self.assertEqual(w.aws.count(CREATE), 2, name)

    def test_closed_in_the_middle(self):
        """Gone or denied: what was done stays, and a person goes on."""
        for name in (TENANTS, LIST, CREATE, DELETE):
            for fault in ("denied", (404, b"<html>", {}), (400, b'{"__type":"UnknownOperationException"}', {})):
                w = self.world()
                w.aws.fault(name, *[fault] * 30)
                last = w.drive()
                row = "%s %s" % (name, fault)
                if name == DELETE:
                    self.assertEqual(w.steps.count("delete"), 2, row + ": asked once more, to do it by hand")
                    self.assertIn("is deleted (a person says so)", last["summary"], row)
                    self.assertEqual((len(w.center.tokens), len(w.created)), (2, 1), row)
                    self.assertEqual(w.sync.saved["SecretToken"], w.center.tokens[1]["Token"], row + ": the provider has the new one")
                else:
                    self.assertEqual((last["outcome"], last["waiting_for"]), ("waiting", "input"), "%s: %s" % (row, last))
                    self.assertIn("mailhook handover 7", last["summary"], row)
                    self.assertEqual(w.created, [], row)
                w.check(self, row, last)

    def test_delete_of_what_is_gone(self):
        w = self.world()
        w.aws.fault(DELETE, (400, b'{"__type":"x#ResourceNotFoundException","message":"Token not found"}', {}))
        last = w.drive()
        self.assertEqual(w.aws.count(DELETE) >= 1, True)
        self.assertIn(last["outcome"], ("done", "failed"), last)
        w.check(self, "said to be gone, and listed", last)

    def test_role_of_the_account(self):
        role = "arn:aws:iam::%s:role/mailhook-rotate"
        rows = (("listed", [ACCOUNT], "done", "rotated"), ("not listed", ["210987654321"], "failed", "is not among accounts"))
        for name, accounts, outcome, words in rows:
            w = self.world(console_api={"role": role % "{account}", "accounts": accounts, "external_id": "ext-1"})
            w.aws.keys["AKIDEXAMPLE"] = ("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None, "111122223333", None)
            w.aws.roles[role % ACCOUNT] = {"trust": ["111122223333"], "external_id": "ext-1"}
            self.ends(name, w, w.drive(), outcome, words)

    def test_check(self):
        w = self.world()
        last = w.run("check", online=True)
        self.assertEqual(last["outcome"], "done", last)
        told = "\n".join(w.told)
        self.assertIn("signed in by profile default", told)
        self.assertIn(w.center.tokens[0]["TokenId"] + " until 2026-02-03T04:05:06Z", told)
        self.assertEqual((w.created, w.center.deleted), ([], []))
        w.center.gone = True
        self.assertEqual(w.run("check", online=True)["outcome"], "failed")
        w.requests.clear()
        self.assertEqual(w.run("check")["outcome"], "done")
        self.assertEqual(w.requests, [], "offline asks nobody")
        w = self.world(console_api={"region": "us-east-1"})
        self.assertIn("SCIM endpoint is in", w.run("check")["summary"])

    # -- Secrets Manager

    def test_secret(self):
        for kind in (SecretWorld, JsonSecretWorld):
            name = kind.__name__
            w = self.world(kind, idp="secrets-manager", soak_s=600)
            last = w.drive()
            self.ends(name, w, last, "done", "rotated")
            self.assertEqual([t["Token"] for t in w.center.tokens], [w.current()], name)
            self.assertEqual([e[0] for e in w.aws.services.effects], ["secretsmanager"], name + ": one new version")
            if kind.KEY:
                text = w.secret["versions"][w.aws.services.current(w.secret)][0]
                self.assertEqual({k: v for k, v in json.loads(text).items() if k != kind.KEY}, {"url": "x", "n": [1, 2]})

    def test_secret_of_a_persons_token(self):
        """Whose value was never seen has no digest to compare: that what is saved works is what counts."""
        for kind in (SecretWorld, JsonSecretWorld):
            name = kind.__name__
            w = self.world(kind, idp="secrets-manager", soak_s=600, tokens=(EXPIRES, START + 364 * 86400))
            w.center.tokens[1]["CreationTime"] = START - 86400
            last = w.drive(approve=False)
            self.assertEqual((last["outcome"], last.get("step")), ("waiting", "delete"), "%s: %s" % (name, last))
            self.assertIn("what the identity provider has saved works", last["summary"], name)
            self.ends(name, w, w.drive(), "done", "made by somebody else")
            self.assertEqual([t["Token"] for t in w.center.tokens], [w.current()], name)
            w = self.world(kind, idp="secrets-manager", soak_s=600, tokens=(START + 364 * 86400,))
            self.ends(name, w, w.drive(), "done", "what the identity provider has saved works")

    def test_secret_in_a_refusal(self):
        w = self.world(SecretWorld, idp="secrets-manager", soak_s=600)

        def refuse(asked):
            raise Refused(400, "ValidationException", "value %s is none" % asked["SecretString"])
        w.aws.services.PutSecretValue = refuse
        last = w.drive()
        self.ends("refused", w, last, "failed", "refuses to save the new token")
        self.assertIn("with the token in its words", last["summary"])
        w.check(self, "refused", last)

    def test_secret_killed_and_lost(self):
        w = self.world(SecretWorld, idp="secrets-manager", soak_s=600)
        w.drive()
        requests = [i for i, r in enumerate(w.requests) if r.endswith(("PutSecretValue", "GetSecretValue"))]
        for kind in (SecretWorld, JsonSecretWorld):
            for at in requests:
                for when in ("before", "after"):
                    w = self.world(kind, idp="secrets-manager", soak_s=600)
                    w.kill = ("request", at, when)
                    name = "%s killed %s request %d" % (kind.__name__, when, at)
                    last = w.drive()
                    self.ends(name, w, last, "done", "rotated")
                    self.assertEqual([t["Token"] for t in w.center.tokens], [w.current()], name)
                    self.assertEqual(len(w.aws.services.effects), 1, name + ": one new version")
            for fault in ("lost", "drop", "throttle", "broken"):
                w = self.world(kind, idp="secrets-manager", soak_s=600)
                w.aws.fault("secretsmanager.PutSecretValue", fault)
                self.ends("%s %s" % (kind.__name__, fault), w, w.drive(), "done", "rotated")
                self.assertEqual(len(w.aws.services.effects), 1, fault)

    def test_secret_changed_beside_us(self):
        """Another part of the secret changes between a save whose answer was lost and its second try."""
        w = self.world(JsonSecretWorld, idp="secrets-manager", soak_s=600)
        put = w.aws.services.PutSecretValue

        def and_then_another(asked):
            done = put(asked)
            if len(w.secret["versions"]) == 2:
                text = json.loads(w.secret["versions"][asked["ClientRequestToken"]][0])
                w.secret["versions"]["n" * 32] = (json.dumps({**text, "url": "y"}), set())
                w.aws.services.make_current(w.secret, "n" * 32)
            return done
        w.aws.services.PutSecretValue = and_then_another
        w.aws.fault("secretsmanager.PutSecretValue", "lost")
        last = w.drive()
        self.ends("changed", w, last, "done", "rotated")
        self.assertEqual(json.loads(w.secret["versions"]["n" * 32][0])["url"], "y", "the other's change stays")

    def test_secret_refused(self):
        def gone(w):
            del w.aws.services.secrets["SSOSyncSCIMAccessToken"]

        def no_json(w):
            w.secret["versions"]["v" * 32] = (w.center.tokens[0]["Token"], {"AWSCURRENT"})
        rows = (
            ("no such secret", SecretWorld, gone, "can't find the specified secret"),
            ("no JSON", JsonSecretWorld, no_json, "is no JSON with a text scim_token"),
            ("denied", SecretWorld, lambda w: w.aws.fault("secretsmanager.GetSecretValue", *["denied"] * 9), "AccessDenied"),
        )
        for name, kind, change, words in rows:
            w = self.world(kind, idp="secrets-manager", soak_s=600)
            change(w)
            last = w.run()
            self.assertEqual(last["outcome"], "failed", "%s: %s" % (name, last))
            self.assertIn(words, last["summary"], name)
            self.assertEqual(w.created, [], name + ": found out before anything was made")


if __name__ == "__main__":
    unittest.main()
