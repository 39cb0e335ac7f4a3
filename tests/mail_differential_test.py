#!/usr/bin/python3
"""Thousands of mails, decoded by mailhook's reader, by Python's email package and by GMime.

Of the samples and of whole mails that are generated, one of the two must read just what mailhook reads. Of mails that are
changed somewhere, what neither reads so must have a reason that DEVIATIONS.md has a number for, and that a rule here
recognises in the mail. All comes from a fixed seed, so that a failure can be had again.
"""

import base64
import codecs
import collections
import email
import email.header
import email.policy
import glob
import json
import os
import quopri
import random
import re
import subprocess
import sys
import warnings

sys.dont_write_bytecode = True
BUILD = os.environ["MAILHOOK_BUILD"]
SOURCE = os.environ.get("MAILHOOK_SOURCE", ".")
SEED = 20260203
MADE, CHANGED = 2200, 1800  # mails that are generated, and changed ones
FIELDS = ("Subject", "X-Words", "Comments")

# -- the two others, and ours ----------------------------------------------------------------------------------------


def ask(program, mails, *args):
    frames = b"".join(b"%d\n%s" % (len(m), m) for m in mails)
    p = subprocess.run([os.path.join(BUILD, "tests", program), *args], input=frames, stdout=subprocess.PIPE, timeout=100)
    lines = p.stdout.decode("utf-8").split("\n")[:-1]
    if p.returncode != 0 or len(lines) != len(mails):
        sys.exit(f"{program} ended with {p.returncode} after {len(lines)} of {len(mails)} mails")
    return [json.loads(line) for line in lines]


def words_of(raw):
    """An unfolded field's value by email.header, 8-bit bytes as Python has them in surrogates."""
    out = []
    for value, charset in email.header.decode_header(raw):
        if isinstance(value, bytes):
            value = value.decode(charset if charset not in (None, "unknown-8bit") else "utf-8", "replace")
        out.append(value)
    return "".join(out)


def python_text(part):
    raw = part.get_payload(decode=True) or b""
    charset = part.get_content_charset() or "utf-8"
    return raw.decode(charset, "replace")


def python_parts(part, attached, out):
    disposition = part.get_content_disposition()
    attached = attached or disposition not in (None, "inline")
    kind = part.get_content_type()
    if kind in ("message/rfc822", "message/global") and part.is_multipart():
        for inner in part.get_payload():
            python_parts(inner, False, out)
    elif part.is_multipart():
        for inner in part.get_payload():
            python_parts(inner, attached, out)
    elif kind in ("text/plain", "text/html") and not attached:
        out.append({"html": kind == "text/html", "text": python_text(part)})


def by_python(mail):
    """None where the package gives up: then it has nothing to say."""
    try:
        m = email.message_from_bytes(mail, policy=email.policy.compat32)
        fields = [{"name": n, "value": words_of(re.sub(r"[\r\n]+", "", str(v)))} for n, v in m.items() if n in FIELDS]
        parts = []
        python_parts(m, False, parts)
        return {"fields": fields, "parts": parts}
    except (LookupError, ValueError, AttributeError, IndexError, TypeError, KeyError, email.errors.MessageError):
        return None


# -- what is compared ------------------------------------------------------------------------------------------------

def plain(text):
    """What no reader need agree on: line ends, a byte order mark, NULs, how many U+FFFD a broken sequence gives."""
    text = re.sub(r"\r\n?", "\n", text).replace("\0", "").lstrip("\ufeff")
    return re.sub("\ufffd+", "\ufffd", text).rstrip("\n")


def value(text):
    text = "".join(" " if ord(c) < 32 or 127 <= ord(c) < 160 else c for c in text)
    return re.sub(" +", " ", re.sub("\ufffd+", "\ufffd", text)).strip()


def shape(reading):
    fields = [(f["name"], value(f["value"])) for f in reading["fields"] if f["name"] in FIELDS]
    return fields, [(p["html"], plain(p["text"])) for p in reading["parts"]]


def render_html(readings):
    """Replaces HTML by its text, for all that came as a source."""
    sources = [p for r in readings if r is not None for p in r["parts"] if p["html"]]
    clean = [plain(p["text"]).encode("utf-8", "replace") for p in sources]
    for part, answer in zip(sources, ask("mail-decoded", clean, "render")):
        part["text"] = answer["text"]


