"""A line of a load balancer's log to one exchange: a request, and the attempts to get it answered. Values only.

The lines are those that `cpdd lb-config` sets up. Clocks of balancers count whole milliseconds; times here are ns, and
what was over in a millisecond ended with it, so that the application's span, by a finer clock, fits in.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cpdd.errors import CpddError

_IDS = re.compile(r"([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_TIMING = re.compile(r"\btrace;desc=00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})\b")
_CACHED = ("HIT", "STALE", "UPDATING", "REVALIDATED")
_MS = 1_000_000
_LAST_OF_MS = _MS - 1


class BadLine(CpddError):
    """A line that is none of ours: what is wrong with it."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a trace comes from: the ids and flags of a span in it."""

    trace_id: int
    span_id: int
    is_sampled: bool


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to have an upstream answer. Offsets are from its start; None where it never came to that."""

    address: str
    start_ns: int
    end_ns: int
    status: int | None
    connected_ns: int | None = None
    first_byte_ns: int | None = None
    is_estimated: bool = False
    """HAProxy counts attempts that failed and does not time them: they share the time it took to connect."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request as its balancer saw it."""

    balancer: str
    request_id: str
    """32 hex digits: the ids of our two spans, and of the trace where nobody else named one."""
    start_ns: int
    end_ns: int
    method: str
    status: int
    attributes: Mapping[str, str | int]
    attempts: tuple[Attempt, ...]
    incoming: Origin | None = None
    """The caller's span, where it sent a valid traceparent."""
    started: str = ""
    """Where the balancer decided: the flags it sent, and `th:` the threshold."""
    learned: Origin | None = None
    """The application's span, as its answer named it; None for an answer from the cache."""
    queued_ns: int | None = None
    cache: str = ""


def nginx_exchange(line: str) -> Exchange:
    """Return the exchange of a line. Raises BadLine."""
    said = _object(line, "nginx")
    start_ns = _seconds(said["end"]) - _seconds(said["took"])
    attempts = _nginx_attempts(said, start_ns)
    # nginx times attempts by another clock than requests
    end_ns = max(_seconds(said["end"]) + _LAST_OF_MS, *(attempt.end_ns for attempt in attempts[-1:]), 0)
    cache = str(said["cache"])
    answered = attempts and cache not in _CACHED
    return Exchange(
        "nginx",
        said["id"],
        start_ns,
        end_ns,
        said["method"],
        int(said["status"]),
        _attributes(said),
        attempts,
        _incoming(said["incoming"]),
        said["started"],
        _learned(said["timing"]) if answered else None,
        cache=cache,
    )


def _nginx_attempts(said: Mapping[str, Any], start_ns: int) -> tuple[Attempt, ...]:
    """One behind the other from the start of the request: nginx tells how long each took, and not when it began."""
    columns = [re.split(r"\s*[,:]\s+", str(said[name])) for name in ("statuses", "connects", "headers", "responses")]
    attempts = []
    for place, address in enumerate(re.split(r"\s*,\s*|\s+:\s+", str(said["upstreams"]))):
        if not address or address == "-":
            continue
        status, connect, header, response = (column[place] if place < len(column) else "-" for column in columns)
        end_ns = start_ns + (_offset(response) or 0)
        attempts.append(
            Attempt(
                address,
                start_ns,
                end_ns,
                int(status) if status.isdecimal() else None,
                _offset(connect),
                _offset(header),
            )
        )
        start_ns = end_ns
    return (*attempts[:-1], *(replace(last, end_ns=last.end_ns + _LAST_OF_MS) for last in attempts[-1:]))


def haproxy_exchange(line: str) -> Exchange:
    """Return the exchange of a line; what a log daemon wrote in front of it is skipped. Raises BadLine."""
    said = _object(line[max(line.find("{"), 0) :], "haproxy")
    head_ns = max(int(said["head_ms"]), 0) * _MS
    start_ns = int(said["started_ms"]) * _MS - head_ns
    queued_ns = int(said["queue_ms"]) * _MS if int(said["queue_ms"]) >= 0 else None
    end_ns = start_ns + max(int(said["took_ms"]), 0) * _MS + _LAST_OF_MS
    attempts = _haproxy_attempts(said, start_ns + head_ns + (queued_ns or 0), end_ns)
    return Exchange(
        "haproxy",
        said["id"],
        start_ns,
        end_ns,
        said["method"],
        max(int(said["status"]), 0),
        _attributes(said),
        attempts,
        _incoming(said["incoming"]),
        "" if said["started"] == "-" else said["started"],
        _learned(said["timing"]) if attempts else None,
        queued_ns,
        "HIT" if said["server"] == "<CACHE>" else "",
    )


