"""`cpdd run`: programs traced without a line of their code changed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cpdd.cli.run import AUTO, traced_environ
from tests.examples.sink import Sink

SPAN = "from opentelemetry import trace; trace.get_tracer('x').start_span('GET').end()\n"


def cpdd_run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "PYTHONPATH"))}
    command = [sys.executable, "-c", "from cpdd.cli import main; main()", "run", *arguments]
    return subprocess.run(command, env=environ | variables, capture_output=True, text=True, timeout=60)


def test_a_program_is_traced_without_a_line_changed():
    with Sink() as sink:
        done = cpdd_run(
            "--service", "checkout", "--endpoint", sink.endpoint, sys.executable, "-c", SPAN + "print('served')"
        )

        assert (done.returncode, done.stdout) == (0, "served\n")
        assert [(span.service, span.name) for span in sink.spans()] == [("checkout", "GET")]


def test_libraries_are_instrumented_as_the_program_imports_them():
    done = cpdd_run(sys.executable, "-c", "from flask import Flask; print(Flask.__name__)", OTEL_TRACES_EXPORTER="none")

    assert done.stdout == "_InstrumentedFlask\n"


def test_arguments_and_exit_status_are_the_programs_own():
    done = cpdd_run(
        sys.executable,
        "-c",
        "import sys; print(sys.argv[1:]); sys.exit(3)",
        "--service",
        "-h",
        OTEL_SDK_DISABLED="true",
    )

    assert (done.returncode, done.stdout) == (3, "['--service', '-h']\n")


def test_a_program_that_the_program_starts_is_traced_too():
    inner = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SPAN!r}], check=True)"
    with Sink() as sink:
        cpdd_run("--service", "parent", "--endpoint", sink.endpoint, sys.executable, "-c", inner)

        assert [span.name for span in sink.spans()] == ["GET"]


def test_the_sitecustomize_that_ours_hides_still_runs(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("print('theirs')")
    environ = traced_environ({**os.environ, "PYTHONPATH": str(tmp_path), "OTEL_TRACES_EXPORTER": "none"}, None, None)

    done = subprocess.run(
        [sys.executable, "-c", "print('program')"], env=environ, capture_output=True, text=True, timeout=60
    )

    assert (done.returncode, done.stdout) == (0, "theirs\nprogram\n")


def test_a_python_without_cpdd_runs_the_program_all_the_same_and_says_so(tmp_path):
    (tmp_path / "cpdd").mkdir()
    (tmp_path / "cpdd/__init__.py").write_text("raise ImportError('No module named cpdd')")
    environ = traced_environ({**os.environ, "PYTHONPATH": str(tmp_path)}, None, None)

    done = subprocess.run(
        [sys.executable, "-c", "print('program')"], env=environ, capture_output=True, text=True, timeout=60
    )

    assert (done.returncode, done.stdout) == (0, "program\n")
    assert f"cpdd run: not traced, {sys.executable} cannot use cpdd" in done.stderr


def test_a_program_that_is_not_there_is_named():
    done = cpdd_run("no-such-program")

    assert done.returncode == 1
    assert "cannot run 'no-such-program': No such file or directory" in done.stderr
    assert "hint: cpdd run python app.py" in done.stderr


def test_without_a_program_the_usage_is_said():
    assert cpdd_run().returncode == 2


@pytest.mark.parametrize("before", ["", "/srv/lib", f"{AUTO}{os.pathsep}/srv/lib"])
def test_our_folder_comes_first_and_once(before):
    paths = traced_environ({"PYTHONPATH": before}, None, None)["PYTHONPATH"].split(os.pathsep)

    assert Path(paths[0]) == AUTO
    assert paths.count(str(AUTO)) == 1
    assert paths[1:] == (["/srv/lib"] if before else [])
