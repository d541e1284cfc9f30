"""Tables of a TOML file that people write: values read with their types, and errors that say where they stand.

Shared by contracts and the catalog. Pure: the caller reads the file.
"""

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from cpdd.errors import CpddError
from cpdd.setting_values import parse_duration_ns


class TableError(CpddError):
    """A file that cannot be used: what is wrong, where it stands (file, table, key, value), and what would do."""

    def __init__(self, problem: str, place: str, hint: str = "") -> None:
        self.problem = problem
        self.place = place
        self.hint = hint
        super().__init__(f"{problem}\n  at {place}" + (f"\nhint: {hint}" if hint else ""))


class Table:
    """A table, and its place in the file."""

    def __init__(self, content: Mapping[str, Any], file: str, error: type[TableError], path: str = "") -> None:
        self.content = content
        self._file = file
        self._error = error
        self._path = path

    def fail(self, problem: str, key: str | None = None, hint: str = "") -> NoReturn:
        """Raise the error of this file, at this table, or at a key of it."""
        place = self._file + (f" [{self._path}]" if self._path else "")
        if key is not None:
            place += f" {_spelled(key)} = {_shown(self.content[key])}"
        raise self._error(problem, place, hint)

    def expect(self, known: tuple[str, ...]) -> None:
        """Refuse other keys than these, with the one that was probably meant."""
        for key in self.content:
            if key not in known:
                close = closest(key, known)
                hint = f"did you mean {close}?" if close else f"known are {', '.join(known)}"
                self.fail(f"unknown key {key!r}", key, hint)

    def table(self, key: str) -> "Table":
        """Return the table at `key`, an empty one where there is none."""
        value = self.content.get(key, {})
        below = f"{self._path}.{_spelled(key)}".lstrip(".")
        if not isinstance(value, dict):
            self.fail(f"{key} is a table", key, f"write [{below}] on a line of its own")
        return Table(value, self._file, self._error, below)

    def text(self, key: str) -> str:
        value = self.content[key]
        if not isinstance(value, str) or not value:
            self.fail("a text is expected", key)
        return value

    def texts(self, key: str, example: str) -> tuple[str, ...]:
        if key not in self.content:
            self.fail(f"{key} is missing", hint=f"for instance {key} = {example}")
        value = self.content[key]
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            self.fail("a list of texts is expected", key, f"for instance {example}")
        return tuple(value)

    def one_of(self, key: str, words: tuple[str, ...]) -> str:
        value = self.content[key]
        if value not in words:
            self.fail(f"{' or '.join(words)} is expected", key)
        return str(value)

    def flag(self, key: str) -> bool:
        value = self.content[key]
        if not isinstance(value, bool):
            self.fail("true or false is expected", key)
        return value

    def whole_number(self, key: str, least: int) -> int:
        value = self.content[key]
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            self.fail(f"a whole number from {least} is expected", key)
        return value

    def duration_ns(self, key: str) -> int:
        """Return a duration that was written with its unit."""
        value = self.content[key]
        try:
            if not isinstance(value, str) or value.strip().isdigit():
                raise ValueError(f"{value!r} has no unit")
            return parse_duration_ns(value)
        except ValueError as error:
            self.fail(str(error), key, 'write a text with a unit: "120ms"')


def read_toml(text: str, file: str, error: type[TableError]) -> Table:
    """Return the top table of a file, which `file` names in messages. Raises `error` for what is no TOML."""
    try:
        return Table(tomllib.loads(text), file, error)
    except tomllib.TOMLDecodeError as problem:
        raise error(f"not valid TOML: {problem}", file) from None


def closest(name: str, known: Iterable[str]) -> str:
    """Return the known name that is most like `name`, "" where none is like it."""
    return next(iter(difflib.get_close_matches(name, sorted(set(known)), n=1, cutoff=0.6)), "")


def _spelled(key: str) -> str:
    """A key as TOML wants it."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key, ensure_ascii=False)


def _shown(value: object) -> str:
    """A value much as the file spells it, not at any length."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:80]}…"
