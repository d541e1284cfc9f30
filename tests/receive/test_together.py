"""Requests that wait at the same time are stored together, and none feels what another did wrong."""

import asyncio
import gc
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any

from collector.receive.answers import BodyTooLarge, Form, MalformedBody, Refusal, RefusedByStore, StoreUnavailable
from collector.receive.pipeline import Prepared
from collector.receive.together import MAX_BYTES, MAX_TOGETHER, Together

PROTOBUF, JSON = Form.OTLP_PROTOBUF, Form.OTLP_JSON


class Held(Executor):
    """Work that waits until it is told to run."""

    def __init__(self) -> None:
        self._calls: list[Callable[[], object]] = []

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        self._calls.append(call)
        return Future()

    def run(self) -> None:
        while self._calls:
            self._calls.pop(0)()


@dataclass
class Kitchen:
    """A pipeline that refuses bodies named `bad`, and remembers what was prepared and committed together."""

    refuses: Exception | None = None
    together: list[list[bytes]] = field(default_factory=list)
    alone: list[bytes] = field(default_factory=list)
    commits: list[bytes] = field(default_factory=list)

    def prepare(self, body: bytes, form: Form) -> Prepared[bytes]:
        self.alone.append(body)
        if body == b"bad":
            raise MalformedBody("bad")
        return Prepared(body or None, len(body))

    def prepare_together(self, bodies: Sequence[bytes]) -> list[Prepared[bytes]] | None:
        if b"bad" in bodies:
            return None
        self.together.append(list(bodies))
        return [Prepared(b"".join(bodies) or None, len(body)) for body in bodies]

    def commit(self, prepared: Prepared[bytes]) -> "Future[None]":
        assert prepared.encoded is not None
        self.commits.append(prepared.encoded)
        stored: Future[None] = Future()
        if self.refuses:
            stored.set_exception(self.refuses)
        else:
            stored.set_result(None)
        return stored


def answers_of(kitchen: Kitchen, bodies: Sequence[bytes | Refusal], form: Form = PROTOBUF) -> list[object]:
    """What requests are answered that wait at the same time; those that are a Refusal fail while they are inflated."""

    async def ask() -> list[object]:
        workers = Held()
        together = Together(kitchen, workers)

        def inflated(body: bytes | Refusal) -> Callable[[], bytes]:
            def inflate() -> bytes:
                if isinstance(body, Refusal):
                    raise body
                return body

            return inflate

        sizes = [0 if isinstance(body, Refusal) else len(body) for body in bodies]
        asked = [
            asyncio.create_task(together.store(inflated(body), form, lambda: None, size))
            for body, size in zip(bodies, sizes, strict=True)
        ]
        await asyncio.sleep(0)
        workers.run()
        return await asyncio.gather(*asked, return_exceptions=True)

    return asyncio.run(ask())


def spans(answers: list[object]) -> list[object]:
    return [answer.spans if isinstance(answer, Prepared) else type(answer) for answer in answers]


def test_requests_that_wait_are_one_commit_and_each_has_its_own_answer() -> None:
    kitchen = Kitchen()

    answers = answers_of(kitchen, [b"a", b"bb", b"ccc"])

    assert spans(answers) == [1, 2, 3]
    assert kitchen.commits == [b"abbccc"]


def test_a_request_alone_is_prepared_alone() -> None:
    kitchen = Kitchen()

    assert spans(answers_of(kitchen, [b"a"])) == [1]
    assert kitchen.together == []


def test_a_bad_request_is_refused_and_its_neighbours_are_stored() -> None:
    kitchen = Kitchen()

    answers = answers_of(kitchen, [b"a", b"bad", b"ccc"])

    assert spans(answers) == [1, MalformedBody, 3]
    assert kitchen.commits == [b"a", b"ccc"]


def test_a_body_that_cannot_be_inflated_leaves_the_others_together() -> None:
    kitchen = Kitchen()

    answers = answers_of(kitchen, [b"a", BodyTooLarge(5), b"ccc"])

    assert spans(answers) == [1, BodyTooLarge, 3]
    assert kitchen.together == [[b"a", b"ccc"]]


def test_other_forms_are_prepared_alone() -> None:
    kitchen = Kitchen()

    assert spans(answers_of(kitchen, [b"a", b"bb"], JSON)) == [1, 2]
    assert kitchen.alone == [b"a", b"bb"]


def test_no_more_than_a_few_requests_are_taken_at_once() -> None:
    kitchen = Kitchen()

    answers = answers_of(kitchen, [b"a"] * (MAX_TOGETHER + 3))

    assert spans(answers) == [1] * (MAX_TOGETHER + 3)
    assert [len(bodies) for bodies in kitchen.together] == [MAX_TOGETHER, 3]


def test_large_bodies_are_prepared_alone() -> None:
    kitchen = Kitchen()
    large = bytes(MAX_BYTES)

    assert spans(answers_of(kitchen, [large, large, b"a", b"b"])) == [MAX_BYTES, MAX_BYTES, 1, 1]
    assert kitchen.together == [[b"a", b"b"]]


def test_requests_without_spans_need_no_commit() -> None:
    kitchen = Kitchen()

    assert spans(answers_of(kitchen, [b"", b""])) == [0, 0]
    assert kitchen.commits == []


def test_what_the_store_refuses_of_several_comes_again_since_most_of_them_are_not_at_fault() -> None:
    refused = RefusedByStore("a day too many")

    assert spans(answers_of(Kitchen(refused), [b"a", b"b"])) == [StoreUnavailable, StoreUnavailable]
    assert spans(answers_of(Kitchen(refused), [b"a"])) == [RefusedByStore]


def test_a_store_that_is_away_is_said_to_all() -> None:
    assert spans(answers_of(Kitchen(StoreUnavailable("away")), [b"a", b"b"])) == [StoreUnavailable] * 2


@dataclass
class Refusing(Kitchen):
    """Refuses everything, and watches what becomes of its refusals."""

    refusals: list[weakref.ref[Refusal]] = field(default_factory=list)

    def prepare(self, body: bytes, form: Form) -> Prepared[bytes]:
        raise self._refusal()

    def _refusal(self) -> Refusal:
        refusal = MalformedBody("bad")
        self.refusals.append(weakref.ref(refusal))
        return refusal


def test_a_refused_body_is_let_go_with_its_answer() -> None:
    kitchen = Refusing()
    gc.disable()
    try:
        answered = spans(answers_of(kitchen, [b"bad", b"bad"]))

        assert answered == [MalformedBody, MalformedBody]
        assert [refusal() for refusal in kitchen.refusals] == [None, None]
    finally:
        gc.enable()
