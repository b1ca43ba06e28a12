"""The lab: ten cells of four chemistries, tested over some weeks on three makers' testers, and one broken copy.

Each cell stands in ``CELLS`` with its design, each test in ``TESTS`` in the order in which it happened; a cell keeps
its age and its state of charge from one test to the next. ``build_lab`` writes the files and returns what they must
be read back as.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from examples import SYNTHETIC
from examples.arbin_csv import write_arbin_csv
from examples.biologic_mpt import Acquisition, point_times, write_gcpl, write_peis
from examples.cell_model import GRAPHITE_LI, LFP_GRAPHITE, NMC_GRAPHITE, ZN_MNO2, Ageing, Cell, Design
from examples.neware_ndax import StepSetting, write_ndax
from examples.protocol import Block, Charge, Discharge, Hold, Rest, Run, Step, run

SAMPLE_SHEET = "samples.csv"
"""Sheet for ``battery-analysis sample import``, beside the project folders."""

AGEING, COIN, ZINC = "2026-03 ageing", "2026-03 coin cells", "2026-04 zinc"
BROKEN_COPY = f"{AGEING}/Neware/LG013_ageing_21_1_2 (copy broken off).ndax"

FREQUENCIES = np.logspace(5, -2, 43)
"""Points of every spectrum, Hz: six per decade from 100 kHz to 10 mHz."""

SPECTRUM_SECOND = float(point_times(FREQUENCIES)[-1])
"""How long a spectrum takes, s."""


@dataclass(frozen=True)
class LabCell:
    """A cell as the sample sheet knows it, and its design before the spread of making; rates count nominal capacity."""

    code: str
    project: str
    form_factor: str
    nominal_capacity_ah: float
    design: Design
    area_cm2: float | None = None
    thickness_um: float | None = None
    active_mass_mg: float | None = None
    charged_when_made: bool = False


@dataclass(frozen=True)
class LabTest:
    """One file: where it lies below the lab's folder, whose it is, when it began, and what was done."""

    path: str
    code: str
    kind: Literal["neware", "arbin", "gcpl", "peis"]
    started_at: datetime
    blocks: tuple[Block, ...] = ()
    channel: int = 1
    acquired_at: datetime | None = None


@dataclass(frozen=True)
class LabFile:
    """A file as written, and the truth about it.

    ``cycles`` holds capacity (Ah) and energy (Wh) of every cycle, counted from 1; a spectrum has none, but its
    ``impedance_ohm`` at ``FREQUENCIES``. ``records`` counts what was written.
    """

    path: Path
    test: LabTest
    records: int
    ended_at: datetime
    cycles: pl.DataFrame | None = None
    impedance_ohm: NDArray[np.complex128] | None = None


@dataclass(frozen=True)
class Lab:
    """Everything ``build_lab`` made: ``designs`` by cell code with their spread, ``files``, and the broken copy."""

    folder: Path
    sample_sheet: Path
    broken_copy: Path
    designs: dict[str, Design] = field(default_factory=dict)
    files: tuple[LabFile, ...] = ()


_FADE = Ageing(root=0.0035, linear=0.0003, side_reactions=0.0004)
_FORMED = replace(_FADE, first_side_reactions=0.11, side_reactions=0.0012)
_CYLINDER = Design(NMC_GRAPHITE, 4.85, 0.016, 0.011, ageing=_FADE, thermal_kelvin_per_watt=6.0, thermal_second=900.0)
_EARLY_DEATH = replace(_CYLINDER, ageing=replace(_FADE, knee=0.005, knee_cycle=95.0, knee_width=8.0))
_POUCH = Design(LFP_GRAPHITE, 1.12, 0.045, 0.03, ageing=replace(_FADE, root=0.002, linear=0.0001))
_COIN = Design(NMC_GRAPHITE, 0.0033, 14.0, 9.0, ageing=_FORMED)
_ZINC = Design(ZN_MNO2, 0.0026, 16.0, 12.0, ageing=replace(_FADE, root=0.006, linear=0.0006, side_reactions=0.003))
_HALF = Design(GRAPHITE_LI, 0.0041, 7.0, 5.0, ageing=replace(_FORMED, root=0.001))

