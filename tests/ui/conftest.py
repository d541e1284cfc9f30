"""Fixtures of the pages' tests: the shop in memory, and a client for its pages."""

import pytest
from flask.testing import FlaskClient

from tests.ui.memory import MemoryReader
from tests.ui.shop import NOW_NS, shop_traces
from ui.app import create_app
from ui.views.page import UiSettings

SETTINGS = UiSettings(otlp_http="http://127.0.0.1:4318", otlp_grpc="127.0.0.1:4317", version="0.1.0")


def client_of(reader: MemoryReader, now_ns: int = NOW_NS) -> FlaskClient:
    app = create_app(reader, SETTINGS, clock=lambda: now_ns)
    app.testing = False
    return app.test_client()


@pytest.fixture(scope="session")
def shop() -> MemoryReader:
    return MemoryReader(shop_traces())


@pytest.fixture(scope="session")
def client(shop: MemoryReader) -> FlaskClient:
    return client_of(shop)


@pytest.fixture(scope="session")
def empty() -> FlaskClient:
    return client_of(MemoryReader())
