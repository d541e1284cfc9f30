"""Which root operations reach an operation inside the system: where a sampler decides whether its traces are kept."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Step(NamedTuple):
    """One position of a call tree; `parent` 0 for the root."""

    parent: int
    service: str
    operation: str


class Root(NamedTuple):
    """An operation that begins traces."""

    service: str
    operation: str


def roots_of(paths: Iterable[int], steps: Mapping[int, Step], below: str = "") -> list[Root]:
    """Return the roots above the call paths `paths`, in order, each once.

    Args:
        steps: every call path by id, ancestors included; one whose ancestor is missing has no root.
        below: only paths that pass through this service on their way, the caller's of an edge; empty: all.
    """
    found = set()
    for path in paths:
        number, passed = path, not below
        seen: set[int] = set()
        while (step := steps.get(number)) is not None and number not in seen:
            seen.add(number)
            passed = passed or (number != path and step.service == below)
            if not step.parent:
                if passed:
                    found.add(Root(step.service, step.operation))
                break
            number = step.parent
    return sorted(found)
