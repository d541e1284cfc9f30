"""`cpdd run CMD...`: a program instrumented, no line of its code changed."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import click

import cpdd
from cpdd.errors import CpddError

AUTO = Path(cpdd.__file__).absolute().parent / "_auto"
"""The folder of the module that Python imports before a program."""


class NotRun(CpddError):
    """A program that could not be started: its name and the system's reason."""

    def __init__(self, program: str, reason: str) -> None:
        self.program = program
        self.reason = reason
        super().__init__(f"cannot run {program!r}: {reason}\nhint: cpdd run python app.py")


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--service", help="Name of the service.  [OTEL_SERVICE_NAME]")
@click.option("--endpoint", help="Address of the collector, OTLP over HTTP.  [OTEL_EXPORTER_OTLP_ENDPOINT]")
@click.argument("program", nargs=-1, required=True, type=click.UNPROCESSED, metavar="CMD...")
def command(service: str | None, endpoint: str | None, program: tuple[str, ...]) -> NoReturn:
    """Run a Python program with tracing, no line of its code changed.

    Takes the place of this process, so signals and the exit status are the program's own. Programs that it starts
    are traced too. OTEL_* variables mean what OpenTelemetry specifies.

    \b
      cpdd run python app.py
      cpdd run --service checkout gunicorn shop:app
    """
    environ = traced_environ(os.environ, service, endpoint)
    sys.stdout.flush()
    try:
        os.execvpe(program[0], program, environ)
    except OSError as error:
        raise NotRun(program[0], error.strerror or str(error)) from error


def traced_environ(environ: Mapping[str, str], service: str | None, endpoint: str | None) -> dict[str, str]:
    """Return the environment in which Python traces what it runs."""
    paths = [
        str(AUTO),
        *(path for path in environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != str(AUTO)),
    ]
    said = {"OTEL_SERVICE_NAME": service, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
    return {
        **environ,
        "PYTHONPATH": os.pathsep.join(paths),
        **{name: value for name, value in said.items() if value is not None},
    }
