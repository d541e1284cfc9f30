"""How far analysis is behind, as a number."""

from collector.watch import lag_s

SECOND_NS = 10**9


def test_what_was_read_after_it_was_stored_is_no_lag():
    assert lag_s(newest_stored_unix_nano=100 * SECOND_NS, newest_read_unix_nano=101 * SECOND_NS) == 0


def test_lag_is_the_time_between_the_newest_stored_and_the_newest_read():
    assert lag_s(newest_stored_unix_nano=100 * SECOND_NS, newest_read_unix_nano=98 * SECOND_NS) == 2


def test_nothing_stored_since_the_start_is_no_lag():
    assert lag_s(newest_stored_unix_nano=0, newest_read_unix_nano=0) == 0
