"""Three services that sample for themselves: what is learned from the traffic they keep agrees with all of it.

gateway GET /  |-----------------|        25 %, later 40 %
  shop POST /buy  |-----------|           50 %, later 20 %
    stock POST /reserve  |--|             10 %, later 30 %; 7 of 10 requests go there
    tips ...........  |-|                 sends no spans
"""

from dataclasses import dataclass

import numpy as np
import pytest

from collector.core.analysis import Learned, analyze_traces
from collector.core.flags import PARTLY_SAMPLED
from collector.core.policy import PathPolicy
from collector.core.population.levels import levels_of
from collector.core.requirement import MANDATORY, OPTIONAL, Evidence, Share, Verdict, judge
from collector.core.sampling.counting import Deciders
from collector.core.spans import KIND_CLIENT, KIND_SERVER, NO_STRING, STATUS_ERROR, STATUS_OK, SpanBatch
from cpdd.sampling.thresholds import RANDOMNESS_MASK, threshold_of, threshold_text
from tests.core.worlds import batch_of

REQUESTS = 30_000
MINUTES = 4
CHANGE = 2
"""The minute at which all rates change."""
SHARES = {"gateway": (0.25, 0.4), "shop": (0.5, 0.2), "stock": (0.1, 0.3)}
SERVICES = tuple(SHARES)
TEXTS = (*SERVICES, "tips", "GET /", "POST /buy", "POST /reserve", "POST")
JOURNEY = "gateway: GET /"
EPOCH_NS = 1_700_000_040_000_000_000
MINUTE_NS = 60_000_000_000
SIGMAS = 4.0


@dataclass(frozen=True)
class Traffic:
    """All spans, and which of them their services kept."""

    all: SpanBatch
    ot: tuple[str, ...]
    kept: np.ndarray

    def sampled(self, minutes: range) -> tuple[SpanBatch, tuple[str, ...]]:
        """What was kept of the requests of these minutes."""
        rows = np.flatnonzero(self.kept & np.isin(minute_of(self.all), minutes))
        return self.all.take(rows), tuple(self.ot[row] for row in rows.tolist())


def minute_of(batch: SpanBatch) -> np.ndarray:
    return (batch.start_time_unix_nano - EPOCH_NS) // MINUTE_NS


