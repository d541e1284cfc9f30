"""Fakes for tests of instrumented code: spans in memory, a clock moved by hand, ids that count."""

import threading
from collections.abc import Callable, Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator


class MemoryExporter(SpanExporter):
    """Keeps ended spans.

        exporter = MemoryExporter()
        cpdd.init(service="checkout", processor=SimpleSpanProcessor(exporter), instrument=False)

    `SimpleSpanProcessor` hands a span over when it ends, so that a test need not flush.
    """

    def __init__(self) -> None:
        self._spans: list[ReadableSpan] = []
        self._changed = threading.Condition()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with self._changed:
            self._spans.extend(spans)
            self._changed.notify_all()
        return SpanExportResult.SUCCESS

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """The spans so far, in the order they ended."""
        with self._changed:
            return tuple(self._spans)

    def one(self, name: str) -> ReadableSpan:
        """Return the span of that name. Raises AssertionError, naming what is there, unless there is exactly one."""
        named = [span for span in self.spans if span.name == name]
        if len(named) != 1:
            raise AssertionError(f"{len(named)} spans are named {name!r}, among {[span.name for span in self.spans]}")
        return named[0]

    def wait_for(self, enough: Callable[[tuple[ReadableSpan, ...]], bool], timeout_s: float = 10.0) -> None:
        """Return when `enough(spans)` holds. Raises AssertionError, naming what is there, when it does not in time."""
        with self._changed:
            if not self._changed.wait_for(lambda: enough(tuple(self._spans)), timeout_s):
                raise AssertionError(f"not enough after {timeout_s} s: {[span.name for span in self._spans]}")

    def clear(self) -> None:
        """Forget the spans so far."""
        with self._changed:
            self._spans.clear()


class FakeClock:
    """A clock that stands still until it is moved: `clock.advance(s=10)`, or set: `clock.set(now_ns)`."""

    def __init__(self, now_ns: int = 0) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> int:
        return self._now_ns

    def now_s(self) -> float:
        return self._now_ns / 1e9

    def advance(self, s: float = 0, ms: float = 0, ns: int = 0) -> None:
        """Move on by the sum of the three. Raises ValueError for a step back."""
        step_ns = round(s * 1e9) + round(ms * 1e6) + ns
        if step_ns < 0:
            raise ValueError(f"a clock does not go back: {step_ns} ns")
        self._now_ns += step_ns

    def set(self, now_ns: int) -> None:
        """Jump, back too, as a machine's clock does when somebody corrects it."""
        self._now_ns = now_ns


class CountingIds(IdGenerator):
    """Trace ids 1, 2, 3, … and span ids 1, 2, 3, …, for answers that can be written down."""

    def __init__(self) -> None:
        self._traces = 0
        self._spans = 0
        self._lock = threading.Lock()

    def generate_trace_id(self) -> int:
        with self._lock:
            self._traces += 1
            return self._traces

    def generate_span_id(self) -> int:
        with self._lock:
            self._spans += 1
            return self._spans
