#!/usr/bin/python3
"""Thousands of changed mails, judged by mailhook's verifier, by dkimpy and by libopendkim.

Nothing that the others refuse may be accepted. What mailhook alone refuses must have a reason that DEVIATIONS.md has
a number for. The changes come from a fixed seed, so that a failure can be had again.
"""

import collections
import logging
import os
import random
import re
import subprocess
import sys
import tempfile

import dkim

sys.dont_write_bytecode = True
import verify_mails
from verify_mails import BODY, BUILD, HEADER, Keys

SOURCE = os.environ.get('MAILHOOK_SOURCE', '.')
SEED, ROUNDS = 20260203, 8
LEAST = {'DKIM': 2000, 'ARC': 400}  # changed mails, all unlike each other

# What mailhook refuses and another takes: the words of its reason, and the number in DEVIATIONS.md.
REFUSALS = {
    'a line of the header is no field': 16, 'the header holds a NUL or a bare CR': 16,
    ' From fields': 16, 'l= is refused': 17, 'rsa-sha1 is refused': 17, 't=y': 17, 'an RSA key of': 17,
    'had expired (x=)': 18, 'x= is not after t=': 18,
    'is no tag list': 19, 'a tag "': 19, 'a tag without': 19, 'the tag ': 19, 'not base64': 19, 'base64 that ends': 19,
    'is no selector': 19, 'is no domain': 19, 'i= is ': 19, 'is no number': 19, 'q= does not': 19, 'h= is no list': 19,
    'an empty name in h=': 19, 'an unknown canonical form': 19, 'v= is not 1': 19, 'is no SHA-256': 19,
    'an unknown algorithm': 19, 'of another kind than': 19, 'there is no key': 19,
}

LAST_CR = 'a CR at the very end'
REFUSALS[LAST_CR] = 20


def split(mail):
    eol = b'\r\n' if b'\r\n' in mail else b'\n'
    head, body = mail.split(eol + eol, 1)
    return [f + eol for f in re.split(eol + rb'(?![ \t])', head)], body, eol


def join(fields, body, eol):
    return b''.join(fields) + eol + body


def on_fields(change):
    def run(mail, rnd):
        fields, body, eol = split(mail)
        change(fields, rnd, eol)
        return join(fields, body, eol)
    run.__name__ = change.__name__
    return run


def on_body(change):
    def run(mail, rnd):
        fields, body, eol = split(mail)
        return join(fields, change(body, rnd, eol), eol)
    run.__name__ = change.__name__
    return run


def on_signature(change):
    """Changes the value of a signature field, folds and all."""
    def run(mail, rnd):
        fields, body, eol = split(mail)
        at = rnd.choice([i for i, f in enumerate(fields) if re.match(rb'(?i)(DKIM|ARC-M|ARC-Se)', f)])
        name, value = fields[at].split(b':', 1)
        fields[at] = name + b':' + change(value.rstrip(b'\r\n'), rnd, eol) + eol
        return join(fields, body, eol)
    run.__name__ = change.__name__
    return run


def flip_bit(mail, rnd):
    at = rnd.randrange(len(mail))
    return mail[:at] + bytes([mail[at] ^ 1 << rnd.randrange(8)]) + mail[at + 1:]


def flip_case(mail, rnd):
    at = rnd.choice([i for i, c in enumerate(mail) if chr(c).isalpha()])
    return mail[:at] + mail[at:at + 1].swapcase() + mail[at + 1:]


def truncate(mail, rnd):
    return mail[:rnd.randrange(len(mail))]


def insert(mail, rnd):
    at = rnd.randrange(len(mail))
    what = rnd.choice([b' ', b'\t', b'\r', b'\n', b'\r\n', b'\0', b'\xe4', b';', b':', b'=', b'"', b'\r\n ', b'\n\n', b'.'])
    return mail[:at] + what + mail[at:]


def delete(mail, rnd):
    at = rnd.randrange(len(mail))
    return mail[:at] + mail[at + rnd.choice([1, 1, 2, 30]):]


def other_line_ends(mail, rnd):
    return mail.replace(b'\r\n', b'\n') if b'\r\n' in mail else mail.replace(b'\n', b'\r\n')


def mixed_line_ends(mail, rnd):
    return b''.join(rnd.choice([b'\n', b'\r\n']) if p == b'\n' else p
                    for p in re.split(rb'(\n)', mail.replace(b'\r\n', b'\n')))


