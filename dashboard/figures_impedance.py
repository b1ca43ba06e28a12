"""Figures of impedance spectra: Nyquist and Bode plots, residuals, relaxation times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dashboard.figures import DASHES, PALETTES, axis_title, figure, muted, plain, theme

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import polars as pl

    from battery_analysis.analysis.circuit_fit import CircuitFit
    from battery_analysis.analysis.impedance import Spectrum
    from dashboard.data.spectra import Measured

FREQUENCY = axis_title("Frequency", "Hz")
_SMALL_OHM, _LARGE_OHM = 0.5, 2e4
DECADES: Mapping[str, Any] = {"type": "log", "exponentformat": "power", "dtick": 1}


def nyquist(shown: Sequence[Measured], *, per_area: bool = False, height: int = 460) -> go.Figure:
    """Draw spectra in the complex plane, capacitive arcs upwards, with axes of one scale.

    Args:
        shown: The spectra.
        per_area: In ohm cm²; spectra of samples without an area are left out.
        height: In pixels.
    """
    shown, factors, unit = _scaled(shown, per_area=per_area)
    traces = [
        _line(each.label, color, x=each.spectrum.impedance.real * by, y=-each.spectrum.impedance.imag * by)
        | _hover(each.spectrum, "Re %{x:.5g}, −Im %{y:.5g} " + unit)
        for each, by, color in zip(shown, factors, colours(len(shown)), strict=True)
    ]
    return plane(traces, unit, height)


def fitted(spectrum: Spectrum, fits: Sequence[CircuitFit], height: int = 420) -> go.Figure:
    """Draw a spectrum and circuits that were fitted to it in the complex plane."""
    by, unit = readable_ohm(largest_ohm([spectrum]))
    palette = PALETTES[theme()]
    measured = _line("measured", muted(), x=spectrum.impedance.real * by, y=-spectrum.impedance.imag * by)
    traces = [measured | {"mode": "markers"} | _hover(spectrum, "Re %{x:.5g}, −Im %{y:.5g} " + unit)]
    for place, fit in enumerate(fits):
        points = fit.residuals
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": fit.circuit,
                "x": (points["fitted_real_ohm"] * by).to_list(),
                "y": (points["fitted_imaginary_ohm"] * -by).to_list(),
                "line": {"width": 2, "color": palette[place % len(palette)], "dash": DASHES[place % len(DASHES)]},
                "customdata": points["frequency_hertz"].to_list(),
                "hovertemplate": "%{customdata:.3~s}Hz<br>Re %{x:.5g}, −Im %{y:.5g} " + unit,
            }
        )
    return plane(traces, unit, height)


def bode(shown: Sequence[Measured], *, per_area: bool = False, height: int = 460) -> go.Figure:
    """Draw modulus and phase of spectra over frequency, one above the other."""
    import numpy as np

    shown, factors, unit = _scaled(shown, per_area=per_area)
    traces: list[dict[str, Any]] = []
    for each, by, color in zip(shown, factors, colours(len(shown)), strict=True):
        hertz = each.spectrum.frequency
        modulus, phase = np.abs(each.spectrum.impedance) * by, np.angle(each.spectrum.impedance, deg=True)
        named = {"legendgroup": each.key}
        traces.append(
            _line(each.label, color, x=hertz, y=modulus)
            | named
            | {"hovertemplate": "%{x:.3~s}Hz: |Z| = %{y:.5g} " + unit}
        )
        traces.append(
            _line(each.label, color, x=hertz, y=phase)
            | named
            | {"yaxis": "y2", "showlegend": False, "hovertemplate": "%{x:.3~s}Hz: %{y:.4g}°"}
        )
    lower = {"domain": [0, 0.46], "title": {"text": axis_title("Phase", "°")}, "zeroline": False, "automargin": True}
    upper = {"domain": [0.54, 1], "type": "log", "exponentformat": "power"}
    return figure(
        traces,
        x=FREQUENCY,
        y=axis_title("|Z|", unit),
        height=height,
        xaxis={**DECADES, "anchor": "y2"},
        yaxis=upper,
        yaxis2=lower,
        showlegend=len(shown) > 1,
    )


def residuals(tables: Mapping[str, pl.DataFrame], limit: float | None = None, height: int = 300) -> go.Figure:
    """Draw residuals over frequency, as shares of the modulus.

    Args:
        tables: By what they are of: ``frequency_hertz``, ``real_residual`` and ``imaginary_residual``.
        limit: What residuals of a valid spectrum do not exceed; drawn on both sides.
        height: In pixels.
    """
    palette = PALETTES[theme()]
    traces: list[dict[str, Any]] = []
    for place, (name, table) in enumerate(tables.items()):
        for part, column, symbol in (("Re", "real_residual", "circle"), ("Im", "imaginary_residual", "diamond-open")):
            color = palette[(2 * place + (part == "Im")) % len(palette)] if len(tables) == 1 else palette[place % 8]
            traces.append(
                _line(f"{part} {name}".strip(), color, x=table["frequency_hertz"], y=table[column] * 100)
                | {"marker": {"symbol": symbol, "size": 6, "color": color}, "hovertemplate": "%{x:.3~s}Hz: %{y:.3g} %"}
            )
    drawn = figure(
        traces, x=FREQUENCY, y=axis_title("Residual / |Z|", "%"), height=height, xaxis=dict(DECADES), showlegend=True
    )
    for edge in () if limit is None else (-limit, limit):
        drawn.add_hline(y=edge * 100, line={"width": 1, "dash": "dot", "color": muted()})
    return drawn


def relaxation(
    distribution: pl.DataFrame, peaks: pl.DataFrame, *, single: bool = False, height: int = 340
) -> go.Figure:
    """Draw relaxation times.

    Args:
        distribution: ``tau_second``, ``gamma_ohm``, ``gamma_error_ohm`` (drawn where it is known).
        peaks: Of ``relaxation_times``.
        single: Whether the distribution holds single time constants, each with its resistance.
        height: In pixels.
    """
    by, unit = readable_ohm(float(distribution["gamma_ohm"].abs().max() or 0.0))  # type: ignore[arg-type]
    color, second = PALETTES[theme()][:2]
    traces: list[dict[str, Any]] = []
    if distribution["gamma_error_ohm"].null_count() < distribution.height:
        low = (distribution["gamma_ohm"] - distribution["gamma_error_ohm"].fill_null(0.0)) * by
        high = (distribution["gamma_ohm"] + distribution["gamma_error_ohm"].fill_null(0.0)) * by
        tau = distribution["tau_second"].to_list()
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": "one standard deviation",
                "x": [*tau, *reversed(tau)],
                "y": [*high, *reversed(low.to_list())],
                "fill": "toself",
                "line": {"width": 0, "color": color},
                "opacity": 0.35,
                "hoverinfo": "skip",
            }
        )
    traces.append(
        {
            "type": "scatter",
            "mode": "markers" if single else "lines",
            "name": "resistance" if single else "γ",
            "x": distribution["tau_second"].to_list(),
            "y": (distribution["gamma_ohm"] * by).to_list(),
            "line": {"width": 2, "color": color},
            "marker": {"color": color},
            "error_y": {
                "visible": single,
                "width": 0,
                "array": [0.0] * distribution.height,
                "arrayminus": (distribution["gamma_ohm"] * by).to_list(),
            },
            "hovertemplate": "τ = %{x:.3g} s: %{y:.4g} " + unit,
        }
    )
    traces.append(
        {
            "type": "scatter",
            "mode": "markers",
            "name": "peaks",
            "x": peaks["tau_second"].to_list(),
            "y": (peaks["gamma_ohm"] * by).to_list(),
            "marker": {"symbol": "triangle-down", "size": 10, "color": second},
            "customdata": peaks.select("frequency_hertz", "resistance_ohm").rows(),
            "hovertemplate": "τ = %{x:.3g} s, %{customdata[0]:.3g} Hz<br>%{customdata[1]:.4g} Ω",
        }
    )
    y = axis_title("Resistance" if single else "γ(ln τ)", unit)
    return figure(traces, x=axis_title("Relaxation time", "s"), y=y, height=height, xaxis=dict(DECADES))


def colours(count: int) -> list[str]:
    """Return as many colours: apart where they are few, from dark to bright in order where they are many."""
    palette = PALETTES[theme()]
    if count <= len(palette):
        return list(palette[:count])
    from plotly.colors import sample_colorscale

    low, high = (0.0, 0.85) if theme() == "light" else (0.2, 1.0)
    return list(sample_colorscale("plasma", [low + (high - low) * each / (count - 1) for each in range(count)]))


def _line(name: str, color: str, *, x: Any, y: Any) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": plain(name),
        "x": x.tolist() if hasattr(x, "tolist") else x.to_list(),
        "y": y.tolist() if hasattr(y, "tolist") else y.to_list(),
        "line": {"width": 1.5, "color": color},
        "marker": {"size": 5, "color": color},
    }


def _hover(spectrum: Spectrum, rest: str) -> dict[str, Any]:
    return {"customdata": spectrum.frequency.tolist(), "hovertemplate": f"%{{customdata:.3~s}}Hz<br>{rest}"}


def plane(traces: Sequence[Mapping[str, Any]], unit: str, height: int) -> go.Figure:
    """Draw traces into the complex plane, with axes of one scale."""
    return figure(
        traces,
        x=axis_title("Re Z", unit),
        y=axis_title("−Im Z", unit),
        height=height,
        yaxis={"scaleanchor": "x", "scaleratio": 1},
        hovermode="closest",
    )


def _scaled(shown: Sequence[Measured], *, per_area: bool) -> tuple[list[Measured], list[float], str]:
    """Return what can be drawn, what each is multiplied by, and the unit."""
    if not per_area:
        by, unit = readable_ohm(largest_ohm([each.spectrum for each in shown]))
        return list(shown), [by] * len(shown), unit
    known = [each for each in shown if each.area_cm2]
    return known, [each.area_cm2 or 1.0 for each in known], "Ω cm²"


def largest_ohm(spectra: Sequence[Spectrum]) -> float:
    """Return the largest modulus of spectra in ohm."""
    return max((float(abs(each.impedance).max()) for each in spectra), default=1.0)


def readable_ohm(largest: float) -> tuple[float, str]:
    """Return the factor and the unit in which impedances up to so many ohm are read best."""
    if largest < _SMALL_OHM:
        return 1e3, "mΩ"
    return (1e-3, "kΩ") if largest > _LARGE_OHM else (1.0, "Ω")
