"""Turns on the contrib instrumentations that are installed, each when the library it is for is imported.

Waiting for the import keeps `cpdd.init` fast (FastAPI's instrumentation alone would import FastAPI, 0.3 s, into
programs that never use it) and lets `from flask import Flask` after `init` find the instrumented class.
"""

import importlib
import re
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial, wraps
from importlib.metadata import EntryPoint, PackageNotFoundError, distribution, entry_points
from typing import Any

from cpdd.details import write_command
from cpdd.failures import log, tell

_MODULES_OF = {
    "confluent-kafka": "confluent_kafka",
    "grpcio": "grpc",
    "kafka-python": "kafka",
    "mysql-connector-python": "mysql.connector",
    "mysqlclient": "MySQLdb",
    "psycopg2-binary": "psycopg2",
}
"""What to import of a distribution, where that is not its name."""

_STANDARD_LIBRARY = {"sqlite3": "sqlite3", "urllib": "urllib.request"}
"""Instrumentations of the standard library name no distribution; those that are not here apply at once."""

_OPTIONS: dict[str, dict[str, Any]] = {
    # log records get their trace ids; a handler of OpenTelemetry's on the root logger is more than was asked for
    "logging": {"inject_trace_context": True, "enable_log_auto_instrumentation": False},
    "redis": {"request_hook": write_command},
}

_DRIVERS = ("mysql", "mysqlclient", "psycopg", "psycopg2", "pymssql", "pymysql", "sqlite3")
_MENDS = {"aiohttp-server": "aiohttp_server", "celery": "celery"} | dict.fromkeys(_DRIVERS, "dbapi")
"""Modules of `cpdd.mends` by the instrumentation that they add to."""


class Instrumentations:
    """What was found and what became of it: `applied`, `waiting` for an import, `skipped` with the reason."""

    def __init__(self) -> None:
        self.applied: list[str] = []
        self.waiting: set[str] = set()
        self.skipped: dict[str, str] = {}
        self._claimed: set[str] = set()
        self._lock = threading.Lock()

    def turn_on(self, found: Iterable[EntryPoint], disabled: frozenset[str]) -> None:
        """Apply each instrumentation now, or when its library is imported. Raises nothing."""
        for entry_point in found:
            if entry_point.name in disabled or "*" in disabled:
                self.skipped[entry_point.name] = "named in OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
                continue
            try:
                self._arrange(entry_point)
            except Exception as error:
                self._skip(entry_point, error)

    def _arrange(self, entry_point: EntryPoint) -> None:
        modules = modules_for(entry_point)
        if not modules:
            self.skipped[entry_point.name] = "its library is not installed"
        elif "" in modules:
            self._apply(entry_point)
        else:
            self.waiting.add(entry_point.name)
            for module in modules:
                _when_usable(module, lambda _module: self._apply(entry_point))

    def _apply(self, entry_point: EntryPoint) -> None:
        # not held while loading, which takes import locks that another thread may hold on its way to here
        with self._lock:
            if entry_point.name in self._claimed:
                return
            self._claimed.add(entry_point.name)
            self.waiting.discard(entry_point.name)
        try:
            instrumentor = entry_point.load()()
            if not instrumentor.is_instrumented_by_opentelemetry:
                instrumentor.instrument(raise_exception_on_conflict=True, **_OPTIONS.get(entry_point.name, {}))
                _mend(entry_point.name)
        except Exception as error:
            self._skip(entry_point, error)
        else:
            self.applied.append(entry_point.name)

    def _skip(self, entry_point: EntryPoint, error: Exception) -> None:
        self.skipped[entry_point.name] = str(error)
        conflict = getattr(error, "conflict", None)
        if conflict is None:
            tell(f"instrumentation {entry_point.name}", error)
        elif conflict.found or conflict.found_any:
            log.warning("instrumentation %s is not for this version of its library: %s", entry_point.name, error)


def _mend(name: str) -> None:
    """Add what an instrumentation leaves out."""
    if name in _MENDS:
        importlib.import_module(f"cpdd.mends.{_MENDS[name]}").mend()


def installed() -> list[EntryPoint]:
    """Return the instrumentations that are installed, in the order of their names."""
    return sorted(entry_points(group="opentelemetry_instrumentor"), key=lambda entry_point: entry_point.name)


def disabled_in(environ: Mapping[str, str]) -> frozenset[str]:
    """Return the names in OTEL_PYTHON_DISABLED_INSTRUMENTATIONS."""
    names = environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "").split(",")
    return frozenset(name.strip() for name in names if name.strip())


def modules_for(entry_point: EntryPoint) -> list[str]:
    """Return the modules whose import an instrumentation waits for: none where its library is absent, "" for now."""
    if entry_point.name in _STANDARD_LIBRARY:
        return [_STANDARD_LIBRARY[entry_point.name]]
    libraries = _libraries(entry_point)
    if not libraries:
        return [""]
    return [_MODULES_OF.get(library, library.replace("-", "_")) for library in libraries if _is_installed(library)]


def _libraries(entry_point: EntryPoint) -> list[str]:
    """The distributions that an instrumentation is for, as its extras `instruments` and `instruments-any` say."""
    requirements = entry_point.dist.requires or [] if entry_point.dist else []
    names = [re.match(r"[\w.-]+", line) for line in requirements if re.search(r"extra == .instruments", line)]
    return [name[0].lower() for name in names if name]


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def _when_usable(module: str, action: Callable[[Any], None]) -> None:
    """Call `action` right after `module` is imported, at once where it is already.

    By wrapt, which comes with every contrib instrumentation and is not ours to require.
    """
    hook = partial(_after_setup, action=action) if module == "django" else action
    importlib.import_module("wrapt").register_post_import_hook(hook, module)


def _after_setup(django: Any, action: Callable[[Any], None]) -> None:
    """Call `action` when Django's settings are known, which its instrumentation edits: asked earlier, it makes its own.

    A program imports Django first and says later where its settings are.
    """
    apps = getattr(sys.modules.get("django.apps"), "apps", None)
    if apps is not None and apps.ready:
        action(django)
        return
    setup = django.setup

    @wraps(setup)
    def set_up(*args: Any, **kwargs: Any) -> None:
        setup(*args, **kwargs)
        if django.setup is set_up:
            django.setup = setup
        action(django)

    django.setup = set_up
