"""A program as people run it, under gunicorn, uvicorn, Celery, or alone: every request begins a trace of its own.

It answers its process and whether the trace was kept: `PID 1`.
"""

import os
from collections.abc import Callable, Iterable

from opentelemetry.context import Context
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

import cpdd
from cpdd.testing import MemoryExporter

exporter = MemoryExporter()
handle = cpdd.init(service="shop", processor=SimpleSpanProcessor(exporter), instrument=False)
assert handle.provider is not None
tracer = handle.provider.get_tracer("program")


def serve() -> str:
    with tracer.start_as_current_span("GET /", context=Context()) as span:
        return f"{os.getpid()} {int(span.is_recording())}"


def wsgi(environ: dict[str, object], start_response: Callable[..., object]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [serve().encode()]


async def asgi(scope: dict[str, object], receive: Callable[..., object], send: Callable[..., object]) -> None:
    if scope["type"] != "http":
        raise NotImplementedError
    await send({"type": "http.response.start", "status": 200, "headers": []})  # type: ignore[misc]
    await send({"type": "http.response.body", "body": serve().encode()})  # type: ignore[misc]


if folder := os.environ.get("CELERY_FOLDER"):
    import celery

    app = celery.Celery("shop", broker="filesystem://", backend=f"file://{folder}/results")
    app.conf.broker_transport_options = {
        "data_folder_in": f"{folder}/queue",
        "data_folder_out": f"{folder}/queue",
        "control_folder": f"{folder}/control",
    }
    task = app.task(name="serve")(serve)

if __name__ == "__main__":
    print(serve())
