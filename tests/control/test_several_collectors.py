"""Two sampling services on one ClickHouse server: what is changed at one is in force at the other."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import pairwise
from typing import Any

import pytest

from collector.control.traffic_keeper import TrafficKeeper
from collector.store.engine import Store, open_store
from collector.store.sampling_log import SamplingLog
from collector.store.sampling_traffic import TrafficLog
from tests.control.control_server import ControlServer, MemoryLog, control_server
from tests.cpdd.sampling.following import following
from tests.cpdd.sampling.policies import policy
from tests.store.conftest import serving

Pair = tuple[ControlServer, ControlServer]


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Store]]:
    """Those of two collectors, on one server: the real engine behind HTTP."""
    folder = tmp_path_factory.mktemp("shared")
    with serving(folder / "engine") as (port, _):
        dsn = f"clickhouse://127.0.0.1:{port}/shared"
        with open_store(dsn, folder / "one", None) as one, open_store(dsn, folder / "other", None) as other:
            yield one, other


@pytest.fixture
def pair(stores: tuple[Store, Store]) -> Iterator[Pair]:
    with stores[0].client() as client:
        SamplingLog(stores[0])
        client.command("TRUNCATE TABLE sampling_log")
    with ExitStack() as stack:
        one, other = (stack.enter_context(control_server(SamplingLog(s), is_shared=True)) for s in stores)
        yield one, other


def look(*servers: ControlServer) -> None:
    """What happens once a second, now."""
    for server in servers:
        server.loop.run(server.service._ledger.look())


def sampled(server: ControlServer) -> Any:
    """What is in force for a service that all policies of these tests concern."""
    code, found = server.ask("GET", "/v1/policies?service=shop")
    assert code == 200
    return {**found, "sent_unix_ms": 0}


def test_what_is_changed_at_one_is_pushed_to_the_clients_of_the_other(pair: Pair):
    one, other = pair
    with following(other.address) as (sampler, keeper):
        sampler.wait_for(lambda: keeper.standing.hash != "")
        one.boost(service="shop", id="inc", author="ann", reason="INC-42")
        sampler.wait_for(sampler.keeps)
        _, state = other.ask("GET", "/v1/state")
        one.ask("DELETE", "/v1/boosts/inc")
        sampler.wait_for(lambda: not sampler.keeps())

    assert [(row["author"], row["reason"], row["version"]) for row in state["log"]] == [("ann", "INC-42", 1)]
    assert [boost["id"] for boost in state["boosts"]] == ["inc"]


def test_a_change_is_made_on_the_newest_state_wherever_it_was_made(pair: Pair):
    one, other = pair
    one.ask("POST", "/v1/policies", policy("a", 10))

    _, second = other.ask("POST", "/v1/policies", policy("b", 20))
    _, third = one.ask("DELETE", "/v1/policies/b")
    one.boost(service="shop", id="inc", duration_s=10)
    code, extended = other.ask("POST", "/v1/boosts/inc/extend", {"duration_s": 60})

    look(one)
    assert (second["version"], third["version"], code, extended["version"]) == (2, 3, 200, 5)
    assert sampled(one) == sampled(other)
    assert [found["id"] for found in sampled(one)["policies"]] == ["a", "inc"]


def test_changes_at_the_same_time_are_all_in_force_at_both_and_versions_never_go_back(pair: Pair):
    def change(server: ControlServer, names: str) -> list[int]:
        return [server.ask("POST", "/v1/policies", policy(name, 10))[1]["version"] for name in names]

    with ThreadPoolExecutor(2) as asking:
        versions = list(asking.map(change, pair, ("abcde", "vwxyz")))
    look(*pair)

    assert sampled(pair[0]) == sampled(pair[1])
    assert [found["id"] for found in sampled(pair[0])["policies"]] == list("abcdevwxyz")
    assert all(later > earlier for said in versions for earlier, later in pairwise(said))
    assert sampled(pair[0])["version"] == max(map(max, versions))


def test_clients_of_both_add_no_more_than_a_boost_may_and_nearly_all_of_it(pair: Pair):
    used = {"a": 0, "b": 0}
    pair[0].boost(service="shop", id="inc", max_traces=40)
    look(pair[1])
    deadline_s = time.monotonic() + 60

    while sum(used.values()) < 36 and time.monotonic() < deadline_s:
        for server, name in zip(pair, used, strict=True):
            report = {"service": "shop", "instance": name, "interval_s": 1.0, "leases": {"inc": used[name]}}
            used[name] = server.ask("POST", "/v1/status", report)[1]["leases"]["inc"]
    _, state = pair[1].ask("GET", "/v1/state")

    assert 36 <= sum(used.values()) <= 40
    assert min(used.values()) >= 5
    assert used["b"] < state["boosts"][0]["added_traces"] <= 40


def test_both_together_keep_a_budget(stores: tuple[Store, Store], pair: Pair):
    pair[0].ask("POST", "/v1/policies", policy("b", kind="budget", traces_per_second=6))
    look(pair[1])
    report: dict[str, Any] = {"service": "shop", "interval_s": 1.0}
    sees = {"a": 300, "b": 100}

    with ThreadPoolExecutor(1) as workers:

        def keeper(server: ControlServer, store: Store) -> TrafficKeeper:
            return TrafficKeeper(server.service.fleet, server.service.budgets, TrafficLog(store), workers)

        keepers = list(map(keeper, pair, stores))
        for _ in range(2):
            for server, (name, seen) in zip(pair, sees.items(), strict=True):
                said = [{"name": "GET /", "rule": "b", "seen": seen, "kept": seen}]
                server.ask("POST", "/v1/status", {**report, "instance": name, "operations": said})
            for server, telling in [*zip(pair, keepers, strict=True)] * 2:
                server.loop.run(telling.exchange())

    assert [sampled(server)["policies"][0]["trace"]["keep"]["percentage"] for server in pair] == [1.5, 1.5]
    assert [sampled(server)["policies"][0]["cpdd"]["local_traces_per_second"] for server in pair] == [3.0, 3.0]


def test_one_that_starts_later_reads_what_both_have_written(stores: tuple[Store, Store], pair: Pair):
    for server, name in zip(pair, "ab", strict=True):
        server.ask("POST", "/v1/policies", policy(name, 10))
    look(*pair)

    with control_server(SamplingLog(stores[0]), is_shared=True) as third:
        found = sampled(third)

    assert found == sampled(pair[0]) == sampled(pair[1])


class AwayLog(MemoryLog):
    """A log of a store that is away now and then."""

    is_away = False

    def written(self) -> Any:
        if self.is_away:
            raise OSError("store away")
        return super().written()


def test_a_store_that_is_away_changes_nothing_and_refuses_changes(caplog: pytest.LogCaptureFixture):
    log = AwayLog()
    with control_server(log, is_shared=True) as server:
        server.ask("POST", "/v1/policies", policy("a", 10))
        log.is_away = True
        look(server, server)
        code, refusal = server.ask("POST", "/v1/policies", policy("b", 10))
        meanwhile = [found["id"] for found in sampled(server)["policies"]]
        log.is_away = False
        look(server)
        again, _ = server.ask("POST", "/v1/policies", policy("b", 10))

    assert (code, refusal["error"], again) == (500, "store away", 200)
    assert meanwhile == ["a"]
    said = [
        (record.message, getattr(record, "reason", "")) for record in caplog.records if "tors sample" in record.message
    ]
    assert said == [
        ("cannot read what other collectors sample, trying again", "store away"),
        ("what other collectors sample is read again", ""),
    ]
