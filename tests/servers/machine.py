#!/usr/bin/python3
"""A machine of a test: services that are started again whenever they end, and commands; all that it started dies with it.

    m = Machine(folder, services=[[argv...], ...], ports=[...], env={...})
    m.boot()                     where they can be made, in a PID and a network namespace of its own: m.apart says so
    m.run([argv...], b"stdin")   the exit code of a command on it, None where the machine died meanwhile
    m.pids()                     of all its processes, as seen from outside; the first is the machine itself
    m.kill()                     the power fails
    m.freeze(), m.thaw()         SIGSTOP and SIGCONT for all of it
    m.stop()                     shut down in order: services get SIGTERM

In a network of its own it reaches the TCP ports of our loopback that `ports` lists, by the same numbers, through sockets in
`folder`; otherwise it is in our network. A service's words go to services.log in the folder.
As a program it is the first process of the machine."""
import ctypes
import fcntl
import glob
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

from gate import Gate

PR_SET_CHILD_SUBREAPER, SIOCSIFFLAGS, IFF_UP_RUNNING = 36, 0x8914, 0x41
AGAIN_AFTER_S = 0.1  # as a service manager's RestartSec
APART = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]


def descendants(pid):
    """The ids of all processes below pid."""
    found = []
    for path in glob.glob("/proc/%d/task/*/children" % pid):
        try:
            with open(path, encoding="ascii") as f:
                for child in f.read().split():
                    found += [int(child)] + descendants(int(child))
        except OSError:
            pass
    return found


def signal_all(pids, number):
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def can_be_apart(known=[]):
    if not known:
        done = subprocess.run(APART + ["true"], check=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
        known.append(done.returncode == 0)
    return known[0]


class Machine:
    def __init__(self, folder, services=(), ports=(), env=None, apart=None):
        """apart: must it have namespaces of its own? None: where they can be made."""
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self.folder, self.services, self.ports = folder, list(services), list(ports)
        self.env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", **(env or {})}
        self.apart = can_be_apart() if apart is None else apart
        self.socket, self.log = os.path.join(folder, "control"), os.path.join(folder, "services.log")
        self.process, self.boots = None, 0
        # the far ends of its network: here, and for as long as the test lasts
        self.ways = [Gate(port, listen=self._way(port)) for port in self.ports] if self.apart else []

    def _way(self, port):
        return os.path.join(self.folder, "port-%d" % port)

    # -- life

    def boot(self):
        """Returns when it takes commands; its services may not be up yet."""
        assert self.process is None
        for path in (self.socket,):
            if os.path.exists(path):
                os.unlink(path)
        asked = {"socket": self.socket, "services": self.services, "log": self.log, "apart": self.apart,
                 "ways": {str(p): self._way(p) for p in self.ports} if self.apart else {}}
        argv = (APART if self.apart else []) + [sys.executable, "-B", os.path.abspath(__file__), json.dumps(asked)]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *argv], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env=self.env, start_new_session=True)
        self.boots += 1
        end = time.monotonic() + 30
        while not os.path.exists(self.socket):
            if time.monotonic() > end or self.process.poll() is not None:
                raise AssertionError("a machine does not start:\n" + self.words()[-3000:])
            time.sleep(0.005)
        return self

    def pids(self):
        return [self.process.pid] + descendants(self.process.pid) if self.process is not None else []

    def freeze(self):
        if self.process is not None:
            signal_all(self.pids(), signal.SIGSTOP)
            signal_all(self.pids(), signal.SIGSTOP)  # who was born meanwhile

    def thaw(self):
        signal_all(reversed(self.pids()), signal.SIGCONT)

    def kill(self):
        if self.process is None:
            return
        self.freeze()
        signal_all(self.pids(), signal.SIGKILL)
        self.process.wait()
        self.process = None

    def stop(self, patience_s=30):
        if self.process is None:
            return
        self.thaw()
        try:
            self._ask({"stop": True}, b"", patience_s)
            self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            pass
        self.kill()

    def close(self):
        self.kill()
        for way in self.ways:
            way.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- commands

    def _ask(self, asked, stdin, timeout):
        """What it answers: a line of JSON; None where it died."""
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(timeout)
                s.connect(self.socket)
                s.sendall(json.dumps({**asked, "stdin": len(stdin)}).encode() + b"\n" + stdin)
                answer = b""
                while data := s.recv(65536):
                    answer += data
        except socket.timeout as e:
            raise AssertionError("no answer within %d s: %s" % (timeout, asked)) from e
        except OSError:
            return None
        return json.loads(answer) if answer.endswith(b"\n") else None

    def run(self, argv, stdin=b"", timeout=60):
        answer = self._ask({"argv": argv}, stdin, timeout)
        return None if answer is None else answer["code"]

    def words(self):
        try:
            with open(self.log, errors="replace", encoding="utf-8") as f:
                return f.read()
        except FileNotFoundError:
            return ""


# -- inside


class First:
    """The first process of the machine."""

    def __init__(self, asked):
        self.asked, self.stopping, self.running = asked, threading.Event(), {}
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        if asked["apart"]:
            self._loopback()
            self.ways = [Gate(path, listen=("127.0.0.1", int(port))) for port, path in asked["ways"].items()]
        for number, argv in enumerate(asked["services"]):
            threading.Thread(target=self._service, args=(number, argv), daemon=True).start()
        self._serve()

    @staticmethod
    def _loopback():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP_RUNNING))

    def _service(self, number, argv):
        while not self.stopping.is_set():
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
            self.running[number] = process
            code = process.wait()
            if not self.stopping.is_set():
                print("machine: %s ended with %d" % (os.path.basename(argv[0]), code), flush=True)
            self.stopping.wait(AGAIN_AFTER_S)

    def _serve(self):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.asked["socket"] + ".new")
        listener.listen(64)
        os.rename(self.asked["socket"] + ".new", self.asked["socket"])
        while not self.stopping.is_set():
            s, _ = listener.accept()
            threading.Thread(target=self._answer, args=(s,), daemon=True).start()

    def _answer(self, s):
        with s, s.makefile("rb") as f:
            asked = json.loads(f.readline())
            stdin = f.read(asked["stdin"])
            if "stop" in asked:
                self._stop()
                s.sendall(b"{}\n")
                os._exit(0)
            done = subprocess.run(asked["argv"], input=stdin, check=False)
            s.sendall(json.dumps({"code": done.returncode}).encode() + b"\n")

    def _stop(self):
        self.stopping.set()
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
        for process in self.running.values():
            process.wait()


if __name__ == "__main__":
    First(json.loads(sys.argv[1]))
