"""Who sends spans, kept beside them."""

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.core.attributes import resource_detail
from collector.core.detail import ResourceDetail
from collector.core.spans import SpanBatch
from collector.core.wire import decode_traces
from collector.store.engine import Store
from collector.store.facts import NEW_AT_ONCE, FactsKeeper, Notebook
from collector.store.reader import Reader
from cpdd.testing import FakeClock

HOUR_NS = 3600 * 10**9


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(1_795_000_000 * 10**9)


class CountingReader:
    """Reads resources, and knows how many."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, batch: SpanBatch, row: int) -> ResourceDetail:
        self.count += 1
        return resource_detail(batch, row)


@pytest.fixture
def keeper(store: Store, clock: FakeClock) -> FactsKeeper:
    return FactsKeeper(store, clock.now_ns)


def sent(*resources: dict[str, str]) -> SpanBatch:
    """A request with a span of each resource."""
    request = ExportTraceServiceRequest()
    for number, attributes in enumerate(resources, 1):
        spans = request.resource_spans.add()
        for key, value in attributes.items():
            spans.resource.attributes.add(key=key).value.string_value = value
        spans.scope_spans.add().spans.add(
            trace_id=number.to_bytes(16, "big"),
            span_id=number.to_bytes(8, "big"),
            name="x",
            start_time_unix_nano=1,
            end_time_unix_nano=2,
        )
    batch, _ = decode_traces(request.SerializeToString())
    return batch


def payment(**more: str) -> dict[str, str]:
    said = {name.replace("_", "."): value for name, value in more.items()}
    return {"service.name": "payment", "service.owner.name": "Payments"} | said


def _unreadable(batch: SpanBatch, row: int) -> ResourceDetail:
    raise ValueError("no resource")


def noted(*batches: tuple[int, SpanBatch]) -> tuple[int, list[str]]:
    """Note batches at hours; return how many resources were read, and the versions that are new."""
    read, found = CountingReader(), list[str]()
    notebook = Notebook(read)
    for hour, batch in batches:
        notebook.note(batch, hour)
        found += [facts.version for facts in notebook.take()]
    return read.count, found


def test_a_resource_is_read_once_an_hour():
    both = sent(payment(), payment(service_version="2"))

    assert noted((7, both), (7, both), (7, both), (8, sent(payment()))) == (3, ["", "2", ""])


def test_instances_that_say_the_same_are_noted_once():
    assert noted((7, sent(*(payment(process_pid=str(pid)) for pid in range(50))))) == (50, [""])


def test_a_request_of_many_resources_costs_little_at_once():
    many = sent(*(payment(process_pid=str(pid)) for pid in range(500)))

    assert noted((7, many))[0] == NEW_AT_ONCE


def test_what_could_not_be_written_is_kept():
    notebook = Notebook()
    notebook.note(sent(payment()), 7)

    notebook.put_back(notebook.take())

    assert len(notebook.take()) == 1


def test_what_a_resource_says_is_kept_by_service(store, keeper, clock):
    keeper.start()
    FactsKeeper(store, clock.now_ns, Notebook(_unreadable)).note(sent(payment()))
    keeper.note(
        sent(
            payment(service_version="1.4", service_owner_contact="#pay", service_criticality="critical")
            | {"vcs.ref.head.revision": "0af7", "vcs.repository.url.full": "https://x.example/pay"},
            {"service.name": "a'; DROP TABLE service_facts; --", "service.owner.name": "\x00é"},
        )
    )
    keeper.stop()

    (found,) = Reader(store).service_facts("payment")
    (hostile,) = Reader(store).service_facts("a'; DROP TABLE service_facts; --")
    assert (found.service, found.version, found.owner, found.owner_contact) == ("payment", "1.4", "Payments", "#pay")
    assert (found.criticality, found.revision, found.repository) == ("critical", "0af7", "https://x.example/pay")
    assert found.first_seen_unix_nano == found.last_seen_unix_nano == clock.now_ns()
    assert hostile.owner == "\x00é"


def test_first_and_last_time_are_kept_over_restarts_the_latest_state_first(store, clock):
    began = clock.now_ns()
    for version in ("1", "2", "1"):
        keeper = FactsKeeper(store, clock.now_ns)
        keeper.note(sent(payment(service_version=version)))
        keeper.write()
        clock.advance(ns=HOUR_NS)

    seen = [
        (row.version, (row.first_seen_unix_nano - began) // HOUR_NS, (row.last_seen_unix_nano - began) // HOUR_NS)
        for row in Reader(store).service_facts()
    ]
    assert seen == [("1", 0, 2), ("2", 1, 1)]
