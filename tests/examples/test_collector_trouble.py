"""A real service while its collector is silent, busy, talking garbage, well again, and gone."""

import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

from tests.cpdd.test_collector_trouble import ANSWERS, Collector
from tests.ports import free_port

SERVICE = Path(__file__).parents[2] / "examples/trace_context_service.py"
REQUESTS = 60
LIMIT_S = 60.0
VARIABLES = {
    "OTEL_BSP_MAX_QUEUE_SIZE": "20",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "10",
    "OTEL_BSP_SCHEDULE_DELAY": "50",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
    "PYTHONUNBUFFERED": "1",
}
"""A small queue, so that little traffic is too much for it."""


class Service:
    """The example under Flask, and what it says on stderr."""

    def __init__(self, process: "subprocess.Popen[str]", port: int) -> None:
        self._process = process
        self._port = port
        self._words = ""
        self._said = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()

    def wait_until_it_listens(self) -> None:
        for _ in range(round(LIMIT_S / 0.1)):
            try:
                socket.create_connection(("127.0.0.1", self._port)).close()
                return
            except ConnectionRefusedError:
                assert self._process.poll() is None, self._words
                with self._said:
                    self._said.wait(0.1)
        raise AssertionError(f"it does not listen, but says {self._words!r}")

    def ask(self) -> int:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=LIMIT_S)
        connection.request("POST", "/", json.dumps([]), {"Content-Type": "application/json"})
        status = connection.getresponse().status
        connection.close()
        return status

    def hear(self, pattern: str, meanwhile: Callable[[], object] = lambda: None) -> re.Match[str]:
        """Wait until it has said so."""
        for _ in range(round(LIMIT_S / 0.1)):
            meanwhile()
            with self._said:
                if found := re.search(pattern, self._words):
                    return found
                self._said.wait(0.1)
        raise AssertionError(f"{pattern!r} was not said, but {self._words!r}")

    def _listen(self) -> None:
        for line in self._process.stderr or ():
            with self._said:
                self._words += line
                self._said.notify_all()


@contextmanager
def running(endpoint: str) -> Iterator[Service]:
    port = free_port()
    words = [sys.executable, str(SERVICE), "--framework", "flask", "--port", str(port)]
    environ = {**VARIABLES, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": endpoint, "PATH": ""}
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environ)
    service = Service(process, port)
    try:
        service.wait_until_it_listens()
        yield service
    finally:
        process.kill()
        process.wait()


def test_no_request_fails_or_waits_and_what_is_lost_is_said():
    """The collector is silent until the first requests are through: so none of them waited for it."""
    collector = Collector(b"")
    with running(collector.address) as service:
        while_silent = [service.ask() for _ in range(REQUESTS)]
        collector.may_answer.set()
        in_trouble = []
        for answer in ("503", "garbage", "hangs up"):
            collector.answer = ANSWERS[answer]
            in_trouble += [service.ask() for _ in range(REQUESTS)]
        service.hear("spans are lost: ")

        collector.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        lost = service.hear(r"spans arrive again, (\d+) were lost", meanwhile=service.ask)
        collector.stop()
        without = [service.ask() for _ in range(REQUESTS)]

    assert {*while_silent, *in_trouble, *without} == {200}
    assert 0 < int(lost[1]) <= 4 * REQUESTS + 1
