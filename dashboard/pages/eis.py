"""Impedance spectra: several at once, and one of them taken apart."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from dash import Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component

from battery_analysis.errors import AnalysisError
from dashboard import background, figures, links, parts
from dashboard.data import lives, spectra
from dashboard.links import Given
from dashboard.pages import eis_cards as cards
from dashboard.pages import eis_several

if TYPE_CHECKING:
    from battery_analysis.analysis.relaxation import Method
    from dashboard.data.spectra import Measured

PATH = "/eis"
TITLE = "EIS"
GROUP = "Look"

MOST_DRAWN = 40
MOST_CIRCUITS = 6
EVERY = "all"
"""In place of one spectrum: all that are drawn."""
_EVERY = "All that are drawn"

METHODS = {
    "tikhonov": "Tikhonov",
    "tr-nnls": "Tikhonov of the real part (pyimpspec)",
    "lm": "Loewner matrices (pyimpspec)",
}
"""Of relaxation times; the last two need the extra ``drt``."""


def layout(
    test: Given = None,
    numbers: Given = None,
    area: Given = None,
    spectrum: Given = None,
    circuit: Given = None,
    own: Given = None,
    drt: Given = None,
    strength: Given = None,
    **_: Given,
) -> Component:
    """Return the page for the tests and the spectrum that the address holds; without any, for the newest test."""
    from battery_analysis.analysis.circuits import NAMED

    offered = spectra.tests()
    chosen = links.texts(test) or list(offered)[:1]
    if not chosen:
        where = [*parts.to_import(), "; ", html.Code("battery-analysis formats"), " lists what can be read."]
        return parts.page(TITLE, parts.empty("No test holds an impedance spectrum yet.", where))
    first = parts.toolbar(
        _tests(offered, chosen),
        parts.text_input(_id("numbers"), "Spectra of each test", links.text(numbers), placeholder="all, or 1, 3-5"),
        parts.switch(_id("area"), "Per area (Ω cm²)", on=links.text(area) == "yes"),
    )
    circuits = {name: f"{name}: {written}" for name, written in NAMED.items()}
    second = parts.toolbar(
        _roomy(parts.select(_id("spectrum"), "Spectrum", {}, links.text(spectrum))),
        _roomy(
            parts.multi_select(
                _id("circuit"), "Circuits to fit", circuits, links.texts(circuit), placeholder="None; choose by name"
            )
        ),
        parts.text_input(_id("own"), "Own circuit", links.text(own), placeholder="R0-p(R1,CPE1)-W1"),
        parts.select(_id("drt"), "Relaxation times (DRT)", METHODS, links.text(drt), every="None"),
        parts.number_input(_id("strength"), "Regularisation λ", links.number(strength), least=0),
    )
    return parts.page(
        TITLE,
        first,
        html.Div(id="eis-said"),
        parts.grid(
            figures.figure_card("nyquist", "Nyquist plot", height=460),
            figures.figure_card("bode", "Bode plot", height=460),
        ),
        html.Div(id="eis-list"),
        html.H2("Taken apart"),
        second,
        background.place("eis"),
    )


def _roomy(control: Component) -> Component:
    control.className += " roomy"
    return control


def _tests(offered: dict[str, str], chosen: Sequence[str]) -> Component:
    named = _options(lives.names(chosen) | offered)
    control = dcc.Dropdown(
        id=_id("test"), options=named, value=list(chosen), multi=True, placeholder="Type words of a test"
    )
    return parts.labelled("Tests with spectra", control, roomy=True)


def _options(named: dict[str, str]) -> list[dict[str, str]]:
    return [{"label": label, "value": value} for value, label in named.items()]


def _id(name: str) -> dict[str, str]:
    return links.control("eis", name)


def offer(typed: str | None, chosen: Any) -> Any:
    """Offer tests in which words begin as is typed; those that are chosen stay among them."""
    if typed is None:
        return no_update
    return _options(lives.names(links.texts(chosen)) | spectra.tests(typed))


def draw(tests: list[str] | None, numbers: str | None, per_area: bool | None, wanted: str | None) -> tuple[Any, ...]:
    """Draw the spectra that were chosen, list them, and offer each to be taken apart."""
    from dashboard import figures_impedance

    chosen, said = _chosen(tests, numbers)
    shown = _drawn(chosen)
    if len(shown) < len(chosen):
        said.append(f"{len(shown)} of {len(chosen)} spectra are drawn; choose fewer to see all of them")
    if per_area and (lacking := sorted({each.test for each in shown if not each.area_cm2})):
        said.append(f"no area is known of the sample of {', '.join(lacking)}")
    keys = {each.key: each.label for each in chosen}
    if len(shown) > 1:
        keys = {EVERY: _EVERY} | keys
    key = wanted if wanted in keys else next(iter(keys), None)
    return (
        figures_impedance.nyquist(shown, per_area=bool(per_area)),
        figures_impedance.bode(shown, per_area=bool(per_area)),
        cards.listed(shown) if shown else parts.empty("No spectrum is chosen.", "Choose tests above."),
        [parts.note(each, tone="warning") for each in said],
        _options(keys),
        key,
    )


def _chosen(tests: list[str] | None, numbers: str | None) -> tuple[list[Measured], list[str]]:
    found, said = spectra.measured(tests or [])
    return among(found, numbers), said


def _drawn(chosen: Sequence[Measured]) -> list[Measured]:
    """Return as many of the chosen spectra as are drawn, evenly spread."""
    return list(chosen[:: -(-len(chosen) // MOST_DRAWN)]) if chosen else []


def among(found: Sequence[Measured], numbers: str | None) -> list[Measured]:
    """Return the spectra with these numbers within their tests, such as ``1, 3-5``; all without.

    Raises:
        AnalysisError: The text is no list of numbers.
    """
    if not (numbers or "").strip():
        return list(found)
    wanted: set[int] = set()
    for word in (numbers or "").replace("–", "-").split(","):
        first, _, last = word.partition("-")
        try:
            low = int(first)
            high = int(last) if last.strip() else low
        except ValueError as exc:
            raise AnalysisError(f"spectra of each test: numbers such as 1, 3-5 wanted, got {numbers!r}") from exc
        wanted |= {each.number for each in found if low <= each.number <= high}
    return [each for each in found if each.number in wanted]


def _not_drawn(error: Exception) -> tuple[Any, ...]:
    parts.log(error, "spectra could not be drawn")
    return no_update, no_update, no_update, parts.problem(error), no_update, no_update


def begin(
    tests: list[str] | None,
    numbers: str | None,
    key: str | None,
    circuits: list[str] | None,
    own: str | None,
    method: str | None,
    strength: float | None,
) -> background.Work | Component:
    """Say what is to be calculated for one spectrum, or for all that are drawn."""
    from battery_analysis.analysis.circuit_fit import fit_circuit
    from battery_analysis.analysis.kramers_kronig import kramers_kronig
    from battery_analysis.analysis.relaxation import relaxation_times

    if not key:
        return parts.empty("Choose a spectrum.")
    shown = _drawn(_chosen(tests, numbers)[0]) if key == EVERY else [_one(key)]
    if not shown:
        return parts.empty("No spectrum is chosen.", "Choose tests above.")
    fitted = list(dict.fromkeys([*(circuits or []), *([own.strip()] if own and own.strip() else [])]))
    if len(fitted) > MOST_CIRCUITS:
        raise AnalysisError(f"at most {MOST_CIRCUITS} circuits are fitted at once, got {len(fitted)}")
    kinds: list[Callable[..., Any]] = [kramers_kronig]
    kinds += [functools.partial(fit_circuit, circuit=each) for each in fitted]
    if method:
        kinds.append(functools.partial(relaxation_times, method=_method(method), lambda_value=strength))
    tasks = [(kind, (each.spectrum,)) for kind in kinds for each in shown]

    def taken_apart(results: list[Any]) -> Component:
        of_kinds = [results[place : place + len(shown)] for place in range(0, len(results), len(shown))]
        fits = dict(zip(fitted, of_kinds[1:], strict=False))
        times = of_kinds[-1] if method else None
        if key == EVERY:
            return eis_several.taken_apart(shown, of_kinds[0], fits, times)
        of_one = {name: each[0] for name, each in fits.items()}
        return cards.taken_apart(shown[0], of_kinds[0][0], of_one, times[0] if times else None)

    title = parts.count(len(shown), "spectrum").replace("spectrums", "spectra") if key == EVERY else shown[0].label
    return background.Work(title, tasks, taken_apart, tolerant=True)


def _one(key: str) -> Measured:
    """Return a spectrum by its test and number.

    Raises:
        AnalysisError: It is not there.
    """
    test_id, _, number = key.partition(".")
    of_test, said = spectra.measured([test_id])
    measured = next((each for each in of_test if str(each.number) == number), None)
    if measured is None:
        raise AnalysisError(said[0] if said else f"the test has no spectrum {number}")
    return measured


def _method(name: str) -> Method:
    return cast("Method", links.choice(name, tuple(METHODS)))


def register_callbacks(app: Dash) -> None:
    """Wire the choices to the figures."""
    tests, spectrum = _id("test"), _id("spectrum")
    offered = Input(tests, "search_value"), State(tests, "value")
    app.callback(Output(tests, "options"), *offered, prevent_initial_call=True)(offer)
    app.callback(
        Output(figures.graph("nyquist"), "figure"),
        Output(figures.graph("bode"), "figure"),
        Output("eis-list", "children"),
        Output("eis-said", "children"),
        Output(spectrum, "options"),
        Output(spectrum, "value"),
        Input(tests, "value"),
        Input(_id("numbers"), "value"),
        Input(_id("area"), "value"),
        State(spectrum, "value"),
        on_error=_not_drawn,
    )(draw)
    names = ("test", "numbers", "spectrum", "circuit", "own", "drt", "strength")
    background.register(app, "eis", [Input(_id(name), "value") for name in names], begin)
