"""`cpdd send` as a user calls it, against a real endpoint on the loopback address."""

import contextlib
import gzip
import json
import threading
import time
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from collector.core.formats import translate_otlp_json
from collector.receive.files import read_requests, read_spans
from cpdd.cli import cli
from cpdd.cli._otlp_http import Accepted, EndpointError, OtlpHttpSender
from cpdd.cli._sending import MAX_REQUEST_BYTES, Run, Totals
from tests.cli.endpoint import Answer, endpoint, partly, refusal
from tests.core.formats.test_jaeger import SPAN as JAEGER_SPAN
from tests.core.formats.test_jaeger import trace_of
from tests.core.formats.test_otlp_json import request_of, span

DATA = Path(__file__).parents[2] / "../shared/data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is absent")


@pytest.fixture
def served():
    with endpoint() as found:
        yield found


@pytest.fixture
def send(served, tmp_path, monkeypatch):
    """Runs the verb against the endpoint, in an empty folder; over one connection, which keeps requests in order."""
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str, **options: object):
        order = [] if "--connections" in arguments else ["--connections", "1"]
        return CliRunner().invoke(cli, ["send", "--endpoint", served.url, *order, *map(str, arguments)], **options)

    return invoke


@pytest.fixture
def traces(tmp_path):
    """A file of three requests with five spans."""
    path = tmp_path / "traces.jsonl"
    requests = [request_of(span(name=f"{a}"), span(name=f"{a}'")) for a in "ab"] + [request_of(span(name="c"))]
    path.write_bytes(b"\n".join(map(orjson.dumps, requests)))
    return path


def totals_of(result) -> dict[str, object]:
    return json.loads(result.stdout)


def test_requests_are_sent_as_they_are_cut_and_the_totals_told(send, served, traces):
    result = send(traces)

    assert result.exit_code == 0
    assert [s.name for s in served.spans()] == ["a", "a'", "b", "b'", "c"]
    assert len(served.bodies) == 3
    assert result.stdout.startswith("sent 5 spans in 3 requests (")
    assert served.url in result.stdout


def test_the_totals_are_json_for_programs(send, traces):
    totals = totals_of(send(traces, "--json"))

    assert totals["duration_s"] >= 0
    assert totals["sent_bytes"] > 0
    assert {name: totals[name] for name in ("requests", "spans", "rejected_spans", "refused_requests", "retries")} == {
        "requests": 3,
        "spans": 5,
        "rejected_spans": 0,
        "refused_requests": 0,
        "retries": 0,
    }


def test_spans_that_the_endpoint_rejects_are_counted_and_its_words_told(send, served, traces):
    served.answers = [partly(1, "span_id is all zero")]

    result = send(traces, "--json")

    assert result.exit_code == 1
    assert (totals_of(result)["spans"], totals_of(result)["rejected_spans"]) == (4, 1)
    assert "the endpoint says: span_id is all zero" in result.stderr


def test_a_request_that_is_refused_costs_no_other(send, served, traces):
    served.answers = [Answer(), refusal(400, "cannot be read")]

    result = send(traces, "--json")

    totals = totals_of(result)
    assert result.exit_code == 1
    assert (totals["requests"], totals["spans"], totals["refused_requests"], totals["refused_spans"]) == (2, 3, 1, 2)
    assert "cannot be read" in result.stderr


def test_an_endpoint_that_takes_nothing_ends_the_run_and_what_was_sent_is_told(send, served, traces):
    served.answers = [Answer(), *[refusal(401, "who are you?")] * 5]

    result = send(traces, "--repeat", "20")

    assert result.exit_code == 1
    assert isinstance(result.exception, EndpointError)
    assert "who are you?" in str(result.exception)
    assert "--headers" in str(result.exception)
    assert result.stdout.startswith("sent 2 spans in 1 request ")
    assert len(served.bodies) <= 6


def test_an_endpoint_under_pressure_is_asked_again(send, served, traces):
    served.answers = [refusal(429, "queue full", Retry_After="0")]

    totals = totals_of(send(traces, "--json"))

    assert (totals["spans"], totals["retries"]) == (5, 1)


def test_a_person_may_leave_out_scheme_and_path(served, traces):
    address = served.url.removeprefix("http://").removesuffix("/v1/traces")

    result = CliRunner().invoke(cli, ["send", "--endpoint", address, str(traces)])

    assert result.exit_code == 0
    assert len(served.bodies) == 3


def test_the_variables_of_opentelemetry_name_the_endpoint_its_headers_and_its_compression(served, traces):
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": served.url.removesuffix("/v1/traces"),
        "OTEL_EXPORTER_OTLP_HEADERS": "api-key=a%20b",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
    }

    result = CliRunner().invoke(cli, ["send", str(traces)], env=environ)

    assert result.exit_code == 0
    assert served.headers[0]["api-key"] == "a b"
    assert "Content-Encoding" not in served.headers[0]


