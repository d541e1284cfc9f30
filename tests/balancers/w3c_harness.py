"""W3C's own tests of trace context against each framework, alone and behind nginx and HAProxy:

    git clone https://github.com/w3c/trace-context ../trace-context
    python -m tests.balancers.w3c_harness ../trace-context/test

Prints how many of them pass, and which do not. Ends with 1 where that is fewer than docs/records says.
"""

import os
import re
import subprocess
import sys
import tempfile
from contextlib import ExitStack, nullcontext
from pathlib import Path
from types import SimpleNamespace

from examples.shop.run import ROOT
from tests.balancers.programs import free_port, haproxy, nginx, running

WAYS = {"alone": 41, "behind nginx": 40, "behind HAProxy": 41}
"""And how many tests are to pass. nginx before 1.23 does not see the second of two headers."""


def passed(harness: Path, port: int) -> tuple[int, list[str]]:
    """Return how many tests pass at a service, and the names of the others."""
    environ = os.environ | {"SPEC_LEVEL": "2", "STRICT_LEVEL": "2"}
    words = [sys.executable, "test.py", f"http://127.0.0.1:{port}/test"]
    said = subprocess.run(words, cwd=harness, env=environ, capture_output=True, text=True).stderr
    ran = re.search(r"^Ran (\d+) tests", said, re.MULTILINE)
    if ran is None:
        sys.exit(f"the harness did not run\n{said}")
    failed = re.findall(r"^(?:FAIL|ERROR): (\S+)", said, re.MULTILINE)
    return int(ran[1]) - len(failed), failed


def check(harness: Path, framework: str) -> bool:
    """Print a framework's results; return whether they are as good as they should be."""
    app = SimpleNamespace(server_port=free_port(), seen=[])
    words = [sys.executable, "examples/trace_context_service.py", "--framework", framework]
    environ = os.environ | {"OTEL_TRACES_EXPORTER": "none"}
    good = True
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        service = running([*words, "--port", str(app.server_port)], app.server_port, cwd=ROOT, env=environ)
        stack.enter_context(service)
        entrances = (
            nullcontext(SimpleNamespace(port=app.server_port)),
            nginx(folder, None, app),
            haproxy(folder, None, app),
        )
        for (way, wanted), entrance in zip(WAYS.items(), entrances, strict=True):
            count, failed = passed(harness, stack.enter_context(entrance).port)
            good &= count >= wanted
            print(f"{framework:<8} {way:<15} {count} of {count + len(failed)} {' '.join(failed)}".rstrip(), flush=True)
    return good


if __name__ == "__main__":
    results = [check(Path(sys.argv[1]), framework) for framework in ("flask", "django", "fastapi", "aiohttp")]
    sys.exit(0 if all(results) else 1)
