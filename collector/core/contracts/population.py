"""The traces that a contract is held against, and the p95 path of a journey."""

from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from collector.core.assemble import assemble
from collector.core.contracts.names import CallName, OperationName
from collector.core.contracts.results import Example
from collector.core.critical_path import critical_paths
from collector.core.dependencies import NODE_KINDS, Calls, find_dependencies
from collector.core.distinct import number_rows
from collector.core.graph import DependencyGraph, GraphEdge, GraphNode
from collector.core.graph_build import dependency_graph
from collector.core.journeys import JourneyBook
from collector.core.naming import name_by_book
from collector.core.policy import PathPolicy
from collector.core.spans import IntColumn, SpanBatch

P95 = 0.95
_ROUNDING = 1e-9
"""Sums of weights differ in their last digits."""
BAND = 0.05
"""Share of the traces that make the p95 path: half of it on either side of the trace at the 95th percentile."""

Mask = NDArray[np.bool_]
FloatColumn = NDArray[np.float64]


class Population:
    """Spans, assembled into traces, with their critical paths and calls."""

    def __init__(
        self,
        batch: SpanBatch,
        policy: PathPolicy = PathPolicy(),
        weight: FloatColumn | None = None,
        book: JourneyBook = JourneyBook(),
    ) -> None:
        """Args:
        weight: by row of the batch, how many traces one stands for; by default 1.
        book: journeys that somebody named.
        """
        self.batch = batch
        self.forest = assemble(batch, policy)
        self.paths = critical_paths(self.forest)
        self.found = name_by_book(self.forest, find_dependencies(self.forest, self.paths), book)
        rows = self.forest.row[self.forest.target]
        self.weight: FloatColumn = np.ones(self.forest.traces) if weight is None else weight[rows]
        self._policy, self._row_weight, self._book = policy, weight, book

    @cached_property
    def graph(self) -> DependencyGraph:
        """The dependency graph with its verdicts; made when a rule asks for it."""
        return dependency_graph(self.batch, self._policy, self._row_weight, self._book)

    @cached_property
    def _traces(self) -> dict[str, list[int]]:
        """By journey."""
        traces: dict[str, list[int]] = {}
        for trace, journey in enumerate(self.found.journey):
            traces.setdefault(journey, []).append(trace)
        return traces

    @cached_property
    def journeys(self) -> tuple[str, ...]:
        """Names of the journeys, most traces first."""
        return tuple(sorted(self._traces, key=lambda name: (-len(self._traces[name]), name)))

    def journey(self, name: str) -> "JourneyTraces":
        """Return the traces of one journey; there may be none."""
        return JourneyTraces(self, name, np.array(self._traces.get(name, []), np.int64))


