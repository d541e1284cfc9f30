"""What spans say of their program, and whose word counts."""

import os
import socket
import subprocess

import pytest
from opentelemetry.sdk.resources import Resource

from cpdd.resources import Service, build_resource, detected


@pytest.fixture
def environ(monkeypatch):
    monkeypatch.delenv("OTEL_SERVICE_NAME", raising=False)
    monkeypatch.delenv("OTEL_RESOURCE_ATTRIBUTES", raising=False)
    return monkeypatch


def attributes(resource: Resource) -> dict[str, object]:
    return dict(resource.attributes)


def test_what_init_was_told_is_there_under_the_names_of_the_conventions(environ):
    service = Service("payment", "1.4.2", "critical", "Payments", "#payments", "https://wiki.example.org/payments")

    said = attributes(build_resource(service, {"deployment.environment.name": "demo"}))

    expected = {
        "service.name": "payment",
        "service.version": "1.4.2",
        "service.criticality": "critical",
        "service.owner.name": "Payments",
        "service.owner.contact": "#payments",
        "service.owner.url": "https://wiki.example.org/payments",
        "deployment.environment.name": "demo",
    }
    assert expected.items() <= said.items()


def test_the_environment_says_what_init_was_not_told(environ):
    environ.setenv("OTEL_SERVICE_NAME", "from the environment")
    environ.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.owner.name=Payments,service.version=2")

    said = attributes(build_resource(Service(version="1"), {}))

    assert said["service.name"] == "from the environment"
    assert (said["service.owner.name"], said["service.version"]) == ("Payments", "1")


def test_the_environment_beats_what_was_detected(environ):
    environ.setenv("OTEL_RESOURCE_ATTRIBUTES", "host.name=node-7,vcs.ref.head.revision=abc")

    said = attributes(build_resource(Service("payment"), {}))

    assert (said["host.name"], said["vcs.ref.head.revision"]) == ("node-7", "abc")


def test_host_process_and_distribution_are_found_out():
    found = detected()

    assert found["host.name"] == socket.gethostname()
    assert found["process.pid"] == os.getpid()
    assert found["telemetry.distro.name"] == "cpdd"


def test_commit_and_folder_of_the_programs_source_are_found_out(run_program, tmp_path):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".git/config").write_text('[remote "origin"]\n\turl = https://me:secret@example.org/team/shop.git\n')
    program = tmp_path / "service.py"
    program.write_text("from cpdd.resources import detected; print(detected())")

    printed = run_program(f"import runpy; runpy.run_path({str(program)!r}, run_name='__main__')")

    assert f"'cpdd.source.root': '{tmp_path}'" in printed
    assert "'vcs.repository.url.full': 'https://example.org/team/shop'" in printed
    assert "secret" not in printed


def test_a_detector_that_fails_costs_its_own_attributes(monkeypatch, caplog):
    def fail() -> str:
        raise OSError("no name")

    monkeypatch.setattr("cpdd.failures._told", set())
    monkeypatch.setattr(socket, "gethostname", fail)

    found = detected()

    assert "host.name" not in found
    assert "process.pid" in found
    assert "detecting host failed" in caplog.text


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_names_its_own_pid(run_program):
    printed = run_program(
        "import os, cpdd\n"
        "handle = cpdd.init(service='workers', instrument=False)\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    print(handle.provider.resource.attributes['process.pid'] == os.getpid(), flush=True); os._exit(0)\n"
        "os.waitpid(pid, 0)\n"
        "print(handle.provider.resource.attributes['process.pid'] == os.getpid())",
        OTEL_TRACES_EXPORTER="none",
    )

    assert printed.splitlines() == ["True", "True"]
