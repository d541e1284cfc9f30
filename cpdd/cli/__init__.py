"""The `cpdd` command: one module per verb, found by name and imported when it is called.

A module `cpdd/cli/VERB.py` holds one click command named `command`. Only this package may import
everything; nothing imports it.
"""

import importlib
import pkgutil
import sys
from typing import NoReturn

import click

from cpdd.errors import CpddError


class VerbGroup(click.Group):
    """Finds verbs among this package's modules, so that `cpdd path` never imports the web server."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(m.name.replace("_", "-") for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        try:
            module = importlib.import_module(f"{__name__}.{cmd_name.replace('-', '_')}")
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] in ("cpdd", "collector", "ui") or _shadowing(error):
                raise
            raise click.ClickException(
                f"cpdd {cmd_name} needs the package {error.name!r}, which is not installed\n"
                'hint: pip install "cpdd[collector]"'
            ) from error
        command: click.Command = module.command
        return command


@click.group(cls=VerbGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="cpdd")
def cli() -> None:
    """Critical-path distributed tracing: see which calls a user journey waits for.

    \b
      cpdd demo                    a shop of real services, its critical paths on a page
      cpdd path traces.json        the critical path of each trace in a file
      cpdd serve                   collector, analyzer, sampling service and UI
    """


def main() -> None:
    """Run the command; a CpddError becomes its message and exit status 1."""
    try:
        cli.main(standalone_mode=True)
    except CpddError as error:
        _fail(error)
    except (ImportError, AttributeError) as error:
        if (shadowed := _shadowing(error)) is None:
            raise
        _fail(shadowed)


def _shadowing(error: ImportError | AttributeError) -> CpddError | None:
    """Return what is to be said instead where somebody else's file has the name of what was imported."""
    from cpdd.cli import _shadowed  # noqa: PLC0415 - for this rare case alone

    return _shadowed.behind(error)


def _fail(error: CpddError) -> NoReturn:
    click.echo(f"cpdd: {error}", err=True)
    sys.exit(1)
