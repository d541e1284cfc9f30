"""From a line of code to an address that is safe to follow."""

import string
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.core.code import CodePlace, SourceTree
from cpdd.setting_values import parse_link_template
from ui.views.source_link import repository_address, source_link

BANK = CodePlace("/app/shop/bank.py", 48, "shop.bank.pay")
REVISION = "0af7651916cd43dd8448eb211c80319c00000000"


def tree(url: str, **more: str) -> SourceTree:
    return SourceTree(**{"root": "/app", "repository_url": url, "revision": REVISION} | more)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://github.com/shop/pay", f"https://github.com/shop/pay/blob/{REVISION}/shop/bank.py#L48"),
        ("git@github.com:shop/pay.git", f"https://github.com/shop/pay/blob/{REVISION}/shop/bank.py#L48"),
        ("https://github.corp.example/a/b", f"https://github.corp.example/a/b/blob/{REVISION}/shop/bank.py#L48"),
        ("https://gitlab.com/a/b/c", f"https://gitlab.com/a/b/c/-/blob/{REVISION}/shop/bank.py#L48"),
        ("https://gitlab.corp.example:8443/a/b", f"https://gitlab.corp.example:8443/a/b/-/blob/{REVISION}/shop/bank.py#L48"),
        ("https://bitbucket.org/a/b", f"https://bitbucket.org/a/b/src/{REVISION}/shop/bank.py#lines-48"),
        ("https://codeberg.org/a/b", f"https://codeberg.org/a/b/src/commit/{REVISION}/shop/bank.py#L48"),
        ("https://git.corp.example/a/b", ""),
    ],
)  # fmt: skip
def test_each_forge_spells_the_address_of_a_line_in_its_way(url, address):
    assert source_link(BANK, tree(url)) == address


def test_a_resource_may_name_the_kind_of_its_forge():
    link = source_link(BANK, tree("https://git.corp.example/a/b", provider="gitlab"))

    assert link == f"https://git.corp.example/a/b/-/blob/{REVISION}/shop/bank.py#L48"


def test_a_template_comes_before_what_is_known():
    template = parse_link_template("https://code.example/{repository}/x?at={revision}&p={path}&f={function}#{line}")

    link = source_link(CodePlace("/app/a b/ü.py", 7, "<f>"), tree("https://github.com/shop/pay"), template)

    assert link == f"https://code.example/shop/pay/x?at={REVISION}&p=a%20b/%C3%BC.py&f=%3Cf%3E#7"


def test_without_a_line_the_file_is_linked():
    link = source_link(CodePlace("/app/a.py", 0, ""), tree("https://github.com/a/b"))

    assert link == f"https://github.com/a/b/blob/{REVISION}/a.py"


@pytest.mark.parametrize(
    ("place", "where"),
    [
        (None, tree("https://github.com/a/b")),
        (BANK, tree("https://github.com/a/b", revision="")),
        (BANK, tree("https://github.com/a/b", revision="../../x")),
        (BANK, tree("https://github.com/a/b", revision='x" onclick="')),
        (BANK, tree("https://github.com/a/b", root="")),
        (BANK, tree("https://github.com/a/b", root="/other")),
        (CodePlace("/app/../../etc/passwd", 1, ""), tree("https://github.com/a/b")),
        (CodePlace("<frozen importlib>/..", 1, ""), tree("https://github.com/a/b")),
        (BANK, tree("https://github.com/../b")),
        (BANK, tree("")),
    ],
)
def test_what_cannot_be_linked_honestly_is_not(place, where):
    assert source_link(place, where) == ""


HOSTILE = [
    "javascript:alert(1)//github.com/a/b",
    "data:text/html,<script>alert(1)</script>",
    "file:///etc/passwd",
    "https://github.com:99999/a/b",
    "https://[::1]/a/b",
    "https://git\u202ehub.com/a/b",
    "https://github.com\x00.evil.example/a",
    "https://gi thub.com/a/b",
    "//github.com/a/b",
    "https:///a/b",
    "\x01https://",
]


@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_repository_has_no_address(url):
    assert repository_address(url) == ""


def test_credentials_are_never_part_of_a_link():
    assert repository_address("https://me:token@github.com/a/b?x#y") == "https://github.com/a/b"


@given(st.text(), st.text(), st.text(alphabet=string.printable), st.text(), st.integers(0, 10**6))
def test_whatever_spans_say_a_link_is_plain_http(path, root, url, function, line):
    for repository in (url, f"https://github.com/{url}", f"https://{url}/a/b"):
        where = SourceTree(root, repository, REVISION)
        link = source_link(CodePlace(f"{root}/{path}", line, function), where)

        if link:
            assert urlsplit(link).scheme in ("http", "https")
            assert urlsplit(link).username is None
            assert link.isascii()
            assert not set(link) & set("\"'<> \\\n\t`{}")


@pytest.mark.parametrize(
    "template",
    ["javascript:{url}", "{url}", "https://{path}/x", "https://x.example/{commit}", "https://x.example/{path", "/x"],
)
def test_a_template_that_could_lead_elsewhere_is_refused(template):
    with pytest.raises(ValueError, match=r"does not begin|is one of"):
        parse_link_template(template)
