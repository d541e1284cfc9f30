"""A report for people at a terminal. Pure: lines of text, journey by journey."""

from collections.abc import Iterator, Sequence

from rich.text import Text

from collector.core.findings.message import fact_words
from collector.core.findings.model import Finding
from collector.core.population.parts import Part
from collector.core.population.report import JourneyReport, Report
from collector.core.requirement import UNDETERMINED
from cpdd.cli._terminal import QUIET_STYLE, Look, printable
from cpdd.cli._whatif_text import columns
from ui.draw.text import count_of
from ui.draw.units import duration, part, whole_percent
from ui.report import answer

MOST_JOURNEYS = 5
MOST_FINDINGS = 5
MOST_PARTS = 8
MOST_EDGES = 6
MOST_WAYS = 3
WORTH_A_CELL = 0.005
"""A contribution nearer to nothing is left out."""
MOST_HIDDEN = 3
"""Hidden work below this share of the mean duration is not told: nobody would look for it."""
_BAR = 10


def report_lines(report: Report, look: Look) -> list[Text]:
    """Return the lines of a report; journeys that keep people waiting most come first."""
    lines = [
        Text(
            look.text(
                f"{count_of(report.traces, 'trace')} of {count_of(len(report.journeys), 'journey')}, "
                f"{count_of(report.spans, 'span')}"
            ),
            QUIET_STYLE,
        )
    ]
    if report.findings:
        lines += [Text(), *_findings(report.findings, look)]
    for journey in report.journeys[:MOST_JOURNEYS]:
        lines += [Text(), *_journey(journey, look)]
    if left := report.journeys[MOST_JOURNEYS:]:
        lines.append(Text())
        lines.append(Text(f"{len(left):,} more journeys: --json and --html have them all", QUIET_STYLE))
    return lines


def _findings(findings: Sequence[Finding], look: Look) -> Iterator[Text]:
    yield Text(count_of(len(findings), "finding"), "bold")
    for finding in findings[:MOST_FINDINGS]:
        about = f" ({finding.journey})" if finding.journey and finding.journey not in finding.title else ""
        for line in look.wrapped(printable(f"{finding.kind}: {finding.title}{about}")):
            yield Text(line)
        facts = f" {look.glyphs.dot} ".join(f"{fact.name} {fact_words(fact)}" for fact in finding.facts)
        owner = f" {look.glyphs.dot} owner {finding.owner}" if finding.owner else ""
        example = f" {look.glyphs.dot} trace {finding.examples[0]}" if finding.examples else ""
        for words in (finding.advice, look.text(facts + owner + example)):
            for line in look.wrapped(printable(words)):
                yield Text(line, QUIET_STYLE)
    if left := findings[MOST_FINDINGS:]:
        yield Text(f"{len(left):,} more findings: --json and --html have them all", QUIET_STYLE)


def _journey(journey: JourneyReport, look: Look) -> Iterator[Text]:
    yield Text(look.cut(look.text(printable(journey.journey)), look.width), "bold")
    for line in look.wrapped(answer(journey)):
        yield Text(line)
    failed = f"failed {part(journey.failed)}" if journey.status_known else "no status sent"
    facts = (
        f"{count_of(journey.traces, 'trace')}",
        f"mean {duration(journey.mean_ns)}",
        f"p50 {duration(journey.p50_ns)}",
        f"p95 {duration(journey.p95_ns)}",
        f"p99 {duration(journey.p99_ns)}",
        failed,
    )
    yield Text(look.text(f" {look.glyphs.dot} ".join(facts)), QUIET_STYLE)
    yield Text()
    yield from _parts(journey, look)
    yield Text()
    yield from _bands(journey, look)
    yield Text()
    yield from _ways(journey, look)
    if journey.waste.traces:
        yield Text(
            look.text(
                f"waste: {whole_percent(journey.waste.share)} of the time, {duration(journey.waste.superseded_ns)} per "
                f"trace in attempts that another followed, {duration(journey.waste.failed_ns)} in calls that failed"
            )
        )
    yield from (Text(line) for line in look.wrapped(_hidden(journey)))
    if journey.edges:
        yield Text()
        yield from _edges(journey, look)
    yield Text()
    yield Text(look.text(f"slowest {journey.examples.slowest[0]}, typical {journey.examples.typical[0]}"), QUIET_STYLE)


