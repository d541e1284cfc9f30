"""`cpdd serve`: collector, analyzer and UI in one process, until it is told to stop."""

import gc
import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import click

import cpdd
from cpdd.cli._settings import read_settings, setting_flags
from cpdd.cli._shadowed import OURS, check_needed, check_ours
from cpdd.settings import Settings

if sys.platform != "win32":
    import resource

if TYPE_CHECKING:
    from flask import Flask

    from collector.core.catalog import Catalog
    from collector.core.journeys import JourneyBook
    from collector.own_names import OwnNames
    from collector.serve import Collector
    from collector.store.reader import Reader

SIGNAL_SEEN_AFTER_S = 1.0
MAX_FILES = 65_536

_FLAGS = (
    "host",
    "otlp_http_port",
    "otlp_grpc_port",
    "zipkin_port",
    "sampling_http_port",
    "sampling_grpc_port",
    "sampling_grpc_legacy_port",
    "ui_port",
    "health_port",
    "metrics_port",
    "data",
    "store",
    "follow",
    "follow_overlap_s",
    "retention_days",
    "interesting_days",
    "minutes_days",
    "max_disk_bytes",
    "arrivals_ttl_hours",
    "max_body_bytes",
    "max_inflight_bytes",
    "log_level",
    "log_format",
    "redact",
    "tls_cert",
    "tls_key",
    "trusted_user_header",
    "trusted_proxies",
    "commit_linger_ms",
    "commit_rows",
    "trace_quiet_s",
    "trace_no_root_s",
    "trace_settle_s",
    "trace_max_age_s",
    "reopen_max_s",
    "overflow",
    "max_skew_ns",
    "sampling_default",
    "sampling_max_boost_s",
    "sampling_auto_traces_per_s",
    "catalog",
    "source_link",
    "logs_link",
    "judge_interval_s",
    "webhook_url",
    "webhook_format",
    "public_url",
)


class Terminated(BaseException):
    """SIGTERM, as an exception: it ends a start as well as a wait."""


@click.command()
@setting_flags(*_FLAGS)
@click.option("--json", "as_json", is_flag=True, help="When ready, one line on stdout: addresses and pid.")
def command(config: str | None, as_json: bool, **flags: object) -> None:
    """Collect spans, find their critical paths, show them.

    Takes OTLP over HTTP and gRPC and Zipkin v2; stores in the data folder, or in ClickHouse with --store.
    SIGTERM or Ctrl-C finish what was accepted; a second one leaves at once.

    \b
      cpdd serve
      cpdd serve --ui-port 8080 --data ./traces
      cpdd serve --json --otlp-http-port 0 --zipkin-port off
    """
    for name in OURS:
        check_ours(name)
    check_needed("collector")
    settings, _ = read_settings(config, **flags)
    _place_kernels(settings.data_dir)
    from cpdd.cli._book import load_book  # noqa: PLC0415 - the collector's packages may be missing

    run(settings, as_json, load_book(config))


def run(settings: Settings, as_json: bool, book: "JourneyBook") -> None:
    """Serve until a signal; SIGINT ends it as SIGTERM does."""
    from cpdd.cli._catalog import load_catalog  # noqa: PLC0415 - as below

    catalog = load_catalog(settings.catalog)
    from collector.logs import configure  # noqa: PLC0415 - as below

    configure(settings.log_level, settings.log_format == "json")
    from collector.serve import Collector  # noqa: PLC0415 - engine and compiler; `cpdd --help` loads neither

    signal.signal(signal.SIGTERM, _raise_terminated)
    _allow_many_connections()

    def make_web(reader: "Reader") -> "Flask":
        return _pages(serving, reader, settings, catalog, book)

    serving = Collector(settings, make_web=make_web, book=book, catalog=catalog, tell=_say)
    try:
        serving.start()
        _spare_garbage_collector()
        click.echo(_as_json(serving) if as_json else _as_text(serving), err=not as_json)
        sys.stdout.flush()
        _wait_for_signal()
    except (Terminated, KeyboardInterrupt):
        _say("stopping: finishing what was accepted")
    finally:
        _leave_on_next_signal()
        serving.stop()


