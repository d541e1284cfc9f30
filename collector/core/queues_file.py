"""`[[queue]]` of `cpdd.toml` to what queues promise, with errors that name key, value and line. Pure.

docs/reference/cpdd-toml.md describes the file.
"""

import difflib
import re
from collections.abc import Mapping
from typing import Any

from collector.core.journeys_file import parse_target, positive_duration
from collector.core.queue_promises import Queue, QueuePromise
from collector.core.toml_lines import Lines, tables_of
from cpdd.settings import SettingsError

TABLE = "queue"
"""The array of tables: `[[queue]]`."""

_KEYS = ("name", "promise", "system")
_HINT = 'write promise = "99 % within 10s"'


def parse_queues(text: str, file_name: str = "cpdd.toml") -> tuple[Queue, ...]:
    """Return the queues of the text of a `cpdd.toml`, in its order; its other tables and keys are not looked at.

    Raises:
        SettingsError: names the key, the value, the line, and what would do.
    """
    tables, lines = tables_of(text, file_name, TABLE)
    return tuple(_queue(table, lines, number) for number, table in enumerate(tables))


def _queue(table: Mapping[str, Any], lines: Lines, number: int) -> Queue:
    for key in table:
        if key not in _KEYS:
            close = difflib.get_close_matches(key, _KEYS, n=1)
            hint = f"did you mean {close[0]}?" if close else f"a queue may have {', '.join(_KEYS)}"
            raise SettingsError(f"unknown key {key!r} of a queue", lines.of(number, key), hint)
    for key, hint in (("name", 'write name = "orders"; * stands for any text'), ("promise", _HINT)):
        if key not in table:
            raise SettingsError(f"a queue without {key}", lines.of(number, ""), hint)
        if not isinstance(table[key], str) or not table[key]:
            raise SettingsError(f"{key}: {table[key]!r} is no text", lines.of(number, key), hint)
    system = table.get("system", "")
    if not isinstance(system, str):
        raise SettingsError(f"system: {system!r} is no text", lines.of(number, "system"), 'write system = "kafka"')
    try:
        return Queue(table["name"], parse_promise(table["promise"]), system)
    except ValueError as error:
        raise SettingsError(f"promise: {error}", lines.of(number, "promise"), _HINT) from None


def parse_promise(value: str) -> QueuePromise:
    """Return the promise of "99 % within 10s".

    >>> parse_promise("99 % within 10s")
    QueuePromise(share=0.99, within_ns=10000000000)
    """
    match = re.fullmatch(r"\s*(\S.*?)\s+within\s+(\S.*?)\s*", value)
    if not match:
        raise ValueError(f"{value!r} is no promise of a queue")
    return QueuePromise(parse_target(match[1]), positive_duration(match[2]))
