"""A file with the name of a package that we import: refused before anything of it runs, and named with its place."""

import subprocess
from pathlib import Path

import pytest

import cpdd
from cpdd.cli._shadowed import OURS, Shadowed, check_needed, check_ours
from tests.serving import CPDD

ROOT = Path(cpdd.__file__).parent.parent


def test_our_own_packages_are_recognized() -> None:
    for name in OURS:
        check_ours(name)


def test_what_we_need_is_recognized() -> None:
    check_needed("collector")


def test_a_package_that_is_not_there_is_named() -> None:
    with pytest.raises(Shadowed, match="at nowhere"):
        check_ours("no_such_package_of_ours")


@pytest.mark.parametrize("name", OURS)
def test_a_package_that_shadows_ours_is_named_with_its_place(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").touch()

    refused = cpdd_beside(tmp_path, "serve", "--data", str(tmp_path / "data"))

    assert refused.returncode == 1
    assert f"cannot start: the package {name!r} is not cpdd's\n  at {tmp_path / name}\n" in refused.stderr
    assert f"cpdd's is {ROOT / name}; rename the other one, or take {tmp_path} out of PYTHONPATH" in refused.stderr


@pytest.mark.parametrize("file", ["chdb.py", "flask.py", "grpc/__init__.py"])
def test_a_file_that_shadows_what_the_server_needs_never_runs(tmp_path: Path, file: str) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("print('this is a program of its own')")
    name = Path(file).parts[0].removesuffix(".py")

    refused = cpdd_beside(tmp_path, "serve", "--data", str(tmp_path / "data"))

    assert refused.returncode == 1
    assert (
        f"cannot start: the package {name!r} is not the one that cpdd needs\n  at {tmp_path / name}" in refused.stderr
    )
    assert "Traceback" not in refused.stderr
    assert refused.stdout == ""
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("file", ["opentelemetry/__init__.py", "numpy.py"])
def test_a_file_that_breaks_another_verb_is_named_instead_of_a_traceback(tmp_path: Path, file: str) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).touch()
    name = Path(file).parts[0].removesuffix(".py")

    refused = cpdd_beside(tmp_path, "path", "traces.json")

    assert refused.returncode == 1
    assert f"the package {name!r} is not the one that cpdd needs\n  at {tmp_path / name}" in refused.stderr
    assert "Traceback" not in refused.stderr


def cpdd_beside(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command where Python looks into `folder` first."""
    return subprocess.run(
        [CPDD, *arguments],
        env={"PYTHONPATH": str(folder), "PATH": ""},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
