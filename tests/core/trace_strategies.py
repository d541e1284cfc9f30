"""Random traces with the defects of real ones, for hypothesis: small, and bent towards ties and boundaries.

`traces()` draws one trace as DrawnSpans, `batches()` several, interleaved; `make_batch` makes columns of them, and a
failing example prints as text that `read_trace` reads. Times are few small numbers times a clock's tick, now and
then a nanosecond or a tick beside them, and lie far above 2^53.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hypothesis import strategies as st

from collector.core.spans import (
    KIND_CLIENT,
    KIND_CONSUMER,
    KIND_INTERNAL,
    KIND_PRODUCER,
    KIND_SERVER,
    KIND_UNSPECIFIED,
    OUTCOME_NOT_AWAITED,
    STATUS_ERROR,
)
from tests.core.drawing import EPOCH_NS, MISSING_PARENT, DrawnSpan, draw

TICKS_NS = (1, 1_000, 1_000_000)
POSITIONS = (0, 1, 2, 3, 5, 8, 50, 98, 99, 100, 101, 102, 103, 150, 200, 201, 202, 203, 300)
"""In ticks. Around 100, 200 and 300 one percent of a duration is a whole number of ticks."""
SHIFTS = (0, 0, 0, 0, 0, 0, 1, -1, 2, -2)
SKEWS = (0, 0, 3, -3, 50, -75, 400, -1_000)
EPOCHS_NS = (EPOCH_NS, EPOCH_NS + 1, 0, 1_000_000_000, 9_000_000_000_000_000_000)
LATEST_NS = 2**63 - 1
"""The latest time that OTLP's times may have in a SpanBatch."""
ROOM_NS = 100_000_000_000
"""Left behind the latest traces, so that a corrected clock stays within int64; a golden case goes to the very end."""
HOSTS: tuple[tuple[tuple[str, str], ...], ...] = (
    (),
    (),
    (("host.name", "h1"),),
    (("host.name", "h2"),),
    (("host.id", "1"), ("host.name", "h1")),
    (("host.id", "2"), ("host.name", "h1")),
    (("service.instance.id", "1"),),
)
KIND_AFTER = {KIND_CLIENT: KIND_SERVER, KIND_PRODUCER: KIND_CONSUMER}

FIRST, ROOT, ORPHAN, ITSELF, LATER = "first", "root", "orphan", "itself", "later"
LOST = (ROOT, ORPHAN, ITSELF, LATER)
FREE, INSIDE, OUTLIVES, SAME = "free", "inside", "outlives", "same"
EXACT, OTHER_TIMES, OTHER_PARENT, OTHER_STATUS, UNFINISHED = "exact", "times", "parent", "status", "unfinished"


@dataclass(frozen=True, slots=True)
class Draft:
    """What is drawn at random for one span; `_place` makes times and ids of it."""

    parent: str | int
    """The first span, or back by so many spans, or what is wrong with it."""
    fit: str
    start: int
    end: int
    shift: int
    odd_ns: int
    kind: int
    pairs: bool
    """Takes the kind that belongs to its parent's: SERVER in CLIENT, CONSUMER in PRODUCER."""
    shares_id: bool
    service: str
    host: int
    defect: str
    linked: int


def _draft(dice: random.Random) -> Draft:
    kinds = [KIND_INTERNAL] * 3 + [KIND_CLIENT] * 3 + [KIND_SERVER, KIND_PRODUCER, KIND_CONSUMER, KIND_UNSPECIFIED]
    return Draft(
        parent=dice.choice([FIRST] * 10 + [1] * 8 + [2, 2, 3, 3, 4, 5, 6, 9] + [ROOT, ORPHAN, ITSELF, LATER]),
        fit=dice.choice([INSIDE] * 9 + [FREE, OUTLIVES, OUTLIVES, SAME]),
        start=dice.choice(POSITIONS),
        end=dice.choice(POSITIONS),
        shift=dice.choice(SHIFTS),
        odd_ns=dice.choice([0] * 30 + [1, -1]),
        kind=dice.choice(kinds),
        pairs=dice.random() < 0.5,
        shares_id=dice.random() < 0.2,
        service=dice.choice("aabc"),
        host=dice.randrange(len(HOSTS)),
        defect=dice.choice([""] * 20 + ["missing-end", "negative", "follows", "not-awaited", "calls", "calls"]),
        linked=dice.choice([0, 0, 0, 0, 0, 1, 2, -1]),
    )


