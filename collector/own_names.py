"""By what names a server is asked for. Pure: headers of a request to whether they are of ours.

A port on loopback can be reached by a web page of any site whose DNS says 127.0.0.1 for its own name: to the browser
the answer is of that site, and its script reads it. Such a request has the site's name as Host.
"""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

OF_THIS_MACHINE = ("localhost", "host.docker.internal", "host.containers.internal")
"""Names that no public DNS has: this machine as it calls itself, and as its containers call it."""


@dataclass(frozen=True, slots=True)
class OwnNames:
    """What a server on one address is called.

    >>> OwnNames("127.0.0.1", "https://cpdd.example").has("cpdd.example"), OwnNames("127.0.0.1").has("evil.example")
    (True, False)
    """

    bound_to: str = ""
    """Empty: an address that others reach, as any that is not loopback."""
    public_url: str = ""
    """Where people open the pages; empty: nobody said."""

    def has(self, host: str) -> bool:
        """Return whether a request with this Host header may be of somebody who asked for this server.

        Beside loopback every name may be; there, addresses are, and names that a stranger cannot point here. Browsers
        always say a Host.
        """
        name = _host_name(host).rstrip(".")
        ours = (*OF_THIS_MACHINE, *filter(None, [_host_name(self._public)]))
        is_ours = name in ours or name.endswith(".localhost") or _is_address(name)
        return not is_loopback(self.bound_to) or not host or is_ours

    def is_origin(self, origin: str, host: str) -> bool:
        """Return whether an Origin header is of a page of ours, "" included, which programs and old browsers send.

        A proxy may give requests another Host than people type; then the public address tells.
        """
        is_public = bool(self.public_url) and origin == f"{urlsplit(self.public_url).scheme}://{self._public}"
        return not origin or origin.partition("://")[2] == host or is_public

    @property
    def _public(self) -> str:
        return urlsplit(self.public_url).netloc.rpartition("@")[2].lower()


def is_loopback(host: str) -> bool:
    """Return whether an address is this machine's own.

    >>> is_loopback("127.0.0.1"), is_loopback("::ffff:127.0.0.1"), is_loopback("10.0.0.1")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
