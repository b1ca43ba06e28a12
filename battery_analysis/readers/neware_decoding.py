"""Decode Neware binary files with fastnda, and with NewareNDA where fastnda fails.

fastnda's ``read_nda`` and ``read_ndax`` are called below its ``read``, for four reasons: they
go by content instead of the suffix, keep the charge and discharge counters apart, show that a file has
no cycle numbers instead of inventing them, and take three quarters of the time.

Side effect of fastnda: at the first ``.ndax`` it replaces ``zlib.decompress`` and
``zlib.decompressobj`` for the whole process by faster ones.
"""

from __future__ import annotations

import contextlib
import logging
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import polars as pl

from battery_analysis.errors import CorruptFileError
from battery_analysis.readers.inflate import inflate_errors
from battery_analysis.readers.neware_columns import from_fastnda, from_newarenda

Kind = Literal["nda", "ndax"]


class Decoded(NamedTuple):
    """Records under the vendor's names, the units of further columns, and what had to be said about them."""

    table: pl.DataFrame
    units: dict[str, str]
    warnings: list[str]


def decode(path: Path, kind: Kind, reader: str) -> Decoded:
    """Read all records.

    Raises:
        CorruptFileError: Neither decoder can read the file; the reason is fastnda's.
    """
    try:
        return _with_fastnda(path, kind)
    except failures() as first:
        if isinstance(first, (*inflate_errors(), EOFError)):
            raise CorruptFileError(path, reason(first), reader) from first
        try:
            return _with_newarenda(path, kind, reason(first))
        except failures():
            raise CorruptFileError(path, reason(first), reader) from first


def failures() -> tuple[type[BaseException], ...]:
    """Every exception by which the decoders say that they cannot read a file.

    polars reports some failures as a panic of its own, which is no ``Exception``. What they
    raise for a file that cannot be opened (``OSError``) is not among them.
    """
    return (
        ArithmeticError,
        AssertionError,
        AttributeError,
        EOFError,
        LookupError,
        RuntimeError,
        TypeError,
        ValueError,
        struct.error,
        pl.exceptions.PolarsError,
        pl.exceptions.PanicException,
        *inflate_errors(),
    )


def reason(exc: BaseException) -> str:
    """Say in one line why a decoder failed."""
    text = str(exc).partition("\n")[0].strip().rstrip("!")
    if isinstance(exc, NotImplementedError) and text:
        return text
    if isinstance(exc, inflate_errors()):
        return f"checksum error in a member ({text})"
    return f"its content cannot be decoded ({type(exc).__name__}: {text})"


@contextlib.contextmanager
def quiet() -> Iterator[list[str]]:
    """Keep the decoders' log and warnings off the user's terminal; yields what they say about unverified formats."""
    said: list[str] = []
    loggers = [logging.getLogger(name) for name in ("fastnda", "newarenda")]
    propagate = [logger.propagate for logger in loggers]
    silence = logging.NullHandler()
    for logger in loggers:
        logger.addHandler(silence)
        logger.propagate = False
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield said
    finally:
        for logger, before in zip(loggers, propagate, strict=True):
            logger.removeHandler(silence)
            logger.propagate = before
    for warning in caught:
        if warning.category.__name__ == "UnverifiedFormatWarning":
            said += [line.partition(". If you can")[0] for line in str(warning.message).splitlines()]


def _with_fastnda(path: Path, kind: Kind) -> Decoded:
    with quiet() as said:
        table: pl.DataFrame = _fastnda_table(path, kind)
    if kind == "nda" and "total_time_s" in table:
        # Only the BTS 9 record of version 19 has it; fastnda splits its signed counter in two.
        table = table.with_columns(
            (pl.col("charge_capacity_mAh") - pl.col("discharge_capacity_mAh")).alias("Net Capacity"),
            (pl.col("charge_energy_mWh") - pl.col("discharge_energy_mWh")).alias("Net Energy"),
        ).drop("charge_capacity_mAh", "discharge_capacity_mAh", "charge_energy_mWh", "discharge_energy_mWh")
    if kind == "ndax":
        table = _energy_by_current(table)
    return Decoded(*from_fastnda(table), said)


def _fastnda_table(path: Path, kind: Kind) -> Any:
    if kind == "nda":
        from fastnda.nda import read_nda

        return read_nda(path)
    from fastnda.ndax import read_ndax

    try:
        return read_ndax(path)
    except inflate_errors():
        # Its threads share one open archive, which under Python 3.12 and later fails at times.
        return read_ndax(path)


def _energy_by_current(table: pl.DataFrame) -> pl.DataFrame:
    """Put the energy of steps in one direction where their current says.

    fastnda fills energies in by the sign of the power, which below 0 V (symmetric cells) is not that of the current.
    """
    if not {"charge_energy_mWh", "step_count"} <= set(table.columns) or not (table["voltage_V"] < 0).any():
        return table
    current, charge, discharge = pl.col("current_mA"), pl.col("charge_energy_mWh"), pl.col("discharge_energy_mWh")
    charges, discharges = ((each > 0).any().over("step_count") for each in (current, -current))
    known = charges != discharges
    return table.with_columns(
        charge_energy_mWh=pl.when(known).then((charge + discharge) * charges).otherwise(charge),
        discharge_energy_mWh=pl.when(known).then((charge + discharge) * discharges).otherwise(discharge),
    )


def _with_newarenda(path: Path, kind: Kind, why: str) -> Decoded:
    with quiet():
        if kind == "nda":
            from NewareNDA.NewareNDA import read_nda

            table = read_nda(str(path), software_cycle_number=False)
        else:
            from NewareNDA.NewareNDAx import read_ndax

            table = read_ndax(str(path), software_cycle_number=False)
    return Decoded(*from_newarenda(pl.from_pandas(table)), [f"read with NewareNDA, because fastnda failed: {why}"])
