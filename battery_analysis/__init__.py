"""Battery test data, from raw cycler files to answers.

>>> import battery_analysis as ba
>>> result = ba.read("cell7.ndax")  # doctest: +SKIP

``result.frame`` is the time series in canonical columns, ``result.cycles`` one row per
cycle, ``result.metadata`` what the file says about its test. What is stored comes back the same way:

>>> tests = ba.search(cell="NC051")  # doctest: +SKIP
>>> cycles = ba.load_dataset("NC051").cycles()  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from battery_analysis.notebook import connect, load_cycles, load_dataset, load_frame, search
    from battery_analysis.reading import ReadResult, read

__version__ = "0.1.0"
__all__ = [
    "ReadResult",
    "__version__",
    "connect",
    "load_cycles",
    "load_dataset",
    "load_frame",
    "read",
    "search",
]

_STORED = frozenset({"connect", "load_cycles", "load_dataset", "load_frame", "search"})


def __getattr__(name: str) -> Any:
    # Loaded on first use, so that commands that read no file do not pay for polars.
    if name in ("read", "ReadResult"):
        from battery_analysis import reading

        return getattr(reading, name)
    if name in _STORED:
        from battery_analysis import notebook

        return getattr(notebook, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
