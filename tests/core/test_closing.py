"""Which traces are analyzed when, and what is forgotten."""

import numpy as np

from collector.core.closing import Closing, ClosingPolicy, OpenTraces
from collector.core.spans import SpanBatch
from tests.core.drawing import EPOCH_NS, read_trace

SECOND = 1_000_000_000
ROOT = "shop/buy 0-100 server"
CHILD = "shop/step 10-20 in shop/buy"


class Arriving:
    """Feeds spans in at chosen seconds and closes at others."""

    def __init__(self, policy: ClosingPolicy = ClosingPolicy(), seen_before_unix_nano: int = 0) -> None:
        self.traces = OpenTraces(policy)
        self.seen_before = seen_before_unix_nano
        self.sequence = 0

    def add(self, batch: SpanBatch, at_s: float) -> None:
        rows = len(batch)
        self.traces.add(
            batch,
            ("",) * rows,
            np.zeros(rows, np.int64),
            np.arange(self.sequence + 1, self.sequence + rows + 1),
            int(at_s * SECOND),
            self.seen_before,
        )
        self.sequence += rows

    def close(self, at_s: float) -> Closing | None:
        return self.traces.close(int(at_s * SECOND))


def both() -> SpanBatch:
    return read_trace(f"{ROOT}; {CHILD}")


def test_a_trace_with_its_root_is_analyzed_after_two_quiet_seconds():
    arriving = Arriving()
    arriving.add(both(), at_s=0)

    assert arriving.close(at_s=1.9) is None
    closing = arriving.close(at_s=2)

    assert closing is not None
    assert len(closing.spans) == 2


def test_a_trace_without_a_root_waits_ten_seconds():
    arriving = Arriving()
    arriving.add(both().take(np.array([1])), at_s=0)

    assert arriving.close(at_s=9.9) is None
    assert arriving.close(at_s=10) is not None


def test_a_span_that_comes_in_time_makes_the_trace_wait_again():
    arriving = Arriving()
    arriving.add(both().take(np.array([0])), at_s=0)
    arriving.add(both().take(np.array([1])), at_s=1.5)

    assert arriving.close(at_s=2.5) is None
    closing = arriving.close(at_s=3.5)

    assert closing is not None
    assert len(closing.spans) == 2


def test_a_busy_trace_is_analyzed_at_its_greatest_age_all_the_same():
    arriving = Arriving(ClosingPolicy(max_age_s=5))
    for second in range(6):
        arriving.add(both().take(np.array([1])), at_s=second)

    assert arriving.close(at_s=5.1) is not None


def test_a_late_span_brings_the_whole_trace_back_marked_as_repeated():
    arriving = Arriving()
    arriving.add(both().take(np.array([0])), at_s=0)
    first = arriving.close(at_s=2)
    arriving.add(both().take(np.array([1])), at_s=5)

    again = arriving.close(at_s=8)

    assert first is not None
    assert not first.repeated.any()
    assert again is not None
    assert (len(again.spans), again.repeated.all(), again.incomplete.any()) == (2, True, False)


def test_each_repetition_waits_twice_as_long():
    arriving = Arriving(ClosingPolicy(settle_s=1000))
    arriving.add(both(), at_s=0)
    analyzed = []
    for tick in range(400):
        second = tick / 4
        if tick % 4 == 0:
            arriving.add(both().take(np.array([1])), at_s=second - 2)
        if arriving.close(at_s=second) is not None:
            analyzed.append(second)

    gaps = np.diff(analyzed)

    assert (gaps[1:] >= gaps[:-1]).all()
    assert gaps[0] < gaps[-1]


def test_a_settled_trace_is_forgotten_and_known_again_when_a_late_span_comes():
    arriving = Arriving()
    arriving.add(both(), at_s=0)
    arriving.close(at_s=2)
    arriving.close(at_s=10)

    assert (len(arriving.traces), arriving.traces.traces) == (0, 0)
    arriving.add(both().take(np.array([1])), at_s=20)
    late = arriving.close(at_s=30)

    assert late is not None
    assert late.incomplete.all()


def test_a_trace_that_began_before_the_process_may_have_been_seen_before():
    arriving = Arriving(seen_before_unix_nano=EPOCH_NS + SECOND)
    arriving.add(both(), at_s=5)

    closing = arriving.close(at_s=8)

    assert closing is not None
    assert closing.incomplete.all()


def test_a_trace_whose_root_comes_after_a_later_span_may_have_been_seen_before():
    arriving = Arriving(seen_before_unix_nano=EPOCH_NS + 5)
    arriving.add(both().take(np.array([1])), at_s=5)
    arriving.add(both().take(np.array([0])), at_s=6)

    closing = arriving.close(at_s=8)

    assert closing is not None
    assert closing.incomplete.all()


def test_traces_of_another_life_are_known_again():
    arriving = Arriving()
    arriving.traces.remember(np.unique(both().trace_id_low))
    arriving.add(both(), at_s=0)

    closing = arriving.close(at_s=2)

    assert closing is not None
    assert closing.incomplete.all()


def test_the_oldest_sequence_held_is_where_a_restart_begins():
    arriving = Arriving()
    arriving.add(both(), at_s=0)
    arriving.add(read_trace("x/y 0-5 server trace 2"), at_s=6)
    arriving.close(at_s=8)

    assert arriving.traces.oldest() == {0: 1}
    arriving.close(at_s=10)
    assert arriving.traces.oldest() == {0: 3}


def test_beyond_the_limit_the_oldest_traces_are_analyzed_and_forgotten():
    arriving = Arriving(ClosingPolicy(max_open_spans=50))
    for trace in range(1, 101):
        arriving.add(read_trace(f"shop/buy 0-100 server trace {trace}"), at_s=trace / 1000)

    closing = arriving.close(at_s=0.2)

    assert closing is not None
    assert len(closing.spans) >= 50
    assert len(arriving.traces) <= 50
