"""The script that mailhook replaces: the standard email package and a few patterns, one JSON line out."""

import email
import email.policy
import json
import re
import sys

mail = email.message_from_binary_file(sys.stdin.buffer, policy=email.policy.default)
body = mail.get_body(("plain", "html"))
text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", body.get_content())) if body else ""
account = re.search(r"AWS Account: (\d{12})", str(mail["Subject"]))
expires = re.search(r"SCIM access token .*? expires in (\d+) days on (\w+ \w+ +\d+ [\d:]+ UTC \d{4})", text)
if expires:
    print(json.dumps({"account": account and account[1], "days": expires[1], "expires": expires[2]}))
