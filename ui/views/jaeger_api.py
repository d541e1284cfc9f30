"""Jaeger's query API, version 1: what Jaeger's UI, Grafana's Jaeger data source and scripts ask for.

Same addresses, parameters and shapes as jaeger-query; docs/reference/http-api.md lists where the answers differ.
Source: cmd/query/app/http_handler.go and query_parser.go of jaegertracing/jaeger.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

import orjson
from flask import Flask, Response, request

from collector.core.formats.jaeger_export import to_jaeger
from collector.store.values import TraceQuery, TraceSummary, Window
from ui.views.durations import UNITS_NS
from ui.views.errors import BadAddress, NothingThere
from ui.views.reader import TraceReader

LIMIT = 100
GREATEST_LIMIT = 1_500
LOOK_BACK_NS = 2 * 86_400 * 10**9
"""Range of a search that names none."""
DEPENDENCIES_LOOK_BACK_MS = 86_400_000
LOOKED_THROUGH = 10
"""How many times the limit is read for filters that the store does not know."""

_GO_PART = re.compile(r"(\d{1,19}(?:\.\d{0,19})?|\.\d{1,19})(ns|us|µs|μs|ms|s|m|h)")
_LOOK_BACK_UNITS_NS = {**UNITS_NS, "d": 86_400 * 10**9, "w": 604_800 * 10**9}

Query = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class JaegerSearch:
    """A search as asked for."""

    query: TraceQuery
    with_errors: bool
    """Only traces with a span that failed: Jaeger's tag `error=true`, which OTLP says as a status."""


def add_routes(app: Flask, reader: TraceReader, clock: Callable[[], int]) -> None:
    """Add the addresses under `/api`."""

    def services() -> Response:
        names = reader.services()
        return _answer(names, total=len(names))

    def operations_of(service: str) -> Response:
        names = sorted({name for name, _ in reader.operations(service)})
        return _answer(names, total=len(names))

    def operations() -> Response:
        service, kind = request.args.get("service", ""), request.args.get("spanKind", "")
        if not service:
            raise BadAddress("parameter 'service' is required")
        found = [
            {"name": name, "spanKind": "" if its_kind == "unspecified" else its_kind}
            for name, its_kind in sorted(reader.operations(service))
            if not kind or its_kind == kind
        ]
        return _answer(found, total=len(found))

    def traces() -> Response:
        ids = request.args.getlist("traceID")
        if not ids:
            ids = find_trace_ids(reader, read_search(request.args, request.args.getlist("tag"), clock()))
        return _answer(_documents(reader, [read_jaeger_id(each) for each in ids]))

    def trace(trace_id: str) -> Response:
        documents = _documents(reader, [read_jaeger_id(trace_id)])
        if not documents:
            raise NothingThere("trace not found")
        return _answer(documents)

    def dependencies() -> Response:
        calls = reader.service_calls(read_dependency_window(request.args))
        return _answer([{"parent": c.parent, "child": c.child, "callCount": c.call_count} for c in calls])

    app.add_url_rule("/api/services", "jaeger_services", services)
    app.add_url_rule("/api/services/<anything:service>/operations", "jaeger_operations_of", operations_of)
    app.add_url_rule("/api/operations", "jaeger_operations", operations)
    app.add_url_rule("/api/traces", "jaeger_traces", traces)
    app.add_url_rule("/api/traces/<trace_id>", "jaeger_trace", trace)
    app.add_url_rule("/api/dependencies", "jaeger_dependencies", dependencies)


def error_answer(status: int, message: str) -> Response:
    """Return an error in Jaeger's shape."""
    body = {"data": None, "total": 0, "limit": 0, "offset": 0, "errors": [{"code": status, "msg": message}]}
    return Response(orjson.dumps(body), status=status, mimetype="application/json")


def _answer(data: object, total: int = 0) -> Response:
    body = {"data": data, "total": total, "limit": 0, "offset": 0, "errors": None}
    return Response(orjson.dumps(body), mimetype="application/json")


def _documents(reader: TraceReader, trace_ids: list[str]) -> list[object]:
    """The stored ones of these traces, in this order."""
    found = {document["traceID"]: document for document in to_jaeger(reader.traces(trace_ids))["data"]}
    return [found[each] for each in dict.fromkeys(trace_ids) if each in found]


def find_trace_ids(reader: TraceReader, search: JaegerSearch) -> list[str]:
    """Return the ids of the traces that a search finds, newest first."""
    if not search.with_errors:
        return [trace.trace_id for trace in reader.find(search.query)]
    wide = replace(search.query, limit=search.query.limit * LOOKED_THROUGH)
    with_errors: list[TraceSummary] = [trace for trace in reader.find(wide) if trace.errors]
    return [trace.trace_id for trace in with_errors[: search.query.limit]]


