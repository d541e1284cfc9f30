"""Critical paths of traces that somebody is looking at: whoever clicks through a large trace waits for it once."""

import hashlib
import threading
from collections import OrderedDict

from collector.core.detail import OutlinedSpans
from collector.core.explain import Explanation, explain
from collector.core.spans import DTYPES, SpanBatch

HELD_NODES = 200_000
"""Nodes of all explanations that are kept; about 100 MB."""


class Explanations:
    """Remembers explanations by what they explain: other spans are another key, so nothing gets stale. Thread-safe."""

    def __init__(self, held_nodes: int = HELD_NODES) -> None:
        self._held_nodes = held_nodes
        self._held: OrderedDict[tuple[bytes, str], Explanation] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, spans: OutlinedSpans, target: str) -> Explanation | None:
        """Return the path of the one trace in `spans`, None when it has no span of the id `target`."""
        key = (fingerprint(spans.batch), target)
        with self._lock:
            found = self._held.get(key)
            if found is not None:
                self._held.move_to_end(key)
                return found
        links = spans.links().__getitem__ if target == "trace" else None
        explained = explain(spans.batch, target=target, links=links)
        if not explained:
            return None
        with self._lock:
            self._held[key] = explained[0]
            while len(self._held) > 1 and sum(len(e.nodes) for e in self._held.values()) > self._held_nodes:
                self._held.popitem(last=False)
        return explained[0]


def fingerprint(batch: SpanBatch) -> bytes:
    """Return a digest of all that a path can depend on: every column, the strings, where the spans ran."""
    digest = hashlib.blake2b(digest_size=16)
    for name in DTYPES:
        if name not in ("at", "size"):
            digest.update(getattr(batch, name).tobytes())
    for column in batch.resources.columns().values():
        digest.update(column.tobytes())
    digest.update("\x00".join(batch.strings).encode("utf-8", "surrogatepass"))
    return digest.digest()
