"""What every command shares: five options, exit statuses, tables and JSON.

A command module holds ``app = new_app()`` and functions registered with ``command``; ``main`` adds its
``app`` to ``battery-analysis``, and ``run(app)`` runs it alone.

Results go to standard output, logs and errors to standard error. Exit status: 0 all done, 1 some files or
items failed (the command raises ``typer.Exit(1)``), 2 could not start, 130 interrupted, 141 nobody reads on.
"""

from __future__ import annotations

import inspect
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, is_dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from math import isfinite
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Concatenate, Literal, NoReturn, ParamSpec

import typer
from typer.exceptions import TyperException

from battery_analysis.errors import BatteryAnalysisError, one_line

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from battery_analysis.settings import Settings
    from battery_analysis.store.connection import Store

COULD_NOT_START = 2
INTERRUPTED = 130
BROKEN_PIPE = 141

_COMMON = "Common options"
_PACKAGES = ("battery_analysis", "cli")

P = ParamSpec("P")
LogLevel = Literal["debug", "info", "warning", "error"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Context:
    """What the common options say; every command gets one as its first argument."""

    db_uri: str | None = None
    db_name: str | None = None
    config: Path | None = None
    json: bool = False

    @cached_property
    def settings(self) -> Settings:
        """The settings, loaded on first use.

        Raises:
            SettingsError: A key, variable or file is unknown or malformed.
        """
        return self.load_settings()

    def load_settings(self, **overrides: Any) -> Settings:
        """Load the settings with values of the command's own options, by key; None means not given.

        Raises:
            SettingsError: A key, variable, file or option is unknown or malformed.
        """
        from battery_analysis.settings import Settings

        return Settings.load(config=self.config, db_uri=self.db_uri, db_name=self.db_name, **overrides)


def open_store(context: Context) -> AbstractContextManager[Store]:
    """Connect to the store that the settings name, for a ``with`` block.

    Raises:
        StoreUnavailableError: No server answered.
    """
    from battery_analysis.store import connection

    return connection.open_store(context.settings)


def new_app(help: str | None = None) -> typer.Typer:
    """Make the application of one command module; ``help`` describes it where it is a group."""
    return typer.Typer(
        help=help, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, suggest_commands=True
    )


def command(
    app: typer.Typer, name: str
) -> Callable[[Callable[Concatenate[Context, P], None]], Callable[Concatenate[Context, P], None]]:
    """Register a function as command ``name`` of ``app``, with the common options beside its own.

    The function's first argument is its ``Context``; its docstring is the command's help.
    """

    def register(function: Callable[Concatenate[Context, P], None]) -> Callable[Concatenate[Context, P], None]:
        app.command(name)(_with_common_options(function))
        return function

    return register


def _common(
    db_uri: Annotated[
        str | None, typer.Option(help="MongoDB connection string.", metavar="URI", rich_help_panel=_COMMON)
    ] = None,
    db_name: Annotated[str | None, typer.Option(help="Database.", metavar="NAME", rich_help_panel=_COMMON)] = None,
    config: Annotated[
        Path | None, typer.Option(help="Settings file (.toml or .ini).", metavar="FILE", rich_help_panel=_COMMON)
    ] = None,
    log_level: Annotated[
        LogLevel, typer.Option(help="What to log.", case_sensitive=False, rich_help_panel=_COMMON)
    ] = "warning",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.", rich_help_panel=_COMMON)] = False,
) -> None:
    """Carry the signature of the common options."""


def _with_common_options(function: Callable[Concatenate[Context, P], None]) -> Callable[..., None]:
    _, *own = inspect.signature(function, eval_str=True).parameters.values()
    common = inspect.signature(_common, eval_str=True).parameters
    parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in (*own, *common.values())]

    def run(**options: Any) -> None:
        shared = {name: options.pop(name) for name in common}
        level: LogLevel = shared.pop("log_level")
        with _logging_to_stderr(level), _ends_with_a_status():
            function(Context(**shared), **options)  # type: ignore[call-arg]

    run.__name__ = function.__name__
    run.__doc__ = function.__doc__
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


@contextmanager
def _logging_to_stderr(level: LogLevel) -> Iterator[None]:
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    ours = [logging.getLogger(package) for package in _PACKAGES]
    before = [each.level for each in ours]
    root.addHandler(handler)
    # Only our own loggers: at debug level, database drivers log every packet.
    for each in ours:
        each.setLevel(level.upper())
    try:
        yield
    finally:
        root.removeHandler(handler)
        for each, old in zip(ours, before, strict=True):
            each.setLevel(old)


