"""The waterfall of a trace as text: a row a span, and the critical path as one line through them. Pure.

shop POST /checkout      50 ms  ━━━━━┓           ┏━━
 cart GET /cart          12 ms  ─────┗━━┓     ┏━━┛──    down into the call that was waited for, and back up
  redis GET              30 ms          ┗━━━━━┛
 mail send                      ┄┄┄┄┄┄┄┄┄┄┄┄┄┄
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from rich.cells import cell_len
from rich.text import Text

from collector.core.explain import Explanation, PathNode
from cpdd.cli._rows import Row, Rows
from cpdd.cli._terminal import FAILED_STYLE, PATH_STYLE, QUIET_STYLE, Look, printable
from ui.draw.units import duration, nice_ticks

AMBIGUOUS = "self-in-flight"
_TIME_HEAD = "on path"
_LABEL_SHARE = 0.45
_INDENT_SHARE = 0.4
_BEYOND_SHARE = 0.25
"""How far spans may reach beyond the target before the picture cuts them, relative to the target's length."""


@dataclass(frozen=True, slots=True)
class _Scale:
    """Columns of a picture, as stretches of time."""

    start: int
    length: int
    columns: int

    def column(self, time: int) -> int:
        """The column in which a moment lies, held at the edges."""
        if self.length <= 0:
            return 0
        return min(max((time - self.start) * self.columns // self.length, 0), self.columns - 1)

    def edge(self, column: int) -> int:
        """Where a column begins."""
        return self.start + self.length * column // self.columns


@dataclass(frozen=True, slots=True)
class Waterfall:
    """The lines of a trace: an axis, then label, time on the path and bar of each row."""

    lines: tuple[Text, ...]
    signs: frozenset[str]
    """Glyphs that occur, for the legend; `+` where rows have hidden spans below."""


def waterfall(
    explained: Explanation, rows: Rows, failed: frozenset[int], look: Look, marked: frozenset[int] = frozenset()
) -> Waterfall:
    """Return the picture of a trace.

    Args:
        failed: nodes whose status is an error.
        marked: nodes to point at.
    """
    widest = int(look.width * _LABEL_SHARE)
    badges = ((look.glyphs.marked, marked), (look.glyphs.failed, failed))
    labels = [
        _label(explained, rows, row, [sign for sign, nodes in badges if row.node in nodes], widest, look)
        for row in rows.rows
    ]
    width = max(map(_cells, labels), default=0)
    times_ns = [explained.nodes[row.node].time_ns for row in rows.rows]
    times = [look.text(duration(time_ns)) if time_ns else "" for time_ns in times_ns]
    time_width = max(map(len, [_TIME_HEAD, *times]))
    scale = _scale(explained, rows, max(look.width - width - time_width - 4, 10))
    canvas = _Canvas(len(rows.rows), scale, look)
    for position, row in enumerate(rows.rows):
        canvas.extent(position, explained.nodes[row.node])
    canvas.path(explained, rows)
    lines = [Text.assemble((f"{'':{width}}  {_TIME_HEAD:>{time_width}}  ", QUIET_STYLE), _axis(explained, scale, look))]
    for position, (time, label) in enumerate(zip(times, labels, strict=True)):
        label.pad_right(width - _cells(label))
        label.append(f"  {time:>{time_width}}  ", PATH_STYLE if time else "")
        label.append_text(canvas.line(position))
        label.rstrip()
        lines.append(label)
    signs = canvas.signs()
    if any(row.hidden for row in rows.rows):
        signs.add("+")
    signs |= {sign for sign, nodes in badges if any(row.node in nodes for row in rows.rows)}
    return Waterfall(tuple(lines), frozenset(signs))


def legend(signs: frozenset[str], look: Look) -> list[Text]:
    """Return what signs mean."""
    glyphs = look.glyphs
    meanings = (
        (glyphs.path * 2, PATH_STYLE, "critical path"),
        (glyphs.doubtful * 2, PATH_STYLE, "ambiguous: a call was still running"),
        (glyphs.speck, PATH_STYLE, "shorter than a column"),
        (glyphs.off_path * 2, QUIET_STYLE, "off the path"),
        (glyphs.not_awaited * 2, QUIET_STYLE, "not waited for"),
        (glyphs.beyond, QUIET_STYLE, "goes on beyond"),
        (glyphs.failed, FAILED_STYLE, "failed"),
        (glyphs.marked, FAILED_STYLE, "what broke"),
        ("+1", QUIET_STYLE, "spans below that are not shown"),
    )
    texts = [Text()]
    for sign, style, meaning in meanings:
        if sign[0] not in signs:
            continue
        entry = Text.assemble((sign, style), (f" {meaning}", QUIET_STYLE))
        if texts[-1] and _cells(texts[-1]) + 3 + _cells(entry) > look.width:
            texts.append(Text())
        texts[-1].append_text(Text.assemble("   " if texts[-1] else "", entry))
    return texts


# Labels


def _label(explained: Explanation, rows: Rows, row: Row, badges: Sequence[str], widest: int, look: Look) -> Text:
    """The service where it is another than the row above has, and the operation, indented as deep as it lies."""
    node = explained.nodes[row.node]
    deepest = max(r.depth for r in rows.rows)
    indent = min(row.depth, row.depth * int(widest * _INDENT_SHARE) // max(deepest, 1))
    above = _shown_above(explained, rows, node)
    hidden = f" +{row.hidden}" if row.hidden else ""
    text = Text(" " * indent)
    for badge in badges:
        text.append(badge + " ", FAILED_STYLE)
    room = widest - _cells(text) - len(hidden)
    style = "" if node.time_ns else QUIET_STYLE
    operation = printable(node.operation) or "(no name)"
    if (above is None or above.service != node.service) and node.service != node.operation:
        service = look.cut(printable(node.service), max(room - 12, room // 2))
        text.append(service, "bold" if node.time_ns else QUIET_STYLE)
        text.append(" ")
        room -= cell_len(service) + 1
    text.append(look.squeeze(operation, room), style)
    text.append(hidden, QUIET_STYLE)
    return text


def _shown_above(explained: Explanation, rows: Rows, node: PathNode) -> PathNode | None:
    position = rows.shown_for[node.parent] if node.parent >= 0 else -1
    return explained.nodes[rows.rows[position].node] if position >= 0 else None


def _cells(text: Text) -> int:
    return cell_len(text.plain)


# Time


def _scale(explained: Explanation, rows: Rows, columns: int) -> _Scale:
    """From the first start to the last end of what is shown, but not far beyond the target."""
    begin, length = explained.target_start_unix_nano, explained.target_duration_ns
    beyond = int(length * _BEYOND_SHARE)
    shown = [explained.nodes[row.node] for row in rows.rows]
    start = max(min((node.start_unix_nano for node in shown), default=begin), begin - beyond)
    end = min(max((node.end_unix_nano for node in shown), default=begin), begin + length + beyond)
    start, end = min(start, begin), max(end, begin + length)
    return _Scale(start, end - start, columns)


def _axis(explained: Explanation, scale: _Scale, look: Look) -> Text:
    """Round times from the start of the target, each where it begins."""
    marks = [" "] * scale.columns
    free = 0
    begin = explained.target_start_unix_nano
    for tick in nice_ticks(scale.start - begin, scale.start - begin + scale.length, max(scale.columns // 14, 2)):
        at = scale.column(begin + tick)
        word = look.text(duration(tick)) if tick else "0"
        if at >= free and at + len(word) <= scale.columns:
            marks[at : at + len(word)] = word
            free = at + len(word) + 2
    return Text("".join(marks).rstrip(), QUIET_STYLE)


# Bars


class _Canvas:
    """Cells of the bars: extents first, the path over them."""

    def __init__(self, rows: int, scale: _Scale, look: Look) -> None:
        self._scale = scale
        self._glyphs = look.glyphs
        self._cells = [[(" ", "")] * scale.columns for _ in range(rows)]

    def signs(self) -> set[str]:
        """Glyphs that occur; corners are what ASCII has `+` for, so that a row of the path stands for them."""
        return {glyph for cells in self._cells for glyph, _ in cells} - {"+"}

    def line(self, row: int) -> Text:
        runs = groupby(self._cells[row], key=itemgetter(1))
        return Text.assemble(*(("".join(glyph for glyph, _ in run), style) for style, run in runs))

    def extent(self, row: int, node: PathNode) -> None:
        """From start to end, thin; one column at least."""
        glyph = self._glyphs.off_path if node.blocking else self._glyphs.not_awaited
        first = self._scale.column(node.start_unix_nano)
        last = self._scale.column(max(node.end_unix_nano - 1, node.start_unix_nano))
        for column in range(first, last + 1):
            self._cells[row][column] = (glyph, QUIET_STYLE)
        if node.end_unix_nano > self._scale.start + self._scale.length:
            self._cells[row][-1] = (self._glyphs.beyond, QUIET_STYLE)

    def path(self, explained: Explanation, rows: Rows) -> None:
        """One line: along the row that has most of a column, and up or down to the row that has most of the next."""
        times, doubtful = self._times(explained, rows)
        owners = {column: max(found, key=lambda row: (found[row], -row)) for column, found in times.items()}
        for column, row in sorted(owners.items()):
            before = owners.get(column - 1, row)
            if before == row:
                unsure = 2 * doubtful[column, row] > times[column][row]
                self._set(row, column, self._glyphs.doubtful if unsure else self._glyphs.path)
            else:
                self._step(before, row, column)
        self._specks(times)

    def _times(
        self, explained: Explanation, rows: Rows
    ) -> tuple[dict[int, dict[int, int]], dict[tuple[int, int], int]]:
        """Time on the path by column and row, and how much of it is ambiguous."""
        scale = self._scale
        times: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
        doubtful: dict[tuple[int, int], int] = defaultdict(int)
        for section in explained.sections:
            row = rows.shown_for[section.node]
            if row < 0 or section.duration_ns <= 0:
                continue
            for column in range(scale.column(section.start_unix_nano), scale.column(section.end_unix_nano - 1) + 1):
                begin = max(section.start_unix_nano, scale.edge(column))
                inside = max(min(section.end_unix_nano, scale.edge(column + 1)) - begin, 1)
                times[column][row] += inside
                if section.reason == AMBIGUOUS:
                    doubtful[column, row] += inside
        return times, doubtful

    def _step(self, before: int, row: int, column: int) -> None:
        glyphs = self._glyphs
        out, into = (glyphs.down_out, glyphs.down_in) if before < row else (glyphs.up_out, glyphs.up_in)
        self._set(before, column, out)
        self._set(row, column, into)
        for between in range(min(before, row) + 1, max(before, row)):
            self._set(between, column, glyphs.vertical)

    def _specks(self, times: dict[int, dict[int, int]]) -> None:
        """Rows with time on the path that have most of no column are marked where they have most."""
        most: dict[int, tuple[int, int]] = {}
        for column, found in times.items():
            for row, time in found.items():
                most[row] = max(most.get(row, (0, 0)), (time, -column))
        for row, (_, column) in most.items():
            along = {self._glyphs.path, self._glyphs.doubtful, self._glyphs.down_in, self._glyphs.up_in}
            if not any(glyph in along and style == PATH_STYLE for glyph, style in self._cells[row]):
                self._set(row, -column, self._glyphs.speck)

    def _set(self, row: int, column: int, glyph: str) -> None:
        self._cells[row][column] = (glyph, PATH_STYLE)
