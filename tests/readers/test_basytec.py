"""What BaSyTec's header, day-first dates and counters say."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

import battery_analysis as ba
from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.basytec import BasytecText
from tests.readers.vendor_exports import basytec
from tests.realdata import real


def saved(folder: Path, text: str) -> Path:
    path = folder / "cell.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_header_becomes_metadata(tmp_path: Path) -> None:
    result = ba.read(saved(tmp_path, basytec(every=600.0)))
    metadata = result.metadata
    assert (metadata.test_name, metadata.sample_name, metadata.protocol) == ("formation", "AB12", "plan.pln")
    assert metadata.finished is True
    assert metadata.ended_at == datetime(2024, 3, 15, 18, 0, tzinfo=UTC)
    assert set(result.frame["step_type"]) == {"Charge", "Discharge", "Pause"}
    assert result.frame["temperature_t1_celsius"].unique().to_list() == [25.5]


def test_dates_are_day_first_whatever_stands_between(tmp_path: Path) -> None:
    text = basytec(every=600.0).replace("15.03.2024", "05/03/2024")
    result = ba.read(saved(tmp_path, text))
    assert result.metadata.started_at == datetime(2024, 3, 5, 12, 0, tzinfo=UTC)
    assert result.frame["unix_time_second"][-1] == datetime(2024, 3, 5, 18, 0, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(("delimiter", "decimal"), [(" ", "."), (" ", ","), ("  ", "."), ("\t", ","), (";", ",")])
def test_what_sets_fields_apart_changes_nothing(tmp_path: Path, delimiter: str, decimal: str) -> None:
    expected = ba.read(saved(tmp_path, basytec(every=600.0)))
    result = ba.read(saved(tmp_path, basytec(delimiter, decimal, every=600.0)))
    assert result.frame.equals(expected.frame)
    assert result.frame["unix_time_second"].null_count() == 0
    assert result.warnings == []


def test_totals_of_the_discharge_are_positive(tmp_path: Path) -> None:
    frame = ba.read(saved(tmp_path, basytec(every=600.0))).frame
    assert frame["cycle_discharging_capacity_ah"].max() == pytest.approx(1.0)
    assert frame["cycle_discharging_capacity_ah"].min() == 0.0
    assert frame["step_net_capacity_ah"].min() == pytest.approx(-1.0)


def test_counters_per_mass_are_kept_as_they_are(tmp_path: Path) -> None:
    result = ba.read(saved(tmp_path, basytec(every=600.0).replace("Ah[Ah]", "Ah[Ah/kg]")))
    assert "counters are in Ah/kg, and no mass is given; kept as they are" in result.warnings
    assert result.frame["aux_ah_step"].max() == pytest.approx(1.0)
    assert result.metadata.sources["aux_ah_step"].unit == "Ah/kg"
    assert result.cycles["capacity_method"].to_list() == ["integrated", "integrated"]


def test_a_current_per_mass_is_no_current(tmp_path: Path) -> None:
    result = ba.read(saved(tmp_path, basytec(every=600.0).replace("I[A]", "I[A/kg]")))
    assert "the unit 'A/kg' of column 'I[A/kg]' is not known; kept as it is" in result.warnings
    assert result.frame["current_ampere"].null_count() == result.frame.height
    assert result.frame["aux_i_a_kg"].max() == 1.0


def test_every_name_may_carry_the_mark(tmp_path: Path) -> None:
    text = "Resultfile from Basytec Battery Test System\n~Time[s]\t~U[V]\t~I[A]\n0\t3.6\t0\n1\t3.7\t0.5\n"
    frame = ba.read(saved(tmp_path, text)).frame
    assert frame.select("test_time_second", "voltage_volt", "current_ampere").rows() == [
        (0.0, 3.6, 0.0),
        (1.0, 3.7, 0.5),
    ]


def test_names_may_stand_between_quotes_with_their_mark(tmp_path: Path) -> None:
    """As spreadsheets save them."""
    text = 'Resultfile from Basytec Battery Test System\n"~Time[s]","~U[V]","~I[A]"\n0,3.6,0\n1,3.7,0.5\n'
    result = ba.read(saved(tmp_path, text))
    assert result.warnings == []
    assert result.frame["test_time_second"].to_list() == [0.0, 1.0]


def test_clock_times_are_seconds(tmp_path: Path) -> None:
    text = "~Time[h:min:s]\tCommand\tU[V]\tI[A]\n00:00:01.5\tPause\t3.6\t0\n25:00:00\tPause\t3.7\t0\n"
    assert ba.read(saved(tmp_path, text)).frame["test_time_second"].to_list() == [1.5, 90_000.0]


def test_a_repeated_header_is_left_out_with_a_warning(tmp_path: Path) -> None:
    text = basytec(every=600.0)
    names = next(line for line in text.splitlines() if line.startswith("~Time"))
    result = ba.read(saved(tmp_path, text + names + "\n"))
    assert any("repeated column line" in warning for warning in result.warnings)


@pytest.mark.parametrize(
    "text",
    ["~Time[s]\tU[V]\n0\t3.6\n", "Time[s]\tU[V]\tI[A]\n0\t3.6\t0\n", "# Time U I\n", "~\n~\n", "time/s\tEwe/V\n"],
)
def test_other_texts_are_not_claimed(tmp_path: Path, text: str) -> None:
    assert not BasytecText().recognises(text.encode(), saved(tmp_path, text))


def test_a_header_alone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorruptFileError, match="no line of column names"):
        ba.read(saved(tmp_path, "~Resultfile from Basytec Battery Test System\n"), reader="basytec_txt")


def test_records_that_end_before_the_test_are_said() -> None:
    result = ba.read(real("basytec/sample_data_basytec.txt"))
    assert result.warnings == ["the records end after 70 s, but the header says that the test lasted 1357691 s"]
    assert result.metadata.started_at == datetime(2023, 6, 19, 17, 56, 53, tzinfo=UTC)
    assert result.metadata.ended_at == datetime(2023, 7, 5, 11, 5, 4, tzinfo=UTC)
    assert result.metadata.finished is None
    assert (result.metadata.device, result.metadata.operator) == ("XCTS_40", "basytec")
    assert result.frame["temperature_t1_celsius"][0] == 25.47953
