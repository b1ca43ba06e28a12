"""Experiment plans: from factors and their levels to a matrix of runs.

- ``full_factorial``: every combination of levels; the first factor changes slowest.
- ``fractional_factorial``: two levels a factor. Factors are called A, B, C, … in their order (without I). A generator
  ``D=ABC`` sets factor D in each run to the product of A, B and C, with the first level of each factor as -1 and the
  second as +1; ``E=-AB`` to the negative. The factors without a generator make a full factorial, so k factors with p
  generators take 2^(k-p) runs. The generators' words (ABCD for D=ABC) and all their products are the defining
  relation; the **resolution** is the length of its shortest word. At resolution III main effects are mixed up with
  interactions of two factors, at IV those with one another, at V neither. Given a resolution, the smallest fraction
  that has it is searched for.
- ``latin_hypercube``: each factor's range in as many equal parts as there are runs, one run in each part, at a
  random place within it; parts are matched at random, from the seed. Values are at one of fifty places of a part, and
  rounded as far as these stay apart, so that a lab can write them down. A factor with levels gets them in equal
  shares, as far as the runs divide.

``replicates`` repeats the whole matrix. Cells are numbered from 1. Order of execution is the lab's: nothing is
shuffled here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product
from math import ceil, floor, isfinite, log2, log10
from operator import xor
from typing import Literal

import numpy as np

from battery_analysis.analysis.wording import counted
from battery_analysis.errors import AnalysisError

DesignKind = Literal["full", "fractional", "latin_hypercube"]
Level = str | float

MOST_CELLS = 10_000
MOST_FACTORS = 12
LETTERS = "ABCDEFGHJKLM"
PLACES_IN_PART = 50

_RANGE = re.compile(r"([-+.\deE]+?)\.\.([-+.\deE]+)")
_GENERATOR = re.compile(rf"([{LETTERS}])=([-+]?)([{LETTERS}]+)")


@dataclass(frozen=True)
class Factor:
    """What is varied: some levels, or a range from ``low`` to ``high``."""

    name: str
    levels: tuple[Level, ...] = ()
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is no factor."""
        if not self.name.strip():
            raise AnalysisError("plan: a factor has no name")
        has_range = self.low is not None and self.high is not None
        if (has_range and self.levels) or not (has_range or self.levels):
            raise AnalysisError(f"plan: factor {self.name}: levels or a range from low to high are wanted")
        if any(isinstance(level, float) and not isfinite(level) for level in self.levels):
            raise AnalysisError(f"plan: factor {self.name}: levels must be finite, got {list(self.levels)}")
        if len(set(self.levels)) < len(self.levels):
            raise AnalysisError(f"plan: factor {self.name}: a level stands there twice: {list(self.levels)}")
        if (
            self.low is not None
            and self.high is not None
            and not (isfinite(self.high - self.low) and self.low < self.high)
        ):
            raise AnalysisError(f"plan: factor {self.name}: low must be below high, got {self.low:g} and {self.high:g}")


@dataclass(frozen=True)
class Design:
    """A matrix: one row of levels per cell, in the order of the factors.

    Of a fraction, ``generators``, the ``resolution`` and the words of the defining relation are told.
    """

    kind: DesignKind
    factors: tuple[Factor, ...]
    cells: tuple[tuple[Level, ...], ...]
    replicates: int = 1
    generators: tuple[str, ...] = ()
    resolution: int | None = None
    words: tuple[str, ...] = ()
    seed: int | None = None


def parse_factor(text: str) -> Factor:
    """Read a factor as it is typed: ``name=level,level,…`` or ``name=low..high``. Levels that are numbers are so.

    >>> parse_factor("electrolyte=LP30,LP57").levels, parse_factor("loading_mg_cm2=2..6").high
    (('LP30', 'LP57'), 6.0)
    """
    name, equals, values = text.partition("=")
    if not equals or not values.strip():
        raise AnalysisError(f"plan: NAME=LEVEL,LEVEL or NAME=LOW..HIGH wanted, got {text!r}")
    if found := _RANGE.fullmatch(values.strip()):
        low, high = _level(found[1]), _level(found[2])
        if isinstance(low, float) and isinstance(high, float):
            return Factor(name.strip(), low=low, high=high)
    levels = tuple(_level(word) for word in values.split(","))
    if "" in levels:
        raise AnalysisError(f"plan: factor {name.strip()}: an empty level in {values!r}")
    return Factor(name.strip(), levels)


