"""What to escalate about one trace: where it failed, else what took most of its time."""

from dataclasses import dataclass

from collector.core.catalog import Catalog, Owner, owner_of
from collector.core.detail import Attributes, DetailedSpans
from collector.core.explain import Explanation
from collector.core.spans import KIND_CLIENT, KIND_CONSUMER, KIND_PRODUCER, KIND_SERVER, STATUS_ERROR
from collector.store.values import Node, TraceOutcome
from ui.views.escalation import Subject
from ui.views.span_panel import CodeLine, code_line, whose_span
from ui.views.trace_sheet import callees


def subject_of_trace(
    spans: DetailedSpans, explained: Explanation, outcome: TraceOutcome | None, template: str, catalog: Catalog
) -> Subject:
    """Return the subject of an escalation.

    Args:
        template: of the setting `source_link`.
    """
    trace = _Trace(spans, explained)
    at = trace.failure()
    failed = at >= 0
    at = at if failed else trace.slowest()
    begins = trace.begin_of_call(at)
    caller, callee = trace.ends(at, begins)
    called, own_service = trace.outside_name(at), explained.nodes[at].service
    service = called if called and catalog.service(called).owner else own_service
    journey = outcome.journey if outcome else ""
    inside, whole = trace.inside_ns(begins if begins >= 0 else at), explained.target_duration_ns
    code, code_service = trace.code(at, template)
    return Subject(
        title=f"{journey or _root_name(explained)} {_what_happened(trace, at, begins, failed)}",
        journey=journey,
        service=service,
        caller=caller,
        callee=callee,
        trace_ids=(explained.trace_id,),
        failed=failed,
        facts=_facts(trace, at, failed),
        owner=owner_of(trace.resource(at)) if service == own_service else Owner(),
        code=code,
        code_service=code_service,
        whose=whose_span(explained.nodes[at].kind, spans.detail(explained.nodes[at].row).outline),
        span_id=explained.nodes[at].id,
        critical_ns=inside,
        critical_share=inside / whole if whole else None,
    )


@dataclass(frozen=True, slots=True)
class CallSeen:
    """A call as one trace has it."""

    span_id: str
    code: CodeLine | None
    code_service: str
    whose: str
    inside_ns: int
    """Time on the critical path in the call and below it."""
    share: float | None


def call_in_trace(
    spans: DetailedSpans, explained: Explanation, caller: Node, callee: Node, template: str
) -> CallSeen | None:
    """Return the call of an edge in a trace, the one with most of the critical path; None where it is not there."""
    trace = _Trace(spans, explained)
    begins = {
        begin
        for at in range(len(trace.nodes))
        if (begin := trace.begin_of_call(at)) >= 0 and trace.is_call(at, begin, caller, callee)
    }
    if not begins:
        return None
    at = max(begins, key=lambda begin: (trace.inside_ns(begin), -begin))
    code, code_service = trace.code(at, template)
    inside, whole = trace.inside_ns(at), explained.target_duration_ns
    node = trace.nodes[at]
    return CallSeen(
        span_id=node.id,
        code=code,
        code_service=code_service,
        whose=whose_span(node.kind, spans.detail(node.row).outline),
        inside_ns=inside,
        share=inside / whole if whole else None,
    )


def _what_happened(trace: "_Trace", at: int, begins: int, failed: bool) -> str:
    service = trace.nodes[at].service
    if trace.answered_by(at) >= 0:
        between = f"between {service} and {trace.nodes[trace.answered_by(at)].service}"
        return f"failed {between}" if failed else f"waited longest {between}: network, queue or connection"
    if begins < 0:
        return f"failed in {service} itself" if failed else f"took longest in {service} itself"
    return f"{'failed at' if failed else 'waited longest for'} {trace.outside_name(at) or service}"


def _root_name(explained: Explanation) -> str:
    node = explained.nodes[max(explained.target, 0)]
    return f"{node.service} {node.operation}"


def _facts(trace: "_Trace", at: int, failed: bool) -> tuple[str, ...]:
    message = trace.spans.detail(trace.nodes[at].row).status_message.strip().partition("\n")[0]
    return (f"It says: {message}",) if failed and message else ()


