"""The fault that people ask about first, on the whole shop; as a program it runs longer: `python -m`."""

from pathlib import Path

import pytest

from tests.faults.collector_trouble import TROUBLES, run


@pytest.mark.slow
def test_no_visit_fails_whatever_the_collector_does_and_the_shop_says_what_it_lost(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("SHOP_STATE", str(tmp_path / "state.json"))

    phases, lost = run(seconds=3.0, queue=64, folder=tmp_path / "shop")

    assert {phase.behaviour for phase in phases} == {"well", *TROUBLES}
    assert [phase.behaviour for phase in phases if phase.failed] == []
    assert lost["shop"] > 0
