"""A mailing list of mlmmj, behind a private Postfix: its folder, its settings, and what Postfix pipes its mail to.

    lists = MailingList(folder, "list@example.com", ["ann@example.com"], port=postfix.port["mx"], headers=["List-Id: <...>"])
    lists.master        the line of master.cf; lists.route: of transport_maps, for the address and what stands behind its +
"""
import os
import pwd
import subprocess

import private

RECEIVE, MAKE = "/usr/bin/mlmmj-receive", "/usr/bin/mlmmj-make-ml"


def available():
    return os.path.exists(RECEIVE) and os.path.exists(MAKE)


class MailingList:
    def __init__(self, folder, address, subscribers, headers=(), settings=()):
        """headers: what the list puts on each mail; mlmmj itself puts none. settings: files of its control folder."""
        name, domain = address.split("@")
        self.address, self.home = address, os.path.join(folder, name)
        os.makedirs(folder, exist_ok=True)
        made = subprocess.run([MAKE, "-s", folder, "-L", name], input="%s\nowner@%s\nen\n" % (domain, domain), text=True,
                              capture_output=True, timeout=30, check=False, env={"PATH": "/usr/bin:/bin"})
        assert made.returncode == 0, made
        with open(os.path.join(self.home, "subscribers.d", "s"), "w", encoding="ascii") as f:
            f.writelines(s + "\n" for s in subscribers)
        self.set("customheaders", "\n".join(headers))
        for setting in settings:
            self.set(setting)
        if os.geteuid() == 0:
            for path, folders, files in os.walk(folder):
                for entry in [path] + [os.path.join(path, n) for n in folders + files]:
                    os.chown(entry, private.MAIL_UID, private.MAIL_GID)
        self.master = "%s unix - n n - - pipe\n  flags=ORhu user=%s argv=%s -F -L %s\n" % (
            name, pwd.getpwuid(private.MAIL_UID).pw_name, RECEIVE, self.home)
        self.route = (address, name + ":")

    def set(self, name, value=""):
        with open(os.path.join(self.home, "control", name), "w", encoding="ascii") as f:
            f.write(value + "\n" if value else "")

    def send_to(self, port):
        """Where mlmmj hands in what it sends."""
        self.set("smtpport", "%d" % port)
