"""The shop end to end: real processes, real spans over OTLP, faults that do what its README says."""

import re
from pathlib import Path

import pytest

from examples.shop.directory import SERVICES
from tests.examples.conftest import draw

README = Path(__file__).parents[2] / "examples/shop/README.md"

BROWSE = """
shop SERVER GET /
  shop INTERNAL product list [mandatory, ok]
    shop CLIENT GET [mandatory]
      catalog SERVER GET /products [cpdd=r:m]
  shop INTERNAL recommendations [optional, ok]
    shop CLIENT GET [optional]
      recommendations SERVER GET /users/<user> [cpdd=r:o]
"""
SEARCH = """
shop SERVER GET /search
  shop CLIENT GET
    catalog SERVER GET /search
      catalog CLIENT GET
        pricing SERVER GET /prices
      catalog CLIENT GET
        stock SERVER GET /availability
"""
ADD_TO_CART = """
shop SERVER POST /cart
  shop CLIENT GET
    catalog SERVER GET /products/{sku}
  shop CLIENT POST
    cart SERVER POST /carts/<user>/items
      cart CLIENT INSERT
"""
VIEW_CART = """
shop SERVER GET /cart
  shop CLIENT GET
    cart SERVER GET /carts/<user>
      cart CLIENT SELECT
  shop INTERNAL shipping estimate [mandatory, ok]
    shop CLIENT GET [mandatory]
      shipping SERVER GET /estimates [cpdd=r:m]
  shop INTERNAL also bought [optional, ok]
    shop CLIENT GET [optional]
      recommendations SERVER GET /users/<user>/also-bought [cpdd=r:o]
"""
CHECK_OUT = """
shop SERVER POST /checkout
  shop CLIENT GET
    cart SERVER GET /carts/<user>
      cart CLIENT SELECT
  shop INTERNAL reserve [mandatory, ok]
    shop CLIENT POST [mandatory]
      stock SERVER POST /reservations [cpdd=r:m]
  shop CLIENT POST
    shipping SERVER POST /quotes
  shop INTERNAL loyalty discount [optional, ok]
    shop CLIENT POST [optional]
      pricing SERVER POST /discounts [cpdd=r:o]
  shop INTERNAL charge [mandatory, ok]
    shop CLIENT POST [mandatory]
      payment SERVER POST /charges [cpdd=r:m]
        payment CLIENT /shop.Bank/Charge
          bank SERVER /shop.Bank/Charge
  shop PRODUCER send orders
    mailer CONSUMER process orders
      mailer CLIENT INSERT
  shop CLIENT DELETE
    cart SERVER DELETE /carts/<user>
      cart CLIENT DELETE
  shop INTERNAL purchases [optional, not_awaited]
    shop CLIENT POST [optional]
      recommendations SERVER POST /users/<user>/purchases [cpdd=r:o]
"""
TREES = {
    "browse": BROWSE,
    "search": SEARCH,
    "add to cart": ADD_TO_CART,
    "view cart": VIEW_CART,
    "check out": CHECK_OUT,
}


def unordered(tree: str) -> list[object]:
    """A drawing as nested lists, siblings sorted: calls at the same time come in any order."""
    lines = [(len(line) - len(line.lstrip()), line.strip()) for line in tree.strip().splitlines()]

    def below(start: int, depth: int) -> list[object]:
        found = []
        for i in range(start, len(lines)):
            if lines[i][0] < depth:
                break
            if lines[i][0] == depth:
                found.append([lines[i][1], below(i + 1, depth + 2)])
        return sorted(found)

    return below(0, 0)


@pytest.mark.parametrize("journey", TREES)
@pytest.mark.parametrize("time", range(4))
def test_each_journey_is_one_trace_of_the_calls_it_makes(visitor, journey, time):
    status, user = visitor.make(journey)

    root = visitor.trace(user, journey, lambda root: unordered(draw(root)) == unordered(TREES[journey]))

    assert status in (200, 201)
    assert {span.attributes.get("cpdd.journey") for span in root.walk()} == {journey}
    assert not [span for span in root.walk() if span.failed]


