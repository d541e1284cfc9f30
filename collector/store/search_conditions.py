"""What a search asks for, as conditions in SQL: of `traces`, and of its spans where the row of a trace does not say it.

Text only; every value that a person or a span brought is a parameter of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from collector.store.values import TraceQuery, Window

_BEFORE_NS = 300 * 1_000_000_000
"""How much earlier than its trace a span may start: clocks differ."""
_BEHIND_NS = 3600 * 1_000_000_000
"""How much later than its trace a span may start, to be found by operation or attribute."""
_INT64 = 2**63 - 1

_HAS_ATTRIBUTE = (
    "((mapContains(SpanAttributes, {0}) AND SpanAttributes[{0}] = {1})"
    " OR (mapContains(ResourceAttributes, {0}) AND ResourceAttributes[{0}] = {1}))"
)
"""A key that is missing reads as ""; {0} and {1} are the names of parameters."""
_ON_PATH = "hasAny(arrayFilter((id, time) -> time > 0, Path.Id, Path.TimeNs), {path_ids:Array(UInt64)})"
_HAS_CALL = """
    arrayExists(
        (id, found) -> found > 0
            AND (Journey, id) IN arrayZip({{call_journeys:Array(String)}}, {{call_ids:Array(UInt64)}}),
        Edge.Id, {}
    )
"""
_SAYS_ERROR = """
    (positionCaseInsensitiveUTF8(StatusMessage, {error:String}) > 0 OR arrayExists(
        said -> positionCaseInsensitiveUTF8(said['exception.message'], {error:String}) > 0
            OR positionCaseInsensitiveUTF8(said['exception.type'], {error:String}) > 0,
        Events.Attributes
    ))
"""


def bounds(window: Window) -> tuple[int, int]:
    """Return the start and the end of a window, as far as an Int64 of the engine holds them."""
    return max(window.start_unix_nano, 0), min(max(window.end_unix_nano, 0), _INT64)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a query on `traces` asks for, by what it takes to know."""

    quick: tuple[str, ...]
    """What most traces are ruled out by, of columns that are quick to read."""
    whole: tuple[str, ...]
    """The rest of what the row of a trace says."""
    spans: tuple[str, ...]
    """What its spans must say."""
    parameters: dict[str, object]

    @property
    def quickly(self) -> str:
        """Return what stands behind PREWHERE; `slowly` stands behind WHERE."""
        return " AND ".join(self.quick)

    @property
    def slowly(self) -> str:
        return " AND ".join((*self.whole, *self.spans)) or "1"

    @property
    def of_row(self) -> str:
        """Return what the row of a trace must say."""
        return " AND ".join((*self.quick, *self.whole))

    @property
    def all(self) -> str:
        return f"{self.quickly} AND {self.slowly}"


def conditions(query: TraceQuery, path_ids: Sequence[int] = ()) -> Conditions:
    """Return the conditions of a query on `traces`, and their parameters.

    Args:
        path_ids: call paths of the service and the operation that are to be on the path.
    """
    start, end = bounds(query.window)
    parameters: dict[str, object] = {"start": start, "end": end}
    quick = [
        "NOT Deleted",
        "Start >= fromUnixTimestamp64Nano({start:Int64})",
        "Start < fromUnixTimestamp64Nano({end:Int64})",
    ]
    for condition, name, value in (
        ("Journey = {journey:String}", "journey", query.journey),
        ("has(ServiceList, {service:String})", "service", query.service),
        ("DurationNs >= {min_ns:Int64}", "min_ns", query.min_duration_ns),
        ("DurationNs <= {max_ns:Int64}", "max_ns", query.max_duration_ns),
    ):
        if value:
            quick.append(condition)
            parameters[name] = value
    if query.failed_only:
        quick.append("Failed")
    if query.ok_only:
        quick.append("NOT Failed")
    whole, spans = [], []
    if query.calls is not None:
        journeys, ids = zip(*query.calls.edges, strict=True) if query.calls.edges else ((), ())
        quick.append("Journey IN {call_journeys:Array(String)}")
        if query.calls.failed:
            quick.append("arrayExists(failed -> failed > 0, Edge.Failed)")
        whole.append(_HAS_CALL.format("Edge.Failed" if query.calls.failed else "Edge.PathNs"))
        parameters |= {"call_journeys": list(journeys), "call_ids": list(ids)}
    if query.on_path and (query.service or query.operation):
        quick.append("hasAny(Path.Id, {path_ids:Array(UInt64)})")
        whole.append(_ON_PATH)
        parameters["path_ids"] = list(path_ids)
    if query.asks_spans:
        of_spans, span_parameters = span_condition(query)
        spans.append(of_spans)
        parameters |= span_parameters
    return Conditions(tuple(quick), tuple(whole), tuple(spans), parameters)


def span_condition(query: TraceQuery, prefix: str = "") -> tuple[str, dict[str, object]]:
    """Return the condition on `traces` that one span fulfils all that is asked of spans, and its parameters.

    Args:
        prefix: of the names of attributes' parameters.
    """
    start, end = bounds(query.window)
    parameters: dict[str, object] = {
        "span_start": max(start - _BEFORE_NS, 0),
        "span_end": min(end + _BEHIND_NS, _INT64),
        "service": query.service,
        "operation": query.operation,
    }
    where = [
        "Timestamp >= fromUnixTimestamp64Nano({span_start:Int64})",
        "Timestamp < fromUnixTimestamp64Nano({span_end:Int64})",
    ]
    if query.service:
        where.append("ServiceName = {service:String}")
    if query.operation:
        where.append("SpanName = {operation:String}")
    if query.error:
        where.append(_SAYS_ERROR)
        parameters["error"] = query.error
    for number, (key, value) in enumerate(query.attributes):
        names = f"{prefix}key_{number}", f"{prefix}value_{number}"
        where.append(_HAS_ATTRIBUTE.format(*(f"{{{name}:String}}" for name in names)))
        parameters |= dict(zip(names, (key, value), strict=True))
    return f"TraceId IN (SELECT DISTINCT TraceId FROM otel_traces WHERE {' AND '.join(where)})", parameters
