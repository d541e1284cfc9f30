"""The escalation packet: what a stranger at night is given to begin with."""

import json
import re
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from collector.core.catalog import Catalog, Owner, read_catalog
from collector.core.detail import DetailedSpans, ResourceDetail, ScopeDetail, SpanDetail
from collector.core.explain import explain
from collector.core.findings.model import Fact, Finding
from collector.core.findings.tracking import Tracked
from collector.store.values import Node, Point, TraceQuery, Window
from tests.core.drawing import EPOCH_NS, read_trace
from tests.ui.conftest import SETTINGS, client_of
from tests.ui.memory import MemoryReader
from tests.ui.page_text import ReadPage
from tests.ui.shop import NOW_NS
from ui.app import create_app
from ui.views.escalation import Subject, packet, since_when, spoken
from ui.views.escalation_trace import subject_of_trace
from ui.views.page import Visit

TRACE = "0af7651916cd43dd0000000000000001"
DRAWING = """
    shop/POST /buy 0-200 server {shop} journey=buy
    shop/POST 10-190 client {shop} in "shop/POST /buy"
    pay/POST /charge 20-180 server {pay} in shop/POST
    pay/Charge 30-170 client {bank} in "pay/POST /charge" peer_service=bank
    shop/render 191-195 in "shop/POST /buy"
"""
FAILED = DRAWING.format(shop="error", pay="error", bank="error")
SLOW = DRAWING.format(shop="ok", pay="ok", bank="")
REVISION = "0af7651916cd43dd8448eb211c80319c00000000"
RESOURCE = (
    ("service.owner.name", "Payments"),
    ("service.owner.contact", "#pay-oncall"),
    ("service.owner.url", "https://runbooks.example/pay"),
    ("cpdd.source.root", "/app"),
    ("vcs.repository.url.full", "git@github.com:shop/pay.git"),
    ("vcs.ref.head.revision", REVISION),
)
CODE = (("code.file.path", "/app/pay/bank.py"), ("code.line.number", 48), ("code.function.name", "pay.bank.charge"))


def spans_of(drawing: str) -> DetailedSpans:
    batch = read_trace(drawing, "ms")

    def detail(row: int) -> SpanDetail:
        service = batch.text(int(batch.service[row]))
        said = (("service.name", service), ("service.version", "2.3.1"), *(RESOURCE if service == "pay" else ()))
        client = int(batch.kind[row]) == 3 and service == "pay"
        scope = "opentelemetry.instrumentation.jinja2" if batch.text(int(batch.name[row])) == "render" else ""
        return SpanDetail(
            attributes=CODE if client else (),
            status_message="bank did not answer within 2 s" if client and int(batch.status_code[row]) == 2 else "",
            resource=ResourceDetail(said),
            scope=ScopeDetail(scope),
        )

    return DetailedSpans(batch, detail)


@pytest.fixture
def failed():
    return client_of(MemoryReader([spans_of(FAILED)]), EPOCH_NS + 60 * 10**9)


@pytest.fixture
def slow():
    return client_of(MemoryReader([spans_of(SLOW)]), EPOCH_NS + 60 * 10**9)


def packet_of(client, trace=TRACE):
    response = client.get(f"/traces/{trace}/escalation.json")
    assert response.status_code == 200, response.text
    return response.get_json()


def markdown_of(client, trace=TRACE):
    response = client.get(f"/traces/{trace}/escalation.md")
    assert response.status_code == 200, response.text
    return response.text


def test_a_failed_trace_leads_to_the_call_its_line_of_code_and_its_owner(failed):
    found = packet_of(failed)

    assert found["title"] == "buy failed at bank"
    assert found["facts"] == ["It says: bank did not answer within 2 s"]
    assert (found["edge"]["caller"], found["edge"]["callee"]) == ("pay / POST /charge", "bank")
    assert found["owner"] == {
        "name": "Payments",
        "contact": "#pay-oncall",
        "url": "https://runbooks.example/pay",
        "href": "https://runbooks.example/pay",
    }
    assert found["code"]["path"] == "pay/bank.py"
    assert found["code"]["href"].startswith("https://github.com/shop/pay/blob/0af7651916cd")
    assert found["code"]["href"].endswith("/pay/bank.py#L48")
    assert (found["service"], found["version"]) == ("pay", "2.3.1")
    assert (found["critical_ns"], found["critical_share"]) == (140_000_000, 0.7)
    assert found["journey_share"] == 0.7


def test_links_of_a_packet_are_for_those_who_come_from_outside():
    settings = replace(SETTINGS, public_url="https://cpdd.example/")
    app = create_app(MemoryReader([spans_of(FAILED)]), settings, lambda: EPOCH_NS + MINUTE)

    found, text = packet_of(app.test_client()), markdown_of(app.test_client())

    addresses = (found["address"], found["journey_address"], found["examples"][0]["address"])
    assert all(address.startswith("https://cpdd.example/") for address in addresses)
    assert found["command"].startswith("curl -s https://cpdd.example/traces/")
    assert found["address"] in text
    assert "http://localhost" not in text


