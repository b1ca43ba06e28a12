"""What the page of spectra shows of them: a list, and all that is found in one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dash.development.base_component import Component

from battery_analysis.errors import AnalysisError
from dashboard import figures, parts

if TYPE_CHECKING:
    from battery_analysis.analysis.circuit_fit import CircuitFit
    from battery_analysis.analysis.impedance import Landmarks, Spectrum
    from battery_analysis.analysis.kramers_kronig import KramersKronig
    from battery_analysis.analysis.relaxation import Relaxation
    from dashboard.data.spectra import Measured

_MOST_LISTED = 10


def listed(shown: Sequence[Measured]) -> Component:
    """Return a table of spectra and what each shows without a model."""
    columns = {
        "test": "Test",
        "number": "Spectrum →",
        "cycle": "Cycle →",
        "points": "Points →",
        "from": "From / Hz →",
        "to": "To / Hz →",
        "ohmic": "Ohmic resistance / Ω →",
        "apexes": "Apexes of arcs / Hz →",
    }
    rows = []
    for each in shown:
        spectrum, marks = each.spectrum, _landmarks(each.spectrum)
        apexes = [] if marks is None else [f"{hertz:.3g}" for hertz in marks.apexes["frequency_hertz"]]
        rows.append(
            {
                "test": parts.test_link(each.test_id, each.test),
                "number": f"{each.number} of {each.of}",
                "cycle": parts.UNKNOWN if spectrum.cycle_count is None else f"{spectrum.cycle_count:,}",
                "points": str(spectrum.points),
                "from": f"{spectrum.frequency[0]:.4g}",
                "to": f"{spectrum.frequency[-1]:.4g}",
                "ohmic": parts.quantity(marks.ohmic_resistance_ohm if marks else None),
                "apexes": ", ".join(apexes) or parts.UNKNOWN,
            }
        )
    return parts.card("What was measured", parts.table("Spectra", columns, rows))


def _landmarks(spectrum: Spectrum) -> Landmarks | None:
    from battery_analysis.analysis.impedance import landmarks

    try:
        return landmarks(spectrum)
    except AnalysisError:  # too few points to read anything off
        return None


def taken_apart(
    measured: Measured,
    validity: KramersKronig | AnalysisError,
    fits: Mapping[str, CircuitFit | AnalysisError],
    relaxation: Relaxation | AnalysisError | None,
) -> Component:
    """Return all that was found in a spectrum."""
    good = {name: fit for name, fit in fits.items() if not isinstance(fit, AnalysisError)}
    return parts.grid(
        _validity(validity),
        _drawn(measured.spectrum, good) if good else None,
        _residuals(good) if good else None,
        _compared(fits) if len(fits) > 1 else None,
        *(_fit(name, fit) for name, fit in fits.items()),
        *([] if relaxation is None else _relaxation(relaxation)),
    )


def _validity(tested: KramersKronig | AnalysisError) -> Component:
    from dashboard.figures_impedance import residuals

    title = "Kramers–Kronig test"
    if isinstance(tested, AnalysisError):
        return parts.card(title, parts.problem(tested))
    word = "Passed" if tested.passed else "Failed"
    said = f"{word}: largest residual {tested.largest_residual:.2%}, limit {tested.limit:.2%}"
    known = {"Elements": str(tested.elements), "μ": f"{tested.mu:.3g}", "RMS residual": f"{tested.rms_residual:.3%}"}
    drawn = residuals({"": tested.residuals}, tested.limit)
    verdict = parts.note(said, tone="good" if tested.passed else "bad")
    return figures.figure_card("eis-validity", title, drawn, verdict, parts.facts(known), height=300)


def _compared(fits: Mapping[str, CircuitFit | AnalysisError]) -> Component:
    from battery_analysis.analysis.circuit_fit import rank_fits

    title = "Circuits compared"
    try:
        ranked = rank_fits(fits)
    except AnalysisError as exc:
        return parts.card(title, parts.problem(exc))
    columns = {
        "circuit": "Circuit",
        "parameters": "Parameters →",
        "rms": "RMS residual / % →",
        "delta": "ΔAICc →",
        "weight": "Evidence / % →",
        "undetermined": "Undetermined →",
    }
    rows = [
        {
            "circuit": row["circuit"],
            "parameters": row["parameters"],
            "rms": _percent(row["rms_residual"]),
            "delta": parts.quantity(row["delta_aicc"], digits=4),
            "weight": _percent(row["weight"]),
            "undetermined": row["undetermined"],
        }
        for row in ranked.to_dicts()
    ]
    return parts.card(title, parts.table(title, columns, rows))


def _drawn(spectrum: Spectrum, fits: Mapping[str, CircuitFit]) -> Component:
    from dashboard.figures_impedance import fitted

    return figures.figure_card("eis-fit", "Measured and fitted", fitted(spectrum, list(fits.values())), height=420)


def _residuals(fits: Mapping[str, CircuitFit]) -> Component:
    from dashboard.figures_impedance import residuals

    named = {"" if len(fits) == 1 else name: fit.residuals for name, fit in fits.items()}
    return figures.figure_card("eis-residuals", "Residuals of the fit", residuals(named, height=420), height=420)


def _fit(name: str, fit: CircuitFit | AnalysisError) -> Component:
    title = f"Circuit {name}"
    if isinstance(fit, AnalysisError):
        return parts.card(title, parts.problem(fit))
    columns = {"parameter": "Parameter", "value": "Value →", "error": "± →", "share": "± / % →", "unit": "Unit"}
    rows: list[dict[str, Any]] = [
        {
            "parameter": row["parameter"],
            "value": f"{row['value']:.4g}",
            "error": row["reason"] or parts.quantity(row["error"], digits=2),
            "share": _percent(row["error"] / row["value"] if row["error"] is not None and row["value"] else None),
            "unit": unit_written(row["unit"]),
        }
        for row in fit.parameters.to_dicts()
    ]
    times = {"part": "Part", "seconds": "τ / s →", "hertz": "1/(2πτ) / Hz →", "error": "± / % →"}
    constants = [
        {
            "part": row["part"],
            "seconds": f"{row['seconds']:.3g}",
            "hertz": f"{row['frequency_hertz']:.3g}",
            "error": _percent(row["relative_error"]),
        }
        for row in fit.time_constants.to_dicts()
    ]
    known = {
        "Circuit": fit.circuit,
        "RMS residual": f"{fit.rms_residual:.3%}",
        "AICc": f"{fit.aicc:.5g}",
        "Weighting": fit.weighting,
    }
    return parts.card(
        title,
        parts.facts(known),
        parts.table(f"Parameters of {name}", columns, rows),
        parts.table(f"Time constants of {name}", times, constants) if constants else None,
    )


def _relaxation(found: Relaxation | AnalysisError) -> list[Component]:
    from dashboard.figures_impedance import relaxation

    title = "Distribution of relaxation times"
    if isinstance(found, AnalysisError):
        return [parts.card(title, parts.problem(found))]
    peaks = [
        {
            "tau": f"{row['tau_second']:.3g}",
            "hertz": f"{row['frequency_hertz']:.3g}",
            "resistance": f"{row['resistance_ohm']:.4g}",
            "error": parts.quantity(row["resistance_error_ohm"], digits=2),
        }
        for row in found.peaks.to_dicts()
    ]
    columns = {"tau": "τ / s →", "hertz": "1/(2πτ) / Hz →", "resistance": "Resistance / Ω →", "error": "± / Ω →"}
    known = {
        "Method": found.method,
        "Regularisation": found.regularisation,
        "Polarisation": parts.quantity(found.polarisation_ohm, "Ω"),
        "Ohmic resistance": parts.quantity(found.ohmic_resistance_ohm, "Ω"),
        "Inductance": parts.quantity(found.inductance_henry, "H"),
        "Capacitance": parts.quantity(found.capacitance_farad, "F"),
        "RMS residual": f"{found.rms_residual:.3%}",
    }
    drawn = relaxation(found.distribution, found.peaks, single=found.method == "lm")
    return [
        figures.figure_card("eis-drt", title, drawn, height=340),
        parts.card("Relaxations", parts.facts(known), parts.table("Relaxations", columns, peaks)),
    ]


def unit_written(written: str) -> str:
    """Write a unit of impedance.py as elsewhere.

    >>> unit_written("Ohm^-1 sec^a")
    'Ω⁻¹ sᵃ'
    """
    plain = {"Ohm": "Ω", "sec": "s", "^-1/2": "⁻¹ᐟ²", "-1/2": "⁻¹ᐟ²", "^-1": "⁻¹", "^a": "ᵃ"}
    for name, sign in plain.items():
        written = written.replace(name, sign)
    return written


def _percent(share: float | None) -> str:
    return parts.UNKNOWN if share is None else f"{share * 100:.3g}"
