"""The page of findings, and what promises and findings do on the other pages."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from collector.core.availability import Operation
from collector.core.findings.model import Fact, Finding
from collector.core.findings.tracking import Tracked
from collector.core.journeys import Journey, JourneyBook
from collector.core.objectives import Counts, Standing, stand
from collector.core.spans import KIND_SERVER
from tests.ui.conftest import SETTINGS
from tests.ui.memory import MemoryReader
from tests.ui.page_text import ReadPage
from tests.ui.shop import NOW_NS, Recorder, shop_traces
from ui.app import create_app

NOW_S = NOW_NS // 10**9
HIDDEN = Finding(
    kind="hidden mandatory",
    journey="check out",
    subject="7",
    title="shop POST /checkout fails with <b>pricing</b>",
    advice="Give it a fallback.",
    service="shop",
    facts=(Fact("survival", 0.02, "share", (0.0, 0.08)), Fact("failed", 1234.0, "count")),
    owner="Storefront",
    examples=("ab" * 16,),
)
BURNING = Finding(
    kind="budget burning",
    journey="check out",
    subject="availability",
    title="check out fails more often than it promises",
    advice="Open one of the traces.",
    service="payment",
    urgency="failing",
    facts=(Fact("budget is spent", 25.6, "times"), Fact("budget left", -0.25, "share")),
)
LOST = Finding("broken context", "", "x", "traces begin at cart", "Look.", "cart")
MINUTE = 60 * 10**9


def tracked(finding: Finding, minutes_ago: int = 5, cleared_minutes_ago: int = 0) -> Tracked:
    cleared = NOW_NS - cleared_minutes_ago * MINUTE if cleared_minutes_ago else 0
    return Tracked(
        finding, NOW_NS - minutes_ago * MINUTE, NOW_NS, cleared, "its failures are survived" if cleared else ""
    )


def standing(bad_share: float, what: str = "availability", under_ns: int = 0) -> Standing:
    start = NOW_S // 60 * 60 - 60 * np.arange(10, 0, -1)
    total = np.full(10, 100.0)
    return stand(what, 0.99, Counts(start, total, total * bad_share, total, total * bad_share), NOW_S, under_ns)


class Shown:
    """The pages over the shop, with what a judge would have said."""

    def __init__(self, *judged: Tracked, book: JourneyBook = JourneyBook(), **promises: tuple[Standing, ...]) -> None:
        self.reader = MemoryReader(shop_traces(60))
        self.reader.judged = list(judged)
        self.reader.promises = {name.replace("_", " "): each for name, each in promises.items()}
        self._client = create_app(self.reader, replace(SETTINGS, book=book), clock=lambda: NOW_NS).test_client()

    def page(self, address: str) -> ReadPage:
        answer = self._client.get(address)
        assert answer.status_code == 200
        return ReadPage(answer.text)

    def value(self, address: str) -> dict:
        return json.loads(self._client.get(address).data)


PROMISED = JourneyBook((Journey("check out", owner="Payments #pay", availability=0.99),))


def test_findings_stand_in_the_order_in_which_they_need_somebody():
    said = Shown(tracked(HIDDEN), tracked(LOST), tracked(BURNING)).value("/findings.json")

    assert [group["title"] for group in said["groups"]] == ["Promises being broken", "Now", "How it is built"]
    assert said["answer"] == (
        "Check out fails more often than it promises. "
        "Another finding is about the same journey, and 1 can wait until morning."
    )
    assert (said["now"], said["can_wait"]) == ([BURNING.id], [LOST.id])


NBSP = "\u00a0"
WELL = replace(HIDDEN, journey="browse")
"""Of a journey of the shop that hardly fails."""
TOO_SLOW = replace(BURNING, kind="too slow", subject="latency", title="check out is slow more often than it promises")
SLOWER = Finding(
    kind="slower than its past",
    journey="browse",
    subject="duration",
    title="browse is much slower than it used to be at this hour",
    advice="See what changed.",
    service="catalog",
    facts=(Fact("longer by", 3e8, "ns"), Fact("used to take", 1e8, "ns")),
)
QUEUE = Finding(
    "queue late", "browse", "q", "mails takes messages of kafka later than promised", "Give it more workers.", "mails"
)


def slowly(bad_share: float, days: float = 4, step_s: int = 3600, what: str = "availability") -> Standing:
    """A promise of 99 % that was broken alike in each hour (or minute) of some days."""
    start = NOW_S // step_s * step_s - step_s * np.arange(round(days * 86_400 / step_s), 0, -1)
    total = np.full(len(start), 1000.0)
    return stand(what, 0.99, Counts(start, total, total * bad_share, total, total * bad_share), NOW_S)


def in_doubt() -> Standing:
    """A promise that eight failures of little traffic may be breaking."""
    start = NOW_S // 60 * 60 - 60 * np.arange(10, 0, -1)
    few = Counts(start, np.full(10, 4.0), np.full(10, 0.8), np.full(10, 4.0), np.full(10, 0.8))
    doubtful = stand("availability", 0.99, few, NOW_S)
    assert doubtful.in_doubt
    return doubtful


KEPT = (standing(0.0),)
"""Of a journey that needs nobody, though the shop's check-outs fail now and then."""