def test_a_slow_trace_leads_to_whom_it_waited_for_most(slow):
    found = packet_of(slow)

    assert found["title"] == "buy waited longest for bank"
    assert found["facts"] == []
    assert found["since_unix_nano"] is None


@pytest.mark.parametrize(
    ("drawing", "title", "edge"),
    [
        ("shop/buy 0-100 server; shop/GET 5-9 client in shop/buy; pay/x 6-8 server in shop/GET",
         "shop buy took longest in shop itself", None),
        ("shop/buy 0-100 server; shop/GET 5-95 client in shop/buy; pay/x 40-50 server in shop/GET",
         "shop buy waited longest between shop and pay: network, queue or connection", ("shop / buy", "pay / x")),
        ("shop/buy 0-100 server; shop/GET 5-95 client in shop/buy; pay/x 6-94 server in shop/GET",
         "shop buy waited longest for pay", ("shop / buy", "pay / x")),
        ("shop/buy 0-100 server error; shop/GET 5-95 client error in shop/buy; pay/x 6-99 server in shop/GET",
         "shop buy failed between shop and pay", ("shop / buy", "pay / x")),
        ("shop/buy 0-100 server error; shop/GET 5-9 client in shop/buy; pay/x 6-8 server in shop/GET",
         "shop buy failed in shop itself", None),
        ("shop/buy 0-100 server; shop/q 5-95 client in shop/buy db_system=mysql db_namespace=orders",
         "shop buy waited longest for orders", ("shop / buy", "mysql / orders")),
    ],
)  # fmt: skip
def test_the_title_says_where_and_the_edge_who_with_whom(drawing, title, edge):
    batch = read_trace(drawing, "ms")
    spans = DetailedSpans(batch, lambda row: SpanDetail())
    (explained,) = explain(batch)

    subject = subject_of_trace(spans, explained, None, "", Catalog())

    assert subject.title == title
    assert ((spoken(subject.caller), spoken(subject.callee)) if subject.caller and subject.callee else None) == edge


def test_every_address_in_it_opens(failed):
    found = packet_of(failed)

    for address in [found["address"], found["journey_address"], *(e["address"] for e in found["examples"])]:
        parts = urlsplit(address)
        assert parts.netloc == "localhost"
        assert failed.get(f"{parts.path}?{parts.query}").status_code == 200
    command = re.search(r"http://localhost(/traces/\S+)", found["command"])
    assert failed.get(command[1]).status_code == 200


def test_it_reads_well_in_a_chat(failed):
    lines = markdown_of(failed).splitlines()

    where = "- where: `pay / POST /charge` → `bank`, not known whether mandatory (1 failed, caller survived none; "
    assert lines.pop(4).startswith(where)
    assert lines == [
        "**buy failed at bank**",
        "It says: bank did not answer within 2 s",
        "",
        "- who: Payments · #pay-oncall · https://runbooks.example/pay (`pay` `2.3.1`)",
        f"- code: [`pay/bank.py:48`](https://github.com/shop/pay/blob/{REVISION}/pay/bank.py#L48)"
        " in `pay.bank.charge` at `0af7651916cd`",
        "- lies in: whom it calls, or the way there",
        "- since: 22:12:55 UTC or earlier",
        "- critical path: 140 ms, 70 % of this trace; 70 % of `buy` in the hour before",
        f"- examples: [200 ms failed](http://localhost/traces/{TRACE})",
        f"- see: [the trace](http://localhost/traces/{TRACE}?span=0000000000000004#span) · [the journey]"
        "(http://localhost/journeys/buy?start=2023-11-14T21%3A13%3A22Z&end=2023-11-14T22%3A13%3A22Z)",
        f"- in a terminal: `curl -s http://localhost/traces/{TRACE}.otlp.json | cpdd path -`",
    ]


def test_the_catalog_knows_whom_to_call_for_what_sends_no_spans():
    catalog = read_catalog('[service.bank]\nowner = "Bank liaison"\n', "c.toml")
    app = create_app(MemoryReader([spans_of(FAILED)]), replace(SETTINGS, catalog=catalog), clock=lambda: EPOCH_NS)

    found = app.test_client().get(f"/traces/{TRACE}/escalation.json").get_json()

    assert (found["service"], found["owner"]["name"]) == ("bank", "Bank liaison")


