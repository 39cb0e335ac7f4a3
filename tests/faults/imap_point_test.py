#!/usr/bin/python3
"""Kills `imap` at every call that changes something, or at a sample of them, while it reads a mailbox of a Dovecot, and
looks what is left. Then it looks again, and the worker works: two notices of one expiry are one case with one ticket and one reply,
both are filed, once each, and what is no notice stays where it was.

Exit 77 without Dovecot or root."""

import glob
import itertools
import os
import shutil
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "servers"))
import dovecot  # noqa: E402
import points  # noqa: E402
import private  # noqa: E402
from world import World, notice  # noqa: E402

USERS = 20000  # a mailbox a point
PLAIN = b"From: Ann <ann@example.com>\nTo: ops@example.com\nSubject: lunch\nMessage-ID: <plain@example.com>\n\nAre we going?\n"
CONF = """mailbox "ops" { url = "imap://127.0.0.1:%d/INBOX"  user = "%s"  password_file = "%s"  done = "done"  review = "done" }
"""
WANTED = {"done": sorted("<scim-%d@example.com>" % n for n in points.MAILS), "INBOX": ["<plain@example.com>"]}


class Boxes:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="mailhook-imap-points-")
        self.numbers = itertools.count()
        self.server = dovecot.Dovecot(self.dir, {"box%d" % n: "secret" for n in range(USERS)}, mechanisms="plain",
                                      more="default_process_limit = 500\nservice imap {\n process_limit = 500\n}\n").start()

    def close(self):
        self.server.stop()
        shutil.rmtree(self.dir)

    def fill(self):
        """A mailbox with the mails in it: its user."""
        user = "box%d" % next(self.numbers)
        maildir = self.maildir(user)
        for folder in (os.path.dirname(maildir), maildir, *(os.path.join(maildir, x) for x in ("new", "cur", "tmp"))):
            private.own(folder)
        for n, mail in enumerate([*map(notice, points.MAILS), PLAIN]):
            path = os.path.join(maildir, "new", "%d.M%dP1.test" % (1700000000 + n, n))
            with open(path, "wb") as f:
                f.write(mail)
            os.chown(path, private.MAIL_UID, private.MAIL_GID)
        return user

    def maildir(self, user):
        return os.path.join(self.server.mail, user, "Maildir")

    def folders(self, user):
        """{folder: Message-IDs}"""
        found = {}
        for name, path in (("INBOX", ""), ("done", ".done")):
            found[name] = []
            for mail in glob.glob(os.path.join(self.maildir(user), path, "new", "*")) + glob.glob(
                    os.path.join(self.maildir(user), path, "cur", "*")):
                if mail.endswith("T") and ",S" in mail:  # marked as deleted, where a server has no MOVE
                    continue
                with open(mail, "rb") as f:
                    found[name] += [x.split(b":")[1].strip().decode() for x in f.read().splitlines() if x.startswith(b"Message-ID:")]
            found[name].sort()
        return found


def configure(world, boxes):
    user = boxes.fill()
    secret = os.path.join(world.dir, "secret")
    with open(secret, "w", encoding="ascii", opener=lambda p, f: os.open(p, f, 0o600)) as f:
        f.write("secret")
    world.write(world.conf, world.top + CONF % (boxes.server.port["imap"], user, secret))
    world.run_once()  # the ledger is there, and no part of what is killed
    return user


def script(world):
    return f"{world.mailhook} imap --once --config {world.conf}; exit 0"


def end(world, boxes, user):
    """What is wrong after it has looked again."""
    found, done = world.wrong(), None
    for _ in range(4 if not found else 0):
        done = world.do("imap", "--once")
        if done.returncode == 0 and boxes.folders(user) == WANTED:
            break
        world.advance(seconds=31)  # the lease of one that was killed has to end: until then its mailbox is another's
    if not found and done.returncode != 0:
        return [f"imap --once: {done.returncode} {done.stderr!r}"]
    found = found or world.work_to_end()
    if not found and world.count("messages") != len(points.MAILS):
        found = [f"{world.count('messages')} messages"]
    if not found and boxes.folders(user) != WANTED:
        found = [f"the mailbox: {boxes.folders(user)}"]
    return found


def one(args, boxes, number, after):
    with World(args.build, engine=args.engine) as w:
        user = configure(w, boxes)
        how, words = w.kill_at(number, script(w), after=after)
        if how == "late":
            return ([f"it hangs, after {words[0]} calls"],)
        return ([f"{how} {' '.join(words)}: {x}" for x in end(w, boxes, user)],)


def most_calls(args, boxes):
    most = 0
    for _ in range(3):
        with World(args.build, engine=args.engine) as w:
            user = configure(w, boxes)
            how, words = w.kill_at(0, script(w))
            found = end(w, boxes, user)
            if how != "ended" or found:
                sys.exit(f"the undisturbed run does not end well: {how} {words} {found}")
            most = max(most, int(words[1]))
    return most


def main():
    if not dovecot.available():
        print("no Dovecot, or not root")
        sys.exit(77)
    args = points.arguments(__doc__, 40, "kill points to take")
    boxes = Boxes()
    try:
        every = [(n, after) for n in range(1, most_calls(args, boxes) + 1) for after in (False, True)]
        print(f"{len(every)} kill points, seed {args.seed}", flush=True)
        chosen = every if args.all else args.chance.sample(every, min(len(every), args.count))
        _, bad = points.walk(args, chosen, lambda *x: one(args, boxes, *x), lambda x: f"kill point {x[0]}{' --after' if x[1] else ''}")
    finally:
        boxes.close()
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
