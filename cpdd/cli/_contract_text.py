"""A checked contract in words, pictures, JSON and JUnit's XML. Pure."""

import re
import textwrap
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from itertools import groupby

from rich.text import Text

from collector.core.contracts import Outcome, RuleResult
from collector.core.contracts.results import Fact
from cpdd.cli._contract import Checked, Draw
from cpdd.cli._terminal import FAILED_STYLE, QUIET_STYLE, Look, printable
from ui.draw.units import NBSP, duration

_STYLES = {Outcome.KEPT: QUIET_STYLE, Outcome.BROKEN: FAILED_STYLE, Outcome.UNDECIDED: "bold"}
_WIDTH = max(len(outcome.value) for outcome in Outcome)
_PLAIN = Look(100)
"""Of pictures in files."""
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def contract_lines(checked: Checked, draw: Draw, look: Look) -> Iterator[Text]:
    """Yield a line for each rule, below a broken one its picture, and the sum."""
    for journey, results in groupby(checked.results, key=lambda result: result.journey):
        yield Text(look.cut(printable(journey), look.width), "bold")
        for result in results:
            yield from _rule_lines(result, look)
            if result.example:
                yield Text()
                yield from draw(result.example, look)
                yield Text()
        yield Text()
    yield Text(summary(checked), FAILED_STYLE if not checked.is_good else "bold")


def _rule_lines(result: RuleResult, look: Look) -> Iterator[Text]:
    """The outcome in a column of its own, and the sentence beside it."""
    indent = " " * (_WIDTH + 4)
    lines = textwrap.wrap(
        look.text(sentence(result)), look.width, initial_indent=indent, subsequent_indent=indent, break_long_words=False
    )
    first = Text(f"  {result.outcome.value:{_WIDTH}}  ", _STYLES[result.outcome])
    yield first.append(lines[0][len(indent) :], "" if result.outcome is not Outcome.KEPT else QUIET_STYLE)
    yield from (Text(line) for line in lines[1:])


def sentence(result: RuleResult) -> str:
    """Return a rule and what became of it.

    >>> facts = {"quantile": "p95", "most_ns": 400_000_000, "found_ns": 410_000_000, "traces": 1200}
    >>> latency = RuleResult("buy", "latency", "{quantile} is at most {most_ns}", Outcome.BROKEN, "{found_ns}", facts)
    >>> sentence(latency).replace(NBSP, " ")
    'p95 is at most 400 ms: 410 ms'
    """
    return f"{title(result)}: {why(result)}"


def title(result: RuleResult) -> str:
    return _filled(result.title, result)


def why(result: RuleResult) -> str:
    return _filled(result.why, result)


def _filled(template: str, result: RuleResult) -> str:
    return template.format_map({name: _fact(name, value) for name, value in result.facts.items()})


def _fact(name: str, value: Fact) -> str:
    match value:
        case str():
            return printable(value)
        case _ if name.endswith("_ns"):
            return duration(value)
        case _ if name in ("calls", "traces"):
            return f"{value:,} {name[:-1] if value == 1 else name}"
        case _:
            return f"{value:,}"


def summary(checked: Checked) -> str:
    """Return the last line: how many rules ended in which way, and what that comes to."""
    kept, broken, undecided = (checked.count(outcome) for outcome in Outcome)
    total = f"{len(checked.results)} rule{'' if len(checked.results) == 1 else 's'}"
    name = printable(checked.contract.name)
    if broken:
        rest = f", {undecided} not enough data" if undecided else ""
        return f"{name}: {broken} of {total} broken ({kept} kept{rest})"
    if undecided:
        hint = "which passes" if checked.undecided_passes else "which is no pass; --undecided pass lets it be one"
        return f"{name}: {kept} of {total} kept, not enough data for {undecided}, {hint}"
    return f"{name}: {total} kept"


def contract_json(checked: Checked) -> dict[str, object]:
    """Return the JSON of `cpdd check --json`; docs/reference/contracts.md describes it."""
    kept, broken, undecided = (checked.count(outcome) for outcome in Outcome)
    return {
        "contract": checked.contract.name,
        "good": checked.is_good,
        "kept": kept,
        "broken": broken,
        "undecided": undecided,
        "rules": [
            {
                "journey": result.journey,
                "rule": result.rule,
                "outcome": result.outcome.name.lower(),
                "title": title(result).replace(NBSP, " "),
                "why": why(result).replace(NBSP, " "),
                "facts": dict(result.facts),
                "trace_id": result.example.trace_id if result.example else None,
                "span_ids": list(result.example.span_ids) if result.example else [],
            }
            for result in checked.results
        ],
    }


def contract_junit(checked: Checked, draw: Draw) -> bytes:
    """Return JUnit's XML: a test case for each rule, the picture of what broke it in its failure."""
    bad = [result for result in checked.results if checked.is_bad(result)]
    skipped = [r for r in checked.results if r.outcome is Outcome.UNDECIDED and checked.undecided_passes]
    counts = {"tests": len(checked.results), "failures": len(bad), "errors": 0, "skipped": len(skipped)}
    numbers = {name: str(count) for name, count in counts.items()}
    suites = ET.Element("testsuites", numbers)
    suite = ET.SubElement(suites, "testsuite", {"name": _xml(checked.contract.name), **numbers})
    for result in checked.results:
        names = {"classname": _xml(result.journey), "name": _xml(title(result))}
        case = ET.SubElement(suite, "testcase", names)
        if result.outcome is Outcome.KEPT:
            continue
        message = {"message": _xml(why(result))}
        if not checked.is_bad(result):
            ET.SubElement(case, "skipped", message)
            continue
        failure = ET.SubElement(case, "failure", {**message, "type": result.outcome.value})
        picture = plain(draw(result.example, _PLAIN)) if result.example else ""
        failure.text = _xml(f"{sentence(result)}\n\n{picture}".rstrip())
    ET.indent(suites)
    return bytes(ET.tostring(suites, encoding="utf-8", xml_declaration=True))


def plain(lines: list[Text]) -> str:
    """Return lines without styles."""
    return "\n".join(line.plain.rstrip() for line in lines)


def _xml(text: str) -> str:
    """Text without what XML cannot hold."""
    return _NOT_IN_XML.sub("\ufffd", text.replace(NBSP, " "))
