"""`[[journey]]` of `cpdd.toml` to journeys, with errors that name key, value and line. Pure: the text is the caller's.

docs/reference/cpdd-toml.md describes the file.
"""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from collector.core.journeys import (
    CRITICALITIES,
    SESSION_KEY,
    SESSION_WITHIN_NS,
    FailedWhen,
    Journey,
    JourneyBook,
    Latency,
    Match,
)
from collector.core.toml_lines import Lines, tables_of
from cpdd.setting_values import parse_duration_ns
from cpdd.settings import SettingsError, options

TABLE = "journey"
"""The array of tables: `[[journey]]`."""
LEAST_TARGET = 0.5
MAX_LATENCY_NS = 24 * 3600 * 10**9


def parse_journeys(text: str, file_name: str = "cpdd.toml") -> JourneyBook:
    """Return the journeys of the text of a `cpdd.toml`; its other tables and keys are not looked at.

    Raises:
        SettingsError: names the key, the value, the line, and what would do.
    """
    tables, lines = tables_of(text, file_name, TABLE)
    journeys = tuple(_Table(table, lines, number).journey() for number, table in enumerate(tables))
    seen: dict[str, int] = {}
    for number, journey in enumerate(journeys):
        if journey.name in seen:
            raise SettingsError(
                f"journey {journey.name!r} is there twice",
                lines.of(number, "name"),
                f"the first is at line {lines.line(seen[journey.name], 'name')}; one journey may have several matches",
            )
        seen[journey.name] = number
    for number, journey in enumerate(journeys):
        inner = next((step for step in journey.steps if step in seen and journeys[seen[step]].steps), None)
        if inner is not None:
            raise SettingsError(
                f"step {inner!r} is a journey of several steps itself",
                f'{lines.of(number, "steps")} of journey "{journey.name}"',
                "name the journeys that it consists of",
            )
    return JourneyBook(journeys)


class _Table:
    """One table of the file, read key by key; what is left over is an error."""

    def __init__(self, table: Mapping[str, Any], lines: Lines, number: int) -> None:
        self._table = table
        self._lines = lines
        self._number = number

    def journey(self) -> Journey:
        self._check(self._table, _JOURNEY_KEYS, "a journey")
        if "name" not in self._table:
            raise self._error("", "a journey without a name", f'write name = "…" below [[{TABLE}]]')
        self._check_steps()
        return Journey(
            name=self._read(self._table, "name", _name),
            matches=tuple(self._matches()),
            owner=self._read(self._table, "owner", _text, ""),
            criticality=self._read(self._table, "criticality", _criticality, ""),
            availability=self._read(self._table, "availability", parse_target, None),
            latency=self._read(self._table, "latency", parse_latency, None),
            failed_when=self._failed_when(),
            steps=self._read(self._table, "steps", _steps, ()),
            session=self._read(self._table, "session", _name, SESSION_KEY),
            within_ns=self._read(self._table, "within", positive_duration, SESSION_WITHIN_NS),
        )

    def _check_steps(self) -> None:
        """What has steps has sessions and no traces, and the other way round."""
        for key in _OF_TRACES if "steps" in self._table else _OF_SESSIONS:
            if key in self._table:
                with_steps = "with" if "steps" in self._table else "without"
                raise self._error(key, f"{key} of a journey {with_steps} steps", _STEPS_HINT)

    def _matches(self) -> Iterator[Match]:
        tables = self._table.get("match", [])
        tables = tables if isinstance(tables, list) else [tables]
        for table in tables:
            if not isinstance(table, dict) or not table:
                raise self._error("match", f"{table!r} is no match", _MATCH_HINT)
            self._check(table, _MATCH_KEYS, "a match")
            yield Match(**{key: self._read(table, key, _name) for key in table})

    def _failed_when(self) -> FailedWhen | None:
        table = self._table.get("failed_when")
        if table is None:
            return None
        if not isinstance(table, dict) or not table:
            raise self._error("failed_when", f"{table!r} is no condition", _FAILED_HINT)
        self._check(table, _FAILED_KEYS, "failed_when")
        return FailedWhen(
            http_status=self._read(table, "http_status", _statuses, ()),
            rpc_status=self._read(table, "rpc_status", _codes, ()),
            slower_than_ns=self._read(table, "slower_than", positive_duration, 0),
        )

    def _read(self, table: Mapping[str, Any], key: str, parse: Callable[[Any], Any], default: Any = None) -> Any:
        if key not in table:
            return default
        try:
            return parse(table[key])
        except ValueError as error:
            raise self._error(key, f"{key}: {error}", _HINTS.get(key, "")) from None

    def _check(self, table: Mapping[str, Any], known: tuple[str, ...], what: str) -> None:
        for key in table:
            if key not in known:
                close = difflib.get_close_matches(key.replace("-", "_"), known, n=1)
                hint = f"did you mean {close[0]}?" if close else f"{what} may have {', '.join(known)}"
                if key in options():
                    hint = f"settings stand above the first [[{TABLE}]]"
                raise self._error(key, f"unknown key {key!r} of {what}", hint)

    def _error(self, key: str, problem: str, hint: str) -> SettingsError:
        named = self._table.get("name")
        about = f' of journey "{named}"' if isinstance(named, str) and named and key != "name" else ""
        return SettingsError(problem, f"{self._lines.of(self._number, key)}{about}", hint)


