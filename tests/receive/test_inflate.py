"""Undoing content encodings: whatever the bytes, the result is bounded."""

import gzip
import sys
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.receive.answers import BodyTooLarge, MalformedBody, UnderPressure, UnsupportedEncoding
from collector.receive.inflate import ENCODINGS, MAX_MEMBERS, PIECE_BYTES, inflate, known_encoding

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LIMIT = 8 << 20


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


DEFLATERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "gzip, two members": ("gzip", lambda data: gzip.compress(data[:7]) + gzip.compress(data[7:])),
    "gzip, padded with zeros": ("gzip", lambda data: gzip.compress(data) + b"\0" * 512),
    "zlib": ("deflate", zlib.compress),
    "deflate without header": ("deflate", raw_deflate),
    "zstd": ("zstd", zstd.compress),
    "zstd, two frames": ("zstd", lambda data: zstd.compress(data[:7]) + zstd.compress(data[7:])),
    "identity": ("identity", bytes),
}


def claim_anything(size: int) -> None:
    del size


@pytest.mark.parametrize("writing", DEFLATERS)
@given(data=st.binary(max_size=2_000) | st.integers(1, 200).map(lambda n: b"span " * n * 1_000))
def test_inflating_gives_back_what_was_deflated(writing: str, data: bytes):
    encoding, deflate = DEFLATERS[writing]

    inflated = inflate(deflate(data), encoding, LIMIT, claim_anything)

    assert inflated == data


@pytest.mark.parametrize("writing", DEFLATERS)
@pytest.mark.parametrize("size", [PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES])
def test_sizes_around_a_piece_come_out_whole(writing: str, size: int):
    encoding, deflate = DEFLATERS[writing]

    inflated = inflate(deflate(bytes(size)), encoding, LIMIT, claim_anything)

    assert inflated == bytes(size)


@pytest.mark.parametrize("writing", [name for name in DEFLATERS if name != "identity"])
def test_a_bomb_is_cut_off_one_piece_after_the_limit(writing: str):
    encoding, deflate = DEFLATERS[writing]
    bomb = deflate(bytes(64 << 20))
    claimed: list[int] = []

    with pytest.raises(BodyTooLarge, match=str(LIMIT)):
        inflate(bomb, encoding, LIMIT, claimed.append)

    assert sum(claimed) <= LIMIT


@pytest.mark.parametrize("writing", ["gzip", "zlib", "deflate without header", "zstd"])
@given(data=st.data())
def test_a_truncated_body_is_refused(writing: str, data: st.DataObject):
    encoding, deflate = DEFLATERS[writing]
    whole = deflate(b"charge card " * 40)
    end = data.draw(st.integers(1, len(whole) - 1))

    with pytest.raises(MalformedBody, match=f"content-encoding {encoding}"):
        inflate(whole[:end], encoding, LIMIT, claim_anything)


@pytest.mark.parametrize("encoding", [name for name in ENCODINGS if name != "identity"])
@given(body=st.binary(max_size=300))
def test_any_bytes_are_inflated_or_refused(encoding: str, body: bytes):
    try:
        inflated = inflate(body, encoding, LIMIT, claim_anything)
    except MalformedBody:
        return

    assert len(inflated) <= LIMIT


def test_an_empty_body_is_no_gzip():
    with pytest.raises(MalformedBody, match="ends in the middle"):
        inflate(b"", "gzip", LIMIT, claim_anything)


@pytest.mark.parametrize(("encoding", "member"), [("gzip", gzip.compress(b"", mtime=0)), ("zstd", zstd.compress(b""))])
def test_very_many_empty_members_are_refused(encoding: str, member: bytes):
    body = member * (MAX_MEMBERS + 1)

    with pytest.raises(MalformedBody, match=f"more than {MAX_MEMBERS}"):
        inflate(body, encoding, LIMIT, claim_anything)


def test_inflating_stops_when_the_claim_is_refused():
    def refuse(size: int) -> None:
        raise UnderPressure(f"no room for {size} bytes")

    with pytest.raises(UnderPressure, match=str(PIECE_BYTES)):
        inflate(gzip.compress(bytes(4 * PIECE_BYTES)), "gzip", LIMIT, refuse)


def test_a_window_of_more_than_8_mib_is_refused():
    large = zstd.compress(bytes(1 << 20), options={zstd.CompressionParameter.window_log: 27})
    stream = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    without_size = stream.compress(bytes(1 << 20)) + stream.flush()

    assert inflate(large, "zstd", LIMIT, claim_anything) == bytes(1 << 20)
    with pytest.raises(MalformedBody, match="zstd"):
        inflate(without_size, "zstd", LIMIT, claim_anything)


@pytest.mark.parametrize(
    ("header", "encoding"),
    [("", "identity"), ("GZIP", "gzip"), (" zstd ", "zstd"), ("x-gzip", "gzip"), ("identity", "identity")],
)
def test_the_header_names_an_encoding(header: str, encoding: str):
    assert known_encoding(header) == encoding


def test_an_unknown_encoding_is_refused_with_those_we_know():
    with pytest.raises(UnsupportedEncoding, match="'br'") as refusal:
        known_encoding("br")

    assert refusal.value.headers == (("accept-encoding", "gzip, deflate, zstd, identity"),)
