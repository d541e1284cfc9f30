"""A secret of this collector's own, made once: without it a hash of an attribute cannot be found by trying."""

import os
import secrets
from pathlib import Path

FILE = "redact-key"


def own_secret(folder: Path) -> bytes:
    """Return the secret in `folder`, which is made where there is none, for its owner to read alone."""
    path = folder / FILE
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    made = secrets.token_hex(32).encode()
    with os.fdopen(descriptor, "wb") as file:
        file.write(made)
        file.flush()
        os.fsync(descriptor)
    return made
