"""A TCP proxy before a real server, which loses what it is told to lose.

    proxy = Lossy(port)                    proxy.url("/path") is http://127.0.0.1:PORT/path
    proxy.lose_answer(1)                   the first request from now is carried out, and its answer never comes
    proxy.lose_request(2)                  the second from now never arrives; both may be given a word: only requests with it count
    proxy.seen                             the first lines of all requests
"""
import socket
import threading


def read_request(conn):
    data = b""
    while b"\r\n\r\n" not in data:
        got = conn.recv(65536)
        if not got:
            return data
        data += got
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        got = conn.recv(65536)
        if not got:
            return data
        data += got
        body += got
    return data


class Lossy:
    def __init__(self, port):
        self.server_port, self.seen, self._lock = port, [], threading.Lock()
        self._lose = {}  # "answer" or "request": [how many to go, word]
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, path=""):
        return "http://127.0.0.1:%d%s" % (self.port, path)

    def close(self):
        self._listener.close()

    def lose_answer(self, nth, word=b""):
        self._lose["answer"] = [nth, word]

    def lose_request(self, nth, word=b""):
        self._lose["request"] = [nth, word]

    def calm(self):
        """Nothing is to be lost any more; true where something was."""
        with self._lock:
            was_lost = not self._lose
            self._lose.clear()
            return was_lost

    def _is_lost(self, what, line):
        with self._lock:
            to_lose = self._lose.get(what)
            if to_lose is None or to_lose[1] not in line:
                return False
            to_lose[0] -= 1
            if to_lose[0] == 0:
                del self._lose[what]
                return True
            return False

    def _accept(self):
        while True:
            try:
                conn, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        """One request a connection: what an action asks for."""
        try:
            with conn, socket.create_connection(("127.0.0.1", self.server_port), timeout=60) as server:
                data = read_request(conn)
                line = data.split(b"\r\n", 1)[0]
                self.seen.append(line.decode("latin-1"))
                if not data or self._is_lost("request", line):
                    return
                lost = self._is_lost("answer", line)
                # the server keeps connections open, and would be waited for
                head, _, rest = data.partition(b"\r\n")
                server.sendall(head + b"\r\nConnection: close\r\n" + rest)
                while True:
                    got = server.recv(65536)
                    if not got:
                        return
                    if not lost:
                        conn.sendall(got)
        except OSError:
            pass