def said_of(*findings: Finding, book: JourneyBook = JourneyBook(), **promises: tuple[Standing, ...]) -> str:
    answer = Shown(*map(tracked, findings), book=book, **promises).value("/findings.json")["answer"]
    return str(answer).replace(NBSP, " ")


def test_a_promise_that_burns_fast_does_not_wait_and_the_findings_of_its_journey_belong_to_it():
    assert said_of(HIDDEN, TOO_SLOW, book=PROMISED, check_out=(standing(0.2, "latency"),)) == (
        "Check out is slow more often than it promises. Another finding is about the same journey."
    )


@pytest.mark.parametrize(
    ("days", "left"), [(4, "and its budget lasts another 15 days"), (40, "and its budget is gone")]
)
def test_a_promise_that_burns_slowly_can_wait_and_every_page_says_why(days: int, left: str):
    burning = replace(BURNING, urgency="burning")
    shown = Shown(tracked(burning), tracked(LOST), book=PROMISED, check_out=(slowly(0.015, days),))
    waits = f"It can wait until morning: it burns slowly, over 3 days, {left}."

    answers = [shown.value(address)["answer"].replace(NBSP, " ") for address in ("/findings.json", "/.json")]
    journey = shown.value("/journeys/check%20out.json")

    assert answers[0] == f"Check out fails more often than it promises. {waits} So can another finding."
    assert answers[1].startswith("check out is burning: it fails 1.5 times as often as its promise of 99 % allows, ")
    assert f" {waits} " in answers[1]
    assert waits in journey["answer"]
    assert journey["health"]["can_wait"]


def test_a_budget_that_would_be_gone_by_the_morning_does_not_wait():
    nearly = slowly(0.0111, days=27)

    assert 0 < nearly.budget_left < 1 / 30
    assert said_of(replace(BURNING, urgency="burning"), book=PROMISED, check_out=(nearly,)) == (
        "Check out fails more often than it promises."
    )


def test_a_promise_that_burns_six_times_too_fast_does_not_wait():
    burning = replace(BURNING, urgency="burning")

    shown = Shown(tracked(burning), book=PROMISED, check_out=(slowly(0.07, days=0.3, step_s=60),))

    assert shown.value("/findings.json")["now"] == [burning.id]
    assert "can wait" not in shown.value("/.json")["answer"]


def test_a_journey_that_fails_and_promised_nothing_is_said_before_what_is_built_wrongly():
    answer = said_of(HIDDEN, LOST)

    assert re.fullmatch(
        r"check out promises no availability and fails: [\d.]+ % of its traces failed in the last hour\. "
        r"1 finding is about it, and 1 can wait until morning\.",
        answer,
    )


def test_where_nothing_is_broken_the_findings_can_wait():
    assert said_of(WELL, LOST, book=PROMISED, check_out=KEPT) == (
        "No promise is broken. 2 findings can wait until morning; first: traces begin at cart."
    )


def test_a_journey_that_may_be_failing_is_not_said_to_keep_its_promise():
    assert said_of(HIDDEN, book=PROMISED, check_out=(in_doubt(),)).startswith(
        "No promise is known to be broken, but check out may be failing. 1 finding can wait until morning; first: "
    )


