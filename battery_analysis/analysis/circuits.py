"""Equivalent circuits: written as text, taken apart, and computed.

Notation of impedance.py: elements in series are joined by ``-``, those side by side stand in ``p(…,…)``; an element is
its kind and a number, ``R0-p(R1,CPE1)-W1``. Text is parsed here, never evaluated. Kinds, their formulas and
units are those of impedance.py (extra ``eis``): R, C, L, CPE, La, W, Wo, Ws, G, Gs, K, Zarc, TLMQ, T. A parameter is
called as its element, ``R1``, or, where that has several, ``CPE1_0``, ``CPE1_1``.

``NAMED`` holds circuits that batteries are often described by, for who would rather give a name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from battery_analysis.analysis.extras import needs
from battery_analysis.analysis.impedance import ComplexArray
from battery_analysis.analysis.records import FloatArray
from battery_analysis.errors import AnalysisError

NAMED: dict[str, str] = {
    "arc": "R0-p(R1,CPE1)",
    "arc_diffusion": "R0-p(R1,CPE1)-W1",
    "randles": "R0-p(R1-W1,C1)",
    "randles_cpe": "R0-p(R1-W1,CPE1)",
    "inductive_arc": "L0-R0-p(R1,CPE1)",
    "two_arcs": "L0-R0-p(R1,CPE1)-p(R2,CPE2)",
    "two_arcs_diffusion": "L0-R0-p(R1,CPE1)-p(R2,CPE2)-W1",
}
"""One or two arcs, with or without diffusion; from two arcs on with the inductance of the leads."""

KINDS = ("R", "C", "L", "CPE", "La", "W", "Wo", "Ws", "G", "Gs", "K", "Zarc", "TLMQ", "T")

_TOKEN = re.compile(r"p\(|[A-Za-z]+_?\d+|[-,()]")
_ELEMENT = re.compile(r"([A-Za-z]+)_?\d+")
_EXPONENTS = {("CPE", 1), ("La", 1), ("Zarc", 2), ("TLMQ", 2)}


@dataclass(frozen=True)
class Parameter:
    """One number of a circuit: a power between 0 and 1 (``exponent``), or something positive."""

    name: str
    unit: str
    element: str
    exponent: bool


@dataclass(frozen=True)
class Element:
    """One element, and where its parameters stand among those of the circuit."""

    name: str
    kind: str
    own: slice


@dataclass(frozen=True)
class Series:
    """Parts one after another."""

    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Parallel:
    """Parts side by side."""

    parts: tuple[Part, ...]


Part: TypeAlias = Element | Series | Parallel


@dataclass(frozen=True)
class Circuit:
    """A circuit that was taken apart."""

    text: str
    root: Series
    parameters: tuple[Parameter, ...]

    def impedance(self, values: FloatArray, frequency: FloatArray) -> ComplexArray:
        """Compute the impedance in ohm.

        Args:
            values: One for each of ``parameters``, in their units.
            frequency: In Hz.

        Example:
            1 ohm in series with 2 ohm:

            >>> parse_circuit("R0-R1").impedance(np.array([1.0, 2.0]), np.array([10.0])).tolist()
            [(3+0j)]
        """
        with np.errstate(all="ignore"):
            return _impedance(self.root, values, frequency, _formulas())

    @staticmethod
    def own(part: Part) -> slice:
        """Where the parameters of a part stand."""
        places = [element.own for element in elements(part)]
        return slice(places[0].start, places[-1].stop)

    @staticmethod
    def name(part: Part) -> str:
        """Write a part as its elements.

        >>> circuit = parse_circuit("R0-p(R1-W1,C1)")
        >>> circuit.name(circuit.root.parts[1])
        'p(R1-W1,C1)'
        """
        if isinstance(part, Element):
            return part.name
        inner = [Circuit.name(each) for each in part.parts]
        return f"p({','.join(inner)})" if isinstance(part, Parallel) else "-".join(inner)


def parse_circuit(text: str) -> Circuit:
    """Take a circuit apart.

    Args:
        text: A name of ``NAMED``, or a circuit such as ``R0-p(R1,CPE1)-W1``.

    Raises:
        AnalysisError: The text is no circuit, an element is unknown or occurs twice, or impedance.py is not installed.

    Example:
        >>> [each.name for each in parse_circuit("R0-p(R1,CPE1)").parameters]
        ['R0', 'R1', 'CPE1_0', 'CPE1_1']
        >>> parse_circuit("R0-p(R1,X1)")
        Traceback (most recent call last):
        battery_analysis.errors.AnalysisError: circuit 'R0-p(R1,X1)': unknown element X1; known are R, C, L, CPE, …
    """
    written = NAMED.get(text, text)
    return _Parser(text, re.sub(r"\s", "", written)).circuit()


class _Parser:
    """Reads a circuit from left to right."""

    def __init__(self, given: str, written: str) -> None:
        self.given, self.written = given, written
        self.tokens = _TOKEN.findall(written)
        self.at = 0
        self.parameters: list[Parameter] = []
        self.names: set[str] = set()
        if "".join(self.tokens) != written or not written:
            known = ", ".join(NAMED)
            raise self._error(f"neither one of {known} nor elements joined by - and p(…,…)")

    def _error(self, reason: str) -> AnalysisError:
        return AnalysisError(f"circuit {self.given!r}: {reason}")

    def circuit(self) -> Circuit:
        root = self._series()
        if self.at < len(self.tokens):
            raise self._error(f"{self.tokens[self.at]!r} after its end")
        return Circuit(self.written, root, tuple(self.parameters))

    def _next(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1] if self.at <= len(self.tokens) else ""

    def _follows(self, token: str) -> bool:
        return self.at < len(self.tokens) and self.tokens[self.at] == token

    def _series(self) -> Series:
        parts = [self._part()]
        while self._follows("-"):
            self.at += 1
            parts.append(self._part())
        return Series(tuple(parts))

    def _part(self) -> Part:
        token = self._next()
        if token != "p(":
            return self._element(token)
        branches = [self._series()]
        while self._follows(","):
            self.at += 1
            branches.append(self._series())
        if self._next() != ")":
            raise self._error("a p( is not closed")
        if len(branches) < 2:
            raise self._error("p(…) needs two branches or more")
        return Parallel(tuple(branch.parts[0] if len(branch.parts) == 1 else branch for branch in branches))

    def _element(self, name: str) -> Element:
        found = _ELEMENT.fullmatch(name)
        if not found:
            raise self._error(
                f"an element was expected, {name!r} found" if name else "it ends where an element should be"
            )
        kind = found[1]
        if kind not in KINDS:
            raise self._error(f"unknown element {name}; known are {', '.join(KINDS[:4])}, …")
        if name in self.names:
            raise self._error(f"{name} occurs twice")
        self.names.add(name)
        units: list[str] = _formulas()[kind].units  # type: ignore[attr-defined]
        first = len(self.parameters)
        for number, unit in enumerate(units):
            own = f"{name}_{number}" if len(units) > 1 else name
            self.parameters.append(Parameter(own, unit, name, (kind, number) in _EXPONENTS))
        return Element(name, kind, slice(first, first + len(units)))


def elements(part: Part) -> Iterator[Element]:
    """Go through the elements of a part."""
    if isinstance(part, Element):
        yield part
    else:
        for inner in part.parts:
            yield from elements(inner)


def shape(part: Part) -> str:
    """Write a part without the numbers of its elements: parts of one shape can be exchanged.

    >>> shape(parse_circuit("R0-p(R1,CPE1)").root)
    '(R-p(R,CPE))'
    """
    if isinstance(part, Element):
        return part.kind
    joined = ("-" if isinstance(part, Series) else ",").join(shape(inner) for inner in part.parts)
    return f"p({joined})" if isinstance(part, Parallel) else f"({joined})"


def time_constant(part: Part, values: FloatArray) -> float | None:
    """Time constant in s of an arc or of a diffusion element, None for what has none.

    R beside C: RC. R beside CPE (Q, α): (RQ)^(1/α). K, Zarc, G, Gs, Wo, Ws: their own parameter. R may have
    something in series, as in ``p(R1-W1,C1)``, and then counts alone.

    >>> time_constant(parse_circuit("p(R1,C1)").root.parts[0], np.array([2.0, 3.0]))
    6.0
    """
    if isinstance(part, Element):
        return float(values[part.own][1]) if part.kind in ("K", "Zarc", "G", "Gs", "Wo", "Ws") else None
    if not isinstance(part, Parallel):
        return None
    direct = [branch for branch in part.parts if isinstance(branch, Element)]
    capacitors = [branch for branch in direct if branch.kind in ("C", "CPE")]
    within = [each for branch in part.parts if branch not in capacitors for each in elements(branch)]
    resistors = [each for each in within if each.kind == "R"]
    if len(capacitors) != 1 or len(resistors) != 1:
        return None
    resistance, own = float(values[resistors[0].own][0]), values[capacitors[0].own]
    exponent = float(own[1]) if own.size > 1 else 1.0
    return float((resistance * own[0]) ** (1 / exponent))


def _formulas() -> dict[str, Callable[[list[float], FloatArray], ComplexArray]]:
    with needs("eis", "circuits"):
        from impedance.models.circuits.elements import circuit_elements
    formulas: dict[str, Callable[[list[float], FloatArray], ComplexArray]] = circuit_elements
    return formulas


def _impedance(
    part: Part, values: FloatArray, frequency: FloatArray, formulas: dict[str, Callable[..., ComplexArray]]
) -> ComplexArray:
    if isinstance(part, Element):
        return np.asarray(formulas[part.kind](values[part.own].tolist(), frequency), dtype=np.complex128)
    parts = [_impedance(inner, values, frequency, formulas) for inner in part.parts]
    total: ComplexArray = np.sum(parts, axis=0) if isinstance(part, Series) else 1 / np.sum(1 / np.array(parts), axis=0)
    return total
