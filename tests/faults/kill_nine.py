"""kill -9 during a load, again and again: nothing acknowledged may be lost, analysis resumes, no count is doubled.

    python -m tests.faults.kill_nine --times 10
    python -m tests.faults.kill_nine --times 3 --signal ABRT      (as the engine aborts)

Each round starts `cpdd serve` on the same data folder, sends to it from a process of its own, and kills the server in
the middle. Senders note the traces of every request that was answered with 200, and send what was not answered again
in the next round, as exporters do. The last server is left to analyze what its predecessors left, and is stopped in
order; then the store is read and compared with the notes.
"""

import argparse
import json
import pickle
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

from tests.faults.accounts import differences, found_in, tell
from tests.load import trace_ids
from tests.sender import Plan, Sent, send

CONNECTIONS = 32
SPANS_PER_S = 40_000
"""Paced, so that the machine of whoever runs this does other work too."""
LIVES_S = (0.2, 6.0)
"""A server is killed after a time between these, counted from its first request."""
PATIENCE_S = 180.0


@dataclass
class Notes:
    """What the senders know."""

    acknowledged: set[str] = field(default_factory=set)
    """Ids of traces whose spans were acknowledged."""
    unanswered: list[bytes] = field(default_factory=list)
    """Requests to send again."""
    sent_again: int = 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--data", default="", help="folder for the data; a temporary one when empty")
    parser.add_argument("--signal", default="KILL", help="what it is ended by: KILL, ABRT, SEGV")
    parser.add_argument("--be-sender", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.be_sender:
        _be_sender()
        return 0
    with tempfile.TemporaryDirectory(dir=arguments.data or None) as folder:
        return check(arguments.times, Path(folder), signal.Signals[f"SIG{arguments.signal}"])


def check(times: int, folder: Path, by: signal.Signals = signal.SIGKILL) -> int:
    """Kill so often, then compare; the exit code says whether everything is as it should be.

    A start after each is what a supervisor does.
    """
    notes = Notes()
    for number in range(1, times + 1):
        began = time.monotonic()
        with _server(folder) as (addresses, process):
            ready_s = time.monotonic() - began
            lives_s = random.uniform(*LIVES_S)
            before = len(notes.acknowledged)
            _send(addresses, notes, lives_s, process, by)
            code = process.wait()
        traces = len(notes.acknowledged) - before
        print(
            f"round {number}: ready after {ready_s:.1f} s, killed {lives_s:.1f} s after the first request ({code}), "
            f"{traces:,} traces acknowledged, {len(notes.unanswered)} requests unanswered",
            flush=True,
        )
    with _server(folder) as (addresses, process):
        _send(addresses, notes, None, process)
        waited_s = _wait_for(addresses["metrics"], _is_analyzed)
        process.terminate()
        code = process.wait()
    print(f"the last server analyzed what was left in {waited_s:.0f} s and ended with {code}")
    return _compare(folder, notes, code)


def _be_sender() -> None:
    """A plan comes in, what became of it goes out. Buffered: PYTHONUNBUFFERED would make writes that may be short."""
    with open(sys.stdin.fileno(), "rb", closefd=False) as plan, open(sys.stdout.fileno(), "wb", closefd=False) as sent:
        pickle.dump(send(pickle.load(plan)), sent)


@contextmanager
def _server(folder: Path) -> Iterator[tuple[dict[str, str], "subprocess.Popen[str]"]]:
    """A server on the folder, ready; killed when the context ends, if nobody did so before."""
    ports = ["--otlp-http-port", "0", "--metrics-port", "0", "--health-port", "off", "--zipkin-port", "off"]
    ports += ["--otlp-grpc-port", "off", "--ui-port", "off"]
    command = [str(Path(sys.executable).with_name("cpdd")), "serve", "--json", "--data", str(folder), *ports]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline()), process
    finally:
        process.kill()
        process.wait()


def _send(
    addresses: dict[str, str],
    notes: Notes,
    kill_after_s: float | None,
    process: "subprocess.Popen[str]",
    by: signal.Signals = signal.SIGKILL,
) -> None:
    """Send what was not answered before, then new requests until the server is killed; take down what came of it."""
    parts = urlsplit(addresses["otlp_http"])
    plan = Plan(
        host=parts.hostname or "",
        port=parts.port or 0,
        connections=CONNECTIONS,
        spans_per_s=SPANS_PER_S,
        first=tuple(notes.unanswered),
        only_first=kill_after_s is None,
        keep=True,
    )
    command = [sys.executable, "-m", "tests.faults.kill_nine", "--be-sender"]
    sender = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with ThreadPoolExecutor(1) as threads:
        ending = threads.submit(sender.communicate, pickle.dumps(plan))
        if kill_after_s is not None:
            _wait_for(
                addresses["metrics"],
                lambda metrics: metrics['cpdd_receiver_requests_in_work{receiver="otlp_http"}'] > 0,
            )
            time.sleep(kill_after_s)
            process.send_signal(by)
        sent: Sent = pickle.loads(ending.result()[0])
    for body in sent.acknowledged:
        notes.acknowledged |= trace_ids(body)
    notes.sent_again += len(notes.unanswered)
    notes.unanswered = sent.unanswered


def _wait_for(address: str, is_so: Callable[[dict[str, float]], bool]) -> float:
    """Ask for the metrics until something is so; return the seconds it took."""
    began = time.monotonic()
    while time.monotonic() < began + PATIENCE_S:
        with urlopen(f"{address}/metrics", timeout=30) as answer:
            lines = [line.rpartition(" ") for line in answer.read().decode().splitlines() if line[0] != "#"]
        if is_so({name: float(value) for name, _, value in lines}):
            break
        time.sleep(0.1)
    return time.monotonic() - began


def _is_analyzed(metrics: dict[str, float]) -> bool:
    """Everything was read, and no trace is held open."""
    return metrics["cpdd_analyzer_lag_seconds"] == 0 and metrics["cpdd_analyzer_open_traces"] == 0


def _compare(folder: Path, notes: Notes, code: int) -> int:
    """Compare the store with the notes and print what was found."""
    found = found_in("chdb://", folder)
    print(f"{notes.sent_again} requests were sent again")
    wrong = {"the last server did not end with 0": int(code != 0), **differences(found, notes.acknowledged)}
    return tell(found, notes.acknowledged, wrong)


if __name__ == "__main__":
    sys.exit(main())
