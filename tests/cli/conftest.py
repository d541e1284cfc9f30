"""A running cpdd with the traces of the shop."""

from collections.abc import Iterator

import pytest

from tests.cli.pages import pages_at_a_port
from tests.ui.conftest import client_of
from tests.ui.memory import MemoryReader
from tests.ui.shop import shop_traces


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of its pages and query API."""
    with pages_at_a_port(client_of(MemoryReader(shop_traces())).application) as address:
        yield address
