"""`cpdd sampling`: what is sampled by, what it does, who changed it; and changes by document."""

import json
import re
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from collector.core.sampling.strategies import read_strategies
from collector.core.sampling.words import what, whom
from cpdd.cli._control import ControlClient, author, clock_of, length_of, quoted, read_share, share_of
from cpdd.cli._settings import read_settings, setting_flags
from cpdd.sampling.document import Matcher, Policy, policy_json

MAX_ROWS = 30


def read_amount(ctx: click.Context, param: click.Parameter, text: str) -> tuple[float | None, float | None]:
    """Return the percentage, or the traces per second, that `10%` or `5/s` means."""
    if match := re.fullmatch(r"(\d+(?:\.\d+)?)\s*/\s*(s|min)", text.strip()):
        return None, float(match[1]) / (60 if match[2] == "min" else 1)
    return read_share(ctx, param, text), None


@click.group()
def command() -> None:
    """Show and change what traces are kept.

    \b
      cpdd sampling show
      cpdd sampling keep checkout --to 10%
      cpdd sampling set policies.json --reason 'halve the bill'
      cpdd sampling log
    """


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Everything as one JSON object.")
@click.option("--policies", is_flag=True, help="The policies alone, as a document that `set` takes.")
@click.option("--jaeger", is_flag=True, help="What Jaeger clients are told, as Jaeger's strategies file.")
@setting_flags("sampling_endpoint")
def show(as_json: bool, policies: bool, jaeger: bool, config: str | None, **flags: str | None) -> None:
    """Show live boosts, policies, rates and clients."""
    client = ControlClient(read_settings(config, **flags)[0])
    if policies or jaeger:
        click.echo(json.dumps(client.ask("GET", "/v1/strategies" if jaeger else "/v1/policies"), indent=1))
        return
    state = client.ask("GET", "/v1/state")
    click.echo(json.dumps(state) if as_json else state_text(state))


@command.command()
@click.argument("service", required=False)
@click.option("--op", "operation", metavar="NAME", help="One operation that begins traces; else all.")
@click.option(
    *("--to", "amount"),
    callback=read_amount,
    required=True,
    metavar="SHARE|RATE",
    help="Share of traces to keep, such as 10%, or a budget of all instances together, such as 5/s.",
)
@click.option("--id", "policy_id", metavar="ID", help="Name of the policy, which replaces one of that name.")
@click.option("--reason", default="", help="Why, for the log.")
@setting_flags("sampling_endpoint")
def keep(
    service: str | None,
    operation: str | None,
    amount: tuple[float | None, float | None],
    policy_id: str | None,
    reason: str,
    config: str | None,
    **flags: str | None,
) -> None:
    """Keep a share of the traces of a service, of one operation, or of everything, until it is changed.

    \b
      cpdd sampling keep --to 10%
      cpdd sampling keep checkout --op 'POST /pay' --to 5/s
    """
    percentage, traces_per_second = amount
    of_service = Matcher("resource_attribute", "exact" if service else "exists", service or "", "service.name")
    policy = Policy(
        id=policy_id or " ".join(part for part in ("keep", service, operation) if part),
        matchers=(of_service, Matcher("name", "exact", operation)) if operation else (of_service,),
        kind="budget" if traces_per_second is not None else "fixed",
        percentage=percentage,
        traces_per_second=traces_per_second,
    )
    client = ControlClient(read_settings(config, **flags)[0])
    request = {"policies": [policy_json(policy)], "author": author(), "reason": reason}
    answer = client.ask("POST", "/v1/policies", request)
    click.echo(f"{policy.id!r}: {what(policy)} of {whom(policy)}, in force as version {answer['version']}")
    click.echo(f"take it back: cpdd sampling delete {shlex.quote(policy.id)}")


@command.command("set")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--replace", is_flag=True, help="In place of all policies and boosts, not beside them.")
@click.option("--jaeger", is_flag=True, help="FILE is a strategies file of Jaeger.")
@click.option("--reason", default="", help="Why, for the log.")
@setting_flags("sampling_endpoint")
def set_policies(file: Path, replace: bool, jaeger: bool, reason: str, config: str | None, **flags: str | None) -> None:
    """Put the policies of FILE (- is stdin) in force; one of the same id is replaced.

    FILE is a document, {"policies": [...]}, or one policy: docs/reference/sampling.md.
    """
    client = ControlClient(read_settings(config, **flags)[0])
    text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    try:
        value = json.loads(text)
    except ValueError as error:
        raise click.ClickException(f"{file} is not valid JSON: {error}") from None
    if jaeger:
        value = {"policies": [policy_json(policy) for policy in read_strategies(value)]}
    elif isinstance(value, dict) and "policies" not in value:
        value = {"policies": [value]}
    if isinstance(value, dict):
        value = {**value, "replace": replace, "author": author(), "reason": reason}
    answer = client.ask("POST", "/v1/policies", value)
    click.echo(f"in force as version {answer['version']}")