@on_fields
def swap_fields(fields, rnd, eol):
    a, b = rnd.randrange(len(fields)), rnd.randrange(len(fields))
    fields[a], fields[b] = fields[b], fields[a]


@on_fields
def shuffle_fields(fields, rnd, eol):
    rnd.shuffle(fields)


@on_fields
def repeat_field(fields, rnd, eol):
    fields.insert(rnd.randrange(len(fields) + 1), rnd.choice(fields))


@on_fields
def drop_field(fields, rnd, eol):
    del fields[rnd.randrange(len(fields))]


@on_fields
def add_field(fields, rnd, eol):
    fields.insert(rnd.choice([0, len(fields)]), rnd.choice(
        [b'From: other@example.net', b'Subject: other', b'X-New: 1', b'Content-Type: text/html', b'Bare', b'To :x',
         b'Date:', b': nameless', b'From nobody']) + eol)


@on_fields
def fold(fields, rnd, eol):
    at = rnd.randrange(len(fields))
    fields[at] = re.sub(rb'(?<!\n)[ \t]', lambda m: m[0] if rnd.random() < .5 else eol + m[0], fields[at])


@on_fields
def unfold(fields, rnd, eol):
    for at, f in enumerate(fields):
        fields[at] = re.sub(rb'\r?\n(?=[ \t])', b'', f)


@on_fields
def widen(fields, rnd, eol):
    at = rnd.randrange(len(fields))
    fields[at] = re.sub(rb'(?<!\n)[ \t]', rnd.choice([b'  ', b'\t', b' \t ', b'']), fields[at])


@on_fields
def name_case(fields, rnd, eol):
    at = rnd.randrange(len(fields))
    name, value = fields[at].split(b':', 1)
    fields[at] = rnd.choice([name.upper(), name.lower(), name.title(), name + b' ']) + b':' + value


@on_fields
def blank_end(fields, rnd, eol):
    at = rnd.randrange(len(fields))
    fields[at] = fields[at][:-len(eol)] + rnd.choice([b' ', b'\t', eol + b' ', eol + b'\t x']) + eol


@on_body
def body_end(body, rnd, eol):
    return rnd.choice([body + eol, body + eol * 3, body.rstrip(b'\r\n'), body + b' ', body + b' ' + eol, body + b'\t' + eol * 2,
                       b'', eol, eol * 2, b' ' + eol, body[:-1], body + b'\r', body + b'\0', body + b'x'])


@on_body
def body_blanks(body, rnd, eol):
    return re.sub(rb'[ \t]+', lambda m: m[0] if rnd.random() < .5 else rnd.choice([b' ', b'  ', b'\t', b' \t']), body)


@on_body
def line_blanks(body, rnd, eol):
    return body.replace(eol, rnd.choice([b' ', b'\t ', b'\r']) + eol, rnd.choice([1, 2, -1]))


@on_body
def append(body, rnd, eol):
    return body + b'An attacker wrote this' + eol


@on_signature
def tag_blanks(value, rnd, eol):
    return re.sub(rb'[;=:]', lambda m: m[0] if rnd.random() < .7 else rnd.choice([b' ', b'', eol + b' ']) + m[0] +
                  rnd.choice([b' ', eol + b'\t', b'']), value)


@on_signature
def tag_order(value, rnd, eol):
    tags = [t for t in value.split(b';') if t.strip()]
    rnd.shuffle(tags)
    return b';'.join(tags)


@on_signature
def tag_more(value, rnd, eol):
    return rnd.choice([value + b'; l=10', value + b'; l=0', value + b'; x=1', value + b'; x=9999999999', value + b';', value + b';;',
                       value + b'; q=dns/txt', value + b'; q=http', value + b'; z=From:x', value + b'; new=1', value + b'; v=1',
                       value + b'; b=AAAA', value + b'; i=@x.amazon.com', value + b'; i=@example.com', value + b'; t=nan',
                       b' ' + value, b'=;' + value, b' l=0;' + value])


