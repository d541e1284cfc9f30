"""A store of an older cpdd is brought up to date, with what it holds."""

from pathlib import Path

import pytest

from collector.store import schema
from collector.store.derived import Derived
from collector.store.engine import open_store
from collector.store.reader import Reader
from collector.store.values import TraceQuery, Window
from tests.store.learned import EdgeSteps, LearnedTrace, learned
from tests.store.spans import MINUTE_NS, NOON, Span
from tests.store.test_derived import NOW, commit

CALL: EdgeSteps = (("shop", "POST /checkout"), ("pay", "POST /pay"))


def make_old_store(folder: Path, version: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store as the cpdd made it whose tables had this version."""
    with monkeypatch.context() as old:
        for module in ("engine", "schema"):
            old.setattr(f"collector.store.{module}.VERSION", version)
        old.setattr("collector.store.schema._ttls", ttls_without_keeping)
        with open_store("chdb://", folder) as store:
            commit(store, [Span(1, 1), Span(1, 2)])
            rows = learned([LearnedTrace(1, edges={CALL: {"Calls": 1, "Failed": 1}})], NOW)
            for added, column in ((3, "Edge.Injected"), (4, "Edge.BlamedInjected")):
                if version < added:
                    del rows.traces[column]
            Derived(store).write(rows)


def ttls_without_keeping(retention: schema.Retention) -> dict[str, str]:
    return {
        "otel_traces": f"IngestedAt + INTERVAL {retention.spans_s} SECOND",
        "traces": f"toDateTime(intDiv(Version, 1000000000)) + INTERVAL {retention.traces_s} SECOND",
    }


def test_a_store_of_version_1_keeps_its_traces_and_gets_what_is_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_old_store(tmp_path, 1, monkeypatch)

    with open_store("chdb://", tmp_path) as store:
        found = Reader(store).find(TraceQuery(Window(NOON - MINUTE_NS, NOON + MINUTE_NS)))
        shown = Reader(store).stored(f"{1:032x}")
        with store.client() as client:
            traces = str(client.command("SHOW CREATE TABLE traces"))
            versions = client.query("SELECT Version FROM schema_version ORDER BY AppliedAt").result_rows
            kept = client.query("SELECT count() FROM kept_spans").result_rows

    assert [trace.trace_id for trace in found] == [f"{1:032x}"]
    assert shown is not None
    assert len(shown.spans.batch) == 2
    assert versions == [(1,), (schema.VERSION,)]
    assert kept == [(0,)]
    assert "TTL greatest(" in traces
    assert "ttl_only_drop_parts = 0" in traces


def test_a_trace_of_version_2_has_calls_of_which_nobody_injected_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_old_store(tmp_path, 2, monkeypatch)

    with open_store("chdb://", tmp_path) as store:
        Derived(store).write(learned([LearnedTrace(2, edges={CALL: {"Calls": 1, "Failed": 1, "Injected": 1}})], NOW))
        Derived(store).recompute_minutes({NOON // MINUTE_NS})
        detail = Reader(store).journey("check out", Window(NOON, NOON + MINUTE_NS))

    assert detail is not None
    (edge,) = detail.edges
    assert (edge.calls, edge.failed, edge.injected) == (2, 2, 1)


def test_one_trace_is_looked_for_in_granules_that_may_have_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_old_store(tmp_path, 5, monkeypatch)

    with open_store("chdb://", tmp_path) as store, store.client() as client:
        Derived(store).write(learned([LearnedTrace(20)], NOW))
        client.command("OPTIMIZE TABLE traces FINAL")  # a part that was there has no index before it is merged
        asked = f"EXPLAIN indexes = 1 SELECT Start FROM traces WHERE TraceId = '{9:032x}'"
        plan = [row[0].strip() for row in client.query(asked).result_rows]

    by_trace = plan[plan.index("Name: idx_trace_id") :]
    assert "Granules: 0/1" in by_trace


def test_every_version_has_its_statements() -> None:
    assert sorted(schema.MIGRATIONS) == list(range(1, schema.VERSION + 1))