class Trace(list[DrawnSpan]):
    """Spans that print as the drawing they are."""

    def __repr__(self) -> str:
        return f"read_spans('''\n{draw(self)}\n''')"


@st.composite
def traces(draw: st.DrawFn, max_spans: int = 14, number: int = 1, with_links: bool = False) -> Trace:
    """One trace, its rows in any order.

    All but what shrinks comes from one seed: left to itself, hypothesis repeats itself with small changes, which
    finds few shapes. What shrinks is the number of rows.
    """
    dice = random.Random(draw(st.integers(0, 2**64 - 1)))
    spans = _random_trace(dice, dice.choice([1, 2, 3, 4, 5, 6, 7, 8, max_spans, max_spans, 2 * max_spans]), with_links)
    kept = draw(st.lists(st.integers(0, 30), min_size=len(spans), max_size=len(spans)))
    spans = [span for span, lives in zip(spans, kept, strict=True) if lives] or spans[:1]
    return Trace(replace(span, trace=number) for span in spans)


@st.composite
def batches(draw: st.DrawFn, max_traces: int = 3, max_spans: int = 8) -> Trace:
    """Several traces, interleaved; their span ids are the same."""
    drawn = [draw(traces(max_spans, number)) for number in range(1, draw(st.integers(1, max_traces)) + 1)]
    spans = [span for trace in drawn for span in trace]
    random.Random(draw(st.integers(0, 9))).shuffle(spans)
    return Trace(spans)


def _random_trace(dice: random.Random, size: int, with_links: bool) -> list[DrawnSpan]:
    drafts = [_draft(dice) for _ in range(size)]
    if dice.random() < 0.6:
        drafts = [_tidied(draft, is_first=row == 0) for row, draft in enumerate(drafts)]
    tick = dice.choice(TICKS_NS)
    epoch = dice.choice([*EPOCHS_NS, LATEST_NS - ROOM_NS - max(POSITIONS) * tick])
    skews = [dice.choice(SKEWS) for _ in HOSTS] if dice.random() < 0.3 else [0] * len(HOSTS)
    ids = dice.choice([_counting, _counting_down, _unsigned])(size)
    spans = _place(drafts, tick, epoch, skews, ids)
    for _ in range(dice.choice([0, 0, 0, 0, 1, 2])):
        change = dice.choice([EXACT, OTHER_TIMES, OTHER_PARENT, OTHER_STATUS, UNFINISHED])
        spans.append(_copy(dice.choice(spans), change, tick))
    if with_links:
        spans = [_with_link(spans, row, draft.linked) for row, draft in enumerate(drafts)] + spans[size:]
    dice.shuffle(spans)
    return spans


def _tidied(draft: Draft, is_first: bool) -> Draft:
    """What a working program sends: its spans still overlap, outlive and tie, but nothing is missing."""
    if is_first:
        return replace(draft, fit=INSIDE, defect="", parent=ROOT)
    tidy = replace(draft, defect=draft.defect if draft.defect in ("calls", "not-awaited") else "")
    return replace(
        tidy, fit=INSIDE if draft.fit == FREE else draft.fit, parent=FIRST if draft.parent in LOST else draft.parent
    )


def _counting(count: int) -> list[int]:
    return list(range(1, count + 1))


def _counting_down(count: int) -> list[int]:
    return list(range(count, 0, -1))


def _unsigned(count: int) -> list[int]:
    """Ids on both sides of 2^63, where a signed comparison goes wrong."""
    return [2**63 + number if number % 2 else number + 1 for number in range(count)]


