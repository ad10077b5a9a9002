"""Strict JSON with exact numbers, and its one canonical spelling: `spec/json.md`.

Comments name the rule that a line obeys. Numbers are read as `int` where they are whole and as `Decimal` where they are
not, never as doubles.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

SAFE_INTEGER = (1 << 53) - 1  # J7
ARTIFACT_BYTES, ARTIFACT_DEPTH = 64 << 10, 16  # J2
DOCUMENT_BYTES, DOCUMENT_DEPTH = 1 << 20, 64  # J2
NUMBER_CHARACTERS, NUMBER_POWER = 256, 512  # J6
# More bits than any number of J6 has; converting longer ones would take quadratic time.
INTEGER_BITS_MAX = 2_000

NUMBER = re.compile(r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?")
PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
SPACE = re.compile(r"[ \t\n\r]*")
UNIT = re.compile(r"\\u([0-9a-fA-F]{4})")
ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
SHORT = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}
ESCAPED = re.compile(r'["\\\x00-\x1f]')
UNCLEAN = re.compile(  # J9
    "[\u0000-\u001f\u007f-\u009f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u180e\u200b-\u200d"
    "\u2060-\u2064\ufeff\U000e0000-\U000e007f\ufdd0-\ufdef"
    + "".join(f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(17))
    + "]"
)


class JsonRefused(ValueError):
    """A text that is not JSON of its profile, or a value that is not JSON at all.

    `kind` is a row of J14: `limit`, `spelling`, `text` or `syntax`.
    """

    def __init__(self, kind: str, what: str) -> None:
        super().__init__(what)
        self.kind = kind


def is_clean(text: str) -> bool:
    """Tells whether a text is clean (J9)."""
    return not UNCLEAN.search(text) and unicodedata.is_normalized("NFC", text)


def normal_number(text: str) -> str:
    """Returns the normal form of a number (J6, J8)."""
    match = NUMBER.fullmatch(text)
    if not match:
        raise JsonRefused("syntax", "not a number")
    sign, whole = match.group(1), match.group(2)
    fraction, exponent = match.group(3) or "", match.group(4) or "0"
    if len(text) > NUMBER_CHARACTERS:
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
        normal = stripped + "0" * (point - count)
    elif 0 < point <= 21:
        normal = f"{stripped[:point]}.{stripped[point:]}"
    elif -6 < point <= 0:
        normal = f"0.{'0' * -point}{stripped}"
    else:
        mantissa = stripped if count == 1 else f"{stripped[0]}.{stripped[1:]}"
        normal = f"{mantissa}e{'+' if point > 0 else '-'}{abs(point - 1)}"
    normal = sign + normal
    if len(normal) > NUMBER_CHARACTERS:
        raise JsonRefused("limit", "a number has too many characters")
    return normal


def read_number(text: str) -> int | Decimal:
    """Returns a number as an `int` if it is whole, else as a `Decimal`; both are exact."""
    normal = normal_number(text)
    if "." not in normal and "e" not in normal:
        return int(normal)
    value = Decimal(normal)
    return int(value) if value == value.to_integral_value() else value


class _Parser:
    """Reads one JSON text strictly: J1 to J9."""

    def __init__(self, data: bytes, largest: int, deepest: int, artifact: bool) -> None:
        if len(data) > largest:
            raise JsonRefused("limit", "larger than its limit")
        try:
            self.text = data.decode("utf-8")
        except UnicodeDecodeError:
            raise JsonRefused("syntax", "not UTF-8") from None
        if self.text.startswith("\ufeff"):
            raise JsonRefused("spelling", "begins with a byte order mark")
        self.at, self.deepest, self.artifact = 0, deepest, artifact

    def document(self) -> Any:
        self.space()
        value = self.value(0)
        self.space()
        if self.at != len(self.text):
            raise JsonRefused("spelling", "something follows the value")
        return value

    def space(self) -> None:
        match = SPACE.match(self.text, self.at)
        self.at = match.end() if match else self.at

    def peek(self) -> str:
        return self.text[self.at] if self.at < len(self.text) else ""

    def value(self, depth: int) -> Any:
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
        return self.number()

    def number(self) -> int | Decimal:
        match = NUMBER.match(self.text, self.at)
        if not match:
            raise JsonRefused("syntax", "an unexpected byte or end")
        self.at = match.end()
        text = match.group(0)
        if text in ("0", "-0") and self.peek().isdigit():
            raise JsonRefused("syntax", "a number with a leading zero")
        if not self.artifact:
            return read_number(text)
        plain = match.group(3) is None and match.group(4) is None and text != "-0"
        if not plain or len(text) > 17 or abs(int(text)) > SAFE_INTEGER:  # J7
            raise JsonRefused("spelling", "a number that is no integer within 2^53 - 1")
        return int(text)

    def enter(self, depth: int) -> None:
        if depth > self.deepest:
            raise JsonRefused("limit", "nested too deep")
        self.at += 1
        self.space()

    def object(self, depth: int) -> dict[str, Any]:
        self.enter(depth)
        members: dict[str, Any] = {}
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

    def array(self, depth: int) -> list[Any]:
        self.enter(depth)
        elements: list[Any] = []
        while self.peek() != "]" or elements:
            elements.append(self.value(depth))
            if self.more("]"):
                return elements
        self.at += 1
        return elements

    def expect(self, mark: str) -> None:
        self.space()
        if self.peek() != mark:
            raise JsonRefused("syntax", "an unexpected byte or end")
        self.at += 1
        self.space()

    def more(self, close: str) -> bool:
        """Passes a comma and says no, or passes the closing mark and says yes."""
        self.space()
        mark = self.peek()
        if mark not in (",", close) or not mark:
            raise JsonRefused("syntax", "an unexpected byte or end")
        self.at += 1
        if mark == ",":
            self.space()
        return mark == close

    def string(self) -> str:
        self.at += 1
        parts = []
        while True:
            plain = PLAIN.match(self.text, self.at)
            if plain:
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

    def escape(self) -> str:
        mark = self.text[self.at + 1 : self.at + 2]
        if mark in ESCAPES:
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

    def unit(self) -> int:
        match = UNIT.match(self.text, self.at)
        if not match:
            raise JsonRefused("syntax", "an unexpected byte or end")
        self.at = match.end()
        return int(match.group(1), 16)


def parse_document(data: bytes, largest: int = DOCUMENT_BYTES) -> Any:
    """Reads JSON of the document profile (J2). Raises `JsonRefused`."""
    return _Parser(data, largest, DOCUMENT_DEPTH, artifact=False).document()


def parse_artifact(data: bytes) -> Any:
    """Reads JSON of the artifact profile, which must be in its canonical form (J2, J12). Raises `JsonRefused`."""
    value = _Parser(data, ARTIFACT_BYTES, ARTIFACT_DEPTH, artifact=True).document()
    if canonical(value) != data:
        raise JsonRefused("spelling", "not the canonical form")
    return value


def _quoted(text: str) -> str:
    return '"' + ESCAPED.sub(lambda m: SHORT.get(m.group(0)) or f"\\u{ord(m.group(0)):04x}", text) + '"'


def _written_number(value: int | float | Decimal) -> str:
    if isinstance(value, int):
        if value.bit_length() > INTEGER_BITS_MAX:
            raise JsonRefused("limit", "a number is too large or too small")
        return normal_number(str(value))
    # The shortest digits that give the same double back are the decimal that was meant.
    text = repr(value) if isinstance(value, float) else str(value)
    if not NUMBER.fullmatch(text):
        raise JsonRefused("syntax", f"`{text}` is no number of JSON")
    return normal_number(text)


def canonical(value: Any, deepest: int = DOCUMENT_DEPTH) -> bytes:
    """Returns the one spelling of a value (J11), made of dict, list, str, int, float, Decimal, bool and None.

    Raises `JsonRefused` if it is made of anything else, or is nested deeper than `deepest`.
    """
    pieces: list[str] = []

    def write(item: Any, depth: int) -> None:
        if isinstance(item, str):
            pieces.append(_quoted(item))
        elif item is None or isinstance(item, bool):
            pieces.append({True: "true", False: "false", None: "null"}[item])
        elif isinstance(item, (int, float, Decimal)):
            pieces.append(_written_number(item))
        elif depth >= deepest:
            raise JsonRefused("limit", "nested too deep")
        elif isinstance(item, Mapping):
            _write_object(item, depth)
        elif isinstance(item, (list, tuple)):
            pieces.append("[")
            for index, element in enumerate(item):
                pieces.append("," if index else "")
                write(element, depth + 1)
            pieces.append("]")
        else:
            raise JsonRefused("syntax", f"`{type(item).__name__}` is nothing of JSON")

    def _write_object(item: Mapping[Any, Any], depth: int) -> None:
        if not all(isinstance(name, str) for name in item):
            raise JsonRefused("syntax", "the name of a member is not text")
        pieces.append("{")
        for index, name in enumerate(sorted(item, key=lambda name: name.encode("utf-16-be", "surrogatepass"))):
            pieces.append(("," if index else "") + _quoted(name) + ":")
            write(item[name], depth + 1)
        pieces.append("}")

    write(value, 0)
    try:
        return "".join(pieces).encode("utf-8")
    except UnicodeEncodeError:
        raise JsonRefused("spelling", "half of a surrogate pair") from None
