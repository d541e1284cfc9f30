"""The system: what this collector takes in, how far it is behind, what it refuses and why, what it stores."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from collector.store.values import StoreInfo
from collector.system import Receiver, System
from ui.draw.text import count_of
from ui.draw.units import count, duration, rate, size
from ui.views.clients import Senders, senders_of
from ui.views.errors import StoreTrouble, is_store_trouble
from ui.views.page import Page, Visit

ReadSystem = Callable[[], System | None]
IDLE_S = 60.0
"""Whoever sent and sends nothing for so long has stopped."""
LATE_S = 10.0
"""An analyzer that is so far behind is said in the first sentence."""
_SECOND_NS = 1_000_000_000
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Fact:
    name: str
    value: str
    explained: str = ""
    is_bad: bool = False


@dataclass(frozen=True, slots=True)
class ReceiverRow:
    name: str
    address: str
    spans: float
    rate: str
    """Spans a second since the start."""
    lately: str
    """Spans a second in the last minute; how long nothing came, where nothing did."""
    is_idle: bool
    """Nothing came for a minute, and did before."""
    bytes: str
    in_work: float
    refused: tuple[tuple[str, float], ...]
    """Requests that were not taken, by reason."""
    rejected: tuple[tuple[str, float], ...]
    """Spans that were not taken, by reason."""


@dataclass(frozen=True, slots=True)
class SystemPage:
    answer: str
    is_known: bool
    state: str
    problems: tuple[str, ...]
    version: str
    pid: int
    uptime_s: float
    store: str
    stored: StoreInfo | None
    """None while the store cannot be read."""
    receivers: tuple[ReceiverRow, ...]
    clients: Senders
    work: tuple[Fact, ...]
    """Queue, commits, analysis and judging."""
    storage: tuple[Fact, ...]
    values: dict[str, float]
    """Our metrics without labels."""


def system_view(visit: Visit) -> SystemPage:
    """Return what the process says of itself; little where the pages are served by another one.

    This page opens when the store does not answer, and says so: it is where people look then.
    """
    system, (stored, trouble) = visit.system(), _unless_away(visit.reader.info)
    if system is None:
        return SystemPage(
            answer="These pages are served without a collector: only what is stored is known.",
            is_known=False, state="", problems=trouble, version=visit.settings.version, pid=0, uptime_s=0.0, store="",
            stored=stored, receivers=(), clients=senders_of(None), work=(),
            storage=_storage(stored, visit.now_unix_nano, {}), values={},
        )  # fmt: skip
    system = replace(system, problems=(*system.problems, *trouble))
    sampling, _ = _unless_away(visit.sampling)  # what changed lately is in the store
    clients = senders_of(sampling)
    return SystemPage(
        answer=_answer(system, clients),
        is_known=True,
        state=system.state,
        problems=system.problems,
        version=system.version,
        pid=system.pid,
        uptime_s=system.uptime_s,
        store=system.store,
        stored=stored,
        receivers=tuple(_receiver(each, system) for each in system.receivers),
        clients=clients,
        work=_work(system.values),
        storage=_storage(stored, visit.now_unix_nano, system.values),
        values=dict(system.values),
    )


def _unless_away(read: Callable[[], _T]) -> tuple[_T | None, tuple[str, ...]]:
    """What is read, or why it cannot be."""
    try:
        return read(), ()
    except Exception as error:
        if not is_store_trouble(error):
            raise
        return None, (StoreTrouble(error).problem,)


def _receiver(receiver: Receiver, system: System) -> ReceiverRow:
    refused = {name: number for name, number in receiver.answers.items() if name not in ("ok", "partial")}
    return ReceiverRow(
        name=receiver.name,
        address=system.addresses.get(receiver.name, ""),
        spans=receiver.spans,
        rate=rate(receiver.spans / max(system.uptime_s, 1.0)) if receiver.spans else "–",
        lately=_lately(receiver, system.uptime_s),
        is_idle=_is_idle(receiver),
        bytes=size(receiver.bytes),
        in_work=receiver.in_work,
        refused=_largest(refused),
        rejected=_largest(receiver.rejected),
    )


def _is_idle(receiver: Receiver) -> bool:
    return receiver.idle_s is not None and receiver.idle_s >= IDLE_S


def _lately(receiver: Receiver, uptime_s: float) -> str:
    if receiver.idle_s is None:
        return "–"
    if _is_idle(receiver):
        return f"none for {duration(receiver.idle_s * _SECOND_NS)}"
    return rate(receiver.last_minute / max(min(uptime_s, IDLE_S), 1.0))


def _largest(counts: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _work(values: Mapping[str, float]) -> tuple[Fact, ...]:
    def of(name: str) -> float:
        return values.get(name, 0.0)

    lag = of("analyzer_lag_seconds")
    return (
        Fact(
            "waits to be stored",
            f"{size(of('commit_queue_bytes'))} in {count_of(round(of('commit_queue_batches')), 'request')}",
            "who sends waits until it is durable",
        ),
        Fact("stored", count_of(round(of("committed_spans")), "span"), "since the start"),
        Fact("commits that failed", count(of("commits_failed")), "tried again", of("commits_failed") > 0),
        Fact(
            "analysis behind",
            duration(lag * _SECOND_NS),
            "from the newest span stored to the newest analyzed",
            lag >= LATE_S,
        ),
        Fact("traces analyzed", count(of("analyzer_traces"))),
        Fact("of them again", count(of("analyzer_repeated")), "a late span opens its trace once more"),
        Fact("traces open", count(of("analyzer_open_traces")), "not quiet for long enough yet"),
        Fact("spans of open traces", count(of("analyzer_open_spans"))),
        Fact("analysis failed", count(of("analyzer_failures")), "rounds, begun again", of("analyzer_failures") > 0),
        Fact("looking for findings", duration(of("judge_seconds") * _SECOND_NS), "took the last round"),
        Fact("findings open", count(of("open_findings"))),
    )


def _storage(stored: StoreInfo | None, now_unix_nano: int, values: Mapping[str, float]) -> tuple[Fact, ...]:
    facts = list(_stored_facts(stored, now_unix_nano))
    if values.get("process_resident_memory_bytes"):
        facts.append(Fact("memory", size(values["process_resident_memory_bytes"])))
    return tuple(facts)


def _stored_facts(stored: StoreInfo | None, now_unix_nano: int) -> tuple[Fact, ...]:
    if stored is None:
        return (Fact("what is stored", "not known", "the store cannot be read", is_bad=True),)
    facts = [
        Fact("spans", count(stored.spans)),
        Fact("traces", count(stored.traces)),
        Fact("on disk", size(stored.bytes_on_disk)),
        Fact("disk a span", size(stored.bytes_on_disk / stored.spans) if stored.spans else "–", "all tables"),
    ]
    if stored.oldest_unix_nano:
        facts.append(Fact("reaches back", duration(max(now_unix_nano - stored.oldest_unix_nano, 0))))
    return tuple(facts)


def _answer(system: System, clients: Senders) -> str:
    """Say first what is wrong; else how much comes in, what does not, and how far analysis is."""
    if system.problems:
        return f"{system.problems[0][0].upper()}{system.problems[0][1:]}."
    spans = sum(receiver.spans for receiver in system.receivers)
    lost = sum(sum(receiver.rejected.values()) for receiver in system.receivers)
    refused = sum(n for r in system.receivers for name, n in r.answers.items() if name not in ("ok", "partial"))
    lag = system.values.get("analyzer_lag_seconds", 0.0)
    parts = [f"{count_of(round(spans), 'span')} taken in {duration(system.uptime_s * _SECOND_NS)}"]
    idle_s = min((r.idle_s for r in system.receivers if r.idle_s is not None), default=0.0)
    if idle_s >= IDLE_S:
        parts.append(f"none for {duration(idle_s * _SECOND_NS)}")
    parts.append(f"{count(lost)} rejected" if lost else "none rejected")
    if refused:
        parts.append(f"{count_of(round(refused), 'request')} refused")
    if clients.words:
        parts.append(clients.words)
    parts.append(f"analysis {duration(lag * _SECOND_NS)} behind" if lag >= LATE_S else "analysis is up to date")
    return f"{', '.join(parts)}."


PAGE = Page(
    name="system",
    address="/system",
    template="system.html",
    view=system_view,
    value=SystemPage,
    summary="What the collector takes in, refuses, stores and analyzes, since its start",
)
