"""Pages come before what can wait."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack

import pytest

from collector import precedence
from collector.precedence import MOST_FIRST, GivingWay, Precedence
from collector.store.waiting import Waits, who_waits

PATIENCE_S = 30.0


class Clock:
    """Tells the times that it was given, the last one again and again."""

    def __init__(self, *times_s: float) -> None:
        self._times_s = list(times_s)

    def __call__(self) -> float:
        return self._times_s.pop(0) if len(self._times_s) > 1 else self._times_s[0]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precedence, "LONGEST_S", PATIENCE_S)


@pytest.fixture
def aside() -> Iterator[Callable[[Callable[[], None]], threading.Thread]]:
    threads: list[threading.Thread] = []

    def start(work: Callable[[], None]) -> threading.Thread:
        threads.append(threading.Thread(target=work))
        threads[-1].start()
        return threads[-1]

    yield start
    for thread in threads:
        thread.join(PATIENCE_S)


def test_work_waits_for_the_last_page_and_then_begins(aside):
    one = Precedence()
    began = threading.Event()

    def work() -> None:
        one.give_way()
        began.set()

    with one.page():
        with one.page():
            thread = aside(work)
        assert not began.wait(0.05)
    thread.join(PATIENCE_S)

    assert began.is_set()


def test_without_a_page_nothing_waits_nor_asks_the_time():
    def no_clock() -> float:
        raise AssertionError

    Precedence(no_clock).give_way()


def test_a_page_that_takes_long_is_not_waited_for_any_longer(monkeypatch):
    monkeypatch.setattr(precedence, "LONGEST_S", 0.001)
    one = Precedence()
    with one.page():
        one.give_way()


def test_who_has_waited_goes_on_for_twice_as_long(monkeypatch):
    monkeypatch.setattr(precedence, "LONGEST_S", 0.001)
    one = Precedence(Clock(10.0, 11.0, 12.9, 13.1, 13.2))
    waits: list[float | None] = []
    monkeypatch.setattr(one._no_page, "wait", waits.append)
    with one.page():
        one.give_way()  # from 10 to 11: goes on until 13
        one.give_way()  # at 12.9
        one.give_way()  # at 13.1

    assert waits == [0.001, 0.001]


def test_a_page_that_fails_is_over():
    one = Precedence()
    with pytest.raises(KeyError), one.page():
        raise KeyError

    one.give_way()


def test_an_answer_of_the_application_is_a_page_and_its_own():
    one = Precedence(Clock(0.0))
    inside: list[bool] = []

    def application(environ, start_response):
        inside.append(one._no_page.is_set())
        return [b"page"]

    assert one.before(application)({}, lambda *args: None) == [b"page"]
    assert inside == [False]
    assert one._no_page.is_set()


def test_threads_that_give_way_begin_after_the_page_and_return_what_work_returns():
    one = Precedence()
    workers = GivingWay(one, 1, "test")
    with one.page():
        answer: Future[int] = workers.submit(max, 3, 5)
        assert not answer.done()

    assert answer.result(PATIENCE_S) == 5
    workers.shutdown()


def test_few_pages_go_first_and_one_that_ends_makes_room(aside):
    one = Precedence()
    seen: list[Waits] = []

    def page() -> None:
        with one.page():
            seen.append(who_waits())

    with ExitStack() as others:
        for _ in range(MOST_FIRST - 1):
            others.enter_context(one.page())
        with one.page():
            aside(page).join(PATIENCE_S)
        aside(page).join(PATIENCE_S)

    assert seen == [Waits.SENDER, Waits.READER]
    assert who_waits() is Waits.SENDER
