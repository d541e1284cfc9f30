"""Certificate and key of the ports that others reach: read once, at the start."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from cpdd.errors import CpddError
from cpdd.settings import Settings


class TlsUnusable(CpddError):
    """The files of the certificate cannot be used."""

    def __init__(self, problem: str, place: str) -> None:
        self.problem = problem
        self.place = place
        super().__init__(
            f"cannot serve TLS: {problem}\n  at {place}\n"
            "hint: --tls-cert names a PEM file with the certificate and those above it, --tls-key one with its key"
        )


@dataclass(frozen=True, slots=True)
class Tls:
    """Files that were tried."""

    certificate: Path
    key: Path


def load_tls(settings: Settings) -> Tls | None:
    """Return the files that the settings name, None where they name none. Raises TlsUnusable."""
    if not settings.tls_cert and not settings.tls_key:
        return None
    for name, value in (("tls_cert", settings.tls_cert), ("tls_key", settings.tls_key)):
        if not value:
            raise TlsUnusable(f"{name} is not set, the other one is", f"setting {name}")
    tls = Tls(Path(settings.tls_cert).expanduser(), Path(settings.tls_key).expanduser())
    for path in (tls.certificate, tls.key):
        try:
            path.read_bytes()
        except OSError as error:
            raise TlsUnusable(error.strerror or str(error), str(path)) from error
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(tls.certificate, tls.key)
    except ssl.SSLError as error:
        problem = f"certificate and key are no pair of PEM files: {error.reason or error}"
        raise TlsUnusable(problem, f"{tls.certificate}, {tls.key}") from error
    return tls
