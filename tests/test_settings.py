"""Settings: precedence, every key, and errors that name file, key and line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from battery_analysis.errors import SettingsError
from battery_analysis.settings import Settings
from battery_analysis.settings.notify import EmailTarget, UrlTarget
from battery_analysis.settings.rules import ImportRule
from battery_analysis.settings.schedules import Schedule


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def write(home: Path, text: str, name: str = ".battery_analysis.toml") -> Path:
    file = home / name
    file.write_text(dedent(text).lstrip(), encoding="utf-8")
    return file


def load(home: Path, environ: dict[str, str] | None = None, **overrides: Any) -> Settings:
    return Settings.load(environ={"HOME": str(home), **(environ or {})}, **overrides)


def error(home: Path, environ: dict[str, str] | None = None, **overrides: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        load(home, environ, **overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_nothing_configured_means_the_embedded_server_and_the_documented_defaults(home: Path) -> None:
    settings = load(home)
    assert (settings.mode, settings.uri(), settings.database) == ("embedded", None, "battery_test_db")
    assert (settings.debounce, settings.retries, settings.depth) == (1.0, 3, None)
    assert (settings.host, settings.port, settings.time_zone) == ("127.0.0.1", 8050, "UTC")
    assert settings.sample_rules == ("map", "header", "pattern", "folder")
    assert settings.workers >= 1
    assert settings.data_dir.is_absolute()
    assert settings.where == f"embedded MongoDB in {settings.data_dir}"


def test_command_line_beats_environment_beats_file_beats_default(home: Path) -> None:
    assert load(home).port == 8050
    write(home, "port = 1001")
    assert load(home).port == 1001
    assert load(home, {"BATTERY_PORT": "1002"}).port == 1002
    assert load(home, {"BATTERY_PORT": "1002"}, port=1003).port == 1003
    assert load(home, {"BATTERY_PORT": ""}, port=None).port == 1001


def test_a_toml_file_may_hold_every_key(home: Path) -> None:
    write(
        home,
        """
        db_uri = "mongodb://db.example.org/cells"
        db_name = "lab"
        data_dir = "data"
        workers = 3
        include = ["*.csv"]
        exclude = ["*/archive/*"]
        debounce = 2
        depth = 4
        retries = 0
        cell_code_pattern = '[A-Z]+\\d+'
        cell_code_stop = ['CH\\d{1,2}']
        time_zone = "Europe/Berlin"
        keep_versions = "all"
        import_roots = ["/srv/cyclers", "more"]
        mappings = "~/maps"
        host = "0.0.0.0"
        port = 80
        sample_rules = ["header", "folder"]

        [notify.slack]
        url = "https://hooks.example.org/secret"

        [[schedule]]
        cron = "0 3 * * *"
        root = "nightly"

        [[rules]]
        folder = "formation"
        tags = ["formation"]
        """,
    )
    settings = load(home)
    assert settings.database == "lab"
    assert settings.data_dir == home / "data"
    assert (settings.workers, settings.debounce, settings.depth, settings.retries) == (3, 2.0, 4, 0)
    assert settings.cell_code_stop == (r"CH\d{1,2}",)
    assert settings.import_roots == (Path("/srv/cyclers"), home / "more")
    assert settings.mappings == Path("~/maps").expanduser()
    assert settings.sample_rules == ("header", "folder")
    assert settings.notify.targets == (UrlTarget("slack", "https://hooks.example.org/secret"),)
    assert settings.schedule == (Schedule("0 3 * * *", home / "nightly", "nightly"),)
    assert settings.rules == (ImportRule("formation", tags=("formation",)),)
    assert "secret" not in repr(settings) + repr(settings.notify)


def test_an_ini_file_holds_lists_after_commas_or_one_item_a_line(home: Path) -> None:
    write(
        home,
        """
        [battery_analysis]
        workers = 2
        debounce: 0.5
        include = *.csv, *.mpr
        cell_code_stop =
            CH\\d{1,2}
            MB\\d+
        cell_code_pattern = 100%|[A-Z]{2}
        """,
        ".battery_analysis.ini",
    )
    settings = load(home)
    assert (settings.workers, settings.debounce) == (2, 0.5)
    assert settings.include == ("*.csv", "*.mpr")
    assert settings.cell_code_stop == (r"CH\d{1,2}", r"MB\d+")
    assert settings.cell_code_pattern == "100%|[A-Z]{2}"


def test_both_files_at_once_are_an_error_unless_one_is_named(home: Path) -> None:
    toml = write(home, "port = 1001")
    ini = write(home, "[battery_analysis]\nport = 1002", ".battery_analysis.ini")
    assert error(home) == f"{toml} and {ini} both exist; keep one of them"
    assert load(home, config=ini).port == 1002


@pytest.mark.parametrize(
    ("environ", "overrides", "uri", "database", "where"),
    [
        ({"MONGO_HOST": "db"}, {}, "mongodb://db:27017/", "battery_test_db", "db:27017"),
        ({"MONGO_PORT": "27018"}, {}, "mongodb://localhost:27018/", "battery_test_db", "localhost:27018"),
        ({"MONGO_HOST": "::1"}, {}, "mongodb://[::1]:27017/", "battery_test_db", "[::1]:27017"),
        (
            {"MONGO_URI": "mongodb://ada:pw@a,b:1/cells?tls=true", "MONGO_HOST": "db"},
            {},
            "mongodb://ada:pw@a,b:1/cells?tls=true",
            "cells",
            "a,b:1",
        ),
        ({"MONGO_URI": "mongodb://a/cells", "BATTERY_DB_NAME": "lab"}, {}, "mongodb://a/lab", "lab", "a"),
        (
            {"MONGO_URI": "mongodb://u:p@a/cells?authMechanism=SCRAM-SHA-256"},
            {"db_name": "lab"},
            "mongodb://u:p@a/lab?authMechanism=SCRAM-SHA-256&authSource=cells",
            "lab",
            "a",
        ),
        (
            {"MONGO_URI": "mongodb://u:p@a/cells?authsource=admin"},
            {"db_name": "lab"},
            "mongodb://u:p@a/lab?authsource=admin",
            "lab",
            "a",
        ),
        ({"MONGO_URI": "mongodb://u:p@a", "BATTERY_DB_NAME": "lab"}, {}, "mongodb://u:p@a", "lab", "a"),
        ({"MONGO_URI": "mongodb://a"}, {"db_uri": "mongodb+srv://b.c.d"}, "mongodb+srv://b.c.d", None, "b.c.d"),
        ({"MONGO_URI": "mongodb://%2Ftmp%2Fm.sock"}, {}, "mongodb://%2Ftmp%2Fm.sock", None, "/tmp/m.sock"),
    ],
)
def test_a_server_is_named_by_uri_or_by_host_and_port(
    home: Path, environ: dict[str, str], overrides: dict[str, str], uri: str, database: str | None, where: str
) -> None:
    settings = load(home, environ, **overrides)
    assert settings.mode == "server"
    assert (settings.uri(), settings.where) == (uri, where)
    assert settings.database == (database or "battery_test_db")


def test_only_the_variable_1_gives_the_mock_and_then_instead_of_any_server(home: Path) -> None:
    settings = load(home, {"USE_MONGO_MOCK": "1", "MONGO_URI": "mongodb://a"})
    assert (settings.mode, settings.uri(), settings.where) == ("mock", None, "in-memory mongomock")
    assert load(home, {"USE_MONGO_MOCK": "0"}).mode == "embedded"
    assert error(home, {"USE_MONGO_MOCK": "yes"}) == "variable USE_MONGO_MOCK: use_mock = 'yes': must be 1 or 0"


@pytest.mark.parametrize(
    "password", ["pa/ss", "pa?ss", "pa@ss", "pa:ss", "hunter2"], ids=["slash", "question", "at", "colon", "no host"]
)
def test_a_password_is_never_shown(home: Path, password: str) -> None:
    wrong = f"mongodb://ada:{password}@" + ("" if password == "hunter2" else "db.example.org/cells")
    message = error(home, {"MONGO_URI": wrong})
    assert message.startswith("variable MONGO_URI: db_uri: must have the form mongodb://")
    assert password not in message
    right = load(home, {"MONGO_URI": "mongodb://ada:hunter2@db.example.org/cells?x=hunter2"})
    assert "hunter2" not in repr(right) + str(right) + right.where


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("port = 8050\nwokers = 2", "2: unknown key 'wokers'; is workers meant?"),
        ("# server\ndb_host = 'x'", "2: 'db_host' is set by the variable MONGO_HOST only"),
        ("workers = 0", "1: workers = 0: must be a whole number of 1 or more"),
        ("workers = '2'", "1: workers = '2': must be a whole number of 1 or more"),
        ("workers = true", "1: workers = True: must be a whole number of 1 or more"),
        ("port = 70000", "1: port = 70000: must be a whole number from 1 to 65535"),
        ("# port\n\nport = 80.5", "3: port = 80.5: must be a whole number from 1 to 65535"),
        ("debounce = -1", "1: debounce = -1: must be a number of seconds, 0 or more"),
        ("include = '*.csv'", "1: include = '*.csv': must be a list"),
        ("include = ['a', 3]", "1: include = ['a', 3]: must be a text that is not empty"),
        ("cell_code_pattern = '['", "1: cell_code_pattern = '[': must be a regular expression: unterminated"),
        ("time_zone = 'Mars/Olympus'", "1: time_zone = 'Mars/Olympus': must be an IANA time zone"),
        ("time_zone = '../x'", "1: time_zone = '../x': must be an IANA time zone"),
        ("time_zone = 'Europe'", "1: time_zone = 'Europe': must be an IANA time zone"),
        ("keep_versions = 'some'", "1: keep_versions = 'some': must be one of recent, all, newest"),
        ("sample_rules = ['map', 'map']", "1: sample_rules = ['map', 'map']: must name at least one of"),
        ("db_name = 'a b'", "1: db_name = 'a b': must name a database"),
        ("db_uri = 'mongodb://h/a b'", "1: db_uri: must name a database"),
        ("host = 'http://x'", "1: host = 'http://x': must be a host name or address alone"),
        ("[rules]\nx = 1", "1: rules = {'x': 1}: must be a list of tables"),
        ("notify = 3", "1: notify: must be a table"),
        (
            "[[rules]]\ntags = ['a']\n[[rules]]\ncolour = 1",
            "1: rules 2: unknown key 'colour'; there are folder, ",
        ),
        ("[[rules]]\nfolder = 'x'", "1: rules 1: says nothing; give one of tags, operator"),
        ("[[rules]]\nsample_pattern = '('", "1: rules 1.sample_pattern = '(': must be a regular expression: "),
        ("[[rules]]\ntime_zone = 'Mars/X'", "1: rules 1.time_zone = 'Mars/X': must be an IANA time zone"),
        ("[[rules]]\ntags = 'x'", "1: rules 1.tags = 'x': must be a list"),
        ("[notify.email]\nhost = 'h'", "1: notify.email: from is missing"),
        (
            "[notify.email]\nhost = 'h'\nfrom = 'a@b'\nto = 'c@d'\npassword = 'hunter2'",
            "1: notify.email: user and password (or password_env) go together",
        ),
        ("[notify.email]\nhost = 'h'\nfrom = 'ab'\nto = 'c@d'", "1: notify.email.from = 'ab': must be an e-mail"),
        ("[notify.slack]\nurl = 'hunter2'", "1: notify.slack.url: must be an address that begins with https://"),
        ("[[notify.slack]]\nurl = 'ftp://hunter2'", "1: notify.slack 1.url: must be an address"),
        ("[notify.webhook]\nevents = ['failed']", "1: notify.webhook: one of url and url_env is wanted"),
        (
            "[notify.webhook]\nurl_env = 'HOOK'\nevents = ['success']",
            "1: notify.webhook.events = ['success']: must be one of completed, failed, stalled, retention",
        ),
        ("[notify]\nretention = 80", "1: notify.retention = 80: must be a fraction, above 0 and up to 1"),
        ("[notify]\nstalled_hours = 0", "1: notify.stalled_hours = 0: must be a number of hours, above 0"),
        ("[[schedule]]\ncron = '0 3 * * *'", "1: schedule 1: root is missing"),
        ("[[schedule]]\nroot = 'a'\ncron = '0 25 * * *'", "1: schedule 1.cron = '0 25 * * *': must be a cron"),
        ("[[schedule]]\nroot = 'a'\ncron = '0 0 30 2 *'", "1: schedule 1.cron = '0 0 30 2 *': must be a cron"),
        ("[[schedule]]\nroot = 'a'\ncron = '@daily'", "1: schedule 1.cron = '@daily': must have five fields"),
        (
            "[[schedule]]\nroot='x/a'\ncron='0 3 * * *'\n[[schedule]]\nroot='y/a'\ncron='0 4 * * *'",
            "1: schedule: two are called 'a'; give each a name of its own",
        ),
        ("port = 1\nport = 2", "2: "),
        ("port = 1\nworkers = ", "2: Invalid value"),
    ],
)
def test_an_error_in_a_toml_file_names_file_line_key_and_value(home: Path, text: str, message: str) -> None:
    file = write(home, text)
    said = error(home)
    assert said.startswith(f"{file}:{message}")
    assert "hunter2" not in said


def test_a_target_may_be_one_table_or_several_and_hides_what_is_secret(home: Path) -> None:
    write(
        home,
        """
        [notify]
        retention = 0.7
        [[notify.email]]
        host = "smtp.example.org"
        user = "ada"
        password = "hunter2"
        from = "lab@example.org"
        to = ["a@example.org", "b@example.org"]
        events = ["failed"]
        [[notify.email]]
        host = "localhost"
        port = 25
        starttls = false
        from = "lab@example.org"
        to = "c@example.org"
        """,
    )
    notify = load(home).notify
    first, second = notify.targets
    assert isinstance(first, EmailTarget)
    assert (first.password, first.port, first.starttls, first.to[1]) == ("hunter2", 587, True, "b@example.org")
    assert notify.wanting("completed") == [second]
    assert notify.retention == 0.7
    assert "hunter2" not in repr(notify)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("port = 1", "1: keys must follow the line [battery_analysis]"),
        ("[battery_analysis]\nnonsense", "2: 'nonsense"),
        ("[battery_analysis]\nport = 1\nport = 2", "3: port stands twice"),
        ("[battery_analysis]\n[other]\nx = 1", "2: unknown section [other]"),
        ("[DEFAULT]\nport = 1", "1: unknown section [DEFAULT]"),
        ("[battery_analysis]\nworkers = many", "2: workers = 'many': must be a whole number"),
        ("[battery_analysis]\nWorkers = 3", "2: unknown key 'Workers'; is workers meant?"),
        ("[battery_analysis]\nrules = x", "2: rules = 'x': must be a list of tables, which only a .toml file can hold"),
    ],
)
def test_an_error_in_an_ini_file_names_file_line_key_and_value(home: Path, text: str, message: str) -> None:
    file = write(home, text, ".battery_analysis.ini")
    assert error(home).startswith(f"{file}:{message}")


def test_errors_of_variables_and_options_name_them(home: Path) -> None:
    assert error(home, {"BATTERY_WORKERS": "many"}).startswith("variable BATTERY_WORKERS: workers = 'many': ")
    assert error(home, {"MONGO_HOST": "db:27018"}).startswith("variable MONGO_HOST: db_host = 'db:27018': ")
    assert error(home, db_name="a.b").startswith("option --db-name: db_name = 'a.b': ")


def test_a_settings_file_that_cannot_be_read_is_an_error(home: Path) -> None:
    assert (
        error(home, config=home / "absent.toml") == f"{home / 'absent.toml'}: cannot be read: No such file or directory"
    )
    assert error(home, config=home / "x.yaml") == f"{home / 'x.yaml'}: a settings file must end in .toml or .ini"
    latin = home / "latin.toml"
    latin.write_bytes("port = 1\n# Prüfstand\n".encode("latin-1"))
    assert error(home, config=latin) == f"{latin}:2: is not UTF-8 (byte 0xfc)"


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(home: Path) -> None:
    (home / ".battery_analysis.toml").write_bytes(b"\xef\xbb\xbfport = 99\r\nretries = 1\r\n")
    assert load(home).port == 99


def test_relative_paths_of_variables_count_from_the_current_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    assert load(home, {"BATTERY_DATA_DIR": "here"}).data_dir == home / "here"


def test_an_override_that_is_no_key_is_a_mistake_of_the_caller(home: Path) -> None:
    with pytest.raises(TypeError, match="'wokers'"):
        load(home, wokers=3)


def test_importing_settings_loads_nothing_heavy(tmp_path: Path) -> None:
    heavy = ("pymongo", "polars", "platformdirs", "tomli", "configparser")
    script = f"import sys, battery_analysis.settings; print([each for each in {heavy} if each in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "HOME": str(tmp_path)},
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
