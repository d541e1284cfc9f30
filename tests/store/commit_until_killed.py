"""Commits batches into an embedded store without end and prints the trace id of each that was acknowledged.

python -m tests.store.commit_until_killed DIRECTORY FIRST_TRACE_ID
"""

import sys
from concurrent.futures import Future
from functools import partial
from itertools import count
from pathlib import Path
from threading import BoundedSemaphore

from collector.store.engine import open_store
from collector.store.writer import Committer
from tests.store.spans import Span, encode

SPANS = 200
IN_FLIGHT = 8


def main() -> None:
    committer = Committer(open_store("chdb://", Path(sys.argv[1])), linger_ms=2, max_rows=3 * SPANS)
    room = BoundedSemaphore(IN_FLIGHT)

    def acknowledge(trace_id: int, stored: "Future[None]") -> None:
        if stored.exception() is None:
            sys.stdout.write(f"{trace_id}\n")
            sys.stdout.flush()
        room.release()

    for trace_id in count(int(sys.argv[2])):
        room.acquire()
        batch = encode([Span(trace_id=trace_id, span_id=n + 1, parent=1 if n else 0) for n in range(SPANS)])
        committer.submit(batch).add_done_callback(partial(acknowledge, trace_id))


if __name__ == "__main__":
    main()
