"""Pages about now say what is new, in a real Chromium: counts, verdicts, first sentences; and let nothing jump."""

from dataclasses import replace
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from collector.store.values import JourneySummary, StoredTrace, TraceQuery
from tests.ui import test_browser as chromium
from tests.ui.conftest import client_of
from tests.ui.memory import MemoryReader
from tests.ui.shop import NOW_NS, Recorder, shop_traces
from tests.ui.test_browser import ALL_TIME, opened, serving
from tests.ui.test_pages import page as read

pytestmark = chromium.pytestmark
browser = chromium.browser

CHECK_OUT = "/journeys/check%20out"


class Turning(MemoryReader):
    """The same traces, and whether they failed changes."""

    all_failed = False

    def _summary(self, *asked: object) -> JourneySummary:
        found = super()._summary(*asked)
        return replace(found, failed=found.weighted_traces if self.all_failed else 0.0)


def come_back(page: Page, s: int) -> None:
    """Let so much time pass on a page that has asked once."""
    expect(page.locator("[data-live]")).to_have_attribute("data-ready", "yes")
    page.clock.fast_forward(1_000 * s)


@pytest.mark.parametrize(("address", "offer"), [(CHECK_OUT, "Now failing: show"), ("/", "Health changed: show")])
def test_a_verdict_that_changed_is_offered_though_no_trace_came_and_taken_back(browser, address, offer):
    reader = Turning(shop_traces(40))
    with serving(reader) as site, opened(browser, site) as page:
        page.clock.install()
        page.goto(site + address)
        before = page.locator("main").inner_text()
        expect(page.locator("[data-live]")).to_have_attribute("data-ready", "yes")

        reader.all_failed = True
        come_back(page, 12)

        expect(page.get_by_role("button", name=offer)).to_be_visible()
        assert page.locator(".answer").inner_text() in before
        reader.all_failed = False
        come_back(page, 12)
        expect(page.locator("[data-live] button")).to_have_count(0)


def test_an_outage_is_offered_when_it_begins_and_ends_and_not_at_every_second_of_it(browser):
    trouble: list[str] = []
    with serving(MemoryReader(shop_traces(40)), read_trouble=lambda: trouble) as site, opened(browser, site) as page:
        page.clock.install()
        page.goto(site)
        expect(page.locator("[data-live]")).to_have_attribute("data-ready", "yes")
        trouble[:] = ["nothing could be stored for 31 s: disk full"]
        come_back(page, 12)
        expect(page.get_by_role("button", name="Trouble changed: show")).to_be_visible()

        page.reload()
        expect(page.locator("[data-live]")).to_have_attribute("data-ready", "yes")
        for s in (43, 55):  # by the second answer the first was looked at
            trouble[:] = [f"nothing could be stored for {s} s: disk full"]
            with page.expect_response("**/.json*"):
                come_back(page, 12)
        expect(page.locator("[data-live] button")).to_have_count(0)
        trouble.clear()
        come_back(page, 12)

        expect(page.get_by_role("button", name="Trouble changed: show")).to_be_visible()


def test_the_first_page_notices_that_traces_are_back(browser):
    reader = MemoryReader(shop_traces(3))
    later_ns = NOW_NS + 2 * 3_600 * 10**9
    with serving(reader, later_ns) as site, opened(browser, site) as page:
        page.clock.install()
        page.goto(site)
        expect(page.get_by_role("link", name="the hour up to it")).to_be_visible()
        expect(page.locator("[data-live]")).to_have_attribute("data-ready", "yes")
        recorder = Recorder(trace=999, start_ns=later_ns - 10**9)
        recorder.span("shop", "GET /new", 0, 5)
        reader.add(recorder.finish())
        come_back(page, 12)

        expect(page.get_by_role("button", name="Health changed: show")).to_have_count(0)
        page.locator("[data-live] button").click()
        expect(page.locator("table.journeys")).to_be_visible()


class Unsettled(MemoryReader):
    """The same traces, and how far their analysis has come."""

    is_analyzed = False
    is_settled = False

    def stored(self, trace_id: str, in_full: bool = False) -> StoredTrace | None:
        found = super().stored(trace_id, in_full)
        if found is None or found.outcome is None:
            return found
        return replace(found, outcome=replace(found.outcome, settled=self.is_settled) if self.is_analyzed else None)


def test_a_trace_that_was_opened_before_its_analysis_offers_it_and_then_that_it_is_settled(browser):
    reader = Unsettled(shop_traces(1))
    (trace,) = reader.find(TraceQuery(ALL_TIME))
    with serving(reader) as site, opened(browser, f"{site}/traces/{trace.trace_id}") as page:
        page.clock.install()
        page.reload()
        expect(page.locator("h1")).to_contain_text("not analyzed yet")
        come_back(page, 12)
        expect(page.locator("[data-live] button")).to_have_count(0)

        reader.is_analyzed = True
        come_back(page, 12)
        page.get_by_role("button", name="Analysis changed: show").click()

        expect(page.locator("h1")).to_contain_text("provisional")
        expect(page.locator("h1")).to_contain_text(trace.journey)
        expect(page.locator("[data-live]")).to_have_attribute("data-ready", "yes")
        reader.is_settled = True
        come_back(page, 12)
        page.get_by_role("button", name="Analysis changed: show").click()
        expect(page.locator("h1")).not_to_contain_text("provisional")
        expect(page.locator("[data-live]")).to_have_count(0)


def pages_about_now(reader: MemoryReader) -> dict[str, str]:
    """Pages with numbers of a range, and what they offer when there are more."""
    path = reader.latency("check out", ALL_TIME).whole.call_paths[0].id
    return {
        "/services": "Versions changed: show",
        "/services/payment": "Numbers changed: show",
        "/compare?journey=check+out&last=30m": "Numbers changed: show",
        "/contracts?journey=check+out": "Numbers changed: show",
        f"/examples?journey=check+out&band=all&path={path}": "Numbers changed: show",
    }


def test_every_page_about_now_offers_what_is_new(browser):
    traces = list(shop_traces(90))
    pages = pages_about_now(MemoryReader(traces[:60]))
    with opened(browser, "about:blank") as page:
        page.clock.install()
        for address, offer in pages.items():
            reader = MemoryReader(traces[:60])
            with serving(reader) as site:
                page.goto(site + address)
                expect(page.locator("[data-live]")).to_have_attribute("data-ready", "yes")
                recorder = Recorder(trace=999, start_ns=NOW_NS - 10**9)
                recorder.span("newcomer", "GET /new", 0, 5)
                for spans in (*traces[60:], recorder.finish()):
                    reader.add(spans)
                come_back(page, 31)

                expect(page.locator("[data-live] button")).to_have_text(offer)


def test_pages_of_a_fixed_range_ask_for_nothing(shop):
    client = client_of(shop)
    fixed = "start=2026-11-18T10:00:00Z&end=2026-11-18T11:06:00Z"
    for address in pages_about_now(shop):
        path, _, query = address.partition("?")

        assert read(client, address).with_class("live"), address
        asked = f"{path}?{query.replace('last=30m', '')}&{quote(fixed, safe='=&')}"
        assert not read(client, asked).with_class("live"), address


def test_what_if_asks_for_nothing_since_it_replays_traces(client):
    assert not read(client, "/what-if?journey=check+out").with_class("live")
