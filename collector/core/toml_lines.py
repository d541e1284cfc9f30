"""Where keys stand in `cpdd.toml`: tomllib tells values and no places. Pure; for `journeys_file` and `queues_file`."""

import re


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