class _Trace:
    """A trace with the questions that an escalation asks of it."""

    def __init__(self, spans: DetailedSpans, explained: Explanation) -> None:
        self.spans = spans
        self.nodes = explained.nodes
        self._target = explained.target
        self._failed = [int(spans.batch.status_code[node.row]) == STATUS_ERROR for node in self.nodes]
        self._callees = callees(spans.batch, self.nodes)
        self._answers = {
            node.parent: i
            for i, node in enumerate(self.nodes)
            if node.parent >= 0
            and node.kind in (KIND_SERVER, KIND_CONSUMER)
            and self.nodes[node.parent].kind in (KIND_CLIENT, KIND_PRODUCER)
        }

    def resource(self, at: int) -> Attributes:
        return self.spans.detail(self.nodes[at].row).resource.attributes

    def failure(self) -> int:
        """Return the deepest failed span below the target over failed spans, -1 where the target ended well."""
        at = self._target
        if at < 0 or not self._failed[at]:
            return -1
        below: dict[int, list[int]] = {}
        for i, node in enumerate(self.nodes):
            if self._failed[i] and node.parent >= 0:
                below.setdefault(node.parent, []).append(i)
        while at in below:
            at = max(below[at], key=lambda i: (self.nodes[i].end_unix_nano, i))
        return at

    def slowest(self) -> int:
        """Return the span with most time of the operation (or of the calls of one service) with most time."""
        times: dict[tuple[str, str, str], int] = {}
        for i, node in enumerate(self.nodes):
            times[self._kin(i)] = times.get(self._kin(i), 0) + node.time_ns
        most = max(times, key=lambda kin: times[kin])
        return max((i for i in range(len(self.nodes)) if self._kin(i) == most), key=lambda i: self.nodes[i].time_ns)

    def _kin(self, at: int) -> tuple[str, str, str]:
        """Service and operation, and whom it calls: many clients have one name for all their calls."""
        node, answers = self.nodes[at], self.answered_by(at)
        return node.service, node.operation, self.nodes[answers].service if answers >= 0 else self._callees[at]

    def answered_by(self, at: int) -> int:
        """Return the span with which the callee of a CLIENT or PRODUCER begins, -1 for none."""
        return self._answers.get(at, -1)

    def outside_name(self, at: int) -> str:
        """Return whom a span called that sends no spans of its own, else ""."""
        return self._callees[at]

    def begin_of_call(self, at: int) -> int:
        """Return the span where the call to its service begins, the caller's CLIENT if it has one; -1: nobody's."""
        if self._callees[at] or at in self._answers:
            return at
        service = self.nodes[at].service
        while self.nodes[at].parent >= 0 and self.nodes[self.nodes[at].parent].service == service:
            at = self.nodes[at].parent
        above = self.nodes[at].parent
        if above < 0:
            return -1
        return above if self.nodes[above].kind in (KIND_CLIENT, KIND_PRODUCER) else at

    def ends(self, at: int, begins: int) -> tuple[Node | None, Node | None]:
        """Return caller and callee of the call that begins at a span."""
        if begins < 0:
            return None, None
        outgoing = self.nodes[begins].kind in (KIND_CLIENT, KIND_PRODUCER)
        caller = self._operation(self._entry(begins if outgoing else self.nodes[begins].parent))
        if self._callees[at]:
            return caller, self._outside(at, self._callees[at])
        return caller, self._operation(self._entry(self._answers.get(at, at)))

    def is_call(self, at: int, begins: int, caller: Node, callee: Node) -> bool:
        """Tell whether the call that begins at a span is of this edge, whose caller may be a mark around the call."""
        ends = self.ends(at, begins)
        names = [(end.service, end.operation) for end in ends if end]
        if len(names) < 2 or names[1] != (callee.service, callee.operation):
            return False
        around = ((node.service, node.operation) for node in (self.nodes[i] for i in self._above(begins)))
        return (caller.service, caller.operation) in (names[0], *around)

    def _outside(self, at: int, called: str) -> Node:
        """A callee without spans of its own, under the name that it has in dependency graphs."""
        batch, row = self.spans.batch, self.nodes[at].row
        queue = batch.messaging_system[row], batch.messaging_destination[row]
        if max(queue) >= 0:
            return Node(batch.text(int(queue[0])), batch.text(int(queue[1])), "queue")
        if batch.db_system[row] >= 0 and batch.peer_service[row] < 0:
            return Node(batch.text(int(batch.db_system[row])), batch.text(int(batch.db_namespace[row])), "database")
        return Node(called, "", "external")

    def inside_ns(self, top: int) -> int:
        """Return the time on the critical path in a span and everything below it; those stand behind it."""
        inside = {top}
        total = self.nodes[top].time_ns
        for i in range(top + 1, len(self.nodes)):
            if self.nodes[i].parent not in inside:
                break
            inside.add(i)
            total += self.nodes[i].time_ns
        return total

    def code(self, at: int, template: str) -> tuple[CodeLine | None, str]:
        """Return the line of the span and its service; else of one of its service around it; else of who called it."""
        service = self.nodes[at].service
        near = [at, *self._below(at, service), *self._above(at)]
        for i in near:
            line = code_line(self.spans.detail(self.nodes[i].row), template)
            if line is not None:
                return line, self.nodes[i].service
        return None, ""

    def _below(self, at: int, service: str) -> list[int]:
        """Spans of the same service right below, failed ones first, then by time."""
        kids = [i for i in range(at + 1, len(self.nodes)) if self.nodes[i].parent == at]
        own = [i for i in kids if self.nodes[i].service == service]
        return sorted(own, key=lambda i: (not self._failed[i], -self.nodes[i].time_ns))

    def _above(self, at: int) -> list[int]:
        above = []
        while self.nodes[at].parent >= 0:
            at = self.nodes[at].parent
            above.append(at)
        return above

    def _entry(self, at: int) -> int:
        """The span that stands for a span's operation: the nearest SERVER, CONSUMER or first span of its service."""
        service = self.nodes[at].service
        while self.nodes[at].kind not in (KIND_SERVER, KIND_CONSUMER):
            above = self.nodes[at].parent
            if above < 0 or self.nodes[above].service != service:
                break
            at = above
        return at

    def _operation(self, at: int) -> Node:
        node = self.nodes[at]
        return Node(node.service, node.operation, "")
