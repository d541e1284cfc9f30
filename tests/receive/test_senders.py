"""Who floods waits, and the others go on."""

import threading

import pytest

from collector.receive.answers import SenderOverShare, StoreBehind
from collector.receive.limits import Limits
from collector.receive.senders import ACTIVE_S, CROWD, RECOVERS_S, Senders
from cpdd.testing import FakeClock
from tests.receive.loopback import FakePipeline, serve_grpc, serve_http


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def senders(clock: FakeClock) -> Senders:
    return Senders(1_000, clock.now_s)


def test_who_is_alone_may_fill_the_room(senders: Senders) -> None:
    with senders.enter("a") as one, senders.enter("a") as other:
        one.grow(700)
        other.grow(300)


def test_who_holds_more_than_its_part_waits_when_another_comes(senders: Senders) -> None:
    with senders.enter("a") as flood, senders.enter("b") as small, senders.enter("a") as more:
        flood.grow(800)
        small.grow(100)

        with pytest.raises(SenderOverShare, match=r"would hold 900 bytes.*its part among 2 is 500"):
            more.grow(100)
        small.grow(300)


def test_below_half_of_the_room_nobody_is_held_back(senders: Senders) -> None:
    with senders.enter("b") as small, senders.enter("c") as other, senders.enter("a") as flood:
        small.grow(10)
        other.grow(10)
        flood.grow(450)


def test_a_sender_that_falls_silent_leaves_its_part_to_the_others(senders: Senders, clock: FakeClock) -> None:
    with senders.enter("b") as small:
        small.grow(10)
    clock.advance(s=ACTIVE_S + 1)

    with senders.enter("a") as flood:
        flood.grow(900)


def test_a_store_that_is_behind_makes_the_room_smaller_for_a_while(senders: Senders, clock: FakeClock) -> None:
    with senders.enter("a") as flood, senders.enter("b") as small:
        flood.grow(400)
        small.grow(10)
        with pytest.raises(StoreBehind), senders.enter("b"):
            raise StoreBehind("full")

        with pytest.raises(SenderOverShare), senders.enter("a") as more:
            more.grow(10)
        clock.advance(s=RECOVERS_S)
        small.grow(10)
        flood.grow(10)


def test_what_is_held_is_given_back_whatever_happens(senders: Senders) -> None:
    broken = senders.enter("a")
    broken.grow(1_000)
    broken.__exit__(KeyError, KeyError(), None)

    with senders.enter("b") as share, senders.enter("a") as again:
        share.grow(500)
        again.grow(500)


def test_senders_without_number_are_forgotten(senders: Senders, clock: FakeClock) -> None:
    for number in range(CROWD + 1):
        with senders.enter(str(number)) as share:
            share.grow(1)
    clock.advance(s=ACTIVE_S + 1)

    with senders.enter("a") as share:
        share.grow(1)

    assert len(senders._accounts) == 1


def test_over_http_a_flood_gets_429_and_another_sender_goes_on() -> None:
    pipeline = FakePipeline(hold=True)
    with serve_http(pipeline, Limits(max_body_bytes=1_000, max_inflight_bytes=1_000)) as served:
        flood = [threading.Thread(target=served.post, args=(bytes(400),)) for _ in range(2)]
        for thread in flood:
            thread.start()
        pipeline.wait_for_waiting(2)
        other = threading.Thread(target=served.post, args=(bytes(100),), kwargs={"sender": "127.0.0.2"})
        other.start()
        pipeline.wait_for_waiting(3)

        refused = served.post(bytes(100))

        pipeline.release()
        for thread in (*flood, other):
            thread.join()
        counted = served.count("cpdd_receiver_requests_total", receiver="otlp_http", answer="share")
    assert refused.status == 429
    assert refused.headers["retry-after"] == "1"
    assert counted == 1


def test_over_grpc_a_call_counts_for_its_address() -> None:
    with serve_grpc(FakePipeline()) as served:
        served.export(b"12345")

        assert list(served.receiver._senders._accounts) == ["127.0.0.1"]
