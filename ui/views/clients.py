"""Programs that send spans and say what became of them: what each delivered, and what its queue or connection lost."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ui.draw.text import count_of
from ui.draw.units import count


@dataclass(frozen=True, slots=True)
class Sender:
    """An instance that reported within the last minute; counts are since its start."""

    service: str
    instance: str
    spans_sent: int
    """That were acknowledged."""
    spans_lost: int
    lost_share: float
    """Of its spans."""
    heard_s_ago: float


@dataclass(frozen=True, slots=True)
class Senders:
    rows: tuple[Sender, ...]
    """Who lost most first."""
    in_all: int
    """How many there are; the sampling service names the first few hundred."""
    words: str
    """What they lost; empty where that is nothing."""


def senders_of(state: Mapping[str, Any] | None) -> Senders:
    """Return the clients of the sampling service's state; none where no such service runs."""
    told = state["clients"] if state else []
    rows = sorted(map(_sender, told), key=lambda row: (-row.spans_lost, row.service, row.instance))
    lost, losers = sum(row.spans_lost for row in rows), sum(row.spans_lost > 0 for row in rows)
    words = (
        f"{count_of(losers, 'program')} lost {count(lost)} of {'its' if losers == 1 else 'their'} spans on the way"
        if lost
        else ""
    )
    return Senders(tuple(rows), state["clients_in_all"] if state else 0, words)


def _sender(told: Mapping[str, Any]) -> Sender:
    sent, lost = told["spans_sent"], told["spans_lost"]
    share = lost / (sent + lost) if lost else 0.0
    return Sender(told["service"], told["instance"], sent, lost, share, told["heard_s_ago"])
