"""A queue that breaks its promise: from send to receive within a time."""

from collections.abc import Iterator

from collector.core.findings.model import QUEUE_LATE, Disproved, Fact, Finding, Look, QueueSeen, spoken

LEAST_LATE = 10
"""Late messages; fewer are no news, whatever the share."""


def late_queues(look: Look) -> Iterator[Finding | Disproved]:
    for queue in look.queues:
        if queue.late >= LEAST_LATE and queue.kept.high < queue.promised.share:
            yield _finding(queue)


def _finding(queue: QueueSeen) -> Finding:
    waits = f"{queue.journey} waits for it" if queue.waited_for else "nobody waits, so that only this says so"
    return Finding(
        kind=QUEUE_LATE,
        journey=queue.journey,
        subject=f"{queue.edge_id:016x}",
        title=f"{spoken(queue.consumer)} takes messages of {spoken(queue.queue)} later than promised",
        advice=(
            f"Give {queue.consumer[0]} more workers, or see in a late trace what keeps them busy ({waits}). "
            "If the work can wait, promise less."
        ),
        service=queue.consumer[0],
        caller=queue.queue,
        callee=queue.consumer,
        edge_id=queue.edge_id,
        facts=(
            Fact("in time", queue.kept.share, "share", (queue.kept.low, queue.kept.high)),
            Fact("promised", queue.promised.share, "share"),
            Fact("within", float(queue.promised.within_ns), "ns"),
            Fact("typical wait", queue.typical_wait_ns, "ns"),
            Fact("messages", queue.messages, "count"),
        ),
    )
