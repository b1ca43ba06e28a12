"""The frame of the commands: statuses, messages, logs, tables and JSON."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Annotated

import pytest
import typer
from bson import ObjectId

from battery_analysis.errors import BatteryAnalysisError, StoreUnavailableError
from cli.common import Context, command, new_app, run
from cli.main import main
from cli.output import print_facts, print_json, print_table, to_plain

ROOT = Path(__file__).resolve().parents[2]


def status_of(work: Callable[[Context], None], *args: str) -> int:
    """Run ``work`` as a command of its own."""
    app = new_app()

    @command(app, "work")
    def _work(
        context: Context, names: Annotated[list[str] | None, typer.Argument(help="Names of things.")] = None
    ) -> None:
        """Do the work."""
        work(context)

    return run(app, args, name="work")


def raising(error: BaseException) -> Callable[[Context], None]:
    def work(context: Context) -> None:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (StoreUnavailableError("no server at localhost"), 2, "error: no server at localhost\n"),
        (BatteryAnalysisError("two\nlines"), 2, "error: two\\nlines\n"),
        (PermissionError(13, "Permission denied", "/data/x.csv"), 2, "error: /data/x.csv: Permission denied\n"),
        (OSError(28, "No space left on device"), 2, "error: No space left on device\n"),
        (typer.Exit(1), 1, ""),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_an_error_ends_a_command_with_a_status_and_one_line(
    error: BaseException, status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(raising(error)) == status
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == message


def test_an_error_nobody_expected_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        status_of(raising(ZeroDivisionError()))


@pytest.mark.parametrize("args", [["--nonsense"], ["--log-level", "loud"]])
def test_a_bad_option_is_one_line_that_names_the_help(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(lambda context: None, *args) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert args[0] in printed.err
    assert "(see work --help)" in printed.err


def test_the_common_options_reach_the_command() -> None:
    given = []
    args = ["--db-uri", "mongodb://db:1", "--db-name", "lab", "--config", "set.toml", "--json"]
    assert status_of(given.append, *args) == 0
    assert given == [Context(db_uri="mongodb://db:1", db_name="lab", config=Path("set.toml"), json=True)]


def test_logs_go_to_standard_error_as_loud_as_asked(capsys: pytest.CaptureFixture[str]) -> None:
    def work(context: Context) -> None:
        logging.getLogger("battery_analysis.ingest").info("took in %s", "a\nb.csv")
        logging.getLogger("pymongo").info("a packet")

    assert status_of(work) == 0
    assert capsys.readouterr().err == ""
    assert status_of(work, "--log-level", "info") == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.endswith("INFO battery_analysis.ingest: took in a\\nb.csv\n")
    assert "packet" not in printed.err


def test_a_command_leaves_no_log_handler_behind() -> None:
    before = list(logging.getLogger().handlers)
    status_of(lambda context: None, "--log-level", "debug")
    assert logging.getLogger().handlers == before
    assert logging.getLogger("battery_analysis").level == logging.NOTSET


def test_without_arguments_there_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "read" in capsys.readouterr().out


def test_an_unknown_command_is_a_bad_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["raed"]) == 2
    assert "raed" in capsys.readouterr().err


def test_a_closed_pipe_is_quiet() -> None:
    code = "from cli.output import print_table; from tests.cli.test_common import status_of; import sys; " + (
        "sys.exit(status_of(lambda context: print_table([{'name': 'x' * 100}] * 10_000, ['name'])))"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout and child.stderr
    child.stdout.readline()
    child.stdout.close()
    assert child.stderr.read() == ""
    child.stderr.close()
    assert child.wait() == 141


def test_json_knows_times_ids_and_missing_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    berlin = datetime(2026, 3, 1, 13, 0, tzinfo=timezone(timedelta(hours=1)))
    print_json([{"id": ObjectId("0" * 24), "at": berlin, "naive": datetime(2026, 3, 1), "efficiency": float("inf")}])
    assert json.loads(capsys.readouterr().out) == [
        {
            "id": "0" * 24,
            "at": "2026-03-01T13:00:00+01:00",
            "naive": "2026-03-01T00:00:00+00:00",
            "efficiency": None,
        }
    ]


def test_json_survives_a_file_name_that_is_no_text(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"path": os.fsdecode(b"caf\xe9.csv")})
    assert json.loads(capsys.readouterr().out) == {"path": "caf\udce9.csv"}


def test_json_refuses_what_it_has_no_form_for() -> None:
    with pytest.raises(TypeError, match="bytes has no form in JSON"):
        to_plain({"raw": b"x"})


def test_a_table_in_a_pipe_is_aligned_and_never_cut(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"name": "[red]" + "x" * 200, "records": 12, "started_at": datetime(2026, 3, 1, 9, 5, tzinfo=UTC)},
        {"name": "two\nlines", "records": None, "started_at": None},
    ]
    print_table(rows, {"name": "name", "records": "records", "started_at": "started"})
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["name", "records", "started"]
    assert first == "[red]" + "x" * 200 + "       12  2026-03-01 09:05"
    assert second == "two\\nlines"


def test_a_drawn_table_shows_names_that_look_like_markup(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    print_table([{"name": "cell[/red].csv"}], ["name"])
    assert "cell[/red].csv" in capsys.readouterr().out


@pytest.mark.parametrize("width", [60, 90, 200])
def test_an_id_is_never_folded_so_that_it_can_be_copied(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", str(width))
    identity, stamp = "0123456789abcdef01234567", "2026-03-01 09:05"
    row = {"id": identity, "cycles": 12, "started_at": stamp, "reason": "a long reason " * 10}
    print_table([row] * 2, ["id", "cycles", "started_at", "reason"])
    shown = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out)
    assert shown.count(identity) == shown.count(stamp) == 2
    assert shown.count("reason") == 21
    assert width == 60 or max(map(len, shown.splitlines())) <= width


def drawn(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int) -> list[str]:
    """Draw a table with a long word, a long text and a number, without colours."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", str(width))
    row = {"path": "/data/" + "x" * 40, "reason": "some words " * 8 + "last", "capacity": 0.00123456}
    print_table([row], list(row))
    return re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out).splitlines()


@pytest.mark.parametrize("width", [70, 80, 120])
def test_a_table_is_folded_between_words(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = drawn(monkeypatch, capsys, width)
    assert max(map(len, lines)) <= width
    words = " ".join(lines).split()
    assert (words.count("some"), words.count("words")) == (8, 8)
    assert {"/data/" + "x" * 40, "0.00123456", "capacity"} <= set(words)


def test_where_no_table_fits_each_row_is_a_block(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = drawn(monkeypatch, capsys, 60)
    assert lines[0] == "path      /data/" + "x" * 40
    assert lines[1] == "reason    some words some words some words some words some"
    assert lines[-1] == "capacity  0.00123456"
    assert max(map(len, lines)) <= 60


def test_facts_leave_out_what_is_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    print_facts({"sample": "cell7", "device": None, "active_mass_gram": 0.0123})
    assert capsys.readouterr().out == "sample           cell7\nactive mass / g  0.0123\n"
