import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from collector.control.budgets import COSTS_S
from collector.core.sampling.roots import Root
from cpdd.testing import FakeClock
from tests.control.control_server import ControlServer, KnownRoots, MemoryLog, control_server
from tests.cpdd.sampling.policies import policy


@pytest.fixture
def server() -> Iterator[ControlServer]:
    with control_server() as server:
        yield server


@pytest.fixture(scope="module")
def unchanged() -> Iterator[ControlServer]:
    """A server for tests that are refused."""
    with control_server() as server:
        yield server


def status(instance: str = "a", **more: Any) -> dict[str, Any]:
    return {"service": "shop", "instance": instance, "interval_s": 1.0, **more}


def count(name: str, seen: int, kept: int, rule: str = "") -> dict[str, Any]:
    return {"name": name, "rule": rule, "seen": seen, "kept": kept}


def test_a_jaeger_client_is_told_probabilities_by_operation(server: ControlServer):
    server.ask("POST", "/v1/policies", {"policies": [policy("a", 10, service="shop"), policy("b", 50, op="GET /")]})
    server.boost(service="shop", operation="POST /pay", percentage=80)

    answer = server.ask("GET", "/sampling?service=shop")

    assert answer == server.ask("GET", "/api/sampling?service=shop")
    assert answer == (
        200,
        {
            "strategyType": "PROBABILISTIC",
            "probabilisticSampling": {"samplingRate": 0.1},
            "operationSampling": {
                "defaultSamplingProbability": 0.1,
                "defaultLowerBoundTracesPerSecond": 0,
                "perOperationStrategies": [
                    {"operation": "GET /", "probabilisticSampling": {"samplingRate": 0.5}},
                    {"operation": "POST /pay", "probabilisticSampling": {"samplingRate": 0.8}},
                ],
            },
        },
    )


def test_a_counted_boost_does_not_reach_clients_that_count_nothing(server: ControlServer):
    server.boost(service="shop", operation="POST /pay", max_traces=10)

    _, answer = server.ask("GET", "/sampling?service=shop")

    assert answer == {"strategyType": "PROBABILISTIC", "probabilisticSampling": {"samplingRate": 1.0}}


@pytest.mark.parametrize("query", ["", "?service=", "?service=a&service=b", f"?service={'x' * 300}"])
def test_a_jaeger_client_has_to_name_one_service(unchanged: ControlServer, query: str):
    code, answer = unchanged.ask("GET", f"/sampling{query}")

    assert (code, answer["place"]) == (400, "service")


def test_a_poll_waits_for_a_change_and_is_told_the_new_policies(server: ControlServer):
    _, before = server.ask("GET", "/v1/policies?service=shop")
    tag = f'"{before["version"]}-{before["hash"]}"'

    code, _ = server.ask("GET", "/v1/policies?service=shop&wait=0.05", If_None_Match=tag)
    server.boost(service="shop")
    _, after = server.ask("GET", "/v1/policies?service=shop&wait=30", If_None_Match=tag)

    assert code == 304
    assert (after["version"], len(after["policies"])) == (1, 1)


def test_a_change_survives_the_server_with_its_version_and_hash():
    log = MemoryLog()
    with control_server(log) as first:
        first.ask("POST", "/v1/policies", policy("a", 10))
        first.boost(service="shop", id="inc", max_traces=10)
        _, before = first.ask("GET", "/v1/policies?service=shop")

    with control_server(log) as second:
        _, after = second.ask("GET", "/v1/policies?service=shop")

    assert {**before, "sent_unix_ms": 0} == {**after, "sent_unix_ms": 0}


def test_a_stored_policy_of_a_newer_cpdd_is_left_out_and_the_others_go_on():
    log = MemoryLog()
    with control_server(log) as first:
        first.ask("POST", "/v1/policies", {"policies": [policy("a", 10), policy("b", 20)]})
    log.rows[-1][1]["policies"][0]["cpdd"] = {"kind": "from the future"}

    with control_server(log) as second:
        _, found = second.ask("GET", "/v1/policies")

    assert ([p["id"] for p in found["policies"]], found["version"]) == (["b"], 1)


def test_the_log_names_who_why_and_what(server: ControlServer):
    server.ask("POST", "/v1/policies", {"policies": [policy("a", 10)], "author": "ann", "reason": "too much"})
    server.boost(service="shop", operation="GET /", author="bob", reason="INC-42", id="inc")
    server.ask("DELETE", "/v1/boosts/inc?author=eve&reason=seen")

    _, state = server.ask("GET", "/v1/state")

    said = [(row["version"], row["action"], row["policy"], row["author"], row["reason"]) for row in state["log"]]
    assert said == [
        (3, "delete", "inc", "eve", "seen"),
        (2, "boost", "inc", "bob", "INC-42"),
        (1, "set", "a", "ann", "too much"),
    ]
    assert state["log"][1]["change"] == "100 % of shop GET / for 300 s"


