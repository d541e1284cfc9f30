"""`cpdd lb-config`: trace context through nginx or HAProxy, and a log that `cpdd import-logs` reads."""

from fractions import Fraction

import click

from cpdd.cli._lb_haproxy import haproxy_config
from cpdd.cli._lb_nginx import nginx_config


class Ratio(click.ParamType[Fraction]):
    """A share: 1%, 0.01 or 1."""

    name = "share"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Fraction:
        text = str(value).strip()
        try:
            ratio = Fraction(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except (ValueError, ZeroDivisionError):
            self.fail(f"{text!r} is no share such as 1% or 0.01", param, ctx)
        if not 0 <= ratio <= 1:
            self.fail(f"{text} is not between 0% and 100%", param, ctx)
        return ratio


@click.command()
@click.argument("balancer", type=click.Choice(["nginx", "haproxy"]))
@click.option(
    "--mode",
    type=click.Choice(["adopt", "decide"]),
    default="adopt",
    show_default=True,
    help="Adopt: leave it to the application whether to start a trace. Decide: start one where none comes in.",
)
@click.option(
    "--keep", type=Ratio(), default="100%", show_default=True, help="With decide: the share of started traces to keep."
)
@click.option(
    "--log",
    default="/var/log/nginx/cpdd.json",
    show_default=True,
    metavar="FILE",
    help="nginx's log of requests. HAProxy logs where its configuration says.",
)
def command(balancer: str, mode: str, keep: Fraction, log: str) -> None:
    """Print a load balancer's configuration: trace context goes on, and each request is logged as a line of JSON.

    Debian's nginx 1.22 and HAProxy 2.6 are what it is tested with.

    \b
      cpdd lb-config nginx > /etc/nginx/conf.d/cpdd.conf
      cpdd lb-config haproxy --mode decide --keep 1%
    """
    if any(character in log for character in "\"';{}\n$") or not log.strip():
        raise click.BadParameter(f"{log!r} is no file name for a configuration", param_hint="--log")
    ratio = keep if mode == "decide" else None
    click.echo(nginx_config(ratio, log) if balancer == "nginx" else haproxy_config(ratio), nl=False)