class _OneLine(logging.Formatter):
    """Keeps names of files from breaking a log line or a terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return one_line(super().formatMessage(record))


@contextmanager
def _ends_with_a_status() -> Iterator[None]:
    try:
        yield
        sys.stdout.flush()
    except BatteryAnalysisError as exc:
        logger.debug("ended by an error", exc_info=exc)
        fail(str(exc))
    except KeyboardInterrupt as exc:
        print("interrupted", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from exc
    except BrokenPipeError as exc:
        _forget_output()
        raise typer.Exit(BROKEN_PIPE) from exc
    except OSError as exc:
        logger.debug("ended by an error of the system", exc_info=exc)
        what = exc.strerror or str(exc)
        fail(f"{os.fspath(exc.filename)!s}: {what}" if exc.filename is not None else what)


def _forget_output() -> None:
    # The interpreter flushes once more when it ends, and would report the closed pipe then.
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)


def fail(message: str) -> NoReturn:
    """Print one line to standard error and end the command with status 2."""
    print(f"error: {one_line(message)}", file=sys.stderr)
    raise typer.Exit(COULD_NOT_START)


def run(app: typer.Typer, args: Sequence[str] | None = None, name: str | None = None) -> int:
    """Run an application and return its exit status.

    Args:
        app: One module's commands, or all.
        args: Arguments without the program's name; the process's own if left out.
        name: The program's name in help and messages; found out if left out.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal without the letter Ω still gets its table
    try:
        status = typer.main.get_command(app).main(args=args, prog_name=name, standalone_mode=False)
    except TyperException as exc:
        where = getattr(getattr(exc, "ctx", None), "command_path", None)
        hint = f" (see {where} --help)" if where else ""
        print(f"error: {one_line(exc.format_message().rstrip('.'))}{hint}", file=sys.stderr)
        return COULD_NOT_START
    return status if isinstance(status, int) else 0


@contextmanager
def replacing(target: Path) -> Iterator[BinaryIO]:
    """Write a file under a temporary name beside ``target``, which it replaces once it is whole.

    Raises:
        BatteryAnalysisError: The folder is missing or read-only, or the disk is full; the old file is as it was.
    """
    draft: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name[:100]}.", dir=target.parent)
        draft = Path(name)
        with os.fdopen(handle, "wb") as file:
            yield file
        draft.chmod(_usual_mode())
        draft.replace(target)
    except OSError as exc:
        reason = exc.strerror or str(exc)  # without the name of the temporary file
        raise BatteryAnalysisError(f"{target}: cannot be written: {reason}") from exc
    finally:
        if draft is not None:
            draft.unlink(missing_ok=True)


def _usual_mode() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def print_json(document: object) -> None:
    """Print one JSON document: times in ISO format, ids as texts, values that are no numbers as null."""
    import json

    json.dump(to_plain(document), sys.stdout, indent=2, allow_nan=False)
    sys.stdout.write("\n")


def to_plain(value: object) -> Any:
    """Turn a value into what JSON knows; naive times are UTC, as everywhere in the project.

    >>> to_plain({"at": datetime(2026, 3, 1, 12, 30), "efficiency": float("nan"), "path": Path("a.csv")})
    {'at': '2026-03-01T12:30:00+00:00', 'efficiency': None, 'path': 'a.csv'}

    Raises:
        TypeError: The value has no form in JSON.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): to_plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_plain(each) for each in value]
    if is_dataclass(value) and not isinstance(value, type):
        return to_plain(asdict(value))
    if isinstance(value, PurePath) or type(value).__name__ == "ObjectId":  # bson stays unimported
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON: {value!r}")


def print_table(rows: Iterable[Mapping[str, object]], columns: Sequence[str] | Mapping[str, str]) -> None:
    """Print rows as a table: drawn and fitted on a terminal, aligned and never cut in a pipe.

    Args:
        rows: One mapping per row; keys that ``columns`` does not name are left out.
        columns: Keys in order, or key to heading; a key without heading is shown with spaces.
    """
    headings = list(columns.values()) if isinstance(columns, Mapping) else [key.replace("_", " ") for key in columns]
    values = [[row.get(key) for key in columns] for row in rows]
    numeric = [all(isinstance(row[i], int | float | None) for row in values) for i in range(len(headings))]
    cells = [[one_line(cell_text(value)) for value in row] for row in values]
    if sys.stdout.isatty():
        _print_drawn(headings, cells, numeric)
    else:
        _print_aligned(headings, cells, numeric)


def cell_text(value: object) -> str:
    """Text of a value in a table.

    >>> [cell_text(value) for value in (None, True, 0.123456789, datetime(2026, 3, 1, 9, 5), ["a", "b"])]
    ['', 'yes', '0.123457', '2026-03-01 09:05', 'a, b']
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}" if isfinite(value) else ""
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC) if value.tzinfo else value:%Y-%m-%d %H:%M}"
    if isinstance(value, list | tuple):
        return ", ".join(map(cell_text, value))
    return str(value)


def _print_drawn(headings: list[str], cells: list[list[str]], numeric: list[bool]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading, right in zip(headings, numeric, strict=True):
        table.add_column(Text(heading), justify="right" if right else "left", overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))  # Text, because names of files may look like markup
    Console().print(table)


def _print_aligned(headings: list[str], cells: list[list[str]], numeric: list[bool]) -> None:
    from rich.cells import cell_len

    lines = [headings, *cells]
    widths = [max(cell_len(line[i]) for line in lines) for i in range(len(headings))]
    for line in lines:
        padded = [
            " " * (width - cell_len(text)) + text if right else text + " " * (width - cell_len(text))
            for text, width, right in zip(line, widths, numeric, strict=True)
        ]
        print("  ".join(padded).rstrip())


def print_facts(facts: Mapping[str, object]) -> None:
    """Print names and values in two columns; values that are not known are left out."""
    known = {name.replace("_", " "): one_line(text) for name, value in facts.items() if (text := cell_text(value))}
    width = max(map(len, known), default=0)
    for name, text in known.items():
        print(f"{name:<{width}}  {text}")
