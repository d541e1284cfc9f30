"""What addresses and the search box say: ranges of time, intents."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from collector.store.values import Window
from ui.draw.units import typed_moment
from ui.views.durations import parse_duration_ns
from ui.views.errors import BadAddress
from ui.views.search_words import (
    AttributesWanted,
    NameWanted,
    RequestWanted,
    TracePerhaps,
    TraceWanted,
    read_words,
    settled,
)
from ui.views.time_range import around, parse_moment, range_of, read_range

NOW = 1_795_000_003_500_000_000
SECOND = 1_000_000_000
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


# Ranges


def test_the_default_is_the_last_hour_and_needs_no_parameter():
    at = read_range({}, NOW)

    assert at.words == "last 1\u00a0h"
    assert at.parameters == {}
    assert at.window.end_unix_nano - at.window.start_unix_nano == 3_600 * SECOND
    assert NOW <= at.window.end_unix_nano < NOW + 10 * SECOND


def test_a_page_asked_for_twice_within_ten_seconds_has_the_same_range():
    assert read_range({}, NOW) == read_range({}, NOW + 6 * SECOND)


@pytest.mark.parametrize(
    "text", ["2026-11-18T11:06:40Z", "2026-11-18T12:06:40+01:00", "2026-11-18 11:06:40", "1795000000", "1795000000000",
             "1795000000000000", "1795000000000000000", "1795000000.0"],
)  # fmt: skip
def test_a_moment_may_be_written_in_many_ways(text):
    assert parse_moment("start", text) == 1_795_000_000 * SECOND


@given(st.integers(0, 2**62), st.integers(1, 2**61))
@example(1_795_000_000_200_000_000, 500_000_000)
def test_an_absolute_range_survives_a_form(start, length):
    typed = {"start": typed_moment(start), "end": typed_moment(start + length)}

    assert read_range(typed, NOW + 7).window == Window(start, start + length)


@given(st.integers(0, 2**62), st.integers(1, 2**61))
def test_an_absolute_range_survives_its_address(start, length):
    window = Window(start, start + length)

    assert read_range(range_of(window, NOW).parameters, NOW + 7).window == window


def test_a_range_with_one_end_takes_the_other_from_the_clock_or_an_hour():
    assert read_range({"start": "1795000000"}, NOW).window == Window(1_795_000_000 * SECOND, NOW)
    assert read_range({"end": "1795000000"}, NOW).window == Window(1_794_996_400 * SECOND, 1_795_000_000 * SECOND)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("02:41", "18T02:41:00"),
        ("11:06", "18T11:06:00"),
        ("23:30:15", "17T23:30:15"),
        ("02:41:05.25", "18T02:41:05.25"),
    ],
)
def test_a_time_of_day_is_the_latest(text, at):
    start = parse_moment("start", f"2026-11-{at}Z")

    assert read_range({"start": text}, NOW).window == Window(start, NOW)


@pytest.mark.parametrize(
    "query",
    [
        {"last": "1 hour"},
        {"last": "0h"},
        {"last": "99999d"},
        {"start": "noon"},
        {"end": "9" * 25},
        {"start": "0001-01-01"},
        {"start": "1795000000", "end": "1795000000"},
    ],
)
def test_a_range_that_cannot_be_is_refused_with_a_hint(query):
    with pytest.raises(BadAddress) as refused:
        read_range(query, NOW)

    assert refused.value.hint


def test_a_window_around_a_trace_holds_it():
    window = around(NOW)

    assert window.start_unix_nano < NOW < window.end_unix_nano
    assert window.end_unix_nano % SECOND == 0


# The search box

DASHED = "4bf92f35-77b3-4da6-a3ce-929d0e0e4736"


def perhaps(otherwise: AttributesWanted | RequestWanted | NameWanted) -> TracePerhaps:
    """The id of TRACE, which nobody calls a trace."""
    return TracePerhaps((TraceWanted(TRACE),), otherwise)


def test_what_may_be_a_trace_is_one_where_it_is_stored():
    address = f"https://shop.example/users/{SPAN * 2}/orders/{TRACE}"
    read, request = read_words(address), RequestWanted(address, f"/users/{SPAN * 2}/orders/{TRACE}", "")

    assert settled(read, lambda trace_id: trace_id == TRACE) == TraceWanted(TRACE)
    assert settled(read, lambda trace_id: False) == request
    assert settled(read_words(TRACE), lambda trace_id: False) == TraceWanted(TRACE)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (TRACE, TraceWanted(TRACE)),
        (f"  {TRACE.upper()} ", TraceWanted(TRACE)),
        (SPAN, TraceWanted(SPAN.rjust(32, "0"))),
        (f"00-{TRACE}-{SPAN}-01", TraceWanted(TRACE, SPAN)),
        (f"traceparent: 00-{TRACE}-{SPAN}-01", TraceWanted(TRACE, SPAN)),
        (f"http://localhost:16686/traces/{TRACE}?span={SPAN}#span", TraceWanted(TRACE, SPAN)),
        (f"https://jaeger/trace/{SPAN}", TraceWanted(SPAN.rjust(32, "0"))),
        (f"https://grafana/explore?traceId={TRACE}&panes=1", TraceWanted(TRACE)),
        (f"error in trace {TRACE}: timeout", TraceWanted(TRACE)),
        (f"level=error trace_id={TRACE}", TraceWanted(TRACE)),
        (f"https://g/explore?panes=%7B%22type%22%3A%22tempo%22%2C%22query%22%3A%22{TRACE}%22%7D", TraceWanted(TRACE)),
        (f"https://app.example/apm/trace/{DASHED}?graphType=flame", TraceWanted(TRACE)),
        (f"https://x-ray.example/#xray:traces/1-{TRACE[:8]}-{TRACE[8:]}", TraceWanted(TRACE)),
        (DASHED, perhaps(NameWanted(DASHED))),
        (f"error in {TRACE}: timeout", perhaps(NameWanted(f"error in {TRACE}: timeout"))),
        (f"no order {DASHED} in stacktrace", perhaps(NameWanted(f"no order {DASHED} in stacktrace"))),
        (f"app.order={DASHED}", perhaps(AttributesWanted((("app.order", DASHED),)))),
        (f"why=trace order={TRACE}", perhaps(AttributesWanted((("why", "trace"), ("order", TRACE))))),
        (f"https://shop/o/{TRACE}", perhaps(RequestWanted(f"https://shop/o/{TRACE}", f"/o/{TRACE}", ""))),
        (
            f"https://trace.example/o/{DASHED}?x=1",
            perhaps(RequestWanted(f"https://trace.example/o/{DASHED}?x=1", f"/o/{DASHED}", "?x=1")),
        ),
        (
            f"https://shop.example/o/{SPAN}",
            TracePerhaps(
                (TraceWanted(SPAN.rjust(32, "0")),),
                RequestWanted(f"https://shop.example/o/{SPAN}", f"/o/{SPAN}", ""),
            ),
        ),
        (f"track trace of order {TRACE}", perhaps(NameWanted(f"track trace of order {TRACE}"))),
        (
            f"https://shop.example/trace-orders/{SPAN}",
            TracePerhaps(
                (TraceWanted(SPAN.rjust(32, "0")),),
                RequestWanted(f"https://shop.example/trace-orders/{SPAN}", f"/trace-orders/{SPAN}", ""),
            ),
        ),
        (f"trace.order=7 order={TRACE}", perhaps(AttributesWanted((("trace.order", "7"), ("order", TRACE))))),
        (f"https://g/explore?org={SPAN * 2}&traceID={TRACE}", TraceWanted(TRACE)),
        (f'{{"span_id": "{SPAN}", "trace_id": "{TRACE}"}}', TraceWanted(TRACE)),
        (f"X-Cloud-Trace-Context: {TRACE}/7;o=1", TraceWanted(TRACE)),
        (f"trace {TRACE} of order {TRACE}", TraceWanted(TRACE)),
        (f"trace_id={SPAN}", TraceWanted(SPAN.rjust(32, "0"))),
        (f"Root=1-{TRACE[:8]}-{TRACE[8:]};Sampled=1", TraceWanted(TRACE)),
        ("HTTPS://shop.example/cart/7?x=1#top", RequestWanted("HTTPS://shop.example/cart/7?x=1", "/cart/7", "?x=1")),
        ("https://shop.example", RequestWanted("https://shop.example", "/", "")),
        ("http.route=/cart", AttributesWanted((("http.route", "/cart"),))),
        ('a=/cart b.c="SELECT * FROM x"', AttributesWanted((("a", "/cart"), ("b.c", "SELECT * FROM x")))),
        ("GET /cart?x=1", NameWanted("GET /cart?x=1")),
        ("payment", NameWanted("payment")),
        ("0" * 32, NameWanted("0" * 32)),
        ("", None),
        ("   ", None),
    ],
)  # fmt: skip
def test_the_box_understands(words, meant):
    assert read_words(words) == meant


@given(st.text(max_size=200))
def test_the_box_never_fails(words):
    read_words(words)


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1))
def test_every_traceparent_is_understood(trace, span):
    assert read_words(f"00-{trace:032x}-{span:016x}-00") == TraceWanted(f"{trace:032x}", f"{span:016x}")


def test_durations_of_the_form():
    read = [parse_duration_ns("min", text) for text in ("", "250ms", "1.2s", "1m30s", "250", "3 us")]

    assert read == [0, 250_000_000, 1_200_000_000, 90 * SECOND, 250_000_000, 3_000]


@pytest.mark.parametrize("text", ["fast", "1e3s", "-1s", "1s 2", "s", "9" * 40 + "h"])
def test_a_duration_that_cannot_be_read_is_refused(text):
    with pytest.raises(BadAddress):
        parse_duration_ns("min", text)
