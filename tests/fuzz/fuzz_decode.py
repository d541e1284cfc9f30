"""Throw mutated requests at the decoder, bounds checking on, and compare each answer with the reference's.

    python -m tests.fuzz.fuzz_decode --seconds 600

Mutations are of two kinds: of the structure (a request taken apart into fields, disturbed, and written again) and blind
(bytes flipped, cut, repeated, overwritten, spliced). A finding is an answer that differs from the reference's, an
accepted span whose detail cannot be read, or an exception, which is also what a read out of bounds becomes.
"""

import argparse
import gzip
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from collector.core import kernels
from collector.core.attributes import detailed
from collector.core.wire import decode_traces
from tests.core.otlp_strategies import COLUMN_KEYS, disturb, encode, fields_of, follows_from
from tests.core.reference_decode import expected_outcome, outcome
from tests.fuzz.blind import HARD_PIECES, blindly

DATA = Path(__file__).parents[3] / "shared/data/otlp"
SEEDS_PER_FILE = 4
MAX_SPANS = 3
PLAIN_EVERY = 50
"""Each so-manieth body is also decoded by the kernels as plain Python."""

PIECES = (*HARD_PIECES, *(key.encode() for key in COLUMN_KEYS))


@dataclass
class Report:
    executions: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    findings: list[tuple[str, bytes]] = field(default_factory=list)


def fuzz(seeds: list[bytes], rng: random.Random, go_on: Callable[[int], bool]) -> Report:
    """Mutate and compare as long as `go_on(executions)` says so."""
    report = Report()
    plain = kernels.plain("decode")
    while go_on(report.executions):
        body = mutated(seeds, rng)
        report.executions += 1
        try:
            answer = outcome(body)
            problem = _problem(body, answer)
            if report.executions % PLAIN_EVERY == 0 and not problem and outcome(body, plain) != answer:
                problem = "plain kernels answer otherwise"
        except Exception as error:
            answer, problem = "", f"{type(error).__name__}: {error}"
        report.answers[_kind(answer)] += 1
        if problem:
            report.findings.append((problem, body))
    return report


def _problem(body: bytes, answer: object) -> str:
    """What is wrong with an answer, "" where nothing is."""
    if answer != expected_outcome(body):
        return "answer differs from the reference"
    if answer != "malformed":
        spans = detailed(decode_traces(body)[0])
        for row in range(len(spans.batch)):
            spans.detail(row)
    return ""


def _kind(answer: object) -> str:
    match answer:
        case (spans, rejected):
            return "some rejected" if spans and rejected else "all rejected" if rejected else "accepted"
        case _:
            return str(answer) or "failed"


def mutated(seeds: list[bytes], rng: random.Random) -> bytes:
    """A seed, disturbed in its structure, then blindly in one of its messages: the sizes around that stay right."""
    fields = fields_of(ExportTraceServiceRequest.FromString(rng.choice(seeds)))
    disturb(fields, rng, rng.choice((0.0, 0.0, 0.01, 0.05, 0.2)))
    inner = fields
    while (messages := [each for each in inner if isinstance(each.inside, list)]) and rng.random() < 0.8:
        chosen = rng.choice(messages)
        assert isinstance(chosen.inside, list)
        if rng.random() < 0.25:
            chosen.inside = blindly(encode(chosen.inside), rng, seeds, PIECES)
            break
        inner = chosen.inside
    body = encode(fields, lambda: rng.randrange(3) if rng.random() < 0.02 else 0)
    return blindly(body, rng, seeds, PIECES) if rng.random() < 0.2 else body


def seed_bodies() -> list[bytes]:
    """One request in which every field and column occurs, and small pieces of the recorded ones where they are."""
    return [full_request(), *(body for path in sorted(DATA.glob("*.pb.gz")) for body in _pieces(path))]


def full_request() -> bytes:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add(schema_url="https://resource")
    group.resource.attributes.extend(_text(key, f"the {key}") for key in ("service.name", "host.name", "ip"))
    scoped = group.scope_spans.add(schema_url="https://scope")
    scoped.scope.name, scoped.scope.version = "library", "1.0"
    scoped.scope.attributes.append(_text("scope", "attribute"))
    for number in (1, 2):
        span = scoped.spans.add(trace_id=b"\1" * 16, span_id=bytes([number]) * 8, name="größer", flags=0x101)
        span.parent_span_id, span.trace_state, span.kind = b"\7" * 8, "ot=th:8", number + 1
        span.start_time_unix_nano, span.end_time_unix_nano = 2**60 + 1, 2**60 + 2
        span.attributes.extend(_text(key, f"the {key}") for key in COLUMN_KEYS[number::2])
        span.attributes.add(key="http.response.status_code").value.int_value = 503
        span.attributes.add(key="nothing")
        deep = span.attributes.add(key="deep").value
        for _ in range(5):
            deep = deep.kvlist_value.values.add(key="k").value.array_value.values.add()
        deep.bytes_value = b"\xff"
        span.events.add(time_unix_nano=2**63, name="retry").attributes.add(key="n").value.double_value = 1.5
        span.links.add(trace_id=b"\1" * 16, span_id=b"\7" * 8, attributes=[follows_from()])
        span.status.code, span.status.message = 2, "declined"
    return encode(fields_of(request))


def _text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def _pieces(path: Path) -> Iterator[bytes]:
    """The first requests of a file, few spans of each: small bodies are many executions."""
    data, at = gzip.decompress(path.read_bytes()), 0
    for _ in range(SEEDS_PER_FILE):
        if at >= len(data):
            return
        size, at = kernels.plain("protobuf").read_size(data, at, len(data))
        request = ExportTraceServiceRequest.FromString(data[at : at + size])
        at += size
        del request.resource_spans[2:]
        for group in request.resource_spans:
            del group.scope_spans[2:]
            for scoped in group.scope_spans:
                del scoped.spans[MAX_SPANS:]
        yield encode(fields_of(request))


def check_bounds_from_now_on() -> None:
    """Compile kernels with bounds checking, into a cache of their own; raises where that does not work."""
    if "numba" in sys.modules:
        raise RuntimeError("numba is loaded already and has read its settings")
    os.environ["NUMBA_BOUNDSCHECK"] = "1"
    os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp(prefix="cpdd-fuzz-")
    protobuf = kernels.load("protobuf", work=kernels.PLAIN_LIMIT + 1)
    try:
        protobuf.load_word(b"abc", 0)
    except IndexError:
        return
    raise RuntimeError("a read out of bounds went unnoticed: bounds checking is off")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=None, help="of the random numbers; one is chosen and printed")
    options = parser.parse_args()
    seed = random.SystemRandom().getrandbits(32) if options.seed is None else options.seed

    check_bounds_from_now_on()
    kernels.load("decode", work=kernels.PLAIN_LIMIT + 1)
    seeds = seed_bodies()
    outcome(seeds[0])  # compile before the clock starts
    started = time.monotonic()
    report = fuzz(seeds, random.Random(seed), lambda _: time.monotonic() - started < options.seconds)
    took_s = time.monotonic() - started

    print(f"{report.executions} executions in {took_s:.0f} s ({report.executions / took_s:.0f}/s), bounds checking on")
    print(f"seed {seed}, {len(seeds)} seed bodies of {min(map(len, seeds))} to {max(map(len, seeds))} bytes")
    print(", ".join(f"{kind}: {count}" for kind, count in report.answers.most_common()))
    print(f"{len(report.findings)} findings")
    for problem, body in report.findings[:10]:
        print(f"- {problem}\n  {body.hex()}")
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main())
