"""Switches faults: `python -m examples.shop.faults payment --fail 0.5`."""

import json
import sys
import urllib.error
import urllib.parse
import urllib.request

import click

from . import directory


@click.command()
@click.argument("service", type=click.Choice(directory.NAMES))
@click.option("--slow", "slow_ms", type=float, metavar="MS", help="Answer so many milliseconds later.")
@click.option("--fail", type=float, metavar="SHARE", help="Fail so often: 0.5 is every other request.")
@click.option("--down/--up", default=None, help="Refuse connections; take them again.")
@click.option("--none", "nothing", is_flag=True, help="No fault at all.")
def command(service: str, slow_ms: float | None, fail: float | None, down: bool | None, nothing: bool) -> None:
    """Make SERVICE of the running shop slow, failing or absent; without options, show what is switched on.

    \b
      python -m examples.shop.faults payment --fail 0.5
      python -m examples.shop.faults recommendations --slow 400
      python -m examples.shop.faults bank --none
    """
    said: dict[str, object] = {"slow_ms": 0, "fail": 0, "down": 0} if nothing else {}
    said |= {key: value for key, value in (("slow_ms", slow_ms), ("fail", fail)) if value is not None}
    if down is not None:
        said["down"] = int(down)
    state = directory.state_file()
    if not state.exists():
        raise click.ClickException(f"no shop is running: {state} is not there\nhint: cpdd demo")
    print(json.dumps(switch(directory.decode(state.read_text())[service].control, said)))


def switch(control: int, said: dict[str, object]) -> dict[str, object]:
    """Return the faults that a service has now. Raises ClickException with what the service said against it."""
    address = f"http://{directory.HOST}:{control}/faults"
    data = urllib.parse.urlencode(said).encode() if said else None
    try:
        with urllib.request.urlopen(address, data, timeout=10) as answer:
            faults: dict[str, object] = json.load(answer)
    except urllib.error.HTTPError as error:
        raise click.ClickException(json.load(error)["error"]) from error
    except OSError as error:
        raise click.ClickException(f"{address} does not answer: {error}") from error
    return faults


if __name__ == "__main__":
    sys.exit(command())
