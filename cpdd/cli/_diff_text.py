"""A difference of two populations in words, for people. Pure.

The first sentence is the answer; below it the figures, what changed, and what stands out without being sure.
"""

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.text import Text

from collector.core.population.difference import Change, Compared, Difference, ServiceChange
from cpdd.cli._terminal import PATH_STYLE, QUIET_STYLE, Look, printable
from ui.draw.text import count_of
from ui.draw.units import duration, significant, whole_percent

MOST_SERVICES = 6
MOST_CHANGES = 4


def diff_lines(difference: Difference, a: str, b: str, look: Look, all_rows: bool = False) -> list[Text]:
    """Return the lines that show a difference; `a` and `b` are what the populations are called."""
    a, b = printable(a), printable(b)
    lines = [Text(line, "bold") for line in look.wrapped(answer(difference, a, b))]
    lines += [Text(), *_figures(difference, a, b, look)]
    services = [s for s in difference.services if s.figures.stands_out > 0 or _is_sure(s)]
    if services and not difference.is_quiet:
        lines += [Text(), *_table(services if all_rows else services[:MOST_SERVICES], difference, look, all_rows)]
        if not all_rows and len(services) > MOST_SERVICES:
            lines.append(_quiet(f"… {len(services) - MOST_SERVICES:,} more: --all prints all", look))
    lines += _notes(difference, look)
    return lines


def answer(difference: Difference, a: str, b: str) -> str:
    """Say in a sentence or two what happened.

    The largest of what is sure comes first; where nothing is, what stands out is named as such.
    """
    before, after = difference.a.mean_ns, difference.a.mean_ns + difference.delta_ns
    means = f"mean {duration(before)} → {duration(after)}" + (" at the same mix" if _has_mix(difference) else "")
    low, high = difference.interval_ns
    sure = [service for service in difference.services if _is_sure(service)]
    if difference.is_quiet:
        if low == -float("inf"):
            return f"Whether {b} takes longer than {a} cannot be told from one trace ({means})."
        return (
            f"Nothing changed that could not be chance: {b} takes as long as {a} ({means}; "
            f"the true change lies between {_signed(low)} and {_signed(high)})."
        )
    if not difference.significant:
        head = f"{b} takes about as long as {a} ({means}), but inside it something moved: "
    else:
        word = "slower" if difference.delta_ns > 0 else "faster"
        head = f"{b} is {duration(abs(difference.delta_ns))} {word} than {a} ({means}): "
    first = difference.services[0] if difference.services else None
    if first and _is_sure(first):
        return head + f"{_what_happened(first)}{_of_the_change(first.figures, difference)}."
    surest = f"{_what_happened(sure[0])}{_of_the_change(sure[0].figures, difference)}." if sure else ""
    if first and first.figures.stands_out > 0:
        few = f"on the path of {first.figures.traces[0]:,} traces in {a} and {first.figures.traces[1]:,} in {b}"
        stands_out = f"what stands out most is that {_what_happened(first)}, {few}; that may be chance"
        return f"{head}{stands_out}." + (f" Sure is that {surest}" if sure else "")
    return head + (surest or "it is spread over many operations, none of which stands out.")


def _is_sure(service: ServiceChange) -> bool:
    return service.figures.significant or any(change.figures.significant for change in service.changes)


def _what_happened(service: ServiceChange) -> str:
    figures = service.figures
    name = printable(service.service)
    thing = f"the way into {name}" if service.what == "gap" else f"{name}'s own work"
    before, after = figures.there_ns
    if not before:
        return f"{thing} is new on the path and takes {duration(after)}"
    if not after:
        return f"{thing} is no longer on the path, which saves {duration(before)}"
    if 0.95 < figures.factor < 1.05:
        return f"{thing} is on the path more often" if figures.delta_ns > 0 else f"{thing} is on the path less often"
    return f"{thing} takes {_times(figures.factor)} ({duration(before)} → {duration(after)} where it is called)"


def _times(factor: float) -> str:
    """ "56 times as long", "1.2 times as long", "a third less"."""
    if factor >= 1:
        return f"{significant(float(f'{factor:.2g}'))} times as long"
    return f"{whole_percent(1 - factor)} less"


def _of_the_change(figures: Compared, difference: Difference) -> str:
    if not difference.significant or figures.share_of_change <= 0:
        return f", {_signed(figures.delta_ns)} per trace"
    return f", {whole_percent(figures.share_of_change)} of the change"


def _has_mix(difference: Difference) -> bool:
    return abs(difference.mix_ns) >= 0.01 * difference.b.mean_ns


