"""Every request through nginx and HAProxy is a span with the right parent, and none claims another's trace."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest
from opentelemetry.trace import StatusCode, TraceFlags

from tests.balancers.programs import Balancer, application, haproxy, nginx

TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE_ID}-{SPAN_ID}-01"
BALANCERS = {"nginx": nginx, "haproxy": haproxy}


@pytest.fixture(scope="module")
def app() -> Iterator[Any]:
    with application() as server:
        yield server


@pytest.fixture(scope="module", params=BALANCERS)
def adopting(request, tmp_path_factory, app) -> Iterator[Balancer]:
    with BALANCERS[request.param](tmp_path_factory.mktemp("adopt"), None, app) as balancer:
        yield balancer


@pytest.fixture(scope="module", params=BALANCERS)
def deciding(request, tmp_path_factory, app) -> Iterator[Balancer]:
    with BALANCERS[request.param](tmp_path_factory.mktemp("decide"), Fraction(1, 2), app) as balancer:
        yield balancer


def test_a_trace_goes_on_from_the_caller_through_both_spans_to_the_application(adopting):
    answer = adopting.ask(traceparent=PARENT, tracestate="vendor=1")

    (attempt,) = answer.attempts
    assert f"{answer.server.context.trace_id:032x}" == TRACE_ID
    assert f"{answer.server.parent.span_id:016x}" == SPAN_ID
    assert attempt.parent.span_id == answer.server.context.span_id
    assert answer.caller.span_id == attempt.context.span_id
    assert answer.caller.trace_id == attempt.context.trace_id
    assert answer.caller.trace_state.to_header() == "vendor=1"


def test_what_a_request_was_is_on_its_spans(adopting):
    answer = adopting.ask("/items?page=2", traceparent=PARENT)

    (attempt,) = answer.attempts
    assert {key: answer.server.attributes.get(key) for key in ("http.request.method", "url.path", "url.query")} == {
        "http.request.method": "GET",
        "url.path": "/items",
        "url.query": "page=2",
    }
    assert answer.server.attributes["http.response.status_code"] == 200
    assert attempt.attributes["http.response.status_code"] == 200
    assert [event.name for event in attempt.events] == ["connected", "first byte"]
    assert answer.server.start_time <= attempt.start_time <= attempt.end_time <= answer.server.end_time


def test_adopting_starts_no_trace_and_learns_the_applications(adopting):
    answer = adopting.ask(tracestate="vendor=1")

    assert answer.sent["traceparent"] is None
    assert answer.server.context.trace_id == answer.app.trace_id
    assert answer.server.parent is None
    assert answer.attempts[0].links[0].context.span_id == answer.app.span_id


def test_adopting_leaves_out_what_the_application_does_not_keep(adopting, app):
    app.root_flags = TraceFlags(2)
    try:
        answer = adopting.ask()
    finally:
        app.root_flags = TraceFlags(3)

    assert answer.spans == []


def test_an_unsampled_trace_stays_unsampled(adopting):
    answer = adopting.ask(traceparent=PARENT[:-1] + "0")

    assert answer.spans == []
    assert not answer.caller.trace_flags.sampled


@pytest.mark.parametrize("broken", ["00-xyz", f"ff-{TRACE_ID}-{SPAN_ID}-01", f"00-{'0' * 32}-{SPAN_ID}-01"])
def test_what_is_no_traceparent_does_not_reach_the_application(adopting, broken):
    answer = adopting.ask(traceparent=broken)

    assert answer.sent["traceparent"] is None


def test_a_cached_answer_claims_no_trace_of_another_request(adopting):
    first = adopting.ask("/cached")
    second = adopting.ask("/cached")

    assert first.server.context.trace_id == first.app.trace_id
    assert "Server-Timing" in first.headers
    assert second.app is None
    assert second.attempts == []
    assert second.server.context.trace_id != first.app.trace_id
    assert "Server-Timing" not in second.headers
    assert second.server.attributes["cpdd.cache"] == "HIT"


def test_each_attempt_is_a_span_and_the_application_is_below_the_last(adopting):
    answers = [adopting.ask("/retried", traceparent=PARENT) for _ in range(2)]

    answer = next(answer for answer in answers if len(answer.attempts) == 2)
    failed, last = answer.attempts
    assert {span.parent.span_id for span in answer.attempts} == {answer.server.context.span_id}
    assert (failed.status.status_code, last.status.status_code) == (StatusCode.ERROR, StatusCode.UNSET)
    assert answer.caller.span_id == last.context.span_id
    assert last.links[0].attributes["cpdd.link.type"] == "retry"
    assert last.links[0].context.span_id == failed.context.span_id
    assert failed.end_time <= last.start_time


def test_a_request_that_reaches_nobody_is_a_failed_span(adopting):
    answer = adopting.ask("/down", traceparent=PARENT)

    assert answer.status >= 500
    assert answer.server.status.status_code is StatusCode.ERROR
    assert [attempt.status.status_code for attempt in answer.attempts] == [StatusCode.ERROR]


def test_deciding_starts_traces_and_keeps_the_share_it_was_told(deciding):
    answers = [deciding.ask() for _ in range(40)]

    kept = [answer for answer in answers if answer.spans]
    assert 5 <= len(kept) <= 35
    for answer in answers:
        assert answer.caller.is_valid
        assert answer.caller.trace_flags.random_trace_id
        is_kept = answer.caller.trace_id & (2**56 - 1) >= 2**55
        assert (answer.caller.trace_flags.sampled, bool(answer.spans)) == (is_kept, is_kept)
    for answer in kept:
        assert answer.server.context.trace_id == answer.app.trace_id
        assert answer.server.context.trace_state.to_header() == "ot=th:8"
        assert answer.caller.span_id == answer.attempts[0].context.span_id


def test_deciding_follows_a_caller_that_has_decided(deciding):
    kept, left_out = deciding.ask(traceparent=PARENT), deciding.ask(traceparent=PARENT[:-1] + "0")

    assert f"{kept.server.parent.span_id:016x}" == SPAN_ID
    assert left_out.spans == []
    assert not left_out.caller.trace_flags.sampled