def test_a_journey_that_fails_is_said_whether_anything_was_found_of_it_or_not():
    fails = "check out promises no availability and fails: 16.7 % of its traces failed in the last hour."

    assert said_of() == fails
    assert said_of(LOST) == f"{fails} 1 finding can wait until morning."
    assert said_of(SLOWER, WELL).endswith(f" {fails} Another finding is about one of the same journeys.")


def test_a_narrowed_page_says_of_other_journeys_nothing():
    shown = Shown(tracked(LOST))

    def said(chosen: str) -> str:
        return str(shown.value(f"/findings.json?{chosen}")["answer"])

    assert said("journey=check+out").startswith("check out promises no availability and fails")
    assert said("journey=browse").startswith("Nothing to say of browse")
    assert said("service=cart").startswith("No promise of cart is broken. 1 finding can wait")


def test_a_journey_in_doubt_is_named_though_nothing_was_found():
    assert said_of(book=PROMISED, check_out=(in_doubt(),)) == (
        "No promise is known to be broken, but check out may be failing."
    )


def test_a_promise_that_a_failing_journey_breaks_slowly_belongs_to_its_trouble():
    late = replace(TOO_SLOW, urgency="burning")
    shown = Shown(tracked(late), tracked(LOST), book=PROMISED, check_out=(slowly(0.015, what="latency"),))
    said = shown.value("/findings.json")

    assert said["answer"].replace(NBSP, " ") == (
        "check out promises no availability and fails: 16.7 % of its traces failed in the last hour. "
        "1 finding is about it, and 1 can wait until morning."
    )
    assert said["can_wait"] == [LOST.id]


@pytest.mark.parametrize(
    ("what", "found", "said"),
    [
        ("latency", (), "check out is failing: 16.7 % of its traces failed"),
        ("availability", (replace(QUEUE, journey="check out"),), "check out is slow: mails takes messages"),
        (
            "availability",
            (replace(SLOWER, journey="check out", title="check out is much slower"),),
            "check out is slow: it is much slower",
        ),
        ("availability", (), "check out is burning: it fails 1.5 times"),
    ],
)
def test_a_promise_that_breaks_slowly_hides_nothing_that_cannot_wait(what: str, found: tuple[Finding, ...], said: str):
    shown = Shown(*map(tracked, found), book=PROMISED, check_out=(slowly(0.015, what=what),))
    health = shown.value("/journeys/check%20out.json")["health"]
    can_wait = (what, found) == ("availability", ())

    assert shown.value("/.json")["answer"].replace(NBSP, " ").startswith(said)
    assert bool(health["can_wait"]) is can_wait
    assert ("can wait until morning" in shown.value("/.json")["answer"]) is can_wait


def test_what_became_much_slower_and_promises_no_latency_does_not_wait():
    promised = JourneyBook((*PROMISED.journeys, Journey("browse")))
    in_time = (standing(0.0, "latency", under_ns=10**9),)

    assert said_of(SLOWER, WELL, book=PROMISED, check_out=KEPT) == (
        "Browse is much slower than it used to be at this hour. Another finding is about the same journey."
    )
    assert said_of(SLOWER, book=promised, check_out=KEPT, browse=in_time).startswith(
        "No promise is broken. 1 finding can wait"
    )


def test_a_queue_that_breaks_its_promise_is_among_broken_promises():
    shown = Shown(tracked(QUEUE), tracked(LOST), book=PROMISED, check_out=KEPT).value("/findings.json")

    assert [group["title"] for group in shown["groups"]] == ["Promises being broken", "Now"]
    assert shown["answer"] == (
        "Mails takes messages of kafka later than promised. Another finding can wait until morning."
    )


@pytest.mark.parametrize(
    ("finding", "because"),
    [
        (QUEUE, "mails takes messages of kafka later than promised"),
        (SLOWER, "it is much slower than it used to be at this hour"),
    ],
)
def test_what_is_now_among_findings_makes_its_journey_slow_on_every_page(finding: Finding, because: str):
    shown = Shown(tracked(finding), tracked(LOST))
    listed = shown.value("/.json")
    (row,) = [row for row in listed["needs_you"] if row["summary"]["journey"] == "browse"]
    journey = shown.value("/journeys/browse.json")

    assert (row["health"]["word"], row["health"]["because"]) == ("slow", because)
    assert journey["health"] == row["health"]
    assert journey["answer"].startswith(f"{because[0].upper()}{because[1:]}.")


