"""The engine aborts again and again under a load, below a supervisor that follows the rules of `deploy/cpdd.service`.

    python -m tests.faults.supervised --times 5

The supervisor is a loop of shell: what ends with anything but 0 is started again after RestartSec, SIGTERM is passed
on. Senders know one address, and send again what was not answered. At the end the store is compared with what was.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from configparser import RawConfigParser
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from tests.faults.accounts import differences, found_in, tell
from tests.faults.burst import is_analyzed
from tests.faults.disk_trouble import PATIENCE_S, SPANS, Notes, send, waited
from tests.load import RequestMaker
from tests.ports import free_port
from tests.serving import CPDD, PORTS, ServerProcess

UNIT = Path(__file__).parents[2] / "deploy/cpdd.service"
LOOP = """
trap 'kill -TERM $child' TERM
while true; do
    "$@" & child=$!
    echo $child > "$PID_FILE"
    wait $child; code=$?
    while kill -0 $child 2>/dev/null; do wait $child; code=$?; done
    [ $code = 0 ] && exit 0
    sleep $RESTART_S
done
"""
"""`wait` ends on a signal as well, so that it is asked again while the child lives."""
REQUESTS = 10
"""Before each abort."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return check(Path(folder), arguments.times)


def check(folder: Path, times: int, *flags: str) -> int:
    """Abort so often; returns how many expectations failed.

    Args:
        flags: further ones of `cpdd serve`.
    """
    notes, maker, pid_file = Notes(), RequestMaker(SPANS), folder / "pid"
    unit = RawConfigParser(strict=False)
    unit.read(UNIT)
    otlp, health, metrics = free_port(), free_port(), free_port()
    ports = [part for port in PORTS for part in (f"--{port}-port", "off")]
    ports += ["--otlp-http-port", str(otlp), "--health-port", str(health), "--metrics-port", str(metrics)]
    serve = [CPDD, "serve", "--data", str(folder / "data"), *ports, *flags]
    environment = {**os.environ, "PID_FILE": str(pid_file), "RESTART_S": unit["Service"]["RestartSec"]}
    with subprocess.Popen(["bash", "-c", LOOP, "supervisor", *serve], env=environment) as supervisor:
        named = {"otlp_http": otlp, "health": health, "metrics": metrics}
        addresses = {name: f"http://127.0.0.1:{port}" for name, port in named.items()}
        server = ServerProcess(addresses, supervisor)  # type: ignore[arg-type]
        try:
            notes.expect(waited(lambda: _is_ready(server)), "it is ready")
            for number in range(1, times + 1):
                bodies = [maker.make(time.time_ns()) for _ in range(REQUESTS)]
                taken = [_taken(server, body, notes) for body in bodies[:-1]]
                notes.expect(all(taken), "spans are taken")
                aborted = int(pid_file.read_text())
                os.kill(aborted, signal.SIGABRT)
                began_s = time.monotonic()
                notes.expect(_taken(server, bodies[-1], notes), f"abort {number}: spans are taken again")
                print(f"  {time.monotonic() - began_s:.0f} s after it, by another process: {_pid(pid_file) != aborted}")
            notes.expect(waited(lambda: is_analyzed(server)), "what was taken is analyzed")
            notes.expect(server.stop() == 0, "SIGTERM ends supervisor and collector with 0")
        finally:
            if supervisor.poll() is None:
                supervisor.kill()
                os.kill(_pid(pid_file), signal.SIGKILL)
    found = found_in("chdb://", folder / "data")
    wrong = differences(found, notes.acknowledged)
    return len(notes.problems) + tell(found, notes.acknowledged, wrong)


def _taken(server: ServerProcess, body: bytes, notes: Notes) -> bool:
    """Send until it is acknowledged."""
    until_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < until_s:
        try:
            if send(server, body, notes) is None:
                return True
        except (URLError, HTTPException, OSError):
            pass
        time.sleep(0.2)
    return False


def _is_ready(server: ServerProcess) -> bool:
    try:
        with urlopen(f"{server.addresses['health']}/ready", timeout=10):
            return True
    except (HTTPError, URLError, OSError):
        return False


def _pid(pid_file: Path) -> int:
    return int(pid_file.read_text())


if __name__ == "__main__":
    failed = main()
    print(f"{failed} expectations failed")
    sys.exit(1 if failed else 0)
