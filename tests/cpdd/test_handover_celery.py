"""Trace, journey and requirement through Celery: a real broker on disk, a real worker with a process of its own."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

APP = """
import celery, os
import cpdd
from cpdd.exporters import PromptBatchProcessor
from opentelemetry import baggage, trace
from opentelemetry.sdk.trace.export import SpanExporter

HERE = os.path.dirname(os.path.abspath(__file__))

class File(SpanExporter):
    def export(self, spans):
        with open(f"{HERE}/spans", "a") as file:
            file.writelines(f"{span.context.trace_id:032x} {span.name}\\n" for span in spans)

cpdd.init(service="mail", processor=PromptBatchProcessor(File()))
app = celery.Celery("app", broker="filesystem://", backend=f"file://{HERE}/results")
app.conf.broker_transport_options = {
    "data_folder_in": f"{HERE}/queue", "data_folder_out": f"{HERE}/queue",
    "control_folder": f"{HERE}/control", "polling_interval": 0.05
}

def seen():
    span = trace.get_current_span().get_span_context()
    return [f"{span.trace_id:032x}", baggage.get_baggage("cpdd.journey"), span.trace_state.get("cpdd", "")]

@app.task
def look(*_):
    return seen()

@app.task
def look_after(before):
    return [*(before if isinstance(before[0], list) else [before]), seen()]

@app.task(bind=True)
def look_again(self):
    if not self.request.retries:
        raise self.retry(countdown=0)
    return seen()
"""

DRIVER = """
import json, sys
sys.path.insert(0, {folder!r})
import app, celery, cpdd
from opentelemetry import trace

with cpdd.journey("check out"), trace.get_tracer("shop").start_as_current_span("request"), cpdd.optional("mail"):
    answers = dict(
        here=[[*app.seen()[:2], "r:o"]],
        task=[app.look.delay().get(timeout=30, interval=0.05)],
        chain=celery.chain(app.look.s(), app.look_after.s())().get(timeout=30, interval=0.05),
        group=celery.group(app.look.s(), app.look.s())().get(timeout=30, interval=0.05),
        chord=celery.chord([app.look.s(), app.look.s()], app.look_after.s())(interval=0.1).get(timeout=30),
        retry=[app.look_again.delay().get(timeout=30, interval=0.05)],
    )
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[list[str]]]:
    """What each kind of call saw in the worker, and `spans`: the lines that worker and driver have exported."""
    folder = tmp_path_factory.mktemp("celery")
    for name in ("queue", "results"):
        (folder / name).mkdir()
    (folder / "app.py").write_text(APP)
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "CPDD_"))}
    command = [sys.executable, "-m", "celery", "-A", "app", "worker", "--concurrency=1", "--loglevel=error"]
    worker = subprocess.Popen([*command, "--without-gossip", "--without-mingle"], cwd=folder, env=environ)
    try:
        done = subprocess.run(
            [sys.executable, "-c", DRIVER.format(folder=str(folder))],
            cwd=folder,
            env=environ,
            capture_output=True,
            text=True,
            timeout=90,
        )
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.wait(30)
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout), "spans": lines(folder / "spans")}


def lines(path: Path) -> list[list[str]]:
    return [line.split(" ", 1) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("way", ["task", "chain", "group", "chord", "retry"])
def test_trace_journey_and_requirement_reach_the_task(answers, way):
    ((trace_id, journey, hint),) = answers["here"]

    assert len(answers[way]) == {"task": 1, "chain": 2, "group": 2, "chord": 3, "retry": 1}[way]
    assert answers[way] == [[trace_id, journey, hint]] * len(answers[way])
    assert (journey, hint) == ("check out", "r:o")


def test_the_spans_of_a_worker_process_arrive_before_it_ends(answers):
    ((trace_id, *_),) = answers["here"]

    ran = [name for trace, name in answers["spans"] if trace == trace_id and name.startswith("run/app.")]
    assert sorted(ran) == ["run/app.look"] * 6 + ["run/app.look_after"] * 2 + ["run/app.look_again"] * 2
