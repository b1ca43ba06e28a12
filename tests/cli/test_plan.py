"""Plans of experiments as users make, fill, show and export them."""

from __future__ import annotations

import csv
import io
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.builders import cycling_frame, read_result, save
from tests.cli.conftest import Cli

BINDERS = ("--factor", "loading_mg_cm2=2,4", "--factor", "metadata.binder=PVDF,CMC")


def made(cli: Cli, tmp_path: Path) -> None:
    """A plan of four cells, one of them with a test."""
    cli.ok("plan", "make", "binders", *BINDERS, "--description", "which <b>one</b> holds")
    cli.ok("sample", "set", "AB12", "loading_mg_cm2=4", "metadata.binder=PVDF")
    with cli.store() as store:
        save(store, tmp_path, read_result(cycling_frame(3)))


def test_a_plan_is_made_filled_and_shown(cli: Cli, tmp_path: Path) -> None:
    made(cli, tmp_path)
    facts = cli.json("plan", "show", "binders")
    assert [cell["levels"] for cell in facts["matrix"]][2] == {"loading_mg_cm2": 4.0, "metadata.binder": "PVDF"}
    assert [cell["state"] for cell in facts["matrix"]] == ["open", "open", "done", "open"]
    assert facts["matrix"][2]["samples"][0]["name"] == "AB12"
    assert (facts["cells"], facts["cells_with_tests"], facts["tests"]) == (4, 1, 1)
    assert [cell["cell"] for cell in cli.json("plan", "show", "binders", "--gaps")["matrix"]] == [1, 2, 4]
    shown = cli.ok("plan", "show", "binders").lines
    assert "cell  loading / (mg/cm2)  metadata.binder  state  samples  tests  cycles" in shown
    assert shown[-2].split() == ["3", "4", "PVDF", "done", "AB12", "1", "3"]


def test_a_list_counts_what_was_imported_and_deleted_since(cli: Cli, lab: Path) -> None:
    cli.ok("plan", "make", "rigs", "--factor", "rig=7,8")
    cli.ok("sample", "set", "AB12", "metadata.rig=8")
    cli.ok("import", lab / "AB12_ageing.csv")
    assert [(each["cells_with_tests"], each["tests"]) for each in cli.json("plan", "list")] == [(1, 1)]
    cli.ok("test", "delete", cli.json("search")[0]["id"], "--yes")
    assert [(each["cells_with_tests"], each["tests"]) for each in cli.json("plan", "list")] == [(0, 0)]


def test_samples_are_assigned_and_taken_back(cli: Cli, tmp_path: Path) -> None:
    made(cli, tmp_path)
    moved = cli.json("plan", "assign", "binders", "AB12", 1)
    assert [cell["state"] for cell in moved["matrix"]] == ["done", "open", "open", "open"]
    assert moved["matrix"][0]["samples"][0]["how"] == "assigned"
    back = cli.json("plan", "assign", "binders", "AB12", "--remove")
    assert [cell["state"] for cell in back["matrix"]] == ["open", "open", "done", "open"]


def test_a_sample_that_does_not_tell_is_named(cli: Cli, tmp_path: Path) -> None:
    made(cli, tmp_path)
    cli.ok("sample", "set", "AB12", "metadata.binder=")
    assert cli.ok("plan", "show", "binders").lines[-1] == "sample AB12 may belong here: metadata.binder not known"


def test_plans_are_listed_and_deleted(cli: Cli, tmp_path: Path) -> None:
    assert cli.ok("plan", "list").out == "no experiment plan yet\n"
    made(cli, tmp_path)
    cli.ok("plan", "make", "lhs", "--factor", "x=1..2", "--design", "latin-hypercube", "--runs", 5, "--seed", 3)
    listed = cli.json("plan", "list")
    assert [(each["name"], each["design"], each["cells"]) for each in listed] == [
        ("binders", "full", 4),
        ("lhs", "latin_hypercube", 5),
    ]
    assert cli.ok("plan", "list").lines[1].split()[:2] == ["binders", "full"]
    assert cli.ok("plan", "delete", "lhs").out == "deleted experiment plan lhs\n"
    assert [each["name"] for each in cli.json("plan", "list")] == ["binders"]


