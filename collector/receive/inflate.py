"""Undo a content encoding, a piece at a time, so that a bomb is cut off where the limit is reached.

Called by the HTTP receivers in a worker thread; zlib and zstd release the GIL. Knows no socket.
"""

import sys
import zlib
from collections.abc import Callable, Generator, Iterator

from collector.receive.answers import BodyTooLarge, MalformedBody, UnsupportedEncoding

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ENCODINGS = ("gzip", "deflate", "zstd", "identity")
PIECE_BYTES = 1 << 20
"""How much is inflated between two looks at the limit."""
MAX_MEMBERS = 10_000
"""Most gzip members or zstd frames of one body: each costs a copy of what was fed, however small it is."""
_ZSTD_OPTIONS = {int(zstd.DecompressionParameter.window_log_max): 23}
"""A window of 8 MiB is the most that a sender may ask for: RFC 9659."""
_FEED_BYTES = 1 << 16
_GZIP_WBITS, _ZLIB_WBITS, _RAW_WBITS = 31, 15, -15


def known_encoding(header: str) -> str:
    """Return the content encoding that a header names, `identity` for an empty one; raises UnsupportedEncoding."""
    encoding = header.strip().lower() or "identity"
    encoding = {"x-gzip": "gzip"}.get(encoding, encoding)
    if encoding not in ENCODINGS:
        raise UnsupportedEncoding(header, ENCODINGS)
    return encoding


def inflate(body: bytes, encoding: str, limit: int, claim: Callable[[int], None]) -> bytes:
    """Return `body` without its encoding.

    Args:
        encoding: One of ENCODINGS.
        limit: Most bytes of the result; BodyTooLarge above it, after at most one piece more was inflated.
        claim: Called with the size of each piece before it is kept; may raise to stop.
    """
    if encoding == "identity":
        return body
    parts, size = [], 0
    for piece in _pieces(body, encoding):
        size += len(piece)
        if size > limit:
            raise BodyTooLarge(limit)
        claim(len(piece))
        parts.append(piece)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _pieces(body: bytes, encoding: str) -> Iterator[bytes]:
    try:
        yield from {"gzip": _gzip, "deflate": _deflate, "zstd": _zstd}[encoding](body)
    except (zlib.error, zstd.ZstdError, _Unreadable) as error:
        raise MalformedBody(
            f"request refused: its body says content-encoding {encoding} and cannot be inflated: {error}"
        ) from error


class _Unreadable(Exception):
    pass


def _gzip(body: bytes) -> Iterator[bytes]:
    """Pieces of all members; zeros behind the last one are padding."""
    at = 0
    for _ in range(MAX_MEMBERS):
        at = yield from _zlib_pieces(zlib.decompressobj(_GZIP_WBITS), body, at)
        if body[at : at + 1] in (b"", b"\0"):
            return
    raise _Unreadable(f"it has more than {MAX_MEMBERS} members")


def _deflate(body: bytes) -> Iterator[bytes]:
    """RFC 9110 means the zlib format; some senders leave its header out."""
    has_header = len(body) >= 2 and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
    end = yield from _zlib_pieces(zlib.decompressobj(_ZLIB_WBITS if has_header else _RAW_WBITS), body, 0)
    if end < len(body):
        raise _Unreadable(f"{len(body) - end} bytes follow its end")


def _zlib_pieces(stream: "zlib._Decompress", body: bytes, at: int) -> Generator[bytes, None, int]:
    """Pieces of the stream that begins at `at`; returns where it ends."""
    while at < len(body):
        feed = body[at : at + _FEED_BYTES]
        at += len(feed)
        more = True
        while more:
            piece = stream.decompress(feed, PIECE_BYTES)
            if piece:
                yield piece
            feed = stream.unconsumed_tail
            more = not stream.eof and (bool(feed) or len(piece) == PIECE_BYTES)
        if stream.eof:
            return at - len(stream.unused_data)
    raise _Unreadable("it ends in the middle")


def _zstd(body: bytes) -> Iterator[bytes]:
    """Pieces of all frames."""
    at = 0
    for _ in range(MAX_MEMBERS):
        at = yield from _zstd_pieces(zstd.ZstdDecompressor(options=_ZSTD_OPTIONS), body, at)
        if at == len(body):
            return
    raise _Unreadable(f"it has more than {MAX_MEMBERS} frames")


def _zstd_pieces(frame: zstd.ZstdDecompressor, body: bytes, at: int) -> Generator[bytes, None, int]:
    """Pieces of the frame that begins at `at`; returns where it ends."""
    while True:
        feed = body[at : at + _FEED_BYTES] if frame.needs_input else b""
        if frame.needs_input and not feed:
            raise _Unreadable("it ends in the middle")
        at += len(feed)
        piece = frame.decompress(feed, PIECE_BYTES)
        if piece:
            yield piece
        if frame.eof:
            return at - len(frame.unused_data)