def test_a_boost_on_an_inner_operation_becomes_boosts_on_the_roots_that_reach_it():
    roots = KnownRoots({("stock", "reserve", ""): [Root("shop", "POST /buy"), Root("shop", "POST /gift")]})
    with control_server(roots=roots) as server:
        answer = server.boost(service="stock", operation="reserve", id="inc", max_traces=9)
        _, shop = server.ask("GET", "/v1/policies?service=shop")
        _, stock = server.ask("GET", "/v1/policies?service=stock")
        server.ask("DELETE", "/v1/boosts/inc")
        _, after = server.ask("GET", "/v1/policies?service=shop")

    assert answer["targets"] == [
        {"service": "shop", "operation": "POST /buy"},
        {"service": "shop", "operation": "POST /gift"},
    ]
    assert answer["found"]
    assert [(p["id"], p["cpdd"].get("group")) for p in shop["policies"]] == [("inc", None), ("inc.2", "inc")]
    assert stock["policies"] == after["policies"] == []


def test_a_boost_with_detail_is_announced_to_every_service_and_samples_only_its_own(server: ControlServer):
    server.boost(service="shop", operation="GET /", id="inc", detail=["function_spans", "query_text"], max_traces=9)

    _, shop = server.ask("GET", "/v1/policies?service=shop")
    _, stock = server.ask("GET", "/v1/policies?service=stock")
    _, jaeger = server.ask("GET", "/sampling?service=stock")

    assert server.ask("GET", "/v1/state")[1]["log"][0]["change"] == (
        "100 % of shop GET / for 300 s, at most 9 traces, with values of queries, with spans of functions"
    )
    assert shop["policies"][0]["cpdd"]["detail"] == ["query_text", "function_spans"]
    (announced,) = stock["policies"]
    assert announced["trace"]["match"] == [{"resource_attribute": ["service.name"], "exact": "shop"}]
    assert announced["cpdd"]["detail"] == ["query_text", "function_spans"]
    assert "max_traces" not in announced["cpdd"]
    assert jaeger["probabilisticSampling"] == {"samplingRate": 1.0}
    assert "operationSampling" not in jaeger


def test_an_announced_boost_says_nothing_of_whom_else_it_concerns(server: ControlServer):
    soon_ms = server.service.now_ms() + 60_000
    boost = policy("b", 100, service="shop", attributes={"tenant": "acme"}, kind="boost", expires_unix_ms=soon_ms)
    boost["cpdd"]["detail"] = ["attributes"]
    boost["trace"]["match"].reverse()
    server.ask("POST", "/v1/policies", {"policies": [boost]})

    _, stock = server.ask("GET", "/v1/policies?service=stock")

    assert stock["policies"][0]["trace"]["match"] == [{"resource_attribute": ["service.name"], "exact": "shop"}]


def test_detail_that_nobody_knows_is_refused_by_its_place(unchanged: ControlServer):
    code, answer = unchanged.ask("POST", "/v1/boosts", {"service": "shop", "detail": ["attributes", "heap"]})

    assert (code, answer["place"]) == (400, "detail[1]")
    assert "query_text, attributes, function_spans" in answer["error"]


def test_a_boost_on_an_edge_finds_the_roots_that_use_it_or_says_that_there_are_none():
    roots = KnownRoots({("stock", "reserve", "cart"): [Root("shop", "POST /buy")]})
    with control_server(roots=roots) as server:
        found = server.boost(service="stock", operation="reserve", caller="cart")
        code, nothing = server.ask("POST", "/v1/boosts", {"service": "stock", "caller": "mailer"})

    assert found["targets"] == [{"service": "shop", "operation": "POST /buy"}]
    assert code == 404
    assert "stock from mailer" in nothing["error"]