def test_of_several_hurt_journeys_the_one_that_cannot_wait_is_named():
    book = JourneyBook((Journey("check out", availability=0.99), Journey("browse", availability=0.99)))
    fast = standing(0.2, "latency", under_ns=10**8)
    shown = Shown(book=book, check_out=(slowly(0.015),), browse=(fast,))

    assert shown.value("/.json")["answer"].startswith("2 of ")
    assert "need you. Worst is browse: it is slow" in shown.value("/.json")["answer"]


def test_a_finding_has_evidence_owner_advice_age_and_traces():
    page = Shown(tracked(HIDDEN)).page("/findings")

    assert "survival 2 % (0 % to 8 %)" in page.text.replace("\u00a0", " ")
    assert "owner Storefront" in page.text
    assert "Give it a fallback." in page.text
    assert "5 min ago" in page.text.replace("\u00a0", " ")
    assert f"/traces/{'ab' * 16}" in page.links


def test_text_of_spans_in_a_title_is_text():
    page = Shown(tracked(WELL), book=PROMISED, check_out=KEPT).page("/findings")

    assert "No promise is broken. 1 finding can wait until morning; first: shop POST" in page.text
    assert "fails with <b>pricing</b>" in page.text


def test_figures_have_the_unit_that_fits():
    facts = Shown(tracked(BURNING)).value("/findings.json")["groups"][0]["findings"][0]["facts"]

    assert [fact["words"].replace("\u00a0", " ") for fact in facts] == ["25.6 × as fast as allowed", "−25 %"]


def test_the_page_narrows_to_a_journey_or_a_service():
    shown = Shown(tracked(HIDDEN), tracked(LOST))

    assert shown.value("/findings.json?journey=check+out")["open"] == 1
    assert shown.value("/findings.json?service=cart")["open"] == 1
    assert shown.value("/findings.json?service=nobody")["open"] == 0


def test_cleared_findings_stand_at_the_end_for_a_day_with_the_reason():
    shown = Shown(tracked(HIDDEN, 90, cleared_minutes_ago=60), tracked(LOST, 3000, cleared_minutes_ago=1500))

    said = shown.value("/findings.json")

    assert [one["kind"] for one in said["cleared"]] == ["hidden mandatory"]
    assert "1 finding cleared in the last 24 hours" in shown.page("/findings").text
    assert "its failures are survived" in shown.page("/findings").text


def test_without_findings_the_page_says_what_would_be_here():
    page = Shown(book=PROMISED, check_out=KEPT).page("/findings")

    assert "Nothing to say: no promise is broken" in page.text
    assert "until a call fails nobody knows" in page.text


def test_a_journey_that_burns_its_budget_needs_somebody_whatever_its_share_of_failures():
    shown = Shown(tracked(BURNING), book=PROMISED, check_out=(standing(0.2),))

    row = shown.value("/.json")["needs_you"][0]

    assert (row["summary"]["journey"], row["health"]["word"], row["owner"]) == ("check out", "failing", "Payments #pay")
    assert row["promise"]["budget_left"] == pytest.approx(1 - 0.2 / 0.01 * 640 / (30 * 86_400))
    assert (row["finding"]["kind"], row["findings"]) == ("budget burning", 1)
    assert re.search(r"budget burning\s*: payment", shown.page("/").text)


@pytest.mark.parametrize(
    ("callee", "about"),
    [
        (("bank", "POST /authorize", "rpc"), "payment → bank"),
        (("payment", "read limits", "internal"), "payment → read limits"),
        (("", "", "database"), "payment → database"),
    ],
)
def test_the_row_of_a_journey_names_the_call_that_its_finding_is_about(callee: Operation, about: str):
    found = replace(BURNING, kind="hidden mandatory", caller=("payment", "POST /charge", "service"), callee=callee)

    assert re.search(rf"hidden mandatory\s*: {about}", Shown(tracked(found), book=PROMISED).page("/").text)


