"""Settings: flag, then environment, then file, then default; and errors that say where."""

import subprocess
import sys

import pytest

from cpdd.setting_values import hide_password
from cpdd.settings import Origin, Settings, SettingsError, flag_of, load_settings, options


def test_without_anything_said_every_setting_has_its_default():
    settings, origins = load_settings({}, {})

    assert settings == Settings()
    assert set(origins) == set(options())
    assert set(origins.values()) == {Origin("default")}


def test_a_flag_beats_the_environment_beats_the_file_beats_the_default():
    flags = {"ui_port": "1"}
    environ = {"CPDD_UI_PORT": "2", "CPDD_ZIPKIN_PORT": "2"}
    file = "ui_port = 3\nzipkin_port = 3\nmetrics_port = 3\n"

    settings, origins = load_settings(flags, environ, file)

    assert (settings.ui_port, settings.zipkin_port, settings.metrics_port, settings.health_port) == (1, 2, 3, 13133)
    assert [str(origins[name]) for name in ("ui_port", "zipkin_port", "metrics_port", "health_port")] == [
        "flag --ui-port",
        "environment CPDD_ZIPKIN_PORT",
        "file cpdd.toml line 3",
        "default",
    ]


def test_a_flag_that_was_not_given_says_nothing():
    settings, _ = load_settings({"ui_port": None}, {"CPDD_UI_PORT": "7"})

    assert settings.ui_port == 7


def test_an_empty_variable_counts_as_unset():
    settings, origins = load_settings({}, {"CPDD_UI_PORT": "", "OTEL_SERVICE_NAME": "", "XDG_DATA_HOME": ""})

    assert settings == Settings()
    assert origins["data"] == Origin("default")


@pytest.mark.parametrize(("said", "port"), [("off", None), ("0", 0), ("65535", 65535), (False, None), (4318, 4318)])
def test_a_port_is_a_number_or_off(said, port):
    settings, _ = load_settings({"otlp_http_port": said}, {})

    assert settings.otlp_http_port == port


@pytest.mark.parametrize("said", ["65536", "-1", "http", "1.5", "true"])
def test_a_port_that_is_none_is_an_error_that_names_the_variable(said):
    with pytest.raises(SettingsError) as error:
        load_settings({}, {"CPDD_OTLP_HTTP_PORT": said})

    assert "otlp_http_port" in str(error.value)
    assert "at environment CPDD_OTLP_HTTP_PORT" in str(error.value)


@pytest.mark.parametrize(
    ("said", "nanoseconds"),
    [
        ("1s", 10**9),
        ("500ms", 5 * 10**8),
        ("1.5 ms", 1_500_000),
        ("250us", 250_000),
        ("7", 7),
        (7, 7),
        ("2m", 12 * 10**10),
    ],
)
def test_the_largest_skew_may_have_a_unit(said, nanoseconds):
    settings, _ = load_settings({"max_skew_ns": said}, {})

    assert settings.max_skew_ns == nanoseconds


@pytest.mark.parametrize("said", ["-1s", "fast", "1.5", "1h30", ""])
def test_a_duration_that_is_none_is_an_error_that_shows_what_would_do(said):
    with pytest.raises(SettingsError, match="500ms"):
        load_settings({"max_skew_ns": said}, {})


def test_an_unknown_name_in_the_file_is_an_error_with_its_line_and_the_nearest_name():
    with pytest.raises(SettingsError) as error:
        load_settings({}, {}, "ui_port = 1\n\notlp-http-prt = 2\n", "my.toml")

    assert str(error.value) == (
        "unknown setting 'otlp-http-prt'\n  at file my.toml line 3\nhint: did you mean otlp_http_port?"
    )


def test_a_value_of_the_wrong_type_in_the_file_is_an_error_with_its_line():
    with pytest.raises(SettingsError) as error:
        load_settings({}, {}, 'commit_rows = 5\nhost = ["a"]\n')

    assert "host: ['a'] is no text" in str(error.value)
    assert "at file cpdd.toml line 2" in str(error.value)


