"""What callees are told in tracestate, and what outgoing spans carry."""

import pytest
from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind, TraceState

import cpdd
from cpdd.propagation import TraceContextPropagator, propagator_for, with_member
from cpdd.requirement import MAX_HINT_CHARS, Declared, hint_for_callee

tracer = trace.get_tracer("tests")
MANDATORY = Declared("mandatory", "mandatory")
OPTIONAL = Declared("optional", "optional")
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("incoming", "here", "sent"),
    [
        ("", None, ""),
        ("", MANDATORY, "r:m"),
        ("", OPTIONAL, "r:o"),
        ("r:m", MANDATORY, "r:m"),
        ("r:m", OPTIONAL, "r:o"),
        ("r:o", MANDATORY, "r:o"),
        ("r:o", None, "r:o"),
        ("r:m", None, ""),
        ("x:1", MANDATORY, "r:m;x:1"),
        ("x:1;r:o;y:2", None, "r:o;x:1;y:2"),
        ("r:m;x:1", None, "x:1"),
        (";;", MANDATORY, "r:m"),
        ("r:", MANDATORY, "r:m"),
    ],
)
def test_the_hint_is_optional_once_optional_below_and_keeps_unknown_keys(incoming, here, sent):
    assert hint_for_callee(incoming, here) == sent


def test_the_hint_never_grows_past_its_limit():
    sent = hint_for_callee("a:123456789;b:123456789;c:123456;d:1", MANDATORY)

    assert sent == "r:m;a:123456789;b:123456789;d:1"
    assert len(sent) <= MAX_HINT_CHARS


def test_the_member_that_changed_goes_in_front():
    state = with_member(TraceState([("a", "1"), ("cpdd", "r:m"), ("b", "2")]), "cpdd", "r:o")

    assert state.to_header() == "cpdd=r:o,a=1,b=2"


def test_a_full_tracestate_loses_its_oldest_member_rather_than_the_hint():
    full = TraceState([(f"k{i}", "1") for i in range(32)])

    state = with_member(full, "cpdd", "r:m")

    assert len(state) == 32
    assert (next(iter(state)), "k31" in state) == ("cpdd", False)


def sent_with(parent_state: str = "", kind: SpanKind = SpanKind.CLIENT) -> dict[str, str]:
    """The headers that an instrumented client would send from here."""
    headers: dict[str, str] = {}
    with tracer.start_as_current_span("GET", kind=kind):
        propagate.inject(headers)
    return headers


def test_an_undeclared_call_sends_what_the_stock_propagator_sends(spans):
    headers = sent_with()

    span = spans.one("GET").context
    assert headers == {"traceparent": f"00-{span.trace_id:032x}-{span.span_id:016x}-03"}


def test_a_declared_call_tells_its_callee(spans):
    with cpdd.mandatory():
        mandatory = sent_with()
    with cpdd.optional():
        optional = sent_with()

    assert (mandatory["tracestate"], optional["tracestate"]) == ("cpdd=r:m", "cpdd=r:o")


def test_a_mandatory_call_inside_an_optional_one_is_optional_to_its_callee_and_mandatory_to_its_caller(spans):
    with cpdd.optional(), cpdd.mandatory():
        headers = sent_with()

    assert headers["tracestate"] == "cpdd=r:o"
    assert spans.one("GET").attributes["cpdd.call.requirement"] == "mandatory"


def test_what_came_in_as_optional_goes_out_as_it_came(spans):
    upstream = propagate.extract({"traceparent": PARENT, "tracestate": "other=1,cpdd=r:o;z:9"})
    headers: dict[str, str] = {}

    with tracer.start_as_current_span("request", context=upstream, kind=SpanKind.SERVER), cpdd.mandatory():
        propagate.inject(headers)

    assert headers["tracestate"] == "other=1,cpdd=r:o;z:9"


@pytest.mark.parametrize("kind", [SpanKind.CLIENT, SpanKind.PRODUCER])
def test_the_next_outgoing_spans_carry_the_requirement(spans, kind):
    with cpdd.optional("tips"):
        sent_with(kind=kind)

    assert spans.one("GET").attributes["cpdd.call.requirement"] == "optional"


def test_every_attempt_of_a_retry_carries_the_requirement(spans):
    with cpdd.mandatory("charge"):
        for _ in range(3):
            sent_with()

    assert [span.attributes["cpdd.call.requirement"] for span in spans.spans] == ["mandatory"] * 4


