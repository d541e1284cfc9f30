"""What a supervisor and a load balancer are told."""

import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from collector.health import Health, State
from collector.receive.intake import Intake
from collector.serve import Collector
from cpdd.settings import Settings


def health(state: State, faults: tuple[str, ...] = (), problems: tuple[str, ...] = ()) -> Health:
    return Health(faults=lambda: faults, problems=lambda: problems, facts=lambda: {"pid": 7}, state=state)


@pytest.mark.parametrize(("state", "ready"), [(State.STARTING, 503), (State.READY, 200), (State.STOPPING, 503)])
def test_spans_are_wanted_between_start_and_stop_only(state: State, ready: int):
    assert health(state).ready().status == ready
    assert health(state).alive().status == 200


def test_a_part_that_failed_makes_the_process_unhealthy_and_is_named():
    sick = health(State.READY, faults=("the analyzer has ended",))

    answer = sick.alive()

    assert answer.status == sick.ready().status == sick.status().status == 503
    assert json.loads(answer.body) == {"status": "failed", "problems": ["the analyzer has ended"]}


def test_a_store_that_takes_nothing_asks_for_other_collectors_and_for_no_restart():
    full = health(State.READY, problems=("nothing could be stored for 41 s: no space left on device",))

    answers = full.ready(), full.alive(), full.status()

    assert [answer.status for answer in answers] == [503, 200, 200]
    for said in (json.loads(answer.body) for answer in answers):
        assert said["status"] == "not ready"
        assert "41 s" in said["problems"][0]


def test_the_page_of_the_system_says_the_word_that_supervisors_are_told(tmp_path: Path):
    collector = Collector(Settings(data=str(tmp_path)))
    intake = SimpleNamespace(failing_since_s=time.monotonic() - 3_600, store_problem="no space left on device")
    collector._intake, collector._health.state = cast(Intake, intake), State.READY

    told, system = json.loads(collector._health.status().body), collector.system()

    assert (system.state, system.problems) == ("not ready", tuple(told["problems"]))
    assert told["status"] == system.state
    assert collector.trouble() == told["problems"]


def test_the_status_shows_the_facts():
    assert json.loads(health(State.READY).status().body) == {"status": "ready", "problems": [], "pid": 7}
