"""Golden cases of the critical path: a drawing and its answer, worked out by hand from the rules.

Each file in golden/ holds the cases of a rule; those of docs/explanation/critical-path.md are run too. Both
implementations must give every answer.

    # a title is a sentence; text before the first title is for the reader
    because: what is subtle about it
    with: unit=ms overflow=clip max_skew=5 target=trace reporting=pay payments
    checkout 0-100                            the drawing, see drawing.py
    stock 10-40 in checkout
    => checkout 0-10 self-first, ...          the path; `nothing` where it is empty
    fragment LABEL KIND => ...                a path of its own, off the target's; order does not matter
    flags: LABEL flag flag, LABEL flag        every node that has flags
    shift: LABEL +5                           every node that was moved
    between: LABEL 10..30                     every node whose least or greatest time is not its time
    completeness: 4/10                        1 where it is not said
    ambiguity: 3/10                           0 where it is not said
    times: LABEL 0-70                         start and end after rules 4 and 5, of those listed
    slack: LABEL 10..20                       cautious..bold, one number for both, `none`; of those listed
    drag: LABEL 10..20                        likewise

What is not listed is not there: a flag, a fragment, a shift or a doubt too many fails the case.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import pytest

from collector.core.explain import Explanation, PathNode, PathPolicy, Section, explain
from tests.core.drawing import (
    EPOCH_NS,
    UNITS_NS,
    links_of,
    make_batch,
    node_labels,
    read_spans,
    read_stretch,
    read_time,
)
from tests.core.slow_path import RULE_FLAGS, slow_explain

GOLDEN = Path(__file__).parent / "golden"
EXPLANATION = Path(__file__).parents[2] / "docs/explanation/critical-path.md"
Stretches = list[tuple[str, int, int, str]]


@dataclass
class Case:
    """A drawing, the options it is explained with, and the answer as text."""

    title: str
    drawing: list[str] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)
    answer: dict[str, str] = field(default_factory=dict)
    fragments: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def unit(self) -> str:
        return self.options.get("unit", "ns")

    def time(self, text: str) -> int:
        return read_time(text, UNITS_NS[self.unit])

    def items(self, key: str) -> dict[str, str]:
        """What a line says of each label."""
        pairs = (item.strip().split(" ", maxsplit=1) for item in self.answer.get(key, "").split(",") if item.strip())
        return dict(pairs)

    def stretches(self, text: str) -> Stretches:
        """`a 0-10 leaf, ...` as values."""
        if text == "nothing":
            return []
        found = []
        for item in text.split(", "):
            label, times, reason = item.rsplit(" ", maxsplit=2)
            found.append((label, *self.stretch(times), reason))
        return found

    def stretch(self, text: str) -> tuple[int, int]:
        stretch = read_stretch(text, UNITS_NS[self.unit])
        assert stretch is not None, f"START-END expected, not {text}"
        assert stretch[1] is not None, f"an answer has an end: {text}"
        return stretch[0], stretch[1]

    def pair(self, text: str) -> tuple[int, int] | None:
        """`10..20`, or `10` for both, or `none`."""
        if text == "none":
            return None
        low, _, high = text.partition("..")
        return self.time(low), self.time(high or low)


def read_cases(text: str) -> list[Case]:
    cases: list[Case] = []
    for line in text.splitlines():
        if line.startswith("# "):
            cases.append(Case(line[2:]))
        elif cases and line.strip():
            _read_line(cases[-1], line.strip())
    return cases


def _read_line(case: Case, line: str) -> None:
    if line.startswith("because:"):
        return
    if line.startswith("=> "):
        case.answer["path"] = line[3:]
    elif match := re.fullmatch(r"fragment (.+) (\S+) => (.+)", line):
        case.fragments[match[1], match[2]] = match[3]
    elif match := re.fullmatch(r"with: (.+)", line):
        case.options = {m[1]: m[2].strip() for m in re.finditer(r"(\w+)=([^=]+?)(?= \w+=|$)", match[1])}
    elif match := re.fullmatch(r"(flags|shift|between|completeness|ambiguity|times|slack|drag): (.+)", line):
        case.answer[match[1]] = match[2]
    else:
        case.drawing.append(line)


def documented_cases() -> list[Case]:
    """The drawings of the explanation: a case ends with its block, and pictures stand before titles."""
    blocks = re.findall(r"```text\n(.*?)```", EXPLANATION.read_text(), re.DOTALL)
    return [case for block in blocks for case in read_cases(block)]


CASES = {
    f"{path.stem}: {case.title}": case for path in sorted(GOLDEN.glob("*.txt")) for case in read_cases(path.read_text())
} | {f"{EXPLANATION.stem}: {case.title}": case for case in documented_cases()}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize("explain_traces", [slow_explain, explain], ids=["slow", "fast"])
def test_the_answer_is_the_one_worked_out_by_hand(case: Case, explain_traces: Callable[..., list[Explanation]]) -> None:
    labels, explanation = explained(case, explain_traces)

    assert answer_of(explanation, labels, case) == expected(case)


def test_titles_are_told_apart_and_there_are_enough_of_them() -> None:
    titles = [case.title for path in GOLDEN.glob("*.txt") for case in read_cases(path.read_text())]
    documented = [case.title for case in documented_cases()]

    assert len(titles) == len(set(titles)) == len(CASES) - len(documented)
    assert len(titles) > 180
    assert len(documented) == len(set(documented)) == 8


def explained(case: Case, explain_traces: Callable[..., list[Explanation]]) -> tuple[dict[str, str], Explanation]:
    """Explain a case; return the labels of its nodes, and the one explanation."""
    spans = read_spans("\n".join(case.drawing), case.unit)
    labels = node_labels(spans)
    ids = {label: node_id for node_id, label in labels.items()}
    target = case.options.get("target", "root")
    (explanation,) = explain_traces(
        make_batch(spans),
        policy=PathPolicy(
            overflow=case.options.get("overflow", "auto"),
            max_skew_ns=case.time(case.options.get("max_skew", "1s")),
        ),
        target=target if target == "trace" else ids.get(target, target),
        reporting_services=frozenset(case.options["reporting"].split()) if "reporting" in case.options else None,
        links=links_of(spans),
    )
    return labels, explanation


def expected(case: Case) -> dict[str, object]:
    """The answer of the file, as values."""
    return {
        "path": case.stretches(case.answer["path"]),
        "fragments": {fragment: case.stretches(path) for fragment, path in case.fragments.items()},
        "flags": {label: said.split() for label, said in case.items("flags").items()},
        "shift": {label: case.time(said.lstrip("+")) for label, said in case.items("shift").items()},
        "between": {label: case.pair(said) for label, said in case.items("between").items()},
        "completeness": float(Fraction(case.answer.get("completeness", "1"))),
        "ambiguity": float(Fraction(case.answer.get("ambiguity", "0"))),
        "times": {label: case.stretch(said) for label, said in case.items("times").items()},
        "slack": {label: case.pair(said) for label, said in case.items("slack").items()},
        "drag": {label: case.pair(said) for label, said in case.items("drag").items()},
    }


def answer_of(explanation: Explanation, labels: dict[str, str], case: Case) -> dict[str, object]:
    """What an implementation answered, in the form of `expected`."""
    nodes = {labels[node.id]: node for node in explanation.nodes}

    def stretches(sections: tuple[Section, ...]) -> Stretches:
        return [
            (
                labels[explanation.nodes[section.node].id],
                section.start_unix_nano - EPOCH_NS,
                section.end_unix_nano - EPOCH_NS,
                section.reason,
            )
            for section in sections
        ]

    def listed(key: str, value: Callable[[PathNode], object]) -> dict[str, object]:
        return {label: value(nodes[label]) for label in case.items(key)}

    return {
        "path": stretches(explanation.sections),
        "fragments": {
            (labels[explanation.nodes[fragment.node].id], fragment.kind): stretches(fragment.sections)
            for fragment in explanation.fragments
        },
        "flags": {label: flags for label, node in nodes.items() if (flags := sorted(RULE_FLAGS & set(node.flags)))},
        "shift": {label: node.shift_ns for label, node in nodes.items() if node.shift_ns},
        "between": {
            label: (node.time_min_ns, node.time_max_ns)
            for label, node in nodes.items()
            if not node.time_min_ns == node.time_ns == node.time_max_ns
        },
        "completeness": pytest.approx(explanation.completeness, abs=1e-12),
        "ambiguity": pytest.approx(explanation.ambiguity, abs=1e-12),
        "times": listed("times", lambda node: (node.start_unix_nano - EPOCH_NS, node.end_unix_nano - EPOCH_NS)),
        "slack": listed("slack", lambda node: _pair(node.slack_ns, node.slack_max_ns)),
        "drag": listed("drag", lambda node: _pair(node.drag_ns, node.drag_max_ns)),
    }


def _pair(cautious: int | None, bold: int | None) -> tuple[int | None, int | None] | None:
    return None if cautious is None and bold is None else (cautious, bold)
