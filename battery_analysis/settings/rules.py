"""Import rules: what is true of all files of a folder, in the settings or in a file of the folder itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from battery_analysis.errors import SettingsError
from battery_analysis.settings import kinds
from battery_analysis.settings.files import read_settings_file

RULE_FILE = ".battery_rules.toml"
"""Name of the file that holds rules for the folder it lies in, and all below."""


@dataclass(frozen=True)
class ImportRule:
    """What holds for the files that it fits; a rule without folder, pattern and tester fits all.

    ``folder`` and ``pattern`` are globs: of folders, by path below the root, by name or by absolute path, whose files
    and subfolders are meant; and of files, as ``include`` has them. ``sample_pattern`` is searched for in the file's
    name, then in its path below the root; its first group, or all it matches, is the sample.
    """

    folder: str | None = None
    pattern: str | None = None
    tester: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    operator: str | None = None
    device: str | None = None
    project: str | None = None
    time_zone: str | None = None
    sample_pattern: str | None = None

    @property
    def name(self) -> str:
        """How it is called where a sample says why it was chosen."""
        return " ".join(each for each in (self.folder, self.pattern, *self.tester) if each) or "*"


def _tag(value: Any) -> str:
    text: str = kinds.TEXT.check(value)
    if len(text) > 100:
        raise ValueError("a tag has at most 100 letters")
    return text


_SAYS: Mapping[str, kinds.Kind] = {
    "tags": kinds.list_of(_tag),
    "operator": kinds.TEXT,
    "device": kinds.TEXT,
    "project": kinds.TEXT,
    "time_zone": kinds.TIME_ZONE,
    "sample_pattern": kinds.PATTERN,
}
_KEYS: Mapping[str, kinds.Kind] = {
    "folder": kinds.TEXT,
    "pattern": kinds.TEXT,
    "tester": kinds.list_of(kinds.TEXT.check, or_one=True),
    **_SAYS,
}


def _rule(value: Any) -> ImportRule:
    entries = kinds.table(value, _KEYS)
    if not entries.keys() & _SAYS.keys():
        raise kinds.TableError(f": says nothing; give one of {', '.join(_SAYS)}")
    if "folder" in entries:
        entries["folder"] = entries["folder"].rstrip("/") or "/"
    return ImportRule(**entries)


RULES = kinds.tables_of(_rule)


def read_rule_file(path: Path) -> tuple[ImportRule, ...]:
    """Return the rules of a folder's own file: one of keys at its top, and those of a list ``rules``.

    Raises:
        SettingsError: It cannot be read or is malformed; names file, line, key and value.
    """
    own: dict[str, Any] = {}
    listed: tuple[ImportRule, ...] = ()
    for entry in read_settings_file(path):
        try:
            if entry.key == "rules":
                listed = RULES.check(entry.value)
            elif entry.key in ("folder", "pattern"):
                raise ValueError(f"{entry.key} stands in [[rules]] here; what stands outside fits all files")
            else:
                own[entry.key] = entry.value
                kinds.table({entry.key: entry.value}, _KEYS)
        except ValueError as exc:
            where = "rules" if entry.key == "rules" else ""
            between = "" if isinstance(exc, kinds.TableError) else ": "
            raise SettingsError(f"{entry.source}: {(where + between + str(exc)).lstrip('.: ')}") from exc
    try:
        return (*listed, _rule(own)) if own else listed
    except kinds.TableError as exc:
        raise SettingsError(f"{path}{exc}") from exc