def test_three_traces_are_shown_that_look_alike(shop, client):
    trace = shop.find(TraceQuery(Window(0, 2**62), journey="check out", failed_only=True))[0].trace_id

    found = packet_of(client, trace)

    assert found["examples"][0]["trace_id"] == trace
    assert len({example["trace_id"] for example in found["examples"]}) == 3
    assert all(example["failed"] for example in found["examples"])
    assert found["edge"]["requirement"] in ("mandatory", "undetermined")


def test_a_trace_that_is_not_analyzed_yet_has_a_packet_all_the_same():
    reader = MemoryReader([spans_of(FAILED)])
    reader.outcome = lambda trace_id: None  # type: ignore[method-assign]

    found = packet_of(client_of(reader, EPOCH_NS))

    assert found["title"] == "shop POST /buy failed at bank"
    assert (found["journey"], found["since_unix_nano"], found["journey_share"]) == ("", None, None)
    assert found["address"].endswith(f"/traces/{TRACE}?span=0000000000000004#span")
    assert found["owner"]["name"] == "Payments"


@pytest.mark.parametrize(("form", "address"), [("json", "0" * 31 + "9"), ("md", "0" * 31 + "9"), ("json", "xyz")])
def test_what_is_not_there_is_said_in_words(failed, form, address):
    response = failed.get(f"/traces/{address}/escalation.{form}")

    assert response.status_code in (400, 404)
    assert response.get_json()["error"]["problem"]


# Since when

MINUTE = 60 * 10**9


def series(*steps: tuple[float, float, float]) -> list[Point]:
    """Points of a minute each: traces, failed, p95 in ms."""
    return [Point(i * MINUTE, traces, failed, 0.0, p95 * 1e6) for i, (traces, failed, p95) in enumerate(steps)]


def test_failures_began_with_the_first_bad_step_before():
    found = series((10, 0, 1), (10, 3, 1), (0, 0, 0), (10, 2, 1), (10, 1, 1))

    assert since_when(found, 3 * MINUTE + 5, failed=True) == (1 * MINUTE, False)


def test_slowness_is_measured_against_what_is_usual():
    found = series((9, 0, 100), (9, 0, 110), (9, 0, 100), (9, 0, 90), (9, 0, 300), (9, 0, 280))

    assert since_when(found, 5 * MINUTE, failed=False) == (4 * MINUTE, False)


def test_what_was_bad_all_along_may_have_begun_earlier():
    assert since_when(series((10, 10, 1), (10, 9, 1)), 9 * MINUTE, failed=True) == (0, True)


def test_one_bad_trace_in_good_times_has_no_since():
    assert since_when(series((100, 0, 1), (100, 1, 1)), 9 * MINUTE, failed=True) == (None, False)
    assert since_when([], 9 * MINUTE, failed=True) == (None, False)


# Findings


def test_a_finding_makes_a_packet_by_way_of_a_subject(shop):
    trace = shop.find(TraceQuery(Window(0, 2**62), journey="check out"))[0].trace_id
    subject = Subject(
        title="hidden mandatory: payment -> bank",
        journey="check out",
        service="payment",
        caller=Node("payment", "POST /pay", "server"),
        callee=Node("bank", "", "external"),
        trace_ids=(trace,),
        failed=True,
        facts=("30 failed, the caller survived none.",),
        since_unix_nano=NOW_NS - 10**9,
        budget_share=0.4,
        owner=Owner("Payments"),
    )

    found = packet(subject, Visit(shop, SETTINGS, NOW_NS, {}, {}), "http://cpdd.example")

    assert (found.since_unix_nano, found.since_is_bound, found.budget_share) == (NOW_NS - 10**9, False, 0.4)
    assert found.owner.name == "Payments"
    assert found.examples[0].address == f"http://cpdd.example/traces/{trace}"


def tracked(**more: object) -> Tracked:
    finding = Finding(
        kind="hidden mandatory",
        journey="buy",
        subject="7",
        title="pay fails with bank",
        advice="Give it a fallback.",
        service="pay",
        caller=("pay", "POST /charge", "server"),
        callee=("bank", "", "external"),
        facts=(Fact("survival", 0.02, "share", (0.0, 0.08)), Fact("budget left", -0.25, "share")),
        examples=(TRACE,),
    )
    return Tracked(replace(finding, **more), EPOCH_NS - 5 * MINUTE, EPOCH_NS)  # type: ignore[arg-type]


def of_finding(one: Tracked, form: str = "json", traces: tuple[DetailedSpans, ...] = (spans_of(FAILED),)):
    reader = MemoryReader(traces)
    reader.judged = [one]
    return client_of(reader, EPOCH_NS + MINUTE).get(f"/findings/{one.finding.id}/escalation{form and '.'}{form}")


