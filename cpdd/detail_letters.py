"""What a boost may turn up beside the share: words of the policy, letters of tracestate. Pure.

A trace says what its spans may tell in the sub-key `d` of the member `cpdd`: `cpdd=d:af`. So detail follows a trace
into every service, and no server has to say which traces.
"""

from collections.abc import Iterable
from typing import Literal, get_args

from opentelemetry.trace import TraceState

from cpdd.names import TRACESTATE_MEMBER
from cpdd.propagation.trace_state import with_member

Detail = Literal["query_text", "attributes", "function_spans"]
DETAILS: tuple[Detail, ...] = get_args(Detail)
LETTERS: dict[Detail, str] = {"query_text": "q", "attributes": "a", "function_spans": "f"}
_SUB_KEY = "d:"


def letters_of(details: Iterable[Detail]) -> str:
    """Return the letters, in the order of DETAILS and each once.

    >>> letters_of(["function_spans", "query_text", "query_text"])
    'qf'
    """
    said = set(details)
    return "".join(letter for detail, letter in LETTERS.items() if detail in said)


def common(one: str, other: str) -> str:
    """Return the letters that both say."""
    return "".join(letter for letter in one if letter in other)


def detail_in(state: TraceState) -> str:
    """Return the letters that a trace says; "" for none."""
    text = state.get(TRACESTATE_MEMBER)
    if not text or _SUB_KEY not in text:
        return ""
    return next((pair.removeprefix(_SUB_KEY) for pair in text.split(";") if pair.startswith(_SUB_KEY)), "")


def with_detail(state: TraceState, letters: str) -> TraceState:
    """Return tracestate that says these letters, besides those that it said.

    >>> with_detail(TraceState([("cpdd", "r:m;d:a")]), "f").to_header()
    'cpdd=r:m;d:af'
    """
    text = state.get(TRACESTATE_MEMBER, "")
    said = detail_in(state)
    both = "".join(letter for letter in LETTERS.values() if letter in letters or letter in said)
    others = [pair for pair in text.split(";") if pair and not pair.startswith(_SUB_KEY)]
    return with_member(state, TRACESTATE_MEMBER, ";".join([*others, f"{_SUB_KEY}{both}"]))
