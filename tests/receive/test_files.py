"""Files of spans: every format, compressed or not, damaged or not."""

import gzip
import io
import zlib
from pathlib import Path
from types import SimpleNamespace

import orjson
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.core.formats.jaeger_quick import WORTH_BYTES
from collector.core.formats.protobuf import varint
from collector.receive.files import UnreadableFile, read_requests, read_spans
from tests.core.formats.test_jaeger import SPAN as JAEGER_SPAN
from tests.core.formats.test_jaeger import trace_of
from tests.core.formats.test_otlp_json import request_of, span
from tests.core.formats.test_zipkin import SPAN as ZIPKIN_SPAN

DATA = Path(__file__).parents[2] / "../shared/data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is absent")


def line(*names: str) -> bytes:
    """An OTLP/JSON request with a span a name, as a line."""
    return orjson.dumps(request_of(*(span(name=name) for name in names))) + b"\n"


def message(*names: str) -> bytes:
    """The same as protobuf."""
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for name in names:
        spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, name=name, start_time_unix_nano=1, end_time_unix_nano=2)
    return request.SerializeToString()


def delimited(*messages: bytes) -> bytes:
    return b"".join(varint(len(body)) + body for body in messages)


@pytest.fixture
def read(tmp_path):
    """Writes bytes to a file and reads its spans: their names, and what read_spans says."""

    def write_and_read(body: bytes, **options: object):
        path = tmp_path / "traces"
        path.write_bytes(body)
        spans = read_spans(path, **options)
        names = [spans.batch.text(int(index)) for index in spans.batch.name]
        return SimpleNamespace(
            names=names,
            rejected=spans.rejected,
            rejections=[str(rejection) for rejection in spans.rejections],
            problems=[str(problem) for problem in spans.problems],
        )

    return write_and_read


JAEGER = orjson.dumps(trace_of(JAEGER_SPAN))
ZIPKIN = orjson.dumps([ZIPKIN_SPAN])
PRETTY = orjson.dumps(request_of(span(name="a"), span(name="b")), option=orjson.OPT_INDENT_2)

FILES = {
    "OTLP JSON": (line("a", "b"), ["a", "b"]),
    "OTLP JSON, indented": (PRETTY, ["a", "b"]),
    "OTLP JSON, blank lines before": (b"\n\n" + PRETTY, ["a", "b"]),
    "OTLP JSON, a list with a request a line": (b"[\n" + line("a").strip() + b"\n]\n", ["a"]),
    "OTLP JSON, UTF-16": (line("a").decode().encode("utf-16"), ["a"]),
    "OTLP JSON, byte order mark": (line("a").decode().encode("utf-8-sig"), ["a"]),
    "JSON lines": (line("a") + line("b", "c"), ["a", "b", "c"]),
    "JSON lines, blank lines between": (b"\n" + line("a") + b"\r\n\n" + line("b").strip(), ["a", "b"]),
    "JSON lines, UTF-16": ((line("a") + line("b")).decode().encode("utf-16"), ["a", "b"]),
    "JSON lines of several formats": (line("a") + ZIPKIN + b"\n" + JAEGER + b"\n", ["a", "charge card", "charge card"]),
    "protobuf, one request": (message("a", "b"), ["a", "b"]),
    "protobuf, delimited": (delimited(message("a"), message("b", "c")), ["a", "b", "c"]),
    "protobuf, an empty request between": (delimited(message("a"), b"", message("b")), ["a", "b"]),
    "Jaeger": (JAEGER, ["charge card"]),
    "Zipkin": (ZIPKIN, ["charge card"]),
}


@pytest.mark.parametrize("name", FILES)
def test_every_format_is_read_plain_and_compressed(name, read):
    body, names = FILES[name]

    assert read(body).names == names
    assert read(gzip.compress(body)).names == names


def test_a_gzip_of_several_members_is_read_to_its_end(read):
    members = b"".join(gzip.compress(piece) for piece in (line("a"), line("b"), b"", line("c")))

    assert read(members).names == ["a", "b", "c"]
    assert read(members + b"\0" * 512).names == ["a", "b", "c"]


def test_very_many_small_members_are_read(read):
    text = line("a") * 40

    found = read(b"".join(gzip.compress(text[at : at + 1]) for at in range(len(text))))

    assert len(found.names) == 40


def test_requests_come_as_they_are_cut(tmp_path):
    first, second = message("a"), message("b", "c")
    (tmp_path / "x").write_bytes(delimited(first, second))

    requests = list(read_requests(tmp_path / "x"))

    assert [request.body for request in requests] == [first, second]
    assert [request.place for request in requests] == ["request 1", "request 2"]


def test_a_rejected_span_is_told_with_its_line_and_its_neighbours_are_read(read):
    lines = line("a") + orjson.dumps(request_of(span(name="b"), span(name="c", spanId="1"))) + b"\n" + line("d")

    found = read(lines)

    assert found.names == ["a", "b", "d"]
    assert found.rejected == 1
    assert 'at line 2, resourceSpans[0].scopeSpans[0].spans[1] ("c" in service "payment")' in found.rejections[0]


