"""How fast do columns of spans become critical paths?

    python benchmarks/critical_path.py [--repeats 7] [--crisp FOLDER --crisp-python PYTHON]

Workloads: the real traces of ../shared/data (Online Boutique with a slow cart, repeated with fresh trace ids), in order
of arrival and grouped by trace; and single traces of 100,000 spans, deep, wide and parallel. `assemble` is rules 1 to
6, `walk` rules 7 to 12, `slack, drag` the replay of one target under both graphs. All in seconds of CPU, of one core,
those for fresh memory included: on a machine with others at work they differ from the clock's.

With --crisp, a checkout of https://github.com/uber-research/CRISP and a Python that has its requirements, both read the
same files, a Jaeger JSON document a trace, in the same run.

    files to paths        each file: json.load, Graph, findCriticalPath   here: read, decode, assemble, walk
    with slack, drag      and calculateDrag, calculateSlack               and the replay under both graphs
    files to result       `process`, which CRISP's command calls for      and the time by trace and call path, edges,
                          each file: profiles by call path, errors, ...   signatures, waste: what `cpdd report` sums
    result, slack, drag   the same with computeSlackDrag                  and the replay
    parsed to paths       json.load's objects to Graph, findCriticalPath  columns: assemble, walk
    trees to paths        findCriticalPath alone                          walk alone
"""

import argparse
import gzip
import json
import os
import pkgutil
import platform
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import orjson

from collector.core import kernels
from collector.core.assemble import Forest, assemble
from collector.core.attributes import detail
from collector.core.critical_path import critical_paths
from collector.core.dependencies import find_dependencies
from collector.core.detail import DetailedSpans
from collector.core.formats.jaeger_export import to_jaeger
from collector.core.population.columns import gather
from collector.core.slack import slack_and_drag
from collector.core.spans import DTYPES, SpanBatch, concatenate, empty_batch
from collector.receive.files import FileSpans, read_spans
from collector.receive.many_files import read_many
from collector.warm import warm_files

DATA = Path(__file__).parents[1] / "../shared/data/otlp/nezha-ob-cart-delay.otlp.pb.gz"
COPIES = 20
SINGLE = 100_000
EPOCH_NS = 1_700_000_000_000_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--crisp", type=Path, help="folder of a checkout of CRISP")
    parser.add_argument("--crisp-python", default="python3", help="a Python with CRISP's requirements")
    options = parser.parse_args()
    repeats = options.repeats
    machine = f"{platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}"
    print(f"{machine}; median of {repeats} (min..max)")
    workloads = {f"one trace, {shape}": single(shape) for shape in ("deep", "wide", "parallel")}
    if DATA.exists():
        arrival = population()
        order = np.lexsort((arrival.trace_id_low, arrival.trace_id_high))
        workloads = {"order of arrival": arrival, "grouped by trace": arrival.take(order), **workloads}
    else:
        print(f"{DATA.name} is not there: only single traces are measured")
    for name, batch in workloads.items():
        measure(name, batch, repeats)
    compare_with_crisp(options.crisp, options.crisp_python, repeats)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


def measure(name: str, batch: SpanBatch, repeats: int) -> None:
    """Print rates of one workload."""
    forest = assemble(batch)
    paths = critical_paths(forest)
    print(f"{name}: {len(batch):,} spans in {forest.traces:,} traces, {(paths.time_ns > 0).mean():.0%} on the path")
    rate("  assemble", len(batch), repeats, lambda: assemble(batch))
    rate("  walk", len(batch), repeats, lambda: critical_paths(forest))
    rate("  both", len(batch), repeats, lambda: critical_paths(assemble(batch)))
    if forest.traces == 1:
        rate("  slack, drag", len(batch), repeats, lambda: slack_and_drag(forest, paths))