def _haproxy_attempts(said: Mapping[str, Any], start_ns: int, end_ns: int) -> tuple[Attempt, ...]:
    if str(said["server"]).startswith("<"):  # <NOSRV>, <CACHE>, <STATS>
        return ()
    address = f"{said['address']}:{said['port']}" if str(said["address"]) not in ("-", "") else said["server"]
    connect_ms, first_ms = int(said["connect_ms"]), int(said["first_byte_ms"])
    failed = int(str(said["retries"]).lstrip("+"))
    # a connection that never came about: all attempts failed, and share the time that was spent
    connecting_ns = connect_ms * _MS if connect_ms >= 0 else end_ns - start_ns
    share_ns = connecting_ns // (failed + 1)
    attempts = [
        Attempt(address, start_ns + share_ns * turn, start_ns + share_ns * (turn + 1), None, is_estimated=True)
        for turn in range(failed)
    ]
    last_ns = start_ns + share_ns * failed
    connected_ns = start_ns + connecting_ns - last_ns if connect_ms >= 0 else None
    first_ns = connected_ns + first_ms * _MS if connected_ns is not None and first_ms >= 0 else None
    status = int(said["status"]) if first_ns is not None else None
    return (*attempts, Attempt(address, last_ns, end_ns, status, connected_ns, first_ns))


READERS: dict[str, Callable[[str], Exchange]] = {"nginx-json": nginx_exchange, "haproxy-json": haproxy_exchange}


def _object(line: str, balancer: str) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except ValueError as error:
        raise BadLine(f"not a line of JSON: {error}") from None
    if not isinstance(said, dict) or said.get("balancer") != balancer:
        raise BadLine(f"not a line that cpdd lb-config {balancer} sets up: {line.strip()[:60]!r}")
    if not re.fullmatch(r"[0-9a-f]{32}", str(said.get("id"))):
        raise BadLine(f"id is {str(said.get('id'))[:40]!r}, 32 hex digits expected")
    return _Said(said)


class _Said(dict[str, Any]):
    """What a line says; a name that it lacks is its fault."""

    def __missing__(self, name: str) -> Any:
        raise BadLine(f"{name!r} is missing")


def _attributes(said: Mapping[str, Any]) -> dict[str, str | int]:
    path, _, query = str(said["target"]).partition("?")
    host, _, port = str(said["host"]).rpartition(":") if str(said["host"])[-1:].isdigit() else (said["host"], "", "")
    found: dict[str, Any] = {
        "http.request.method": said["method"],
        "url.path": path,
        "url.query": query,
        "url.scheme": said.get("scheme"),
        "server.address": host or port,
        "server.port": int(port) if host and port.isdecimal() else None,
        "client.address": said["client"],
        "network.protocol.version": str(said["protocol"]).partition("/")[2],
        "http.response.body.size": int(said["bytes"]) if said["balancer"] == "nginx" else None,
    }
    return {key: value for key, value in found.items() if value not in (None, "", "-")}


def _incoming(text: str) -> Origin | None:
    match = _IDS.fullmatch(text)
    return Origin(int(match[1], 16), int(match[2], 16), bool(int(match[3], 16) & 1)) if match else None


def _learned(server_timing: str) -> Origin | None:
    match = _TIMING.search(server_timing)
    return Origin(int(match[1], 16), int(match[2], 16), bool(int(match[3], 16) & 1)) if match else None


def _seconds(text: str) -> int:
    """Exactly: a float would lose nanoseconds of today's times."""
    whole, _, part = text.partition(".")
    try:
        return int(whole) * 1_000_000_000 + int(f"{part:0<9}"[:9])
    except ValueError:
        raise BadLine(f"{text!r} is no time in seconds") from None


def _offset(text: str) -> int | None:
    return None if text in ("-", "") else _seconds(text)
