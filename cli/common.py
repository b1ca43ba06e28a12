"""What every command shares: five options, logs, errors and exit statuses.

A command module holds ``app = new_app()`` and functions registered with ``command``; ``main`` adds its
``app`` to ``battery-analysis``, and ``run(app)`` runs it alone.

Results go to standard output, logs and errors to standard error. Exit status: 0 all done, 1 some files or
items failed (the command raises ``typer.Exit(1)``), 2 could not start, 130 interrupted, 141 nobody reads on.
"""

from __future__ import annotations

import inspect
import logging
import os
import shlex
import shutil
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, Literal, NoReturn, ParamSpec

import typer
from typer.exceptions import TyperException

from battery_analysis.errors import BatteryAnalysisError, one_line

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from battery_analysis.settings import Settings
    from battery_analysis.store.connection import Store

MOST = 2**31 - 1
"""The largest whole number an option takes: far beyond any use, and within what the database can hold."""

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


def type_next(context: Context, *words: str) -> str:
    """Spell a command for the user to type, on the same database; a password is left for them to fill in."""
    if words == ("--help",):
        return f"{_program()} --help"
    given: list[str] = []
    if context.db_uri is not None:
        given += ["--db-uri", "URI" if "@" in context.db_uri else shlex.quote(context.db_uri)]
    if context.db_name is not None:
        given += ["--db-name", shlex.quote(context.db_name)]
    if context.config is not None:
        given += ["--config", shlex.quote(str(context.config))]
    return one_line(" ".join([_program(), *map(shlex.quote, words), *given]))


def _program() -> str:
    """Return how a person in this folder types ``battery-analysis``."""
    script = shutil.which("battery-analysis", path=sysconfig.get_path("scripts"))
    if script is None:
        return f"{shlex.quote(sys.executable)} -m cli.main"
    on_path = shutil.which("battery-analysis")
    if on_path and Path(on_path).samefile(script):
        return "battery-analysis"
    here, place = Path.cwd(), Path(script)
    return shlex.quote(str(place.relative_to(here) if place.is_relative_to(here) else place))


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
            _refuse_bytes({**shared, **options})
            function(Context(**shared), **options)  # type: ignore[call-arg]

    run.__name__ = function.__name__
    run.__doc__ = function.__doc__
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _refuse_bytes(options: Mapping[str, Any]) -> None:
    """Refuse bytes that are no text, which arrive as surrogates; only a path may hold them."""
    for name, value in options.items():
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and any("\ud800" <= char <= "\udfff" for char in text):
                fail(f"{name.replace('_', '-')}: {os.fsencode(text)!r} is no text in UTF-8")


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
        what = exc.format_message().rstrip(".").replace(": Value error, ", ": ")  # wording of the validating library
        print(f"error: {one_line(what)}{hint}", file=sys.stderr)
        return COULD_NOT_START
    return status if isinstance(status, int) else 0


def user_name() -> str | None:
    """Return who runs the command, for the history of what is changed; None where the system does not know."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a user of this number
        return None
