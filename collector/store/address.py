"""Where a store is: its DSN, read. Pure."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from cpdd.errors import CpddError

DEFAULT_DATABASE = "cpdd"
EMBEDDED_FOLDER = "store"


class InvalidStoreAddress(CpddError):
    """The DSN names no store."""

    def __init__(self, dsn: str, reason: str) -> None:
        self.dsn = dsn
        self.reason = reason
        super().__init__(
            f"invalid store address: {dsn!r}: {reason}\n"
            "hint: chdb:// (inside this process), chdb:///path, clickhouse://user:password@host:8123/database "
            "(for a cluster with ?cluster=NAME), or clickhouses:// for TLS"
        )


@dataclass(frozen=True, slots=True)
class Address:
    """Where the store is."""

    database: str
    path: Path | None
    """The embedded engine's directory; None for a server."""
    server: str = ""
    """DSN of the server, without the database."""
    secure: bool = False
    cluster: str = ""
    """Name of the cluster over whose servers the tables are spread; "" for one server."""

    @property
    def shown(self) -> str:
        """The address without its password, for messages."""
        if self.path is not None:
            return str(self.path)
        parts = urlsplit(self.server)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname or 'localhost'}{port}/{self.database}"


def parse_address(dsn: str, data_dir: Path) -> Address:
    """Return the address that `dsn` means; `chdb://` alone is inside `data_dir`.

    Raises:
        InvalidStoreAddress: unknown scheme, a host where a path belongs, or a database or cluster without a name.
    """
    try:
        parts = urlsplit(dsn)
        _ = parts.port
    except ValueError as error:
        raise InvalidStoreAddress(dsn, str(error)) from None
    if parts.scheme == "chdb":
        if parts.netloc:
            raise InvalidStoreAddress(dsn, f"{parts.netloc!r} stands where a host would; a path begins with a third /")
        path = Path(parts.path) if parts.path.strip("/") else data_dir / EMBEDDED_FOLDER
        return Address(DEFAULT_DATABASE, path.absolute())
    if parts.scheme in ("clickhouse", "clickhouses"):
        database = parts.path.strip("/") or DEFAULT_DATABASE
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", database):
            raise InvalidStoreAddress(dsn, f"{database!r} is no name of a database (letters, digits, _)")
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        name = options.pop("cluster", None)
        if name is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", name):
            raise InvalidStoreAddress(dsn, f"{name!r} is no name of a cluster (letters, digits, _ . -)")
        server = urlunsplit(("clickhouse", parts.netloc, "", urlencode(options), ""))
        return Address(database, None, server, parts.scheme == "clickhouses", name or "")
    raise InvalidStoreAddress(dsn, f"unknown scheme {parts.scheme!r}" if parts.scheme else "it has no scheme")
