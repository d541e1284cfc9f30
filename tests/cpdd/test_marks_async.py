"""Marks around coroutines: the same declarations, deadlines that cancel, cancellations that stay cancellations."""

import asyncio

import pytest

import cpdd
from cpdd import DeadlineExceeded


def outcome(span):
    return span.attributes["cpdd.call.outcome"]


async def never():
    await asyncio.Event().wait()


async def fail():
    raise ValueError("out of stock")


async def answer(value: int) -> int:
    await asyncio.sleep(0)
    return value


def test_a_decorated_coroutine_answers_and_its_span_covers_the_waiting(spans):
    result = asyncio.run(cpdd.mandatory("reserve")(answer)(7))

    assert result == 7
    assert outcome(spans.one("reserve")) == "ok"


def test_a_coroutine_that_fails_falls_back(spans):
    result = asyncio.run(cpdd.optional("tips", fallback=list)(fail)())

    assert result == []
    assert outcome(spans.one("tips")) == "fallback_used"


def test_the_fallback_of_a_coroutine_may_be_a_coroutine(spans):
    result = asyncio.run(cpdd.optional("tips", fallback=lambda: answer(3))(fail)())

    assert result == 3


def test_a_fallback_coroutine_that_fails_is_a_failed_call(spans):
    with pytest.raises(ValueError, match="out of stock"):
        asyncio.run(cpdd.optional("tips", fallback=fail)(fail)())

    assert outcome(spans.one("tips")) == "failed"


def test_a_coroutine_that_misses_its_deadline_is_cancelled_and_falls_back(spans):
    result = asyncio.run(cpdd.optional("tips", fallback=list, deadline_s=0.01)(never)())

    span = spans.one("tips")
    assert result == []
    assert outcome(span) == "fallback_used"
    assert span.attributes["cpdd.call.deadline_ms"] == 10
    assert span.attributes["error.type"] == "DeadlineExceeded"


def test_without_a_fallback_a_missed_deadline_is_raised_with_its_facts(spans):
    with pytest.raises(DeadlineExceeded) as error:
        asyncio.run(cpdd.optional("tips", deadline_s=0.01)(never)())

    assert (error.value.call, error.value.deadline_s) == ("tips", 0.01)
    assert str(error.value) == "tips: no answer within 10 ms"
    assert isinstance(error.value, TimeoutError)
    assert outcome(spans.one("tips")) == "timed_out"


def test_an_async_block_may_have_a_deadline(spans):
    async def program():
        async with cpdd.optional("tips", fallback=list, deadline_s=0.01) as call:
            await never()
        return call.value

    assert asyncio.run(program()) == []
    assert outcome(spans.one("tips")) == "fallback_used"


def test_an_async_block_without_a_name_is_named_after_the_function_around_it(spans):
    async def checkout():
        async with cpdd.mandatory():
            await answer(1)

    asyncio.run(checkout())

    assert outcome(spans.one("mandatory in checkout")) == "ok"


def test_a_timeout_of_the_users_own_is_not_taken_for_the_deadline(spans):
    async def their_timeout():
        raise TimeoutError("theirs")

    with pytest.raises(TimeoutError, match="theirs"):
        asyncio.run(cpdd.optional("tips", deadline_s=60)(their_timeout)())

    assert outcome(spans.one("tips")) == "timed_out"


def test_a_cancelled_task_stays_cancelled_and_no_fallback_answers(spans):
    async def program():
        inside = asyncio.Event()

        @cpdd.optional("tips", fallback=list, deadline_s=60)
        async def wait_for_ever():
            inside.set()
            await never()

        task = asyncio.create_task(wait_for_ever())
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(program())

    assert outcome(spans.one("tips")) == "cancelled"


def test_tasks_that_share_a_mark_keep_their_calls_apart(spans):
    tips = cpdd.optional("tips", fallback=str)

    async def use(name: str, first: asyncio.Event, then: asyncio.Event) -> str:
        async with tips as call:
            first.set()
            await then.wait()
            if name == "b":
                raise ValueError
            call.value = name
        return call.value

    async def program():
        a_inside, b_inside = asyncio.Event(), asyncio.Event()
        return await asyncio.gather(use("a", a_inside, b_inside), use("b", b_inside, a_inside))

    assert asyncio.run(program()) == ["a", ""]
    assert sorted(outcome(span) for span in spans.spans) == ["fallback_used", "ok"]


def test_calls_in_parallel_are_siblings(spans):
    async def program():
        async with cpdd.mandatory("all"):
            await asyncio.gather(*(cpdd.mandatory(f"part {i}")(answer)(i) for i in range(3)))

    asyncio.run(program())

    parents = {span.parent.span_id for span in spans.spans if span.name.startswith("part")}
    assert parents == {spans.one("all").context.span_id}
