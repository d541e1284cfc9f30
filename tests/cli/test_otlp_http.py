"""Requests to an OTLP/HTTP endpoint: what is retried, how long, and what an answer means."""

import socket

import pytest

from cpdd.cli._otlp_http import (
    GIVE_UP_AFTER_S,
    LONGEST_WAIT_S,
    EndpointError,
    OtlpHttpSender,
    RequestRefused,
    parse_headers,
    traces_address,
)
from tests.cli.endpoint import Answer, endpoint, partly, refusal


class Clock:
    """Time that sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def served():
    with endpoint() as found:
        yield found


@pytest.fixture
def sender(served, clock):
    sender = OtlpHttpSender(served.url, sleep=clock.sleep, clock=clock)
    yield sender
    sender.close()


def test_requests_go_compressed_over_one_connection(sender, served):
    for body in (b"one", b"two", b"three"):
        sender.send(body)

    assert served.bodies == [b"one", b"two", b"three"]
    assert served.connections == 1
    assert served.headers[0]["Content-Encoding"] == "gzip"
    assert served.headers[0]["Content-Type"] == "application/x-protobuf"


def test_compression_may_be_left_out_and_headers_be_added(served):
    sender = OtlpHttpSender(served.url, {"api-key": "x"}, compress=False)

    sender.send(b"one")
    sender.close()

    assert served.bodies == [b"one"]
    assert "Content-Encoding" not in served.headers[0]
    assert served.headers[0]["api-key"] == "x"


def test_partial_success_is_part_of_what_is_accepted(sender, served):
    served.answers = [partly(2, "span_id has 7 bytes")]

    accepted = sender.send(b"one")

    assert (accepted.rejected_spans, accepted.message, accepted.retries) == (2, "span_id has 7 bytes", 0)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_an_endpoint_that_asks_for_patience_gets_the_same_request_again(status, sender, served, clock):
    served.answers = [refusal(status, "later", Retry_After="7"), refusal(status, "later", Retry_After="3")]

    accepted = sender.send(b"one")

    assert accepted.retries == 2
    assert clock.slept == [7, 3]
    assert served.bodies == [b"one"] * 3


def test_without_retry_after_each_wait_is_longer_up_to_a_bound(sender, served, clock):
    served.answers = [refusal(503, "later")] * 7

    accepted = sender.send(b"one")

    assert accepted.retries == 7
    longest = [min(2.0**n, LONGEST_WAIT_S) for n in range(7)]
    assert all(most / 2 <= wait <= most for most, wait in zip(longest, clock.slept, strict=True))


def test_an_endpoint_that_asks_for_patience_too_long_is_given_up(sender, served, clock):
    served.answers = [refusal(429, "queue full", Retry_After="50")] * 10

    with pytest.raises(EndpointError) as error:
        sender.send(b"one")

    assert "given up after 3 tries: answer 429 Too Many Requests: queue full" in str(error.value)
    assert clock.now <= GIVE_UP_AFTER_S


@pytest.mark.parametrize("header", ["soon", "-5", "", "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_an_odd_retry_after_does_no_harm(header, sender, served):
    served.answers = [refusal(503, "later", Retry_After=header)]

    assert sender.send(b"one").retries == 1


@pytest.mark.parametrize(("status", "hopeless"), [(400, False), (413, False), (401, True), (404, True)])
def test_an_answer_that_no_patience_changes_is_an_error_with_its_message(status, hopeless, sender, served):
    served.answers = [refusal(status, "no such thing")]

    with pytest.raises(RequestRefused) as error:
        sender.send(b"one")

    assert f"answer {status}" in str(error.value)
    assert "no such thing" in str(error.value)
    assert error.value.is_hopeless == hopeless
    assert len(served.bodies) == 1


def test_an_answer_in_plain_text_is_told(sender, served):
    served.answers = [Answer(404, b"<html>not here</html>")]

    with pytest.raises(RequestRefused, match="not here"):
        sender.send(b"one")


def test_a_connection_that_the_endpoint_closed_is_opened_again_without_a_word(sender, served, clock):
    served.answers = [Answer(closes=True)]

    sender.send(b"one")
    accepted = sender.send(b"two")

    assert accepted.retries == 0
    assert clock.slept == []
    assert served.bodies == [b"one", b"two"]
    assert served.connections == 2


def test_an_endpoint_that_worked_and_breaks_down_is_tried_again(sender, served, clock):
    served.answers = [Answer(), Answer(hangs_up=True), Answer(hangs_up=True)]

    sender.send(b"one")
    accepted = sender.send(b"two")

    assert accepted.retries == 1
    assert len(clock.slept) == 1


def test_an_endpoint_that_never_worked_is_an_error_at_once():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        clock = Clock()
        sender = OtlpHttpSender(f"http://127.0.0.1:{port}/v1/traces", sleep=clock.sleep, clock=clock)

        with pytest.raises(EndpointError) as error:
            sender.send(b"one")

    assert clock.slept == []
    assert "Connection refused" in str(error.value)
    assert "cpdd serve" in str(error.value)


@pytest.mark.parametrize("address", ["ftp://x/", "http://", "traces.json", "http://x:port/"])
def test_an_address_that_is_none_is_an_error_that_names_it(address):
    with pytest.raises(EndpointError) as error:
        OtlpHttpSender(address)

    assert address in str(error.value)


def test_a_certificate_file_that_is_absent_is_an_error():
    with pytest.raises(EndpointError, match="No such file"):
        OtlpHttpSender("https://localhost/", certificate="/absent.pem")


def test_headers_are_read_as_opentelemetry_writes_them():
    assert parse_headers("") == {}
    assert parse_headers("a=1, b=x%20y ,c=d=e") == {"a": "1", "b": "x y", "c": "d=e"}


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("localhost:4318", "http://localhost:4318/v1/traces"),
        ("http://x:1/", "http://x:1/v1/traces"),
        ("https://x/api/otlp", "https://x/api/otlp"),
        ("http://x?key=1", "http://x?key=1"),
    ],
)
def test_an_address_of_a_person_is_completed(said, meant):
    assert traces_address(said) == meant
