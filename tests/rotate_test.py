#!/usr/bin/env python3
"""The action rotate against stand-ins: each row of the pre-flight table and of the crash matrix, and kills everywhere."""
import json
import os
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "servers"))
import pki  # noqa: E402
import rotation  # noqa: E402
from rotation import DAY, EXPIRES, START, World, instant  # noqa: E402

YEAR = 365 * DAY


class RotateTest(rotation.RotationTest):
    # -- F.3: what is there before

    def test_preflight(self):
        end, far = EXPIRES, START + YEAR - DAY
        rows = (
            ("one, the notice's", (end,), "done", "rotated", 1),
            ("one, a day off", (end + DAY - 1,), "done", "rotated", 1),
            ("one, renewed already", (far,), "done", "nothing to do", 0),
            ("one, neither the notice's nor new", (START + 60 * DAY,), "failed", "does not end when the notice says", 0),
            ("two, the other has ended", (START - DAY, end), "done", "rotated", 1),
            ("two, both ending", (end - 3 * DAY, end), "failed", "which one is in use", 0),
            ("two, both the notice's", (end, end + 60), "failed", "which one is in use", 0),
            ("two, none the notice's", (START + 50 * DAY, far), "failed", "none of the two", 0),
            ("three", (START - DAY, end, far), "failed", "more than two", 0),
            ("none", (), "done", "rotated", 1),
        )
        for name, tokens, outcome, words, creates in rows:
            w = self.world(tokens=tokens)
            last = w.drive()
            self.assertEqual(last["outcome"], outcome, "%s: %s" % (name, last))
            self.assertIn(words, last["summary"], name)
            self.assertEqual(len(w.created), creates, name)
            w.check(self, name, last)
            if words == "rotated":
                self.rotated(name, w, last)
            else:
                self.assertEqual(len(w.center.tokens), len(tokens), name + ": nobody's token is deleted")
                self.assertEqual(w.sync.puts, [], name)

    def test_adopts_a_persons_token(self):
        for name, in_use, outcome in (("the new one is saved", 1, "done"), ("the old one is saved", 0, "failed")):
            w = self.world(tokens=(EXPIRES,), approval="auto")
            w.center.add(START + 364 * DAY, created=START - DAY)
            w.sync.saved["SecretToken"] = w.center.tokens[in_use]["Token"]
            last = w.drive(approve=False)
            self.assertEqual((last["outcome"], last.get("step")), ("waiting", "delete"), name + ": auto or not, a person is asked")
            self.assertIn("somebody has made a new token", last["summary"], name)
            self.assertEqual(len(w.center.tokens), 2, name)
            w.t += 1
            w.approvals.append({"step": "delete", "by": "alice", "at": instant(w.t)})
            w.guarded = False  # what a person approved wrongly is said at once, not prevented
            last = w.run()
            self.assertEqual(last["outcome"], outcome, "%s: %s" % (name, last))
            if outcome == "failed":
                self.assertIn("URGENT", last["summary"], name)
            self.assertEqual(w.created, [], name)
            self.assertEqual(w.sync.puts, [], name)

    def test_renewed_but_not_saved(self):
        w = self.world(tokens=(START + YEAR,))
        w.sync.saved["SecretToken"] = "x" * 500
        last = w.drive()
        self.assertEqual(last["outcome"], "failed")
        self.assertIn("saved does not work", last["summary"])

    # -- F.4: kills

    def test_killed_at_each_request(self):
        w = self.world()
        self.rotated("undisturbed", w, w.drive())
        requests, checkpoints = len(w.requests), w.checkpoints
        self.assertGreater(requests, 25)
        plans = [("request", i, when) for i in range(requests) for when in ("before", "after")]
        plans += [("checkpoint", i, when) for i in range(checkpoints) for when in ("before", "after")]
        orphans = 0
        for plan in plans:
            name = "killed at %s %d, %s (%s)" % (plan + (w.requests[plan[1]] if plan[0] == "request" else "",))
            v = World()
            try:
                v.kill = plan
                last = v.drive()
                self.assertIsNone(v.kill, name + ": it was killed")
                orphan = "orphan" in v.steps
                orphans += orphan
                # a create whose answer was lost is found, shown to a person, deleted, and only then another is made
                self.rotated(name, v, last, creates=2 if orphan else 1)
                self.assertLessEqual(v.sync.starts, 1, name)
            finally:
                v.close()
        self.assertGreaterEqual(orphans, 2, "the effect of a create without a durable answer was met")

    def test_lost_job_has_no_further_effect(self):
        w = self.world(approval="auto")
        w.lease = False
        last = w.run()
        self.assertEqual(last["outcome"], "retry")
        self.assertEqual((w.created, w.sync.puts, w.center.deleted), ([], [], []))

    # -- F.4: the create

    def test_create(self):
        create = "AWSIdentityStoreService.CreateBearerToken"
        rows = (
            ("dropped", "drop", False, 1, "done"),
            ("its answer lost", "lost", True, 2, "done"),
            ("throttled", "throttle", False, 1, "done"),
            ("5xx", (500, b"", {}), False, 1, "done"),
            ("an answer that is none", (200, b"<html>", {}), False, 1, "done"),
        )
        for name, fault, orphan, creates, outcome in rows:
            w = self.world()
            w.aws.fault(create, fault)
            last = w.drive()
            self.assertEqual(last["outcome"], outcome, "%s: %s" % (name, last))
            self.assertEqual("orphan" in w.steps, orphan, name)
            self.rotated(name, w, last, creates=creates)

    def test_orphan_waits_for_a_person(self):
        w = self.world()
        w.aws.fault("AWSIdentityStoreService.CreateBearerToken", "lost")
        w.deny = {"orphan"}
        last = w.drive()
        self.assertEqual(last["step"], "orphan")
        self.assertIn(w.created[0], last["summary"])
        self.assertEqual(len(w.center.tokens), 2, "nothing is deleted on suspicion")
        w.check(self, "orphan", last)
        w = self.world(delete_orphan=True)
        w.aws.fault("AWSIdentityStoreService.CreateBearerToken", "lost")
        w.deny = {"orphan"}
        self.rotated("by policy", w, w.drive(), creates=2)

    def test_orphan_of_another_clock(self):
        """Where AWS's clock and ours differ, our token is none of a person's, and none that goes without a word."""
        for off in (120, -120):
            name = "%d seconds apart" % off
            w = self.world(delete_orphan=True)
            w.aws.fault("AWSIdentityStoreService.CreateBearerToken", "lost")
            make = w.center.CreateBearerToken

            def elsewhere(asked):
                made = make(asked)
                w.center.tokens[-1]["CreationTime"] += off
                return made
            w.center.CreateBearerToken = elsewhere
            w.deny = {"orphan"}
            last = w.drive()
            self.assertEqual(last.get("step"), "orphan", "%s: %s" % (name, last))
            self.assertIn(w.created[0], last["summary"], name)
            self.assertEqual(len(w.center.tokens), 2, name)

    def test_two_tokens_beside_a_create(self):
        """What AWS says cannot be: nothing is deleted, nothing is made, and once it is put right it goes on."""
        w = self.world(approval="auto", delete_orphan=True)
        w.aws.fault("AWSIdentityStoreService.CreateBearerToken", "drop")
        self.assertEqual(w.run()["outcome"], "retry")
        more = [w.center.add(w.t + YEAR, created=w.t) for _ in range(2)]
        w.t += 20
        last = w.run()
        self.assertEqual((last["outcome"], w.created, w.center.deleted), ("failed", [], []), last)
        self.assertIn("2 tokens appeared", last["summary"])
        for t in more:
            w.center.tokens.remove(t)
        w.t += 200
        self.rotated("put right", w, w.drive())

    def test_create_with_an_endless_answer(self):
        """It was made, and what came cannot be read: that is a doubt, and no refusal."""
        w = self.world()
        make = w.center.CreateBearerToken

        def talks(asked):
            made = make(asked)
            w.center.CreateBearerToken = make
            return dict(made, More="x" * (2 << 20))
        w.center.CreateBearerToken = talks
        last = w.drive()
        self.assertIn("orphan", w.steps)
        self.rotated("an answer without end", w, last, creates=2)

    def test_what_never_passes_is_given_up(self):
        """"retry" alone comes to an end in the core: "waiting" would go on for ever, and nobody would hear of it."""
        create = "AWSIdentityStoreService.CreateBearerToken"
        limit = (400, json.dumps({"__type": "com.amazonaws#LimitExceededException", "message": "two"}).encode(), {})
        for name, fault in (("dropped", "drop"), ("5xx", (500, b"", {})), ("two tokens already", limit)):
            w = self.world(approval="auto")
            w.aws.fault(create, *[fault] * 50)
            for _ in range(6):
                last = w.run()
                self.assertEqual(last["outcome"], "retry", "%s: %s" % (name, last))
                w.t += max(60, last.get("retry_after_s", 60))
            self.assertGreaterEqual(50 - len(w.aws.faults[create]), 2, name + ": it was tried")
            self.assertEqual(w.created, [], name)
        w = self.world(tokens=(START - DAY, EXPIRES), approval="auto")
        w.center.DeleteBearerToken = lambda asked: {}  # taken, and not done
        for i in range(3):
            last = w.run(deadline=instant(w.t + 18))
            self.assertEqual(last["outcome"], "retry", last)
            self.assertIn("lists it still", last["summary"])
            self.assertEqual(w.aws.count("AWSIdentityStoreService.DeleteBearerToken"), i + 1, "once a run")
            w.t += 60
        del w.center.DeleteBearerToken
        self.rotated("deleted at last", w, w.drive())

    def test_no_create_in_the_last_seconds(self):
        w = self.world(approval="auto")
        request, lists = w.at_request, []

        def late(what, when):
            request(what, when)
            if what == "aws ListBearerTokens" and when == "before":
                lists.append(what)
                if len(lists) == 2:
                    time.sleep(3.2)
        w.at_request = late
        last = w.run(deadline=instant(w.t + 17))  # a step needs 15
        self.assertEqual((last["outcome"], w.created), ("retry", []), last)
        self.assertEqual(w.state["mark"], "none")
        self.rotated("with time", w, w.drive())

    def test_a_persons_token_is_taken_back(self):
        w = self.world()
        made = w.center.add(START + 364 * DAY, created=START - DAY)
        self.assertEqual(w.drive(approve=False)["step"], "delete")
        w.center.deleted.append(w.center.tokens.pop())
        w.t += 5
        w.approvals.append({"step": "delete", "by": "alice", "at": instant(w.t)})
        last = w.run()
        self.assertEqual((last["outcome"], last.get("step")), ("waiting", "start"), last)
        self.assertNotIn(made["TokenId"], last["summary"])
        second = w.center.add(START + 364 * DAY, created=w.t + 1)
        w.t += 5
        w.approvals.append({"step": "start", "by": "alice", "at": instant(w.t)})
        last = w.run()
        self.assertEqual((last["outcome"], last.get("step")), ("waiting", "delete"), last)
        self.assertIn(second["TokenId"], last["summary"], "the word was about another token: asked again")
        self.assertEqual(len(w.center.tokens), 2)

    def test_somebody_elses_token_in_between(self):
        w = self.world()
        w.aws.fault("AWSIdentityStoreService.CreateBearerToken", "drop")
        w.deny = {"delete"}
        self.assertEqual(w.run()["step"], "start")
        w.approvals.append({"step": "start", "by": "alice", "at": instant(w.t)})
        self.assertEqual(w.run()["outcome"], "retry")
        w.t += 400
        other = w.center.add(w.t + YEAR, created=w.t)
        last = w.drive()
        self.assertIn(other["TokenId"], last["summary"], "it is a person's, and taken for one")
        self.assertEqual((last["step"], w.created), ("delete", []))
        self.assertIn(other, w.center.tokens)

    def test_create_is_refused_or_closed(self):
        create = "AWSIdentityStoreService.CreateBearerToken"
        limit = (400, json.dumps({"__type": "com.amazonaws#LimitExceededException", "message": "two"}).encode(), {})
        w = self.world()
        w.aws.fault(create, limit)
        self.rotated("a limit that passes", w, w.drive())
        for name, fault, gone in (("denied", "denied", False), ("gone", None, True)):
            w = self.world()
            if fault is not None:
                w.aws.fault(create, fault)
            w.center.gone = gone
            last = w.drive()
            self.assertEqual((last["outcome"], last.get("waiting_for")), ("waiting", "input"), "%s: %s" % (name, last))
            self.assertIn("mailhook handover 7", last["summary"], name)
            self.assertIn("by hand", last["summary"], name)
            self.assertEqual(w.created, [], name)

    # -- F.4: SCIM

    def test_scim(self):
        rows = (
            ("429", [(429, {"Retry-After": "7"})], True),
            ("500", [(500, {})], True),
            ("a proxy's page", ["page"], True),
            ("dropped", ["drop"], True),
            ("many", [(429, {}), (503, {}), "drop", (500, {})], True),
        )
        for name, faults, well in rows:
            w = self.world()
            w.scim.faults = list(faults)
            last = w.drive()
            self.rotated(name, w, last)
        w = self.world()
        w.center.delay_s = 90
        self.rotated("a token that needs 90 seconds", w, w.drive())
        w = self.world()
        w.center.delay_s = 10 * DAY
        last = w.drive(rounds=40)
        self.assertEqual(last["outcome"], "failed", last)
        self.assertIn("deleted again", last["summary"])
        self.assertEqual([t["ExpirationTime"] // 1 for t in w.center.tokens], [EXPIRES])
        self.assertGreaterEqual(w.t - START, 600, "it was given its time")
        w.check(self, "never valid", last)
        w = self.world()
        w.center.delay_s, w.scim.half = 60, True
        self.rotated("a server that gives its configuration to anybody", w, w.drive())
        self.assertIn("Users", w.scim.requests)

    # -- F.4: the provider

    def test_validate_refuses(self):
        w = self.world()
        w.scim.valid = lambda value: True  # so that only the provider's word counts
        w.sync.fault("POST validateCredentials", *[(400, "InvalidCredentials", {})] * 300)
        last = w.drive(rounds=250)
        self.assertEqual(last["outcome"], "failed", last)
        self.assertIn("InvalidCredentials", last["summary"])
        self.assertIn("refused", w.steps, "people hear of it before")
        self.assertGreaterEqual(w.t - START, DAY)
        self.assertEqual((w.sync.puts, len(w.center.tokens)), ([], 1))
        w.check(self, "refused", last)

    def test_validate_echoes_the_token(self):
        w = self.world()
        works = w.sync.works
        w.sync.works = lambda base, value: value == w.center.tokens[0]["Token"] and works(base, value)
        last = w.drive(rounds=6)
        self.assertIn("400", last["summary"])
        w.check(self, "echo", last)

    def test_echoes_in_other_letters(self):
        """The words of a refusal are JSON in JSON: a token with its slashes escaped is one all the same, also when the
        action has forgotten it."""
        def echo(token):
            inner = json.dumps({"error": {"code": "InvalidCredentials", "message": "for " + token}}).replace("/", "\\/")
            return 400, {"error": {"code": "UnknownError", "message": inner}}, {}

        def world():
            w = self.world()
            add = w.center.add

            def slashed(*args, **more):
                t = add(*args, **more)
                t["Token"] = "/".join(t["Token"][i:i + 11] for i in range(0, 520, 11))
                return t
            w.center.add = slashed
            return w
        w = world()
        w.sync.POST_validateCredentials = lambda asked: echo({p["key"]: p["value"] for p in asked["credentials"]}["SecretToken"])
        last = w.drive(rounds=4)
        self.assertIn("HTTP 400 InvalidCredentials", last["summary"])
        w.check(self, "new", last)
        w = world()
        w.deny = {"delete"}
        w.drive()
        w.t += 1
        w.approvals.append({"step": "delete", "by": "alice", "at": instant(w.t)})
        w.sync.POST_validateCredentials = lambda asked: echo(w.sync.saved["SecretToken"])
        last = w.run()
        self.assertIn("HTTP 400 InvalidCredentials", last["summary"])
        self.assertEqual(len(w.center.tokens), 2)
        w.check(self, "saved", last)

    def test_provider_faults(self):
        names = ("GET jobs", "GET secrets", "POST validateCredentials", "PUT secrets", "GET job")
        for fault in ((429, "TooManyRequests", {"Retry-After": "30"}), (503, "ServiceUnavailable", {}), "drop", "lost",
                      (401, "InvalidAuthenticationToken", {})):
            for request in names:
                name = "%s: %s" % (request, fault)
                w = World()
                try:
                    w.sync.fault(request, fault)
                    self.rotated(name, w, w.drive())
                finally:
                    w.close()

    def test_wrong_answers(self):
        """What is no answer of Graph is no verdict: a proxy's page, a status that says something else."""
        rows = [("POST validateCredentials", s) for s in (200, 302, 404, 418)] + [("GET job", 200), ("PUT secrets", 200)]
        for request, status in rows:
            w = self.world()
            w.sync.fault(request, (status, "x", {}))
            self.rotated("%s: %d" % (request, status), w, w.drive())
        for request in ("GET jobs", "GET job", "PUT secrets"):
            w = self.world()
            w.sync.fault(request, (418, "x", {}))
            last = w.drive()
            self.assertEqual(last["outcome"], "failed", request)
            self.assertIn("418", last["summary"], request)
            self.assertLessEqual(len(w.created), 1, request)
            self.assertEqual(w.center.deleted, [], request)
            last = w.drive()  # mailhook retry, by a person who saw to it
            self.rotated(request, w, last)

    def test_slow_servers(self):
        """An answer that comes after the time is over is no answer."""
        for name, at in (("SCIM", "scim Users"), ("Graph", "graph PUT secrets"), ("AWS", "aws CreateBearerToken")):
            w = self.world(timeout_s=1)
            request, slow = w.at_request, []

            def late(what, when):
                request(what, when)
                if what == at and when == "after" and not slow:
                    slow.append(what)
                    time.sleep(1.5)
            w.at_request = late
            last = w.drive()
            self.assertEqual(slow, [at], name)
            self.rotated(name, w, last, creates=2 if name == "AWS" else 1)
            self.assertEqual("orphan" in w.steps, name == "AWS", name)

    def test_save_is_refused_for_a_time(self):
        for code in (403, 409):
            w = self.world()
            w.sync.fault("PUT secrets", *[(code, "Directory_ConcurrencyViolation", {})] * 3)
            self.rotated("%d thrice" % code, w, w.drive())
            w = self.world()
            w.sync.fault("PUT secrets", *[(code, "Authorization_RequestDenied", {})] * 50)
            last = w.drive()
            self.assertEqual(last["outcome"], "failed", last)
            self.assertIn("does not let the new token be saved", last["summary"])
            self.assertEqual(len(w.center.tokens), 2, "nothing is deleted")
            w.check(self, "%d for ever" % code, last)

    def test_slow_graph(self):
        w = self.world()
        w.sync.lag = 3  # what is PUT is seen three requests later
        self.rotated("eventually consistent", w, w.drive())

    def test_saved_does_not_work(self):
        w = self.world()
        works = w.sync.works
        w.sync.works = lambda base, value: works(base, value) and w.broken_store is False
        w.broken_store = False
        put = w.sync.PUT_secrets

        def put_badly(asked):
            w.broken_store = True
            return put(asked)
        w.sync.PUT_secrets = put_badly
        last = w.drive()
        self.assertEqual(last["outcome"], "failed", last)
        self.assertIn("URGENT", last["summary"])
        self.assertEqual(len(w.center.tokens), 2, "never delete anything")
        self.assertEqual(len(w.sync.puts), 4, "saved again, a bounded number of times")
        w.check(self, "saved and broken", last)

    def test_lost_settings_are_told(self):
        w = self.world()
        w.sync.replaces = True
        last = w.drive()
        self.assertRegex(last["summary"], "Left for a person: the setting (SyncAll|SyncNotificationSettings)")
        self.rotated("settings", w, last)

    def test_finding(self):
        w = self.world(entra={"service_principal": None, "app_id": "app-1"})
        self.rotated("by appId", w, w.drive())
        w = self.world(entra={"service_principal": None, "display_name": "AWS IAM"})
        self.rotated("by name", w, w.drive())
        rows = (
            ("two applications", lambda s: s.principals.append(dict(s.principals[0], id="x")), "2 service principals"),
            ("no application", lambda s: s.principals.clear(), "0 service principals"),
            ("two jobs", lambda s: s.jobs.append("other.1"), "2 synchronization jobs"),
            ("no job", lambda s: s.jobs.clear(), "0 synchronization jobs"),
            ("another endpoint", lambda s: s.saved.update(BaseAddress="https://scim.example.com/t/scim/v2/"), "another SCIM endpoint"),
            ("not ours", lambda s: setattr(s, "owner", "client-2"), "403"),
        )
        for name, change, words in rows:
            w = self.world(entra={"service_principal": None, "display_name": "AWS IAM"})
            change(w.sync)
            last = w.drive()
            self.assertEqual(last["outcome"], "failed", "%s: %s" % (name, last))
            self.assertIn(words, last["summary"], name)
            self.assertIn("nothing was changed", last["summary"], name)
            self.assertEqual(w.created, [], name)

    def test_client_certificate(self):
        """The client proves itself to Entra ID by a certificate: the token server verifies its PS256 assertions."""
        w = self.world()
        pki.make(w.dir)
        with open(os.path.join(w.dir, "client.pem")) as f:
            w.tokens.certificates["client-1"] = f.read()
        del w.tokens.secrets["client-1"]
        secret = os.path.join(w.dir, "client")
        w.replace("token.conf", "client_secret_file = \"%s\"" % secret,
                  "certificate_file = \"%s/client.pem\"\nkey_file = \"%s/client.key\"" % (w.dir, w.dir))
        w.tokens.now = w.aws.now
        self.rotated("by certificate", w, w.drive())
        self.assertGreaterEqual(len(w.tokens.seen_jti), 1)

    # -- F.4: the job, the soak, the end

    def test_quarantine_is_lifted_once(self):
        w = self.world()
        w.sync.hold("EncounteredQuarantineException")
        w.sync.last_success = START - DAY
        self.rotated("quarantine", w, w.drive())
        self.assertEqual(w.sync.starts, 1)

    def test_paused_is_left_alone(self):
        w = self.world()
        w.sync.code = "Paused"
        last = None
        for _ in range(8):
            last = w.drive(rounds=1)
            if last["outcome"] == "waiting" and last.get("step") == "stopped":
                break
        self.assertEqual(last["step"], "stopped")
        self.assertEqual(w.sync.starts, 0)
        w.sync.code = "Active"
        w.sync.sync()
        self.rotated("started by a person", w, w.drive())

    def test_soak_needs_a_cycle_that_began_after_the_save(self):
        w = self.world()
        w.sync.sync = lambda: None  # nothing goes on by itself
        w.deny = {"delete"}
        last = w.drive(rounds=6)
        self.assertIn("waiting for a synchronisation", last["summary"])
        w.sync.last_success = rotation.seconds(w.state["put_at"]) - 30  # began before, ended after
        self.assertIn("waiting for a synchronisation", w.run()["summary"])
        w.sync.last_success = rotation.seconds(w.state["put_at"]) + 1
        self.assertEqual(w.run()["step"], "delete")

    def test_late_is_an_alarm_not_haste(self):
        w = self.world()
        w.sync.sync = lambda: None
        last = w.drive(rounds=5)
        w.t = EXPIRES - 2 * DAY
        last = w.run()
        self.assertEqual(last["step"], "late")
        self.assertIn("ALARM", last["summary"])
        self.assertEqual(len(w.center.tokens), 2)
        w.t = EXPIRES + 60
        w.guarded = False
        last = w.run()
        self.assertEqual(last["step"], "delete", "the old one has ended: no soak")
        last = w.drive()
        self.assertIn("provisioning did not work from then", last["summary"])
        self.rotated("too late", w, last)

    def test_delete(self):
        delete = "AWSIdentityStoreService.DeleteBearerToken"
        for name, fault in (("lost", "lost"), ("drop", "drop"), ("throttle", "throttle"), ("5xx", (503, b"", {}))):
            w = self.world()
            w.aws.fault(delete, fault)
            self.rotated(name, w, w.drive())
        w = self.world()
        w.deny = {"delete"}
        w.drive()
        w.aws.fault(delete, "denied")
        w.t += 5
        w.approvals.append({"step": "delete", "by": "alice", "at": instant(w.t)})
        last = w.run()
        self.assertEqual((last["step"], last["waiting_for"]), ("delete", "approval"))
        self.assertIn("by hand", last["summary"])
        self.assertIn(w.center.tokens[0]["TokenId"], last["summary"])
        self.assertEqual(len(w.center.tokens), 2)
        self.assertEqual(w.run()["step"], "delete", "the word for the API is none for a person's deed")
        w.center.deleted.append(w.center.tokens.pop(0))
        w.t += 5
        w.approvals.append({"step": "delete", "by": "bob", "at": instant(w.t)})
        last = w.run()
        self.assertIn("bob", last["summary"])
        self.rotated("by hand", w, last)

    def test_the_private_calls_go_away(self):
        """At any step all that was done stays, and a person is told the new token's id, not the token."""
        for name, steps in (("before the delete", {"delete"}), ("while it is proven", set())):
            w = self.world()
            w.deny = steps
            if steps:
                w.drive()
            else:
                w.center.delay_s = 10 * DAY  # it will be given up, and cannot be deleted
                for _ in range(3):
                    w.drive(rounds=1)
            w.center.gone = True
            w.t += 700
            w.approvals.append({"step": "delete", "by": "alice", "at": instant(w.t)})
            last = w.drive(rounds=1) if steps else w.run()
            if not steps:
                w.t += 700
                last = w.run()
            self.assertEqual(last["outcome"], "waiting", "%s: %s" % (name, last))
            self.assertEqual(last["step"], "delete" if steps else "token", name)
            self.assertIn(w.created[0], last["summary"], name)
            self.assertIn("by hand", last["summary"], name)
            self.assertEqual(len(w.center.tokens), 2, name)
            w.check(self, name, last)

    def test_before_the_delete(self):
        def soaked():
            w = self.world()
            w.deny = {"delete"}
            last = w.drive()
            self.assertEqual(last["step"], "delete")
            w.t += 1
            w.approvals.append({"step": "delete", "by": "alice", "at": instant(w.t)})
            return w
        w = soaked()
        w.center.deleted.append(w.center.tokens.pop(1))  # the new one, by somebody
        w.guarded = False
        last = w.run()
        self.assertEqual(last["outcome"], "failed")
        self.assertIn("URGENT", last["summary"])
        self.assertEqual(len(w.center.tokens), 1, "the old one stays")
        w = soaked()
        w.center.tokens[0]["ExpirationTime"] += 7 * DAY
        last = w.run()
        self.assertIn("other times than before", last["summary"])
        self.assertEqual(len(w.center.tokens), 2)
        w = soaked()
        w.center.deleted.append(w.center.tokens.pop(0))
        self.rotated("deleted by somebody already", w, w.run())
        w = soaked()
        w.sync.fault("POST validateCredentials", (503, "x", {}))
        self.assertEqual(w.run()["outcome"], "retry")
        self.assertEqual(len(w.center.tokens), 2)

    # -- approvals

    def test_approvals(self):
        w = self.world(approval="auto")
        w.deny = {"start", "delete"}
        last = w.drive()
        self.rotated("auto", w, last)
        self.assertNotIn("alice", last["summary"])
        w = self.world(approval="ticket-only")
        last = w.drive()
        self.assertEqual((last["outcome"], w.requests), ("skipped", []))
        w = self.world()
        w.approvals.append({"step": None, "by": "alice", "at": instant(w.t)})
        w.deny = {"start", "delete"}
        last = w.drive()
        self.assertEqual(last["step"], "delete", "a word about the case lets it start, and no more")
        self.assertEqual(len(w.center.tokens), 2)

    def test_a_mail_only_starts(self):
        rows = (
            ("another account", {"account": "999999999999"}, "by hand"),
            ("no account", {"account": None}, "by hand"),
            ("another region", {"region": "us-east-1"}, "by hand"),
            ("no date", {"expires": None}, "by hand"),
            ("another kind", {"kind": "aws.acm.certificate"}, "nothing else"),
        )
        for name, change, words in rows:
            w = self.world()
            case = dict(rotation.action.CASE, expires=instant(EXPIRES))
            case.update(change)
            last = w.run(case=case)
            self.assertEqual(last["outcome"], "failed", name)
            self.assertIn(words, last["summary"], name)
            self.assertEqual(w.requests, [], name)

    def test_one_rotation_a_tenant(self):
        w = self.world(approval="auto")
        w.center.delay_s = 100
        self.assertEqual(w.run()["outcome"], "waiting")
        w.state, other = {}, "0123456789abcdef" * 2
        w.center.tokens.pop()  # as another case would plan it
        last = w.run(case_key=other)
        self.assertEqual((last["outcome"], last["step"]), ("waiting", "claimed"), last)
        self.assertIn(rotation.CASE_KEY, last["summary"])
        self.assertEqual(len(w.created), 1)
        self.assertIn("mailhook close " + rotation.CASE_KEY[:8], last["summary"])
        w.claims.clear()  # as the close of its case does
        last = w.run(case_key=other)
        self.assertNotEqual(last.get("step"), "claimed", last)
        self.assertEqual(list(w.claims.values()), [other])

    def test_the_tenant_is_let_go(self):
        """Whenever a run ends with nothing in flight, and never before."""
        w = self.world(approval="ask")
        w.deny = {"delete"}
        for _ in range(60):
            last = w.drive(rounds=1)
            free = w.state.get("step") in (None, "NONE", "PLANNED") and w.state.get("mark") in (None, "none")
            self.assertEqual(w.claims == {}, free, (w.state, last))
            if last.get("step") == "delete":
                break
        self.assertEqual((last["step"], w.state["step"], len(w.claims)), ("delete", "SOAKED", 1))
        w.deny = set()
        last = w.drive()
        self.rotated("let go", w, last)
        self.assertEqual(w.claims, {})

    def test_a_claim_that_is_not_answered(self):
        w = self.world(approval="auto")
        w.lease = False
        last = w.drive(rounds=1)
        self.assertEqual(last["outcome"], "retry")
        self.assertEqual((w.created, len(w.center.tokens)), ([], 1), "no effect without it")


if __name__ == "__main__":
    unittest.main()
