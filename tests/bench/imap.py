#!/usr/bin/env python3
"""What watching mailboxes costs, with a Dovecot of this machine. Needs root; MAILHOOK_SOURCE and MAILHOOK_BUILD.

    imap.py [--arrivals N] [--mailboxes N] [--messages N]

From the EXISTS line's arrival to the message's being durable in the intake; memory and processor time of idle mailboxes;
a first pass over many messages with a hundred notices, beside imapfilter that does the same search and fetches the same."""
import os
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.environ["MAILHOOK_SOURCE"], "tests"))
import imap_room  # noqa: E402
from imap_room import PASSWORD, USER, Room, notice, plain  # noqa: E402
import imap_proxy  # noqa: E402


def option(name, otherwise):
    return int(sys.argv[sys.argv.index(name) + 1]) if name in sys.argv else otherwise


class Watch(imap_proxy.Connection):
    """Notes when an EXISTS goes to the client."""

    def downwards(self):
        try:
            while data := self.server.recv(65536):
                if b"EXISTS" in data:
                    self.proxy.seen.append(time.monotonic())
                self.client.sendall(data)
        except OSError:
            pass
        self.close()


def arrivals(n):
    with Room("poll = 5m", port=lambda: proxy.port, start=False) as r:
        r.server.start()
        imap_proxy.Connection = Watch
        proxy = imap_proxy.Proxy(r.server.port["imap"])
        proxy.seen = []
        r.configure()
        r.start()
        r.watched()
        took = []
        for i in range(n):
            proxy.seen.clear()
            before = set(os.listdir(r.state + "/intake")) if i else set()
            r.deliver(notice(i))
            end = time.monotonic() + 20
            while time.monotonic() < end:
                if os.path.isdir(r.state + "/intake") and any(
                        name.endswith(".msg") for name in set(os.listdir(r.state + "/intake")) - before):
                    took.append((time.monotonic() - proxy.seen[0]) * 1000)
                    break
                time.sleep(0.0005)
        print("EXISTS to intake, %d messages of 0.5 kB: median %.1f ms, 95 of 100 below %.1f ms" % (
            len(took), statistics.median(took), sorted(took)[int(len(took) * 0.95)]))
        assert len(took) == n


def tree(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
        return [pid] + [p for child in f.read().split() for p in tree(int(child))]


def pss_kb(pids):
    total = 0
    for pid in pids:
        with open("/proc/%d/smaps_rollup" % pid) as f:
            total += next(int(line.split()[1]) for line in f if line.startswith("Pss:"))
    return total


def ticks(pids):
    total = 0
    for pid in pids:
        with open("/proc/%d/stat" % pid) as f:
            fields = f.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total


def idle(n):
    users = {"box%d@example.com" % i: "secret" for i in range(n)}
    users[USER] = PASSWORD
    more = """mail_max_userip_connections = 1000
service imap-login {
 service_count = 0
 client_limit = 2000
 process_min_avail = 1
}
service imap {
 process_limit = 2000
}
service auth {
 client_limit = 8000
}
service anvil {
 client_limit = 8000
}
default_vsz_limit = 1G
"""
    with Room(tls=True, users=users, more=more) as r:
        r.write("secret", "secret\n")
        r.configure(boxes="".join(
            'mailbox "box%d" { url = "imaps://localhost:%d/INBOX" user = "box%d@example.com" password_file = "%s/secret" '
            'ca_file = "%s/ca.pem" poll = 10m }\n' % (i, r.port(), i, r.dir, r.pki) for i in range(n)))
        r.start()
        r.wait("all watched", lambda: all((r.report("box%d" % i) or {}).get("watching") for i in range(n)), 180)
        time.sleep(2)
        pids = tree(r.process.pid)
        before = ticks(pids)
        time.sleep(20)
        spent = ticks(pids) - before
        print("%d idle mailboxes by TLS: %d processes, %.1f MB PSS in all, %d ms of processor time in 20 s" % (
            n, len(pids), pss_kb(pids) / 1024, spent * 1000 // os.sysconf("SC_CLK_TCK")))


FILTER = """
options.timeout = 600
options.certificates = false
account = IMAP { server = "127.0.0.1", port = %d, username = "%s", password = [[%s]] }
found = account.INBOX:contain_from("no-reply-aws@amazon.com") + account.INBOX:contain_subject("expir")
os.execute("mkdir -p %s/fetched")
for _, message in ipairs(found) do
  local mailbox, uid = table.unpack(message)
  local f = io.open("%s/fetched/" .. uid, "w")
  f:write(mailbox[uid]:fetch_message())
  f:close()
end
"""


def cold(r):
    """Dovecot forgets what it knew of the messages."""
    for name in os.listdir(os.path.join(r.server.mail, USER, "Maildir")):
        if name.startswith("dovecot"):
            os.unlink(os.path.join(r.server.mail, USER, "Maildir", name))


def first_pass(messages):
    with Room("timeout = 10m  rescan = 3650d", users={USER: "secret"}) as r:
        r.write("password", "secret\n")
        r.fill([notice(i) if i % (messages // 100) == 0 else plain(i) for i in range(messages)])
        c = r.client()
        c.select("INBOX")  # moves all from new to cur
        c.logout()
        r.write("filter.lua", FILTER % (r.server.port["imap"], USER, "secret", r.dir, r.dir))
        took = {"mailhook": [], "imapfilter": []}
        for _ in range(3):
            for who in took:
                cold(r)
                for name in ("mailboxes/ops",):
                    if os.path.exists(os.path.join(r.state, name)):
                        os.unlink(os.path.join(r.state, name))
                begin = time.monotonic()
                if who == "mailhook":
                    r.once(timeout=1200)
                else:
                    done = subprocess.run(["imapfilter", "-c", r.dir + "/filter.lua"], capture_output=True, timeout=1200,
                                          env={"HOME": r.dir, "PATH": "/usr/bin:/bin"}, check=False)
                    assert done.returncode == 0, done
                took[who].append(time.monotonic() - begin)
        assert len(set(r.intake())) == 100, len(set(r.intake()))
        assert len(os.listdir(r.dir + "/fetched")) == 100
        ours, theirs = (statistics.median(took[who]) for who in ("mailhook", "imapfilter"))
        print("first pass over %d messages with 100 notices: %.1f s, imapfilter %.1f s, ratio %.2f" % (
            messages, ours, theirs, ours / theirs))


def main():
    if not imap_room.available():
        print("no Dovecot, or not root")
        return 77
    arrivals(option("--arrivals", 20))
    idle(option("--mailboxes", 200))
    first_pass(option("--messages", 100000))
    return 0


if __name__ == "__main__":
    sys.exit(main())
