"""The pytest plugin: contracts for the code under test. docs/how-to/contracts.md shows how it is used.

    @pytest.mark.cpdd_contract("contract.toml")
    def test_checkout(client): ...

    def test_cart(client, cpdd_contract):
        client.get("/cart")
        cpdd_contract("contract.toml")

pytest loads this module in every run of whoever has cpdd installed: it imports nothing that costs time until a test
asks for spans, and the collector only when a contract is checked.
"""

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import pytest

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from collector.core.spans import SpanBatch
    from cpdd.testing import MemoryExporter

MARKER = "cpdd_contract"
Undecided = Literal["fail", "pass"]

_BROKEN = pytest.StashKey[str]()
"""In the item of a test that broke a contract: the sentence that its failure begins with."""

_recorders: "dict[int, MemoryExporter]" = {}
"""By tracer provider: a provider takes processors and never gives them back, so there is one for all tests."""


class ContractCheck(Protocol):
    """What the fixture `cpdd_contract` gives."""

    def __call__(self, *contracts: str | Path, undecided: Undecided = "fail") -> None:
        """Hold what was recorded so far against contracts; paths count from pytest's root.

        Args:
            undecided: what a rule counts as that there is not enough data for.
        """


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        f"{MARKER}(*contracts, undecided='fail'): hold the spans that the test made against contracts when it ends",
    )


@pytest.fixture
def cpdd_spans() -> "Generator[MemoryExporter]":
    """The spans that end during the test, of the program's tracer provider."""
    recorder = _recorder()
    recorder.clear()
    yield recorder
    recorder.clear()


@pytest.fixture
def cpdd_contract(cpdd_spans: "MemoryExporter", request: pytest.FixtureRequest) -> ContractCheck:
    """Hold the spans of the test so far against contracts: `cpdd_contract("contract.toml")`."""

    def check(*contracts: str | Path, undecided: Undecided = "fail") -> None:
        _check(cpdd_spans.spans, contracts, undecided, request.node)

    return check


@pytest.hookimpl(trylast=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin to record for a marked test, behind its fixtures."""
    if item.get_closest_marker(MARKER) is not None:
        _recorder().clear()


@pytest.hookimpl(trylast=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Check the contracts of a marked test behind its body; a body that failed never gets here."""
    for marker in item.iter_markers(MARKER):
        undecided = marker.kwargs.get("undecided", "fail")
        _check(_recorder().spans, marker.args, undecided, item)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Give pytest's summary the sentence alone: where `CI` is set it does not cut, and would draw the trace twice."""
    report = yield
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None and item.stash.get(_BROKEN, "\0") in crash.message:
        crash.message = item.stash[_BROKEN]
    return report


def _recorder() -> "MemoryExporter":
    """What records the ended spans of the tracer provider; a program without a provider is given one."""
    from opentelemetry import trace  # noqa: PLC0415 - only runs that use it pay for it
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: PLC0415

    import cpdd  # noqa: PLC0415
    from cpdd.testing import MemoryExporter  # noqa: PLC0415

    recorder = MemoryExporter()
    provider = trace.get_tracer_provider()
    if id(provider) in _recorders:
        return _recorders[id(provider)]
    if isinstance(provider, TracerProvider):
        provider.add_span_processor(SimpleSpanProcessor(recorder))
        _recorders[id(provider)] = recorder
        return recorder
    own = cpdd.init(processor=SimpleSpanProcessor(recorder)).provider
    if own is None:
        pytest.fail("cpdd records no spans: tracing is off (OTEL_SDK_DISABLED)", pytrace=False)
    _recorders[id(own)] = recorder
    return recorder


def _check(spans: "Sequence[ReadableSpan]", contracts: Sequence[str | Path], undecided: str, item: pytest.Item) -> None:
    """Fail the test with what is broken, each rule and the trace that broke it."""
    from collector.core.contracts import ContractError  # noqa: PLC0415 - the collector, when it is needed
    from collector.core.policy import PathPolicy  # noqa: PLC0415
    from cpdd.cli._contract import check_spans, drawer, load_contract  # noqa: PLC0415
    from cpdd.cli._contract_text import contract_lines, plain, sentence  # noqa: PLC0415
    from cpdd.cli._terminal import Look  # noqa: PLC0415

    if not contracts or undecided not in ("fail", "pass"):
        pytest.fail(f"{MARKER} wants the file of a contract, and undecided is 'fail' or 'pass'", pytrace=False)
    if not spans:
        pytest.fail(
            "no span ended during the test\nhint: is the code under test instrumented (cpdd.init), and sampled?",
            pytrace=False,
        )
    batch, policy = _batch(spans), PathPolicy()
    for contract in contracts:
        try:
            checked = check_spans(load_contract(contract, item.config.rootpath), batch, policy, undecided == "pass")
        except ContractError as error:
            pytest.fail(str(error), pytrace=False)
        if not checked.is_good:
            lines = plain(list(contract_lines(checked, drawer(batch, policy), Look(100))))
            first = next(filter(checked.is_bad, checked.results))
            item.stash[_BROKEN] = f"{contract}: {first.outcome.value}: {sentence(first)}"
            pytest.fail(f"{item.stash[_BROKEN]}\n\n{lines}", pytrace=False)


def _batch(spans: "Sequence[ReadableSpan]") -> "SpanBatch":
    """The spans as a collector would have received them."""
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans  # noqa: PLC0415

    from collector.core.wire import decode_traces  # noqa: PLC0415

    batch, _ = decode_traces(encode_spans(spans).SerializeToString())
    return batch
