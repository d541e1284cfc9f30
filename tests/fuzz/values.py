"""Mutations of JSON values, and of texts that stand in addresses: what is disturbed stays JSON, or an address."""

import copy
import random
from collections.abc import Sequence
from typing import Any

HARD_TEXTS = (
    "",
    " ",
    "0",
    "-1",
    "1e400",
    "nan",
    "0x10",
    "9" * 25,
    "1" * 5_000,
    "\0",
    "'); DROP TABLE traces; -- \\ {x:String}",
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "a\r\nset-cookie: x=1",
    "größer 🦊",
    "\ud800",
    "\u202e",
    "%",
    "*",
    "[",
    "f" * 16,
    "f" * 32,
    "2026-02-30T25:61:61Z",
    "9999-12-31T23:59:59Z",
    "true",
    "null",
)
HARD_VALUES: tuple[Any, ...] = (
    *(text for text in HARD_TEXTS if text != "\ud800"),
    *(None, True, False, 0, 1, -1, 0.5, 1e308, 2**31, 2**53 + 1, 2**63, 2**64 - 1, -(2**63), 10**30),
    *([], {}, [[]], [None], {"": None}),
)


def disturbed(value: Any, rng: random.Random, chance: float) -> Any:
    """Return a JSON value in which about `chance` of all parts are others."""
    if rng.random() < chance:
        return rng.choice(_DISTURBANCES)(value, rng)
    match value:
        case dict():
            parts = [(name, disturbed(part, rng, chance)) for name, part in value.items()]
            if parts and rng.random() < chance:
                parts.pop(rng.randrange(len(parts)))
            if parts and rng.random() < chance:
                parts.append((str(rng.choice(HARD_VALUES)), parts[0][1]))
            return dict(parts)
        case list():
            return [disturbed(part, rng, chance) for part in value]
    return value


def hard_text(text: str, rng: random.Random) -> str:
    """Return another text: a hard one, or this one longer, shorter or with a hard one inside."""
    at = rng.randrange(len(text) + 1)
    return rng.choice((rng.choice(HARD_TEXTS), text[:at] + rng.choice(HARD_TEXTS) + text[at:], text[:at], text * 2))


def _other(value: Any, rng: random.Random) -> Any:
    return copy.deepcopy(rng.choice(HARD_VALUES))


def _around(value: Any, rng: random.Random) -> Any:
    return rng.choice(([value], {"value": value}, [value, value]))


def _deeper(value: Any, rng: random.Random) -> Any:
    for _ in range(rng.choice((2, 20, 200))):
        value = [value]
    return value


def _spelled(value: Any, rng: random.Random) -> Any:
    """The same, or nearly the same, in another type."""
    match value:
        case str():
            return hard_text(value, rng).encode(errors="replace").decode()
        case int() | float():
            return rng.choice((str(value), -value, value * 2**32, float(value)))
    return str(value)[:100]


_DISTURBANCES = (_other, _other, _around, _deeper, _spelled, _spelled, _spelled)


def shuffled(parts: Sequence[tuple[str, str]], rng: random.Random) -> list[tuple[str, str]]:
    """Return parameters with some left out, twice, exchanged, or with a hard text."""
    found = []
    for name, text in parts:
        chance = rng.random()
        if chance < 0.15:
            continue
        found.append((name, hard_text(text, rng) if chance < 0.5 else text))
        if chance > 0.95:
            found.append((name, text))
    rng.shuffle(found)
    return found
