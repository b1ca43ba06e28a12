"""Reports tell what is stored, and say what is not."""

from __future__ import annotations

import base64
import re
from datetime import timedelta
from html import unescape
from pathlib import Path
from xml.etree import ElementTree as ET

import polars as pl
import pytest

from battery_analysis.analysis.checks import Check
from battery_analysis.analysis.halves import HalfCycles
from battery_analysis.store import datasets, removal, samples
from battery_analysis.store.reporting import load_cell
from tests.builders import STARTED_AT, cycling_frame, read_result, save
from tests.cli.conftest import Cli

SPECTRUM = pl.DataFrame(
    {
        "frequency_hertz": [1000.0, 100.0, 10.0, 1.0],
        "real_impedance_ohm": [1.0, 1.2, 1.8, 2.0],
        "imaginary_impedance_ohm": [-0.1, -0.4, -0.3, -0.1],
    }
)


def fading(cycles: int, lost: float = 0.01) -> pl.DataFrame:
    """Cycles of which each moves a little less than the one before."""
    kept = 1.0 - lost * (pl.col("cycle_count") - 1)
    return cycling_frame(cycles, 40).with_columns(
        pl.col("current_ampere") * kept, voltage_volt=3.0 + pl.int_range(pl.len()) % 20 * 0.05
    )


@pytest.fixture
def cells(cli: Cli, tmp_path: Path) -> Cli:
    """A cell with two tests, a spectrum and a failed check; another with a short test, of which nothing is stated."""
    with cli.store() as store:
        first = read_result(fading(12), device="BT-2000 <SN 7>", channel="3")
        save(store, tmp_path, first, name="AB12_a.csv")
        later = read_result(fading(8, 0.02), started_at=STARTED_AT + timedelta(days=9))
        later.warnings.append("3 records are out of order")
        later.checks.append(Check("sign", "failed", "charges where it should discharge", {}, [(3, 5), (9, 9)]))
        save(store, tmp_path, later, name="AB12_b.csv")
        spectrum = read_result(SPECTRUM, test_type="eis", started_at=STARTED_AT + timedelta(days=20))
        save(store, tmp_path, spectrum, name="AB12_eis.z")
        save(store, tmp_path, read_result(cycling_frame(2), started_at=None), name="CD34.csv", sample="CD34")
        samples.set_fields(store, "AB12", {"chemistry": "LFP & <graphite>", "area_cm2": 2.0})
    return cli


def html_of(cli: Cli, folder: Path, *codes: str) -> str:
    target = folder / "report.html"
    done = cli("report", *codes, "--out", target)
    assert (done.status, done.out) == (0, "")
    assert done.err.startswith("wrote ")
    return target.read_text()


def words_of(page: str) -> str:
    return unescape(re.sub(r"<[^>]+>", " ", page))


def drawings(page: str) -> list[ET.Element]:
    found = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', page)
    return [ET.fromstring(base64.b64decode(each)) for each in found]


def test_a_page_tells_of_one_cell_what_is_stored(cells: Cli, tmp_path: Path) -> None:
    page = html_of(cells, tmp_path, "AB12")
    words = words_of(page)
    headings = re.findall("<h2>(.*?)</h2>", page)
    assert headings[:4] == ["At a glance", "Sample", "Tests", "Capacity"]
    assert headings[-2:] == ["Quality", "What is missing"]
    assert "LFP & <graphite>" in words
    assert "<graphite>" not in page  # nothing that is stored becomes markup
    assert "Arbin, BT-2000 <SN 7>, channel 3" in words
    assert "3 records are out of order" in words
    assert re.search(r"sign\s+charges where it should discharge\s+3–5, 9", words)
    assert "Of sample AB12 nobody has stated form factor, cell type, nominal capacity, thickness" in words
    assert "No temperature was recorded." in words
    assert re.search(r"capacity retention without formation\s+\d+\.\d\d %", words)
    assert "linear" in words
    assert "areal capacity" in words
    assert len(drawings(page)) == 6  # capacity, efficiency, voltage, dQ/dV, fade, impedance
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "<script" not in page


def test_what_cannot_be_drawn_is_said_in_words(cells: Cli, tmp_path: Path) -> None:
    words = words_of(html_of(cells, tmp_path, "CD34"))
    assert "Nothing is stated of sample CD34." in words
    assert "No law was fitted: 1 complete cycle with a discharge capacity, of 1; a fit needs five." in words
    assert "No impedance spectrum was measured." in words
    assert "has no date" in words
    assert "nan" not in words


