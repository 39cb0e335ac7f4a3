"""A private Postfix on loopback: own configuration, queue and data folders, ports given by the system. Needs root.

    p = Postfix(folder, {"submission": {"smtpd_tls_security_level": "encrypt"}}, main={...}, mailboxes=["a@example.com"])
    p.start(); p.port["submission"]; p.mails("a@example.com"); p.queue(); p.stop()
"""
import glob
import grp
import os
import pwd
import shutil
import subprocess

import private

SBIN = "/usr/lib/postfix/sbin"
QUEUES = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace")
MASTER = """\
pickup unix n - n 1 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def available():
    return os.geteuid() == 0 and os.path.exists(SBIN + "/master")


class Postfix:
    def __init__(self, folder, services, main=None, mailboxes=(), domains=("example.com",), master=""):
        """services: name of an smtpd: its -o options. main: settings of main.cf. master: more lines of master.cf."""
        self.folder, self.services, self.mailboxes, self.domains = folder, services, mailboxes, domains
        self.main, self.master, self.daemon, self.port = main or {}, master, None, {}
        self.conf = os.path.join(folder, "postfix")
        self.mail = os.path.join(folder, "mail")
        self.log = os.path.join(folder, "postfix.log")

    def _folders(self):
        user, drop = pwd.getpwnam("postfix"), grp.getgrnam("postdrop").gr_gid
        os.chmod(self.folder, 0o755)
        queue = private.own(os.path.join(self.folder, "queue"), 0, 0, 0o755)
        for name in QUEUES:
            private.own(os.path.join(queue, name), user.pw_uid, 0, 0o700)
        private.own(os.path.join(queue, "pid"), 0, 0, 0o755)
        private.own(os.path.join(queue, "maildrop"), user.pw_uid, drop, 0o1730)
        private.own(os.path.join(queue, "public"), user.pw_uid, drop, 0o2710)
        private.own(os.path.join(self.folder, "data"), user.pw_uid, 0, 0o700)
        private.own(self.mail)
        private.own(self.conf, 0, 0, 0o755)
        for box in self.mailboxes:
            private.own(os.path.join(self.mail, box))

    def table(self, name, rows):
        """A lookup table of (key, value) rows, as the value of a setting."""
        os.makedirs(self.conf, exist_ok=True)
        path = os.path.join(self.conf, name)
        with open(path, "w") as f:
            f.writelines("%s %s\n" % row for row in rows)
        return "texthash:" + path

    def _write(self):
        main = {
            "compatibility_level": "3.6", "queue_directory": os.path.join(self.folder, "queue"),
            "data_directory": os.path.join(self.folder, "data"), "daemon_directory": SBIN,
            "meta_directory": "/etc/postfix", "maillog_file": self.log, "maillog_file_prefixes": self.folder,
            "inet_interfaces": "127.0.0.1", "inet_protocols": "ipv4", "myhostname": "mx.example.com", "mydestination": "",
            "mynetworks": "127.0.0.0/8", "alias_maps": "", "alias_database": "", "biff": "no", "relayhost": "",
            "smtp_dns_support_level": "disabled", "local_recipient_maps": "", "smtputf8_enable": "no",
            "disable_dns_lookups": "yes", "append_dot_mydomain": "no", "smtpd_client_connection_rate_limit": "0",
            "smtpd_peername_lookup": "no", "minimal_backoff_time": "1s", "maximal_backoff_time": "2s",
            "queue_run_delay": "1s", "smtpd_soft_error_limit": "1000", "smtpd_hard_error_limit": "2000",
            "smtpd_recipient_restrictions": "permit_mynetworks, reject", "default_transport": "error",
            "virtual_mailbox_domains": ", ".join(self.domains), "virtual_mailbox_base": self.mail,
            "virtual_mailbox_maps": self.table("boxes", [(b, b + "/Maildir/") for b in self.mailboxes]),
            "virtual_uid_maps": "static:%d" % private.MAIL_UID, "virtual_gid_maps": "static:%d" % private.MAIL_GID,
        }
        main.update(self.main)
        with open(os.path.join(self.conf, "main.cf"), "w") as f:
            f.writelines("%s = %s\n" % item for item in main.items())
        self.port = {name: private.free_port() for name in self.services}
        with open(os.path.join(self.conf, "master.cf"), "w") as f:
            for name, options in self.services.items():
                f.write("127.0.0.1:%d inet n - n - - smtpd\n" % self.port[name])
                f.writelines("  -o { %s = %s }\n" % item for item in options.items())
            f.write(MASTER + self.master)

    def start(self):
        self._folders()
        for left in (2, 1, 0):  # a port may be taken between asking for it and using it
            self._write()
            self.daemon = private.Daemon([SBIN + "/master", "-c", self.conf, "-d"], self.log,
                                         env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C"})
            try:
                self.daemon.wait_ready(self.port.values())
                return self
            except AssertionError:
                if left == 0:
                    raise
        return self

    def stop(self):
        if self.daemon is not None:
            self.daemon.stop()
            self.daemon = None

    def words(self):
        return self.daemon.words() if self.daemon is not None else ""

    def command(self, *argv):
        """One of Postfix's own programs (postqueue, postsuper, sendmail) for this instance."""
        return subprocess.run((argv[0], "-c", self.conf) + argv[1:], capture_output=True, text=True, timeout=60,
                              env={"PATH": "/usr/sbin:/usr/bin", "MAIL_CONFIG": self.conf}, check=False)

    def queue(self):
        """Queue ids of mail that is not delivered yet."""
        found = []
        for name in ("incoming", "active", "deferred", "hold"):
            for _, _, files in os.walk(os.path.join(self.folder, "queue", name)):
                found += files
        return found

    def settle(self):
        private.wait_until("an empty queue\n" + self.words(), lambda: not self.queue())

    def mails(self, mailbox):
        """The bytes of each mail delivered to a mailbox, once the queue is empty."""
        self.settle()
        mails = []
        for path in sorted(glob.glob(os.path.join(self.mail, mailbox, "Maildir", "new", "*"))):
            with open(path, "rb") as f:
                mails.append(f.read())
        return mails

    def empty(self, mailbox):
        shutil.rmtree(os.path.join(self.mail, mailbox, "Maildir"), ignore_errors=True)
