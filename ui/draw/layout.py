"""A layered layout, left to right: who calls stands left of whom it calls, and the heavy edges run straight.

Pure: sizes and weights in, coordinates out; knows no services and no SVG. The steps are Sugiyama's, each a
function: cut cycles, give ranks, add a dummy where an edge passes a rank, order the ranks by barycentres, place.

    a -> b -> d        rank 0   1    2
    a ------> d        a        b    d
                                .          the dot is the dummy of a -> d

Placing is exact per rank: the vertical positions that are nearest to those of the neighbours (weighted least
squares) while the order and the gaps hold are an isotonic regression, found by pooling adjacent violators.
Source: Sugiyama, Tagawa, Toda, IEEE SMC 1981; Eades, Lin, Smyth, IPL 1993 (cycles); Ayer et al., 1955 (pooling).
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import networkx as nx
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Box:
    """A node to be placed."""

    id: Hashable
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Wire:
    """An edge to be routed. Offsets say where it touches its boxes, from their middle, downwards."""

    source: Hashable
    target: Hashable
    weight: float = 1.0
    """How much it wants to be straight; the critical path weighs most."""
    source_offset: float = 0.0
    target_offset: float = 0.0


@dataclass(frozen=True, slots=True)
class Placed:
    x: float
    y: float
    """Of the upper left corner."""
    rank: int


@dataclass(frozen=True, slots=True)
class Layout:
    width: float
    height: float
    boxes: dict[Hashable, Placed]
    routes: tuple[tuple[tuple[float, float], ...], ...]
    """For each wire, in order: the points that it passes, from its source to its target."""
    reversed: frozenset[int]
    """Positions of the wires that run against the direction, because a cycle was cut there; self-loops included."""


@dataclass(frozen=True, slots=True)
class Spacing:
    between_ranks: float = 96.0
    between_boxes: float = 16.0
    between_wires: float = 8.0
    margin: float = 16.0
    sweeps: int = 8
    """Over the ranks, to and fro; an even number."""


@dataclass(slots=True)
class _Layers:
    """The graph with dummies, as columns; `order` is a permutation of the points of each rank."""

    rank: Ints
    size: Floats
    """Height of each point; 0 for a dummy."""
    left: Ints
    """The point at the left end of each segment, which always joins neighbouring ranks."""
    right: Ints
    left_offset: Floats
    right_offset: Floats
    weight: Floats
    chains: list[list[int]] = field(default_factory=list)
    """For each forward wire: its points, dummies included."""
    order: list[Ints] = field(default_factory=list)


def layered(boxes: Sequence[Box], wires: Sequence[Wire], spacing: Spacing = Spacing()) -> Layout:
    """Return where each box lies and what each wire passes; the same input gives the same picture.

    Wires between unknown boxes raise KeyError. Work: a few sweeps over nodes, dummies and wires.
    """
    if not boxes:
        return Layout(2 * spacing.margin, 2 * spacing.margin, {}, tuple(() for _ in wires), frozenset())
    index = {box.id: i for i, box in enumerate(boxes)}
    pairs = [(index[wire.source], index[wire.target]) for wire in wires]

    backward = _cut_cycles(len(boxes), pairs, [wire.weight for wire in wires])
    forward = [(target, source) if i in backward else (source, target) for i, (source, target) in enumerate(pairs)]
    rank = _ranks(len(boxes), [pair for pair in forward if pair[0] != pair[1]])
    layers = _with_dummies(boxes, wires, forward, backward, rank)
    _order(layers, spacing.sweeps)
    middle = _place(layers, spacing)
    return _layout(boxes, wires, layers, middle, backward, spacing)


def _cut_cycles(count: int, pairs: list[tuple[int, int]], weights: list[float]) -> frozenset[int]:
    """Return the wires to turn round so that no cycle is left: light ones, by the order of Eades, Lin and Smyth."""
    graph = nx.DiGraph()
    graph.add_nodes_from(range(count))
    for (source, target), weight in zip(pairs, weights, strict=True):
        if source != target:
            before = graph.get_edge_data(source, target, {"weight": 0.0})["weight"]
            graph.add_edge(source, target, weight=before + weight)
    place: dict[int, tuple[int, int]] = {}
    for c, component in enumerate(nx.strongly_connected_components(graph)):
        if len(component) > 1:
            sequence = _greedy_sequence(graph.subgraph(sorted(component)))
            place.update({node: (c, i) for i, node in enumerate(sequence)})

    def points_back(source: int, target: int) -> bool:
        if source not in place or target not in place:
            return source == target
        return place[source][0] == place[target][0] and place[source][1] >= place[target][1]

    return frozenset(i for i, pair in enumerate(pairs) if points_back(*pair))


def _greedy_sequence(graph: "nx.DiGraph[int]") -> list[int]:
    """Order nodes so that the weight of the edges that point back is small."""
    out_weight = {n: sum(d["weight"] for _, _, d in graph.out_edges(n, data=True)) for n in graph}
    in_weight = {n: sum(d["weight"] for _, _, d in graph.in_edges(n, data=True)) for n in graph}
    out_count, in_count = dict(graph.out_degree()), dict(graph.in_degree())
    left: list[int] = []
    right: list[int] = []
    remaining = dict.fromkeys(graph)

    def remove(node: int) -> None:
        del remaining[node]
        for _, target, data in graph.out_edges(node, data=True):
            in_weight[target] -= data["weight"]
            in_count[target] -= 1
        for source, _, data in graph.in_edges(node, data=True):
            out_weight[source] -= data["weight"]
            out_count[source] -= 1

    while remaining:
        sink = next((n for n in remaining if not out_count[n]), None)
        source = None if sink is not None else next((n for n in remaining if not in_count[n]), None)
        if sink is not None:
            right.append(sink)
            remove(sink)
        elif source is not None:
            left.append(source)
            remove(source)
        else:
            best = max(remaining, key=lambda n: (out_weight[n] - in_weight[n], -n))
            left.append(best)
            remove(best)
    return left + right[::-1]


def _ranks(count: int, pairs: list[tuple[int, int]]) -> Ints:
    """Return each node's rank: the longest way from a source, then drawn towards what it calls, to shorten wires."""
    graph = nx.DiGraph()
    graph.add_nodes_from(range(count))
    graph.add_edges_from(pairs)
    rank = np.zeros(count, np.int64)
    order = list(nx.topological_sort(graph))
    for node in order:
        rank[node] = max((rank[p] + 1 for p in graph.predecessors(node)), default=0)
    for node in reversed(order):
        if graph.in_degree(node) == 0 and graph.out_degree(node):
            rank[node] = min(rank[s] for s in graph.successors(node)) - 1
    lowest: np.int64 = rank.min()
    return np.subtract(rank, lowest, dtype=np.int64)