def test_text_that_is_no_toml_is_an_error_with_its_line():
    with pytest.raises(SettingsError, match="line 2"):
        load_settings({}, {}, "ui_port = 1\nui port\n")


def test_the_data_folder_follows_xdg_unless_named():
    by_xdg, origins = load_settings({}, {"XDG_DATA_HOME": "/xdg"})
    by_name, _ = load_settings({}, {"XDG_DATA_HOME": "/xdg", "CPDD_DATA": "/mine"})

    assert (by_xdg.data, by_name.data) == ("/xdg/cpdd", "/mine")
    assert str(origins["data"]) == "environment XDG_DATA_HOME"


def test_the_embedded_store_lies_in_the_data_folder():
    embedded, _ = load_settings({"data": "/srv/cpdd"}, {})
    elsewhere, _ = load_settings({"store": "clickhouse://db/cpdd"}, {})

    assert embedded.store_dsn == "chdb:///srv/cpdd/store"
    assert elsewhere.store_dsn == "clickhouse://db/cpdd"


def test_the_general_otlp_endpoint_gets_the_path_of_traces_and_the_special_one_is_taken_as_it_is():
    general, _ = load_settings({}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318/"})
    special, origins = load_settings(
        {},
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://traces:1/x",
        },
    )

    assert general.otlp_endpoint == "http://collector:4318/v1/traces"
    assert special.otlp_endpoint == "http://traces:1/x"
    assert origins["otlp_endpoint"] == Origin("environment", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def test_the_service_name_may_come_from_the_resource_attributes():
    settings, _ = load_settings({}, {"OTEL_RESOURCE_ATTRIBUTES": "a=b,service.name=check%20out"})
    named, _ = load_settings({}, {"OTEL_RESOURCE_ATTRIBUTES": "service.name=a", "OTEL_SERVICE_NAME": "b"})

    assert (settings.service_name, named.service_name) == ("check out", "b")


def test_an_otel_variable_that_cannot_be_used_is_ignored_and_its_origin_says_so():
    settings, origins = load_settings({}, {"OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": "snappy"})

    assert settings.otlp_compression == "gzip"
    assert "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION ignored" in str(origins["otlp_compression"])


def test_passwords_are_not_printable():
    assert hide_password("clickhouse://me:s3cret@db:8123/x?a=b@c") == "clickhouse://me:***@db:8123/x?a=b@c"
    assert hide_password("clickhouse://db/x") == "clickhouse://db/x"
    assert options()["otlp_headers"].secret("api-key=abc,x=y") == "api-key=***,x=***"


def test_every_flag_and_every_variable_belongs_to_one_setting():
    flags = [flag_of(name) for name in options()]
    variables = [record.env for record in options().values()]

    assert len(set(flags)) == len(flags)
    assert len(set(variables)) == len(variables)


def test_every_default_is_a_value_that_its_own_parser_takes():
    defaults = Settings()

    for name, record in options().items():
        value = getattr(defaults, name)
        assert record.parse("off" if value is None else str(value)) == value, name


def test_settings_import_nothing_beyond_the_standard_library():
    program = (
        "import sys; import cpdd.settings; "
        "print([m for m in sys.modules if m.split('.')[0] in ('click', 'numpy', 'opentelemetry', 'orjson')])"
    )

    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert loaded.strip() == "[]"


def test_tables_of_the_file_that_hold_no_settings_are_left_to_those_who_read_them():
    settings, _ = load_settings({}, {}, 'ui_port = 80\n[[journey]]\nname = "check out"\n')

    assert settings.ui_port == 80


@pytest.mark.parametrize("address", ["ftp://x", "hooks.slack.com", "http://"])
def test_a_webhook_is_an_address_of_the_web(address: str):
    with pytest.raises(SettingsError, match="is no address that begins with http"):
        load_settings({"webhook_url": address}, {})
