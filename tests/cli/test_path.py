"""`cpdd path` as a user calls it: files in, words or JSON out, an exit status."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from collector.receive.files import UnreadableFile
from cpdd.cli import cli
from cpdd.cli._files import NoSpans
from cpdd.cli.path import NotFound
from tests.core.formats.test_otlp_json import request_of, span

DATA = Path(__file__).parents[2] / "../shared/data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is absent")

MS = 1_000_000
EPOCH = 1_700_000_000_000_000_000


def trace(number: int, length_ms: int) -> list[dict[str, object]]:
    """A root of the given length with one child over its middle half."""
    trace_id, root, child = f"{number:032x}", f"{1:016x}", f"{2:016x}"
    quarter = length_ms * MS // 4
    outer = {"startTimeUnixNano": EPOCH, "endTimeUnixNano": EPOCH + 4 * quarter}
    inner = {"startTimeUnixNano": EPOCH + quarter, "endTimeUnixNano": EPOCH + 3 * quarter}
    return [
        span(traceId=trace_id, spanId=root, name=f"root {number}", **outer),
        span(traceId=trace_id, spanId=child, parentSpanId=root, name="child", **inner),
    ]


@pytest.fixture
def traces(tmp_path):
    """A file of twelve traces, the longest in the middle."""
    path = tmp_path / "traces.jsonl"
    lengths = [4 * n for n in (1, 2, 3, 4, 5, 12, 6, 7, 8, 9, 10, 11)]
    lines = [orjson.dumps(request_of(*trace(number, length))) for number, length in enumerate(lengths, 1)]
    path.write_bytes(b"\n".join(lines))
    return str(path)


def run(*arguments: str, **options: object):
    return CliRunner().invoke(cli, ["path", *arguments], env={"COLUMNS": "80"}, **options)


def objects(result) -> list[dict[str, object]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_each_trace_is_shown_in_the_order_of_the_file_up_to_ten(traces):
    result = run(traces)

    heads = [line for line in result.stdout.splitlines() if " took " in line]
    assert result.exit_code == 0
    assert [head.split()[2] for head in heads] == [str(n) for n in range(1, 11)]
    assert "… 2 more traces: --limit 0 prints all" in result.stdout


def test_the_limit_may_be_lifted_and_the_slowest_come_first(traces):
    everything = run(traces, "--limit", "0")
    slowest = run(traces, "--slowest", "--limit", "2")

    assert everything.stdout.count(" took ") == 12
    assert [line.split()[2] for line in slowest.stdout.splitlines() if " took " in line] == ["6", "12"]


def test_json_is_one_object_a_trace_of_all_traces_as_interfaces_say(traces):
    result = run(traces, "--json")

    found = objects(result)
    assert len(found) == 12
    assert found[0]["trace_id"] == f"{1:032x}"
    assert found[0]["policy"] == {"overflow": "auto", "max_skew_ns": 10**9, "version": 1}
    assert found[0]["target"] == {"span_id": f"{1:016x}", "start_unix_nano": EPOCH, "duration_ns": 4 * MS}
    assert [(s["operation"], s["end_unix_nano"] - s["start_unix_nano"], s["reason"]) for s in found[0]["sections"]] == [
        ("root 1", MS, "self-first"),
        ("child", 2 * MS, "leaf"),
        ("root 1", MS, "self-last"),
    ]
    for explained in found:
        lengths = [section["end_unix_nano"] - section["start_unix_nano"] for section in explained["sections"]]
        assert sum(lengths) == explained["target"]["duration_ns"]


def test_json_honours_the_limit_and_the_order(traces):
    result = run(traces, "--json", "--slowest", "--limit", "1")

    assert [explained["target"]["duration_ns"] for explained in objects(result)] == [48 * MS]


def test_options_of_the_path_are_part_of_the_answer(traces):
    result = run(traces, "--json", "--overflow", "clip", "--max-skew", "250ms")

    assert objects(result)[0]["policy"] == {"overflow": "clip", "max_skew_ns": 250 * MS, "version": 1}


def test_one_trace_is_found_by_the_end_of_its_id(traces):
    result = run(traces, "--json", "--trace", "00c")

    assert [explained["trace_id"] for explained in objects(result)] == [f"{12:032x}"]


def test_the_target_may_be_a_span_or_the_whole_trace(traces):
    of_span = objects(run(traces, "--json", "--target", f"{2:016x}"))
    of_trace = objects(run(traces, "--json", "--target", "trace"))

    assert len(of_span) == 12
    assert of_span[0]["target"] == {"span_id": f"{2:016x}", "start_unix_nano": EPOCH + MS, "duration_ns": 2 * MS}
    assert of_trace[0]["target"]["span_id"] is None


@pytest.mark.parametrize("target", ["ffffffffffffffff", "nonsense", "1" * 40, "-1"])
def test_a_span_that_is_not_there_is_an_error_that_names_it(traces, target):
    result = run(traces, "--target", target)

    assert result.exit_code == 1
    assert isinstance(result.exception, NotFound)
    assert target in str(result.exception)


def test_a_trace_that_is_not_there_is_an_error_that_names_it(traces):
    result = run(traces, "--trace", "abcabc")

    assert isinstance(result.exception, NotFound)
    assert "abcabc" in str(result.exception)


def test_spans_of_several_files_are_one_population(tmp_path):
    root, child = trace(1, 4)
    (tmp_path / "a.json").write_bytes(orjson.dumps(request_of(root)))
    (tmp_path / "b.json").write_bytes(orjson.dumps(request_of(child)))

    result = run("--json", str(tmp_path / "a.json"), str(tmp_path / "b.json"))

    (explained,) = objects(result)
    assert len(explained["sections"]) == 3


def test_a_file_of_several_that_cannot_be_read_is_told_and_the_others_are_shown(traces, tmp_path):
    result = run("--json", str(tmp_path / "absent"), traces)

    assert result.exit_code == 0
    assert len(objects(result)) == 12
    assert "absent: No such file" in result.stderr


def test_rejected_spans_are_told_on_stderr_the_first_few_and_a_count(tmp_path):
    bad = [span(spanId="x") for _ in range(5)]
    (tmp_path / "a.json").write_bytes(orjson.dumps(request_of(*trace(1, 4), *bad)))

    result = run("--json", str(tmp_path / "a.json"))

    assert result.exit_code == 0
    assert len(objects(result)) == 1
    assert "a.json: 5 of 7 spans rejected" in result.stderr
    assert result.stderr.count("span rejected") == 3
    assert "and 2 more" in result.stderr


def test_a_truncated_file_shows_what_was_whole_and_says_so(traces, tmp_path):
    whole = gzip.compress(Path(traces).read_bytes(), compresslevel=0)
    (tmp_path / "cut.gz").write_bytes(whole[: len(whole) // 2])

    result = run("--json", str(tmp_path / "cut.gz"))

    assert result.exit_code == 0
    assert 1 < len(objects(result)) < 12
    assert "gzip ends in the middle" in result.stderr


def test_a_file_without_spans_exits_with_1(tmp_path):
    (tmp_path / "empty.json").write_bytes(b'{"resourceSpans": []}')
    (tmp_path / "bad.json").write_bytes(orjson.dumps(request_of(span(spanId="x"))))
    (tmp_path / "logs.json").write_bytes(b'{"resourceLogs": []}')

    empty, bad, logs = (run(str(tmp_path / name)) for name in ("empty.json", "bad.json", "logs.json"))

    assert [result.exit_code for result in (empty, bad, logs)] == [1, 1, 1]
    assert isinstance(empty.exception, NoSpans)
    assert "1 of 1 spans rejected" in bad.stderr
    assert isinstance(logs.exception, UnreadableFile)


def test_usage_exits_with_2():
    assert run().exit_code == 2
    assert run("--limit", "few", "x").exit_code == 2


def test_stdin_is_read(traces):
    result = run("-", "--json", input=Path(traces).read_bytes())

    assert len(objects(result)) == 12


def test_help_shows_commands_to_paste():
    assert "cpdd path --slowest --limit 3" in run("--help").stdout


def shell(*arguments: str, **environ: str) -> subprocess.CompletedProcess[bytes]:
    """The command in a process of its own, as a shell runs it."""
    program = [sys.executable, "-c", "from cpdd.cli import main; main()", *arguments]
    return subprocess.run(program, capture_output=True, env={**os.environ, **environ}, check=False)


def test_a_pipe_gets_no_colour_and_an_ascii_terminal_ascii(traces):
    result = shell("path", traces, "--limit", "1", COLUMNS="80", PYTHONIOENCODING="ascii")

    assert result.returncode == 0
    assert result.stdout.isascii()
    assert b"\x1b" not in result.stdout


def test_an_error_is_a_sentence_and_exit_status_1(tmp_path):
    result = shell("path", str(tmp_path / "absent.json"))

    assert result.returncode == 1
    assert result.stderr.decode().strip() == f"cpdd: {tmp_path / 'absent.json'}: No such file or directory"


def test_a_reader_that_leaves_early_is_no_error(traces):
    result = subprocess.run(
        f"{sys.executable} -c 'from cpdd.cli import main; main()' path --json {traces} | head -c 10",
        shell=True, capture_output=True, check=False,
    )  # fmt: skip

    assert b"Traceback" not in result.stderr


RECORDED = sorted((DATA / "otlp").glob("*.pb.gz")) if DATA.is_dir() else []
LARGE_BYTES = 1_000_000


def with_large_ones_slow(paths):
    return [
        pytest.param(path, marks=pytest.mark.slow if path.stat().st_size > LARGE_BYTES else [], id=path.name)
        for path in paths
    ]


@needs_data
@pytest.mark.parametrize("path", with_large_ones_slow(RECORDED))
def test_of_every_recorded_trace_the_sections_touch_and_sum_to_the_target(path):
    result = run("--json", str(path))

    assert result.exit_code == 0
    for explained in objects(result):
        at = explained["target"]["start_unix_nano"]
        for section in explained["sections"]:
            assert section["start_unix_nano"] == at
            at = section["end_unix_nano"]
        assert at == explained["target"]["start_unix_nano"] + explained["target"]["duration_ns"]


FORMATS = sorted((DATA / "formats").glob("*")) if DATA.is_dir() else []


@needs_data
@pytest.mark.parametrize("path", FORMATS, ids=lambda path: path.name)
def test_every_recorded_file_is_shown_or_says_why_not(path):
    result = run(str(path), "--limit", "2")

    holds_none = "invalid_base64" in path.name or "mixed" in path.name
    not_spans = "dependencies" in path.name or "malformed" in path.name
    if not_spans:
        assert isinstance(result.exception, UnreadableFile)
    elif holds_none:
        assert isinstance(result.exception, NoSpans)
        assert "32 hex digits expected" in result.stderr
    else:
        assert result.exit_code == 0
        assert "where the time went" in result.stdout or "no time on the path" in result.stdout
