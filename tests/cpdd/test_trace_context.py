"""W3C trace context, Level 2, rule by rule: https://www.w3.org/TR/trace-context-2/."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, get_current_span, set_span_in_context

from cpdd.propagation import Level2TraceState, TraceContextPropagator
from cpdd.propagation.trace_context import read_traceparent, write_traceparent

TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
VALID = f"00-{TRACE_ID}-{SPAN_ID}-01"
PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))


def extracted(**headers: str | list[str]) -> SpanContext:
    return get_current_span(TraceContextPropagator().extract(headers)).get_span_context()


def sent(span: SpanContext) -> dict[str, str]:
    headers: dict[str, str] = {}
    TraceContextPropagator().inject(headers, set_span_in_context(NonRecordingSpan(span), Context()))
    return headers


def test_a_valid_traceparent_names_a_remote_span():
    span = extracted(traceparent=VALID)

    assert (f"{span.trace_id:032x}", f"{span.span_id:016x}", span.trace_flags, span.is_remote) == (
        TRACE_ID,
        SPAN_ID,
        TraceFlags.SAMPLED,
        True,
    )


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "00",
        f"ff-{TRACE_ID}-{SPAN_ID}-01",
        f"0-{TRACE_ID}-{SPAN_ID}-01",
        f"000-{TRACE_ID}-{SPAN_ID}-01",
        f".0-{TRACE_ID}-{SPAN_ID}-01",
        f"00-{'0' * 32}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"00-{TRACE_ID[:-1]}-{SPAN_ID}-01",
        f"00-{TRACE_ID}0-{SPAN_ID}-01",
        f"00-{TRACE_ID[:-1]}G-{SPAN_ID}-01",
        f"00-{TRACE_ID.upper()}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{SPAN_ID[:-1]}-01",
        f"00-{TRACE_ID}-{SPAN_ID}0-01",
        f"00-{TRACE_ID}-{SPAN_ID}-1",
        f"00-{TRACE_ID}-{SPAN_ID}-001",
        f"00-{TRACE_ID}-{SPAN_ID}-0.",
        f"{VALID}.",
        f"{VALID}-",
        f"{VALID}-more",
        f"{VALID}\n",
        f"cc-{TRACE_ID}-{SPAN_ID}-01.more",
        f"{VALID},{VALID}",
    ],
)
def test_what_is_no_traceparent_starts_a_new_trace_and_takes_tracestate_with_it(traceparent):
    assert not extracted(traceparent=traceparent, tracestate="a=1").is_valid


def test_two_traceparent_headers_are_none_even_where_they_agree():
    assert not extracted(traceparent=[VALID, VALID]).is_valid


@pytest.mark.parametrize("around", [" {}", "\t{}", "{} ", "{}\t", "\t {} \t"])
def test_white_space_around_traceparent_says_nothing(around):
    assert extracted(traceparent=around.format(VALID)).is_valid


@pytest.mark.parametrize("more", ["", "-", "-what-the-future-will-be-like"])
def test_a_version_to_come_is_read_as_far_as_it_is_known(more):
    assert extracted(traceparent=f"cc-{TRACE_ID}-{SPAN_ID}-03{more}").trace_flags == 3


def test_flags_nobody_has_defined_do_not_travel_on():
    span = extracted(traceparent=f"00-{TRACE_ID}-{SPAN_ID}-ff")

    assert sent(span)["traceparent"].endswith("-03")


def test_tracestate_without_traceparent_is_nothing():
    assert not extracted(tracestate="a=1").is_valid


@pytest.mark.parametrize(
    ("headers", "kept"),
    [
        (["a=1,b=2"], "a=1,b=2"),
        (["a=1", "b=2,c=3"], "a=1,b=2,c=3"),
        (["", "a=1", ""], "a=1"),
        (["a=1,,b=2, ,"], "a=1,b=2"),
        ([" a=1 \t,\t b=2 "], "a=1,b=2"),
        (["a=1,a=2,b=3"], "a=1,b=3"),
        (["a=1", "a=2"], "a=1"),
        (["a@=1,a@@b=2,a@b@c=3,1=4"], "a@=1,a@@b=2,a@b@c=3,1=4"),
        (["a= 1"], "a= 1"),
        (["z" * 256 + "=" + "v" * 256], "z" * 256 + "=" + "v" * 256),
        (["a=1,@b=2"], ""),
        (["a=1,B=2"], ""),
        (["a=1,b =2"], ""),
        (["a=1,b.c=2"], ""),
        (["a=1,b"], ""),
        (["a=,b=2"], ""),
        (["a=1=2"], ""),
        (["a=1\t2"], ""),
        (["a=é"], ""),
        (["a=1," + "z" * 257 + "=1"], ""),
        (["a=1,b=" + "v" * 257], ""),
        ([",".join(f"k{i}=1" for i in range(32))], ",".join(f"k{i}=1" for i in range(32))),
        ([",".join(f"k{i}=1" for i in range(33))], ""),
    ],
)
def test_tracestate_is_kept_whole_or_not_at_all_and_of_one_key_the_first_member(headers, kept):
    assert extracted(traceparent=VALID, tracestate=headers).trace_state.to_header() == kept


def test_tracestate_goes_out_as_it_came_in():
    state = "vendor@tenant= a;b/c~,other=1"

    assert sent(extracted(traceparent=VALID, tracestate=state)) == {"traceparent": VALID, "tracestate": state}


def test_no_span_sends_no_header():
    assert sent(SpanContext(0, 0, False)) == {}


members = st.dictionaries(
    st.from_regex(r"\A[a-z0-9][a-z0-9_\-*/@]{0,9}\Z"),
    st.text(PRINTABLE.replace(",", "").replace("=", ""), min_size=1, max_size=9).filter(lambda v: v[-1] != " "),
    max_size=32,
)


@given(members)
def test_what_is_written_is_read_again(said):
    state = Level2TraceState(tuple(said.items()))

    assert dict(Level2TraceState.from_header([state.to_header()])) == dict(state) == said


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.integers(0, 3))
def test_a_traceparent_that_is_written_is_read_again(trace_id, span_id, flags):
    read = read_traceparent(write_traceparent(SpanContext(trace_id, span_id, False, TraceFlags(flags))))

    assert read is not None
    assert (read.trace_id, read.span_id, read.trace_flags) == (trace_id, span_id, flags)


@given(st.text(max_size=80), st.lists(st.text(max_size=80), max_size=3))
def test_no_header_makes_it_raise(traceparent, tracestates):
    extracted(traceparent=traceparent, tracestate=tracestates)
    extracted(traceparent=VALID, tracestate=tracestates)


def test_the_methods_of_tracestate_keep_the_keys_of_level_2():
    state = Level2TraceState([("a@@b", "1"), ("c", "2")])

    assert state.add("d", "3").to_header() == "d=3,a@@b=1,c=2"
    assert state.add("c", "3") is state
    assert state.update("c", "3").to_header() == "c=3,a@@b=1"
    assert state.update("C", "3").to_header() == "a@@b=1,c=2"
    assert state.delete("c").to_header() == "a@@b=1"
