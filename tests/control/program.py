"""A program that begins traces: prints one line of JSON every tenth of a second, decided and kept since the last."""

import json
import sys
import time

from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

import cpdd


class Nowhere(SpanExporter):
    """Spans end here."""

    def export(self, spans: object) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def main(seconds: float) -> None:
    handle = cpdd.init(service="shop", processor=SimpleSpanProcessor(Nowhere()), instrument=False)
    assert handle.provider is not None
    tracer = handle.provider.get_tracer("program")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        kept, until = 0, time.monotonic() + 0.1
        for _ in range(20):
            span = tracer.start_span("GET /")
            kept += span.is_recording()
            span.end()
        print(json.dumps({"at_ms": time.time() * 1000, "seen": 20, "kept": kept}), flush=True)
        time.sleep(max(0.0, until - time.monotonic()))


if __name__ == "__main__":
    main(float(sys.argv[1]))
