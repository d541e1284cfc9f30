"""The critical path of one trace, explained: the value behind `cpdd path --json` and the trace page."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from collector.core.assemble import Forest, assemble
from collector.core.critical_path import critical_paths
from collector.core.detail import Link, LinkEnd
from collector.core.flags import NO_LENGTH, REASONS, ROOT_KINDS, flag_names
from collector.core.kernels import bits, load
from collector.core.policy import PathPolicy
from collector.core.slack import SlackAndDrag, slack_and_drag
from collector.core.spans import IntColumn, SpanBatch

__all__ = ["Explanation", "Fragment", "PathNode", "PathPolicy", "Section", "explain"]


class Section(NamedTuple):
    """A stretch of time that belongs to one span. Sections touch and never overlap.

    A tuple, since a trace may have 100,000 of them and one is made in a fifth of a dataclass's time; nodes likewise.
    """

    node: int
    """Position in `Explanation.nodes`."""
    start_unix_nano: int
    end_unix_nano: int
    reason: str
    """One of `collector.core.flags.REASONS`: why the node had it (rule 11)."""
    flags: tuple[str, ...]

    @property
    def duration_ns(self) -> int:
        return self.end_unix_nano - self.start_unix_nano


class PathNode(NamedTuple):
    """A span after assembly: copies dropped, shared ids split, ends inferred, clocks corrected."""

    id: str
    """The span id; the server half of a shared id is `ID/server`."""
    row: int
    """Row of the SpanBatch that was explained."""
    parent: int
    """Position of the parent in `Explanation.nodes`, -1 for a root, an orphan, or where a cycle was cut."""
    service: str
    operation: str
    kind: int
    start_unix_nano: int
    end_unix_nano: int
    shift_ns: int
    """What the clock correction added to start and end; 0 for most."""
    blocking: bool
    """Whether the parent waited for it (rule 6); True for a root."""
    flags: tuple[str, ...]
    time_ns: int
    """Time on the critical path of the target."""
    time_min_ns: int
    time_max_ns: int
    slack_ns: int | None
    """How much later it may end with the target unchanged, cautious; None where the target does not depend on it."""
    slack_max_ns: int | None
    drag_ns: int | None
    """How much earlier the target ends when this span's own work takes no time; None when the target is the trace."""
    drag_min_ns: int | None
    """The lesser of the cautious and the bold value; it is the cautious one (docs/decisions/002)."""
    drag_max_ns: int | None
    """The bold value."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """A path of its own, off the target's: of another root, an orphan, or a child that nobody waited for."""

    node: int
    kind: str
    """`root`, `orphan`, `cycle` or `not-blocking`."""
    sections: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What the length of one trace depended on, section by section, and what else is known of its spans."""

    trace_id: str
    policy: PathPolicy
    target: int
    """Position of the target in `nodes`; -1 when the target is the whole trace."""
    target_start_unix_nano: int
    target_duration_ns: int
    sections: tuple[Section, ...]
    nodes: tuple[PathNode, ...]
    """In depth-first order: each node behind its parent, siblings by start."""
    fragments: tuple[Fragment, ...]
    completeness: float
    ambiguity: float
    flags: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """Return the JSON of `cpdd path --json`; docs/reference/cli.md describes it."""
        return {
            "trace_id": self.trace_id,
            "policy": {
                "overflow": self.policy.overflow,
                "max_skew_ns": self.policy.max_skew_ns,
                "version": self.policy.version,
            },
            "target": {
                "span_id": self.nodes[self.target].id if self.target >= 0 else None,
                "start_unix_nano": self.target_start_unix_nano,
                "duration_ns": self.target_duration_ns,
            },
            "sections": [self._section_json(section) for section in self.sections],
            "spans": [
                {
                    "span_id": node.id,
                    "time_ns": node.time_ns,
                    "time_min_ns": node.time_min_ns,
                    "time_max_ns": node.time_max_ns,
                    "slack_ns": node.slack_ns,
                    "slack_max_ns": node.slack_max_ns,
                    "drag_ns": node.drag_ns,
                    "drag_min_ns": node.drag_min_ns,
                    "drag_max_ns": node.drag_max_ns,
                    "flags": list(node.flags),
                }
                for node in self.nodes
            ],
            "fragments": [
                {
                    "span_id": self.nodes[fragment.node].id,
                    "kind": fragment.kind,
                    "start_unix_nano": self.nodes[fragment.node].start_unix_nano,
                    "duration_ns": self.nodes[fragment.node].end_unix_nano - self.nodes[fragment.node].start_unix_nano,
                    "sections": [self._section_json(section) for section in fragment.sections],
                    "flags": list(self.nodes[fragment.node].flags),
                }
                for fragment in self.fragments
            ],
            "completeness": self.completeness,
            "ambiguity": self.ambiguity,
            "flags": list(self.flags),
        }

    def _section_json(self, section: Section) -> dict[str, object]:
        node = self.nodes[section.node]
        return {
            "span_id": node.id,
            "service": node.service,
            "operation": node.operation,
            "start_unix_nano": section.start_unix_nano,
            "end_unix_nano": section.end_unix_nano,
            "offset_ns": section.start_unix_nano - self.target_start_unix_nano,
            "reason": section.reason,
            "flags": list(section.flags),
        }


def explain(
    batch: SpanBatch,
    policy: PathPolicy = PathPolicy(),
    target: str = "root",
    reporting_services: frozenset[str] | None = None,
    links: Callable[[int], Iterable[Link | LinkEnd]] | None = None,
) -> list[Explanation]:
    """Explain every trace of `batch`, in order of their first row.

    Args:
        target: `root`, `trace`, or the id of a span (then only traces that have it are returned).
        reporting_services: services known to send spans, for completeness; by default those in the batch.
        links: row of the batch to its span links, which are causes when the target is the whole trace.
    """
    forest = assemble(batch, policy, reporting_services)
    traces = range(forest.traces)
    targets = forest.target.astype(np.int64)
    if target not in ("root", "trace"):
        chosen = {trace: node for trace in traces if (node := _find(forest, trace, target)) is not None}
        targets[list(chosen)] = list(chosen.values())
        traces = chosen.keys()  # type: ignore[assignment]
    paths = critical_paths(forest, want_sections=True, target=targets)
    replayed = slack_and_drag(forest, paths, targets) if target != "trace" else None
    explained = []
    for trace in traces:
        view = _View(forest, trace)
        if replayed is None:
            explained.append(view.explain_whole(policy, links))
        else:
            low, high = paths.section_first[trace], paths.section_first[trace + 1]
            explained.append(
                view.explain(
                    policy,
                    int(targets[trace]) - view.first,
                    _Sections(
                        paths.section_node[low:high] - view.first,
                        paths.section_reason[low:high],
                        paths.section_start[low:high],
                        paths.section_end[low:high],
                    ),
                    [getattr(paths, name)[view.nodes] for name in ("time_ns", "time_min_ns", "time_max_ns")],
                    int(paths.ambiguous_ns[trace]),
                    int(paths.uncertain_ns[trace]),
                    replayed,
                )
            )
    return explained


def _find(forest: Forest, trace: int, wanted: str) -> int | None:
    """Return the node with the given id (`ID` or `ID/server`) in a trace."""
    digits, _, half = wanted.partition("/")
    try:
        span_id = int(digits, 16)
    except ValueError:
        return None
    for node in forest.nodes_of(trace):
        if int(forest.span_id[node]) == span_id and bool(forest.server_half[node]) == (half == "server"):
            return node
    return None


@dataclass(frozen=True, slots=True)
class _Sections:
    """Sections as columns, nodes counted from the trace's first."""

    node: IntColumn
    reason: IntColumn
    start: IntColumn
    end: IntColumn