def test_a_name_that_nobody_has_heard_of_is_doubted_and_boosted_all_the_same():
    roots = KnownRoots({("stock", "reserve", ""): [Root("shop", "POST /buy")]})
    with control_server(roots=roots) as server:
        server.ask("POST", "/v1/status", status(operations=[count("POST /checkout", 1, 1), count("GET /", 1, 1)]))
        odd = server.boost(service="shop", operation="POST /chekout")
        known = server.boost(service="shop", operation="GET /")
        learned = server.boost(service="stock", operation="reserve")
        new_service = server.boost(service="new", operation="anything")
        _, refusal = server.ask("POST", "/v1/boosts", {"service": "stock", "operation": "reserv", "caller": "cart"})

    assert odd["targets"] == [{"service": "shop", "operation": "POST /chekout"}]
    assert odd["doubt"] == "shop has not been seen to have 'POST /chekout'; it has 'POST /checkout' and others"
    assert [answer["doubt"] for answer in (known, learned, new_service)] == ["", "", ""]
    assert refusal["error"].endswith("hint: stock has not been seen to have 'reserv'; it has 'reserve'")


def test_a_boost_can_be_extended_and_repeated(server: ControlServer):
    first = server.boost(service="shop", id="inc", duration_s=10, max_traces=5)

    _, extended = server.ask("POST", "/v1/boosts/inc/extend", {"duration_s": 60})
    _, repeated = server.ask("POST", "/v1/boosts/inc/repeat", {"duration_s": 60})
    code, _ = server.ask("POST", "/v1/boosts/other/extend", {"duration_s": 60})

    assert extended["id"] == "inc"
    assert extended["expires_unix_ms"] > first["expires_unix_ms"] + 40_000
    assert repeated["id"] != "inc", "what it may add is counted anew"
    assert code == 404


def test_leases_never_exceed_what_a_boost_may_add_though_servers_come_and_go():
    log = MemoryLog()
    granted = 0
    with control_server(log) as server:
        server.boost(service="shop", id="inc", max_traces=40)
        for turn in range(20):
            for instance in ("a", "b"):
                lease = server.ask("POST", "/v1/status", status(instance))[1]["leases"]["inc"]
                server.ask("POST", "/v1/status", status(instance, leases={"inc": lease}))
            if turn == 3:
                granted = sum(server.service._ledger.leases["inc"].granted.values())
                break
    with control_server(log) as server:
        for _ in range(20):
            lease = server.ask("POST", "/v1/status", status("c"))[1]["leases"]["inc"]
            server.ask("POST", "/v1/status", status("c", leases={"inc": lease}))

    assert 0 < granted <= 40
    assert granted + lease <= 40
    assert granted + lease >= 20, "a server that comes back hands out the rest"


def test_what_a_jaeger_client_was_told_weighs_its_traces_and_what_a_program_lost_is_said(server: ControlServer):
    server.ask("POST", "/v1/policies", policy("a", 25, service="stock"))
    told = server.service._told

    before = told.rate("stock", "reserve", server.service.now_ms() * 1_000_000)
    server.ask("GET", "/sampling?service=stock")
    report = status(operations=[count("GET /", 30, 3)], spans_sent=990, spans_lost=10)
    server.ask("POST", "/v1/status", report)

    now_ns = server.service.now_ms() * 1_000_000
    assert (before, told.rate("stock", "reserve", now_ns)) == (None, 0.25)
    assert told.drops("shop", now_ns)
    assert not told.drops("stock", now_ns)
    (client,) = server.ask("GET", "/v1/state")[1]["clients"]
    assert (client["spans_sent"], client["spans_lost"]) == (990, 10)


def test_reports_make_rates_and_clients(server: ControlServer):
    server.ask("POST", "/v1/status", status("a", operations=[count("GET /", 30, 3, "x"), count("GET /", 10, 1, "y")]))
    server.ask("POST", "/v1/status", status("b", operations=[count("GET /", 20, 2, "x")], problem="server lost"))

    _, state = server.ask("GET", "/v1/state")

    (row,) = state["rates"]
    assert row == {
        "service": "shop",
        "operation": "GET /",
        "seen_per_s": 60.0,
        "kept_per_s": 6.0,
        "kept_share": 0.1,
        "set_share": 1.0,
        "rule": "x",
    }
    assert [(client["instance"], client["problem"]) for client in state["clients"]] == [("a", ""), ("b", "server lost")]