def _with_dummies(
    boxes: Sequence[Box],
    wires: Sequence[Wire],
    forward: list[tuple[int, int]],
    backward: frozenset[int],
    rank: Ints,
) -> _Layers:
    ranks, sizes = list(map(int, rank)), [box.height for box in boxes]
    segments: list[tuple[int, int, float, float, float]] = []
    chains: list[list[int]] = []
    for i, ((source, target), wire) in enumerate(zip(forward, wires, strict=True)):
        if source == target:
            chains.append([])
            continue
        offsets = (wire.source_offset, wire.target_offset)
        first, last = offsets[::-1] if i in backward else offsets
        chain = [source]
        for r in range(ranks[source] + 1, ranks[target]):
            chain.append(len(ranks))
            ranks.append(r)
            sizes.append(0.0)
        chain.append(target)
        for step, (a, b) in enumerate(pairwise(chain)):
            # Between two dummies a bend shows most, so these pull hardest (Gansner et al., 1993).
            pull = wire.weight * (1 + (step > 0) + 2 * (0 < step < len(chain) - 2))
            segments.append((a, b, first if step == 0 else 0.0, last if b == target else 0.0, pull))
        chains.append(chain)
    columns = list(zip(*segments, strict=True)) if segments else [(), (), (), (), ()]
    return _Layers(
        rank=np.array(ranks, np.int64),
        size=np.array(sizes, np.float64),
        left=np.array(columns[0], np.int64),
        right=np.array(columns[1], np.int64),
        left_offset=np.array(columns[2], np.float64),
        right_offset=np.array(columns[3], np.float64),
        weight=np.array(columns[4], np.float64),
        chains=chains,
    )


