"""What figures and exported tables hold."""

from __future__ import annotations

import html
import io
import itertools
import json
import zipfile

import numpy as np
import plotly.graph_objects as go
import polars as pl
import pytest
from plotly.io.json import to_json_plotly

from dashboard import answers, figures, tables
from dashboard.figures_cycles import MOST_POINTS, capacity_by_cycle
from dashboard.figures_records import voltage_and_current


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour, as WCAG defines it."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]
    return sum(weight * each for weight, each in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize(("theme", "ground"), [("light", "#ffffff"), ("dark", "#161a21")])
def test_every_colour_of_a_palette_is_seen_on_its_ground(theme: figures.Theme, ground: str) -> None:
    for colour in figures.PALETTES[theme]:
        dark, bright = sorted((luminance(colour), luminance(ground)))
        assert (bright + 0.05) / (dark + 0.05) >= 3, colour


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_first_colours_differ_also_without_red_or_green(theme: figures.Theme) -> None:
    # Viénot, Brettel and Mollon (1999): what protanopes and deuteranopes see, in linear RGB.
    seen_as = {
        "protanopia": [[0.11238, 0.88762, 0.0], [0.11238, 0.88762, -0.0], [0.00401, -0.00401, 1.0]],
        "deuteranopia": [[0.29275, 0.70725, 0.0], [0.29275, 0.70725, -0.0], [-0.02234, 0.02234, 1.0]],
    }
    colours = np.array([[int(c[at : at + 2], 16) / 255 for at in (1, 3, 5)] for c in figures.PALETTES[theme][:5]])
    for matrix in seen_as.values():
        seen = (np.clip((colours**2.2) @ np.array(matrix).T, 0, 1)) ** (1 / 2.2)
        assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 0.15


def test_a_property_that_plotly_does_not_know_fails_the_tests() -> None:
    with pytest.raises(ValueError, match="heigth"):
        figures.figure([], x="Cycle", y="Capacity", heigth=300)


def test_titles_and_legend_are_those_of_the_axes_and_traces() -> None:
    line = {"type": "scatter", "x": [1], "y": [2]}
    drawn = figures.figure([line, line], x="Cycle", y="Capacity / Ah", yaxis={"type": "log"}, legend_y=1.2)
    assert (drawn.layout.xaxis.title.text, drawn.layout.yaxis.title.text) == ("Cycle", "Capacity / Ah")
    assert (drawn.layout.yaxis.type, drawn.layout.showlegend, drawn.layout.legend.y) == ("log", True, 1.2)
    assert figures.figure([line], x="Cycle", y="Capacity", showlegend=True).layout.showlegend is True
    assert figures.figure([line], x="Cycle", y="Capacity").layout.showlegend is False


@pytest.mark.parametrize("values", [[3.5, np.nan, -0.25], [0.1, 4.2], [1e300, 1.0], [16_777_217.0, 1.0]])
def test_numbers_are_sent_in_single_precision_only_where_that_changes_none(values: list[float]) -> None:
    sent = figures.narrow(np.array(values))
    assert (sent.dtype == np.float32) == (values[0] == 3.5)
    np.testing.assert_array_equal(sent.astype(float), values)


def test_the_numbers_of_a_figure_come_back_also_where_plotly_packed_them() -> None:
    overview = pl.DataFrame(
        {
            "signal": ["voltage_volt", "voltage_volt", "current_ampere"],
            "test_time_second": [0.0, 3600.0, 7200.0],
            "value": [3.0, 4.0, -1.5],
        }
    )
    drawn = voltage_and_current(overview).to_plotly_json()
    assert figures.numbers(drawn).rows() == [
        ("voltage", 0.0, 3.0, None),
        ("voltage", 1.0, 4.0, None),
        ("current", 2.0, None, -1.5),
    ]
    assert figures.numbers(drawn).columns == ["trace", "Test time / h", "Voltage / V", "Current / A"]
    packed = {"dtype": "f8", "bdata": "AAAAAAAA8D8AAAAAAAAAQA=="}
    assert figures.values(packed) == [1.0, 2.0]


def test_a_figure_is_sent_as_plotly_would_send_it() -> None:
    numbers = np.array([1.5, np.nan, 2.5])
    trace = {
        "type": "scatter",
        "x": pl.Series([1, 2, 3]),
        "y": numbers[::2],
        "text": np.array(["a", "b"]),
        "customdata": np.arange(6).reshape(3, 2),
        "error_y": {"array": numbers.astype(np.float32), "arrayminus": numbers.astype(">f8")},
        "marker": {"color": [np.float64(0.5), 1]},
    }
    annotation = {"x": np.float64(1), "text": "<b>"}
    drawn = figures.figure([trace], x="x", y="y", xaxis={"range": np.array([1.0, 2.0])}, annotations=[annotation])
    before = drawn.to_dict()
    assert json.loads(to_json_plotly(drawn)) == json.loads(to_json_plotly(go.Figure.to_plotly_json(drawn)))
    assert str(drawn.to_dict()) == str(before)


def test_a_long_name_stands_in_lines_and_is_whole_in_exports_and_on_hovering() -> None:
    name = "NC052 formation & cycling at 45 °C in the <old> climate chamber_Channel_12_Wb_1.CSV"
    lines = {"type": "scatter", "x": [1], "y": [2], "name": figures.plain(name), "hovertemplate": "%{y} V"}
    drawn = figures.figure([lines, {**lines, "name": "short"}], x="Cycle", y="Capacity")
    shown = drawn.data[0].name.split("<br>")
    assert len(shown) == 2
    assert shown[0].startswith("NC052 formation")
    assert shown[1].endswith("Channel_12_Wb_1.CSV")
    assert "…" in drawn.data[0].name
    assert drawn.data[0].hovertemplate == f"%{{y}} V<extra>{figures.plain(name)}</extra>"
    assert max(len(html.unescape(line)) for line in shown) <= 36
    assert drawn.data[1].name == "short"
    assert drawn.layout.template.layout.hoverlabel.namelength == -1
    assert figures.numbers(drawn.to_plotly_json())["trace"].to_list() == [name, "short"]
    texts = {**lines, "hovertext": ["first point"]}
    drawn = figures.figure([texts, {**texts, "name": "short"}], x="Cycle", y="Capacity")
    assert [trace.hovertext for trace in drawn.data] == [("first point",)] * 2
    assert figures.numbers(drawn.to_plotly_json())["trace"][1] == "short"


def test_capacities_of_very_many_cycles_are_thinned() -> None:
    cycles = pl.DataFrame({"cycle_count": range(100_000)}).with_columns(
        charge_capacity_ah=pl.lit(1.0), discharge_capacity_ah=pl.lit(1.0)
    )
    assert all(len(trace.x) <= MOST_POINTS for trace in capacity_by_cycle(cycles).data)


@pytest.mark.parametrize("name", ["=1+1", '=HYPERLINK("http://evil.example")', "http://evil.example", "@SUM(A1)"])
def test_names_in_workbooks_are_never_formulas_or_links(name: str) -> None:
    content = tables.written("xlsx", "tests", {"name": "Name"}, [{"name": name}], {})
    assert pl.read_excel(io.BytesIO(content), sheet_name="tests", engine="openpyxl")["Name"].to_list() == [name]
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        sheet = book.read("xl/worksheets/sheet1.xml")
    assert b"<f>" not in sheet
    assert b"hyperlink" not in sheet


@pytest.mark.parametrize("title", ["Circuit p(R1,C1): parameters [Ω/cm²]", "'what is left?'", "a * b \\ c " * 5])
def test_tables_of_any_title_are_written_for_excel(title: str) -> None:
    content = tables.written("xlsx", title, {"name": "Name"}, [{"name": "A1"}], {})
    about = pl.read_excel(io.BytesIO(content), sheet_name="about", engine="openpyxl", has_header=False)
    assert about.rows()[0] == ("table", title)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (answers.MOST_ROWS, ""),
        (answers.MOST_EXPORTED, "19,900 more rows, which an export holds."),
        (answers.MOST_EXPORTED + 1, "19,901 more rows, an export holds the first 20,000."),
    ],
)
def test_a_table_says_what_its_export_lacks(rows: int, said: str) -> None:
    card = answers.table_card("rows", "Rows", pl.DataFrame({"number": range(rows)}))
    assert said in str(card)
    assert ("more rows" in str(card)) == bool(said)


def test_a_figure_as_a_page_says_what_was_selected() -> None:
    page = figures.standalone(
        figures.figure([], x="x", y="y").to_plotly_json(), "Life", {"page": "/cycles", "cell": "<b>"}
    )
    assert "cell: &lt;b&gt;" in page


def test_a_current_alone_has_its_own_unit() -> None:
    overview = pl.DataFrame({"signal": ["current_ampere"] * 2, "test_time_second": [0.0, 3600.0], "value": [1.0, 2.0]})
    drawn = voltage_and_current(overview)
    assert drawn.layout.yaxis.title.text == "Current / A"
    assert [(trace.yaxis, list(trace.x)) for trace in drawn.data] == [("y", [0.0, 1.0])]
