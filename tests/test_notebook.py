"""What a notebook calls, and the example of the documentation."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import battery_analysis as ba
from battery_analysis import notebook
from battery_analysis.analysis.normalise import FORMULAS
from battery_analysis.errors import InvalidDocumentError, NotFoundError
from battery_analysis.settings import Settings
from battery_analysis.store import open_store
from cli.main import main
from tests.builders import STARTED_AT, cycling_frame, read_result, save

ROOT = Path(__file__).resolve().parents[1]
ANALYSIS = (ROOT / "docs" / "analysis.md").read_text(encoding="utf-8")


@pytest.fixture
def here(server_uri: str, database_name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Settings in the environment that name a database of the test's own; what a test opens is closed."""
    named = {"db_uri": server_uri, "db_name": database_name}
    monkeypatch.setenv("MONGO_URI", server_uri)
    monkeypatch.setenv("BATTERY_DB_NAME", database_name)
    yield named
    notebook.close()


@pytest.fixture
def test_id(here: dict[str, str], tmp_path: Path) -> str:
    with open_store(Settings.load(environ={}, **here)) as store:
        return str(save(store, tmp_path, read_result(cycling_frame(3))).id)


def test_stored_tables_come_without_a_word_about_the_database(test_id: str) -> None:
    found = ba.search(cell="AB12", type="cycling", first_day="2026-03-01", tags=())
    assert found["id"].tolist() == [test_id]
    assert found["started_at"][0] == STARTED_AT
    assert ba.load_frame(test_id, ["voltage_volt"], cycles=(2, 2)).shape == (20, 1)
    assert ba.load_cycles(test_id)["cycle_count"].tolist() == [1, 2, 3]
    assert ba.load_dataset("AB12").cycles()["test_id"].tolist() == [test_id] * 3  # built where there is none yet


def test_pandas_by_default_polars_and_arrow_on_request(test_id: str) -> None:
    calls = (lambda **form: ba.search(**form), lambda **form: ba.load_frame(test_id, **form))
    for call in (*calls, lambda **form: ba.load_cycles(test_id, **form), lambda **form: ba.search(cell="XX", **form)):
        kinds = [type(table).__module__.split(".")[0] for table in (call(), call(form="polars"), call(form="arrow"))]
        assert kinds == ["pandas", "polars", "pyarrow"]


def test_a_form_that_there_is_not_is_refused(test_id: str) -> None:
    dataset = ba.load_dataset("AB12")
    calls = (ba.search, lambda form: ba.load_frame(test_id, form=form), lambda form: ba.load_cycles(test_id, form))
    for call in (*calls, dataset.cycles, dataset.frame, dataset.tests):
        with pytest.raises(InvalidDocumentError, match=r"^form: 'pandas' or 'polars' or 'arrow' wanted, got 'numpy'$"):
            call(form="numpy")


def test_a_search_that_finds_nothing_has_its_columns(here: dict[str, str]) -> None:
    assert list(ba.search(form="polars").columns)[:3] == ["id", "sample", "cell_code"]


def test_what_is_open_stays_open_until_another_database_is_wanted(here: dict[str, str], test_id: str) -> None:
    first = ba.connect()
    assert ba.connect(**here) is first
    other = ba.connect(db_name=f"{here['db_name']}_b")
    assert other.database.name == f"{here['db_name']}_b"
    assert len(ba.search()) == 0
    other.database.client.drop_database(other.database.name)
    ba.connect()
    assert len(ba.search()) == 1


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ba.search(colour="red"), InvalidDocumentError, "search has no filter 'colour'; there are cell, chemi"),
        (lambda: ba.search(first_day="March"), InvalidDocumentError, "first_day: a day is written YYYY-MM-DD, got 'M"),
        (lambda: ba.load_frame("7"), NotFoundError, "no test result has the id '7'"),
        (lambda: ba.load_dataset("XX99"), NotFoundError, "no test has the cell code 'XX99'"),
    ],
    ids=["filter", "day", "test", "cell"],
)
def test_what_is_not_there_is_said(here: dict[str, str], call: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        call()  # type: ignore[operator]


def test_the_example_of_the_documentation_runs_on_the_example_lab(
    here: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [code] = re.findall(r"^```python\n(.*?)^```", ANALYSIS, re.MULTILINE | re.DOTALL)
    assert len([line for line in code.splitlines() if line and not line.startswith("import")]) <= 10
    lab = tmp_path / "lab"
    subprocess.run([sys.executable, "-m", "examples", str(lab)], cwd=ROOT, check=True, capture_output=True)
    assert main(["sample", "import", str(lab / "samples.csv")]) == 0
    assert main(["import", str(lab)]) == 1  # one file is broken on purpose
    capsys.readouterr()
    names: dict[str, object] = {}
    exec(code, names)
    told = re.fullmatch(
        r"<dataset (\w+) version \d+: \d+ tests, \d+ cycles, \d+ records> "
        r"(\d+\.\d)% left after (\d+) cycles; 95 % at ([\d.e+]+) Ah\n",
        capsys.readouterr().out,
    )
    assert told is not None
    cell, left, cycles, worn = told.groups()
    [test] = ba.search(cell=cell, min_cycles=100, form="polars").to_dicts()
    assert float(left) / 100 == pytest.approx(
        test["final_capacity_ah"] / names["aged"]["discharge_capacity_ah"].iloc[0], abs=1e-3
    )  # type: ignore[index]
    assert int(cycles) >= 100
    assert 0 < float(worn) < names["cycles"]["running_throughput_ah"].max()  # type: ignore[index]
    assert set(names["curve"]["cycle_count"]) == {10}  # type: ignore[index]


def test_the_table_of_formulas_is_the_code_s() -> None:
    documented = re.findall(r"^\| `(\w+)` \| ([^|]*) \| `([^`]*)` \|$", ANALYSIS, re.MULTILINE)
    assert documented == [(each.name, each.unit, each.text) for each in FORMULAS]
