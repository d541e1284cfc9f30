"""What `cpdd send` brings into a real `cpdd serve` comes back over Jaeger's query API, types included.

What is expected is read by protobuf's own runtime from the same file. Jaeger's JSON has microseconds, and JSON text
for arrays and maps.
"""

import base64
import gzip
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from click.testing import CliRunner
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from cpdd.cli import cli
from tests.serving import server_process
from tests.store.reference_rows import requests_of

DATA = Path(__file__).parents[2] / "../shared/data/otlp"
SETS = (
    "derived-batch-5k",
    "dsb-socialnetwork",
    "nezha-ob-base",
    "nezha-ob-cart-delay",
    "nezha-ob-frontend-cpu",
    "nezha-tt-base",
    "nezha-tt-contacts-cpu",
    "nezha-tt-route-exception",
    "opensearch-orders-1",
    "smartthings-mobile",
    "zipkin-small",
)
Json = dict[str, Any]
Tag = tuple[str, str, str]
"""Key, type and value as JSON."""

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is absent")


@pytest.mark.parametrize("name", ["hotrod", *(pytest.param(name, marks=pytest.mark.slow) for name in SETS)])
def test_every_span_of_a_file_comes_back_over_jaegers_api(name: str, tmp_path: Path) -> None:
    file = DATA / f"{name}.otlp.pb.gz"
    with server_process(tmp_path) as server:
        sent = CliRunner().invoke(cli, ["send", "--endpoint", server.addresses["otlp_http"], str(file)])
        assert sent.exit_code == 0, sent.output

        for trace_id, expected in spans_by_trace(file).items():
            with urlopen(f"{server.addresses['ui']}/api/traces/{trace_id}", timeout=60) as answer:
                (trace,) = json.load(answer)["data"]
            found = (read_back(span, trace["processes"]) for span in trace["spans"])
            assert sorted(found, key=repr) == sorted(expected, key=repr)


def spans_by_trace(file: Path) -> dict[str, list[Json]]:
    """Read a file by protobuf's runtime."""
    found: dict[str, list[Json]] = defaultdict(list)
    for body in requests_of(gzip.decompress(file.read_bytes())):
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = {pair.key: pair.value for pair in group.resource.attributes}
            process = tags(pair for pair in group.resource.attributes if pair.key != "service.name")
            for scoped in group.scope_spans:
                for span in scoped.spans:
                    found[span.trace_id.hex()].append(
                        {
                            "service": resource["service.name"].string_value,
                            "process": process,
                            "id": span.span_id.hex(),
                            "name": span.name,
                            "parents": parents_of(span),
                            "start_us": span.start_time_unix_nano // 1000,
                            "duration_us": max(span.end_time_unix_nano - span.start_time_unix_nano, 0) // 1000,
                            "attributes": sorted([*tags(span.attributes), *added(span, scoped.scope)]),
                            "events": [
                                (event.time_unix_nano // 1000, event.name, tags(event.attributes))
                                for event in span.events
                            ],
                        }
                    )
    return found


def parents_of(span: Span) -> list[tuple[str, str]]:
    """The parent, then the links that lead elsewhere."""
    trace_id, parent = span.trace_id.hex(), span.parent_span_id.hex()
    links = [(link.trace_id.hex(), link.span_id.hex()) for link in span.links]
    return [*([(trace_id, parent)] if parent else []), *(link for link in links if link != (trace_id, parent))]


def tags(pairs: Iterator[KeyValue] | Any) -> list[Tag]:
    return sorted(tag(pair.key, pair.value) for pair in pairs)


def tag(key: str, value: AnyValue) -> Tag:
    match value.WhichOneof("value"):
        case "string_value":
            return key, "string", json.dumps(value.string_value)
        case "bool_value":
            return key, "bool", json.dumps(value.bool_value)
        case "int_value":
            small = abs(value.int_value) < 2**53
            return key, "int64", json.dumps(value.int_value if small else str(value.int_value))
        case "double_value":
            return key, "float64", json.dumps(value.double_value)
        case "bytes_value":
            return key, "binary", json.dumps(base64.b64encode(value.bytes_value).decode())
        case "array_value":
            items = [json.loads(tag("", item)[2]) for item in value.array_value.values]
            return key, "string", json.dumps(json.dumps(items, separators=(",", ":"), ensure_ascii=False))
        case other:
            raise AssertionError(f"the recorded traces have no attribute of type {other}")


KINDS = ("", "internal", "server", "client", "producer", "consumer")


def added(span: Span, scope: InstrumentationScope) -> Iterator[Tag]:
    """Tags that Jaeger's form has for fields of OTLP, where no attribute says the same."""
    status = ("", "OK", "ERROR")[span.status.code]
    fields = {
        "span.kind": KINDS[span.kind],
        "otel.status_code": status,
        "error": status == "ERROR",
        "otel.status_description": span.status.message,
        "w3c.tracestate": span.trace_state,
    }
    said = {pair.key for pair in span.attributes}
    named = {"otel.scope.name": scope.name, "otel.scope.version": scope.version}
    for key, value in {**named, **{key: value for key, value in fields.items() if key not in said}}.items():
        if value:
            yield key, "bool" if value is True else "string", json.dumps(value)


def read_back(span: Json, processes: Json) -> Json:
    """Return a span of Jaeger's JSON as `spans_by_trace` does."""
    process = processes[span["processID"]]
    return {
        "service": process["serviceName"],
        "process": json_tags(process["tags"]),
        "id": span["spanID"],
        "name": span["operationName"],
        "parents": [(reference["traceID"], reference["spanID"]) for reference in span["references"]],
        "start_us": span["startTime"],
        "duration_us": span["duration"],
        "attributes": json_tags(span["tags"]),
        "events": [event_of(log) for log in span["logs"]],
    }


def event_of(log: Json) -> tuple[int, str, list[Tag]]:
    names = [field["value"] for field in log["fields"] if field["key"] == "event"]
    return (
        log["timestamp"],
        names[0] if names else "",
        json_tags(field for field in log["fields"] if field["key"] != "event"),
    )


def json_tags(found: Iterator[Json] | Any) -> list[Tag]:
    return sorted((tag["key"], tag["type"], json.dumps(tag["value"])) for tag in found)
