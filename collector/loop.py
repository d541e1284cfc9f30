"""The loop thread: one asyncio loop, under uvloop, that serves every ASGI application of the process.

Called by `serve`. Receivers, health and metrics share it, so that a health answer says that the loop is alive.
"""

import asyncio
import logging
import socket
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvicorn
from uvicorn.loops.auto import auto_loop_factory

log = logging.getLogger(__name__)

_T = TypeVar("_T")


class _Server(uvicorn.Server):
    """uvicorn's server, which says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


class RunningServer:
    """A server in the loop thread."""

    def __init__(self, server: _Server, task: "asyncio.Task[None]", thread: "LoopThread") -> None:
        self._server = server
        self._task = task
        self._thread = thread

    def stop(self) -> None:
        """Take no more connections, let requests in work finish, and return when they have."""
        self._server.should_exit = True
        self._thread.run(_finished(self._task))


class LoopThread:
    """Starts with `start`, ends with `stop`; between them `serve` adds servers."""

    def __init__(self) -> None:
        self._loop = auto_loop_factory()()
        self._thread = threading.Thread(target=self._run, name="cpdd-loop", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def serve(self, config: uvicorn.Config, listener: socket.socket) -> RunningServer:
        """Serve on a bound socket, which then belongs to the server; returns when it listens."""
        return self.run(self._serve(config, listener))

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine in the loop and return its result. For other threads only."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def stop(self) -> None:
        """End the loop; servers must have been stopped."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    async def _serve(self, config: uvicorn.Config, listener: socket.socket) -> RunningServer:
        server = _Server(config)
        task = self._loop.create_task(server.serve(sockets=[listener]))
        listening = self._loop.create_task(server.listening.wait())
        await asyncio.wait((task, listening), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            listening.cancel()
            task.result()
        return RunningServer(server, task, self)


async def _finished(task: "asyncio.Task[None]") -> None:
    await task
