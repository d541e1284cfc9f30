"""How much a receiver takes in: sizes, times, and bytes in flight. Knows no socket and no clock."""

import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from collector.receive.answers import UnderPressure


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may cost."""

    max_body_bytes: int = 64 << 20
    """Measured after decompression."""
    max_inflight_bytes: int = 512 << 20
    """Of all requests that are being read, inflated or decoded."""
    read_timeout_s: float = 30.0
    """For the headers of a request; and for its body, which may take longer at `min_body_bytes_per_s`."""
    min_body_bytes_per_s: int = 32 << 10
    max_head_bytes: int = 64 << 10
    """Request line and headers."""
    keep_alive_s: int = 120
    """How long an idle connection is kept: an SDK sends every 5 s, and loses time when it meets a closing one."""

    grpc_threads: int = 32
    """Calls of OTLP/gRPC that are worked on at once; each may hold a message of `max_body_bytes`. Others wait."""

    def body_deadline_s(self, received: int) -> float:
        """Return how many seconds after its headers a request must have finished, `received` bytes being there."""
        return self.read_timeout_s + received / self.min_body_bytes_per_s


class InflightBytes:
    """How many bytes all requests together hold; thread-safe."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._used = 0

    @property
    def used(self) -> int:
        return self._used

    def reserve(self) -> "Reservation":
        """Return an empty share, to be used as a context manager."""
        return Reservation(self)

    def has_room(self, size: int) -> bool:
        return self._used + size <= self.limit

    def take(self, size: int) -> bool:
        """Take `size` bytes, or none where there is no room for all of them."""
        with self._lock:
            if self._used + size > self.limit:
                return False
            self._used += size
            return True

    def give_back(self, size: int) -> None:
        with self._lock:
            self._used -= size


class Reservation:
    """What one request holds of the bytes in flight; leaving the context gives everything back."""

    def __init__(self, inflight: InflightBytes) -> None:
        self._inflight = inflight
        self.size = 0

    def grow(self, size: int) -> None:
        """Hold `size` bytes more; raises UnderPressure where there is no room."""
        if not self._inflight.take(size):
            raise UnderPressure(f"{self._inflight.used} bytes of requests are in work already")
        self.size += size

    def release(self) -> None:
        self._inflight.give_back(self.size)
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
