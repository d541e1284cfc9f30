"""Attributes that must not be stored: dropped, hashed or masked in the bytes of a request, before anything reads them.

    OTLP protobuf -> OTLP protobuf        called by `receive.intake`, in front of the decoder

A request in which no key of a rule occurs costs one search per rule. Else the spans in which one occurs are written
anew, and no others. What cannot be read is refused: it might hold what was to be kept out.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from collector.core.formats.protobuf import sized, varint
from cpdd.errors import CpddError
from cpdd.settings import SettingsError

Action = Literal["drop", "hash", "mask"]
ACTIONS: Final[tuple[Action, ...]] = ("drop", "hash", "mask")
MASK: Final = b"***"
_EXAMPLE = "write for instance: drop http.request.header.*, hash enduser.id, mask db.query.text"


@dataclass(frozen=True, slots=True)
class Rule:
    """What is done with attributes of a name."""

    action: Action
    key: bytes
    """Its name, or how it begins."""
    is_prefix: bool = False

    def matches(self, key: bytes) -> bool:
        return key.startswith(self.key) if self.is_prefix else key == self.key


class UnreadableForRedaction(CpddError):
    """A request that holds the name of an attribute that is kept out, and cannot be read."""

    def __init__(self, offset: int) -> None:
        self.offset = offset
        super().__init__(
            f"malformed protobuf at byte {offset}, in a message with an attribute that is not to be stored"
        )


def parse_rules(text: str, place: str = "redact") -> tuple[Rule, ...]:
    """Return the rules of a text such as `drop http.request.header.*, hash enduser.id`; the first that matches counts.

    Raises:
        SettingsError

    >>> parse_rules("mask db.*")
    (Rule(action='mask', key=b'db.', is_prefix=True),)
    """
    return tuple(_rule(part.strip(), place) for part in text.split(",") if part.strip())


def _rule(text: str, place: str) -> Rule:
    action, _, key = text.partition(" ")
    key = key.strip()
    if action not in ACTIONS:
        raise SettingsError(f"{text!r} does not begin with {', '.join(ACTIONS)}", place, _EXAMPLE)
    if not key or " " in key or "*" in key[:-1] or key == "*":
        raise SettingsError(
            f"{key!r} is no name of an attribute, nor a beginning of one with * behind it", place, _EXAMPLE
        )
    is_prefix = key.endswith("*")
    return Rule(action, key.removesuffix("*").encode(), is_prefix)


@dataclass(frozen=True, slots=True)
class Redaction:
    """Rules, and the secret without which a hash cannot be found by trying."""

    rules: Sequence[Rule]
    secret: bytes

    def apply(self, body: bytes) -> bytes:
        """Return a request of OTLP protobuf without what the rules keep out.

        Raises:
            UnreadableForRedaction
        """
        if not self._occurs(body, 0, len(body)):
            return body
        changed = self._message(body, 0, len(body), _REQUEST)
        return body if changed is None else changed

    def _occurs(self, body: bytes, begin: int, end: int) -> bool:
        return any(body.find(rule.key, begin, end) >= 0 for rule in self.rules)

    def _message(self, body: bytes, begin: int, end: int, shape: "_Shape") -> bytes | None:
        """The message between these offsets, None where it stays as it is."""
        parts: list[bytes] = []
        copied = at = begin
        while at < end:
            field_at = at
            tag, at = _varint(body, at, end)
            number, wire = tag >> 3, tag & 7
            if wire != _SIZED:
                at = _skipped(body, at, end, wire)
                continue
            size, content_at = _varint(body, at, end)
            at = content_at + size
            if at > end:
                raise UnreadableForRedaction(field_at)
            below = shape.get(number)
            if below is None or not self._occurs(body, content_at, at):
                continue
            changed = (
                self._attribute(body, content_at, at)
                if below is _ATTRIBUTE
                else self._message(body, content_at, at, below)
            )
            if changed is None:
                continue
            parts.append(body[copied:field_at])
            if changed is not _DROPPED:
                parts.append(sized(varint(tag), changed))
            copied = at
        if copied == begin:
            return None
        parts.append(body[copied:end])
        return b"".join(parts)

    def _attribute(self, body: bytes, begin: int, end: int) -> bytes | None:
        """A KeyValue as it may be stored, `_DROPPED`, or None where no rule is about it."""
        keys, value = [b""], b""
        at = begin
        while at < end:
            tag, at = _varint(body, at, end)
            if tag & 7 != _SIZED:
                at = _skipped(body, at, end, tag & 7)
                continue
            size, at = _varint(body, at, end)
            if at + size > end:
                raise UnreadableForRedaction(at)
            if tag >> 3 == 1:
                keys.append(body[at : at + size])
            elif tag >> 3 == 2:
                value += body[at : at + size]  # a message that comes in pieces is their sum
            at += size
        # Readers take the last key; whoever writes a second one may mean another.
        rule = next((rule for rule in self.rules for key in keys[1:] if rule.matches(key)), None)
        if rule is None:
            return None
        if rule.action == "drop":
            return _DROPPED
        text = MASK if rule.action == "mask" else self._hash(value)
        return sized(b"\x0a", keys[-1]) + sized(b"\x12", sized(b"\x0a", text))

    def _hash(self, value: bytes) -> bytes:
        """The same for the same value, type included."""
        return b"hash:" + hmac.digest(self.secret, value, hashlib.sha256)[:8].hex().encode()


_Shape: TypeAlias = "Mapping[int, _Shape]"
"""Fields of a message that hold attributes, or messages that do."""
_SIZED = 2
_FIXED = {1: 8, 5: 4}
_DROPPED: Final = bytes(bytearray(b"dropped"))
"""Compared by identity."""
_ATTRIBUTE: Final[_Shape] = {-1: {}}
_EVENT: Final[_Shape] = {3: _ATTRIBUTE}
_LINK: Final[_Shape] = {4: _ATTRIBUTE}
_SPAN: Final[_Shape] = {9: _ATTRIBUTE, 11: _EVENT, 13: _LINK}
_SCOPE_SPANS: Final[_Shape] = {1: {3: _ATTRIBUTE}, 2: _SPAN}
_REQUEST: Final[_Shape] = {1: {1: {1: _ATTRIBUTE}, 2: _SCOPE_SPANS}}


def _varint(body: bytes, at: int, end: int) -> tuple[int, int]:
    """A number and the offset behind it."""
    value = shift = 0
    begin = at
    while at < end and shift < 70:
        byte = body[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise UnreadableForRedaction(begin)


def _skipped(body: bytes, at: int, end: int, wire: int) -> int:
    """The offset behind a field that is no message."""
    if wire == 0:
        return _varint(body, at, end)[1]
    if wire not in _FIXED or at + _FIXED[wire] > end:
        raise UnreadableForRedaction(at)
    return at + _FIXED[wire]
