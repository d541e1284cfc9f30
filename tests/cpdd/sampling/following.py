"""A program that is pushed to, and says when something has come."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cpdd.sampling.document import Document
from cpdd.sampling.keeper import Keeper
from cpdd.sampling.push import PushProvider
from cpdd.sampling.sampler import DynamicSampler

HIGH, LOW = 0xFF << 48, 1


class WatchedSampler(DynamicSampler):
    """Tells when policies or leases come."""

    changed: threading.Condition | None = None

    def apply(self, document: Document) -> None:
        super().apply(document)
        self._tell()

    def grant(self, leases: dict[str, int]) -> None:  # type: ignore[override]
        super().grant(leases)
        self._tell()

    def _tell(self) -> None:
        if self.changed is not None:
            with self.changed:
                self.changed.notify_all()

    def wait_for(self, holds: Callable[[], bool], timeout_s: float = 60.0) -> None:
        assert self.changed is not None
        with self.changed:
            assert self.changed.wait_for(holds, timeout_s), "nothing of it came in time"

    def keeps(self, trace_id: int = LOW) -> bool:
        return self.should_sample(None, trace_id, "GET /").decision.is_sampled()


@contextmanager
def following(
    address: str, ttl_s: float = 600.0, silence_s: float = 40.0, authorization: str = ""
) -> Iterator[tuple[WatchedSampler, Keeper]]:
    sampler = WatchedSampler("shop", baseline=0.0)
    sampler.changed = threading.Condition()
    keeper = Keeper(sampler, ttl_s=ttl_s)
    provider = PushProvider(address, keeper, silence_s=silence_s, authorization=authorization)
    provider.start()
    try:
        yield sampler, keeper
    finally:
        provider.stop()
