"""Moments that sentences say, as times that a browser can tell in the reader's zone."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape

from tests.ui.conftest import client_of
from tests.ui.memory import MemoryReader
from tests.ui.shop import NOW_NS, shop_traces
from ui.draw.said_times import read_clock, with_times
from ui.draw.units import NBSP, clock, clock_to_minute, moment

SECOND = 10**9
MOMENTS = st.integers(0, 253_402_300_799).map(lambda seconds: seconds * SECOND)


@given(MOMENTS, MOMENTS)
def test_a_moment_is_read_as_it_was_said(unix_nano: int, now_unix_nano: int):
    step = SECOND if clock(unix_nano, now_unix_nano)[2] == ":" else 60 * SECOND

    assert read_clock(clock(unix_nano, now_unix_nano), now_unix_nano) == unix_nano // step * step
    assert (
        read_clock(clock_to_minute(unix_nano, now_unix_nano), now_unix_nano) == unix_nano // (60 * SECOND) * 60 * SECOND
    )


def test_a_moment_in_a_sentence_is_a_time_and_the_rest_is_text():
    sentence = f"<b>shop</b> is slow since {clock_to_minute(NOW_NS, NOW_NS)}{NBSP}UTC, 2× before."

    assert str(with_times(sentence, NOW_NS)) == (
        f'&lt;b&gt;shop&lt;/b&gt; is slow since <time datetime="{moment(NOW_NS // (60 * SECOND) * 60 * SECOND)}" '
        f"data-minute>{clock_to_minute(NOW_NS, NOW_NS)}{NBSP}UTC</time>, 2× before."
    )


def test_both_ends_of_a_range_are_times():
    long_ago = NOW_NS - 400 * 86_400 * SECOND
    said = str(with_times(f"No trace from {clock(long_ago, NOW_NS)} to {clock(NOW_NS, NOW_NS)}{NBSP}UTC.", NOW_NS))

    assert re.findall(r'datetime="([^"]+)"', said) == [moment(long_ago)[:17] + "00Z", moment(NOW_NS)]
    assert re.sub(r"<[^>]*>", "", said).endswith(f"{NBSP}UTC.")


@pytest.mark.parametrize(
    "text", [f"25:00{NBSP}UTC", f"31{NBSP}Feb{NBSP}10:00{NBSP}UTC", f"10:61{NBSP}UTC", "02:41 UTC", f"1:02:41{NBSP}UTC"]
)
def test_what_only_looks_like_a_moment_stays_text(text: str):
    assert str(with_times(text, NOW_NS)) == text


SAID = st.builds(
    lambda how, unix_nano, now_unix_nano: f"{how(unix_nano, now_unix_nano)}{NBSP}UTC",
    st.sampled_from((clock, clock_to_minute)),
    MOMENTS,
    MOMENTS,
)
SENTENCES = st.lists(st.one_of(st.text(), SAID, st.sampled_from(("<b>", "</time>", " to ", '" & ')))).map("".join)


@given(SENTENCES, MOMENTS)
def test_any_text_is_said_whole_and_escaped(text: str, now_unix_nano: int):
    said = with_times(text, now_unix_nano)

    assert re.sub(r'<time datetime="[-0-9T:Z]+"(?: data-minute)?>|</time>', "", str(said)) == str(escape(text))


def test_the_first_sentence_of_a_page_says_its_range_in_times_and_its_twin_in_words():
    client = client_of(MemoryReader(shop_traces(5)))
    address = "/search%s?start=2026-11-01T10:00:00Z&end=2026-11-01T11:00:00Z"

    page, twin = client.get(address % ""), client.get(address % ".json")

    assert '<time datetime="2026-11-01T10:00:00Z" data-minute>' in page.text.partition('class="answer">')[2][:200]
    assert f"11:00{NBSP}UTC" in twin.get_json()["answer"]
    assert "<time" not in twin.text
