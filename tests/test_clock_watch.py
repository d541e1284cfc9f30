"""Whoever looks at a gap in the figures finds in the log that the clock was set."""

import logging
import threading

import pytest

from collector.clock_watch import DOUBT_S, JUMP_S, ClockWatch, Jumps
from collector.metrics import Metrics
from cpdd.testing import FakeClock

HOUR_S = 3_600.0


def test_a_clock_that_goes_on_is_no_jump() -> None:
    wall, steady = FakeClock(10**18), FakeClock()
    jumps = Jumps(wall.now_s, steady.now_s)

    for _ in range(100):
        wall.advance(s=5.1)  # steered, and far off in the end
        steady.advance(s=5)
        assert jumps.look() == 0


@pytest.mark.parametrize("jump_s", [-HOUR_S, HOUR_S, -JUMP_S - 0.1])
def test_a_jump_is_told_once_with_its_length(jump_s: float) -> None:
    wall, steady = FakeClock(10**18), FakeClock()
    jumps = Jumps(wall.now_s, steady.now_s)

    wall.set(wall.now_ns() + round((jump_s + 5) * 1e9))
    steady.advance(s=5)

    assert jumps.look() == pytest.approx(jump_s)
    assert jumps.look() == 0


def test_a_machine_that_paused_between_two_clocks_is_no_jump() -> None:
    wall, steady = FakeClock(10**18), FakeClock()

    def interrupted() -> float:
        for clock in (wall, steady):
            clock.advance(s=10 * DOUBT_S)
        return wall.now_s()

    jumps = Jumps(interrupted, steady.now_s)

    assert jumps.look() == 0


def test_it_is_logged_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    wall, steady, looked = FakeClock(10**18), FakeClock(), threading.Event()
    told = threading.Event()

    class Told(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.set()

    def now_s() -> float:
        looked.set()
        return wall.now_s()

    metrics = Metrics("test")
    watch = ClockWatch(metrics, now_s, steady.now_s, every_s=0.001)
    log, handler = logging.getLogger("collector.clock_watch"), Told()
    log.addHandler(handler)
    watch.start()
    try:
        assert looked.wait(60)
        wall.set(wall.now_ns() - round(HOUR_S * 1e9))
        assert told.wait(60)
    finally:
        watch.stop()
        log.removeHandler(handler)

    (record,) = caplog.records
    assert (record.getMessage(), record.by_s) == ("the clock of this machine was set back", HOUR_S)  # type: ignore[attr-defined]
    assert metrics.registry.get_sample_value("cpdd_clock_jumps_total") == 1
