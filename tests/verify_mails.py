"""What the tests of the verifier share: keys, mails signed by dkimpy (Debian's python3-dkim), and verify-one."""

import base64
import os
import re
import subprocess

import dkim
import nacl.signing

BUILD = os.environ.get('MAILHOOK_BUILD', 'build')
RECEIVED = 1770091506  # 2026-02-03T04:05:06Z

HEADER = b"""Received: from a4-2.smtp-out.example.com (a4-2.smtp-out.example.com [192.0.2.7])
\tby mx.example.com (Postfix) with ESMTPS id 4AB2 for <ops@example.com>;
\tTue, 03 Feb 2026 04:05:04 +0000 (UTC)
Date: Tue, 3 Feb 2026 04:05:03 +0000
From: "Amazon Web Services, Inc." <no-reply-aws@amazon.com>
To: ops@example.com
Message-ID: <0100019c@email.amazonses.com>
Subject: [Action  required] SCIM Access Token
 Approaching Expiration
MIME-Version: 1.0
Content-Type: text/plain; charset=UTF-8
Content-Transfer-Encoding: 7bit
X-Filler: kept \tout  of the signature
"""
BODY = b"""The SCIM access token expires in  89 days on Tue May 03 04:05:06 UTC 2026.

 A line that begins with a blank,\tand has a tab.
A line that ends with blanks \t

Regards
"""
SIGNED = [b'Date', b'From', b'To', b'Message-ID', b'Subject', b'MIME-Version', b'Content-Type',
          b'Content-Transfer-Encoding']
SENDERS = ['no-reply-aws@amazon.com', 'health@aws.com', 'no-reply@sns.amazonaws.com']
SIGNERS = ['amazon.com', 'aws.com', 'sns.amazonaws.com']


class Keys:
    """Keys made for this run, and the file that verify-one reads them from."""

    def __init__(self, folder):
        self.folder, self.private, self.records = folder, {}, {}

    def rsa(self, selector, domain, bits=2048):
        made = os.path.join(self.folder, f'rsa-{bits}.pem')
        if not os.path.exists(made):
            subprocess.run(['openssl', 'genrsa', '-traditional', '-out', made, str(bits)], check=True,
                           capture_output=True)
        der = subprocess.run(['openssl', 'rsa', '-in', made, '-pubout', '-outform', 'DER'], check=True,
                             capture_output=True).stdout
        with open(made, 'rb') as f:
            self.private[selector, domain] = (f.read(), b'rsa-sha256')
        self.publish(selector, domain, 'v=DKIM1; k=rsa; p=' + base64.b64encode(der).decode())

    def ed25519(self, selector, domain):
        key = nacl.signing.SigningKey(b'\x07' * 32)
        self.private[selector, domain] = (base64.b64encode(key.encode()), b'ed25519-sha256')
        self.publish(selector, domain,
                     'v=DKIM1; k=ed25519; p=' + base64.b64encode(key.verify_key.encode()).decode())

    def publish(self, selector, domain, record):
        self.records[f'{selector}._domainkey.{domain}'] = record

    def write(self):
        path = os.path.join(self.folder, 'keys')
        with open(path, 'w', encoding='ascii') as f:
            f.writelines(f'{name}\t{text}\n' for name, text in self.records.items())
        return path

    def dns(self, name, timeout=5):
        """What dkimpy asks."""
        name = name.decode() if isinstance(name, bytes) else name
        text = self.records.get(name.rstrip('.').lower())
        return text.encode() if text is not None else None

    def sign(self, mail, selector, domain, canon=(b'relaxed', b'simple'), **more):
        key, algorithm = self.private[selector, domain]
        more.setdefault('include_headers', SIGNED)
        more.setdefault('signature_algorithm', algorithm)
        field = dkim.sign(mail, selector.encode(), domain.encode(), key, canonicalize=canon, **more)
        eol = b'\r\n' if b'\r\n' in mail else b'\n'
        return field.replace(b'\r\n', eol) + mail

    def arc(self, mail, selector, domain, authserv_id):
        """One more ARC set, made of the mail's Authentication-Results, which are taken out; dkimpy would add up several."""
        key, _ = self.private[selector, domain]
        fields = dkim.arc_sign(mail, selector.encode(), domain.encode(), key, authserv_id.encode(),
                               include_headers=[b'from', b'to', b'date', b'subject', b'message-id'])
        if len(fields) != 3:
            raise AssertionError(f'no results of {authserv_id} to seal')
        return b''.join(fields).replace(b'\r\n', b'\n') + re.sub(rb'(?m)^Authentication-Results:.*\n', b'', mail)


def frames(mails):
    return b''.join(b'%d\n' % len(m) + m for m in mails)


def verify(keys, mails, received=RECEIVED, **policy):
    """verify-one's answers: a dict a mail. policy: signer=[...], sender=[...], and what conf's trust block has."""
    args = [f'{BUILD}/tests/verify-one', keys.write(), str(received)]
    for name, value in policy.items():
        args += [f'{name}={v}' for v in (value if isinstance(value, list) else [value])]
    run = subprocess.run(args, input=frames(mails), stdout=subprocess.PIPE, check=True)
    names = ('dkim', 'arc', 'level', 'temporary', 'by', 'steps')
    lines = run.stdout.decode('ascii').splitlines()
    if len(lines) != len(mails):
        raise AssertionError(f'verify-one answered {len(lines)} of {len(mails)} mails')
    return [dict(zip(names, line.split('\t'))) for line in lines]
