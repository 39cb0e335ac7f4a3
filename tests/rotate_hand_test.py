#!/usr/bin/env python3
"""The action rotate: the sealed token, what a person hands over, programs as identity providers, dry runs and checks."""
import json
import os
import re
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "servers"))
import rotation  # noqa: E402
from rotation import EXPIRES, START, World, instant  # noqa: E402

YEAR = 365 * rotation.DAY


class HandTest(rotation.RotationTest):
    # -- the seal

    def test_seal(self):
        def created(**values):
            w = self.world(approval="auto")
            w.center.delay_s = 100
            w.run(**values)
            self.assertEqual(w.state["step"], "CREATED")
            self.assertIn("sealed", w.state)
            return w
        sealed = created(case_key="0123456789abcdef" * 2).state["sealed"]
        rows = (
            ("another key", lambda w: w.write("key", "f" * 64)),
            ("another case's", lambda w: w.state.update(sealed=sealed)),
            ("another step's", lambda w: w.state.update(step="SCIM_OK")),
            ("a bit changed", lambda w: w.state.update(sealed=w.state["sealed"][:-1] + ("0" if w.state["sealed"][-1] != "0" else "1"))),
            ("cut", lambda w: w.state.update(sealed=w.state["sealed"][:40])),
            ("gone", lambda w: w.state.pop("sealed")),
        )
        for name, change in rows:
            w = created()
            first = w.created[0]
            change(w)
            w.t += 150
            last = w.drive()
            self.assertIn(first, [t["TokenId"] for t in w.center.deleted], name + ": the lost one is deleted")
            self.rotated(name, w, last, creates=2)

    def test_unreadable_after_the_save(self):
        w = self.world(approval="auto")
        w.sync.fault("PUT secrets", "lost")
        self.assertEqual(w.drive(rounds=1)["outcome"], "retry")
        self.assertEqual(w.state["mark"], "saving")
        w.state.pop("sealed")
        last = w.run()
        self.assertEqual(last["outcome"], "failed")
        self.assertIn("Both tokens are kept", last["summary"])
        self.assertEqual(len(w.center.tokens), 2)

    def test_sealed_elsewhere(self):
        """By another machine's key: left alone, at any step, until somebody says that nobody has that key any more."""
        rows = (("CREATED", lambda w: setattr(w.center, "delay_s", 100)), ("IDP_SAVED", lambda w: w.sync.fault("GET job", 503)),
                ("saving", lambda w: w.sync.fault("PUT secrets", "lost")))
        for step, stop in rows:
            w = self.world(approval="auto")
            w.others = True
            stop(w)
            w.drive(rounds=1)
            self.assertIn(step, (w.state["step"], w.state["mark"]) + (("IDP_SAVED",) if step == "IDP_SAVED" else ()))
            key, other = w.state["sealed"][:16], w.write("key", "f" * 64)
            w.t += 150
            state, n = dict(w.state), len(w.requests)
            last = w.run()
            self.assertEqual((last["outcome"], last.get("elsewhere")), ("retry", True), step)
            self.assertIn("sealed by key " + key, last["summary"], step)
            self.assertEqual((w.state, w.requests[n:]), (state, []), step + ": nothing was done")
            last = w.run("input", typed="", by="alice")
            self.assertTrue(last["elsewhere"], step + ": nobody is asked for a token")
            os.unlink(other)
            last = w.run()
            self.assertTrue(last["elsewhere"], step)
            self.assertIn("which is to hold key " + key, last["summary"])
            w.write("key", "0123456789abcdef" * 4)
            self.rotated(step, w, w.drive())

    def test_a_lost_key(self):
        w = self.world(approval="auto")
        w.others = True
        w.center.delay_s = 100
        w.drive(rounds=1)
        key, first = w.state["sealed"][:16], w.created[0]
        w.write("key", "f" * 64)
        self.assertTrue(w.run()["elsewhere"])
        w.replace("rotate.conf", "approval = ", 'lost_keys = {"%s"}\napproval = ' % key)
        w.t += 150
        last = w.drive()
        self.assertIn(first, [t["TokenId"] for t in w.center.deleted])
        self.rotated("made anew", w, last, creates=2)

    def test_what_this_machine_lacks(self):
        """A missing file is left to other machines, where there are any; what a server refuses is not."""
        def gone(name):
            return lambda w: os.unlink(os.path.join(w.dir, name))
        rows = (
            ("the key", {}, gone("key"), True),
            ("the configuration", {}, gone("rotate.conf"), True),
            ("the token's configuration", {}, gone("token.conf"), True),
            ("the client's secret", {}, gone("client"), True),
            ("AWS's credentials", {}, lambda w: w.replace("rotate.conf", "console_api {\n", 'console_api {\nprofile = "x"\n'), True),
            ("a program", {"idp": "exec", "exec": {"save": ["/no/such/program"], "verify": ["/no/such/program"]}}, None, True),
            ("a wrong secret", {}, lambda w: w.write("client", "wrong"), False),
            ("a wrong key of AWS", {}, lambda w: w.replace("credentials", "wJalrX", "wJalrY"), False),
        )
        for name, options, change, elsewhere in rows:
            for others in (True, False):
                w = self.world(approval="auto", **options)
                w.others = others
                if change is not None:
                    change(w)
                last = w.run()
                self.assertEqual(bool(last.get("elsewhere")), elsewhere and others, (name, others, last))
                self.assertEqual(last["outcome"] == "retry", elsewhere and others, (name, others, last))
                self.assertEqual((len(w.center.tokens), w.claims), (1, {}), name)

    def test_lacking_in_the_middle(self):
        """No verdict of the provider, however long it lasts: the new token is neither given up nor saved again."""
        for missing in ("token.conf", "credentials"):
            w = self.world(approval="auto")
            w.others = True
            w.center.delay_s = 100
            w.drive(rounds=1)
            w.t += 150
            path = os.path.join(w.dir, missing)
            with open(path, encoding="utf-8") as f:
                text = f.read()
            os.unlink(path)
            for _ in range(3):
                w.t += 2 * rotation.DAY
                last = w.drive(rounds=1)
            if missing == "token.conf":  # AWS is not asked before the deletion
                self.assertTrue(last["elsewhere"], last)
                self.assertEqual((w.state["step"], w.state.get("refused_since")), ("SCIM_OK", None))
            self.assertEqual((len(w.center.tokens), w.center.deleted), (2, []), missing)
            w.write(missing, text)
            w.guarded = False  # its end came meanwhile
            self.rotated(missing, w, w.drive())

    def test_foreign_state(self):
        w = self.world()
        w.state = {"version": 9, "step": "CREATED"}
        last = w.run()
        self.assertEqual(last["outcome"], "failed")
        self.assertEqual(w.requests, [])

    # -- handover

    @staticmethod
    def person(w):
        """Makes a token in the console and types what AWS shows."""
        old = w.center.tokens[0]
        made = w.center.add(w.t + YEAR, created=w.t - 5)
        return "\n".join((old["TokenId"], instant(int(old["ExpirationTime"])), made["TokenId"],
                          instant(int(made["ExpirationTime"])), made["Token"])) + "\n"

    def finish_by_hand(self, w, last):
        self.assertEqual((last["outcome"], last.get("step")), ("waiting", "delete"), last)
        self.assertIn(w.center.tokens[0]["TokenId"], last["summary"])
        w.center.deleted.append(w.center.tokens.pop(0))
        w.t += 5
        w.approvals.append({"step": "delete", "by": "bob", "at": instant(w.t)})
        return w.run()

    def test_handover(self):
        w = self.world(aws="handover")
        w.deny = {"delete"}
        last = w.drive(typed=self.person)
        self.assertIn("AWS takes it too", w.handed["summary"])
        last = self.finish_by_hand(w, last)
        self.assertIn("Token handed over by alice", last["summary"])
        self.assertIn("(a person says so)", last["summary"])
        self.rotated("handover", w, last)
        self.assertFalse([r for r in w.requests if r.startswith("aws")], "no call of AWS but SCIM")

    def test_handover_killed_everywhere(self):
        w = self.world(aws="handover")
        w.deny = {"delete"}
        w.drive(typed=self.person)
        plans = [("request", i, when) for i in range(len(w.requests)) for when in ("before", "after")]
        plans += [("checkpoint", i, when) for i in range(w.checkpoints) for when in ("before", "after")]
        for plan in plans:
            name = "killed at %s %d, %s" % plan
            v = World(aws="handover")
            try:
                v.deny, v.kill = {"delete"}, plan
                made = []

                def typed(world):
                    if not made:
                        made.append(self.person(world))
                    return made[0]
                last = v.drive(typed=typed)
                self.rotated(name, v, self.finish_by_hand(v, last))
            finally:
                v.close()

    def test_wrong_token_deleted_by_hand(self):
        w = self.world(aws="handover")
        w.deny = {"delete"}
        w.drive(typed=self.person)
        w.center.deleted.append(w.center.tokens.pop(1))
        w.guarded = False
        w.t += 5
        w.approvals.append({"step": "delete", "by": "bob", "at": instant(w.t)})
        last = w.run()
        self.assertEqual(last["outcome"], "failed")
        self.assertIn("URGENT, after the deletion", last["summary"])

    def test_typed(self):
        good = "t" * 500
        end, far = instant(EXPIRES), instant(START + YEAR)
        rows = (
            ("all right", ("old-1", end, "new-1", far, good), True, None),
            ("the day alone", ("old-1", end[:10], "new-1", far[:10], good), True, None),
            ("no old one", ("", "", "new-1", far, good), True, None),
            ("spaces around", (" old-1 ", end, "new-1\t", far, " %s " % good), True, None),
            ("another end", ("old-1", far, "new-1", far, good), False, "does not end when the notice says"),
            ("no time", ("old-1", "soon", "new-1", far, good), False, "is no time"),
            ("the same id", ("one", end, "one", far, good), False, "the same id"),
            ("not newer", ("old-1", end, "new-1", end, good), False, "not newer"),
            ("a token for an id", ("old-1", end, good, far, good), False, "looks like a token"),
            ("an id with a space", ("old 1", end, "new-1", far, good), False, "no id has"),
            ("no new id", ("old-1", end, "", far, good), False, "no id"),
            ("half a token", ("old-1", end, "new-1", far, good[:80]), False, "copy it as a whole"),
            ("a token of two words", ("old-1", end, "new-1", far, good + " " + good), False, "plain characters"),
            ("a token with a control character", ("old-1", end, "new-1", far, good + "\x07x"), False, "plain characters"),
            ("a token too long", ("old-1", end, "new-1", far, "x" * 6000), False, "longer than"),
            ("too few lines", ("old-1", end), False, "ended before"),
            ("nothing", (), False, "ended before"),
        )
        for name, lines, taken, words in rows:
            w = self.world(aws="handover")
            w.secrets_seen.append(good)
            self.assertEqual(w.run()["waiting_for"], "input", name)
            last = w.run("input", typed="".join(x + "\n" for x in lines), by="alice")
            said = "\n".join(w.told)
            if taken:
                self.assertEqual(last["waiting_for"], "time", "%s: %s" % (name, last))
                self.assertEqual(w.state["step"], "CREATED", name)
            else:
                self.assertEqual(last["waiting_for"], "input", "%s: %s" % (name, last))
                self.assertIn(words, said, name)
                self.assertNotIn("sealed", json.dumps(w.state), name)
            for piece in (good[:40], "x" * 40):
                self.assertNotIn(piece, said, name)

    def test_handed_token_is_refused(self):
        w = self.world(aws="handover")
        w.run()
        w.run("input", typed="old-1\n%s\nnew-1\n%s\n%s\n" % (instant(EXPIRES), instant(START + YEAR), "t" * 500), by="alice")
        w.t += 700
        self.assertEqual(w.run()["outcome"], "waiting")
        w.t += 700
        last = w.run()
        self.assertEqual((last["waiting_for"], last["step"]), ("input", "token"), last)
        self.assertIn("Token new-1 was given up and is of no use: delete it", last["summary"])
        self.assertNotIn("sealed", w.state)
        w.deny = {"delete"}
        last = w.drive(typed=self.person)
        self.rotated("the second", w, self.finish_by_hand(w, last))

    def test_input_when_nothing_is_asked(self):
        w = self.world()
        last = w.run("input", typed="x\n", by="alice")
        self.assertEqual(last["outcome"], "waiting")
        self.assertIn("no token is asked for", last["summary"])

    # -- exec

    def test_exec(self):
        save = os.path.join(os.environ["MAILHOOK_SOURCE"], "samples/actions/store-token")
        w = self.world(idp="exec", exec={"save": [save, "STORE"], "verify": [save, "--verify", "STORE"]})
        store = os.path.join(w.dir, "provider")
        os.mkdir(store, 0o700)
        w.replace("rotate.conf", "STORE", store)
        w.deny = {"delete"}
        w.sync.works = lambda *a: True
        last = w.drive()
        self.assertEqual(last["step"], "delete", last)
        self.assertIn("cannot be asked", last["summary"])
        with open(os.path.join(store, "token")) as f:
            saved = f.read()
        self.assertEqual(saved, w.center.tokens[1]["Token"])
        self.assertEqual(os.stat(os.path.join(store, "token")).st_mode & 0o777, 0o600)
        w.sync.saved["SecretToken"] = saved
        w.deny = set()
        last = w.drive()
        self.rotated("exec", w, last)

    def test_exec_and_a_persons_token(self):
        """A verify program compares with the new token; of one that was never seen it cannot tell, and that is said."""
        save = os.path.join(os.environ["MAILHOOK_SOURCE"], "samples/actions/store-token")
        w = self.world(idp="exec", exec={"save": [save, "STORE"], "verify": [save, "--verify", "STORE"]}, tokens=(EXPIRES, START + YEAR))
        w.replace("rotate.conf", "STORE", w.dir)
        w.write("token", w.center.tokens[1]["Token"])
        last = w.drive(approve=False)
        self.assertEqual((last["outcome"], last.get("step")), ("waiting", "delete"), last)
        self.assertIn("cannot be asked which of the two", last["summary"])
        self.assertNotIn("works", last["summary"])
        last = w.drive()
        self.rotated("exec, adopted", w, last)
        self.assertIn("cannot be asked whether it works", last["summary"])

    def test_exec_programs(self):
        rows = (
            ("says no", "#!/bin/sh\ncat >/dev/null\necho no such user\nexit 3\n", "failed", "status 3: no such user"),
            ("says not now", "#!/bin/sh\nexit 75\n", "retry", "not now"),
            ("shows the token", "#!/bin/sh\ncat\nexit 1\n", "failed", "holds the token and is not shown"),
            ("shows it in pieces", "#!/bin/sh\nfold -w 40\nexit 1\n", "failed", "holds the token and is not shown"),
            ("hangs", "#!/bin/sh\nexec sleep 60\n", "retry", "did not end in time"),
            ("is killed", "#!/bin/sh\nkill -9 $$\n", "retry", "killed"),
            ("reads nothing", "#!/bin/sh\nexit 0\n", "waiting", "does not tell of its synchronisations"),
        )
        for name, script, outcome, words in rows:
            w = self.world(idp="exec", approval="auto", exec={"save": ["SAVE"], "timeout_s": 1})
            path = w.write("save", script, 0o700)
            w.replace("rotate.conf", "SAVE", path)
            w.run()
            w.t += 20
            last = w.run()
            self.assertEqual(last["outcome"], outcome, "%s: %s" % (name, last))
            self.assertIn(words, last["summary"], name)
            w.broken = []
            w.check(self, name, last)

    # -- describe, check

    def test_describe_changes_nothing(self):
        for name, options, words in (("by API", {}, "made by API"), ("by hand", {"aws": "handover"}, "made by hand")):
            for how in ({"verb": "describe"}, {"observe": True}, {"case": dict(rotation.action.CASE, drill=True, expires=instant(EXPIRES))}):
                w = self.world(**options)
                verb = how.pop("verb", "run")
                last = w.run(verb, **how)
                self.assertEqual(last["outcome"], "done", "%s: %s" % (name, last))
                self.assertIn("would rotate", last["summary"], name)
                self.assertIn(words, last["summary"], name)
                self.assertEqual((w.created, w.sync.puts, w.center.deleted, w.checkpoints), ([], [], [], 0), name)
                self.assertFalse(os.listdir(w.state_dir), name)

    def test_describe_a_sample_asks_nobody(self):
        w = self.world()
        last = w.run("describe", sample=True)
        self.assertEqual((last["outcome"], w.requests), ("done", []))

    def test_check(self):
        w = self.world()
        last = w.run("check")
        self.assertEqual((last["outcome"], w.requests), ("done", []), last)
        last = w.run("check", online=True)
        self.assertEqual(last["outcome"], "done", last)
        self.assertIn("both were asked", last["summary"])
        self.assertEqual((w.created, w.sync.puts), ([], []))
        w.sync.jobs.clear()
        self.assertEqual(w.run("check", online=True)["outcome"], "failed")
        rows = (
            ("no account", {"account": None}, "account is missing"),
            ("a short account", {"account": "123"}, "12 digits"),
            ("no endpoint", {"scim_endpoint": None}, "scim_endpoint is missing"),
            ("an endpoint that is none", {"scim_endpoint": "https://scim.eu-west-1.amazonaws.com/"}, "is not https"),
            ("plain HTTP", {"scim_endpoint": "http://scim.example.com/t/scim/v2/"}, ""),
            ("two regions", {"scim_endpoint": "https://scim.us-east-1.amazonaws.com/t/scim/v2/"}, "in another"),
            ("no key", {"key_file": None}, "key_file is missing"),
            ("another way", {"aws": "console"}, "no way"),
            ("another provider", {"idp": "okta"}, "no identity provider"),
            ("another approval", {"approval": "yes"}, "approval must be"),
            ("an unknown option", {"soak": 7}, "soak"),
        )
        for name, change, words in rows:
            w = self.world()
            conf = w.configure("console-api", "entra", "ask", change)
            self.assertTrue(conf)
            last = w.run("check")
            if name == "plain HTTP":
                last = w.run()
            self.assertIn(last["outcome"], ("failed", "retry"), "%s: %s" % (name, last))
            self.assertIn(words, last["summary"], name)
            self.assertEqual(w.created, [], name)
        w = self.world()
        os.chmod(os.path.join(w.dir, "key"), 0o644)
        self.assertIn("key", w.run("check")["summary"])
        w.write("key", "not hex")
        self.assertIn("64 hex digits", w.run("check")["summary"])

    def test_no_core_file_and_no_debugger(self):
        w = self.world()
        seen = {}

        def look(name):
            if not seen:
                with open("/proc/%d/limits" % w.proc.pid) as f:
                    seen["core"] = re.search(r"Max core file size\s+(\S+)\s+(\S+)", f.read()).groups()
                seen["owner"] = os.stat("/proc/%d/environ" % w.proc.pid).st_uid
        w.sync.before = look
        w.run()
        self.assertEqual(seen["core"], ("0", "0"))


if __name__ == "__main__":
    unittest.main()
