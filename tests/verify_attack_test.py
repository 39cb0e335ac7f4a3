#!/usr/bin/python3
"""Each attack on the trust levels is a row: a mail, what is configured, and the level that it must end at.

Beside each attack stands the genuine mail that it imitates, so that a verifier which refuses everything fails too.
"""

import base64
import logging
import re
import sys
import tempfile

sys.dont_write_bytecode = True
import verify_mails
from verify_mails import BODY, HEADER, SENDERS, SIGNED, SIGNERS, Keys

TOPIC = 'arn:aws:sns:eu-west-1:123456789012:expiry'
EVIL_TOPIC = 'arn:aws:sns:eu-west-1:210987654321:expiry'
NAMED = {'signer': SIGNERS, 'sender': SENDERS}
SNS = dict(NAMED, sns_topic=[TOPIC])
MX = dict(NAMED, authserv_id=['mx.example.com'])
GOOGLE = dict(NAMED, arc_sealer=['google.com'])
RECEIVED = b'Received: from x by mx.example.com; Tue, 03 Feb 2026 04:05:05 +0000\n'
RESULT = b'Authentication-Results: mx.example.com; dkim=pass header.d=amazon.com header.s=s1\n'


def footer(topic):
    region = topic.split(':')[3]
    return (f'\n--\nIf you wish to stop receiving notifications from this topic, please click or visit the link below:\n'
            f'https://sns.{region}.amazonaws.com/unsubscribe.html?SubscriptionArn={topic}:fb81dd33-0000-4000-8000-123456789abc'
            f'&Endpoint=ops@example.com\n\nPlease do not reply directly to this email.\n').encode()


def swap(old, new, text=HEADER):
    if old not in text:
        raise AssertionError(f'{old!r} is not in the mail')
    return text.replace(old, new)


def from_field(new):
    return re.sub(rb'(?m)^From: .*$', b'From: ' + new, HEADER)


def unsigned(*names):
    return [n for n in SIGNED if n.lower() not in names]


