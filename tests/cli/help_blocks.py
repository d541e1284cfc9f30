"""What the command prints inside docs/: `python -m tests.cli.help_blocks` writes it anew.

A block stands between `<!-- help: VERB -->`, `<!-- picture -->` or `<!-- check -->` and `<!-- end -->`.
"""

import re
from pathlib import Path

from click.testing import CliRunner

from collector.core.contracts import Population, check, read_contract
from collector.core.explain import explain
from collector.core.policy import PathPolicy
from cpdd.cli import cli
from cpdd.cli._contract import Checked, drawer
from cpdd.cli._contract_text import contract_lines, plain
from cpdd.cli._path_text import path_lines
from cpdd.cli._terminal import Look
from tests.core.drawing import read_trace
from ui.draw.units import NBSP

REFERENCE = Path(__file__).parents[2] / "docs/reference/cli.md"
CONTRACTS = Path(__file__).parents[2] / "docs/how-to/contracts.md"
DRAWING = """
    shop/POST /checkout 0-100 server
    cart/GET /cart 20-60 server in "shop/POST /checkout"
    redis/GET 30-40 in "cart/GET /cart" error
    payment/POST /pay 70-90 server in "shop/POST /checkout"
    mail/send 88-130 in "shop/POST /checkout"
"""
CONTRACT = """
[journey."shop: POST /checkout"]
never_on_path = ["mail", "payment"]
min_traces = 1
at_most = { "shop -> cart" = "50ms" }
mandatory = { calls = ["shop -> payment"], by = "observed" }
"""
_CHECK = re.compile(r"<!-- check -->\n.*?<!-- end -->", re.DOTALL)
_PICTURE = re.compile(r"<!-- picture -->\n.*?<!-- end -->", re.DOTALL)
_BLOCK = re.compile(r"<!-- help: ([a-z-]+) -->\n.*?<!-- end -->", re.DOTALL)


def verbs_in(text: str) -> list[str]:
    return [match[1] for match in _BLOCK.finditer(text)]


def renewed(text: str) -> str:
    """Return a page with its help texts and its picture as the command prints them."""
    text = _CHECK.sub(f"<!-- check -->\n```text\n{checked()}\n```\n<!-- end -->", text)
    text = _PICTURE.sub(f"<!-- picture -->\n```text\n{picture()}\n```\n<!-- end -->", text)
    return _BLOCK.sub(lambda match: f"<!-- help: {match[1]} -->\n```text\n{help_of(match[1])}```\n<!-- end -->", text)


def help_of(verb: str) -> str:
    result = CliRunner().invoke(cli, [verb, "--help"], prog_name="cpdd", terminal_width=100)
    assert result.exit_code == 0, result.output
    return result.output


def picture() -> str:
    """What `cpdd path` prints of a small trace."""
    batch = read_trace(DRAWING, "ms")
    (explained,) = explain(batch)
    return "\n".join(line.plain.rstrip() for line in path_lines(explained, batch, Look(80))).replace(NBSP, " ")


def checked() -> str:
    """What `cpdd check` prints of the same trace."""
    batch = read_trace(DRAWING, "ms")
    contract = read_contract(CONTRACT, "contract.toml")
    found = Checked(contract, check(contract, Population(batch), {}), undecided_passes=False)
    return plain(list(contract_lines(found, drawer(batch, PathPolicy()), Look(100)))).replace(NBSP, " ")


if __name__ == "__main__":
    for page in (REFERENCE, CONTRACTS):
        page.write_text(renewed(page.read_text(encoding="utf-8")), encoding="utf-8")
