"""Parts of pictures, chosen in a real Chromium: by dragging, by keys, by touch, and without a script."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.ui import test_browser as chromium
from tests.ui.test_browser import PHONE, opened

pytestmark = chromium.pytestmark
browser, site = chromium.browser, chromium.site

CHECK_OUT = "/journeys/check%20out"
HISTOGRAM = ".pick:has(.histogram)"


def drag(page: Page, picture: Locator, start: float, end: float) -> None:
    """Drag over a picture, and do not let go."""
    picture.scroll_into_view_if_needed()
    at = picture.bounding_box()
    middle = at["y"] + at["height"] / 2
    page.mouse.move(at["x"] + at["width"] * start, middle)
    page.mouse.down()
    page.mouse.move(at["x"] + at["width"] * end, middle + 3, steps=4)


def test_bars_that_are_dragged_over_are_said_and_become_what_the_page_is_about(browser, site):
    with opened(browser, f"{site}{CHECK_OUT}?band=p90-99&need=mandatory&last=24h") as page:
        drag(page, page.locator(HISTOGRAM), 0.62, 0.3)
        said = page.locator(f"{HISTOGRAM} output").inner_text()
        expect(page.locator(f"{HISTOGRAM} .chosen-area")).to_be_visible()
        page.mouse.up()

        page.wait_for_url("**min=*")
        assert all(kept in page.url for kept in ("need=mandatory", "last=24h", "#latency"))
        assert "band=" not in page.url
        expect(page.locator(".bands .chosen b")).to_have_text(said)
        expect(page.locator(f"{HISTOGRAM} a:not(.dim)")).to_have_count(3)
        page.go_back()
        page.wait_for_url("**band=p90-99**")


def test_a_drag_that_is_given_up_chooses_nothing(browser, site):
    with opened(browser, f"{site}{CHECK_OUT}") as page:
        before = page.url
        drag(page, page.locator(HISTOGRAM), 0.3, 0.62)
        page.keyboard.press("Escape")
        page.mouse.move(300, 400)  # the drag has ended, and is not only unseen
        expect(page.locator(f"{HISTOGRAM} .chosen-area")).to_have_count(0)
        page.mouse.up()

        assert page.url == before
        page.locator(f"{HISTOGRAM} a").nth(2).click()
        page.wait_for_url("**min=*")
        expect(page.locator(f"{HISTOGRAM} a:not(.dim)")).to_have_count(1)


def test_keys_choose_bars(browser, site):
    with opened(browser, f"{site}{CHECK_OUT}") as page:
        picture = page.locator(HISTOGRAM)
        page.locator("#min").focus()
        page.keyboard.press("Shift+Tab")
        expect(picture.locator("a").first).to_be_focused()
        page.keyboard.press("ArrowRight")
        one = picture.locator("output").inner_text()
        page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press("Shift+ArrowRight")
        three = picture.locator("output").inner_text()
        page.keyboard.press("Escape")
        assert picture.locator("output").inner_text() not in (one, three)
        page.keyboard.press("Shift+Home")
        page.keyboard.press("Enter")

        page.wait_for_url("**min=*")
        assert one.partition(" to ")[0] == three.partition(" to ")[0]
        expect(picture.locator("a:not(.dim)")).to_have_count(4)


def test_bars_are_chosen_without_script(browser, site):
    with opened(browser, f"{site}{CHECK_OUT}?open=cart&band=p0-50", java_script_enabled=False) as page:
        page.get_by_label("Took from").fill("118ms")
        page.get_by_label("to", exact=True).fill("210 ms")
        page.locator("form.ends button").click()

        page.wait_for_url("**min=118ms**")
        assert "open=cart" in page.url
        expect(page.locator(".bands .chosen b")).to_have_text("117\u00a0ms to 214\u00a0ms")
        expect(page.get_by_label("Took from")).to_have_value("117ms")


TIMES = ".chart:has(.spark)"


@pytest.mark.parametrize("chart", [TIMES, ".chart:has(.over-time)"])
def test_a_stretch_of_time_that_is_dragged_over_becomes_the_range_and_all_else_stays(browser, site, chart):
    with opened(
        browser, f"{site}{CHECK_OUT}?last=1h&band=p50-90&open=cart&open=shop", timezone_id="Asia/Kolkata"
    ) as page:
        picture = page.locator(chart)
        drag(page, picture, 0.9, 0.305)
        said = picture.locator("output").inner_text()
        page.mouse.up()

        page.wait_for_url("**start=*")
        asked = parse_qs(urlsplit(page.url).query)
        assert (asked.pop("band"), asked.pop("open")) == (["p50-90"], ["cart", "shop"])
        assert sorted(asked) == ["end", "start"]
        at = page.locator("[data-key=t] summary")
        for end, words in zip(("start", "end"), said.split(" to "), strict=True):
            assert asked[end][0][11:16] in words, "said in the zone of the page"
            expect(at).to_contain_text(asked[end][0][11:19])
        page.go_back()
        expect(at).to_have_text("last 1\u00a0h")


def test_keys_choose_a_stretch_of_time(browser, site):
    with opened(browser, f"{site}{CHECK_OUT}") as page:
        picture = page.locator(TIMES)
        picture.locator("[tabindex='0']").focus()
        page.keyboard.press("End")
        page.keyboard.press("Shift+ArrowLeft")
        page.keyboard.press("Enter")

        page.wait_for_url("**start=*")
        expect(picture.locator("a")).not_to_have_count(0)


def test_an_area_of_the_plot_is_said_and_can_be_given_up(browser, site):
    with opened(browser, f"{site}/search?service=payment") as page:
        before = page.url
        drag(page, page.locator(".plot"), 0.2, 0.6)
        page.mouse.move(300, 400)
        words = page.locator(".plot output").inner_text().replace("\xa0", " ")
        page.keyboard.press("Escape")
        page.mouse.move(200, 420)
        expect(page.locator(".plot .chosen-area")).to_have_count(0)
        page.mouse.up()

        assert re.fullmatch(r".*\d\d:\d\d to .*\d\d:\d\d, \S+ ms to \S+ ms", words)
        assert page.url == before


POINTERS = """
  const [box, done] = [document.body.appendChild(document.createElement("div")), []];
  draggable(box, { show() {}, hide: () => done.push("hidden"), choose: (a, b) => done.push([a.clientX, b.clientX]) });
  for (const [type, pointerId, clientX] of events) {
    const init = { pointerId, clientX, isPrimary: pointerId === 1, bubbles: true, cancelable: true };
    if (type === "Escape") dispatchEvent(new KeyboardEvent("keydown", { key: type }));
    else if (type === "click") done.push(box.dispatchEvent(new MouseEvent(type, init)) ? "clicked" : "swallowed");
    else box.dispatchEvent(new PointerEvent(`pointer${type}`, init));
  }
  return done;
