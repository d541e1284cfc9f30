"""Shelves: what was stored at about the same time lies together in `otel_traces`, sorted by service and trace.

Merging parts of different shelves compares no rows, merging those of one shelf compares all. So under load a group
has a shelf to itself; where little comes in, many small groups share one, and the spans of a service lie together.
"""

SHELF_ROWS = 20_000
"""Spans that make a shelf full: about five granules."""
ALONE_ROWS = 4_000
"""A group of so many has a shelf to itself, about a granule (decision 161)."""
SHELF_MS = 300_000
"""How long a shelf is filled."""


class Shelves:
    """The shelves of one lane, each known by when it was begun, in Unix milliseconds."""

    def __init__(self) -> None:
        self._begun_at_ms = 0
        self._rows = SHELF_ROWS

    def place(self, rows: int, now_ms: int) -> int:
        """Return the shelf for `rows` more spans. A clock that goes back begins a new one."""
        is_old = not self._begun_at_ms <= now_ms < self._begun_at_ms + SHELF_MS
        if is_old or self._rows >= SHELF_ROWS or rows >= ALONE_ROWS:
            self._begun_at_ms, self._rows = now_ms, 0
        self._rows += SHELF_ROWS if rows >= ALONE_ROWS else rows
        return self._begun_at_ms
