"""Battery Data Format: every term under every name, published files, damage."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import polars as pl
import pytest
from pytest import approx

from battery_analysis.columns import BY_NAME, CANONICAL
from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.bdf import BdfCsv, BdfParquet
from battery_analysis.readers.bdf_terms import OTHER_NAMES, REPLACED, TERMS, preferred_label, term_of
from battery_analysis.reading import find_reader, read, read_head
from tests.analysis.cells import ideal_cycles, logged
from tests.realdata import DATA, real, real_entries

CSV = "bdf/DLR__LiLNMOHydra0b__20221125__POCV__25degC__Basytec.bdf.csv"
PARQUET = "bdf/legacy.bdf.parquet"


def write_csv(path: Path, frame: pl.DataFrame, names: dict[str, str] | None = None, separator: str = ",") -> Path:
    frame.rename(names or {}).write_csv(path, separator=separator)
    return path


def ontology() -> list[dict[str, str]]:
    found = DATA / "bdf-terms-1.3.0.csv"
    if not found.is_file():
        return []
    with found.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("term", ontology(), ids=lambda term: term["machine_name"])
def test_every_term_of_the_ontology_is_declared(term: dict[str, str]) -> None:
    wanted = term["replaced_by"] or term["machine_name"]
    called = [term["machine_name"], term["preferred_label"]]
    called += [word for word in term["alt_labels"].split() if "_" in word or word in ("acr", "dcir")]
    called += [f"Surface Temperature T{wanted[13]} / degC"] if wanted.startswith("temperature_t") else []
    for name in called:
        found = term_of(name)
        assert found is not None, name
        assert found.column.name == wanted
        assert found.scale == (1e-3 if term["unit"] == "ms" else 1.0)
    if not term["replaced_by"]:
        assert BY_NAME[wanted].unit == term["unit"].replace("1", "")
        assert {"float": pl.Float64, "int": pl.Int64, "str": pl.String}[term["dtype"]] == BY_NAME[wanted].dtype
        assert preferred_label(wanted) == term["preferred_label"]


def test_the_declared_names_are_terms_and_mean_one_thing() -> None:
    assert OTHER_NAMES.keys() <= BY_NAME.keys()
    assert {new for new, _ in REPLACED.values()} <= BY_NAME.keys()
    others = [name for names in OTHER_NAMES.values() for name in names]
    assert len(others) == len(set(others))
    assert not set(others) & set(BY_NAME)
    assert len(TERMS) >= len(CANONICAL) * 2 - 1


@pytest.mark.parametrize(
    ("name", "values", "seconds_volts_amperes"),
    [
        ("Test Time / h", [0.0, 0.5], ("test_time_second", [0.0, 1800.0])),
        ("test_time_millisecond", [0, 1500], ("test_time_second", [0.0, 1.5])),
        ("Current / mA", [5.0, -5.0], ("current_ampere", [0.005, -0.005])),
        ("Voltage / mV", [3700, 3800], ("voltage_volt", [3.7, 3.8])),
        ("Ambient Temperature / K", [298.15, 300.15], ("ambient_temperature_celsius", [25.0, 27.0])),
        ("unix_time_ms", [1.7e12, 1.7e12 + 500], ("unix_time_second", [1.7e9, 1.7e9 + 0.5])),
        ("cycle_dimensionless", [0, 1], ("cycle_count", [0, 1])),
        ("Step Index / 1", [1, 2], ("step_record_index", [1, 2])),
        ("step_capacity_ah", [0.5, 1.0], ("step_cumulative_capacity_ah", [0.5, 1.0])),
        ("Thickness / mm", [5.01, 5.02], ("aux_thickness_mm", [5.01, 5.02])),
        ("aux_humidity", [0.5, 0.6], ("aux_humidity", [0.5, 0.6])),
    ],
)
def test_names_and_units_of_the_header_count(
    name: str, values: list[float], seconds_volts_amperes: tuple[str, list[float]], tmp_path: Path
) -> None:
    column, wanted = seconds_volts_amperes
    table = {"Test Time / s": [0.0, 1.0], "Voltage / V": [3.7, 3.8], "Current / A": [1.0, -1.0]}
    replaced = {"test_time_second": "Test Time / s", "voltage_volt": "Voltage / V", "current_ampere": "Current / A"}
    table.pop(replaced.get(column, ""), None)
    pl.DataFrame(table | {name: values}).write_csv(tmp_path / "x.bdf.csv")
    result = read(tmp_path / "x.bdf.csv")
    assert result.reader == "bdf_csv"
    assert result.warnings == []
    assert result.frame[column].to_list() == approx(wanted)
    assert result.metadata.sources[column].name == name


@pytest.mark.parametrize("every", [10, 60, 300])
@pytest.mark.parametrize("naming", ["machine", "label", "german"])
def test_an_ideal_cell_has_a_coulombic_efficiency_of_one(naming: str, every: int, tmp_path: Path) -> None:
    frame = logged(ideal_cycles(2), every)
    path = tmp_path / "cell.bdf.csv"
    if naming == "machine":
        write_csv(path, frame)
    else:
        labelled = frame.rename({name: preferred_label(name) for name in frame.columns})
        if naming == "label":
            labelled.write_csv(path)
        else:
            labelled.write_csv(path, separator=";", decimal_comma=True, line_terminator="\r\n", include_bom=True)
    cycles = read(path).cycles
    assert cycles["coulombic_efficiency"].to_list() == approx([1.0, 1.0], abs=1e-12)
    assert cycles["charge_capacity_ah"].to_list() == approx([1.0, 1.0], abs=1e-9)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_times_3600_times_too_large_are_kept_with_a_warning(kind: str, tmp_path: Path) -> None:
    true = logged(ideal_cycles(2, hours=2), 60)
    wrong = true.with_columns(pl.col("test_time_second") * 3600)
    for frame, warned in ((true, False), (wrong, True)):
        path = tmp_path / f"cell.bdf.{kind}"
        frame.write_csv(path) if kind == "csv" else frame.write_parquet(path)
        result = read(path)
        assert result.frame["test_time_second"].to_list() == frame["test_time_second"].to_list()
        assert any("test time may be in wrong units" in warning for warning in result.warnings) == warned


def test_a_long_rest_and_a_long_pause_are_no_wrong_times(tmp_path: Path) -> None:
    frame = logged(ideal_cycles(2), 60)
    waited = frame.with_columns(
        pl.when(pl.col("cycle_count") == 2).then(pl.col("test_time_second") + 5e8).otherwise("test_time_second")
    ).drop("step_time_second")
    assert not [text for text in read(write_csv(tmp_path / "x.csv", waited)).warnings if "wrong units" in text]


def test_the_present_name_wins_over_an_older_one(tmp_path: Path) -> None:
    table = pl.DataFrame({"test_time_millisecond": [0, 5], "voltage_volt": [1.0, 2.0], "test_time_second": [0.0, 1.0]})
    table.write_parquet(tmp_path / "x.bdf.parquet")
    frame = read(tmp_path / "x.bdf.parquet").frame
    assert frame["test_time_second"].to_list() == [0.0, 1.0]
    assert frame["aux_test_time_millisecond"].to_list() == [0, 5]


def test_typed_columns_of_parquet(tmp_path: Path) -> None:
    clock = pl.Series(["2026-07-01 12:00:00", "2026-07-01 12:00:01"]).str.to_datetime()
    table = pl.DataFrame(
        {
            "Test Time / s": pl.Series([0, 1], dtype=pl.Int32).cast(pl.Duration("ms")) * 1000,
            "Voltage / V": pl.Series(["3.7", "3.8"]).str.to_decimal(scale=3),
            "Unix Time / s": clock,
            "Step Type": pl.Series(["Rest", "CC"], dtype=pl.Categorical),
            "Operator": ["Ada", "Ada"],
            "Curve": [[1.0], [2.0]],
        }
    )
    table.write_parquet(tmp_path / "x.bdf.parquet")
    result = read(tmp_path / "x.bdf.parquet", time_zone="Europe/Berlin")
    assert result.frame["test_time_second"].to_list() == [0.0, 1.0]
    assert result.frame["voltage_volt"].to_list() == [3.7, 3.8]
    assert result.frame["unix_time_second"][0] == 1782900000.0
    assert result.frame["step_type"].to_list() == ["Rest", "CC"]
    assert result.metadata.header == {"Operator": "Ada"}
    assert result.metadata.time_zone == "Europe/Berlin"
    assert [text for text in result.warnings if "Curve (List(Float64))" in text]


def test_a_count_that_is_not_whole_is_kept_beside(tmp_path: Path) -> None:
    table = pl.DataFrame({"test_time_s": [0.0, 1.0], "voltage_v": [1.0, 2.0], "cycle_count": [1.5, 2.0]})
    table.write_csv(tmp_path / "x.bdf.csv")
    result = read(tmp_path / "x.bdf.csv")
    assert result.frame["aux_cycle_count"].to_list() == [1.5, 2.0]
    assert result.warnings == ["cycle_count holds numbers that are not whole and is kept as aux_cycle_count"]


def test_a_table_cut_anywhere_keeps_its_whole_records(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "x.bdf.csv", logged(ideal_cycles(1), 300))
    whole, content = read(path).frame, path.read_bytes()
    for cut in range(content.index(b"\n") + 60, len(content), 97):
        path.write_bytes(content[:cut])
        part = read(path)
        complete = content[:cut].count(b"\n") - 1
        assert part.frame[:complete].equals(whole[:complete])
        assert part.frame.height <= complete + 1


@pytest.mark.parametrize("kept", [100, 0.5, 0.99])
def test_a_parquet_file_cut_short_is_an_error_with_its_name(kept: float, tmp_path: Path) -> None:
    path = tmp_path / "x.bdf.parquet"
    logged(ideal_cycles(1), 60).write_parquet(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if kept < 1 else int(kept)])
    with pytest.raises(CorruptFileError, match=r"x\.bdf\.parquet \(bdf_parquet\): the Parquet data cannot be read"):
        read(path)


def test_a_table_without_records_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.bdf.csv").write_text("test_time_second,voltage_volt,current_ampere\n")
    with pytest.raises(CorruptFileError, match="no data rows"):
        read(tmp_path / "x.bdf.csv")


def test_a_published_csv_with_wrong_times_is_kept_as_it_is() -> None:
    result = read(real(CSV))
    assert result.frame.height == 17860
    assert result.frame["test_time_second"][-1] == approx(530431704.692)
    assert result.frame["voltage_volt"].max() == approx(4.90010022)
    assert [text for text in result.warnings if "wrong units" in text and "68641 h" in text]


def test_a_published_parquet_with_older_names() -> None:
    result = read(real(PARQUET))
    assert result.warnings == []
    assert result.frame.height == 5000
    assert result.frame["test_time_second"][-1] == approx(148781.953)
    assert result.frame["unix_time_second"][0] == approx(1719933538.046)
    assert result.cycles["cycle_count"].to_list() == [0, 1, 2]
    assert result.cycles["charge_capacity_ah"][1] == approx(0.002141676, rel=2e-3)


@pytest.mark.parametrize("entry", real_entries(), ids=lambda entry: str(entry["path"]))
def test_only_files_of_the_format_are_claimed(entry: dict[str, str]) -> None:
    path = real(entry["path"])
    head = read_head(path)
    claimed = BdfCsv().recognises(head, path) or BdfParquet().recognises(head, path)
    assert claimed == (entry["vendor"] == "bdf")


def test_a_file_under_another_name_is_recognised(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "x.dat", logged(ideal_cycles(1), 300))
    assert find_reader(path, read_head(path)).name == "bdf_csv"


def test_the_bare_suffix_is_one_of_the_format(tmp_path: Path) -> None:
    assert read(write_csv(tmp_path / "cell.bdf", logged(ideal_cycles(1), 300))).warnings == []


def test_remarks_above_the_table_are_passed_over(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "records.csv", logged(ideal_cycles(1), 600))
    plain = read(path).frame
    path.write_text('# table: Records, not thinned\n# filter: {"test": ["1", "2"]}\n' + path.read_text())
    found = read(path)
    assert found.reader == "bdf_csv"
    assert found.frame.equals(plain)


def test_a_compressed_table_reads_as_the_table_does(tmp_path: Path) -> None:
    whole = write_csv(tmp_path / "cell.bdf.csv", logged(ideal_cycles(2), every=60.0))
    packed = tmp_path / "cell.bdf.gz"
    packed.write_bytes(gzip.compress(whole.read_bytes()))
    assert (result := read(packed)).frame.equals(read(whole).frame)
    assert (result.reader, result.warnings) == ("bdf_csv", [])

    packed.write_bytes(packed.read_bytes()[:-400])
    cut = read(packed)
    assert 0 < cut.frame.height < result.frame.height
    assert any("the compressed file is incomplete" in warning for warning in cut.warnings)


@pytest.mark.parametrize(
    ("end", "warnings"),
    [(b"", []), (bytes(4), []), (b"junk", ["4 bytes after the compressed content are left out"])],
    ids=["alone", "filled up", "with more behind"],
)
def test_a_table_compressed_piece_by_piece_is_read_whole(end: bytes, warnings: list[str], tmp_path: Path) -> None:
    whole = write_csv(tmp_path / "cell.bdf.csv", logged(ideal_cycles(2), every=60.0))
    packed = tmp_path / "cell.bdf.gz"
    packed.write_bytes(b"".join(map(gzip.compress, whole.read_bytes().splitlines(keepends=True))) + end)
    result = read(packed)
    assert result.frame.equals(read(whole).frame)
    assert result.warnings == warnings


def test_a_compressed_table_that_grows_too_far_is_refused(tmp_path: Path) -> None:
    packed = tmp_path / "cell.bdf.gz"
    packed.write_bytes(gzip.compress(b"test_time_second,voltage_volt\n" + b"0,3\n" * (20 << 20)))
    with pytest.raises(CorruptFileError, match="expands beyond the limit"):
        read(packed)


def test_a_kind_of_step_with_a_unit_still_says_that_the_current_is_turned(tmp_path: Path) -> None:
    rows = [
        f"{time / 3600},{-1 if time < 3600 else 1},3.6,{'charge' if time < 3600 else 'discharge'}"
        for time in range(0, 7200, 60)
    ]
    path = tmp_path / "cell.csv"
    path.write_text("\n".join(["Test Time / h,Current / A,Voltage / V,Step Type / 1", *rows, ""]))
    result = read(path)
    assert set(result.frame["step_kind"]) == {"CHG", "DCH"}
    assert next(check for check in result.checks if check.name == "sign").status == "failed"
