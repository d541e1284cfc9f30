"""Settings for verbs: their flags as click options, and their values from flags, environment and file."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from cpdd.settings import Origin, Settings, SettingsError, flag_of, load_settings, options

FILE_NAME = "cpdd.toml"

_Command = TypeVar("_Command", bound=Callable[..., Any])


def setting_flags(*names: str) -> Callable[[_Command], _Command]:
    """Give a command `--config` and a flag for each named setting; `read_settings` takes what they say.

    The command receives `config` and the names as keyword arguments, None where a flag is not given.
    """

    def decorate(command: _Command) -> _Command:
        for name in reversed(names):
            record = options()[name]
            click.option(flag_of(name), name, metavar="VALUE", help=f"{record.help}.  [{record.env}]")(command)
        help_text = f"File of settings; ./{FILE_NAME} is read where it is present.  [CPDD_CONFIG]"
        click.option("--config", metavar="FILE", help=help_text)(command)
        return command

    return decorate


def read_settings(config: str | None = None, **flags: object) -> tuple[Settings, dict[str, Origin]]:
    """Return the settings and their origins: flags, environment, file, default.

    Raises:
        SettingsError: a value cannot be used, or the named file cannot be read.
    """
    text, name = config_file(config)
    return load_settings(flags, os.environ, text, name)


def config_file(config: str | None = None) -> tuple[str, str]:
    """Return the text and the name of `cpdd.toml`: the named one, else the one of this folder; "" where there is none.

    Raises:
        SettingsError: the named file cannot be read.
    """
    named = config or os.environ.get("CPDD_CONFIG")
    path = Path(named or FILE_NAME)
    if named is None and not path.is_file():
        return "", FILE_NAME
    try:
        return path.read_text(encoding="utf-8"), str(path)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the settings cannot be read: {error}", f"file {path}") from None
