"""What was concluded from the traces: findings, how promises stand, verdicts on edges. Rows replace rows by version.

Written by `collector.judge`, read by it after a restart and by the pages.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import orjson
from clickhouse_connect.driver.client import Client

from collector.core.availability import Operation, Proportion
from collector.core.findings.model import Fact, Finding
from collector.core.findings.tracking import Tracked
from collector.core.objectives import Burn, Standing
from collector.core.population.regressions import Level, State
from collector.store.arrow import stream
from collector.store.engine import Store
from collector.store.versions import Versions

STALE_AFTER_S = 600
"""Standings that are older say nothing about now: the judge has stopped, or the store was copied."""

_FINDING_COLUMNS = (
    *("Kind", "Journey", "Service", "Owner", "Urgency", "Title", "Advice", "SinceNs", "SeenNs", "ClearedNs", "Facts"),
)


@dataclass(frozen=True, slots=True)
class EdgeVerdict:
    """The last determined verdict on an edge, and the one before it."""

    verdict: str
    before: str
    """Empty where there was none."""
    since_unix_nano: int


class Judgements:
    """The judge's side of the store. One thread at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._versions = Versions(store, ("findings", "standings", "edge_verdicts", "call_path_levels"))

    def save_findings(self, tracked: Sequence[Tracked], now_ns: int) -> None:
        """Write findings, each replacing the row of its id."""
        if not tracked:
            return
        rows = [_finding_row(one) for one in tracked]
        columns: dict[str, object] = {name: [row[name] for row in rows] for name in rows[0]}
        self._insert("findings", {**columns, "Version": [self._versions.next(now_ns)] * len(rows)})

    def save_standings(self, standings: Mapping[str, Sequence[Standing]], now_ns: int) -> None:
        """Write how the promises of journeys stand."""
        if not standings:
            return
        columns = {
            "Journey": list(standings),
            "Facts": [_json([asdict(one) for one in each]) for each in standings.values()],
            "Version": [self._versions.next(now_ns)] * len(standings),
        }
        self._insert("standings", columns)

    def save_verdicts(self, verdicts: Mapping[tuple[str, int], EdgeVerdict], now_ns: int) -> None:
        """Write verdicts by journey and edge."""
        if not verdicts:
            return
        columns = {
            "Journey": [journey for journey, _ in verdicts],
            "EdgeId": np.array([edge for _, edge in verdicts], np.uint64),
            "Verdict": [one.verdict for one in verdicts.values()],
            "Before": [one.before for one in verdicts.values()],
            "SinceNs": [one.since_unix_nano for one in verdicts.values()],
            "Version": [self._versions.next(now_ns)] * len(verdicts),
        }
        self._insert("edge_verdicts", columns)

    def save_levels(self, journey: str, states: Mapping[int, State], now_ns: int) -> None:
        """Write how call paths of a journey stand against their past, by id."""
        if not states:
            return
        columns = {
            "Journey": [journey] * len(states),
            "PathId": np.array(list(states), np.uint64),
            "Level": [str(state.level) for state in states.values()],
            "Beyond": np.array([state.beyond for state in states.values()], np.uint8),
            "Version": [self._versions.next(now_ns)] * len(states),
        }
        self._insert("call_path_levels", columns)

    def levels(self) -> dict[str, dict[int, State]]:
        """Return by journey and call path how they stood against their past."""
        with self._store.client() as client:
            rows = client.query("SELECT Journey, PathId, Level, Beyond FROM call_path_levels FINAL").result_rows
        found: dict[str, dict[int, State]] = {}
        for journey, path, level, beyond in rows:
            found.setdefault(str(journey), {})[int(path)] = State(Level(str(level)), int(beyond))
        return found

    def findings(self) -> dict[str, Tracked]:
        """Return every finding that is known, by id."""
        with self._store.client() as client:
            return {one.finding.id: one for one in read_findings(client)}

    def verdicts(self) -> dict[tuple[str, int], EdgeVerdict]:
        with self._store.client() as client:
            rows = client.query("SELECT Journey, EdgeId, Verdict, Before, SinceNs FROM edge_verdicts FINAL").result_rows
        return {
            (str(journey), int(edge)): EdgeVerdict(str(verdict), str(before), int(since))
            for journey, edge, verdict, before, since in rows
        }

    def _insert(self, table: str, columns: Mapping[str, object]) -> None:
        with self._store.client() as client:
            self._store.insert(client, table, list(columns), [stream(columns)], "ArrowStream")


def read_findings(client: Client) -> list[Tracked]:
    """Return all findings, cleared ones too."""
    rows = client.query(f"SELECT {', '.join(_FINDING_COLUMNS)} FROM findings FINAL").named_results()
    return [_tracked(row) for row in rows]


def read_standings(client: Client) -> dict[str, tuple[Standing, ...]]:
    """Return how the promises of each journey stand; what nobody judged for ten minutes is left out."""
    rows = client.query(
        f"""
        SELECT Journey, Facts FROM standings FINAL
        WHERE Version >= toUnixTimestamp64Nano(now64(9)) - {STALE_AFTER_S} * 1000000000
        """
    ).result_rows
    return {str(journey): tuple(_standing(one) for one in orjson.loads(facts)) for journey, facts in rows}


def _finding_row(tracked: Tracked) -> dict[str, object]:
    finding = tracked.finding
    rest = {
        "subject": finding.subject,
        "caller": finding.caller,
        "callee": finding.callee,
        "edge_id": f"{finding.edge_id:016x}",
        "facts": [asdict(fact) for fact in finding.facts],
        "examples": finding.examples,
        "version": finding.version,
        "because": tracked.because,
    }
    return {
        "Id": finding.id,
        "Kind": finding.kind,
        "Journey": finding.journey,
        "Service": finding.service,
        "Owner": finding.owner,
        "Urgency": finding.urgency,
        "Open": int(tracked.is_open),
        "Title": finding.title,
        "Advice": finding.advice,
        "SinceNs": tracked.since_unix_nano,
        "SeenNs": tracked.seen_unix_nano,
        "ClearedNs": tracked.cleared_unix_nano,
        "Facts": _json(rest),
    }


def _tracked(row: Mapping[str, Any]) -> Tracked:
    rest = orjson.loads(row["Facts"])
    finding = Finding(
        kind=row["Kind"],
        journey=row["Journey"],
        subject=rest["subject"],
        title=row["Title"],
        advice=row["Advice"],
        service=row["Service"],
        urgency=row["Urgency"],
        caller=_operation(rest["caller"]),
        callee=_operation(rest["callee"]),
        edge_id=int(rest["edge_id"], 16),
        facts=tuple(_fact(fact) for fact in rest["facts"]),
        owner=row["Owner"],
        examples=tuple(rest["examples"]),
        version=rest["version"],
    )
    return Tracked(finding, int(row["SinceNs"]), int(row["SeenNs"]), int(row["ClearedNs"]), rest["because"])


def _operation(parts: list[str] | None) -> Operation | None:
    return None if parts is None else (parts[0], parts[1], parts[2])


def _fact(said: Mapping[str, Any]) -> Fact:
    interval = said["interval"]
    return Fact(said["name"], said["value"], said["unit"], None if interval is None else (interval[0], interval[1]))


def _standing(said: Mapping[str, Any]) -> Standing:
    return Standing(**{**said, "kept": Proportion(**said["kept"]), "burns": _burns(said["burns"])})


def _burns(said: Iterable[Mapping[str, Any]]) -> tuple[Burn, ...]:
    return tuple(Burn(**burn) for burn in said)


def _json(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY).decode()
