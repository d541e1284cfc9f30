"""`cpdd doctor`: what is instrumented here, what is missing, where a span would go, and whether it gets there."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version

import click

from cpdd.cli._libraries import Library, libraries
from cpdd.cli._otlp_http import OtlpHttpSender, parse_headers, traces_address
from cpdd.cli._probe import Probe, probe
from cpdd.cli._settings import read_settings, setting_flags
from cpdd.exporters import DEFAULT_ENDPOINT

_DEFAULTS = {
    "OTEL_SERVICE_NAME": "unknown_service, unless cpdd.init names it",
    "OTEL_TRACES_EXPORTER": "otlp",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    "OTEL_TRACES_SAMPLER": "parentbased_always_on",
    "OTEL_PROPAGATORS": "tracecontext,baggage",
    "OTEL_SDK_DISABLED": "false",
}
DEFAULT_UI = "http://127.0.0.1:16686"


@click.command()
@click.option("--ui", metavar="URL", help=f"Where to look for the test span: cpdd or Jaeger.  [default: {DEFAULT_UI}]")
@click.option("--no-probe", is_flag=True, help="Send nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@setting_flags("otlp_endpoint", "otlp_headers", "otlp_compression", "otlp_timeout_ms", "otlp_certificate")
def command(ui: str | None, no_probe: bool, as_json: bool, config: str | None, **flags: str | None) -> None:
    """Tell what cpdd.init would do in this environment, and send a test span to where spans go.

    Run it with the interpreter, and the variables, of the service that is to be looked at. Exit status 1: a library
    that is used here is not instrumented, or the span did not arrive.

    \b
      cpdd doctor
      OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318 cpdd doctor --ui http://jaeger:16686
    """
    settings, origins = read_settings(config, **flags)
    address = settings.otlp_endpoint
    match origins["otlp_endpoint"].kind:
        case "default":
            address = DEFAULT_ENDPOINT  # where init sends, which asks no resolver
        case "flag" | "file":
            address = traces_address(address)
    found = libraries(os.environ)
    result: Probe | None = None
    if not no_probe:
        sender = OtlpHttpSender(
            address,
            parse_headers(settings.otlp_headers),
            settings.otlp_compression == "gzip",
            settings.otlp_timeout_ms / 1000,
            settings.otlp_certificate,
        )
        try:
            result = probe(sender, ui or DEFAULT_UI)
        finally:
            sender.close()
        if result.is_sent and not ui and result.problem.startswith("cannot ask"):
            result = Probe(result.trace_id, True, False)  # nobody said that there is anything to look at
    if as_json:
        click.echo(json.dumps(_facts(address, found, result)))
    else:
        click.echo("\n".join(_words(address, found, result)))
    is_bad = any(library.state in ("missing", "unfit") for library in found)
    if is_bad or (result is not None and result.problem):
        sys.exit(1)


def _facts(address: str, found: list[Library], result: Probe | None) -> dict[str, object]:
    return {
        "versions": _versions(),
        "environment": _environment(os.environ),
        "endpoint": address,
        "libraries": [{**asdict(library), "next_step": library.next_step()} for library in found],
        "probe": None if result is None else asdict(result),
    }


def _versions() -> dict[str, str]:
    names = ("cpdd", "opentelemetry-api", "opentelemetry-sdk")
    return {"python": sys.version.split()[0], **{name: version(name) for name in names}}


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that say how a service is traced, with what holds where they are not set."""
    return {name: environ.get(name) or default for name, default in _DEFAULTS.items()}


def _words(address: str, found: list[Library], result: Probe | None) -> list[str]:
    lines = [" · ".join(f"{name} {number}" for name, number in _versions().items()), sys.executable, ""]
    for library in found:
        name = f"{library.instrumentation} {library.library_version}".strip()
        lines.append(f"  {library.state:<10}  {name:<28}  {library.next_step()}".rstrip())
    lines += ["", *(f"  {name:<28} {said}" for name, said in _environment(os.environ).items()), ""]
    lines.append(f"spans go to {address}")
    if result is not None:
        lines.append(_outcome(result))
    return lines


def _outcome(result: Probe) -> str:
    if result.problem:
        return f"the test span did not arrive: {result.problem}"
    if result.is_found:
        return f"the test span was sent and found again after {result.took_s:g} s: trace {result.trace_id}"
    return f"the test span was taken: look for trace {result.trace_id}, or say --ui to have it looked for"