def rate(name: str, spans: int, repeats: int, work: Callable[[], object]) -> None:
    """Print how many seconds of CPU `work` takes and how many spans a second that is."""
    work()
    seconds = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    median = statistics.median(seconds)
    spread = f"{1000 * min(seconds):.1f}..{1000 * max(seconds):.1f}"
    print(f"{name:14} {spans / median / 1e6:7.2f} million spans/s   {1000 * median:8.1f} ms ({spread})")


# Beside CRISP

CRISP_DRIVER = """
import glob, json, logging, resource, sys, time
logging.disable(logging.CRITICAL)
from crisp.common import Config
from crisp.graph import Graph
from crisp.process_trace import process
files = sorted(glob.glob(sys.argv[1] + "/*.json"))
def read(name):
    with open(name) as file:
        return json.load(file)
def root_of(data):
    trace = data["data"][0]
    root = next(s for s in trace["spans"] if not s["references"])
    return trace["processes"][root["processID"]]["serviceName"], root["operationName"]
roots = [root_of(read(name)) for name in files]
def graphs_of(documents):
    made = [Graph(data, *root, name, True) for data, root, name in zip(documents, roots, files)]
    return [graph for graph in made if graph.rootNode is not None]
def parse():
    return graphs_of(read(name) for name in files)
def paths(graphs):
    return [graph.findCriticalPath() for graph in graphs]
def slack_and_drag(graphs):
    for graph, path in zip(graphs, paths(graphs)):
        graph.calculateDrag(path)
        graph.calculateSlack(path)
def results(slack):
    for name, (service, operation) in zip(files, roots):
        process(name, Config(operation, service, rootTrace=True, computeSlackDrag=slack))
def took(work, *made):
    began = time.process_time()
    work(*made)
    return time.process_time() - began
graphs = parse()
paths(graphs)
result = {"traces": len(graphs)}
for _ in range(int(sys.argv[2])):
    documents = [read(name) for name in files]
    for name, work in (
        ("files", lambda: paths(parse())),
        ("slack", lambda: slack_and_drag(parse())),
        ("result", lambda: results(False)),
        ("result_slack", lambda: results(True)),
        ("parsed", lambda: paths(graphs_of(documents))),
        ("trees", lambda: paths(graphs)),
    ):
        result.setdefault(name, []).append(took(work))
result["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(json.dumps(result))
"""
"""Runs in CRISP's environment, over its public classes."""
CRISP_TRACES = 300
COMPARED = {
    "files": "files to paths",
    "slack": "with slack, drag",
    "result": "files to result",
    "result_slack": "result, slack, drag",
    "parsed": "parsed to paths",
    "trees": "trees to paths",
}


def compare_with_crisp(folder: Path | None, python: str, repeats: int) -> None:
    """Print rates of both on the same files; says why not where that cannot be."""
    if folder is None or not (folder / "crisp/graph.py").exists() or not DATA.exists():
        print("CRISP is not measured: --crisp names no checkout of it, or the trace data is not there")
        return
    with tempfile.TemporaryDirectory() as files:
        spans = write_jaeger(read_spans(DATA).batch, Path(files))
        command = [python, "-c", CRISP_DRIVER, files, str(repeats)]
        ran = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(folder)}, capture_output=True, text=True)
        if ran.returncode:
            print(f"CRISP is not measured: {ran.stderr.strip().splitlines()[-1]}")
            return
        theirs = json.loads(ran.stdout.splitlines()[-1])
        ours = measure_files(Path(files), repeats)
    print(f"{spans:,} spans in {CRISP_TRACES} files of Jaeger JSON; CRISP took {theirs['traces']} of the traces")
    for name, words in COMPARED.items():
        a, b = statistics.median(theirs[name]), statistics.median(ours[name])
        spread = f"{min(ours[name]) * 1000:.1f}..{max(ours[name]) * 1000:.1f} ms"
        print(
            f"  {words:20} CRISP {spans / a:12,.0f} spans/s   cpdd {spans / b:12,.0f} ({spread})   {a / b:6.1f} times"
        )
    print(f"  CRISP's peak memory {theirs['peak_mb']} MB")


