"""A service that calls whom it is told to: trace context in and out, under each of four frameworks.

    python examples/trace_context_service.py --framework flask --port 5000

POST anywhere a JSON array of `{"url", "arguments"}`: it posts `arguments` as JSON to each `url`, one behind the other,
and answers 200. That is what the test suite of W3C trace context asks of a service; see docs/how-to/trace-context.md.
"""

import argparse
import asyncio
import json
import signal
from collections.abc import Callable
from typing import TypedDict

import cpdd

TIMEOUT_S = 5.0


class Order(TypedDict):
    """Whom to call, and what to send there."""

    url: str
    arguments: object


def serve_flask(port: int) -> None:
    import flask
    import requests
    import waitress

    app = flask.Flask("trace_context_service")

    @app.post("/", defaults={"path": ""})
    @app.post("/<path:path>")
    def carry_out(path: str) -> dict[str, int]:
        orders: list[Order] = flask.request.get_json()
        for order in orders:
            requests.post(order["url"], json=order["arguments"], timeout=TIMEOUT_S)
        return {"called": len(orders)}

    waitress.serve(app, host="127.0.0.1", port=port, threads=8, _quiet=True)


def serve_django(port: int) -> None:
    import requests
    import waitress
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpRequest, JsonResponse
    from django.urls import re_path

    def carry_out(request: HttpRequest) -> JsonResponse:
        orders: list[Order] = json.loads(request.body)
        for order in orders:
            requests.post(order["url"], json=order["arguments"], timeout=TIMEOUT_S)
        return JsonResponse({"called": len(orders)})

    settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=(re_path("", carry_out),), MIDDLEWARE=[])
    waitress.serve(get_wsgi_application(), host="127.0.0.1", port=port, threads=8, _quiet=True)


def serve_fastapi(port: int) -> None:
    import fastapi
    import httpx
    import uvicorn

    app = fastapi.FastAPI()
    client = httpx.AsyncClient(timeout=TIMEOUT_S)

    @app.post("/{path:path}")
    async def carry_out(path: str, request: fastapi.Request) -> dict[str, int]:
        orders: list[Order] = await request.json()
        for order in orders:
            await client.post(order["url"], json=order["arguments"])
        return {"called": len(orders)}

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


def serve_aiohttp(port: int) -> None:
    from aiohttp import ClientSession, ClientTimeout, web

    async def carry_out(request: web.Request) -> web.Response:
        orders: list[Order] = await request.json()
        for order in orders:
            async with client.post(order["url"], json=order["arguments"]):
                pass
        return web.json_response({"called": len(orders)})

    async def serve() -> None:
        nonlocal client
        ended = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
        async with ClientSession(timeout=ClientTimeout(TIMEOUT_S)) as client:
            app = web.Application()
            app.router.add_post("/{path:.*}", carry_out)
            runner = web.AppRunner(app)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", port).start()
            await ended.wait()
            await runner.cleanup()

    client: ClientSession
    asyncio.run(serve())


FRAMEWORKS: dict[str, Callable[[int], None]] = {
    "flask": serve_flask,
    "django": serve_django,
    "fastapi": serve_fastapi,
    "aiohttp": serve_aiohttp,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--framework", choices=sorted(FRAMEWORKS), required=True)
    parser.add_argument("--port", type=int, required=True)
    said = parser.parse_args()
    cpdd.init(service=f"trace-context-{said.framework}")
    FRAMEWORKS[said.framework](said.port)


if __name__ == "__main__":
    main()
