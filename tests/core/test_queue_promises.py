"""What queues promise, by cpdd.toml or by their own names."""

import pytest

from collector.core.queue_promises import Queue, QueuePromise, promise_of
from collector.core.queues_file import parse_queues
from cpdd.settings import SettingsError

WHOLE = """
ui_port = 8080

[[journey]]
name = "check out"

[[queue]]
name = "orders*"
promise = "99.9 % within 10s"
system = "kafka"

[[queue]]
name = "mails"
promise = "90 % within 5m"
"""


def seconds(share: float, s: float) -> QueuePromise:
    return QueuePromise(share, round(s * 10**9))


def test_everything_that_a_queue_may_say_is_read():
    assert parse_queues(WHOLE) == (
        Queue("orders*", seconds(0.999, 10), "kafka"),
        Queue("mails", seconds(0.9, 300)),
    )


def test_a_file_without_queues_has_none():
    assert parse_queues("ui_port = 8080") == ()


@pytest.mark.parametrize(
    ("lines", "problem", "place", "hint"),
    [
        ('promise = "99 % within 1s"', "a queue without name", "line 2", 'name = "orders"'),
        ('name = "a"', "a queue without promise", "line 2", "99 % within 10s"),
        ('name = "a"\npromise = "99 % in 1s"', "is no promise of a queue", "line 4", "99 % within 10s"),
        ('name = "a"\npromise = "99 % within 10"', "'10' has no unit", "line 4", "99 % within 10s"),
        ('name = "a"\npromise = 3', "promise: 3 is no text", "line 4", "99 % within 10s"),
        ('name = "a"\nwithin = "1s"', "unknown key 'within' of a queue", "line 4", "name, promise, system"),
        ('name = "a"\npromise = "99 % within 1s"\nsystem = 1', "system: 1 is no text", "line 5", "kafka"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_line(lines: str, problem: str, place: str, hint: str):
    with pytest.raises(SettingsError, match=problem) as caught:
        parse_queues(f"\n[[queue]]\n{lines}\n", "my.toml")

    assert f"file my.toml {place}" in str(caught.value)
    assert hint in str(caught.value)


def test_the_first_queue_that_fits_says_it():
    queues = parse_queues(WHOLE)

    assert promise_of(queues, "kafka", "orders-eu") == seconds(0.999, 10)
    assert promise_of(queues, "rabbitmq", "orders-eu") is None


@pytest.mark.parametrize(
    ("destination", "consumer", "within_s"),
    [
        ("mails_within_10s", "", 10),
        ("celery", "send_mail_within_2m", 120),
        ("", "process mails.within.500ms", None),
        ("jobs-within-500ms", "", 0.5),
        ("within_10services", "", None),
        ("within_0s", "", None),
        ("Mails Within 1h", "", 3600),
    ],
)
def test_a_name_may_promise_by_itself(destination: str, consumer: str, within_s: float | None):
    expected = None if within_s is None else seconds(0.99, within_s)

    assert promise_of((), "", destination, consumer) == expected


def test_what_somebody_said_counts_before_the_name():
    assert promise_of((Queue("mails*", seconds(0.5, 60)),), "", "mails_within_10s") == seconds(0.5, 60)
