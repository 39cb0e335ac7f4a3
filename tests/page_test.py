#!/usr/bin/python3
"""The page in a browser: what headless Chromium shows on a desk and a phone, and that it asks for nothing else."""
import http.server
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

from sight_room import Room

CHROMIUM = shutil.which("chromium")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--hide-scrollbars"]
# Says what does not fit, by a script of the test's own page around the one that is tested, which allows none.
FRAME = """<!DOCTYPE html><title>frame</title><body style="margin:0"><iframe src="/index.html" style="border:0;width:%dpx;height:4000px">
</iframe><script>onload = () => { const d = document.querySelector("iframe").contentDocument, w = d.documentElement;
document.body.dataset.wide = w.scrollWidth; document.body.dataset.rows = d.querySelectorAll("tbody tr").length;
document.body.dataset.display = getComputedStyle(d.querySelector("tbody tr")).display;
document.body.dataset.scripts = d.scripts.length; };</script>"""


class Server(http.server.ThreadingHTTPServer):
    """The folder that mailhook publishes, and a list of what was asked for."""

    def __init__(self, folder):
        self.folder, self.asked = folder, []
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, path):
        return "http://127.0.0.1:%d%s" % (self.server_address[1], path)


class Handler(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *args):
        super().__init__(*args, directory=args[2].folder)

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.asked.append(self.path)
        super().do_GET()


class Page(unittest.TestCase):
    def browse(self, url, *flags):
        folder = tempfile.mkdtemp(prefix="mailhook-browser-")
        try:
            # whatever name is asked for, there is no such host: a request that leaves would fail, and be seen
            return subprocess.run(
                [CHROMIUM, *FLAGS, "--user-data-dir=" + folder, "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                 "--enable-logging=stderr", *flags, url], capture_output=True, timeout=120, check=True)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def test_browser(self):
        with Room('publish_dir = "@/pub"\n') as r:
            r.fill()
            r.sql("UPDATE cases SET resource = ? WHERE id = 3",
                  '<script src="https://a.example.com/x.js"></script><img src="https://b.example.com/y.png">' + "long" * 60)
            r.at(60 * 24 * 88)
            r.run("run", "--once")
            server = Server(r.dir + "/pub")
            try:
                done = self.browse(server.url("/index.html"), "--dump-dom", "--log-net-log=" + r.dir + "/net.json")
                dom = done.stdout.decode()
                self.assertEqual(server.asked, ["/index.html"], "the page alone")
                self.assertNotIn("CONSOLE", done.stderr.decode(), "nothing to complain of")
                urls = set(re.findall(r'"url":"(https?://[^"]*)"', r.read("net.json")))
                self.assertEqual({u for u in urls if "example.com" in u}, set(), "no request leaves")
                self.assertEqual(len(re.findall("<tr id=", dom)), 9)
                self.assertNotIn("<img", dom)
                for words in ("<b>4</b> wait for a person", "tomorrow", "mailhook approve 1", "Payments &amp; &lt;Billing&gt;",
                              '<a rel="noopener noreferrer" href="https://tickets.example.com/browse/OPS-42">OPS-42</a>',
                              "&lt;script src=\"https://a.example.com/x.js\"&gt;"):
                    self.assertIn(words, dom)
                for width, height, display in ((1200, 1000, "table-row"), (390, 1500, "block")):
                    with self.subTest(width=width):
                        r.write("pub/frame.html", FRAME % width)
                        dom = self.browse(server.url("/frame.html"), "--dump-dom", "--window-size=1300,4100").stdout.decode()
                        got = dict(re.findall(r'data-([a-z]+)="([^"]*)"', dom))
                        self.assertEqual(got, {"wide": str(width), "rows": "9", "display": display, "scripts": "0"},
                                         "nothing is wider than the screen")
                        shot = os.path.join(os.environ.get("MAILHOOK_SHOTS", r.dir), "page-%d.png" % width)
                        self.browse(server.url("/index.html"), "--window-size=%d,%d" % (max(width, 500), height),
                                    "--screenshot=" + shot)
                        with open(shot, "rb") as f:
                            png = f.read()
                        self.assertEqual(png[:8], b"\x89PNG\r\n\x1a\n")
                        self.assertGreater(len(png), 20000, "not an empty page")
                pdf = r.dir + "/page.pdf"
                self.browse(server.url("/index.html"), "--print-to-pdf=" + pdf)
                with open(pdf, "rb") as f:
                    self.assertEqual(f.read(5), b"%PDF-")
                self.assertLessEqual(set(server.asked), {"/index.html", "/frame.html", "/favicon.ico"})
            finally:
                server.shutdown()
                server.server_close()


if __name__ == "__main__":
    if CHROMIUM is None:
        print("no chromium: tests/packages.sh long installs it")
        sys.exit(77)
    unittest.main()