"""


@pytest.mark.parametrize(
    ("ending", "done"),
    [
        ([("up", 2, 300), ("cancel", 2, 300), ("up", 1, 80), ("up", 1, 90)], ["hidden", [10, 80]]),
        ([("cancel", 1, 60), ("up", 1, 80)], ["hidden"]),
        (
            [("Escape", 1, 60), ("up", 2, 300), ("click", 2, 300), ("up", 1, 80), ("click", 1, 80)],
            ["hidden", "clicked", "swallowed"],
        ),
        ([("Escape", 1, 60), ("up", 1, 80), ("click", 1, 80), ("click", 1, 80)], ["hidden", "swallowed", "clicked"]),
    ],
)
def test_only_the_pointer_that_drags_chooses_or_gives_up(browser, site, ending, done):
    with opened(browser, site) as page:
        events = [("down", 1, 10), ("move", 1, 60), ("down", 2, 300), *ending]
        script = f"events => import('/static/drag.js').then(({{ draggable }}) => {{ {POINTERS} }})"

        assert page.evaluate(script, events) == done


def touch(page: Page, *points: tuple[float, float]) -> None:
    """Move a finger along points of the screen."""
    session = page.context.new_cdp_session(page)
    for kind, at in zip(["touchStart", *["touchMove"] * (len(points) - 1)], points, strict=True):
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": at[0], "y": at[1]}]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_a_finger_chooses_sideways_and_scrolls_up_and_down(browser, site):
    with opened(browser, f"{site}{CHECK_OUT}", viewport=PHONE, has_touch=True, is_mobile=True) as page:
        picture = page.locator(HISTOGRAM)
        picture.scroll_into_view_if_needed()
        at, scrolled = picture.bounding_box(), page.evaluate("scrollY")
        x, y = at["x"] + at["width"] * 0.4, at["y"] + at["height"] * 0.6
        touch(page, *((x, y - step) for step in range(0, 140, 20)))
        page.wait_for_function(f"scrollY > {scrolled + 40}")
        assert "min=" not in page.url
        expect(page.locator(".chosen-area")).to_have_count(0)

        picture.scroll_into_view_if_needed()
        at = picture.bounding_box()
        x, y = at["x"] + at["width"] * 0.3, at["y"] + at["height"] * 0.6
        touch(page, *((x + step, y) for step in range(0, 120, 20)))
        page.wait_for_url("**min=*")


@pytest.mark.parametrize(
    ("module", "expression", "answer"),
    [
        ("drag", "[held(-1), held(.5), held(7)]", [0, 0.5, 1]),
        (
            "drag",
            "[false, true].map(sideways => distance({clientX: 0, clientY: 0}, {clientX: 3, clientY: 4}, sideways))",
            [5, 3],
        ),
        ("pick", "[columns(8, .3, .62), columns(8, .62, .3), columns(8, 1, 1), columns(1, 0, 1)]",
         [[2, 4], [2, 4], [7, 7], [0, 0]]),
        (
            "pick",
            "addressOf('http://x/j?last=1h&need=mandatory', "
            "{ends: ['a', 'b', 'c'], names: ['start', 'end'], instead: ['last'], hash: 'g'}, 0, 1)",
            "http://x/j?need=mandatory&start=a&end=c#g",
        ),
        ("pick", "['2026-11-18T02:41:00Z', '1795000000.250000000'].map(text => momentOf(text).getTime())",
         [1_794_969_660_000, 1_795_000_000_250]),
        (
            "scatter",
            "inWords({start: '1795000000000000000', end: '1795000060000000000', min: '12340000ns', max: '2e9ns'})"
            ".replace(/^.*:06.* to .*:07.*, /, '').replaceAll('\u00a0', ' ')",
            "12.3 ms to 2 s",
        ),
    ],
)  # fmt: skip
def test_the_scripts_pure_parts(browser, site, module, expression, answer):
    with opened(browser, site) as page:
        names = {"drag": "held, distance", "pick": "columns, addressOf, momentOf", "scatter": "inWords"}[module]

        assert page.evaluate(f"import('/static/{module}.js').then(({{ {names} }}) => {expression})") == answer
