#!/usr/bin/env python3
"""Judges a Gantral bundle, or a window of bundles: VALID, INVALID or INCONCLUSIVE.

One file, written from the pages of `spec/` alone, so that an auditor can read all of it and need not believe the
programs of whoever made the bundle. It needs Python 3.10 and nothing else; if the package `cryptography` is there, it
does the arithmetic of signatures, after the strict checks that are made here.

It reads the bundle, the trust file and, if asked, a mirror. It opens no network connection, reads no environment and no clock.
Comments name the rule that a line obeys: `V8` is rule 8 of `spec/verification.md`, `S31` rule 31 of `spec/states.md`.

    gantral_verify.py BUNDLE --trust trust.json [--mirror DIR] [--receipts FILE] [--json]

Exit status: 0 VALID, 1 INVALID, 2 INCONCLUSIVE, 3 no verdict at all.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import calendar
import datetime
import hashlib
import json
import os
import re
import stat
import sys
import unicodedata

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
except ImportError:
    Ed25519PublicKey = ec = None

KIB = 1 << 10
MIB = 1 << 20
SAFE_INTEGER = (1 << 53) - 1  # J7
ARTIFACT_BYTES, ARTIFACT_DEPTH = 64 * KIB, 16  # J2
DOCUMENT_BYTES, DOCUMENT_DEPTH = MIB, 64  # J2
ENVELOPE_BYTES, SIGNATURES_MAX, KEYID_BYTES, SIG_BYTES = 163_840, 8, 128, 4_096  # E1
LIST_BYTES = 32 * MIB  # B4
ARTIFACTS_MAX, FILES_MAX, CONTENT_MAX = 10_000, 100_000, 256 * MIB  # B6
INPUT_BYTES = 262_144  # J3
PLAINTEXT_BYTES = MIB  # C8
DISCLOSURE_BYTES = 2 * MIB  # base64 of C8 and what stands around it
EVENTS_MAX = 10_000  # S5
TRUST_BYTES = MIB
TRUST_KEYS_MAX = TRUST_LIST_MAX = 1_024  # K13

VALID, INVALID, INCONCLUSIVE = "VALID", "INVALID", "INCONCLUSIVE"

NOT_PROVED = "An action that never touched the system leaves no artifact: no verdict says that nothing else was done."


class NoVerdict(Exception):
    """The verifier was used wrongly, or could not read what it was given: exit status 3."""


# ---------------------------------------------------------------------------------------------------------------- JSON


class JsonRefused(Exception):
    """A text that is not the JSON of its profile. `kind` is a row of J14: `limit`, `spelling`, `text` or `syntax`."""

    def __init__(self, kind, what):
        super().__init__(what)
        self.kind = kind


class Number:
    """An exact decimal, kept in the normal form of J8."""

    __slots__ = ("text",)

    def __init__(self, text):
        self.text = text

    def __eq__(self, other):
        return isinstance(other, Number) and self.text == other.text

    def __hash__(self):
        return hash(self.text)

    def integer(self):
        """Returns the number as an int, or None if it is none within 2^53 - 1."""
        if re.fullmatch(r"-?[0-9]{1,16}", self.text) and abs(int(self.text)) <= SAFE_INTEGER:
            return int(self.text)
        return None


NUMBER = re.compile(r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?")
NUMBER_CHARACTERS, NUMBER_POWER = 256, 512  # J6
PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
SPACE = re.compile(r"[ \t\n\r]*")
ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
UNCLEAN = re.compile(  # J9
    "[\u0000-\u001f\u007f-\u009f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u180e\u200b-\u200d"
    "\u2060-\u2064\ufeff\U000e0000-\U000e007f\ufdd0-\ufdef"
    + "".join(f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(17))
    + "]"
)


def is_clean(text):
    """J9."""
    if text.isascii():
        return not UNCLEAN.search(text)
    return not UNCLEAN.search(text) and unicodedata.is_normalized("NFC", text)


def normal_number(match):
    """J6 and J8: the normal form of a number that the grammar has matched."""
    sign, whole, fraction, exponent = match.group(1), match.group(2), match.group(3) or "", match.group(4) or "0"
    if len(match.group(0)) > NUMBER_CHARACTERS:
        raise JsonRefused("limit", "a number has too many characters")
    digits = whole + fraction
    stripped = digits.lstrip("0")
    point = len(whole) - (len(digits) - len(stripped)) + int(exponent)  # n of J8
    stripped = stripped.rstrip("0")
    if not stripped:
        return "0"
    if not -NUMBER_POWER <= point - 1 <= NUMBER_POWER:
        raise JsonRefused("limit", "a number is too large or too small")
    count = len(stripped)
    if count <= point <= 21:
        text = stripped + "0" * (point - count)
    elif 0 < point <= 21:
        text = f"{stripped[:point]}.{stripped[point:]}"
    elif -6 < point <= 0:
        text = f"0.{'0' * -point}{stripped}"
    else:
        mantissa = stripped if count == 1 else f"{stripped[0]}.{stripped[1:]}"
        text = f"{mantissa}e{'+' if point > 0 else '-'}{abs(point - 1)}"
    text = sign + text
    if len(text) > NUMBER_CHARACTERS:
        raise JsonRefused("limit", "a number has too many characters")
    return text


class Parser:
    """Reads one JSON text strictly: J1 to J9."""

    def __init__(self, data, largest, deepest, artifact):
        if len(data) > largest:
            raise JsonRefused("limit", "larger than its limit")
        try:
            self.text = data.decode("utf-8")
        except UnicodeDecodeError:
            raise JsonRefused("syntax", "not UTF-8") from None
        if self.text.startswith("\ufeff"):
            raise JsonRefused("spelling", "begins with a byte order mark")
        self.at, self.deepest, self.artifact = 0, deepest, artifact

    def document(self):
        """Returns the one value of the text."""
        self.space()
        value = self.value(0)
        self.space()
        if self.at != len(self.text):
            raise JsonRefused("spelling", "something follows the value")
        return value

    def space(self):
        self.at = SPACE.match(self.text, self.at).end()

    def peek(self):
        return self.text[self.at] if self.at < len(self.text) else ""

    def value(self, depth):
        head = self.peek()
        if head == "{":
            return self.object(depth + 1)
        if head == "[":
            return self.array(depth + 1)
        if head == '"':
            return self.string()
        for word, value in (("true", True), ("false", False), ("null", None)):
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return value
        match = NUMBER.match(self.text, self.at)
        if not match:
            raise JsonRefused("syntax", "an unexpected byte or end")
        self.at = match.end()
        if match.group(0) in ("0", "-0") and self.peek().isdigit():
            raise JsonRefused("syntax", "a number with a leading zero")
        return self.number(match)

    def number(self, match):
        if not self.artifact:
            return Number(normal_number(match))
        text = match.group(0)
        plain = match.group(3) is None and match.group(4) is None and text != "-0"
        if not plain or len(text) > 17 or abs(int(text)) > SAFE_INTEGER:  # J7
            raise JsonRefused("spelling", "a number that is no integer within 2^53 - 1")
        return Number(text)

    def enter(self, depth):
        if depth > self.deepest:
            raise JsonRefused("limit", "nested too deep")
        self.at += 1
        self.space()

    def object(self, depth):
        self.enter(depth)
        members = {}
        while self.peek() != "}" or members:
            if self.peek() != '"':
                raise JsonRefused("syntax", "an unexpected byte or end")
            name = self.string()
            if name in members:
                raise JsonRefused("spelling", "a member stands twice")
            if self.artifact and not name.isascii():
                raise JsonRefused("text", "a member name outside ASCII")
            self.expect(":")
            members[name] = self.value(depth)
            if self.more("}"):
                return members
        self.at += 1
        return members

    def array(self, depth):
        self.enter(depth)
        elements = []
        while self.peek() != "]" or elements:
            elements.append(self.value(depth))
            if self.more("]"):
                return elements
        self.at += 1
        return elements

    def expect(self, mark):
        self.space()
        if self.peek() != mark:
            raise JsonRefused("syntax", "an unexpected byte or end")
        self.at += 1
        self.space()

    def more(self, close):
        """Passes a comma and says no, or passes the closing mark and says yes."""
        self.space()
        mark = self.peek()
        if mark not in (",", close) or not mark:
            raise JsonRefused("syntax", "an unexpected byte or end")
        self.at += 1
        if mark == ",":
            self.space()
        return mark == close

    def string(self):
        self.at += 1
        parts = []
        while True:
            plain = PLAIN.match(self.text, self.at)
            parts.append(plain.group(0))
            self.at = plain.end()
            mark = self.peek()
            if mark == '"':
                self.at += 1
                break
            if mark != "\\":
                raise JsonRefused("syntax", "an unexpected byte or end")
            parts.append(self.escape())
        text = "".join(parts)
        if self.artifact and not is_clean(text):
            raise JsonRefused("text", "text that may not be signed")
        return text

    def escape(self):
        mark = self.text[self.at + 1 : self.at + 2]
        if mark in ESCAPES and mark:
            self.at += 2
            return ESCAPES[mark]
        unit = self.unit()
        if 0xDC00 <= unit <= 0xDFFF:
            raise JsonRefused("spelling", "half of a surrogate pair")
        if 0xD800 <= unit <= 0xDBFF:
            low = self.unit() if self.text.startswith("\\u", self.at) else 0
            if not 0xDC00 <= low <= 0xDFFF:
                raise JsonRefused("spelling", "half of a surrogate pair")
            unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00)
        return chr(unit)

    def unit(self):
        match = re.compile(r"\\u([0-9a-fA-F]{4})").match(self.text, self.at)
        if not match:
            raise JsonRefused("syntax", "an unexpected byte or end")
        self.at = match.end()
        return int(match.group(1), 16)


def parse_document(data, largest=DOCUMENT_BYTES):
    """Reads JSON of the document profile (J2)."""
    return Parser(data, largest, DOCUMENT_DEPTH, artifact=False).document()


def parse_artifact(data):
    """Reads JSON of the artifact profile in its canonical form (J2, J12)."""
    parser = Parser(data, ARTIFACT_BYTES, ARTIFACT_DEPTH, artifact=True)
    value = parser.document()
    if canonical(value) != data:
        raise JsonRefused("spelling", "not the canonical form")
    return value


def parse_canonical(data, largest):
    """Reads a document that must be in its canonical form."""
    value = parse_document(data, largest)
    if canonical(value) != data:
        raise JsonRefused("spelling", "not the canonical form")
    return value


SHORT = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def quoted(text):
    body = re.sub(r'["\\\x00-\x1f]', lambda m: SHORT.get(m.group(0)) or f"\\u{ord(m.group(0)):04x}", text)
    return f'"{body}"'


def canonical(value):
    """J11: the one spelling of a value, as bytes."""
    pieces = []

    def write(item):
        if isinstance(item, dict):
            names = sorted(item, key=lambda name: name.encode("utf-16-be"))
            pieces.append("{")
            for index, name in enumerate(names):
                pieces.append(("," if index else "") + quoted(name) + ":")
                write(item[name])
            pieces.append("}")
        elif isinstance(item, list):
            pieces.append("[")
            for index, element in enumerate(item):
                pieces.append("," if index else "")
                write(element)
            pieces.append("]")
        elif isinstance(item, str):
            pieces.append(quoted(item))
        elif isinstance(item, Number):
            pieces.append(item.text)
        else:
            pieces.append({True: "true", False: "false", None: "null"}[item])

    write(value)
    return "".join(pieces).encode("utf-8")


# ------------------------------------------------------------------------------------------------- hashes and encodings


def sha256(data):
    """SHA-256 as 64 lower-case digits."""
    return hashlib.sha256(data).hexdigest()


def artifact_hash(payload):
    """C1: the identity of an artifact."""
    return sha256(b"gantral/artifact/v1\0" + payload)


def commitment(label, salt, plaintext):
    """C1: a salted commitment."""
    return sha256(b"gantral/commit/v1\0" + label.encode() + b"\0" + salt + plaintext)


def instance_tag(tenant, instance):
    """C1: what stands for an instance in a log."""
    return sha256(b"gantral/instance/v1\0" + tenant.encode() + b"\0" + bytes.fromhex(instance.replace("-", "")))


def governance_tag(tenant):
    """C1: what stands for the governance chain of a tenant in a log."""
    return sha256(b"gantral/governance/v1\0" + tenant.encode() + b"\0")


def key_id(key):
    """K1."""
    return sha256(b"gantral/key/v1\0ed25519\0" + key)


def from_base64(text):
    """E2: canonical base64 with padding; None if it is not."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error, ValueError):
        return None
    return data if base64.b64encode(data).decode() == text else None


def from_base64url(text):
    """H11: canonical base64url without padding; None if it is not."""
    if not re.fullmatch("[A-Za-z0-9_-]*", text) or len(text) % 4 == 1:
        return None
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    return data if to_base64url(data) == text else None


def to_base64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def pae(payload_type, payload):
    """E4: what a signature of an envelope covers."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


# ------------------------------------------------------------------------------------------------------------- Ed25519

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)


def decode_point(data):
    """K5: the point that 32 bytes encode canonically, in extended coordinates; None if there is none."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if len(data) != 32 or y >= P:
        return None
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if v * x * x % P == P - u and u:
        x = x * SQRT_M1 % P
    if v * x * x % P != u:
        return None
    if x == 0 and sign:
        return None
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


def add_points(a, b):
    """RFC 8032 §5.1.4."""
    e1, e2 = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    c, d = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = e2 - e1, d - c, d + c, e2 + e1
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def multiply_point(scalar, point):
    result = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = add_points(result, point)
        point = add_points(point, point)
        scalar >>= 1
    return result


def same_point(a, b):
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


def has_small_order(point):
    return same_point(multiply_point(8, point), (0, 1, 1, 0))


BASE = decode_point(bytes([0x58] + [0x66] * 31))


class PublicKey:
    """A key that K5 accepts."""

    def __init__(self, data):
        self.point = decode_point(data)
        if self.point is None or has_small_order(self.point):
            raise ValueError("no public key")
        self.bytes = data
        self.id = key_id(data)

    def verify(self, message, signature, plain=Ed25519PublicKey is None):
        """K6: says whether a signature is good. `plain` does the arithmetic here rather than in `cryptography`."""
        if len(signature) != 64:
            return False
        r, s = signature[:32], int.from_bytes(signature[32:], "little")
        point = decode_point(r)
        if s >= L or point is None or has_small_order(point):
            return False
        if not plain:
            try:
                Ed25519PublicKey.from_public_bytes(self.bytes).verify(signature, message)
                return True
            except InvalidSignature:
                return False
        k = int.from_bytes(hashlib.sha512(r + self.bytes + message).digest(), "little") % L
        return same_point(multiply_point(s, BASE), add_points(point, multiply_point(k, self.point)))


# --------------------------------------------------------------------------------------------------------------- P-256

P256_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
P256_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
P256_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
P256_BASE = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


def add_p256(a, b):
    """The sum of two points of P-256; None is the point at infinity."""
    if a is None or b is None:
        return a or b
    if a[0] == b[0]:
        if (a[1] + b[1]) % P256_P == 0:
            return None
        slope = 3 * (a[0] * a[0] - 1) * pow(2 * a[1], -1, P256_P)
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, P256_P)
    x = (slope * slope - a[0] - b[0]) % P256_P
    return x, (slope * (a[0] - x) - a[1]) % P256_P


def multiply_p256(scalar, point):
    result = None
    while scalar:
        if scalar & 1:
            result = add_p256(result, point)
        point = add_p256(point, point)
        scalar >>= 1
    return result


def read_integer(data):
    """H14: a positive integer in DER, and what follows it; None if there is none."""
    if len(data) < 3 or data[0] != 2 or data[1] > 0x7F or len(data) < 2 + data[1]:
        return None
    content, rest = data[2 : 2 + data[1]], data[2 + data[1] :]
    if not content or content[0] > 0x7F or content[0] == 0 and (len(content) == 1 or content[1] < 0x80):
        return None
    return int.from_bytes(content, "big"), rest


def read_ecdsa(signature):
    """H14: the two numbers of a signature, or None if it is not in its one encoding."""
    if len(signature) < 2 or signature[0] != 0x30 or signature[1] > 0x7F or len(signature) != 2 + signature[1]:
        return None
    first = read_integer(signature[2:])
    second = first and read_integer(first[1])
    if not second or second[1] or not 1 <= first[0] < P256_N or not 1 <= second[0] < P256_N:
        return None
    return first[0], second[0]


class Es256Key:
    """H15: a point of P-256."""

    def __init__(self, data):
        x, y = int.from_bytes(data[1:33], "big"), int.from_bytes(data[33:], "big")
        if len(data) != 65 or data[0] != 4 or max(x, y) >= P256_P or (y * y - x * x * x + 3 * x - P256_B) % P256_P:
            raise ValueError("no public key")
        self.point = (x, y)

    def verify(self, message, signature, plain=ec is None):
        """H14: says whether a signature is good. `plain` does the arithmetic here rather than in `cryptography`."""
        numbers = read_ecdsa(signature)
        if numbers is None:
            return False
        r, s = numbers
        if not plain:
            key = ec.EllipticCurvePublicNumbers(*self.point, ec.SECP256R1()).public_key()
            try:
                key.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
                return True
            except InvalidSignature:
                return False
        e, w = int.from_bytes(hashlib.sha256(message).digest(), "big"), pow(s, -1, P256_N)
        point = add_p256(multiply_p256(e * w % P256_N, P256_BASE), multiply_p256(r * w % P256_N, self.point))
        return point is not None and point[0] % P256_N == r


def authenticator_key(algorithm, text):
    """H15: the key of an authenticator, or None."""
    if algorithm == "ed25519":
        return public_key(text)
    try:
        return Es256Key(bytes.fromhex(text)) if re.fullmatch("[0-9a-f]{130}", text) else None
    except ValueError:
        return None


def public_key(text):
    """K3: the key that 64 digits name, or None."""
    if not isinstance(text, str) or not re.fullmatch("[0-9a-f]{64}", text):
        return None
    try:
        return PublicKey(bytes.fromhex(text))
    except ValueError:
        return None


# -------------------------------------------------------------------------------------------------------------- bundle

BUNDLE_FORMAT = "gantral/bundle/v1"
PATH = re.compile(r"[a-z0-9_-]+(?:\.+[a-z0-9_-]+)*(?:/[a-z0-9_-]+(?:\.+[a-z0-9_-]+)*)*")
HEX64 = re.compile("[0-9a-f]{64}")


class Refused(Exception):
    """Something cannot be read as what it claims to be; `code` says why, as in §11."""

    def __init__(self, code, what):
        super().__init__(what)
        self.code = code


def check_paths(paths):
    """B3: each path well formed, none twice, none both a file and a directory."""
    known = set()
    for path in paths:
        if len(path) > 100 or not PATH.fullmatch(path) or path in known:
            raise Refused("E_CONTAINER", f"`{path}` is no path of a bundle, or stands twice")
        known.add(path)
    for path in known:
        parts = path.split("/")
        if any("/".join(parts[:count]) in known for count in range(1, len(parts))):
            raise Refused("E_CONTAINER", f"`{path}` is inside of a file")


def read_directory(root):
    """B1: the files of a directory. Links and whatever is no plain file are refused before anything is read."""
    sizes, folders = {}, [("", root)]
    while folders:
        prefix, folder = folders.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                path, mode = prefix + entry.name, entry.stat(follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode) and path.count("/") < 50:
                    folders.append((path + "/", entry.path))
                elif stat.S_ISREG(mode):
                    sizes[path] = entry.stat(follow_symlinks=False).st_size
                else:
                    raise Refused("E_CONTAINER", f"`{path}` is no plain file")
                check_limits(sizes)
    check_paths(sizes)
    files = {}
    for path, size in sizes.items():
        with open(os.path.join(root, *path.split("/")), "rb") as file:
            files[path] = file.read(size + 1)
    check_limits({path: len(content) for path, content in files.items()})
    return files


def check_limits(sizes):
    """B6."""
    if len(sizes) > FILES_MAX or sum(sizes.values()) > CONTENT_MAX:
        raise Refused("E_LIMIT", "more files or more bytes than a bundle may have")


def tar_header(path, size):
    """B2: the one header that a file may have."""
    fields = [(path.encode(), 100), (b"0000644\0", 8), (b"0000000\0", 8), (b"0000000\0", 8), (b"%011o\0" % size, 12)]
    fields += [(b"00000000000\0", 12), (b"        ", 8), (b"0", 1), (b"", 100), (b"ustar\x0000", 8)]
    header = b"".join(value.ljust(width, b"\0") for value, width in fields).ljust(512, b"\0")
    return header[:148] + b"%06o\0 " % sum(header) + header[156:]


def read_tar(data):
    """B2: the files of a tar, which must be byte for byte the one that its files have."""
    files, at, last, total = {}, 0, "", 0
    while data[at : at + 512].strip(b"\0"):
        header = data[at : at + 512]
        path = header[:100].rstrip(b"\0").decode("ascii", "replace")
        size = re.fullmatch(rb"([0-7]{11})\0", header[124:136])
        if not size or path <= last or tar_header(path, int(size.group(1), 8)) != header:
            raise Refused("E_CONTAINER", "a header that no bundle has")
        length, at, last = int(size.group(1), 8), at + 512, path
        total += length
        if len(files) >= FILES_MAX or total > CONTENT_MAX:
            raise Refused("E_LIMIT", "more files or more bytes than a bundle may have")
        padded = -length % 512
        if len(data) < at + length + padded or any(data[at + length : at + length + padded]):
            raise Refused("E_CONTAINER", f"`{path}` is cut off, or something stands behind it")
        files[path] = data[at : at + length]
        at += length + padded
    if data[at:] != bytes(1024):
        raise Refused("E_CONTAINER", "the tar does not end where its files do")
    check_paths(files)
    return files


def read_bundle(path):
    """Reads a bundle from a directory or a tar."""
    try:
        if os.path.isdir(path):
            return read_directory(path)
        with open(path, "rb") as file:
            data = file.read(CONTENT_MAX + FILES_MAX * 1024 + 1)
    except OSError as error:
        raise NoVerdict(f"cannot read `{path}`: {error.strerror}") from None
    if len(data) > CONTENT_MAX + FILES_MAX * 1024:
        raise Refused("E_LIMIT", "more bytes than a bundle may have")
    return read_tar(data)


