"""Critical-path distributed tracing for Python services, on OpenTelemetry.

import cpdd
cpdd.init(service="checkout")

Names are imported when they are first used: `cpdd path` of a file need not pay for an SDK it does not run.
"""

import importlib
from typing import TYPE_CHECKING

from cpdd.errors import CpddError

if TYPE_CHECKING:
    from cpdd.deadlines import DeadlineExceeded
    from cpdd.details import detail
    from cpdd.journeys import journey
    from cpdd.marks import mandatory, optional
    from cpdd.startup import Handle, init

__all__ = ["CpddError", "DeadlineExceeded", "Handle", "detail", "init", "journey", "mandatory", "optional"]

_MODULES = {
    "DeadlineExceeded": "cpdd.deadlines",
    "Handle": "cpdd.startup",
    "detail": "cpdd.details",
    "init": "cpdd.startup",
    "journey": "cpdd.journeys",
    "mandatory": "cpdd.marks",
    "optional": "cpdd.marks",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(_MODULES[name]), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
