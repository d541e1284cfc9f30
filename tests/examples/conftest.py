"""One shop for all tests of this folder, exporting to a sink. Tests that switch a fault switch it off again.

Only parts of the shop that start no instrumentation are imported here: services are run, as anybody would.
"""

import http.client
import itertools
import os
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from examples.shop.faults import switch
from examples.shop.load import visit
from examples.shop.run import Shop
from tests.examples.sink import Sink, Span

NO_FAULT: dict[str, object] = {"slow_ms": 0, "fail": 0, "down": 0}
Fault = Callable[..., AbstractContextManager[None]]

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Visitor:
    """Makes journeys, one at a time, and finds their traces."""

    shop: Shop
    sink: Sink

    def make(self, journey: str) -> tuple[int, str]:
        """Make a journey as somebody new; returns the status of its last answer, and who it was."""
        user = f"test-{next(_numbers)}"
        statuses = [self.request(*what) for what in visit(journey, user, random.Random(1)).requests]
        return statuses[-1], user

    def make_until_well(self, journey: str, tries: int = 50) -> str:
        """Return who succeeded first: a service that was down is found again by its callers in their own time."""
        for _ in range(tries):
            status, user = self.make(journey)
            if status < 400:
                return user
        raise AssertionError(f"{journey} failed {tries} times")

    def request(self, method: str, path: str) -> int:
        """Return the status that the shop answers with."""
        connection = http.client.HTTPConnection("127.0.0.1", self.shop.ports["shop"].port, timeout=60)
        try:
            connection.request(method, path)
            return connection.getresponse().status
        finally:
            connection.close()

    def trace(self, user: str, journey: str, enough: Callable[[Span], object] = lambda root: True) -> Span:
        """Return the root of the trace of a journey, when it has come and `enough(root)` is true."""
        found: list[Span] = []

        def has_come() -> bool:
            found[:] = [
                root
                for root in self.sink.roots()
                if root.attributes.get("cpdd.journey") == journey
                and f"user={user}&" in f"{root.attributes['url.query']}&"
            ]
            return len(found) == 1 and bool(enough(found[0]))

        try:
            self.sink.wait_for(has_come)
        except TimeoutError as late:
            raise AssertionError("\n".join(draw(root) for root in found) or f"no trace of {user}") from late
        return found[0]


def draw(span: Span, depth: int = 0) -> str:
    """A trace as text, one line a span: service, kind, name, what is declared, what callees were told."""
    said = [span.attributes.get(f"cpdd.call.{key}") for key in ("requirement", "outcome")]
    words = [str(word) for word in said if word] + ([span.trace_state] if span.kind == "SERVER" else [])
    note = f" [{', '.join(word for word in words if word)}]" if any(words) else ""
    failed = " failed" if span.failed else ""
    line = f"{'  ' * depth}{span.service} {span.kind} {span.name}{note}{failed}"
    # what ASGI sends and receives is a span each: no part of the story
    told = [child for child in span.children if not child.name.endswith((" http send", " http receive"))]
    return "\n".join([line, *(draw(child, depth + 1) for child in told)])


@pytest.fixture(scope="session")
def sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


@pytest.fixture(scope="session")
def shop(sink: Sink, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder: Path = tmp_path_factory.mktemp("shop")
    before = os.environ.get("SHOP_STATE")
    os.environ["SHOP_STATE"] = str(folder / "state.json")
    try:
        # on a busy machine an ordinary answer takes longer than the front page's usual patience
        patient = {"OTEL_BSP_SCHEDULE_DELAY": "100", "SHOP_DEADLINE_S": "1.5"}
        with Shop(sink.endpoint, folder, patient) as shop:
            switch(shop.ports["bank"].control, NO_FAULT)
            yield shop
    finally:
        os.environ.pop("SHOP_STATE")
        if before is not None:
            os.environ["SHOP_STATE"] = before


@pytest.fixture
def visitor(shop: Shop, sink: Sink) -> Visitor:
    return Visitor(shop, sink)


@pytest.fixture
def fault(shop: Shop) -> Fault:
    """`with fault("bank", fail=1):` switches it on, and everything off afterwards."""

    @contextmanager
    def switched(service: str, **said: object) -> Iterator[None]:
        control = shop.ports[service].control
        switch(control, said)
        try:
            yield
        finally:
            switch(control, NO_FAULT)

    return switched
