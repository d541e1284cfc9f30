"""A whole trace as a file that other tools read: OTLP/JSON and Jaeger JSON."""

from collections.abc import Callable

import orjson
from flask import Flask, Response

from collector.core.detail import DetailedSpans
from collector.core.formats.jaeger_export import to_jaeger
from collector.core.formats.otlp_json_export import to_otlp_json
from ui.views.errors import NothingThere
from ui.views.openapi import Download
from ui.views.reader import TraceReader
from ui.views.trace_asked import read_trace_id

FORMATS: dict[str, Callable[[DetailedSpans], object]] = {
    "otlp": to_otlp_json,
    "jaeger": lambda spans: to_jaeger([spans]),
}

DOWNLOADS = tuple(
    Download(
        f"download_{form}",
        f"/traces/<trace_id>.{form}.json",
        f"A whole trace as {words}, as a file",
        "application/json",
        {"type": "object", "description": f"as {where} describes it"},
    )
    for form, words, where in (
        ("otlp", "OTLP/JSON", "the OpenTelemetry protocol (ExportTraceServiceRequest)"),
        ("jaeger", "Jaeger JSON", "Jaeger's query API (/api/traces/ID)"),
    )
)


def add_routes(app: Flask, reader: TraceReader) -> None:
    """Add `/traces/ID.otlp.json` and `/traces/ID.jaeger.json`."""

    def download(trace_id: str, form: str) -> Response:
        trace_id = read_trace_id(trace_id)
        spans = reader.trace(trace_id)
        if spans is None:
            raise NothingThere(f"no span of trace {trace_id} is stored")
        response = Response(orjson.dumps(FORMATS[form](spans)), mimetype="application/json")
        response.headers["Content-Disposition"] = f'attachment; filename="{trace_id}.{form}.json"'
        return response

    for form, described in zip(FORMATS, DOWNLOADS, strict=True):
        app.add_url_rule(described.address, described.name, download, defaults={"form": form})
