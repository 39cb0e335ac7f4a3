"""A TCP proxy before a real server: the network between the two, which a test cuts, holds and lets go again.

    gate = Gate(port)                 gate.port is where clients go
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


class Gate:
    def __init__(self, port, host="127.0.0.1", listen="127.0.0.1"):
        self.to, self.state = (host, port), threading.Condition()
        self._way, self._word = "free", None
        self._pairs, self._unanswered = set(), set()
        self.connected = 0  # connections so far
        self.lost = 0  # how often a word was met
        self._listener = socket.create_server((listen, 0), backlog=64)
        self.port = self._listener.getsockname()[1]
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
                server = socket.create_connection(self.to, timeout=10)
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
