"""Consistent probability sampling: probabilities as 56-bit rejection thresholds, and the `ot` member of tracestate.

    R (randomness): `rv` of tracestate, else the low 56 bits of the trace id       keep when R >= T
    T (threshold):  written as `th`, trailing zeros left out                       count = 2^56 / (2^56 - T)

Pure. Source: https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/ and tracestate-handling.
"""

import math
import re
from typing import NamedTuple

ALL = 1 << 56
"""One above the greatest randomness: the threshold that keeps nothing, which no `th` can say."""
RANDOMNESS_MASK = ALL - 1
DIGITS = 14
PRECISION = 4
"""Significant hex digits of a threshold, as the specification recommends for SDKs; leading f's come on top."""
MEMBER = "ot"
MAX_MEMBER_CHARS = 256

_THRESHOLD = re.compile(r"[0-9a-f]{1,14}")
_RANDOMNESS = re.compile(r"[0-9a-f]{14}")
_SUB_KEY = re.compile(r"[a-z][a-z0-9]*")
_USUAL = re.compile(r"(?:th:([0-9a-f]{1,14})(?:;|$))?(?:rv:([0-9a-f]{14}))?")
"""What nearly every member looks like, read in one go."""
_BOTH = re.compile(r"th:([0-9a-f]{1,14});rv:([0-9a-f]{14})")


def threshold_of(probability: float, precision: int = PRECISION) -> int:
    """Return the threshold that keeps `probability` of all traces, rounded to `precision` significant hex digits.

    Above 1 it keeps all; below 2^-56, and for what is no number, nothing.

    >>> hex(threshold_of(0.1)), threshold_of(1), threshold_of(0) == ALL
    ('0xe6660000000000', 0, True)
    """
    if probability >= 1:
        return 0
    if not probability >= 2.0**-56:
        return ALL
    _, exponent = math.frexp(probability)
    digits = max(1, min(DIGITS, precision + exponent // -4))
    dropped_bits = 4 * (DIGITS - digits)
    exact = ALL - round(probability * ALL)
    rounded = ((exact + (1 << dropped_bits >> 1)) >> dropped_bits) << dropped_bits
    return min(rounded, ALL - 1)


def probability_of(threshold: int) -> float:
    """Return the share of traces that a threshold keeps."""
    return (ALL - threshold) / ALL


def threshold_text(threshold: int) -> str:
    """Return a threshold below ALL as `th` says it.

    >>> threshold_text(threshold_of(0.01)), threshold_text(0)
    ('fd70a', '0')
    """
    return f"{threshold:014x}".rstrip("0") or "0"


class Member(NamedTuple):
    """The value of tracestate's `ot` member, read."""

    threshold: int | None = None
    """None where there is none, or none that is valid."""
    randomness: int | None = None
    others: tuple[str, ...] = ()
    """Other sub-keys, each `key:value` as it came."""
    is_said: bool = False
    """Whether there is a `th` at all, valid or not."""

    def randomness_or(self, trace_id: int) -> int:
        """Return R: what `rv` says, else the trace id's."""
        return trace_id & RANDOMNESS_MASK if self.randomness is None else self.randomness

    def with_threshold(self, threshold: int | None) -> str:
        """Return the member's value with another threshold; "" where nothing is left to say.

        `rv` and other sub-keys stay as they came; a threshold that would make it longer than 256 characters is left
        out, since a sampled span without `th` says "unknown", which is true.
        """
        kept = list(self.others)
        if self.randomness is not None:
            kept.insert(0, f"rv:{self.randomness:014x}")
        if threshold is not None:
            with_it = ";".join([f"th:{threshold_text(threshold)}", *kept])
            if len(with_it) <= MAX_MEMBER_CHARS:
                return with_it
        return ";".join(kept)


def member_text(trace_state: str) -> str:
    """Return the value of the `ot` member of a tracestate header, "" where there is none.

    >>> member_text("vendor=x, ot=th:8")
    'th:8'
    """
    members = (member.strip() for member in trace_state.split(","))
    return next((member[len(MEMBER) + 1 :] for member in members if member.startswith(f"{MEMBER}=")), "")


def read_member(text: str) -> Member:
    """Return what the value of an `ot` member says. Strict: what is not exactly as specified is not there.

    A member that is too long or names a sub-key twice says nothing at all; a `th` or `rv` that is invalid (upper
    case, signs, blanks, too many digits) is left out.
    """
    usual = _USUAL.fullmatch(text)
    if usual is not None and text[-1:] != ";":
        th, rv = usual.groups()
        threshold = None if th is None else int(th.ljust(DIGITS, "0"), 16)
        return Member(threshold, None if rv is None else int(rv, 16), (), th is not None)
    return _read_unusual(text)


def is_kept_by_both(text: str) -> bool | None:
    """Return whether R >= T, where a member says both and nothing else; None where it has to be read for that.

    Hex digits of 14 and of as many or fewer without trailing zeros compare as the numbers do.

    >>> is_kept_by_both("th:8;rv:80000000000000"), is_kept_by_both("th:8")
    (True, None)
    """
    usual = _BOTH.fullmatch(text)
    return None if usual is None else usual[2] >= usual[1]


def _read_unusual(text: str) -> Member:
    if len(text) > MAX_MEMBER_CHARS:
        return Member(is_said=True)
    threshold = randomness = None
    others = []
    seen = set[str]()
    for part in text.split(";"):
        key, colon, value = part.partition(":")
        if not colon or not _SUB_KEY.fullmatch(key):
            continue
        if key in seen:
            return Member(is_said="th" in seen)
        seen.add(key)
        if key == "th":
            threshold = int(value.ljust(DIGITS, "0"), 16) if _THRESHOLD.fullmatch(value) else None
        elif key == "rv":
            randomness = int(value, 16) if _RANDOMNESS.fullmatch(value) else None
        else:
            others.append(part)
    return Member(threshold, randomness, tuple(others), "th" in seen)
