"""`cpdd boost`: keep more traces of something, for a while."""

import json
import re
from collections.abc import Mapping
from typing import Any

import click

from cpdd.cli._control import ControlClient, author, clock_of, length_of, quoted, read_share, share_of
from cpdd.cli._proposals_text import proposal_lines
from cpdd.cli._settings import read_settings, setting_flags
from cpdd.detail_letters import DETAILS
from cpdd.setting_values import parse_duration_ns


def read_length(ctx: click.Context, param: click.Parameter, text: str) -> float:
    """Return the seconds that `5m`, `90s`, `1h` or a bare number of seconds means."""
    text = text.strip()
    if match := re.fullmatch(r"(\d+(?:\.\d+)?)\s*(h?)", text):
        return float(match[1]) * (3_600 if match[2] else 1)
    try:
        return parse_duration_ns(text) / 1e9
    except ValueError:
        raise click.BadParameter(f"{text!r} is no length of time such as 5m, 90s or 1h") from None


@click.command()
@click.argument("service", required=False)
@click.option("--op", "operation", metavar="NAME", help="An operation, of the service's own or deep inside; else all.")
@click.option("--from", "caller", metavar="SERVICE", help="Only where this service calls it: one edge.")
@click.option(
    *("--to", "percentage"),
    callback=read_share,
    metavar="SHARE",
    default="100%",
    show_default=True,
    help="Share of traces to keep.",
)
@click.option(
    *("--for", "duration_s"),
    callback=read_length,
    metavar="TIME",
    default="5m",
    show_default=True,
    help="How long; it ends by itself.",
)
@click.option("--max-traces", type=click.IntRange(min=1), metavar="N", help="Add at most N traces, in all.")
@click.option("--attribute", "attributes", multiple=True, metavar="KEY=VALUE", help="Only spans that start with it.")
@click.option("--here", is_flag=True, help="Sample from this service down, whatever callers decided: partial traces.")
@click.option(
    *("--detail", "details"),
    multiple=True,
    type=click.Choice([*DETAILS, "all"]),
    help="What these traces tell besides: values of queries, extra attributes, spans of functions.",
)
@click.option("--reason", default="", help="Why, for the log: a ticket, an incident.")
@click.option("--id", "policy_id", metavar="ID", help="A name of your own; a boost of that name is replaced.")
@click.option("--end", metavar="ID", help="End a boost early.")
@click.option("--extend", metavar="ID", help="Let a boost last for another --for from now on.")
@click.option("--repeat", metavar="ID", help="Begin a boost again, also one that has ended within the hour.")
@click.option("--proposed", is_flag=True, help="List the boosts that the critical path asks for, and their cost.")
@click.option("--accept", metavar="ID", help="Begin a boost that is proposed.")
@click.option("--json", "as_json", is_flag=True, help="The answer as one JSON object.")
@setting_flags("sampling_endpoint")
def command(
    service: str | None,
    operation: str | None,
    caller: str | None,
    percentage: float,
    duration_s: float,
    max_traces: int | None,
    attributes: tuple[str, ...],
    here: bool,
    details: tuple[str, ...],
    reason: str,
    policy_id: str | None,
    end: str | None,
    extend: str | None,
    repeat: str | None,
    proposed: bool,
    accept: str | None,
    as_json: bool,
    config: str | None,
    **flags: str | None,
) -> None:
    """Turn the trace rate up, now, for a while.

    Programs that use the sampler `cpdd` follow within milliseconds, Jaeger clients at their next poll. An operation
    that begins no traces is found below those that do, and these are boosted; the answer says which.

    \b
      cpdd boost checkout --op 'POST /pay' --to 100% --for 5m --max-traces 500 --reason INC-42
      cpdd boost stock --op reserve --from cart
      cpdd boost checkout --to 10% --detail function_spans
      cpdd boost --end boost-3f2a1c
      cpdd boost --proposed
    """
    asked = [name for name in (service, end, extend, repeat, proposed, accept) if name]
    if len(asked) != 1:
        raise click.UsageError("exactly one of SERVICE, --end, --extend, --repeat, --proposed and --accept is expected")
    client = ControlClient(read_settings(config, **flags)[0])
    who = {"author": author(), "reason": reason}
    if proposed:
        found = client.ask("GET", "/v1/proposals")["proposals"]
        click.echo("\n".join(json.dumps(each) for each in found) if as_json else "\n".join(proposal_lines(found)))
        return
    if end:
        answer = client.ask("DELETE", f"/v1/boosts/{quoted(end)}", query=who)
        click.echo(json.dumps(answer) if as_json else f"{end} has ended (version {answer['version']})")
        return
    if extend or repeat:
        verb = "extend" if extend else "repeat"
        path = f"/v1/boosts/{quoted(extend or repeat or '')}/{verb}"
        answer = client.ask("POST", path, {"duration_s": duration_s, **who})
    elif accept:
        answer = client.ask("POST", f"/v1/proposals/{quoted(accept)}/accept", who)
    else:
        request = {
            "service": service,
            "operation": operation,
            "caller": caller,
            "percentage": percentage,
            "duration_s": duration_s,
            "max_traces": max_traces,
            "attributes": dict(_attribute(text) for text in attributes) or None,
            "here": here or None,
            "detail": (DETAILS if "all" in details else details) or None,
            "id": policy_id,
            **who,
        }
        answer = client.ask("POST", "/v1/boosts", {key: value for key, value in request.items() if value is not None})
    click.echo(json.dumps(answer) if as_json else words_of(answer))


def _attribute(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise click.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="--attribute")
    return key, value


def words_of(answer: Mapping[str, Any]) -> str:
    """Return what a boost does, for people."""
    more = f", with {' and '.join(word.replace('_', ' ') for word in answer['detail'])}" if answer["detail"] else ""
    limit = f", at most {answer['max_traces']} traces more" if answer["max_traces"] else ""
    lines = [
        f"{answer['id']}: {share_of(answer['percentage'])} until {clock_of(answer['expires_unix_ms'])} "
        f"({length_of(answer['duration_s'])}){limit}{more}"
    ]
    if answer["found"]:
        lines.append("by the root operations that reach it:")
    lines += [f"  {target['service']}  {target['operation'] or '(all operations)'}" for target in answer["targets"]]
    if answer["doubt"]:
        lines.append(f"is the name right? {answer['doubt']}")
    clients = answer["clients"]
    lines.append(
        f"{clients} {'program is' if clients == 1 else 'programs are'} told at once; Jaeger clients "
        + ("count no traces and take no part" if answer["max_traces"] else "follow at their next poll")
    )
    lines.append(f"end it early: cpdd boost --end {answer['id']}")
    return "\n".join(lines)
