"""Spans from files: bytes of any accepted format, compressed or not, as OTLP requests and as columns.

Reads piece by piece: memory holds one request at a time (a JSON document as a whole), and what is inflated is bounded,
so that a bomb ends at the limit. A damaged file gives what was whole before the damage, and the damage with its place.
"""

import io
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import Path
from typing import Any, BinaryIO

from collector.core.formats.document import MalformedDocument, parse_json
from collector.core.formats.jaeger_quick import translate_quickly
from collector.core.formats.recognize import SAMPLE_BYTES, Layout, NotSpans, layout_of, translate_document
from collector.core.formats.translation import Rejection, Rejections
from collector.core.spans import SpanBatch, concatenate
from collector.core.wire import MalformedRequest, decode_traces
from cpdd.errors import CpddError
from cpdd.settings import Settings

STDIN = "-"
DEFAULT_MAX_BYTES = Settings().max_file_bytes
MAX_KEPT_PROBLEMS = 100

_GZIP = b"\x1f\x8b"
_FEED_BYTES = 32 * 1024
"""Small, because every gzip member costs a copy of what was fed behind it."""
_GROUP_BYTES = 16 * 2**20
"""Requests are decoded together up to this size: the decoder is compiled for much, and runs as it stands for little."""

Progress = Callable[[int, int | None], None]
"""Takes the bytes of the file that were read, and its size where it is known."""


class UnreadableFile(CpddError):
    """A file that gives no spans at all: its name, and why."""

    def __init__(self, path: str, problem: str) -> None:
        self.path = path
        self.problem = problem
        super().__init__(f"{path}: {problem}")


class DamagedFile(CpddError):
    """A stretch of a file that cannot be read: the problem, the place, the next step."""

    def __init__(self, problem: str, place: str, hint: str = "") -> None:
        self.problem = problem
        self.place = place
        self.hint = hint
        super().__init__(f"{problem}\n  at {place}" + (f"\nhint: {hint}" if hint else ""))


@dataclass(frozen=True, slots=True)
class FileRequest:
    """An OTLP request as it was cut in the file, or made of a document of it."""

    body: bytes
    place: str = ""
    """Where it stands: `line 3`, `request 7`; empty for a document that is the whole file."""
    rejected: int = 0
    rejections: tuple[Rejection, ...] = ()
    problem: CpddError | None = None
    """Why this stretch of the file gave nothing; then `body` is empty."""


@dataclass(frozen=True, slots=True)
class FileSpans:
    """The spans of a file, and what could not be read of it."""

    batch: SpanBatch
    rejected: int
    rejections: tuple[Rejection, ...]
    """The first of them; likewise the problems."""
    problems: tuple[CpddError, ...]
    """What concerns the whole file stands first."""


def read_spans(
    path: str | Path, progress: Progress | None = None, max_bytes: int = DEFAULT_MAX_BYTES, read_before: int = 0
) -> FileSpans:
    """Return the spans of a file, `-` being stdin.

    Args:
        progress: is told how far it is, several times a megabyte.
        max_bytes: most bytes to read, after inflating; behind them the file is taken as damaged.
        read_before: bytes of other files, read just before: much in all is worth loading faster readers.
    Raises:
        UnreadableFile: no span can be read, and why.
    """
    batches: list[SpanBatch] = []
    rejections, problems = Rejections(), list[CpddError]()
    for group in _groups(read_requests(path, progress, max_bytes, read_before)):
        for request in group:
            rejections.extend(request.rejected, _placed(request.rejections, request))
            if request.problem is not None and not request.place:
                problems.insert(0, request.problem)
            elif request.problem is not None and len(problems) < MAX_KEPT_PROBLEMS:
                problems.append(request.problem)
        batches += _decode(group, rejections, problems)
    batch = concatenate(batches)
    if not len(batch) and problems and not rejections.count:
        raise UnreadableFile(_name(path), str(problems[0]))
    return FileSpans(batch, rejections.count, tuple(rejections.kept), tuple(problems))


def read_requests(
    path: str | Path, progress: Progress | None = None, max_bytes: int = DEFAULT_MAX_BYTES, read_before: int = 0
) -> Iterator[FileRequest]:
    """Yield the OTLP requests of a file as they are cut in it; Jaeger and Zipkin documents are one each.

    Args and errors are those of `read_spans`. What cannot be read is yielded as a `problem`, in its place.
    """
    try:
        with _open(path) as stream:
            size = None if str(path) == STDIN else Path(path).stat().st_size
            source = _Source(stream, size, max_bytes, progress or (lambda done, total: None))
            source.read_before = read_before
            yield from _requests(io.BufferedReader(source, SAMPLE_BYTES), source)
    except OSError as error:
        raise UnreadableFile(_name(path), error.strerror or str(error)) from None
    except (NotSpans, MalformedDocument) as error:
        raise UnreadableFile(_name(path), str(error)) from None