def _order(layers: _Layers, sweeps: int) -> None:
    """Order each rank by the weighted mean of its neighbours' places, to and fro, and keep the fewest crossings."""
    number_of_ranks = int(layers.rank.max()) + 1
    layers.order = [np.flatnonzero(layers.rank == r) for r in range(number_of_ranks)]
    place = np.zeros(len(layers.rank))
    for points in layers.order:
        place[points] = np.arange(len(points))
    best, best_crossings = [points.copy() for points in layers.order], _crossings(layers, place)
    segments_of = _segments_by_rank(layers, number_of_ranks)
    for sweep in range(sweeps):
        rightwards = sweep % 2 == 0
        for r in range(1, number_of_ranks) if rightwards else range(number_of_ranks - 2, -1, -1):
            segments = segments_of[r - 1] if rightwards else segments_of[r]
            mine, other = (layers.right, layers.left) if rightwards else (layers.left, layers.right)
            points = layers.order[r]
            wish = _wished(mine[segments], place[other[segments]], layers.weight[segments], place)
            layers.order[r] = points[np.lexsort((place[points], wish[points]))]
            place[layers.order[r]] = np.arange(len(points))
        crossings = best_crossings if rightwards else _crossings(layers, place)
        if crossings < best_crossings:
            best, best_crossings = [points.copy() for points in layers.order], crossings
    layers.order = best


def _segments_by_rank(layers: _Layers, number_of_ranks: int) -> list[Ints]:
    """Segments by the rank of their left end."""
    of_left = layers.rank[layers.left]
    return [np.flatnonzero(of_left == r) for r in range(number_of_ranks)]


def _wished(mine: Ints, neighbours: Floats, weight: Floats, fallback: Floats) -> Floats:
    """Return for every point the weighted mean of its neighbours, `fallback` where it has none."""
    total = np.bincount(mine, weight, len(fallback))
    summed = np.bincount(mine, weight * neighbours, len(fallback))
    return np.where(total > 0, summed / np.where(total > 0, total, 1), fallback)


def _crossings(layers: _Layers, place: Floats) -> float:
    """Count, weighted, how often segments cross: inversions of right ends when left ends are in order."""
    total = 0.0
    of_left = layers.rank[layers.left]
    for r in range(int(layers.rank.max())):
        segments = np.flatnonzero(of_left == r)
        by_place = segments[np.lexsort((place[layers.right[segments]], place[layers.left[segments]]))]
        total += _inversions(place[layers.right[by_place]].astype(np.int64), layers.weight[by_place])
    return total


def _inversions(ends: Ints, weight: Floats) -> float:
    """Sum weight products over pairs that are out of order, with a Fenwick tree: O(n log n)."""
    if not len(ends):
        return 0.0
    size = int(ends.max()) + 2
    tree = [0.0] * (size + 1)
    total, crossed = 0.0, 0.0
    for end, w in zip(ends.tolist(), weight.tolist(), strict=True):
        i, before = end + 1, 0.0
        while i > 0:
            before += tree[i]
            i -= i & -i
        crossed += w * (total - before)
        total += w
        i = end + 1
        while i <= size:
            tree[i] += w
            i += i & -i
    return crossed


def _place(layers: _Layers, spacing: Spacing) -> Floats:
    """Return the vertical middle of every point."""
    gaps = [_gaps(layers, points, spacing) for points in layers.order]
    middle = np.zeros(len(layers.rank))
    for points, gap in zip(layers.order, gaps, strict=True):
        middle[points] = np.concatenate([[0.0], np.cumsum(gap)]) - gap.sum() / 2
    segments_of = _segments_by_rank(layers, len(layers.order))
    for sweep in range(2 * spacing.sweeps):
        rightwards = sweep % 2 == 0
        ranks = range(len(layers.order)) if rightwards else range(len(layers.order) - 1, -1, -1)
        for r in ranks:
            _pull(layers, middle, layers.order[r], gaps[r], segments_of, r)
    return middle


