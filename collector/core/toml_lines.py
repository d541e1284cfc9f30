"""An array of tables of `cpdd.toml`, and where its keys stand: tomllib tells values and no places.

Pure; for `journeys_file` and `queues_file`.
"""

import re
import tomllib
from typing import Any

from cpdd.settings import SettingsError


def tables_of(text: str, file_name: str, name: str) -> tuple[list[dict[str, Any]], "Lines"]:
    """Return the tables `[[name]]` of a file and where they stand; its other tables and keys are not looked at.

    Raises:
        SettingsError: the file is not TOML, or gives the name to something else.
    """
    try:
        tables = tomllib.loads(text).get(name, [])
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"not valid TOML: {error}", f"file {file_name}") from None
    lines = Lines(text, file_name, name)
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise SettingsError(f"{name} is no list of tables", lines.of(0, ""), f"write [[{name}]], once for each")
    return tables, lines


class Lines:
    """The lines of an array of tables: `[[journey]]`."""

    def __init__(self, text: str, file_name: str, table: str) -> None:
        self._lines = text.splitlines()
        self._file_name = file_name
        header = re.compile(rf"""\s*\[\[\s*["']?{table}["']?\s*\]\]""")
        self._heads = [number for number, line in enumerate(self._lines) if header.match(line)]

    def line(self, table: int, key: str) -> int:
        """Return the line of a key in the n-th table, counted from 1; the table's own where the key is not found."""
        if table >= len(self._heads):
            return 1
        head = self._heads[table]
        end = next((n for n in range(head + 1, len(self._lines)) if re.match(r"\s*\[\[", self._lines[n])), None)
        pattern = re.compile(rf"""^(?:.*[\s{{,.])?["']?{re.escape(key)}["']?\s*[=.\]]""")
        for number in range(head + 1, end if end is not None else len(self._lines)):
            if key and pattern.match(self._lines[number].partition("#")[0]):
                return number + 1
        return head + 1

    def of(self, table: int, key: str) -> str:
        """Return where a key stands, for a message."""
        return f"file {self._file_name} line {self.line(table, key)}"
