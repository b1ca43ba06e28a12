"""Decide which sample a file belongs to: one rule book for every entrance."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from battery_analysis.errors import IngestError
from battery_analysis.ingest.discover import Candidate
from battery_analysis.readers.base import TestMetadata
from battery_analysis.settings import Settings

_SHOWN = 3


@dataclass(frozen=True)
class Decision:
    """The sample of a file, the cell code of its test, and why.

    ``rule`` is the rule that answered; ``passed_over`` holds other cell codes found in the same name.
    """

    sample: str
    cell_code: str
    rule: str
    passed_over: tuple[str, ...] = ()


@dataclass(frozen=True)
class SamplePattern:
    """An expression that finds the sample in a file's name or path, and the import rule that holds it."""

    rule: str
    expression: str

    def find(self, candidate: Candidate) -> str | None:
        """Return its first group, or all it matches: in the name, else in the path below the root."""
        for text in (candidate.filename, str(candidate.relative)):
            if found := re.search(self.expression, text):
                return next((group for group in found.groups() if group), found.group())
        return None


@dataclass(frozen=True)
class SampleRules:
    """The rules in force, first answer counts.

    ``fixed`` (one sample for all) goes before everything but an explicit list of files. ``order`` holds ``map`` (that
    list, then the sample patterns of import rules), ``header`` (sample, barcode or cell name in the file), ``pattern``
    (a cell code in the file name, then in the folder names from the inside out) and ``folder`` (the parent folder's
    name).
    """

    pattern: re.Pattern[str]
    stop: tuple[re.Pattern[str], ...] = ()
    order: Sequence[str] = ("map", "header", "pattern", "folder")
    fixed: str | None = None
    sample_map: Mapping[str, str] = field(default_factory=dict)

    def decide(
        self, candidate: Candidate, metadata: TestMetadata | None, patterns: Sequence[SamplePattern] = ()
    ) -> Decision:
        """Return the sample of a file, for which import rules give ``patterns``.

        Raises:
            IngestError: No rule answers.
        """
        if self.fixed is not None:
            own = (self._mapped(candidate) or "").strip()
            return self._decided(own or self.fixed, "map" if own else "fixed", candidate)
        for rule in self.order:
            match rule:
                case "map":
                    sample = self._mapped(candidate)
                    for pattern in () if sample else patterns:
                        if (found := pattern.find(candidate)) and found.strip():
                            return self._decided(found.strip(), f"rule {pattern.rule}", candidate)
                case "header":
                    sample = (metadata.sample_name or metadata.barcode) if metadata else None
                case "pattern":
                    if decision := self._by_pattern(candidate):
                        return decision
                    continue
                case _:
                    sample = candidate.folders[0]
            if sample and sample.strip():
                return self._decided(sample.strip(), rule, candidate)
        raise IngestError(f"no sample found by {', '.join(self.order)}")

    def codes(self, name: str) -> list[str]:
        """Return the cell codes in a name, in order, without repeats and without what the stop list keeps out."""
        found = (match.group() for match in self.pattern.finditer(name))
        return list(dict.fromkeys(code for code in found if not any(stop.fullmatch(code) for stop in self.stop)))

    def refuse_ambiguous(self, candidates: Iterable[Candidate]) -> None:
        """Refuse a map in which a bare name stands for several files.

        Raises:
            IngestError: Names them.
        """
        meant: dict[str, list[str]] = {}
        counts = "map" in self.order or self.fixed is not None
        for candidate in candidates if self.sample_map and counts else ():
            if (key := self._key(candidate)) == candidate.filename:
                meant.setdefault(key, []).append(str(candidate.relative))
        for name, files in meant.items():
            if len(files) > 1:
                shown = ", ".join(files[:_SHOWN]) + (", …" if len(files) > _SHOWN else "")
                raise IngestError(
                    f"sample map: {name} stands for {len(files)} files ({shown}); write their paths below the root"
                )

    def _key(self, candidate: Candidate) -> str | None:
        keys = (str(candidate.relative), candidate.source, candidate.filename)
        return next((key for key in keys if key in self.sample_map), None)

    def _mapped(self, candidate: Candidate) -> str | None:
        key = self._key(candidate)
        return None if key is None else self.sample_map[key]

    def _by_pattern(self, candidate: Candidate) -> Decision | None:
        folders = (("folder name", folder) for folder in candidate.folders)
        for where, name in (("file name", candidate.filename), *folders):
            if codes := self.codes(name):
                return Decision(codes[0], codes[0], f"pattern in {where}", tuple(codes[1:]))
        return None

    def _decided(self, sample: str, rule: str, candidate: Candidate) -> Decision:
        codes = self.codes(Path(candidate.filename).stem) or self.codes(sample) or [sample]
        return Decision(sample, codes[0], rule, tuple(codes[1:]))


