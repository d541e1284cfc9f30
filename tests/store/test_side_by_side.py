"""Questions answered side by side: the same answers and errors, and no circle of threads that wait for each other."""

import threading

import pytest

from collector.store.side_by_side import THREADS, Asked


def test_a_question_is_answered_once_by_whichever_thread() -> None:
    times: list[str] = []

    def question() -> int:
        times.append(threading.current_thread().name)
        return 7

    assert Asked(question).answer() == 7
    assert len(times) == 1


def test_an_answer_is_had_twice_and_asked_for_once_where_no_thread_has_time() -> None:
    free, started = threading.Event(), threading.Barrier(THREADS + 1)
    busy = [Asked(lambda: started.wait(60) >= 0 and free.wait(60)) for _ in range(THREADS)]
    started.wait(60)
    times: list[int] = []

    asked = Asked(lambda: times.append(1) or len(times))
    answers = asked.answer(), asked.answer()
    free.set()

    assert answers == (1, 1)
    assert all(each.answer() for each in busy)


def test_what_a_question_raises_is_raised_where_its_answer_is_wanted() -> None:
    def question() -> int:
        raise LookupError("no such journey")

    asked = Asked(question)

    with pytest.raises(LookupError, match="no such journey"):
        asked.answer()


def test_questions_run_at_the_same_time() -> None:
    both = threading.Barrier(2)

    asked = [Asked(lambda: both.wait(60)) for _ in range(2)]

    assert sorted(each.answer() for each in asked) == [0, 1]


def test_questions_that_ask_questions_do_not_wait_for_threads_that_wait() -> None:
    busy = threading.Barrier(THREADS + 1)

    def question() -> int:
        busy.wait(60)  # every thread is in a question
        return Asked(lambda: 1).answer()

    asked = [Asked(question) for _ in range(THREADS)]
    busy.wait(60)

    assert sum(each.answer() for each in asked) == THREADS
