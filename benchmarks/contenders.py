"""How this project and established readers read a file, each with its defaults.

A contender imports what it needs and returns the function that reads, so that imports are not measured. Runs in the
environment of the peers, too, where this project's packages are absent.
"""

from __future__ import annotations

import csv
import subprocess
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from shutil import which
from typing import Any, NamedTuple

Read = Callable[[str], Any]

PEERS, PYPROBE, AURORA = "peers", "pyprobe", "aurora"
"""Environments of packages that need other library versions, see ``benchmarks.peers``."""


class Contender(NamedTuple):
    """Who reads.

    ``load(**options)`` returns how, or raises ModuleNotFoundError or FileNotFoundError where it is not installed.
    """

    load: Callable[..., Read]
    apart: str = ""
    """The environment of peers in which it lives; none for this project's own."""


def _own_reader() -> Read:
    """Only the reader and ``conform``; which reader it is, is found once."""
    _import_own_parts()
    from battery_analysis.columns import conform
    from battery_analysis.reading import find_reader, read_head

    found: dict[str, Any] = {}

    def read(path: str) -> Any:
        reader = found.get(path) or found.setdefault(path, find_reader(Path(path), read_head(Path(path))))
        return conform(reader.read(Path(path)).frame).frame

    return read


def _own_read() -> Read:
    """All of it: cycles and checks too."""
    _import_own_parts()
    from battery_analysis.reading import read

    return lambda path: read(path).frame


def _import_own_parts() -> None:
    for package in ("fastnda.nda", "fastnda.ndax", "galvani.BioLogic", "h5py", "pyarrow.csv", "python_calamine"):
        import_module(package)  # readers import them when they need them


def _galvani() -> Read:
    import pandas as pd
    from galvani.BioLogic import MPRfile

    return lambda path: pd.DataFrame(MPRfile(path).data)


def _yadg(filetype: str) -> Read:
    from yadg.extractors import extract

    return lambda path: extract(filetype=filetype, path=Path(path))


def _fastnda() -> Read:
    import fastnda
    import fastnda.nda
    import fastnda.ndax

    return fastnda.read


def _newarenda() -> Read:
    import NewareNDA

    return NewareNDA.read


def _cellpy(instrument: str) -> Read:
    import cellpy

    return lambda path: cellpy.get(path, instrument=instrument, auto_summary=False).data.raw


def _mdb_export(table: str) -> Read:
    import polars as pl

    if not which("mdb-export"):
        raise FileNotFoundError("no mdb-export on the PATH (Debian: mdbtools)")

    def read(path: str) -> Any:
        export = subprocess.run(["mdb-export", path, table], stdout=subprocess.PIPE, check=True)
        return pl.read_csv(export.stdout, infer_schema_length=10_000)

    return read


def _pandas_csv(**options: Any) -> Read:
    import pandas as pd

    return lambda path: pd.read_csv(path, **options)


def _polars_csv(sep: str = ",", skiprows: int = 0, encoding: str = "utf-8") -> Read:
    import polars as pl

    known = {"separator": sep, "skip_lines": skiprows, "infer_schema_length": 10_000, "truncate_ragged_lines": True}
    return lambda path: pl.read_csv(path, encoding="utf8" if encoding == "utf-8" else "utf8-lossy", **known)


def _rows_of_dicts(sep: str = ",", skiprows: int = 0, encoding: str = "utf-8") -> Read:
    """The csv module, a dict a row, ``float`` where it goes: how galvanalyser's harvesters read text."""

    def number(text: str | None) -> float | str | None:
        try:
            return float(text)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            return text

    def read(path: str) -> list[dict[str | None, Any]]:
        with Path(path).open(newline="", encoding=encoding) as file:
            for _ in range(skiprows):
                next(file)
            rows = csv.DictReader(file, delimiter=sep)
            return [{name: number(value) for name, value in row.items() if name} for row in rows]

    return read


def _openpyxl(sheet: str) -> Read:
    from openpyxl import load_workbook

    def read(path: str) -> list[Any]:
        book = load_workbook(path, read_only=True, data_only=True)
        rows = list(book[sheet].iter_rows(values_only=True))
        book.close()
        return rows

    return read


def _pandas_excel(sheet: str) -> Read:
    import openpyxl  # noqa: F401  # what pandas reads .xlsx with
    import pandas as pd

    return lambda path: pd.read_excel(path, sheet_name=sheet)


def _pandas_hdf(key: str) -> Read:
    import pandas as pd
    import tables  # noqa: F401  # what pandas reads HDF5 with

    return lambda path: pd.read_hdf(path, key)


def _beep(tester: str) -> Read:
    from beep.structure.arbin import ArbinDatapath
    from beep.structure.maccor import MaccorDatapath

    kind = {"Arbin": ArbinDatapath, "Maccor": MaccorDatapath}[tester]
    return lambda path: kind.from_file(path).raw_data


READER_AND_CONFORM = "reader and conform"
WHOLE = "battery_analysis.read"
PANDAS_CSV, POLARS_CSV = "pandas.read_csv", "bare polars.read_csv"
MDB_EXPORT = "mdb-export and polars.read_csv"

CONTENDERS = {
    READER_AND_CONFORM: Contender(_own_reader),
    WHOLE: Contender(_own_read),
    "galvani to a DataFrame": Contender(_galvani),
    "yadg": Contender(_yadg, apart=PEERS),
    "fastnda": Contender(_fastnda),
    "NewareNDA": Contender(_newarenda),
    "cellpy": Contender(_cellpy, apart=PEERS),
    MDB_EXPORT: Contender(_mdb_export),
    PANDAS_CSV: Contender(_pandas_csv),
    POLARS_CSV: Contender(_polars_csv),
    "csv module, a dict a row": Contender(_rows_of_dicts),
    "openpyxl, read only": Contender(_openpyxl),
    "pandas.read_excel": Contender(_pandas_excel),
    "pandas.read_hdf": Contender(_pandas_hdf, apart=PEERS),
    "BEEP": Contender(_beep, apart=PEERS),
}


def loaded(contender: Contender, options: dict[str, Any]) -> Read:
    """Import a contender; its warnings stay unseen."""
    warnings.simplefilter("ignore")
    return contender.load(**options)
