"""Findings of the running cpdd that the traces of a report come from."""

from collections.abc import Mapping
from typing import Any

import orjson

from collector.core.findings.model import Fact, Finding
from collector.core.graph import DependencyGraph
from cpdd.cli._jaeger import Fetch, QueryError, fetch_over_http, root_of


def findings_at(base: str, graph: DependencyGraph, fetch: Fetch = fetch_over_http) -> tuple[Finding, ...] | None:
    """Return the open findings of a running cpdd about journeys and services of a graph; None: it is no cpdd.

    They rest on more than the traces of the report, and know promises, versions and owners.
    """
    try:
        answer = orjson.loads(fetch(f"{root_of(base)}/findings.json"))
        found = [_finding(row) for group in answer["groups"] for row in group["findings"]]
    except (QueryError, orjson.JSONDecodeError, KeyError, TypeError):
        return None
    journeys, services = {journey for journey, _ in graph.roots}, {node.service for node in graph.nodes}
    return tuple(finding for finding in found if finding.journey in journeys or finding.service in services)


def _finding(row: Mapping[str, Any]) -> Finding:
    return Finding(
        kind=str(row["kind"]),
        journey=str(row["journey"]),
        subject=str(row["id"]),
        title=str(row["title"]),
        advice=str(row["advice"]),
        service=str(row["service"]),
        urgency=str(row["urgency"]),
        facts=tuple(Fact(str(fact["name"]), float(fact["value"]), str(fact["unit"])) for fact in row["facts"]),
        owner=str(row["owner"]),
        examples=tuple(str(example["trace_id"]) for example in row["examples"]),
        version=str(row["version"]),
    )
