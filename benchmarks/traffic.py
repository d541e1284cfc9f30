"""Spans that come in while a benchmark measures something else: sent by a process of its own, so that who measures
shares no interpreter lock with who sends.
"""

import multiprocessing
import multiprocessing.synchronize
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection

from tests.sender import Plan, send
from tests.serving import ServerProcess
from tests.workload import Workload, generator

CONNECTIONS = 32
"""So many requests may wait for their answers: enough that the rate does not depend on how soon they come."""
SETTLED_S = 3.0
"""Connections and the first commits, before anything is measured."""


@contextmanager
def ingesting(server: ServerProcess, spans_per_s: float, preset: str = "") -> Iterator[list[float]]:
    """Send spans of now at a rate while the context lasts; afterwards the list has the rate that was acknowledged.

    Args:
        spans_per_s: 0: none.
        preset: of `tests.workload`, about 4,000 spans a request; empty: requests of `tests.load`, 512 spans each.
    """
    reached: list[float] = []
    if not spans_per_s:
        yield reached
        return
    context = multiprocessing.get_context("spawn")
    stopped = context.Event()
    ours, theirs = context.Pipe()
    sender = context.Process(target=_send, args=(theirs, stopped, server.otlp_http_port, spans_per_s, preset))
    sender.start()
    ours.recv()
    time.sleep(SETTLED_S)
    try:
        yield reached
    finally:
        stopped.set()
        reached.append(ours.recv())
        sender.join()


def _send(
    pipe: Connection, stopped: multiprocessing.synchronize.Event, port: int, spans_per_s: float, preset: str
) -> None:
    workload = Workload(preset) if preset else None
    pipe.send("ready")
    began = time.monotonic()
    plan = Plan("127.0.0.1", port, connections=CONNECTIONS, spans_per_s=spans_per_s, until=stopped.is_set)
    if workload:
        plan = replace(plan, make=maker(workload), spans_per_request=round(workload.spans_a_request))
    sent = send(plan)
    if sent.others:
        print(f"answers other than 200, and connections that ended: {sent.others}", flush=True)
    pipe.send(sent.spans / (time.monotonic() - began))


def maker(workload: Workload) -> Callable[[int], tuple[bytes, int]]:
    """Return what `Plan.make` is to be for requests of a workload."""
    chance = generator()

    def make(now_ns: int) -> tuple[bytes, int]:
        body, spans, _ = workload.request(now_ns, chance)
        return body, spans

    return make
