#!/usr/bin/python3
"""parse.py BUILD [ROUNDS [MESSAGES]]: `mailhook parse` on one core against a GMime program that extracts the same text.

Both read the same mbox in turn, and of each the least processor time counts (its own, its children's and the kernel's for
them), so that a busy machine does not decide. Then what a bigger mail costs a byte, and what fifty more definitions cost an
irrelevant mail.
"""

import base64
import os
import quopri
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from mails import ORDINARY, padded  # noqa: E402

sys.path.insert(0, os.path.join(HERE, "..", "faults"))
from world import notice  # noqa: E402

CELL = ('<tr><td style="padding:10px 25px; font-family:Amazon Ember, Helvetica, Arial, sans-serif; word-break:break-word;">'
        '<p style="color:#545B64; line-height:22px; margin:0">A directory may hold two tokens at a time &amp; the old one goes '
        "on working&nbsp;meanwhile.</p></td></tr>\n")
DEFINITION = """notice "bench-%(n)d" {
	kind     = "example.bench-%(n)d"
	senders  = {"notices-%(n)d@vendor%(n)d.example"}
	signers  = {"vendor%(n)d.example"}
	subjects = {"Subscription number %(n)d of your vendor is ending"}
	literals = {"The subscription %(n)d of your organisation at our company"}
	patterns = {
		'The subscription %(n)d of your organisation at our company expires on (?<expires>.{6,60})',
		'Customer number of vendor %(n)d: (?<account>[\\d-]{4,14})\\b'
	}
}
"""


def html_notice(number, size):
    """A notice of the second generation, of so many bytes as it is sent: tables, styles, quoted-printable."""
    with open(os.path.join(HERE, "..", "..", "samples", "notices", "scim", "b-qp.eml"), "rb") as f:
        head, body = f.read().split(b"\n\n", 1)
    body = quopri.decodestring(body)
    one = len(quopri.encodestring(CELL.encode()))
    cells = CELL * max(0, (size - len(head) - len(quopri.encodestring(body))) // one)
    body = body.replace(b"</body>", b"<table>" + cells.encode() + b"</table></body>")
    return head.replace(b"<b-qp@", b"<b-%d@" % number) + b"\n\n" + quopri.encodestring(body)


def big(megabytes, text):
    """A notice with an attachment, or with more texts, of so many MB in all."""
    head, body = notice().split(b"\n\n", 1)
    if text:
        line = b"Please find below the minutes of the weekly meeting, with all that was said about it.\n"
        rest = [b"Content-Type: text/plain; charset=utf-8\n\n" + line * (10**6 // len(line))] * megabytes
    else:
        rest = [b"Content-Type: application/pdf\nContent-Transfer-Encoding: base64\n\n" +
                base64.encodebytes(bytes(range(256)) * (megabytes * 2900))]
    kind = next(f for f in head.split(b"\n") if f.lower().startswith(b"content-type"))
    head = head.replace(kind, b"Content-Type: multipart/mixed; boundary=bench")
    return head + b"\n\n" + b"".join(b"--bench\n" + p + b"\n" for p in [kind + b"\n\n" + body] + rest) + b"--bench--\n"


def mbox(path, mails):
    with open(path, "wb") as f:
        for mail in mails:
            f.write(b"From a@example.com Mon Jan  5 09:00:00 2026\n" + mail.replace(b"\nFrom ", b"\n>From ") + b"\n")
    return path


def cost(*command):
    """Processor seconds of a command on one core, and what it printed."""
    with tempfile.TemporaryFile() as out:
        p = subprocess.Popen(command, stdout=out, preexec_fn=lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}))
        _, status, usage = os.wait4(p.pid, 0)
        p.returncode = status
        if status != 0:
            sys.exit(f"{command[0]} ended with {status}")
        out.seek(0)
        return usage.ru_utime + usage.ru_stime, out.read()


def least(rounds, *commands):
    """The least cost of each command, all in turn; and what each printed."""
    costs, said = [[] for _ in commands], [b""] * len(commands)
    for _ in range(rounds):
        for i, command in enumerate(commands):
            seconds, said[i] = cost(*command)
            costs[i].append(seconds)
    return [min(c) for c in costs], said


def main():
    build = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build")
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    messages = int(sys.argv[3]) if len(sys.argv) > 3 else 20000
    mailhook, gmime = os.path.join(build, "bin", "mailhook"), os.path.join(build, "tests", "gmime-bench")
    with tempfile.TemporaryDirectory() as work:
        for what, count, make in (("text of 7 kB", messages, lambda n: padded(notice(n), 7000)),
                                  ("HTML of 50 kB", messages // 5, lambda n: html_notice(n, 50000))):
            box = mbox(os.path.join(work, "box"), [make(n) for n in range(count)])
            size = os.path.getsize(box) / count / 1000
            (ours, theirs), said = least(rounds, (mailhook, "parse", box), (gmime, box))
            read = said[0].count(b'"verdict":"notice"')
            if read != count or int(said[1].split()[0]) != count:
                sys.exit(f"{read} of {count} read, GMime saw {said[1]}")
            print(f"{what + f' ({size:.1f} kB as sent)':44} {count / ours:9.0f} notices a second, GMime {count / theirs:.0f}: "
                  f"{theirs / ours:.2f} times")
        for what, text in (("with an attachment", False), ("with many texts", True)):
            each = []
            for megabytes in (1, 5, 25):
                box = mbox(os.path.join(work, "box"), [big(megabytes, text)] * (100 // megabytes))
                (ours,), said = least(rounds, (mailhook, "parse", box))
                if said[0].count(b'"verdict":"notice"') != 100 // megabytes:
                    sys.exit(f"a mail of {megabytes} MB was not read")
                each.append(ours / os.path.getsize(box) * 1e9)
            print(f"{what + ', of 1, 5 and 25 MB':44} {each[0]:9.2f}, {each[1]:.2f} and {each[2]:.2f} ns a byte")

        definitions = os.path.join(work, "definitions")
        os.mkdir(definitions)
        for n in range(50):
            with open(os.path.join(definitions, f"bench-{n}.notice"), "w", encoding="utf-8") as f:
                f.write(DEFINITION % {"n": n})
        commands = []
        box = mbox(os.path.join(work, "box"), [padded(ORDINARY % n, 7000) for n in range(messages)])
        for name, folder in (("few", os.path.join(work, "none")), ("many", definitions)):
            conf = os.path.join(work, name + ".conf")
            with open(conf, "w", encoding="utf-8") as f:
                f.write(f'state_dir = "{work}/state"\ndefinitions_dir = "{folder}"\n')
            commands.append((mailhook, "parse", "--config", conf, box))
        (few, many), said = least(rounds * 3, *commands)
        if said[1].count(b'"verdict":"irrelevant"') != messages:
            sys.exit("an ordinary mail is not irrelevant")
        print(f"{'irrelevant mail, fifty more definitions':44} {messages / few:9.0f} and {messages / many:.0f} a second: "
              f"{(many / few - 1) * 100:+.1f} %")


if __name__ == "__main__":
    main()
