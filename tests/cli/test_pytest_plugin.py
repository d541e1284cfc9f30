"""The pytest plugin, as a project that uses it sees it."""

import pytest

pytest_plugins = ["pytester"]

CONTRACT = """
[journey."buy"]
never_on_path = ["bank"]
"""
PROGRAM = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

trace.set_tracer_provider(TracerProvider())
tracer = trace.get_tracer("shop")

def buy(bank=False):
    with tracer.start_as_current_span("buy", attributes={"cpdd.journey": "buy"}):
        with tracer.start_as_current_span(
            "charge", kind=trace.SpanKind.CLIENT, attributes={"peer.service": "bank" if bank else "cache"}
        ):
            sum(range(20_000))
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makefile(".toml", contract=CONTRACT)
    pytester.makepyfile(program=PROGRAM)
    return pytester


def run(project: pytest.Pytester, tests: str, *options: str) -> pytest.RunResult:
    project.makepyfile(test_it=f"import pytest\nfrom program import buy\n{tests}")
    return project.runpytest_subprocess("-p", "no:cacheprovider", *options)


def test_the_plugin_is_there_by_its_entry_point_and_costs_no_collector(pytester):
    pytester.makepyfile(
        """
        import sys

        def test_light():
            assert "cpdd.cli._pytest" in sys.modules
            heavy = {name.partition(".")[0] for name in sys.modules} & {"collector", "ui", "numba", "opentelemetry"}
            assert heavy == set()
        """
    )

    pytester.runpytest_subprocess().assert_outcomes(passed=1)


@pytest.mark.parametrize("ci", ["", "true"])
def test_a_marked_test_that_ended_well_fails_with_the_picture_of_what_broke(ci, project, monkeypatch):
    monkeypatch.setenv("CI", ci)

    found = run(
        project,
        """
@pytest.mark.cpdd_contract("contract.toml", undecided="pass")
def test_well():
    buy()

@pytest.mark.cpdd_contract("contract.toml")
def test_broken():
    buy(bank=True)

@pytest.mark.cpdd_contract("contract.toml")
def test_wrong():
    buy(bank=True)
    assert False, "first of all"
""",
        "--strict-markers",
    )

    found.assert_outcomes(passed=1, failed=2)
    assert found.stdout.str().count("▶ charge") == 1
    found.stdout.fnmatch_lines(["*AssertionError: first of all*"])
    found.stdout.fnmatch_lines(
        ["contract.toml: broken: bank is never on the critical path: on it in 1 of 1 trace*", "*▶ charge*"]
    )


def test_the_fixture_checks_what_was_recorded_so_far(project):
    found = run(
        project,
        """
def test_one(cpdd_contract, cpdd_spans):
    buy()
    assert [span.name for span in cpdd_spans.spans] == ["charge", "buy"]
    cpdd_contract("contract.toml", undecided="pass")
    buy(bank=True)
    with pytest.raises(pytest.fail.Exception, match="bank is never"):
        cpdd_contract("contract.toml")

def test_another(cpdd_contract, cpdd_spans):
    assert cpdd_spans.spans == ()
""",
    )

    found.assert_outcomes(passed=2)


def test_what_cannot_be_said_fails_and_says_why(project):
    bodies = {
        "buy(); cpdd_contract('contract.toml')": "*not enough data*bank is never*never called in this journey*",
        "cpdd_contract('contract.toml')": "no span ended during the test*",
        "buy(); cpdd_contract('gone.toml')": "*gone.toml*",
        "buy(); cpdd_contract()": "*wants the file of a contract*",
    }
    tests = [f"def test_{n}(cpdd_contract):\n    {body}\n" for n, body in enumerate(bodies)]

    found = run(project, "\n".join(tests))

    found.assert_outcomes(failed=len(bodies))
    found.stdout.fnmatch_lines(list(bodies.values()))


def test_a_program_without_a_provider_is_given_one(pytester):
    pytester.makefile(".toml", contract=CONTRACT)
    source = PROGRAM.replace("trace.set_tracer_provider(TracerProvider())", "")
    pytester.makepyfile(program=source)

    found = run(pytester, "def test_one(cpdd_contract):\n    buy(); cpdd_contract('contract.toml', undecided='pass')\n")

    found.assert_outcomes(passed=1)
