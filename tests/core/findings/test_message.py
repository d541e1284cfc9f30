"""Findings as messages."""

from collector.core.findings.message import as_json, as_slack
from collector.core.findings.model import Fact, Finding
from collector.core.findings.tracking import Tracked

FINDING = Finding(
    kind="hidden mandatory",
    journey="check out",
    subject="7",
    title="shop <fails> with pricing",
    advice="Give it a fallback.",
    service="shop",
    urgency="notice",
    facts=(Fact("failed", 1234, "count"), Fact("survival", 0.02, "share", (0.0, 0.08))),
    owner="Storefront #storefront",
    examples=("ab" * 16,),
)
OPEN = Tracked(FINDING, 1_000, 2_000)
CLEARED = Tracked(FINDING, 1_000, 2_000, 3_000, "its failures are survived")


def test_plain_json_has_the_whole_finding_and_links():
    message = as_json(OPEN, "http://cpdd:16686")

    assert message["event"] == "opened"
    assert message["address"] == f"http://cpdd:16686/findings#{FINDING.id}"
    assert message["examples"] == ["http://cpdd:16686/traces/" + "ab" * 16]
    assert message["facts"][1] == {"name": "survival", "value": 0.02, "unit": "share", "interval": (0.0, 0.08)}


def test_without_an_address_of_the_pages_there_are_no_links():
    assert as_json(CLEARED, "")["address"] == ""
    assert as_json(CLEARED, "")["event"] == "cleared"


def test_slack_gets_a_few_lines_with_nothing_that_it_would_take_for_markup():
    text = as_slack(OPEN, "http://cpdd:16686")["text"]

    assert text == (
        f":mag: *hidden mandatory*: <http://cpdd:16686/findings#{FINDING.id}|shop &lt;fails&gt; with pricing>\n"
        "failed 1,234, survival 2 % (0 to 8 %) · owner Storefront #storefront\n"
        "Give it a fallback."
    )


def test_slack_is_told_why_something_cleared():
    assert as_slack(CLEARED, "")["text"] == (
        ":white_check_mark: cleared: shop &lt;fails&gt; with pricing (its failures are survived)"
    )