class Listing:
    """B4: what `bundle.json` says."""

    def __init__(self, files):
        if "bundle.json" not in files:
            raise Refused("E_CONTAINER", "there is no `bundle.json`")
        try:
            value = parse_document(files["bundle.json"], LIST_BYTES)
        except JsonRefused as refused:
            code = "E_LIMIT" if refused.kind == "limit" else "E_CONTAINER"
            raise Refused(code, f"`bundle.json`: {refused}") from None
        if isinstance(value, dict) and isinstance(value.get("format"), str) and value["format"] != BUNDLE_FORMAT:
            raise Refused("E_UNSUPPORTED", "another format of bundles")
        if canonical(value) != files["bundle.json"]:
            raise Refused("E_CONTAINER", "`bundle.json` is not canonical")
        if not has_members(value, "files", "format", "instance_id", "scope") or not isinstance(value["files"], list):
            raise Refused("E_CONTAINER", "`bundle.json` has other members")
        self.instance, self.scope, self.files = value["instance_id"], value["scope"], {}
        if not is_uuid(self.instance, DATED) or self.scope not in ("complete", "prefix"):
            raise Refused("E_CONTAINER", "`bundle.json` names no instance or no scope")
        last = ""
        for entry in value["files"]:
            if not has_members(entry, "length", "path", "sha256") or not is_digest(entry["sha256"]):
                raise Refused("E_CONTAINER", "`bundle.json` has an entry with other members")
            length = entry["length"].integer() if isinstance(entry["length"], Number) else None
            path = entry["path"]
            if length is None or length < 0 or not isinstance(path, str) or path <= last or path == "bundle.json":
                raise Refused("E_CONTAINER", "`bundle.json` has an entry out of order or without a length")
            self.files[path], last = (length, entry["sha256"]), path
        check_paths(self.files)

    def faults(self, files):
        """Returns what is not as listed, each with its path."""
        found = []
        for path in sorted(set(files) | set(self.files)):
            if path == "bundle.json":
                continue
            if path not in self.files:
                found.append((path, "is not listed"))
            elif path not in files:
                found.append((path, "is missing"))
            elif (len(files[path]), sha256(files[path])) != self.files[path]:
                found.append((path, "is not what the list says"))
        return found


def has_members(value, *names):
    """Says whether a value is an object with exactly these members."""
    return isinstance(value, dict) and value.keys() == set(names)


def is_digest(value):
    return isinstance(value, str) and HEX64.fullmatch(value) is not None


# The versions of a UUID that names an instance or a gate: a random one, or one of an instant (A12).
DATED = "47"


def is_uuid(value, versions):
    """A4: of one of these versions."""
    form = rf"[0-9a-f]{{8}}-[0-9a-f]{{4}}-[{versions}][0-9a-f]{{3}}-[89ab][0-9a-f]{{3}}-[0-9a-f]{{12}}"
    return isinstance(value, str) and re.fullmatch(form, value) is not None


# ------------------------------------------------------------------------------------------------------------ envelope

PAYLOAD_TYPE = "application/vnd.in-toto+json"


class Envelope:
    """E1 to E7: a payload and its signatures, nothing of it checked."""

    def __init__(self, data, payload_type=PAYLOAD_TYPE):
        if len(data) > ENVELOPE_BYTES:
            raise Refused("E_LIMIT", "the envelope is larger than its limit")
        try:
            value = parse_document(data, ENVELOPE_BYTES)
        except JsonRefused as refused:
            code = "E_LIMIT" if refused.kind == "limit" else "E_CONTAINER"
            raise Refused(code, f"the envelope is no JSON of ours: {refused}") from None
        if not has_members(value, "payload", "payloadType", "signatures"):
            raise Refused("E_CONTAINER", "the envelope has other members")
        payload = from_base64(value["payload"]) if isinstance(value["payload"], str) else None
        if not isinstance(value["payloadType"], str):
            raise Refused("E_CONTAINER", "the envelope has no payload type")
        if value["payloadType"] != payload_type:
            raise Refused("E_UNSUPPORTED", "the envelope has another payload type")
        if payload is None or not isinstance(value["signatures"], list) or not value["signatures"]:
            raise Refused("E_CONTAINER", "the envelope has no payload or no signatures")
        if len(payload) > ARTIFACT_BYTES or len(value["signatures"]) > SIGNATURES_MAX:
            raise Refused("E_LIMIT", "the payload is larger, or the signatures are more, than the limit")
        self.payload = payload
        self.signatures = [self.signature(entry) for entry in value["signatures"]]

    @staticmethod
    def signature(entry):
        well_formed = has_members(entry, "keyid", "sig") and all(isinstance(v, str) for v in entry.values())
        signature = from_base64(entry["sig"]) if well_formed else None
        if signature is None:
            raise Refused("E_CONTAINER", "a signature of the envelope is malformed")
        if len(entry["keyid"].encode()) > KEYID_BYTES or len(signature) > SIG_BYTES:
            raise Refused("E_LIMIT", "a signature of the envelope is larger than its limit")
        return entry["keyid"], signature


# ---------------------------------------------------------------------------------------------------------- trust file

ROLES_OF_KEYS = ("issuer", "directory", "approver")
EVIDENCE = ("development", "operator", "oidc", "webauthn")
KEY_MEMBERS = ("algorithm", "compromised_from", "key_id", "origins", "public_key", "role", "tenants", "valid_from")
REQUIRE_MEMBERS = ("complete", "enforced", "human_evidence", "logged", "scope", "snapshots", "witnessed")
TENANT = re.compile("[a-z0-9._/-]{1,128}")


class TrustedKey:
    """One entry of `keys`."""

    def __init__(self, entry):
        if not has_members(entry, *KEY_MEMBERS, "valid_until"):
            raise NoVerdict("the trust file has a key with other members")
        self.key = public_key(entry["public_key"])
        if self.key is None or entry["key_id"] != self.key.id:
            raise NoVerdict("the trust file has a key whose id is not its own, or that is no public key")  # V5
        if entry["algorithm"] != "ed25519" or entry["role"] not in ROLES_OF_KEYS:
            raise NoVerdict("the trust file has a key of an unknown algorithm or role")
        self.id, self.role = self.key.id, entry["role"]
        self.tenants, self.origins = (self.names(entry[member]) for member in ("tenants", "origins"))
        indexes = ("valid_from", "valid_until", "compromised_from")
        self.valid_from, self.valid_until, self.compromised_from = (self.index(entry[member]) for member in indexes)

    @staticmethod
    def names(value):
        if value is None:
            return None
        if not isinstance(value, list) or len(value) > TRUST_LIST_MAX:
            raise NoVerdict("the trust file has a key with a wrong list")
        if not all(isinstance(name, str) and TENANT.fullmatch(name) for name in value):
            raise NoVerdict("the trust file has a key with a wrong name")
        return frozenset(value)

    @staticmethod
    def index(value):
        if value is None:
            return None
        index = value.integer() if isinstance(value, Number) else None
        if index is None or index < 0:
            raise NoVerdict("the trust file has a key with a wrong index")
        return index

    def has_limits(self):
        """Says whether what the key signs needs a place in the log: K12."""
        return (self.valid_from, self.valid_until, self.compromised_from) != (None, None, None)


def speaks_for(limits, record):
    """V10: says whether tenants and logs cover an artifact."""
    covered = limits.tenants is None or record.tenant_id in limits.tenants
    return covered and (limits.origins is None or record.log_origin in limits.origins)


class Require:
    """§9."""

    def __init__(self, value):
        flags = ("complete", "enforced", "logged", "snapshots")
        optional = [flag for flag in ("four_eyes", "human_device_bound") if isinstance(value, dict) and flag in value]
        self.four_eyes, self.human_device_bound = (
            value[flag] if flag in optional else False for flag in ("four_eyes", "human_device_bound")
        )
        if not has_members(value, *REQUIRE_MEMBERS, *optional) or not all(isinstance(value[flag], bool) for flag in flags):
            raise NoVerdict("`require` of the trust file has other members")
        if not isinstance(self.four_eyes, bool) or not isinstance(self.human_device_bound, bool):
            raise NoVerdict("`four_eyes` or `human_device_bound` of the trust file is neither true nor false")
        witnessed = value["witnessed"].integer() if isinstance(value["witnessed"], Number) else None
        if value["scope"] not in ("complete", "prefix") or witnessed is None or witnessed < 0:
            raise NoVerdict("`require` of the trust file has another scope or number of witnesses")
        if value["human_evidence"] is not None and value["human_evidence"] not in EVIDENCE:
            raise NoVerdict("`require` of the trust file names an unknown kind of evidence")
        self.complete, self.enforced, self.logged, self.snapshots = (value[flag] for flag in flags)
        self.scope, self.witnessed, self.human_evidence = value["scope"], witnessed, value["human_evidence"]


HOST = re.compile("[a-z0-9.-]{1,253}")
ORIGIN = re.compile("[a-z0-9+.-]+://[!-.0-~]+")


class RelyingParty:
    """§2: for whom the authenticators of humans sign, and where they may be asked."""

    def __init__(self, value):
        if not has_members(value, "id", "origins") or not isinstance(value["origins"], list):
            raise NoVerdict("`relying_party` of the trust file has other members")
        texts = all(isinstance(text, str) for text in (value["id"], *value["origins"]))
        if not texts or not HOST.fullmatch(value["id"]) or not 1 <= len(value["origins"]) <= 16:
            raise NoVerdict("`relying_party` of the trust file is no host with 1 to 16 origins")
        if not all(len(origin) <= 300 and ORIGIN.fullmatch(origin) for origin in value["origins"]):
            raise NoVerdict("`relying_party` of the trust file has an origin that is none")
        self.id, self.origins = value["id"], value["origins"]
        self.id_hash = hashlib.sha256(self.id.encode()).digest()


class Trust:
    """§2: whom the relying party believes, and what it asks for."""

    def __init__(self, data):
        try:
            value = parse_document(data, TRUST_BYTES)
        except JsonRefused as refused:
            raise NoVerdict(f"the trust file is no JSON of ours: {refused}") from None
        optional = ("relying_party",) if isinstance(value, dict) and "relying_party" in value else ()
        members = ("format", "keys", "log", "require", *optional)
        if not has_members(value, *members) or value["format"] != "gantral/trust/v1":
            raise NoVerdict("the trust file has another format or other members")
        if not isinstance(value["keys"], list) or len(value["keys"]) > TRUST_KEYS_MAX:
            raise NoVerdict("the trust file has no list of keys, or too many")
        keys = [TrustedKey(entry) for entry in value["keys"]]
        self.keys = {key.id: key for key in keys}
        self.entries = {entry["key_id"]: entry for entry in value["keys"]}
        if len(self.keys) != len(keys):
            raise NoVerdict("the trust file has a key twice")
        self.require = None if value["require"] is None else Require(value["require"])
        self.relying_party = RelyingParty(value["relying_party"]) if optional else None
        self.log = TrustedLog(value["log"])
        if self.keys.keys() & self.log.key_ids().keys():
            raise NoVerdict("the trust file has a key in its log policy too")  # V5


class Signer:
    """A key whose signatures are recognised: pinned, delegated by a pinned one, or of the log policy."""

    def __init__(self, key, role, limits=None, delegation=None):
        self.key, self.id, self.role, self.limits, self.delegation = key, key.id, role, limits, delegation


DELEGATION_TYPE = "application/vnd.gantral.delegation+json"
DELEGATION_PATH = re.compile(r"keys/([0-9a-f]{64})\.delegation\.json")
DELEGATION_MS = 7 * 86_400_000  # K17
DELEGATION_MEMBERS = "delegator format key_id not_after not_before origins public_key tenants".split()


def keyring(trust, files):
    """K18, K19: every key that signatures may name, by its id."""
    ring = {key.id: Signer(key.key, key.role, key) for key in trust.keys.values()}
    ring |= {key.id: Signer(key, "log") for key in trust.log.key_ids().values()}
    for path, content in files.items():
        match = DELEGATION_PATH.fullmatch(path)
        if match and match.group(1) not in ring:
            delegate = read_delegation(trust, content, match.group(1))
            if delegate:
                ring[delegate.id] = delegate
    return ring


def read_delegation(trust, content, named):
    """K17, K19: the delegate that a delegation makes, or None if the delegation does not count."""
    try:
        envelope = Envelope(content, DELEGATION_TYPE)
        value = parse_canonical(envelope.payload, ARTIFACT_BYTES)
        if not has_members(value, *DELEGATION_MEMBERS) or value["format"] != "gantral/delegation/v1":
            return None
        key, delegator = public_key(value["public_key"]), trust.keys.get(value["delegator"])
        after, before = instant(value["not_after"], "not_after"), instant(value["not_before"], "not_before")
        tenants, origins = TrustedKey.names(value["tenants"]), TrustedKey.names(value["origins"])
    except (Refused, JsonRefused, Broken, NoVerdict, TypeError):
        return None
    if key is None or key.id != value["key_id"] or key.id != named or delegator is None or delegator.id == key.id:
        return None
    if delegator.role != "issuer" or not 1 <= after - before <= DELEGATION_MS:
        return None
    message = pae(DELEGATION_TYPE, envelope.payload)
    signed = any(delegator.id == claimed and delegator.key.verify(message, sig) for claimed, sig in envelope.signatures)
    limits = Record(tenants=tenants, origins=origins, not_before=before, not_after=after)
    return Signer(key, "issuer", delegator, limits) if signed else None


# ----------------------------------------------------------------------------------------------------------- statement

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://gantral.dev/commitment/v1"
STATES = (
    "CREATED RUNNING WAITING_FOR_HUMAN APPROVED OVERRIDDEN RESUMED REJECTED COMPLETED TERMINATED".split()
)
FINAL = ("COMPLETED", "TERMINATED")
KINDS = ("human", "workload", "runner", "system")
CAUSES = "denied failed cancelled expired timeout withdrawn rejected exited lost".split()
FAILURES = (
    "UNAVAILABLE DEADLINE_EXCEEDED VERSION_MISMATCH VERSION_UNKNOWN CONFLICT UNDEFINED MALFORMED EVALUATION "
    "RESOURCE_LIMIT".split()
)
NAME = re.compile("[A-Za-z0-9._/:@-]{1,128}")  # W3


class Broken(Exception):
    """A signed payload that cannot be read; `codes` says why (V11)."""

    def __init__(self, what, *codes):
        super().__init__(what)
        self.codes = codes


class Record:
    """An object whose members have been read, each as an attribute."""

    def __init__(self, **members):
        self.__dict__.update(members)

    def __eq__(self, other):
        return isinstance(other, Record) and self.__dict__ == other.__dict__


def wrong(what):
    return Broken(f"{what} is missing, unknown or of the wrong type", "E_SCHEMA")


def mistyped(value, where):
    """A12: a text outside ASCII is that first, unless an object must stand there."""
    return Broken(f"{where} is not ASCII", "E_UNICODE") if isinstance(value, str) and not value.isascii() else wrong(where)


def ascii_text(value, where):
    """A4: every text of an artifact is an identifier."""
    if not isinstance(value, str):
        raise wrong(where)
    if not value.isascii():
        raise Broken(f"{where} is not ASCII", "E_UNICODE")
    return value


def text_of(pattern):
    def read(value, where):
        if not pattern.fullmatch(ascii_text(value, where)):
            raise wrong(where)
        return value

    return read


name = text_of(NAME)
tenant_name = text_of(TENANT)
digest = text_of(HEX64)
issuer_name = text_of(re.compile("[!-~]{1,256}"))


def uuid_of(versions):
    def read(value, where):
        if not is_uuid(ascii_text(value, where), versions):
            raise wrong(where)
        return value

    return read


def integer(least, most=SAFE_INTEGER):
    def read(value, where):
        number = value.integer() if isinstance(value, Number) else None
        if number is None or not least <= number <= most:
            raise mistyped(value, where)
        return number

    return read


def word(*words):
    def read(value, where):
        if ascii_text(value, where) not in words:
            raise wrong(where)
        return value

    return read


def boolean(value, where):
    if not isinstance(value, bool):
        raise mistyped(value, where)
    return value


INSTANT = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})\.([0-9]{3})Z")


def instant(value, where):
    """A4: returns milliseconds since 1970."""
    match = INSTANT.fullmatch(ascii_text(value, where))
    if not match:
        raise wrong(where)
    year, month, day, hour, minute, second, milli = (int(part) for part in match.groups())
    if year < 1970 or not 1 <= month <= 12 or hour > 23 or minute > 59 or second > 59:
        raise wrong(where)
    if not 1 <= day <= calendar.monthrange(year, month)[1]:
        raise wrong(where)
    return calendar.timegm((year, month, day, hour, minute, second)) * 1000 + milli


def null_or(read):
    return lambda value, where: None if value is None else read(value, where)


def list_of(read, most, least=0):
    def read_list(value, where):
        if not isinstance(value, list) or not least <= len(value) <= most:
            raise mistyped(value, where)
        return [read(element, f"{where}[{index}]") for index, element in enumerate(value)]

    return read_list


def closed(**members):
    """A5: an object with exactly these members."""

    def read(value, where):
        if not has_members(value, *members):
            raise wrong(where)
        return Record(**{key: reader(value[key], f"{where}.{key}") for key, reader in members.items()})

    return read


def read_rule(value, where):
    """A15: `rejections` is there only where it is more than 1."""
    if isinstance(value, dict) and "rejections" in value:
        return closed(rejections=integer(2, 16), **RULE)(value, where)
    read = closed(**RULE)(value, where)
    read.rejections = 1
    return read


def closed_but(optional, read, **members):
    """A5, A16, G23: an object with exactly these members, and one more that may be missing: then it is None."""
    without = closed(**members)

    def read_all(value, where):
        if not isinstance(value, dict) or optional not in value:
            record = without(value, where)
            setattr(record, optional, None)
            return record
        record = without({key: each for key, each in value.items() if key != optional}, where)
        setattr(record, optional, read(value[optional], f"{where}.{optional}"))
        return record

    return read_all


ADDRESS = re.compile(
    r"[a-z][a-z0-9+.-]{0,31}://(?=.)(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]*)(?::[0-9]{1,5})?"
    r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*)?"
)


def address(value, where):
    """A16: where captured evidence is kept; no user, no query, no fragment."""
    if len(ascii_text(value, where)) > 1024 or not ADDRESS.fullmatch(value):
        raise wrong(where)
    return value


roles_16 = list_of(name, 16)
executor = closed(id=name, kind=word("runner", "interceptor", "self"))
policy = closed(
    decision_commitment=null_or(digest),
    engine=name,
    engine_version=name,
    failure=null_or(word(*FAILURES)),
    input_commitment=digest,
    policy_version_id=digest,
    verdict=word("ALLOW", "REQUIRE_HUMAN", "DENY"),
)
decision = closed(
    acts_for=null_or(digest),
    approved_action_commitment=digest,
    asked_action_commitment=digest,
    break_glass=boolean,
    decision=word("APPROVE", "REJECT", "OVERRIDE"),
    delegation_hash=null_or(digest),
    directory_entry=null_or(digest),
    display_digest=digest,
    evidence_digest=null_or(digest),
    evidence_type=word(*EVIDENCE),
    gate_id=uuid_of(DATED),
    gate_version=integer(0, 2**32 - 1),
    justification_commitment=null_or(digest),
    request_artifact_hash=digest,
    role=name,
)
gate = closed(
    action_commitment=digest, context_commitment=digest, id=uuid_of(DATED), step=null_or(name), version=integer(0, 2**32 - 1),
)
group = closed(required=integer(0, 16), roles=roles_16)
RULE = {
    "break_glass_roles": roles_16,
    "distinct": boolean,
    "required_evidence": word(*EVIDENCE),
    "separation": boolean,
    "stages": list_of(closed(groups=list_of(group, 16)), 16),
}
READERS = {  # §4: how each member of a detail is read when it is not null
    "acts_for": digest,
    "act_by": instant,
    "action_commitment": digest,
    "cause": word(*CAUSES),
    "context_commitment": digest,
    "cost": integer(0),
    "deadline": instant,
    "decision": decision,
    "escalation": list_of(closed(duration_ms=integer(0), roles=roles_16), 16),
    "evidence": list_of(closed_but("url", address, digest=digest, name=name), 64),  # A16
    "executor": executor,
    "exit_status": integer(-(2**31), 2**31 - 1),
    "expires_at": instant,
    "gate": gate,
    "gate_id": uuid_of(DATED),
    "gate_version": integer(0, 2**32 - 1),
    "grant": closed(expires_at=instant, id=uuid_of("4")),
    "grant_id": uuid_of("4"),
    "guard": closed(
        freeze_epoch=integer(0),
        governance_head=null_or(digest),
        policy_version_id=digest,
        verdict=word("ALLOW", "REQUIRE_HUMAN", "DENY"),
    ),
    "justification_commitment": digest,
    "latest_deadline": instant,
    "lease_ms": integer(0),
    "next": word("continue", "terminate"),
    "outcome_commitment": digest,
    "parent": closed(artifact_hash=digest, instance_id=uuid_of(DATED)),
    "policy": policy,
    "requester": list_of(closed(id=name, issuer=issuer_name, kind=word(*KINDS), owner=null_or(digest)), 64),
    "roles": list_of(name, 4096),
    "rule": read_rule,
    "session_id": name,
    "status": word("SUCCEEDED", "FAILED", "UNKNOWN"),
    "step": integer(0, 2**32 - 1),
    "trigger": name,
}
MATRIX = {  # A10: required, optional, always null
    "created": ("expires_at requester", "context_commitment parent session_id trigger", ""),
    "started": ("", "cause context_commitment executor", "lease_ms"),
    "human_required": ("deadline escalation gate latest_deadline policy rule", "", ""),
    "approved": ("decision grant", "", "cause"),
    "overridden": ("decision grant", "", "cause"),
    "rejected": ("cause gate_id", "decision", "grant"),
    "resumed": ("", "cause context_commitment executor lease_ms", ""),
    "running": ("", "cause context_commitment executor", "lease_ms"),
    "completed": ("", "", "cause policy"),
    "terminated": ("cause", "policy", ""),
    "attempt_assigned": ("context_commitment executor lease_ms", "", "cause"),
    "attempt_ended": ("cause executor", "exit_status", ""),
    "allowed": ("action_commitment context_commitment grant policy", "", ""),
    "observed": ("action_commitment context_commitment policy", "", "grant"),
    "vote": ("decision", "", "cause grant"),
    "escalated": ("deadline gate_id gate_version roles step", "", ""),
    "extended": ("deadline gate_id gate_version roles", "", "step"),
    "consumed": ("act_by action_commitment executor grant_id guard policy", "", ""),
    "outcome": ("evidence status", "cost grant_id outcome_commitment", ""),
    "reconciled": ("grant_id next status", "justification_commitment", ""),
    "evaluator_failed": ("policy", "", ""),
}


def read_detail(event, value):
    """A10: reads the detail of an event against its row."""
    required, optional, absent = (column.split() for column in MATRIX[event])
    if not has_members(value, *required, *optional, *absent):
        raise wrong("detail")
    read = {key: None for key in absent}
    for key in required + optional:
        read[key] = None if value[key] is None else READERS[key](value[key], f"detail.{key}")
    codes = {"E_NO_POLICY" if key == "policy" else "E_MATRIX" for key in required if read[key] is None}
    codes |= {"E_MATRIX" for key in absent if value[key] is not None}
    if codes:
        raise Broken(f"the members of `{event}` are against the matrix", *sorted(codes))
    return Record(**read)


def keep(value, _where):
    return value


commitment_record = closed(
    actor=closed(id=name, issuer=null_or(issuer_name), kind=word(*KINDS), role=null_or(name)),
    anchor=null_or(closed(root=digest, size=integer(0))),
    artifact_id=uuid_of("7"),
    artifact_version=keep,
    attempt=integer(0, 2**32 - 1),
    authority_state=word(*STATES),
    blind=digest,
    crit=list_of(name, 0),
    detail=keep,
    event=word(*MATRIX),
    ext=keep,
    from_state=null_or(word(*STATES)),
    instance_id=uuid_of(DATED),
    instance_tag=digest,
    issued_at=instant,
    log_origin=tenant_name,
    mode=word("ENFORCE", "SHADOW"),
    prev_artifact_hash=null_or(digest),
    semantics_digest=digest,
    sequence=integer(0),
    tenant_id=tenant_name,
    workflow=closed(digest=digest, id=name, materiality=word("LOW", "MEDIUM", "HIGH"), version=name),
)