def rules_from(
    settings: Settings, *, fixed: str | None = None, sample_map: Path | None = None, header_only: bool = False
) -> SampleRules:
    """Return the rules that settings and options ask for.

    Raises:
        IngestError: The map cannot be read.
    """
    return SampleRules(
        pattern=re.compile(settings.cell_code_pattern),
        stop=tuple(re.compile(stop) for stop in settings.cell_code_stop),
        order=("header",) if header_only else tuple(settings.sample_rules),
        fixed=fixed,
        sample_map=read_sample_map(sample_map) if sample_map else {},
    )


def read_sample_map(path: Path) -> dict[str, str]:
    """Read a map of files to samples: CSV with the columns ``file_path,sample``, or TOML with a table ``samples``.

    Raises:
        IngestError: The file cannot be read or has another shape.
    """
    try:
        return _read_toml_map(path) if path.suffix.lower() == ".toml" else _read_csv_map(path)
    except OSError as exc:
        raise IngestError(f"{path}: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise IngestError(f"{path}: not UTF-8 text") from exc


def write_sample_map(path: Path, rows: Mapping[str, str]) -> None:
    """Write a map of files to samples, as CSV or TOML by its suffix."""
    with path.open("w", encoding="utf-8", newline="") as file:
        if path.suffix.lower() == ".toml":
            file.write("[samples]\n")
            file.writelines(f"{_toml_text(name)} = {_toml_text(sample)}\n" for name, sample in rows.items())
            return
        writer = csv.writer(file)
        writer.writerow(("file_path", "sample"))
        writer.writerows(rows.items())


def _read_csv_map(path: Path) -> dict[str, str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        columns = reader.fieldnames or []
        if not {"file_path", "sample"} <= set(columns):
            raise IngestError(f"{path}: columns file_path and sample wanted, the file has {', '.join(columns)}")
        rows: dict[str, str] = {}
        for line, row in enumerate(reader, start=2):
            if not row["file_path"] or not row["sample"]:
                raise IngestError(f"{path}: line {line} lacks a file path or a sample: {row}")
            name, sample = row["file_path"], row["sample"]
            if (before := rows.setdefault(name, sample)) != sample:
                raise IngestError(f"{path}: line {line}: {name} gets the sample {sample}, and {before} above")
        return rows


def _read_toml_map(path: Path) -> dict[str, str]:
    import tomli

    try:
        samples = tomli.loads(path.read_text(encoding="utf-8")).get("samples")
    except tomli.TOMLDecodeError as exc:
        raise IngestError(f"{path}: {exc}") from exc
    if not isinstance(samples, dict) or not all(isinstance(each, str) for each in samples.values()):
        raise IngestError(f'{path}: a table [samples] of file = "sample" lines wanted')
    return samples


def _toml_text(text: str) -> str:
    escaped = "".join(f"\\U{ord(char):08X}" if char in '"\\' or not char.isprintable() else char for char in text)
    return f'"{escaped}"'
