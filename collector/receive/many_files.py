"""Spans of many files: small plain Jaeger documents together in one call of the kernels, every other file by itself.

Of a folder with a document a trace, most of the time went into what each file costs by itself: opening, decoding and
joining fifty spans. Called by the command; `files` reads one.
"""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from collector.core.formats.jaeger_quick import (
    BEGINNING_BYTES,
    is_candidate,
    is_worth_it,
    translate_joined,
    translator,
)
from collector.core.spans import SpanBatch
from collector.core.wire import MalformedRequest, decode_traces
from collector.receive.files import DEFAULT_MAX_BYTES, STDIN, FileSpans, UnreadableFile, read_spans

MAX_SMALL_BYTES = 4 * 2**20
"""Size up to which a file is read together with others."""
MAX_GROUP_BYTES = 16 * 2**20

ReadAlone = Callable[[str, int], FileSpans]
"""Reads one file, being told how many bytes of others were read before; raises UnreadableFile."""


@dataclass(frozen=True, slots=True)
class FilesRead:
    """Some files, one behind the other in the order given, and what they hold; or the one that gives nothing."""

    paths: tuple[str, ...]
    found: FileSpans | UnreadableFile


def read_many(
    paths: Sequence[str], max_bytes: int = DEFAULT_MAX_BYTES, read_alone: ReadAlone | None = None
) -> Iterator[FilesRead]:
    """Yield what the files hold, in their order: what `read_spans` finds in each, several of them at a time.

    Args:
        max_bytes: most bytes to read of a file, after inflating.
        read_alone: reads a file that is not read with others, by default `read_spans`.
    """
    alone = read_alone or (lambda path, read_before: read_spans(path, None, max_bytes, read_before))
    read_before = 0
    for group in _groups(paths, min(MAX_SMALL_BYTES, max_bytes)):
        out, ends = _translate(group, read_before)
        begin = 0
        for plain, some in groupby(zip(group.paths, group.sizes, ends, strict=True), key=lambda each: each[2] >= 0):
            run = list(some)
            batch = _decode(out[begin : run[-1][2]].tobytes()) if plain else None
            begin = max(begin, run[-1][2])
            if batch is not None:
                yield FilesRead(tuple(path for path, _, _ in run), FileSpans(batch, 0, (), ()))
                read_before += sum(size for _, size, _ in run)
                continue
            for path, _, _ in run:
                yield FilesRead((path,), _or_error(alone, path, read_before))
                read_before += os.path.getsize(path) if path != STDIN and os.path.exists(path) else 0


@dataclass(frozen=True, slots=True)
class _Group:
    """Files, and the texts of those that may be read together, behind one another: in one piece of memory, since every
    page that is touched for the first time costs as much as reading a file of its size."""

    text: NDArray[np.uint8]
    paths: list[str]
    sizes: list[int]
    """0 for those that have to be read alone."""


def _groups(paths: Sequence[str], max_small_bytes: int) -> Iterator[_Group]:
    """The files, up to a size that memory does not mind."""
    group, used = _new_group(), 0
    for path in paths:
        size = _read_plain(path, group.text, used, max_small_bytes) if len(paths) > 1 else 0
        if used and used + size > MAX_GROUP_BYTES:
            full, group = group, _new_group()
            group.text[:size] = full.text[used : used + size]
            used = 0
            yield full
        group.paths.append(path)
        group.sizes.append(size)
        used += size
    if group.paths:
        yield group


def _new_group() -> _Group:
    return _Group(np.empty(MAX_GROUP_BYTES + MAX_SMALL_BYTES + 1, np.uint8), [], [])


def _read_plain(path: str, text: NDArray[np.uint8], at: int, max_bytes: int) -> int:
    """Read a small file that looks like Jaeger's JSON; return its size, 0 for any other and where it cannot be read.

    Args:
        text: takes the file from `at` on, and a byte more, which tells that it has grown.
    """
    if path == STDIN:
        return 0
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return 0
    try:
        facts = os.fstat(file)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > max_bytes:
            return 0
        size = os.readv(file, [text[at : at + facts.st_size + 1].data])
    except OSError:
        return 0
    finally:
        os.close(file)
    beginning = text[at : at + min(size, BEGINNING_BYTES)].tobytes()
    return size if size == facts.st_size and is_candidate(beginning) else 0


def _translate(group: _Group, read_before: int) -> tuple[NDArray[np.uint8], list[int]]:
    """The OTLP requests that the files make, and the position behind each file's; -1 for those to be read alone."""
    ends = np.full(len(group.sizes), -1, np.int64)
    sizes = np.array(group.sizes, np.int64)
    plain = np.flatnonzero(sizes)
    edges = np.append(0, np.cumsum(sizes[plain]))
    if not len(plain) or not is_worth_it(read_before + int(edges[-1])):
        return np.empty(0, np.uint8), ends.tolist()
    out, behind = translate_joined(translator(compiled=True), group.text[: edges[-1]], edges)
    ends[plain] = behind
    return out, ends.tolist()


def _decode(request: bytes) -> SpanBatch | None:
    """The spans of requests, which behind one another are one to protobuf; None where any is odd."""
    try:
        batch, rejections = decode_traces(request)
    except MalformedRequest:
        return None
    return None if rejections.count else batch


def _or_error(alone: ReadAlone, path: str, read_before: int) -> FileSpans | UnreadableFile:
    try:
        return alone(path, read_before)
    except UnreadableFile as error:
        return error
