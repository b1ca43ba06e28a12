"""What benchmarks compare is the same for all: exports are what they claim to be, and no measurement is made up."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import battery_analysis as ba
from benchmarks import analyses, analysts, beside_aurora, compare, exports, import_grown, import_many, watching
from benchmarks.contenders import CONTENDERS, PANDAS_CSV, POLARS_CSV, READER_AND_CONFORM, loaded
from benchmarks.measuring import Row
from benchmarks.one_reader import Cost, costs
from benchmarks.read_formats import CASES, Case, _verdicts
from benchmarks.reader import Answer, _filled, _target

RECORDS = 2_500
WRITERS: list[tuple[Callable[..., None], str, str]] = [
    (exports.large_arbin_csv, ".CSV", "arbin_csv"),
    (exports.large_mpt, ".mpt", "biologic_mpt"),
    (exports.large_maccor, ".078", "maccor_text"),
    (exports.large_neware_csv, ".csv", "neware_text"),
    (exports.large_neware_workbook, ".xlsx", "neware_workbook"),
]


@pytest.mark.parametrize(("write", "suffix", "reader"), WRITERS, ids=[each[2] for each in WRITERS])
def test_an_export_reads_as_its_tester_wrote_it(
    tmp_path: Path, write: Callable[..., None], suffix: str, reader: str
) -> None:
    path = tmp_path / f"BM001{suffix}"
    write(path, RECORDS)
    result = ba.read(path)
    assert result.reader == reader
    assert {check.status for check in result.checks} <= {"passed", "not applicable"}
    assert result.cycles["discharge_capacity_ah"][0] == pytest.approx(4.78093, abs=1e-5)


@pytest.mark.parametrize(
    "case", [each for each in CASES if callable(each.origin) and PANDAS_CSV in each.peers], ids=lambda each: each.what
)
def test_peers_are_told_where_the_table_begins(tmp_path: Path, case: Case) -> None:
    path = tmp_path / f"BM001{case.suffix}"
    case.origin(path, RECORDS)
    own = loaded(CONTENDERS[READER_AND_CONFORM], {})(str(path))
    for name in (PANDAS_CSV, POLARS_CSV, "csv module, a dict a row"):
        assert len(loaded(CONTENDERS[name], case.peers[name])(str(path))) == own.height


def test_every_peer_of_a_case_is_known() -> None:
    assert {name for case in CASES for name in case.peers} <= CONTENDERS.keys()


def test_what_is_counted_by_cycle_has_the_capacities_of_the_export(tmp_path: Path) -> None:
    exports.counted_by_cycle(tmp_path / "BM001.parquet", RECORDS)
    cycles = loaded(analysts.ANALYSTS[analysts.CYCLES], {})(str(tmp_path / "BM001.parquet"))
    assert cycles["discharge_capacity_ah"][0] == pytest.approx(4.78093, abs=1e-5)
    assert set(cycles["capacity_method"]) == {"counter"}


@pytest.mark.thorough
def test_analyses_are_measured_where_peers_are_absent() -> None:
    rows = {row.what: row for row in analyses.run(1_000, 20_000, 3, 3, peers=lambda _: None)}
    assert rows[analysts.BEEP].value == rows[analysts.LEAN].value == "not installed"
    assert rows["summarise_cycles"].value.endswith("x group_by")
    assert float(rows[analysts.DQDV].value.split()[0]) > 0
    assert rows["rebuild after one more test"].holds is not None
    assert not any("times faster" in what for what in rows)


@pytest.mark.parametrize("subject", compare.SUBJECTS[:-1], ids=lambda each: each.__name__)
def test_a_package_that_is_absent_is_named_and_not_compared(tmp_path: Path, subject: compare.Subject) -> None:
    lines = list(subject(tmp_path, lambda _: None))
    absent = {line for line in lines if isinstance(line, str)}
    assert absent
    assert absent <= {"BEEP", "cellpy", "PyProBE"}
    assert not any(line.what.startswith(tuple(absent)) for line in lines if isinstance(line, compare.Compared))


def test_a_comparison_stands_beside_the_truth(tmp_path: Path) -> None:
    lines = {line.what: line for line in compare.circuit_fits(tmp_path, lambda _: None)}
    fitted, error = lines["R2, begun at twice the true values"], lines["error of R2"]
    assert fitted.true == 0.02
    assert abs(fitted.own - 0.02) < 4 * error.own
    assert fitted.cells()[0] == fitted.what
    assert fitted.cells()[-1] == "0.02"


def test_a_reader_is_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "BM001.csv"
    exports.large_neware_csv(path, RECORDS)
    measured = costs(path, {READER_AND_CONFORM: {}}, peers=lambda _: None)[READER_AND_CONFORM]
    assert measured.fault is None
    assert measured.records == RECORDS
    assert measured.seconds > 0
    assert measured.frame_megabytes == pytest.approx(ba.read(path).frame.estimated_size("mb"), rel=0.2)


def test_an_absent_peer_and_one_that_fails_are_said_to_be_so(tmp_path: Path) -> None:
    path = tmp_path / "BM001.nda"
    path.write_bytes(b"no nda file")
    measured = costs(path, {"yadg": {"filetype": "eclab.mpr"}, "fastnda": {}}, peers=lambda _: None)
    assert measured["yadg"].fault == "not installed"
    assert str(measured["fastnda"].fault).startswith("fails (")


def test_a_row_holds_only_where_the_reach_is_met() -> None:
    peers = {"galvani": Cost(0.010, 5.0), "yadg": Cost(fault="not installed")}
    quick, slow = Cost(0.012, 30.0, 100, 10.0), Cost(0.014, 50.0, 100, 10.0)
    assert [row.holds for row in _verdicts(quick, peers, 1)] == [True, True]
    assert [row.holds for row in _verdicts(slow, peers, 1)] == [False, False]


SMALL: dict[str, tuple[Callable[[], Iterator[Row]], int]] = {
    "many": (lambda: import_many.run(20), 5),
    "grown": (lambda: import_grown.run(5_000), 5),
    "watching": (lambda: watching.run(3, 60, 1.0), 4),
}


@pytest.mark.parametrize(
    ("run", "rows"),
    [pytest.param(*each, id=name, marks=[pytest.mark.thorough] * (name != "many")) for name, each in SMALL.items()],
)
def test_an_import_is_measured_to_its_end(run: Callable[[], Iterator[Row]], rows: int) -> None:
    assert len(list(run())) == rows


@pytest.mark.parametrize(("dtype", "form"), [("f8", "<3d"), ("f4", "<3f")])
def test_an_answer_of_the_dashboard_tells_the_extremes_of_its_lines(dtype: str, form: str) -> None:
    values = base64.b64encode(struct.pack(form, 3.5, 4.25, 2.75)).decode()
    lines = [{"y": {"dtype": dtype, "bdata": values}}]
    body = json.dumps({"response": {"plot": {"figure": {"data": lines}}, "note": {"children": []}}}).encode()
    assert list(Answer(0.1, len(body), body).extremes()) == [(2.75, 4.25)]


def test_a_plot_costs_all_that_it_waits_for() -> None:
    plot = beside_aurora.Plot([Answer(0.5, 100, b"a" * 1000), Answer(0.25, 30, b"")])
    assert (plot.seconds, plot.size) == (0.75, 130)
    assert plot.compressed < 100


def test_the_app_beside_the_dashboard_is_named_where_it_is_absent() -> None:
    (row,) = beside_aurora.run(1, 1_000, peers=lambda _: None)
    assert (row.value, row.holds) == ("not installed", None)


def test_a_component_is_found_anywhere_in_a_layout() -> None:
    plot = {"props": {"id": "time-graph", "figure": {"data": []}}}
    assert beside_aurora._found({"props": {"children": [{"props": {}}, "text", plot]}}, "time-graph") == plot["props"]
    assert beside_aurora._found({"props": {"children": None}}, "time-graph") == {}


def test_callbacks_are_asked_as_dash_names_them() -> None:
    assert _target('{"figure":"series","type":"figure"}.figure') == {
        "id": {"figure": "series", "type": "figure"},
        "property": "figure",
    }
    assert _target("url.search@4a5b") == {"id": "url", "property": "search"}
    control = {"id": '{"page":"series","query":"from"}', "property": "value"}
    assert _filled(control, {"from": "1.5"})["value"] == "1.5"
    by_id = {"samples-time-x": "From start", "value": "other"}
    assert _filled({"id": "samples-time-x", "property": "value"}, by_id)["value"] == "From start"
    assert _filled({"id": "tests", "property": "getRowsRequest"}, {"getRowsRequest": {"startRow": 0}})["value"] == {
        "startRow": 0
    }
