"""tracestate by Level 2 of W3C trace context. Values only; OpenTelemetry's class knows the narrower keys of Level 1."""

import re
from collections.abc import Iterable, Sequence

from opentelemetry.trace import TraceState

MAX_MEMBERS = 32

_KEY = re.compile(r"[a-z0-9][a-z0-9_\-*/@]{0,255}")
_VALUE = re.compile(r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]")


class Level2TraceState(TraceState):
    """An immutable list of members. Of two members with one key the first stays: it is the later one.

    Members of other vendors are kept byte for byte and in order.
    Source: https://www.w3.org/TR/trace-context-2/#tracestate-header
    """

    def __init__(self, entries: Sequence[tuple[str, str]] | None = None) -> None:
        """Keep the valid members among `entries`, the first 32 of them."""
        super().__init__()
        for key, value in entries or ():
            if len(self._dict) < MAX_MEMBERS and key not in self._dict and is_member(key, value):
                self._dict[key] = value

    @classmethod
    def from_header(cls, header_list: Iterable[str]) -> "Level2TraceState":
        """Return what one or several headers say; nothing at all where a member is invalid or there are more than 32.

        >>> Level2TraceState.from_header(["a=1 , b@c@d= 2", "a=3"]).to_header()
        'a=1,b@c@d= 2'
        """
        state = cls()
        for member in ",".join(header_list).split(","):
            member = member.strip(" \t")
            if not member:
                continue
            key, _, value = member.partition("=")
            if not is_member(key, value):
                return cls()
            state._dict.setdefault(key, value)
        return state if len(state) <= MAX_MEMBERS else cls()

    def add(self, key: str, value: str) -> "Level2TraceState":
        """Return the list with a new member in front; as it is where the key is there, or the list is full."""
        return self if key in self or len(self) >= MAX_MEMBERS else with_member(self, key, value)

    def update(self, key: str, value: str) -> "Level2TraceState":
        """Return the list with the member in front."""
        return with_member(self, key, value)

    def delete(self, key: str) -> "Level2TraceState":
        """Return the list without the member."""
        return with_member(self, key, "")


def is_member(key: str, value: str) -> bool:
    """Whether the specification allows this key and this value."""
    return _KEY.fullmatch(key) is not None and _VALUE.fullmatch(value) is not None


def with_member(state: TraceState, key: str, value: str) -> Level2TraceState:
    """Return tracestate with `key` in front, as W3C asks of who changed it; without it where `value` is "".

    A full list loses its last member, the oldest. A member that is not valid changes nothing.
    """
    if value and not is_member(key, value):
        return Level2TraceState(tuple(state.items()))
    others = [(name, said) for name, said in state.items() if name != key]
    return Level2TraceState([(key, value), *others] if value else others)
