"""Mutations of bytes that know nothing of what the bytes mean."""

import random
from collections.abc import Sequence

from tests.core.otlp_strategies import varint

NUMBERS = (0, 1, 0x7F, 0x80, 2**14, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)
HARD_PIECES = (
    *(varint(number) for number in NUMBERS),
    b"\xff" * 11,
    b"\x0a",
    b"\x12",
    b"\x4a",
    b"\x0b",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    "é€𝄞".encode(),
)


def blindly(content: bytes, rng: random.Random, seeds: Sequence[bytes], pieces: Sequence[bytes] = HARD_PIECES) -> bytes:
    """Return the bytes flipped, cut, repeated, overwritten with `pieces`, or spliced with a seed, a few times."""
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        content = rng.choice(_BLIND)(content, rng, seeds, pieces)
    return content


def _flip(body: bytes, rng: random.Random, seeds: Sequence[bytes], pieces: Sequence[bytes]) -> bytes:
    at = rng.randrange(len(body) + 1)
    return body[:at] + bytes([byte ^ 1 << rng.randrange(8) for byte in body[at : at + 1]]) + body[at + 1 :]


def _overwrite(body: bytes, rng: random.Random, seeds: Sequence[bytes], pieces: Sequence[bytes]) -> bytes:
    at, piece = rng.randrange(len(body) + 1), rng.choice(pieces)
    return body[:at] + piece + body[at + len(piece) :]


def _insert(body: bytes, rng: random.Random, seeds: Sequence[bytes], pieces: Sequence[bytes]) -> bytes:
    at = rng.randrange(len(body) + 1)
    return body[:at] + rng.choice(pieces) + body[at:]


def _cut(body: bytes, rng: random.Random, seeds: Sequence[bytes], pieces: Sequence[bytes]) -> bytes:
    return body[: rng.randrange(len(body) + 1)]


def _leave_out(body: bytes, rng: random.Random, seeds: Sequence[bytes], pieces: Sequence[bytes]) -> bytes:
    at = rng.randrange(len(body) + 1)
    return body[:at] + body[at + rng.randrange(1, 20) :]


def _repeat(body: bytes, rng: random.Random, seeds: Sequence[bytes], pieces: Sequence[bytes]) -> bytes:
    at, size = rng.randrange(len(body) + 1), rng.randrange(1, 60)
    return body[: at + size] + body[at:]


def _splice(body: bytes, rng: random.Random, seeds: Sequence[bytes], pieces: Sequence[bytes]) -> bytes:
    other = rng.choice(seeds)
    return body[: rng.randrange(len(body) + 1)] + other[rng.randrange(len(other) + 1) :]


_BLIND = (_flip, _flip, _overwrite, _insert, _cut, _leave_out, _repeat, _splice)
