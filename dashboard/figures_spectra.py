"""Figures of several impedance spectra taken apart: residuals, fits, parameters, relaxation times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dashboard.figures import DASHES, PALETTES, axis_title, figure, muted, plain, theme
from dashboard.figures_impedance import DECADES, FREQUENCY, colours, largest_ohm, plane, readable_ohm

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import polars as pl

    from battery_analysis.analysis.circuit_fit import CircuitFit
    from dashboard.data.spectra import Measured

MOST_NAMED = 16
"""Lines in a legend."""


def residuals_of_spectra(tables: Mapping[str, pl.DataFrame], limit: float, height: int = 380) -> go.Figure:
    """Draw residuals of Kramers-Kronig tests over frequency, as shares of the modulus.

    Args:
        tables: By spectrum: ``frequency_hertz``, ``real_residual`` and ``imaginary_residual``.
        limit: What residuals of a valid spectrum do not exceed; drawn on both sides.
        height: In pixels.
    """
    traces: list[dict[str, Any]] = []
    for (name, table), color in zip(tables.items(), colours(len(tables)), strict=True):
        for part, column, symbol in (("Re", "real_residual", "circle"), ("Im", "imaginary_residual", "diamond-open")):
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines+markers",
                    "name": plain(name),
                    "legendgroup": plain(name),
                    "showlegend": part == "Re",
                    "x": table["frequency_hertz"].to_list(),
                    "y": (table[column] * 100).to_list(),
                    "line": {"width": 1, "color": color, "dash": "solid" if part == "Re" else "dot"},
                    "marker": {"size": 5, "color": color, "symbol": symbol},
                    "hovertemplate": f"{part}, %{{x:.3~s}}Hz: %{{y:.3g}} %",
                }
            )
    title = axis_title("Residual / |Z| (● Re, ◇ Im)", "%")
    drawn = figure(
        traces, x=FREQUENCY, y=title, height=height, xaxis=dict(DECADES), showlegend=len(tables) <= MOST_NAMED
    )
    for edge in (-limit, limit):
        drawn.add_hline(y=edge * 100, line={"width": 1, "dash": "dot", "color": muted()})
    return drawn


def fits_of_spectra(found: Sequence[tuple[Measured, CircuitFit]], height: int = 420) -> go.Figure:
    """Draw spectra as points and what was fitted to them as lines of the same colour, in the complex plane."""
    by, unit = readable_ohm(largest_ohm([each.spectrum for each, _ in found]))
    traces: list[dict[str, Any]] = []
    for (each, fit), color in zip(found, colours(len(found)), strict=True):
        points = fit.residuals
        common = {"type": "scatter", "name": plain(each.label), "legendgroup": each.key}
        hover = {"hovertemplate": "%{customdata:.3~s}Hz<br>Re %{x:.5g}, −Im %{y:.5g} " + unit}
        traces.append(
            common
            | hover
            | {
                "mode": "markers",
                "x": (each.spectrum.impedance.real * by).tolist(),
                "y": (-each.spectrum.impedance.imag * by).tolist(),
                "customdata": each.spectrum.frequency.tolist(),
                "marker": {"size": 6, "color": color, "symbol": "circle-open"},
            }
        )
        traces.append(
            common
            | hover
            | {
                "mode": "lines",
                "showlegend": False,
                "x": (points["fitted_real_ohm"] * by).to_list(),
                "y": (points["fitted_imaginary_ohm"] * -by).to_list(),
                "customdata": points["frequency_hertz"].to_list(),
                "line": {"width": 2, "color": color},
            }
        )
    drawn = plane(traces, unit, height)
    drawn.update_layout(showlegend=len(found) <= MOST_NAMED)
    return drawn


def parameters_of_spectra(found: Sequence[tuple[Measured, CircuitFit]], height: int = 420) -> go.Figure:
    """Draw how the parameters of a circuit differ from those of the first spectrum, with one standard error."""
    names = [plain(each.label) for each, _ in found]
    palette = PALETTES[theme()]
    traces = []
    for place, parameter in enumerate(determined([fit for _, fit in found])):
        values = [fit.values[parameter] for _, fit in found]
        errors = [dict(fit.parameters.select("parameter", "error").iter_rows())[parameter] for _, fit in found]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": parameter,
                "x": names,
                "y": [value / values[0] * 100 for value in values],
                "error_y": {
                    "type": "data",
                    "array": [abs(error / values[0]) * 100 for error in errors],
                    "thickness": 1,
                    "width": 3,
                },
                "line": {
                    "width": 1.5,
                    "color": palette[place % len(palette)],
                    "dash": DASHES[place // len(palette) % len(DASHES)],
                },
                "hovertemplate": "%{x}: %{y:.4g} %",
            }
        )
    axis = {"type": "category", "tickangle": -30, "automargin": True}
    y = axis_title("Parameter, first spectrum = 100", "%")
    return figure(traces, x="Spectrum", y=y, height=height, xaxis=axis)


def determined(fits: Sequence[CircuitFit]) -> list[str]:
    """Return the parameters whose standard errors are known and smaller than their values in all of these fits."""
    import polars as pl

    known = pl.col("error") < pl.col("value").abs()
    own = [set(fit.parameters.filter(known)["parameter"]) for fit in fits]
    return [name for name in fits[0].parameters["parameter"] if all(name in each for each in own)]


def relaxations_of_spectra(tables: Mapping[str, pl.DataFrame], *, single: bool = False, height: int = 420) -> go.Figure:
    """Draw distributions of relaxation times of several spectra.

    Args:
        tables: By spectrum: ``tau_second`` and ``gamma_ohm``.
        single: Whether they hold single time constants, each with its resistance.
        height: In pixels.
    """
    by, unit = readable_ohm(max(float(table["gamma_ohm"].abs().max() or 0.0) for table in tables.values()))  # type: ignore[arg-type]
    traces = [
        {
            "type": "scatter",
            "mode": "markers" if single else "lines",
            "name": plain(name),
            "x": table["tau_second"].to_list(),
            "y": (table["gamma_ohm"] * by).to_list(),
            "line": {"width": 2, "color": color},
            "marker": {"size": 7, "color": color},
            "hovertemplate": "τ = %{x:.3g} s: %{y:.4g} " + unit,
        }
        for (name, table), color in zip(tables.items(), colours(len(tables)), strict=True)
    ]
    y = axis_title("Resistance" if single else "γ(ln τ)", unit)
    drawn = figure(traces, x=axis_title("Relaxation time", "s"), y=y, height=height, xaxis=dict(DECADES))
    drawn.update_layout(showlegend=len(tables) <= MOST_NAMED)
    return drawn
