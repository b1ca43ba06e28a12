"""Tests as one RO-Crate: their original bytes, what was read of them, and where all of it comes from.

Layout of a crate::

    ro-crate-metadata.json
    samples.csv                     facts of the samples
    tests/<test>/<sample>/          as an import finds the sample
        <original files>            settings and logs beside them
        <test>.bdf.parquet          the records
        <test>.cycles.csv           the cycle table
    datasets/<cell code>.cycles.csv

Records and cycles say by ``isBasedOn`` what they were made from. Paths of the lab's computers stay out: crates are made
to be passed on.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl
from bson import ObjectId

from battery_analysis import __version__
from battery_analysis.columns import BY_NAME
from battery_analysis.errors import NotFoundError
from battery_analysis.files import safe_name, unused
from battery_analysis.models import Attachment, RawDataFile, RawPart, Sample, TestResult, now
from battery_analysis.models.sample import COMPONENTS
from battery_analysis.readers.notes import NOTE_KEY, to_note
from battery_analysis.store import attachments
from battery_analysis.store.access import by_id, visible
from battery_analysis.store.connection import Store
from battery_analysis.store.dataset_frames import load_dataset
from battery_analysis.store.datasets import version_of
from battery_analysis.store.exporting import Content, content_of_test, stem_of
from battery_analysis.store.units import unit_of
from battery_analysis.writing.crate import Crate, Reference, fragment, new_crate, reference, stamp

_SOFTWARE = "#battery-analysis"

_TEST_FACTS = (
    *("record_count", "cycle_count", "duration_second", "initial_capacity_ah", "final_capacity_ah"),
    *("capacity_retention", "mean_coulombic_efficiency", "mean_energy_efficiency", "throughput_ah", "throughput_wh"),
    *("nominal_capacity_ah", "active_mass_gram", "temperature_celsius", "test_type", "technique", "protocol"),
    *("channel", "cell_code", "time_zone", "cycle_method", "efficiency_convention", "comment", "revision"),
)
_SAMPLE_FACTS = (
    *("chemistry", "manufacturer", "form_factor", "cell_type", "project", "nominal_capacity_ah", "area_cm2"),
    *("thickness_um", "volume_cm3", "mass_g", "active_mass_mg", "electrode_mass_mg", "collector_mass_mg"),
    *("loading_mg_cm2", "electrolyte_volume_ul"),
)


@dataclass
class Packed:
    """What came into a crate."""

    tests: int = 0
    originals: int = 0
    without_bytes: list[str] = field(default_factory=list)
    """Names of original files that were imported without keeping their bytes."""


def write_crate(
    store: Store,
    target: Path,
    ids: Iterable[ObjectId],
    *,
    name: str,
    license: str | None = None,
    cell: str | None = None,
    version: int | None = None,
) -> Packed:
    """Write tests, and the dataset of a cell if one is named, as one crate.

    Args:
        store: An open store.
        target: The zip archive.
        ids: The tests.
        name: What the crate is called.
        license: Address or words; a crate without says that nobody stated one.
        cell: Code of a cell whose dataset goes along.
        version: Of that dataset; the newest without.

    Raises:
        NotFoundError: There is no such test or dataset.
        ArchiveError: Stored bytes are missing or damaged. Nothing is written.
        BatteryAnalysisError: The file cannot be written; the old one is as it was.
    """
    packed = Packed()
    with new_crate(target) as crate:
        packing = _Packing(store, crate, packed)
        crate.add(_SOFTWARE, "SoftwareApplication", "battery-analysis", softwareVersion=__version__)
        parts = [packing.test(by_id(TestResult, identity)) for identity in ids]
        if cell is not None:
            parts.append(packing.dataset(cell, version))
        parts.append(packing.sheet())
        tests = "1 battery test" if packed.tests == 1 else f"{packed.tests} battery tests"
        files = "1 original file" if packed.originals == 1 else f"{packed.originals} original files"
        crate.close(name, f"{tests}: {files}, records and cycle tables.", parts, now(), license)
    return packed


class _Packing:
    """Puts tests into a crate, one after another."""

    def __init__(self, store: Store, crate: Crate, packed: Packed) -> None:
        self._store = store
        self._crate = crate
        self._packed = packed
        self._folders: set[str] = set()
        self._frames: dict[str, Reference] = {}
        self._samples: dict[str, dict[str, Any]] = {}

    def test(self, test: TestResult) -> Reference:
        """Put a test with everything it was made from into the crate."""
        content = content_of_test(self._store, test)
        sample = self._sample(test.sample)
        outer = f"tests/{unused(stem_of(test), self._folders)}/"
        folder = f"{outer}{safe_name(test.sample_name)}/"
        taken: set[str] = set()
        originals = [self._original(part, folder, taken, sample) for part in test.raw_files]
        beside = [self._attachment(each, folder, taken) for each in attachments.of_test(test.id)]
        made = self._derived(content, folder, taken, originals)
        self._frames[str(test.id)] = made[0]
        self._actions(test, originals, made, sample)
        self._packed.tests += 1
        inside = [each for each in (*originals, *beside, *made) if each and not each["@id"].startswith("#")]
        facts = {name: getattr(test, name) for name in _TEST_FACTS}
        return self._crate.add(
            quote(outer),
            "Dataset",
            test.name,
            description=f"Test {test.name} of {test.sample_name}, recorded by {test.tester}.",
            identifier=str(test.id),
            about=sample,
            hasPart=inside,
            keywords=", ".join(test.tags),
            additionalProperty=self._crate.facts(
                fragment("test", test.id), facts, {name: unit_of(name) for name in facts}
            ),
            comment=[self._flag(test, number) for number in range(len(test.quality_flags))],
        )

    def dataset(self, code: str, version: int | None) -> Reference:
        """Put the cycle table of a cell's dataset into the crate."""
        dataset = load_dataset(self._store, code, version)
        table, tests = dataset.cycles(form="polars"), dataset.tests("polars")
        assert isinstance(table, pl.DataFrame)
        assert isinstance(tests, pl.DataFrame)
        based = [self._frames[each] for each in tests["test_id"] if each in self._frames]
        return self._crate.file(
            f"datasets/{safe_name(code)}.cycles.csv",
            [_csv(table)],
            f"Cycles of cell {code} over all its tests, dataset version {dataset.version}",
            isBasedOn=based,
            identifier=dataset.digest,
        )

    def sheet(self) -> Reference:
        """Put the facts of all samples into the crate, as a sheet that ``sample import`` takes."""
        table = pl.DataFrame(list(self._samples.values()), infer_schema_length=None)
        known = [values.name for values in table if values.null_count() < table.height]
        return self._crate.file("samples.csv", [_csv(table.select(known))], "Facts of the samples, one line for each")

    def _original(self, part: RawPart, folder: str, taken: set[str], sample: Reference) -> Reference:
        """Put the bytes into the crate from which a test was read, or say what they were."""
        raw = by_id(RawDataFile, part.raw_file)
        sha256 = part.versions[-1]
        version = next(each for each in raw.versions if each.sha256 == sha256)
        changed = next((each.modified_at for each in reversed(raw.sources) if each.modified_at), None)
        try:
            if version.extent is None:
                raise NotFoundError(raw.filename)
            path = folder + unused(safe_name(raw.filename), taken)
            found = self._crate.file(
                path, self._store.archive.stream(raw, sha256), "Original file, as the tester wrote it", changed
            )
            self._packed.originals += 1
        except NotFoundError:
            self._packed.without_bytes.append(raw.filename)
            found = self._crate.add(
                fragment("original", sha256),
                "CreativeWork",
                raw.filename,
                description="Original file, imported without keeping its bytes",
                contentSize=str(version.size),
                sha256=sha256,
            )
        self._imports(raw, found)
        return found

    def _imports(self, raw: RawDataFile, original: Reference) -> None:
        """Describe when each state of a file was imported."""
        for number, version in enumerate(raw.versions, start=1):
            self._crate.add(
                fragment("import", version.sha256),
                "Action",
                f"Import of {raw.filename}, state {number} of {len(raw.versions)}",
                description=f"{version.size} bytes, SHA-256 {version.sha256}",
                object=original,
                instrument=reference(_SOFTWARE),
                endTime=stamp(version.seen_at),
            )

    def _attachment(self, attachment: Attachment, folder: str, taken: set[str]) -> Reference | None:
        if attachment.extent is None:
            return None
        path = folder + unused(safe_name(attachment.name), taken)
        return self._crate.file(
            path,
            attachments.stream(self._store, attachment),
            attachment.title or f"{attachment.kind} beside the data",
            attachment.created_at,
        )

    def _derived(
        self, content: Content, folder: str, taken: set[str], originals: list[Reference]
    ) -> tuple[Reference, Reference]:
        stem = unused(content.name, taken)
        image = io.BytesIO()
        content.frame.write_parquet(image, metadata={NOTE_KEY: to_note(content.metadata)})
        frame = self._crate.file(
            f"{folder}{stem}{content.ending('bdf-parquet')}",
            [image.getbuffer()],
            "Records in columns of the Battery Data Format",
            isBasedOn=originals,
            variableMeasured=[self._column(name, content) for name in content.frame.columns],
        )
        cycles = self._crate.file(
            f"{folder}{stem}.cycles.csv", [_csv(content.cycles)], "One line for each cycle", isBasedOn=[frame]
        )
        return frame, cycles

    def _column(self, name: str, content: Content) -> Reference:
        if column := BY_NAME.get(name):
            unit, said = column.unit, column.description
        else:
            source = content.metadata.sources.get(name)
            unit, said = (source.unit, f"{source.name} in the original file") if source else ("", "")
        return self._crate.add(fragment("column", name), "PropertyValue", name, unitText=unit, description=said)

    def _actions(
        self, test: TestResult, originals: list[Reference], made: tuple[Reference, ...], sample: Reference
    ) -> None:
        """Describe how the originals were measured, and what was made of them by what."""
        crate = self._crate
        device = " ".join(each for each in (test.tester, test.device) if each)
        instrument = crate.add(fragment("instrument", device), "IndividualProduct", device)
        operator = crate.add(fragment("person", test.operator), "Person", test.operator) if test.operator else None
        crate.add(
            fragment("measurement", test.id),
            "CreateAction",
            f"Measurement of {test.name}",
            startTime=stamp(test.started_at),
            endTime=stamp(test.ended_at),
            agent=operator,
            instrument=instrument,
            object=sample,
            result=originals,
        )
        reader = crate.add(
            fragment("reader", test.reader, test.reader_version),
            "SoftwareApplication",
            f"reader {test.reader} of battery-analysis",
            softwareVersion=test.reader_version,
        )
        crate.add(
            fragment("reading", test.id),
            "CreateAction",
            f"Reading of {test.name}",
            description=f"Revision {test.revision} of the test in the database",
            object=originals,
            result=list(made),
            instrument=[reader, reference(_SOFTWARE)],
        )

    def _flag(self, test: TestResult, number: int) -> Reference:
        flag = test.quality_flags[number]
        return self._crate.add(
            fragment("flag", test.id, number), "Comment", f"check {flag['name']} failed", text=flag["message"]
        )

    def _sample(self, sample: Sample) -> Reference:
        identity = fragment("sample", sample.name)
        facts: dict[str, Any] = {name: getattr(sample, name) for name in _SAMPLE_FACTS}
        self._samples[sample.name] = {"name": sample.name, **facts}
        facts |= {role: other.name for role in COMPONENTS if (other := getattr(sample, role)) is not None}
        facts |= {name: str(value) for name, value in sample.metadata.items()}
        return self._crate.add(
            identity,
            "IndividualProduct",
            sample.name,
            description=sample.description,
            keywords=", ".join(sample.tags),
            additionalProperty=self._crate.facts(identity, facts, {name: unit_of(name) for name in facts}),
        )


def ids_of_dataset(code: str, version: int | None = None) -> list[ObjectId]:
    """Return the tests of a cell's dataset that are still stored, in order.

    Raises:
        NotFoundError: The cell has no dataset, or not this version, or none of its tests is there.
    """
    dataset = version_of(code, version)
    named = [each.test for each in dataset.tests]
    there = set(visible(TestResult).filter(id__in=named).scalar("id"))
    if not there:
        raise NotFoundError(f"version {dataset.version} of the dataset of cell {code!r} has no tests")
    return [each for each in named if each in there]


def _csv(table: pl.DataFrame) -> bytes:
    return table.write_csv().encode()
