"""What the page of spectra shows of several of them taken apart side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from dash import html
from dash.development.base_component import Component

from battery_analysis.errors import AnalysisError
from dashboard import answers, figures, parts
from dashboard.pages.eis_cards import unit_written

if TYPE_CHECKING:
    import polars as pl

    from battery_analysis.analysis.circuit_fit import CircuitFit
    from battery_analysis.analysis.kramers_kronig import KramersKronig
    from battery_analysis.analysis.relaxation import Relaxation
    from dashboard.data.spectra import Measured

T = TypeVar("T")
Outcomes: TypeAlias = Sequence[T | AnalysisError]
"""Of each spectrum, in their order."""


def taken_apart(
    shown: Sequence[Measured],
    validity: Outcomes[KramersKronig],
    fits: Mapping[str, Outcomes[CircuitFit]],
    relaxation: Outcomes[Relaxation] | None,
) -> Component:
    """Return all that was found in several spectra."""
    return parts.grid(
        *_validity(shown, validity),
        *(card for name, each in fits.items() for card in _fits(name, shown, each)),
        _compared(shown, fits) if len(fits) > 1 else None,
        *([] if relaxation is None else _relaxation(shown, relaxation)),
    )


def _found(shown: Sequence[Measured], outcomes: Outcomes[T]) -> list[tuple[Measured, T]]:
    together = zip(shown, outcomes, strict=True)
    return [(each, outcome) for each, outcome in together if not isinstance(outcome, AnalysisError)]


def _reason(outcome: object) -> str | None:
    return str(outcome) if isinstance(outcome, AnalysisError) else None


def _validity(shown: Sequence[Measured], outcomes: Outcomes[KramersKronig]) -> list[Component]:
    import polars as pl

    from dashboard.figures_spectra import residuals_of_spectra

    found = _found(shown, outcomes)
    passed = sum(tested.passed for _, tested in found)
    said = f"{passed} of {parts.count(len(found), 'tested spectrum').replace('spectrums', 'spectra')} passed"
    rows = [
        {"spectrum": each.label, "verdict": None, "reason": _reason(tested)}
        if isinstance(tested, AnalysisError)
        else {
            "spectrum": each.label,
            "verdict": "passed" if tested.passed else "failed",
            "largest residual / %": tested.largest_residual * 100,
            "limit / %": tested.limit * 100,
            "RMS residual / %": tested.rms_residual * 100,
            "elements": tested.elements,
            "μ": tested.mu,
            "reason": None,
        }
        for each, tested in zip(shown, outcomes, strict=True)
    ]
    title = "Kramers–Kronig tests"
    verdict = parts.note(said, tone="good" if found and passed == len(found) else "warning")
    card = answers.table_card("eis-validity", title, pl.DataFrame(rows, infer_schema_length=None), verdict, wide=False)
    if not found:
        return [card]
    tables = {each.label: tested.residuals for each, tested in found}
    drawn = residuals_of_spectra(tables, found[0][1].limit)
    return [card, figures.figure_card("eis-validity", "Kramers–Kronig residuals", drawn, height=380)]


def _fits(name: str, shown: Sequence[Measured], outcomes: Outcomes[CircuitFit]) -> list[Component]:
    from dashboard.figures_spectra import determined, fits_of_spectra, parameters_of_spectra

    found = _found(shown, outcomes)
    title = f"Circuit {name}"
    if not found:
        return [parts.card(title, parts.problem(str(outcomes[0])))]
    table = _parameters(shown, outcomes)
    told = determined([fit for _, fit in found])
    left_out = [each for each in found[0][1].values if each not in told]
    note = f"Not drawn, since a spectrum does not determine it: {', '.join(left_out)}."
    change = figures.figure_card(
        f"eis-changes-{name}",
        f"{title}: parameters against those of the first spectrum",
        parameters_of_spectra(found),
        *([parts.note(note)] if left_out else []),
        height=420,
    )
    return [
        figures.figure_card(f"eis-fits-{name}", f"{title}: measured and fitted", fits_of_spectra(found), height=420),
        change if told else parts.card(f"{title}: parameters", parts.empty("No spectrum determines any of them.")),
        answers.table_card(f"eis-parameters-{name}", f"{title}: parameters with standard errors", table),
    ]


def _parameters(shown: Sequence[Measured], outcomes: Outcomes[CircuitFit]) -> pl.DataFrame:
    import polars as pl

    rows = []
    for each, fit in zip(shown, outcomes, strict=True):
        row: dict[str, Any] = {"spectrum": each.label}
        if not isinstance(fit, AnalysisError):
            for one in fit.parameters.to_dicts():
                unit = unit_written(one["unit"])
                heading = f"{one['parameter']} / {unit}" if unit else one["parameter"]
                row |= {heading: one["value"], f"± {heading}": one["error"]}
            row["RMS residual / %"] = fit.rms_residual * 100
        rows.append(row | {"reason": _reason(fit)})
    return pl.DataFrame(rows, infer_schema_length=None)


def _compared(shown: Sequence[Measured], fits: Mapping[str, Outcomes[CircuitFit]]) -> Component:
    import polars as pl

    from battery_analysis.analysis.circuit_fit import rank_fits

    rows: list[dict[str, Any]] = []
    for place, each in enumerate(shown):
        try:
            ranked = rank_fits({name: outcomes[place] for name, outcomes in fits.items()})
        except AnalysisError as exc:
            rows.append({"spectrum": each.label, "reason": str(exc)})
            continue
        weights = dict(ranked.select("circuit", pl.col("weight") * 100).iter_rows())
        evidence = {f"{name} / %": weights.get(name) for name in fits}
        rows.append({"spectrum": each.label, "best": ranked["circuit"][0], **evidence, "reason": None})
    said = parts.note("Evidence of each circuit by AICc, spectrum by spectrum.")
    return answers.table_card("eis-compared", "Circuits compared", pl.DataFrame(rows, infer_schema_length=None), said)


def _relaxation(shown: Sequence[Measured], outcomes: Outcomes[Relaxation]) -> list[Component]:
    import polars as pl

    from dashboard.figures_spectra import relaxations_of_spectra

    title = "Distributions of relaxation times"
    found = _found(shown, outcomes)
    together = zip(shown, outcomes, strict=True)
    missing = [f"{each.label}: {outcome}" for each, outcome in together if isinstance(outcome, AnalysisError)]
    said = html.Div(answers.remarks(missing)) if missing else html.Div()
    if not found:
        return [parts.card(title, said)]
    peaks = pl.concat(
        [
            each.peaks.select(
                pl.lit(measured.label).alias("spectrum"),
                pl.col("tau_second"),
                pl.col("frequency_hertz"),
                pl.col("resistance_ohm"),
                (pl.col("share") * 100).alias("share / %"),
                pl.col("resistance_error_ohm"),
            )
            for measured, each in found
        ]
    )
    single = found[0][1].method == "lm"
    drawn = relaxations_of_spectra({each.label: one.distribution for each, one in found}, single=single)
    return [
        figures.figure_card("eis-drts", title, drawn, height=420, wide=True),
        answers.table_card("eis-relaxations", "Relaxations", peaks, said),
    ]
