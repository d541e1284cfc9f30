"""Ports for programs that cannot be told to take any and to say which."""

import random
import socket

BELOW_OUTGOING = range(20_000, 32_000)
"""Linux gives none of these to an outgoing connection, so that one that is free now still is when a program is up."""


def free_port() -> int:
    """Return a port that nobody listens on; which one is chance, so that tests side by side find different ones."""
    for port in random.SystemRandom().sample(BELOW_OUTGOING, 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError("a hundred ports are taken")
