"""The way of a request's spans, as a receiver sees it: prepare in a worker thread, commit without one."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from collector.receive.answers import NOTHING_REJECTED, Form, Rejected

EncodedT = TypeVar("EncodedT")


@dataclass(frozen=True, slots=True)
class Prepared(Generic[EncodedT]):
    """A request's spans, ready to be stored, and what was rejected of them."""

    encoded: EncodedT | None
    """None: there is nothing to store."""
    spans: int
    """To be stored; the rejected ones do not count."""
    rejected: Rejected = NOTHING_REJECTED


class Pipeline(Protocol[EncodedT]):
    """What receivers hand spans to. Thread-safe; `collector.receive.intake.Intake` is the real one."""

    def prepare(self, body: bytes, form: Form) -> Prepared[EncodedT]:
        """Return the spans of a request, decoded and encoded for the store; raises a Refusal.

        It is work for the processor, mostly outside the GIL; nothing waits in it.
        """

    def prepare_together(self, bodies: Sequence[bytes]) -> list[Prepared[EncodedT]] | None:
        """Return the spans of each of several OTLP protobuf requests; `encoded`, which holds those of all, is the same
        in each. None where something of them would be rejected: then each has to be prepared by itself.
        """

    def commit(self, prepared: Prepared[EncodedT]) -> "Future[None]":
        """Return a future that is done when the spans are durable, and fails with a Refusal; raises a Refusal."""
