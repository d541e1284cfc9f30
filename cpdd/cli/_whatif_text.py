"""Predictions and rankings in words, for people. Pure."""

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.text import Text

from collector.core.population.whatif import Candidate, Figure, Prediction
from collector.core.population.wishes import Wish
from cpdd.cli._terminal import PATH_STYLE, QUIET_STYLE, Look, printable
from ui.draw.text import count_of, in_a_row
from ui.draw.units import duration, whole_percent

_BAR = 10


def prediction_lines(
    prediction: Prediction, wishes: Sequence[Wish], saturations: Sequence[float], look: Look
) -> list[Text]:
    """Return the lines that show what wishes would do."""
    lines = [Text(line, "bold") for line in look.wrapped(_answer(prediction, wishes))]
    lines += [Text(), *_figures(prediction, look)]
    notes = [_saturation(wish, at) for wish, at in zip(wishes, saturations, strict=True)]
    differ = any(_graphs_differ(figure) for figure in prediction.figures)
    notes.append(
        f"{count_of(prediction.traces, 'trace')}, of which {whole_percent(prediction.touched)} have such a span. "
        "A call waits for those before it, unless some trace shows the two at once or the other way round"
        + ("; cautious: for all that had ended; bold: for the last one alone." if differ else ".")
    )
    lines.append(Text())
    lines += [Text(line, QUIET_STYLE) for note in notes for line in look.wrapped(note)]
    return lines


def _answer(prediction: Prediction, wishes: Sequence[Wish]) -> str:
    mean = prediction.mean
    change = mean.change_ns
    said = in_a_row([printable(wish.text) for wish in wishes])
    if abs(change) < 0.0005 * mean.before_ns:
        return f"{said} would change nothing: the mean stays at {duration(mean.before_ns)}, other work is waited for."
    word = "saves" if change < 0 else "costs"
    return (
        f"{said} {word} {duration(abs(change))} on average, {whole_percent(abs(change) / mean.before_ns)} of "
        f"{duration(mean.before_ns)}."
    )


def _figures(prediction: Prediction, look: Look) -> Iterator[Text]:
    is_open = any(_graphs_differ(figure) for figure in prediction.figures)
    rows: list[tuple[str, ...]] = [("", "now", "then", "change", "99 %", *(("cautious", "bold") if is_open else ()))]
    for figure in prediction.figures:
        low, high = figure.interval_ns
        cells = [figure.name, duration(figure.before_ns), duration(figure.after_ns), signed(figure.change_ns)]
        cells.append(f"{signed(low)} to {signed(high)}")
        if is_open:
            cells += [signed(after - figure.before_ns) for after in (figure.after_cautious_ns, figure.after_bold_ns)]
        rows.append(tuple(cells))
    yield from columns(rows, look)


def _graphs_differ(figure: Figure) -> bool:
    after = figure.after_ns
    return max(abs(figure.after_cautious_ns - after), abs(figure.after_bold_ns - after)) > 0.001 * figure.before_ns


def _saturation(wish: Wish, at: float) -> str:
    name = printable(wish.target)
    if at >= 1:
        return f"{name}: pays all the way; no other path takes over before its work is gone."
    if at <= 0:
        return f"{name}: is not waited for where it runs; making it faster saves nothing."
    return (
        f"{name}: pays down to about {whole_percent(1 - at)} of its work; below that another path takes over and a "
        "further step saves less than half as much."
    )


def ranking_lines(ranking: Sequence[Candidate], mean_ns: float, traces: int, look: Look) -> list[Text]:
    """Return the lines that rank what to make faster first."""
    if not ranking:
        return [Text("Nothing can be made faster: the traces have no length.", "bold")]
    first = ranking[0]
    saved = first.halved_ns
    head = (
        f"Make {name_of_part(first)} faster first: at half its time the mean falls by {duration(saved)}, "
        f"{whole_percent(saved / mean_ns)} of {duration(mean_ns)} ({count_of(traces, 'trace')})."
    )
    largest = max(candidate.halved_ns for candidate in ranking) or 1.0
    rows = [("to make faster first", "", "half", "gone", "p95, half", "on path", "pays down to")]
    for candidate in ranking:
        half = candidate.halved_ns
        rows.append(
            (
                name_of_part(candidate),
                look.glyphs.path * round(_BAR * half / largest),
                signed(-half),
                signed(-candidate.gone_ns),
                signed(-candidate.halved_p95_ns),
                duration(candidate.mean_ns),
                "0" if candidate.saturates_at >= 1 else whole_percent(1 - candidate.saturates_at),
            )
        )
    lines = [Text(line, "bold") for line in look.wrapped(head)]
    lines += [Text(), *columns(rows, look, names=True, bars=1)]
    words = (
        "half: change of the mean when it takes half its time; gone: when it takes none; pays down to: the share of "
        "its time below which another path takes over"
    )
    return [*lines, Text(), *(Text(line, QUIET_STYLE) for line in look.wrapped(words))]


def name_of_part(candidate: Candidate) -> str:
    """Who it is, in the form that --set takes."""
    part = candidate.part
    name = f"{part.service}/{part.operation}" if part.operation else part.service
    return printable(f"{part.caller_service} -> {name}" if part.is_gap else name)


def columns(
    rows: Sequence[tuple[str, ...]], look: Look, names: bool = False, bars: int = -1, words: int = -1
) -> Iterator[Text]:
    """Lay rows out in columns, the first row being heads. All but the first column are numbers, to the right.

    Args:
        names: the first column gives way where the terminal is narrow.
        bars: the column that is drawn in the path's colour.
        words: the column, the last one, that begins at the left and is cut.
    """
    cells = [[look.text(cell) for cell in row] for row in rows]
    widths = [max(cell_len(row[i]) for row in cells) for i in range(len(cells[0]))]
    if names:
        widths[0] = min(widths[0], max(24, look.width - sum(widths[1:]) - 2 * (len(widths) - 1)))
    if words >= 0:
        widths[words] = max(24, look.width - sum(widths[:words]) - 2 * words)
    for number, row in enumerate(cells):
        line = Text()
        for i, (cell, width) in enumerate(zip(row, widths, strict=True)):
            text = look.cut(cell, width) if i == words else look.squeeze(cell, width)
            space = " " * (width - cell_len(text))
            to_left = i in (0, bars, words)
            line.append(("  " if i else "") + (text + space if to_left else space + text), PATH_STYLE * (i == bars))
        line.rstrip()
        if number == 0:
            line.stylize(QUIET_STYLE)
        yield line


def signed(ns: float) -> str:
    return duration(ns) if ns <= 0 else "+" + duration(ns)