def test_what_is_asked_for_now_stands_beside_what_was_kept(server: ControlServer):
    by_tenant = policy("c", 100, op="GET /", attributes={"tenant": "acme"})
    policies = [policy("a", 10, service="shop"), policy("b", 50, op="GET /"), by_tenant]
    server.ask("POST", "/v1/policies", {"policies": policies})
    server.boost(service="shop", operation="POST /pay", percentage=80, max_traces=10, id="inc")
    counts = [count(name, 9, 1) for name in ("GET /", "POST /pay", "GET /cart")]
    server.ask("POST", "/v1/status", status(operations=counts))

    before = server.ask("GET", "/v1/state")[1]["rates"]
    server.ask("POST", "/v1/status", status(operations=counts, leases={"inc": 10}))
    after = server.ask("GET", "/v1/state")[1]["rates"]

    assert {row["operation"]: row["set_share"] for row in before} == {"GET /": 0.5, "POST /pay": 0.8, "GET /cart": 0.1}
    assert {row["operation"]: row["set_share"] for row in after} == {"GET /": 0.5, "POST /pay": 0.1, "GET /cart": 0.1}


def test_a_budget_is_worked_out_of_what_the_fleet_reports(server: ControlServer):
    server.ask("POST", "/v1/policies", policy("b", op="GET /", kind="budget", traces_per_second=6))

    for instance in ("a", "b"):
        server.ask("POST", "/v1/status", status(instance, operations=[count("GET /", 300, 300, "b")]))
    _, document = server.ask("GET", "/v1/policies?service=shop")

    assert document["policies"][0]["trace"]["keep"] == {"percentage": 1.0}
    assert document["policies"][0]["cpdd"]["local_traces_per_second"] == 3.0


def test_a_budget_holds_for_clients_that_poll_and_report_nothing_by_the_traces_they_send():
    offered = {Root("gateway", "GET /"): 300.0, Root("gateway", "POST /pay"): 100.0, Root("silent", "GET /"): 999.0}
    clock = FakeClock()
    with control_server(offered=offered, clock=clock.now_s) as server:
        policies = [policy("b", kind="budget", traces_per_second=6), policy("p", 50, op="POST /pay")]
        server.ask("POST", "/v1/policies", {"policies": policies})
        before = server.ask("GET", "/sampling?service=gateway")[1]
        clock.advance(s=COSTS_S)
        after, give_up_s = before, time.monotonic() + 60
        while after["probabilisticSampling"] == before["probabilisticSampling"] and time.monotonic() < give_up_s:
            after = server.ask("GET", "/sampling?service=gateway")[1]

    assert before["probabilisticSampling"] == {"samplingRate": 1.0}
    assert after["probabilisticSampling"] == {"samplingRate": 0.02}, "of 300 a second, the rest has its own policy"
    (only,) = after["operationSampling"]["perOperationStrategies"]
    assert only == {"operation": "POST /pay", "probabilisticSampling": {"samplingRate": 0.5}}


REFUSED: list[tuple[str, str, Any, int, str]] = [
    ("POST", "/v1/policies", {"policies": [policy("a", 200)]}, 400, "policies[0].trace.keep.percentage"),
    ("POST", "/v1/policies", {"policies": 5}, 400, "policies"),
    ("POST", "/v1/policies", b"{", 400, "the body"),
    (
        "POST",
        "/v1/policies",
        policy("a", 1, local_traces_per_second=5),
        400,
        "policies[0].cpdd.local_traces_per_second",
    ),
    ("POST", "/v1/boosts", {"service": "a", "duration_s": 1e6}, 400, "duration_s"),
    ("POST", "/v1/boosts", {"service": "a", "percentage": -1}, 400, "percentage"),
    ("POST", "/v1/boosts", {"servce": "a"}, 400, "service"),
    ("POST", "/v1/boosts", {"service": "a", "ops": "b"}, 400, "ops"),
    ("POST", "/v1/status", {"service": "a"}, 400, "instance"),
    ("POST", "/v1/policies", {"policies": [policy("a", 1), policy("a", 2)]}, 400, "policies[1].id"),
    (
        "POST",
        "/v1/policies",
        policy("a", 1, kind="boost", expires_unix_ms=1 << 53),
        400,
        "policies[0].cpdd.expires_unix_ms",
    ),
    (
        "POST",
        "/v1/policies",
        {"policies": [policy(f"p{n:02}", 1, attributes={"tenant": str(n)}) for n in range(33)]},
        400,
        "policy 'p32'",
    ),
    ("POST", "/v1/policies", {"policies": [policy(str(n), 1) for n in range(2001)]}, 409, "policies"),
    ("POST", "/v1/boosts", {"service": "a", "id": "\0"}, 400, "id"),
    ("POST", "/v1/boosts", {"service": "a", "attributes": {"": "x"}}, 400, "attributes."),
    ("GET", "/v1/policies?service=a&wait=nan", None, 400, "wait"),
    ("GET", "/v1/policies?service=" + 300 * "a", None, 400, "service"),
]


