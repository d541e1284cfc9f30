"""What was learned from made-up traces, and the plain arithmetic that the store's answers are held to."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np

from collector.core.analysis import Learned, Ragged
from collector.store.minutes import EDGE_COUNTS
from collector.store.reader import Reader
from collector.store.values import TraceQuery, TraceSummary, Window
from tests.store.spans import MINUTE_NS, NOON

Step = tuple[str, str]
"""Service and operation."""
Path = tuple[Step, ...]
"""A call path, from the root down."""
EdgeSteps = tuple[Step, Step]


@dataclass(frozen=True)
class LearnedTrace:
    """One analyzed trace."""

    trace_id: int
    start: int = NOON
    duration_ns: int = 100
    journey: str = "check out"
    failed: bool = False
    status_known: bool = True
    weight: float = 1.0
    path: dict[Path, int] = field(default_factory=dict)
    """Time on the critical path."""
    edges: dict[EdgeSteps, dict[str, int]] = field(default_factory=dict)
    """Counts as in `EDGE_COUNTS`; what is left out is 0."""
    caller_version: str = ""
    """`service.version` of all callers."""
    replacements: tuple[tuple[EdgeSteps, EdgeSteps], ...] = ()
    """Edge that failed, edge that was called after it."""
    settled: bool = True

    @property
    def hex_id(self) -> str:
        return f"{self.trace_id:032x}"

    @property
    def minute(self) -> int:
        return self.start // MINUTE_NS


def path_id(path: Path) -> int:
    """A number for a call path, the same in every process."""
    return int.from_bytes(blake2b(repr(path).encode(), digest_size=8).digest(), "big")


def edge_id(edge: EdgeSteps) -> int:
    return path_id(edge)


MARK = "mark "
"""How the operation of a span around a call begins."""


def learned(traces: Sequence[LearnedTrace], version: int) -> Learned:
    """Return the rows of these traces, as `analyze_traces` would. A service `kafka` is a queue."""
    paths = sorted({path[:depth] for trace in traces for path in trace.path for depth in range(1, len(path) + 1)})
    edges = sorted({edge for trace in traces for edge in trace.edges})
    services = [sorted({path[-1][0] for path in trace.path}) for trace in traces]
    return Learned(
        traces={
            "TraceId": [trace.hex_id for trace in traces],
            "Start": np.array([trace.start for trace in traces], np.int64),
            "DurationNs": np.array([trace.duration_ns for trace in traces], np.int64),
            "Journey": [trace.journey for trace in traces],
            "RootService": ["shop"] * len(traces),
            "RootOperation": ["POST /checkout"] * len(traces),
            "RootSpanId": ["00000000000000aa"] * len(traces),
            "Failed": np.array([trace.failed for trace in traces], np.uint8),
            "StatusKnown": np.array([trace.status_known for trace in traces], np.uint8),
            "Spans": np.array([len(trace.path) for trace in traces], np.uint32),
            "Errors": np.array([trace.failed for trace in traces], np.uint32),
            "Services": np.array([len(names) for names in services], np.uint32),
            "Flags": np.zeros(len(traces), np.uint64),
            "Completeness": np.full(len(traces), 0.75),
            "Ambiguity": np.full(len(traces), 0.25),
            "Weight": np.array([trace.weight for trace in traces]),
            "SettlesAt": np.array([0 if trace.settled else 2**62 for trace in traces], np.int64),
            "ServiceList": _ragged(services, object),
            "Version": np.full(len(traces), version, np.uint64),
            "Deleted": np.zeros(len(traces), np.uint8),
            "Path.Id": _ragged([[path_id(path) for path in trace.path] for trace in traces], np.uint64),
            "Path.TimeNs": _ragged([list(trace.path.values()) for trace in traces], np.int64),
            "Path.MinNs": _ragged([list(trace.path.values()) for trace in traces], np.int64),
            "Path.MaxNs": _ragged([list(trace.path.values()) for trace in traces], np.int64),
            "Edge.Id": _ragged([[edge_id(edge) for edge in trace.edges] for trace in traces], np.uint64),
            **{
                f"Edge.{name}": _ragged(
                    [[counts.get(name, 0) for counts in trace.edges.values()] for trace in traces],
                    np.int64 if name.endswith("Ns") else np.uint32,
                )
                for name in EDGE_COUNTS
            },
            "Edge.CallerVersion": _ragged([[trace.caller_version] * len(trace.edges) for trace in traces], object),
            "Replacement.EdgeId": _ragged([[edge_id(edge) for edge, _ in t.replacements] for t in traces], np.uint64),
            "Replacement.CalledEdgeId": _ragged(
                [[edge_id(called) for _, called in t.replacements] for t in traces], np.uint64
            ),
            "Replacement.Callers": _ragged([[1] * len(t.replacements) for t in traces], np.uint32),
        },
        call_paths={
            "Id": np.array([path_id(path) for path in paths], np.uint64),
            "Parent": np.array([path_id(path[:-1]) if path[:-1] else 0 for path in paths], np.uint64),
            "Service": [path[-1][0] for path in paths],
            "Operation": [path[-1][1] for path in paths],
            "Kind": ["server"] * len(paths),
        },
        edges={
            "Id": np.array([edge_id(edge) for edge in edges], np.uint64),
            "CallerService": [caller[0] for caller, _ in edges],
            "CallerOperation": [caller[1] for caller, _ in edges],
            "CallerKind": ["queue" if caller[0] == "kafka" else _kind_of(caller) for caller, _ in edges],
            "CalleeService": [callee[0] for _, callee in edges],
            "CalleeOperation": [callee[1] for _, callee in edges],
            "CalleeKind": [_kind_of(callee) for _, callee in edges],
            "Kind": [
                "messaging" if caller[0] == "kafka" else "internal" if callee[1].startswith(MARK) else "rpc"
                for caller, callee in edges
            ],
        },
        minutes=tuple(sorted({trace.minute for trace in traces})),
    )


def _kind_of(step: Step) -> str:
    return "internal" if step[1].startswith(MARK) else "server"


def weighted_quantile(traces: Sequence[LearnedTrace], level: float) -> float:
    """The duration at which `level` of the weight is reached."""
    total = sum(trace.weight for trace in traces)
    reached = 0.0
    for trace in sorted(traces, key=lambda trace: trace.duration_ns):
        reached += trace.weight
        if reached >= level * total:
            return trace.duration_ns
    raise AssertionError("no traces")


def _ragged(lists: Sequence[Sequence[object]], dtype: type) -> Ragged:
    offsets = np.cumsum([0, *map(len, lists)])
    return Ragged(offsets, np.array([value for values in lists for value in values], dtype))


def summary_of(reader: Reader, trace_id: str) -> TraceSummary | None:
    """Return what a search finds of a trace, None where it does not find it."""
    found = reader.find(TraceQuery(Window(0, 2**62), limit=1_000))
    return next((summary for summary in found if summary.trace_id == trace_id), None)
