"""Settings: one record per option feeds the flag, the variable, `cpdd settings` and docs/reference/settings.md.

`load_settings` is pure: the caller reads the flags, the environment and the file. Light enough to live inside a
user's program: nothing beyond the standard library.
"""

import difflib
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

from cpdd.errors import CpddError
from cpdd.setting_values import (
    Parse,
    hide_password,
    hide_path,
    hide_tokens,
    hide_values,
    one_of,
    parse_bytes,
    parse_duration_ns,
    parse_header_name,
    parse_integer,
    parse_link_template,
    parse_logs_template,
    parse_networks,
    parse_port,
    parse_seconds,
    parse_share,
    parse_text,
    parse_web_address,
)

OTHER_TABLES = ("journey", "queue")
"""Tables of `cpdd.toml` that hold no settings; who needs them reads them (docs/reference/cpdd-toml.md)."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Fallback:
    """A variable of somebody else's that counts where ours is not set; `read` gives None where it says nothing."""

    variable: str
    read: Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Option:
    """What is known of a setting beside its name, type and default."""

    env: str
    help: str
    parse: Parse
    flag: str = ""
    """Where the flag is not the name with dashes."""
    fallbacks: tuple[Fallback, ...] = ()
    secret: Callable[[str], str] | None = None
    """Makes a value printable that may hold a password."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from: `flag`, `environment`, `file` or `default`, and its name there."""

    kind: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".rstrip()


class SettingsError(CpddError):
    """A setting that cannot be used: what it says, where it says so, and what would do."""

    def __init__(self, problem: str, place: str, hint: str = "") -> None:
        self.problem = problem
        self.place = place
        self.hint = hint
        super().__init__(f"{problem}\n  at {place}" + (f"\nhint: {hint}" if hint else ""))


def option(
    default: _T,
    *,
    env: str,
    help: str,
    parse: Parse | None = None,
    flag: str = "",
    fallbacks: tuple[Fallback, ...] = (),
    secret: Callable[[str], str] | None = None,
) -> _T:
    """Return the field of a setting; its value is parsed by the type of `default` unless `parse` is given."""
    record = Option(env, help, parse or _PARSERS[type(default)], flag, fallbacks, secret)
    return field(default=default, metadata={"option": record})


_PARSERS: dict[type, Parse] = {str: parse_text, int: parse_integer, float: parse_seconds}


def _traces_address(base: str) -> str | None:
    """The address that OTLP/HTTP derives from OTEL_EXPORTER_OTLP_ENDPOINT."""
    return f"{base.rstrip('/')}/v1/traces" if base else None


