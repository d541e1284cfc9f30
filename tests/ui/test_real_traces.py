"""Traces of real systems on the pages: every one opens, its path adds up and is one line."""

from pathlib import Path

import numpy as np
import pytest

from collector.core.attributes import detailed
from collector.receive.files import read_spans
from tests.ui.conftest import client_of
from tests.ui.memory import MemoryReader
from tests.ui.page_text import ReadPage

DATA = Path(__file__).parents[2] / "../shared/data/otlp"
SETS = ("hotrod", "dsb-socialnetwork", "opensearch-orders-1", "zipkin-small", "smartthings-mobile", "nezha-tt-base")
MOST = 15
"""Traces of a set that are opened."""

pytestmark = pytest.mark.skipif(not DATA.exists(), reason="../shared/data is not here")


@pytest.fixture(scope="module", params=SETS)
def opened(request):
    """The twins and pages of the traces of a set."""
    batch = read_spans(DATA / f"{request.param}.otlp.pb.gz").batch
    _, first, trace_of = np.unique(
        np.stack([batch.trace_id_high, batch.trace_id_low]), axis=1, return_index=True, return_inverse=True
    )
    chosen = range(0, len(first), max(1, len(first) // MOST))
    reader = MemoryReader(detailed(batch.take(np.flatnonzero(trace_of.reshape(-1) == trace))) for trace in chosen)
    client = client_of(reader, int(batch.start_time_unix_nano.max()) + 10**9)
    ids = [batch.trace_id(int(first[trace])) for trace in chosen]
    return client, ids


def test_the_path_adds_up_and_is_one_line(opened):
    client, ids = opened

    for id in ids:
        trace, said = client.get(f"/traces/{id}.json").get_json(), ReadPage(client.get(f"/traces/{id}").text)

        assert sum(step["duration_ns"] for step in trace["line"]) == trace["duration_ns"]
        assert " ".join(trace["answer"].split()) in said.text
        lines = [line for line in said.with_class("path-line") if line.get("vector-effect")]
        assert all(line["d"].count("M") == 1 for line in lines)
        assert bool(lines) == (trace["duration_ns"] > 0)


def test_every_span_opens_in_full(opened):
    client, ids = opened

    for id in ids[:3]:
        trace = client.get(f"/traces/{id}.json?show=all").get_json()
        for row in trace["rows"][:: max(1, len(trace["rows"]) // 10)]:
            selected = client.get(f"/traces/{id}.json?show=all&span={row['id']}").get_json()["selected"]
            assert (selected["service"], selected["duration_ns"]) == (row["service"], row["duration_ns"])
            assert ReadPage(client.get(f"/traces/{id}?show=all&span={row['id']}").text).with_class("why")


def test_the_path_of_the_whole_trace_reaches_from_its_first_start_to_its_last_end(opened):
    client, ids = opened

    for id in ids:
        trace = client.get(f"/traces/{id}.json?of=trace").get_json()
        pages = [
            trace,
            *(client.get(f"/traces/{id}.json?of=trace&page={n + 2}").get_json() for n in range(trace["pages"] - 1)),
        ]

        assert trace["duration_ns"] == trace["trace_duration_ns"]
        slices = trace["overview"]["slices"] if trace["overview"] else ()
        whole = [step["duration_ns"] for step in trace["line"]]
        whole = [sum(each["times_ns"]) + each["rest_ns"] for each in slices] or whole
        assert sum(whole) == trace["duration_ns"]
        drawn = {step["offset_ns"] for page in pages for step in page["line"] if step["shown"]}
        page_of = {row["id"]: page for page in pages for row in page["rows"]}
        for section in trace["sections"]:
            page, start = page_of[section["id"]], section["offset_ns"]
            seen = start < page["axis_end_ns"] and start + section["duration_ns"] > page["axis_start_ns"]
            assert (start in drawn) == seen


def test_their_journeys_open(opened):
    client, _ = opened

    listed = client.get("/.json?last=30d").get_json()
    for row in [*listed["needs_you"], *listed["others"]]:
        assert ReadPage(client.get(row["address"]).text).with_class("graph")