def test_a_cell_with_nothing_but_a_spectrum_is_reported_too(cells: Cli, tmp_path: Path) -> None:
    with cells.store() as store:
        save(store, tmp_path, read_result(SPECTRUM, test_type="eis"), name="EF56.z", sample="EF56")
    page = html_of(cells, tmp_path, "EF56")
    assert "Nothing to draw: no cycle was recorded." in words_of(page)
    assert len(drawings(page)) == 1
    assert len(drawings(html_of(cells, tmp_path, "EF56", "AB12"))) == 6


def test_half_cycles_of_a_counter_that_is_never_reset_are_those_of_their_cycle(cli: Cli, tmp_path: Path) -> None:
    minute = pl.col("current_ampere") / 60
    counters = {"charging_capacity_ah": minute.clip(0), "discharging_capacity_ah": -minute.clip(None, 0)}
    frame = cycling_frame(12).with_columns(each.cum_sum().alias(name) for name, each in counters.items())
    with cli.store() as store:
        for name, day in (("AB12_a.csv", 0), ("AB12_b.csv", 9)):
            save(store, tmp_path, read_result(frame, started_at=STARTED_AT + timedelta(days=day)), name=name)
        curves = load_cell(store, "AB12").curves
    assert list(curves) == [1, 6, 11, 18, 23]
    for halves in curves.values():
        assert isinstance(halves, HalfCycles)
        assert halves.table["capacity_ah"].to_list() == pytest.approx([10 / 60] * 2)


@pytest.mark.parametrize("says_so", [True, False])
def test_half_cycles_of_a_test_that_goes_on_begin_where_its_counters_stood(
    cli: Cli, tmp_path: Path, says_so: bool
) -> None:
    """Its file says so, or its clock and cycle numbers go on where the test before stopped."""
    minute = pl.col("current_ampere") / 60
    counters = {"charging_capacity_ah": minute.clip(0), "discharging_capacity_ah": -minute.clip(None, 0)}
    frame = cycling_frame(6).with_columns(each.cum_sum().alias(name) for name, each in counters.items())
    with cli.store() as store:
        if not says_so:
            save(store, tmp_path, read_result(frame.head(40), channel="7"), name="AB12_a.csv")
        facts = {"channel": "7", "continuation": says_so}
        save(store, tmp_path, read_result(frame.slice(40), **facts), name="AB12_b.csv")
        first = 1 if says_so else 3
        halves = load_cell(store, "AB12").curves[first]
    assert isinstance(halves, HalfCycles)
    # The minute before the first record of a file that says so belongs to the file before.
    assert halves.table["capacity_ah"].to_list() == pytest.approx([9 / 60, 10 / 60])


def test_a_cell_whose_tests_are_gone_is_one_line(cli: Cli, tmp_path: Path) -> None:
    with cli.store() as store:
        test = save(store, tmp_path, read_result(cycling_frame(2)))
        datasets.rebuild(store, "AB12")
        removal.delete_test(store, test.id)
    assert "no test has the cell code 'AB12' any more" in cli.refused("report", "AB12", "--out", tmp_path / "a.html")
    for target in ("a.csv", "a.zip"):
        assert "of cell 'AB12' has no tests" in cli.refused("export", "--cell", "AB12", "--out", tmp_path / target)


def test_cells_are_compared_side_by_side(cells: Cli, tmp_path: Path) -> None:
    page = html_of(cells, tmp_path, "AB12", "CD34")
    words = words_of(page)
    assert "Comparison of 2 cells" in words
    assert "Capacity retention" in words
    assert "not stated" in words
    assert "CD34: Of sample CD34 nobody has stated chemistry" in words
    assert len(drawings(page)) == 6


@pytest.mark.parametrize("codes", [("AB12",), ("AB12", "CD34")])
def test_a_pdf_is_written_whole(cells: Cli, tmp_path: Path, codes: tuple[str, ...]) -> None:
    target = tmp_path / "report.pdf"
    done = cells("report", *codes, "--out", target, "--json")
    assert done.status == 0
    assert done.json["sections"][0] == "At a glance"
    data = target.read_bytes()
    assert data.startswith(b"%PDF-")
    assert data.rstrip().endswith(b"%%EOF")
    assert data.count(b"/Type /Page\n") >= 2


def test_letters_that_the_font_lacks_are_spelled_out() -> None:
    from battery_analysis.reports.sheets import _Writer

    assert _Writer(400.0).printable("Ωµ–电") == "Ωµ–\\u7535"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("AB12", "--out", "a.doc"), "ends in '.doc', not in .pdf or .html"),
        (("nobody", "--out", "a.pdf"), "no test has the cell code 'nobody'"),
        (("AB12", "--out", "no/such/folder/a.pdf"), "cannot be written"),
    ],
)
def test_what_cannot_be_reported_is_one_line(
    cells: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in cells.refused("report", *options)
    assert not list(tmp_path.glob("a.*"))