@on_signature
def tag_change(value, rnd, eol):
    old, new = rnd.choice([(b'v=1', b'v=2'), (b'v=1', b'v=1 '), (b'rsa-sha256', b'rsa-sha1'), (b'sha256', b'SHA256'),
                           (b'relaxed', b'simple'), (b'simple', b'relaxed'), (b'/simple', b''), (b'/relaxed', b''),
                           (b'amazon.com', b'AMAZON.com'), (b'amazon.com', b'example.com'), (b'from', b'FROM'), (b'From', b'from'),
                           (b'h=', b'h=from:'), (b'h=', b'h=x-new:'), (b'h=', b'h=subject:'), (b'c=', b'C='), (b' s=', b' s=x'),
                           (b'bh=', b'bh=A'), (b' b=', b' b=A'), (b'rsa-', b'ed25519-'), (b'ed25519-', b'rsa-')])
    return value.replace(old, new, 1)


@on_signature
def signature_fold(value, rnd, eol):
    head, tail = value.rsplit(b'b=', 1)
    return head + b'b=' + re.sub(rb'.', lambda m: m[0] if rnd.random() < .9 else m[0] + eol + b' ', tail)


@on_signature
def signature_end(value, rnd, eol):
    return rnd.choice([value + b'=', value[:-1], value[:-4], value.rstrip(b'='), value + b' ', value + b'A', value + b'!'])


CHANGES = [flip_bit, flip_case, truncate, insert, insert, delete, other_line_ends, mixed_line_ends, swap_fields, shuffle_fields,
           repeat_field, drop_field, add_field, fold, unfold, widen, name_case, blank_end, body_end, body_end, body_blanks,
           line_blanks, append, tag_blanks, tag_order, tag_more, tag_more, tag_change, tag_change, tag_change, signature_fold,
           signature_end]


def originals(keys):
    for selector in ('rsa', 'ed'):
        for canon in ((h, b) for h in (b'simple', b'relaxed') for b in (b'simple', b'relaxed')):
            for eol in (b'\n', b'\r\n'):
                yield keys.sign((HEADER + b'\n' + BODY).replace(b'\n', eol), selector, 'amazon.com', canon)
    mail = keys.sign(HEADER + b'\n', 'rsa', 'amazon.com')
    yield mail  # an empty body
    yield keys.sign(keys.sign(HEADER + b'\n' + BODY, 'ed', 'amazon.com'), 'rsa', 'amazon.com')
    yield keys.sign(HEADER + b'\n' + BODY, 'small', 'amazon.com')
    yield keys.sign(HEADER + b'\n' + BODY, 'test', 'amazon.com')
    yield keys.sign(HEADER + b'\n' + BODY, 'rsa', 'amazon.com', length=True)


def with_last_line_end(mail):
    """dkimpy leaves blanks at the end of a last line that has no end; on the wire there is always one."""
    return mail if mail.endswith((b'\n', b'\r')) else mail + b'\n'


def dkimpy_takes(keys, mail):
    mail = with_last_line_end(mail)
    n = len(re.findall(rb'(?im)^dkim-signature[ \t]*:', mail))
    for at in range(min(n, 4)):
        try:
            if dkim.DKIM(mail, minkey=1024, logger=logging.getLogger('none')).verify(at, dnsfunc=keys.dns):
                return True
        except Exception:  # dkimpy lets IndexError, binascii.Error and others out for a mail that it cannot read
            pass
    return False


def opendkim_takes(keys, mails):
    program = f'{BUILD}/tests/verify-opendkim'
    crlf = [m.replace(b'\r\n', b'\n').replace(b'\n', b'\r\n') for m in mails]  # it cannot read mail with LF
    run = subprocess.run([program, keys.write()], input=verify_mails.frames(crlf), stdout=subprocess.PIPE, check=True)
    answers = [line == 'pass' for line in run.stdout.decode().split()]
    if len(answers) != len(mails):
        raise AssertionError(f'libopendkim answered {len(answers)} of {len(mails)} mails')
    return answers


def dkimpy_takes_chain(keys, mail):
    # It looks for " i=N;" as it stands there, though blanks may be any: the form here is relaxed, so this changes nothing.
    mail = re.sub(rb'(?im)^(ARC-Message-Signature:)\s*i\s*=\s*(\d+)\s*;', rb'\1 i=\2;', with_last_line_end(mail))
    try:
        cv, _, _ = dkim.arc_verify(mail, dnsfunc=keys.dns, minkey=1024)
        return cv == dkim.CV_Pass
    except Exception:
        return False


def changed(bases, rounds):
    rnd = random.Random(SEED)
    for base in bases:
        yield 'unchanged', base
        for change in CHANGES:
            for _ in range(rounds):
                try:
                    yield change.__name__, change(base, rnd)
                except (ValueError, IndexError):
                    pass