def _pages(
    serving: "Collector", reader: "Reader", settings: Settings, catalog: "Catalog", book: "JourneyBook"
) -> "Flask":
    """The web application; what it tells newcomers to send to is what listens."""
    from ui.app import create_app  # noqa: PLC0415 - as above
    from ui.views.page import UiSettings  # noqa: PLC0415

    addresses = serving.addresses
    seen = UiSettings(
        addresses.get("otlp_http", ""),
        addresses.get("otlp_grpc", ""),
        version("cpdd"),
        addresses.get("sampling_http", ""),
        source_link=settings.source_link,
        logs_link=settings.logs_link,
        catalog=catalog,
        book=book,
        public_url=settings.public_url,
        names=_names_of_pages(settings),
    )
    control = serving.control
    return create_app(
        reader,
        seen,
        read_sampling=control.state,
        boosts=control,
        read_system=serving.system,
        pins=reader.pins,
        read_trouble=serving.trouble,
        forms=control.forms,
    )


def _names_of_pages(settings: Settings) -> "OwnNames":
    """Where tokens alone let in, a page of another site has none, and any name will do."""
    from collector.own_names import OwnNames  # noqa: PLC0415 - as above

    only_tokens = settings.read_tokens and not settings.trusted_user_header
    return OwnNames() if only_tokens else OwnNames(settings.host, settings.public_url)


def _as_json(serving: "Collector") -> str:
    return json.dumps({**serving.addresses, "pid": os.getpid()})


def _as_text(serving: "Collector") -> str:
    """What listens where, where the data lies, and what to do next."""
    rows = [*serving.listening(), ("store", serving.store_shown)]
    width = max(len(what) for what, _ in rows)
    lines = [
        f"cpdd {version('cpdd')} is ready (pid {os.getpid()})",
        *(f"  {what:{width}}  {where}" for what, where in rows),
    ]
    if otlp := serving.addresses.get("otlp_http"):
        lines += [
            "next, in another terminal:",
            f"  cpdd send traces.json --endpoint {otlp}/v1/traces",
            f"  OTEL_EXPORTER_OTLP_ENDPOINT={otlp} OTEL_SERVICE_NAME=shop python your_service.py",
        ]
    return "\n".join(lines)


def _allow_many_connections() -> None:
    """Raise the limit of open files, often 1,024, as far as we may: thousands of senders each hold a connection."""
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _spare_garbage_collector() -> None:
    """Let the collector skip what lives as long as the process: going through the compiler's objects takes 60 ms."""
    gc.collect()
    gc.freeze()


def _say(text: str) -> None:
    click.echo(f"cpdd: {text}", err=True)


def _wait_for_signal() -> NoReturn:
    """Wait until a signal raises its exception, awake often enough to see one that another thread heard.

    The system gives a signal to any thread, when a profiler holds this one for example; only this one acts on it, and a
    wait without end sleeps through it.
    """
    while True:
        time.sleep(SIGNAL_SEEN_AFTER_S)


def _raise_terminated(number: int, frame: FrameType | None) -> NoReturn:
    raise Terminated


def _leave_on_next_signal() -> None:
    """Whoever asks twice does not want to wait. What was acknowledged is durable already."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: os._exit(1))


def _place_kernels(data_dir: Path) -> None:
    """Keep compiled kernels in the data folder where the installation is read-only."""
    source = Path(cpdd.__file__).parent.parent / "collector" / "core" / "kernels"
    os.environ.update(kernel_cache(os.environ, os.access(source, os.W_OK), data_dir))


def kernel_cache(environ: Mapping[str, str], is_writable: bool, data_dir: Path) -> dict[str, str]:
    """Return the variable that says where Numba keeps what it compiled; none where its own choice will do."""
    if is_writable or environ.get("NUMBA_CACHE_DIR"):
        return {}
    return {"NUMBA_CACHE_DIR": str(data_dir.absolute() / "kernels")}
