"""The webhook, against a real server on a loopback port."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from collector.core.findings.model import Finding
from collector.core.findings.tracking import Tracked
from collector.webhook import MAX_WAITING, Webhook
from tests.hook import Listener, listening

OPEN = Tracked(Finding("cycle", "buy", "", "a and b call each other", "Break it.", "a"), 1_000, 2_000)
AT_ONCE = (0.0, 0.0, 0.0)


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as server:
        yield server


def test_a_finding_arrives_as_json_with_its_address(listener: Listener):
    webhook = Webhook(listener.url, pages=lambda: "http://cpdd:16686")
    webhook.start()
    webhook.tell([OPEN])
    listener.wait_for(1)
    webhook.stop()

    (message,) = listener.bodies
    assert (message["event"], message["kind"]) == ("opened", "cycle")
    assert message["address"] == f"http://cpdd:16686/findings#{OPEN.finding.id}"
    assert listener.content_types == {"application/json"}
    assert webhook.delivery.sent == 1


def test_slack_gets_its_own_shape(listener: Listener):
    webhook = Webhook(listener.url, slack=True)
    webhook.start()
    webhook.tell([OPEN, replace(OPEN, cleared_unix_nano=3_000, because="over")])
    listener.wait_for(2)
    webhook.stop()

    assert [set(body) for body in listener.bodies] == [{"text"}, {"text"}]
    assert "cleared" in str(listener.bodies[1]["text"])


def test_a_server_in_trouble_is_asked_again_and_nothing_is_sent_out_of_order(listener: Listener):
    listener.statuses[:] = [503, 429]
    webhook = Webhook(listener.url, waits_s=AT_ONCE)
    webhook.start()
    webhook.tell([OPEN, replace(OPEN, cleared_unix_nano=3_000)])
    listener.wait_for(4)
    webhook.stop()

    assert [body["event"] for body in listener.bodies] == ["opened", "opened", "opened", "cleared"]
    assert (webhook.delivery.sent, webhook.delivery.retried, webhook.delivery.dropped) == (2, 2, 0)


def test_a_refusal_is_final(listener: Listener):
    listener.statuses[:] = [404]
    webhook = Webhook(listener.url, waits_s=AT_ONCE)
    webhook.start()
    webhook.tell([OPEN, OPEN])
    listener.wait_for(2)
    webhook.stop()

    assert (webhook.delivery.sent, webhook.delivery.dropped) == (1, 1)
    assert webhook.delivery.last_failure == "it answered 404"


def test_where_nobody_listens_messages_are_dropped_after_the_last_try():
    with Listener([]) as gone:
        url = gone.url
    webhook = Webhook(url, waits_s=AT_ONCE)
    webhook.start()
    webhook.tell([OPEN])
    webhook.stop()

    assert (webhook.delivery.sent, webhook.delivery.dropped) == (0, 1)


def test_telling_never_blocks_however_slow_the_server_is(listener: Listener):
    listener.may_answer.clear()
    webhook = Webhook(listener.url, waits_s=())
    webhook.start()

    webhook.tell([OPEN])
    listener.wait_for(1)
    webhook.tell([OPEN] * (MAX_WAITING + 3))

    assert webhook.delivery.dropped == 3
    listener.may_answer.set()
    webhook.stop()
