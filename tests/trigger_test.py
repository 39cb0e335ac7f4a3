#!/usr/bin/env python3
"""The action "trigger": every preset against a stand-in with state and the vendor's traps."""
import json
import os
import re
import shutil
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "servers"))
import action  # noqa: E402
import aws_server  # noqa: E402
import job_servers  # noqa: E402
import pki  # noqa: E402
import token_server  # noqa: E402

PROGRAM = os.path.join(os.environ["MAILHOOK_BUILD"], "libexec/mailhook/actions/trigger")
NOW = "2026-01-04T04:05:06Z"
LATER = "2026-01-04T04:10:06Z"
KEY = "0123456789abcdef" * 2
UUID = "01234567-89ab-cdef-0123-456789abcdef"
SANITIZERS = {k: v for k, v in os.environ.items() if k.startswith(("ASAN", "UBSAN", "LSAN"))}
AWS_SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
AWS_ENV = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": AWS_SECRET}
MACHINE = "arn:aws:states:eu-west-1:111122223333:stateMachine:rotate"
EXECUTION = "arn:aws:states:eu-west-1:111122223333:execution:rotate:" + UUID
TOPIC, QUEUE = "arn:aws:sns:eu-west-1:111122223333:t", "https://sqs.eu-west-1.amazonaws.com/111122223333/q"
FACTS = {"action": "go", "job_key": KEY, "case_key": "fedcba9876543210" * 2, "kind": "aws.identity-center.scim-token",
         "account": "123456789012", "account_name": None, "owner": None, "region": "eu-west-1", "resource": None,
         "expires": "2026-02-03T04:05:06Z", "who": "account 123456789012"}


