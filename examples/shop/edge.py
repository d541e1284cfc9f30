"""nginx in front of the shop, as `cpdd lb-config` configures it, and its log as spans, by `cpdd import-logs`.

Two programs that know nothing of this process, which starts them and ends them.
"""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import click

from . import directory
from .service import end_with_parent

CPDD = (sys.executable, "-c", "from cpdd.cli import main; main()")
ENDED_WITHIN_S = 2.0
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@click.command()
@click.option("--nginx", required=True, help="Its program.")
@click.option("--port", type=int, required=True, help="Where visitors come in.")
def command(nginx: str, port: int) -> None:
    """Run nginx in front of the shop until SIGTERM, or until whoever started this process is gone."""
    ending = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ending.set())
    end_with_parent(ending.set)
    folder = Path(os.environ["SHOP_DATA"]).absolute() / "edge"
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "requests.json"
    (folder / "nginx.conf").write_text(configuration(folder, log, port))
    importing = (*CPDD, "import-logs", "--format", "nginx-json", "--follow", str(log))
    children = [subprocess.Popen(words) for words in ((nginx, "-c", str(folder / "nginx.conf")), importing)]
    try:
        while not ending.wait(0.2) and all(child.poll() is None for child in children):
            pass
    finally:
        for child in children:  # nginx first: what it logged last is sent, too
            end(child)
    sys.exit(0 if ending.is_set() else "nginx or the import of its log ended by itself")


def configuration(folder: Path, log: Path, port: int) -> str:
    """Return all that nginx is told: a line for each setting that is not cpdd's."""
    cpdd = subprocess.run([*CPDD, "lb-config", "nginx", "--log", str(log)], check=True, capture_output=True, text=True)
    return "\n".join(
        [
            f"daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr; events {{}}",
            "http {",
            *(f"{name}_temp_path {folder}/{name};" for name in _TEMPORARY),
            cpdd.stdout,
            f"server {{ listen {directory.HOST}:{port}; location / {{ proxy_pass {directory.url('shop')}; }} }}",
            "}",
            "",
        ]
    )


def end(child: subprocess.Popen[bytes]) -> None:
    """Ask a child to end, and kill it where it does not."""
    child.terminate()
    try:
        child.wait(ENDED_WITHIN_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


if __name__ == "__main__":
    command()
