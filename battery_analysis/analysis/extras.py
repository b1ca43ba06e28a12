"""Optional packages: their absence names what to install."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from battery_analysis.errors import AnalysisError


@contextmanager
def needs(extra: str, analysis: str) -> Iterator[None]:
    """Turn an import that fails inside the block into an error that names the extra to install.

    >>> with needs("eis", "impedance"):
    ...     import no_such_package
    Traceback (most recent call last):
    battery_analysis.errors.AnalysisError: impedance: needs no_such_package (pip install 'battery-analysis[eis]')
    """
    try:
        yield
    except ImportError as exc:
        raise AnalysisError(f"{analysis}: needs {exc.name or exc} (pip install 'battery-analysis[{extra}]')") from exc
