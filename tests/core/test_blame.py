"""Who took a journey down."""

from collector.core.assemble import assemble
from collector.core.blame import assign_blame
from collector.core.critical_path import critical_paths
from collector.core.dependencies import find_dependencies
from tests.core.drawing import read_trace


def blame_of(text: str) -> tuple[list[str], list[str]]:
    """The callees with the blame, and those that failed by themselves."""
    forest = assemble(read_trace(text))
    found = find_dependencies(forest, critical_paths(forest))
    blame = assign_blame(forest, found)
    callees = [forest.batch.text(int(index)) for index in found.calls.callee_service]
    blamed, own = (
        [name for name, flag in zip(callees, column, strict=True) if flag] for column in (blame.blamed, blame.own)
    )
    return blamed, own


CHAIN = """
    shop/buy 0-100 server error
    shop/POST 10-90 client error in shop/buy
    payment/pay 20-80 server error in shop/POST
    payment/CALL 30-70 client error in payment/pay
    bank/authorize 40-60 server error in payment/CALL
"""


def test_the_deepest_call_that_nobody_survived_has_the_blame():
    assert blame_of(CHAIN) == (["bank"], ["bank"])


def test_a_call_that_was_survived_on_the_way_has_none():
    survived = CHAIN.replace("payment/pay 20-80 server error", "payment/pay 20-80 server").replace(
        "shop/POST 10-90 client error", "shop/POST 10-90 client"
    )

    assert blame_of(survived) == ([], ["bank"])


def test_of_a_journey_that_did_well_nobody_is_to_blame():
    assert blame_of("shop/buy 0-100 server; shop/GET 10-20 client error in shop/buy calls tips") == ([], ["tips"])


def test_a_root_that_fails_by_itself_blames_nobody():
    assert blame_of("shop/buy 0-100 server error; shop/GET 10-20 client in shop/buy calls tips") == ([], [])


def test_of_two_as_deep_the_first_to_end_has_the_blame():
    trace = """
        shop/buy 0-100 server error
        shop/A 10-60 client error in shop/buy calls a
        shop/B 10-50 client error in shop/buy calls b
    """

    assert blame_of(trace)[0] == ["b"]


def test_a_callee_that_fails_with_what_it_called_did_not_fail_by_itself():
    assert "payment" not in blame_of(CHAIN)[1]


def test_a_callee_that_survives_its_own_calls_and_then_fails_has_the_blame():
    trace = """
        shop/buy 0-100 server error
        shop/POST 10-90 client error in shop/buy
        payment/pay 20-80 server in shop/POST
        payment/CALL 30-70 client error in payment/pay calls bank
    """

    assert blame_of(trace) == (["payment"], ["payment", "bank"])


def test_what_fails_in_a_fragment_beside_the_root_is_not_to_blame():
    trace = "shop/buy 0-100 server error; cart/get 10-50 server error orphan; cart/SQL 20-30 client error in cart/get"

    assert blame_of(trace)[0] == []


def test_a_message_that_is_dealt_with_badly_later_blames_nobody():
    trace = """
        shop/buy 0-100 server
        shop/send 10-20 producer in shop/buy messaging_system=kafka messaging_destination=orders
        mail/process 500-600 consumer error in shop/send messaging_system=kafka messaging_destination=orders
    """

    assert blame_of(trace)[0] == []


def test_a_failure_that_somebody_made_has_the_blame_and_is_not_the_callees_own():
    made = CHAIN.replace("bank/authorize 40-60 server error", "bank/authorize 40-60 server error outcome injected")
    forest = assemble(read_trace(made))
    found = find_dependencies(forest, critical_paths(forest))

    blame = assign_blame(forest, found)

    of_bank = [forest.batch.text(int(index)) for index in found.calls.callee_service].index("bank")
    assert (blame.blamed[of_bank], blame.injected[of_bank], blame.own[of_bank]) == (1, 1, 0)
    assert blame.own.sum() == 0
