"""Spans of many files: small plain Jaeger documents together in one call of the kernels, every other file by itself.

Of a folder with a document a trace, most of the time went into what each file costs by itself: opening, decoding and
joining fifty spans. Called by the command; `files` reads one.
"""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from collector.core.formats.jaeger_quick import is_candidate, is_worth_it, translate_with, translator
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
        requests = _translate([body for _, body in group], read_before)
        for plain, some in groupby(zip(group, requests, strict=True), key=lambda each: each[1] is not None):
            run = list(some)
            batch = _decode([request for _, request in run if request is not None]) if plain else None
            if batch is not None:
                yield FilesRead(tuple(path for (path, _), _ in run), FileSpans(batch, 0, (), ()))
                read_before += sum(len(body) for (_, body), _ in run)
                continue
            for (path, _), _ in run:
                yield FilesRead((path,), _or_error(alone, path, read_before))
                read_before += os.path.getsize(path) if path != STDIN and os.path.exists(path) else 0


def _groups(paths: Sequence[str], max_small_bytes: int) -> Iterator[list[tuple[str, bytes]]]:
    """The files with their bytes, none for those that have to be read alone; up to a size that memory does not mind."""
    group: list[tuple[str, bytes]] = []
    size = 0
    for path in paths:
        body = _plain_bytes(path, max_small_bytes) if len(paths) > 1 else b""
        if size + len(body) > MAX_GROUP_BYTES:
            yield group
            group, size = [], 0
        group.append((path, body))
        size += len(body)
    if group:
        yield group


def _plain_bytes(path: str, max_bytes: int) -> bytes:
    """The bytes of a small file that looks like Jaeger's JSON, none for any other, and for one that cannot be read."""
    if path == STDIN:
        return b""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        facts = os.fstat(file)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > max_bytes:
            return b""
        body = os.read(file, facts.st_size + 1)
    except OSError:
        return b""
    finally:
        os.close(file)
    return body if len(body) == facts.st_size and is_candidate(body) else b""


def _translate(bodies: Sequence[bytes], read_before: int) -> list[bytes | None]:
    """The OTLP request that each document makes; None for those that have to be read alone."""
    requests: list[bytes | None] = [None] * len(bodies)
    plain = [index for index, body in enumerate(bodies) if body]
    if plain and is_worth_it(read_before + sum(map(len, bodies))):
        translated = translate_with(translator(compiled=True), [bodies[index] for index in plain])
        for index, request in zip(plain, translated, strict=True):
            requests[index] = request
    return requests


def _decode(requests: Sequence[bytes]) -> SpanBatch | None:
    """The spans of requests, which behind one another are one to protobuf; None where any is odd."""
    try:
        batch, rejections = decode_traces(b"".join(requests))
    except MalformedRequest:
        return None
    return None if rejections.count else batch


def _or_error(alone: ReadAlone, path: str, read_before: int) -> FileSpans | UnreadableFile:
    try:
        return alone(path, read_before)
    except UnreadableFile as error:
        return error
