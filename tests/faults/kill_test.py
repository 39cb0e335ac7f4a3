#!/usr/bin/python3
"""Kills `pipe` and the worker at every call that changes something, or at a sample of them, and looks what is left.

After each kill the worker runs again, as a timer would start it; then the same mails come again, as from a mail server
that was not answered. In the end there is one case, one ticket with each entry of its history once, one reply, and no
message in the intake; and what was answered 0 is in the ledger before it comes again. With --trigger there is an action in
place of the reply that starts a job elsewhere, once.
"""

import json
import os
import sys

sys.dont_write_bytecode = True
import points  # noqa: E402
from world import World  # noqa: E402

ANSWERED = "&& : >"
TRIGGER = """
action "ticket" { program = "ticket" }
action "go" { program = "trigger"  needs = "unverified" }
rule "all" { do = {"ticket", "go"} }
"""
GO = """preset = "step-functions"
settings = {"state_machine=arn:aws:states:eu-west-1:111122223333:stateMachine:rotate"}
aws { region = "eu-west-1" endpoint = %s credentials_file = %s }
"""
KEYS = "[default]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY\n"


class Ended(dict):
    """Executions that end as soon as they begin."""

    def __setitem__(self, name, execution):
        super().__setitem__(name, {**execution, "status": "SUCCEEDED"})


class Triggered(World):
    def __init__(self, build, engine):
        super().__init__(build, TRIGGER, engine=engine)
        import aws_server
        self.aws = aws_server.AwsServer()
        self.aws.services.executions = Ended()
        os.mkdir(os.path.join(self.dir, "actions"))
        path = os.path.join(self.dir, "credentials")
        self.write(os.path.join(self.dir, "actions", "go.conf"), GO % (json.dumps(self.aws.url), json.dumps(path)))
        self.write(path, KEYS)
        os.chmod(path, 0o600)

    def __exit__(self, *args):
        self.aws.stop()
        super().__exit__(*args)

    def wrong(self, cases=1):
        effects = len(self.aws.services.effects)
        return super().wrong(cases) + ([f"{effects} jobs were started"] if effects > cases else [])

    def missing(self, cases=1):
        found = [x for x in super().missing(cases) if not x.endswith(" replies")]
        return found + (["no job was started"] if len(self.aws.services.effects) < cases else [])


def undisturbed(world):
    how, words = world.kill_at(0, points.script(world, ANSWERED))
    return how, words, True


def one(args, number, after):
    """What is wrong after a kill there: a list of words, empty when all is well."""
    with args.world() as w:
        how, words = w.kill_at(number, points.script(w, ANSWERED), after=after)
        if how == "late":
            return ([f"it hangs, after {words[0]} calls"],)
        at = f"{how} {' '.join(words)}{' after' if after else ''}: "
        answered = [n for n in points.MAILS if os.path.exists(points.note(w, n))]
        return ([at + x for x in points.to_good_end(w, answered)],)


def main():
    args = points.arguments(__doc__, 300, "kill points to take, before and after calls",
                            lambda p: p.add_argument("--trigger", action="store_true", help="an action that starts a job elsewhere"))
    if args.trigger:
        sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "servers"))
        args.world = lambda: Triggered(args.build, args.engine)
    most = points.most_calls(args, undisturbed)
    chosen = every = [(n, after) for n in range(1, most + 1) for after in (False, True)]
    print(f"{len(every)} kill points, seed {args.seed}", flush=True)
    if not args.all:
        # each point once before any comes twice; the order of processes differs from run to run, so twice is no waste
        chosen = []
        while len(chosen) < args.count:
            chosen += args.chance.sample(every, min(len(every), args.count - len(chosen)))
    _, bad = points.walk(args, chosen, lambda *x: one(args, *x),
                         lambda x: f"kill point {x[0]}{' --after' if x[1] else ''}")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