def test_every_service_says_who_owns_it_and_how_much_it_matters(visitor):
    _, user = visitor.make("check out")
    root = visitor.trace(user, "check out", lambda root: unordered(draw(root)) == unordered(CHECK_OUT))

    said = {span.service: span.resource for span in root.walk()}

    for service in SERVICES:
        if service.name in said:
            resource = said[service.name]
            assert resource["service.owner.name"] == service.owner
            assert resource["service.owner.contact"] == service.contact.replace("%23", "#")
            assert resource["service.criticality"] == service.criticality
            assert resource["service.version"] == service.version
            assert resource["process.pid"] == visitor.shop.pids()[service.name]
    assert set(said) == {service.name for service in SERVICES} - {"broker", "catalog"}


def test_outgoing_spans_say_which_line_of_the_shop_made_the_call(visitor):
    _, user = visitor.make("browse")
    root = visitor.trace(user, "browse", lambda root: root.find("recommendations", "GET /users/<user>"))

    calls = {span.attributes["code.function.name"]: span for span in root.find("shop", "GET")}

    assert set(calls) == {"examples.shop.shop.front_page", "examples.shop.shop.recommended"}
    span = calls["examples.shop.shop.recommended"]
    line = Path(span.attributes["code.file.path"]).read_text().splitlines()[span.attributes["code.line.number"] - 1]
    assert "url('recommendations')" in line
    assert str(span.attributes["code.file.path"]).startswith(str(span.resource["cpdd.source.root"]))


def test_the_message_tells_queue_and_id_on_both_sides(visitor):
    _, user = visitor.make("check out")
    root = visitor.trace(user, "check out", lambda root: root.find("mailer", "process orders"))

    (sent,), (received,) = root.find("shop", "send orders"), root.find("mailer", "process orders")

    for span in (sent, received):
        assert span.attributes["messaging.system"] == "shop-broker"
        assert span.attributes["messaging.destination.name"] == "orders"
    assert sent.attributes["messaging.message.id"] == received.attributes["messaging.message.id"]
    assert sent.attributes["messaging.operation.type"] == "send"
    assert received.attributes["messaging.operation.type"] == "process"


def truths() -> list[tuple[str, str, str, str]]:
    """The README's table: journey, who fails, what is declared, what is true."""
    table = README.read_text().partition("## What is true of each call")[2].partition("## Faults")[0]
    rows = re.findall(r"^\| ([a-z ]+) \| \w+ -> (\w+) \| (\w*) ?\| (mandatory|optional) \|", table, re.MULTILINE)
    assert len(rows) == 19
    return [(journey, callee, declared, truth) for journey, callee, declared, truth in rows]


@pytest.mark.parametrize(("journey", "callee", "declared", "truth"), truths())
def test_a_journey_survives_a_failing_call_or_not_as_the_table_says(visitor, fault, journey, callee, declared, truth):
    with fault(callee, fail=1):
        status, user = visitor.make(journey)

    assert status < 400 if truth == "optional" else status >= 500
    root = visitor.trace(user, journey)
    assert root.failed == (truth == "mandatory")


def test_recommendations_that_fail_are_replaced_by_best_sellers_and_the_trace_says_so(visitor, fault):
    with fault("recommendations", fail=1):
        status, user = visitor.make("browse")

    root = visitor.trace(user, "browse", lambda root: root.find("catalog", "GET /bestsellers"))
    (call,) = root.find("shop", "recommendations")
    assert status == 200
    assert call.attributes["cpdd.call.outcome"] == "fallback_used"
    assert call.attributes["cpdd.call.fallback"] == "degraded"
    assert call.find("catalog", "GET /bestsellers")
    assert not call.failed


def test_recommendations_that_are_slow_are_given_up_at_their_deadline(visitor, fault):
    with fault("recommendations", slow_ms=3000):
        status, user = visitor.make("browse")
        root = visitor.trace(user, "browse", lambda root: root.find("recommendations", "GET /users/<user>"))

    (call,) = root.find("shop", "recommendations")
    (abandoned,) = root.find("recommendations", "GET /users/<user>")
    assert status == 200
    assert (call.attributes["cpdd.call.outcome"], call.attributes["cpdd.call.deadline_ms"]) == ("fallback_used", 1500)
    assert call.attributes["error.type"] == "DeadlineExceeded"
    assert root.end_ns < abandoned.end_ns