class Trigger(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="mailhook-trigger.")
        self.confs = 0
        self.aws = aws_server.AwsServer()
        self.jobs = job_servers.JobServers()
        self.s = self.aws.services
        self.s.topics.update({TOPIC: {}, TOPIC + ".fifo": {}})
        self.s.queues.update({QUEUE: {}, QUEUE + ".fifo": {}})
        self.s.secrets["scim"] = {"rotation": True, "versions": {"v" * 32: ("old", {"AWSCURRENT"})}}

    def tearDown(self):
        self.jobs.stop()
        self.aws.stop()
        shutil.rmtree(self.dir)

    def write(self, name, text, mode=0o600):
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def conf(self, preset, settings=(), values=("who=account {account}",), aws="", **more):
        self.confs += 1
        lists = {"settings": settings, "values": values}
        text = "preset = \"%s\"\n" % preset if preset else ""
        text += "".join("%s = {%s}\n" % (k, ", ".join(json.dumps(x) for x in v)) for k, v in lists.items() if v)
        text += "".join("%s = %s\n" % (k, v if isinstance(v, (int, bool)) else "{%s}" % ", ".join(map(json.dumps, v))
                                       if isinstance(v, list) else json.dumps(v)) for k, v in more.items()).replace("= True", "= true").replace("= False", "= false")
        text += "aws { region = \"eu-west-1\" endpoint = \"%s\" %s }\n" % (self.aws.url, aws)
        return self.write("go%d.conf" % self.confs, text)

    def http_conf(self, preset, settings, secret=job_servers.SECRET, **more):
        return self.conf(preset, settings, url=more.pop("url", self.jobs.url), secret_file=self.write("secret", secret), **more)

    def run_action(self, conf, state=None, now=NOW, verb="run", lease=lambda: True, **values):
        asked = action.request(conf, now, action="go", state=state or {}, **values)
        r = action.run(PROGRAM, verb, asked, lease=lease, env={**SANITIZERS, **AWS_ENV, "AWS_EC2_METADATA_DISABLED": "true"})
        self.assertIsNotNone(r.last, "no outcome: " + r.stderr)
        told = json.dumps(r.lines) + r.stderr
        for secret in (AWS_SECRET, job_servers.SECRET, job_servers.WEBHOOK_SECRET):
            self.assertNotIn(secret, told)
        r.state = r.checkpoints[-1] if r.checkpoints else (state or {})
        return r

    def expect(self, name, r, outcome, words="", waiting_for=None, step=None):
        self.assertEqual((r.last["outcome"], r.last.get("waiting_for"), r.last.get("step")), (outcome, waiting_for, step),
                         "%s: %s" % (name, r.last))
        self.assertIn(words, r.last["summary"], name)
        return r

    # -- AWS

    def aws_rows(self):
        facts = {**FACTS}
        return (  # preset, settings, effect, has an end, idempotent
            ("lambda", ["function=rotate"], ("lambda", "rotate", facts), False, False),
            ("step-functions", ["state_machine=" + MACHINE], ("states", EXECUTION, facts), True, True),
            ("ssm-automation", ["document=Rotate-Scim"], ("ssm", None, {"who": ["account 123456789012"]}), True, True),
            ("eventbridge", [], ("events", "Credential Expiry", facts), False, False),
            ("sns", ["topic=" + TOPIC], ("sns", None, facts), False, False),
            ("sns-fifo", ["topic=" + TOPIC + ".fifo"], ("sns", None, facts), False, True),
            ("sqs", ["queue=" + QUEUE], ("sqs", None, facts), False, False),
            ("sqs-fifo", ["queue=" + QUEUE + ".fifo"], ("sqs", None, facts), False, True),
            ("rotate-secret", ["secret_id=scim"], ("rotate-secret", "scim", UUID), True, True),
        )

    def check_effects(self, name, effect, n=1):
        self.assertEqual(len(self.s.effects), n, name)
        for kind, identity, what in self.s.effects:
            self.assertEqual((kind, what), (effect[0], effect[2]), name)
            if effect[1] is not None:
                self.assertEqual(identity, effect[1], name)

    def test_aws_started(self):
        for preset, settings, effect, has_end, _ in self.aws_rows():
            self.s.effects.clear()
            r = self.run_action(self.conf(preset, settings))
            if has_end:
                self.expect(preset, r, "waiting", "has not ended yet", "time")
                self.assertEqual(r.last["retry_after_s"], 60)
            else:
                self.expect(preset, r, "waiting", "approve with --step renewed", "approval", "renewed")
            self.check_effects(preset, effect)
            r = self.run_action(self.conf(preset, settings), r.state, LATER)
            self.assertEqual(r.last["outcome"], "waiting", preset)
            self.check_effects(preset + ", looked at again", effect)
            if not has_end:
                r = self.run_action(self.conf(preset, settings), r.state, LATER,
                                    approvals=[{"step": "renewed", "by": "ops", "at": LATER}])
                self.expect(preset, r, "done", "a person says that it is renewed")
                r = self.run_action(self.conf(preset, settings, confirm=False), now=NOW)
                self.expect(preset + ", where the start is enough", r, "done", "started")

    def test_aws_lost_answers(self):
        for preset, settings, effect, _, idempotent in self.aws_rows():
            target = {"lambda": "Lambda.Invoke", "step-functions": "AWSStepFunctions.StartExecution", "sns": "Publish",
                      "ssm-automation": "AmazonSSM.StartAutomationExecution", "eventbridge": "AWSEvents.PutEvents",
                      "sns-fifo": "Publish", "sqs": "AmazonSQS.SendMessage", "sqs-fifo": "AmazonSQS.SendMessage",
                      "rotate-secret": "secretsmanager.RotateSecret"}[preset]
            for fault in ("lost", "drop", "broken", "killed"):
                name = preset + " " + fault
                self.s.effects.clear()
                self.s.executions.clear()
                self.s.automations.clear()
                for known in (*self.s.topics.values(), *self.s.queues.values()):
                    known.clear()
                self.s.secrets["scim"]["versions"].pop(UUID, None)
                if fault == "killed":  # behind the checkpoint, before the request
                    alive = iter((True, False))
                    r = self.run_action(self.conf(preset, settings), lease=lambda: next(alive))
                    r.state = r.checkpoints[0]
                    self.assertEqual(r.state["step"], "starting", name)
                else:
                    self.aws.fault(target, fault)
                    r = self.run_action(self.conf(preset, settings))
                done = 1 if fault in ("lost", "killed") else 0
                self.assertEqual(len(self.s.effects), done, name)
                if idempotent:
                    if fault != "killed":
                        self.expect(name, r, "retry", "with the same key")
                    r = self.run_action(self.conf(preset, settings), r.state, LATER)
                    self.assertEqual(r.last["outcome"], "waiting", name)
                    self.check_effects(name, effect)
                    continue
                if fault == "killed":
                    r = self.run_action(self.conf(preset, settings), r.state, LATER)
                self.expect(name, r, "waiting", "approve with --step start-again", "approval", "start-again")
                self.assertEqual(len(self.s.effects), done, name)
                r = self.run_action(self.conf(preset, settings), r.state, LATER)
                self.expect(name + ", not approved", r, "waiting", "", "approval", "start-again")
                before = [{"step": "start-again", "by": "ops", "at": "2026-01-01T00:00:00Z"}, {"step": None, "by": "ops", "at": LATER}]
                r = self.run_action(self.conf(preset, settings), r.state, LATER, approvals=before)
                self.expect(name + ", approved before it was asked", r, "waiting", "", "approval", "start-again")
                r = self.run_action(self.conf(preset, settings), r.state, LATER,
                                    approvals=[{"step": "start-again", "by": "ops", "at": LATER}])
                self.expect(name + ", approved", r, "waiting", "", "approval", "renewed")
                self.assertEqual([e[2]["job_key"] for e in self.s.effects], [KEY] * done + [KEY[:-1] + "e"], name + ": another start")

    def test_a_word_is_good_for_one_start(self):
        """Lost again in the very second of the word: it was asked anew, and that word is none for a third start."""
        conf, third = self.conf("eventbridge", []), "2026-01-04T04:15:06Z"
        self.aws.fault("AWSEvents.PutEvents", "lost", "lost")
        r = self.expect("lost", self.run_action(conf), "waiting", "", "approval", "start-again")
        words = [{"step": "start-again", "by": "ops", "at": LATER}]
        for now in (LATER, third):
            r = self.run_action(conf, r.state, now, approvals=words)
            self.expect("lost again, at %s" % now, r, "waiting", "", "approval", "start-again")
            self.assertEqual(len(self.s.effects), 2, now)
        words.append({"step": "start-again", "by": "ops", "at": third})
        self.expect("another word", self.run_action(conf, r.state, third, approvals=words), "waiting", "", "approval", "renewed")
        self.assertEqual(len(self.s.effects), 3)

    def test_aws_refusals(self):
        def row(fault, outcome, words):
            return fault, outcome, words
        echo = json.dumps({"__type": "ValidationException", "message": "key " + AWS_SECRET[:30]}).encode()
        self.aws.fault("AWSEvents.PutEvents", (400, echo, {}))
        r = self.expect("an echo of a part", self.run_action(self.conf("eventbridge", [])), "failed", "HTTP 400")
        self.assertNotIn(AWS_SECRET[:20], r.last["summary"])
        rows = (row("throttle", "retry", "ThrottlingException"), row("skew", "failed", "clock is wrong"),
                row("denied", "failed", "AccessDeniedException"),
                row((503, b"", {"Retry-After": "90"}), "retry", "HTTP 503"), row((404, b"<html>", {}), "failed", "HTTP 404"))
        for fault, outcome, words in rows:
            self.aws.fault("Lambda.Invoke", fault)
            r = self.expect(str(fault), self.run_action(self.conf("lambda", ["function=rotate"])), outcome, words)
            self.assertEqual(r.state["step"], "none", "%s: the next attempt begins anew" % (fault,))
        self.assertEqual(self.s.effects, [])
        self.aws.fault("Lambda.Invoke", "expired", "expired")
        self.expect("ended credentials", self.run_action(self.conf("lambda", ["function=rotate"])), "failed", "ExpiredTokenException")
        self.aws.fault("Lambda.Invoke", "expired")
        self.expect("credentials that another look renews", self.run_action(self.conf("lambda", ["function=rotate"])), "waiting",
                    "", "approval", "renewed")
        rows = (  # preset, settings, more, outcome, words
            ("lambda", ["function=none"], {}, "failed", "Function not found"),
            ("lambda", ["function=arn:aws:lambda:eu-west-1:1:function:rotate"], {}, "failed", "cannot sign right"),
            ("eventbridge", ["event_source=aws.x"], {}, "failed", "Not authorized for the source"),
            ("eventbridge", ["bus=none"], {}, "failed", "does not exist"),
            ("step-functions", ["state_machine=" + MACHINE + "x"], {}, "failed", "Does Not Exist"),
            ("step-functions", ["state_machine=rotate"], {}, "failed", "needs execution"),
            ("sns", ["topic=" + TOPIC + ".fifo"], {}, "failed", "MessageGroupId"),
            ("sqs", ["queue=x"], {}, "failed", "does not exist"),
            ("ssm-automation", ["document=x"], {}, "failed", "Document not found"),
            ("rotate-secret", ["secret_id=x"], {}, "failed", "can't find"),
            ("lambda", [], {}, "failed", "needs function"),
            ("lambda", ["function=rotate", "functions=x"], {}, "failed", "no setting \"functions\""),
            ("lambda", ["function=rotate"], {"aws": "role = \"arn:aws:iam::{account}:role/r\" accounts = {\"210987654321\"}"}, "failed",
             "123456789012 is not among accounts"),
            ("none", [], {}, "failed", "there is no preset \"none\""),
            ("", [], {}, "failed", "one of preset and command"),
        )
        self.s.effects.clear()
        for preset, settings, more, outcome, words in rows:
            self.expect(preset + str(settings), self.run_action(self.conf(preset, settings, **more)), outcome, words)
        self.assertEqual(self.s.effects, [])

    def test_aws_ends(self):
        def steps(status):
            self.s.executions[EXECUTION].update(status=status, cause="States.TaskFailed: x")

        def ssm(status):
            list(self.s.automations.values())[0].update(status=status, words="Step 1 failed")

        def secret(done):
            if done:
                self.s.make_current(self.s.secrets["scim"], UUID)
        rows = (
            ("step-functions", ["state_machine=" + MACHINE], steps, "SUCCEEDED", "done", "ended well"),
            ("step-functions", ["state_machine=" + MACHINE], steps, "ABORTED", "failed", "States.TaskFailed: x"),
            ("ssm-automation", ["document=Rotate-Scim"], ssm, "Success", "done", "ended well"),
            ("ssm-automation", ["document=Rotate-Scim"], ssm, "TimedOut", "failed", "Step 1 failed"),
            ("ssm-automation", ["document=Rotate-Scim"], ssm, "Waiting", "waiting", "has not ended yet: Step 1"),
            ("rotate-secret", ["secret_id=scim"], secret, True, "done", "ended well"),
            ("rotate-secret", ["secret_id=scim"], secret, False, "waiting", "has not ended yet"),
        )
        for preset, settings, change, to, outcome, words in rows:
            self.s.executions.clear()
            self.s.automations.clear()
            self.s.secrets["scim"]["versions"] = {"v" * 32: ("old", {"AWSCURRENT"})}
            conf = self.conf(preset, settings)
            r = self.run_action(conf)
            change(to)
            r = self.run_action(conf, r.state, LATER)
            self.expect("%s %s" % (preset, to), r, outcome, words, "time" if outcome == "waiting" else None)
            if outcome == "waiting":
                self.expect(preset + " for ever", self.run_action(conf, r.state, "2026-01-06T04:05:06Z"), "failed",
                            "has not ended for 24 hours")
            elif outcome == "failed":
                self.assertEqual(r.state["step"], "none", preset)
        self.s.executions.clear()
        self.s.effects.clear()
        r = self.run_action(self.conf("step-functions", ["state_machine=" + MACHINE]))
        self.s.executions[EXECUTION].update(status="FAILED")
        r = self.expect("failed", self.run_action(self.conf("step-functions", ["state_machine=" + MACHINE]), r.state, LATER), "failed")
        conf = self.conf("step-functions", ["state_machine=" + MACHINE], values=("who=mended",))
        r = self.expect("tried again by a person", self.run_action(conf, r.state, "2026-01-14T04:05:06Z"), "waiting", "has not ended", "time")
        self.assertEqual([e[2]["who"] for e in self.s.effects], ["account 123456789012", "mended"], "another start, by the new values")
        self.assertEqual([e[2]["job_key"] for e in self.s.effects], [KEY, KEY[:-1] + "e"], "with another key")
        self.assertEqual(self.s.effects[1][1], EXECUTION[:-1] + "e")
        r = self.expect("and followed", self.run_action(conf, r.state, "2026-01-14T04:10:06Z"), "waiting", "has not ended", "time")
        self.s.executions[EXECUTION[:-1] + "e"].update(status="SUCCEEDED")
        self.expect("to its end", self.run_action(conf, r.state, "2026-01-14T04:10:06Z"), "done")
        self.s.executions.clear()
        conf = self.conf("step-functions", ["state_machine=" + MACHINE])
        self.aws.fault("AWSStepFunctions.StartExecution", "lost")
        r = self.run_action(conf)
        self.s.executions[EXECUTION]["status"] = "SUCCEEDED"
        r = self.run_action(conf, r.state, LATER)
        self.expect("ended before the start was repeated", r, "waiting", "has not ended yet", "time")
        self.expect("and then", self.run_action(conf, r.state, LATER), "done", "ended well")
        self.aws.fault("AWSStepFunctions.DescribeExecution", "throttle", "denied")
        self.expect("a look that is refused for now", self.run_action(conf, r.state, LATER), "retry", "Throttling")
        self.expect("a look that is refused", self.run_action(conf, r.state, LATER), "failed", "cannot be followed")

    def test_lambda_wait(self):
        conf = self.conf("lambda-wait", ["function=rotate"])
        self.expect("good", self.run_action(conf), "done", "ended well")
        self.s.functions["rotate"] = lambda payload: (200, {"errorMessage": "no tenant", "errorType": "X"}, "Unhandled")
        self.expect("HTTP 200, and the function failed", self.run_action(conf), "failed", "started, and failed: no tenant")

    def test_previous_rotation(self):
        self.s.secrets["scim"]["versions"]["w" * 32] = ("x", {"AWSPENDING"})
        self.expect("pending", self.run_action(self.conf("rotate-secret", ["secret_id=scim"])), "retry", "previous rotation")

    # -- others

    def http_rows(self):
        who = {"who": "account 123456789012"}
        return (  # preset, settings, more, what was started, [(state, outcome, words)], link
            ("github-workflow", ["owner=o", "repository=r", "workflow=rotate.yml"], {}, who,
             [(("in_progress", None), "waiting", "in_progress"), (("completed", "success"), "done", "ended well"),
              (("completed", "timed_out"), "failed", "timed_out")], "https://github.example/runs/1"),
            ("github-dispatch", ["owner=o", "repository=r"], {}, {"event_type": "mailhook", "client_payload": {"mailhook": FACTS}}, None, None),
            ("gitlab-pipeline", ["project=g/p"], {}, who, None, "https://gitlab.example/p/1"),
            ("jenkins", ["job=rotate scim"], {"user": "bob"}, who,
             [(None, "waiting", "has not ended"), ("SUCCESS", "done", "ended well"), ("ABORTED", "failed", "ABORTED")],
             "http://jenkins.example/1/"),
            ("azure-devops", ["organization=org", "project=proj", "pipeline=7"], {}, who,
             [({"state": "inProgress"}, "waiting", "inProgress"), ({"state": "completed", "result": "succeeded"}, "done", "well"),
              ({"state": "completed", "result": "canceled"}, "failed", "canceled")], "https://dev.azure.example/1"),
            ("rundeck", ["job=j"], {}, who, [("running", "waiting", "running"), ("succeeded", "done", "well"), ("aborted", "failed", "aborted")],
             "https://rundeck.example/1"),
            ("awx", ["template=9"], {}, who, [("running", "waiting", "running"), ("successful", "done", "well"), ("error", "failed", "error")], None),
        )

    def test_http_started_and_followed(self):
        for preset, settings, more, started, states, link in self.http_rows():
            conf = self.http_conf(preset, settings, **more)
            for state, outcome, words in states or [(None, "waiting", "approve with --step renewed")]:
                self.jobs.runs.clear()
                self.jobs.state.clear()
                r = self.run_action(conf)
                self.assertEqual(self.jobs.runs, [started], preset)
                if states:
                    self.expect(preset, r, "waiting", "has not ended yet", "time")
                    self.jobs.state[1] = state
                    r = self.run_action(conf, r.state, LATER)
                    self.expect("%s %s" % (preset, state), r, outcome, words, "time" if outcome == "waiting" else None)
                else:
                    self.expect(preset, r, "waiting", words, "approval", "renewed")
                self.assertEqual(r.last.get("url"), link, preset)
                self.assertEqual(self.jobs.runs, [started], preset)

    def test_http_lost(self):
        for preset, settings, more, started, _, _ in self.http_rows():
            for fault in ("lost", "drop", (502, b"", {})):
                self.jobs.runs.clear()
                self.jobs.faults = [fault]
                conf = self.http_conf(preset, settings, **more)
                name = "%s %s" % (preset, fault)
                r = self.expect(name, self.run_action(conf), "waiting", "is not known", "approval", "start-again")
                r = self.expect(name, self.run_action(conf, r.state, LATER), "waiting", "is not known", "approval", "start-again")
                self.assertEqual(len(self.jobs.runs), 1 if fault == "lost" else 0, name)
                self.jobs.faults = [fault]
                conf = self.http_conf(preset, settings, repeat=True, **more)
                r = self.expect(name + ", where the receiver knows the key", self.run_action(conf), "retry", "with the same key")
            for fault in ((429, b"", {"Retry-After": "77"}), (503, b"", {"Retry-After": "77"})):
                self.jobs.faults = [fault]
                r = self.expect(preset, self.run_action(conf), "retry", "not started")
                self.assertEqual((r.state["step"], r.last["retry_after_s"]), ("none", 77), preset)
            conf = self.http_conf(preset, settings, url="http://127.0.0.1:1", **more)
            r = self.expect(preset + ", nobody there", self.run_action(conf), "retry", "not started")
            self.assertEqual(r.state["step"], "none", preset)
            conf = self.http_conf(preset, settings, secret="wrong", **more)
            self.jobs.runs.clear()
            r = self.expect(preset + ", a wrong secret", self.run_action(conf), "failed", "not started: HTTP ")
            self.assertEqual(self.jobs.runs, [], preset)

    def test_http_details(self):
        github = ["owner=o", "repository=r", "workflow=rotate.yml"]
        self.jobs.details = False
        self.expect("GitHub without run details", self.run_action(self.http_conf("github-workflow", github)), "waiting", "--step renewed",
                    "approval", "renewed")
        self.jobs.details = True
        r = self.run_action(self.http_conf("github-workflow", github))
        self.jobs.state.clear()
        self.expect("a run that is not to be seen yet", self.run_action(self.http_conf("github-workflow", github), r.state, LATER),
                    "waiting", "has not ended yet", "time")
        self.jobs.faults = [(403, {"message": "API rate limit exceeded for user ID 1."}, {})]
        self.expect("GitHub's rate limit", self.run_action(self.http_conf("github-workflow", github)), "retry", "rate limit")
        self.jobs.faults = [(403, {"message": "you sent Bearer " + job_servers.SECRET}, {})]
        self.expect("an echo of the secret", self.run_action(self.http_conf("github-workflow", github)), "failed", "HTTP 403")
        long = "github_pat_" + "0123456789abcdefghij" * 3
        self.jobs.faults = [(403, {"message": "you sent Bearer " + long[:40]}, {})]
        r = self.expect("an echo of a part", self.run_action(self.http_conf("github-workflow", github, secret=long)), "failed", "HTTP 403")
        self.assertNotIn(long[:20], r.last["summary"])
        self.jobs.faults = [(302, b"", {"Location": self.jobs.url + "/x"})]
        self.expect("a redirect", self.run_action(self.http_conf("github-workflow", github)), "failed", "HTTP 302")
        self.jobs.faults = [(200, b"<html>please log in</html>", {})]
        self.expect("a portal's page", self.run_action(self.http_conf("github-workflow", github)), "waiting", "not JSON", "approval", "start-again")
        self.expect("a path that climbs", self.run_action(self.http_conf("github-workflow", ["owner=o", "repository=..", "workflow=x"])),
                    "failed", "cannot stand in a URL")
        self.expect("a name that is a path", self.run_action(self.http_conf("github-workflow", ["owner=o/../x", "repository=r", "workflow=x"])),
                    "failed", "HTTP 404")
        self.assertEqual(self.jobs.requests[-1][1], "/repos/o%2F..%2Fx/r/actions/workflows/x/dispatches")
        conf = self.http_conf("jenkins", ["job=rotate scim"], user="bob")
        r = self.run_action(conf)
        self.jobs.queued = True
        r = self.run_action(conf, r.state, LATER)
        self.expect("Jenkins in the quiet period", r, "waiting", "has not ended yet", "time")
        self.jobs.queued, self.jobs.state[len(self.jobs.runs)] = False, "SUCCESS"
        self.expect("and after", self.run_action(conf, r.state, LATER), "done", "ended well")
        self.jobs.runs.clear()
        hostile = "{account} \"},{\"x\":\"\u00e4\u2603'&=%\n\\"
        conf = self.http_conf("github-dispatch", ["owner=o", "repository=r"], values=("v={resource}",))
        self.run_action(conf, case={**action.CASE, "resource": hostile})
        self.assertEqual(self.jobs.runs[-1]["client_payload"]["mailhook"]["v"], hostile.replace("\n", " "))
        conf = self.http_conf("gitlab-pipeline", ["project=1"], values=("v={resource}", "w={{x}"))
        self.run_action(conf, case={**action.CASE, "resource": hostile})
        self.assertEqual(self.jobs.runs[-1], {"v": hostile.replace("\n", " "), "w": "{x}"})

    def test_webhook(self):
        conf = self.conf("webhook", url=self.jobs.url + "/hook/", secret_file=self.write("hook", job_servers.WEBHOOK_SECRET))
        self.jobs.faults = ["lost", (410, b"", {}), None]
        r = self.expect("lost", self.run_action(conf), "retry", "with the same key")
        r = self.expect("gone", self.run_action(conf, r.state, LATER), "failed", "HTTP 410")
        r = self.run_action(conf, self.run_action(conf).state, LATER)
        self.assertEqual(len(self.jobs.runs), 1, "the receiver knows the id again")
        (body,) = self.jobs.runs
        self.assertEqual(body, {"type": "mailhook.credential.expiring", "timestamp": NOW, "data": FACTS})
        old = "whsec_" + "b" * 32
        conf = self.conf("webhook", url=self.jobs.url + "/hook/", secret_file=self.write("hooks", old + "\n" + job_servers.WEBHOOK_SECRET))
        self.expect("two keys", self.run_action(conf, job_key="f" * 32), "waiting", "", "approval", "renewed")
        for name, secret, words in (("another key", old, "HTTP 401"), ("no base64", "whsec_!!!!", "base64"), ("no key", "whsec_", "base64")):
            conf = self.conf("webhook", url=self.jobs.url + "/hook/", secret_file=self.write("other", secret))
            self.expect(name, self.run_action(conf), "failed", words)

    # -- a program

    def test_program(self):
        log = os.path.join(self.dir, "log")
        rows = (
            ("good", "cat >> %s\necho done it\n" % log, "done", "ended well"),
            ("bad", "cat > /dev/null; echo 'no tenant' >&2; exit 3", "failed", "ended with status 3: no tenant"),
            ("not now", "exit 75", "retry", "not now"),
            ("killed", "kill -9 $$", "waiting", "is not known"),
        )
        for name, script, outcome, words in rows:
            program = self.write("program", "#!/bin/sh\n" + script, 0o700)
            r = self.run_action(self.conf("", command=[program, name]))
            self.expect(name, r, outcome, words, "approval" if outcome == "waiting" else None,
                        "start-again" if outcome == "waiting" else None)
        with open(log) as f:
            self.assertEqual(json.loads(f.read()), FACTS)
        self.expect("none", self.run_action(self.conf("", command=["/nonexistent"])), "failed", "/nonexistent")
        self.expect("no path", self.run_action(self.conf("", command=["x"])), "failed", "whole path")
        self.expect("both", self.run_action(self.conf("lambda", command=["/bin/true"])), "failed", "one of preset and command")

    def test_what_this_machine_lacks(self):
        """A missing file is left to other machines, where there are any; what a server refuses is not."""
        preset, settings, *_ = self.aws_rows()[0]
        rows = (
            ("a program", self.conf("", command=["/nonexistent"]), True),
            ("a secret", self.conf("webhook", url=self.jobs.url + "/hook/", secret_file=self.dir + "/none"), True),
            ("AWS's profile", self.conf(preset, settings, aws='profile = "none"'), True),
            ("another's secret", self.conf("webhook", url=self.jobs.url + "/hook/", secret_file=self.write("hook", "whsec_" + "x" * 32)), False),
        )
        for name, conf, elsewhere in rows:
            for others in (True, False):
                last = self.run_action(conf, others=others).last
                self.assertEqual(bool(last.get("elsewhere")), elsewhere and others, (name, last))
                self.assertEqual(last["outcome"], "retry" if elsewhere and others else "failed", (name, last))

    # -- dry

    def test_describe_and_check(self):
        for preset, settings, *_ in self.aws_rows():
            r = self.expect(preset, self.run_action(self.conf(preset, settings), verb="describe"), "done", "would be started")
            self.assertTrue(any("123456789012" in said or UUID in said for said in r.said), preset)
            self.expect(preset, self.run_action(self.conf(preset, settings), observe=True), "done", "would be started")
            self.expect(preset, self.run_action(self.conf(preset, settings), verb="check"), "done", "configuration is right")
        self.assertEqual(self.aws.calls, [])
        for preset, settings, *_ in self.aws_rows():
            r = self.expect(preset, self.run_action(self.conf(preset, settings), verb="check", online=True), "done", "can be started")
            self.assertIn("signed in by the environment, in eu-west-1", " ".join(r.said), preset)
        self.assertEqual(self.s.effects, [])
        for preset, settings, more, *_ in self.http_rows():
            for secret in (job_servers.SECRET, "wrong-secret"):
                conf = self.http_conf(preset, settings, secret=secret, **more)
                r = self.expect(preset, self.run_action(conf, verb="describe"), "done", "would be started")
                self.assertNotIn(secret, json.dumps(r.lines), preset)
                self.expect(preset, self.run_action(conf, verb="check"), "done", "configuration is right")
                good = secret == job_servers.SECRET or preset in ("gitlab-pipeline",)  # a trigger token can do nothing else
                self.expect(preset, self.run_action(conf, verb="check", online=True), "done" if good else "failed")
        self.assertEqual(self.jobs.runs, [])
        self.expect("a template that is wrong", self.run_action(self.conf("lambda", ["function=rotate"], values=("x={nothing}",)), verb="check"),
                    "failed", "no variable {nothing}")
        big = tuple("v%d=%s" % (i, "\\" * 990) for i in range(30))
        self.expect("a payload that is too long", self.run_action(self.conf("lambda", ["function=rotate"], values=big)), "failed", "more than 24576")
        r = self.run_action(self.conf("lambda", ["function=rotate"], values=big[:11]))
        self.assertLess(len(json.dumps(r.state)), 128 << 10, "the longest state fits")
        self.s.effects.clear()
        self.expect("a name twice", self.run_action(self.conf("lambda", ["function=rotate"], values=("x=1", "x=2")), verb="check"), "failed", "twice")
        self.s.secrets["scim"]["rotation"] = False
        self.expect("a secret without rotation", self.run_action(self.conf("rotate-secret", ["secret_id=scim"]), verb="check", online=True),
                    "failed", "HTTP 200")
        self.expect("a function that is not there", self.run_action(self.conf("lambda", ["function=x"]), verb="check", online=True),
                    "failed", "Function not found")
        self.expect("input", self.run_action(self.conf("lambda", ["function=rotate"]), verb="input"), "skipped")

    def test_oauth_token(self):
        """A kept token that was revoked is asked for anew, once."""
        tokens = token_server.TokenServer(now=lambda: 1767499506)
        self.addCleanup(tokens.stop)
        tokens.secrets["client-1"] = "cl13nt"
        own = self.write("token.conf", "grant = client_credentials\ntoken_url = \"%s\"\nclient_id = client-1\nscope = \"https://graph.example/.default\"\n"
                         "client_secret_file = \"%s\"\ncache_file = \"%s\"\n" % (tokens.url, self.write("client", "cl13nt"), self.dir + "/kept.json"))
        preset = {"title": "own", "needs": {"secret": "x"}, "requests": {"start": {
            "method": "POST", "url": "{url}/any", "headers": {"Authorization": "Bearer {secret}"}}}}
        conf = self.conf(self.write("own.preset", json.dumps(preset)), url=self.jobs.url, token=own)

        def takes(h, path, body):
            token = h.headers["Authorization"].partition(" ")[2]
            if tokens.valid(token) != "client-1":
                return 401, {"message": "x " + token}, {}
            self.jobs.runs.append(token)
            return 204, b"", {}
        self.jobs.anything = takes
        self.expect("first", self.run_action(conf), "waiting", "", "approval", "renewed")
        tokens.issued.clear()
        r = self.expect("revoked", self.run_action(conf), "waiting", "", "approval", "renewed")
        self.assertEqual((len(tokens.requests), len(self.jobs.runs)), (2, 2))
        self.assertNotIn("access-", json.dumps(r.lines))
        tokens.issued.clear()
        tokens.consent = False
        self.expect("and no more given", self.run_action(conf), "failed", "consent is missing")
        tokens.consent = True
        self.jobs.faults = [(401, b"", {}), (401, b"", {}), None]
        self.expect("refused with a fresh one", self.run_action(conf), "failed", "HTTP 401")
        self.assertEqual(len(self.jobs.runs), 2)

    def test_samples(self):
        """Every sample is a configuration that does, and every preset is in one."""
        folder, told = os.path.join(HERE, "../samples/triggers"), ""
        for name in sorted(os.listdir(folder)):
            with open(os.path.join(folder, name), encoding="utf-8") as f:
                text = f.read()
            told += text
            secret = self.write("secret", job_servers.WEBHOOK_SECRET)
            conf = self.write(name, re.sub(r'"/etc/mailhook/secrets/[^"]*"', '"%s"' % secret, text).replace(
                "/usr/local/bin/renew-scim-token", "/bin/true"))
            self.expect(name, self.run_action(conf, verb="check"), "done", "configuration is right")
            self.expect(name, self.run_action(conf, verb="describe"), "done", "would be started")
        for preset in os.listdir(os.path.join(HERE, "../actions/trigger/presets")):
            self.assertIn(preset.removesuffix(".preset"), told)

    def test_own_credentials_end(self):
        pki.make(self.dir)
        pair = {"cert_file": os.path.join(self.dir, "client.pem"), "key_file": os.path.join(self.dir, "client.key")}
        for verb, told in (("check", 1), ("run", 1), ("describe", 0)):
            r = self.run_action(self.conf("lambda", ["function=rotate"], **pair), verb=verb)
            ends = [j["credential"] for j in r.lines if "credential" in j]
            self.assertEqual([e["name"] for e in ends], ["TLS client certificate"] * told, verb)

    def test_own_preset(self):
        rows = (
            ("good", {"title": "mine", "requests": {"start": {"method": "POST", "url": "{url}/hook/", "json": {"a?": "{owner}", "b": ["{kind}", 1]}}}},
             "failed", "mine: not started: HTTP 4"),
            ("an unknown key", {"title": "x", "requests": {"start": {"method": "POST", "url": "{url}", "bodie": {}}}}, "failed", "not known here"),
            ("no start", {"title": "x", "requests": {"poll": {"method": "GET", "url": "{url}"}}}, "failed", "no request \"start\""),
            ("another request", {"title": "x", "requests": {"start": {"method": "GET", "url": "{url}"}, "stop": {"method": "GET", "url": "{url}"}}},
             "failed", "nobody asks for"),
            ("two bodies", {"title": "x", "requests": {"start": {"method": "POST", "url": "{url}", "json": {}, "text": ""}}}, "failed", "more than one body"),
            ("a method", {"title": "x", "requests": {"start": {"method": "BREW", "url": "{url}"}}}, "failed", "needs a method"),
            ("a variable", {"title": "x", "requests": {"start": {"method": "POST", "url": "{url}", "text": "{x}"}}}, "failed", "no variable {x}"),
            ("no title", {"requests": {"start": {"method": "POST", "url": "{url}"}}}, "failed", "title"),
            ("no JSON", "{", "failed", "JSON"),
        )
        for name, preset, outcome, words in rows:
            path = self.write("own.preset", preset if isinstance(preset, str) else json.dumps(preset))
            self.expect(name, self.run_action(self.http_conf(path, [], secret="x")), outcome, words)
        self.expect("not there", self.run_action(self.http_conf("/nonexistent", [])), "failed", "no such preset")

    def own(self, **request):
        preset = {"title": "own", "needs": {"secret": "x"}, "defaults": {"size": "7"},
                  "maps": {"level": {"of": "{trust_level}", "map": {"verified": "1", "relayed": "2"}, "else": "{size}"}},
                  "requests": {"start": {"method": "POST", "url": "{url}/any", **request}}}
        return self.http_conf(self.write("own.preset", json.dumps(preset)), [], values=("a=1", "b={{x}"))

    def test_what_is_sent(self):
        secret = job_servers.SECRET
        rows = (  # what the preset says, what is sent
            ("strings, others as they are", {"json": {"k": "{account}", "n": 1, "t": True, "z": None, "l": ["{kind}", [2]]}},
             {"k": "123456789012", "n": 1, "t": True, "z": None, "l": ["aws.identity-center.scim-token", [2]]}),
            ("left out where empty", {"json": {"a?": "{owner}", "b?": "{account}", "c": "{owner}"}}, {"b": "123456789012", "c": ""}),
            ("JSON from text", {"json": {"n#": "{size}", "e#": "{owner}", "p#": "{{\"x\":[1]}"}}, {"n": 7, "p": {"x": [1]}}),
            ("JSON within a string", {"json": {"d$": {"x": ["{account}"]}}}, {"d": '{"x":["123456789012"]}'}),
            ("a whole object left out", {"json": {"o": {"?": "{owner}", "x": 1}, "q": {"?": "{account}", "x": 1}}}, {"q": {"x": 1}}),
            ("elements left out", {"json": [{"?": "{owner}", "x": 1}, {"?": "{kind}", "x": 2}]}, [{"x": 2}]),
            ("the user's values", {"json": {"i": {"*": {"{name}": "no template", "v": "{name}={value}"}}}},
             {"i": {"a": {"{name}": "no template", "v": "a=1"}, "b": {"{name}": "no template", "v": "b={x}"}}}),
            ("a value that is there already", {"json": {"a": "mine", "*": "{value}"}}, {"a": "mine", "b": "{x}"}),
            ("maps", {"json": {"m": "{level}"}}, {"m": "1"}),
            ("a form", {"form": {"a": "{account}&=", "b?": "{owner}", "v[*]": "{value}"}}, "a=123456789012%26%3D&v%5Ba%5D=1&v%5Bb%5D=%7Bx%7D"),
            ("text", {"text": "{account}|{owner|none}"}, "123456789012|none"),
            ("nothing", {}, ""),
        )
        self.jobs.state["any"] = (204, b"", {})
        for name, request, sent in rows:
            self.jobs.runs.clear()
            self.expect(name, self.run_action(self.own(**request)), "waiting", "", "approval", "renewed")
            ((_, headers, body),) = self.jobs.runs
            self.assertEqual(json.loads(body) if "json" in request else body, sent, name)
            if name == "nothing":
                self.assertNotIn("content-type", headers)
        self.jobs.runs.clear()
        conf = self.own(json={}, headers={"Authorization": "{basic}", "X-Empty": "{owner}", "Content-Type": "application/json-patch+json"})
        self.run_action(conf)
        headers = self.jobs.runs[0][1]
        self.assertEqual((headers["authorization"], headers["content-type"]),
                         ("Basic " + job_servers.base64.b64encode((":" + secret).encode()).decode(), "application/json-patch+json"))
        self.assertNotIn("x-empty", headers)
        self.expect("JSON that is none", self.run_action(self.own(json={"n#": "{account}x"})), "failed", "is no JSON")

    def test_what_is_understood(self):
        def answer(body, status=200, **headers):
            return status, body if isinstance(body, bytes) else json.dumps(body), headers
        found = {"list": [{"k": {"l": "x"}, "id": 1}, {"k": {"l": "the " + KEY}, "id": 2}, {"k": {"l": KEY}, "id": 3.5}]}
        rows = (  # what the preset says, the answer, outcome, words, what was taken
            ("a path", {"take": {"v": "a.b.1.c"}}, answer({"a": {"b": [0, {"c": "x"}]}}), "waiting", "", {"v": "x"}),
            ("a number, a truth, an object", {"take": {"n": "n", "t": "t", "o": "o", "z": "z"}},
             answer({"n": 12345678901, "t": False, "o": {"x": [1]}, "z": None}), "waiting", "", {"n": "12345678901", "t": "false", "o": '{"x":[1]}'}),
            ("a filter", {"take": {"v": "list.[k.l={job_key}].id"}}, answer(found), "waiting", "", {"v": "3.5"}),
            ("a filter for a part", {"take": {"v": "list.[k.l~{job_key}].id"}}, answer(found), "waiting", "", {"v": "2"}),
            ("a filter with nothing to look for", {"take": {"v": "list.[k.l~{owner}].id"}}, answer(found), "waiting", "", {}),
            ("a filter that finds none", {"take": {"v": "list.[k.l=y].id"}}, answer(found), "waiting", "", {}),
            ("a place that is none", {"take": {"v": "list.9.id", "w": "list.x.id", "x": "none.k"}}, answer(found), "waiting", "", {}),
            ("a key that is a template", {"take": {"v": "by.{job_key}"}}, answer({"by": {KEY: "x"}}), "waiting", "", {"v": "x"}),
            ("a header", {"take": {"v": "header:X-Run", "w": "header:Location#last"}}, answer({}, 201, **{"X-Run": "7", "Location": "/a/b/9/"}),
             "waiting", "", {"v": "7", "w": "9"}),
            ("XML", {"take": {"v": "xml:Id"}}, answer(b"<a><Id>7</Id></a>"), "waiting", "", {"v": "7"}),
            ("all of it, and the status", {"take": {"v": "body", "s": "http:status"}}, answer(b"seven", 202), "waiting", "", {"v": "seven", "s": "202"}),
            ("missing, and must be there", {"take": {"v!": "x"}}, answer({}), "waiting", "is not known (an answer without", None),
            ("refused with HTTP 200", {"refused_if": {"ok": ["false"]}, "words": ["error"]}, answer({"ok": False, "error": "no_such_channel"}),
             "failed", "HTTP 200: no_such_channel", None),
            ("later with HTTP 400", {"retry_if": {"code": ["~later"]}}, answer({"code": "try_later"}, 400), "retry", "HTTP 400", None),
            ("good with HTTP 409", {"already_if": {"code": ["exists"]}}, answer({"code": "exists"}, 409), "waiting", "", {}),
            ("a page that says nothing of it", {"refused_if": {"ok": ["false"]}}, answer(b"<html>"), "waiting", "not JSON", None),
            ("any value", {"refused_if": {"errors": ["*"]}}, answer({"errors": []}), "failed", "HTTP 200", None),
            ("none", {"refused_if": {"errors": ["*"]}}, answer({"errors": None}), "waiting", "", {}),
            ("a status of its own", {"ok": [201]}, answer({}, 200), "failed", "HTTP 200", None),
            ("later by its status", {"retry": [409]}, answer({}, 409), "retry", "HTTP 409", None),
            ("done at once", {"done_if": {"s": ["ok"]}}, answer({"s": "ok"}), "done", "ended well", None),
            ("failed before done", {"done_if": {"s": ["ok"]}, "failed_if": {"e": ["*"]}, "words": ["e"]}, answer({"s": "ok", "e": "but"}), "failed",
             "started, and failed: but", None),
            ("the first words that are there", {"words": ["a", "b"]}, answer({"b": "two\nlines", "c": "x"}, 400), "failed", "HTTP 400: two", None),
        )
        for name, request, said, outcome, words, taken in rows:
            status, body, headers = said
            self.jobs.state["any"] = (status, body if isinstance(body, bytes) else body.encode(), headers)
            r = self.run_action(self.own(**request))
            self.assertEqual(r.last["outcome"], outcome, "%s: %s" % (name, r.last))
            self.assertIn(words, r.last["summary"], name)
            if taken is not None:
                self.assertEqual(r.state["taken"], taken, name)

    def test_no_effect_without_the_lease(self):
        for preset, settings, *_ in self.aws_rows():
            self.expect(preset, self.run_action(self.conf(preset, settings), lease=lambda: False), "retry", "taken away")
        self.assertEqual((self.s.effects, self.aws.calls), ([], []))


if __name__ == "__main__":
    unittest.main()
