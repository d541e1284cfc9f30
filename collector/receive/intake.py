"""The pipeline behind every receiver: bytes -> redacted -> spans -> bounds -> blocks for the store -> commit.

Every form becomes OTLP protobuf first, so that one decoder decides what a span is. Owns no thread and no socket.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from math import ceil

import numpy as np

from collector.core.formats import MalformedDocument, Translation, translate_otlp_json, translate_zipkin
from collector.core.redaction import UnreadableForRedaction
from collector.core.rejections import Rejection
from collector.core.spans import SpanBatch
from collector.core.stamps import newer_stamp
from collector.core.wire import MalformedRequest, decode_traces, is_joinable
from collector.receive.answers import (
    BatchTooLarge,
    Form,
    InternalFault,
    MalformedBody,
    Refusal,
    RefusedByStore,
    Rejected,
    StoreBehind,
    StoreUnavailable,
    UnderPressure,
)
from collector.receive.bounds import TimeBounds, within_bounds
from collector.receive.pipeline import Prepared
from collector.store.native import BlockTooLarge, EncodedBatch, encode
from collector.store.writer import BatchRefused, NotStored, Overloaded

MAX_TOLD = 5
"""Rejected spans that an answer names."""
LARGE_TEXT_BYTES = 4 << 20
"""JSON above it is read one body at a time: as Python objects it may take thirty times its size."""

DEFAULT_BOUNDS = TimeBounds()

MAX_CONTAINERS = 4 << 20
"""Objects and arrays in a JSON body: 64 MiB of `[],` would become 2 GiB of Python objects. Real spans have one in
thirty bytes."""

Submit = Callable[[EncodedBatch], "Future[None]"]
"""`Committer.submit`."""
Translate = Callable[[bytes], Translation]
TRANSLATORS: Mapping[Form, Translate] = {Form.OTLP_JSON: translate_otlp_json, Form.ZIPKIN_JSON: translate_zipkin}


class Intake:
    """Takes the requests of all receivers. Thread-safe."""

    def __init__(
        self,
        submit: Submit,
        max_block_bytes: int,
        bounds: TimeBounds = DEFAULT_BOUNDS,
        committed: Callable[[float], None] = lambda seconds: None,
        noted: Callable[[SpanBatch], None] = lambda batch: None,
        translators: Mapping[Form, Translate] = TRANSLATORS,
        redact: Callable[[bytes], bytes] = lambda body: body,
        now_ns: Callable[[], int] = time.time_ns,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Args:
        submit: hands a batch to the store's committer.
        max_block_bytes: the most that the spans of one request may become in the store.
        committed: is told how many seconds a request, or those prepared together, waited for the commit.
        noted: is shown the spans of each request, to learn who sent them.
        translators: what makes OTLP protobuf of the other forms.
        redact: takes out of OTLP protobuf what is not to be stored.
        """
        self._submit = submit
        self._max_block_bytes = max_block_bytes
        self._bounds = bounds
        self._committed = committed
        self._noted = noted
        self._translators = translators
        self._redact = redact
        self._now_ns = now_ns
        self._clock = clock
        self._large_text = threading.Lock()
        self.newest_stored_unix_nano = 0
        """When the newest of the stored requests was handed to the store; 0 before the first."""
        self.store_problem = ""
        """Why the last commit failed; empty when it did not."""
        self.failing_since_s: float | None = None
        """By `clock`: since when no commit has succeeded; None when the last one did."""

    def prepare(self, body: bytes, form: Form) -> Prepared[EncodedBatch]:
        """Return the spans of a request, decoded and encoded for the store."""
        left_out = _LeftOut()
        try:
            batch = self._decode(self._redact(self._as_protobuf(body, form, left_out)), left_out)
            batch = self._bound(batch, left_out)
            encoded = encode(batch, self._max_block_bytes) if len(batch) else None
            self._noted(batch)
        except (MalformedRequest, MalformedDocument, UnreadableForRedaction) as error:
            raise MalformedBody(str(error)) from error
        except BlockTooLarge as error:
            raise BatchTooLarge(str(error)) from error
        return Prepared(encoded, len(batch), left_out.summary(len(batch)))

    def prepare_together(self, bodies: Sequence[bytes]) -> list[Prepared[EncodedBatch]] | None:
        """Return the spans of each of several OTLP protobuf requests, encoded as one batch; None where something of
        them would be rejected.
        """
        try:
            bodies = [self._redact(body) for body in bodies]
            if not all(map(is_joinable, bodies)):
                return None
            batch, rejections = decode_traces(b"".join(bodies))
            if rejections.count or within_bounds(batch, self._now_ns(), self._bounds).rejected:
                return None
            encoded = encode(batch, self._max_block_bytes) if len(batch) else None
        except (MalformedRequest, UnreadableForRedaction, BlockTooLarge):
            return None
        self._noted(batch)
        ends = list(accumulate(map(len, bodies), initial=0))
        spans = np.diff(np.searchsorted(batch.at, ends)).tolist()
        return [Prepared(encoded, count) for count in spans]

    def commit(self, prepared: Prepared[EncodedBatch]) -> "Future[None]":
        """Return a future that is done when the spans are durable, and fails with a Refusal."""
        assert prepared.encoded is not None
        started_s, handed_over_unix_nano = self._clock(), self._now_ns()
        try:
            stored = self._submit(prepared.encoded)
        except NotStored as error:
            raise _refusal(error) from error
        answered: Future[None] = Future()
        answered.set_running_or_notify_cancel()  # what is on its way to the store cannot be called back

        def tell(stored: "Future[None]") -> None:
            error = stored.exception()
            self._note(error, handed_over_unix_nano)
            self._committed(self._clock() - started_s)
            if error is None:
                answered.set_result(None)
            else:
                answered.set_exception(_refusal(error))

        stored.add_done_callback(tell)
        return answered

    def _note(self, error: BaseException | None, handed_over_unix_nano: int) -> None:
        """Remember how the store fares. A request that it can never take says nothing of it."""
        if error is None:
            self.newest_stored_unix_nano = newer_stamp(self.newest_stored_unix_nano, handed_over_unix_nano)
            self.store_problem, self.failing_since_s = "", None
        elif not isinstance(error, BatchRefused):
            self.store_problem = str(error).partition("\n")[0]
            self.failing_since_s = self._clock() if self.failing_since_s is None else self.failing_since_s

    def _as_protobuf(self, body: bytes, form: Form, left_out: "_LeftOut") -> bytes:
        if form is Form.OTLP_PROTOBUF:
            return body
        with self._alone_if_large(body):
            translation = self._translators[form](body)
        left_out.add("format", translation.rejected, translation.rejections)
        return translation.body

    def _decode(self, body: bytes, left_out: "_LeftOut") -> SpanBatch:
        batch, rejections = decode_traces(body)
        left_out.add("invalid", rejections.count, rejections)
        return batch

    def _bound(self, batch: SpanBatch, left_out: "_LeftOut") -> SpanBatch:
        bounded = within_bounds(batch, self._now_ns(), self._bounds, MAX_TOLD)
        left_out.add("time", bounded.rejected, bounded.rejections)
        return bounded.batch

    @contextmanager
    def _alone_if_large(self, body: bytes) -> Iterator[None]:
        """Read large JSON one body at a time; whoever comes meanwhile comes again, since a thread that waits
        would be missing where others are decoded.
        """
        if len(body) <= LARGE_TEXT_BYTES:
            yield
            return
        if (containers := body.count(b"{") + body.count(b"[")) > MAX_CONTAINERS:
            raise BatchTooLarge(
                f"request refused: its JSON has {containers} objects and arrays, {MAX_CONTAINERS} at most are read\n"
                "hint: send fewer spans a request, or protobuf"
            )
        if not self._large_text.acquire(blocking=False):
            raise UnderPressure(f"another JSON body of more than {LARGE_TEXT_BYTES} bytes is being read", 5)
        try:
            yield
        finally:
            self._large_text.release()


