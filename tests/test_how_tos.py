"""The how-tos: their Python compiles and names what there is, their commands exist, their links lead somewhere."""

import ast
import re
import shlex
from pathlib import Path

import click
import pytest

import cpdd
from cpdd.cli import cli

DOCS = Path(__file__).parents[1] / "docs"
PAGES = [*sorted((DOCS / "how-to").glob("*.md")), DOCS / "reference/handover.md", DOCS / "reference/instrumentation.md"]
OTHER_PROGRAMS = {"pip", "python3", "install", "systemctl", "journalctl", "podman"}
"""To whom cpdd is a name and no command."""


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_python_of_a_page_compiles_and_uses_what_cpdd_has(page):
    for source in blocks(page, "python"):
        for node in ast.walk(ast.parse(source)):
            match node:
                case ast.Attribute(value=ast.Name(id="cpdd"), attr=name):
                    assert name in cpdd.__all__


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_of_a_page_exist_with_their_options(page):
    for line in "\n".join(blocks(page, "sh")).splitlines():
        words = shlex.split(line, comments=True)
        if "cpdd" not in words or words[0] in OTHER_PROGRAMS:
            continue
        command: click.Command | None = cli
        arguments = words[words.index("cpdd") + 1 :]
        while isinstance(command, click.Group):
            verb, *arguments = arguments
            command = command.get_command(click.Context(command), verb)
        assert command is not None, line
        known = {option for parameter in command.params for option in parameter.opts}
        said = {word for word in arguments if word.startswith("--")} if verb != "run" else set()
        assert said <= known, line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_of_a_page_lead_to_files(page):
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target
