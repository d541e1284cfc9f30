"""Plain functions under a deadline: given up in time, in bounded threads, without holding up the program's end."""

import os
import threading
from collections.abc import Iterator

import pytest
from opentelemetry import trace

import cpdd
from cpdd.deadlines import DaemonPool, DeadlineExceeded


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Lets functions that wait for it go when the test is over."""
    event = threading.Event()
    yield event
    event.set()


def test_a_function_that_answers_in_time_gives_its_answer():
    assert DaemonPool().run(lambda: 42, "answer", deadline_s=60) == 42


def test_an_exception_of_the_function_is_the_callers():
    def fail():
        raise KeyError("mug")

    with pytest.raises(KeyError, match="mug"):
        DaemonPool().run(fail, "stock", deadline_s=60)


def test_a_function_that_is_late_is_abandoned(release):
    with pytest.raises(DeadlineExceeded) as error:
        DaemonPool().run(release.wait, "tips", deadline_s=0.01)

    assert str(error.value) == "tips: no answer within 10 ms"
    assert (error.value.call, error.value.deadline_s) == ("tips", 0.01)


def test_a_timeout_that_the_function_raises_is_not_taken_for_the_deadline():
    def their_timeout():
        raise TimeoutError("theirs")

    with pytest.raises(TimeoutError, match="theirs") as error:
        DaemonPool().run(their_timeout, "tips", deadline_s=60)

    assert not isinstance(error.value, DeadlineExceeded)


def test_abandoned_calls_hold_no_more_threads_than_the_pool_may_have(release):
    pool = DaemonPool(max_threads=2)
    started = []

    def wait():
        started.append(threading.current_thread())
        release.wait()

    for _ in range(5):
        with pytest.raises(DeadlineExceeded):
            pool.run(wait, "tips", deadline_s=0.01)

    assert len(started) == 2


def test_a_call_that_found_no_thread_in_time_is_never_begun(release):
    pool = DaemonPool(max_threads=1)
    begun = []
    with pytest.raises(DeadlineExceeded):
        pool.run(release.wait, "first", deadline_s=0.01)
    with pytest.raises(DeadlineExceeded):
        pool.run(lambda: begun.append("second"), "second", deadline_s=0.01)

    release.set()
    third = pool.run(lambda: "third", "third", deadline_s=60)

    assert (third, begun) == ("third", [])


def test_calls_that_were_given_up_while_they_waited_for_a_thread_are_forgotten(release):
    pool = DaemonPool(max_threads=1)

    for _ in range(5):
        with pytest.raises(DeadlineExceeded):
            pool.run(release.wait, "tips", deadline_s=0.01)

    assert len(pool._waiting) == 0


def test_many_threads_may_call_at_once():
    pool = DaemonPool(max_threads=4)
    answers: list[int] = []

    def call(number: int) -> None:
        answers.append(pool.run(lambda: number, "number", deadline_s=60))

    threads = [threading.Thread(target=call, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answers) == list(range(50))


def test_threads_are_used_again():
    pool = DaemonPool(max_threads=8)

    threads = {pool.run(threading.get_ident, "who", deadline_s=60) for _ in range(20)}

    assert len(threads) < 8


def test_the_function_runs_in_the_callers_context(spans):
    with trace.get_tracer("tests").start_as_current_span("request"):
        inside = cpdd.optional("tips", deadline_s=60)(lambda: trace.get_current_span().get_span_context())()

    assert inside.span_id == spans.one("tips").context.span_id
    assert spans.one("tips").parent.span_id == spans.one("request").context.span_id


def test_a_missed_deadline_falls_back_and_the_span_ends_when_the_caller_goes_on(spans, release):
    tips = cpdd.optional("tips", fallback=list, deadline_s=0.01)(release.wait)()

    span = spans.one("tips")
    assert tips == []
    assert span.attributes["cpdd.call.outcome"] == "fallback_used"
    assert span.attributes["cpdd.call.deadline_ms"] == 10
    assert span.attributes["error.type"] == "DeadlineExceeded"


def test_an_abandoned_call_does_not_keep_the_program_from_ending(run_program):
    printed = run_program(
        "import cpdd, threading\nprint(cpdd.optional(fallback=list, deadline_s=0.01)(threading.Event().wait)())"
    )

    assert printed == "[]\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_has_a_pool_of_its_own(run_program):
    printed = run_program(
        "import os, sys, cpdd\n"
        "work = cpdd.optional(deadline_s=30)(lambda: 'done')\n"
        "work()\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    print('child', work(), flush=True); os._exit(0)\n"
        "os.waitpid(pid, 0); print('parent', work())"
    )

    assert printed.splitlines() == ["child done", "parent done"]
