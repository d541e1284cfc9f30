"""The stretch of time that a page speaks of: from its address to a window, and back into addresses.

`last=1h` moves with the clock; `start=` and `end=` (ISO 8601, a time of day, or Unix time in s, ms, µs or ns) stay.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from collector.store.values import Window
from ui.draw.units import NBSP, clock, moment
from ui.views.errors import BadAddress

DEFAULT_LAST = "1h"
CHOICES = ("15m", "1h", "6h", "24h", "7d", "30d")
_UNITS_S = {"s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_UNIT_WORDS = {"s": "s", "m": "min", "min": "min", "h": "h", "d": "days", "w": "weeks"}
_LONGEST_S = 3_660 * 86_400
_STEP_NS = 10_000_000_000
"""Relative windows end at a multiple of this, so that a page asked for twice within it is the same page."""
_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class TimeRange:
    window: Window
    last: str
    """As in the address, `1h`; empty for an absolute range."""
    words: str
    parameters: dict[str, str]
    """For the addresses of other pages about the same time; empty for the default."""
    absolute: dict[str, str]
    """For an address that means the same tomorrow."""


def read_range(query: Mapping[str, str], now_unix_nano: int) -> TimeRange:
    """Return the range that an address asks for; raises BadAddress for one that cannot be read."""
    if query.get("start") or query.get("end"):
        return _absolute(query, now_unix_nano)
    last = query.get("last") or DEFAULT_LAST
    length_ns = parse_length_ns(last)
    end = -(-now_unix_nano // _STEP_NS) * _STEP_NS
    window = Window(end - length_ns, end)
    parameters = {} if last == DEFAULT_LAST else {"last": last}
    return TimeRange(window, last, f"last {length_words(last)}", parameters, absolute_parameters(window))


def range_of(window: Window, now_unix_nano: int) -> TimeRange:
    """Return the absolute range of a window."""
    start, end = (clock(edge, now_unix_nano) for edge in (window.start_unix_nano, window.end_unix_nano))
    parameters = absolute_parameters(window)
    return TimeRange(window, "", f"{start} to {end}{NBSP}UTC", parameters, parameters)


def around(unix_nano: int, length_ns: int = 3_600 * _SECOND_NS) -> Window:
    """Return a window that ends just after a moment, on a full second."""
    end = (unix_nano // _SECOND_NS + 2) * _SECOND_NS
    return Window(end - length_ns, end)


def parse_length_ns(text: str) -> int:
    """Return the length of `90s`, `15m`, `1h`, `7d` or `2w` in ns.

    >>> parse_length_ns("15m")
    900000000000
    """
    match = re.fullmatch(r"(\d{1,9})\s*(s|min|m|h|d|w)", text.strip())
    seconds = int(match[1]) * _UNITS_S[match[2]] if match else 0
    if not 0 < seconds <= _LONGEST_S:
        raise BadAddress(f"last={text} is no length of time", hint="write 90s, 15m, 1h, 7d or 2w, up to 10 years")
    return seconds * _SECOND_NS


def parse_moment(name: str, text: str) -> int:
    """Return Unix nanoseconds of ISO 8601 (UTC unless it says otherwise) or of Unix time in s, ms, µs or ns."""
    text = text.strip()
    try:
        if re.fullmatch(r"\d{1,19}(\.\d+)?", text):
            return _from_unix(text)
        when = datetime.fromisoformat(text.replace(" ", "T", 1))
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        since = when - datetime(1970, 1, 1, tzinfo=UTC)
        unix_nano = ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000 + _below_us(text)
        if unix_nano < -(2**63):
            raise OverflowError("before the year 1678")
        return unix_nano
    except (ValueError, OverflowError) as error:
        hint = "write 2026-11-21T02:41:00Z, 02:41, or Unix time in s, ms, µs or ns"
        raise BadAddress(f"{name}={text} is no moment", hint=hint) from error


def _below_us(text: str) -> int:
    """Return the nanoseconds of ISO 8601 that `datetime` drops: digits 7 to 9 of the fraction of a second."""
    digits = re.search(r"[.,]\d{6}(\d{1,3})", text)
    return int(digits[1].ljust(3, "0")) if digits else 0


def _from_unix(text: str) -> int:
    """Ten digits are seconds until the year 2286; each further three a smaller unit."""
    whole, _, fraction = text.partition(".")
    unit_ns = next(unit for digits, unit in ((11, 10**9), (14, 10**6), (17, 10**3), (99, 1)) if len(whole) <= digits)
    return int(whole) * unit_ns + int(fraction.ljust(9, "0")[:9] or 0) * unit_ns // _SECOND_NS


def _absolute(query: Mapping[str, str], now_unix_nano: int) -> TimeRange:
    end = asked_moment("end", query["end"], now_unix_nano) if query.get("end") else now_unix_nano
    start = (
        asked_moment("start", query["start"], now_unix_nano)
        if query.get("start")
        else end - parse_length_ns(DEFAULT_LAST)
    )
    if not start < end <= 2**63 - 1:
        raise BadAddress(
            f"the range ends at {moment(end)}, which is not after its start at {moment(start)}",
            hint="exchange start and end",
        )
    return range_of(Window(start, end), now_unix_nano)


def asked_moment(name: str, text: str, now_unix_nano: int) -> int:
    """Return what `parse_moment` does, and of a time of day alone, as somebody types it at night, the latest."""
    if not re.fullmatch(r"\d\d:\d\d(:\d\d(\.\d{1,9})?)?", text.strip()):
        return parse_moment(name, text)
    today = moment(now_unix_nano).partition("T")[0]
    at = parse_moment(name, f"{today}T{text.strip()}")
    return at if at <= now_unix_nano else at - _UNITS_S["d"] * _SECOND_NS


def absolute_parameters(window: Window) -> dict[str, str]:
    """Return what an address says of a window, so that it means the same tomorrow."""
    return {"start": address_moment(window.start_unix_nano), "end": address_moment(window.end_unix_nano)}


def address_moment(unix_nano: int) -> str:
    """Return a moment as addresses have it: ISO 8601, or Unix time where it is within a second."""
    seconds, nanoseconds = divmod(unix_nano, _SECOND_NS)
    return f"{seconds}.{nanoseconds:09d}" if nanoseconds else moment(unix_nano)


def ends_of_steps(starts: Sequence[int], window: Window) -> list[int]:
    """Return where the steps of a picture over a window begin, and where the last one ends: with the window at most.

    >>> ends_of_steps([60, 120, 180], Window(70, 200)), ends_of_steps([60], Window(70, 200))
    ([60, 120, 180, 200], [60, 200])
    """
    if len(starts) < 2:
        return [*starts, window.end_unix_nano] if starts else []
    return [*starts, min(2 * starts[-1] - starts[-2], window.end_unix_nano)]


def length_words(last: str) -> str:
    """Return a length of an address in words.

    >>> [length_words(last).replace(NBSP, " ") for last in ("15m", "24h", "1d", "7d", "1w")]
    ['15 min', '24 h', '1 day', '7 days', '1 week']
    """
    match = re.match(r"\s*(\d+)\s*([a-z]+)", last)
    if match is None:
        return last
    number, unit = int(match[1]), _UNIT_WORDS[match[2]]
    return f"{number}{NBSP}{unit.removesuffix('s') if number == 1 and len(unit) > 1 else unit}"