def rows(keys):
    plain = HEADER + b'\n' + BODY
    good = keys.sign(plain, 's1', 'amazon.com')

    def signed(header, body=BODY, selector='s1', domain='amazon.com', **more):
        return keys.sign(header + b'\n' + body, selector, domain, **more)

    yield 'genuine', good, NAMED, 'verified', 'dkim amazon.com s1'
    yield 'genuine, CRLF', good.replace(b'\n', b'\r\n'), NAMED, 'verified', 'dkim amazon.com s1'
    yield 'genuine, in an mbox', b'From x Tue Feb  3 04:05:06 2026\n' + good, NAMED, 'verified', 'dkim amazon.com s1'
    yield 'genuine, Ed25519', signed(HEADER, selector='ed'), NAMED, 'verified', 'dkim amazon.com ed'
    yield 'genuine, below SES', keys.sign(good, 's1', 'amazonses.com'), NAMED, 'verified', 'dkim amazon.com s1'
    yield 'no signature', plain, NAMED, 'unverified', 'no signature'
    yield 'nobody is named', good, {}, 'unverified', 'not a domain that'

    # who signs, and who writes
    yield 'forged From', signed(from_field(b'no-reply-aws@amazon.com'), domain='evil.example'), NAMED, 'unverified', 'not a domain'
    yield 'look-alike domain', signed(from_field(b'x@notamazon.com'), domain='notamazon.com'), NAMED, 'unverified', 'not a domain'
    yield 'look-alike below', signed(from_field(b'x@amazon.com.evil.example'), domain='evil.example'), NAMED, 'unverified', 'not a domain'
    yield 'author at a look-alike of d=', signed(from_field(b'x@notamazon.com')), NAMED, 'unverified', 'not of this domain'
    yield 'display name only', signed(from_field(b'"Amazon Web Services <no-reply-aws@amazon.com>" <x@evil.example>'),
                                      domain='evil.example'), NAMED, 'unverified', 'not a domain'
    yield 'display name with another address', signed(from_field(b'"no-reply-aws@amazon.com" <x@evil.example>')), NAMED, \
        'unverified', 'not of this domain'
    yield 'signature over another From', swap(b'no-reply-aws@', b'no-reply-awt@', good), NAMED, 'unverified', ''
    yield 'another address of the domain', signed(from_field(b'someone@amazon.com')), NAMED, 'unverified', 'lists the sender'
    yield 'two addresses in From', signed(from_field(b'no-reply-aws@amazon.com, x@evil.example')), NAMED, 'unverified', 'one plain'
    yield 'a group in From', signed(from_field(b'a: no-reply-aws@amazon.com;')), NAMED, 'unverified', 'one plain'
    yield 'a quoted local part', signed(from_field(b'<"no-reply-aws"@amazon.com>')), NAMED, 'unverified', 'not a plain'
    yield 'amazonses.com alone', signed(HEADER, domain='amazonses.com'), NAMED, 'unverified', 'proves nothing'
    yield 'the parent of d=', signed(from_field(b'health@aws.com'), domain='mail.aws.com'), NAMED, 'unverified', 'not a domain'
    yield 'i= below d=', signed(HEADER, identity=b'x@mail.amazon.com'), NAMED, 'verified', ''
    yield 'i= below d=, t=s', signed(HEADER, selector='strict', identity=b'x@mail.amazon.com'), NAMED, 'unverified', 't=s'

    # AWS's own signature and sender over what a customer wrote into a support case
    for name, subject, level in (('answer', b'RE:[CASE 170000000000001] SCIM Access Token Approaching Expiration', 'unverified'),
                                 ('forward', b'Fwd: [Case  170000000000001] SCIM', 'unverified'),
                                 ('two', b'[CASE STUDY] [CASE 1] SCIM', 'unverified'),
                                 ('folded', b'[CASE\n 170000000000001] SCIM', 'unverified'),
                                 ('encoded', b'=?UTF-8?B?' + base64.b64encode(b'[CASE 170000000000001] SCIM') + b'?=', 'unverified'),
                                 ('encoded in two', b'=?UTF-8?Q?RE:[CA?=\n =?UTF-8?Q?SE_170000000000001]?=', 'unverified'),
                                 ('none', b'SCIM Access Token Approaching Expiration [AWS Account: 123456789012]', 'verified'),
                                 ('none, encoded', b'=?UTF-8?Q?SCIM_Access_Token?= [Case study 1]', 'verified')):
        header = re.sub(rb'(?m)^Subject: .*$', b'Subject: ' + subject, HEADER)
        words = 'a support case' if level == 'unverified' else ''
        yield f'support case, {name}', signed(header), NAMED, level, words
        yield f'support case by results, {name}', RESULT + RECEIVED + header + b'\n' + BODY, MX, level, words
        yield f'support case by a group, {name}', keys.arc(
            b'Authentication-Results: mx.google.com; dkim=pass header.i=@aws.com\n' + header + b'\n' + BODY, 's1', 'google.com',
            'mx.google.com'), GOOGLE, level if level == 'unverified' else 'relayed', words

    # what is signed
    for name in (b'From', b'Subject', b'Date', b'Content-Type'):
        again = re.search(rb'(?m)^' + name + rb': .*\n', HEADER)[0]
        yield f'a second {name.decode()} on top', again.replace(b'2026', b'2027') + good, NAMED, 'unverified', f'2 {name.decode()} fields'
        yield f'a second {name.decode()} below', swap(b'X-Filler', again + b'X-Filler', good), NAMED, 'unverified', f'2 {name.decode()} fields'
    for name in (b'subject', b'date', b'content-type', b'content-transfer-encoding'):
        mail = signed(HEADER, include_headers=unsigned(name))
        yield f'{name.decode()} not signed', mail, NAMED, 'unverified', 'is not signed'
    yield 'unsigned Content-Type swapped', swap(b'text/plain', b'text/html', signed(HEADER, include_headers=unsigned(b'content-type'))), \
        NAMED, 'unverified', 'Content-Type is not signed'
    yield 'Content-Type taken away', swap(b'Content-Type: text/plain; charset=UTF-8\n', b'',
                                          signed(HEADER, include_headers=unsigned(b'content-type'))), NAMED, 'unverified', \
        'Content-Type is not signed'
    yield 'transfer encoding added', swap(b'X-Filler', b'Content-Transfer-Encoding: base64\nX-Filler', signed(
        swap(b'Content-Transfer-Encoding: 7bit\n', b''), include_headers=unsigned(b'content-transfer-encoding'))), NAMED, 'unverified', \
        'Content-Transfer-Encoding is not signed'
    yield 'disposition added', swap(b'X-Filler', b'Content-Disposition: attachment\nX-Filler', good), NAMED, 'unverified', \
        'Content-Disposition is not signed'
    yield 'no transfer encoding at all', signed(swap(b'Content-Transfer-Encoding: 7bit\n', b''),
                                                include_headers=unsigned(b'content-transfer-encoding')), NAMED, 'verified', ''
    yield 'body changed', swap(b'89 days', b'88 days', good), NAMED, 'unverified', 'body is not'
    yield 'body appended, l=', signed(HEADER, length=True) + b'Click here\n', NAMED, 'unverified', 'l= is refused'
    yield 'l=, nothing appended', signed(HEADER, length=True), NAMED, 'unverified', 'l= is refused'
    yield 'rsa-sha1', swap(b'rsa-sha256', b'rsa-sha1', good), NAMED, 'unverified', 'rsa-sha1'
    yield 'a line that is no field', swap(b'MIME-Version', b'Subject fake\nMIME-Version', good), NAMED, 'unverified', 'no field'

    # keys
    for selector, words in (('small', '512 bits'), ('testing', 't=y'), ('revoked', 'revoked'), ('none', 'there is no key'),
                            ('web', 's= of the key'), ('sha1', 'h= of the key'), ('kind', 'another kind'), ('junk', 'no RSA key')):
        yield f'key {selector}', signed(HEADER, selector=selector), NAMED, 'unverified', words
    yield 'key of 1024 bits', signed(HEADER, selector='k1024'), NAMED, 'verified', ''
    yield 'DNS does not answer', signed(HEADER, selector='slow'), NAMED, 'unverified', 'temporary'
    yield 'DNS does not answer for one of two', keys.sign(signed(HEADER, selector='slow'), 's1', 'amazon.com'), NAMED, 'verified', ''
    yield 'DNS does not answer for a stranger', signed(HEADER, selector='slow', domain='evil.example'), NAMED, 'unverified', '-'
    expiring = re.sub(rb't=\d+', b't=1770091000; x=%d', good)
    yield 'expired before it came', expiring.replace(b'%d', b'1770091505'), NAMED, 'unverified', 'had expired'
    yield 'twelve signatures', b''.join(re.sub(rb'(?m)^b=', b'b=A', swap(b's=s1', b's=none', good.split(b'Received')[0]))
                                       for _ in range(12)) + plain, NAMED, 'unverified', 'more than 10 signatures'

    # SNS: anybody may have it send a text
    sns = from_field(b'AWS Notifications <no-reply@sns.amazonaws.com>')

    def from_sns(body):
        return signed(sns, body, domain='sns.amazonaws.com')

    yield 'SNS, our topic', from_sns(BODY + footer(TOPIC)), SNS, 'verified', 'dkim sns.amazonaws.com'
    yield "SNS, a stranger's topic", from_sns(BODY + footer(EVIL_TOPIC)), SNS, 'unverified', 'not among sns_topics'
    yield 'SNS, a false footer before the real one', from_sns(BODY + footer(TOPIC) + footer(EVIL_TOPIC)), SNS, 'unverified', \
        'not among sns_topics'
    yield 'SNS, a false footer before one in other words', from_sns(BODY + footer(TOPIC) + footer(EVIL_TOPIC).replace(b'https://sns', b'See https://sns')), \
        SNS, 'unverified', 'more stands behind'
    yield 'SNS, a false footer before a short one in other words', from_sns(BODY + footer(TOPIC).split(b'\n\nPlease')[0] + b'\nSee '
                                                                           + re.search(rb'https://sns.*', footer(EVIL_TOPIC))[0] + b'\n'), \
        SNS, 'unverified', 'more stands behind'
    yield 'SNS, no topic configured', from_sns(BODY + footer(TOPIC)), NAMED, 'unverified', 'not among sns_topics'
    yield 'SNS, no footer', from_sns(BODY), SNS, 'unverified', 'no unsubscribe link'
    yield 'SNS, the topic in a header field', b'x-amz-sns-subscription-arn: ' + TOPIC.encode() + b':1\n' + from_sns(BODY + footer(EVIL_TOPIC)), \
        SNS, 'unverified', 'not among sns_topics'
    yield 'SNS, the topic in the endpoint', from_sns(BODY + footer(EVIL_TOPIC).replace(b'ops@', b'x&SubscriptionArn=' + TOPIC.encode() + b':1@')), \
        SNS, 'unverified', 'not among sns_topics'
    yield 'SNS, a topic that begins like ours', from_sns(BODY + footer(TOPIC + '2')), SNS, 'unverified', 'not among sns_topics'
    yield 'a footer of SNS in a mail of AWS', signed(HEADER, BODY + footer(EVIL_TOPIC)), SNS, 'verified', ''

    # Authentication-Results
    stripped = re.sub(rb'(?s)^DKIM.*?(?=Received)', b'', good)
    yield 'results of our server', RESULT + RECEIVED + stripped, MX, 'verified', 'authres mx.example.com'
    yield 'results, nothing configured', RESULT + RECEIVED + stripped, NAMED, 'unverified', ''
    yield 'results of another server', swap(b'mx.', b'mx2.', RESULT) + RECEIVED + stripped, MX, 'unverified', 'none of a configured'
    yield 'results below our Received', RECEIVED + RESULT + stripped, MX, 'unverified', 'none of a configured'
    yield 'results at the bottom', RECEIVED + swap(b'X-Filler', RESULT + b'X-Filler', stripped), MX, 'unverified', 'none of a configured'
    yield "the sender's own below ours", swap(b'pass', b'fail', RESULT) + RECEIVED + RESULT + stripped, MX, 'unverified', 'no good DKIM'
    yield "the sender's own above ours", RESULT + swap(b'pass', b'fail', RESULT) + RECEIVED + stripped, MX, 'unverified', 'more than one'
    yield 'twice the same', RESULT + RESULT + RECEIVED + stripped, MX, 'unverified', 'more than one'
    yield 'no Received at all', RESULT + re.sub(rb'(?s)^Received.*?\n(?=Date)', b'', stripped), MX, 'unverified', 'none of a configured'
    yield 'one hop more is ours', RECEIVED + RESULT + RECEIVED + stripped, dict(MX, hops=2), 'verified', ''
    yield 'hops counted too high for it', RECEIVED + RECEIVED + RESULT + stripped, dict(MX, hops=2), 'unverified', 'none of a configured'
    clean = dict(MX, authres_stripped='true')
    yield 'stripped: below our Received', RECEIVED + RESULT + stripped, clean, 'verified', ''
    yield "stripped: at the sender's place", RECEIVED + swap(b'X-Filler', RESULT + b'X-Filler', stripped), clean, 'unverified', 'none of a'
    yield 'stripped: two', RESULT + RECEIVED + RESULT + stripped, clean, 'unverified', 'more than one'
    for name, results in (('spf and dmarc alone', b'spf=pass smtp.mailfrom=amazon.com; dmarc=pass header.from=amazon.com'),
                          ('a pass of another domain', b'dkim=pass header.d=evil.example'),
                          ('a pass in a comment', b'dkim=fail (dkim=pass header.d=amazon.com) header.d=amazon.com'),
                          ('a pass in a reason', b'dkim=fail reason="dkim=pass header.d=amazon.com"; x=none'),
                          ('d= in a comment', b'dkim=pass (header.d=amazon.com) header.d=evil.example'),
                          ('two d=', b'dkim=pass header.d=evil.example header.d=amazon.com'),
                          ('i= of another d=', b'dkim=pass header.d=amazon.com header.i=@evil.example'),
                          ('a comment without its end', b'dkim=pass (x header.d=amazon.com'),
                          ('another version', b'dkim/2=pass header.d=amazon.com'),
                          ('no results', b'none')):
        field = b'Authentication-Results: mx.example.com; ' + results + b'\n'
        yield f'results: {name}', field + RECEIVED + stripped, MX, 'unverified', 'Authentication-Results'
    yield 'results: quoting, comments, folds', b'Authentication-Results: (c(c)) "mx.example.com" (x) 1; spf = none;\n dkim (a;b) = pass ' \
        b'reason="x;y"\n\theader.i=@amazon.com header.b="a=b" ; dmarc=pass action=none header.from=amazon.com\n' + RECEIVED + stripped, \
        MX, 'verified', ''
    yield 'results: forged From', RESULT + RECEIVED + swap(b'no-reply-aws@amazon.com', b'x@evil.example', stripped), MX, 'unverified', \
        'not of this domain'
    yield 'results: l= in the signature', RESULT + RECEIVED + signed(HEADER, selector='none', length=True) + b'more\n', MX, 'unverified', 'l= is'
    yield "results: a stranger's topic", b'Authentication-Results: mx.example.com; dkim=pass header.d=sns.amazonaws.com\n' + RECEIVED + \
        sns + b'\n' + BODY + footer(EVIL_TOPIC), dict(SNS, authserv_id=['mx.example.com']), 'unverified', 'not among sns_topics'

    # ARC: the Google Group, From rewritten and AWS's signature gone
    saw = b'Authentication-Results: mx.google.com; dkim=pass header.i=@aws.com header.s=x header.b=ab/c=; dmarc=pass header.from=aws.com\n'
    again = b'Authentication-Results: mx.google.com; arc=pass (i=1)\n'

    def first(results=saw, header=HEADER, body=BODY, domain='google.com', server='mx.google.com'):
        return keys.arc(swap(b'mx.google.com', server.encode(), results) + header + b'\n' + body, 's1', domain, server)

    def rewrite(mail):
        return swap(b'"Amazon Web Services, Inc." <no-reply-aws@amazon.com>',
                    b"\"'Amazon Web Services' via OPS\" <ops@example.com>", mail)

    def then(mail, domain='google.com', server='mx.google.com', results=again):
        return keys.arc(results + mail, 's1', domain, server)

    group = then(rewrite(first()))
    yield 'group', group, GOOGLE, 'relayed', 'arc google.com'
    yield 'group, three relays', then(group), GOOGLE, 'relayed', 'arc google.com'
    yield 'group, nothing configured', group, NAMED, 'unverified', ''
    yield 'group, a sealer not configured', group, dict(NAMED, arc_sealer=['example.net']), 'unverified', 'not among arc_sealers'
    yield 'group, changed after the last seal', swap(b'89 days', b'88 days', group), GOOGLE, 'unverified', 'body is not'
    yield 'group, Subject changed', swap(b'SCIM Access', b'SCIM access', group), GOOGLE, 'unverified', 'does not fit'
    yield 'group, a second From', b'From: x@evil.example\n' + group, GOOGLE, 'unverified', '2 From fields'
    yield 'own set first', then(first(domain='evil.example', server='mx.evil.example')), GOOGLE, 'unverified', 'not among arc_sealers'
    yield 'own set first, with its name', then(first(domain='evil.example')), GOOGLE, 'unverified', 'not among arc_sealers'
    evil_results = b'Authentication-Results: mx.evil.example; arc=pass\n'
    yield 'own set in the middle', then(then(first(), 'evil.example', 'mx.evil.example', evil_results)), GOOGLE, 'unverified', 'not among arc_sealers'
    yield 'own set last', then(first(), 'evil.example', 'mx.evil.example', evil_results), GOOGLE, 'unverified', 'not among arc_sealers'
    yield 'results of a server that is not the sealer', then(first(server='mx.evil.example')), GOOGLE, 'unverified', 'not of its sealer'
    yield 'results with a look-alike', then(first(server='mx.notgoogle.com')), GOOGLE, \
        'unverified', 'not of its sealer'
    yield 'the relay saw a stranger', then(first(swap(b'@aws.com', b'@evil.example', saw))), GOOGLE, 'unverified', 'no good DKIM'
    yield 'the relay saw no pass', then(first(swap(b'dkim=pass', b'dkim=fail', saw))), GOOGLE, 'unverified', 'no good DKIM'
    yield 'the relay saw SES only', then(first(swap(b'@aws.com', b'@amazonses.com', saw))), GOOGLE, 'unverified', 'no good DKIM'
    for name in (b'ARC-Seal', b'ARC-Message-Signature', b'ARC-Authentication-Results'):
        for i in (b'1', b'2'):
            gone = re.sub(rb'(?ms)^' + name + rb': i=' + i + rb'.*?\n(?![ \t])', b'', group)
            yield f'{name.decode()} {i.decode()} missing', gone, GOOGLE, 'unverified', 'not whole'
    twice = re.search(rb'(?ms)^ARC-Seal: i=1.*?\n(?![ \t])', group)[0]
    yield 'a seal twice', twice + group, GOOGLE, 'unverified', 'a field twice'
    yield 'instance 51', re.sub(rb'(ARC-[-\w]+: )i=2', rb'\1i=51', group), GOOGLE, 'unverified', 'from 1 to 50'
    yield 'instance 0', re.sub(rb'(ARC-[-\w]+: )i=1', rb'\1i=0', group), GOOGLE, 'unverified', 'from 1 to 50'
    yield 'cv=none in the second', swap(b'cv=pass', b'cv=none', group), GOOGLE, 'unverified', 'cv= of the ARC seal 2'
    yield 'cv=pass in the first', swap(b'cv=none', b'cv=pass', group), GOOGLE, 'unverified', 'cv= of the ARC seal 1'
    yield 'cv=fail in the second', swap(b'cv=pass', b'cv=fail', group), GOOGLE, 'unverified', 'cv= of the ARC seal 2'
    yield 'results changed after the seal', re.sub(rb'(ARC-Authentication-Results: i=1.*?)aws\.com', rb'\1amazon.com', group, flags=re.S), \
        GOOGLE, 'unverified', 'does not fit'
    yield 'an old chain before a new mail', group[:group.index(b'Received')] + swap(b'89 days', b'1 day', plain), GOOGLE, 'unverified', ''
    saw_sns = swap(b'@aws.com', b'@sns.amazonaws.com', saw)
    google_sns = dict(GOOGLE, sns_topic=[TOPIC])
    yield 'group, SNS, our topic', then(rewrite(first(saw_sns, body=BODY + footer(TOPIC)))), google_sns, 'relayed', ''
    yield "group, SNS, a stranger's topic", then(rewrite(first(saw_sns, body=BODY + footer(EVIL_TOPIC)))), google_sns, 'unverified', \
        'not among sns_topics'
    yield "group, SNS, a stranger's topic and the group's own footer with ours", then(rewrite(first(
        saw_sns, body=BODY + footer(EVIL_TOPIC) + footer(TOPIC)))), google_sns, 'unverified', 'of several topics'
    yield 'group, SNS, our topic, and a footer of the group', then(rewrite(first(
        saw_sns, body=BODY + footer(TOPIC) + b'\n-- \nYou get this because you are in the group.\nWrite to it.\nLeave it.\n'))), \
        google_sns, 'relayed', ''
    yield 'group, SNS, no footer', then(rewrite(first(saw_sns))), google_sns, 'unverified', 'no unsubscribe link'
    yield 'group, DNS does not answer', keys.arc(again + first(), 'slow', 'google.com', 'mx.google.com'), GOOGLE, 'unverified', 'temporary'

    # forwards
    typed = from_field(b'Colleague <colleague@example.com>')
    forward = b'FYI\n\n---------- Forwarded message ---------\nFrom: AWS <no-reply-aws@amazon.com>\nSubject: x\n\n' + BODY
    ours = dict(NAMED, forwarder=['example.com'])
    yield 'a typed forward', typed + b'\n' + forward, ours, 'unverified', 'no signature'
    yield 'a signed forward', signed(typed, forward, domain='example.com'), ours, 'relayed', 'dkim example.com'
    yield 'a signed forward, nothing configured', signed(typed, forward, domain='example.com'), NAMED, 'unverified', 'not a domain'
    yield 'a forward by a stranger', signed(from_field(b'x@evil.example'), forward, domain='evil.example'), ours, 'unverified', 'not a domain'
    yield 'a forward whose author is another', signed(HEADER, forward, domain='example.com'), ours, 'unverified', 'not of this forwarder'
    for topic, level, words in ((TOPIC, 'relayed', ''), (EVIL_TOPIC, 'unverified', 'not among sns_topics')):
        wrapped = footer(topic).replace(b'https://', b'> Unsubscribe: <https://').replace(b'@example.com', b'@example.com>')
        yield f'a forward with the link of {topic} within a line', signed(typed, forward + wrapped, domain='example.com'), \
            dict(ours, sns_topic=[TOPIC]), level, words
    yield "a forward of a stranger's topic", signed(typed, forward + footer(EVIL_TOPIC), domain='example.com'), dict(ours, sns_topic=[TOPIC]), \
        'unverified', 'not among sns_topics'