def test_an_outgoing_span_inside_another_is_the_same_call_and_stays_unmarked(spans):
    with cpdd.mandatory(), tracer.start_as_current_span("requests", kind=SpanKind.CLIENT):
        tracer.start_span("urllib3", kind=SpanKind.CLIENT).end()

    assert spans.one("requests").attributes["cpdd.call.requirement"] == "mandatory"
    assert "cpdd.call.requirement" not in spans.one("urllib3").attributes


@pytest.mark.parametrize("kind", [SpanKind.INTERNAL, SpanKind.SERVER, SpanKind.CONSUMER])
def test_other_spans_inside_a_mark_stay_unmarked(spans, kind):
    with cpdd.mandatory("reserve"):
        tracer.start_span("inside", kind=kind).end()

    assert "cpdd.call.requirement" not in spans.one("inside").attributes


def test_calls_after_the_mark_are_undeclared(spans):
    with cpdd.mandatory("reserve"):
        pass

    headers = sent_with()

    assert "tracestate" not in headers
    assert "cpdd.call.requirement" not in spans.one("GET").attributes


def test_a_failure_of_the_hint_costs_the_hint_and_not_the_context(spans, monkeypatch):
    def fail(*_: object) -> str:
        raise RuntimeError("the hint")

    monkeypatch.setattr("cpdd.propagation.trace_context.hint_for_callee", fail)

    with cpdd.mandatory():
        headers = sent_with()

    assert "traceparent" in headers
    assert "tracestate" not in headers


def test_without_the_variable_the_propagators_are_ours_and_baggage():
    assert propagator_for({}).fields == {"traceparent", "tracestate", "baggage"}


def test_the_variable_chooses_and_none_means_none():
    assert propagator_for({"OTEL_PROPAGATORS": "baggage"}).fields == {"baggage"}
    assert propagator_for({"OTEL_PROPAGATORS": " tracecontext "}).fields == TraceContextPropagator().fields
    assert propagator_for({"OTEL_PROPAGATORS": "none"}).fields == set()


def test_a_propagator_that_is_not_installed_is_told_and_left_out(caplog):
    propagator = propagator_for({"OTEL_PROPAGATORS": "tracecontext,carrier-pigeon"})

    assert propagator.fields == {"traceparent", "tracestate"}
    assert "carrier-pigeon" in caplog.text


TRACE, SPAN = PARENT.split("-")[1:3]


@pytest.mark.parametrize(
    ("name", "headers"),
    [
        ("b3", {"b3": f"{TRACE}-{SPAN}-1"}),
        ("b3multi", {"x-b3-traceid": TRACE, "x-b3-spanid": SPAN, "x-b3-sampled": "1"}),
        ("xray", {"X-Amzn-Trace-Id": f"Root=1-{TRACE[:8]}-{TRACE[8:]};Parent={SPAN};Sampled=1"}),
        ("jaeger", {"uber-trace-id": f"{TRACE}:{SPAN}:{'0' * 16}:03"}),
    ],
)
def test_other_formats_go_in_and_out_on_request(name, headers):
    propagator = propagator_for({"OTEL_PROPAGATORS": f"tracecontext,baggage,{name}"})
    sent: dict[str, str] = {}

    inside = propagator.extract(headers)
    propagator.inject(sent, inside)

    assert f"{trace.get_current_span(inside).get_span_context().trace_id:032x}" == TRACE
    assert {key: sent[key] for key in headers} == headers
    assert sent["traceparent"] == PARENT


def test_a_request_without_the_other_format_is_read_from_traceparent():
    propagator = propagator_for({"OTEL_PROPAGATORS": "tracecontext,b3,xray,jaeger"})

    inside = propagator.extract({"traceparent": PARENT})

    assert f"{trace.get_current_span(inside).get_span_context().trace_id:032x}" == TRACE


def test_opentelemetry_finds_ours_by_name_without_init(run_program):
    printed = run_program(
        "from opentelemetry import propagate\nprint(sorted(propagate.get_global_textmap().fields))\n"
        "print([type(part).__name__ for part in propagate.get_global_textmap()._propagators])",
        OTEL_PROPAGATORS="cpdd_tracecontext,cpdd_baggage",
    )

    assert printed.splitlines() == [
        "['baggage', 'traceparent', 'tracestate']",
        "['TraceContextPropagator', 'BaggagePropagator']",
    ]
