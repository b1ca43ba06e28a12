"""Impedance spectra and the tests that hold them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from battery_analysis.analysis.impedance import Spectrum
from battery_analysis.errors import AnalysisError, NotFoundError
from battery_analysis.models import Sample, TestResult
from battery_analysis.store import spectra as stored
from battery_analysis.store.access import visible
from dashboard.data import asked, store
from dashboard.data.names import told_apart


@dataclass(frozen=True)
class Measured:
    """One spectrum of a test."""

    test_id: str
    test: str
    label: str
    """Test and number, as a legend shows them."""
    number: int
    """Among those of its test, from 1."""
    of: int
    spectrum: Spectrum
    area_cm2: float | None
    """Of the sample."""

    @property
    def key(self) -> str:
        """Test and number as one word."""
        return f"{self.test_id}.{self.number}"


@asked
def tests(containing: str = "", most: int = 50) -> dict[str, str]:
    """Return tests with spectra whose words begin with those of a text, newest first: names by id."""
    return {str(each.id): _labelled(each) for each in stored.with_spectra(containing, most)}


@asked
def measured(ids: Sequence[str]) -> tuple[list[Measured], list[str]]:
    """Return all spectra of tests, and a sentence for each test without any."""
    known = {str(each.id): each for each in stored.named(ids)}
    told = told_apart((id, test.name, test.cell_code) for id, test in known.items())
    areas = dict(visible(Sample).filter(id__in=[each.sample.id for each in known.values()]).scalar("id", "area_cm2"))
    found: list[Measured] = []
    said = [f"there is no test {each!r}" for each in ids if each not in known]
    for id, test in known.items():
        try:
            spectra = stored.load_spectra(store(), id)
        except (AnalysisError, NotFoundError) as exc:  # one test of several
            said.append(f"{test.name}: {exc}")
            continue
        area, of = areas[test.sample.id], len(spectra)
        found += [
            Measured(id, test.name, _legend(told[id], number, spectra), number, of, each, area)
            for number, each in enumerate(spectra, start=1)
        ]
    return found, said


def _labelled(test: TestResult) -> str:
    return f"{test.cell_code} · {test.name}"


def _legend(test: str, number: int, spectra: Sequence[Spectrum]) -> str:
    cycle = spectra[number - 1].cycle_count
    counted = f", cycle {cycle}" if cycle is not None and len({each.cycle_count for each in spectra}) > 1 else ""
    return f"{test} #{number}{counted}" if len(spectra) > 1 else test