def test_a_journey_that_keeps_its_promise_is_fine_though_some_of_it_failed():
    shown = Shown(book=PROMISED, check_out=(standing(0.001),))

    assert "check out" in [row["summary"]["journey"] for row in shown.value("/.json")["others"]]


def test_a_latency_promise_that_burns_makes_the_journey_slow():
    shown = Shown(book=PROMISED, check_out=(standing(0.0), standing(0.2, "latency", under_ns=10**8)))

    row = shown.value("/.json")["needs_you"][0]

    assert (row["health"]["word"], row["promise"]["what"]) == ("slow", "latency")
    assert "20 times as often as its promise of 99 % allows" in row["health"]["because"].replace("\u00a0", " ")


@pytest.mark.parametrize(("bad_share", "burns"), [(0.2, ["burns 20×"]), (0.001, [])])
def test_a_journey_s_row_says_how_fast_its_budget_burns_where_an_alert_fires(bad_share: float, burns: list[str]):
    page = Shown(book=PROMISED, check_out=(standing(bad_share),)).page("/")

    assert re.findall(r"burns [\d.]+×", page.text) == burns


def test_a_journey_that_nobody_promised_anything_about_ignores_old_standings():
    shown = Shown(check_out=(standing(0.2),))

    assert all(row["promise"] is None for row in shown.value("/.json")["needs_you"])


def test_a_journeys_page_shows_promise_budget_availability_and_findings():
    shown = Shown(tracked(HIDDEN), tracked(LOST), book=PROMISED, check_out=(standing(0.2),))

    text = shown.page("/journeys/check%20out").text.replace("\u00a0", " ")

    assert "owner Payments #pay" in text
    assert "availability 80 % of 99 %, budget 99.5 % left" in text
    assert "burns 20 × too fast over 1 h" in text
    assert "measured" in text
    assert "implied" in text
    assert "hidden mandatory" in text
    assert "broken context" not in text


def test_a_journey_of_several_steps_stands_with_its_steps_on_the_list():
    buy = Journey("buy", steps=("browse", "check out"), session="shop.visitor", availability=0.99)
    reader = MemoryReader(sessions_of_two_steps())
    reader.promises = {"buy": (standing(0.2),)}
    client = create_app(reader, replace(SETTINGS, book=JourneyBook((buy,))), clock=lambda: NOW_NS).test_client()

    (row,) = json.loads(client.get("/.json").data)["wholes"]
    page = ReadPage(client.get("/").text)

    assert (row["kept"].replace("\u00a0", " "), row["completed"]) == ("75 %", 3)
    assert [(step["name"], step["is_worst"]) for step in row["steps"]] == [("browse", False), ("check out", True)]
    assert "Journeys of several steps" in page.text
    assert "4 sessions over, 75 % got through every step, 1 may go on" in page.text.replace("\u00a0", " ")
    assert any(link.startswith("/journeys/check%20out") for link in page.links)


def sessions_of_two_steps():
    """Five visitors browse and check out; the check-out of the first fails, and the last has only just begun."""
    for number in range(5):
        ago_ns = (5 if number == 4 else 40) * MINUTE
        for step, name in enumerate(("browse", "check out")):
            recorder = Recorder(trace=2 * number + step + 1, start_ns=NOW_NS - ago_ns + step * MINUTE)
            failed = "no" if step == 1 and number == 0 else ""
            visitor = (("shop.visitor", f"visitor {number}"),)
            recorder.span("shop", name, 0, 50, kind=KIND_SERVER, failed=failed, attributes=visitor, journey=name)
            yield recorder.finish()


def test_the_implied_availability_of_the_shop_is_near_the_measured_one():
    said = Shown(book=PROMISED).value("/journeys/check%20out.json")["availability"]["availability"]

    low, high = said["difference_interval"]
    assert low <= said["difference"] <= high
    assert abs(said["difference"]) < 0.1


def test_a_mandatory_dependency_without_its_nine_is_listed():
    nines = Shown(book=PROMISED).value("/journeys/check%20out.json")["nines"]

    assert ["payment POST /pay", "missing"] in [[nine["name"], nine["nine"]["verdict"]] for nine in nines]
    assert all(nine["nine"]["required"] == pytest.approx(0.999) for nine in nines)