def _open(path: str | Path) -> AbstractContextManager[BinaryIO]:
    return nullcontext(sys.stdin.buffer) if str(path) == STDIN else open(path, "rb")


def _name(path: str | Path) -> str:
    return "stdin" if str(path) == STDIN else str(path)


# Bytes


class _Source(io.RawIOBase):
    """The bytes of a file, inflated where they are gzip. Ends early where the file is damaged; `damage` says why."""

    def __init__(self, stream: BinaryIO, size: int | None, max_bytes: int, progress: Progress) -> None:
        self.damage: DamagedFile | None = None
        self.read_before = 0
        """Bytes of JSON before those that are read next."""
        self._stream = stream
        self._size = size
        self._left = max_bytes
        self._max_bytes = max_bytes
        self._progress = progress
        self._done = 0
        self._fed = self._feed()
        self._inflater = zlib.decompressobj(31) if self._fed.startswith(_GZIP) else None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer, unless the file ends."""
        view, filled = memoryview(buffer), 0
        while filled < len(view) and self.damage is None:
            piece = self._next(len(view) - filled)
            if not piece:
                break
            view[filled : filled + len(piece)] = piece
            filled += len(piece)
        return filled

    def _next(self, most: int) -> bytes:
        """Up to `most` bytes, none at the end."""
        piece = self._plain(most) if self._inflater is None else self._inflated(most)
        if len(piece) > self._left:
            self._damaged(f"more than {self._max_bytes:,} bytes", "raise CPDD_MAX_FILE_BYTES if the file is honest")
            piece = piece[: self._left]
        self._left -= len(piece)
        return piece

    def _feed(self) -> bytes:
        fed = self._stream.read(_FEED_BYTES)
        self._done += len(fed)
        self._progress(self._done, self._size)
        return fed

    def _plain(self, most: int) -> bytes:
        self._fed = self._fed or self._feed()
        piece, self._fed = self._fed[:most], self._fed[most:]
        return piece

    def _inflated(self, most: int) -> bytes:
        while True:
            assert self._inflater is not None
            if self._inflater.eof and not self._begin_member():
                return b""
            fed = self._fed or self._feed()
            try:
                piece = self._inflater.decompress(fed, most)
            except zlib.error as error:
                self._fed = fed
                self._damaged(f"gzip cannot be inflated ({error})", "was the file copied as text, or not whole?")
                return b""
            self._fed = self._inflater.unused_data if self._inflater.eof else self._inflater.unconsumed_tail
            if piece:
                return piece
            if not fed and not self._inflater.eof:
                self._damaged("gzip ends in the middle", "was the file copied before it was written to its end?")
                return b""

    def _begin_member(self) -> bool:
        """Whether another gzip member follows; zeros behind the last one are padding."""
        while len(self._fed) < len(_GZIP) and (more := self._feed()):
            self._fed += more
        if self._fed.startswith(_GZIP):
            self._inflater = zlib.decompressobj(31)
            return True
        if self._fed.strip(b"\0"):
            self._damaged("bytes that are no gzip stand behind the gzip")
        return False

    def _damaged(self, problem: str, hint: str = "") -> None:
        self.damage = DamagedFile(problem, f"byte {self._done - len(self._fed):,} of the file", hint)


# Requests


def _requests(reader: io.BufferedReader, source: _Source) -> Iterator[FileRequest]:
    sample = reader.peek(SAMPLE_BYTES)[:SAMPLE_BYTES]
    if not sample and source.damage is not None:
        yield FileRequest(b"", problem=source.damage)
        return
    match layout_of(sample):
        case Layout.TEXT:
            yield from _documents(_as_utf8(reader, sample), source)
        case Layout.ONE_REQUEST:
            yield from _one_request(reader, source)
        case Layout.DELIMITED:
            yield from _delimited(reader, source)


def _one_request(reader: BinaryIO, source: _Source) -> Iterator[FileRequest]:
    body = reader.read()
    yield FileRequest(b"", problem=source.damage) if source.damage else FileRequest(body)


def _delimited(reader: BinaryIO, source: _Source) -> Iterator[FileRequest]:
    """Requests with a varint length before each. Where a length is wrong, what follows cannot be found again."""
    for number in count(1):
        size, digits = _read_varint(reader)
        if digits == 0:
            break
        body = _read_exactly(reader, size) if size is not None else b""
        if size is None or len(body) < size:
            problem = f"the file ends inside a request: {len(body):,} of {size:,} bytes" if size else "no length"
            yield FileRequest(b"", problem=source.damage or DamagedFile(problem, f"request {number:,}"))
            return
        yield FileRequest(body, f"request {number:,}")
    if source.damage is not None:
        yield FileRequest(b"", problem=source.damage)


def _read_varint(reader: BinaryIO) -> tuple[int | None, int]:
    """A number and how many bytes it took; None for one that does not end."""
    number = 0
    for digit in range(10):
        byte = reader.read(1)
        if not byte:
            return None, digit
        number |= (byte[0] & 127) << (7 * digit)
        if byte[0] < 128:
            return number, digit + 1
    return None, 10


def _read_exactly(reader: BinaryIO, size: int) -> bytes:
    """Up to `size` bytes, without room for more than there are."""
    parts = []
    while size > 0 and (part := reader.read(min(size, _FEED_BYTES))):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _as_utf8(reader: BinaryIO, sample: bytes) -> BinaryIO:
    """Lines of UTF-16 cannot be told apart byte by byte."""
    if sample.startswith((b"\xff\xfe", b"\xfe\xff")):
        return io.BytesIO(reader.read().decode("utf-16", "replace").encode())
    return reader


def _documents(reader: BinaryIO, source: _Source) -> Iterator[FileRequest]:
    """One JSON document, or one a line: the first two lines that say anything tell, by being whole or not."""
    head: list[bytes] = []
    said: list[bytes] = []
    for line in reader:
        head.append(line)
        if line.strip():
            said.append(line)
        if len(said) == 2:
            break
    if len(said) == 2 and _is_whole(said[0]):
        yield from _lines(chain(head, reader), source)
        return
    body = b"".join(chain(head, reader))
    if len(said) == 2 and _is_whole(said[1]) and not _is_whole(body):
        yield from _lines(io.BytesIO(body), source)
        return
    yield _document(body, None, source.damage, source.read_before)


def _is_whole(text: bytes) -> bool:
    try:
        parse_json(text)
    except MalformedDocument:
        return False
    return True


def _lines(lines: Iterable[bytes], source: _Source) -> Iterator[FileRequest]:
    told = False
    for number, line in enumerate(lines, 1):
        if line.strip():
            told = not line.endswith(b"\n") and source.damage is not None
            yield _document(line, number, source.damage if told else None, source.read_before)
            source.read_before += len(line)
    if source.damage is not None and not told:
        yield FileRequest(b"", problem=source.damage)


def _document(text: bytes, line: int | None, damage: DamagedFile | None, read_before: int) -> FileRequest:
    """The request that a document makes, of one line or of the whole file; `damage` is what cut it off."""
    place = f"line {line:,}" if line else ""
    quickly = translate_quickly(text, read_before)
    if quickly is not None:
        return FileRequest(quickly, place, problem=damage)
    try:
        translation = translate_document(parse_json(text, line or 1))
    except MalformedDocument as error:
        return FileRequest(b"", "" if damage else place, problem=damage or error)
    except NotSpans as error:
        return FileRequest(b"", place, problem=DamagedFile(error.problem, place, error.hint) if place else error)
    return FileRequest(translation.body, place, translation.rejected, translation.rejections, damage)


# Columns


def _groups(requests: Iterable[FileRequest]) -> Iterator[list[FileRequest]]:
    """Requests behind one another, up to a size that is worth a run of the decoder."""
    group: list[FileRequest] = []
    size = 0
    for request in requests:
        group.append(request)
        size += len(request.body)
        if size >= _GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _decode(group: list[FileRequest], rejections: Rejections, problems: list[CpddError]) -> Iterator[SpanBatch]:
    """The spans of a group; requests that lie behind one another are one request to protobuf.

    Where anything is odd, each is decoded alone, so that places are those of the file.
    """
    with suppress(MalformedRequest):
        batch, rejected = decode_traces(b"".join([request.body for request in group]))
        if not rejected.count:
            yield batch
            return
    for request in group:
        try:
            batch, rejected = decode_traces(request.body)
        except MalformedRequest as error:
            problems.append(DamagedFile(str(error), request.place) if request.place else error)
            continue
        rejections.extend(rejected.count, _placed(rejected.kept, request))
        yield batch


def _placed(rejections: Iterable[Rejection], request: FileRequest) -> list[Rejection]:
    """Rejections with the place of their request before their own."""
    prefix = f"{request.place}, " if request.place else ""
    return [replace(rejection, place=prefix + rejection.place) for rejection in rejections]
