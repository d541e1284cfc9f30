"""Trace and span ids that repeat neither under `random.seed()` nor after a fork."""

import os
import random

from opentelemetry.sdk.trace.id_generator import IdGenerator


class PrivateIds(IdGenerator):
    """Random ids from a generator of cpdd's own, seeded by the operating system, again in each forked child.

    Asking the system for every id would be as good and cost 0.5 us an id, of the 3.4 us of an unsampled span.
    """

    def __init__(self) -> None:
        self._bits = random.Random(os.urandom(32))
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._reseed)

    def generate_trace_id(self) -> int:
        return self._bits.getrandbits(128) or self.generate_trace_id()

    def generate_span_id(self) -> int:
        return self._bits.getrandbits(64) or self.generate_span_id()

    def is_trace_id_random(self) -> bool:
        return True

    def _reseed(self) -> None:
        self._bits.seed(os.urandom(32))