def check_version(payload, predicate_type):
    """A7, V11: versions and types are compared before anything else is read."""
    try:
        value = parse_document(payload, ARTIFACT_BYTES)
    except JsonRefused:
        return
    if not isinstance(value, dict):
        return
    predicate = value.get("predicate")
    version = predicate.get("artifact_version") if isinstance(predicate, dict) else None
    for found, known in (
        (value.get("_type"), STATEMENT_TYPE),
        (value.get("predicateType"), predicate_type),
        (version, "1.0"),
    ):
        if isinstance(found, str) and found != known:
            raise Broken("made in a version that this verifier does not know", "E_UNSUPPORTED")


def read_typed(payload, predicate_type, read):
    """V11: reads a signed payload; returns its predicate, and its subject as it stands there."""
    check_version(payload, predicate_type)
    try:
        value = parse_artifact(payload)
    except JsonRefused as refused:
        codes = {"limit": "E_LIMIT", "text": "E_UNICODE"}
        raise Broken(str(refused), codes.get(refused.kind, "E_NONCANONICAL")) from None
    if not has_members(value, "_type", "predicate", "predicateType", "subject"):
        raise wrong("the statement")
    predicate = value["predicate"]
    crit = predicate.get("crit") if isinstance(predicate, dict) else None
    if isinstance(crit, list) and crit and all(isinstance(name, str) for name in crit):
        raise Broken("an extension must be understood that this verifier does not know", "E_CRIT")
    record = read(predicate, "predicate")
    expected = (STATEMENT_TYPE, predicate_type, "1.0")
    if (value["_type"], value["predicateType"], record.artifact_version) != expected:
        raise wrong("the version or a type")
    if not isinstance(record.ext, dict):
        raise mistyped(record.ext, "ext")
    record.hash = artifact_hash(payload)
    return record, value["subject"]


def read_statement(payload):
    """V11: reads a signed payload as an artifact of an instance."""
    record, found = read_typed(payload, PREDICATE_TYPE, commitment_record)
    subject = {"digest": {"sha256": record.workflow.digest}, "name": f"urn:gantral:instance:{record.instance_id}"}
    if found != [subject]:
        raise Broken("the subject disagrees with the commitment", "E_SCHEMA")  # A8
    if record.instance_tag != instance_tag(record.tenant_id, record.instance_id):
        raise Broken("the instance tag disagrees with the instance", "E_SCHEMA")  # A8
    record.detail = read_detail(record.event, record.detail)
    record.leaf = (1, record.instance_tag, record.authority_state in FINAL)
    return record


def commitments_of(record):
    """Yields every commitment of an artifact with its label: `commitments.md` C3."""
    detail = record.detail.__dict__
    yield from ((label, detail.get(f"{label}_commitment")) for label in ("action", "context", "justification", "outcome"))
    if detail.get("gate"):
        yield "action", detail["gate"].action_commitment
        yield "context", detail["gate"].context_commitment
    if detail.get("policy"):
        yield "input", detail["policy"].input_commitment
        yield "decision", detail["policy"].decision_commitment
    if isinstance(detail.get("decision"), Record):
        yield "action", detail["decision"].asked_action_commitment
        yield "action", detail["decision"].approved_action_commitment
        yield "justification", detail["decision"].justification_commitment
        yield "person", detail["decision"].acts_for
    if record.actor.kind == "human":
        yield "person", record.actor.id
    for requester in detail.get("requester") or []:
        yield "person", requester.owner
        if requester.kind == "human":
            yield "person", requester.id


# --------------------------------------------------------------------------------------------------------------- rules

MOVES = (  # `states.md` §2
    ("(nothing)", "created", "human workload", "CREATED"),
    ("CREATED", "started", "human workload runner system", "RUNNING"),
    ("RUNNING", "human_required", "workload runner", "WAITING_FOR_HUMAN"),
    ("WAITING_FOR_HUMAN", "approved", "human", "APPROVED"),
    ("WAITING_FOR_HUMAN", "overridden", "human", "OVERRIDDEN"),
    ("WAITING_FOR_HUMAN", "rejected", "human workload system", "REJECTED"),
    ("APPROVED", "resumed", "human workload runner system", "RESUMED"),
    ("OVERRIDDEN", "resumed", "human workload runner system", "RESUMED"),
    ("RESUMED", "running", "human workload runner system", "RUNNING"),
    ("RUNNING", "completed", "workload runner", "COMPLETED"),
    ("RUNNING", "terminated", "human workload runner system", "TERMINATED"),
    ("REJECTED", "terminated", "human workload runner system", "TERMINATED"),
)
SEALED = (  # `states.md` §3
    ("attempt_assigned", "workload runner", "CREATED RUNNING RESUMED"),
    ("attempt_ended", "workload runner system", "CREATED RUNNING WAITING_FOR_HUMAN APPROVED OVERRIDDEN RESUMED"),
    ("allowed", "workload runner", "RUNNING"),
    ("observed", "workload runner", "RUNNING"),
    ("evaluator_failed", "workload runner", "RUNNING"),
    ("vote", "human", "WAITING_FOR_HUMAN"),
    ("escalated", "system", "WAITING_FOR_HUMAN"),
    ("extended", "human", "WAITING_FOR_HUMAN"),
    ("consumed", "workload runner", "RUNNING"),
    ("outcome", "workload runner system", "RUNNING"),
    ("reconciled", "human", "RUNNING"),
)
ROWS = {(source, event): (target, kinds.split()) for source, event, kinds, target in MOVES}
ROWS |= {(state, event): (state, kinds.split()) for event, kinds, states in SEALED for state in states.split()}
RULES = "gantral/rules/1.0\n"
RULES += "".join(f"move {source} {event} {target} {kinds}\n" for source, event, kinds, target in MOVES)
RULES += "".join(f"sealed {state} {event} {kinds}\n" for event, kinds, states in SEALED for state in states.split())
SEMANTICS = sha256(b"gantral/semantics/v1\0" + RULES.encode())  # S8
OUTAGES = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "VERSION_MISMATCH", "VERSION_UNKNOWN")  # S46


def satisfies(evidence, demanded):
    """S28: `development` satisfies nothing but `development`."""
    if evidence == "development":
        return demanded == "development"
    return EVIDENCE.index(evidence) >= EVIDENCE.index(demanded)


def seat_votes(groups, votes):
    """S31: seats votes at the groups of one stage; returns the votes that have no seat, and whether every seat is taken."""
    seated = [[] for _ in groups]

    def take(vote, tried):
        for index, asked in enumerate(groups):
            if index in tried or vote.role not in asked.roles:
                continue
            tried.add(index)
            if len(seated[index]) < asked.required:
                seated[index].append(vote)
                return True
            for place, earlier in enumerate(seated[index]):
                if take(earlier, tried):
                    seated[index][place] = vote
                    return True
        return False

    unseated = [vote for vote in votes if not take(vote, set())]
    full = all(len(taken) == asked.required for taken, asked in zip(seated, groups))
    return unseated, full and any(asked.required for asked in groups)


class Attempt:
    """S10 to S16: the newest attempt."""

    def __init__(self, number, launched_by, attached):
        self.number, self.executor, self.attached = number, launched_by, attached
        self.alive, self.retired, self.exit_status = True, False, None


class Gate:
    """What is asked of humans, as it stands."""

    def __init__(self, record):
        detail = record.detail
        self.id, self.version, self.action = detail.gate.id, detail.gate.version, detail.gate.action_commitment
        self.rule, self.escalation = detail.rule, detail.escalation
        self.deadline, self.latest = detail.deadline, detail.latest_deadline
        self.stages = [stage.groups for stage in detail.rule.stages]
        self.opened_by, self.attempt, self.votes, self.steps = record.hash, record.attempt, [], 0
        self.rejections = []

    def roles(self):
        return {role for stage in self.stages for asked in stage for role in asked.roles}

    def seats(self, votes):
        """S31: returns the index of the open stage, or None when every stage is satisfied."""
        for index, groups in enumerate(self.stages):
            votes, full = seat_votes(groups, votes)
            if not full:
                return index
        return None if self.stages else 0

    def votes_for(self, action):
        """S29: the votes that stand beside one for `action`."""
        return [vote for vote in self.votes if vote.action == action]

    def again(self, ballot, vote):
        """S30: whether somebody of this vote has no such ballot left. Who rejected has none."""
        earlier = [] if ballot.decision == "REJECT" else self.votes_for(vote.action)
        return any(vote.persons & other.persons for other in earlier + self.rejections)

    def count(self, ballot, vote):
        """S29, S60: a rejection withdraws what its persons granted; another vote drops those for another action."""
        if ballot.decision == "REJECT":
            self.votes = [other for other in self.votes if not vote.persons & other.persons]
            self.rejections.append(vote)
        else:
            self.votes = self.votes_for(vote.action) + [vote]


class Fold:
    """Folds artifacts by the rules, and says of each which ones it breaks."""

    def __init__(self):
        self.state, self.newest, self.attempt, self.at, self.count = "(nothing)", 0, None, 0, 0
        self.gate = self.failed = self.walk = self.ends_with = None
        self.grants, self.grant_ids, self.consumed, self.observed = {}, set(), {}, 0
        self.asked = False
        self.broken = []

    # Judging: each method below calls `unless(holds, code, what)` for every rule.

    def unless(self, holds, code, what):
        if not holds:
            self.broken.append((code, what))

    def judge(self, record):
        """V17: returns the broken rules; none, and the artifact is folded."""
        self.broken = []
        if self.state in FINAL:
            return [("E_AFTER_TERMINAL", "something follows a final state")]  # S2
        target, kinds = ROWS.get((self.state, record.event), (None, ()))
        if target is None:
            return [("E_STATE", f"`{record.event}` has no row in {self.state}")]  # S3
        if record.actor.kind not in kinds:
            by_humans = record.event in ("vote", "approved", "overridden")
            return [("E_SELF_APPROVAL" if by_humans else "E_STATE", "done by a kind of actor without a row")]
        self.unless(record.issued_at >= self.at, "E_TIME_BACK", "older than the artifact before it")  # S4
        self.unless(self.count < EVENTS_MAX, "E_LIMIT", "more events than an instance may have")  # S5
        self.judge_walk(record)
        self.judge_number(record)
        getattr(self, f"on_{record.event}")(record, record.detail)
        if not self.broken:
            before = None if self.state == "(nothing)" else self.state
            states = (record.from_state, record.authority_state) == (before, target)
            self.unless(states, "E_STATE", "the states are not those of the fold")  # V17
        if not self.broken:
            self.apply(record, target)
        return self.broken

    def judge_walk(self, record):
        """S7, S42: what must follow, follows."""
        if self.walk:
            causes = getattr(record.detail, "cause", None)
            same = record.event in ("resumed", "running", "terminated") and causes == self.walk
            self.unless(same, "E_STATE", "something else follows than the end that began")
        if self.ends_with:
            self.unless(record.event == "terminated", "E_STATE", "the end does not follow the reconciliation")  # S40

    def judge_number(self, record):
        """S10."""
        number = self.newest
        if record.event == "attempt_assigned" or record.event == "resumed" and record.detail.cause is None:
            number += 1
        earlier = record.event == "outcome" and record.attempt < number
        self.unless(record.attempt == number or earlier, "E_ATTEMPT", "sealed under another attempt")

    def acts(self):
        """S13: only the newest attempt acts, while it lives and is attached."""
        attempt = self.attempt
        able = attempt is not None and attempt.alive and attempt.attached and not attempt.retired
        self.unless(able, "E_ATTEMPT", "the attempt does not live, is not attached, or was retired")

    def settled(self):
        """S41: every consumption has its outcome, and none is unknown."""
        done = all(status in ("SUCCEEDED", "FAILED") for status in self.outcomes())
        self.unless(done, "E_OUTCOME_OPEN", "the outcome of an action is open")

    def outcomes(self):
        return [consumption.status for consumption in self.consumed.values()]

    def nothing_unknown(self):
        """S40."""
        self.unless("UNKNOWN" not in self.outcomes(), "E_OUTCOME_OPEN", "the outcome of an action is unknown")

    def fresh_grant(self, record, terms):
        """S34, S35."""
        self.unless(record.mode == "ENFORCE", "E_MODE", "a grant from an event that was only observed")  # S38
        self.unless(terms.id not in self.grant_ids, "E_GRANT", "the grant has an identifier that was used before")
        in_time = record.issued_at < terms.expires_at <= self.expires_at
        self.unless(in_time, "E_GRANT", "the grant has lapsed already, or outlives its instance")

    def failure(self, judged):
        """S46: what a failed evaluation is resolved to, and that it was sealed first. A clean one needs nothing."""
        if judged.failure is None:
            return
        self.fail_open(judged)
        sealed = self.failed
        if sealed is None:
            self.unless(False, "E_POLICY_CONTRADICTION", "a failed evaluation was not sealed")
            return
        version = judged.policy_version_id == sealed.policy_version_id
        self.unless(version, "E_POLICY_VERSION", "under another policy version than the failure that was sealed")
        same = Record(**{**judged.__dict__, "policy_version_id": sealed.policy_version_id}) == sealed
        self.unless(same, "E_POLICY_CONTRADICTION", "another record than the failure that was sealed")

    def fail_open(self, judged):
        if judged.failure and judged.verdict == "ALLOW":
            lawful = judged.failure in OUTAGES and self.materiality != "HIGH"
            self.unless(lawful, "E_FAIL_OPEN", "a failure was let pass where it must close")

    def not_milder(self, judged, *verdicts):
        """S45."""
        self.unless(judged.verdict in verdicts, "E_POLICY_CONTRADICTION", "milder than the verdict of policy")

    def on_created(self, record, detail):
        self.materiality, self.expires_at = record.workflow.materiality, detail.expires_at
        self.unless(detail.requester, "E_MATRIX", "nobody asked for the instance")  # S9
        self.unless(detail.expires_at > record.issued_at, "E_MATRIX", "the instance's time is over")  # S9

    def on_attempt_assigned(self, _record, _detail):
        alive = self.attempt is not None and self.attempt.alive
        self.unless(not alive, "E_ATTEMPT", "an attempt lives already")  # S11
        self.nothing_unknown()

    def on_attempt_ended(self, record, detail):
        attempt = self.attempt
        alive = attempt is not None and attempt.alive and attempt.executor == detail.executor
        self.unless(alive, "E_ATTEMPT", "no such attempt lives")
        exited = detail.cause == "exited" and record.actor.kind != "system"
        lost = detail.cause == "lost" and detail.exit_status is None
        self.unless(exited or lost, "E_MATRIX", "neither an exit nor a loss without a status")

    def attaches(self, record, detail):
        """S12, or a step of a walk (S42)."""
        if detail.cause is not None:
            self.walks(record, detail)
            return
        attempt = self.attempt
        waiting = attempt is not None and attempt.alive and not attempt.attached
        self.unless(waiting, "E_ATTEMPT", "no assigned attempt waits to be attached")
        self.unless(detail.executor is not None, "E_MATRIX", "nobody attaches")
        if waiting:
            self.unless(attempt.executor == detail.executor, "E_ATTEMPT", "not the executor that was assigned")
        self.launches(record)

    def walks(self, record, detail):
        """S42, S43: one step of a walk to the end."""
        by = {"cancelled": ("human",), "expired": ("system",)}.get(detail.cause, ())
        self.unless(record.actor.kind in by, "E_STATE", "not a cause with which a walk begins, or not by whom")
        launched = (detail.executor, detail.context_commitment) != (None, None) or getattr(detail, "lease_ms", None)
        self.unless(by and not launched, "E_MATRIX", "a walk launches nothing")
        self.unless(not (self.attempt and self.attempt.alive and record.event == "resumed"), "E_ATTEMPT", "it lives")
        self.settled()
        if detail.cause == "expired" and record.actor.kind == "system":
            self.lapsed(record)

    def lapsed(self, record):
        """S43: what time ends, once; the walk that follows is not judged again."""
        if self.walk or self.ends_with:
            return
        ends = [self.expires_at]
        if self.state in ("APPROVED", "OVERRIDDEN", "RESUMED"):
            ends += [grant.expires_at for grant in self.grants.values()]
        self.unless(record.issued_at >= min(ends), "E_DEADLINE", "expired before its time")

    on_started = on_running = attaches

    def on_resumed(self, record, detail):
        if detail.cause is not None:
            self.walks(record, detail)
            return
        launched = None not in (detail.executor, detail.lease_ms)
        self.unless(launched, "E_MATRIX", "a resume without an attempt")
        self.on_attempt_assigned(record, detail)
        self.settled()
        self.launches(record)

    def launches(self, record):
        """S12, S18: who goes on, and that what humans granted has not lapsed."""
        self.unless(record.actor.kind in ("workload", "runner"), "E_STATE", "launched by neither workload nor runner")
        lapsed = any(record.issued_at >= grant.expires_at for grant in self.grants.values())
        self.unless(not lapsed, "E_GRANT", "the grant has lapsed")

    def on_human_required(self, record, detail):
        self.acts()
        self.settled()
        self.failure(detail.policy)
        self.not_milder(detail.policy, "ALLOW", "REQUIRE_HUMAN")
        in_order = record.issued_at < detail.deadline <= detail.latest_deadline <= self.expires_at
        self.unless(in_order, "E_DEADLINE", "deadlines out of order")  # S23
        asked = detail.rule
        groups = [asked_of for stage in asked.stages for asked_of in stage.groups]
        shaped = detail.gate.version == 1 and asked.stages and all(stage.groups for stage in asked.stages)
        shaped = shaped and all(each.required and each.roles for each in groups)
        shaped = shaped and all(step.roles for step in detail.escalation)
        self.unless(shaped, "E_QUORUM_HUMAN", "a rule that asks nobody")  # S25
        self.unless(asked.distinct and asked.separation, "E_QUORUM_HUMAN", "persons may be the same")  # S25
        self.unless(record.mode == "ENFORCE", "E_MODE", "a gate under SHADOW")  # S38

    def on_allowed(self, record, detail):
        self.acts()
        self.nothing_unknown()
        self.failure(detail.policy)
        self.not_milder(detail.policy, "ALLOW")
        self.fresh_grant(record, detail.grant)

    def on_observed(self, record, detail):
        self.acts()
        self.nothing_unknown()
        self.failure(detail.policy)
        self.unless(record.mode == "SHADOW", "E_MODE", "only observed under ENFORCE")  # S38

    def on_evaluator_failed(self, record, detail):
        self.acts()
        self.unless(detail.policy.failure is not None, "E_MATRIX", "no failure is named")
        self.fail_open(detail.policy)

    def on_consumed(self, record, detail):
        self.acts()
        self.nothing_unknown()
        self.unless(record.mode == "ENFORCE", "E_MODE", "consumed under SHADOW")  # S37
        judged, guard = detail.policy, detail.guard
        same = (guard.policy_version_id, guard.verdict) == (judged.policy_version_id, judged.verdict)
        self.unless(same, "E_GUARD", "the guard is not the evaluation")  # S37
        self.unless(record.issued_at < detail.act_by, "E_GRANT", "to be started before it was consumed")
        grant = self.grants.get(detail.grant_id)
        if grant is None:
            self.unless(False, "E_GRANT", "no such grant, or it was used")
            return
        self.unless(record.issued_at < grant.expires_at, "E_GRANT", "the grant has lapsed")
        self.unless(detail.action_commitment == grant.action, "E_ACTION_BINDING", "not the action that was granted")
        by = record.attempt > grant.attempt if grant.human else record.attempt == grant.attempt
        self.unless(by, "E_GRANT", "used by another attempt than it is for")
        self.consumption_policy(judged, grant)

    def consumption_policy(self, judged, grant):
        """S36, S46."""
        self.not_milder(judged, *(("ALLOW", "REQUIRE_HUMAN") if grant.human else ("ALLOW",)))
        if judged.failure is None:
            return
        self.fail_open(judged)
        if grant.human:
            code = "E_OVERRIDE_SCOPE" if grant.changed else "E_FAIL_OPEN"
            self.unless(False, code, "what humans granted ran without an evaluation")
        elif judged not in (grant.failure, self.failed):
            self.unless(False, "E_POLICY_CONTRADICTION", "another record than the failure that was sealed")

    def on_outcome(self, record, detail):
        if detail.grant_id is None:
            reported = self.observed and detail.status != "UNKNOWN"
            self.unless(reported, "E_UNAUTHORIZED_OUTCOME", "an outcome of nothing")  # S38
            return
        consumption = self.consumed.get(detail.grant_id)
        if consumption is None or consumption.status in ("SUCCEEDED", "FAILED", detail.status):
            self.unless(False, "E_UNAUTHORIZED_OUTCOME", "an outcome of nothing, or a second one")  # S39
            return
        ended = self.attempt.number != consumption.attempt or not self.attempt.alive
        reports = record.actor.kind != "system" and record.attempt == consumption.attempt
        able = ended if detail.status == "UNKNOWN" else reports
        self.unless(able, "E_UNAUTHORIZED_OUTCOME", "not by the attempt that consumed, or unknown before its end")  # S39

    def on_reconciled(self, _record, detail):
        consumption = self.consumed.get(detail.grant_id)
        unknown = consumption is not None and consumption.status == "UNKNOWN"
        self.unless(unknown, "E_UNAUTHORIZED_OUTCOME", "reconciles what is not unknown")  # S40
        self.unless(detail.status != "UNKNOWN", "E_UNAUTHORIZED_OUTCOME", "reconciled with nothing")  # S40
        others = [each.status for key, each in self.consumed.items() if key != detail.grant_id]
        last = detail.next == "continue" or not {None, "UNKNOWN"} & set(others)
        self.unless(last, "E_OUTCOME_OPEN", "ends while another outcome is open")  # S40

    def on_completed(self, _record, _detail):
        ended = self.attempt is not None and not self.attempt.alive and self.attempt.exit_status == 0
        self.unless(ended, "E_ATTEMPT", "completed without an exit with status 0")  # S15
        self.settled()

    def on_terminated(self, record, detail):
        self.settled()
        by = {"denied": ("workload", "runner"), "cancelled": ("human",), "expired": ("system",)}
        kinds = by.get(detail.cause, KINDS if detail.cause == "failed" or self.walk else ())
        self.unless(record.actor.kind in kinds, "E_STATE", "not a cause with which an instance ends, or not by whom")
        with_policy = (detail.cause == "denied") == (detail.policy is not None)
        self.unless(with_policy, "E_MATRIX", "denied without a policy, or a policy that denied nothing")
        if detail.cause == "denied":
            self.acts()
            if detail.policy:
                self.failure(detail.policy)
        elif detail.cause == "failed" and not self.ends_with:
            ended = self.attempt is not None and not self.attempt.alive
            self.unless(ended, "E_ATTEMPT", "failed while an attempt lives")  # S15
        elif detail.cause == "expired" and record.actor.kind == "system":
            self.lapsed(record)

    def on_rejected(self, record, detail):
        gate = self.gate
        by = {"rejected": ("human",), "timeout": ("system",), "withdrawn": ("human", "workload"), "cancelled": ("human",)}
        if record.actor.kind not in by.get(detail.cause, ()):
            self.unless(False, "E_STATE", "not a cause with which a gate closes, or not by whom")
            return
        self.unless(detail.gate_id == gate.id, "E_DECISION", "about another gate")
        if detail.cause == "rejected":
            self.unless(detail.decision is not None, "E_SELF_APPROVAL", "rejected by nobody's ballot")
            if detail.decision is not None:
                self.ballot(record, detail.decision, "REJECT")
            return
        self.unless(detail.decision is None, "E_STATE", "a ballot beside another cause")
        if detail.cause == "timeout":
            due = record.issued_at >= gate.deadline and gate.steps == len(gate.escalation)
            self.unless(due, "E_DEADLINE", "closed before its deadline, or before its escalations")  # S21
        if detail.cause == "withdrawn":
            creator = record.actor.id == self.creator
            self.unless(creator, "E_STATE", "withdrawn by another than the creator")  # S20

    def on_vote(self, record, detail):
        self.ballot(record, detail.decision, "APPROVE", "OVERRIDE", "REJECT")

    def on_approved(self, record, detail):
        self.ballot(record, detail.decision, "APPROVE")
        self.fresh_grant(record, detail.grant)

    def on_overridden(self, record, detail):
        self.ballot(record, detail.decision, "OVERRIDE")
        self.fresh_grant(record, detail.grant)

    def ballot(self, record, ballot, *kinds):
        """S26 to S33."""
        gate = self.gate
        about = (ballot.gate_id, ballot.gate_version, ballot.request_artifact_hash)
        about_gate = about == (gate.id, gate.version, gate.opened_by) and ballot.decision in kinds
        delegated = (ballot.acts_for is None) == (ballot.delegation_hash is None)
        self.unless(delegated, "E_DECISION", "a delegation without its delegator, or a delegator without it")
        self.unless(about_gate, "E_DECISION", "about another gate, another version of it, or another decision")
        self.unless(ballot.role == record.actor.role, "E_DECISION", "under another role than its human")
        changed = ballot.approved_action_commitment != ballot.asked_action_commitment
        bound = ballot.asked_action_commitment == gate.action and changed == (ballot.decision == "OVERRIDE")
        self.unless(bound, "E_ACTION_BINDING", "not the action that was asked for")
        self.unless(record.issued_at < gate.deadline, "E_DEADLINE", "decided after the deadline")
        strong = satisfies(ballot.evidence_type, gate.rule.required_evidence)
        self.unless(strong, "E_HUMAN_EVIDENCE", "weaker evidence than the gate demanded")
        self.separate(record.actor.id, ballot.acts_for)
        self.unless(is_digest(record.actor.id), "E_SELF_APPROVAL", "decided by somebody who is no person")
        vote = vote_of(record, ballot)
        again = gate.again(ballot, vote)
        self.unless(not again, "E_QUORUM_HUMAN", "a person votes twice")  # S30
        if ballot.break_glass:
            self.unless(ballot.role in gate.rule.break_glass_roles, "E_ROLE", "no role for breaking the glass")  # S33
            decided = True
        elif ballot.decision == "REJECT":
            self.unless(ballot.role in gate.roles(), "E_ROLE", "a role that was not asked")
            decided = len(gate.rejections) + 1 >= gate.rule.rejections  # S32
        else:
            decided = self.quorum(ballot, [vote] if is_digest(record.actor.id) and not again else [])
        self.unless(decided == (record.event != "vote"), "E_QUORUM_HUMAN", "decided by too few, or not by all")

    def quorum(self, ballot, counted):
        """S28 to S32: whether the votes are enough with those that are counted now."""
        earlier = self.gate.votes_for(ballot.approved_action_commitment)
        open_stage = self.gate.seats(earlier)
        asked = self.gate.stages[open_stage] if open_stage is not None else []
        self.unless(any(ballot.role in each.roles for each in asked), "E_ROLE", "a role that was not asked")
        return self.gate.seats(earlier + counted) is None

    def separate(self, *persons):
        """S27."""
        barred = {person for each in self.requesters for person in (each.id, each.owner) if person}
        self.unless(not barred & set(persons), "E_SELF_APPROVAL", "whoever asked, or owns what asked")

    def next_version(self, detail):
        """S21, S22: the gate moves to its next version."""
        following = (detail.gate_id, detail.gate_version) == (self.gate.id, self.gate.version + 1)
        self.unless(following, "E_DECISION", "about another gate, or not its next version")

    def on_escalated(self, record, detail):
        gate = self.gate
        self.next_version(detail)
        if gate.steps >= len(gate.escalation):
            self.unless(False, "E_ESCALATION", "no step is left")
            return
        step = gate.escalation[gate.steps]
        deadline = min(max(record.issued_at, gate.deadline) + step.duration_ms, self.expires_at)
        sealed = (gate.steps + 1, step.roles, deadline)
        found = (detail.step, detail.roles, detail.deadline)
        self.unless(found == sealed, "E_ESCALATION", "not the next sealed step")  # S21
        self.unless(record.issued_at >= gate.deadline, "E_ESCALATION", "escalated early")

    def on_extended(self, record, detail):
        gate = self.gate
        self.next_version(detail)
        later = record.issued_at < gate.deadline < detail.deadline <= gate.latest
        eligible = record.actor.role in gate.roles() and is_digest(record.actor.id)
        self.unless(later and eligible, "E_EXTENSION", "extended late, too far, or by the ineligible")  # S22
        self.separate(record.actor.id)

    # Applying: what a lawful event changes.

    def apply(self, record, target):
        detail, event = record.detail, record.event
        if event in ("attempt_assigned", "resumed") and detail.cause is None:
            self.newest += 1
            self.attempt = Attempt(self.newest, detail.executor, attached=self.state == "RUNNING")
        elif event in ("started", "running") and detail.cause is None:
            self.attempt.attached = True
        elif event == "attempt_ended":
            self.attempt.alive, self.attempt.exit_status = False, detail.exit_status
            lapse = [key for key, grant in self.grants.items() if not grant.human]
            self.grants = {key: grant for key, grant in self.grants.items() if key not in lapse}  # S16
        else:
            self.apply_decision(record, detail, event)
        if event == "created":
            self.requesters, self.creator = detail.requester, record.actor.id
        if event == "rejected" or event in ("started", "resumed", "running") and detail.cause:
            self.walk = detail.cause
        self.asked |= event in ("human_required", "allowed", "observed", "evaluator_failed")
        self.state, self.at, self.count = target, record.issued_at, self.count + 1

    def apply_decision(self, record, detail, event):
        if event == "evaluator_failed":
            self.failed = detail.policy
            return
        if event == "human_required":
            self.gate, self.grants, self.attempt.retired = Gate(record), {}, True  # S14, S35
        elif event == "allowed":
            self.grant(record, detail.grant, detail.action_commitment, failure=detail.policy if detail.policy.failure else None)
        elif event == "observed":
            self.observed += 1
        elif event in ("approved", "overridden"):
            action = detail.decision.approved_action_commitment
            self.grant(record, detail.grant, action, human=True, changed=event == "overridden")
        elif event == "vote":
            self.gate.count(detail.decision, vote_of(record, detail.decision))
        elif event == "consumed":
            del self.grants[detail.grant_id]
            self.consumed[detail.grant_id] = Record(attempt=record.attempt, status=None)
        elif event in ("outcome", "reconciled"):
            if detail.grant_id is not None:
                self.consumed[detail.grant_id].status = detail.status
            self.ends_with = event == "reconciled" and detail.next == "terminate"
        elif event == "escalated":
            self.escalate(detail)
        elif event == "extended":
            self.gate.deadline, self.gate.version = detail.deadline, detail.gate_version
        if event in ("human_required", "allowed", "observed", "consumed", "terminated"):
            self.failed = None

    def grant(self, record, terms, action, human=False, changed=False, failure=None):
        attempt = self.gate.attempt if human else record.attempt
        self.grants[terms.id] = Record(
            action=action, expires_at=terms.expires_at, attempt=attempt, human=human, changed=changed, failure=failure
        )
        self.grant_ids.add(terms.id)

    def escalate(self, detail):
        """S21: new roles in every group, new version, no votes."""
        gate = self.gate
        gate.stages = [[Record(required=each.required, roles=detail.roles) for each in stage] for stage in gate.stages]
        gate.version, gate.deadline, gate.votes, gate.steps = detail.gate_version, detail.deadline, [], gate.steps + 1


