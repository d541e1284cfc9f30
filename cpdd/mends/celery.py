"""Celery: worker processes send their spans before they end. Nothing else does: they end without `atexit`."""

from typing import Any

from celery import signals
from opentelemetry import trace

from cpdd.failures import contained


def mend() -> None:
    """Connect to the end of each worker process."""
    signals.worker_process_shutdown.connect(_send, weak=False)


@contained("sending the spans of a Celery worker process", instead=None)
def _send(**_: Any) -> None:
    shutdown = getattr(trace.get_tracer_provider(), "shutdown", None)
    if shutdown is not None:
        shutdown()
