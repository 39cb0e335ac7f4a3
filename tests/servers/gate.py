"""A TCP proxy before a real server: the network between the two, which a test cuts, holds and lets go again.

    gate = Gate(port)                 of the server; gate.port is where clients go
    gate.cut()                        every connection is reset, and each new one at once
    gate.hold()                       connections stand, and nothing goes over them: a network that has gone silent
    gate.free()                       goes on; what was held is handed on
    gate.cut_after(b"COMMIT")         the next time that a client sends this, the server gets it, and the answer never comes: the
                                      connection is reset; gate.cut_before(word): the server does not get it either
    gate.close()
"""
import socket
import struct
import threading


def _address(where):
    """A port of loopback, an address as Python has it, or the path of a Unix socket."""
    return ("127.0.0.1", where) if isinstance(where, int) else where


def _listen(where):
    if not isinstance(where, str):
        return socket.create_server(where, backlog=64)
    s = socket.socket(socket.AF_UNIX)
    s.bind(where)
    s.listen(64)
    return s


def _connect(where):
    if not isinstance(where, str):
        return socket.create_connection(where, timeout=10)
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(10)
    s.connect(where)
    return s


class Gate:
    def __init__(self, to, listen=0):
        """Each a port of loopback, an address, or the path of a Unix socket; listen: 0 is a port that the system gives."""
        self.to, self.state = _address(to), threading.Condition()
        self._way, self._word = "free", None
        self._pairs, self._unanswered = set(), set()
        self.connected = 0  # connections so far
        self.lost = 0  # how often a word was met
        self._listener = _listen(_address(listen))
        self.port = self._listener.getsockname()[1] if self._listener.family != socket.AF_UNIX else None
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        self._go("cut")
        for pair in self._standing():
            self._reset(pair)

    def hold(self):
        self._go("held")

    def free(self):
        self._go("free")

    def cut_after(self, word):
        with self.state:
            self._word = (word, True)

    def cut_before(self, word):
        with self.state:
            self._word = (word, False)

    def close(self):
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        self.cut()

    def _go(self, way):
        with self.state:
            self._way = way
            self.state.notify_all()

    def _standing(self):
        with self.state:
            return list(self._pairs)

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _reset(self, pair):
        """Both ends see a reset, whatever was under way: the sockets are closed by their own threads."""
        for s in pair:
            try:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _passes(self):
        """Waits while the gate is held; false where it is cut."""
        with self.state:
            self.state.wait_for(lambda: self._way != "held")
            return self._way == "free"

    def _serve(self, client):
        with client:
            if not self._passes():
                self._reset((client,))
                return
            try:
                server = _connect(self.to)
            except OSError:
                self._reset((client,))
                return
            with server:
                server.settimeout(None)
                pair = (client, server)
                with self.state:
                    self.connected += 1
                    self._pairs.add(pair)
                for s in pair:
                    if s.family != socket.AF_UNIX:
                        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                back = threading.Thread(target=self._pump, args=(server, client, pair), daemon=True)
                back.start()
                self._pump(client, server, pair)
                back.join()
                with self.state:
                    self._pairs.discard(pair)
                    self._unanswered.discard(pair)

    def _pump(self, source, target, pair):
        try:
            while data := source.recv(65536):
                if not self._passes() or self._is_lost(data, pair, source is pair[0]):
                    break
                target.sendall(data)
            else:
                target.shutdown(socket.SHUT_WR)  # an end in order is handed on, and the other way stays open
                return
        except OSError:
            pass
        self._reset(pair)

    def _is_lost(self, data, pair, upwards):
        with self.state:
            if not upwards:
                return pair in self._unanswered
            if self._word is None or self._word[0] not in data:
                return False
            after, self._word = self._word[1], None
            self.lost += 1
            if after:
                self._unanswered.add(pair)
            return not after