CELLS = (
    LabCell("LG012", AGEING, "21700", 4.8, _CYLINDER),
    LabCell("LG013", AGEING, "21700", 4.8, _CYLINDER),
    LabCell("LG014", AGEING, "21700", 4.8, _EARLY_DEATH),
    LabCell("FE021", AGEING, "pouch", 1.1, _POUCH, 520.0, 78.0),
    LabCell("FE022", AGEING, "pouch", 1.1, _POUCH, 520.0, 78.0),
    LabCell("NC051", COIN, "coin", 0.0032, _COIN, 1.54, 62.0, 17.9),
    LabCell("NC052", COIN, "coin", 0.0032, _COIN, 1.54, 61.0, 17.6),
    LabCell("GR041", COIN, "coin", 0.004, _HALF, 1.54, 55.0, 11.8, charged_when_made=True),
    LabCell("ZN031", ZINC, "coin", 0.0025, _ZINC, 1.13, 48.0, 9.4, charged_when_made=True),
    LabCell("ZN032", ZINC, "coin", 0.0025, _ZINC, 1.13, 48.0, 9.3, charged_when_made=True),
)


def _at(month: int, day: int, hour: int = 8, minute: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


def _cycling(
    charge: float, discharge: float, passes: int, *, stop_below: float = 0.0, discharge_first: bool = False
) -> Block:
    """Charge, hold, rest, discharge, rest, or the discharge first; about 65 records a half cycle."""
    up: tuple[Step, ...] = (Charge(charge, round(54 / charge)), Hold(0.05, 90.0), Rest(600.0, 120.0))
    down: tuple[Step, ...] = (Discharge(discharge, round(54 / discharge)), Rest(600.0, 120.0))
    return Block(down + up if discharge_first else up + down, passes, stop_below)


def _half_cell_cycling(rate: float, passes: int) -> Block:
    return Block((Discharge(rate, 30 / rate), Rest(900.0, 180.0), Charge(rate, 30 / rate), Rest(900.0, 180.0)), passes)


_OPEN = Block((Rest(600.0, 60.0),))
_FORMATION = _cycling(0.1, 0.1, 3)
_RATES = (0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 0.2)
_RATE_TEST = (_OPEN, *(_cycling(0.5, rate, 3) for rate in _RATES))
_ZINC_RATE_TEST = (_OPEN, *(_cycling(0.5, rate, 3, discharge_first=True) for rate in _RATES))
_NC_RUN = _at(3, 30, 9)

TESTS = (
    LabTest(f"{AGEING}/Arbin/LG012_rate_Channel_7_Wb_1.CSV", "LG012", "arbin", _at(3, 2), _RATE_TEST, 7),
    LabTest(
        f"{AGEING}/Neware/LG012_ageing_21_1_1.ndax", "LG012", "neware", _at(3, 16), (_OPEN, _cycling(0.7, 1, 200)), 1
    ),
    LabTest(
        f"{AGEING}/Neware/LG013_ageing_21_1_2.ndax", "LG013", "neware", _at(3, 2), (_OPEN, _cycling(0.7, 1, 200)), 2
    ),
    LabTest(
        f"{AGEING}/Neware/LG014_ageing_21_1_3.ndax",
        "LG014",
        "neware",
        _at(3, 2, 9),
        (_OPEN, _cycling(0.7, 1, 200, stop_below=0.6)),
        3,
    ),
    LabTest(
        f"{AGEING}/Arbin/FE021_cycling_Channel_3_Wb_1.CSV", "FE021", "arbin", _at(3, 3), (_OPEN, _cycling(1, 1, 120)), 3
    ),
    LabTest(
        f"{AGEING}/Arbin/FE022_cycling_Channel_4_Wb_1.CSV", "FE022", "arbin", _at(3, 3), (_OPEN, _cycling(1, 2, 120)), 4
    ),
    LabTest(f"{COIN}/BioLogic/NC051_01_PEIS_C02.mpt", "NC051", "peis", _NC_RUN, (), 2, _NC_RUN),
    LabTest(
        f"{COIN}/BioLogic/NC051_02_GCPL_C02.mpt",
        "NC051",
        "gcpl",
        _NC_RUN + timedelta(minutes=30),
        (_OPEN, _FORMATION),
        2,
        _NC_RUN,
    ),
    LabTest(f"{COIN}/BioLogic/NC051_03_PEIS_C02.mpt", "NC051", "peis", _at(4, 2, 12), (), 2, _NC_RUN),
    LabTest(
        f"{COIN}/Neware/NC051_cycling_22_1_5.ndax", "NC051", "neware", _at(4, 3), (_OPEN, _cycling(0.5, 0.5, 150)), 5
    ),
    LabTest(f"{COIN}/BioLogic/NC051_aged_01_PEIS_C02.mpt", "NC051", "peis", _at(5, 15, 10), (), 2),
    LabTest(
        f"{COIN}/Neware/NC052_formation_cycling_22_1_6.ndax",
        "NC052",
        "neware",
        _at(3, 30),
        (_OPEN, _FORMATION, _cycling(0.5, 0.5, 150)),
        6,
    ),
    LabTest(
        f"{COIN}/Neware/GR041_half_cell_22_1_7.ndax",
        "GR041",
        "neware",
        _at(3, 31),
        (_OPEN, _half_cell_cycling(0.05, 3), _half_cell_cycling(0.2, 20)),
        7,
    ),
    LabTest(
        f"{ZINC}/Arbin/ZN031_cycling_Channel_12_Wb_1.CSV",
        "ZN031",
        "arbin",
        _at(4, 7),
        (_OPEN, _cycling(1, 1, 100, discharge_first=True)),
        12,
    ),
    LabTest(f"{ZINC}/Neware/ZN032_rate_22_1_8.ndax", "ZN032", "neware", _at(4, 7), _ZINC_RATE_TEST, 8),
)
"""In the order in which each cell went through them."""


def make_lab(folder: Path, *, seed: int = 1) -> list[Path]:
    """Write the lab below ``folder`` and return its data files, the broken copy last; the same seed, the same bytes."""
    lab = build_lab(folder, seed=seed)
    return [*(file.path for file in lab.files), lab.broken_copy]


def build_lab(folder: Path, *, seed: int = 1) -> Lab:
    """Write the lab below ``folder`` (made where it is absent) and return it with the truth about every file.

    Raises:
        OSError: The folder or a file cannot be written.
    """
    by_code = {each.code: each for each in CELLS}
    cells = make_cells(seed)
    files = []
    for test in TESTS:
        (folder / test.path).parent.mkdir(parents=True, exist_ok=True)
        files.append(_perform(folder / test.path, test, by_code[test.code], cells[test.code]))
    # A copy over the network that stopped at two thirds: the archive's directory, at its end, is missing.
    whole = next(file.path for file in files if file.test.code == "LG013").read_bytes()
    broken = folder / BROKEN_COPY
    broken.write_bytes(whole[: len(whole) * 2 // 3])
    sheet = folder / SAMPLE_SHEET
    _write_sheet(sheet)
    return Lab(folder, sheet, broken, {code: cell.design for code, cell in cells.items()}, tuple(files))


def make_cells(seed: int) -> dict[str, Cell]:
    """Make every cell of ``CELLS``, each with its own spread, by cell code."""
    return {each.code: _make_cell(each, np.random.default_rng([seed, place])) for place, each in enumerate(CELLS)}


def _make_cell(planned: LabCell, rng: np.random.Generator) -> Cell:
    """No two cells come out alike: 0.5 % spread of the capacity, 3 % of the resistances, 8 % of the fade."""
    capacity, resistance, fade = rng.normal(1.0, (0.005, 0.03, 0.08))
    design = planned.design
    ageing = replace(design.ageing, root=design.ageing.root * fade, linear=design.ageing.linear * fade)
    made = replace(
        design,
        capacity_ah=design.capacity_ah * capacity,
        r0_ohm=design.r0_ohm * resistance,
        r1_ohm=design.r1_ohm * resistance,
        ageing=ageing,
    )
    cell = Cell(made, rng)
    cell.state_of_charge = 1.0 if planned.charged_when_made else 0.0
    return cell


def _perform(path: Path, test: LabTest, planned: LabCell, cell: Cell) -> LabFile:
    if test.kind == "peis":
        return _measure_spectrum(path, test, planned, cell)
    done = run(cell, test.blocks, planned.nominal_capacity_ah, test.started_at)
    written = done.records.height
    match test.kind:
        case "neware":
            _write_neware(path, test, planned, done)
        case "arbin":
            write_arbin_csv(path, done.records, comment=SYNTHETIC)
            written = done.records.filter(pl.col("step_time_second") > 0).height
        case "gcpl":
            cycling = test.blocks[-1]
            write_gcpl(
                path,
                done.records,
                _acquisition(test, planned),
                current_ampere=planned.nominal_capacity_ah
                * max(s.rate for s in cycling.steps if isinstance(s, Charge)),
                limits_volt=planned.design.chemistry.limits_volt,
                passes=cycling.passes,
            )
    ended_at = test.started_at + timedelta(seconds=float(done.records["test_time_second"][-1]))
    return LabFile(path, test, written, ended_at, cycles=done.cycles)


def _measure_spectrum(path: Path, test: LabTest, planned: LabCell, cell: Cell) -> LabFile:
    impedance = cell.spectrum(FREQUENCIES)
    voltage = float(cell.rest(60.0, 60.0).voltage_volt[-1])
    write_peis(path, FREQUENCIES, impedance, _acquisition(test, planned), voltage_volt=voltage)
    ended_at = test.started_at + timedelta(seconds=SPECTRUM_SECOND)
    return LabFile(path, test, FREQUENCIES.size, ended_at, impedance_ohm=impedance)


def _acquisition(test: LabTest, planned: LabCell) -> Acquisition:
    return Acquisition(
        channel=test.channel,
        acquired_at=test.acquired_at or test.started_at,
        started_at=test.started_at,
        comment=SYNTHETIC,
        electrode_material=planned.design.chemistry.working.name,
        area_cm2=planned.area_cm2 or 0.001,
        active_mass_mg=planned.active_mass_mg or 1.0,
    )


def _write_neware(path: Path, test: LabTest, planned: LabCell, done: Run) -> None:
    device, _, channel = path.stem.split("_")[-3:]
    write_ndax(
        path,
        done.records,
        barcode=test.code,
        remark=SYNTHETIC,
        started_at=test.started_at,
        steps=programme(test.blocks, planned),
        step_name=f"{path.stem.removeprefix(test.code + '_').rsplit('_', 3)[0]}.xml",
        device=int(device),
        channel=int(channel),
    )


def programme(blocks: Sequence[Block], planned: LabCell) -> list[StepSetting]:
    """The blocks as Neware numbers them: a block that runs more than once ends with a jump back."""
    lower, upper = planned.design.chemistry.limits_volt
    nominal = planned.nominal_capacity_ah
    settings: list[StepSetting] = []
    for block in blocks:
        begin = len(settings) + 1
        for step_id, step in enumerate(block.steps, begin):
            match step:
                case Charge(rate):
                    setting = StepSetting(step_id, "CC_Chg", current_ampere=rate * nominal, stop_volt=upper)
                case Discharge(rate):
                    setting = StepSetting(step_id, "CC_DChg", current_ampere=rate * nominal, stop_volt=lower)
                case Hold(until_rate):
                    setting = StepSetting(step_id, "CV_Chg", voltage_volt=upper, stop_ampere=until_rate * nominal)
                case Rest(seconds):
                    setting = StepSetting(step_id, "Rest", seconds=seconds)
            settings.append(setting)
        if block.passes > 1:
            settings.append(StepSetting(len(settings) + 1, "Cycle", back_to=begin, passes=block.passes))
    return settings


def _write_sheet(path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        sheet = csv.writer(file)
        sheet.writerow(
            [
                "name",
                "chemistry",
                "cell_type",
                "form_factor",
                "nominal_capacity_ah",
                "area_cm2",
                "thickness_um",
                "active_mass_mg",
                "project",
                "description",
            ]
        )
        for each in CELLS:
            chemistry = each.design.chemistry
            sizes: list[float | None] = [each.area_cm2, each.thickness_um, each.active_mass_mg]
            sheet.writerow(
                [each.code, chemistry.name, chemistry.cell_type, each.form_factor, each.nominal_capacity_ah]
                + ["" if size is None else size for size in sizes]
                + [each.project, SYNTHETIC]
            )
