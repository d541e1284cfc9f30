"""`cpdd serve` before it serves: what it refuses, and what it tells people."""

import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from collector.core.catalog import CatalogError
from cpdd.cli.serve import command, kernel_cache
from cpdd.settings import SettingsError
from tests.serving import CPDD, FREE_PORTS, server_process


def test_a_taken_port_ends_the_start_with_its_name_and_flag(tmp_path: Path):
    with server_process(tmp_path / "first") as first:
        port = str(first.otlp_http_port)

        second = subprocess.run(
            [CPDD, "serve", "--data", str(tmp_path / "second"), *FREE_PORTS, "--otlp-http-port", port],
            capture_output=True,
            text=True,
            timeout=60,
        )

    assert second.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port} for OTLP/HTTP: address already in use" in second.stderr
    assert "--otlp-http-port" in second.stderr


def test_people_are_told_what_listens_where_and_what_to_do_next(tmp_path: Path):
    serving = subprocess.Popen(
        [CPDD, "serve", "--data", str(tmp_path), *FREE_PORTS, "--zipkin-port", "off"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert serving.stderr is not None
    told = []
    while not told or "your_service.py" not in told[-1]:
        told.append(serving.stderr.readline())
        assert told[-1], "".join(told)

    serving.terminate()
    out, _ = serving.communicate(timeout=60)

    text = "".join(told)
    assert serving.returncode == 0
    assert out == ""
    assert "pages and query API  http://127.0.0.1:" in text
    assert "OTLP/gRPC            127.0.0.1:" in text
    assert f"store                {tmp_path}" in text
    assert "cpdd send traces.json --endpoint http://127.0.0.1:" in text
    assert "Zipkin" not in text


def test_a_setting_that_cannot_be_used_is_named():
    result = CliRunner().invoke(command, ["--ui-port", "http"])

    assert result.exit_code == 1
    assert "ui_port" in str(result.exception)


def test_kernels_are_kept_with_the_data_where_the_installation_is_read_only(tmp_path: Path):
    assert kernel_cache({}, False, tmp_path) == {"NUMBA_CACHE_DIR": str(tmp_path / "kernels")}
    assert kernel_cache({}, True, tmp_path) == {}
    assert kernel_cache({"NUMBA_CACHE_DIR": "/elsewhere"}, False, tmp_path) == {}


@pytest.mark.parametrize(
    ("text", "said"), [(None, "catalog cannot be read"), ("[service.pay]\nowenr = 'x'", "did you mean owner?")]
)
def test_a_catalog_that_cannot_be_used_ends_the_start_with_its_place(tmp_path: Path, text: str | None, said: str):
    place = tmp_path / "catalog.toml"
    if text is not None:
        place.write_text(text)

    refused = CliRunner().invoke(command, ["--catalog", str(place), "--data", str(tmp_path / "data")])

    assert refused.exit_code == 1
    assert isinstance(refused.exception, CatalogError)
    assert said in str(refused.exception)
    assert str(place) in str(refused.exception)


def test_a_journey_that_cannot_be_read_ends_the_start_with_its_line(tmp_path: Path):
    config = tmp_path / "my.toml"
    config.write_text('[[journey]]\nname = "check out"\navailability = "110 %"\n')

    result = CliRunner().invoke(command, ["--config", str(config), "--data", str(tmp_path / "data")])

    assert isinstance(result.exception, SettingsError)
    assert result.exception.place == f'file {config} line 3 of journey "check out"'
    assert not (tmp_path / "data").exists()
