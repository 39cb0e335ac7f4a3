"""The ticket action as the core runs it, job after job of one case: what an earlier job told is known to the next.

    desk = Desk(folder, "rt", 'url = "..."')       its own folder, configuration and ledger of outcomes
    desk.case("a" * 32)                             a case of that key; now and facts can be set
    r = desk.run("opened")                          r.last is the outcome; desk.again() tries the same job once more
    desk.check(), desk.describe("opened")
"""
import hashlib
import os

import action

BUILD = os.environ.get("MAILHOOK_BUILD", "")
PROGRAM = os.path.join(BUILD, "libexec/mailhook/actions/ticket")
EXPIRES = "2027-02-03T04:05:06Z"
MAIL = b"From: no-reply@example.com\r\nSubject: your token\r\nMIME-Version: 1.0\r\n\r\nIt expires.\r\n"


class Desk:
    def __init__(self, folder, driver, conf, key="0a1b2c3d4e5f60718293a4b5c6d7e8f9"):
        self.folder, self.driver = folder, driver
        self.secret, self.conf = os.path.join(folder, "secret"), os.path.join(folder, "desk.conf")
        self.mail = os.path.join(folder, "mail")
        self.configure(conf)
        with open(self.mail, "wb") as f:
            f.write(MAIL)
        self.case(key)

    def configure(self, conf, secret=None):
        if secret is not None:
            with open(self.secret, "w", encoding="ascii", opener=lambda p, f: os.open(p, f, 0o600)) as f:
                f.write(secret)
        with open(self.conf, "w", encoding="utf-8") as f:
            f.write('driver = "%s"\n%s\n' % (self.driver, conf.replace("@SECRET@", self.secret)))

    def case(self, key, **facts):
        self.key, self.jobs, self.outcomes, self.last = key, 0, [], None
        self.facts = dict(action.CASE, expires=EXPIRES, account_name="Payments", owner="pay@example.com", **facts)

    def asked(self, event, job, now, trust, state, **more):
        return action.request(self.conf, now, event=event, job_key=job, case_key=self.key, action="desk",
                              state_dir=self.folder, case=dict(self.facts, **more.pop("case", {})), state=state,
                              outcomes=[*more.pop("outcomes", []), *self.outcomes],
                              trust={"level": trust, "by": "dkim example.com s1", "steps": []}, **more)

    def job_key(self, number):
        return hashlib.sha256(("%s %d" % (self.key, number)).encode()).hexdigest()[:32]

    def run(self, event, now="2026-11-06T09:00:00Z", trust="unverified", state=None, verb="run", mail=False, before=(), **more):
        """The next job of the case."""
        self.jobs += 1
        self.last = (event, now, trust, mail, more)
        return self._run(verb, self.job_key(self.jobs), state or {}, before)

    def again(self, state=None, now=None, verb="run", before=()):
        """The last job once more; state: what its checkpoint stored, by default what the last attempt stored."""
        if now is not None:
            self.last = (self.last[0], now, *self.last[2:])
        return self._run(verb, self.job_key(self.jobs), self.state if state is None else state, before)

    def _run(self, verb, job, state, before):
        event, now, trust, mail, more = self.last
        r = action.run(PROGRAM, verb, self.asked(event, job, now, trust, state, **dict(more)),
                       mail=self.mail if mail else None, before=before)
        self.state = r.checkpoints[-1] if r.checkpoints else state
        if "Sanitizer" in r.stderr:
            raise AssertionError(r.stderr)
        if verb == "run" and r.last is not None and r.last.get("url"):
            self.outcomes.append({"action": "desk", "role": "ticket", "event": event, "outcome": r.last["outcome"],
                                  "summary": r.last["summary"], "url": r.last["url"]})
        return r

    def describe(self, event, **more):
        return self.run(event, verb="describe", **more)

    def check(self, online=True):
        r = action.run(PROGRAM, "check", {"version": 1, "now": "2026-11-06T09:00:00Z", "action": "desk", "config": self.conf,
                                          "state_dir": self.folder, "observe": False, "online": online})
        if "Sanitizer" in r.stderr:
            raise AssertionError(r.stderr)
        return r
