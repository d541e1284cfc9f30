"""Files for verbs: spans to stdout's verb, words about what could not be read to stderr."""

import os
from collections.abc import Sequence

from collector.core.rejections import Rejection
from collector.core.spans import SpanBatch, concatenate
from collector.receive.files import STDIN, FileSpans, UnreadableFile, read_spans
from collector.receive.many_files import read_many
from cpdd.cli._progress import progress_of_bytes
from cpdd.cli._terminal import say
from cpdd.errors import CpddError

MOST_TOLD = 3
"""Rejected spans and damaged stretches that are told one by one, of each file."""


class NoSpans(CpddError):
    """Files that were read and hold no span."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = tuple(paths)
        super().__init__(f"no spans in {', '.join(map(name_of, paths))}")


def read_files(paths: Sequence[str], max_bytes: int) -> SpanBatch:
    """Return the spans of all files as one batch; tells what was left out.

    Raises:
        UnreadableFile, NoSpans: there is not one span.
    """
    batches = []
    failures = []

    def alone(path: str, read_before: int) -> FileSpans:
        with progress_of_bytes(f"reading {os.path.basename(name_of(path))}") as progress:
            return read_spans(path, progress, max_bytes, read_before)

    for read in read_many(paths, max_bytes, alone):
        if isinstance(read.found, UnreadableFile):
            failures.append(read.found)
            continue
        tell_left_out(read.paths[0], read.found)
        batches.append(read.found.batch)
    if sum(map(len, batches)) == 0:
        raise failures[0] if failures else NoSpans(paths)
    for failure in failures:
        say(f"cpdd: {failure}")
    return concatenate(batches)


def tell_left_out(path: str, found: FileSpans) -> None:
    """Say how many spans of a file were rejected and what of it is damaged: the first of each, and a count."""
    if found.problems:
        say(f"{name_of(path)}: {_of_first(len(found.problems), 'stretch', 'stretches')} could not be read")
        say(_first(found.problems, len(found.problems)))
    if found.rejected:
        total = found.rejected + len(found.batch)
        say(f"{name_of(path)}: {found.rejected:,} of {total:,} spans rejected")
        say(_first(found.rejections, found.rejected))


def _of_first(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _first(things: Sequence[Rejection] | Sequence[CpddError], count: int) -> str:
    """The first few, indented, a hint that they share once."""
    told = [str(thing).partition("\nhint: ") for thing in things[:MOST_TOLD]]
    hints = dict.fromkeys(hint for _, _, hint in told if hint)
    lines = [text for text, _, _ in told]
    lines += [f"and {count - len(told):,} more"] if count > len(told) else []
    lines += [f"hint: {hint}" for hint in hints]
    return "\n".join("  " + line for line in "\n".join(lines).split("\n"))


def name_of(path: str) -> str:
    return "stdin" if path == STDIN else path
