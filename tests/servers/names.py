"""A private name server (nsd) that answers for every name, and mails signed with keys that it serves."""
import os
import subprocess
import sys

import dkim

sys.path.insert(0, os.path.dirname(__file__))
import private  # noqa: E402

NSD = "/usr/sbin/nsd"


class Names:
    """nsd with one zone, the root: what a test does not put there is NXDOMAIN."""

    def __init__(self, folder):
        self.dir = os.path.join(folder, "names")
        os.mkdir(self.dir)
        self.port = private.free_port()
        self.records, self.daemon = {}, None

    @property
    def resolver(self):
        return "127.0.0.1:%d" % self.port

    def start(self, **records):
        with open(self.dir + "/zone", "w", encoding="utf-8") as f:
            f.write("$ORIGIN .\n$TTL 60\n@ IN SOA ns. root.ns. 1 60 60 60 60\n@ IN NS ns.\nns. IN A 127.0.0.1\n")
            for name, lines in {**self.records, **records}.items():
                for line in lines:
                    f.write("%s. IN %s\n" % (name, line))
        with open(self.dir + "/nsd.conf", "w", encoding="utf-8") as f:
            f.write("""server:
  ip-address: 127.0.0.1@%d
  server-count: 1
  username: ""
  chroot: ""
  database: ""
  zonesdir: "%s"
  pidfile: "%s/pid"
  xfrdfile: "%s/xfrd"
  xfrdir: "%s"
  zonelistfile: "%s/zones"
  logfile: "%s/log"
  rrl-ratelimit: 0
  hide-version: yes
remote-control:
  control-enable: no
zone:
  name: "."
  zonefile: "zone"
""" % ((self.port,) + 6 * (self.dir,)))
        self.daemon = private.Daemon([NSD, "-d", "-c", self.dir + "/nsd.conf"], self.dir + "/log")
        self.daemon.wait_ready([self.port])

    def stop(self):
        if self.daemon is not None:
            self.daemon.stop()
        self.daemon = None

    def key(self, domain, selector, text):
        """A TXT record in strings of at most 255 bytes."""
        parts = [text[i:i + 255] for i in range(0, len(text), 255)]
        self.records["%s._domainkey.%s" % (selector, domain)] = ["TXT " + " ".join('"%s"' % p for p in parts)]


class Key:
    """An RSA key by the openssl program."""

    def __init__(self, folder, name, bits=2048):
        self.path = os.path.join(folder, name + ".key")
        subprocess.run(["openssl", "genrsa", "-traditional", "-out", self.path, str(bits)], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        with open(self.path, "rb") as f:
            self.pem = f.read()
        public = subprocess.run(["openssl", "rsa", "-in", self.path, "-pubout"], check=True, capture_output=True).stdout
        self.record = "v=DKIM1; k=rsa; p=" + "".join(public.decode().split("\n")[1:-2])


SIGNED = [b"From", b"To", b"Subject", b"Date", b"Message-ID", b"MIME-Version", b"Content-Type", b"Content-Transfer-Encoding"]


def crlf(mail):
    return mail.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def sign(mail, key, domain, selector, headers=None):
    """The mail with a DKIM signature on top."""
    mail = crlf(mail)
    return dkim.sign(mail, selector.encode(), domain.encode(), key.pem, canonicalize=(b"relaxed", b"relaxed"),
                     include_headers=SIGNED if headers is None else headers) + mail


def seal(mail, key, domain, selector, server, results):
    """The mail as that server hands it on: its Authentication-Results, and its set of an ARC chain, on top."""
    mail = b"Authentication-Results: " + server.encode() + b"; " + results.encode() + b"\r\n" + crlf(mail)
    fields = dkim.arc_sign(mail, selector.encode(), domain.encode(), key.pem, server.encode(),
                           include_headers=[b"from", b"to", b"subject", b"date", b"message-id", b"mime-version", b"content-type",
                                            b"content-transfer-encoding"])
    assert fields, "dkimpy did not seal"
    return b"".join(fields) + mail