@dataclass(slots=True)
class _LeftOut:
    """The spans of one request that were rejected, by the step that did it."""

    reasons: dict[str, int] = field(default_factory=dict)
    told: list[Rejection] = field(default_factory=list)

    def add(self, reason: str, count: int, rejections: Iterable[Rejection]) -> None:
        if count:
            self.reasons[reason] = count
            self.told.extend(rejections)

    def summary(self, spans: int) -> Rejected:
        """Return what the answer says when `spans` others are stored."""
        rejected = sum(self.reasons.values())
        if not rejected:
            return Rejected()
        told = [str(rejection) for rejection in self.told[:MAX_TOLD]]
        more = [f"and {rejected - len(told)} more"] if rejected > len(told) else []
        head = f"{rejected} of {rejected + spans} spans rejected"
        return Rejected(rejected, "\n".join([head, *told, *more]), tuple(self.reasons.items()))


def _refusal(error: BaseException) -> Refusal:
    """What the store says, in the words of the receivers."""
    match error:
        case Overloaded():
            return StoreBehind(str(error).partition("\n")[0], ceil(error.retry_after_s or 1))
        case BatchRefused():
            return RefusedByStore(str(error))
        case NotStored():
            return StoreUnavailable(str(error).partition("\n")[0], ceil(error.retry_after_s or 5))
    return InternalFault(error)