def test_a_rejected_span_of_protobuf_is_told_with_its_request(read):
    odd = ExportTraceServiceRequest.FromString(message("b", "c"))
    odd.resource_spans[0].scope_spans[0].spans[0].trace_id = b"short"

    found = read(delimited(message("a"), odd.SerializeToString()))

    assert found.names == ["a", "c"]
    assert "at request 2, resourceSpans[0].scopeSpans[0].spans[0]" in found.rejections[0]


def test_a_request_that_cannot_be_read_costs_no_other(read):
    broken = message("b")[:-1] + b"\xff"

    found = read(delimited(message("a"), broken, message("c")))

    assert found.names == ["a", "c"]
    assert "request 2" in "".join(found.problems + found.rejections)


def test_a_line_that_is_no_json_costs_no_other(read):
    found = read(line("a") + b"{oops\n" + line("c"))

    assert found.names == ["a", "c"]
    assert len(found.problems) == 1
    assert "at line 2" in found.problems[0]


def test_a_first_line_that_is_no_json_costs_no_other(read):
    found = read(b"begin of export\n" + line("a") + line("b"))

    assert found.names == ["a", "b"]
    assert "at line 1" in found.problems[0]


def test_lines_of_logs_among_spans_are_told(read):
    found = read(b'{"resourceLogs": []}\n' + line("a"))

    assert found.names == ["a"]
    assert "no spans here: OTLP logs" in found.problems[0]


def test_a_truncated_gzip_gives_what_was_whole_and_the_byte_where_it_ends(read):
    text = line("a") * 200 + line("b") * 200
    whole = gzip.compress(text, compresslevel=1)

    found = read(whole[: len(whole) - 40])

    assert 1 < len(found.names) < 400
    assert found.problems == [
        f"gzip ends in the middle\n  at byte {len(whole) - 40:,} of the file\n"
        "hint: was the file copied before it was written to its end?"
    ]


def test_a_truncated_gzip_of_protobuf_gives_the_requests_that_were_whole(read):
    body = delimited(*(message(f"span {n}") for n in range(500)))
    whole = gzip.compress(body)

    found = read(whole[: len(whole) // 2])

    assert 1 < len(found.names) < 500
    assert found.names == [f"span {n}" for n in range(len(found.names))]
    assert f"byte {len(whole) // 2:,} of the file" in found.problems[0]


def test_a_gzip_with_a_damaged_byte_says_where(read):
    whole = bytearray(gzip.compress(line("a") * 5 + b"".join(line(str(n)) for n in range(2000))))
    whole[len(whole) // 2] ^= 0xFF

    found = read(bytes(whole))

    assert any("gzip cannot be inflated" in problem for problem in found.problems)
    assert found.names[:5] == ["a"] * 5


def test_bytes_behind_a_gzip_are_told(read):
    found = read(gzip.compress(line("a")) + b"trailer")

    assert found.names == ["a"]
    assert "bytes that are no gzip stand behind the gzip" in found.problems[0]


def test_a_truncated_file_of_protobuf_gives_the_requests_that_were_whole(read):
    body = delimited(message("a"), message("b"))

    found = read(body[:-1])

    assert found.names == ["a"]
    assert "the file ends inside a request" in found.problems[0]
    assert "at request 2" in found.problems[0]


def test_a_length_that_is_a_lie_costs_no_memory(read):
    found = read(delimited(message("a")) + varint(2**60) + b"rest")

    assert found.names == ["a"]
    assert f"4 of {2**60:,} bytes" in found.problems[0]


def test_a_bomb_ends_at_the_limit(read):
    bomb = zlib.compressobj(wbits=31)
    body = bomb.compress(line("a")) + b"".join(bomb.compress(b" " * 2**20) for _ in range(64)) + bomb.flush()

    found = read(body, max_bytes=2**20)

    assert found.names == ["a"]
    assert "more than 1,048,576 bytes" in found.problems[0]
    assert "CPDD_MAX_FILE_BYTES" in found.problems[0]


def test_progress_is_told_in_bytes_of_the_file(tmp_path):
    path = tmp_path / "traces.gz"
    path.write_bytes(gzip.compress(b"".join(line(str(n)) for n in range(20_000)), compresslevel=1))
    told: list[tuple[int, int | None]] = []

    read_spans(path, progress=lambda done, total: told.append((done, total)))

    size = path.stat().st_size
    assert {total for _, total in told} == {size}
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == size
    assert len(told) > 2


def test_a_dash_is_stdin(monkeypatch):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(gzip.compress(line("a")))))

    assert len(read_spans("-").batch) == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the file is empty"),
        (b"hello", "not valid JSON"),
        (b"{\n 1\n", "not valid JSON"),
        (b'{"resourceLogs": []}', "no spans here: OTLP logs"),
        (gzip.compress(b"", mtime=0), "the file is empty"),
        (gzip.compress(line("a"), mtime=0)[:12], "gzip ends in the middle"),
        (b"\x1f\x8b\x08", "gzip ends in the middle"),
        (b"\x1f\x8b\xff\xff\xff", "gzip cannot be inflated"),
    ],
)
def test_a_file_without_anything_to_read_is_an_error_with_its_name(body, message, read, tmp_path):
    with pytest.raises(UnreadableFile) as error:
        read(body)

    assert str(error.value).startswith(f"{tmp_path / 'traces'}: ")
    assert message in str(error.value)


