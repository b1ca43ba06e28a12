"""Lives of many cells and tests at once: their cycle tables, and what they are told apart by.

However many there are, it takes a handful of requests: what is asked of each alone by ``dataset_frames`` and ``frames``
is asked here of all together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal

import polars as pl
from bson import ObjectId
from bson.errors import InvalidId

from battery_analysis import columns as canonical
from battery_analysis.analysis.cycles import CYCLE_SCHEMA
from battery_analysis.analysis.dataset import DATASET_SCHEMA, SEAM_SCHEMA, cell_cycles, placed_schema
from battery_analysis.analysis.normalise import Properties, completed
from battery_analysis.errors import ArchiveError, NotFoundError
from battery_analysis.models import CellDataset, Sample, TestResult
from battery_analysis.models.sample import COMPONENTS
from battery_analysis.store import columnar, datasets, frames
from battery_analysis.store.access import by_id, visible
from battery_analysis.store.connection import Store
from battery_analysis.store.dataset_build import BLOCKS
from battery_analysis.store.dataset_frames import load_dataset
from battery_analysis.store.kept_tables import KeptTables
from battery_analysis.store.parcel import CYCLE_COLUMN

Trait = str | float
Revision = tuple[ObjectId, ...]

_SIZES = tuple(name for name in Properties.__dataclass_fields__ if name != "sources")
_OF_SAMPLE = ("chemistry", "manufacturer", "form_factor", "cell_type", "project")
_OF_TEST = ("tester", "device", "channel", "operator", "protocol", "test_type", "temperature_celsius")
_ROLES = ("parent", *COMPONENTS)

_FOR_CURVES = (
    *(canonical.TEST_TIME, canonical.VOLTAGE, canonical.CURRENT, canonical.CYCLE_COUNT, canonical.DERIVED_CYCLE_COUNT),
    *(canonical.STEP_COUNT, canonical.STEP_ID, canonical.STEP_TYPE, canonical.STEP_TIME, canonical.RECORD_INDEX),
    *(canonical.SURFACE_TEMPERATURE, *canonical.SENSOR_TEMPERATURES, *canonical.COUNTERS),
)


@dataclass(frozen=True)
class Life:
    """The cycles of a cell, or of one test, and what is known of it.

    ``cycles`` has the columns of ``analysis.dataset.DATASET_SCHEMA``, also for a test, whose cycles keep their own
    numbers. ``traits`` are texts and numbers (units in the names) of the sample and of the test with the most cycles.
    """

    of: Literal["cell", "test"]
    id: str
    name: str
    cycles: pl.DataFrame
    properties: Properties = field(default_factory=Properties)
    nominal_capacity_ah: float | None = None
    traits: Mapping[str, Trait] = field(default_factory=dict)
    starts: Mapping[str, datetime] = field(default_factory=dict)
    """When the test time of each of its tests was 0, by id; tests whose files say no date are left out."""


def load_lives(
    store: Store, cells: Sequence[str], tests: Sequence[str] = (), kept: KeptTables | None = None
) -> tuple[list[Life], list[str]]:
    """Return the lives of cells, from their newest datasets, and of tests, in the order asked for.

    Args:
        store: An open store.
        cells: Cell codes.
        tests: Ids.
        kept: Cycle tables of before: those of a version of a dataset, and of a revision of a test, never change.

    Returns:
        The lives, and a sentence for each cell and test that is not there.

    Raises:
        ArchiveError: A block of a cycle table is missing.
    """
    found = {each["cell_code"]: each for each in _newest_datasets(store, cells)}
    known = {str(each["_id"]): each for each in _tests(object_ids(tests))}
    absent = [f"cell {code!r} has no tests" for code in cells if code not in found]
    absent += [f"there is no test {identity!r}" for identity in tests if identity not in known]
    chosen = [found[code] for code in dict.fromkeys(cells) if code in found]
    kept = kept or KeptTables(0)
    of_cells = kept.those({each["_id"]: each for each in chosen}, partial(_cycles_of_cells, store))
    of_tests = kept.those({_revision(each): each for each in known.values()}, partial(_cycles_of_tests, store))
    longest = {each["cell_code"]: _longest(each) for each in chosen}
    mains = {each["_id"]: each for each in _tests([each for each in longest.values() if each])}
    samples = _samples({each["sample"] for each in (*known.values(), *mains.values())})
    lives = []
    for each in chosen:
        code = each["cell_code"]
        life = _life("cell", code, code, of_cells[each["_id"]], mains.get(longest[code]), samples)
        began = ((test["test"], test.get("started_at"), test.get("first_time_second")) for test in each["tests"])
        lives.append(replace(life, starts=_starts(began)))
    for identity in dict.fromkeys(tests):
        if test := known.get(identity):
            life = _life("test", identity, test["name"], of_tests[_revision(test)], test, samples)
            first = next((each.get("first_time_second") for each in test.get("segments", ())), None)
            lives.append(replace(life, starts=_starts([(test["_id"], test.get("started_at"), first)])))
    return lives, absent


def load_cycle(store: Store, life: Life, cycle: int) -> pl.DataFrame:
    """Return the records of a cycle and of the one before it, as far as curves need them.

    Counters that are never reset say only by how they grew what flowed, so the cycle before comes along.

    Returns:
        Records with ``cycle_count``, by which the life counts, and those columns that have values.

    Raises:
        NotFoundError: The test is gone.
        ArchiveError: Records are missing, or were read anew since the dataset was built.
    """
    frame = _cycle_of_cell(store, life.id, cycle) if life.of == "cell" else _cycle_of_test(store, life, cycle)
    return frame.drop(values.name for values in frame if values.null_count() == values.len())


def cell_codes(containing: str = "", most: int = 50) -> list[str]:
    """Return cell codes that contain a text, whatever its case: those that begin with it first."""
    wanted = containing.casefold()
    found = [code for code in datasets.cell_codes() if wanted in code.casefold()]
    return sorted(found, key=lambda code: not code.casefold().startswith(wanted))[:most]


def _starts(tests: Iterable[tuple[ObjectId, datetime | None, float | None]]) -> dict[str, datetime]:
    """Return when clocks of tests showed 0, from the moment and the test time of their first records."""
    return {
        str(identity): started_at - timedelta(seconds=first)
        for identity, started_at, first in tests
        if started_at is not None and first is not None
    }


def _cycle_of_cell(store: Store, code: str, cycle: int) -> pl.DataFrame:
    dataset = load_dataset(store, code)
    table: Any = dataset.tests(form="polars")
    around = table.filter(pl.col("first_cycle") <= cycle, pl.col("last_cycle") >= cycle - 1)["test_id"]
    tests = visible(TestResult).filter(id__in=around.to_list()).only("columns").as_pymongo()
    known = {name for test in tests for name in test["columns"]}
    names = [column.name for column in _FOR_CURVES if column.name in known]
    frame: Any = dataset.frame(names, cycles=(cycle - 1, cycle), form="polars")
    own = frame.filter(cycle_count=cycle)["test_id"].unique()
    found: pl.DataFrame = frame.filter(pl.col("test_id").is_in(own.implode())).drop("test_id", "test_cycle_count")
    return found


def _cycle_of_test(store: Store, life: Life, cycle: int) -> pl.DataFrame:
    test = by_id(TestResult, life.id)
    names = [column.name for column in _FOR_CURVES if column.name in test.columns]
    number = CYCLE_COLUMN[test.cycle_method]
    before = life.cycles.filter(pl.col("cycle_count") < cycle)["cycle_count"].max()
    frame = frames.select(store, test, names, (cycle if before is None else before, cycle), None)  # type: ignore[arg-type]
    if number == canonical.CYCLE_COUNT.name:
        return frame
    return frame.with_columns(pl.col(number).alias(canonical.CYCLE_COUNT.name)).drop(number)


def _newest_datasets(store: Store, codes: Sequence[str]) -> list[dict[str, Any]]:
    newest: list[dict[str, Any]] = [
        {"$match": {"cell_code": {"$in": list(codes)}}},
        {"$sort": {"cell_code": 1, "version": -1}},
        {"$group": {"_id": "$cell_code", "id": {"$first": "$_id"}}},
    ]
    found = {row["_id"]: row["id"] for row in visible(CellDataset).aggregate(newest)}
    for code in set(codes).difference(found):  # of a program that knew no datasets
        try:
            load_dataset(store, code)
        except NotFoundError:
            continue
        found[code] = datasets.version_of(code).id
    told = ("test", "cycles", "blocks", "started_at", "first_time_second")
    shown = ("cell_code", "blocks", "seams", *(f"tests.{name}" for name in told))
    return list(visible(CellDataset).filter(id__in=list(found.values())).only(*shown).as_pymongo())


def _longest(dataset: Mapping[str, Any]) -> ObjectId | None:
    """Return the test with the most cycles, which says more of the cell than a spectrum before it."""
    tests = dataset["tests"]
    return max(tests, key=lambda test: test["cycles"])["test"] if tests else None


def _members(chosen: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [test for each in chosen for test in each["tests"]]


def _tests(ids: Sequence[ObjectId]) -> list[dict[str, Any]]:
    shown = (
        "sample",
        "cell_code",
        "name",
        "nominal_capacity_ah",
        "active_mass_gram",
        "tags",
        "cycle_blocks",
        "started_at",
        "segments.first_time_second",
        *_OF_TEST,
    )
    return list(visible(TestResult).filter(id__in=list(ids)).only(*shown).as_pymongo()) if ids else []


def object_ids(given: Iterable[str]) -> list[ObjectId]:
    """Return those of some texts that are ids."""
    ids = []
    for each in given:
        try:
            ids.append(ObjectId(each))
        except InvalidId:
            continue
    return ids


def _samples(ids: set[ObjectId]) -> dict[ObjectId, dict[str, Any]]:
    """Return samples, with the names of what they were made of in place of its ids."""
    shown = ("name", "nominal_capacity_ah", "metadata", "tags", *_OF_SAMPLE, *_SIZES, *_ROLES)
    found = {each["_id"]: each for each in visible(Sample).filter(id__in=list(ids)).only(*shown).as_pymongo()}
    parts = {each[role] for each in found.values() for role in _ROLES if role in each}
    names = dict(visible(Sample).filter(id__in=list(parts)).scalar("id", "name")) if parts else {}
    for each in found.values():
        each.update({role: names.get(each[role]) for role in _ROLES if role in each})
    return found


def _ids(documents: Iterable[Mapping[str, Any]], *names: str) -> list[ObjectId]:
    return [block["id"] for each in documents for name in names for block in each.get(name, ())]


def _decoded(store: Store, collection: str, ids: Sequence[ObjectId]) -> dict[ObjectId, pl.DataFrame]:
    """Fetch blocks; they are decoded while others still come.

    Raises:
        ArchiveError: One is missing.
    """
    if not ids:
        return {}
    with ThreadPoolExecutor() as pool:
        found = store.database[collection].find({"_id": {"$in": list(set(ids))}})
        coming = {each["_id"]: pool.submit(columnar.decode, each["columns"]) for each in found}
    if missing := [each for each in ids if each not in coming]:
        raise ArchiveError(f"{collection}: {len(missing)} of {len(ids)} documents are missing, first {missing[0]}")
    return {identity: each.result() for identity, each in coming.items()}


def _joined(
    blocks: Sequence[Mapping[str, Any]],
    decoded: Mapping[ObjectId, pl.DataFrame],
    schema: Mapping[str, type[pl.DataType]],
) -> pl.DataFrame:
    return pl.concat([decoded[block["id"]] for block in blocks]) if blocks else pl.DataFrame(schema=schema)


def _cycles_of_cells(store: Store, chosen: Mapping[ObjectId, dict[str, Any]]) -> dict[ObjectId, pl.DataFrame]:
    blocks = _ids(chosen.values(), "blocks", "seams") + _ids(_members(chosen.values()), "blocks")
    decoded = _decoded(store, BLOCKS, blocks)
    return {key: _cycles_of_cell(each, decoded) for key, each in chosen.items()}


def _cycles_of_tests(store: Store, tests: Mapping[Revision, dict[str, Any]]) -> dict[Revision, pl.DataFrame]:
    decoded = _decoded(store, frames.CYCLE_BLOCKS, _ids(tests.values(), "cycle_blocks"))
    return {key: _cycles_of_test(each, decoded) for key, each in tests.items()}


def _revision(test: Mapping[str, Any]) -> Revision:
    """Return what names the cycle table of a test as it is now: it, and the blocks of the table."""
    return test["_id"], *(block["id"] for block in test.get("cycle_blocks", ()))


def _cycles_of_cell(dataset: Mapping[str, Any], decoded: Mapping[ObjectId, pl.DataFrame]) -> pl.DataFrame:
    tables = [_joined(test.get("blocks", ()), decoded, CYCLE_SCHEMA) for test in dataset["tests"]]
    placed = _joined(dataset.get("blocks", ()), decoded, placed_schema())
    seams = _joined(dataset.get("seams", ()), decoded, SEAM_SCHEMA)
    return cell_cycles(tables, [str(test["test"]) for test in dataset["tests"]], placed, seams)


def _cycles_of_test(test: Mapping[str, Any], decoded: Mapping[ObjectId, pl.DataFrame]) -> pl.DataFrame:
    table = _joined(test.get("cycle_blocks", ()), decoded, CYCLE_SCHEMA)
    moved = (pl.col("charge_capacity_ah") + pl.col("discharge_capacity_ah")).fill_null(float("nan")).cum_sum()
    return table.with_columns(
        test_id=pl.lit(str(test["_id"])),
        test_cycle_count=pl.col("cycle_count"),
        running_time_second=pl.col("end_time_second") - pl.col("start_time_second").first(),
        running_throughput_ah=moved.fill_nan(None),
        role=pl.lit(None, pl.String),
        role_reason=pl.lit(None, pl.String),
    ).select(*DATASET_SCHEMA)


def _life(
    of: Literal["cell", "test"],
    identity: str,
    name: str,
    cycles: pl.DataFrame,
    test: Mapping[str, Any] | None,
    samples: Mapping[ObjectId, Mapping[str, Any]],
) -> Life:
    if test is None:
        return Life(of, identity, name, cycles)
    sample = samples.get(test["sample"], {})
    nominal = sample.get("nominal_capacity_ah") or test.get("nominal_capacity_ah")
    return Life(of, identity, name, cycles, _properties(sample, test), nominal, _traits(sample, test))


def _properties(sample: Mapping[str, Any], test: Mapping[str, Any]) -> Properties:
    known = {name: sample.get(name) for name in _SIZES}
    sources = {}
    has_mass = known["active_mass_mg"] is not None or (known["area_cm2"] and known["loading_mg_cm2"])
    if not has_mass and test.get("active_mass_gram"):
        known["active_mass_mg"] = 1e3 * test["active_mass_gram"]
        sources["active_mass_mg"] = f"as the file {test['name']} says"
    return completed(Properties(**known, sources=sources))


def _traits(sample: Mapping[str, Any], test: Mapping[str, Any]) -> dict[str, Trait]:
    told: dict[str, Any] = {"sample": sample.get("name"), "cell": test["cell_code"]}
    told |= {name: sample.get(name) for name in (*_OF_SAMPLE, *_ROLES, "nominal_capacity_ah", *_SIZES)}
    told |= {name: test.get(name) for name in _OF_TEST}
    told["tags"] = ", ".join(sorted({*sample.get("tags", ()), *test.get("tags", ())})) or None
    told |= {name: each for name, each in sample.get("metadata", {}).items() if name not in told}
    return {
        name: each if isinstance(each, str) else float(each)
        for name, each in told.items()
        if isinstance(each, str | int | float) and each != ""
    }
