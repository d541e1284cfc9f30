"""Which journey a trace belongs to, whether it failed, and the bound on what is discovered."""

from collector.core.assemble import assemble
from collector.core.critical_path import critical_paths
from collector.core.dependencies import Dependencies, find_dependencies
from collector.core.journeys import FailedWhen, Journey, JourneyBook, Match
from collector.core.naming import FORGOTTEN_AFTER_NS, OTHER, JourneyNames, name_journeys
from tests.core.drawing import read_trace

CHECKOUT = JourneyBook((Journey("check out", (Match("shop", "POST /checkout*"),)),))


def named(text: str, book: JourneyBook = CHECKOUT, names: JourneyNames | None = None) -> Dependencies:
    forest = assemble(read_trace(text))
    found = find_dependencies(forest, critical_paths(forest))
    return name_journeys(forest, found, book, names or JourneyNames(), now_ns=0)


def test_a_match_comes_before_the_name_that_the_trace_gives():
    found = named('"shop/POST /checkout/7" 0-10 server journey=buy')

    assert found.journey == ("check out",)


def test_the_name_that_the_trace_gives_comes_before_its_root():
    found = named("shop/POST 0-10 server journey=buy; shop/GET 0-10 server trace 2")

    assert found.journey == ("buy", "shop: GET")


def test_a_journey_without_a_match_takes_the_traces_that_come_with_its_name():
    book = JourneyBook((Journey("buy", availability=0.99), Journey("shop: GET")))

    assert named("shop/POST 0-10 server journey=buy; shop/GET 0-10 server trace 2", book).journey == (
        "buy",
        "shop: GET",
    )


def test_the_first_journey_that_matches_has_the_trace():
    book = JourneyBook((Journey("all", (Match(service="shop"),)), Journey("buy", (Match(operation="POST"),))))

    assert named("shop/POST 0-10 server", book).journey == ("all",)


def test_signs_other_than_the_star_are_text_in_a_pattern():
    match = Match(operation="GET /[id]?*")

    assert match.fits("shop", "GET /[id]?page=2", "")
    assert not match.fits("shop", "GET /ix", "")


def test_the_book_may_say_when_a_journey_failed():
    book = JourneyBook(
        (
            Journey("conflict", (Match(service="a"),), failed_when=FailedWhen(http_status=((409, 409),))),
            Journey("slow", (Match(service="b"),), failed_when=FailedWhen(slower_than_ns=50)),
            Journey("late", (Match(service="c"),), failed_when=FailedWhen(rpc_status=(4,))),
        )
    )

    found = named(
        """
        a/x 0-10 server http_status=409; a/y 0-10 server http_status=404 trace 2
        b/x 0-51 server trace 3;         b/y 0-50 server trace 4
        c/x 0-10 server rpc_status=4 trace 5; c/y 0-90 server rpc_status=0 trace 6
        """,
        book,
    )

    assert found.journey_failed.tolist() == [True, False, True, False, True, False]


def test_a_call_survived_in_a_journey_that_failed_by_the_book_is_not_survived_by_the_journey():
    book = JourneyBook((Journey("buy", (Match(service="shop"),), failed_when=FailedWhen(http_status=((409, 409),))),))

    found = named("shop/POST 0-100 server http_status=409; shop/A 10-20 client error in shop/POST calls a", book)

    assert found.calls.caller_well.tolist() == [1]
    assert found.calls.journey_well.tolist() == [0]


def test_journeys_beyond_the_limit_are_other_and_their_inventor_is_known():
    names = JourneyNames(limit=3)
    users = "; ".join(f'"shop/GET /user/{n}" 0-10 server trace {n}' for n in range(1, 6))

    found = named(f"{users}; admin/GET 0-10 server trace 9", JourneyBook(), names)

    assert found.journey == ("shop: GET /user/1", "shop: GET /user/2", "shop: GET /user/3", OTHER, OTHER, OTHER)
    inventor = names.inventor()
    assert inventor is not None
    assert (inventor.service, inventor.names, inventor.refused) == ("shop", 3, 2)
    assert inventor.examples == ("shop: GET /user/5", "shop: GET /user/4")


def test_named_journeys_need_no_room():
    names = JourneyNames(limit=0)

    assert named('"shop/POST /checkout" 0-10 server', CHECKOUT, names).journey == ("check out",)


def test_a_name_that_is_known_keeps_its_place_and_the_same_name_is_the_same_after_a_restart():
    names = JourneyNames(limit=1)
    names.load([OTHER, "shop: GET", "too: many"], now_ns=0)

    assert named("shop/GET 0-10 server; shop/POST 0-10 server trace 2", JourneyBook(), names).journey == (
        "shop: GET",
        OTHER,
    )


def test_a_name_not_seen_for_a_week_makes_room():
    names = JourneyNames(limit=1)
    names.admit("old", "shop", 1, now_ns=0)

    assert names.admit("new", "shop", 1, now_ns=FORGOTTEN_AFTER_NS) == OTHER
    assert names.admit("new", "shop", 1, now_ns=FORGOTTEN_AFTER_NS + 1) == "new"