class _View:
    """One trace of a forest, its nodes counted from 0."""

    def __init__(self, forest: Forest, trace: int) -> None:
        self.forest = forest
        self.trace = trace
        self.first = int(forest.first[trace])
        self.nodes = slice(self.first, int(forest.first[trace + 1]))
        self.count = self.nodes.stop - self.first
        self.child_first = forest.child_first[self.first : self.nodes.stop + 1] - forest.child_first[self.first]
        links = slice(int(forest.child_first[self.first]), int(forest.child_first[self.nodes.stop]))
        self.children = (forest.children[links] - self.first).astype(np.int32)
        self.parent = np.where(forest.parent[self.nodes] >= 0, forest.parent[self.nodes] - self.first, -1)
        self.start = forest.start[self.nodes]
        self.end = forest.end[self.nodes]
        self.tick = int(forest.tick[trace])

    def explain(
        self,
        policy: PathPolicy,
        target: int,
        sections: _Sections,
        times: list[IntColumn],
        ambiguous_ns: int,
        uncertain_ns: int,
        replayed: SlackAndDrag,
    ) -> Explanation:
        """Explain with one span as the target."""
        duration = int(self.end[target] - self.start[target])
        return self._explanation(
            policy, target, int(self.start[target]), duration, sections, times, ambiguous_ns, uncertain_ns, replayed
        )

    def explain_whole(self, policy: PathPolicy, links: Callable[[int], Iterable[Link | LinkEnd]] | None) -> Explanation:
        """Explain with the whole trace as the target, from its first start to its last end."""
        forest = self.forest
        link_first, linked = self._links(links)
        kernels = load("walk", self.count)
        times = kernels.make_times(self.count)
        ambiguous, uncertain, sections = kernels.walk_whole(
            link_first,
            linked,
            self.parent,
            self.tick,
            self.start,
            self.end,
            forest.span_id[self.nodes],
            forest.kind[self.nodes],
            forest.flags[self.nodes],
            forest.relation[self.nodes],
            self.children,
            self.child_first,
            kernels.make_trace(self.count, 8),
            times,
        )
        begin = int(self.start.min())
        columns = _Sections(*sections.T)
        return self._explanation(
            policy, -1, begin, int(self.end.max()) - begin, columns, list(times),
            int(ambiguous), int(uncertain), None,
        )  # fmt: skip

    def _links(self, links: Callable[[int], Iterable[Link | LinkEnd]] | None) -> tuple[IntColumn, IntColumn]:
        """The nodes of this trace that each node links to: those of node i are linked[first[i]:first[i + 1]]."""
        forest = self.forest
        if links is None:
            return np.zeros(self.count + 1, np.int64), np.empty(0, np.int64)
        nodes_of: dict[str, list[int]] = {}
        for node in range(self.count):
            nodes_of.setdefault(f"{int(forest.span_id[self.first + node]):016x}", []).append(node)
        trace_id = forest.batch.trace_id(int(forest.row[self.first]))
        linked: list[int] = []
        counts = [0]
        for node in range(self.count):
            for link in links(int(forest.row[self.first + node])):
                if link.trace_id == trace_id:
                    linked.extend(nodes_of.get(link.span_id, ()))
            counts.append(len(linked))
        return np.array(counts, np.int64), np.array(linked, np.int64)

    def _explanation(
        self,
        policy: PathPolicy,
        target: int,
        start: int,
        duration: int,
        sections: _Sections,
        times: list[IntColumn],
        ambiguous_ns: int,
        uncertain_ns: int,
        replayed: SlackAndDrag | None,
    ) -> Explanation:
        forest = self.forest
        order = self._depth_first()
        position = np.empty(self.count, np.int64)
        position[order] = np.arange(self.count)
        flags = int(np.bitwise_or.reduce(forest.flags[self.nodes])) | (0 if duration else NO_LENGTH)
        return Explanation(
            trace_id=forest.batch.trace_id(int(forest.row[self.first])),
            policy=policy,
            target=int(position[target]) if target >= 0 else -1,
            target_start_unix_nano=start,
            target_duration_ns=duration,
            sections=self._sections(sections, position),
            nodes=self._nodes(order, position, times, replayed),
            fragments=self._fragments(target, position),
            completeness=1.0 - uncertain_ns / duration if duration else 1.0,
            ambiguity=ambiguous_ns / duration if duration else 0.0,
            flags=flag_names(flags),
        )

    def _depth_first(self) -> list[int]:
        """Nodes behind their parents, siblings by start, then by end down and id; the target's tree first."""
        rank = np.empty(self.count, np.int64)
        rank[np.lexsort((self.forest.span_id[self.nodes], -self.end, self.start))] = np.arange(self.count)
        parents = np.repeat(np.arange(self.count), np.diff(self.child_first))
        last_first = self.children[np.lexsort((-rank[self.children], parents))].tolist()
        bounds = self.child_first.tolist()
        primary = int(self.forest.target[self.trace]) - self.first
        tops = np.flatnonzero(self.parent < 0)
        stack = tops[np.argsort(-rank[tops])].tolist()
        stack.remove(primary)
        stack.append(primary)
        order = []
        while stack:
            node = stack.pop()
            order.append(node)
            stack += last_first[bounds[node] : bounds[node + 1]]
        return order

    def _sections(self, columns: _Sections, position: IntColumn) -> tuple[Section, ...]:
        return tuple(
            Section(node, start, end, REASONS[reason], flag_names(flags))
            for node, reason, start, end, flags in zip(
                position[columns.node].tolist(),
                columns.reason.tolist(),
                columns.start.tolist(),
                columns.end.tolist(),
                self.forest.flags[self.first + columns.node].tolist(),
                strict=True,
            )
        )

    def _nodes(
        self,
        order: list[int],
        position: IntColumn,
        times: list[IntColumn],
        replayed: SlackAndDrag | None,
    ) -> tuple[PathNode, ...]:
        """Return the nodes in an order; each column is converted once, since a trace may have 100,000 of them."""
        forest, batch = self.forest, self.forest.batch
        nodes = np.array(order, np.int64)
        at = nodes + self.first
        rows = forest.row[at]
        above = self.parent[nodes]
        no_numbers: list[int | None] = [None] * len(order)
        slack, slack_max, drag, drag_max = (
            (
                column[at].tolist()
                for column in (replayed.slack_ns, replayed.slack_max_ns, replayed.drag_ns, replayed.drag_max_ns)
            )
            if replayed is not None
            else (no_numbers,) * 4
        )
        columns = (
            rows,
            batch.span_id[rows],
            forest.server_half[at],
            np.where(above >= 0, position[above], -1),
            batch.service[rows],
            batch.name[rows],
            batch.kind[rows],
            forest.start[at],
            forest.end[at],
            forest.shift[at],
            (above < 0) | (forest.relation[at] == bits.BLOCKING),
            forest.flags[at],
            *(column[nodes] for column in times),
        )
        text = batch.text
        return tuple(
            PathNode(
                f"{span_id:016x}/server" if server_half else f"{span_id:016x}",
                row,
                parent,
                text(service),
                text(operation),
                kind,
                start,
                end,
                shift,
                blocking,
                flag_names(flags),
                time,
                time_min,
                time_max,
                None if own_slack is None or own_slack < 0 else own_slack,
                None if own_slack is None or own_slack < 0 else own_slack_max,
                own_drag,
                own_drag,
                own_drag_max,
            )
            for (row, span_id, server_half, parent, service, operation, kind, start, end, shift, blocking, flags,
                 time, time_min, time_max), own_slack, own_slack_max, own_drag, own_drag_max
            in zip(zip(*(column.tolist() for column in columns), strict=True), slack, slack_max, drag, drag_max,
                   strict=True)
        )  # fmt: skip

    def _fragments(self, target: int, position: IntColumn) -> tuple[Fragment, ...]:
        """Paths of other roots, orphans, and children that nobody waited for."""
        forest = self.forest
        alone = (self.parent < 0) | (forest.relation[self.nodes] != bits.BLOCKING)
        if target >= 0:
            alone[target] = False
        in_order = np.argsort(position)
        tops = in_order[alone[in_order]]
        kernels = load("walk", self.count)
        walked = kernels.walk_targets(
            tops,
            np.zeros(len(tops), np.int64),
            np.full(len(tops), self.count),
            np.full(len(tops), self.tick),
            self.start,
            self.end,
            forest.span_id[self.nodes],
            forest.kind[self.nodes],
            forest.flags[self.nodes],
            forest.relation[self.nodes],
            self.children,
            self.child_first,
            True,
            kernels.make_trace(self.count),
            kernels.make_times(self.count),
        )
        first, sections = walked[-2:]
        columns = _Sections(*sections.T)
        found = self._sections(columns, position)
        bounds = first.tolist()
        kinds = forest.root_kind[self.first + tops].tolist()
        return tuple(
            Fragment(node, ROOT_KINDS[kind] or "not-blocking", found[start:end])
            for node, kind, start, end in zip(position[tops].tolist(), kinds, bounds, bounds[1:], strict=False)
        )