_OF_TRACES = ("match", "latency", "failed_when")
_OF_SESSIONS = ("session", "within")
_JOURNEY_KEYS = ("name", "owner", "criticality", "availability", "steps", *_OF_TRACES, *_OF_SESSIONS)
_LEAST_STEPS = 2
_MATCH_KEYS = ("service", "operation", "journey")
_FAILED_KEYS = ("http_status", "rpc_status", "slower_than")
_MATCH_HINT = 'write match = [{ service = "shop", operation = "POST /checkout" }]; * stands for any text'
_STEPS_HINT = (
    "a journey of several steps has steps, session and within; match, latency and failed_when belong to the journeys "
    "that are its steps"
)
_FAILED_HINT = 'write failed_when = { http_status = ["4xx"], slower_than = "10s" }'
_HINTS = {
    "availability": 'write "99.9 %" or 0.999',
    "latency": 'write "99 % under 500ms"',
    "http_status": 'write 409, [408, 429] or ["4xx"]',
    "rpc_status": "write a number of gRPC's, 4 for DEADLINE_EXCEEDED, or a list of them",
    "slower_than": 'write "10s" or "500ms"',
    "steps": 'write steps = ["add to cart", "check out"], the names of other journeys in their order',
    "session": 'write session = "session.id", the name of an attribute',
    "within": 'write within = "30m"',
}


def parse_target(value: object) -> float:
    """Return the share that is promised: "99.9 %" or 0.999.

    >>> parse_target("99.9 %"), parse_target(0.95)
    (0.999, 0.95)
    """
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*%\s*", value) if isinstance(value, str) else None
    if match:
        share = float(match[1]) / 100
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        share = float(value)
    else:
        raise ValueError(f"{value!r} is no share")
    if not LEAST_TARGET <= share < 1:
        why = "it leaves no budget for a single failure" if share == 1 else "an objective is from 50 % to below 100 %"
        raise ValueError(f"{value!r}: {why}")
    return round(share, 12)


def parse_latency(value: object) -> Latency:
    """Return the promise of "99 % under 500ms".

    >>> parse_latency("99 % under 500ms")
    Latency(share=0.99, under_ns=500000000)
    """
    match = re.fullmatch(r"\s*(\S.*?)\s+under\s+(\S.*?)\s*", value) if isinstance(value, str) else None
    if not match:
        raise ValueError(f"{value!r} is no objective for latency")
    return Latency(parse_target(match[1]), positive_duration(match[2]))


def positive_duration(value: object) -> int:
    """Return a duration of up to 24 hours that was written with its unit, in ns."""
    if isinstance(value, (int, float)) or (isinstance(value, str) and value.strip().isdigit()):
        raise ValueError(f"{value!r} has no unit")
    duration_ns = parse_duration_ns(value)
    if not 0 < duration_ns <= MAX_LATENCY_NS:
        raise ValueError(f"{value!r} is not between 0 and 24 hours")
    return duration_ns


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value


def _name(value: object) -> str:
    if not _text(value):
        raise ValueError("it is empty")
    return str(value)


def _steps(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) < _LEAST_STEPS:
        raise ValueError(f"{value!r} is no list of at least two names")
    steps = tuple(_name(step) for step in value)
    twice = next((step for step in steps if steps.count(step) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice!r} is there twice")
    return steps


def _criticality(value: object) -> str:
    if value not in CRITICALITIES:
        raise ValueError(f"{value!r} is none of {', '.join(CRITICALITIES)}")
    return str(value)


def _statuses(value: object) -> tuple[tuple[int, int], ...]:
    return tuple(_status(part) for part in (value if isinstance(value, list) else [value]))


def _status(value: object) -> tuple[int, int]:
    match = re.fullmatch(r"([1-5])(?:xx|([0-9]{2}))", str(value)) if not isinstance(value, bool) else None
    if not match:
        raise ValueError(f"{value!r} is no HTTP status")
    hundred = int(match[1]) * 100
    return (hundred, hundred + 99) if match[2] is None else (hundred + int(match[2]),) * 2


def _codes(value: object) -> tuple[int, ...]:
    codes = value if isinstance(value, list) else [value]
    for code in codes:
        if not isinstance(code, int) or isinstance(code, bool) or not 0 <= code <= 16:
            raise ValueError(f"{code!r} is no gRPC status from 0 to 16")
    return tuple(codes)
