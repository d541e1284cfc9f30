"""The log of `cpdd serve` on stderr: an event and its facts a line, for people or as JSON for programs.

2026-11-28T07:00:00.123Z WARNING collector.store.writer: nothing is stored  lane=1 reason="disk full"
{"time": "2026-11-28T07:00:00.123Z", "level": "warning", "logger": "…", "event": "nothing is stored", "lane": 1}
"""

import json
import logging
import sys
import time
from typing import TextIO

_KNOWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""Attributes that every record has; the others are facts."""
_TOLD_BY_US = ("urllib3.connectionpool", "clickhouse_connect")
"""They warn of each attempt to reach a store that is away, with the whole query; we say it once."""


def configure(level: str, as_json: bool, stream: TextIO | None = None) -> None:
    """Let everything of ours be said on stderr from `level` on, and warnings of others."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if as_json else TextLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in ("collector", "cpdd", "ui"):
        logging.getLogger(name).setLevel(level.upper())
    for name in _TOLD_BY_US:
        logging.getLogger(name).setLevel(logging.ERROR)


class TextLines(logging.Formatter):
    """A line for people; a traceback follows it."""

    def format(self, record: logging.LogRecord) -> str:
        facts = " ".join(f"{name}={_spelled(value)}" for name, value in facts_of(record).items())
        event = f"{_time(record)} {record.levelname} {record.name}: {record.getMessage()}"
        line = f"{event}  {facts}" if facts else event
        return line + (f"\n{self.formatException(record.exc_info)}" if record.exc_info else "")


class JsonLines(logging.Formatter):
    """One JSON object a line, the traceback inside."""

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        for name, value in facts_of(record).items():
            said.setdefault(name, value)
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False, default=str)


def facts_of(record: logging.LogRecord) -> dict[str, object]:
    """Return what was said beside the event, by `extra`."""
    return {name: value for name, value in vars(record).items() if name not in _KNOWN}


def _time(record: logging.LogRecord) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"


def _spelled(value: object) -> str:
    """A value as one word: as JSON where it has spaces or quotes, so that lines stay lines."""
    text = str(value)
    return text if text.isprintable() and not set(text) & set(' "=') else json.dumps(text, ensure_ascii=False)