def read_search(query: Query, tags: list[str], now_unix_nano: int) -> JaegerSearch:
    """Return what `/api/traces` asks for. Times are microseconds, durations Go's (`1.2s`, `100ms`)."""
    if not query.get("service"):
        raise BadAddress("parameter 'service' is required")
    end = _microseconds(query, "end", now_unix_nano)
    start = _microseconds(query, "start", end - _look_back(query.get("lookback", "")))
    least = parse_go_duration_ns("minDuration", query.get("minDuration", ""))
    most = parse_go_duration_ns("maxDuration", query.get("maxDuration", ""))
    if least and most and least > most:
        raise BadAddress("'maxDuration' should be greater than 'minDuration'")
    attributes = _attributes(query.get("tags", ""), tags)
    with_errors = ("error", "true") in attributes
    return JaegerSearch(
        TraceQuery(
            window=Window(start, end),
            service=query["service"],
            operation="" if query.get("operation") == "all" else query.get("operation", ""),
            attributes=tuple(pair for pair in attributes if pair != ("error", "true")),
            min_duration_ns=least,
            max_duration_ns=most,
            limit=_limit(query.get("limit", "")),
        ),
        with_errors=with_errors,
    )


def _limit(text: str) -> int:
    if not text:
        return LIMIT
    if not (text.isascii() and text.isdigit()) or not int(text[:9]):
        raise BadAddress(f"unable to parse param 'limit': {text!r} is no whole number above 0")
    return min(int(text[:9]), GREATEST_LIMIT)


def _microseconds(query: Query, name: str, default_ns: int) -> int:
    text = query.get(name, "")
    if not text:
        return default_ns
    if not (text.isascii() and text.isdigit() and len(text) <= 16):
        raise BadAddress(f"unable to parse param {name!r}: {text!r} is no Unix time in microseconds")
    return int(text) * 1_000


def _look_back(text: str) -> int:
    """`1h`, `2d`, as Jaeger's UI says it; `custom` and nothing are the default."""
    match = re.fullmatch(r"(\d{1,6})(ns|us|ms|s|m|h|d|w)", text)
    return int(match[1]) * _LOOK_BACK_UNITS_NS[match[2]] if match else LOOK_BACK_NS


def parse_go_duration_ns(name: str, text: str) -> int:
    """Return the length of Go's `1h2m3.5s`; empty is 0.

    >>> parse_go_duration_ns("minDuration", "1.5ms")
    1500000
    """
    if not text:
        return 0
    parts = _GO_PART.findall(text)
    if "".join(number + unit for number, unit in parts) != text:
        raise BadAddress(f"unable to parse param {name!r}: {text!r} is no duration such as 1.2s or 100ms")
    return int(sum(Fraction(number.rstrip(".")) * UNITS_NS[unit] for number, unit in parts))


def _attributes(document: str, tags: list[str]) -> list[tuple[str, str]]:
    """`tags={"http.status_code":"500"}` and `tag=http.status_code:500`."""
    pairs = []
    for tag in tags:
        key, colon, value = tag.partition(":")
        if not colon:
            raise BadAddress(f"malformed 'tag' parameter, expecting key:value, received: {tag}")
        pairs.append((key, value))
    if document:
        try:
            parsed = orjson.loads(document)
        except orjson.JSONDecodeError as error:
            raise BadAddress(f"malformed 'tags' parameter, cannot unmarshal JSON: {error}") from error
        if not isinstance(parsed, dict) or not all(isinstance(value, str) for value in parsed.values()):
            raise BadAddress("malformed 'tags' parameter, expecting a JSON object of strings")
        pairs += parsed.items()
    return pairs


def read_dependency_window(query: Query) -> Window:
    """Return the window of `/api/dependencies`: `endTs` and `lookback` in milliseconds."""
    end = query.get("endTs", "")
    if not (end.isascii() and end.isdigit() and len(end) <= 13):
        raise BadAddress(f"unable to parse 'endTs': {end!r} is no Unix time in milliseconds")
    back = query.get("lookback", "") or str(DEPENDENCIES_LOOK_BACK_MS)
    if not (back.isascii() and back.isdigit() and len(back) <= 13):
        raise BadAddress(f"unable to parse 'lookback': {back!r} is no number of milliseconds")
    return Window((int(end) - int(back)) * 1_000_000, int(end) * 1_000_000)


def read_jaeger_id(text: str) -> str:
    """Return 32 hex digits of a 64- or 128-bit id, leading zeros left off or not."""
    if not re.fullmatch(r"[0-9a-fA-F]{1,32}", text):
        raise BadAddress(f"error parsing trace ID: {text!r} is no hex number of at most 128 bits")
    return text.lower().rjust(32, "0")
