"""Catalog: what is sold. Asynchronous; a search asks pricing and stock at the same time."""

import asyncio
import socket
import threading
from dataclasses import asdict

import fastapi
import httpx
import uvicorn

import cpdd

from . import directory
from .goods import BESTSELLERS, BY_SKU, PRODUCTS
from .service import Switches, run

cpdd.init(service="catalog")
switches = Switches()
TIMEOUT_S = 2.0
_clients: list[httpx.AsyncClient] = []


async def strike() -> None:
    """Let the faults of this process strike, inside the SERVER span, without holding up the other requests."""
    delay_s, fails = switches.plan()
    await asyncio.sleep(delay_s + 0.005)
    if fails:
        raise fastapi.HTTPException(503, "switched on with faults")


app = fastapi.FastAPI(dependencies=[fastapi.Depends(strike)])


@app.get("/products")
async def products() -> list[dict[str, object]]:
    return [asdict(product) for product in PRODUCTS]


@app.get("/products/{sku}")
async def product(sku: str) -> dict[str, object]:
    if sku not in BY_SKU:
        raise fastapi.HTTPException(404, f"no product {sku!r}")
    return asdict(BY_SKU[sku])


@app.get("/bestsellers")
async def bestsellers() -> list[dict[str, object]]:
    return [asdict(product) for product in BESTSELLERS]


@app.get("/search")
async def search(q: str) -> list[dict[str, object]]:
    found = [product for product in PRODUCTS if q in product.name][:5]
    skus = ",".join(product.sku for product in found)
    current_prices, available = await asyncio.gather(prices(skus), availability(skus))
    return [
        {"sku": product.sku, "price_cents": current_prices[product.sku], "available": available.get(product.sku)}
        for product in found
    ]


async def prices(skus: str) -> dict[str, int]:
    answer = await client().get(f"{directory.url('pricing')}/prices", params={"skus": skus})
    return dict(answer.raise_for_status().json())


async def availability(skus: str) -> dict[str, bool]:
    """Nice to have: a search without it shows "maybe"."""
    try:
        answer = await client().get(f"{directory.url('stock')}/availability", params={"skus": skus})
        return dict(answer.raise_for_status().json())
    except httpx.HTTPError:
        return {}


def client() -> httpx.AsyncClient:
    """The one client of the event loop."""
    if not _clients:
        _clients.append(httpx.AsyncClient(timeout=TIMEOUT_S))
    return _clients[0]


class Server(uvicorn.Server):
    """A server that tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


class AsyncListener:
    """Serves the application on an event loop in a thread of its own."""

    def __init__(self) -> None:
        self._server: Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        _clients.clear()  # a client belongs to the loop it was made in
        port = directory.ports()["catalog"].port
        # one request a connection, as the other services do it: none is lost to a server that just closed an idle one
        close = [("connection", "close")]
        self._server = Server(uvicorn.Config(app, directory.HOST, port, log_config=None, headers=close))
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        self._server.listening.wait(10.0)

    def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()


if __name__ == "__main__":
    run("catalog", switches, AsyncListener())
