"""Throw-away certificates by the openssl program: a CA, one nobody trusts, and the leaves that tests need."""
import os
import subprocess


def _openssl(*args):
    subprocess.run(("openssl",) + args, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def _ca(folder, name):
    key, cert = os.path.join(folder, name + ".key"), os.path.join(folder, name + ".pem")
    _openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "30",
             "-subj", "/CN=mailhook test " + name, "-addext", "basicConstraints=critical,CA:TRUE",
             "-addext", "keyUsage=critical,keyCertSign,cRLSign")


def leaf(folder, name, ca, names, days=30):
    """NAME.pem and NAME.key, for the DNS names and addresses in names, by CA ca. days below 0: it has expired."""
    key, cert, csr, ext = (os.path.join(folder, name + end) for end in (".key", ".pem", ".csr", ".ext"))
    with open(ext, "w") as f:
        f.write("subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\nbasicConstraints=CA:FALSE\n" % ",".join(names))
    _openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", csr, "-subj", "/CN=" + name)
    _openssl("x509", "-req", "-in", csr, "-CA", os.path.join(folder, ca + ".pem"), "-CAkey",
             os.path.join(folder, ca + ".key"), "-CAcreateserial", "-out", cert, "-days", str(days), "-extfile", ext)
    os.chmod(key, 0o600)
    return cert, key


def make(folder):
    """ca, other-ca; server (localhost), wrong (another name), unknown (other CA), expired, client."""
    _ca(folder, "ca")
    _ca(folder, "other-ca")
    leaf(folder, "server", "ca", ["DNS:localhost", "IP:127.0.0.1", "IP:0:0:0:0:0:0:0:1"])
    leaf(folder, "wrong", "ca", ["DNS:other.example"])
    leaf(folder, "unknown", "other-ca", ["DNS:localhost", "IP:127.0.0.1"])
    leaf(folder, "expired", "ca", ["DNS:localhost", "IP:127.0.0.1"], days=-1)
    leaf(folder, "client", "ca", ["DNS:client.example"])
