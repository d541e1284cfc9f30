"""Every package that an installation brings along has a licence that asks nothing of who uses it, or an exception here
with its reason. Reads what is installed; part of `make check`.
"""

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PERMISSIVE = {
    *("apache-2.0", "apache-2.0 with llvm-exception", "mit", "mit-0", "isc", "zlib", "0bsd", "cc0-1.0", "unlicense"),
    *("bsd-2-clause", "bsd-3-clause", "psf-2.0", "zpl-2.1", "python-2.0"),
    # What packages say who do not write SPDX.
    *("apache 2.0", "apache software license", "mit license", "bsd", "bsd license", "new bsd", "3-clause bsd license"),
    *("python software foundation license", "zope public license", "zpl 2.1"),
}
EXCEPTIONS = {
    "certifi": "MPL-2.0: Mozilla's list of certificate authorities, used unchanged",
    "orjson": "MPL-2.0 AND (Apache-2.0 OR MIT): compiled in, used unchanged; MPL asks for the source of changed files",
}
EXCEPTIONS_OF_TESTS = {
    "axe-playwright-python": "axe-core in it is MPL-2.0: in tests, and not shipped",
    "hypothesis": "MPL-2.0: in tests, and not shipped",
    "pathspec": "MPL-2.0: part of mypy and hatchling, and not shipped",
    "psycopg": "LGPL-3.0: what the test of its instrumentation drives, and not shipped; docs/decisions/045",
    "psycopg-binary": "LGPL-3.0: part of psycopg",
}
SAYS_NOTHING = {"axe-playwright-python": "MIT AND MPL-2.0", "python-dateutil": "Apache-2.0 OR BSD-3-Clause"}
"""Packages that say nothing, or nothing clear, of themselves; what is in them: the first brings axe-core."""
SHIPPED = ("collector", "propagators", "instrument")
EVERYTHING = (*SHIPPED, "examples", "test", "dev")


def needed_by(name: str, extras: tuple[str, ...]) -> dict[str, Distribution]:
    """Return what is installed of the requirements of a package, theirs included, by canonical name."""
    found: dict[str, Distribution] = {}
    waiting = [(name, extras)]
    seen = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:  # of another platform or Python
            continue
        for requirement in map(Requirement, found[name].requires or ()):
            if requirement.marker is None or any(requirement.marker.evaluate({"extra": e}) for e in ("", *extras)):
                waiting.append((canonicalize_name(requirement.name), tuple(sorted(requirement.extras))))
    found.pop("cpdd")
    return found


def licence_of(package: Distribution) -> str:
    """Return what a package says: an SPDX expression, else a few words, else its classifiers; "" for nothing."""
    says = package.metadata
    name = canonicalize_name(says["Name"])
    words = (says.get("License") or "").strip()
    lines = [line for line in says.get_all("Classifier") or () if line.startswith("License ::")]
    given = SAYS_NOTHING.get(name) or says.get("License-Expression") or (words if 0 < len(words) < 40 else "")
    return given or " AND ".join(line.rpartition("::")[2].strip() for line in lines)


def is_permissive(licence: str) -> bool:
    """Tell whether one choice of an expression asks nothing of who uses the package.

    >>> is_permissive("MIT AND (Apache-2.0 OR GPL-3.0-only)"), is_permissive("MIT AND MPL-2.0"), is_permissive("")
    (True, False, False)
    """
    alone = re.sub(r"\(([^()]*)\)", lambda group: "MIT" if is_permissive(group[1]) else "unknown", licence)
    choices = re.split(r" or ", alone.lower())
    return any(all(part.strip() in PERMISSIVE for part in choice.split(" and ")) for choice in choices)


def strangers(packages: dict[str, Distribution], exceptions: dict[str, str]) -> Iterator[str]:
    for name, package in sorted(packages.items()):
        licence = licence_of(package)
        if name not in exceptions and not is_permissive(licence):
            yield f"{name} {package.version}: {licence or 'says nothing'}"


def test_what_is_shipped_is_permissive():
    assert list(strangers(needed_by("cpdd", SHIPPED), EXCEPTIONS)) == []


def test_what_tests_and_examples_need_beside_it_is_known():
    assert list(strangers(needed_by("cpdd", EVERYTHING), EXCEPTIONS | EXCEPTIONS_OF_TESTS)) == []


def test_no_exception_outlives_its_package():
    shipped, everything = needed_by("cpdd", SHIPPED), needed_by("cpdd", EVERYTHING)

    assert set(EXCEPTIONS) <= set(shipped)
    assert set(EXCEPTIONS_OF_TESTS) <= set(everything) - set(shipped)


@pytest.mark.parametrize("licence", ["GPL-3.0-only", "MIT AND GPL-2.0-only", "LGPL-3.0-only", "Proprietary", ""])
def test_a_licence_that_is_not_permissive_is_refused(licence: str):
    assert not is_permissive(licence)
