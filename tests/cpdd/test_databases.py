"""Database clients of a program that called `init`, against the real thing: a span a query, in its trace."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAM = """
import cpdd
from cpdd.testing import MemoryExporter
from opentelemetry import trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

exporter = MemoryExporter()
cpdd.init(service="shop", processor=SimpleSpanProcessor(exporter))

QUERIES

asked = exporter.one("ask")
for span in exporter.spans:
    if span.kind is trace.SpanKind.CLIENT and span.context.trace_id == asked.context.trace_id:
        system = span.attributes.get("db.system.name") or span.attributes["db.system"]
        print(system, span.name, span.status.status_code.name, span.attributes.get("cpdd.call.requirement"))
"""
SQLALCHEMY = """
from sqlalchemy import create_engine, text
with create_engine("sqlite://").connect() as database, trace.get_tracer("x").start_as_current_span("ask"):
    with cpdd.mandatory():
        database.execute(text("SELECT 1"))
        try:
            database.execute(text("SELECT nothing"))
        except Exception:
            pass
"""
REDIS = """
import redis
client = redis.Redis(unix_socket_path="SOCKET")
with trace.get_tracer("x").start_as_current_span("ask"), cpdd.optional("cache"):
    client.set("a", 1)
    client.get("a")
"""
PSYCOPG = """
import asyncio
import psycopg
with psycopg.connect("host=FOLDER user=postgres") as database, trace.get_tracer("x").start_as_current_span("ask"):
    with cpdd.optional("rates"):
        database.execute("SELECT 1")
    with cpdd.mandatory(), database.cursor() as cursor:
        cursor.executemany("SELECT %s::int", [(1,), (2,)])
        try:
            database.execute("INSERT INTO nothing VALUES (1)")
        except psycopg.Error:
            pass
    async def ask():
        async with await psycopg.AsyncConnection.connect("host=FOLDER user=postgres") as database:
            await database.execute("SELECT 3")
    asyncio.run(ask())
"""


@pytest.fixture
def postgres_folder() -> Iterator[Path]:
    """Where a server of its own has its socket, on no port; Debian's postgresql, which does not run as root."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    user = "postgres" if os.getuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="cpdd-"))  # and not of pytest's, into which no other user may look
    if user:
        shutil.chown(folder, user)
    setup = [programs / "initdb", "--pgdata", folder / "data", "--username", "postgres", "--auth", "trust", "--no-sync"]
    server = [programs / "postgres", "-D", folder / "data", "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"]
    try:
        subprocess.run(setup, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL)
        process = subprocess.Popen(server, user=user, cwd=folder, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        try:
            assert any("ready to accept connections" in line for line in process.stderr)
            yield folder
        finally:
            process.terminate()
            process.communicate(timeout=30)
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def redis_socket(tmp_path: Path) -> Iterator[Path]:
    """A server of its own, on no port; Debian's redis-server."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    path = tmp_path / "redis"
    words = [program, "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(tmp_path)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert any("accept connections" in line for line in process.stdout)
        yield path
    finally:
        process.terminate()
        process.wait(60)


def test_queries_through_sqlalchemy_are_spans_that_say_whether_they_matter(run_program):
    printed = run_program(PROGRAM.replace("QUERIES", SQLALCHEMY)).splitlines()

    assert [line for line in printed if "SELECT" in line] == [
        "sqlite SELECT UNSET mandatory",
        "sqlite SELECT ERROR mandatory",
    ]


def test_commands_to_a_real_redis_are_spans_that_say_whether_they_matter(run_program, redis_socket: Path):
    printed = run_program(PROGRAM.replace("QUERIES", REDIS).replace("SOCKET", str(redis_socket))).splitlines()

    assert printed == ["redis SET UNSET optional", "redis GET UNSET optional"]


def test_queries_to_a_real_postgresql_are_spans_that_say_whether_they_matter(run_program, postgres_folder: Path):
    printed = run_program(PROGRAM.replace("QUERIES", PSYCOPG).replace("FOLDER", str(postgres_folder)))

    assert printed.splitlines() == [
        "postgresql SELECT UNSET optional",
        "postgresql SELECT UNSET mandatory",
        "postgresql INSERT ERROR mandatory",
        "postgresql SELECT UNSET None",
    ]
