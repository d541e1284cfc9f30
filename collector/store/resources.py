"""Hosts and version of a resource as one text, so that a reader finds distinct resources in one dictionary."""

from collections.abc import Sequence

from collector.core.spans import HOST_KEYS

FACTS = len(HOST_KEYS) + 1
"""The values of `HOST_KEYS`, then `service.version`."""
_SEPARATOR = "\x1f"
_ESCAPES = (("\x1e", "\x1e0"), (_SEPARATOR, "\x1e1"))
"""In this order when joining; values of hostile resources hold any character."""


def join_facts(values: Sequence[str]) -> str:
    r"""Return one text for what is known of a resource, absent values empty; empty when all are.

    >>> join_facts(["", "a", "", "", "b\x1f", "", "", "1.2"])
    '\x1fa\x1f\x1f\x1fb\x1e1\x1f\x1f\x1f1.2'
    """
    return _SEPARATOR.join(map(_escaped, values)) if any(values) else ""


def split_facts(text: str) -> list[str]:
    """Return what `join_facts` was given, whatever else somebody wrote into the table."""
    pieces = [*text.split(_SEPARATOR), *[""] * FACTS][:FACTS]
    return [_unescaped(piece) for piece in pieces]


def _escaped(value: str) -> str:
    for character, escape in _ESCAPES:
        value = value.replace(character, escape)
    return value


def _unescaped(piece: str) -> str:
    for character, escape in reversed(_ESCAPES):
        piece = piece.replace(escape, character)
    return piece