# -- reasons ---------------------------------------------------------------------------------------------------------

WORD = re.compile(rb"=\?([^?*\s]+)(?:\*[^?\s]*)?\?([BbQq])\?([!->@-~]*)\?=")
BASE64 = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
SUPERSETS = {"iso-8859-1", "gb2312", "gbk", "euc-kr", "shift_jis", "big5"}
BLOCK_END = re.compile(rb"\r?\n\r?\n")


def decodes(raw, charset):
    try:
        raw.decode(charset)
        return True
    except (UnicodeError, LookupError):
        return False


def odd_words(mail):
    """Encoded words that are broken, or that stand where none may: 3; whose bytes are not of their charset: 23."""
    found = {1} if any(odd_line(line) for line in next(header_blocks(mail)).splitlines()) else set()
    for _, raw in re.findall(rb"(?im)^(Subject|X-Words|Comments):((?:[^\n]|\n[ \t])*)", BLOCK_END.split(mail, 1)[0]):
        raw = re.sub(rb"[\r\n]", b"", raw)
        for charset, how, text in WORD.findall(raw):
            if how in b"Bb" and not BASE64.fullmatch(text) or how in b"Qq" and re.search(rb"=(?![0-9A-Fa-f]{2})", text):
                found.add(3)
                continue
            bytes_ = base64.b64decode(text) if how in b"Bb" else quopri.decodestring(text, header=True)
            if not re.fullmatch(rb"[\w.:-]+", charset) or not known(charset.decode("latin-1")):
                found.add(6)
            elif charset.lower().startswith(b"iso-2022") and not bytes_.isascii():
                found.add(23)
            elif not decodes(bytes_, charset.decode("latin-1")) or any(c < 32 and c not in (14, 15, 27) for c in bytes_):
                found.add(23)
        rest = WORD.sub(lambda m: b"" if m.group(2) in b"BbQq" else m.group(0), raw)
        if b"=?" in rest or b"?=" in rest or re.search(rb"[^ \t]" + WORD.pattern + rb"|" + WORD.pattern + rb"[^ \t]", raw):
            found.add(3)
        if re.search(rb"[\x80-\xff]", raw):
            found.add(6)
    return found


def odd_line(line):
    """No field, and no continuation of one."""
    return line[:1] not in (b" ", b"\t", b"") and not re.match(rb"[!-9;-~]+:", line)


def known(charset):
    try:
        return codecs.lookup(charset) is not None
    except (LookupError, ValueError):
        return False


def leaves(part):
    if part.is_multipart():
        for inner in part.get_payload():
            yield from leaves(inner)
    else:
        yield part


def odd_parts(mail, ours):
    """What is unusual about the mail's structure and its texts, by numbers."""
    found = set()
    tree = email.message_from_bytes(mail, policy=email.policy.compat32)
    for head in header_blocks(mail):
        if any(odd_line(line) for line in head.splitlines()):
            found.add(1)
        if len(re.findall(rb"(?im)^content-(?:type|transfer-encoding):", head)) > 2 or \
                len(re.findall(rb"(?im)^content-type:", head)) > 1 or head[:1] in (b" ", b"\t"):
            found.add(11)
    for part in leaves(tree):
        kind = part["Content-Type"]
        if kind is not None and not re.match(r"\s*[\w.+-]+/[\w.+-]+\s*(;|$)", str(kind)):
            found.add(7)
        elif part.get_content_maintype() != "text":
            continue
        encoding = str(part["Content-Transfer-Encoding"] or "7bit").strip().lower()
        raw = part.get_payload(decode=False)
        raw = raw.encode("latin-1", "surrogateescape") if isinstance(raw, str) and raw.isascii() else b"\xff"
        if encoding == "base64" and not BASE64.fullmatch(re.sub(rb"\s", b"", raw)) or \
                encoding == "quoted-printable" and re.search(rb"=(?![0-9A-F]{2}|\r?\n)|[\x80-\xff]|[ \t]\r?(\n|$)", raw):
            found.add(5)
        if encoding not in ("7bit", "8bit", "binary", "base64", "quoted-printable"):
            found.add(4)
        try:
            charset = part.get_content_charset()
        except (LookupError, ValueError, AttributeError):
            charset = None
        text = part.get_payload(decode=True) or b""
        if charset is None or charset in SUPERSETS or charset == "us-ascii" and not text.isascii():
            found.add(6)
        elif not decodes(text, charset) or b"\0" in text and "utf-16" not in charset:
            found.add(23 if decodes(b"", charset) else 6)
    if any("\ufffd" in p["text"] for p in ours["parts"]):
        found.add(23)
    if any(p.get_content_maintype() == "multipart" and not p.is_multipart() for p in tree.walk()):
        found.add(7)
    return found


