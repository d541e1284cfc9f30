"""Which line a span comes from, and whose it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.core.code import WHOSE, CodePlace, code_place, path_in_tree, source_tree, whose

INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = 1, 2, 3, 4, 5
FLASK = "opentelemetry.instrumentation.flask"


def place(path: str) -> CodePlace:
    return CodePlace(path, 1, "f")


@pytest.mark.parametrize(
    "attributes",
    [
        (("code.file.path", "/app/bank.py"), ("code.line.number", 48), ("code.function.name", "shop.bank.pay")),
        (
            ("code.filepath", "/app/bank.py"),
            ("code.lineno", "48"),
            ("code.function", "pay"),
            ("code.namespace", "shop.bank"),
        ),
    ],
)
def test_a_place_is_read_in_todays_and_in_yesterdays_spelling(attributes):
    assert code_place(attributes) == CodePlace("/app/bank.py", 48, "shop.bank.pay")


@pytest.mark.parametrize("line", [None, -1, 0, True, "4 8", "9" * 50, 10**12, 3.5, ["48"]])
def test_a_line_that_is_none_is_left_out(line):
    assert code_place((("code.file.path", "a.py"), ("code.line.number", line))) == CodePlace("a.py", 0, "")


def test_a_span_that_names_no_code_has_no_place():
    assert code_place((("code.line.number", 48), ("code.file.path", b"x"))) is None


def test_a_tree_is_what_the_resource_says():
    tree = source_tree(
        (("cpdd.source.root", "/app"), ("vcs.ref.head.revision", "0af7"), ("vcs.provider.name", "GitHub"))
    )

    assert (tree.root, tree.revision, tree.provider, tree.repository_url) == ("/app", "0af7", "github", "")


@pytest.mark.parametrize(
    ("path", "root", "inside"),
    [
        ("/app/a/b.py", "/app", "a/b.py"),
        ("/app/a/b.py", "/app/", "a/b.py"),
        ("/application/b.py", "/app", ""),
        ("C:\\work\\shop\\a.cs", "C:\\work", "shop/a.cs"),
        ("./src/a.go", "/app", "src/a.go"),
        ("/app/../etc/passwd", "/app", ""),
        ("/app//a.py", "/app", ""),
        ("/app/a.py", "", ""),
        ("", "/app", ""),
    ],
)
def test_a_path_counts_from_the_root_of_its_tree(path, root, inside):
    assert path_in_tree(path, root) == inside


@pytest.mark.parametrize(
    ("kind", "where", "scope", "expected"),
    [
        (INTERNAL, place("/app/shop/bank.py"), "shop", "ours"),
        (INTERNAL, place("/app/.venv/lib/python3.11/site-packages/jinja2/loader.py"), "shop", "library"),
        (INTERNAL, place("/app/node_modules/express/index.js"), "", "library"),
        (INTERNAL, place("/usr/lib/python3.11/json/decoder.py"), "shop", "library"),
        (INTERNAL, place("vendor.py"), "", "ours"),
        (INTERNAL, None, "opentelemetry.instrumentation.jinja2", "library"),
        (INTERNAL, None, "shop.checkout", "ours"),
        (INTERNAL, None, "", "unknown"),
        (SERVER, None, FLASK, "ours"),
        (CONSUMER, None, "", "ours"),
        (CLIENT, place("/app/shop/bank.py"), "opentelemetry.instrumentation.requests", "dependency"),
        (PRODUCER, None, "", "dependency"),
    ],
)
def test_own_time_is_ours_a_librarys_or_a_dependencys(kind, where, scope, expected):
    assert whose(kind, where, "/app", scope) == expected


def test_without_a_root_only_folders_of_libraries_tell():
    assert whose(INTERNAL, place("/srv/shop/bank.py"), "", "") == "ours"
    assert whose(INTERNAL, place("/go/pkg/mod/github.com/x/y.go"), "", "") == "library"


@given(st.integers(0, 5), st.text(), st.text(), st.text())
def test_every_span_is_somebodys(kind, path, root, scope):
    assert whose(kind, CodePlace(path, 0, "f"), root, scope) in WHOSE
