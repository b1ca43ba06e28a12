"""Which sample a file belongs to, and why."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from battery_analysis.errors import IngestError
from battery_analysis.ingest.discover import Candidate
from battery_analysis.ingest.sample_rules import SampleRules, read_sample_map, rules_from, write_sample_map
from battery_analysis.readers.base import TestMetadata
from battery_analysis.settings import Settings


def candidate(relative: str) -> Candidate:
    return Candidate(Path("/lab") / relative, PurePosixPath(relative))


@pytest.fixture
def rules() -> SampleRules:
    return rules_from(Settings())


def test_the_header_goes_before_the_name(rules: SampleRules) -> None:
    decision = rules.decide(candidate("LG012.csv"), TestMetadata("Arbin", sample_name="cell seven"))
    assert (decision.sample, decision.rule) == ("cell seven", "header")


def test_a_barcode_is_a_header_too(rules: SampleRules) -> None:
    assert rules.decide(candidate("x.csv"), TestMetadata("Neware", barcode="B-7")).sample == "B-7"


def test_the_cell_code_comes_from_the_file_name_even_where_the_header_names_the_sample(rules: SampleRules) -> None:
    decision = rules.decide(candidate("LG012_rate.csv"), TestMetadata("Arbin", sample_name="cell seven"))
    assert decision.cell_code == "LG012"


def test_without_a_code_in_the_file_name_the_sample_name_gives_it(rules: SampleRules) -> None:
    decision = rules.decide(candidate("x.csv"), TestMetadata("Arbin", sample_name="coin ZN031 b"))
    assert (decision.sample, decision.cell_code) == ("coin ZN031 b", "ZN031")


def test_without_any_code_the_sample_name_is_the_cell_code(rules: SampleRules) -> None:
    decision = rules.decide(candidate("x.csv"), TestMetadata("Arbin", sample_name="seven"))
    assert decision.cell_code == "seven"


def test_folder_names_are_asked_from_the_inside_out(rules: SampleRules) -> None:
    decision = rules.decide(candidate("AB12/CD34/run.csv"), TestMetadata("Arbin"))
    assert (decision.sample, decision.rule) == ("CD34", "pattern in folder name")


def test_the_parent_folder_is_the_last_resort(rules: SampleRules) -> None:
    decision = rules.decide(candidate("pouch cells/run.csv"), TestMetadata("Arbin"))
    assert (decision.sample, decision.rule) == ("pouch cells", "folder")


@pytest.mark.parametrize(
    "name", ["run_CH12.csv", "NMC811 run.csv", "x_EDA0001.csv", "LFP100.csv", "MB12.csv", "NCA80.csv"]
)
def test_channels_and_chemistries_are_no_cell_codes(rules: SampleRules, name: str) -> None:
    assert rules.codes(Path(name).stem) == []


def test_a_second_code_in_the_name_is_reported(rules: SampleRules) -> None:
    decision = rules.decide(candidate("AB12_vs_CD34.csv"), TestMetadata("Arbin"))
    assert (decision.sample, decision.passed_over) == ("AB12", ("CD34",))


def test_a_fixed_sample_and_a_map_go_before_everything(tmp_path: Path) -> None:
    listed = tmp_path / "map.csv"
    listed.write_text("file_path,sample\nAB12.csv,mapped\n", encoding="utf-8")
    header = TestMetadata("Arbin", sample_name="header")
    assert rules_from(Settings(), sample_map=listed).decide(candidate("AB12.csv"), header).sample == "mapped"
    assert rules_from(Settings(), fixed="all").decide(candidate("AB12.csv"), header).rule == "fixed"
    both = rules_from(Settings(), fixed="all", sample_map=listed)
    assert [both.decide(candidate(each), header).sample for each in ("AB12.csv", "CD34.csv")] == ["mapped", "all"]


def test_with_sample_lookup_a_file_without_header_has_no_sample() -> None:
    rules = rules_from(Settings(), header_only=True)
    with pytest.raises(IngestError, match="no sample found by header"):
        rules.decide(candidate("AB12.csv"), TestMetadata("Arbin"))


@given(st.dictionaries(st.text(min_size=1), st.text(min_size=1), min_size=1))
@pytest.mark.parametrize("suffix", [".toml"])
def test_a_map_reads_back_as_written(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, rows: dict[str, str]
) -> None:
    path = tmp_path_factory.mktemp("map") / f"map{suffix}"
    write_sample_map(path, rows)
    assert read_sample_map(path) == rows


def test_a_csv_map_reads_back_as_written(tmp_path: Path) -> None:
    rows = {"a/b, c.csv": 'cell "7"', "µ.csv": "naïve"}
    write_sample_map(tmp_path / "map.csv", rows)
    assert read_sample_map(tmp_path / "map.csv") == rows


def test_a_map_without_its_columns_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "map.csv").write_text("file,cell\na,b\n", encoding="utf-8")
    with pytest.raises(IngestError, match=r"map\.csv: columns file_path and sample wanted, the file has file, cell"):
        read_sample_map(tmp_path / "map.csv")


def test_a_map_that_gives_a_file_two_samples_is_refused(tmp_path: Path) -> None:
    (tmp_path / "map.csv").write_text("file_path,sample\na.csv,AB12\na.csv,AB12\na.csv,CD34\n")
    with pytest.raises(IngestError, match=r"map\.csv: line 4: a\.csv gets the sample CD34, and AB12 above"):
        read_sample_map(tmp_path / "map.csv")