def header_blocks(mail):
    """Everything that some reader may take for a header: at the top, behind a boundary, at the top of a message inside."""
    yield BLOCK_END.split(mail.lstrip(b"\r\n"), 1)[0] if not mail.startswith((b"\n", b"\r\n")) else b""
    for tail in tails(mail):
        yield BLOCK_END.split(tail, 1)[0]


def tails(mail):
    for m in re.finditer(rb"(?m)^--[^\r\n]*[^-\r\n]\r?\n(?!\r?\n)|(?i:message/rfc822)[^\n]*\n(?:[^\n]*[^\r\n][^\n]*\n)*\r?\n", mail):
        yield mail[m.end():]


# -- generated mails -------------------------------------------------------------------------------------------------

WORDS = {  # charsets, and words that they can write
    "utf-8": ["Zertifikat läuft ab", "certificate’s", "期限切れ", "Срок", "naïve — café", "token", "🔑 key", "अवधि"],
    "us-ascii": ["token", "expires in 89 days", "a=b", "From the start", "x > y", "=20 literal", "--", "."],
    "iso-8859-1": ["Zertifikat läuft ab", "naïve café", "ÿ", "£5"],
    "iso-8859-2": ["wygasa żeton", "přístup", "ő"],
    "iso-8859-15": ["5 €", "œuvre", "déjà"],
    "windows-1252": ["certificate’s “token”", "5 €", "— …"],
    "koi8-r": ["Срок действия", "истекает"],
    "windows-1251": ["Срок действия", "истекает №"],
    "iso-2022-jp": ["期限", "有効期限が近づいています", "カタカナ"],
    "shift_jis": ["期限", "表示", "ソート"],
    "euc-jp": ["期限", "有効期限"],
    "gb2312": ["过期", "令牌"],
    "gb18030": ["过期", "令牌 €"],
    "big5": ["過期", "功能"],
    "euc-kr": ["만료", "토큰"],
    "utf-16": ["token é", "期限"],
    "utf-16le": ["token é"],
}


def encoded_word(rnd, charset, text):
    raw = text.encode(charset)
    if rnd.random() < 0.5:
        return f"=?{charset}?{rnd.choice('Bb')}?{base64.b64encode(raw).decode()}?="
    q = "".join(chr(c) if chr(c).isascii() and chr(c).isalnum() else "_" if c == 32 else f"={c:02X}" for c in raw)
    return f"=?{charset}?{rnd.choice('Qq')}?{q}?="


def field(rnd, name, eol):
    out, column = name + ":", len(name) + 1
    for _ in range(rnd.randrange(1, 6)):
        charset = rnd.choice([c for c in WORDS if not c.startswith("utf-16")])
        word = rnd.choice(WORDS[charset])
        if not word.isascii() or rnd.random() < 0.1:
            word = encoded_word(rnd, charset, word)
        fold = column + len(word) > 70 or rnd.random() < 0.15
        out += (eol + rnd.choice([" ", "\t", "  "]) if fold else " ") + word
        column = len(word) if fold else column + len(word) + 1
    return out + eol


def encode(rnd, raw, eol):
    """A transfer encoding and the bytes in it, as various programs write it."""
    how = rnd.choice(["base64", "base64", "quoted-printable", "quoted-printable", "8bit", "7bit"])
    if how == "7bit" and (max(raw, default=0) > 127 or b"\0" in raw):
        how = "base64"
    if how == "8bit" and (b"\0" in raw or b"\n" in raw.replace(b"\n", b"", 0) and b"\x00" in raw):
        how = "base64"
    if how == "base64":
        width = rnd.choice([76, 76, 60, 4, 1000])
        coded = base64.b64encode(raw)
        body = eol.encode().join(coded[i:i + width] for i in range(0, len(coded), width)) + eol.encode()
    elif how == "quoted-printable":
        body = quopri.encodestring(raw, quotetabs=rnd.random() < 0.3).replace(b"\n", eol.encode())
    else:
        body = raw.replace(b"\n", eol.encode())
    return rnd.choice([how, how.upper(), how.title()]), body