def _service_of(resource_attributes: str) -> str | None:
    """`service.name` in OTEL_RESOURCE_ATTRIBUTES, percent-decoded."""
    pairs = (pair.partition("=") for pair in resource_attributes.split(","))
    names = [unquote(value.strip()) for key, _, value in pairs if key.strip() == "service.name"]
    return names[-1] if names else None


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting of cpdd. Units are in the names; docs/reference/settings.md lists them."""

    host: str = option("127.0.0.1", env="CPDD_HOST", help="Address that every port binds to")
    otlp_grpc_port: int | None = option(
        4317, env="CPDD_OTLP_GRPC_PORT", help="Port of OTLP/gRPC; 0: any free port; off: none", parse=parse_port
    )
    otlp_http_port: int | None = option(
        4318, env="CPDD_OTLP_HTTP_PORT", help="Port of OTLP/HTTP; 0: any free port; off: none", parse=parse_port
    )
    zipkin_port: int | None = option(
        9411, env="CPDD_ZIPKIN_PORT", help="Port of Zipkin v2 JSON; 0: any free port; off: none", parse=parse_port
    )
    sampling_http_port: int | None = option(
        5778,
        env="CPDD_SAMPLING_HTTP_PORT",
        help="Port of sampling over HTTP; 0: any free port; off: none",
        parse=parse_port,
    )
    sampling_grpc_port: int | None = option(
        5779,
        env="CPDD_SAMPLING_GRPC_PORT",
        help="Port of sampling over gRPC; 0: any free port; off: none",
        parse=parse_port,
    )
    sampling_grpc_legacy_port: int | None = option(
        14250,
        env="CPDD_SAMPLING_GRPC_LEGACY_PORT",
        help="Second port of sampling over gRPC, where older Jaeger clients ask; 0: any free port; off: none",
        parse=parse_port,
    )
    ui_port: int | None = option(
        16686,
        env="CPDD_UI_PORT",
        help="Port of the pages and the query API; 0: any free port; off: none",
        parse=parse_port,
    )
    health_port: int | None = option(
        13133, env="CPDD_HEALTH_PORT", help="Port of the health answers; 0: any free port; off: none", parse=parse_port
    )
    metrics_port: int | None = option(
        8888, env="CPDD_METRICS_PORT", help="Port of Prometheus metrics; 0: any free port; off: none", parse=parse_port
    )

    catalog: str = option(
        "", env="CPDD_CATALOG", help="File of owners and dependencies of services (TOML); none when empty"
    )
    source_link: str = option(
        "",
        env="CPDD_SOURCE_LINK",
        help="Address of a line of code, for forges that are not known: {url}, {repository}, {revision}, {path}, "
        "{line}, {function} are filled in",
        parse=parse_link_template,
    )

    data: str = option(
        "~/.local/share/cpdd",
        env="CPDD_DATA",
        help="Folder of the embedded store and of caches",
        fallbacks=(Fallback("XDG_DATA_HOME", lambda home: f"{home}/cpdd" if home else None),),
    )
    store: str = option(
        "embedded",
        env="CPDD_STORE",
        help="Where spans are stored: embedded (in the data folder), chdb:///FOLDER, "
        "or clickhouse://USER:PASSWORD@HOST/DATABASE, on a cluster with ?cluster=NAME",
        secret=hide_password,
    )
    follow: str = option(
        "",
        env="CPDD_FOLLOW",
        help="Table of the OpenTelemetry Collector's ClickHouse exporter whose spans are taken over as they come, "
        "as clickhouse://USER:PASSWORD@HOST/DATABASE?table=otel_traces",
        secret=hide_password,
    )
    follow_overlap_s: float = option(
        900.0,
        env="CPDD_FOLLOW_OVERLAP_S",
        help="How long after its start a span of a followed table may come",
    )
    retention_days: int = option(
        7, env="CPDD_RETENTION_DAYS", help="Days that spans and what was learned of them are kept; 0: for ever"
    )
    interesting_days: int = option(
        30,
        env="CPDD_INTERESTING_DAYS",
        help="Days that failed, slowest, rare and boosted traces and examples of findings are kept; 0: for ever",
    )
    minutes_days: int = option(
        90, env="CPDD_MINUTES_DAYS", help="Days that sums by minute are kept, of which pages are made; 0: for ever"
    )
    max_disk_bytes: int = option(
        0,
        env="CPDD_MAX_DISK_BYTES",
        flag="--disk",
        help="Ceiling of the tables on disk, such as 20GB; above it the least interesting goes first; 0: none",
        parse=parse_bytes,
    )
    arrivals_ttl_hours: int = option(
        24,
        env="CPDD_ARRIVALS_TTL_HOURS",
        help="Hours that the narrow table for analysis is kept; analysis may lag so much",
    )

    max_body_bytes: int = option(
        64 * 2**20, env="CPDD_MAX_BODY_BYTES", help="Largest request, measured after decompression; above it: 413"
    )
    max_inflight_bytes: int = option(
        512 * 2**20,
        env="CPDD_MAX_INFLIGHT_BYTES",
        help="Bytes received and not yet committed; above it: 429 with Retry-After",
    )
    max_file_bytes: int = option(
        4 * 2**30, env="CPDD_MAX_FILE_BYTES", help="Largest file that is read, measured after decompression"
    )
    redact: str = option(
        "",
        env="CPDD_REDACT",
        help="Attributes that are not stored as they came: drop NAME, hash NAME, mask NAME, with commas between; "
        "NAME* is a beginning",
    )
    redact_key: str = option(
        "",
        env="CPDD_REDACT_KEY",
        help="Secret of the hashes, for several collectors to agree on; empty: one of its own in the data folder",
        secret=lambda key: "***" if key else "",
    )
    commit_linger_ms: int = option(
        100, env="CPDD_COMMIT_LINGER_MS", help="Milliseconds that a commit waits for more spans"
    )
    commit_rows: int = option(20_000, env="CPDD_COMMIT_ROWS", help="Spans at which a commit waits no longer")

    trace_quiet_s: float = option(
        2.0, env="CPDD_TRACE_QUIET_S", help="Seconds without spans until a trace with a root closes"
    )
    trace_no_root_s: float = option(
        10.0, env="CPDD_TRACE_NO_ROOT_S", help="Seconds without spans until a trace without a root closes"
    )
    trace_settle_s: float = option(
        10.0, env="CPDD_TRACE_SETTLE_S", help="Seconds without spans until verdicts and aggregates use a trace"
    )
    trace_max_age_s: float = option(
        300.0, env="CPDD_TRACE_MAX_AGE_S", help="Seconds after which a trace closes though spans still come"
    )
    reopen_max_s: float = option(
        300.0,
        env="CPDD_REOPEN_MAX_S",
        help="Longest wait, in seconds, before a trace that late spans reopened is analyzed again",
    )
    overflow: str = option(
        "auto",
        env="CPDD_OVERFLOW",
        help="Children that outlive their parents: auto (nobody waited) or clip (they are cut, as Jaeger and CRISP do)",
        parse=one_of("auto", "clip"),
    )
    max_skew_ns: int = option(
        1_000_000_000,
        env="CPDD_MAX_SKEW_NS",
        flag="--max-skew",
        help="Largest clock correction between hosts: nanoseconds, or with a unit (1s, 500ms)",
        parse=parse_duration_ns,
    )

    sampling_default: float = option(
        1.0,
        env="CPDD_SAMPLING_DEFAULT",
        help="Share of traces, 0 to 1, that Jaeger clients are told to keep where no policy says more",
        parse=parse_share,
    )
    sampling_max_boost_s: float = option(
        3600.0, env="CPDD_SAMPLING_MAX_BOOST_S", help="Longest boost, in seconds; a longer one has to be extended"
    )
    sampling_auto_traces_per_s: float = option(
        0.0,
        env="CPDD_SAMPLING_AUTO_TRACES_PER_S",
        help="Traces per second that proposed boosts may add, in all, without being accepted; 0: none",
    )
    sampling_endpoint: str = option(
        "http://127.0.0.1:5778",
        env="CPDD_SAMPLING_ENDPOINT",
        help="Address of the sampling service that cpdd boost and cpdd sampling ask",
        flag="--sampling",
    )
    log_level: str = option(
        "warning",
        env="CPDD_LOG_LEVEL",
        help="Least that cpdd serve says on stderr: debug, info, warning or error",
        parse=one_of("debug", "info", "warning", "error"),
    )
    log_format: str = option(
        "text",
        env="CPDD_LOG_FORMAT",
        help="How: text (for people) or json (an object a line)",
        parse=one_of("text", "json"),
    )
    logs_link: str = option(
        "",
        env="CPDD_LOGS_LINK",
        help="Address of the logs of a trace or a span: {trace_id}, {span_id}, {service}, {start}, {end} (ISO 8601), "
        "{start_ms}, {end_ms} (Unix) are filled in",
        parse=parse_logs_template,
    )
    tls_cert: str = option(
        "",
        env="CPDD_TLS_CERT",
        help="File of the certificate (PEM, with those above it) by which OTLP, Zipkin, pages and sampling over HTTP "
        "speak TLS; empty: they do not",
    )
    tls_key: str = option("", env="CPDD_TLS_KEY", help="File of its key (PEM)")
    ingest_tokens: str = option(
        "",
        env="CPDD_INGEST_TOKENS",
        help="What senders of spans must bring, one of these: TOKEN,TOKEN or @FILE with one a line; "
        "empty: everybody may send",
        secret=hide_tokens,
    )
    read_tokens: str = option(
        "",
        env="CPDD_READ_TOKENS",
        help="What readers of pages and of the query API must bring, likewise; empty: everybody may read",
        secret=hide_tokens,
    )
    trusted_user_header: str = option(
        "",
        env="CPDD_TRUSTED_USER_HEADER",
        help="Header in which a proxy of yours says who reads the pages, such as X-Forwarded-User; "
        "who does not come through it needs a token. Empty: no proxy is believed",
        parse=parse_header_name,
    )
    trusted_proxies: str = option(
        "127.0.0.1,::1",
        env="CPDD_TRUSTED_PROXIES",
        help="Addresses or networks of these proxies, with commas between",
        parse=parse_networks,
    )
    control_token: str = option(
        "",
        env="CPDD_CONTROL_TOKEN",
        help="What a change of sampling must bring, likewise; empty: changes are taken from this machine alone",
        secret=hide_tokens,
    )
    judge_interval_s: float = option(
        5.0, env="CPDD_JUDGE_INTERVAL_S", help="Seconds between two looks for findings, at least"
    )
    webhook_url: str = option(
        "",
        env="CPDD_WEBHOOK_URL",
        help="Address that is told of findings as they appear and clear; nobody when empty",
        parse=parse_web_address,
        secret=hide_path,
    )
    webhook_format: str = option(
        "json",
        env="CPDD_WEBHOOK_FORMAT",
        help="What the webhook is sent: json (the finding as it is) or slack (a message)",
        parse=one_of("json", "slack"),
    )
    public_url: str = option(
        "",
        env="CPDD_PUBLIC_URL",
        help="Address under which people open the pages: links in messages and escalations lead there, and on loopback "
        "its name is one of theirs; where they listen when empty",
        parse=parse_web_address,
    )

    service_name: str = option(
        "unknown_service",
        env="OTEL_SERVICE_NAME",
        help="Name of this service",
        fallbacks=(Fallback("OTEL_RESOURCE_ATTRIBUTES", _service_of),),
    )
    otlp_endpoint: str = option(
        "http://localhost:4318/v1/traces",
        env="OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        flag="--endpoint",
        help="Address that spans are sent to, over OTLP/HTTP",
        fallbacks=(Fallback("OTEL_EXPORTER_OTLP_ENDPOINT", _traces_address),),
    )
    otlp_headers: str = option(
        "",
        env="OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        flag="--headers",
        help="Headers to send with spans: KEY=VALUE,KEY=VALUE, values percent-encoded",
        fallbacks=(Fallback("OTEL_EXPORTER_OTLP_HEADERS", lambda headers: headers or None),),
        secret=hide_values,
    )
    otlp_compression: str = option(
        "gzip",
        env="OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
        flag="--compression",
        help="Compression of spans that are sent: gzip or none",
        parse=one_of("gzip", "none"),
        fallbacks=(Fallback("OTEL_EXPORTER_OTLP_COMPRESSION", lambda name: name or None),),
    )
    otlp_timeout_ms: int = option(
        10_000,
        env="OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
        flag="--timeout-ms",
        help="Milliseconds to wait for the answer to a request",
        fallbacks=(Fallback("OTEL_EXPORTER_OTLP_TIMEOUT", lambda timeout: timeout or None),),
    )
    otlp_certificate: str = option(
        "",
        env="OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
        flag="--certificate",
        help="File of the certificates that a server is trusted by; the system's when empty",
        fallbacks=(Fallback("OTEL_EXPORTER_OTLP_CERTIFICATE", lambda path: path or None),),
    )

    @property
    def data_dir(self) -> Path:
        return Path(self.data).expanduser()

    @property
    def store_dsn(self) -> str:
        """The address of the store: `chdb:///FOLDER` for the embedded one."""
        return f"chdb://{self.data_dir.absolute()}/store" if self.store == "embedded" else self.store


def option_of(setting: "Field[Any]") -> Option:
    """Return the record of a field of Settings."""
    record: Option = setting.metadata["option"]
    return record


def options() -> dict[str, Option]:
    """Return the records of all settings by name, in the order of `Settings`."""
    return {setting.name: option_of(setting) for setting in fields(Settings)}


def flag_of(name: str) -> str:
    """Return the flag of a setting.

    >>> flag_of("otlp_http_port")
    '--otlp-http-port'
    """
    return options()[name].flag or "--" + name.replace("_", "-")


def load_settings(
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    file_text: str = "",
    file_name: str = "cpdd.toml",
) -> tuple[Settings, dict[str, Origin]]:
    """Return the settings, and where each came from: flag, then environment, then file, then default.

    Args:
        flags: what the command line says, by name of the setting; None where it is silent.
        environ: variables. An empty one counts as unset, and an OTEL_ one that cannot be used is ignored (its
            origin says so), as OpenTelemetry asks.
        file_text: the text of `cpdd.toml`; its keys are the names of settings.
    Raises:
        SettingsError: names the flag, the variable or the line, the value, and what would do.
    """
    from_file = _read_file(file_text, file_name)
    values: dict[str, object] = {}
    origins: dict[str, Origin] = {}
    for name, record in options().items():
        origins[name] = Origin("default")
        for said, origin in _sayings(name, record, flags, environ, from_file):
            try:
                values[name] = record.parse(said)
            except ValueError as error:
                if not origin.name.startswith("OTEL_"):
                    raise SettingsError(f"{name}: {error}", str(origin), record.help) from None
                origins[name] = Origin("default", f"({origin.name} ignored: {error})")
                continue
            origins[name] = origin
            break
    return Settings(**values), origins  # type: ignore[arg-type]


def _sayings(
    name: str,
    record: Option,
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    from_file: Mapping[str, tuple[object, Origin]],
) -> Iterator[tuple[object, Origin]]:
    """What is said about a setting and by whom, strongest first."""
    if flags.get(name) is not None:
        yield flags[name], Origin("flag", flag_of(name))
    if environ.get(record.env):
        yield environ[record.env], Origin("environment", record.env)
    for fallback in record.fallbacks:
        if (said := fallback.read(environ.get(fallback.variable, ""))) is not None:
            yield said, Origin("environment", fallback.variable)
    if name in from_file:
        yield from_file[name]


def _read_file(text: str, name: str) -> dict[str, tuple[object, Origin]]:
    """The values of a file by name, each with its line; one table, its keys the names of settings."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"not valid TOML: {error}", f"file {name}") from None
    known = options()
    values: dict[str, tuple[object, Origin]] = {}
    for key, value in table.items():
        if key in OTHER_TABLES:
            continue
        origin = Origin("file", f"{name} line {_line_of(key, text)}")
        if key not in known:
            close = difflib.get_close_matches(key.replace("-", "_"), known, n=1)
            hint = f"did you mean {close[0]}?" if close else "cpdd settings lists all names"
            raise SettingsError(f"unknown setting {key!r}", str(origin), hint)
        values[key] = value, origin
    return values


def _line_of(key: str, text: str) -> int:
    """The line that sets `key`, counted from 1; a table's line where it is one."""
    pattern = re.compile(rf"""\s*\[*\s*["']?{re.escape(key)}["']?\s*[=.\]]""")
    return next((number for number, line in enumerate(text.splitlines(), 1) if pattern.match(line)), 1)