def _figures(difference: Difference, a: str, b: str, look: Look) -> Iterator[Text]:
    """How long traces took before and after."""
    one, two = difference.a, difference.b
    rows = [
        ("traces", f"{one.traces:,}", f"{two.traces:,}", ""),
        *(
            (name, duration(before), duration(after), _signed(after - before))
            for name, before, after in (
                ("mean", one.mean_ns, two.mean_ns),
                ("p50", one.p50_ns, two.p50_ns),
                ("p95", one.p95_ns, two.p95_ns),
                ("p99", one.p99_ns, two.p99_ns),
            )
        ),
    ]
    head = ("", look.cut(a, 24), look.cut(b, 24), "change")
    cells = [tuple(look.text(cell) for cell in row) for row in (head, *rows)]
    widths = [max(cell_len(row[column]) for row in cells) for column in range(4)]
    for number, row in enumerate(cells):
        line = "  ".join(
            _pad(cell, width, right=column > 0) for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield Text(line.rstrip(), QUIET_STYLE if number == 0 else "")
    yield _quiet(_interval(difference), look)


def _interval(difference: Difference) -> str:
    low, high = difference.interval_ns
    if low == -float("inf"):
        return "how sure that is, one trace cannot tell"
    change = f"{_signed(difference.delta_ns)} ({_signed(low)} to {_signed(high)}, 95 %)"
    return f"the mean at the same mix of requests: {change}"


def _table(services: Sequence[ServiceChange], difference: Difference, look: Look, all_rows: bool) -> Iterator[Text]:
    """The services that stand out, each with those of its parts that do."""
    rows: list[tuple[str, Compared, int]] = []
    for service in services:
        rows.append((_name(service), service.figures, 0))
        sure = _is_sure(service)
        shown = [c for c in service.changes if all_rows or c.figures.significant or (not sure and _weighs(c, service))]
        rows += [(_name_of_part(change), change.figures, 1) for change in shown[: None if all_rows else MOST_CHANGES]]
    yield Text("what changed, per trace", "bold")
    yield from _rows(rows, difference, look)
    if any(not _is_sure(service) for service in services):
        yield _quiet("? may be chance: too few traces, or too much spread, to tell", look)


def _weighs(change: Change, service: ServiceChange) -> bool:
    """Whether a part is much of what happened to its service."""
    return abs(change.figures.delta_ns) >= 0.25 * abs(service.figures.delta_ns)


def _name(service: ServiceChange) -> str:
    name = printable(service.service)
    return f"way into {name}" if service.what == "gap" else f"{name}, its own work"


def _name_of_part(change: Change) -> str:
    part = change.part
    if not part.is_gap:
        return printable(part.operation)
    return f"{printable(part.caller_service)} → {printable(part.operation)}"


def _rows(rows: Sequence[tuple[str, Compared, int]], difference: Difference, look: Look) -> Iterator[Text]:
    """Name, change per trace, its interval, share of the change, cost where it is there."""
    cells = [
        (
            look.text(("" if figures.significant else "? ") + _signed(figures.delta_ns)),
            look.text(_between(figures)),
            look.text(whole_percent(figures.share_of_change).replace("-", "−")) if difference.significant else "",
            look.text(_cost(figures)),
        )
        for _, figures, _ in rows
    ]
    heads = ("change", "95 %", "of all" if difference.significant else "", "where it is there")
    widths = [max(cell_len(row[column]) for row in (heads, *cells)) for column in range(4)]
    room = max(24, look.width - sum(widths) - 8)
    width = min(room, max(2 * indent + cell_len(name) for name, _, indent in rows))
    head = "".join("  " + _pad(each, cell_width, True) for each, cell_width in zip(heads, widths, strict=True))
    yield Text((" " * width + head).rstrip(), QUIET_STYLE)
    for (name, figures, indent), row in zip(rows, cells, strict=True):
        label = "  " * indent + look.squeeze(look.text(name), width - 2 * indent)
        style = QUIET_STYLE if not figures.significant else "bold" if indent == 0 else ""
        line = Text(_pad(label, width), style)
        for column, (cell, cell_width) in enumerate(zip(row, widths, strict=True)):
            own = PATH_STYLE if column == 0 and figures.significant else style
            line.append("  " + _pad(cell, cell_width, right=True), own)
        yield line


def _between(figures: Compared) -> str:
    low, high = figures.interval_ns
    return f"{_signed(low)} to {_signed(high)}" if abs(low) != float("inf") else "?"


def _cost(figures: Compared) -> str:
    before, after = figures.there_ns
    if not before:
        return f"new, {duration(after)}"
    if not after:
        return f"gone, {duration(before)}"
    return f"{duration(before)} → {duration(after)}"


def _notes(difference: Difference, look: Look) -> Iterator[Text]:
    a, b = difference.compared
    if _has_mix(difference):
        words = (
            f"note: other requests account for {_signed(difference.mix_ns)} of the means; the changes above compare "
            f"requests of the same kind ({a:,} traces with {b:,})"
        )
        yield Text()
        yield from (_quiet(line, look) for line in look.wrapped(words))
    left = difference.a.traces - a + difference.b.traces - b
    if left and not _has_mix(difference):
        yield Text()
        yield _quiet(f"note: {count_of(left, 'trace')} of kinds that only one side has enough of are left out", look)


def _quiet(words: str, look: Look) -> Text:
    return Text(look.text(words), QUIET_STYLE)


def _signed(ns: float) -> str:
    return duration(ns) if ns <= 0 else "+" + duration(ns)


def _pad(text: str, width: int, right: bool = False) -> str:
    space = " " * max(width - cell_len(text), 0)
    return space + text if right else text + space