def text_part(rnd, eol, kind=None):
    charset = rnd.choice(list(WORDS))
    words = [rnd.choice(WORDS[charset]) for _ in range(rnd.randrange(0, 40))]
    lines = ["", " ".join(words[:10]), " ".join(words[10:25]), "", " ".join(words[25:])][rnd.randrange(5):]
    kind = kind or rnd.choice(["plain", "plain", "html"])
    if kind == "html":
        text = "<html><body><p>" + "</p><p>".join(lines) + "</p>&nbsp;&amp;&#8364;</body></html>\n"
    else:
        text = "\n".join(lines) + "\n"
    text = text.encode(charset, "xmlcharrefreplace" if kind == "html" else "replace")
    how, body = encode(rnd, text, eol)
    name = rnd.choice([charset, charset.upper(), f'"{charset}"'])
    parameter = rnd.choice([f"; charset={name}", f";{eol} charset={name}", f"; format=flowed; charset={name}"])
    head = f"Content-Type: text/{kind}{parameter}{eol}Content-Transfer-Encoding: {how}{eol}"
    if rnd.random() < 0.1:
        head += rnd.choice([f"Content-Disposition: attachment; filename=x{eol}", f"Content-Disposition: inline{eol}"])
    return head.encode(), body


def other_part(rnd, eol):
    head = f"Content-Type: application/pdf; name=x.pdf{eol}Content-Transfer-Encoding: base64{eol}"
    return head.encode(), base64.encodebytes(bytes(rnd.randrange(256) for _ in range(60))).replace(b"\n", eol.encode())


def entity(rnd, eol, depth):
    choice = rnd.random()
    if depth == 0 or choice < 0.45:
        return text_part(rnd, eol)
    if choice < 0.52:
        return other_part(rnd, eol)
    if choice < 0.65:
        return f"Content-Type: message/rfc822{eol}".encode(), message(rnd, eol, depth - 1)
    boundary = rnd.choice(["b%d" % rnd.randrange(10**6), "=_Part_%d.%d" % (depth, rnd.randrange(10**9)), "----=_x'()+_,-./:=?%d" %
                           rnd.randrange(10**6)])
    quoted = f'"{boundary}"' if re.search(r"[^\w]", boundary) or rnd.random() < 0.5 else boundary
    kind = rnd.choice(["mixed", "alternative", "related", "signed", "x-unknown"])
    body = rnd.choice(["", f"This is a message in many parts.{eol}"]).encode()
    for _ in range(rnd.randrange(1, 4)):
        head, inner = entity(rnd, eol, depth - 1)
        body += f"--{boundary}{eol}".encode() + head + eol.encode() + inner + eol.encode()
    body += f"--{boundary}--{eol}".encode() + rnd.choice([b"", f"the end{eol}".encode()])
    return f"Content-Type: multipart/{kind};{rnd.choice([' ', eol + ' '])}boundary={quoted}{eol}".encode(), body


def message(rnd, eol, depth):
    head, body = entity(rnd, eol, depth)
    fields = [field(rnd, name, eol).encode() for name in ("Subject",) + FIELDS[1:] if rnd.random() < 0.8]
    fields += [f"From: a@example.com{eol}".encode(), f"MIME-Version: 1.0{eol}".encode(), head]
    rnd.shuffle(fields)
    return b"".join(fields) + eol.encode() + body


def flip_bit(mail, rnd):
    at = rnd.randrange(len(mail))
    return mail[:at] + bytes([mail[at] ^ 1 << rnd.randrange(8)]) + mail[at + 1:]


def truncate(mail, rnd):
    return mail[:rnd.randrange(len(mail))]


def insert(mail, rnd):
    at = rnd.randrange(len(mail))
    what = rnd.choice([b" ", b"\t", b"\n", b"\r\n", b"\xe4", b";", b":", b"=", b'"', b"\r\n ", b"\n\n", b"=?", b"?=", b"--"])
    return mail[:at] + what + mail[at:]


