"""Real foreign samplers against `cpdd serve`, unmodified: does each follow a change of rate?

    python -m tests.foreign.run                    all whose tools are here
    python -m tests.foreign.run javascript go

Fetches the samplers with their own package managers, into a temporary folder. Not part of the test suite; what it
last said is in docs/records/foreign-samplers.md.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.cpdd.sampling.policies import policy
from tests.serving import ServerProcess, server_process

HERE = Path(__file__).parent
OF = 500
SERVICE = "foreign"
PATIENCE_S = 20.0
BOOST = {"service": SERVICE, "operation": "POST /pay", "duration_s": 5}
STEPS: list[tuple[str, str, dict[str, Any], dict[str, tuple[int, int]]]] = [
    ("everything", "/v1/policies", policy("all", 100), {"GET /": (OF, OF), "POST /pay": (OF, OF)}),
    ("a quarter", "/v1/policies", policy("all", 25), {"GET /": (85, 170), "POST /pay": (85, 170)}),
    ("nothing", "/v1/policies", policy("all", 0), {"GET /": (0, 0), "POST /pay": (0, 0)}),
    ("a boost of 5 s", "/v1/boosts", BOOST, {"GET /": (0, 0), "POST /pay": (OF, OF)}),
    ("its end", "", {}, {"GET /": (0, 0), "POST /pay": (0, 0)}),
    ("one operation", "/v1/policies", policy("pay", 100, op="POST /pay"), {"GET /": (0, 0), "POST /pay": (OF, OF)}),
]
"""What is put in force, if anything, and what of 500 must then be kept."""


@dataclass(frozen=True)
class Client:
    """A foreign sampler: what it needs, how it is fetched, how it runs."""

    tool: str
    fetch: Sequence[str]
    run: Callable[[dict[str, Any]], Sequence[str]]


CLIENTS = {
    "javascript": Client(
        "npm", ["npm", "install", "--no-audit", "--no-fund"], lambda a: ["node", "client.js", a["sampling_http"]]
    ),
    "go": Client("go", ["go", "build", "-mod=mod", "-o", "client", "."], lambda a: ["./client", a["sampling_http"]]),
    "java": Client(
        "mvn",
        ["mvn", "-q", "-B", "compile", "dependency:build-classpath", "-Dmdep.outputFile=classpath"],
        lambda a: ["sh", "-c", f"exec java -cp target/classes:$(cat classpath) Client http://{a['sampling_grpc']}"],
    ),
}


def main(names: Sequence[str]) -> int:
    wanted = names or [name for name, client in CLIENTS.items() if shutil.which(client.tool)]
    with tempfile.TemporaryDirectory() as folder, server_process(Path(folder) / "data") as server:
        results = [follows(name, Path(folder) / name, server) for name in wanted]
    return 0 if all(results) and results else 1


def follows(name: str, folder: Path, server: ServerProcess) -> bool:
    """Fetch, run, and change what is sampled; returns whether the sampler followed each time."""
    client = CLIENTS[name]
    shutil.copytree(HERE / name, folder)
    subprocess.run(client.fetch, cwd=folder, check=True, stdout=sys.stderr)
    post(server, "/v1/policies", {"policies": [policy("all", 0)], "replace": True})
    process = subprocess.Popen(client.run(server.addresses), cwd=folder, stdout=subprocess.PIPE, text=True)
    try:
        for said, path, wanted, expected in STEPS:
            begun = time.monotonic()
            if path:
                post(server, path, wanted)
            found = wait_for(process, expected)
            took = f"after {time.monotonic() - begun:.1f} s"
            print(f"{name:12} {said:14} {'follows ' + took if found else 'DOES NOT FOLLOW'}", flush=True)
            if not found:
                return False
    finally:
        process.kill()
        process.wait()
    return True


def wait_for(process: "subprocess.Popen[str]", expected: dict[str, tuple[int, int]]) -> bool:
    assert process.stdout is not None
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until and (line := process.stdout.readline()):
        kept = json.loads(line)
        if all(least <= kept[operation] <= most for operation, (least, most) in expected.items()):
            return True
    return False


def post(server: ServerProcess, path: str, value: object) -> None:
    connection = HTTPConnection(urlsplit(server.addresses["sampling_http"]).netloc, timeout=60)
    connection.request("POST", path, json.dumps(value), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    connection.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