def design(
    factors: Sequence[Factor],
    kind: DesignKind = "full",
    *,
    generators: Sequence[str] = (),
    resolution: int | None = None,
    runs: int | None = None,
    seed: int = 0,
    replicates: int = 1,
) -> Design:
    """Make the matrix of a kind; options of other kinds do not count.

    Raises:
        AnalysisError: As the design of that kind says; a Latin hypercube wants ``runs``.
    """
    if kind == "full":
        return full_factorial(factors, replicates=replicates)
    if kind == "fractional":
        return fractional_factorial(factors, generators=generators, resolution=resolution, replicates=replicates)
    if runs is None:
        raise AnalysisError("plan: a Latin hypercube needs a number of runs")
    return latin_hypercube(factors, runs, seed=seed, replicates=replicates)


def full_factorial(factors: Sequence[Factor], *, replicates: int = 1) -> Design:
    """Combine all levels.

    Raises:
        AnalysisError: A factor has a range or fewer than two levels, or there are too many cells.

    Example:
        >>> full_factorial([Factor("salt", ("A", "B")), Factor("ratio", (1.0, 2.0))]).cells
        (('A', 1.0), ('A', 2.0), ('B', 1.0), ('B', 2.0))
    """
    _check(factors, replicates)
    for factor in factors:
        if len(factor.levels) < 2:
            raise AnalysisError(f"plan: factor {factor.name}: a factorial design needs two levels or more")
    _check_size(int(np.prod([len(factor.levels) for factor in factors], dtype=object)) * replicates)
    cells = tuple(product(*(factor.levels for factor in factors)))
    return Design("full", tuple(factors), cells * replicates, replicates)


def fractional_factorial(
    factors: Sequence[Factor],
    *,
    generators: Sequence[str] = (),
    resolution: int | None = None,
    replicates: int = 1,
) -> Design:
    """Take a fraction of all combinations of two levels each.

    Args:
        factors: Two levels each, at most twelve.
        generators: Such as ``D=ABC``; or
        resolution: that the smallest fraction shall have, at least 3.
        replicates: How often the matrix is repeated.

    Raises:
        AnalysisError: A factor has not two levels, a generator makes no sense, both or neither of generators and
            resolution are given, or the full factorial is the only one of that resolution.

    Example:
        >>> factors = [Factor(name, (0.0, 1.0)) for name in ("salt", "solvent", "additive")]
        >>> design = fractional_factorial(factors, generators=["C=AB"])
        >>> design.cells, design.resolution, design.words
        (((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0), (1.0, 1.0, 1.0)), 3, ('ABC',))
    """
    _check(factors, replicates)
    if bool(generators) == (resolution is not None):
        raise AnalysisError("plan: a fractional design needs either generators or a resolution")
    for factor in factors:
        if len(factor.levels) != 2:
            had = counted(len(factor.levels), "level") if factor.levels else "a range"
            raise AnalysisError(f"plan: factor {factor.name}: a fractional design needs two levels, got {had}")
    if len(factors) > MOST_FACTORS:
        raise AnalysisError(f"plan: at most {MOST_FACTORS} factors in a fractional design, got {len(factors)}")
    if resolution is not None:
        generators = _generators_of(len(factors), resolution)
    parsed = _parsed(generators, len(factors))
    words = _relation(parsed)
    if 0 in words:
        raise AnalysisError(f"plan: generators {', '.join(generators)} contradict or repeat one another")
    base = [number for number in range(len(factors)) if number not in parsed]
    _check_size(2 ** len(base) * replicates)
    cells = []
    for signs in product((-1, 1), repeat=len(base)):
        signed = dict(zip(base, signs, strict=True))
        for number, (sign, mask) in parsed.items():
            signed[number] = sign * int(np.prod([signed[each] for each in _numbers(mask)]))
        cells.append(tuple(factor.levels[signed[number] > 0] for number, factor in enumerate(factors)))
    return Design(
        "fractional",
        tuple(factors),
        tuple(cells) * replicates,
        replicates,
        generators=tuple(_spelled(number, *parsed[number]) for number in sorted(parsed)),
        resolution=min(mask.bit_count() for mask in words),
        words=tuple(sorted((sign + _letters(mask) for mask, sign in words.items()), key=lambda w: (len(w), w))),
    )


def latin_hypercube(factors: Sequence[Factor], runs: int, *, seed: int, replicates: int = 1) -> Design:
    """Spread runs over ranges so that each part of each range is met once.

    Raises:
        AnalysisError: Fewer than two runs, or too many cells.

    Example:
        >>> design = latin_hypercube([Factor("loading_mg_cm2", low=2, high=6)], 4, seed=1)
        >>> sorted(int(level - 2) for (level,) in design.cells)  # parts of 1 mg/cm2
        [0, 1, 2, 3]
    """
    _check(factors, replicates)
    if runs < 2:
        raise AnalysisError(f"plan: a Latin hypercube needs two runs or more, got {runs}")
    _check_size(runs * replicates)
    random = np.random.default_rng(seed)
    columns: list[list[Level]] = []
    for factor in factors:
        parts = random.permutation(runs)
        if factor.low is not None and factor.high is not None:
            places = (parts + (random.integers(0, PLACES_IN_PART, runs) + 0.5) / PLACES_IN_PART) / runs
            width = (factor.high - factor.low) / runs / PLACES_IN_PART
            digits = max(0, ceil(-log10(width))) + 1
            columns.append([round(factor.low + (factor.high - factor.low) * float(place), digits) for place in places])
        else:
            columns.append([factor.levels[floor(part * len(factor.levels) / runs)] for part in parts.tolist()])
    cells = tuple(zip(*columns, strict=True))
    return Design("latin_hypercube", tuple(factors), cells * replicates, replicates, seed=seed)


