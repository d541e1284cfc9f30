"""Visitors: journeys at a bounded rate, the same ones for the same seed. `python -m examples.shop.load --rate 20`."""

import collections
import http.client
import json
import queue
import random
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

import click

from . import directory
from .goods import PRODUCTS
from .service import end_with_parent

WORKERS = 32
"""Visitors at a time; who finds all busy goes elsewhere and is counted, so that a slow shop is not buried."""
TIMEOUT_S = 10.0
USERS = 200
_SHARES = {"browse": 0.40, "search": 0.25, "add to cart": 0.10, "view cart": 0.12, "check out": 0.13}


@dataclass(frozen=True, slots=True)
class Visit:
    """What one visitor does: requests one after the other, for the sake of the last."""

    journey: str
    requests: tuple[tuple[str, str], ...]


def visit(journey: str, user: str, dice: random.Random) -> Visit:
    """Return a visit of that kind; raises KeyError for a journey that the shop does not have."""
    product = dice.choice(PRODUCTS)
    put_in_cart = ("POST", f"/cart?user={user}&sku={product.sku}")
    requests = {
        "browse": (("GET", f"/?user={user}"),),
        "search": (("GET", f"/search?user={user}&q={quote(product.name.split()[1])}"),),
        "add to cart": (put_in_cart,),
        "view cart": (("GET", f"/cart?user={user}"),),
        "check out": (put_in_cart, ("POST", f"/checkout?user={user}")),
    }
    return Visit(journey, requests[journey])


def visits(dice: random.Random, rate: float) -> Iterator[tuple[float, Visit]]:
    """Yield visits and how long after the one before they come, in seconds: independent visitors, `rate` a second.

    Who checks out has a cart of their own; the others share those of a few hundred users.
    """
    number = 0
    while True:
        number += 1
        (journey,) = dice.choices(list(_SHARES), list(_SHARES.values()))
        user = f"buyer-{number}" if journey == "check out" else f"user-{dice.randrange(USERS)}"
        yield dice.expovariate(rate), visit(journey, user, dice)


def request(host: str, method: str, path: str) -> int:
    """Return the status of the answer. Raises OSError or HTTPException where there is none."""
    connection = http.client.HTTPConnection(host, timeout=TIMEOUT_S)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


class Visitors:
    """Makes visits in threads, and counts how they ended."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._visits: queue.Queue[Visit] = queue.Queue(WORKERS)
        self._lock = threading.Lock()
        self._ended: collections.Counter[tuple[str, bool]] = collections.Counter()
        self.turned_away = 0
        for _ in range(WORKERS):
            threading.Thread(target=self._work, daemon=True).start()

    def send(self, visit: Visit) -> None:
        """Make a visit as soon as a visitor is free; count it as turned away where too many wait."""
        try:
            self._visits.put_nowait(visit)
        except queue.Full:
            self.turned_away += 1

    def counts(self) -> dict[str, dict[str, int]]:
        """Return how many visits of each journey went well and how many failed."""
        with self._lock:
            return {name: {"well": self._ended[name, True], "failed": self._ended[name, False]} for name in _SHARES}

    def _work(self) -> None:
        while True:
            visit = self._visits.get()
            went_well = self._make(visit)
            with self._lock:
                self._ended[visit.journey, went_well] += 1

    def _make(self, visit: Visit) -> bool:
        try:
            return all(request(self._host, *what) < 400 for what in visit.requests)
        except (OSError, http.client.HTTPException):
            return False


@click.command()
@click.option("--rate", type=click.FloatRange(min=0, min_open=True, max=500), default=20.0, show_default=True)
@click.option("--duration", "duration_s", type=click.FloatRange(min=0), help="Seconds; until it is ended without it.")
@click.option("--seed", default=1, show_default=True, help="The same seed makes the same visits.")
@click.option("--host", default=lambda: directory.address("shop"), help="HOST:PORT of the shop.")
def command(rate: float, duration_s: float | None, seed: int, host: str) -> None:
    """Visit the shop, RATE journeys a second; print what became of them at the end."""
    ending = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ending.set())
    end_with_parent(ending.set)
    visitors = Visitors(host)
    keep_visiting(visitors, random.Random(seed), rate, duration_s, ending)
    print(json.dumps({"journeys": visitors.counts(), "turned_away": visitors.turned_away}), flush=True)


def keep_visiting(
    visitors: Visitors, dice: random.Random, rate: float, duration_s: float | None, ending: threading.Event
) -> None:
    """Send visitors until told to end. Time that was lost is not made up for, so there is never a burst."""
    started_s = next_s = time.monotonic()
    for pause_s, visit in visits(dice, rate):
        next_s = max(next_s + pause_s, time.monotonic() - 1.0)
        if duration_s is not None and next_s > started_s + duration_s:
            return
        if ending.wait(max(0.0, next_s - time.monotonic())):
            return
        visitors.send(visit)


if __name__ == "__main__":
    command()
