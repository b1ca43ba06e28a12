"""Advanced analyses in the browser: the numbers of the commands, chosen in the address, stopped, exported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from battery_analysis.analysis import answers
from battery_analysis.analysis.protocol import protocol
from battery_analysis.models import TestResult
from battery_analysis.settings import Settings
from battery_analysis.store import attachments, open_store, samples
from battery_analysis.store.access import by_id
from dashboard.pages import advanced_models
from tests.dashboard.conftest import Lab, command, settled

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab

pytestmark = pytest.mark.thorough  # minutes of calculations; every page is opened by default, too

LONG = 40_000


def stat(tab: Tab, label: str) -> str:
    return tab.locator(".stat", has_text=label).locator(".stat-value").inner_text(timeout=LONG)


def test_fade_shows_the_numbers_of_the_command(visit: Callable[[str], Tab], lab: Lab) -> None:
    tab = visit("/advanced?cell=LG014&law=linear&threshold=70")
    predicted = stat(tab, "Cycle life, predicted")
    said = command(lab, "analyse", "fade", "LG014", "--law", "linear", "--threshold", "0.7")
    assert predicted == f"{said['predicted_cycle']:,.0f}"
    assert stat(tab, "Law") == "linear"
    laws = tab.get_by_role("region", name="Laws of fade").locator("tbody tr")
    assert laws.count() == len(said["laws"])
    tab.get_by_label("Predict by").select_option("knee")
    tab.locator(".stat", has_text="Law").get_by_text("knee").wait_for(timeout=LONG)
    tab.wait_for_url("**law=knee**")


def test_other_analyses_of_a_test_are_a_click_away_and_their_tables_can_be_taken_along(
    visit: Callable[[str], Tab], lab: Lab
) -> None:
    tab = visit("/advanced?cell=LG012&view=rate&direction=charge")
    choice = tab.locator(".empty", has_text="Cell LG012 has 2 tests; choose one of them:")
    choice.wait_for(timeout=LONG)
    assert tab.locator(".problem").count() == 0
    tests = {each["id"]: each for each in command(lab, "search", "--cell", "LG012")}
    addresses = {each.inner_text(): each.get_attribute("href") or "" for each in choice.get_by_role("link").all()}
    assert set(addresses) == {each["name"] for each in tests.values()}
    test = next(each for each in tests.values() if each["tester"] == "Arbin")
    name, test = test["name"], test["id"]
    choice.get_by_role("link", name=name).click()
    tab.wait_for_url(f"**test={test}**")
    settled(tab)
    assert tab.locator("select[id*='\"test\"']").input_value() == test
    assert "direction=charge" in tab.url
    levels = tab.get_by_role("region", name="Rates")
    levels.wait_for(timeout=LONG)
    assert levels.locator("tbody tr").count() == len(
        command(lab, "analyse", "rate", test, "--direction", "charge")["levels"]
    )
    card = tab.locator(".card", has=levels)
    card.locator("summary", has_text="Export").click()
    with tab.expect_download() as download:
        card.get_by_role("button", name="CSV").click()
    assert "Relative capacity" in Path(download.value.path()).read_text()
    tab.locator(".segmented").get_by_text("Pulses").click()
    tab.get_by_role("region", name="Pulses").wait_for(timeout=LONG)
    tab.wait_for_url(f"**test={test}**")
    assert "view=pulses" in tab.url


def numbers(tab: Tab, table: str, place: int) -> list[str]:
    """Return the column at a place of a table."""
    return tab.get_by_role("region", name=table).locator(f"tbody td:nth-child({place})").all_inner_texts()


def test_roles_and_protocols_are_those_of_the_commands(visit: Callable[[str], Tab], lab: Lab) -> None:
    tab = visit("/advanced?cell=LG012&view=roles")
    tab.get_by_role("region", name="Cycles and their roles").wait_for(timeout=LONG)
    said = command(lab, "analyse", "roles", "LG012")["cycles"]
    for title, role in (("Check-up", "checkup"), ("Cycling", "cycling"), ("Other rate", "other_rate")):
        assert stat(tab, title) == str(sum(each["role"] == role for each in said))
    tab.locator(".segmented").get_by_text("Protocol").click()
    tab.get_by_role("region", name="Protocols").wait_for(timeout=LONG)
    tests = sorted(command(lab, "search", "--cell", "LG012"), key=lambda each: each["started_at"])
    followed = command(lab, "analyse", "protocol", *(each["id"] for each in tests))
    assert numbers(tab, "Protocols", 3) == [each["summary"] for each in followed["protocols"]]
    assert numbers(tab, "Protocols", 2) == ["1", "2"]
    assert numbers(tab, "Runs of like cycles", 5) == [each["steps"] for each in followed["cycle_groups"]]
    tab.get_by_label("Capacity that counts as 1C").fill("2.4")
    tab.get_by_text("200x 1.4C charge 2C discharge").first.wait_for(timeout=LONG)


def test_what_goes_with_what_is_said_of_chosen_cells(visit: Callable[[str], Tab], lab: Lab) -> None:
    cells = ("FE021", "FE022", "LG012", "LG013", "NC051", "ZN031")
    query = "&".join(f"cells={each}" for each in cells)
    tab = visit(f"/advanced?view=correlate&{query}&result=mean_energy_efficiency")
    table = tab.get_by_role("region", name="Correlations, the least likely by chance first")
    table.wait_for(timeout=LONG)
    said = command(lab, "analyse", "correlate", *cells, "--result", "mean_energy_efficiency")["correlations"]
    assert table.locator("tbody tr").count() == len(said)
    nominal = next(each for each in said if each["property"] == "nominal_capacity_ah")
    assert f"{nominal['spearman_rho']:.5g}" in table.locator("tr", has_text="Nominal capacity").inner_text()
    link = tab.get_by_role("link", name="Draw any two in Compare").get_attribute("href")
    assert link == "/compare?" + "&".join(f"cell={each}" for each in cells)
    tab = visit(f"/advanced?view=correlate&{query}&property=anode")
    tab.get_by_text("Nothing of this is known of the samples of these cells.").wait_for(timeout=LONG)


def half_cell_files(folder: Path) -> tuple[Path, Path]:
    """Write curves of a layered oxide and of graphite, smooth ones."""
    lithiation = np.linspace(0.001, 0.999, 300)
    oxide = 4.35 - 0.75 * lithiation - 0.25 * np.tanh(6 * (lithiation - 0.95)) - 0.12 * np.tanh(9 * (lithiation - 0.45))
    graphite = 0.08 + 0.9 * np.exp(-25 * lithiation) - 0.04 * np.tanh(12 * (lithiation - 0.5))
    paths = folder / "oxide.csv", folder / "graphite.CSV"
    for path, volt in zip(paths, (oxide, graphite), strict=True):
        pl.DataFrame({"lithiation": lithiation, "voltage_volt": volt}).write_csv(path)
    return paths


def test_half_cell_curves_come_from_what_is_attached_to_samples(
    visit: Callable[[str], Tab], lab: Lab, tmp_path: Path
) -> None:
    positive, negative = half_cell_files(tmp_path)
    tests = command(lab, "search", "--cell", "LG013")
    tab = visit(f"/advanced?cell=LG013&test={tests[0]['id']}&view=ocv")
    tab.get_by_text("No half-cell curve is here yet.").wait_for(timeout=LONG)
    settings = Settings.load(environ={}, db_uri=lab.db_uri, db_name=lab.db_name, data_dir=lab.data_dir)
    with open_store(settings) as store:
        attachments.add_by_hand(store, positive, positive.name, samples.by_name("LG013"))
        attachments.add_by_hand(store, negative, negative.name, by_id(TestResult, tests[0]["id"]))
    tab.reload()
    tab.get_by_label("Positive electrode").select_option("LG013: oxide.csv")
    tab.get_by_text("Choose the half-cell curves of both electrodes above.").wait_for(timeout=LONG)
    tab.get_by_label("Negative electrode").select_option(f"{tests[0]['name']}: graphite.CSV")
    tab.get_by_label("Its cycle, else the slowest").fill("2")
    table = tab.get_by_role("region", name="Electrodes")
    table.wait_for(timeout=LONG)
    files = "--positive", str(positive), "--negative", str(negative)
    said = command(lab, "analyse", "ocv", "LG013", *files, "--cycle", "2", "--aged", "LG013", "--aged-cycle", "190")
    tab.get_by_text(f"{said['positive_capacity_ah']:.5g} Ah").wait_for(timeout=LONG)
    visit(f"{tab.url.removeprefix(lab.url)}&aged={tests[0]['id']}&later=190")
    assert stat(tab, "Loss of lithium inventory") == f"{said['lithium_inventory_loss'] * 100:.3g} %"
    assert stat(tab, "Loss of positive material") == f"{said['positive_material_loss'] * 100:.3g} %"
    assert f"{said['aged rmse_volt']:.5g} V" in table.inner_text()


def test_a_model_stands_beside_the_measured_voltage(visit: Callable[[str], Tab], lab: Lab) -> None:
    pytest.importorskip("pybamm")
    tab = visit("/advanced?cell=LG013&view=simulate&last=60&start=5")
    tab.get_by_text("Type the name of a parameter set").wait_for(timeout=LONG)
    tab.get_by_label("Parameter set of PyBaMM").fill("Nobody2020")
    tab.get_by_text("no parameter set 'Nobody2020'; there are").wait_for(timeout=LONG)
    tab.get_by_label("Parameter set of PyBaMM").fill("Chen2020")
    rms = stat(tab, "RMS difference")
    words = "--parameters", "Chen2020", "--last", "60", "--initial-soc", "0.05"
    said = command(lab, "analyse", "simulate", "LG013", *words)
    assert rms == f"{said['residuals']['rms_volt'] * 1e3:.4g} mV"
    assert stat(tab, "Records simulated") == f"{len(said['records'])} of 61"


def test_where_pybamm_is_missing_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advanced_models, "find_spec", lambda _: None)
    shown = advanced_models.SIMULATE.begin("LG013", None, "Chen2020", None, None, None, None, None)
    assert "pip install 'battery-analysis[pybamm]'" in str(shown)


def test_runs_of_loops_are_written_once() -> None:
    frame = pl.DataFrame(
        {
            "test_time_second": [1800.0 * record for record in range(1, 13)],
            "voltage_volt": [3.5, 4.0, 3.5, 3.0] * 3,
            "current_ampere": [0.5, 0.5, -0.5, -0.5] * 3,
            "cycle_count": [1] * 4 + [2] * 4 + [3] * 4,
        }
    )
    found = answers.protocols([("one", protocol(frame, 5.0)), ("other", protocol(frame, 5.0))])
    assert found.tables["protocols"].rows() == [("one", 1, "3x C/10"), ("other", 1, "3x C/10")]
    runs = found.tables["cycle_groups"]
    assert runs["steps"].unique().to_list() == ["charge C/10 to 4 V, discharge C/10 to 3 V"]
    assert runs.select("first_cycle", "last_cycle", "lower_limit_volt").row(0) == (1, 3, 3.0)


def test_a_cell_for_its_size_says_what_the_sample_lacks(visit: Callable[[str], Tab], lab: Lab) -> None:
    tab = visit("/advanced?cell=NC051&view=normalised")
    table = tab.get_by_role("region", name="Normalised")
    table.wait_for(timeout=LONG)
    (cell,) = command(lab, "normalize", "NC051")
    areal = next(each["value"] for each in cell["quantities"] if each["name"] == "areal_capacity_mah_cm2")
    assert f"{areal:.5g}" in table.inner_text()
    assert "volume_cm3 of the sample is not known" in table.inner_text()
