"""The options of the path."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PathPolicy:
    """The options of the path; part of every output (CRITICAL_PATH rules 5, 6 and 12)."""

    overflow: str = "auto"
    """`auto`: rule 6. `clip`: every child that overlaps its parent is clipped to it, as Jaeger and CRISP do."""
    max_skew_ns: int = 1_000_000_000
    version: int = 1