def main():
    logging.disable(logging.CRITICAL)
    failed = n = 0
    with tempfile.TemporaryDirectory() as folder:
        keys = Keys(folder)
        for domain in ('amazon.com', 'aws.com', 'sns.amazonaws.com', 'amazonses.com', 'evil.example', 'notamazon.com', 'mail.aws.com',
                       'google.com', 'example.com'):
            keys.rsa('s1', domain)
        keys.ed25519('ed', 'amazon.com')
        keys.rsa('small', 'amazon.com', 512)
        keys.rsa('k1024', 'amazon.com', 1024)
        for selector in ('testing', 'revoked', 'none', 'web', 'sha1', 'kind', 'junk', 'slow', 'strict'):
            keys.rsa(selector, 'amazon.com')
        keys.rsa('slow', 'evil.example')
        keys.rsa('slow', 'google.com')
        record = keys.records['s1._domainkey.amazon.com']
        keys.publish('testing', 'amazon.com', record + '; t=y:s')
        keys.publish('revoked', 'amazon.com', 'v=DKIM1; k=rsa; p=')
        keys.publish('web', 'amazon.com', record + '; s=web')
        keys.publish('sha1', 'amazon.com', record + '; h=sha1')
        keys.publish('kind', 'amazon.com', record.replace('k=rsa', 'k=ed25519'))
        keys.publish('junk', 'amazon.com', 'v=DKIM1; p=AAAA')
        keys.publish('strict', 'amazon.com', record + '; t=s')
        for domain in ('amazon.com', 'evil.example', 'google.com'):
            keys.publish('slow', domain, '!')
        del keys.records['none._domainkey.amazon.com']
        for name, mail, policy, level, words in rows(keys):
            n += 1
            answer = verify_mails.verify(keys, [mail], **policy)[0]
            said = ' '.join((answer['temporary'], answer['by'], answer['steps']))
            if answer['level'] != level or words not in said or (level == 'unverified') != (answer['by'] == ''):
                failed += 1
                print(f'{name}: {answer["level"]}, want {level} with "{words}"; said: {said}')
    print(f'{n} mails, {failed} wrong')
    return 1 if failed or n < 100 else 0


if __name__ == '__main__':
    sys.exit(main())
