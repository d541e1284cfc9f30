"""Compiled kernels in the cache are those of the sources at hand, of all that a kernel calls; one form of each."""

import importlib
from pathlib import Path

import pytest

from collector.core import kernels

MODULES = {
    "__init__": "def step(function): ...\n",
    "bottom": "from collector.core.kernels import step\n",
    "middle": "import collector.core.kernels.bottom as bottom\n",
    "top": "from collector.core.kernels.middle import walk\n",
    "aside": "from collector.core.kernels import step\n",
}


def stamps(folder: Path) -> dict[str, str]:
    kernels.source_stamp.cache_clear()
    return {name: kernels.source_stamp(folder, name) for name in MODULES}


@pytest.mark.parametrize(
    ("changed", "affected"),
    [
        ("top", {"top"}),
        ("middle", {"middle", "top"}),
        ("bottom", {"bottom", "middle", "top"}),
        ("aside", {"aside"}),
        ("__init__", set(MODULES)),
    ],
)
def test_change_of_a_module_changes_the_stamps_of_those_that_stand_on_it(
    tmp_path: Path, changed: str, affected: set[str]
) -> None:
    for name, source in MODULES.items():
        (tmp_path / f"{name}.py").write_text(source)
    before = stamps(tmp_path)

    (tmp_path / f"{changed}.py").write_text(MODULES[changed] + "# changed\n")

    after = stamps(tmp_path)
    assert {name for name in MODULES if after[name] != before[name]} == affected


def test_cache_of_a_kernel_goes_by_its_stamp() -> None:
    interning = importlib.import_module("collector.core.kernels.interning")

    index = interning.intern._cache._cache_file

    assert index._source_stamp == kernels.source_stamp(Path(kernels.__file__).parent, "interning")


def test_a_constant_gives_a_kernel_no_second_compiled_form() -> None:
    types = importlib.import_module("numba").types
    size = importlib.import_module("collector.core.kernels.texts").varint_size

    for number in (types.int64, types.literal(0), types.literal(300)):
        size.get_call_template((number,), {})

    assert [signature.args for signature in size.nopython_signatures] == [(types.int64,)]
