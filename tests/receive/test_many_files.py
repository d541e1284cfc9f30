"""Many files give what each gives by itself, in their order, whatever lies among them."""

import gzip
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import orjson
import pytest

from collector.core.formats import jaeger_quick
from collector.core.spans import DTYPES, STRING_COLUMNS, SpanBatch, concatenate
from collector.receive import many_files
from collector.receive.files import UnreadableFile, read_spans
from collector.receive.many_files import read_many


def document(trace: int, spans: int = 3) -> bytes:
    """A trace as Jaeger answers it: a root and its children."""
    reference = [{"refType": "CHILD_OF", "traceID": f"{trace:x}", "spanID": "1"}]
    said = [
        {
            "traceID": f"{trace:x}", "spanID": f"{number:x}", "operationName": f"step {number}", "processID": "p",
            "startTime": 1000 + number, "duration": 100 - number, "references": reference if number > 1 else [],
            "tags": [{"key": "trace", "type": "int64", "value": trace}], "logs": [], "warnings": None,
        }
        for number in range(1, spans + 1)
    ]  # fmt: skip
    processes = {"p": {"serviceName": f"service {trace % 2}", "tags": []}}
    return orjson.dumps({"data": [{"traceID": f"{trace:x}", "spans": said, "processes": processes}]})


@pytest.fixture
def plain_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernels are worth it for any amount, and run as they stand."""
    monkeypatch.setattr(many_files, "is_worth_it", lambda size: True)
    monkeypatch.setattr(many_files, "translator", lambda compiled: jaeger_quick.translator(compiled=False))


def write(folder: Path, bodies: Sequence[bytes]) -> list[str]:
    for number, body in enumerate(bodies):
        (folder / f"{number:03d}").write_bytes(body)
    return [str(folder / f"{number:03d}") for number in range(len(bodies))]


def said(batch: SpanBatch) -> list[tuple[object, ...]]:
    """What each row says, texts as texts; where it lies in the bytes is nobody's business."""
    columns = {name: getattr(batch, name).tolist() for name in DTYPES if name not in ("at", "resource", "scope")}
    for name in STRING_COLUMNS:
        columns[name] = [batch.text(index) for index in columns[name]]
    columns["bytes"] = [batch.body[at : at + size] for at, size in zip(batch.at, batch.size, strict=True)]
    columns["host"] = [batch.text(int(batch.resources.service[row])) for row in batch.resource]
    return list(zip(*columns.values(), strict=True))


def one_by_one(paths: Sequence[str]) -> list[tuple[object, ...]]:
    return said(concatenate([read_spans(path).batch for path in paths]))


def test_documents_read_together_say_what_each_says_alone(tmp_path: Path, plain_kernels: None):
    paths = write(tmp_path, [document(trace, spans=1 + trace % 3) for trace in range(1, 9)])

    reads = list(read_many(paths))

    assert [read.paths for read in reads] == [tuple(paths)]
    assert said(reads[0].found.batch) == one_by_one(paths)


def test_files_of_other_kinds_are_read_in_their_place(tmp_path: Path, plain_kernels: None):
    odd = document(3).replace(b'"type":"int64"', b'"type":"binary"')
    paths = write(tmp_path, [document(1), document(2), odd, gzip.compress(document(4)), document(5), document(6)])

    reads = list(read_many(paths))

    together = [(0, 1), (2,), (3,), (4, 5)]
    assert [read.paths for read in reads] == [tuple(paths[index] for index in some) for some in together]
    assert said(concatenate([read.found.batch for read in reads])) == one_by_one(paths)


@pytest.mark.parametrize("damaged", [b"", b"no spans", document(2)[:-9], document(2) + b"]", document(2) * 2])
def test_a_damaged_file_costs_its_neighbours_nothing(tmp_path: Path, plain_kernels: None, damaged: bytes):
    paths = write(tmp_path, [document(1), damaged, document(3)])

    reads = list(read_many(paths))

    assert [read.paths for read in reads] == [(path,) for path in paths]
    assert said(reads[0].found.batch) == one_by_one(paths[:1])
    assert said(reads[2].found.batch) == one_by_one(paths[2:])


def test_what_is_no_file_is_told_by_name(tmp_path: Path, plain_kernels: None):
    (tmp_path / "folder").mkdir()
    paths = [*write(tmp_path, [document(1)]), str(tmp_path / "absent"), str(tmp_path / "folder")]

    found = [read.found for read in read_many(paths)]

    assert [isinstance(each, UnreadableFile) for each in found] == [False, True, True]
    assert [str(tmp_path / name) in str(each) for name, each in zip(("absent", "folder"), found[1:], strict=True)]


def test_a_pipe_is_not_waited_for_before_its_turn(tmp_path: Path, plain_kernels: None):
    os.mkfifo(tmp_path / "pipe")
    paths = [*write(tmp_path, [document(1)]), str(tmp_path / "pipe")]
    alone = []

    reads = list(read_many(paths, read_alone=lambda path, before: alone.append(path) or read_spans(paths[0])))

    assert alone == paths[1:]
    assert len(reads) == 2


def test_a_file_over_the_limit_is_left_to_the_reader_that_says_so(tmp_path: Path, plain_kernels: None):
    paths = write(tmp_path, [document(1), document(2, spans=50)])

    reads = list(read_many(paths, max_bytes=len(document(1))))

    assert [read.paths for read in reads] == [(path,) for path in paths]
    assert isinstance(reads[1].found, UnreadableFile) or reads[1].found.problems


def test_groups_end_where_memory_would_mind(tmp_path: Path, plain_kernels: None, monkeypatch: pytest.MonkeyPatch):
    paths = write(tmp_path, [document(trace) for trace in range(1, 6)])
    monkeypatch.setattr(many_files, "MAX_GROUP_BYTES", 2 * len(document(1)) + 5)

    reads = list(read_many(paths))

    assert [len(read.paths) for read in reads] == [2, 2, 1]
    assert said(concatenate([read.found.batch for read in reads])) == one_by_one(paths)


def test_a_few_small_files_wait_for_no_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    paths = write(tmp_path, [document(1), document(2)])
    monkeypatch.setattr("collector.core.kernels.is_compiled", lambda name: False)

    reads = list(read_many(paths))

    assert [read.paths for read in reads] == [(path,) for path in paths]


def test_bytes_read_before_are_told_to_who_reads_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(many_files, "is_worth_it", lambda size: False)
    bodies = [document(1), gzip.compress(document(2)), document(3)]
    paths = write(tmp_path, bodies)
    before = []

    list(read_many(paths, read_alone=lambda path, read_before: before.append(read_before) or read_spans(path)))

    assert before == np.cumsum([0, *map(len, bodies[:2])]).tolist()
