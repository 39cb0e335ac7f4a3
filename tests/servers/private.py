"""What private instances of real servers share: ports, waiting for them, and stopping by process id."""
import os
import signal
import socket
import subprocess
import time

MAIL_UID = MAIL_GID = 65534  # nobody: owns the mailboxes of tests


def free_port():
    """A port of loopback that the system says is free now; servers that cannot be told "any" get it by number."""
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(what, test, deadline_s=30):
    """Polls until test() is true; what says what was missing."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        value = test()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError("not within %d s: %s" % (deadline_s, what))


def answers(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2):
            return True
    except OSError:
        return False


class Daemon:
    """One server in the foreground, in its own process group; ended by stop(), and by our own death. end: the signal for that."""

    def __init__(self, argv, log, end="TERM", **kind):
        self.log, self.end = log, end
        with open(log + ".start", "wb") as out:
            self.process = subprocess.Popen(["/usr/bin/setpriv", "--pdeathsig", end] + argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                            start_new_session=True, **kind)

    def wait_ready(self, ports):
        def ready():
            if self.process.poll() is not None:
                raise AssertionError("ended at once:\n" + self.words())
            return all(answers(p) for p in ports)
        try:
            wait_until("a server on %s" % ports, ready)
        except AssertionError:
            self.stop()
            raise

    def words(self):
        text = ""
        for path in (self.log + ".start", self.log):
            if os.path.exists(path):
                with open(path, errors="replace") as f:
                    text += f.read()
        return text

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(getattr(signal, "SIG" + self.end))
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        try:  # the group is ours alone: start_new_session
            os.killpg(self.process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass


def own(path, uid=MAIL_UID, gid=MAIL_GID, mode=0o700):
    os.makedirs(path, exist_ok=True)
    os.chown(path, uid, gid)
    os.chmod(path, mode)
    return path
