"""W3C baggage in and out, and the borders it does not cross: https://www.w3.org/TR/baggage/."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind

from cpdd.propagation import BaggagePropagator, BaggageRules
from cpdd.propagation.baggage import MAX_CHARS, BaggageValue, read_baggage, write_baggage

ALL = BaggageRules()


def carried(header: str | list[str], rules: BaggageRules = ALL) -> dict[str, object]:
    return dict(baggage.get_all(BaggagePropagator(rules).extract({"baggage": header})))


def sent(said: dict[str, str], rules: BaggageRules = ALL, context: Context | None = None) -> str | None:
    inside = context or Context()
    for key, value in said.items():
        inside = baggage.set_baggage(key, value, inside)
    headers: dict[str, str] = {}
    BaggagePropagator(rules).inject(headers, inside)
    return headers.get("baggage")


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("a=1,b=2", {"a": "1", "b": "2"}),
        (["a=1", "b=2"], {"a": "1", "b": "2"}),
        (" a = 1 ,\tb=2\t", {"a": "1", "b": "2"}),
        ("a=x%20y", {"a": "x y"}),
        ("a=x+y", {"a": "x+y"}),
        ("a=caf%C3%A9", {"a": "café"}),
        ("a=b=c", {"a": "b=c"}),
        ("a=", {"a": ""}),
        ("a=1;ttl=30;public", {"a": "1"}),
        ("a,b=2,=3,c d=4,é=5,e=é", {"b": "2"}),
        ("", {}),
    ],
)
def test_a_header_is_read_as_far_as_it_can_be(header, said):
    assert carried(header) == said


def test_properties_travel_on():
    inside = BaggagePropagator(ALL).extract({"baggage": "a=1;ttl=30;public,b=2"})

    assert sent({}, context=inside) == "a=1;ttl=30;public,b=2"
    assert pickle.loads(pickle.dumps(BaggageValue("1", "ttl=30"))).properties == "ttl=30"


def test_a_journey_survives_services_with_the_stock_propagator_in_between():
    headers: dict[str, str] = {}
    ours = sent({"cpdd.journey": "check out + pay"})
    W3CBaggagePropagator().inject(headers, W3CBaggagePropagator().extract({"baggage": ours}))

    assert carried(headers["baggage"]) == {"cpdd.journey": "check out + pay"}


@given(st.dictionaries(st.text("abc.-_é /", min_size=1, max_size=5), st.text(max_size=9), max_size=9))
def test_what_is_written_is_read_again(said):
    assert {key: str(value) for key, value in read_baggage(write_baggage(said))} == said


@given(st.text(max_size=80))
def test_no_header_makes_it_raise(header):
    carried(header)


def test_what_is_over_the_limits_is_left_out_and_the_rest_stays():
    header = write_baggage({"first": "1", "huge": "x" * MAX_CHARS, "last": "2"})

    assert header == "first=1,last=2"
    assert len(carried(",".join(f"k{i}=1" for i in range(500)))) == 180
    assert list(carried(f"first=1,huge={'x' * MAX_CHARS}")) == ["first"]


def test_the_allow_list_holds_both_ways():
    rules = BaggageRules.of({"CPDD_BAGGAGE_KEYS": "cpdd.*, tenant"})

    assert carried("cpdd.journey=buy,tenant=acme,session=secret", rules) == {"cpdd.journey": "buy", "tenant": "acme"}
    assert sent({"tenant": "acme", "session": "secret"}, rules) == "tenant=acme"


@pytest.mark.parametrize("said", ["off", "false", "0", "No"])
def test_at_the_public_edge_nobody_names_our_journeys(said):
    assert carried("cpdd.journey=buy", BaggageRules.of({"CPDD_BAGGAGE_FROM_CALLERS": said})) == {}


@pytest.mark.parametrize(
    ("attributes", "header"),
    [
        ({"server.address": "stock.internal"}, "tenant=acme"),
        ({"url.full": "http://Stock.Internal:8080/x"}, "tenant=acme"),
        ({"http.url": "http://127.0.0.1:8080/x"}, "tenant=acme"),
        ({"server.address": "api.stranger.example"}, None),
        ({"url.full": "http://[broken"}, None),
        ({}, None),
    ],
)
def test_baggage_is_sent_to_the_hosts_that_are_trusted(spans, attributes, header):
    rules = BaggageRules.of({"CPDD_BAGGAGE_HOSTS": "*.internal,127.0.0.1"})
    span = trace.get_tracer("tests").start_span("POST", kind=SpanKind.CLIENT, attributes=attributes)

    assert sent({"tenant": "acme"}, rules, trace.set_span_in_context(span, Context())) == header
    span.end()


def test_what_is_no_call_to_a_host_is_not_stopped_by_the_list_of_hosts(spans):
    rules = BaggageRules(hosts=("*.internal",))
    span = trace.get_tracer("tests").start_span("publish", kind=SpanKind.PRODUCER)

    assert sent({"tenant": "acme"}, rules, trace.set_span_in_context(span, Context())) == "tenant=acme"
    span.end()