def vote_of(record, ballot):
    """S29, S30: what of a ballot counts; whoever votes for another has voted too."""
    persons = {record.actor.id} | ({ballot.acts_for} if ballot.acts_for else set())
    return Record(role=ballot.role, persons=persons, action=ballot.approved_action_commitment)


# ---------------------------------------------------------------------------------------------------------- governance

GOVERNANCE_TYPE = "https://gantral.dev/governance/v1"
LABELS = ("action", "context", "input", "decision", "justification", "outcome", "person")  # C3


def scope_of(value, where):
    """G3: kind and name."""
    scope = closed(kind=word("tenant", "team", "workflow"), name=null_or(name))(value, where)
    if (scope.kind == "tenant") != (scope.name is None):
        raise wrong(where)
    return scope.kind, scope.name


PROPOSABLE = ("policy_activated", "mode_changed", "lifted")  # G23
GOVERNANCE_DETAILS = {  # G2
    "key_added": {"key_id": digest, "public_key": digest, "role": word("issuer", "log", "witness", "directory", "approver")},
    "key_retired": {"key_id": digest},
    "key_compromised": {"from_index": integer(0), "key_id": digest},
    "policy_activated": {"policy_version_id": digest, "previous": null_or(digest), "scope": scope_of},
    "mode_changed": {"action": null_or(name), "mode": word("ENFORCE", "SHADOW"), "scope": scope_of},
    "frozen": {"epoch": integer(0), "scope": scope_of},
    "lifted": {"epoch": integer(0), "scope": scope_of},
    "delegated": {"from": digest, "not_after": instant, "not_before": instant, "roles": list_of(name, 64, 1), "to": digest},
    "delegation_revoked": {"delegation_hash": digest},
    "enrolled": {"entry_digest": digest, "person_id": digest},
    "enrolment_revoked": {"entry_digest": digest},
    "erased": {"commitment": digest, "instance_id": null_or(uuid_of(DATED)), "label": word(*LABELS)},
}
proposer = closed(  # G23
    actor=closed(id=name, issuer=null_or(issuer_name), kind=word("human"), role=null_or(name)),
    at=instant,
    justification_commitment=null_or(digest),
)
governance_record = closed_but(
    "proposed_by",
    proposer,
    actor=closed(id=name, issuer=null_or(issuer_name), kind=word("human", "workload", "system"), role=null_or(name)),
    anchor=null_or(closed(root=digest, size=integer(0))),
    artifact_id=uuid_of("7"),
    artifact_version=keep,
    blind=digest,
    crit=list_of(name, 0),
    detail=keep,
    event=word(*GOVERNANCE_DETAILS),
    ext=keep,
    governance_tag=digest,
    issued_at=instant,
    justification_commitment=null_or(digest),
    log_origin=tenant_name,
    prev_artifact_hash=null_or(digest),
    sequence=integer(0),
    tenant_id=tenant_name,
)


def read_governance(payload):
    """G1, V11: reads a signed payload as an artifact of the governance chain."""
    record, found = read_typed(payload, GOVERNANCE_TYPE, governance_record)
    tag = governance_tag(record.tenant_id)
    if found != [{"digest": {"sha256": tag}, "name": f"urn:gantral:tenant:{record.tenant_id}"}]:
        raise Broken("the subject disagrees with the tenant", "E_SCHEMA")
    if record.governance_tag != tag:
        raise Broken("the governance tag disagrees with the tenant", "E_SCHEMA")
    record.detail = closed(**GOVERNANCE_DETAILS[record.event])(record.detail, "detail")
    if record.event == "key_added":
        key = public_key(record.detail.public_key)
        if key is None or key.id != record.detail.key_id:
            raise wrong("detail.key_id")
    if record.event == "mode_changed" and record.detail.action is not None and record.detail.scope[0] != "workflow":
        raise wrong("detail.action")
    if record.proposed_by is not None and record.event not in PROPOSABLE:
        raise wrong("proposed_by")
    record.leaf = (5, tag, False)  # G9
    return record


class InForce:
    """What is in force after the artifacts of a governance chain that were applied."""

    def __init__(self):
        self.epoch, self.policies, self.frozen = 0, {}, set()
        self.keys, self.delegations, self.enrolled, self.revoked = set(), set(), set(), set()

    def contradicts(self, event, detail):
        """G6, G7: says what an artifact contradicts, or None."""
        if event in ("frozen", "lifted") and detail.epoch != self.epoch + 1:
            return "it does not carry the next epoch"
        holds = {
            "frozen": lambda: detail.scope not in self.frozen,
            "lifted": lambda: detail.scope in self.frozen,
            "policy_activated": lambda: self.policies.get(detail.scope) == detail.previous,
            "key_added": lambda: detail.key_id not in self.keys,
            "key_retired": lambda: detail.key_id in self.keys,
            "key_compromised": lambda: detail.key_id in self.keys,
            "delegated": lambda: detail.not_before < detail.not_after,
            "delegation_revoked": lambda: detail.delegation_hash in self.delegations - self.revoked,
            "enrolled": lambda: detail.entry_digest not in self.enrolled,
            "enrolment_revoked": lambda: detail.entry_digest in self.enrolled,
        }
        return None if holds.get(event, lambda: True)() else f"`{event}` contradicts what was in force before it"

    def apply(self, event, detail, named):
        if event in ("frozen", "lifted"):
            self.epoch = detail.epoch
            (self.frozen.add if event == "frozen" else self.frozen.remove)(detail.scope)
        elif event == "policy_activated":
            self.policies[detail.scope] = detail.policy_version_id
        elif event == "key_added":
            self.keys.add(detail.key_id)
        elif event == "delegated":
            self.delegations.add(named)
        elif event == "enrolled":
            self.enrolled.add(detail.entry_digest)
        elif event == "delegation_revoked":
            self.revoked.add(detail.delegation_hash)
        elif event == "enrolment_revoked":
            self.enrolled.remove(detail.entry_digest)

    def policy(self, scopes):
        """G3: the policy that is in force for a workflow, by its scopes, the narrowest first."""
        return next((self.policies[scope] for scope in scopes if scope in self.policies), None)

    def knows_teams(self):
        """G12: says whether a team is frozen or has a policy."""
        return any(kind == "team" for kind, _ in [*self.frozen, *self.policies])


# --------------------------------------------------------------------------------------------------------------- the log

NOTE_BYTES, NOTE_SIGNATURES, NAME_BYTES = 32 * KIB, 64, 255  # L15
PROOF_BYTES, PROOF_HASHES = 40 * KIB, 63  # L16, B12
POLICY_BYTES, POLICY_ENTRIES = 64 * KIB, 64  # L20
LEAF_BYTES = 83  # L1
DECIMAL = re.compile("0|[1-9][0-9]{0,15}")


def hash_leaf(leaf):
    """L6."""
    return hashlib.sha256(b"\0" + leaf).digest()


def hash_node(left, right):
    """L6."""
    return hashlib.sha256(b"\1" + left + right).digest()


EMPTY_ROOT = hashlib.sha256(b"").digest()


def root_from_inclusion(index, size, leaf_hash, path):
    """L7, RFC 9162 §2.1.3.2: the root that a path leads to, or None if the path is too long or too short."""
    if index >= size:
        return None
    node, last = index, size - 1
    for sibling in path:
        if last == 0:
            return None
        if node & 1 or node == last:
            leaf_hash = hash_node(sibling, leaf_hash)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            leaf_hash = hash_node(leaf_hash, sibling)
        node, last = node >> 1, last >> 1
    return leaf_hash if last == 0 else None


def is_beginning(old, new, path):
    """L8, RFC 9162 §2.1.4.2: says whether a path leads from one tree (size and root) to a later one."""
    (size, root), (whole, newest) = old, new
    if size > whole:
        return False
    if size in (0, whole):
        return not path and (root == newest if size else root == EMPTY_ROOT)
    path = ([root] if size & (size - 1) == 0 else []) + list(path)
    if not path:
        return False
    node, last = size - 1, whole - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    first = second = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            first, second = hash_node(sibling, first), hash_node(sibling, second)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            second = hash_node(second, sibling)
        node, last = node >> 1, last >> 1
    return first == root and second == newest and last == 0


class Roots:
    """A tree that grows leaf by leaf and keeps one hash for each bit of its size."""

    def __init__(self):
        self.size, self.peaks = 0, []

    def add(self, leaf):
        node, size = hash_leaf(leaf), self.size
        while size & 1:
            node, size = hash_node(self.peaks.pop(), node), size >> 1
        self.peaks.append(node)
        self.size += 1

    def root(self):
        if not self.peaks:
            return EMPTY_ROOT
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = hash_node(peak, root)
        return root


class NoteKey:
    """A key of a log or a witness, as a policy writes it: name, `+`, hash, `+`, type and key."""

    def __init__(self, text, kind):
        name, _, rest = text.partition("+")
        claimed, _, encoded = rest.partition("+")
        data = from_base64(encoded)
        if data is None or len(data) != 33 or data[0] != kind or not is_key_name(name):
            raise NoVerdict("the log policy has a key that is none of ours")
        try:
            self.key = PublicKey(data[1:])
        except ValueError:
            raise NoVerdict("the log policy has a key that is no public key") from None
        self.name, self.kind = name, kind
        self.hash = hashlib.sha256(name.encode() + b"\n" + data).digest()[:4]  # L12
        if claimed != self.hash.hex():
            raise NoVerdict("the log policy has a key whose hash is not its own")


def is_key_name(name):
    return 0 < len(name.encode()) <= NAME_BYTES and "+" not in name and not any(c.isspace() or c < " " for c in name)


class Note:
    """A signed note whose text is a checkpoint: L9, L11, L15."""

    def __init__(self, data):
        if len(data) > NOTE_BYTES:
            raise Refused("E_LIMIT", "a note is larger than its limit")
        try:
            note = data.decode("utf-8")
        except UnicodeDecodeError:
            raise Refused("E_CONTAINER", "a note is not UTF-8") from None
        text, gap, lines = note.rpartition("\n\n")
        if not gap or any(c < " " and c != "\n" for c in note) or not lines.endswith("\n"):
            raise Refused("E_CONTAINER", "no signed note")
        self.text, self.signatures = text + "\n", []
        for line in lines[:-1].split("\n"):
            mark, _, rest = line.partition(" ")
            name, _, encoded = rest.partition(" ")
            signature = from_base64(encoded)
            if mark != "\u2014" or signature is None or len(signature) < 5 or not name or "+" in name:
                raise Refused("E_CONTAINER", "a note with a malformed signature")
            if len(name.encode()) > NAME_BYTES:
                raise Refused("E_LIMIT", "a note with a name that is too long")
            self.signatures.append((name, signature[:4], signature[4:]))
        if len(self.signatures) > NOTE_SIGNATURES:
            raise Refused("E_LIMIT", "a note with more signatures than its limit")
        self.origin, self.tree = read_checkpoint(self.text)

    def lines_of(self, key):
        return [signature for name, hint, signature in self.signatures if (name, hint) == (key.name, key.hash)]


def read_checkpoint(text):
    """L9: origin, and tree as size and root."""
    lines = text.removesuffix("\n").split("\n")
    root = from_base64(lines[2]) if len(lines) > 2 and all(lines) else None
    size = int(lines[1]) if len(lines) > 2 and DECIMAL.fullmatch(lines[1]) else None
    if root is None or len(root) != 32 or size is None or size > SAFE_INTEGER or not TENANT.fullmatch(lines[0]):
        raise Refused("E_CONTAINER", "a note that is no checkpoint")
    return lines[0], (size, root)


class TrustedLog:
    """V26, L18 to L20: the member `log` of a trust file."""

    def __init__(self, value=None):
        self.logs, self.witnesses, self.groups, self.quorum, self.judged = [], {}, {}, None, {}
        self.delay = self.skew = 0
        if value is None:
            return
        if not has_members(value, "delay_ms", "policy", "skew_ms") or not isinstance(value["policy"], str):
            raise NoVerdict("`log` of the trust file has other members")
        times = [value[key].integer() if isinstance(value[key], Number) else None for key in ("delay_ms", "skew_ms")]
        if any(time is None or time < 0 for time in times) or len(value["policy"].encode()) > POLICY_BYTES:
            raise NoVerdict("`log` of the trust file has a wrong number, or a policy that is too large")
        if not value["policy"].endswith("\n") or re.search(r"[\x00-\x08\x0b-\x1f\x7f]", value["policy"]):
            raise NoVerdict("the log policy is not made of whole lines")
        self.delay, self.skew = times
        for line in value["policy"].split("\n"):
            words = line.split()
            if words and not line.lstrip().startswith("#"):
                self.read_line(words)
        if self.quorum is None or not self.logs:
            raise NoVerdict("the log policy names no log or no quorum")
        if max(len(self.logs), len(self.witnesses), len(self.groups)) > POLICY_ENTRIES:
            raise NoVerdict("the log policy has more entries than its limit")
        keys = [key.key.id for key in [*self.logs, *self.witnesses.values()]]
        if len(set(keys)) != len(keys):
            raise NoVerdict("the log policy has a key twice")  # L19

    def read_line(self, words):
        if self.quorum is not None and words[0] == "quorum":
            raise NoVerdict("the log policy has two quorums")
        if words[0] == "log" and len(words) in (2, 3):
            self.logs.append(NoteKey(words[1], 1))
        elif words[0] == "witness" and len(words) in (3, 4) and self.is_new(words[1]):
            self.witnesses[words[1]] = NoteKey(words[2], 4)
        elif words[0] == "group" and len(words) > 3 and self.is_new(words[1]):
            members = words[3:]
            taken = {member for _, others in self.groups.values() for member in others}
            least = {"any": "1", "all": str(len(members))}.get(words[2], words[2])
            known = all(member in self.witnesses or member in self.groups for member in members)
            apart = len(set(members)) == len(members) and not taken & set(members)
            if not known or not apart or not DECIMAL.fullmatch(least) or not 1 <= int(least) <= len(members):
                raise NoVerdict("the log policy has a wrong group")
            self.groups[words[1]] = (int(least), members)
        elif words[0] == "quorum" and len(words) == 2:
            if words[1] != "none" and words[1] not in self.witnesses and words[1] not in self.groups:
                raise NoVerdict("the log policy has a quorum of nobody")
            self.quorum = words[1]
        else:
            raise NoVerdict("the log policy has a line that is none of its own")

    def is_new(self, name):
        return name not in self.witnesses and name not in self.groups and name != "none"

    def key_ids(self):
        return {key.key.id: key.key for key in [*self.logs, *self.witnesses.values()]}

    def met(self, name, cosigned):
        if name in self.groups:
            least, members = self.groups[name]
            return sum(self.met(member, cosigned) for member in members) >= least
        return name == "none" or name in cosigned

    def judge(self, data, note):
        """V28: what a note is, and the times of its witnesses: `good`, or the code of V31."""
        if data not in self.judged:
            self.judged[data] = self.judge_anew(note)
        return self.judged[data]

    def judge_anew(self, note):
        logs = [(key, note.lines_of(key)) for key in self.logs if key.name == note.origin]
        claimed = [(key, lines) for key, lines in logs if lines]
        if not claimed:
            return "E_LOG_UNKNOWN", {}
        text = note.text.encode()
        if not any(key.key.verify(text, line) for key, lines in claimed for line in lines):
            return "E_CHECKPOINT", {}
        cosigned = {}
        for name, key in self.witnesses.items():
            for line in note.lines_of(key):
                time = int.from_bytes(line[:8], "big")
                if name not in cosigned and key.key.verify(b"cosignature/v1\ntime %d\n" % time + text, line[8:]):
                    cosigned[name] = time
        return ("good" if self.met(self.quorum, cosigned) else "E_QUORUM"), cosigned