@command.command()
@click.argument("policy_id", metavar="ID")
@click.option("--reason", default="", help="Why, for the log.")
@setting_flags("sampling_endpoint")
def delete(policy_id: str, reason: str, config: str | None, **flags: str | None) -> None:
    """Delete one policy, or end one boost."""
    client = ControlClient(read_settings(config, **flags)[0])
    answer = client.ask("DELETE", f"/v1/policies/{quoted(policy_id)}", query={"author": author(), "reason": reason})
    click.echo(f"{policy_id} is gone (version {answer['version']})")


@command.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a change, the newest first.")
@setting_flags("sampling_endpoint")
def log(as_json: bool, config: str | None, **flags: str | None) -> None:
    """Show who changed what, when and why, the newest first."""
    changes = ControlClient(read_settings(config, **flags)[0]).ask("GET", "/v1/state")["log"]
    if as_json:
        click.echo("\n".join(json.dumps(change) for change in changes))
        return
    rows = [
        (str(row["version"]), clock_of(row["at_unix_ms"]), row["action"], row["change"], row["author"], row["reason"])
        for row in changes
    ]
    click.echo(table(("version", "at", "what", "change", "who", "why"), rows) if rows else "nothing was changed yet")


def state_text(state: Mapping[str, Any]) -> str:
    """Return the state for people."""
    parts = [f"version {state['version']}"]
    boosts = [
        (
            boost["id"],
            share_of(boost["trace"]["keep"]["percentage"]),
            boost["of"],
            f"{length_of(boost['left_s'])} left",
            "" if boost["added_traces"] is None else f"{boost['added_traces']} of {boost['cpdd']['max_traces']} traces",
            boost["cpdd"].get("reason", ""),
        )
        for boost in state["boosts"]
    ]
    policies = [(policy["id"], policy["does"], policy["of"]) for policy in state["policies"]]
    rates = [
        (
            row["service"],
            row["operation"],
            f"{row['seen_per_s']:.1f}",
            f"{row['kept_per_s']:.1f}",
            "" if row["kept_share"] is None else share_of(100 * row["kept_share"]),
            share_of(100 * row["set_share"]),
            row["rule"] or "baseline",
        )
        for row in state["rates"][:MAX_ROWS]
    ]
    clients = [
        (
            client["service"],
            client["instance"],
            "pushed" if client["pushed"] else "polls",
            "current" if client["is_current"] else "behind",
            lost_of(client["spans_sent"], client["spans_lost"]),
            client["problem"].partition("\n")[0],
        )
        for client in state["clients"][:MAX_ROWS]
    ]
    sections = (
        ("live boosts", ("id", "share", "of", "for", "added", "why"), boosts),
        ("policies", ("id", "kind", "of"), policies),
        ("rates", ("service", "operation", "seen/s", "kept/s", "share", "set to", "by"), rates),
        ("clients", ("service", "instance", "how", "policies", "spans lost", "problem"), clients),
    )
    if state["unweighted"]:
        parts.append(
            f"\ntraces of {', '.join(state['unweighted'])} come without their weights, and count once each: "
            "is there a tail sampler on the way?"
        )
    parts += [f"\n{title}\n{table(heads, rows)}" if rows else f"\nno {title}" for title, heads, rows in sections]
    return "\n".join(parts)


def lost_of(sent: int, lost: int) -> str:
    """Return how many spans a program lost, by which its traces are undercounted.

    >>> lost_of(990, 10), lost_of(5, 0)
    ('10 (1 %)', '')
    """
    return f"{lost} ({share_of(100 * lost / (sent + lost))})" if lost else ""


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows under their heads, columns aligned."""
    lines = [tuple(heads), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    padded = (zip(line, widths, strict=True) for line in lines)
    return "\n".join(f"  {'  '.join(f'{cell:{width}}' for cell, width in line).rstrip()}" for line in padded)