class Report:
    def __init__(self):
        self.failures, self.refused, self.agreed = [], collections.Counter(), collections.Counter()
        with open(f'{SOURCE}/mailhook/DEVIATIONS.md', encoding='utf-8') as f:
            self.numbers = {int(n) for n in re.findall(r'^(\d+)\.', f.read(), re.M)}

    def judge(self, name, mail, ours, steps, others):
        for who, takes in others.items():
            self.agreed[who, takes and ours, takes or ours] += 1
        if ours and not any(others.values()):
            self.failures.append((f'{name}: accepted, and all others refuse it', mail, steps))
        elif not ours and any(others.values()):
            reason = next((words for words in REFUSALS if words in steps), None)
            if reason is None and mail.endswith(b'\r'):
                reason = LAST_CR
            takers = ', '.join(who for who, takes in others.items() if takes)
            if reason is None or REFUSALS[reason] not in self.numbers:
                self.failures.append((f'{name}: refused, and {takers} accept it: {steps}', mail, steps))
            self.refused[REFUSALS.get(reason), reason, takers] += 1

    def end(self, title, bases, mails, accepted):
        """True where nothing is unexplained, and there was something to explain: enough mails that really were changed,
        and of them many that each verifier took and many that it refused."""
        changes = len(set(mails) - set(bases))
        print(f'{title}: {len(mails)} mails, {changes} of them changed and unlike each other, {accepted} accepted, '
              f'{len(self.failures)} unexplained differences')
        for who in sorted({key[0] for key in self.agreed}):
            both, neither = self.agreed[who, True, True], self.agreed[who, False, False]
            print(f'  {who}: {both} times both accepted, {neither} times both refused')
            if min(both, neither) < len(mails) // 10:
                self.failures.append((f'{title}: {who} had too little to say', b'', ''))
        if changes < LEAST[title]:
            self.failures.append((f'{title}: {changes} changed mails, and {LEAST[title]} are wanted', b'', ''))
        for (number, reason, takers), count in sorted(self.refused.items(), key=str):
            print(f'  deviation {number}: {count} times "{reason}", which {takers} accept')
        for text, mail, _ in self.failures[:10]:
            print(f'{text}\n{mail!r}\n')
        return not self.failures


def main():
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        keys = Keys(folder)
        keys.rsa('rsa', 'amazon.com')
        keys.rsa('small', 'amazon.com', 512)
        keys.rsa('test', 'amazon.com', 1024)
        keys.publish('test', 'amazon.com', keys.records['test._domainkey.amazon.com'] + '; t=y')
        keys.ed25519('ed', 'amazon.com')
        keys.rsa('arc', 'google.com')

        bases = list(originals(keys))
        names, mails = zip(*changed(bases, ROUNDS))
        report = Report()
        answers = verify_mails.verify(keys, mails, signer=verify_mails.SIGNERS, sender=verify_mails.SENDERS)
        oracle = opendkim_takes(keys, mails)
        for name, mail, answer, opendkim in zip(names, mails, answers, oracle):
            report.judge(name, mail, answer['dkim'] == 'pass', answer['steps'],
                         {'dkimpy': dkimpy_takes(keys, mail), 'libopendkim': opendkim})
            if answer['level'] != 'unverified' and answer['dkim'] != 'pass':
                report.failures.append((f'{name}: a level without a signature', mail, ''))
        good = report.end('DKIM', bases, mails, sum(a['dkim'] == 'pass' for a in answers))
        good = good and any(a['level'] == 'verified' for a in answers)

        bases = []
        results = b'Authentication-Results: mx.google.com; dkim=pass header.i=@amazon.com header.s=rsa\n'
        mail = results + keys.sign(HEADER + b'\n' + BODY, 'rsa', 'amazon.com')
        for _ in range(3):
            mail = keys.arc(mail, 'arc', 'google.com', 'mx.google.com')
            bases.append(mail)
            mail = b'Authentication-Results: mx.google.com; arc=pass\n' + mail
        names, mails = zip(*changed(bases, 6))
        report = Report()
        answers = verify_mails.verify(keys, mails)
        for name, mail, answer in zip(names, mails, answers):
            report.judge(name, mail, answer['arc'] == 'pass', answer['steps'],
                         {'dkimpy': dkimpy_takes_chain(keys, mail)})
        good = report.end('ARC', bases, mails, sum(a['arc'] == 'pass' for a in answers)) and good
        return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