def test_a_fraction_says_what_it_mixes_up(cli: Cli) -> None:
    factors = [word for name in "abcd" for word in ("--factor", f"{name}=0,1")]
    by_generator = cli.json("plan", "make", "one", *factors, "--design", "fractional", "--generator", "D=ABC")
    found = cli.json("plan", "make", "two", *factors, "--design", "fractional", "--resolution", 4)
    assert (found["generators"], found["resolution"], found["defining_relation"]) == (["D=ABC"], 4, ["ABCD"])
    assert found["matrix"] == by_generator["matrix"]
    assert len(found["matrix"]) == 8


class Cells(HTMLParser):
    """Texts of the cells of a table."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())


def test_exports_hold_the_same_rows(cli: Cli, tmp_path: Path) -> None:
    made(cli, tmp_path)
    files = {ending: tmp_path / f"plan{ending}" for ending in (".csv", ".html", ".pdf")}
    for file in files.values():
        done = cli("plan", "export", "binders", "--out", file)
        assert (done.status, done.out) == (0, "")
        assert done.err.startswith("wrote ")
    rows = list(csv.DictReader(io.StringIO(files[".csv"].read_text())))
    assert [row["state"] for row in rows] == ["open", "open", "done", "open"]
    assert (rows[2]["loading_mg_cm2"], rows[2]["metadata.binder"], rows[2]["samples"]) == ("4", "PVDF", "AB12")
    page = Cells()
    page.feed(files[".html"].read_text())
    assert {"AB12", "PVDF", "description: which <b>one</b> holds"} <= set(page.texts)
    assert not page.tags & {"b", "script", "link", "img"}
    data = files[".pdf"].read_bytes()
    assert data.startswith(b"%PDF-")
    assert data.rstrip().endswith(b"%%EOF")


def test_a_pdf_holds_all_cells_and_names_of_any_language(cli: Cli, tmp_path: Path) -> None:
    pytest.importorskip("reportlab")
    from battery_analysis.writing.plan_sheet import PlanSheet, plan_pdf

    rows = [{"cell": number, "x": "Öl <&> 电"} for number in range(200)]
    data = plan_pdf(PlanSheet("电 plan", {"note": "a & b"}, {"cell": "cell", "x": "Öl"}, rows))
    assert data.count(b"/Type /Page\n") + data.count(b"/Type /Page ") > 3
    assert data == plan_pdf(PlanSheet("电 plan", {"note": "a & b"}, {"cell": "cell", "x": "Öl"}, rows))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("make", "p", "--factor", "x"), "NAME=LEVEL,LEVEL or NAME=LOW..HIGH wanted, got 'x'"),
        (("make", "p", "--factor", "x=1"), "factor x: a factorial design needs two levels or more"),
        (("make", "p", "--factor", "x=1,2", "--runs", "3"), "plan make: --runs is no option of a full design"),
        (("make", "p", "--factor", "x=1..2", "--design", "latin-hypercube"), "--runs is wanted"),
        (("make", "p", "--factor", "x=1,2", "--design", "fractional"), "either generators or a resolution"),
        (("make", "binders", "--factor", "x=1,2"), "another plan is already named so"),
        (("show", "nothing"), "no experiment plan is named 'nothing'"),
        (("assign", "binders", "AB12", "9"), "has cells 1 to 4, got 9"),
        (("assign", "binders", "AB12"), "a CELL is wanted, or --remove without one"),
        (("assign", "binders", "AB12", "1", "--remove"), "a CELL is wanted, or --remove without one"),
        (("assign", "binders", "nobody", "1"), "no sample is named 'nobody'"),
        (("assign", "binders", "AB12", "--remove"), "is assigned to no cell"),
        (("export", "binders", "--out", "plan.doc"), "plan.doc: .csv, .html or .pdf wanted"),
        (("export", "binders", "--out", "no/such/folder/plan.csv"), "plan.csv: cannot be written: No such file"),
        (("delete", "nothing"), "no experiment plan is named 'nothing'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_does_not_fit_is_one_line(cli: Cli, words: tuple[str, ...], message: str) -> None:
    cli.ok("plan", "make", "binders", *BINDERS)
    cli.ok("sample", "set", "AB12", "chemistry=LFP")
    assert message in cli.refused("plan", *words)