def _hidden(journey: JourneyReport) -> str:
    """The operations that work most while nobody waits for them; "" where that is little."""
    relevant = [
        f"{printable(f'{service} {operation}'.rstrip())} {duration(work.hidden_ns)} of {duration(work.work_ns)}"
        for (service, operation), work in journey.much_hidden_work
    ]
    return f"hidden work, off the path, per trace: {', '.join(relevant[:MOST_HIDDEN])}" if relevant else ""


def name_of_part(whose: Part) -> str:
    name = f"{whose.service} {whose.operation}".rstrip()
    return printable(f"{whose.caller_service} → {name}" if whose.is_gap else name)


def _parts(journey: JourneyReport, look: Look) -> Iterator[Text]:
    rows = list(journey.parts.items())
    largest = max((measures.share for _, measures in rows), default=1.0)
    cells = [("whose time it is", "", "share", "95 %", "in traces", "where it is", "of the tail")]
    for whose, measures in rows[:MOST_PARTS]:
        low, high = measures.share_interval
        cells.append(
            (
                name_of_part(whose),
                look.glyphs.path * round(_BAR * measures.share / largest),
                part(measures.share),
                f"{part(low)} to {part(high)}".replace("\u00a0% to", " to"),
                whole_percent(measures.participation),
                duration(measures.there_ns),
                whole_percent(measures.tail_contribution) if abs(measures.tail_contribution) >= WORTH_A_CELL else "",
            )
        )
    yield from columns(cells, look, names=True, bars=1)
    if rest := rows[MOST_PARTS:]:
        share = sum(measures.share for _, measures in rest)
        yield Text(look.text(f"{look.glyphs.ellipsis} {len(rest):,} more have {whole_percent(share)}"), QUIET_STYLE)
    if any(measures.tail_contribution <= -WORTH_A_CELL for _, measures in rows[:MOST_PARTS]):
        yield Text(look.text("of the tail: of what the slowest 1 % take longer than the faster half;"), QUIET_STYLE)
        yield Text(look.text("negative where they take less of it. All parts add up to 100 %."), QUIET_STYLE)


def _bands(journey: JourneyReport, look: Look) -> Iterator[Text]:
    cells = [("band", "from", "to", "traces", "waits most for")]
    for band in journey.bands:
        most = ", ".join(f"{whole_percent(share)} {name_of_part(whose)}" for whose, share in band.parts[:2])
        cells.append((band.name, duration(band.from_ns), duration(band.to_ns), f"{band.traces:,}", most))
    yield from columns(cells, look, words=4)


def _ways(journey: JourneyReport, look: Look) -> Iterator[Text]:
    ways = journey.signatures.ways
    yield Text(
        look.text(
            f"the path takes {count_of(len(ways), 'way')}, the first {min(MOST_WAYS, len(ways))} cover "
            f"{whole_percent(journey.signatures.coverage(MOST_WAYS))} "
            f"(entropy {journey.signatures.entropy_bits:.1f} bits)"
        ),
        QUIET_STYLE,
    )
    for way in ways[:MOST_WAYS]:
        steps = " → ".join(printable(f"{service} {operation}".rstrip()) for service, operation in way.steps)
        yield Text(look.cut(look.text(f"{whole_percent(way.share):>5}  {steps or 'no time'}"), look.width))


def _edges(journey: JourneyReport, look: Look) -> Iterator[Text]:
    cells = [("calls", "blocked on it", "calls", "p95", "failed", "requirement")]
    for row in journey.edges[:MOST_EDGES]:
        edge = row.edge
        word = "?" if edge.verdict.verdict == UNDETERMINED else edge.verdict.verdict
        cells.append(
            (
                printable(
                    f"{edge.caller.service or '?'} → {edge.callee.service or '?'} {edge.callee.operation}".rstrip()
                ),
                part(row.blocked),
                f"{edge.calls:,}",
                "" if edge.p95_ns is None else duration(edge.p95_ns),
                f"{edge.failed:,}" if edge.failed else "",
                word,
            )
        )
    yield from columns(cells, look, names=True)
