"""Read a settings file, ``.toml`` or ``.ini``, into entries that know their file and line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from battery_analysis.errors import SettingsError

SECTION = "battery_analysis"


@dataclass(frozen=True)
class Entry:
    """One value as it was given.

    ``source`` is what an error names (file and line, variable, option), ``base`` the folder from which relative paths
    count, ``text`` says that numbers and lists are still to be read from text.
    """

    key: str
    value: Any
    source: str
    base: Path
    text: bool = False


def read_settings_file(path: Path) -> Iterator[Entry]:
    """Yield the entries of a settings file.

    Raises:
        SettingsError: The file cannot be read or is malformed; names the line.
    """
    reader = {".toml": _toml, ".ini": _ini}.get(path.suffix.lower())
    if reader is None:
        raise SettingsError(f"{path}: a settings file must end in .toml or .ini")
    try:
        text = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except OSError as exc:
        raise SettingsError(f"{path}: cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        line = exc.object.count(b"\n", 0, exc.start) + 1
        raise SettingsError(f"{path}:{line}: is not UTF-8 (byte 0x{exc.object[exc.start]:02x})") from exc
    yield from reader(path, text)


def _toml(path: Path, text: str) -> Iterator[Entry]:
    import tomli

    try:
        document = tomli.loads(text)
    except tomli.TOMLDecodeError as exc:
        raise SettingsError(f"{path}:{_line(text, exc.pos)}: {exc.msg}") from exc
    for key, value in document.items():
        yield Entry(key, value, f"{path}:{_toml_line(text, key)}", path.absolute().parent)


def _toml_line(text: str, key: str) -> int:
    """The parser gives no lines of keys; plain keys stand before the first table, tables have headers."""
    name = rf"[\"']?{re.escape(key)}[\"']?[ \t]*"
    first_table = re.search(r"^[ \t]*\[", text, re.MULTILINE)
    head = text[: first_table.start()] if first_table else text
    found = re.search(rf"^[ \t]*{name}[.=]", head, re.MULTILINE)
    found = found or re.search(rf"^[ \t]*\[\[?[ \t]*{name}[\].]", text, re.MULTILINE)
    return _line(text, found.start() if found else 0)


def _ini(path: Path, text: str) -> Iterator[Entry]:
    import configparser

    # No default section: [DEFAULT] would put keys into ours in silence.
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # keys are spelled as in the documentation
    try:
        parser.read_string(text)
    except configparser.DuplicateOptionError as exc:
        raise SettingsError(f"{path}:{exc.lineno}: {exc.option} stands twice") from exc
    except configparser.DuplicateSectionError as exc:
        raise SettingsError(f"{path}:{exc.lineno}: section [{exc.section}] stands twice") from exc
    except configparser.MissingSectionHeaderError as exc:
        raise SettingsError(f"{path}:{exc.lineno}: keys must follow the line [{SECTION}]") from exc
    except configparser.ParsingError as exc:
        line, content = exc.errors[0]
        raise SettingsError(f"{path}:{line}: {content} is not of the form key = value") from exc
    for section in parser.sections():
        if section != SECTION:
            line = _ini_line(text, rf"\[{re.escape(section)}\]")
            raise SettingsError(f"{path}:{line}: unknown section [{section}]; the keys stand in [{SECTION}]")
        for key, value in parser.items(section):
            line = _ini_line(text, rf"{re.escape(key)}[ \t]*[=:]")
            yield Entry(key, value, f"{path}:{line}", path.absolute().parent, text=True)


def _ini_line(text: str, pattern: str) -> int:
    found = re.search(rf"^[ \t]*{pattern}", text, re.MULTILINE)
    return _line(text, found.start() if found else 0)


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
