#!/usr/bin/env python3
"""An HTTP server that does what servers and networks do wrong. Usage: http_faults.py FOLDER

Makes certificates in FOLDER, prints one line of ports (plain tls wrong unknown expired mutual old dead proxy), and serves until its
stdin ends. The path names the behaviour; /seen/NAME tells how often /count/NAME was asked.
"""
import collections
import json
import os
import socket
import ssl
import sys
import threading
import warnings

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import pki  # noqa: E402

COUNTS = collections.Counter()


def read_request(conn):
    data = b""
    while b"\r\n\r\n" not in data:
        got = conn.recv(65536)
        if not got:
            return None
        data += got
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = [line.partition(": ")[::2] for line in lines[1:]]
    length = int(next((v for k, v in headers if k.lower() == "content-length"), "0"))
    while len(body) < length:
        got = conn.recv(65536)
        if not got:
            return None
        body += got
    method, path, version = lines[0].split(" ")
    return method, path, version, headers, body


def answer(status, headers, body):
    head = ["HTTP/1.1 %s" % status] + ["%s: %s" % h for h in headers]
    if not any(k.lower() == "content-length" for k, v in headers):
        head.append("Content-Length: %d" % len(body))
    return ("\r\n".join(head + ["Connection: close", "", ""])).encode("latin-1") + body


def behave(conn, method, path, headers, body):
    kind, _, rest = path.lstrip("/").partition("/")
    if kind == "echo":
        text = json.dumps({"method": method, "headers": headers, "body": body.decode("latin-1")}).encode()
        conn.sendall(answer("200 OK", [("Content-Type", "application/json"), ("X-One", " first "), ("x-one", "second")], text))
    elif kind == "status":
        conn.sendall(answer(rest + " Said", [], b"words"))
    elif kind == "retry":
        conn.sendall(answer("429 Slow", [("Retry-After", rest.replace("_", " "))], b""))
    elif kind == "redirect":
        conn.sendall(answer("302 Found", [("Location", "/count/redirected")], b""))
    elif kind == "count":
        COUNTS[rest] += 1
        conn.sendall(answer("200 OK", [], b"counted"))
    elif kind == "seen":
        conn.sendall(answer("200 OK", [], str(COUNTS[rest]).encode()))
    elif kind == "bytes":
        conn.sendall(answer("200 OK", [], b"x" * int(rest)))
    elif kind == "chunks":  # no length said
        conn.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(int(rest)):
            conn.sendall(b"400\r\n" + b"y" * 1024 + b"\r\n")
        conn.sendall(b"0\r\n\r\n")
    elif kind == "headers":
        conn.sendall(answer("200 OK", [("X-Pad-%d" % i, "z" * 1000) for i in range(int(rest))], b""))
    elif kind == "interim":
        conn.sendall(b"HTTP/1.1 103 Early Hints\r\nX-One: early\r\nRetry-After: 9\r\n\r\n" +
                     answer("200 OK", [("X-Two", "late")], b"ok"))
    elif kind == "stall":
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        conn.recv(1)
    elif kind == "cut":
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    elif kind == "lost":
        COUNTS[rest] += 1  # the effect took place, the answer never comes
    elif kind == "old":
        conn.sendall(b"no HTTP at all\r\n")


def serve_one(conn, context):
    try:
        conn.settimeout(20)
        if context is not None:
            conn = context.wrap_socket(conn, server_side=True)
        request = read_request(conn)
        if request is not None:
            behave(conn, request[0], request[1], request[3], request[4])
    except (OSError, ValueError):
        pass
    finally:
        conn.close()


def accept(listener, context):
    while True:
        conn, _ = listener.accept()
        threading.Thread(target=serve_one, args=(conn, context), daemon=True).start()


def context(folder, name, **kind):
    warnings.simplefilter("ignore", DeprecationWarning)  # TLS 1.1 is the point of one of them
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(os.path.join(folder, name + ".pem"), os.path.join(folder, name + ".key"))
    if kind.get("mutual"):
        c.verify_mode = ssl.CERT_REQUIRED
        c.maximum_version = ssl.TLSVersion.TLSv1_2  # with 1.3 the refusal comes after the handshake
        c.load_verify_locations(os.path.join(folder, "ca.pem"))
    if kind.get("old"):
        c.set_ciphers("ALL:@SECLEVEL=0")
        c.minimum_version = ssl.TLSVersion.TLSv1
        c.maximum_version = ssl.TLSVersion.TLSv1_1
    return c


def pump(a, b):
    try:
        while True:
            got = a.recv(65536)
            if not got:
                break
            b.sendall(got)
    except OSError:
        pass
    for s in (a, b):
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def proxy_one(conn):
    """CONNECT only; what the client tells the proxy is counted, for /seen/told-Authorization."""
    try:
        head = b""
        while b"\r\n\r\n" not in head:
            head += conn.recv(65536)
        COUNTS["proxied"] += 1
        COUNTS["told-Authorization"] += b"\nauthorization:" in head.lower()
        host, _, port = head.split(b" ")[1].decode().rpartition(":")
        with socket.create_connection((host, int(port)), timeout=20) as server:
            conn.sendall(b"HTTP/1.1 200 ok\r\nX-One: the proxy's\r\n\r\n")
            threading.Thread(target=pump, args=(server, conn), daemon=True).start()
            pump(conn, server)
    except (OSError, ValueError):
        pass
    finally:
        conn.close()


def proxy(listener):
    while True:
        conn, _ = listener.accept()
        threading.Thread(target=proxy_one, args=(conn,), daemon=True).start()


def hang_up(listener):  # in the middle of the handshake
    while True:
        conn, _ = listener.accept()
        conn.recv(10)
        conn.close()


def main():
    folder = sys.argv[1]
    pki.make(folder)
    ports = []
    for c in (None, context(folder, "server"), context(folder, "wrong"), context(folder, "unknown"),
              context(folder, "expired"), context(folder, "server", mutual=True), context(folder, "server", old=True)):
        listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        ports.append(listener.getsockname()[1])
        threading.Thread(target=accept, args=(listener, c), daemon=True).start()
    for loop in (hang_up, proxy):
        listener = socket.create_server(("127.0.0.1", 0))
        ports.append(listener.getsockname()[1])
        threading.Thread(target=loop, args=(listener,), daemon=True).start()
    print(*ports, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
