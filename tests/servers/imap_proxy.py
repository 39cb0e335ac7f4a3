"""A proxy before an IMAP server that breaks connections in every way that a network, a broken server or an attacker can.

    p = Proxy(port_of_server); p.fault = FAULTS["stall"]; p.trigger = b"BODY.PEEK[]"; p.port; p.stop()

A fault is a function (connection) that is called once the client has sent the trigger, and before the answer is handed
on; it takes over the way to the client. Only the first `times` connections that show the trigger suffer it.
"""
import socket
import ssl
import struct
import threading
import time


class Connection:
    def __init__(self, proxy, client):
        self.proxy, self.client = proxy, client
        self.client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.server = socket.create_connection(("127.0.0.1", proxy.upstream))
        self.faulty, self.gone, self.tag = False, threading.Event(), b"1"
        for target in (self.upwards, self.downwards):
            threading.Thread(target=target, daemon=True).start()

    def close(self, reset=False):
        self.gone.set()
        for s in (self.client, self.server):
            try:
                if reset and s is self.client:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    s.close()
                else:
                    s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def upwards(self):
        try:
            while data := self.client.recv(65536):
                if self.proxy.trigger in data and self.proxy.take_turn():
                    self.tag = data.split(b" ", 1)[0].split(b"\n")[-1]
                    self.faulty = True
                    self.proxy.began.append(time.monotonic())
                    if self.proxy.fault(self, data):
                        continue
                self.server.sendall(data)
        except OSError:
            pass
        self.close()

    def downwards(self):
        try:
            while data := self.server.recv(65536):
                if not self.faulty or not self.proxy.fault.answers:
                    self.client.sendall(data)
                else:
                    self.proxy.fault.answers(self, data)
        except OSError:
            pass
        if not self.faulty or not self.proxy.fault.holds:
            self.close()

    def say(self, data):
        self.client.sendall(data)

    def for_ever(self, data):
        """Until the client has had enough."""
        try:
            while not self.gone.is_set():
                self.client.sendall(data)
        except OSError:
            pass
        self.close()


class Fault:
    """before: what is done instead of handing the command on, which it does where it returns False."""

    def __init__(self, before=None, answers=None, holds=False):
        self.before, self.answers, self.holds = before, answers, holds

    def __call__(self, connection, data):
        if self.before is None:
            return False
        self.before(connection, data)
        return True


def _half(c, data):
    c.say(data[:max(1, len(data) // 2)])
    c.close()


def _drip(c, data):
    for i in range(len(data)):
        if c.gone.is_set():
            break
        c.say(data[i:i + 1])
        time.sleep(0.2)


def _hold(c, data):
    c.gone.wait(60)


def _huge(c, _):
    c.say(b"* 1 FETCH (UID 1 BODY[]<0> {4000000000}\r\n")
    c.for_ever(b"x" * 65536)


def _nested(c, _):
    c.say(b"* 1 FETCH (UID 1 BODYSTRUCTURE " + b"(" * 200000)
    c.for_ever(b"(" * 65536)


def _nested_flags(c, _):
    c.say(b"* 1 FETCH (UID 1 FLAGS " + b"(" * 30000 + b"\r\n")
    c.for_ever(b"(" * 65536)


FAULTS = {
    "dropped inside a literal": Fault(answers=_half),
    "stalled": Fault(answers=_hold, holds=True),
    "silent at once": Fault(_hold, holds=True),
    "dripping": Fault(answers=_drip, holds=True),
    "reset": Fault(lambda c, _: c.close(reset=True)),
    "closed": Fault(lambda c, _: c.close()),
    "an endless line": Fault(lambda c, _: c.for_ever(b"* OK " + b"x" * 65531)),
    "endless untagged replies": Fault(lambda c, _: c.for_ever(b"* 7 EXISTS\r\n" * 5000)),
    "endless fetches": Fault(lambda c, _: c.for_ever(b"* 7 FETCH (UID 7 FLAGS (\\Seen))\r\n" * 2000)),
    "a literal of 4 GB": Fault(_huge),
    "a nested BODYSTRUCTURE": Fault(_nested),
    "nested flags": Fault(_nested_flags),
    "a goodbye": Fault(lambda c, _: (c.say(b"* BYE too many connections\r\n"), c.close())),
    "what was not asked for": Fault(lambda c, _: (c.say(b"* 1 FETCH (UID 1 ENVELOPE (NIL NIL))\r\n"), _hold(c, _)), holds=True),
    "no IMAP": Fault(lambda c, _: (c.say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), _hold(c, _)), holds=True),
    "another's tag": Fault(lambda c, _: (c.say(b"999 OK done\r\n"), _hold(c, _)), holds=True),
    "no data but an OK": Fault(lambda c, _: c.say(c.tag + b" OK done\r\n"), holds=True),
    "a NO": Fault(lambda c, _: c.say(c.tag + b" NO [SERVERBUG] not now\r\n"), holds=True),
    "a NUL": Fault(lambda c, _: (c.say(b"* OK \0\r\n"), _hold(c, _)), holds=True),
}


class Proxy:
    def __init__(self, upstream):
        self.upstream, self.fault, self.trigger, self.times = upstream, None, b"", 0
        self.lock, self.began, self.connections = threading.Lock(), [], []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        try:
            while True:
                client, _ = self.listener.accept()
                self.connections.append((time.monotonic(), Connection(self, client)))
        except OSError:
            pass

    def take_turn(self):
        with self.lock:
            if self.fault is None or self.times <= 0:
                return False
            self.times -= 1
            return True

    def arm(self, fault, trigger, times=1):
        with self.lock:
            self.fault, self.trigger, self.times, self.began = fault, trigger, times, []

    def stop(self):
        self.listener.close()
        for _, c in self.connections:
            c.close()


class Injector(Proxy):
    """Answers STARTTLS itself, by TLS with a server's certificate, and puts plain text in front of it."""

    def __init__(self, upstream, pki, extra):
        super().__init__(upstream)
        self.extra = extra
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pki + "/server.pem", pki + "/server.key")
        self.arm(Fault(self.inject, holds=True), b"STARTTLS", times=1 << 30)
        self.passwords = []

    def inject(self, c, _):
        c.say(c.tag + b" OK begin TLS\r\n" + self.extra)
        try:
            tls = self.context.wrap_socket(c.client, server_side=True)
            while data := tls.recv(65536):
                self.passwords.append(data)
                tls.sendall(data.split(b" ")[0] + b" OK done\r\n")
        except (OSError, ssl.SSLError):
            pass
        c.close()
