"""Bands of latency from the minute tables are what plain arithmetic over the traces says."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from itertools import pairwise

import numpy as np
import pytest

from collector.core.population.regressions import hour_of
from collector.store.bands import bands_of_buckets, buckets_within, read_wide
from collector.store.derived import Derived
from collector.store.engine import Store
from collector.store.histogram import GROWTH, WIDE, wide_bounds, wide_buckets
from collector.store.journey_rows import read_journey
from collector.store.reader import Reader
from collector.store.values import BandDetail, Durations, Window
from collector.store.which_minutes import Minutes
from tests.store.learned import LearnedTrace, learned, path_id
from tests.store.spans import MINUTE_NS, NOON
from tests.store.test_derived import NOW

SHOP, CART = ("shop", "buy"), ("cart", "get")
HOUR = Window(NOON, NOON + 60 * MINUTE_NS)
MS = 1_000_000


def traces(number: int = 120) -> list[LearnedTrace]:
    """Slower ones wait for cart; a few weigh more; one in ten failed."""
    random = np.random.default_rng(3)
    made = []
    for n in range(number):
        own, called = int(random.lognormal(2, 0.3) * MS), int(random.lognormal(2, 1.5) * MS) if n % 3 else 0
        made.append(
            LearnedTrace(
                n + 1,
                start=NOON + n % 7 * MINUTE_NS,
                duration_ns=own + called,
                failed=n % 10 == 0,
                weight=5.0 if n % 11 == 0 else 1.0,
                path={(SHOP,): own, (SHOP, CART): called},
            )
        )
    return [
        *made,
        LearnedTrace(number + 1, duration_ns=0, path={(SHOP,): 0}),
        LearnedTrace(number + 2, journey="other"),
    ]


@pytest.fixture
def filled(store: Store) -> Store:
    derived = Derived(store)
    batch = learned(traces(), NOW)
    derived.write(batch)
    derived.recompute_minutes(batch.minutes)
    return store


def of_buckets(population: Sequence[LearnedTrace], path: tuple, buckets: Sequence[int]) -> dict[str, float]:
    """The sums of one call path over the traces whose duration lies in these wide buckets."""
    bounds = {bucket: (float(wide_bounds(np.array([bucket - 1]))[0]), float(wide_bounds(np.array([bucket]))[0]))
              for bucket in buckets}  # fmt: skip
    chosen = [
        trace
        for trace in population
        for low, high in bounds.values()
        if (low < trace.duration_ns <= high) or trace.duration_ns == low == high == 0
    ]
    times = [(trace.weight, trace.path.get(path, 0), trace.duration_ns) for trace in chosen]
    return {
        "weight": sum(w for w, _, _ in times),
        "squares": sum(w * w for w, _, _ in times),
        "t": sum(w * t for w, _, t in times),
        "tt": sum(w * t * t for w, _, t in times),
        "there": sum(w for w, s, _ in times if s),
        "s": sum(w * s for w, s, _ in times),
        "ss": sum(w * s * s for w, s, _ in times),
        "st": sum(w * s * t for w, s, t in times),
    }


def test_sums_by_bucket_are_what_plain_arithmetic_says(filled: Store) -> None:
    population = [trace for trace in traces() if trace.journey == "check out"]
    with filled.client() as client:
        rows = read_journey(client, Minutes.of(HOUR), "check out")
        assert rows is not None
        buckets, sums, ids = read_wide(client, Minutes.of(HOUR), rows, "check out")

    assert sums.traces.sum() == len(population)
    for path in ((SHOP,), (SHOP, CART)):
        column = ids.index(path_id(path))
        for i, bucket in enumerate(buckets.tolist()):
            for name, value in of_buckets(population, path, [bucket]).items():
                found = getattr(sums, name)
                assert (found[i] if found.ndim == 1 else found[i, column]) == pytest.approx(value), name


def bands_of(reader: Reader) -> tuple[BandDetail, ...]:
    latency = reader.latency("check out", HOUR)
    assert latency is not None
    return latency.bands


def test_bands_hold_every_trace_once_and_the_slow_ones_wait_for_what_makes_them_slow(filled: Store) -> None:
    bands = bands_of(Reader(filled))

    assert [band.name for band in bands] == ["p0-50", "p50-90", "p90-99", "p99+"]
    assert sum(band.traces for band in bands) == 121
    assert all(a.to_ns <= b.from_ns and a.mean_ns < b.mean_ns for a, b in pairwise(bands))
    for band in bands:
        assert sum(path.mean_ns for path in band.call_paths) == pytest.approx(band.mean_ns)
    share = [next((p.mean_ns for p in b.call_paths if p.operation == "get"), 0.0) / b.mean_ns for b in bands]
    assert share[0] < 0.5 < share[2] < share[3]


def test_the_histogram_holds_every_trace_and_each_bar_is_in_one_band(filled: Store) -> None:
    latency = Reader(filled).latency("check out", HOUR)

    assert latency is not None
    weight = sum(trace.weight for trace in traces() if trace.journey == "check out")
    assert sum(bar.weighted_traces for bar in latency.bars) == pytest.approx(weight)
    assert latency.whole.traces == 121
    for band in latency.bands:
        bars = [bar for bar in latency.bars if bar.band == band.name]
        assert sum(bar.weighted_traces for bar in bars) == pytest.approx(band.weighted_traces)
        assert (bars[0].from_ns, bars[-1].to_ns) == (band.from_ns, band.to_ns)
    cart = next(path for path in latency.whole.call_paths if path.operation == "get")
    assert cart.error_ns is not None
    assert 0 < cart.error_ns < cart.mean_ns


def test_the_path_over_time_is_that_of_each_minute(filled: Store) -> None:
    detail = Reader(filled).journey("check out", HOUR)

    assert detail is not None
    points = detail.over_time
    assert [point.start_unix_nano for point in points] == [NOON + i * MINUTE_NS for i in range(60)]
    for i in (0, 3):
        there = [
            t
            for t in traces()
            if t.journey == "check out" and t.start // MINUTE_NS == points[i].start_unix_nano // MINUTE_NS
        ]
        weight = sum(trace.weight for trace in there)
        cart = sum(trace.weight * trace.path.get((SHOP, CART), 0) for trace in there)
        assert points[i].mean_ns == pytest.approx(sum(t.weight * t.duration_ns for t in there) / weight)
        assert next(s.mean_ns for s in points[i].path if s.service == "cart") == pytest.approx(cart / weight)
    assert points[30].path == ()


def test_a_journey_in_two_windows_differs_by_what_its_calls_do(store: Store) -> None:
    random = np.random.default_rng(5)
    derived = Derived(store)
    made = []
    for n in range(200):
        own, called = int(random.normal(10, 1) * MS), int(random.normal(5 if n < 100 else 15, 1) * MS)
        start = NOON if n < 100 else NOON + 30 * MINUTE_NS
        path = {(SHOP,): own, (SHOP, CART): called}
        made.append(LearnedTrace(n + 1, start=start, duration_ns=own + called, path=path))
    batch = learned(made, NOW)
    derived.write(batch)
    derived.recompute_minutes(batch.minutes)
    before, after = Window(NOON, NOON + 30 * MINUTE_NS), Window(NOON + 30 * MINUTE_NS, NOON + 60 * MINUTE_NS)

    found = Reader(store).difference("check out", before, after)

    assert found is not None
    assert (found.a.traces, found.b.traces) == (100, 100)
    assert found.whole.significant
    assert found.whole.delta_ns == pytest.approx(10 * MS, rel=0.1)
    cart, shop = found.changes
    assert (cart.caller, cart.service, cart.figures.significant) == ("shop", "cart", True)
    low, high = cart.figures.interval_ns
    assert low < 10 * MS < high
    assert not shop.figures.significant
    assert cart.figures.delta_ns + shop.figures.delta_ns == pytest.approx(found.whole.delta_ns)
    assert Reader(store).difference("check out", before, Window(0, NOON)) is None


def test_two_kinds_of_traces_in_one_window_differ_by_what_their_calls_do(store: Store) -> None:
    derived = Derived(store)
    made = [
        LearnedTrace(n + 1, start=NOON, duration_ns=called + 10 * MS, path={(SHOP,): 10 * MS, (SHOP, CART): called})
        for n in range(40)
        for called in [(5 + 10 * (n % 2)) * MS + n]
    ]
    batch = learned(made, NOW)
    derived.write(batch)
    derived.recompute_minutes(batch.minutes)
    window = Window(NOON, NOON + MINUTE_NS)
    sides = tuple(tuple(f"{n + 1:032x}" for n in range(40) if n % 2 == side) for side in (0, 1))

    found = Reader(store).difference("check out", window, window, (sides[0], sides[1]))

    assert found is not None
    assert (found.a.traces, found.b.traces) == (20, 20)
    assert found.whole.delta_ns == pytest.approx(10 * MS, rel=0.01)
    assert found.changes[0].service == "cart"
    assert Reader(store).difference("check out", window, window, (sides[0], ())) is None


def test_a_band_leads_to_its_traces(filled: Store) -> None:
    reader = Reader(filled)
    band = bands_of(reader)[1]
    inside = [t for t in traces() if band.from_ns < t.duration_ns <= band.to_ns and t.path.get((SHOP, CART))]

    found = reader.band_examples("check out", HOUR, band, path_id((SHOP, CART)))

    slowest = max(inside, key=lambda trace: trace.duration_ns)
    assert found.slowest is not None
    assert found.slowest.trace_id == slowest.hex_id
    assert found.typical is not None
    times = sorted(trace.path[SHOP, CART] for trace in inside)
    median = times[len(times) // 2]
    typical = next(trace for trace in inside if trace.hex_id == found.typical.trace_id)
    assert abs(typical.path[SHOP, CART] - median) <= min(abs(time - median) for time in times) + 1
    failed = [trace for trace in inside if trace.failed]
    assert (found.failed is None) == (not failed)


def test_a_stretch_of_durations_is_what_plain_arithmetic_says_and_leads_to_its_traces(filled: Store) -> None:
    reader = Reader(filled)

    latency = reader.latency("check out", HOUR, durations=Durations(12 * MS, 45 * MS))

    assert latency is not None
    stretch = latency.stretch
    assert stretch is not None
    population = [t for t in traces() if t.journey == "check out" and stretch.from_ns < t.duration_ns <= stretch.to_ns]
    weight = sum(trace.weight for trace in population)
    assert (stretch.from_ns, stretch.to_ns) == pytest.approx((12 * MS, 45 * MS), rel=0.11)
    assert (stretch.traces, stretch.weighted_traces) == (len(population), pytest.approx(weight))
    assert stretch.mean_ns == pytest.approx(sum(t.weight * t.duration_ns for t in population) / weight)
    cart = next(path for path in stretch.call_paths if (path.service, path.operation) == CART)
    assert cart.mean_ns == pytest.approx(sum(t.weight * t.path[SHOP, CART] for t in population) / weight)
    detail = reader.journey("check out", HOUR, durations=Durations(12 * MS, 45 * MS))
    assert detail is not None
    assert detail.latency == latency
    found = reader.band_examples("check out", HOUR, stretch, cart.id)
    slowest = max((t for t in population if t.path[SHOP, CART]), key=lambda trace: trace.duration_ns)
    assert found.slowest is not None
    assert found.slowest.trace_id == slowest.hex_id


@pytest.mark.parametrize("asked", [Durations(3_600_000 * MS, None), Durations(None, 1_000)])
def test_a_stretch_that_nobody_took_is_empty(store: Store, asked: Durations) -> None:
    derived, batch = Derived(store), learned([trace for trace in traces() if trace.duration_ns], NOW)
    derived.write(batch)
    derived.recompute_minutes(batch.minutes)

    latency = Reader(store).latency("check out", HOUR, durations=asked)

    assert latency is not None
    assert latency.stretch is not None
    assert (latency.stretch.traces, latency.stretch.mean_ns, latency.stretch.call_paths) == (0, 0.0, ())
    assert latency.stretch.from_ns <= latency.stretch.to_ns


def test_a_bar_is_itself_however_addresses_spell_its_ends() -> None:
    for bucket in range(20, 215):
        low, high = wide_bounds(np.array([bucket - 1, bucket])).tolist()

        assert buckets_within(Durations(float(f"{low:.3g}"), float(f"{high:.3g}"))) == (bucket, bucket)
        assert buckets_within(Durations(low * 1.05, high / 1.05)) == (bucket, bucket)


def test_hours_of_call_paths_are_what_plain_arithmetic_says(filled: Store) -> None:
    population = [trace for trace in traces() if trace.journey == "check out"]

    hours = Reader(filled).call_path_hours("check out", HOUR)

    weight = sum(trace.weight for trace in population)
    (root,), (cart,) = hours[path_id((SHOP,))].hours, hours[path_id((SHOP, CART))].hours
    mean = sum(trace.weight * trace.duration_ns for trace in population) / weight
    assert root.mean_ns == pytest.approx(mean)
    assert root.variance == pytest.approx(sum(t.weight * (t.duration_ns - mean) ** 2 for t in population) / weight)
    assert root.effective == pytest.approx(weight**2 / sum(trace.weight**2 for trace in population))
    assert cart.mean_ns == pytest.approx(sum(t.weight * t.path.get((SHOP, CART), 0) for t in population) / weight)
    assert hours[path_id((SHOP, CART))].parent == path_id((SHOP,))
    assert root.start == hour_of(NOON)


def test_a_journey_that_nobody_took_has_no_latency(filled: Store) -> None:
    assert Reader(filled).latency("nobody's", HOUR) is None


def test_wide_buckets_hold_whole_buckets_of_the_histogram() -> None:
    assert wide_buckets(np.array([0, 1, WIDE, WIDE + 1])).tolist() == [0, 1, 1, 2]
    assert wide_bounds(np.array([0, 1])).tolist() == pytest.approx([0.0, GROWTH ** (WIDE - 1)])


def test_a_bucket_lies_in_the_band_of_its_middle() -> None:
    assert bands_of_buckets(np.array([1.0, 97.0, 2.0])).tolist() == [0, 0, 3]
    assert bands_of_buckets(np.array([7.0])).tolist() == [1]


def test_all_traces_chosen_one_by_one_are_what_the_minute_tables_say(filled: Store) -> None:
    reader = Reader(filled)
    everyone = tuple(trace.hex_id for trace in traces())

    assert_alike(reader.journey("check out", HOUR, everyone), reader.journey("check out", HOUR))
    assert_alike(reader.latency("check out", HOUR, everyone), reader.latency("check out", HOUR))


def assert_alike(one: object, other: object) -> None:
    """Equal but for the last bit of a sum, which is summed in another order."""
    assert one is not None
    if is_dataclass(one):
        assert type(one) is type(other)
        for name in (each.name for each in fields(one)):
            assert_alike(getattr(one, name) or 0, getattr(other, name) or 0)
    elif isinstance(one, tuple) and isinstance(other, tuple):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_alike(a, b)
    else:
        assert one == (pytest.approx(other, rel=1e-9) if isinstance(other, float) else other)


def test_figures_of_chosen_traces_are_theirs_alone(filled: Store) -> None:
    some = [trace for trace in traces() if trace.journey == "check out" and trace.trace_id % 4 == 0]

    detail = Reader(filled).journey("check out", HOUR, tuple(trace.hex_id for trace in some))
    latency = Reader(filled).latency("check out", HOUR, tuple(trace.hex_id for trace in some))

    assert detail is not None
    assert latency is not None
    weight = sum(trace.weight for trace in some)
    assert detail.summary.traces == latency.whole.traces == len(some)
    assert detail.summary.failed == sum(trace.weight for trace in some if trace.failed)
    cart = sum(trace.weight * trace.path.get((SHOP, CART), 0) for trace in some) / weight
    (found,) = [path for path in detail.call_paths if (path.service, path.operation) == CART]
    assert found.mean_ns == pytest.approx(cart)
    assert Reader(filled).journey("check out", HOUR, ()) is None


def test_the_traces_of_a_journey_are_counted_without_reading_more_of_it(filled: Store) -> None:
    reader = Reader(filled)
    whole = reader.journey("check out", HOUR)

    assert whole
    assert reader.traces_of("check out", HOUR) == whole.summary.traces > 0
    assert reader.traces_of("another", HOUR) == 0
