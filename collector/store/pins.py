"""Pinned traces: kept until somebody lets them go, with who pinned them and why.

Rows replace rows by version, so that a pin that was released says so, and by whom it was pinned.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from collector.store.engine import Store
from collector.store.schema import PINS
from collector.store.versions import newest_version


@dataclass(frozen=True, slots=True)
class Pin:
    """One trace that is to stay."""

    trace_id: str
    author: str
    note: str
    at_unix_nano: int
    released_unix_nano: int = 0
    """0 while it is pinned."""


class Pins:
    """The pins of one store. Thread-safe."""

    def __init__(self, store: Store, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._store = store
        self._now_ns = now_ns
        with store.client() as client:
            store.define(client, PINS)

    def pin(self, trace_id: str, author: str, note: str = "") -> Pin:
        """Pin a trace (32 hex digits); durable when this returns. A second pin has its own author and note."""
        pin = Pin(trace_id.lower(), author, note, self._now_ns())
        self._write(pin)
        return pin

    def release(self, trace_id: str) -> bool:
        """Let a trace go; tells whether it was pinned."""
        pin = next((pin for pin in self.pinned() if pin.trace_id == trace_id.lower()), None)
        if pin is None:
            return False
        self._write(Pin(pin.trace_id, pin.author, pin.note, pin.at_unix_nano, self._now_ns()))
        return True

    def pinned(self) -> list[Pin]:
        """Return what is pinned, the newest first."""
        return [pin for pin in self.all() if not pin.released_unix_nano]

    def all(self) -> list[Pin]:
        """Return every pin there ever was, the newest first."""
        with self._store.client() as client:
            rows = client.query(
                "SELECT TraceId, Author, Note, AtNs, ReleasedNs FROM pins FINAL ORDER BY AtNs DESC, TraceId"
            ).result_rows
        return [
            Pin(str(trace), str(author), str(note), int(at), int(released))
            for trace, author, note, at, released in rows
        ]

    def _write(self, pin: Pin) -> None:
        row: dict[str, object] = {
            "TraceId": pin.trace_id,
            "Author": pin.author,
            "Note": pin.note,
            "AtNs": pin.at_unix_nano,
            "ReleasedNs": pin.released_unix_nano,
        }
        with self._store.client() as client:
            row["Version"] = max(self._now_ns(), newest_version(client, ("pins",)) + 1)
            self._store.insert(client, "pins", list(row), [orjson.dumps(row)], "JSONEachRow")
