"""A contract for `cpdd check` that a journey keeps today: a team may commit it, and tomorrow's change has to keep it.

docs/reference/contracts.md describes the rules.
"""

import json
from collections.abc import Iterable, Sequence
from math import ceil, log10

from collector.core.contracts.document import ContractError, read_contract
from collector.core.graph import GraphNode
from collector.core.requirement import MANDATORY, OPTIONAL
from collector.store.values import Edge, Node

ROOM = 1.2
"""The ceiling of p95 is so much above what it is now."""
CALLS = 50
"""More calls of a kind are left out: such a journey needs a contract that somebody thought about."""


def contract_text(journey: str, p95_ns: float, edges: Sequence[Edge], needs: Sequence[str]) -> str:
    """Return the contract, "" where no rule can be made of what was seen.

    Args:
        edges: with the word of `needs` at the same place: what the call is for the journey.
    """
    calls = [(edge, need) for edge, need in zip(edges, needs, strict=True) if edge.kind != "internal"]
    known = _texts(edge for edge, need in calls if need == MANDATORY)
    off_path = _texts(edge for edge, need in calls if need == OPTIONAL and not edge.critical_share)
    rules = []
    if known:
        rules.append(f'no_new_mandatory = {{ by = "declared", known = {_list(known)} }}')
    if off_path:
        rules.append(f"never_on_path = {_list(off_path)}")
    if p95_ns:
        rules.append(f'latency = {{ p95 = "{_ceiling(p95_ns)}" }}')
    text = "\n".join([f"[journey.{_quoted(journey)}]", *rules, ""])
    return text if rules and _is_contract(text) else ""


def _texts(edges: Iterable[Edge]) -> list[str]:
    return list(dict.fromkeys(f"{_name(edge.caller)} -> {_name(edge.callee)}" for edge in edges))


def _name(node: Node) -> str:
    return GraphNode(node.service, node.operation, node.kind).id


def _list(texts: Sequence[str]) -> str:
    if not 1 < len(texts) <= CALLS:
        return f"[{', '.join(map(_quoted, texts[:CALLS]))}]"
    # A table in line has to stay on it, but for the lists in it.
    return "[\n" + "".join(f"    {_quoted(text)},\n" for text in texts) + "]"


def _quoted(text: str) -> str:
    """JSON's strings are TOML's, but for U+007F, which TOML wants escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _ceiling(ns: float) -> str:
    """Return ROOM above a time, rounded up to two digits.

    >>> _ceiling(427_000_000), _ceiling(1_000_000), _ceiling(80_000)
    ('520ms', '1.2ms', '96us')
    """
    wanted = ns * ROOM
    step = 10.0 ** (int(log10(wanted)) - 1)
    rounded = ceil(round(wanted / step, 6)) * step
    return f"{rounded / 1e6:g}ms" if rounded >= 1e6 else f"{max(rounded / 1e3, 1):g}us"


def _is_contract(text: str) -> bool:
    """Names are other people's text: one that a contract cannot hold leaves it away."""
    try:
        text.encode()
        read_contract(text, "")
    except (ContractError, UnicodeEncodeError):
        return False
    return True
