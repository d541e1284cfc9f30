"""What marks say of the calls inside them is the same on every page, in the graph, in metrics and in findings."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np
import pytest
from flask.testing import FlaskClient
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

import cpdd
from collector.core.attributes import detail
from collector.core.detail import DetailedSpans
from collector.core.findings.model import JourneySeen
from collector.core.graph_build import dependency_graph
from collector.core.graph_levels import service_graph
from collector.core.journeys_file import parse_journeys
from collector.core.mandatory import mandatory_subgraph
from collector.core.spans import SpanBatch
from collector.core.wire import decode_traces
from collector.observed import edge_seen
from collector.service_metrics import edge_requirements
from collector.store.values import Window
from cpdd.testing import MemoryExporter
from tests.ui.memory import MemoryReader
from ui.app import create_app
from ui.views.page import UiSettings

JOURNEY = "tests: POST /buy"
TRACES, REFUSED, TIPLESS = 80, 3, 60
"""So many cards are refused: too few to tell that nobody buys without. So many times there are no tips."""


class Refused(Exception):
    """What the callee says."""


@contextmanager
def calling(callee: trace.Tracer, operation: str, fails: bool) -> Iterator[None]:
    """A CLIENT span, and the callee's SERVER span below it."""
    with trace.get_tracer("tests").start_as_current_span("POST", kind=trace.SpanKind.CLIENT):
        with callee.start_as_current_span(operation, kind=trace.SpanKind.SERVER):
            if fails:
                raise Refused(operation)
        yield


def buy(number: int, payment: trace.Tracer, tips: trace.Tracer) -> None:
    with trace.get_tracer("tests").start_as_current_span("POST /buy", kind=trace.SpanKind.SERVER):
        with cpdd.mandatory("charge"), calling(payment, "POST /pay", fails=number < REFUSED):
            pass
        with cpdd.optional("suggest", fallback=None), calling(tips, "GET /tips", fails=number >= TRACES - TIPLESS):
            pass


@pytest.fixture
def batch(spans: MemoryExporter) -> SpanBatch:
    """The spans of a program with marks, as they were sent."""
    callees = []
    for service in ("payment", "tips"):
        provider = TracerProvider(resource=Resource({"service.name": service}))
        provider.add_span_processor(SimpleSpanProcessor(spans))
        callees.append(provider.get_tracer("tests"))
    for number in range(TRACES):
        with suppress(Refused):
            buy(number, *callees)
    return decode_traces(encode_spans(spans.spans).SerializeToString())[0]


@pytest.fixture
def reader(batch: SpanBatch) -> MemoryReader:
    of_trace = np.unique(batch.trace_id_low, return_inverse=True)[1]
    found = (batch.take(np.flatnonzero(of_trace == number)) for number in range(TRACES))
    return MemoryReader(DetailedSpans(one, lambda row, one=one: detail(one, row)) for one in found)


@pytest.fixture
def client(batch: SpanBatch, reader: MemoryReader) -> FlaskClient:
    book = parse_journeys(f'[[journey]]\nname = "{JOURNEY}"\navailability = "90 %"')
    newest = int(batch.start_time_unix_nano.max())
    app = create_app(reader, UiSettings("", "", "1", book=book), clock=lambda: newest + 10**9)
    return app.test_client()


def twin(client: FlaskClient, address: str) -> dict:
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def test_the_journey_its_services_and_a_search_agree_on_what_a_mark_declares(client: FlaskClient):
    page = twin(client, f"/journeys/{JOURNEY.replace(' ', '%20').replace('/', '%2F')}.json")
    edges = {row["edge"]["callee"]["operation"]: row for row in page["edges"]}
    payment, tips = (twin(client, f"/services/{name}.json") for name in ("payment", "tips"))
    shop = {row["name"]: row["requirement"] for row in twin(client, "/services/tests.json")["callees"]}
    listed = {row["service"]: row["mandatory_for"] for row in twin(client, "/services.json")["services"]}
    failed = twin(client, "/search.json?call=mandatory-failed&service=payment")

    assert (edges["POST /pay"]["requirement"]["observed"], edges["POST /pay"]["requirement"]["around"]) == (
        "undetermined",
        "mandatory",
    )
    assert (edges["POST /pay"]["need"], edges["GET /tips"]["need"]) == ("mandatory", "optional")
    assert payment["answer"].startswith(f"Without payment, {JOURNEY} goes down.")
    assert [row["need"] for row in (*payment["journeys"], *tips["journeys"])] == ["mandatory", "optional"]
    assert shop == {"payment": "mandatory", "tips": "optional"}
    assert [row["requirement"] for row in (*payment["callers"], *tips["callers"])] == ["mandatory", "optional"]
    assert listed == {"payment": [JOURNEY], "tips": [], "tests": []}
    assert len(failed["traces"]) == REFUSED


def test_what_a_mark_fails_with_is_mandatory_for_the_mark_and_not_for_its_service(reader: MemoryReader):
    (edges,) = reader.calls(Window(0, 2**63)).values()
    seen = {edge.callee.operation: edge_seen(edge).verdict for edge in edges}

    assert (seen["suggest"], seen["GET /tips"]) == ("optional", "mandatory")


def test_a_call_inside_a_mandatory_mark_has_to_have_the_nine_that_its_journey_needs(client: FlaskClient):
    page = twin(client, f"/contracts.json?journey={JOURNEY.replace(' ', '%20')}")
    (row,) = twin(client, "/services/payment.json")["journeys"]

    assert "payment" in {row["nine"]["node"][0] for row in page["nines"]}
    assert row["nine"]["required"] == "99\u00a0%"


def test_metrics_say_what_the_pages_say(reader: MemoryReader):
    (edges,) = reader.calls(Window(0, 2**63)).values()

    found = edge_requirements([JourneySeen(JOURNEY, TRACES, tuple(map(edge_seen, edges)))])

    assert {(server, requirement) for _, server, _, requirement in found} == {
        ("payment", "mandatory"),
        ("tips", "optional"),
    }


def test_the_graph_of_the_same_spans_says_it_too(batch: SpanBatch):
    graph = dependency_graph(batch)
    edges = {edge.callee.operation: edge for edge in graph.edges}
    services = {edge.callee.service: edge.requirement for edge in service_graph(graph).edges}

    assert (edges["POST /pay"].declared, edges["POST /pay"].requirement) == (None, "mandatory")
    assert edges["POST /pay"].to_json()["requirement"]["declared_around"] == "mandatory"
    assert "payment / POST /pay" in mandatory_subgraph(graph, JOURNEY).mandatory
    assert services == {"payment": "mandatory", "tips": "optional"}
