"""Samples, as users describe them one by one and from sheets."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import polars as pl
import pytest

from battery_analysis.store import history, samples
from tests.builders import cycling_frame, read_result, save
from tests.cli.conftest import Cli

WORKBOOK = {
    "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default '
    'Extension="xml" ContentType="application/xml"/><Default Extension="rels" ContentType="application/vnd.openxmlform'
    'ats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-'
    'officedocument.spreadsheetml.sheet.main+xml"/></Types>',
    "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship '
    'Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" '
    'Target="xl/workbook.xml"/></Relationships>',
    "xl/_rels/workbook.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" '
    'Target="worksheets/sheet1.xml"/></Relationships>',
    "xl/workbook.xml": '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://'
    'schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="cells" sheetId="1" r:id="r1"/>'
    "</sheets></workbook>",
}


def workbook(*rows: tuple[object, ...]) -> bytes:
    """A workbook with one sheet of texts and numbers."""

    def cell(value: object) -> str:
        if isinstance(value, str):
            return f'<c t="inlineStr"><is><t>{value}</t></is></c>'
        return f"<c><v>{value}</v></c>"

    lines = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
    sheet = f'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{lines}'
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in {**WORKBOOK, "xl/worksheets/sheet1.xml": f"{sheet}</sheetData></worksheet>"}.items():
            archive.writestr(name, text)
    return packed.getvalue()


def test_a_sample_is_set_shown_and_listed(cli: Cli) -> None:
    cli.ok("sample", "set", "foil", "description=Zn foil")
    shown = cli.ok("sample", "set", "AB12", "chemistry=Zn/MnO2", "area_cm2=1.54", "anode=foil", "metadata.rig=7")
    assert shown.lines[0].split() == ["sample", "AB12"]
    assert "area / cm2    1.54" in shown.lines
    assert cli.ok("sample", "show", "AB12").out == shown.out
    facts = cli.json("sample", "show", "AB12")
    assert (facts["anode"], facts["metadata"], facts["nominal_capacity_ah"]) == ("foil", {"rig": "7"}, None)
    assert [each["name"] for each in cli.json("sample", "list")] == ["AB12", "foil"]
    assert [each["id"] for each in cli.json("sample", "list", "--chemistry", "Zn/MnO2")] == [facts["id"]]
    cli.ok("sample", "set", "AB12", "area_cm2=", "metadata.rig=")
    cleared = cli.json("sample", "show", "AB12")
    assert (cleared["area_cm2"], cleared["metadata"]) == (None, {})


def test_a_cell_type_changes_which_efficiency_its_tests_show(cli: Cli, tmp_path: Path) -> None:
    # As long as it charges at 1 A it discharges at 0.9 A: nine tenths of the charge come back.
    frame = cycling_frame(4).with_columns(pl.col("current_ampere").replace({-1.0: -0.9}))
    with cli.store() as store:
        test_id = save(store, tmp_path, read_result(frame)).id
    before = cli.json("test", "show", test_id)
    cli.ok("sample", "set", "AB12", "cell_type=half_negative")
    after = cli.json("test", "show", test_id)
    assert before["mean_coulombic_efficiency"] == pytest.approx(0.9)
    assert after["mean_coulombic_efficiency"] == pytest.approx(1 / 0.9)
    assert (before["efficiency_convention"], after["efficiency_convention"]) == ("same_cycle", "charge_per_discharge")
    assert after["revision"] == before["revision"] + 1
    assert [test["id"] for test in cli.json("search")] == [str(test_id)]


SHEETS = {
    "comma.csv": 'Cell ID,Area (cm²),Tags\nAB12,1.54,"a, b"\nCD34,2,\n'.encode(),
    "semicolon.csv": "Cell ID;Area (cm²);Tags\r\nAB12;1,54;a, b\r\nCD34;2,0;\r\n;;\r\n".encode("cp1252"),
    "tabs.csv": "\ufeffSample\tArea_cm2\tTags\nAB12\t1.54\ta, b\nCD34\t2\t\n".encode("utf-16"),
    "sheet.xlsx": workbook(("Sample", "Electrode area (cm2)", "tags"), ("AB12", 1.54, "a, b"), ("CD34", 2)),
    "rows.json": b'[{"name": "AB12", "area_cm2": 1.54, "tags": ["a", "b"]}, {"cell": "CD34", "area": 2}]',
}


@pytest.mark.parametrize("name", SHEETS)
def test_a_sheet_describes_many(cli: Cli, tmp_path: Path, name: str) -> None:
    sheet = tmp_path / name
    sheet.write_bytes(SHEETS[name])
    assert cli.ok("sample", "import", sheet).out == f"2 samples set from {sheet}\n"
    listed = [(each["name"], each["area_cm2"], each["tags"]) for each in cli.json("sample", "list")]
    assert listed == [("AB12", 1.54, ["a", "b"]), ("CD34", 2.0, [])]


def test_bad_rows_are_named_and_the_others_done(cli: Cli, tmp_path: Path) -> None:
    sheet = tmp_path / "cells.csv"
    rows = ("AB12,1.5,full", ",2,", "", "CD34,wide,", "EF56,1,round", "GH78,nan,", "IJ90,1,full,more")
    sheet.write_text("\n".join(("name,area_cm2,cell_type", *rows)))
    done = cli("sample", "import", sheet)
    assert done.status == 1
    assert done.out == f"1 sample set from {sheet}\n"
    named = [line.removeprefix(f"{sheet}: ").split(";")[0].split(" ('")[0] for line in done.err.splitlines()]
    assert named == [
        "row 2: no sample name",
        "row 4: Sample 'CD34': area_cm2: a number is wanted, got 'wide'",
        "row 5: Sample 'EF56': cell_type: Value must be one of",
        "row 6: Sample 'GH78': area_cm2: a number is wanted, got 'nan'",
        "row 7: Sample 'IJ90': no field '(beyond the last heading)'",
    ]
    assert [each["name"] for each in cli.json("sample", "list")] == ["AB12"]


def test_numbers_of_a_workbook_are_names_as_they_are_read(cli: Cli, tmp_path: Path) -> None:
    sheet = tmp_path / "cells.xlsx"
    sheet.write_bytes(workbook(("Sample", "metadata.batch"), (12, 3.5)))
    cli.ok("sample", "import", sheet)
    assert [(each["name"], each["metadata"]) for each in cli.json("sample", "list")] == [("12", {"batch": 3.5})]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("cells.txt", b"name\n", "cells.txt: .csv, .xlsx or .json wanted"),
        ("cells.csv", None, "cells.csv: No such file or directory"),
        ("cells.csv", b"", "cells.csv: the first line holds no headings"),
        ("cells.csv", b"name,Sample\nA,B\n", "'name' and 'Sample' both mean name"),
        ("cells.csv", b'name\n"AB12\n', "cells.csv: "),
        ("cells.json", b'{"name": "AB12"}', "cells.json: a list of objects wanted"),
        ("cells.json", b'[{"name"', "cells.json: "),
        ("cells.xlsx", b"no workbook", "cells.xlsx: "),
    ],
)
def test_a_sheet_of_another_shape_is_one_line(
    cli: Cli, tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert message in cli.refused("sample", "import", tmp_path / name)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("show", "nobody"), "no sample is named 'nobody'"),
        (("set", "AB12", "area_cm2=wide"), "area_cm2: a number is wanted, got 'wide'"),
        (("set", "AB12", "area_cm2=inf"), "area_cm2: a number is wanted, got 'inf'"),
        (("set", "AB12", "area_cm2=-1"), "area_cm2: must be above 0, got -1.0"),
        (("set", "AB12", "cell_type=round"), "got 'round'"),
        (("set", "AB12", "colour=red"), "no field 'colour'; there are tags, name, chemistry"),
        (("set", "AB12", "metadata.=red"), "metadata.KEY is wanted"),
        (("set", "AB12", "chemistry"), "KEY=VALUE wanted, got 'chemistry'"),
        (("set", "AB12", "anode=nobody"), "no sample is named 'nobody'"),
        (("set", "", "area_cm2=1"), "name: String value is too short"),
        (("set", "AB12", "description=caf\udce9"), "is no text in UTF-8"),
    ],
    ids=lambda value: " ".join(value).encode("ascii", "replace").decode() if isinstance(value, tuple) else "",
)
def test_what_does_not_fit_is_one_line_and_nothing_is_stored(cli: Cli, words: tuple[str, ...], message: str) -> None:
    assert message in cli.refused("sample", *words)
    assert cli.ok("sample", "list").out == "no sample yet\n"


def test_the_history_names_who_ran_the_command(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    cli.ok("sample", "set", "AB12", "area_cm2=1.54")
    with cli.store():
        (line,) = history.of(samples.by_name("AB12").id)
    assert (line.field, line.after, line.created_by) == ("area_cm2", 1.54, "ada")
