"""Cells that were made alike are found alike; what cannot be compared is named."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from battery_analysis.analysis.features import cell_features, feature_table
from battery_analysis.analysis.similarity import clusters, components, distances, scaled
from battery_analysis.analysis.summary import summarise_test
from battery_analysis.errors import AnalysisError


def cycles(initial: float, fade: float, count: int = 50) -> pl.DataFrame:
    """A cell that loses the same part of its initial capacity in every cycle."""
    number = np.arange(count)
    return pl.DataFrame(
        {
            "cycle_count": number + 1,
            "complete": [True] * (count - 1) + [False],
            "charge_capacity_ah": initial * (1 - fade * number) / 0.999,
            "cv_charge_capacity_ah": 0.1 * initial * (1 - fade * number) / 0.999,
            "discharge_capacity_ah": initial * (1 - fade * number),
            "coulombic_efficiency": [0.999] * count,
            "mean_discharge_voltage_volt": 3.7 - 1e-4 * number,
            "internal_resistance_ohm": 0.02 + 1e-4 * number,
        }
    )


def three_kinds(gap: bool = False) -> pl.DataFrame:
    """Nine cells of three kinds, far apart compared with their scatter."""
    random = np.random.default_rng(7)
    centers = np.repeat([[1.0, 0.1], [2.0, 0.9], [3.0, 0.1]], 3, axis=0)
    values = centers + random.normal(0, [0.02, 0.01], centers.shape)
    table = pl.DataFrame({"cell": list("ABCDEFGHI"), "capacity_ah": values[:, 0], "fade": values[:, 1], "rig": [4] * 9})
    place = pl.int_range(pl.len())
    return table.with_columns(pl.when(place == 8).then(None).otherwise("fade").alias("fade")) if gap else table


def test_features_are_those_the_cell_was_made_with() -> None:
    found = cell_features(cycles(2.0, 1e-3))
    assert found["initial_capacity_ah"] == pytest.approx(2.0)
    assert found["capacity_retention"] == pytest.approx(1 - 48e-3)  # 49 cycles are complete
    assert found["fade_per_cycle"] == pytest.approx(1e-3)
    assert found["discharge_voltage_slope_volt_per_cycle"] == pytest.approx(-1e-4)
    assert found["cv_share"] == pytest.approx(0.1)
    assert found["resistance_growth"] == pytest.approx((0.02 + 48e-4) / 0.02)
    assert found["mean_energy_efficiency"] is None


def test_features_that_a_summary_has_too_are_the_same() -> None:
    rates = [0.1] * 3 + [1.0] * 30 + [3.0] * 8 + [1.0] * 10
    table = cycles(2.0, 1e-3, len(rates)).with_columns(
        discharge_time_second=3600.0 / pl.Series(rates),
        min_voltage_volt=pl.lit(3.0),
        max_voltage_volt=pl.lit(4.2),
        discharge_capacity_ah=pl.col("discharge_capacity_ah") * pl.Series([1.1 if rate < 1 else 1.0 for rate in rates]),
    )
    lossy = pl.when(pl.Series(rates) > 1).then(0.5).otherwise(1.0) * pl.col("discharge_capacity_ah")
    table = table.with_columns(discharge_capacity_ah=lossy)
    features, summary = cell_features(table), asdict(summarise_test(table))
    shared = features.keys() & summary.keys()
    assert {"capacity_retention", "mean_coulombic_efficiency", "median_internal_resistance_ohm"} <= shared
    assert {name: features[name] for name in shared} == {name: pytest.approx(summary[name]) for name in shared}
    assert features["fade_per_cycle"] == pytest.approx(1e-3, rel=0.01)  # neither formation nor the higher rate


def test_the_slope_of_a_rate_test_is_no_fade() -> None:
    table = cycles(2.0, 1e-3, 13).with_columns(
        discharge_time_second=3600.0 / pl.Series([rate for rate in (0.1, 0.2, 0.5, 1.0) for _ in range(3)] + [1.0]),
        min_voltage_volt=pl.lit(3.0),
        max_voltage_volt=pl.lit(4.2),
    )
    found = cell_features(table)
    assert found["fade_per_cycle"] is None
    assert found["capacity_retention"] == pytest.approx(1 - 11e-3)


def test_a_cell_without_cycles_has_no_features() -> None:
    table = feature_table({"AB12": pl.DataFrame(), "CD34": cycles(2.0, 0.0, 3)})
    assert set(table.drop("cell").row(0)) == {None}
    assert table["fade_per_cycle"].to_list() == [None, None]  # two complete cycles have no slope


def test_scaled_features_have_no_unit() -> None:
    found = scaled(three_kinds())
    assert found.values.mean(axis=0) == pytest.approx([0, 0], abs=1e-12)
    assert found.values.std(axis=0, ddof=1) == pytest.approx([1, 1])
    robust = scaled(pl.DataFrame({"cell": list("ABCDE"), "x": [1.0, 2.0, 3.0, 4.0, 1000.0]}), scaling="robust")
    assert (robust.center[0], robust.spread[0]) == (3.0, pytest.approx(1.4826))


def test_what_is_left_out_is_named_with_its_reason() -> None:
    table = three_kinds().with_columns(few=pl.Series([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, None, float("nan"), float("inf")]))
    assert [tuple(each) for each in scaled(table).left_out] == [
        ("feature", "rig", "the same in all cells: 4"),
        ("feature", "few", "not known of 3 of 9 cells (G, H, I)"),
    ]


def test_the_nearest_pairs_are_of_one_kind() -> None:
    found = distances(three_kinds())
    kinds = {cell: place // 3 for place, cell in enumerate("ABCDEFGHI")}
    nearest = found.table.head(9).select("cell", "other").rows()
    assert [kinds[one] == kinds[other] for one, other in nearest] == [True] * 9
    assert found.table.height == 36


def test_distances_are_what_they_say() -> None:
    table = pl.DataFrame({"cell": ["A", "B"], "x": [0.0, 1.0], "y": [0.0, 3.0]})
    assert distances(table).table["distance"].to_list() == pytest.approx([np.sqrt(2)])  # both are 1.41 deviations apart
    assert distances(table, distance="manhattan").table["distance"].to_list() == pytest.approx([np.sqrt(2)])


def test_a_distance_counts_what_both_cells_have_and_is_null_where_that_is_too_little() -> None:
    columns = {name: [float(n % k) for n in range(10)] for name, k in zip("xyz", (2, 3, 5), strict=True)}
    table = pl.DataFrame({"cell": [f"C{number}" for number in range(10)], **columns})
    place = pl.int_range(pl.len())
    table = table.with_columns(
        pl.when(place == 0).then(None).otherwise(pl.col(name)).alias(name) for name in ("x", "y")
    ).with_columns(pl.when(place == 1).then(None).otherwise("x").alias("x"))
    found = {(one, other): rest for one, other, *rest in distances(table).table.iter_rows()}
    assert found["C0", "C2"][1:] == [1, "1 of 3 features in common"]
    assert found["C0", "C2"][0] is None
    assert found["C1", "C2"][1:] == [2, None]


@pytest.mark.parametrize("method", ["kmeans", "agglomerative"])
def test_clusters_are_the_kinds_that_were_made(method: str) -> None:
    found = clusters(three_kinds(), method=method)  # type: ignore[arg-type]
    assert found.count == 3
    assert found.table["cluster"].to_list() == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert found.silhouette > 0.9
    assert max(found.tried, key=found.tried.__getitem__) == 3


def test_a_cell_with_a_gap_is_in_no_cluster_and_no_component() -> None:
    found = clusters(three_kinds(gap=True), count=3)
    assert found.table["cell"].to_list() == list("ABCDEFGH")
    assert ("cell", "I", "not known: fade") in [tuple(each) for each in found.left_out]
    assert components(three_kinds(gap=True)).scores["cell"].to_list() == list("ABCDEFGH")


def test_components_find_the_direction_that_was_made() -> None:
    random = np.random.default_rng(3)
    along = random.normal(0, 1, 200)
    table = pl.DataFrame(
        {
            "cell": [f"C{number}" for number in range(200)],
            "x": 5 * along + random.normal(0, 0.05, 200),
            "y": -along + random.normal(0, 0.01, 200),
        }
    )
    found = components(table)
    assert found.explained[0] == pytest.approx(1, abs=1e-3)
    assert sum(found.explained) == pytest.approx(1)
    x, y = found.loadings["pc1"].to_list()
    assert (abs(x), abs(y), x * y) == pytest.approx((np.sqrt(0.5), np.sqrt(0.5), -0.5), abs=1e-3)
    assert abs(np.corrcoef(found.scores["pc1"].to_numpy(), along)[0, 1]) > 0.999


def test_components_agree_with_an_established_library() -> None:
    from sklearn.decomposition import PCA

    table = three_kinds()
    theirs = PCA(2).fit(scaled(table).values)
    ours = components(table)
    assert ours.explained == pytest.approx(theirs.explained_variance_ratio_)
    assert np.abs(ours.loadings.drop("feature").to_numpy()) == pytest.approx(np.abs(theirs.components_.T))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"x": [1.0, 2.0]}, "column 'cell' not found"),
        ({"cell": ["A"], "x": [1.0]}, "at least 2 cells are needed, got 1"),
        ({"cell": ["A", "A"], "x": [1.0, 2.0]}, r"stand in the table twice: \['A'\]"),
        ({"cell": ["A", "B"], "x": ["a", "b"]}, "no column holds numbers"),
        ({"cell": ["A", "B"], "x": [1.0, 1.0]}, "no feature is left of 1 .x: the same in all cells: 1"),
        ({"cell": ["A", "B"], "x": [None, float("nan")]}, "not known of 2 of 2 cells"),
    ],
)
def test_a_table_that_cannot_be_compared_says_why(table: dict[str, list[object]], message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        distances(pl.DataFrame(table))


def test_options_that_make_no_sense_are_refused() -> None:
    table = three_kinds()
    with pytest.raises(AnalysisError, match=r"no columns of numbers \['colour'\]; there are"):
        scaled(table, ["colour"])
    with pytest.raises(AnalysisError, match="scaling must be one of standard, robust, got 'log'"):
        scaled(table, scaling="log")  # type: ignore[arg-type]
    with pytest.raises(AnalysisError, match="count must lie between 2 and 8 for 9 cells, got 9"):
        clusters(table, count=9)
    with pytest.raises(AnalysisError, match="at least 3 cells with 2 different sets"):
        clusters(table.head(2))
    with pytest.raises(AnalysisError, match="have 2 components, got count 3"):
        components(table, count=3)


@settings(max_examples=30)
@given(
    st.lists(st.tuples(*[st.none() | st.floats(width=64) | st.sampled_from([1.0, 2.0])] * 3), min_size=1, max_size=8),
    st.sampled_from(["standard", "robust"]),
)
def test_any_table_gives_finite_numbers_or_a_reason(
    rows: list[tuple[float | None, float | None, float | None]], scaling: str
) -> None:
    table = pl.DataFrame(rows, schema=dict.fromkeys("xyz", pl.Float64), orient="row")
    table = table.insert_column(0, pl.Series("cell", [f"C{number}" for number in range(table.height)]))
    for analysis in (distances, components):
        try:
            found = analysis(table, scaling=scaling)
        except AnalysisError as exc:
            assert str(exc).startswith("similarity: ")
            continue
        values = found.scores["pc1"] if analysis is components else found.table["distance"].drop_nulls()
        assert values.is_finite().all()
