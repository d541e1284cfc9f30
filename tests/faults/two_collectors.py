"""Two collectors on one ClickHouse server, which share the analysis; one is killed with -9 in the middle of a load.
The other takes over, nothing acknowledged is lost, no trace is analyzed wrong or counted twice. A boost at the one is
in force at the other, and both together hand out no more traces than it may add.

    python -m tests.faults.two_collectors --requests 400
    python -m tests.faults.two_collectors --requests 400 --kill second

The server is the real engine behind ClickHouse's HTTP interface (`tests.store.clickhouse_http`). Requests go to both
in turn; what the killed one did not answer is sent to the other.
"""

import argparse
import json
import sys
import tempfile
import time
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from collector.core.shares import SHARES
from tests.faults.accounts import Found, differences, found_in, tell
from tests.faults.disk_trouble import SPANS, Notes, send, waited
from tests.load import RequestMaker
from tests.serving import ServerProcess, server_process
from tests.store.conftest import serving

MAX_TRACES = 40
HALVES = (SHARES / 2, SHARES / 2)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=400, help=f"of {SPANS} spans, half before the kill")
    parser.add_argument(
        "--kill", choices=("first", "second"), default="first", help="first: it judges and writes minutes as well"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return check(Path(folder), arguments.requests, arguments.kill == "second")


def check(folder: Path, requests: int, kill_second: bool = False, *flags: str) -> int:
    """Kill one of two; returns how many expectations failed.

    Args:
        kill_second: else the first, which judges and writes minutes as well.
        flags: further ones of `cpdd serve`.
    """
    notes, maker = Notes(), RequestMaker(SPANS)
    bodies = [maker.make(time.time_ns()) for _ in range(requests)]
    with serving(folder / "engine") as (port, _):
        dsn = f"clickhouse://127.0.0.1:{port}/cpdd"
        with (
            server_process(folder / "one", "--store", dsn, *flags) as one,
            server_process(folder / "two", "--store", dsn, *flags) as two,
        ):
            notes.expect(waited(lambda: turn(one) == 1), "the collector that came first judges and writes minutes")
            notes.expect(turn(two) == 0, "the other one does not")
            notes.expect(waited(lambda: (shares(one), shares(two)) == HALVES), "each analyzes half of the traces")
            killed, other = (two, one) if kill_second else (one, two)
            used = _boosted_at_both(killed, other, notes)
            unanswered = _send_to_both(killed, other, bodies, notes)
            began_s = time.monotonic()
            notes.expect(waited(lambda: turn(other) == 1 and shares(other) == SHARES), "the other one does everything")
            print(f"  {time.monotonic() - began_s:.0f} s after the last request")
            notes.expect(
                0 < used + added_at(other, "c") <= MAX_TRACES, "all clients of the boost add no more than it may"
            )
            notes.expect(
                all(send(other, body, notes) is None for body in unanswered),
                f"it takes the {len(unanswered)} requests that the killed one did not answer",
            )
            found = _settled(dsn, folder / "reader", notes)
            notes.expect(other.stop() == 0, "SIGTERM ends it with 0")
    return len(notes.problems) + tell(found, notes.acknowledged, differences(found, notes.acknowledged))


def _boosted_at_both(one: ServerProcess, other: ServerProcess, notes: Notes) -> int:
    """Boost at one, and let clients of both add traces; returns how many."""
    ask(one, "/v1/boosts", {"service": "shop", "id": "shared", "max_traces": MAX_TRACES})
    notes.expect(waited(lambda: boosts(other) == ["shared"]), "a boost at the one is in force at the other")
    added = {"a": 0, "b": 0}

    def is_added_by_both() -> bool:
        added.update(a=added_at(one, "a", added["a"]), b=added_at(other, "b", added["b"]))
        return min(added.values()) > 0

    notes.expect(waited(is_added_by_both), "clients of both add traces")
    notes.expect(sum(added.values()) <= MAX_TRACES, "together no more than the boost may")
    return sum(added.values())


def boosts(server: ServerProcess) -> list[str]:
    return [boost["id"] for boost in ask(server, "/v1/state")["boosts"]]


def added_at(server: ServerProcess, instance: str, used: int = 0) -> int:
    """Return how many traces a client may have added to the boost in all, which says that it has used so many."""
    report = {"service": "shop", "instance": instance, "interval_s": 1.0, "leases": {"shared": used}}
    return int(ask(server, "/v1/status", report)["leases"].get("shared", 0))


def ask(server: ServerProcess, path: str, value: object = None) -> Any:
    """Ask the sampling port, or post a value to it."""
    body = None if value is None else json.dumps(value).encode()
    request = Request(server.addresses["sampling_http"] + path, body, {"Content-Type": "application/json"})
    with urlopen(request, timeout=60) as answer:
        return json.load(answer)


def turn(server: ServerProcess) -> float:
    return _metric(server, "cpdd_analyzer_turn")


def shares(server: ServerProcess) -> float:
    return _metric(server, "cpdd_analyzer_shares")


def _metric(server: ServerProcess, name: str) -> float:
    with urlopen(f"{server.addresses['metrics']}/metrics", timeout=30) as answer:
        lines = [line.split() for line in answer.read().decode().splitlines()]
    return next(float(line[1]) for line in lines if line[0] == name)


def _send_to_both(killed: ServerProcess, other: ServerProcess, bodies: list[bytes], notes: Notes) -> list[bytes]:
    """Send in turn, kill one in the middle; returns what it did not answer."""
    unanswered = []
    for number, body in enumerate(bodies):
        if number == len(bodies) // 2:
            killed.process.kill()
            print(f"one is killed after {number} requests")
        try:
            refused = send(killed if number % 2 else other, body, notes)
            notes.expect(refused is None, f"request {number} is acknowledged") if refused else None
        except (URLError, HTTPException, OSError):
            unanswered.append(body)
    return unanswered


def _settled(dsn: str, folder: Path, notes: Notes) -> Found:
    """What the store holds, as soon as everything is analyzed, or at last."""
    found = found_in(dsn, folder)

    def is_settled() -> bool:
        nonlocal found
        found = found_in(dsn, folder)
        return not any(differences(found, notes.acknowledged).values())

    notes.expect(waited(is_settled), "everything that was acknowledged is analyzed, by the one or the other")
    return found


if __name__ == "__main__":
    failed = main()
    print(f"{failed} expectations failed")
    sys.exit(1 if failed else 0)