def _gaps(layers: _Layers, points: Ints, spacing: Spacing) -> Floats:
    """Return the least distances between the middles of neighbours in a rank."""
    half = layers.size[points] / 2
    both_boxes = (half[1:] > 0) & (half[:-1] > 0)
    return half[1:] + half[:-1] + np.where(both_boxes, spacing.between_boxes, spacing.between_wires)


def _pull(layers: _Layers, middle: Floats, points: Ints, gap: Floats, segments_of: list[Ints], r: int) -> None:
    """Move the points of one rank as near to all their neighbours as order and gaps allow."""
    into = segments_of[r - 1] if r else np.empty(0, np.int64)
    out = segments_of[r]
    lean = layers.left_offset - layers.right_offset
    mine = np.concatenate([layers.right[into], layers.left[out]])
    towards = np.concatenate([middle[layers.left[into]] + lean[into], middle[layers.right[out]] - lean[out]])
    weight = np.concatenate([layers.weight[into], layers.weight[out]])
    wish = _wished(mine, towards, weight, middle)[points]
    pull = np.bincount(mine, weight, len(middle))[points] + 1e-3
    shift = np.concatenate([[0.0], np.cumsum(gap)])
    middle[points] = _isotonic(wish - shift, pull) + shift


def _isotonic(wish: Floats, weight: Floats) -> Floats:
    """Return the non-decreasing values nearest to `wish` in weighted squares (pool adjacent violators)."""
    blocks: list[list[float]] = []  # mean, weight, length
    for value, w in zip(wish.tolist(), weight.tolist(), strict=True):
        block = [value, w, 1.0]
        while blocks and blocks[-1][0] > block[0]:
            mean, total, length = blocks.pop()
            block = [
                (mean * total + block[0] * block[1]) / (total + block[1]),
                total + block[1],
                length + block[2],
            ]
        blocks.append(block)
    return np.repeat([b[0] for b in blocks], [int(b[2]) for b in blocks])


def _layout(
    boxes: Sequence[Box],
    wires: Sequence[Wire],
    layers: _Layers,
    middle: Floats,
    backward: frozenset[int],
    spacing: Spacing,
) -> Layout:
    heights = np.array([box.height for box in boxes])
    top = float(min((middle[: len(boxes)] - heights / 2).min(), middle.min())) - spacing.margin
    left, widths = _columns(boxes, layers.rank, spacing)
    placed = {
        box.id: Placed(left[layers.rank[i]], float(middle[i]) - box.height / 2 - top, int(layers.rank[i]))
        for i, box in enumerate(boxes)
    }
    routes = tuple(
        _route(wire, chain, i in backward, boxes, layers.rank, middle - top, left, widths)
        for i, (wire, chain) in enumerate(zip(wires, layers.chains, strict=True))
    )
    bottom = float(max((middle[: len(boxes)] + heights / 2).max(), middle.max())) - top + spacing.margin
    return Layout(left[-1] + widths[-1] + spacing.margin, bottom, placed, routes, backward)


def _columns(boxes: Sequence[Box], rank: Ints, spacing: Spacing) -> tuple[list[float], list[float]]:
    """Return the left side and the width of every rank."""
    widths = [0.0] * (int(rank.max()) + 1)
    for i, box in enumerate(boxes):
        widths[rank[i]] = max(widths[rank[i]], box.width)
    left, x = [], spacing.margin
    for width in widths:
        left.append(x)
        x += width + spacing.between_ranks
    return left, widths


def _route(
    wire: Wire,
    chain: list[int],
    is_reversed: bool,
    boxes: Sequence[Box],
    rank: Ints,
    middle: Floats,
    left: list[float],
    widths: list[float],
) -> tuple[tuple[float, float], ...]:
    """Return the points of one wire; a passed rank is crossed level, from its left side to its right."""
    if not chain:
        return ()
    first, last = chain[0], chain[-1]
    offsets = (wire.source_offset, wire.target_offset)
    start, end = offsets[::-1] if is_reversed else offsets
    points = [(left[rank[first]] + boxes[first].width, float(middle[first]) + start)]
    for dummy in chain[1:-1]:
        x, y = left[rank[dummy]], float(middle[dummy])
        points += [(x, y), (x + widths[rank[dummy]], y)]
    points.append((left[rank[last]], float(middle[last]) + end))
    return tuple(reversed(points)) if is_reversed else tuple(points)