@pytest.mark.parametrize(("method", "path", "value", "code", "place"), REFUSED)
def test_a_refusal_names_the_field(unchanged: ControlServer, method: str, path: str, value: Any, code: int, place: str):
    found, answer = unchanged.ask(method, path, value)

    assert (found, answer["place"]) == (code, place)


def test_what_clients_would_refuse_with_all_the_rest_is_refused_by_the_server():
    """Roots come from spans, whose names may be longer than a policy may say."""
    roots = KnownRoots({("stock", "reserve", ""): [Root("shop", "POST /buy"), Root("shop", "x" * 300)]})
    with control_server(roots=roots) as server:
        code, answer = server.ask("POST", "/v1/boosts", {"service": "stock", "operation": "reserve", "id": "inc"})
        boosts = server.ask("GET", "/v1/state")[1]["boosts"]

    assert (code, answer["place"]) == (400, "policy 'inc.2'.trace.match[1].exact")
    assert boosts == []


def test_a_body_that_does_not_come_is_not_waited_for_for_ever():
    head = (
        b"POST /v1/boosts HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
    )
    with control_server(body_s=0.05) as server, socket.create_connection(("127.0.0.1", server.port), 10) as stalled:
        stalled.sendall(head)
        answer = stalled.recv(1 << 16)

    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_clock_that_is_set_back_lets_no_boost_last_longer():
    wall_s = [1_700_000_000.0]
    with control_server(wall_clock=lambda: wall_s[0]) as server:
        server.boost(service="shop", duration_s=100)
        wall_s[0] -= 3_600
        _, document = server.ask("GET", "/v1/policies?service=shop")
        wall_s[0] += 3_600 + 101
        _, later = server.ask("GET", "/v1/policies?service=shop&instance=b")
        ended = server.ask("GET", "/v1/state")[1]["ended"]

    (boost,) = document["policies"]
    assert boost["cpdd"]["expires_unix_ms"] - document["sent_unix_ms"] <= 100_000
    assert later["sent_unix_ms"] > boost["cpdd"]["expires_unix_ms"]
    assert len(ended) == 1


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "evil.example:5778"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Type": "application/x-www-form-urlencoded"}, 415),
    ],
)
def test_a_web_page_cannot_change_what_is_sampled(unchanged: ControlServer, headers: dict[str, str], code: int):
    found, _ = unchanged.ask("POST", "/v1/boosts", {"service": "shop"}, **headers)

    assert found == code
    assert unchanged.service.book.version == 0


def test_changes_need_the_token_where_there_is_one():
    with control_server(token="secret") as server:
        without, _ = server.ask("POST", "/v1/boosts", {"service": "shop"})
        wrong, _ = server.ask("DELETE", "/v1/policies/a", Authorization="Bearer Secret")
        right, _ = server.ask("POST", "/v1/boosts", {"service": "shop"}, Authorization="Bearer secret")
        read, _ = server.ask("GET", "/v1/state")

    assert (without, wrong, right, read) == (401, 401, 200, 200)


def test_who_may_not_send_spans_may_not_report_nor_use_up_what_a_boost_may_add():
    with control_server(token="boss", ingest_tokens="spans,old") as server:
        server.ask(
            "POST", "/v1/boosts", {"service": "shop", "id": "inc", "max_traces": 40}, Authorization="Bearer boss"
        )
        nobody, refusal = server.ask("POST", "/v1/status", status(operations=[count("GET /", 10**9, 0)]))
        wrong, _ = server.ask("POST", "/v1/status", status(), Authorization="Bearer Spans")
        unseen = server.ask("GET", "/v1/state")[1]["clients"]
        sender, granted = server.ask("POST", "/v1/status", status(), Authorization="Bearer spans")
        boss, _ = server.ask("POST", "/v1/status", status("b"), Authorization="Bearer boss")
        read, _ = server.ask("GET", "/v1/policies?service=shop&instance=c")

    assert (nobody, wrong, sender, boss, read) == (401, 401, 200, 200, 200)
    assert "OTEL_EXPORTER_OTLP_HEADERS" in refusal["hint"]
    assert unseen == []
    assert granted["leases"]["inc"] > 0


def test_changes_are_limited_in_their_rate():
    clock = FakeClock()
    with control_server(clock=clock.now_s) as server:
        codes = [server.ask("POST", "/v1/boosts", {"service": "shop", "id": "same"})[0] for _ in range(51)]
        clock.advance(s=0.2)
        later, _ = server.ask("POST", "/v1/boosts", {"service": "shop", "id": "same"})

    assert codes == [200] * 50 + [429]
    assert later == 200, "5 a second"