class JourneyTraces:
    """The traces of one journey. Traces are numbers in the forest, nodes and calls are rows of its columns."""

    def __init__(self, population: Population, name: str, traces: IntColumn) -> None:
        self.name = name
        self.traces = traces
        self._population = population
        self._forest = population.forest

    def __len__(self) -> int:
        return len(self.traces)

    @cached_property
    def durations_ns(self) -> IntColumn:
        """By trace."""
        target = self._forest.target[self.traces]
        return self._forest.end[target] - self._forest.start[target]

    @cached_property
    def by_duration(self) -> IntColumn:
        """Positions in `traces`, the fastest first."""
        return np.argsort(self.durations_ns, kind="stable")

    @cached_property
    def weights(self) -> FloatColumn:
        """By trace, how many it stands for."""
        weights: FloatColumn = self._population.weight[self.traces]
        return weights

    @cached_property
    def _up_to(self) -> FloatColumn:
        """By rank of duration, the share of the traces up to it."""
        sums = np.cumsum(self.weights[self.by_duration])
        shares: FloatColumn = sums / sums[-1]
        return shares

    def _rank(self, quantile: float) -> int:
        """The nearest rank: the first up to which there is so large a share."""
        return min(int(np.searchsorted(self._up_to, quantile - _ROUNDING)), len(self) - 1)

    def at_quantile(self, quantile: float) -> int:
        """Return the position in `traces` of the trace at a quantile, by nearest rank."""
        return int(self.by_duration[self._rank(quantile)])

    @cached_property
    def band(self) -> IntColumn:
        """Positions of the traces of the p95 path: that at the 95th percentile, and 2.5 % of all on either side."""
        rank, up_to, beside = self._rank(P95), self._up_to, BAND / 2 + _ROUNDING
        before = np.concatenate([[0.0], up_to[:-1]])
        first = int(np.searchsorted(before, before[rank] - beside))
        behind = int(np.searchsorted(up_to, up_to[rank] + beside, side="right"))
        return self.by_duration[first:behind]

    def mean_ns(self, values_ns: IntColumn, positions: IntColumn) -> int:
        """Return the mean of values by trace over some of the traces."""
        return round(float(np.average(values_ns[positions], weights=self.weights[positions])))

    @cached_property
    def calls(self) -> Calls:
        calls = self._population.found.calls
        return calls._take(np.flatnonzero(np.isin(calls.trace, self.traces)))

    @cached_property
    def edges(self) -> tuple[GraphEdge, ...]:
        return tuple(edge for edge in self._population.graph.edges if edge.journey == self.name)

    @cached_property
    def roots(self) -> frozenset[str]:
        """Ids, in the graph, of the operations that the journey begins with."""
        nodes = self._forest.target[self.traces]
        return frozenset(node.id for node in {self._node_of(int(node)) for node in nodes})

    def failed(self) -> Mask:
        """By trace."""
        return self._population.found.journey_failed[self.traces]

    def status_known(self) -> Mask:
        """By trace."""
        return self._population.found.status_known[self.traces]

    # Operations

    def operations(self) -> tuple[GraphNode, ...]:
        """Return the operations that have spans."""
        return tuple(dict.fromkeys(self._node_of(int(node)) for node in self._operation_numbers[0]))

    @cached_property
    def _nodes(self) -> IntColumn:
        spells = [np.arange(self._forest.first[trace], self._forest.first[trace + 1]) for trace in self.traces]
        return np.concatenate([np.empty(0, np.int64), *spells]).astype(np.int64)

    @cached_property
    def _operation_numbers(self) -> tuple[IntColumn, IntColumn]:
        """The first node of each operation, and by node of `_nodes` which operation it is."""
        rows = self._forest.row[self._nodes]
        batch = self._population.batch
        kinds = self._forest.kind[self._nodes].astype(np.int32)
        example, number = number_rows((batch.service[rows], batch.name[rows], kinds))
        return self._nodes[example], number

    def nodes_named(self, name: OperationName) -> IntColumn:
        """Return the nodes whose operation fits a name."""
        some, number = self._operation_numbers
        fits = np.array([name.matches(self._node_of(int(node))) for node in some], bool)
        return self._nodes[fits[number]] if len(some) else self._nodes

    def own_time_ns(self, nodes: IntColumn) -> IntColumn:
        """Return, by trace, the time on the critical path that belongs to these nodes themselves."""
        return self._summed(nodes, self._population.paths.time_ns[nodes])

    def _node_of(self, node: int) -> GraphNode:
        batch, row = self._population.batch, int(self._forest.row[node])
        kind = NODE_KINDS[int(self._forest.kind[node])]
        return GraphNode(batch.text(int(batch.service[row])), batch.text(int(batch.name[row])), kind)

    # Calls

    def calls_named(self, name: CallName) -> Calls:
        """Return the calls that fit a name."""
        return self.calls_that(name.matches)

    def calls_of(self, edge: GraphEdge) -> Calls:
        return self.calls_that(lambda caller, callee: (caller, callee) == self._ends(edge))

    def calls_that(self, fit: Callable[[GraphNode, GraphNode], bool]) -> Calls:
        """Return the calls whose caller and callee fit."""
        ends, number = self._call_numbers
        fits = np.array([fit(*pair) for pair in ends], bool)
        return self.calls._take(np.flatnonzero(fits[number]) if len(ends) else np.empty(0, np.int64))

    def call_ends(self) -> list[tuple[GraphNode, GraphNode]]:
        """Return caller and callee of every kind of call."""
        return self._call_numbers[0]

    @staticmethod
    def _ends(edge: GraphEdge) -> tuple[GraphNode, GraphNode]:
        ends = (edge.caller, edge.callee)
        caller, callee = (GraphNode(node.service, node.operation, node.kind) for node in ends)
        return caller, callee

    @cached_property
    def _call_numbers(self) -> tuple[list[tuple[GraphNode, GraphNode]], IntColumn]:
        """Caller and callee of every kind of call, and by call which kind it is."""
        calls, text = self.calls, self._population.batch.text
        keys = (
            calls.caller_service,
            calls.caller_operation,
            calls.caller_kind.astype(np.int32),
            calls.callee_service,
            calls.callee_operation,
            calls.callee_kind.astype(np.int32),
        )
        example, number = number_rows(keys)
        ends = [
            (GraphNode(text(a), text(b), NODE_KINDS[c]), GraphNode(text(d), text(e), NODE_KINDS[f]))
            for a, b, c, d, e, f in np.stack(keys, axis=1)[example].tolist()
        ]
        return ends, number

    def inside_ns(self, calls: Calls) -> IntColumn:
        """Return, by trace, the time on the critical path inside these calls; what lies in two of them counts once."""
        nodes = set(calls.node.tolist())
        outermost = np.array([not self._lies_in(node, nodes) for node in calls.node.tolist()], bool)
        return self._summed(calls.node, np.where(outermost, calls.path_ns, 0))

    def _lies_in(self, node: int, others: set[int]) -> bool:
        above = int(self._forest.parent[node])
        while above >= 0 and above not in others:
            above = int(self._forest.parent[above])
        return above >= 0

    def _summed(self, nodes: IntColumn, values: IntColumn) -> IntColumn:
        trace = np.searchsorted(self._forest.first, nodes, side="right") - 1
        sums = np.zeros(len(self), np.int64)
        np.add.at(sums, np.searchsorted(self.traces, trace), values)
        return sums

    # Examples

    def example(self, position: int, nodes: IntColumn) -> Example:
        """Return the trace at a position of `traces`, with those of the nodes that lie in it."""
        forest, trace = self._forest, int(self.traces[position])
        inside = nodes[(nodes >= forest.first[trace]) & (nodes < forest.first[trace + 1])]
        batch = self._population.batch
        ids = [
            batch.span_id_hex(int(forest.row[node])) + ("/server" if forest.server_half[node] else "")
            for node in inside.tolist()
        ]
        return Example(batch.trace_id(int(forest.row[forest.first[trace]])), tuple(ids))

    def position_of(self, trace: int) -> int:
        return int(np.searchsorted(self.traces, trace))

    def target(self, position: int) -> IntColumn:
        """Return the node whose path is that of the trace at a position, as a column."""
        return self._forest.target[self.traces[position : position + 1]].astype(np.int64)
