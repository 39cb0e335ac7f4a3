"""Writes the mails that are measured: mails.py FOLDER."""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "faults"))
from world import notice  # noqa: E402

LINE = b"Please find below the minutes of the weekly meeting, with all that was said about it.\n"
ORDINARY = b"""\
Received: from mx.example.com (mx.example.com [192.0.2.1]) by mail.example.com; Mon, 5 Jan 2026 09:00:00 +0000
From: Ann <ann@example.com>
To: team@example.com
Subject: Minutes
Date: Mon, 5 Jan 2026 09:00:00 +0000
Message-ID: <minutes-%d@example.com>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8

"""


def padded(mail, size):
    return mail + LINE * max(0, (size - len(mail)) // len(LINE))


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    for name, mail in (
        ("ordinary-7k", padded(ORDINARY % 1, 7000)),
        ("ordinary-50k", padded(ORDINARY % 2, 50000)),
        ("notice-7k", padded(notice(), 7000)),
        ("notice-50k", padded(notice(), 50000)),
    ):
        with open(os.path.join(folder, name), "wb") as f:
            f.write(mail)


if __name__ == "__main__":
    main()
