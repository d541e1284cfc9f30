"""The rule of the house: imports point one way, and the core does no I/O."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {"cpdd": {"cpdd"}, "collector": {"collector", "cpdd"}, "ui": {"ui", "collector", "cpdd"}}
NOT_IN_CORE = {
    "asyncio",
    "http",
    "io.open",
    "pathlib",
    "socket",
    "subprocess",
    "threading",
    "time",
    "urllib",
    "chdb",
    "flask",
}
LIGHT = {"click", "opentelemetry"}
"""What `cpdd` outside `cpdd/cli` may need beside the standard library."""


def imports() -> Iterator[tuple[Path, str]]:
    """Each module of ours, and the full name of each thing it imports."""
    for package in MAY_IMPORT:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    yield from ((path.relative_to(ROOT), alias.name) for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module:
                    yield path.relative_to(ROOT), node.module


def test_imports_point_from_ui_to_collector_to_cpdd():
    wrong = [
        f"{path}: {name}"
        for path, name in imports()
        if (package := name.partition(".")[0]) in MAY_IMPORT
        and not str(path).startswith("cpdd/cli/")
        and package not in MAY_IMPORT[path.parts[0]]
    ]

    assert wrong == []


def test_nothing_imports_the_command():
    wrong = [
        f"{path}: {name}"
        for path, name in imports()
        if name.startswith("cpdd.cli") and path.parts[:2] != ("cpdd", "cli")
    ]

    assert wrong == []


def test_the_core_knows_no_shell_and_does_no_input_or_output():
    shells = ("collector.receive", "collector.store", "collector.control", "collector.serve", "collector.analyze")
    wrong = [
        f"{path}: {name}"
        for path, name in imports()
        if path.parts[:2] == ("collector", "core")
        and (name.startswith(shells) or name.partition(".")[0] in NOT_IN_CORE)
        and path != Path("collector/core/kernels/__init__.py")
    ]

    assert wrong == []
