"""The terminal that a verb writes to: how wide it is, which characters it shows, and text that cannot harm it."""

import shutil
import sys
import textwrap
from dataclasses import dataclass
from typing import TextIO

import click
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from cpdd.unseen import UNSEEN_LETTERS
from ui.draw.units import NBSP

PATH_STYLE = "bold magenta"
"""The critical path has one colour, and nothing else ever has it."""
QUIET_STYLE = "dim"
FAILED_STYLE = "bold red"

NARROWEST = 60
"""Columns below which nothing is fitted any more: lines then wrap."""


@dataclass(frozen=True, slots=True)
class Glyphs:
    """Characters of pictures and words."""

    path: str
    doubtful: str
    """The path where it is ambiguous."""
    speck: str
    """The path where it is shorter than a column."""
    vertical: str
    down_out: str
    """Corners of the path: where it leaves a row downwards, and enters the row below; likewise upwards."""
    down_in: str
    up_out: str
    up_in: str
    off_path: str
    not_awaited: str
    failed: str
    marked: str
    """A span that is pointed at."""
    beyond: str
    """Where something goes on outside the picture."""
    ellipsis: str
    dot: str


_PLAIN = str.maketrans({"µ": "u", NBSP: " ", "–": "-", "−": "-", "×": "x", "→": "->", "…": ".."})
UNICODE = Glyphs("━", "╍", "•", "┃", "┓", "┗", "┛", "┏", "─", "┄", "✕", "▶", "›", "…", "·")
ASCII = Glyphs("=", "~", "*", "|", "+", "+", "+", "+", "-", ".", "x", "!", ">", "..", "-")


@dataclass(frozen=True, slots=True)
class Look:
    """What a terminal can show."""

    width: int = 80
    glyphs: Glyphs = UNICODE

    def text(self, text: str) -> str:
        """Return text without what only Unicode terminals show."""
        if self.glyphs is UNICODE:
            return text
        return text.translate(_PLAIN)

    def cut(self, text: str, width: int) -> str:
        """Return text of at most `width` columns; what was cut is marked."""
        if cell_len(text) <= width:
            return text
        ellipsis = self.glyphs.ellipsis
        return set_cell_size(text, max(width - len(ellipsis), 0)).rstrip() + ellipsis[:width]

    def squeeze(self, text: str, width: int) -> str:
        """Return text of at most `width` columns; what was cut is in its middle, for names that differ at their end."""
        if cell_len(text) <= width:
            return text
        ellipsis = self.glyphs.ellipsis
        room = max(width - len(ellipsis), 0)
        tail = set_cell_size(text[::-1], room - room // 3)[::-1].lstrip()
        return set_cell_size(text, room // 3).rstrip() + ellipsis[:width] + tail

    def wrapped(self, text: str) -> list[str]:
        """Return text as lines of at most the terminal's width; a number and its unit stay together."""
        return textwrap.wrap(self.text(text), self.width, break_long_words=False, break_on_hyphens=False)


def look_of(stream: TextIO) -> Look:
    """Return what the terminal behind a stream can show; COLUMNS beats its width, and a pipe is 80 columns wide."""
    width = max(shutil.get_terminal_size().columns, NARROWEST)
    try:
        "━┓…µ✕".encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return Look(width, ASCII)
    return Look(width, UNICODE)


def printable(text: str) -> str:
    """Return text of a stranger without what would move the cursor, change colours, turn the line around or hide.

    >>> printable("GET \\x1b[31m/cart\\n")
    'GET �[31m/cart�'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c == NBSP or (c.isprintable() and c not in UNSEEN_LETTERS) else "�" for c in text)


def say(text: str) -> None:
    """Write words to stderr; line breaks of ours stay, control characters of strangers do not."""
    click.echo("\n".join(map(printable, text.split("\n"))), err=True)


class Printer:
    """Writes styled lines to stdout: in colour where it is a terminal and NO_COLOR is unset."""

    def __init__(self) -> None:
        self.look = look_of(sys.stdout)
        self._encoding = sys.stdout.encoding or "ascii"
        self._console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False)

    def print(self, *lines: Text) -> None:
        """Write lines as they are; a character that the terminal has not becomes a question mark."""
        for line in lines:
            self._console.print(_fitting(line, self._encoding), soft_wrap=True)


def _fitting(line: Text, encoding: str) -> Text:
    plain = line.plain.encode(encoding, "replace").decode(encoding)
    return line if plain == line.plain else Text(plain, spans=line.spans)
