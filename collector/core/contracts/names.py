"""Operations and calls as contracts name them, and as `cpdd graph` prints them; `*` stands for anything.

cart                       a service, or a database, a queue, a third party
shop / GET /cart           an operation of a service
shop -> cart               a call: caller and callee, each named in either way
"""

import re
from dataclasses import dataclass

from collector.core.graph import GraphNode
from collector.core.patterns import is_like

_ARROW = re.compile(r"\s+->\s+")


class NotAName(ValueError):
    """A text that names no operation or call; says why."""


@dataclass(frozen=True, slots=True)
class OperationName:
    """A service, or one of its operations."""

    text: str

    def matches(self, node: GraphNode) -> bool:
        """Tell whether the name is that of `node`: its service, `service / operation`, or its id in a graph.

        >>> OperationName("shop / GET *").matches(GraphNode("shop", "GET /cart", "server"))
        True
        """
        return any(is_like(self.text, name) for name in names_of(node))


@dataclass(frozen=True, slots=True)
class CallName:
    """A caller and whom it calls; any caller where the name is only the callee's."""

    caller: OperationName
    callee: OperationName

    @property
    def text(self) -> str:
        return self.callee.text if self.caller.text == "*" else f"{self.caller.text} -> {self.callee.text}"

    def matches(self, caller: GraphNode, callee: GraphNode) -> bool:
        return self.callee.matches(callee) and self.caller.matches(caller)


def read_operation(text: str) -> OperationName:
    """Return the name of an operation. Raises NotAName."""
    if not text.strip():
        raise NotAName("an empty name names nothing")
    if _ARROW.search(text):
        raise NotAName("this is a call; a service or an operation is expected")
    return OperationName(" ".join(text.split()))


def read_call(text: str) -> CallName:
    """Return the name of a call: `caller -> callee`, or the callee alone. Raises NotAName."""
    ends = _ARROW.split(text.strip())
    if len(ends) > 2 or "" in ends or text.strip().startswith("->") or text.strip().endswith("->"):
        raise NotAName("a call is written 'caller -> callee', or as the callee alone")
    caller, callee = ends if len(ends) == 2 else ("*", ends[0])
    return CallName(read_operation(caller), read_operation(callee))


def is_call(text: str) -> bool:
    """Tell whether a name has a caller in it."""
    return bool(_ARROW.search(text))


def names_of(node: GraphNode) -> tuple[str, ...]:
    """Return what a contract may call a node."""
    return tuple(" ".join(name.split()) for name in (node.service, f"{node.service} / {node.operation}", node.id))
