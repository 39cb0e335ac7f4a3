"""The mail program of a private server: keeps what sendmail is given, and hands it on by SMTP if told to.

    box = Outbox(folder, sender="root@example.com"); box.program      what the server calls, as it calls sendmail
    box.sent(); box.relay(port)
"""
import glob
import os

PROGRAM = """\
#!/usr/bin/python3 -IB
import email, email.policy, os, smtplib, sys, time
folder = %(folder)r
raw = sys.stdin.buffer.read()
sender = sys.argv[sys.argv.index("-f") + 1] if "-f" in sys.argv else %(sender)r
name = "%%020d.%%d" %% (time.time_ns(), os.getpid())
with open(os.path.join(folder, "." + name), "wb") as f:
    f.write(raw)
os.rename(os.path.join(folder, "." + name), os.path.join(folder, name))
if os.path.exists(os.path.join(folder, "relay")):
    mail = email.message_from_bytes(raw, policy=email.policy.SMTP.clone(refold_source="none"))
    to = [a.addr_spec for n in ("To", "Cc", "Bcc") for h in mail.get_all(n, []) for a in h.addresses]
    with open(os.path.join(folder, "relay")) as f, smtplib.SMTP("127.0.0.1", int(f.read())) as s:
        s.sendmail(sender, to, raw.replace(b"\\r\\n", b"\\n").replace(b"\\n", b"\\r\\n"), mail_options=["BODY=8BITMIME"])
"""


class Outbox:
    def __init__(self, folder, sender):
        """folder: exists, and whoever runs the server may write in it. sender: of the envelope, where none is given."""
        self.folder, self.program = folder, os.path.join(folder, "sendmail")
        self._put("sendmail", PROGRAM % {"folder": folder, "sender": sender}, 0o755)

    def _put(self, name, text, mode=0o644):
        path = os.path.join(self.folder, name)
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path + ".new", mode)
        os.rename(path + ".new", path)

    def relay(self, port):
        """From now on mail goes to the SMTP server on this port, too."""
        self._put("relay", "%d" % port)

    def sent(self):
        """The bytes of each mail, the oldest first."""
        mails = []
        for path in sorted(glob.glob(os.path.join(self.folder, "[0-9]*"))):
            with open(path, "rb") as f:
                mails.append(f.read())
        return mails