def test_all_times_may_be_moved_so_that_the_newest_span_ends_now(send, served, traces):
    before = time.time_ns()

    result = send(traces, "--shift-to-now")

    ends = [s.end_time_unix_nano for s in served.spans()]
    starts = [s.start_time_unix_nano for s in served.spans()]
    assert result.exit_code == 0
    assert before <= max(ends) <= time.time_ns()
    assert {end - start for start, end in zip(starts, ends, strict=True)} == {10**9}
    assert served.spans()[0].trace_id.hex() != span()["traceId"]


def test_everything_may_be_sent_several_times_as_other_traces(send, served, traces):
    totals = totals_of(send(traces, "--repeat", "3", "--json"))

    assert totals["spans"] == 15
    assert len({s.trace_id for s in served.spans()}) == 3
    assert served.spans()[0].trace_id.hex() == span()["traceId"]


class FakeSender:
    """Takes everything."""

    def send(self, body: bytes) -> Accepted:
        return Accepted(0, "", 0, len(body))

    def close(self) -> None:
        pass


def test_spans_are_sent_no_faster_than_asked_for():
    slept: list[float] = []
    run = Run(
        lambda wait: FakeSender(),
        Totals("http://fake"),
        rate=10,
        sleep=slept.append,
        clock=lambda: 100.0 + sum(slept),
    )
    body = translate_otlp_json(orjson.dumps(request_of(*[span()] * 5))).body

    for _ in range(4):
        run.send(body)
    run.finish()

    assert slept == pytest.approx([0.5, 0.5, 0.5])
    assert run.totals.spans == 20


def test_several_requests_are_under_way_at_once(send, served, tmp_path):
    lines = [orjson.dumps(request_of(span(name=str(n)))) for n in range(8)]
    (tmp_path / "eight.jsonl").write_bytes(b"\n".join(lines))
    served.answers_together = threading.Barrier(4)

    result = send(tmp_path / "eight.jsonl", "--connections", "4", "--json")

    assert totals_of(result)["requests"] == 8
    assert sorted(s.name for s in served.spans()) == [str(n) for n in range(8)]
    assert served.connections == 4


def test_when_one_connection_fails_for_good_the_others_are_not_waited_for(served):
    served.answers = [refusal(401, "who are you?")] + [refusal(503, "later", Retry_After="100")] * 3
    run = Run(
        lambda wait: OtlpHttpSender(served.url, sleep=wait),
        Totals(served.url),
        connections=4,
    )
    body = translate_otlp_json(orjson.dumps(request_of(span()))).body

    with contextlib.suppress(EndpointError):
        for _ in range(20):
            run.send(body)
    with pytest.raises(EndpointError, match="who are you"):
        run.finish()

    assert run.totals.spans + run.totals.refused_spans < 20


def test_a_request_that_is_too_large_for_common_collectors_is_cut(send, served, tmp_path):
    many = [span(name="x" * 1000, spanId=f"{n + 1:016x}") for n in range(5000)]
    (tmp_path / "large.json").write_bytes(orjson.dumps(request_of(*many)))

    result = send(tmp_path / "large.json", "--json")

    assert totals_of(result)["spans"] == 5000
    assert len(served.bodies) == 2
    assert max(map(len, served.bodies)) <= MAX_REQUEST_BYTES
    assert [s.span_id for s in served.spans()] == [(n + 1).to_bytes(8, "big") for n in range(5000)]


def test_jaeger_files_and_stdin_are_sent_too(send, served):
    result = send("-", input=gzip.compress(orjson.dumps(trace_of(JAEGER_SPAN))))

    assert result.exit_code == 0
    assert [s.name for s in served.spans()] == ["charge card"]


def test_what_cannot_be_read_is_told_and_never_sent(send, served, tmp_path):
    lines = [orjson.dumps(request_of(span(), span(spanId="x"))), b"oops", orjson.dumps(request_of(span()))]
    (tmp_path / "odd.jsonl").write_bytes(b"\n".join(lines))

    result = send(tmp_path / "odd.jsonl", "--json")

    assert result.exit_code == 0
    assert (totals_of(result)["spans"], totals_of(result)["unreadable_spans"]) == (2, 1)
    assert "line 1: span rejected" in result.stderr
    assert "line 2" in result.stderr


def test_a_file_that_is_absent_among_others_is_told(send, traces, tmp_path):
    result = send(tmp_path / "absent", traces)

    assert result.exit_code == 0
    assert "absent: No such file" in result.stderr


def test_nothing_to_send_exits_with_1(send, tmp_path):
    (tmp_path / "empty.json").write_bytes(b'{"resourceSpans": []}')

    assert send(tmp_path / "empty.json").exit_code == 1
    assert send(tmp_path / "absent.json").exit_code == 1


@needs_data
@pytest.mark.parametrize("name", ["hotrod", "dsb-socialnetwork", "opensearch-orders-1", "zipkin-small"])
def test_recorded_requests_arrive_byte_by_byte(name, send, served):
    path = DATA / f"otlp/{name}.otlp.pb.gz"

    result = send(path, "--json")

    assert served.bodies == [request.body for request in read_requests(path)]
    assert totals_of(result)["spans"] == len(read_spans(path).batch)