def early_time(cosigned):
    """V41; None without cosignatures."""
    times = sorted(cosigned.values())
    return times[(len(times) + 1) // 2 - 1] * 1000 if times else None


def late_time(cosigned):
    """V41."""
    times = sorted(cosigned.values())
    return times[len(times) // 2] * 1000 + 999 if times else None


class LogProof:
    """L16: a `tlog-proof`."""

    def __init__(self, data):
        if len(data) > PROOF_BYTES:
            raise Refused("E_LIMIT", "a proof is larger than its limit")
        head, gap, self.note_bytes = data.partition(b"\n\n")
        try:
            lines = head.decode("utf-8").split("\n")
        except UnicodeDecodeError:
            raise Refused("E_CONTAINER", "a proof is not UTF-8") from None
        extra = lines[1].removeprefix("extra ") if len(lines) > 1 and lines[1].startswith("extra ") else None
        if extra is not None:
            del lines[1]
        index = re.fullmatch(f"index ({DECIMAL.pattern})", lines[1]) if len(lines) > 1 else None
        if not gap or lines[0] != "c2sp.org/tlog-proof@v1" or not index or extra is not None and from_base64(extra) is None:
            raise Refused("E_CONTAINER", "no proof")
        self.index, self.hashes = int(index.group(1)), read_hashes(lines[2:])
        if self.index > SAFE_INTEGER:
            raise Refused("E_CONTAINER", "a proof with an index that no log has")
        self.note = Note(self.note_bytes)

    def leads(self, leaf):
        size, root = self.note.tree
        return root_from_inclusion(self.index, size, hash_leaf(leaf), self.hashes) == root


def read_hashes(lines):
    hashes = [from_base64(line) for line in lines]
    if any(each is None or len(each) != 32 for each in hashes):
        raise Refused("E_CONTAINER", "a line that is no hash")
    if len(hashes) > PROOF_HASHES:
        raise Refused("E_LIMIT", "more hashes than a proof may have")
    return hashes


def leaf_of(record, issuer):
    """L1, L3: the leaf that follows from an artifact."""
    kind, tag, terminal = record.leaf
    head = b"GL1" + bytes([kind, (record.sequence == 0) | terminal << 1]) + record.sequence.to_bytes(6, "big")
    return head + bytes.fromhex(tag + record.hash + issuer[:16])


CHAIN_LEAVES, GOVERNANCE_LEAVES = 10_001, 100_001  # V45, V57


class Leaves:
    """V45: the leaves of one chain in a mirror, in the order of their indexes."""

    def __init__(self, most):
        self.most, self.leaves, self.more = most, [], False
        self.first, self.terminal = {}, False

    def add(self, number, leaf):
        if len(self.leaves) < self.most:
            self.leaves.append((number, leaf))
        else:
            self.more = True

    def follow(self):
        """Fills what counts for each sequence; yields what the log may not hold, as code and index."""
        for number, leaf in self.leaves:
            sequence = int.from_bytes(leaf[5:11], "big")
            if sequence in self.first:
                fork = leaf[43:75] != self.first[sequence][1][43:75]
                yield ("E_FORK" if fork else "E_LOG_ORDER"), number
            if self.terminal or sequence not in self.first and sequence != len(self.first):
                yield "E_LOG_ORDER", number
            self.first.setdefault(sequence, (number, leaf))
            self.terminal = bool(leaf[4] & 2)


class Mirror:
    """V44, V45: a checkpoint and the leaves below it, read once from the first to the last."""

    def __init__(self, root, log, sizes, indexes, chains):
        data = read_part(root, "checkpoint", NOTE_BYTES)
        try:
            self.note = Note(data)
        except Refused as refused:
            raise NoVerdict(f"the mirror's checkpoint cannot be read: {refused}") from None
        judged, self.cosigned = log.judge(data, self.note)
        if judged != "good":
            raise NoVerdict("the mirror's checkpoint is not one that the trust file believes")
        self.size, self.roots, self.at = self.note.tree[0], {}, {}
        tree = Roots()
        for number, leaf in enumerate(read_leaves(root, self.size)):
            if number in sizes:
                self.roots[number] = tree.root()
            tree.add(leaf)
            if number in indexes:
                self.at[number] = leaf
            if len(leaf) == LEAF_BYTES and leaf[:3] == b"GL1" and (leaf[3], leaf[11:43].hex()) in chains:
                chains[leaf[3], leaf[11:43].hex()].add(number, leaf)
        self.roots[self.size] = tree.root()
        if (tree.size, tree.root()) != self.note.tree:
            raise NoVerdict("the mirror's leaves do not lead to its checkpoint")


def read_part(root, path, most):
    try:
        with open(os.path.join(root, *path.split("/")), "rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise NoVerdict(f"cannot read `{path}` of the mirror: {error.strerror}") from None
    if len(data) > most:
        raise NoVerdict(f"`{path}` of the mirror is larger than its limit")
    return data


def read_leaves(root, size):
    """L21: the leaves of `tile/entries/`, each after its length; a partial bundle may be the beginning of a full one."""
    for number in range((size + 255) // 256):
        groups = [f"{number // 1000**power % 1000:03}" for power in range(6) if power == 0 or number >= 1000**power]
        path = "tile/entries/" + "/".join([f"x{group}" for group in groups[:0:-1]] + [groups[0]])
        width = min(256, size - 256 * number)
        partial = f"{path}.p/{width}"
        if width < 256 and os.path.exists(os.path.join(root, *partial.split("/"))):
            path = partial
        data, at = read_part(root, path, 256 * (2 + 65_535)), 0
        for _ in range(width):
            length = int.from_bytes(data[at : at + 2], "big")
            leaf = data[at + 2 : at + 2 + length]
            if len(data) < at + 2 or len(leaf) != length:
                raise NoVerdict(f"`{path}` of the mirror is cut off")
            at += 2 + length
            yield leaf


# -------------------------------------------------------------------------------------------------------- verification

CODES = {  # §11: the verdict of each code where no rule says otherwise
    INVALID: """E_ACTION_BINDING E_AFTER_TERMINAL E_ATTEMPT E_CHAIN E_CONTAINER E_DEADLINE E_DECISION E_DISCLOSURE
        E_ESCALATION E_EXTENSION E_FAIL_OPEN E_FORK E_GENESIS E_GRANT E_GUARD E_HUMAN_EVIDENCE E_INPUT_BINDING
        E_ANCHOR E_CHECKPOINT E_INCLUSION E_KEY_WINDOW E_LOG_ORDER E_RECEIPT E_SPLIT_VIEW E_TIME_WINDOW E_TRUNCATED
        E_KEY_ROLE E_MATRIX E_MIXED E_MODE E_NONCANONICAL E_NO_POLICY E_OUTCOME_OPEN E_OVERRIDE_SCOPE
        E_POLICY_CONTRADICTION E_POLICY_VERSION E_QUORUM_HUMAN E_ROLE E_SCHEMA E_SELF_APPROVAL E_SIG E_STATE
        E_TIME_BACK E_UNAUTHORIZED_OUTCOME E_UNICODE E_WEBAUTHN""",
    INCONCLUSIVE: """E_COMPLETENESS_UNPROVED E_CRIT E_DIRECTORY E_EMPTY E_EVIDENCE_WITHHELD E_GAP E_HUMAN_ASSURANCE
        E_KEY_COMPROMISED E_KEY_UNKNOWN E_LIMIT E_LOG_UNKNOWN E_NO_GENESIS E_NO_REQUIRE E_NO_TRUST E_OPEN E_QUORUM E_REQUESTER
        E_REQUIRE
        E_UNLOGGED E_UNSUPPORTED""",
    VALID: """N_DUP N_EXT N_EXTRA_SIG N_KEY_COMPROMISED N_KEY_EXPIRED_LATER N_MORE_EXISTS N_PREFIX N_TRUST_HINT N_UNAUTH
        N_UNGATED N_WITHHELD""",
}
VERDICT_OF = {code: verdict for verdict, codes in CODES.items() for code in codes.split()}
AT_FAULT = {  # §11: where to look first
    "copy": """E_CHECKPOINT E_COMPLETENESS_UNPROVED E_CONTAINER E_DIRECTORY E_DISCLOSURE E_EMPTY E_EVIDENCE_WITHHELD
        E_GAP E_INCLUSION E_LIMIT E_MIXED E_NO_GENESIS E_OPEN E_QUORUM E_REPLAY_UNAVAILABLE E_REQUESTER
        E_REQUIRE E_SIG E_TRUNCATED E_UNLOGGED E_UNSUPPORTED N_DUP N_EXTRA_SIG N_MORE_EXISTS N_PREFIX
        N_TRUST_HINT N_UNAUTH N_WITHHELD""",
    "human": "E_DECISION E_EXTENSION E_HUMAN_ASSURANCE E_HUMAN_EVIDENCE E_QUORUM_HUMAN E_ROLE E_SELF_APPROVAL",
    "log": "E_LOG_ORDER E_RECEIPT E_SPLIT_VIEW",
    "relying party": "E_KEY_UNKNOWN E_LOG_UNKNOWN E_NO_REQUIRE E_NO_TRUST",
}
PARTY_OF = {code: party for party, codes in AT_FAULT.items() for code in codes.split()}  # of any other: the issuer
ARTIFACT_PATH = re.compile(r"artifacts/([0-9]{6})\.dsse\.json")
DISCLOSURE_PATH = re.compile(r"disclosures/([0-9a-f]{64})\.json")


class Artifact:
    """One file with an artifact: what it is, and why it does not count if it does not."""

    def __init__(self, path, name=None):
        self.path, self.name, self.place, self.record, self.aside = path, name, None, None, None
        self.signers, self.signer = [], None  # V10: good signatures by issuers, and the one that counts
        self.index, self.mirrored, self.refused, self.proved_by = None, None, None, []  # V33, V46, V31, V43

    def prefer(self):
        """V10: the signer, as long as nothing shows a leaf."""
        free = [signer for signer in self.signers if not signer.limits.has_limits()]
        self.signer = (free or self.signers)[0]


def judge_key(limits, index):
    """V39, V40: what is to be said of a key that signed what has this place in the log."""
    if limits.compromised_from is not None:
        below = index is not None and index < limits.compromised_from
        code = "N_KEY_COMPROMISED" if below else "E_KEY_COMPROMISED"
        yield code, "its key was compromised" + (" later" if below else ", and nothing shows that later")
        if index is None:
            return
    if limits.valid_from is None and limits.valid_until is None:
        return
    if index is None:
        yield "E_UNLOGGED", "its key has a window, and nothing shows where it stands"
    elif index < (limits.valid_from or 0) or limits.valid_until is not None and index >= limits.valid_until:
        yield "E_KEY_WINDOW", "its key was not valid at that place in the log"
    elif limits.valid_until is not None:
        yield "N_KEY_EXPIRED_LATER", "its key is valid no longer"


class Verifier:
    """One run over one bundle: the order of §3."""

    def __init__(self, files, trust, mirror=None, receipts=b""):
        self.files, self.trust, self.mirror_root, self.receipts = files, trust, mirror, receipts
        self.listing, self.scope, self.mirror, self.findings, self.seen = None, None, None, [], []
        self.artifacts, self.readable, self.chain, self.folded, self.fold = [], [], [], [], Fold()
        self.opened, self.withheld, self.assurance, self.ended = {}, set(), None, False
        self.unlinked = set()  # sequences at which the fold breaks off

    def find(self, code, place, what, verdict=None):
        self.findings.append((code, verdict or VERDICT_OF[code], str(place), what))

    def run(self):
        """Fills the findings; V1: the same bytes give the same ones."""
        try:
            if sum(path.startswith("artifacts/") for path in self.files) > ARTIFACTS_MAX:
                raise Refused("E_LIMIT", "more artifacts than a bundle may have")
            self.listing = Listing(self.files)
        except Refused as refused:
            self.find(refused.code, "bundle", str(refused))
            return self
        self.scope = self.listing.scope
        for path, what in self.listing.faults(self.files):
            self.find("E_CONTAINER", path, f"the file {what}")
        self.check_definitions()
        if self.trust is None:
            self.find("E_NO_TRUST", "trust file", "there is none, so nobody's signature is believed")  # V6
            return self
        if self.trust.require is None:
            self.find("E_NO_REQUIRE", "trust file", "it does not say what is required")  # V6
        self.check_hint()
        self.ring = keyring(self.trust, self.files)
        self.artifacts = [self.authenticate(path) for path in sorted(self.files) if path.startswith("artifacts/")]
        self.readable = self.unmixed([artifact for artifact in self.artifacts if artifact.record])
        self.governance = Governance(self)
        places = Places(self)
        places.run()
        if not self.artifacts:
            self.find("E_EMPTY", "bundle", "it holds no artifacts")
            return self
        self.link()
        self.judge()
        self.governance.follow()
        self.open_disclosures()
        self.check_inputs()
        self.check_people()
        self.governance.check()
        Release(self).check()
        Parents(self, places).check()
        self.check_receipts()
        self.check_requirements()
        return self

    def check_definitions(self):
        """B8."""
        for path, content in self.files.items():
            folder, _, file = path.partition("/")
            label = {"workflow": b"gantral/workflow/v1\0", "semantics": b"gantral/semantics/v1\0"}.get(folder)
            if label and sha256(label + content) != file.partition(".")[0]:
                self.find("E_CONTAINER", path, "the file is not what it is named after")

    def check_hint(self):
        """B10: a trust file of the bundle is compared and otherwise ignored."""
        hint = self.files.get("keys/trust.json")
        if hint is None:
            return
        try:
            same = Trust(hint).entries == self.trust.entries
        except NoVerdict:
            same = False
        if not same:
            self.find("N_TRUST_HINT", "keys/trust.json", "it differs from the pinned one and was ignored")

    # Which artifacts are authentic: §3.

    def authenticate(self, path):
        """V7, V9, V11: reads one file, checks its signatures, and reads its payload if one is good."""
        artifact = Artifact(path)
        match = ARTIFACT_PATH.fullmatch(path)
        artifact.place = int(match.group(1)) if match else None
        return self.read_signed(artifact, read_statement, self.find)

    def read_signed(self, artifact, read, find):
        """V7, V9, V11, for artifacts of any chain: what is found is said to `find`, but for what sets aside."""
        try:
            envelope = Envelope(self.files[artifact.path])
        except Refused as refused:
            artifact.aside = (refused.code, str(refused))
            return artifact
        if artifact.place is None:
            artifact.place = claimed_sequence(envelope.payload)
        signers = [self.who_signed(envelope, *signature) for signature in envelope.signatures]
        named = [claimed in self.ring for claimed, _ in envelope.signatures]
        artifact.signers = list({each.id: each for each in signers if each and each.role == "issuer"}.values())
        forged = any(known and not signer for known, signer in zip(named, signers))
        others = any(signer.role != "issuer" if signer else not known for known, signer in zip(named, signers))
        if not artifact.signers:
            artifact.aside = ("E_KEY_UNKNOWN", "signed by no key of the trust file")
            if forged:
                artifact.aside = ("E_SIG", "a signature does not verify")
            if any(signers):
                artifact.aside = ("E_KEY_ROLE", "signed by a key that is not for artifacts")
            return artifact
        place = self.place_of(artifact)
        if others:
            find("N_EXTRA_SIG", place, "another signature was ignored")
        if forged:
            find("N_UNAUTH", place, "a signature that does not verify was ignored")
        try:
            artifact.record = read(envelope.payload)
        except Broken as broken:
            for code in broken.codes:
                find(code, place, str(broken))
            return artifact
        artifact.place = artifact.record.sequence
        if artifact.record.ext:
            find("N_EXT", place, "an extension was ignored")
        return artifact

    def who_signed(self, envelope, claimed, signature):
        """E5: the key that a signature names, if it is one of the ring and the signature is good."""
        signer = self.ring.get(claimed)
        good = signer and signer.key.verify(pae(PAYLOAD_TYPE, envelope.payload), signature)
        return signer if good else None

    @staticmethod
    def place_of(artifact):
        return artifact.name or (artifact.path if artifact.place is None else f"artifact {artifact.place}")

    def check_speaker(self, artifact, find):
        """V10, K20."""
        record, signer, place = artifact.record, artifact.signer, self.place_of(artifact)
        delegation = signer.delegation
        if not speaks_for(signer.limits, record) or delegation and not speaks_for(delegation, record):
            find("E_KEY_ROLE", place, "its key does not speak for this tenant and log")
        if delegation and not delegation.not_before <= record.issued_at < delegation.not_after:
            find("E_KEY_WINDOW", place, "its key was not delegated at that instant")

    def check_key(self, artifact):
        """V10, V39, V40, K20."""
        self.check_speaker(artifact, self.find)
        for code, what in judge_key(artifact.signer.limits, artifact.index):
            self.find(code, self.place_of(artifact), what)

    # The chain: §4.

    def link(self):
        """V8, V12 to V15."""
        artifacts = self.artifacts
        self.choose()
        known = {artifact.place for artifact in artifacts if not artifact.aside}
        last = self.chain[-1].record if self.chain else None
        ended = last.sequence if last and last.authority_state in FINAL else None
        for artifact in artifacts:
            if not artifact.aside:
                continue
            place = artifact.place
            ignored = place is not None and (place in known or ended is not None and place > ended)
            if ignored and artifact.aside[0] != "E_CONTAINER":
                self.find("N_UNAUTH", self.place_of(artifact), "what nobody trusted vouches for was ignored")
            else:
                self.find(artifact.aside[0], self.place_of(artifact), artifact.aside[1])
        self.stands_behind = [a for a in artifacts if a.record is None and self.is_behind(a, last, known, ended)]
        claimed = {artifact.place for artifact in artifacts if artifact.place is not None}
        self.find_gaps(claimed, last.sequence if last else max(known - {None}, default=0))
        self.check_links()

    def choose(self):
        """V13: one artifact for each sequence."""
        places = {}
        for artifact in self.readable:
            places.setdefault(artifact.record.sequence, []).append(artifact)
        for sequence in sorted(places):
            there = places[sequence]
            if any(artifact.index is not None for artifact in there):
                for artifact in there:
                    if artifact.index is None and artifact.signer.limits.compromised_from is not None:
                        artifact.aside = ("E_KEY_COMPROMISED", "signed by a key that was compromised")
                there = [artifact for artifact in there if not artifact.aside]
            there.sort(key=lambda artifact: (artifact.index is None, artifact.record.hash, artifact.path))
            hashes = {artifact.record.hash for artifact in there}
            if len(hashes) > 1:
                self.find("E_FORK", f"artifact {sequence}", "two signed artifacts claim this place")
                self.unlinked.add(sequence)
            if len(hashes) < len(there):
                self.find("N_DUP", f"artifact {sequence}", "the artifact is there twice")
            for artifact in there:
                self.check_key(artifact)
            self.chain.append(there[0])

    @staticmethod
    def is_behind(artifact, last, known, ended):
        if artifact.place is None or artifact.place in known and artifact.aside:
            return False
        if artifact.aside and artifact.aside[0] != "E_CONTAINER" and ended is not None:
            return False
        return last is None or artifact.place > last.sequence

    def unmixed(self, readable):
        """V12."""
        kept = []
        for artifact in sorted(readable, key=lambda artifact: (artifact.record.sequence, artifact.path)):
            record, place = artifact.record, self.place_of(artifact)
            first = kept[0].record if kept else record
            if record.instance_id != self.listing.instance or record.tenant_id != first.tenant_id:
                self.find("E_MIXED", place, "of another execution or tenant")
                continue
            if (record.log_origin, record.workflow) != (first.log_origin, first.workflow):
                self.find("E_MIXED", place, "of another log or workflow version")
                self.unlinked.add(record.sequence)
            kept.append(artifact)
        return kept

    def find_gaps(self, claimed, last):
        """V14."""
        first = self.chain[0].record.sequence if self.chain else min(claimed, default=0)
        if any(place not in claimed for place in range(min(first, EVENTS_MAX + 1))):
            self.find("E_NO_GENESIS", "artifact 0", "the beginning of the chain is missing")
        if any(place not in claimed for place in range(first, min(last, EVENTS_MAX) + 1)) or last > EVENTS_MAX:
            verdict = INVALID if self.scope == "complete" else INCONCLUSIVE
            self.find("E_GAP", "chain", "artifacts are missing in the middle", verdict)

    def check_links(self):
        """V15."""
        before = None
        for artifact in self.chain:
            record, place = artifact.record, self.place_of(artifact)
            follows = before is not None and before.sequence == record.sequence - 1
            if (record.sequence == 0) != (record.prev_artifact_hash is None):
                self.find("E_GENESIS", place, "a first one with, or a later one without predecessor")
                self.unlinked.add(record.sequence)
            elif follows and record.prev_artifact_hash != before.hash:
                self.find("E_CHAIN", place, "does not follow the one before it")
                self.unlinked.add(record.sequence)
            before = record

    # The rules and the end: §5, §6.

    def judge(self):
        """V16 to V18."""
        whole = False
        for sequence, artifact in enumerate(self.chain):
            record = artifact.record
            if record.sequence != sequence or sequence in self.unlinked:
                break
            if record.semantics_digest != self.chain[0].record.semantics_digest:
                self.find("E_MIXED", f"artifact {sequence}", "under other rules than the chain began with")
                break
            if record.semantics_digest != SEMANTICS:
                self.find("E_UNSUPPORTED", f"artifact {sequence}", "made by rules that this verifier does not know")
                break
            broken = self.fold.judge(record)
            for code, what in broken:
                self.find(code, f"artifact {sequence}", what)
            if broken:
                break
            self.folded.append(record)
            whole = sequence == self.chain[-1].record.sequence
        self.ended = self.fold.state in FINAL
        if not whole or self.stands_behind:
            return
        if not self.ended:
            code = "E_OPEN" if self.scope == "complete" else "N_PREFIX"
            self.find(code, "chain", "the chain has not ended")
        elif self.fold.state == "COMPLETED" and not self.fold.asked:
            self.find("N_UNGATED", "chain", "it completed and never asked for anything")

    # Disclosures, inputs and people: §7, §8.

    def open_disclosures(self):
        """V20, C8 to C10."""
        committed = {}
        for artifact in self.chain:
            for label, value in commitments_of(artifact.record):
                if value is not None:
                    committed.setdefault(value, label)
        for path, content in sorted(self.files.items()):
            if not path.startswith("disclosures/"):
                continue
            match = DISCLOSURE_PATH.fullmatch(path)
            if not match:
                self.find("N_UNAUTH", path, "it is not named after a commitment")
                continue
            named = match.group(1)
            label, salt, plaintext = read_disclosure(content)
            if label is None or commitment(label, salt, plaintext) != named or committed.get(named, label) != label:
                self.find("E_DISCLOSURE", f"{committed.get(named, 'file')} {path}", "not what was committed to")
                continue
            labels = ("input", "context") if label in ("input", "context") else (label,)  # C6
            opens = [name for name in (commitment(each, salt, plaintext) for each in labels) if name in committed]
            self.opened.update((name, plaintext) for name in opens)
            if not opens:
                self.find("N_UNAUTH", path, "it opens no commitment of the chain")
        closed_ones = {(value, label) for value, label in committed.items() if value not in self.opened}
        erased = {each for each in closed_ones if each in self.governance.erased}  # V62
        self.governance.assurance["erased"] = len(erased)
        self.withheld = {label for _, label in closed_ones} - {"person"}
        for label in sorted({label for _, label in closed_ones - erased} - {"person"}):
            self.find("N_WITHHELD", label, "not everything behind commitments was disclosed")

    def check_inputs(self):
        """V19."""
        asked = set()
        for artifact in self.chain:
            record = artifact.record
            detail = record.detail.__dict__
            if record.event in ("human_required", "allowed", "observed"):
                asked.add(record.actor.id)
            judged = detail.get("policy")
            if judged and judged.input_commitment in self.opened:
                action = detail.get("action_commitment") or (detail["gate"].action_commitment if "gate" in detail else None)
                what = differs(self.opened[judged.input_commitment], record, asked, self.opened.get(action))
                if what:
                    self.find("E_INPUT_BINDING", f"artifact {record.sequence}", f"policy evaluated another {what}")

    def check_people(self):
        """`human.md` §5: what each decision counts as."""
        passkeys, gate, self.humans = Passkeys(self), None, []
        votes, strongest = [], {}
        floor = self.governance.least_evidence()
        for record in self.folded:
            place, detail = f"artifact {record.sequence}", record.detail
            if record.event == "human_required":
                gate = Record(opening=record, asked=detail.gate, not_after=detail.deadline, rule=detail.rule)
                votes = []
                if floor and not satisfies(detail.rule.required_evidence, floor):  # H25
                    self.find("E_HUMAN_EVIDENCE", place, "the gate takes weaker evidence than the workflow's definition")
                asked = self.evidence_asked_for(detail.policy)
                if asked and not satisfies(detail.rule.required_evidence, asked):  # H26
                    self.find("E_HUMAN_EVIDENCE", place, "the gate takes weaker evidence than policy asked for")
            elif record.event in ("escalated", "extended"):
                gate.not_after = detail.deadline
                votes = [] if record.event == "escalated" else votes
            elif record.event == "consumed" and detail.policy.verdict == "REQUIRE_HUMAN" and detail.grant_id in strongest:
                asked = self.evidence_asked_for(detail.policy)
                if asked and not satisfies(strongest[detail.grant_id], asked):  # H26
                    self.find("E_HUMAN_EVIDENCE", place, "nobody granted it with evidence as strong as policy asked for")
            ballot = getattr(detail, "decision", None)
            if ballot is None:
                continue
            if ballot.decision != "REJECT":
                votes.append((ballot.approved_action_commitment, ballot.evidence_type))
            if record.event in ("approved", "overridden"):
                same = [kind for action, kind in votes if action == ballot.approved_action_commitment]
                strongest[detail.grant.id] = max(same or [ballot.evidence_type], key=EVIDENCE.index)
            evidence, enrolment = self.check_evidence(place, ballot), self.check_enrolment(place, ballot)
            kind, bound = ballot.evidence_type, False
            if kind == "webauthn":
                kind, bound = passkeys.judge(record, ballot, gate, evidence, enrolment)
            elif kind == "oidc":
                kind = "operator"
                if ballot.evidence_digest is not None and gate.rule.required_evidence in ("oidc", "webauthn"):
                    self.find("E_UNSUPPORTED", place, "evidence that this verifier cannot check")  # H8
            self.humans.append((kind, bound))

    def evidence_asked_for(self, policy):
        """H26: the evidence that policy asked for, if what it answered is disclosed and says so."""
        try:
            document = parse_document(self.opened[policy.decision_commitment])
        except (KeyError, JsonRefused):
            return None
        asked = document.get("required_evidence") if isinstance(document, dict) else None
        return asked if isinstance(asked, str) and asked in EVIDENCE and asked != "development" else None

    def check_evidence(self, place, ballot):
        """V21: the evidence that a decision refers to, or None."""
        named = ballot.evidence_digest
        if named is None:
            if ballot.evidence_type in ("oidc", "webauthn"):
                self.find("E_EVIDENCE_WITHHELD", place, "the decision refers to no evidence")
            return None
        found = sorted(path for path in self.files if re.fullmatch(rf"human/{named}(\..*)?", path))
        if not found:
            self.find("E_EVIDENCE_WITHHELD", place, "evidence of the decision is not there")
            return None
        if sha256(self.files[found[0]]) != named:
            self.find("E_CONTAINER", found[0], "the file is not what it is named after")
            return None
        return self.files[found[0]]

    def check_enrolment(self, place, ballot):
        """V22: the envelope of the enrolment that a decision refers to, or None."""
        named = ballot.directory_entry
        path = f"directory/{named}.dsse.json"
        if named is None or path not in self.files:
            if named is not None or ballot.evidence_type == "webauthn":
                self.find("E_DIRECTORY", place, "the enrolment is not there")
            return None
        try:
            envelope = Envelope(self.files[path], ENROLMENT_TYPE)
        except Refused:
            envelope = None
        if envelope is None or sha256(b"gantral/enrolment/v1\0" + envelope.payload) != named:
            self.find("E_CONTAINER", path, "the file is not what it is named after")
            return None
        return envelope

    # What is required: §9.

    def check_requirements(self):
        """V23."""
        records, require = self.folded, self.trust.require
        if not records:
            return
        consumed = [record.detail.executor.kind for record in records if record.event == "consumed"]
        shadow = any(record.mode == "SHADOW" for record in records)
        mode = "shadow" if shadow else "self" if "self" in consumed else "enforced"
        evidence = [kind for kind, _ in self.humans]
        bound = all(bound for _, bound in self.humans)
        weakest = min(evidence, key=EVIDENCE.index, default=None)
        logged = [artifact for artifact in self.chain if artifact.index is not None]
        by = [max((len(cosigned) for cosigned in artifact.proved_by), default=0) for artifact in self.chain]
        witnesses = min(by) if len(logged) == len(self.chain) else 0  # V43
        complete = self.is_complete()
        self.assurance = {
            "complete": complete,
            "ended": self.ended,
            "governance": self.governance.assurance,
            "human_device_bound": bound if evidence else None,
            "human_evidence": weakest,
            "logged": len(logged) == len(self.chain),
            "mode": mode,
            "places": [artifact.index for artifact in self.chain],
            "release": Release(self).waited_for,
            "signed_by": sorted({artifact.signer.id for artifact in self.chain}),
            "witnesses": witnesses,
        }
        if require is None:
            return
        explained = all(artifact.index is not None or artifact.refused for artifact in self.chain)
        for holds, code, what in (
            (require.scope == "prefix" or self.ended, "E_REQUIRE", "the chain has not ended"),
            (not require.enforced or mode == "enforced", "E_REQUIRE", "not everything was enforced"),
            (not require.logged or explained, "E_UNLOGGED", "it is not proved to be in the log"),
            (witnesses >= require.witnessed, "E_REQUIRE", "too few witnesses have cosigned"),
            (not require.complete or complete, "E_COMPLETENESS_UNPROVED", "it is not proved that nothing was left out"),
            (not (require.snapshots and self.withheld & {"action", "context", "input"}), "E_REQUIRE", "not disclosed"),
        ):
            if not holds:
                self.find(code, "trust file", what)
        demanded = require.human_evidence
        if demanded is not None and not all(satisfies(kind, demanded) for kind in evidence):
            self.find("E_HUMAN_ASSURANCE", "trust file", "a decision carries weaker evidence than is required")
        if require.human_device_bound and not bound:  # H24
            self.find("E_HUMAN_ASSURANCE", "trust file", "not every decision is signed by a key that cannot leave its device")

    def is_complete(self):
        """V49."""
        if not self.mirror or not self.ended or len(self.folded) != len(self.chain):
            return False
        mirrored = all(artifact.mirrored is not None for artifact in self.chain)
        leaves = self.mirrored_leaves
        return mirrored and leaves.leaves[-1][0] == self.chain[-1].mirrored and leaves.terminal

    # Receipts: §14.

    def check_receipts(self):
        """V51 to V54."""
        for number, envelope in enumerate(read_receipts(self.receipts), 1):
            record, signer = self.read_receipt(envelope)
            place = f"receipt {number}"
            if record is None:
                self.find("N_UNAUTH", place, "what nobody trusted vouches for was ignored")
                continue
            first = self.chain[0].record if self.chain else None
            if not first or (record.instance_id, record.tenant_id) != (first.instance_id, first.tenant_id):
                continue
            there = [each.record for each in self.chain if each.record.sequence == record.sequence]
            if there and there[0].hash != record.hash:
                self.find("E_FORK", place, "it is of another artifact with the same sequence")
            if record.sequence > self.chain[-1].record.sequence:
                self.more_exists(place)
            if self.mirror:
                self.compare_receipt(place, record, signer.limits)

    def more_exists(self, place):
        """V48, V53."""
        code = "E_TRUNCATED" if self.scope == "complete" else "N_MORE_EXISTS"
        self.find(code, place, "there is more of the chain than the bundle holds")

    def read_receipt(self, envelope):
        """V52: the artifact of a receipt and its key, or twice None."""
        signers = [self.who_signed(envelope, *signature) for signature in envelope.signatures]
        signers = [signer for signer in signers if signer and signer.role == "issuer"]
        try:
            record = read_statement(envelope.payload)
        except Broken:
            return None, None
        for signer in signers:
            within = not signer.delegation or (
                speaks_for(signer.delegation, record)
                and signer.delegation.not_before <= record.issued_at < signer.delegation.not_after
            )
            if speaks_for(signer.limits, record) and within and signer.limits.compromised_from is None:
                return record, signer
        return None, None

    def compare_receipt(self, place, record, limits):
        """V54."""
        leaf = self.mirrored_leaves.first.get(record.sequence)
        if leaf is not None:
            if leaf[1][43:75].hex() != record.hash:
                self.find("E_RECEIPT", place, "the log holds something else in its place")
            return
        early = early_time(self.mirror.cosigned)
        windowed = limits.valid_from is not None or limits.valid_until is not None
        if early is None or windowed:
            self.find("E_RECEIPT", place, "the log does not hold it, and nothing shows since when it should", INCONCLUSIVE)
        elif record.issued_at + self.trust.log.delay + self.trust.log.skew < early:
            self.find("E_RECEIPT", place, "the log does not hold what it promised")

    # The answer: §1.

    def verdict(self):
        """V2."""
        verdicts = {verdict for _, verdict, _, _ in self.findings}
        return next((verdict for verdict in (INVALID, INCONCLUSIVE) if verdict in verdicts), VALID)

    def codes(self):
        return sorted({code for code, _, _, _ in self.findings})


class Places:
    """§12 and §13: where the artifacts stand in the log, and what shows it."""

    def __init__(self, verifier):
        self.of, self.find, self.files = verifier, verifier.find, verifier.files
        self.log, self.readable = verifier.trust.log, verifier.readable
        self.governed = verifier.governance.usable
        self.proofs, self.extensions, self.newest, self.seen = {}, {}, None, []

    def run(self):
        """Gives every artifact its place and its key."""
        for artifact in self.readable + self.governed:
            artifact.prefer()
        first = self.readable[0].record if self.readable else None
        self.origin = first.log_origin if first else None
        self.chains = self.chains_of(first) if first else {}
        self.of.mirrored_leaves = self.chains[1, first.instance_tag] if first else None
        self.of.governance_leaves = self.chains[5, governance_tag(first.tenant_id)] if first else None
        self.needed = self.is_needed()
        if self.log.logs or self.needed:
            self.read_proofs("proofs", self.readable)
            if first:
                self.read_proofs("governance/proofs", self.governed)
        trees = [each.proof.note.tree for each in self.proofs.values() if not each.code]
        self.newest = min(trees, key=lambda tree: (-tree[0], tree[1]), default=None)  # V29
        if self.log.logs:
            self.read_extensions()
        self.read_mirror()
        self.place()
        self.chain = self.chosen()
        self.check_anchors()
        if self.log.logs or self.needed:
            self.check_trees()
        self.check_order(self.chain)
        self.check_order(self.governed)
        self.check_times()
        for artifact in self.governed:
            self.of.check_key(artifact)  # V57

    def chosen(self):
        """V13: the artifacts of the chain, one for each sequence."""
        best = {}
        for each in sorted(self.readable, key=lambda each: (each.index is None, each.record.hash, each.path)):
            best.setdefault(each.record.sequence, each)
        return [best[sequence] for sequence in sorted(best)]

    def chains_of(self, first):
        """The chains whose leaves a mirror is asked for: this one, the governance chain, and those that may be parents."""
        instances = {path.split("/")[1] for path in self.files if path.startswith("parents/")}
        tags = [instance_tag(first.tenant_id, instance) for instance in instances if is_uuid(instance, DATED)]
        chains = {(1, tag): Leaves(CHAIN_LEAVES) for tag in [*tags, first.instance_tag]}
        return {**chains, (5, governance_tag(first.tenant_id)): Leaves(GOVERNANCE_LEAVES)}

    def is_needed(self):
        """V27."""
        require = self.of.trust.require
        asked = require and (require.logged or require.complete or require.witnessed)
        return bool(asked) or any(each.signer.limits.has_limits() for each in self.readable + self.governed)

    def good(self, note_bytes, note):
        """V28: says whether a note is a good checkpoint of the chain's log."""
        return note.origin == self.origin and self.log.judge(note_bytes, note)[0] == "good"

    def read_proofs(self, folder, artifacts):
        """V30, V31: reads every proof as far as it goes without the artifacts."""
        sequences = {}
        for artifact in artifacts:
            sequences.setdefault(artifact.record.sequence, []).append(artifact)
        for path in sorted(self.files):
            if not path.startswith(f"{folder}/"):
                continue
            match = re.fullmatch(rf"{folder}/([0-9]{{6}})\.tlog-proof", path)
            if not match or int(match.group(1)) not in sequences:
                self.find("N_UNAUTH", path, "the proof of no artifact of the chain")
                continue
            proof, code, cosigned = None, None, {}
            try:
                proof = LogProof(self.files[path])
                code = "E_INCLUSION" if proof.note.origin != self.origin else None
                if not code:
                    judged, cosigned = self.log.judge(proof.note_bytes, proof.note)
                    code = None if judged == "good" else judged
            except Refused as refused:
                code = refused.code
            there = sequences[int(match.group(1))]
            self.proofs[path] = Record(proof=proof, code=code, cosigned=cosigned, there=there)

    def read_extensions(self):
        """V37: reads the consistency files of trees that must be shown."""
        sizes = {each.proof.note.tree[0] for each in self.proofs.values() if not each.code}
        sizes |= {artifact.record.anchor.size for artifact in self.readable if artifact.record.anchor} - {0}
        for path in sorted(self.files):
            if not path.startswith("log/"):
                continue
            match = re.fullmatch(rf"log/({DECIMAL.pattern})\.tlog-consistency", path)
            size = int(match.group(1)) if match else 0
            if size not in sizes or self.newest and size == self.newest[0]:
                self.find("N_UNAUTH", path, "it leads from no tree of the chain")
                continue
            self.extensions[size] = self.read_extension(path, size)

    def read_extension(self, path, size):
        """B12."""
        data, note, code, hashes = self.files[path], None, None, []
        head, gap, rest = (b"", b"\n", data[1:]) if data.startswith(b"\n") else data.partition(b"\n\n")
        try:
            if len(data) > PROOF_BYTES:
                raise Refused("E_LIMIT", "a consistency file is larger than its limit")
            data.decode("utf-8")
            if not gap:
                raise Refused("E_CONTAINER", "no consistency file")
            hashes = read_hashes(head.decode("utf-8").split("\n") if head else [])
        except (Refused, UnicodeDecodeError) as refused:
            code = getattr(refused, "code", "E_CONTAINER")
        try:
            note = Note(rest) if rest and not code else None
        except Refused:
            note = None
        good = note is not None and note.tree[0] == size and self.good(rest, note)
        return Record(path=path, hashes=hashes, code=code, rest=rest, note=note if good else None)

    def read_mirror(self):
        """V44, V45."""
        verifier = self.of
        if verifier.mirror_root is None:
            return
        if not self.log.logs:
            raise NoVerdict("a mirror was given, and the trust file believes no log")
        sizes = {each.proof.note.tree[0] for each in self.proofs.values() if each.proof} | set(self.extensions)
        sizes |= {artifact.record.anchor.size for artifact in self.readable if artifact.record.anchor}
        indexes = {each.proof.index for each in self.proofs.values() if each.proof}
        mirror = Mirror(verifier.mirror_root, self.log, sizes, indexes, self.chains)
        if self.origin is None or mirror.note.origin != self.origin:
            if self.origin is not None:
                self.find("E_LOG_UNKNOWN", "mirror", "it is of another log than the chain")
            return
        verifier.mirror = mirror
        seen = verifier.mirrored_leaves
        self.compare_mirror(seen, self.readable, "leaf")
        self.compare_mirror(verifier.governance_leaves, self.governed, "governance leaf")
        for chain in self.chains.values():
            if chain not in (seen, verifier.governance_leaves):
                list(chain.follow())  # of parents: what counts for each sequence, and nothing is said
        if seen.first and self.readable and max(seen.first) > max(each.record.sequence for each in self.readable):
            verifier.more_exists("mirror")

    def compare_mirror(self, leaves, artifacts, name):
        """V45, V46."""
        for code, number in leaves.follow():
            self.find(code, f"{name} {number}", "the log holds one twice, leaves one out, or goes on after the end")
        for artifact in artifacts:
            if artifact.record.sequence not in leaves.first:
                continue
            number, leaf = leaves.first[artifact.record.sequence]
            signer = next((each for each in artifact.signers if leaf_of(artifact.record, each.id) == leaf), None)
            if signer:
                artifact.index = artifact.mirrored = number
                artifact.signer = signer
                artifact.proved_by.append(self.of.mirror.cosigned)
            else:
                same = leaf[43:75].hex() == artifact.record.hash
                code = "E_INCLUSION" if same else "E_FORK"
                self.find(code, self.of.place_of(artifact), "the log holds something else in its place")

    def place(self):
        """V31 to V33, V47."""
        for each in self.proofs.values():
            there = each.there
            reached = False if each.code else self.reach(each, there)
            if reached:
                continue
            code = each.code or "E_INCLUSION"
            mild = code in ("E_LOG_UNKNOWN", "E_QUORUM") and not self.needed
            if mild or any(artifact.mirrored is not None for artifact in there):
                code = "N_UNAUTH"
            for artifact in there:
                artifact.refused = None if code == "N_UNAUTH" else code
            self.find(code, self.of.place_of(there[0]), "its proof does not show that it is in the log")

    def reach(self, each, there):
        """V32, V33: says whether a proof leads from one of the artifacts to its checkpoint, and places that one."""
        reached = False
        for artifact in there:
            for signer in artifact.signers:
                leaf = leaf_of(artifact.record, signer.id)
                if not each.proof.leads(leaf):
                    continue
                if artifact.index not in (None, each.proof.index):
                    self.find("E_LOG_ORDER", self.of.place_of(artifact), "proof and mirror place it differently")
                artifact.index, artifact.signer, reached = each.proof.index, signer, True
                artifact.proved_by.append(each.cosigned)
                mirror = self.of.mirror
                if mirror and each.proof.index < mirror.size and mirror.at[each.proof.index] != leaf:
                    self.find("E_SPLIT_VIEW", self.of.place_of(artifact), "the mirror holds another leaf there")  # V47
                break
        return reached

    def check_anchors(self):
        """V38: what the signed artifacts say by themselves."""
        before = (0, EMPTY_ROOT)
        for artifact in self.readable:
            anchor = artifact.record.anchor
            if anchor is None:
                continue
            tree = (anchor.size, bytes.fromhex(anchor.root))
            wrong = tree[0] < before[0] or tree[0] == before[0] and tree[1] != before[1]
            if wrong or artifact.index is not None and anchor.size > artifact.index:
                self.find("E_ANCHOR", self.of.place_of(artifact), "an anchor that cannot be")
            before = max(before, tree, key=lambda each: each[0])

    def check_trees(self):
        """V29, V35 to V37."""
        mirror, newest = self.of.mirror, self.newest
        for size, extension in list(self.extensions.items()):
            if extension.code:
                covered = mirror and mirror.size >= size
                self.find("N_UNAUTH" if covered else extension.code, extension.path, "it cannot be read")
                if covered:
                    del self.extensions[size]
        notes = [(each.proof.note.tree, each.cosigned) for each in self.proofs.values() if not each.code]
        kept = [extension for extension in self.extensions.values() if extension.note]
        roots = {}
        for tree in [tree for tree, _ in notes] + [extension.note.tree for extension in kept]:
            roots.setdefault(tree[0], set()).add(tree[1])
        for size, found in roots.items():
            told = mirror.roots[size] if mirror and mirror.size >= size else None
            if len(found) > 1 or told is not None and found != {told}:
                self.find("E_SPLIT_VIEW", f"checkpoint of {size}", "the log has signed two histories")
        anchors = {(a.record.anchor.size, bytes.fromhex(a.record.anchor.root)) for a in self.readable if a.record.anchor}
        older = {tree for tree, _ in notes if newest and tree[0] < newest[0]}
        shown = {tree for tree in sorted(anchors | older) if tree[0] and self.check_tree(tree, tree in anchors)}
        self.seen = [(tree, cosigned) for tree, cosigned in notes if tree == newest or tree in shown]
        for extension in self.extensions.values():
            if extension.note and (extension.note.tree in shown or self.is_shown(extension.note.tree)):
                judged = self.log.judge(extension.rest, extension.note)
                self.seen.append((extension.note.tree, judged[1]))
            elif extension.rest and not extension.code:
                self.find("N_UNAUTH", extension.path, "its checkpoint shows nothing")

    def is_shown(self, tree):
        """V35: says whether a tree that nothing names is shown to be a beginning of the log."""
        mirror, newest, extension = self.of.mirror, self.newest, self.extensions.get(tree[0])
        if mirror and mirror.size >= tree[0]:
            return mirror.roots[tree[0]] == tree[1]
        return newest is not None and not extension.code and is_beginning(tree, newest, extension.hashes)

    def check_tree(self, tree, is_anchor):
        """V36: says whether a tree is shown to be a beginning of the log, and finds what shows that it is none."""
        mirror, newest, what = self.of.mirror, self.newest, f"tree of {tree[0]}"
        if mirror and mirror.size >= tree[0]:
            if mirror.roots[tree[0]] != tree[1] and is_anchor:
                self.find("E_ANCHOR", what, "it is no beginning of the log")
            return mirror.roots[tree[0]] == tree[1]
        if newest is None:
            return False
        if tree[0] == newest[0]:
            if tree != newest and is_anchor:
                self.find("E_ANCHOR", what, "it is no beginning of the log")
            return tree == newest
        extension = self.extensions.get(tree[0])
        if extension is None or extension.code or tree[0] > newest[0]:
            if self.of.trust.require and self.of.trust.require.logged:
                self.find("E_ANCHOR", what, "nothing shows that it is a beginning of the log", INCONCLUSIVE)
            return False
        leads = is_beginning(tree, newest, extension.hashes)
        if not leads:
            self.find("E_ANCHOR", what, "it is no beginning of the log")
        return leads

    def check_order(self, artifacts):
        """V34."""
        highest = -1
        for artifact in artifacts:
            if artifact.index is not None:
                if artifact.index <= highest:
                    self.find("E_LOG_ORDER", self.of.place_of(artifact), "it stands before its predecessor in the log")
                highest = artifact.index

    def check_times(self):
        """V42, V50."""
        skew, delay, mirror = self.log.skew, self.log.delay, self.of.mirror
        seen = self.of.seen = self.seen + ([(mirror.note.tree, mirror.cosigned)] if mirror else [])
        for artifact in self.readable + self.governed:
            at, place = artifact.record.issued_at, self.of.place_of(artifact)
            if artifact.index is None:
                early = early_time(mirror.cosigned) if mirror else None
                if early is not None and at + delay + skew < early:
                    self.find("E_UNLOGGED", place, "the log had promised to hold it")  # V50
            if artifact.index is None or artifact.record.leaf[0] != 1:
                continue
            late = [late_time(cosigned) for cosigned in artifact.proved_by if cosigned]
            before = [early_time(cosigned) for tree, cosigned in seen if cosigned and tree[0] <= artifact.index]
            if any(at > time + skew for time in late) or any(at + delay + skew < time for time in before):
                self.find("E_TIME_WINDOW", place, "the witnesses of the log contradict its time")


class Governance:
    """§15: the governance chain of the tenant, and what rests on it."""

    def __init__(self, verifier):
        """V55: reads the files."""
        self.of, self.find, self.there, self.usable = verifier, verifier.find, set(), []
        self.chain, self.heads, self.policies, self.erased, self.checked = [], {}, [], set(), {}
        self.assurance = dict.fromkeys(("artifacts", "checked", "erased", "unchecked", "unnamed"), 0)
        self.assurance["doubted_keys"] = []
        if not verifier.readable:
            return
        first = verifier.readable[0].record
        for path in sorted(verifier.files):
            if not path.startswith("governance/") or path.startswith("governance/proofs/"):
                continue
            match = re.fullmatch(r"governance/([0-9]{6})\.dsse\.json", path)
            if match:
                self.there.add(int(match.group(1)))
                self.read(path, int(match.group(1)), first)
            else:
                self.find("N_UNAUTH", path, "it is no part of a governance chain")

    def read(self, path, number, first):
        """V55: reads one file."""
        artifact = Artifact(path, f"governance {number}")
        artifact.place = number
        self.of.read_signed(artifact, read_governance, self.find)
        record, place = artifact.record, artifact.name
        if artifact.aside:
            self.find(artifact.aside[0], place, artifact.aside[1])
        if record is None:
            return
        if record.sequence != number:
            self.find("E_CONTAINER", place, "it has another sequence than its name says")
        if (record.tenant_id, record.log_origin) != (first.tenant_id, first.log_origin):
            self.find("E_MIXED", place, "of another tenant or log than the execution")
        elif record.sequence == number:
            self.usable.append(artifact)

    def follow(self):
        """V56: as far as the chain goes."""
        usable = {artifact.record.sequence: artifact for artifact in self.usable}
        heads = {record.detail.guard.governance_head for record in self.of.folded if record.event == "consumed"}
        self.team = self.read_team()
        now, before, by_two = InForce(), None, {}
        for number in range(len(self.there) + 1):
            if number not in self.there:
                later = min((each for each in self.there if each > number), default=None)
                if later is not None:
                    code = "E_GAP" if number else "E_NO_GENESIS"
                    self.find(code, f"governance {later}", "the governance chain misses an artifact before it", INCONCLUSIVE)
                break
            if number not in usable or not self.follows(usable[number], before, now):
                break
            before = usable[number].record
            now.apply(before.event, before.detail, before.hash)
            self.chain.append(usable[number])
            self.policies.append(now.policy(self.scopes()))
            if before.event == "policy_activated":
                by_two[before.detail.scope] = before.proposed_by is not None
            scope = next((each for each in self.scopes() if each in by_two), None)
            if before.hash in heads:
                self.heads[before.hash] = Record(
                    sequence=number,
                    epoch=now.epoch,
                    frozen=bool(now.frozen & set(self.scopes())),
                    teams=now.knows_teams(),
                    by_two=by_two.get(scope, False),
                )
            self.note_erased(before)
        self.assurance["artifacts"] = len(self.chain)

    def follows(self, artifact, before, now):
        """V56: says whether an artifact is the next of the chain."""
        record, place, said = artifact.record, artifact.name, len(self.of.findings)
        if (record.prev_artifact_hash is None) != (before is None):
            self.find("E_GENESIS", place, "a first one with, or a later one without predecessor")
        elif before is not None and record.prev_artifact_hash != before.hash:
            self.find("E_CHAIN", place, "does not follow the one before it")
        if before is not None and record.issued_at < before.issued_at:
            self.find("E_TIME_BACK", place, "older than the one before it")
        self.check_proposer(record, place)
        if len(self.of.findings) == said:
            what = now.contradicts(record.event, record.detail)
            if what:
                self.find("E_GUARD", place, what)
        return len(self.of.findings) == said

    def check_proposer(self, record, place):
        """G24: what one person proposed, another human put in force, and not before."""
        by = record.proposed_by
        if by is None:
            return
        if record.actor.kind != "human" or record.actor.id == by.actor.id:
            self.find("E_SELF_APPROVAL", place, "no other human put in force what was proposed")
        elif record.issued_at < by.at:
            self.find("E_TIME_BACK", place, "in force before it was proposed")

    def note_erased(self, record):
        """V62."""
        if record.event == "erased" and record.detail.instance_id in (None, self.of.listing.instance):
            self.erased.add((record.detail.commitment, record.detail.label))

    def definition(self):
        """B8: the workflow's definition, if it is there and whole; else nothing."""
        if not self.of.folded:
            return {}
        named = self.of.folded[0].workflow.digest
        content = self.of.files.get(f"workflow/{named}.json")
        if content is None or sha256(b"gantral/workflow/v1\0" + content) != named:
            return {}
        try:
            value = parse_document(content)
        except JsonRefused:
            return {}
        return value if isinstance(value, dict) else {}

    def read_definition(self, member, otherwise=None):
        """V58, V63: a text of the workflow's definition; something else where it does not say."""
        definition = self.definition()
        text = definition.get(member, otherwise) if definition else None
        return text if isinstance(text, str) else None

    def least_evidence(self):
        """H25: what the workflow's definition asks for, if that is there and says so."""
        floors = self.definition().get("floors")
        kind = floors.get("required_evidence") if isinstance(floors, dict) else None
        return kind if kind in EVIDENCE else None

    def read_team(self):
        """V58: the team of the workflow, if that is known."""
        team = self.read_definition("team")
        return team if team is not None and NAME.fullmatch(team) else None

    def scopes(self):
        """G3: the scopes of the workflow, the narrowest first."""
        own = [("workflow", self.of.folded[0].workflow.id)] if self.of.folded else []
        return own + ([("team", self.team)] if self.team is not None else []) + [("tenant", None)]

    def check(self):
        """V58 to V61."""
        highest, asks, self.compared = None, [], 0
        for record in self.of.folded:
            if record.event in ("human_required", "allowed", "observed"):
                asks.append(record)
            elif record.event == "consumed":
                sequence = self.check_consumed(record, highest)
                if sequence is not None:
                    highest = sequence if highest is None else max(sequence, highest)
                if record.sequence in self.checked:
                    self.check_asks(asks[self.compared :], self.checked[record.sequence])
                    self.compared = len(asks)
            ballot = getattr(record.detail, "decision", None)
            if ballot is not None and ballot.acts_for is not None:
                self.check_delegation(record, ballot)
        self.assurance["doubted_keys"] = sorted(set(self.doubted()))

    def check_consumed(self, record, highest):
        """V58, V59: returns the sequence of the head that a consumption names, if that is known."""
        guard, place = record.detail.guard, f"artifact {record.sequence}"
        head = guard.governance_head
        state, sequence = self.heads.get(head), self.sequence_of(head)
        if self.of.trust.require and self.of.trust.require.four_eyes:  # V71
            if state is None or not state.by_two or (self.team is None and state.teams):
                self.find("E_REQUIRE", place, "it is not shown that two persons put its policy in force")
        if sequence is not None:
            if highest is not None and sequence < highest:
                self.find("E_GUARD", place, "it names an older governance artifact than one before it")  # V58.1
            if record.anchor and self.knew_better(sequence, record.anchor.size):
                self.find("E_GUARD", place, "its anchor holds a newer governance artifact")  # V58.2
        if head is None:
            self.assurance["unnamed"] += 1
            if guard.freeze_epoch != 0:
                self.find("E_GUARD", place, "an epoch without a governance chain")  # V58.3
            return sequence
        checked = state is not None and self.check_guard(guard, state, place)
        self.assurance["checked" if checked else "unchecked"] += 1
        if checked:
            self.checked[record.sequence] = state.sequence
            return sequence
        leaves = self.of.governance_leaves
        if state is None and self.of.mirror and not leaves.more and sequence is None:
            self.find("E_GUARD", place, "the log does not hold the head that it names", INCONCLUSIVE)  # V58.5
        if self.of.trust.require and self.of.trust.require.complete:
            self.find("E_GUARD", place, "it could not be compared with the governance chain", INCONCLUSIVE)  # V59
        return sequence

    def check_guard(self, guard, state, place):
        """V58.4: says whether freeze and policy could be compared as well."""
        if guard.freeze_epoch != state.epoch:
            self.find("E_GUARD", place, "another epoch than the one in force")
        if self.team is None and state.teams:
            return False
        if state.frozen:
            self.find("E_GUARD", place, "consumed while frozen")
        if guard.policy_version_id != self.policies[state.sequence]:
            self.find("E_GUARD", place, "under another policy than the one in force")
        return True

    def sequence_of(self, head):
        """V58: where a head stands in the governance chain, as far as chain or mirror show it."""
        if head is None:
            return -1
        if head in self.heads:
            return self.heads[head].sequence
        leaves = self.of.governance_leaves.leaves if self.of.mirror else []
        named = bytes.fromhex(head)
        return next((int.from_bytes(leaf[5:11], "big") for _, leaf in leaves if leaf[43:75] == named), None)

    def knew_better(self, sequence, size):
        """V58.2."""
        leaf = self.of.governance_leaves.first.get(sequence + 1) if self.of.mirror else None
        if leaf is not None and leaf[0] < size:
            return True
        later = [artifact.index for artifact in self.usable if artifact.record.sequence > sequence]
        return any(index is not None and index < size for index in later)

    def check_asks(self, asks, last):
        """V60: a team that is not known has no policy here, or the consumption would be unchecked (V58.4)."""
        known = set(self.policies[: last + 1])
        for record in asks:
            if record.detail.policy.policy_version_id not in known:
                place = f"artifact {record.sequence}"
                self.find("E_POLICY_VERSION", place, "under a policy version that was never in force")

    def check_delegation(self, record, ballot):
        """V61."""
        place, named = f"artifact {record.sequence}", ballot.delegation_hash
        found = next((each.record for each in self.chain if each.record.hash == named), None)
        if found is None:
            self.find("E_GUARD", place, "its delegation is not in the governance chain", INCONCLUSIVE)
            return
        given = found.detail.__dict__
        holds = found.event == "delegated" and (given["from"], given["to"]) == (ballot.acts_for, record.actor.id)
        holds = holds and ballot.role in given["roles"] and given["not_before"] <= record.issued_at < given["not_after"]
        for artifact in self.chain:
            revocation = artifact.record
            if revocation.event == "delegation_revoked" and revocation.detail.delegation_hash == named:
                anchored = record.anchor and artifact.index is not None and artifact.index < record.anchor.size
                holds = holds and not (revocation.issued_at < record.issued_at or anchored)
        if not holds:
            self.find("E_GUARD", place, "its delegation does not cover it")

    def doubted(self):
        """G15: keys that the chain took back before a place at which they signed, and the trust file did not."""
        signed = [(each.signer, each.index) for each in [*self.of.chain, *self.chain] if each.index is not None]
        for artifact in self.chain:
            detail, event = artifact.record.detail, artifact.record.event
            if event not in ("key_retired", "key_compromised"):
                continue
            since = artifact.index if event == "key_retired" else detail.from_index
            for signer, index in signed:
                free = detail.key_id in (signer.id, signer.limits.id) and not signer.limits.has_limits()
                if free and since is not None and index >= since:
                    yield detail.key_id


ASSERTION_BYTES, CLIENT_DATA_BYTES, AUTHENTICATOR_BYTES, SIGNATURE_BYTES = 16_384, 4_096, 1_024, 128  # H11
ENROLMENT_TYPE = "application/vnd.gantral.enrolment+json"
AAGUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def bytes_of(most, least=0):
    """H11: base64url within limits."""

    def read(value, where):
        data = from_base64url(value) if isinstance(value, str) else None
        if data is None or not least <= len(data) <= most:
            raise wrong(where)
        return data

    return read


assertion_record = closed(
    authenticator_data=bytes_of(AUTHENTICATOR_BYTES),
    client_data=bytes_of(CLIENT_DATA_BYTES),
    credential_id=bytes_of(1_023, 1),
    entry_digest=digest,
    format=word("gantral/assertion/v1"),
    signature=bytes_of(SIGNATURE_BYTES),
)
enrolment_record = closed(
    aaguid=text_of(AAGUID),
    algorithm=word("es256", "ed25519"),
    backup_eligible=boolean,
    created_at=instant,
    credential_id=bytes_of(1_023, 1),
    format=word("gantral/enrolment/v1"),
    label_commitment=null_or(digest),
    log_origin=tenant_name,
    person_id=digest,
    public_key=text_of(re.compile("[0-9a-f]{64}|[0-9a-f]{130}")),
    relying_party_id=text_of(HOST),
    tenant_id=tenant_name,
)


def read_enrolment(payload):
    """H15: an enrolment with its key, or None."""
    try:
        record = enrolment_record(parse_artifact(payload), "enrolment")
    except (JsonRefused, Broken):
        return None
    record.key = authenticator_key(record.algorithm, record.public_key)
    return record if record.key else None


def decision_digest(record, ballot, gate):
    """H1, H2: the challenge that shows that somebody agreed to a ballot."""
    ours = (
        "acts_for approved_action_commitment asked_action_commitment break_glass decision delegation_hash display_digest "
        "gate_id justification_commitment request_artifact_hash role"
    )
    statement = {member: getattr(ballot, member) for member in ours.split()}
    statement |= {
        "context_commitment": gate.asked.context_commitment,
        "format": "gantral/decision/v1",
        "gate_version": Number(str(ballot.gate_version)),
        "instance_id": record.instance_id,
        "log_origin": record.log_origin,
        "not_after": instant_text(gate.not_after),
        "person_id": record.actor.id,
        "policy_version_id": gate.opening.detail.policy.policy_version_id,
        "tenant_id": record.tenant_id,
    }
    return hashlib.sha256(b"gantral/decision/v1\0" + canonical(statement)).digest()


def display_digest(gate, version):
    """H3."""
    shown = bytes.fromhex(gate.asked.action_commitment + gate.asked.context_commitment)
    return sha256(b"gantral/display/v1\0" + shown + version.to_bytes(4, "big"))


class Passkeys:
    """`human.md` H8, H20 to H23: decisions that a human's own authenticator signed."""

    def __init__(self, verifier):
        self.of, self.find, self.trust = verifier, verifier.find, verifier.trust
        self.party = self.trust.relying_party
        first = verifier.chain[0].record if verifier.chain else None
        keys = self.trust.keys.values() if first else ()
        self.directory = [key for key in keys if key.role == "directory" and speaks_for(key, first)]

    def judge(self, record, ballot, gate, evidence, envelope):
        """H8: what the ballot counts as, and whether its key cannot leave its device."""
        place = f"artifact {record.sequence}"
        if self.party is None or not self.directory:
            if gate.rule.required_evidence in ("oidc", "webauthn"):
                if self.party is None:
                    self.find("E_WEBAUTHN", place, "the trust file names no relying party", INCONCLUSIVE)
                if not self.directory:
                    self.find("E_DIRECTORY", place, "the trust file has no key of the directory", INCONCLUSIVE)
            return "operator", False
        said = []
        if ballot.display_digest != display_digest(gate, ballot.gate_version):
            said.append(("E_DECISION", INVALID, "the display digest is not that of the gate"))
        enrolment = None
        if envelope is not None:
            enrolment = read_enrolment(envelope.payload)
            said += self.judge_enrolment(enrolment, envelope, record, ballot, gate)
        if evidence is not None and enrolment is not None:
            what = self.judge_assertion(evidence, enrolment, record, ballot, gate)
            said += [("E_WEBAUTHN", INVALID, what)] if what else []
        for code, verdict, what in said:
            self.find(code, place, what, verdict)
        whole = evidence is not None and enrolment is not None
        if not whole or any(verdict != VALID for _, verdict, _ in said):
            return "operator", False
        return "webauthn", not enrolment.backup_eligible

    def judge_assertion(self, data, enrolment, record, ballot, gate):
        """H20: what is wrong with an assertion, or None."""
        try:
            if len(data) > ASSERTION_BYTES:
                return "the assertion is too large"
            assertion = assertion_record(parse_artifact(data), "assertion")
            client = parse_document(assertion.client_data, CLIENT_DATA_BYTES)
        except (JsonRefused, Broken) as error:
            return f"the assertion or its client data cannot be read: {error}"
        challenge = to_base64url(decision_digest(record, ballot, gate))
        if not isinstance(client, dict) or (client.get("type"), client.get("challenge")) != ("webauthn.get", challenge):
            return "the authenticator was asked about something else"
        if client.get("origin") not in self.party.origins:
            return "the authenticator was asked on a page of somebody else"
        if client.get("crossOrigin", False) is not False or "topOrigin" in client:
            return "the authenticator was asked on a page inside another"
        named = (assertion.entry_digest, assertion.credential_id)
        if named != (ballot.directory_entry, enrolment.credential_id) or enrolment.relying_party_id != self.party.id:
            return "the assertion is by another key, or for another relying party"
        what = self.judge_authenticator(assertion.authenticator_data, enrolment)
        if what:
            return what
        message = assertion.authenticator_data + hashlib.sha256(assertion.client_data).digest()
        return None if enrolment.key.verify(message, assertion.signature) else "the signature does not verify"

    def judge_authenticator(self, data, enrolment):
        """H13."""
        if len(data) < 37 or data[:32] != self.party.id_hash:
            return "the authenticator signed for another relying party"
        present, verified, eligible, backed_up, attested, extended = (bool(data[32] >> bit & 1) for bit in (0, 2, 3, 4, 6, 7))
        if not present or not verified:
            return "the authenticator did not make sure that its owner was there"
        if eligible != enrolment.backup_eligible or backed_up and not eligible:
            return "the key is not bound to its device as it was enrolled"
        if attested or extended != (len(data) > 37):
            return "the authenticator data is not that of an assertion"
        return None

    def judge_enrolment(self, enrolment, envelope, record, ballot, gate):
        """H21 to H23: what is to be said; the first that applies."""
        invalid, unknown = (lambda what: [("E_DIRECTORY", INVALID, what)]), (lambda what: [("E_DIRECTORY", INCONCLUSIVE, what)])
        if enrolment is None:
            return invalid("the enrolment cannot be read")
        whose = (enrolment.tenant_id, enrolment.log_origin, enrolment.person_id)
        if whose != (record.tenant_id, record.log_origin, record.actor.id):
            return invalid("the enrolment is another person's, or of another tenant or log")
        message = pae(ENROLMENT_TYPE, envelope.payload)
        signers = [(self.of.ring.get(claimed), signature) for claimed, signature in envelope.signatures]
        good = [signer for signer, signature in signers if signer and signer.key.verify(message, signature)]
        known = {key.id for key in self.directory}
        ours = [signer for signer in good if signer.id in known]
        if not ours:
            other = [("E_KEY_ROLE", INVALID, "a key signed the enrolment that is not one of this directory")]
            return other if good else invalid("no key of the directory signed the enrolment")
        enrolled = [
            artifact
            for artifact in self.of.governance.chain
            if artifact.record.event == "enrolled"
            and (artifact.record.detail.entry_digest, artifact.record.detail.person_id)
            == (ballot.directory_entry, record.actor.id)
        ]
        came = [self.came_before(artifact, gate) for artifact in enrolled]
        if True not in came:
            if not came or None in came:
                return unknown("it is not proved that the enrolment was recorded before the gate opened")
            return invalid("the enrolment was not recorded before the gate opened")
        recorded = enrolled[len(came) - 1 - came[::-1].index(True)]
        if self.was_revoked(recorded, record, ballot):
            return invalid("the enrolment was revoked before")
        limits = next((each.limits for each in ours if not each.limits.has_limits()), ours[0].limits)
        return [(code, VERDICT_OF[code], what) for code, what in judge_key(limits, recorded.index)]

    def came_before(self, artifact, gate):
        """H22: whether a record came before the gate opened; None if nothing shows it."""
        if artifact.record.issued_at > gate.opening.issued_at:
            return False
        if not self.trust.log.logs:
            return True
        opened = next(each.index for each in self.of.chain if each.record is gate.opening)
        return None if artifact.index is None or opened is None else artifact.index < opened

    def was_revoked(self, recorded, record, ballot):
        """H23."""
        for artifact in self.of.governance.chain:
            revocation = artifact.record
            follows = revocation.sequence > recorded.record.sequence and revocation.event == "enrolment_revoked"
            if not follows or revocation.detail.entry_digest != ballot.directory_entry:
                continue
            anchored = record.anchor and artifact.index is not None and artifact.index < record.anchor.size
            if revocation.issued_at < record.issued_at or anchored:
                return True
        return False


class Release:
    """§16: from when a grant may be used."""

    def __init__(self, verifier):
        self.of, self.witnesses = verifier, 0
        self.waited_for = text = verifier.governance.read_definition("release", "committed")
        match = re.fullmatch(r"sequenced|witnessed\(([1-9]|1[0-6])\)", text or "")
        self.holds_back = match is not None
        if not match and text != "committed":
            self.waited_for = None
        if match and match.group(1):
            self.witnesses = int(match.group(1))

    def check(self):
        """V63, V64."""
        if not self.holds_back:
            return
        require, places, granted = self.of.trust.require, {}, {}
        places = {artifact.record.sequence: artifact.index for artifact in self.of.chain}
        for record in self.of.folded:
            terms = getattr(record.detail, "grant", None)
            if terms is not None:
                granted[terms.id] = places[record.sequence]
            if record.event != "consumed":
                continue
            place, index = f"artifact {record.sequence}", granted.get(record.detail.grant_id)
            size = record.anchor.size if record.anchor else 0
            if size == 0 or index is not None and size <= index:
                self.of.find("E_ANCHOR", place, "its anchor does not hold its grant")
            if self.witnesses and require and require.witnessed > 0:
                if self.seen_by(record.anchor) < min(self.witnesses, require.witnessed):
                    self.of.find("E_REQUIRE", place, "too few witnesses have cosigned the tree of its grant")

    def seen_by(self, anchor):
        """V64."""
        tree = (anchor.size, bytes.fromhex(anchor.root)) if anchor else None
        return max((len(cosigned) for seen, cosigned in self.of.seen if seen == tree), default=0)


PARENTS_MAX = 16  # V65


class Contradicted(Exception):
    """V67: what a parent is, which cannot be."""


class Parents:
    """§17: the executions on whose behalf this one ran."""

    def __init__(self, verifier, places):
        self.of, self.places, self.files, self.looked = verifier, places, verifier.files, set()

    def check(self):
        """V65."""
        child = self.of.folded[0] if self.of.folded else None
        count = 0
        while child is not None and child.detail.parent is not None:
            parent = child.detail.parent
            place, count = f"parents/{parent.instance_id}", count + 1
            if count > PARENTS_MAX:
                self.of.find("E_REQUESTER", place, "more parents than a verifier follows", INCONCLUSIVE)
                break
            self.looked.add(parent.instance_id)
            try:
                child = self.proved(child, parent)
            except Refused as refused:
                self.of.find("E_REQUESTER", place, str(refused), INCONCLUSIVE)
                break
            except Contradicted as contradicted:
                self.of.find("E_REQUESTER", place, str(contradicted), INVALID)
                break
        named = re.compile(r"parents/([^/]*)/(artifacts/[0-9]{6}\.dsse\.json|proofs/[0-9]{6}\.tlog-proof)")
        for path in sorted(self.files):
            match = named.fullmatch(path)
            if path.startswith("parents/") and not (match and match.group(1) in self.looked):
                self.of.find("N_UNAUTH", path, "it belongs to no execution on whose behalf this one ran")

    def proved(self, child, parent):
        """V66, V67: returns the first artifact of the parent's chain."""
        fold, first, before = Fold(), None, None
        for number in range(ARTIFACTS_MAX):
            record = self.read(parent.instance_id, number, first or child)
            if first is not None and record.workflow != first.workflow:
                raise Refused("E_REQUESTER", "an artifact of the parent is of another workflow version")
            if record.prev_artifact_hash != (before.hash if before else None):
                raise Contradicted("the artifacts of the parent do not follow one another")
            if fold.judge(record):
                raise Contradicted("an artifact of the parent breaks the rules")
            first, before = first or record, record
            if record.hash == parent.artifact_hash:
                break
            if fold.state in FINAL:
                raise Contradicted("the chain of the parent has ended without the artifact that is named")
        else:
            raise Refused("E_REQUESTER", "the artifact that is named is not there")
        above, below = first.detail.requester, child.detail.requester
        if len(below) <= len(above) or below[: len(above)] != above:
            raise Contradicted("the requesters do not go on from those of the parent")
        return first

    def read(self, instance, number, like):
        """V66: one artifact of a parent, or what is not proved of it."""
        path = f"parents/{instance}/artifacts/{number:06}.dsse.json"
        if path not in self.files:
            raise Refused("E_REQUESTER", f"`{path}` is not there")
        said = []
        artifact = Artifact(path, path)
        self.of.read_signed(artifact, read_statement, lambda code, *_: said.append(code))
        record = artifact.record
        if record is None:
            raise Refused("E_REQUESTER", f"`{path}` is not authentic, or cannot be read")
        artifact.prefer()
        self.place(artifact, instance, number)
        self.of.check_speaker(artifact, lambda code, *_: said.append(code))
        same = (record.sequence, record.instance_id, record.tenant_id, record.log_origin)
        if same != (number, instance, like.tenant_id, like.log_origin) or record.semantics_digest != SEMANTICS:
            raise Refused("E_REQUESTER", f"`{path}` is not an artifact of that execution, or of unknown rules")
        if any(VERDICT_OF[code] != VALID for code in said):
            raise Refused("E_REQUESTER", f"`{path}` was not signed by a key that may")
        limits, index = artifact.signer.limits, artifact.index
        if limits.has_limits():
            until = [each for each in (limits.valid_until, limits.compromised_from) if each is not None]
            if index is None or index < (limits.valid_from or 0) or any(index >= each for each in until):
                raise Refused("E_REQUESTER", f"`{path}` has no place at which its key counts")
        return record

    def place(self, artifact, instance, number):
        """V66: the place of a parent's artifact, from the mirror or from a proof to the newest tree."""
        record = artifact.record
        leaves = self.places.chains.get((1, record.instance_tag)) if self.of.mirror else None
        place, found = leaves.first.get(record.sequence, (None, None)) if leaves else (None, None)
        for signer in artifact.signers:
            if found is not None and leaf_of(record, signer.id) == found:
                artifact.index, artifact.signer = place, signer
                return
        content = self.files.get(f"parents/{instance}/proofs/{number:06}.tlog-proof")
        if content is None or self.places.newest is None:
            return
        try:
            proof = LogProof(content)
        except Refused:
            return
        if proof.note.tree != self.places.newest or not self.places.good(proof.note_bytes, proof.note):
            return
        for signer in artifact.signers:
            if proof.leads(leaf_of(record, signer.id)):
                artifact.index, artifact.signer = proof.index, signer
                return


RECEIPTS_MAX, RECEIPT_BYTES = 100_000, 128 * KIB  # V51
RECEIPTS_BYTES = 256 * MIB


def read_receipts(data):
    """V51: the envelopes of receipts."""
    lines = data.split(b"\n")
    if len(lines) > RECEIPTS_MAX + 1 or any(len(line) > RECEIPT_BYTES for line in lines):
        raise NoVerdict("more receipts, or a longer one, than the limit")
    for line in filter(None, lines):
        try:
            value = parse_document(line)
            envelope = value.get("envelope") if isinstance(value, dict) else None
            yield Envelope(canonical(envelope))
        except (JsonRefused, Refused, KeyError, TypeError) as error:
            raise NoVerdict(f"a line of the receipts is none: {error}") from None


def claimed_sequence(payload):
    """V7: the sequence that a payload claims, whoever signed it, if it reads as an artifact."""
    try:
        return read_statement(payload).sequence
    except Broken:
        return None


def read_disclosure(content):
    """C8: label, salt and plaintext; three times None if it cannot be read."""
    nothing = (None, None, None)
    try:
        value = parse_canonical(content, DISCLOSURE_BYTES)
    except JsonRefused:
        return nothing
    if not has_members(value, "label", "plaintext", "salt") or value["label"] not in LABELS:
        return nothing
    plaintext = from_base64(value["plaintext"]) if isinstance(value["plaintext"], str) else None
    if plaintext is None or len(plaintext) > PLAINTEXT_BYTES or not is_digest(value["salt"]):
        return nothing
    return value["label"], bytes.fromhex(value["salt"]), plaintext


def differs(plaintext, record, asked, action):
    """V19: returns what a policy input and its artifact disagree about, or None."""
    try:
        value = parse_document(plaintext, INPUT_BYTES)
        told = parse_document(action) if action is not None else None
    except JsonRefused:
        return "thing, which cannot be read"

    def member(*names, of=value):
        for key in names:
            of = of.get(key) if isinstance(of, dict) else None
        return of

    for what, found, sealed in (
        ("instance", member("instance", "instance_id"), record.instance_id),
        ("workflow", member("instance", "workflow_id"), record.workflow.id),
        ("workflow version", member("instance", "workflow_version"), record.workflow.version),
        ("materiality", member("instance", "materiality"), record.workflow.materiality),
        ("policy version", member("policy", "policy_version_id"), record.detail.policy.policy_version_id),
    ):
        if found != sealed:
            return what
    if member("identity", "actor_id") not in asked | {record.actor.id}:
        return "actor"
    if told is None:
        return None
    same = all(member("action", key) == member(key, of=told) for key in ("name", "target"))
    visible, parameters = member("action", "parameters"), member("parameters", of=told)
    same = same and isinstance(visible, dict) and isinstance(parameters, dict)
    if not same or any(key not in parameters or parameters[key] != shown for key, shown in visible.items()):
        return "action"
    return None


def verify_path(path, trust, mirror=None, receipts=b""):
    """Judges what lies at a path, with what stands beside it: V1."""
    try:
        files = read_bundle(path)
    except Refused as refused:
        verifier = Verifier({}, trust)
        verifier.find(refused.code, "bundle", str(refused))
        return verifier
    return Verifier(files, trust, mirror, receipts).run()


# -------------------------------------------------------------------------------------------------------------- window

WINDOW_TYPE = "https://gantral.dev/window/v1"
WINDOW_STATEMENT, WINDOW_LIST = "window.dsse.json", "instances.json"  # X1
WINDOW_MAX = 100_000  # X2
window_record = closed(
    **{"from": instant},
    anchor=null_or(closed(root=digest, size=integer(0))),
    artifact_version=keep,
    blind=digest,
    count=integer(0),
    crit=list_of(name, 0),
    ext=keep,
    filter=closed(state=null_or(word(*STATES)), team=null_or(name), workflow=null_or(name)),
    instances_digest=digest,
    issued_at=instant,
    log_origin=tenant_name,
    tenant_id=tenant_name,
    to=instant,
)
window_entry = closed(head_hash=digest, instance_id=uuid_of(DATED), sequence=integer(0))


def read_window(payload):
    """X3, X4: reads a signed payload as the statement of a window."""
    record, found = read_typed(payload, WINDOW_TYPE, window_record)
    record.begins, record.sequence = getattr(record, "from"), None  # it stands in no chain
    subject = {"digest": {"sha256": record.instances_digest}, "name": f"urn:gantral:tenant:{record.tenant_id}"}
    if found != [subject]:
        raise Broken("the subject disagrees with the tenant or the list", "E_SCHEMA")
    if not record.begins < record.to <= record.issued_at:
        raise Broken("the window has no time, or was not over when the statement was made", "E_SCHEMA")
    return record


def read_window_list(data):
    """X2: the instances of a window, by rising id."""
    try:
        value = parse_canonical(data, LIST_BYTES)
        if not has_members(value, "format", "instances") or value["format"] != "gantral/instances/v1":
            raise wrong("the format")
        entries = list_of(window_entry, WINDOW_MAX)(value["instances"], "instances")
    except (JsonRefused, Broken) as error:
        raise Refused("E_CONTAINER", f"`{WINDOW_LIST}` is no list of instances: {error}") from None
    ids = [entry.instance_id for entry in entries]
    if any(one >= next_one for one, next_one in zip(ids, ids[1:])):
        raise Refused("E_CONTAINER", f"`{WINDOW_LIST}` is not in ascending order")
    return entries


def read_beside(root, file, most):
    """Reads at most one byte more than a file of a window may have; None if there is no such file."""
    try:
        with open(os.path.join(root, file), "rb") as opened:
            return opened.read(most + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NoVerdict(f"cannot read `{file}`: {error.strerror}") from None


class Window:
    """One run over one window: `window.md` §3."""

    def __init__(self, root, trust):
        self.root, self.trust, self.findings = root, trust, []
        self.statement, self.bundles, self.artifacts = None, 0, 0

    @staticmethod
    def is_at(path):
        """X1: says whether a path is a window and not a bundle."""
        return os.path.isfile(os.path.join(path, WINDOW_STATEMENT))

    def find(self, instance, code, what, verdict=None, place=None):
        place = place or ("bundle" if instance else "window")
        self.findings.append((instance, code, verdict or VERDICT_OF[code], place, what))

    def run(self):
        """Fills the findings. One bundle at a time is in memory."""
        try:
            statement, notes = self.authentic()
            entries = self.listed(statement)
        except Refused as refused:
            self.find(None, refused.code, str(refused))
            return self
        self.statement = statement
        for code, what in notes:
            self.find(None, code, what)
        if self.trust.require is None:
            self.find(None, "E_NO_REQUIRE", "the trust file does not say what is required")  # X9
        for entry in entries:
            self.check(entry)
        self.findings.sort(key=lambda found: (found[0] or "", found[1], found[3:]))
        return self

    def keys(self):
        """X5.1: the delegations beside the statement."""
        folder = os.path.join(self.root, "keys")
        if not os.path.isdir(folder):
            return {}
        try:
            files = {f"keys/{path}": content for path, content in read_directory(folder).items()}
            check_paths(files)
        except Refused as refused:
            raise Refused("E_CONTAINER", f"the files under `keys/` are none of a bundle: {refused}") from None
        except OSError as error:
            raise NoVerdict(f"cannot read `{folder}`: {error.strerror}") from None
        return files

    def authentic(self):
        """X5.1 to X5.4: the statement, and what is noted of it."""
        files = self.keys()
        files[WINDOW_STATEMENT] = read_beside(self.root, WINDOW_STATEMENT, ENVELOPE_BYTES)
        if files[WINDOW_STATEMENT] is None:
            raise NoVerdict(f"cannot read `{WINDOW_STATEMENT}`")
        Envelope(files[WINDOW_STATEMENT])
        if self.trust is None:
            raise Refused("E_NO_TRUST", "there is no trust file, so nobody's signature is believed")
        said, reader = [], Verifier(files, self.trust)
        reader.ring = keyring(self.trust, files)
        artifact = Artifact(WINDOW_STATEMENT, WINDOW_STATEMENT)
        reader.read_signed(artifact, read_window, lambda code, _, what: said.append((code, what)))
        if artifact.aside:
            raise Refused(*artifact.aside)
        notes = list(said)
        if artifact.record:
            artifact.prefer()
            reader.check_speaker(artifact, lambda code, _, what: said.append((code, what)))
            self.check_size(artifact, said)
        for code, what in said:
            if VERDICT_OF[code] != VALID:
                raise Refused(code, what)
        return artifact.record, notes

    @staticmethod
    def check_size(artifact, said):
        """X5.4: what the limits of the key are to a statement, which has no place in the log."""
        limits, anchor = artifact.signer.limits, artifact.record.anchor
        if limits.compromised_from is not None:
            said.append(("E_KEY_COMPROMISED", "its key was compromised, and nothing shows that this was later"))
        if limits.valid_until is not None and limits.valid_until <= (anchor.size if anchor else 0):
            said.append(("E_KEY_WINDOW", "its key was retired by then"))

    def listed(self, statement):
        """X5.5: the entries of the list."""
        data = read_beside(self.root, WINDOW_LIST, LIST_BYTES)
        if data is None or sha256(data) != statement.instances_digest:
            raise Refused("E_CONTAINER", f"`{WINDOW_LIST}` is not there, or not the list that was signed")
        entries = read_window_list(data)
        if len(entries) != statement.count:
            raise Refused("E_CONTAINER", f"`{WINDOW_LIST}` has another number of instances than was signed")
        return entries

    def check(self, entry):
        """X6: one instance of the list."""
        path = self.bundle_of(entry.instance_id)
        if path is None:
            self.find(entry.instance_id, "E_COMPLETENESS_UNPROVED", "its bundle is not there")
            return
        verifier = verify_path(path, self.trust)
        for code, verdict, place, what in verifier.findings:
            self.find(entry.instance_id, code, what, verdict, place)
        chain = verifier.folded
        if not chain:
            return
        self.bundles, self.artifacts = self.bundles + 1, self.artifacts + len(chain)
        self.compare(entry, chain, verifier.verdict())

    def bundle_of(self, instance):
        """X1: where the bundle of an instance is; None if it is not there. A folder without any file is none."""
        folder = os.path.join(self.root, instance)
        if os.path.isfile(folder + ".gantral"):
            return folder + ".gantral"
        if not os.path.isdir(folder):
            return None
        for at, folders, files in os.walk(folder, onerror=self.unreadable):
            if files or any(os.path.islink(os.path.join(at, name)) for name in folders):
                return folder
        return None

    @staticmethod
    def unreadable(error):
        raise NoVerdict(f"cannot read `{error.filename}`: {error.strerror}")

    def compare(self, entry, chain, verdict):
        """X6: the chain of a bundle with what the list and the statement say of it."""
        first, said = chain[0], self.statement
        if first.instance_id != entry.instance_id:
            self.find(entry.instance_id, "E_MIXED", "the bundle is that of another execution")
            return
        belongs = (first.tenant_id, first.log_origin) == (said.tenant_id, said.log_origin)
        if not belongs or not said.begins <= first.issued_at < said.to:
            self.find(entry.instance_id, "E_MIXED", "not of the tenant, the log and the time of the window")
        if entry.sequence >= len(chain):
            weight = INVALID if verdict == VALID else INCONCLUSIVE
            self.find(entry.instance_id, "E_TRUNCATED", "the chain ends before the artifact that is listed", weight)
        elif chain[entry.sequence].hash != entry.head_hash:
            self.find(entry.instance_id, "E_FORK", "the chain does not hold the artifact that is listed")

    def verdict(self):
        """X7."""
        verdicts = {verdict for _, _, verdict, _, _ in self.findings}
        return next((verdict for verdict in (INVALID, INCONCLUSIVE) if verdict in verdicts), VALID)


# -------------------------------------------------------------------------------------------------------------- report


def harmless(text):
    """V24: content can neither move the cursor nor forge a line."""
    return "".join(c if c.isprintable() and is_clean(c) and ord(c) < 0x590 else f"\\u{{{ord(c):x}}}" for c in text)


BELIEVED = {  # H9
    "development": "The identities of those who decided come from a development issuer: anybody could have had them.",
    "operator": "Who decided is the word of the server, which vouches for the tokens that it checked.",
    "webauthn": "The approvers' own devices signed; that these are theirs is the word of the directory.",
}


def not_proved(verifier):
    """V24: what the verdict does not say, one line each."""
    yield NOT_PROVED
    if verifier.assurance is None:
        return
    if verifier.mirror is None:
        yield "Without a mirror of the log, another chain beside this one, a hidden execution and a cut end cannot be excluded."
    if verifier.assurance["human_evidence"]:
        yield BELIEVED[verifier.assurance["human_evidence"]]
    governance = verifier.assurance["governance"]
    if governance["unchecked"] or governance["unnamed"]:
        yield "Not every consumption could be compared with the governance chain: whether something was frozen then, and whether \
its policy was the one in force, is the issuer's word."
    if governance["erased"]:
        yield f"{governance['erased']} commitments were erased by right, as the governance chain says: nobody can open them."
    for key in governance["doubted_keys"]:
        yield f"The governance chain takes the key {key} back before a place at which it signed; your trust file does not."


EPOCH = datetime.datetime(1970, 1, 1)


def happened(verifier):
    """What was verified, one line each."""
    for record in verifier.folded:
        at = record.issued_at // 1000
        clock = f"{EPOCH + datetime.timedelta(seconds=at):%Y-%m-%dT%H:%M:%SZ}"
        yield f"{record.sequence:6}  {clock}  {record.event:<18} {record.actor.kind} {record.actor.id[:24]}"


def report_text(verifier):
    lines = [verifier.verdict(), "", f"scope: {verifier.scope or 'unknown'}"]
    lines += [f"{key}: {value}" for key, value in (verifier.assurance or {}).items()]
    lines += ["", "Findings:"] if verifier.findings else []
    lines += [f"  {code}  {place}: {what}" for code, _, place, what in verifier.findings]
    lines += ["", "What happened, as far as it was verified:", *happened(verifier)] if verifier.folded else []
    lines += ["", "What this does not prove:", *(f"  {line}" for line in not_proved(verifier))]
    return "\n".join(harmless(line) for line in lines) + "\n"


def report_json(verifier):
    findings = [
        {"code": code, "message": what, "place": place, "verdict": verdict}
        for code, verdict, place, what in verifier.findings
    ]
    report = {
        "assurance": verifier.assurance,
        "codes": verifier.codes(),
        "findings": findings,
        "not_proved": list(not_proved(verifier)),
        "scope": verifier.scope,
        "verdict": verifier.verdict(),
    }
    return json.dumps(report, indent=2, sort_keys=True) + "\n"


WINDOW_NOT_PROVED = (  # X8
    "That no other execution was left out: the issuer says so, and only a mirror of the log can decide it, by a monitor.",
    NOT_PROVED,
)


def instant_text(milliseconds):
    """A4: the text of an instant."""
    at = EPOCH + datetime.timedelta(milliseconds=milliseconds)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03}Z"


def window_not_proved(window):
    """X8: what the verdict does not say, one line each."""
    yield from WINDOW_NOT_PROVED
    said = window.statement and window.statement.filter
    if said and (said.state, said.team, said.workflow) != (None, None, None):
        yield "That these executions, and no others, fit the filter: the issuer says so, and no leaf of the log can show it."


def window_said(window):
    """What the issuer says; None if nobody who is trusted vouches for it."""
    said = window.statement
    return said and {
        "count": said.count,
        "from": instant_text(said.begins),
        "issued_at": instant_text(said.issued_at),
        "log_origin": said.log_origin,
        "state": said.filter.state,
        "team": said.filter.team,
        "tenant_id": said.tenant_id,
        "to": instant_text(said.to),
        "workflow": said.filter.workflow,
    }


def window_text(window):
    lines = [window.verdict(), ""]
    lines += [f"{key}: {value}" for key, value in (window_said(window) or {}).items() if value is not None]
    lines += [f"verified: {window.bundles} bundles, {window.artifacts} artifacts"]
    lines += ["", "Findings:"] if window.findings else []
    for instance, code, _, place, what in window.findings:
        lines.append(f"  {code}  {instance + ', ' if instance else ''}{place}: {what}")
    lines += ["", "What this does not prove:", *(f"  {line}" for line in window_not_proved(window))]
    return "\n".join(harmless(line) for line in lines) + "\n"


def window_json(window):
    """The members of the report that `gantral-verify` gives of a window."""
    findings = [
        {
            "at_fault": PARTY_OF.get(code, "issuer"),
            "code": code,
            "instance_id": instance,
            "message": what,
            "weight": "NOTE" if verdict == VALID else verdict,
            "where": place,
        }
        for instance, code, verdict, place, what in window.findings
    ]
    report = {
        "artifacts": window.artifacts,
        "bundles": window.bundles,
        "codes": sorted({code for _, code, *_ in window.findings}),
        "findings": findings,
        "not_proved": list(window_not_proved(window)),
        "verdict": window.verdict(),
        "window": window_said(window),
    }
    return json.dumps(report, indent=2, sort_keys=True) + "\n"


def read_file(path, most):
    try:
        with open(path, "rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise NoVerdict(f"cannot read `{path}`: {error.strerror}") from None
    if len(data) > most:
        raise NoVerdict(f"`{path}` is larger than its limit")
    return data


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Judges a Gantral bundle or a window of them, offline.")
    what = "a *.gantral file, or a directory with the same content; or a window, a directory with `window.dsse.json`"
    parser.add_argument("bundle", metavar="BUNDLE", help=what)
    parser.add_argument("--trust", metavar="FILE", help="whom you believe and what you require; never from the bundle")
    parser.add_argument("--mirror", metavar="DIR", help="the whole log: `checkpoint` and `tile/entries`")
    parser.add_argument("--receipts", metavar="FILE", help="answers that you kept, one a line")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    try:
        options = parser.parse_args(arguments)
        trust = Trust(read_file(options.trust, TRUST_BYTES)) if options.trust else None
        if Window.is_at(options.bundle):
            if options.mirror or options.receipts:
                raise NoVerdict("a window is compared with a log by a monitor, which reads the log once: give one bundle")
            judged, as_json, as_text = Window(options.bundle, trust).run(), window_json, window_text
        else:
            receipts = read_file(options.receipts, RECEIPTS_BYTES) if options.receipts else b""
            judged = verify_path(options.bundle, trust, options.mirror, receipts)
            as_json, as_text = report_json, report_text
    except SystemExit as ended:
        return 3 if ended.code else 0
    except NoVerdict as error:
        print(f"error: {error}", file=sys.stderr)
        return 3
    sys.stdout.write(as_json(judged) if options.json else as_text(judged))
    return {VALID: 0, INVALID: 1, INCONCLUSIVE: 2}[judged.verdict()]


if __name__ == "__main__":
    sys.exit(main())