def _check(factors: Sequence[Factor], replicates: int) -> None:
    if not factors:
        raise AnalysisError("plan: a plan needs at least one factor")
    names = [factor.name for factor in factors]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise AnalysisError(f"plan: factors stand there twice: {', '.join(twice)}")
    if replicates < 1:
        raise AnalysisError(f"plan: replicates must be 1 or more, got {replicates}")


def _check_size(cells: int) -> None:
    if cells > MOST_CELLS:
        raise AnalysisError(f"plan: {cells} cells, at most {MOST_CELLS} are allowed")


def _level(word: str) -> Level:
    try:
        value = float(word)
    except ValueError:
        return word.strip()
    return value if isfinite(value) else word.strip()


def _parsed(generators: Sequence[str], count: int) -> dict[int, tuple[int, int]]:
    """Factor of each generator, its sign, and its factors as bits."""
    parsed: dict[int, tuple[int, int]] = {}
    for text in generators:
        found = _GENERATOR.fullmatch(text.replace(" ", "").upper())
        if not found:
            raise AnalysisError(f"plan: a generator such as D=ABC is wanted, got {text!r}")
        made, word = LETTERS.index(found[1]), [LETTERS.index(letter) for letter in found[3]]
        if max(made, *word) >= count:
            raise AnalysisError(
                f"plan: generator {text}: there are {count} factors, {LETTERS[0]} to {LETTERS[count - 1]}"
            )
        if made in parsed or made in word or len(set(word)) < len(word):
            raise AnalysisError(f"plan: generator {text}: a factor stands there twice")
        parsed[made] = (-1 if found[2] == "-" else 1, sum(1 << each for each in word))
    for made, (_, mask) in parsed.items():
        if others := [LETTERS[each] for each in _numbers(mask) if each in parsed]:
            raise AnalysisError(f"plan: generator of {LETTERS[made]}: {', '.join(others)} has a generator itself")
    return parsed


def _relation(parsed: dict[int, tuple[int, int]]) -> dict[int, str]:
    """The words of the defining relation as bits, with ``-`` for those that are negative."""
    words: dict[int, str] = {}
    signed = [(mask | 1 << made, sign) for made, (sign, mask) in parsed.items()]
    for chosen in range(1, 2 ** len(signed)):
        own = [signed[number] for number in _numbers(chosen)]
        word = reduce(xor, (mask for mask, _ in own))
        words[word] = "-" if np.prod([sign for _, sign in own]) < 0 else ""
    return words


def _generators_of(count: int, resolution: int) -> list[str]:
    """Generators of the smallest fraction of a resolution."""
    if resolution < 3:
        raise AnalysisError(f"plan: resolution must be 3 or more, got {resolution}")
    for made in range(count - ceil(log2(count + 1)), 0, -1):
        base = count - made
        masks = [mask for mask in range(1, 2**base) if mask.bit_count() >= resolution - 1]
        masks.sort(key=lambda mask: (-mask.bit_count(), mask))
        if found := _search(masks, base, made, resolution, [], [0]):
            return [_spelled(base + number, 1, mask) for number, mask in enumerate(found)]
    raise AnalysisError(f"plan: {count} factors have no fraction of resolution {resolution}; take the full factorial")


def _search(
    masks: list[int], base: int, made: int, resolution: int, chosen: list[int], group: list[int]
) -> list[int] | None:
    """Choose words one by one; ``group`` are all products of those chosen so far."""
    if len(chosen) == made:
        return chosen
    bit = 1 << (base + len(chosen))
    for place, mask in enumerate(masks):
        products = [word ^ mask | bit for word in group]
        if all(word.bit_count() >= resolution for word in products):
            found = _search(masks[place + 1 :], base, made, resolution, [*chosen, mask], group + products)
            if found:
                return found
    return None


def _numbers(mask: int) -> list[int]:
    return [number for number in range(mask.bit_length()) if mask >> number & 1]


def _letters(mask: int) -> str:
    return "".join(LETTERS[number] for number in _numbers(mask))


def _spelled(made: int, sign: int, mask: int) -> str:
    return f"{LETTERS[made]}={'-' if sign < 0 else ''}{_letters(mask)}"