def test_a_finding_is_escalated_with_its_call_and_the_line_that_makes_it():
    found = of_finding(tracked()).get_json()

    assert (found["title"], found["since_unix_nano"]) == ("pay fails with bank", EPOCH_NS - 5 * MINUTE)
    assert [fact.replace("\u00a0", " ") for fact in found["facts"]] == [
        "Give it a fallback.",
        "survival: 2 % (0 % to 8 %)",
        "budget left: −25 %",
    ]
    assert (found["edge"]["caller"], found["edge"]["callee"]) == ("pay / POST /charge", "bank")
    assert (found["code"]["path"], found["code_service"], found["owner"]["name"]) == ("pay/bank.py", "pay", "Payments")
    assert (found["critical_share"], found["budget_share"], found["whose"]) == (0.7, 1.25, "dependency")
    assert [example["trace_id"] for example in found["examples"]] == [TRACE]


MARKED = """
    shop/POST /buy 0-200 server error journey=buy
    shop/POST 10-190 client error in "shop/POST /buy"
    pay/POST /charge 20-180 server error in shop/POST
    pay/authorize 25-175 error mandatory in "pay/POST /charge"
    pay/Charge 30-170 client error in pay/authorize peer_service=bank
"""
"""`with cpdd.mandatory("authorize")` is a span, and the caller of what is called inside it."""


def test_a_caller_that_is_a_mark_around_the_call_is_found_all_the_same():
    ends = {"caller": ("pay", "authorize", "internal"), "callee": ("bank", "", "external")}

    found = of_finding(tracked(**ends), traces=(spans_of(MARKED),)).get_json()

    assert (found["edge"]["caller"], found["edge"]["callee"]) == ("pay / authorize", "bank")
    assert found["edge"]["requirement"] == "mandatory"
    assert found["edge"]["requirement_words"].startswith("as declared; 1 failed, caller survived none; about ")
    assert (found["code"]["path"], found["critical_share"]) == ("pay/bank.py", 0.7)


def test_the_escalation_of_a_trace_knows_of_the_mark_around_its_call():
    client = client_of(MemoryReader([spans_of(MARKED)]), EPOCH_NS + 60 * 10**9)

    edge = packet_of(client)["edge"]

    assert (edge["caller"], edge["callee"], edge["requirement"]) == ("pay / POST /charge", "bank", "mandatory")


def test_a_finding_is_a_page_and_markdown_too():
    assert "pay fails with bank" in ReadPage(of_finding(tracked(), "").text).text
    assert of_finding(tracked(), "md").text.startswith("**pay fails with bank**\nGive it a fallback.")


def test_a_finding_without_traces_says_what_it_knows():
    found = of_finding(tracked(caller=None, callee=None, examples=(), owner="@pay"), traces=()).get_json()

    assert (found["edge"], found["code"], found["examples"], found["address"]) == (None, None, [], "")
    assert found["owner"]["name"] == "@pay"
    assert client_of(MemoryReader([]), EPOCH_NS).get("/findings/0/escalation.json").status_code == 404


# What spans bring


def test_names_cannot_act_in_a_chat():
    hostile = "`<!channel>` [x](javascript:alert(1)) **@here**"
    drawing = FAILED.replace("peer_service=bank", "peer_service=PEER").replace("journey=buy", "journey=JOURNEY")
    spans = spans_of(drawing)
    batch = replace(
        spans.batch, strings=tuple(hostile if text in ("PEER", "JOURNEY") else text for text in spans.batch.strings)
    )
    client = client_of(MemoryReader([DetailedSpans(batch, spans.detail)]), EPOCH_NS)

    text = markdown_of(client)

    outside = re.sub(r"`[^`]*`", "", text)
    assert "<!channel>" not in outside
    assert set(re.findall(r"\]\((\w+):", outside)) == {"http", "https"}
    assert json.loads(client.get(f"/traces/{TRACE}/escalation.json").data)["journey"] == hostile


# The page of the trace


def test_the_panel_of_a_span_links_to_its_line_and_names_its_owner(failed):
    said = ReadPage(failed.get(f"/traces/{TRACE}?span=0000000000000004").text)

    assert "pay/bank.py:48" in said.text.replace(" ", "")
    assert "owner Payments #pay-oncall" in said.text
    assert [link for link in said.links if link.startswith("https://github.com/shop/pay/blob/")]
    assert "https://runbooks.example/pay" in said.links


def test_a_trace_says_whose_its_time_was_and_where_errors_began(failed):
    found = failed.get(f"/traces/{TRACE}.json").get_json()["whose"]

    times = {row["whose"]: (row["time_ns"] / 1e6, row["errors"]) for row in found}
    assert times == {"dependency": (160.0, 1), "ours": (36.0, 0), "library": (4.0, 0)}
    assert sum(row["share"] for row in found) == pytest.approx(1)
    assert "1 error began there" in ReadPage(failed.get(f"/traces/{TRACE}").text).text
