"""A line of the log is an event and its facts, whoever reads it."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from collector.logs import configure


@pytest.fixture(autouse=True)
def handlers_as_before() -> Iterator[None]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)
    for name in ("collector", "cpdd", "ui"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def said(as_json: bool, level: str = "info") -> str:
    stream = io.StringIO()
    configure(level, as_json, stream)
    log = logging.getLogger("collector.store.writer")
    log.info("spans are stored again", extra={"lane": 1})
    log.warning("nothing is stored", extra={"lane": 1, "reason": 'the disk "a" is full\nlike that'})
    try:
        raise ValueError("odd")
    except ValueError:
        log.exception("analysis failed")
    logging.getLogger("waitress").info("not ours")
    return stream.getvalue()


def test_for_people_facts_stand_behind_the_event():
    lines = said(as_json=False).splitlines()

    assert lines[0].endswith("Z INFO collector.store.writer: spans are stored again  lane=1")
    assert lines[1].endswith('nothing is stored  lane=1 reason="the disk \\"a\\" is full\\nlike that"')
    assert lines[2].endswith("ERROR collector.store.writer: analysis failed")
    assert lines[-1] == "ValueError: odd"


def test_for_programs_every_line_is_an_object():
    lines = [json.loads(line) for line in said(as_json=True).splitlines()]

    assert [line["event"] for line in lines] == ["spans are stored again", "nothing is stored", "analysis failed"]
    assert lines[0] | {"time": ""} == {
        "time": "",
        "level": "info",
        "logger": "collector.store.writer",
        "event": "spans are stored again",
        "lane": 1,
    }
    assert lines[2]["traceback"].endswith("ValueError: odd")


def test_what_is_below_the_level_is_not_said():
    assert "spans are stored again" not in said(as_json=True, level="warning")