def make_traffic(seed: int) -> Traffic:
    dice = np.random.default_rng(seed)
    trace = dice.integers(1, 1 << 62, REQUESTS)
    start = EPOCH_NS + dice.integers(0, MINUTES * MINUTE_NS, REQUESTS)
    start -= start % MINUTE_NS % 1_000_000  # requests do not straddle a minute
    deep = dice.random(REQUESTS) < 0.7
    slow = dice.exponential(300_000, REQUESTS).astype(np.int64) % 800_000 * deep
    no_stock = deep & (dice.random(REQUESTS) < 0.05)
    no_tips = dice.random(REQUESTS) < 0.05
    shop_fails = no_stock | (dice.random(REQUESTS) < 0.005)
    everyone = np.ones(REQUESTS, bool)
    plan = (  # span id, parent, service, name, kind, peer, who makes it, from, to, who fails
        (1, 0, "gateway", "GET /", KIND_SERVER, "", everyone, 0, 100_000, shop_fails),
        (2, 1, "gateway", "POST", KIND_CLIENT, "", everyone, 5_000, 95_000, shop_fails),
        (3, 2, "shop", "POST /buy", KIND_SERVER, "", everyone, 10_000, 90_000, shop_fails),
        (4, 3, "shop", "POST", KIND_CLIENT, "tips", everyone, 15_000, 20_000, no_tips),
        (5, 3, "shop", "POST", KIND_CLIENT, "", deep, 30_000, 80_000, no_stock),
        (6, 5, "stock", "POST /reserve", KIND_SERVER, "", deep, 35_000, 75_000, no_stock),
    )
    parts = []
    for span, parent, service, name, kind, peer, made, begin, end, bad in plan:
        rows = np.flatnonzero(made)
        parts.append(
            {
                "trace_id_low": trace[rows],
                "span_id": np.full(len(rows), span),
                "parent_span_id": np.full(len(rows), parent),
                "service": np.full(len(rows), TEXTS.index(service)),
                "name": np.full(len(rows), TEXTS.index(name)),
                "kind": np.full(len(rows), kind),
                "peer_service": np.full(len(rows), TEXTS.index(peer) if peer else NO_STRING),
                "start_time_unix_nano": start[rows] + begin,
                "end_time_unix_nano": start[rows] + end + (slow[rows] if span != 4 else 0),
                "status_code": np.where(bad[rows], STATUS_ERROR, STATUS_OK),
            }
        )
    batch = batch_of({name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, TEXTS)
    later = (minute_of(batch) >= CHANGE).astype(np.int64)
    thresholds = np.array([[threshold_of(share) for share in SHARES[service]] for service in SERVICES])
    own = thresholds[batch.service, later]
    randomness = (batch.trace_id_low & np.uint64(RANDOMNESS_MASK)).astype(np.int64)
    texts = {threshold: f"th:{threshold_text(threshold)}" for threshold in thresholds.ravel().tolist()}
    return Traffic(batch, tuple(texts[threshold] for threshold in own.tolist()), randomness >= own)


def learn(batch: SpanBatch, ot: tuple[str, ...], deciders: Deciders | None = None) -> Learned:
    return analyze_traces(batch, ot, 1, 0, PathPolicy(), deciders=deciders)


@dataclass(frozen=True)
class Figures:
    """What a journey's page says."""

    traces: float
    traces_error: float
    """Standard error, likewise below."""
    mean_ns: float
    mean_error_ns: float
    failed: float
    failed_error: float
    calls_a_trace: dict[str, float]
    calls_error: float
    durations_ns: np.ndarray
    weights: np.ndarray
    verdicts: dict[str, Verdict]


def figures(parts: list[Learned]) -> Figures:
    """Add up, by weight, what was learned of the journey, as the store does."""
    column = {name: np.concatenate([mine(part, part.traces[name]) for part in parts]) for name in _COLUMNS}
    weight, duration = column["Weight"], column["DurationNs"].astype(float)
    counted = weight > 0
    weight, duration, failed = weight[counted], duration[counted], column["Failed"][counted]
    traces = float(weight.sum())
    witnesses = traces**2 / float((weight**2).sum())
    mean = float(weight @ duration) / traces
    share = float(weight @ failed) / traces
    calls, verdicts = {}, {}
    for callee, counts in edges(parts).items():
        calls[callee] = float(counts["Weight"] @ counts["Calls"]) / traces
        verdicts[callee] = judge(
            Evidence(failed=as_share(counts, "Alone", "AloneWell"), quiet=as_share(counts, "Quiet", "QuietWell"))
        )
    return Figures(
        traces=traces,
        traces_error=float(np.sqrt((weight * (weight - 1)).sum())),
        mean_ns=mean,
        mean_error_ns=float(np.sqrt(weight @ (duration - mean) ** 2 / traces / witnesses)),
        failed=share,
        failed_error=float(np.sqrt(share * (1 - share) / witnesses)),
        calls_a_trace=calls,
        calls_error=float(np.sqrt(0.25 / witnesses)),
        durations_ns=duration,
        weights=weight,
        verdicts=verdicts,
    )


_COLUMNS = ("Weight", "DurationNs", "Failed")
_COUNTS = ("Calls", "Alone", "AloneWell", "Quiet", "QuietWell")


def mine(part: Learned, values: object) -> np.ndarray:
    return np.asarray(values)[[name == JOURNEY for name in part.traces["Journey"]]]


def as_share(counts: dict[str, np.ndarray], name: str, well: str) -> Share:
    weighted, weighted_well = (counts[each] * counts["Weight"] for each in (name, well))
    return Share(
        float(weighted.sum()), float(weighted_well.sum()), float((weighted**2).sum()), float((weighted_well**2).sum())
    )


def edges(parts: list[Learned]) -> dict[str, dict[str, np.ndarray]]:
    """Counts of the journey's edges with the weights of their traces, by service that is called."""
    found: dict[str, dict[str, list[float]]] = {}
    for part in parts:
        callees = dict(zip(part.edges["Id"].tolist(), part.edges["CalleeService"], strict=True))
        ids = part.traces["Edge.Id"]
        for row in np.flatnonzero([name == JOURNEY for name in part.traces["Journey"]]).tolist():
            for place in range(int(ids.offsets[row]), int(ids.offsets[row + 1])):
                counts = found.setdefault(callees[int(ids.values[place])], {})
                counts.setdefault("Weight", []).append(float(part.traces["Weight"][row]))
                for name in _COUNTS:
                    counts.setdefault(name, []).append(float(part.traces[f"Edge.{name}"].values[place]))
    return {callee: {name: np.array(column) for name, column in counts.items()} for callee, counts in found.items()}


@pytest.fixture(scope="module")
def traffic() -> Traffic:
    return make_traffic(seed=5)


@pytest.fixture(scope="module")
def truth(traffic: Traffic) -> Figures:
    return figures([learn(traffic.all, ("",) * len(traffic.all))])


def agrees(found: Figures, truth: Figures) -> None:
    assert abs(found.traces - truth.traces) <= SIGMAS * found.traces_error
    assert abs(found.mean_ns - truth.mean_ns) <= SIGMAS * found.mean_error_ns
    assert abs(found.failed - truth.failed) <= SIGMAS * found.failed_error
    for callee in ("shop", "stock", "tips"):
        assert abs(found.calls_a_trace[callee] - truth.calls_a_trace[callee]) <= SIGMAS * found.calls_error
    for level in (0.5, 0.95):
        (at,) = levels_of(found.durations_ns, found.weights, (level,))
        reached = float((truth.durations_ns <= at).mean())
        assert abs(reached - level) <= SIGMAS * found.calls_error
    for callee, verdict in (("stock", MANDATORY), ("tips", OPTIONAL)):
        (low, high), (lowest, highest) = found.verdicts[callee].interval, truth.verdicts[callee].interval
        assert low <= highest
        assert lowest <= high
        assert found.verdicts[callee].verdict == truth.verdicts[callee].verdict == verdict


def test_rates_latencies_and_verdicts_agree_with_the_truth_across_a_change_of_all_rates(
    traffic: Traffic, truth: Figures
):
    found = figures([learn(*traffic.sampled(range(MINUTES)))])

    agrees(found, truth)
    assert found.traces_error < 0.03 * truth.traces, "or everything would agree"


def test_they_agree_too_where_traces_come_minute_by_minute(traffic: Traffic, truth: Figures):
    deciders = Deciders()

    found = figures([learn(*traffic.sampled(range(minute, minute + 1)), deciders) for minute in range(MINUTES)])

    agrees(found, truth)


def test_a_service_that_was_not_sampled_does_not_look_like_a_call_that_was_not_made(traffic: Traffic):
    learned = learn(*traffic.sampled(range(CHANGE)))

    weights, flags = learned.traces["Weight"], learned.traces["Flags"]
    ids = [int(trace_id, 16) & RANDOMNESS_MASK for trace_id in learned.traces["TraceId"]]
    is_whole = np.array(ids) >= threshold_of(0.1)
    assert weights[is_whole].tolist() == pytest.approx([10.0] * is_whole.sum(), rel=1e-4)
    assert not weights[~is_whole].any(), "the gateway's or the shop's part alone"
    assert ((flags & PARTLY_SAMPLED != 0) == ~is_whole).all()


def test_where_services_follow_their_callers_a_trace_counts_as_its_root_says(traffic: Traffic):
    batch, _ = traffic.sampled(range(1))
    boosted = dict.fromkeys(batch.trace_id_low.tolist(), "th:8") | {int(batch.trace_id_low[0]): "th:0"}
    ot = tuple(boosted[trace] for trace in batch.trace_id_low.tolist())

    learned = learn(batch, ot)

    assert sorted(set(learned.traces["Weight"].tolist())) == [1.0, 2.0]


def test_who_has_not_decided_for_an_hour_is_taken_to_follow(traffic: Traffic):
    deciders = Deciders()
    learn(*traffic.sampled(range(1)), deciders)
    batch, ot = traffic.sampled(range(1))
    later = batch.take(slice(None))
    later.start_time_unix_nano[:] += 120 * MINUTE_NS
    later.end_time_unix_nano[:] += 120 * MINUTE_NS

    learned = learn(later, tuple("th:8" for _ in ot), deciders)

    assert set(learned.traces["Weight"].tolist()) == {2.0}