def test_an_absent_file_and_a_folder_are_errors_with_their_names(tmp_path):
    for path, problem in ((tmp_path / "absent", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(UnreadableFile, match=problem):
            read_spans(path)


SPANS = {
    "otlp/derived-batch-5k.otlp.pb.gz": 4999,
    "otlp/dsb-socialnetwork.otlp.jsonl.gz": 660,
    "otlp/dsb-socialnetwork.otlp.pb.gz": 660,
    "otlp/hotrod.otlp.jsonl.gz": 379,
    "otlp/hotrod.otlp.pb.gz": 379,
    "otlp/nezha-ob-base.otlp.jsonl.gz": 22969,
    "otlp/nezha-ob-base.otlp.pb.gz": 22969,
    "otlp/nezha-ob-cart-delay.otlp.pb.gz": 43714,
    "otlp/nezha-ob-frontend-cpu.otlp.pb.gz": 39046,
    "otlp/nezha-tt-base.otlp.pb.gz": 4890,
    "otlp/nezha-tt-contacts-cpu.otlp.pb.gz": 14029,
    "otlp/nezha-tt-route-exception.otlp.pb.gz": 12563,
    "otlp/opensearch-orders-1.otlp.jsonl.gz": 500,
    "otlp/opensearch-orders-1.otlp.pb.gz": 500,
    "otlp/smartthings-mobile.otlp.pb.gz": 953,
    "otlp/zipkin-small.otlp.pb.gz": 77,
    "formats/dsb-socialnetwork.jaeger.json.gz": 660,
    "formats/hotrod.jaeger.json.gz": 379,
    "formats/jaeger-ui-export.dsb.json.gz": 660,
    "formats/nezha-tt-contacts-cpu.jaeger.json.gz": 14029,
    "formats/otlp-invalid.trace_invalid_kind.json": 1,
    "formats/otlp-json.proto-example.json": 1,
    "formats/otlp.otlp2parquet.trace.json": 2,
    "formats/otlp.otlp2parquet.trace.pb": 2,
    "formats/otlp.otlp2parquet.traces.jsonl": 19,
    "formats/otlp.otlp2parquet.traces.pb": 19,
    "formats/pair.otlp2jaeger-in.json": 2,
    "formats/pair.otlp2jaeger-out.json": 2,
    "formats/zipkin-v2.ascend.json": 8,
    "formats/zipkin-v2.envoy.json": 1,
    "formats/zipkin-v2.messaging-kafka.json": 28,
    "formats/zipkin-v2.messaging.json": 4,
    "formats/zipkin-v2.messaging2.json": 11,
    "formats/zipkin-v2.simple-db-p6.json": 5,
    "formats/zipkin-v2.skew.json": 4,
    "formats/zipkin-v2.smartthings-mobile-web-install.json.gz": 957,
    "formats/zipkin-v2.yelp.json": 16,
    "formats/otlp-invalid.trace_invalid_base64.json": 0,
    "formats/otlp-invalid.trace_mixed_encoding.json": 0,
}
UNREADABLE = {
    "formats/jaeger-dependencies.large.json.gz": "a list of dependencies",
    "formats/otlp-invalid.malformed.json": "line 21, column 15",
}


@needs_data
def test_every_recorded_file_is_named_here():
    found = {str(path.relative_to(DATA)) for folder in ("otlp", "formats") for path in (DATA / folder).iterdir()}

    assert found == SPANS.keys() | UNREADABLE.keys()


@needs_data
@pytest.mark.parametrize("name", SPANS)
def test_every_recorded_file_is_read(name):
    spans = read_spans(DATA / name)

    assert len(spans.batch) == SPANS[name]
    assert spans.problems == ()


@needs_data
@pytest.mark.parametrize("name", UNREADABLE)
def test_recorded_files_without_spans_say_so(name):
    with pytest.raises(UnreadableFile, match=UNREADABLE[name]):
        read_spans(DATA / name)


def test_jaeger_documents_give_the_same_spans_whether_much_was_read_before_or_not(tmp_path: Path):
    path = tmp_path / "trace.json"
    path.write_bytes(orjson.dumps(trace_of(JAEGER_SPAN)))

    (alone,), (among_many,) = read_requests(path), read_requests(path, read_before=WORTH_BYTES)

    assert among_many == alone
    assert alone.body