def delete(mail, rnd):
    at = rnd.randrange(len(mail))
    return mail[:at] + mail[at + rnd.choice([1, 1, 2, 30]):]


def other_line_ends(mail, rnd):
    return mail.replace(b"\r\n", b"\n") if b"\r\n" in mail else mail.replace(b"\n", b"\r\n")


def swap_lines(mail, rnd):
    lines = mail.splitlines(keepends=True)
    a, b = rnd.randrange(len(lines)), rnd.randrange(len(lines))
    lines[a], lines[b] = lines[b], lines[a]
    return b"".join(lines)


def repeat_line(mail, rnd):
    lines = mail.splitlines(keepends=True)
    lines.insert(rnd.randrange(len(lines) + 1), rnd.choice(lines))
    return b"".join(lines)


CHANGES = (flip_bit, truncate, insert, delete, other_line_ends, swap_lines, repeat_line)


def all_mails():
    for folder in ("scim", "kinds"):
        for path in sorted(glob.glob(f"{SOURCE}/samples/notices/{folder}/*.eml")):
            with open(path, "rb") as f:
                yield "sample " + os.path.basename(path), f.read()
    for path in sorted(glob.glob(f"{SOURCE}/samples/other/*.eml")):
        with open(path, "rb") as f:
            yield "sample " + os.path.basename(path), f.read()
    rnd = random.Random(SEED)
    made = []
    for i in range(MADE):
        made.append(message(rnd, rnd.choice(["\n", "\r\n"]), rnd.randrange(4)))
        yield f"made {i}", made[-1]
    for i in range(CHANGED):
        change = CHANGES[i % len(CHANGES)]
        yield f"{change.__name__} {i}", change(rnd.choice(made), rnd)


def main():
    warnings.simplefilter("ignore")
    names, mails = zip(*all_mails())
    ours, gmime = ask("mail-decoded", mails), ask("mail-gmime", mails)
    python = [by_python(m) for m in mails]
    render_html(gmime + python)
    with open(f"{SOURCE}/mailhook/DEVIATIONS.md", encoding="utf-8") as f:
        numbers = {int(n) for n in re.findall(r"^(\d+)\.", f.read(), re.M)}

    count, explained, failures = collections.Counter(), collections.Counter(), []
    for name, mail, o, p, g in zip(names, mails, ours, python, gmime):
        us, them = shape(o), {"GMime": shape(g), "Python": None if p is None else shape(p)}
        kind = name.split()[0]
        count[kind] += 1
        for what, at in (("fields", 0), ("parts", 1)):
            agree = [who for who, reading in them.items() if reading is not None and reading[at] == us[at]]
            for who in agree:
                count[f"{what}: {who} agrees"] += 1
            if agree:
                continue
            why = (odd_words(mail) if what == "fields" else odd_parts(mail, o)) & numbers
            if why and kind not in ("sample", "made"): # a whole mail is no matter of opinion
                explained[what, min(why)] += 1
            else:
                failures.append((name, what, mail, us[at], {w: r and r[at] for w, r in them.items()}))
    total = len(mails)
    print(f"{total} mails, {len(set(mails))} unlike each other; {len(failures)} unexplained differences from both")
    for key in sorted(k for k in count if ":" in k):
        print(f"  {key} {count[key]} times")
        if count[key] < total * 6 // 10:
            failures.append((key, "had too little to say", b"", None, None))
    for (what, number), n in sorted(explained.items()):
        print(f"  deviation {number}, {what}: {n} times")
    for name, what, mail, us, them in failures[:int(os.environ.get("SHOW", 5))]:
        print(f"{name}, {what}\n{mail[:3000]!r}\n  ours {us!r}"[:4000])
        for who, reading in (them or {}).items():
            print(f"  {who} {reading!r}"[:2000])
    if len(set(mails)) < 3500 or count["sample"] < 90:
        failures.append(("too few mails", "", b"", None, None))
    if sum(explained.values()) > CHANGED // 6:
        failures.append(("too much is explained", "", b"", None, None))
    for title, *_ in failures:
        print(f"FAILED: {title}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
