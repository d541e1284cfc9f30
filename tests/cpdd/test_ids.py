"""Ids that repeat neither under a seed nor after a fork."""

import os
import random

import pytest

from cpdd.ids import PrivateIds


def test_a_seed_of_the_program_does_not_repeat_ids():
    random.seed(7)
    first = PrivateIds()
    ids = [first.generate_trace_id() for _ in range(10)]

    random.seed(7)

    assert not set(ids) & {PrivateIds().generate_trace_id() for _ in range(10)}


def test_ids_are_of_the_width_that_traces_and_spans_have():
    ids = PrivateIds()

    assert max(ids.generate_trace_id() for _ in range(100)).bit_length() > 120
    assert all(0 < ids.generate_trace_id() < 2**128 for _ in range(100))
    assert all(0 < ids.generate_span_id() < 2**64 for _ in range(100))


def test_trace_ids_are_said_to_be_random():
    assert PrivateIds().is_trace_id_random()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_forked_children_do_not_repeat_each_other(run_program):
    printed = run_program(
        "import os\n"
        "from cpdd.ids import PrivateIds\n"
        "ids = PrivateIds()\n"
        "for _ in range(3):\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n"
        "        print(ids.generate_trace_id(), flush=True); os._exit(0)\n"
        "    os.waitpid(pid, 0)\n"
        "print(ids.generate_trace_id())"
    )

    assert len(set(printed.split())) == 4
