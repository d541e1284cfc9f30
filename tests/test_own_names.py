"""By what names a server is asked for, and which pages are its own."""

import pytest

from collector.control.guard import Caller, Forbidden, Guard
from collector.own_names import OwnNames


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "localhost:16686", "LOCALHOST", "localhost.", "shop.localhost:8080"),
        *("127.0.0.1:16686", "[::1]:16686", "192.168.1.7", "host.docker.internal:16686", "host.containers.internal"),
        *("cpdd.example", "cpdd.example:8443", "CPDD.example.", ""),
    ],
)
def test_a_server_on_loopback_is_known_by_what_no_stranger_can_point_to_it(host: str):
    assert OwnNames("127.0.0.1", "https://cpdd.example/").has(host)


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:16686", "localhost.evil.example", "127.0.0.1.evil.example", "evillocalhost"),
        *("cpdd.example.evil.example", "[::1", ":80", "user@evil.example", "localhost@evil.example", " "),
    ],
)
@pytest.mark.parametrize("public_url", ["", "https://cpdd.example"])
def test_and_by_no_other_name(host: str, public_url: str):
    for bound_to in ("127.0.0.1", "::1", "localhost"):
        assert not OwnNames(bound_to, public_url).has(host)
    assert OwnNames("0.0.0.0", public_url).has(host), "others reach it, by whatever name"


@pytest.mark.parametrize(
    ("origin", "host", "is_ours"),
    [
        ("", "127.0.0.1:16686", True),
        ("http://127.0.0.1:16686", "127.0.0.1:16686", True),
        ("https://cpdd.example", "127.0.0.1:16686", True),
        ("http://cpdd.example", "127.0.0.1:16686", False),
        ("https://cpdd.example.evil.example", "127.0.0.1:16686", False),
        ("null", "127.0.0.1:16686", False),
    ],
)
def test_a_page_at_the_public_address_is_ours_whatever_host_a_proxy_asks_for(origin: str, host: str, is_ours: bool):
    guard = Guard("127.0.0.1", public_url="https://cpdd.example/")
    caller = Caller(host, origin, "", "", "127.0.0.1")

    if is_ours:
        guard.check(caller)
    else:
        with pytest.raises(Forbidden):
            guard.check(caller)


def test_without_a_public_address_no_origin_but_the_hosts_is_ours():
    assert not OwnNames("127.0.0.1").is_origin("://", "127.0.0.1")
    assert not OwnNames("127.0.0.1").is_origin("https://cpdd.example", "127.0.0.1")
