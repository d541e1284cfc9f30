"""One explained trace in words and signs, for people. Pure.

What it was and how long it took; the waterfall; where the time went; and what had to be repaired.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from collector.core.explain import Explanation
from collector.core.spans import STATUS_ERROR, STATUS_UNSET, SpanBatch
from cpdd.cli._rows import choose_rows
from cpdd.cli._terminal import FAILED_STYLE, PATH_STYLE, QUIET_STYLE, Look, printable
from cpdd.cli._waterfall import legend, waterfall
from ui.draw.units import duration, whole_percent

MOST_ROWS = 30
FEW_ROWS = 14
"""Of a picture that is one of several."""
MOST_OPERATIONS = 8

_NOTES = {
    "conflicting-duplicate": "that came twice with different contents: the longer copy counts",
    "cycle-cut": "at which a cycle of parents was cut",
    "orphan": "whose parent is not in the file, off this path",
    "other-root": "without a parent besides the target's, off this path",
    "negative-duration": "with an end before the start: counted as 0 long",
    "end-inferred": "without an end: the latest end below counts",
    "skew-shifted": "moved to fit the caller, since the clocks disagree",
    "skew-too-large": "not moved, though the clock disagrees with the caller's: by more than --max-skew",
    "client-gave-up": "that ran on after the caller had stopped waiting",
    "callee-missing": "whose callee sends spans, but none for this call",
    "trace-cut": "at which the trace was cut: there are more than are analyzed",
}
"""What a flag says of the spans that carry it."""


def path_lines(explained: Explanation, batch: SpanBatch, look: Look, all_rows: bool = False) -> list[Text]:
    """Return the lines that show one trace.

    Args:
        batch: the spans that were explained, for their status.
        all_rows: every span; otherwise those on the path and some beside it.
    """
    statuses, failed = _statuses(explained, batch)
    rows = choose_rows(explained, None if all_rows else MOST_ROWS)
    picture = waterfall(explained, rows, failed, look)
    lines = [*_head(explained, statuses, look), Text(), *picture.lines]
    if rows.hidden_off_path or rows.hidden_on_path:
        lines.append(_hidden(rows.hidden_off_path, rows.hidden_on_path, rows.hidden_time_ns, look))
    lines += [Text(), *_where(explained, look)]
    lines += [Text(look.text(f"note: {note}"), QUIET_STYLE) for note in _notes(explained)]
    lines += [Text(), *legend(picture.signs, look)]
    return lines


def marked_lines(explained: Explanation, batch: SpanBatch, look: Look, span_ids: Collection[str]) -> list[Text]:
    """Return a shorter picture of a trace that points at some of its spans."""
    statuses, failed = _statuses(explained, batch)
    marked = [i for i, node in enumerate(explained.nodes) if node.id in span_ids]
    most_first = sorted(marked, key=lambda i: -explained.nodes[i].time_ns)
    picture = waterfall(explained, choose_rows(explained, FEW_ROWS, most_first), failed, look, frozenset(marked))
    return [*_head(explained, statuses, look), Text(), *picture.lines, Text(), *legend(picture.signs, look)]


def _statuses(explained: Explanation, batch: SpanBatch) -> tuple[list[int], frozenset[int]]:
    """The status of each node, and the nodes that failed."""
    statuses = [int(batch.status_code[node.row]) for node in explained.nodes]
    return statuses, frozenset(i for i, status in enumerate(statuses) if status == STATUS_ERROR)


def _head(explained: Explanation, statuses: list[int], look: Look) -> list[Text]:
    target = explained.nodes[max(explained.target, 0)]
    name = f"{printable(target.service)}: {printable(target.operation)}"
    took = look.text(duration(explained.target_duration_ns))
    first = Text("the whole trace" if explained.target < 0 else look.cut(name, look.width - 20), "bold")
    first.append(f" took {took}", "bold")
    if explained.target >= 0 and statuses[explained.target] == STATUS_ERROR:
        first.append(f" and failed {look.glyphs.failed}", FAILED_STYLE)
    facts = look.text(f" {look.glyphs.dot} ".join(_facts(explained, statuses)))
    return [first, Text(facts), Text(f"trace {explained.trace_id}", QUIET_STYLE)]


def _facts(explained: Explanation, statuses: list[int]) -> Iterator[str]:
    failed = sum(status == STATUS_ERROR for status in statuses)
    yield _many(len(explained.nodes), "span")
    yield _many(len({node.service for node in explained.nodes}), "service")
    if all(status == STATUS_UNSET for status in statuses):
        yield "no status sent"
    elif failed:
        yield f"{failed:,} failed"
    if explained.completeness < 1:
        yield f"completeness {whole_percent(explained.completeness)}"
    if explained.ambiguity > 0:
        yield f"ambiguity {whole_percent(explained.ambiguity)}"


def _hidden(off_path: int, on_path: int, time_ns: int, look: Look) -> Text:
    words = []
    if off_path:
        words.append(f"{_many(off_path, 'more span')} off the path")
    if on_path:
        words.append(f"{on_path:,} with {duration(time_ns)} on it")
    return Text(look.text(f"{look.glyphs.ellipsis} {', '.join(words)} (--all shows them)"), QUIET_STYLE)


@dataclass(slots=True)
class _Share:
    """Time on the path of one operation."""

    spans: int = 0
    time_ns: int = 0
    min_ns: int = 0
    max_ns: int = 0
    network_ns: int = 0


def _where(explained: Explanation, look: Look) -> list[Text]:
    """Operations by their time on the path, longest first."""
    ranked = sorted(_shares(explained).items(), key=lambda item: (-item[1].time_ns, item[0]))
    entries = [(share.time_ns, f"{printable(s)} {printable(o)}", _remarks(share)) for (s, o), share in ranked]
    if rest := entries[MOST_OPERATIONS:]:
        entries[MOST_OPERATIONS:] = [(sum(time for time, *_ in rest), "", _many(len(rest), "other operation"))]
    if idle := sum(section.duration_ns for section in explained.sections if section.reason == "idle"):
        entries.append((idle, "", "nobody in this trace was working"))
    if not entries:
        return [Text("no time on the path: the target has no length", QUIET_STYLE)]
    longest, total = max(time for time, *_ in entries), explained.target_duration_ns
    times = [look.text(duration(time)) for time, *_ in entries]
    columns = look.width // 8
    lines = [Text("where the time went", "bold")]
    for written, (time, name, remarks) in zip(times, entries, strict=True):
        share = look.text(whole_percent(time / total))
        line = Text(f"{written:>{max(map(len, times)) + 1}}  {share:>5}  ")
        line.append(f"{look.glyphs.path * round(columns * time / longest):{columns}}  ", PATH_STYLE)
        room = look.width - cell_len(line.plain)
        remarks = look.cut(look.text(remarks), room - min(cell_len(name), room // 2))
        line.append(look.squeeze(name, room - cell_len(remarks)))
        line.append(remarks, QUIET_STYLE)
        lines.append(line)
    return lines


def _shares(explained: Explanation) -> dict[tuple[str, str], _Share]:
    """By service and operation."""
    shares: dict[tuple[str, str], _Share] = defaultdict(_Share)
    for node in explained.nodes:
        if node.time_ns > 0:
            share = shares[node.service, node.operation]
            share.spans += 1
            share.time_ns += node.time_ns
            share.min_ns += node.time_min_ns
            share.max_ns += node.time_max_ns
    for section in explained.sections:
        if section.reason in ("network", "queue"):
            node = explained.nodes[section.node]
            shares[node.service, node.operation].network_ns += section.duration_ns
    return shares


def _remarks(share: _Share) -> str:
    """On how many spans, how sure, and how much of it between caller and callee."""
    remarks = []
    if share.min_ns < share.time_ns < share.max_ns:
        remarks.append(f"{duration(share.min_ns)} to {duration(share.max_ns)}")
    elif share.min_ns < share.time_ns:
        remarks.append(f"at least {duration(share.min_ns)}")
    elif share.time_ns < share.max_ns:
        remarks.append(f"up to {duration(share.max_ns)}")
    if share.network_ns == share.time_ns:
        remarks.append("network or queue")
    elif share.network_ns:
        remarks.append(f"{duration(share.network_ns)} network or queue")
    times = f" ×{share.spans:,}" if share.spans > 1 else ""
    return times + (f" ({', '.join(remarks)})" if remarks else "")


def _notes(explained: Explanation) -> Iterator[str]:
    """What was repaired, cut or left out."""
    carried = Counter(flag for node in explained.nodes for flag in node.flags)
    for flag, words in _NOTES.items():
        if carried[flag]:
            yield f"{_many(carried[flag], 'span')} {words}{_by_how_much(explained, flag)}"
    ignored = sum(fragment.kind == "not-blocking" for fragment in explained.fragments)
    if ignored:
        yield f"{_many(ignored, 'call')} that nobody waited for, off the path"


def _by_how_much(explained: Explanation, flag: str) -> str:
    if flag != "skew-shifted":
        return ""
    return f" (by up to {duration(max(abs(node.shift_ns) for node in explained.nodes))})"


def _many(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
