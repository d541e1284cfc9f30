"""`cpdd store`: what a store holds, and the whole of it to Parquet and back."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from collector.retain import retention_of
from collector.store.address import parse_address
from collector.store.archive import Archive, export_store, import_store
from collector.store.ddl import ddl
from collector.store.engine import Store, open_store
from collector.store.inventory import Inventory, compact, take_inventory
from cpdd.cli._settings import read_settings, setting_flags


@click.group()
def command() -> None:
    """Look into a store, tidy it, back it up.

    An embedded store belongs to one process: stop `cpdd serve` first, or ask it for its /status.

    \b
      cpdd store info
      cpdd store export backup-2026-11-28
      cpdd store import backup-2026-11-28 --data ./restored
      cpdd store ddl --cluster main
    """


@command.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@setting_flags("data", "store")
def info(as_json: bool, config: str | None, **flags: str | None) -> None:
    """Show the tables, their sizes, and how far back spans go."""
    with _opened(config, flags) as store:
        inventory = take_inventory(store)
    click.echo(json.dumps(asdict(inventory)) if as_json else "\n".join(info_lines(inventory)))


@command.command("compact")
@setting_flags("data", "store")
def compact_store(config: str | None, **flags: str | None) -> None:
    """Merge what is in pieces and drop what was replaced or is too old; needs room for the largest day meanwhile."""
    with _opened(config, flags) as store:
        before = take_inventory(store).bytes
        compact(store)
        after = take_inventory(store).bytes
    click.echo(f"{size(before)} before, {size(after)} after")


@command.command("export")
@click.argument("folder", type=click.Path(path_type=Path))
@setting_flags("data", "store")
def export_to(folder: Path, config: str | None, **flags: str | None) -> None:
    """Write every table to FOLDER as Parquet, a file for each day: a backup that other programs read as well."""
    with _opened(config, flags) as store:
        archive = export_store(store, folder, _say)
    click.echo(_summary("exported", archive) + f", {size(archive.bytes)}")


@command.command("import")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@setting_flags("data", "store")
def import_from(folder: Path, config: str | None, **flags: str | None) -> None:
    """Read what `export` wrote to FOLDER into an empty store, embedded or on a server."""
    with _opened(config, flags) as store:
        archive = import_store(store, folder, _say)
    click.echo(_summary("imported", archive))


@command.command("ddl")
@click.option("--cluster", metavar="NAME", help="For all servers of this cluster; else the one of --store.")
@setting_flags("store", "retention_days", "minutes_days")
def print_ddl(cluster: str | None, config: str | None, **flags: str | None) -> None:
    """Print the statements that make the tables, to create them by hand or to review them; opens nothing.

    `cpdd serve` runs them itself where it may.

    \b
      cpdd store ddl --store clickhouse://host/cpdd?cluster=main
      cpdd store ddl --cluster main | clickhouse client --database cpdd
    """
    settings, _ = read_settings(config, **flags)
    address = parse_address(settings.store_dsn, settings.data_dir)
    statements = ddl(address.database, retention_of(settings), cluster or address.cluster)
    click.echo("\n\n".join(f"{statement};" for statement in statements))


@contextmanager
def _opened(config: str | None, flags: dict[str, str | None]) -> Iterator[Store]:
    settings, _ = read_settings(config, **flags)
    with ExitStack() as stack:
        folder = settings.data_dir
        if parse_address(settings.store_dsn, folder).path is None:
            # A server has room for us beside the collector whose folder that is.
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="cpdd-")))
        yield stack.enter_context(open_store(settings.store_dsn, folder, retention=None))


def info_lines(inventory: Inventory) -> list[str]:
    """Return what people read of an inventory."""
    width = max((len(table.name) for table in inventory.tables), default=5)
    lines = [
        f"{inventory.store}: {size(inventory.bytes)}, tables of version {inventory.version}",
        f"spans arrived {_when(inventory.oldest_unix_s)} to {_when(inventory.newest_unix_s)}"
        if inventory.newest_unix_s
        else "no spans",
        "",
        f"{'table':{width}}  {'rows':>13}  {'on disk':>9}  {'a row':>8}  parts",
    ]
    for table in inventory.tables:
        each = f"{table.bytes / table.rows:.1f} B" if table.rows else ""
        lines.append(f"{table.name:{width}}  {table.rows:13,}  {size(table.bytes):>9}  {each:>8}  {table.parts:5}")
    if inventory.kept:
        lines += ["", "kept longer: " + ", ".join(f"{count:,} {reason}" for reason, count in inventory.kept)]
    return lines


def size(count: int) -> str:
    """Return bytes for people.

    >>> size(999), size(1_234_567)
    ('999 B', '1.23 MB')
    """
    if count < 1000:
        return f"{count} B"
    power = min((len(str(count)) - 1) // 3, 4)
    return f"{count / 1000**power:.3g} {'kMGT'[power - 1]}B"


def _summary(done: str, archive: Archive) -> str:
    return f"{done} {sum(archive.rows.values()):,} rows of {len(archive.rows)} tables"


def _when(unix_s: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(unix_s))


def _say(text: str) -> None:
    click.echo(f"cpdd: {text}", err=True)
