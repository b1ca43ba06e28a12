"""Circuits are read as impedance.py reads them, but nothing is ever evaluated."""

from __future__ import annotations

import numpy as np
import pytest

from battery_analysis.analysis.circuits import KINDS, NAMED, parse_circuit, shape, time_constant
from battery_analysis.errors import AnalysisError
from tests.analysis.spectra import HERTZ


def theirs(text: str, values: list[float]) -> np.ndarray:
    fitting = pytest.importorskip("impedance.models.circuits.fitting")
    stacked = fitting.wrapCircuit(text, {})(HERTZ, *values)
    return np.asarray(stacked[: HERTZ.size] + 1j * stacked[HERTZ.size :])


@pytest.mark.parametrize("kind", KINDS)
def test_each_element_is_that_of_impedance_py(kind: str) -> None:
    text = f"R0-{kind}1"
    circuit = parse_circuit(text)
    values = np.array([0.3 + 0.1 * number for number in range(len(circuit.parameters))])
    assert circuit.impedance(values, HERTZ) == pytest.approx(theirs(text, values.tolist()), rel=1e-12)


@pytest.mark.parametrize(
    "text",
    [
        *NAMED.values(),
        "p(R1,C1)",
        "R0-p(R1-p(R2,C2),C1)-Wo1",
        "p(R1-L1,R2,CPE1)",
        "R_0-p(R_1, C_1)",
        "R0-p(R1,C1)-p(R2,C2)",
    ],
)
def test_each_circuit_is_that_of_impedance_py(text: str) -> None:
    circuit = parse_circuit(text)
    values = np.linspace(0.2, 0.9, len(circuit.parameters))
    assert circuit.impedance(values, HERTZ) == pytest.approx(theirs(text, values.tolist()), rel=1e-12)


def test_a_name_stands_for_its_circuit() -> None:
    assert parse_circuit("randles").text == "R0-p(R1-W1,C1)"
    units = {each.name: each.unit for each in parse_circuit("two_arcs_diffusion").parameters}
    assert units == {
        "L0": "H",
        "R0": "Ohm",
        "R1": "Ohm",
        "CPE1_0": "Ohm^-1 sec^a",
        "CPE1_1": "",
        "R2": "Ohm",
        "CPE2_0": "Ohm^-1 sec^a",
        "CPE2_1": "",
        "W1": "Ohm sec^-1/2",
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "neither one of arc"),
        ("nonsense", "neither one of arc"),
        ("R0+R1", "neither one of"),
        ("__import__('os').system('true')", "neither one of"),
        ("R0-", "ends where an element should be"),
        ("R0-p(R1,C1", "is not closed"),
        ("R0-p(R1)", "two branches or more"),
        ("R0)", "after its end"),
        ("R0-p(,C1)", "an element was expected, ',' found"),
        ("R0-p(R1,Q1)", "unknown element Q1"),
        ("R0-R0", "R0 occurs twice"),
        ("R0R1", "after its end"),
    ],
)
def test_what_is_no_circuit_is_refused_with_the_reason(text: str, words: str) -> None:
    with pytest.raises(AnalysisError, match=words):
        parse_circuit(text)


def test_time_constants_of_arcs_and_of_diffusion() -> None:
    circuit = parse_circuit("R0-p(R1,CPE1)-p(R2-W1,C2)-Wo1-p(R3,R4)-Zarc1")
    values = np.array([1.0, 2.0, 0.1, 0.8, 3.0, 9.0, 2.0, 5.0, 70.0, 1.0, 1.0, 1.0, 0.3, 0.9])
    found = [time_constant(part, values) for part in circuit.root.parts]
    assert found == [None, pytest.approx(0.2 ** (1 / 0.8)), 6.0, 70.0, None, 0.3]


def test_parts_of_one_shape_are_told() -> None:
    shapes = [shape(part) for part in parse_circuit("R0-p(R1,CPE1)-p(R2,CPE2)-p(CPE3,R3)").root.parts]
    assert shapes == ["R", "p(R,CPE)", "p(R,CPE)", "p(CPE,R)"]


def test_without_impedance_py_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = __import__

    def absent(name: str, *args: object, **kwargs: object) -> object:
        if name.split(".")[0] == "impedance":
            raise ImportError("No module named 'impedance'", name="impedance")
        return real_import(name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr("builtins.__import__", absent)
    with pytest.raises(AnalysisError, match=r"circuits: needs impedance \(pip install 'battery-analysis\[eis\]'\)"):
        parse_circuit("R0-R1")
