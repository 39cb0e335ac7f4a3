"""Runs one action program as the core does: one request, checkpoints answered, the last line taken."""
import json
import subprocess
import tempfile

CASE = {"id": 7, "kind": "aws.identity-center.scim-token", "account": "123456789012", "region": "eu-west-1",
        "resource": None, "expires": "2026-02-03T04:05:06Z", "precision": "second", "days_left": 30, "state": "open"}


def request(config, now, **values):
    base = {"version": 1, "event": "opened", "attempt": 1, "now": now, "job_key": "0123456789abcdef" * 2,
            "case_key": "fedcba9876543210" * 2, "action": "tell", "config": config, "state_dir": "/nonexistent",
            "case": CASE, "notice": None, "trust": {"level": "verified", "by": "dkim aws.com x", "steps": []},
            "outcomes": [], "message": {"id": "<m1@example.com>", "auto": False, "list": False, "own": False}, "state": {}}
    base.update(values)
    return base


class Result:
    def __init__(self):
        self.lines, self.checkpoints, self.said, self.last, self.stderr = [], [], [], None, ""


WITH_MAIL = 'exec "$@" 3<"$0"'


def run(program, verb, asked, lease=lambda: True, env=None, timeout=90, mail=None, before=()):
    """lease: asked at each checkpoint; False ends the talk, as the core does when the job was taken away. mail: the path of
    the mail, for descriptor 3. before: a command that runs the program."""
    errors = tempfile.TemporaryFile("w+")  # not a pipe: nobody reads it while the action talks
    argv = [*before, program, verb]
    if mail is not None:
        argv = ["/bin/sh", "-c", WITH_MAIL, mail, *argv]
    p = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=env or {},
                         text=True)
    r = Result()
    try:
        try:
            p.stdin.write(json.dumps(asked) + "\n")
            p.stdin.flush()
        except BrokenPipeError:
            pass  # killed before it read
        for line in p.stdout:
            j = json.loads(line)
            r.lines.append(j)
            if "checkpoint" in j:
                r.checkpoints.append(j["checkpoint"])
                if lease():
                    try:
                        p.stdin.write('{"ok":true}\n')
                        p.stdin.flush()
                    except BrokenPipeError:
                        pass
                else:
                    p.stdin.close()
            elif "say" in j:
                r.said.append(j["say"])
            elif "outcome" in j:
                r.last = j
        try:
            p.stdin.close()
        except BrokenPipeError:
            pass
        p.wait(timeout)
        errors.seek(0)
        r.stderr = errors.read()
    finally:
        if p.poll() is None:
            p.kill()
            p.wait()
        p.stdout.close()
        errors.close()
    return r
