"""What queues promise: from send to receive within a time. Pure.

    [[queue]] of cpdd.toml  >  the name itself, of queue or consumer: `mails_within_10s`

`queues_file` reads the first; findings hold both against what was seen.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from collector.core.patterns import is_like

BY_NAME_SHARE = 0.99
"""A name that promises a time promises it for so many messages."""

_WITHIN = re.compile(r"within[ _-]?([1-9][0-9]{0,6})(ms|s|m|h)(?![a-z0-9])", re.IGNORECASE)
_UNITS_NS = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}


@dataclass(frozen=True, slots=True)
class QueuePromise:
    """At least `share` of the messages are received `within_ns` of their send."""

    share: float
    within_ns: int


@dataclass(frozen=True, slots=True)
class Queue:
    """What somebody said of a queue, or of several with names that are alike."""

    name: str
    """Of the destination; `*` stands for any text."""
    promise: QueuePromise
    system: str = ""
    """`kafka`, `rabbitmq`; empty: any."""

    def fits(self, system: str, destination: str) -> bool:
        return is_like(self.name, destination) and (not self.system or is_like(self.system, system))


def promise_of(queues: Sequence[Queue], system: str, destination: str, consumer: str = "") -> QueuePromise | None:
    """Return what a queue promises, None where nobody said.

    Args:
        queues: what was said; the first that fits counts.
        consumer: operation that takes the message; its name may promise, too.

    >>> promise_of((), "celery", "mails_within_10s")
    QueuePromise(share=0.99, within_ns=10000000000)
    """
    said = next((queue.promise for queue in queues if queue.fits(system, destination)), None)
    if said is not None:
        return said
    found = _WITHIN.search(destination) or _WITHIN.search(consumer)
    return QueuePromise(BY_NAME_SHARE, int(found[1]) * _UNITS_NS[found[2].lower()]) if found else None
