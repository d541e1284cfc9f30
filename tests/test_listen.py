"""Ports that cannot be had stop the start, and say which flag would help."""

import errno
import socket

import pytest

from collector.listen import Endpoint, PortUnavailable, address, bind, port_of

OTLP_HTTP = Endpoint("otlp_http", "OTLP/HTTP")


def test_port_0_is_any_free_port():
    with bind(OTLP_HTTP, "127.0.0.1", 0) as first, bind(OTLP_HTTP, "127.0.0.1", 0) as second:
        assert port_of(first) != port_of(second)


def test_a_taken_port_is_named_with_its_flag():
    with bind(OTLP_HTTP, "127.0.0.1", 0) as taken, pytest.raises(PortUnavailable) as refusal:
        bind(OTLP_HTTP, "127.0.0.1", port_of(taken))

    message = str(refusal.value)
    assert refusal.value.is_taken
    assert f"cannot listen on 127.0.0.1:{refusal.value.port} for OTLP/HTTP: address already in use" in message
    assert "--otlp-http-port" in message


def test_a_port_whose_last_connection_is_closing_may_be_had_again():
    with bind(OTLP_HTTP, "127.0.0.1", 0) as listener:
        port = port_of(listener)
        client = socket.create_connection(("127.0.0.1", port))
        listener.setblocking(True)
        served, _ = listener.accept()
        served.close()
        client.close()

    with bind(OTLP_HTTP, "127.0.0.1", port) as again:
        assert port_of(again) == port


@pytest.mark.parametrize("host", ["no-such-host.invalid", "203.0.113.7"])
def test_an_address_that_is_not_ours_is_named(host: str):
    with pytest.raises(PortUnavailable, match=host) as refusal:
        bind(OTLP_HTTP, host, 0)

    assert not refusal.value.is_taken
    assert str(refusal.value).partition("hint: ")[2].startswith("give an address of this machine with --host")


def test_a_port_that_needs_a_right_is_said_to():
    refusal = PortUnavailable("OTLP/HTTP", "otlp_http_port", "127.0.0.1", 80, "permission denied", errno.EACCES)

    assert "hint: ports below 1024 need the right to them" in str(refusal)
    assert "--otlp-http-port" in str(refusal)


def test_ipv6_addresses_stand_in_brackets():
    assert address("::1", 4318) == "[::1]:4318"
    assert address("127.0.0.1", 4318) == "127.0.0.1:4318"
