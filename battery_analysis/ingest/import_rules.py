"""What rules say of a file before it is imported: rules of the settings, and those that lie in folders.

A folder's own file, ``.battery_rules.toml``, counts for the folder and all below; the innermost counts first, then
those around it up to the root, then the settings. In each of them the first rule that says something counts; tags add
up. What the command says counts before all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path, PurePath, PurePosixPath

from battery_analysis.errors import IngestError, SettingsError
from battery_analysis.ingest.discover import Candidate, stored_text
from battery_analysis.ingest.sample_rules import SamplePattern
from battery_analysis.settings.rules import RULE_FILE, ImportRule, read_rule_file
from battery_analysis.store.raw_files import Labels

Stamp = tuple[int, int]


@dataclass(frozen=True)
class Said:
    """What is known of a file from outside: its labels, the zone of its stamps, and where its sample is written."""

    labels: Labels
    time_zone: str
    sample_patterns: tuple[SamplePattern, ...] = ()


@dataclass
class ImportRules:
    """The rules in force; may be asked from any thread.

    Args:
        rules: Those of the settings.
        labels: What the command says.
        time_zone: Zone of stamps where no rule names one.
    """

    rules: Sequence[ImportRule] = ()
    labels: Labels = field(default_factory=Labels)
    time_zone: str = "UTC"
    _read: dict[Path, tuple[Stamp, tuple[ImportRule, ...]]] = field(default_factory=dict)

    def of(self, candidate: Candidate, tester: str | None = None) -> Said:
        """Return what holds for a file that a tester of this vendor wrote.

        Raises:
            IngestError: A rule file above it cannot be read or is malformed.
        """
        fitting = list(self._fitting(candidate, tester))
        labels = self.labels
        patterns = tuple(SamplePattern(each.name, each.sample_pattern) for each in fitting if each.sample_pattern)
        tags = dict.fromkeys([*labels.tags, *(tag for rule in fitting for tag in rule.tags)])
        return Said(
            replace(
                labels,
                tags=tuple(tags),
                operator=labels.operator or _first(fitting, "operator"),
                device=labels.device or _first(fitting, "device"),
                project=labels.project or _first(fitting, "project"),
            ),
            _first(fitting, "time_zone") or self.time_zone,
            patterns,
        )

    def _fitting(self, candidate: Candidate, tester: str | None) -> Iterator[ImportRule]:
        parts = candidate.relative.parts
        for level, folder in enumerate(_folders(candidate)):
            below = PurePosixPath(*parts[len(parts) - 1 - level :])
            for rule in self._rules_in(folder):
                if _is_of(rule, tester) and _fits(rule, below, [each.name for each in below.parents[:-1]]):
                    yield _called_by_its_folder(rule, folder)
        absolute = [str(folder) for folder in PurePath(candidate.source).parents]
        for rule in self.rules:
            names = absolute if rule.folder and Path(rule.folder).is_absolute() else candidate.folders
            if _is_of(rule, tester) and _fits(rule, candidate.relative, names):
                yield rule

    def _rules_in(self, folder: Path) -> tuple[ImportRule, ...]:
        file = folder / RULE_FILE
        try:
            status = file.stat()
        except (FileNotFoundError, NotADirectoryError):
            return ()
        except OSError as exc:
            raise IngestError(f"{file}: {exc.strerror}") from exc
        stamp = status.st_mtime_ns, status.st_size
        known = self._read.get(file)
        if known is None or known[0] != stamp:
            try:
                known = self._read[file] = stamp, read_rule_file(file)
            except SettingsError as exc:
                raise IngestError(str(exc)) from exc
        return known[1]


def _folders(candidate: Candidate) -> list[Path]:
    """Return the folders that a file lies in, from the inside out, up to the root."""
    if candidate.origin is not None:
        return []  # rule files are looked for in folders of this computer
    return list(candidate.path.absolute().parents)[: max(len(candidate.relative.parts), 1)]


def _called_by_its_folder(rule: ImportRule, folder: Path) -> ImportRule:
    """Return a rule of a folder's own file under a name that tells where it stands."""
    inner = f"/{rule.folder}" if rule.folder else ""
    return replace(rule, folder=f"{stored_text(folder.name)}{inner}")


def _fits(rule: ImportRule, relative: PurePosixPath, names: Sequence[str]) -> bool:
    folders = (*map(str, relative.parents[:-1]), *names)
    in_folder = rule.folder is None or any(fnmatch(folder, rule.folder) for folder in folders)
    spellings = (str(relative), f"/{relative}", relative.name)
    return in_folder and (rule.pattern is None or any(fnmatch(each, rule.pattern) for each in spellings))


def _is_of(rule: ImportRule, tester: str | None) -> bool:
    return not rule.tester or (tester or "").casefold() in {each.casefold() for each in rule.tester}


def _first(rules: Sequence[ImportRule], name: str) -> str | None:
    found: str | None = next((value for rule in rules if (value := getattr(rule, name))), None)
    return found