def _place(drafts: Sequence[Draft], tick: int, epoch: int, skews: Sequence[int], ids: Sequence[int]) -> list[DrawnSpan]:
    spans: list[DrawnSpan] = []
    for row, draft in enumerate(drafts):
        parent = _parent(draft, spans)
        start, end = _times(draft, parent, tick, epoch)
        skew = skews[draft.host] * tick if parent and parent.hosts != HOSTS[draft.host] else 0
        kind = KIND_AFTER.get(parent.kind, draft.kind) if parent and draft.pairs else draft.kind
        shares = parent is not None and draft.shares_id and kind == KIND_SERVER and parent.kind == KIND_CLIENT
        spans.append(
            DrawnSpan(
                label=f"{draft.service}/op#{row}",
                span_id=parent.span_id if parent and shares else ids[row],
                start_time_unix_nano=_in_range(start + skew),
                end_time_unix_nano=0 if draft.defect == "missing-end" else _in_range(end + skew),
                service=draft.service,
                operation="op",
                parent_span_id=_parent_id(draft, parent, row, ids, shares),
                follows_from=draft.defect == "follows",
                kind=kind,
                hosts=HOSTS[draft.host],
                columns=_columns(draft),
            )
        )
    return spans


def _in_range(time_ns: int) -> int:
    return min(max(0, time_ns), LATEST_NS)


def _parent(draft: Draft, spans: Sequence[DrawnSpan]) -> DrawnSpan | None:
    if not spans or draft.parent in LOST:
        return None
    return spans[0 if draft.parent == FIRST else max(0, len(spans) - int(draft.parent))]


def _times(draft: Draft, parent: DrawnSpan | None, tick: int, epoch: int) -> tuple[int, int]:
    """Free, or folded into the parent's time; then a little shifted."""
    positions = [draft.start, draft.end] if draft.defect == "negative" else sorted([draft.start, draft.end])
    start, end = (epoch + position * tick for position in positions)
    if parent is not None and draft.fit != FREE:
        low, high = parent.start_time_unix_nano, max(parent.start_time_unix_nano, parent.end_time_unix_nano)
        folded = [low + position * tick % (high - low + tick) for position in positions]
        start, end = folded if draft.defect == "negative" else sorted(folded)
        start = low if draft.fit == SAME else start
        end = high if draft.fit in (SAME, OUTLIVES) else end
    elif parent is None and draft.fit == INSIDE:
        start, end = epoch, epoch + max(POSITIONS) * tick
    if draft.fit == OUTLIVES:
        end += max(tick, (end - start) // 100)
    return start, end + draft.shift * tick + draft.odd_ns


def _parent_id(draft: Draft, parent: DrawnSpan | None, row: int, ids: Sequence[int], shares: bool) -> int:
    if parent is not None:
        return parent.parent_span_id if shares else parent.span_id
    match draft.parent:
        case "orphan":
            return MISSING_PARENT
        case "itself":
            return ids[row]
        case "later":
            return ids[-1] if row < len(ids) - 1 else 0
        case _:
            return 0


def _columns(draft: Draft) -> tuple[tuple[str, str | int], ...]:
    match draft.defect:
        case "not-awaited":
            return (("outcome", OUTCOME_NOT_AWAITED),)
        case "calls":
            return (("peer_service", "c"),)
        case _:
            return ()


def _copy(span: DrawnSpan, change: str, tick: int) -> DrawnSpan:
    match change:
        case "times":
            return replace(span, start_time_unix_nano=_in_range(span.start_time_unix_nano + tick))
        case "parent":
            return replace(span, parent_span_id=0 if span.parent_span_id else MISSING_PARENT)
        case "status":
            return replace(span, columns=(*span.columns, ("status_code", STATUS_ERROR)))
        case "unfinished":
            return replace(span, end_time_unix_nano=0)
        case _:
            return span


def _with_link(spans: Sequence[DrawnSpan], row: int, linked: int) -> DrawnSpan:
    """The span with a link so many rows away, 0 for none."""
    other = row - linked
    return replace(spans[row], links=(spans[other].span_id,)) if linked and 0 <= other < len(spans) else spans[row]
