"""The alarm that ends boosts, on a real clock."""

import threading
import time

from cpdd.sampling.expiry import Alarm


def test_an_alarm_that_is_put_off_rings_at_its_last_time_and_not_before():
    rung_s: list[float] = []
    rung = threading.Event()
    alarm = Alarm(lambda: (rung_s.append(time.monotonic()), rung.set())[0], time.monotonic)
    now_s = time.monotonic()
    alarm.set(now_s + 0.02)

    alarm.set(now_s + 0.1)

    assert rung.wait(60)
    assert rung_s[0] >= now_s + 0.1
    assert len(rung_s) == 1


def test_an_alarm_that_is_brought_forward_rings_at_once():
    rung = threading.Event()
    alarm = Alarm(rung.set, time.monotonic)
    alarm.set(time.monotonic() + 3_600)
    alarm.set(time.monotonic() + 7_200)

    alarm.set(time.monotonic())

    assert rung.wait(60)