def write_jaeger(batch: SpanBatch, folder: Path) -> int:
    """Write the first traces of a batch as files; returns the number of spans."""
    keys = batch.trace_id_high.astype(object) << 64 | batch.trace_id_low.astype(object)
    count = 0
    for number, key in enumerate(dict.fromkeys(keys.tolist())):
        if number == CRISP_TRACES:
            break
        some = batch.take(np.flatnonzero(keys == key))
        document = to_jaeger([DetailedSpans(some, partial(detail, some))])
        (folder / f"{number:05d}.json").write_bytes(orjson.dumps(document))
        count += len(some)
    return count


def measure_files(folder: Path, repeats: int) -> dict[str, list[float]]:
    files = sorted(map(str, folder.glob("*.json")))

    def parse() -> SpanBatch:
        return concatenate([read.found.batch for read in read_many(files) if isinstance(read.found, FileSpans)])

    def result(batch: SpanBatch, slack: bool) -> None:
        forest = assemble(batch)
        paths = critical_paths(forest)
        gather(forest, paths, find_dependencies(forest, paths))
        if slack:
            slack_and_drag(forest, paths)

    def slack(forest: Forest) -> None:
        slack_and_drag(forest, critical_paths(forest))

    for module in pkgutil.iter_modules(kernels.__path__):  # as where much has been read before, or `serve` has run
        kernels.load(module.name, 10**9)
    warm_files()
    parsed = parse()
    trees = assemble(parsed)
    works: dict[str, Callable[[], object]] = {
        "files": lambda: critical_paths(assemble(parse())),
        "slack": lambda: slack(assemble(parse())),
        "result": lambda: result(parse(), False),
        "result_slack": lambda: result(parse(), True),
        "parsed": lambda: critical_paths(assemble(parsed)),
        "trees": lambda: critical_paths(trees),
    }
    took: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(repeats + 1):
        for name, work in works.items():
            began = time.process_time()
            work()
            if turn:
                took[name].append(time.process_time() - began)
    return took


def population() -> SpanBatch:
    """Real traces, many times over, each copy under trace ids of its own."""
    with gzip.open(DATA):
        batch = read_spans(DATA).batch
    copies = [replace(batch, trace_id_high=batch.trace_id_high + np.uint64(i)) for i in range(COPIES)]
    return replace(concatenate(copies), body=b"")


def single(shape: str, spans: int = SINGLE) -> SpanBatch:
    """One trace: each span the child of the one before, or all children of the first, one after another or at once."""
    number = np.arange(spans)
    ends = EPOCH_NS + 10 * spans
    if shape == "deep":
        start, end, parent = EPOCH_NS + number, ends - number, number
    elif shape == "wide":
        start, end, parent = EPOCH_NS + 10 * number, EPOCH_NS + 10 * number + 8, np.minimum(number, 1)
    else:
        random = np.random.default_rng(7)
        start = EPOCH_NS + random.integers(0, 5 * spans, spans)
        end, parent = start + random.integers(1, 5 * spans, spans), np.minimum(number, 1)
    start[0], end[0] = EPOCH_NS, ends
    empty = empty_batch()
    columns = {name: np.zeros(spans, dtype) for name, dtype in DTYPES.items()}
    columns |= {name: np.full(spans, -1, np.int32) for name in ("journey", "peer_service")}
    columns |= {
        "trace_id_low": np.ones(spans, np.uint64),
        "span_id": (number + 1).astype(np.uint64),
        "parent_span_id": parent.astype(np.uint64),
        "start_time_unix_nano": start,
        "end_time_unix_nano": end,
    }
    resources = replace(
        empty.resources,
        **{name: np.zeros((1, *column.shape[1:]), column.dtype) for name, column in empty.resources.columns().items()},
    )
    return replace(empty, **columns, strings=("worker",), resources=resources)


if __name__ == "__main__":
    main()