def test_an_optional_call_without_a_deadline_holds_up_the_page(visitor, fault):
    with fault("recommendations", slow_ms=400):
        status, user = visitor.make("view cart")

    root = visitor.trace(user, "view cart", lambda root: root.find("shop", "also bought"))
    assert status == 200
    assert root.end_ns - root.start_ns >= 400_000_000


def test_a_call_declared_optional_takes_the_order_down(visitor, fault):
    with fault("pricing", fail=1):
        status, user = visitor.make("check out")

    root = visitor.trace(user, "check out", lambda root: root.find("shop", "loyalty discount"))
    (call,) = root.find("shop", "loyalty discount")
    assert status == 500
    assert (call.attributes["cpdd.call.requirement"], call.attributes["cpdd.call.outcome"]) == (
        "optional",
        "fallback_used",
    )
    assert not root.find("shop", "charge")


def test_a_call_declared_mandatory_is_survived(visitor, fault):
    with fault("shipping", fail=1):
        status, user = visitor.make("view cart")

    root = visitor.trace(user, "view cart", lambda root: root.find("shop", "shipping estimate"))
    (call,) = root.find("shop", "shipping estimate")
    assert status == 200
    assert (call.attributes["cpdd.call.requirement"], call.attributes["cpdd.call.outcome"]) == ("mandatory", "failed")
    assert call.failed
    assert not root.failed


def test_a_retry_hides_a_failure_of_the_bank(visitor, fault):
    with fault("bank", fail=0.5):
        tries = [visitor.make("check out") for _ in range(12)]
    roots = [visitor.trace(user, "check out", lambda root: root.find("payment", "POST /charges")) for _, user in tries]

    attempts = [[span.failed for span in root.find("payment", "/shop.Bank/Charge")] for root in roots]

    assert [True, False] in attempts or [True, True, False] in attempts
    for (status, _), failed in zip(tries, attempts, strict=True):
        assert status == (500 if all(failed) else 201)


def test_a_bank_that_always_fails_is_asked_three_times(visitor, fault):
    with fault("bank", fail=1):
        status, user = visitor.make("check out")

    root = visitor.trace(user, "check out", lambda root: len(root.find("bank", "/shop.Bank/Charge")) == 3)
    assert status == 500
    assert all(span.failed for span in root.find("payment", "/shop.Bank/Charge"))


@pytest.mark.parametrize(
    ("service", "journey", "operation"),
    [
        ("catalog", "browse", "GET /products"),
        ("payment", "check out", "POST /charges"),
        ("bank", "check out", "/shop.Bank/Charge"),
    ],
)
def test_a_service_that_is_down_leaves_no_span_and_comes_back_when_it_is_up(
    visitor, fault, service, journey, operation
):
    with fault(service, down=1):
        status, user = visitor.make(journey)
    root = visitor.trace(user, journey)
    again = visitor.make_until_well(journey)

    assert status >= 500
    assert root.failed
    assert not root.find(service, operation)
    assert visitor.trace(again, journey, lambda root: root.find(service, operation))


def test_orders_wait_for_a_mailer_that_is_down_and_nobody_else_does(visitor, fault):
    with fault("mailer", down=1):
        status, user = visitor.make("check out")
        without = visitor.trace(user, "check out", lambda root: root.find("shop", "send orders"))
        assert not without.find("mailer", "process orders")

    assert status == 201
    assert visitor.trace(user, "check out", lambda root: root.find("mailer", "process orders"))


def test_switching_a_fault_leaves_no_span(visitor, fault, sink):
    with fault("cart", slow_ms=1), fault("cart", fail=0):
        pass
    _, user = visitor.make("view cart")
    visitor.trace(user, "view cart", lambda root: root.find("cart", "GET /carts/<user>"))

    assert not [span for span in sink.spans() if "/faults" in span.name or "/ready" in span.name]
