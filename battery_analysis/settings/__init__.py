"""Settings: one layer for every command, the dashboard and the API.

Command line > environment > ``~/.battery_analysis.toml`` or ``.ini`` > default. In the ``.toml`` file the keys stand
at the top; in the ``.ini`` file in the section ``[battery_analysis]``, lists separated by commas or one item a line.
Both files at once are an error, since one of them would be ignored in silence. Relative paths count from the folder
of the file that names them, elsewhere from the current folder. An empty variable counts as not set.

The table of keys is the class ``Settings``; what a text may hold is in ``kinds``.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from battery_analysis.errors import SettingsError
from battery_analysis.settings import kinds
from battery_analysis.settings.files import Entry, read_settings_file
from battery_analysis.settings.notify import NOTIFY, Notify
from battery_analysis.settings.rules import RULES, ImportRule
from battery_analysis.settings.schedules import SCHEDULES, Schedule

APPLICATION = "battery-analysis"
FILE_NAMES = (".battery_analysis.toml", ".battery_analysis.ini")

Mode = Literal["mock", "embedded", "server"]


def _key(
    kind: kinds.Kind, variable: str | None = None, *, in_file: bool = True, secret: bool = False
) -> dict[str, Any]:
    return {"kind": kind, "variable": variable, "in_file": in_file, "secret": secret}


def _data_dir() -> Path:
    import platformdirs

    return platformdirs.user_data_path(APPLICATION, appauthor=False)


def _mappings() -> Path:
    import platformdirs

    return platformdirs.user_config_path(APPLICATION, appauthor=False) / "mappings"


def _cpu_count() -> int:
    # What this process may use, which in a container or a batch job is less than what the machine has.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Settings:
    """Every setting, checked. ``Settings.load()`` makes one; passwords are in no ``repr``."""

    db_uri: str | None = field(default=None, repr=False, metadata=_key(kinds.URI, "MONGO_URI", secret=True))
    db_host: str | None = field(default=None, metadata=_key(kinds.HOST, "MONGO_HOST", in_file=False))
    db_port: int | None = field(default=None, metadata=_key(kinds.PORT, "MONGO_PORT", in_file=False))
    db_name: str | None = field(default=None, metadata=_key(kinds.DATABASE, "BATTERY_DB_NAME"))
    """None: the database that the URI names, else ``battery_test_db``; see ``database``."""
    use_mock: bool = field(default=False, metadata=_key(kinds.SWITCH, "USE_MONGO_MOCK", in_file=False))
    data_dir: Path = field(default_factory=_data_dir, metadata=_key(kinds.PATH, "BATTERY_DATA_DIR"))
    workers: int = field(default_factory=_cpu_count, metadata=_key(kinds.whole(1), "BATTERY_WORKERS"))
    include: tuple[str, ...] = field(default=(), metadata=_key(kinds.TEXTS))
    exclude: tuple[str, ...] = field(default=(), metadata=_key(kinds.TEXTS))
    debounce: float = field(default=1.0, metadata=_key(kinds.SECONDS))
    """Seconds."""
    depth: int | None = field(default=None, metadata=_key(kinds.whole(0)))
    """None: unlimited; 0: only the files in the root itself."""
    retries: int = field(default=3, metadata=_key(kinds.whole(0)))
    cell_code_pattern: str = field(
        default=r"(?<![A-Za-z0-9])[A-Z]{2,4}\d{2,4}(?![A-Za-z0-9])", metadata=_key(kinds.PATTERN)
    )
    cell_code_stop: tuple[str, ...] = field(
        default=(
            *(r"CH\d+", r"EDA\d+", r"MB\d+"),  # channels, devices, boards
            *(r"NMC\d+", r"NCA\d+", r"LFP\d+", r"LCO\d+", r"LMO\d+", r"LTO\d+"),  # chemistries
            *(r"SOC\d+", r"DOD\d+", r"RPT\d+"),  # conditions and check-ups
        ),
        metadata=_key(kinds.PATTERNS),
    )
    time_zone: str = field(default="UTC", metadata=_key(kinds.TIME_ZONE, "BATTERY_TIME_ZONE"))
    keep_versions: str = field(default="recent", metadata=_key(kinds.choice("recent", "all", "newest")))
    """``recent``: the last ten and one a day."""
    import_roots: tuple[Path, ...] = field(default=(), metadata=_key(kinds.PATHS))
    mappings: Path = field(default_factory=_mappings, metadata=_key(kinds.PATH))
    adhoc_scripts: Path | None = field(default=None, metadata=_key(kinds.PATH))
    """A folder of scripts that the dashboard shows, besides its own."""
    notify: Notify = field(default_factory=Notify, repr=False, metadata=_key(NOTIFY, secret=True))
    schedule: tuple[Schedule, ...] = field(default=(), metadata=_key(SCHEDULES))
    rules: tuple[ImportRule, ...] = field(default=(), metadata=_key(RULES))
    """The first that says something counts; their tags add up."""
    host: str = field(default="127.0.0.1", metadata=_key(kinds.HOST, "BATTERY_HOST"))
    port: int = field(default=8050, metadata=_key(kinds.PORT, "BATTERY_PORT"))
    sample_rules: tuple[str, ...] = field(
        default=("map", "header", "pattern", "folder"),
        metadata=_key(kinds.some_of("map", "header", "pattern", "folder")),
    )

    @classmethod
    def load(cls, config: Path | None = None, environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
        """Gather the settings from file, environment and command line, and check every one that is given.

        Args:
            config: File to read instead of the one in the home folder; ``.toml`` or ``.ini``.
            environ: Variables; the process's own if left out.
            overrides: Values from the command line, by key; None means not given.

        Raises:
            SettingsError: A key is unknown, a value is wrong or a file is malformed; names file and line, variable or
                option.
        """
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        for entry in _entries(config, environ, overrides):
            values[entry.key] = _checked(entry)
        return cls(**values)

    @property
    def mode(self) -> Mode:
        """``mock`` beats everything, then any server that is named; with nothing configured ``embedded``."""
        if self.use_mock:
            return "mock"
        named = self.db_uri or self.db_host is not None or self.db_port is not None
        return "server" if named else "embedded"

    @property
    def database(self) -> str:
        """Name of the database: ``db_name``, else the one that the URI names, else ``battery_test_db``."""
        named = kinds.database_of(self.db_uri) if self.db_uri else None
        return self.db_name or named or "battery_test_db"

    def uri(self) -> str | None:
        """Connection string, password included, of the server that is named; None where none is.

        A database in it is ``database``: mongoengine takes that one, whatever else it is told.
        """
        if self.mode != "server":
            return None
        if self.db_uri:
            return kinds.with_database(self.db_uri, self.database)
        host = self.db_host or "localhost"
        return f"mongodb://{f'[{host}]' if ':' in host else host}:{self.db_port or 27017}/"

    @property
    def where(self) -> str:
        """The server for people to read; never holds user or password."""
        uri = self.uri()
        if uri is None:
            return "in-memory mongomock" if self.use_mock else f"embedded MongoDB in {self.data_dir}"
        return kinds.hosts_of(uri)


_FIELDS = {each.name: each.metadata for each in fields(Settings)}


def _entries(config: Path | None, environ: Mapping[str, str], overrides: Mapping[str, Any]) -> Iterator[Entry]:
    """What is given, from the weakest source to the strongest."""
    file = config or _file_at_home(environ)
    if file is not None:
        for entry in read_settings_file(file):
            _refuse_unknown(entry)
            yield entry
    here = Path.cwd()
    for key, facts in _FIELDS.items():
        variable = facts["variable"]
        if variable and environ.get(variable):
            yield Entry(key, environ[variable], f"variable {variable}", here, text=True)
    for key, value in overrides.items():
        if key not in _FIELDS:
            raise TypeError(f"Settings.load() got an unexpected override {key!r}")
        if value is not None:
            yield Entry(key, value, f"option --{key.replace('_', '-')}", here)


def _file_at_home(environ: Mapping[str, str]) -> Path | None:
    home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    present = [home / name for name in FILE_NAMES if (home / name).exists()]
    if len(present) > 1:
        raise SettingsError(f"{present[0]} and {present[1]} both exist; keep one of them")
    return present[0] if present else None


def _refuse_unknown(entry: Entry) -> None:
    facts = _FIELDS.get(entry.key)
    if facts is None:
        known = [key for key, each in _FIELDS.items() if each["in_file"]]
        near = difflib.get_close_matches(entry.key, known, n=1)
        hint = f"; is {near[0]} meant?" if near else f"; there are {', '.join(known)}"
        raise SettingsError(f"{entry.source}: unknown key {entry.key!r}{hint}")
    if not facts["in_file"]:
        raise SettingsError(f"{entry.source}: {entry.key!r} is set by the variable {facts['variable']} only")


def _checked(entry: Entry) -> Any:
    facts = _FIELDS[entry.key]
    kind: kinds.Kind = facts["kind"]
    try:
        return kinds.anchored(kind.check(kind.from_text(entry.value) if entry.text else entry.value), entry.base)
    except kinds.TableError as exc:
        raise SettingsError(f"{entry.source}: {entry.key}{exc}") from exc
    except ValueError as exc:
        shown = "" if facts["secret"] else f" = {repr(entry.value)[:120]}"
        raise SettingsError(f"{entry.source}: {entry.key}{shown}: {exc}") from exc
