"""Figures of tests beside models: half-cell curves under a voltage at rest, and simulated voltages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dashboard.figures import PALETTES, axis_title, figure, muted, theme
from dashboard.quantities import readable

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import polars as pl

MOST_POINTS = 4_000


def half_cell_fit(curve: pl.DataFrame, aged: pl.DataFrame | None = None, height: int = 460) -> go.Figure:
    """Draw a voltage over charge with its fit and both electrodes; of the cell later in dashed lines.

    Args:
        curve: ``charge_ah``, ``voltage_volt``, ``fitted_volt``, ``positive_volt``, ``negative_volt``.
        aged: The same of the cell later.
        height: In pixels.
    """
    tables = [("", "solid", curve)] + ([(", later", "dash", aged)] if aged is not None else [])
    by, unit = readable("Ah", max(float(table["charge_ah"].abs().to_numpy().max()) for _, _, table in tables))
    palette = PALETTES[theme()]
    lines = (
        ("measured", "voltage_volt", muted()),
        ("fitted", "fitted_volt", palette[0]),
        ("positive electrode", "positive_volt", palette[1]),
        ("negative electrode", "negative_volt", palette[2]),
    )
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": f"{name}{when}",
            "x": (table["charge_ah"] * by).to_list(),
            "y": table[column].to_list(),
            "line": {"color": color, "dash": dash, "width": 5 if name == "measured" else 2},
            "opacity": 0.45 if name == "measured" else 1,
            "hovertemplate": f"%{{x:.5g}} {unit}: %{{y:.4f}} V",
        }
        for when, dash, table in tables
        for name, column, color in lines
    ]
    x = axis_title("Charge from the discharged end", unit)
    return figure(traces, x=x, y=axis_title("Voltage", "V"), height=height)


def beside_model(table: pl.DataFrame, height: int = 420) -> go.Figure:
    """Draw measured and simulated voltage of records over test time.

    Args:
        table: ``test_time_second``, ``voltage_volt``, ``simulated_volt``.
        height: In pixels.
    """
    palette = PALETTES[theme()]
    by, unit = readable("s", float(table["test_time_second"][-1]))
    lines = (("measured", "voltage_volt", muted(), 4), ("simulated", "simulated_volt", palette[0], 2))
    traces = [_line(table, by, unit, column, name, color, width) for name, column, color, width in lines]
    return figure(traces, x=axis_title("Test time", unit), y=axis_title("Voltage", "V"), height=height)


def residuals_of_model(table: pl.DataFrame, height: int = 300) -> go.Figure:
    """Draw measured less simulated voltage over test time, see ``beside_model``."""
    import polars as pl

    by, unit = readable("s", float(table["test_time_second"][-1]))
    in_milli = table.with_columns(pl.col("residual_volt") * 1e3)
    trace = _line(in_milli, by, unit, "residual_volt", "difference", PALETTES[theme()][0], 1.5)
    trace["hovertemplate"] = f"%{{x:.5g}} {unit}: %{{y:.4g}} mV"
    return figure([trace], x=axis_title("Test time", unit), y=axis_title("Difference", "mV"), height=height)


def _line(
    table: pl.DataFrame, by: float, unit: str, column: str, name: str, color: str, width: float
) -> dict[str, Any]:
    shown = _with_peaks(table, column)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": (shown["test_time_second"] * by).to_list(),
        "y": shown[column].to_list(),
        "line": {"color": color, "width": width},
        "hovertemplate": f"%{{x:.5g}} {unit}: %{{y:.4f}} V",
    }


def _with_peaks(table: pl.DataFrame, column: str) -> pl.DataFrame:
    """Return at most about ``MOST_POINTS`` records, with the lowest and highest among them."""
    usable = table.drop_nulls(column)
    if usable.height <= MOST_POINTS:
        return usable
    import numpy as np
    from tsdownsample import MinMaxLTTBDownsampler

    kept = MinMaxLTTBDownsampler().downsample(  # type: ignore[no-untyped-call]
        np.ascontiguousarray(usable[column].to_numpy()), n_out=MOST_POINTS
    )
    thinned: pl.DataFrame = usable[kept.tolist()]
    return thinned
