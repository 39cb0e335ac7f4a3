#!/usr/bin/python3
"""What `mailhook run` tells a service manager, heard on a datagram socket as systemd has one."""
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest

SOURCE, BUILD = os.environ["MAILHOOK_SOURCE"], os.environ["MAILHOOK_BUILD"]
NOTICE = os.path.join(SOURCE, "samples", "notices", "scim", "a-8bit.eml")
WATCHDOG_MS = 400


class Manager:
    """One worker, and the socket that it was given."""

    def __init__(self, abstract=False, **env):
        self.dir = tempfile.mkdtemp(prefix="mailhook-notify-")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = os.path.join(self.dir, "notify")
        self.socket.bind("\0" + path if abstract else path)
        self.socket.settimeout(20)
        self.intake = os.path.join(self.dir, "state", "intake")
        self.conf = os.path.join(self.dir, "mailhook.conf")
        with open(self.conf, "w", encoding="utf-8") as f:
            f.write('state_dir = "%s/state"\n' % self.dir)
        env = {"NOTIFY_SOCKET": ("@" if abstract else "") + path, **env}
        self.worker = subprocess.Popen([BUILD + "/bin/mailhook", "run", "--config", self.conf], stderr=subprocess.PIPE,
                                       env=env, stdin=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.worker.poll() is None:
            self.worker.kill()
        self.worker.communicate()
        self.socket.close()
        shutil.rmtree(self.dir)

    def until(self, wanted):
        """All that was told up to the first datagram that begins so."""
        told = []
        while not told or not told[-1].startswith(wanted):
            told.append(self.socket.recv(4096).decode())
        return told

    def for_ms(self, ms):
        """All that is told until nothing was for so long."""
        told = []
        self.socket.settimeout(ms / 1000)
        try:
            while True:
                told.append(self.socket.recv(4096).decode())
        except TimeoutError:
            pass
        self.socket.settimeout(20)
        return told

    def end(self):
        self.worker.send_signal(signal.SIGTERM)
        told = self.until("STOPPING=1")
        return self.worker.wait(20), told


class Notify(unittest.TestCase):
    def test_life(self):
        for abstract in (False, True):
            with self.subTest(abstract=abstract), Manager(abstract) as m:
                told = m.until("STATUS=waits for mail")
                self.assertEqual(told[0], "READY=1", "ready comes first")
                with open(NOTICE, "rb") as mail:
                    subprocess.run([BUILD + "/bin/mailhook", "pipe", "--config", m.conf], stdin=mail, check=True)
                m.until("STATUS=actions run: ")
                m.until("STATUS=waits for mail")
                code, told = m.end()
                self.assertEqual(code, 0, "SIGTERM is a good end")
                self.assertNotIn("WATCHDOG=1", told, "nobody asked for a watchdog")

    def test_not_ready_without_the_lock(self):
        with Manager() as m:
            m.until("READY=1")
            second = subprocess.run([BUILD + "/bin/mailhook", "run", "--config", m.conf], capture_output=True, timeout=20,
                                    env={"NOTIFY_SOCKET": os.path.join(m.dir, "notify")}, check=False)
            self.assertEqual(second.returncode, 75, second.stderr)
            code, told = m.end()
            self.assertEqual(code, 0)
            self.assertNotIn("READY=1", told, "the second worker said that it was ready")

    def test_watchdog_follows_progress(self):
        with Manager(WATCHDOG_USEC=str(WATCHDOG_MS * 1000)) as m:
            m.until("STATUS=waits for mail")
            for _ in range(3):
                m.until("WATCHDOG=1")
            os.rename(m.intake, m.intake + ".away")
            with open(m.intake, "w", encoding="utf-8"):
                pass
            m.until("STATUS=trouble: ")
            self.assertNotIn("WATCHDOG=1", m.for_ms(4 * WATCHDOG_MS), "told progress that there was not")
            os.unlink(m.intake)
            os.rename(m.intake + ".away", m.intake)
            m.until("WATCHDOG=1")
            self.assertEqual(m.end()[0], 0)

    def test_watchdog_of_another_process(self):
        with Manager(WATCHDOG_USEC=str(WATCHDOG_MS * 1000), WATCHDOG_PID="1") as m:
            m.until("STATUS=waits for mail")
            self.assertEqual(m.for_ms(2 * WATCHDOG_MS), [], "the watchdog is not ours")

    def test_a_socket_that_is_none(self):
        for name in ("relative", "/nonexistent/notify", "@", "/" + 200 * "x"):
            with self.subTest(name=name), Manager(NOTIFY_SOCKET=name) as m:
                self.assertIn(b"NOTIFY_SOCKET", m.worker.stderr.readline(), "said once")
                m.worker.send_signal(signal.SIGTERM)
                self.assertEqual(m.worker.wait(20), 0, "and the worker works on")


if __name__ == "__main__":
    unittest.main()
