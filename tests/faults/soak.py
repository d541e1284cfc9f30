"""Does anything grow while `cpdd serve` works at a steady rate? Sampled every minute, with a verdict by a rule.

    python -m tests.faults.soak --seconds 3600 --rate 90000 --record docs/records/soak.md
    python -m tests.faults.soak --seconds 300 --rate 2000 --every 20

Real OTLP/HTTP from processes of their own, 512 spans of ten attributes a request, into a server of its own with an
empty data folder. A sample is one stretch of sending, then: memory of the server, how far analysis is behind, parts of
the tables (folders on disk), bytes on disk for each span, how long answers took, and the time of three pages.

The rule: the first third of the samples warms up. Of the two others each column's medians are compared; it is *flat*
when the last third's is no more than FLAT of the middle's above it, or than what nobody would notice (NOTICED), or than
the middle third's own upper quartile: what varies so much has not grown by as little. Disk counts by span.
Pages have more to read as spans accumulate, so that theirs are shown and not judged.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple
from urllib.request import urlopen

from benchmarks.ingest import SPANS_PER_REQUEST, WARM_UP_S, Load, run_senders
from tests.serving import ServerProcess, server_process

FLAT = 0.1
NOTICED = {
    "memory_mib": 32.0,
    "lag_s": 2.0,
    "parts": 10.0,
    "bytes_a_span": 1.0,
    "answer_p50_ms": 20.0,
    "answer_p99_ms": 100.0,
}
PAGE_TRIES = 5


@dataclass(frozen=True, slots=True)
class Sample:
    """What was seen at the end of one stretch."""

    at_s: float
    spans_a_s: float
    refused: int
    """Requests with any other end than 200."""
    memory_mib: float
    lag_s: float
    parts: int
    bytes_a_span: float
    answer_p50_ms: float
    answer_p99_ms: float
    trace_ms: float
    """By id; median of PAGE_TRIES, likewise below."""
    journey_ms: float
    search_ms: float


class Verdict(NamedTuple):
    """What became of a column."""

    before: float
    """Median of the middle third."""
    at_most: float
    after: float
    """Median of the last third."""

    @property
    def is_flat(self) -> bool:
        return self.after <= self.at_most


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--rate", type=float, required=True, help="spans/s; 70 %% of what the machine takes")
    parser.add_argument("--every", type=float, default=60, help="seconds between samples")
    parser.add_argument("--senders", type=int, default=2)
    parser.add_argument("--in-flight", type=int, default=128)
    parser.add_argument("--data", default=None, help="folder for the data; a temporary one when left out")
    parser.add_argument("--record", type=Path, help="write the table and the verdict here, too")
    arguments = parser.parse_args(argv)
    samples: list[Sample] = []
    with tempfile.TemporaryDirectory(dir=arguments.data) as folder, server_process(Path(folder)) as server:
        began_s = time.monotonic()
        spans = 0.0
        while time.monotonic() < began_s + arguments.seconds:
            sample, sent = _stretch(server, Path(folder), arguments, spans, began_s)
            spans += sent
            samples.append(sample)
            print(line(sample), flush=True)
        assert server.stop() == 0
        stored = _stored(folder)
    text = report(arguments, samples, spans, stored)
    print(text)
    if arguments.record:
        arguments.record.write_text(text + "\n")
    if stored < spans:
        print(f"{spans - stored:,.0f} acknowledged spans are not in the store")
    return 0 if is_flat(samples) and stored >= spans else 1


def _stretch(
    server: ServerProcess, folder: Path, arguments: argparse.Namespace, before: float, began_s: float
) -> tuple[Sample, float]:
    load = Load(max(arguments.every - WARM_UP_S, 1.0), arguments.rate, arguments.senders, arguments.in_flight)
    sent = run_senders(load, server.addresses["otlp_http"])
    others: dict[str, int] = sent["others"]  # type: ignore[assignment]
    spans = sent["all_spans"]
    trace, journey = _newest(server)
    sample = Sample(
        at_s=time.monotonic() - began_s,
        spans_a_s=sent["spans"] / load.seconds,
        refused=sum(others.values()),
        memory_mib=_memory_mib(server.process.pid),
        lag_s=_metric(server, "cpdd_analyzer_lag_seconds"),
        parts=parts_of(folder),
        bytes_a_span=bytes_of(folder) / max(before + spans, 1),
        answer_p50_ms=sent["p50_s"] * 1e3,
        answer_p99_ms=sent["p99_s"] * 1e3,
        trace_ms=_page_ms(server, trace),
        journey_ms=_page_ms(server, journey),
        search_ms=_page_ms(server, "/search"),
    )
    return sample, spans


def verdicts(samples: list[Sample]) -> dict[str, Verdict]:
    """Return what the rule says of the columns that are judged; nothing where there are too few samples."""
    third = len(samples) // 3
    if not third:
        return {}
    middle, last = samples[third : 2 * third], samples[-third:]
    found = {}
    for name, noticed in NOTICED.items():
        before, after = ([getattr(sample, name) for sample in part] for part in (middle, last))
        at_most = max(median(before) + max(median(before) * FLAT, noticed), _upper_quartile(before))
        found[name] = Verdict(median(before), at_most, median(after))
    return found


def _upper_quartile(values: list[float]) -> float:
    return quantiles(values, n=4, method="inclusive")[2] if len(values) > 1 else values[0]


def is_flat(samples: list[Sample]) -> bool:
    """Tell whether nothing grew; not with fewer than three samples, which show nothing."""
    found = verdicts(samples)
    return bool(found) and all(verdict.is_flat for verdict in found.values())


def report(arguments: argparse.Namespace, samples: list[Sample], spans: float, stored: int) -> str:
    """Return the record: what was run, each sample, and the verdict."""
    names = [field.name for field in fields(Sample)]
    rows = [
        "# A soak at a steady rate",
        "",
        f"`python -m tests.faults.soak --seconds {arguments.seconds:.0f} --rate {arguments.rate:.0f} "
        f"--every {arguments.every:.0f}`, {time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.0f} at the end; {spans:,.0f} spans acknowledged, {stored:,} stored. "
        f"Senders on the same cores, {SPANS_PER_REQUEST} spans a request.",
        "",
        "| " + " | ".join(names) + " |",
        "|" + "---|" * len(names),
        *(line(sample) for sample in samples),
        "",
    ]
    for name, verdict in verdicts(samples).items():
        said = "flat" if verdict.is_flat else "NOT FLAT"
        rows.append(
            f"- {name}: {verdict.before:,.1f}, then {verdict.after:,.1f}, {verdict.at_most:,.1f} at most: {said}"
        )
    rows += ["", "**Flat.**" if is_flat(samples) else "**Not flat.**"]
    return "\n".join(rows)


def line(sample: Sample) -> str:
    """Return a row of the table."""
    cells = (f"{value:,.1f}" if isinstance(value, float) else f"{value:,}" for value in astuple(sample))
    return "| " + " | ".join(cells) + " |"


def parts_of(folder: Path) -> int:
    """Return how many parts lie on disk: folders with the file that each has."""
    return sum("columns.txt" in files or "columns_substreams.txt" in files for _, _, files in os.walk(folder))


def bytes_of(folder: Path) -> int:
    """Return what the files take."""
    total = 0
    for place, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.stat(os.path.join(place, name)).st_size
            except FileNotFoundError:  # merged away meanwhile
                continue
    return total


def _stored(folder: str) -> int:
    from collector.store.engine import open_store  # noqa: PLC0415 - loads the engine

    with open_store("chdb://", Path(folder)) as store, store.client() as client:
        return int(client.query("SELECT count() FROM otel_traces").result_rows[0][0])


def _newest(server: ServerProcess) -> tuple[str, str]:
    """The addresses of the pages of a trace and of a journey."""
    found = _json(server, "/search.json")
    page = _json(server, "/.json")
    journeys = page["needs_you"] + page["others"]
    return str(found["traces"][0]["address"]), str(journeys[0]["address"])


def _json(server: ServerProcess, path: str) -> dict[str, list[dict[str, object]]]:
    with urlopen(server.addresses["ui"] + path, timeout=120) as answer:
        found: dict[str, list[dict[str, object]]] = json.load(answer)
    return found


def _page_ms(server: ServerProcess, path: str) -> float:
    took = []
    for _ in range(PAGE_TRIES):
        began_s = time.monotonic()
        with urlopen(server.addresses["ui"] + path, timeout=120) as answer:
            answer.read()
        took.append((time.monotonic() - began_s) * 1e3)
    return median(took)


def _memory_mib(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def _metric(server: ServerProcess, name: str) -> float:
    with urlopen(f"{server.addresses['metrics']}/metrics", timeout=60) as answer:
        lines = [one.split() for one in answer.read().decode().splitlines()]
    return next(float(one[1]) for one in lines if one[0] == name)


if __name__ == "__main__":
    sys.exit(main())
