"""Compiles the kernels before the first span arrives, or loads them from the cache of an earlier start.

A small but real request goes the whole way through decoding, encoding and analysis: what is compiled is what will be
called. On a machine that has never done it this takes about a minute, later a second or two: then a second process
compiles what makes blocks of columns, into the same cache, while this one compiles the rest.

    python -m collector.warm        before the first start, in an image or before tests; also what reads large files
"""

import json
import pkgutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span

from collector.core import kernels
from collector.core.analysis import analyze_traces
from collector.core.explain import explain
from collector.core.formats.jaeger_quick import translate_with, translator
from collector.core.population.since import Steps, slowed
from collector.core.population.whatif import WhatIf
from collector.core.requirement import Evidence, Share, decide
from collector.core.spans import concatenate
from collector.core.wire import decode_traces
from collector.store.native import arrivals_block, encode

PATIENCE_CPU_S = 3.0
"""Whoever has worked so long (not: waited for a processor) is compiling: we say so, and get help."""

_ENCODING, _FILES = "encoding", "files"
"""Parts that a process of its own compiles."""
_START_UNIX_NANO = 1_700_000_000_000_000_000


def warm(tell: Callable[[str], None]) -> None:
    """Have every kernel of the way of a span compiled and loaded when this returns."""
    with _Help(tell) as help_with_encoding:
        for module in pkgutil.iter_modules(kernels.__path__):
            kernels.load(module.name, kernels.PLAIN_LIMIT + 1)
        batch, _ = decode_traces(request())
        stored = concatenate([batch, batch])  # every array in one piece, as the store gives them to the analyzer
        analyze_traces(stored, ("",) * len(stored), version=1, settles_at_unix_nano=0)
        explain(stored)
        explain(stored, target="trace", links=lambda row: [])
        WhatIf(stored).rank()
        slowed(Steps((1, 2, 3, 4), (40.0,) * 4, (1.0, 1.0, 2.0, 2.0), (1.0, 1.0, 2.0, 2.0)))
        decide(Evidence(failed=Share(5, 1, 5), quiet=Share(9, 8, 9)))
        help_with_encoding.wait()
        warm_encoding()


def warm_encoding() -> None:
    """Have the kernels compiled that make blocks, and no others."""
    batch, _ = decode_traces(request())
    kernels.load("native", kernels.PLAIN_LIMIT + 1)
    encoded = encode(batch)
    arrivals_block(encoded.arrivals, encoded.rows, 0, 1, 0)


def warm_files() -> None:
    """Have the kernels compiled that read large files. `serve` has no use for them, and its start does not wait."""
    tag = {"key": "k", "type": "string", "value": "v"}
    reference = {"refType": "CHILD_OF", "traceID": "1", "spanID": "2"}
    span = {
        "traceID": "1", "spanID": "1", "startTime": 1, "processID": "p", "tags": [tag], "references": [reference],
        "logs": [{"timestamp": 1, "fields": [tag]}],
    }  # fmt: skip
    trace = {"traceID": "1", "spans": [span], "processes": {"p": {"serviceName": "s"}}}
    translate_with(translator(compiled=True), [json.dumps({"data": [trace]}).encode()])


class _Help:
    """A process that compiles a part into the cache, once the patience is over; without it everything takes longer."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._done = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._watch, name="cpdd-warm", daemon=True)

    def __enter__(self) -> "_Help":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._end_watch()
        if self._process:
            self._process.kill()
            self._process.wait()

    def wait(self) -> None:
        """Return when what the process was to compile is in the cache, or no process is at work."""
        self._end_watch()
        if self._process:
            self._process.wait()

    def _end_watch(self) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        patient_until_s = time.process_time() + PATIENCE_CPU_S
        while not self._done.wait(0.2):
            if time.process_time() > patient_until_s:
                self._tell("compiling kernels for this machine, once: about a minute")
                self._process = _start(_ENCODING)
                return


def request() -> bytes:
    """Return an OTLP request in which everything occurs that kernels treat differently."""
    message = ExportTraceServiceRequest()
    for service, first in (("checkout", 1), ("payment", 3)):
        group = message.resource_spans.add(schema_url="https://opentelemetry.io/schemas/1.37.0")
        group.resource.attributes.extend([_text("service.name", service), _text("host.name", f"{service}-1")])
        scoped = group.scope_spans.add()
        scoped.scope.name, scoped.scope.version = "warm", "1"
        scoped.scope.attributes.append(_text("scope", "attribute"))
        _add_spans(scoped, first)
    encoded: bytes = message.SerializeToString()
    return encoded


def _add_spans(scoped: ScopeSpans, first: int) -> None:
    """A client call and the server span that it calls, one in the other."""
    for number, kind in ((first, Span.SPAN_KIND_SERVER), (first + 1, Span.SPAN_KIND_CLIENT)):
        span = scoped.spans.add(
            trace_id=(1).to_bytes(16, "big"),
            span_id=number.to_bytes(8, "big"),
            parent_span_id=(number - 1).to_bytes(8, "big") if number > 1 else b"",
            trace_state="ot=th:8",
            flags=0x101,
            name=f"operation {number}",
            kind=kind,
            start_time_unix_nano=_START_UNIX_NANO + number * 1_000_000,
            end_time_unix_nano=_START_UNIX_NANO + (20 - number) * 1_000_000,
            attributes=_attributes(),
        )
        span.status.code, span.status.message = 2, "declined"
        span.events.add(time_unix_nano=_START_UNIX_NANO, name="exception", attributes=_attributes())
        span.links.add(trace_id=bytes(range(16)), span_id=bytes(range(8)), attributes=_attributes())


def _attributes() -> list[KeyValue]:
    nested = KeyValueList(values=[_text("key", "value")])
    return [
        _text("http.route", "/pay/{id}"),
        _text("rpc.grpc.status_code", "OK"),
        _text("cpdd.call.requirement", "mandatory"),
        _text("cpdd.call.outcome", "failed"),
        KeyValue(key="http.response.status_code", value=AnyValue(int_value=503)),
        KeyValue(key="retried", value=AnyValue(bool_value=True)),
        KeyValue(key="amount", value=AnyValue(double_value=9.5)),
        KeyValue(key="raw", value=AnyValue(bytes_value=b"\0\xff")),
        KeyValue(key="items", value=AnyValue(array_value=ArrayValue(values=[AnyValue(int_value=1)]))),
        KeyValue(key="map", value=AnyValue(kvlist_value=nested)),
        KeyValue(key="nothing", value=AnyValue()),
    ]


def _text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def _tell(text: str) -> None:
    print(text, file=sys.stderr)


def _start(part: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "collector.warm", part]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def main(part: str = "") -> int:
    """Warm everything, or one part; return the exit status."""
    if part == _ENCODING:
        warm_encoding()
    elif part == _FILES:
        warm_files()
    else:
        with _start(_FILES) as files:
            warm(_tell)
        return files.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
