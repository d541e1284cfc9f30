"""Whether a name that we import means somebody else's file: a `flask.py` beside the program, a `collector` of another
project. Looks for packages without importing them, since what shadows may be a program that would run.
"""

import importlib.util
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import ModuleType

import cpdd
from cpdd.errors import CpddError

OURS = ("collector", "ui")
"""Top-level packages that stand beside `cpdd`."""


class Shadowed(CpddError):
    """Another file has the name of one of our packages, or of one that we need."""

    def __init__(self, name: str, found: str, expected: Path) -> None:
        self.name = name
        self.found = found
        self.expected = expected
        whose = "cpdd's" if name in OURS else "the one that cpdd needs"
        super().__init__(
            f"cannot start: the package {name!r} is not {whose}\n  at {found}\n"
            f"hint: {whose} is {expected}; {_way_out(found)}"
        )


def check_ours(name: str) -> None:
    """Raise Shadowed when importing `name`, which stands beside `cpdd`, would find somebody else's package."""
    expected = Path(cpdd.__file__).parent.parent / name
    found = _found(name)
    if expected.resolve() not in found[:1]:
        raise Shadowed(name, str(found[0]) if found else "nowhere", expected)


def check_needed(extra: str) -> None:
    """Raise Shadowed when a package that cpdd with `extra` requires is installed, and its name means another file."""
    for project in _required(extra):
        try:
            record = metadata.distribution(project)
        except metadata.PackageNotFoundError:
            continue  # whoever imports it says so
        for name in _imports(record):
            _check_installed(name, record)


def behind(error: ImportError | AttributeError) -> Shadowed | None:
    """Return what `error` is about where a module that was imported is somebody else's file; else None."""
    if isinstance(error, ImportError):
        full_name = error.name
    else:
        full_name = error.obj.__name__ if isinstance(error.obj, ModuleType) else None
    name = (full_name or "").partition(".")[0]
    try:
        if name in OURS:
            check_ours(name)
        for project in metadata.packages_distributions().get(name, ()):
            _check_installed(name, metadata.distribution(project))
    except Shadowed as shadowed:
        return shadowed
    return None


def _check_installed(name: str, record: metadata.Distribution) -> None:
    """Raise Shadowed when `name` is there where its distribution was installed, and means a file elsewhere."""
    folder = Path(str(record.locate_file(name)))
    places = [place for place in (folder, folder.with_name(f"{name}.py")) if place.exists()]
    found = _found(name)
    if places and not any(place.resolve() in found for place in places):
        raise Shadowed(name, str(found[0]) if found else "nowhere", places[0])


def _found(name: str) -> list[Path]:
    """Where an import of `name` would look: the package's folders, or the module's file."""
    spec = importlib.util.find_spec(name)
    if spec is None:
        return []
    return [Path(place).resolve() for place in (spec.submodule_search_locations or [spec.origin or ""])]


def _required(extra: str) -> Iterator[str]:
    """Names of the projects that cpdd requires, with those of `extra`."""
    for line in metadata.requires("cpdd") or ():
        requirement, _, marker = line.partition(";")
        if ("extra" not in marker or f"extra == '{extra}'" in marker) and (
            project := re.match(r"[\w.-]+", requirement)
        ):
            yield project[0]


def _imports(record: metadata.Distribution) -> set[str]:
    """The names by which a distribution is imported: its own, or where it has none, those of all its packages.

    Not by `files`, which makes an object of each: this is read at every start.
    """
    lines = (record.read_text("RECORD") or "").splitlines()
    first_parts = {line.partition(",")[0].partition("/")[0].removesuffix(".py") for line in lines}
    names = {part for part in first_parts if part.isidentifier() and part != "__pycache__"}
    return names & {record.name.replace("-", "_").lower()} or names


def _way_out(found: str) -> str:
    """What to do about a file that shadows, by where it is."""
    if found == "nowhere":
        return "install cpdd again"
    folder = Path(found).parent
    if any(Path(entry or ".").resolve() == folder for entry in sys.path if not entry.endswith("-packages")):
        return f"rename the other one, or take {folder} out of PYTHONPATH"
    return "start from another directory, or rename or uninstall the other one"
