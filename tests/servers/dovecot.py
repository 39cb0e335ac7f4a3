"""A private Dovecot on loopback: IMAP, LMTP and a SASL socket for Postfix. Needs root.

    d = Dovecot(folder, {"user": "password"}, pki=folder_of_pki)
    d.start(); d.port["imap"]; d.auth_socket; d.stop()
"""
import os

import private


def available():
    return os.geteuid() == 0 and os.path.exists("/usr/sbin/dovecot")


class Dovecot:
    def __init__(self, folder, users, pki=None, oauth=None, protocols=("imap",), mechanisms="plain login", more=""):
        """users: name: password. pki: a folder by pki.make, for TLS. oauth: URL of an introspection server.

        more: lines of configuration that stand last, and so win."""
        self.folder, self.users, self.pki, self.oauth, self.more = folder, users, pki, oauth, more
        self.protocols, self.mechanisms = protocols, mechanisms
        self.daemon, self.port = None, {}
        self.home = os.path.join(folder, "dovecot")
        self.mail = os.path.join(folder, "mail")
        self.log = os.path.join(folder, "dovecot.log")
        self.auth_socket = os.path.join(self.home, "postfix-auth")
        self.conf = os.path.join(self.home, "dovecot.conf")

    def _tls(self):
        if self.pki is None:
            return "ssl = no\n"
        return ("ssl = yes\nssl_cert = <%s/server.pem\nssl_key = <%s/server.key\nssl_min_protocol = TLSv1.2\n"
                % (self.pki, self.pki))

    def _oauth(self):
        if self.oauth is None:
            return ""
        path = os.path.join(self.home, "oauth2.conf.ext")
        with open(path, "w") as f:  # active_attribute empty with the default value would end the auth process
            f.write("introspection_url = %s\nintrospection_mode = post\nactive_attribute = active\nactive_value = true\n"
                    "username_attribute = username\n" % self.oauth)
        return "passdb {\n driver = oauth2\n mechanisms = xoauth2 oauthbearer\n args = %s\n}\n" % path

    def _write(self):
        names = ["imap", "imaps"] if "imap" in self.protocols else []
        names += ["lmtp"] if "lmtp" in self.protocols else []
        self.port = {name: private.free_port() for name in names if name != "imaps" or self.pki is not None}
        with open(os.path.join(self.home, "users"), "w") as f:
            f.writelines("%s:{PLAIN}%s\n" % item for item in self.users.items())
        with open(self.conf, "w") as f:
            f.write("""\
base_dir = %(home)s/run
state_dir = %(home)s/state
log_path = %(log)s
auth_verbose = yes
protocols = %(protocols)s
listen = 127.0.0.1
auth_mechanisms = %(mechanisms)s
disable_plaintext_auth = no
auth_failure_delay = 0
mail_location = maildir:~/Maildir
first_valid_uid = %(uid)d
userdb {
 driver = static
 args = uid=%(uid)d gid=%(gid)d home=%(mail)s/%%u
}
service anvil {
 unix_listener anvil-auth-penalty {
  mode = 0
 }
}
service auth {
 unix_listener %(socket)s {
  mode = 0666
 }
}
""" % {"home": self.home, "log": self.log, "protocols": " ".join(self.protocols), "mechanisms": self.mechanisms,
                   "uid": private.MAIL_UID, "gid": private.MAIL_GID, "mail": self.mail, "socket": self.auth_socket})
            f.write(self._tls() + self._oauth())
            f.write("passdb {\n driver = passwd-file\n args = %s/users\n}\n" % self.home)
            if "imap" in self.port:
                f.write("service imap-login {\n inet_listener imap {\n  port = %d\n }\n inet_listener imaps {\n  port = %d\n"
                        "  ssl = yes\n }\n}\n" % (self.port["imap"], self.port.get("imaps", 0)))
            if "lmtp" in self.port:
                f.write("service lmtp {\n inet_listener lmtp {\n  port = %d\n }\n}\n" % self.port["lmtp"])
            f.write(self.more)

    def start(self):
        os.chmod(self.folder, 0o755)
        private.own(self.home, 0, 0, 0o755)
        private.own(self.mail)
        for left in (2, 1, 0):
            self._write()
            self.daemon = private.Daemon(["/usr/sbin/dovecot", "-F", "-c", self.conf], self.log)
            try:
                self.daemon.wait_ready(self.port.values())
                private.wait_until("Dovecot's SASL socket", lambda: os.path.exists(self.auth_socket))
                return self
            except AssertionError:
                self.daemon.stop()
                if left == 0:
                    raise
        return self

    def stop(self):
        if self.daemon is not None:
            self.daemon.stop()
            self.daemon = None

    def words(self):
        return self.daemon.words() if self.daemon is not None else ""
