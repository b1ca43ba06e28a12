"""A test as HDF5: groups of arrays under the machine names of the Battery Data Format.

File structure:
    ``records`` and ``cycles`` hold one array for each column, in order, each with its unit and meaning as attributes.
    A missing number is NaN; where whole numbers or truth values are missing, ``missing/<column>`` says where. Texts are
    codes into ``words/<column>``, -1 where there is none. ``metadata`` is what was said of the test, as JSON.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import polars as pl

from battery_analysis.columns import BY_NAME
from battery_analysis.errors import SchemaError
from battery_analysis.readers.base import TestMetadata
from battery_analysis.readers.bdf_containers import HDF5_FORMAT, METADATA, MISSING, WORDS
from battery_analysis.readers.hdf5 import MAX_NAMES_BYTES
from battery_analysis.readers.notes import to_note
from battery_analysis.writing import for_text

if TYPE_CHECKING:
    import h5py


def write_hdf5(target: Path, file: BinaryIO, frame: pl.DataFrame, cycles: pl.DataFrame, metadata: TestMetadata) -> None:
    """Write records, cycle table and facts of one test.

    Raises:
        SchemaError: A column holds more different texts than its list of words may, or what no array holds.
    """
    import h5py

    image = io.BytesIO()  # as h5py reads what it has written, which a file to be replaced does not allow
    with h5py.File(image, "w") as written:
        written.attrs["format"] = HDF5_FORMAT
        written.create_dataset(METADATA, data=np.bytes_(to_note(metadata).encode()))
        for name, table in (("records", frame), ("cycles", cycles)):
            group = written.create_group(name, track_order=True)
            for values in for_text(table).iter_columns():
                _write_column(target, group, values)
    file.write(image.getbuffer())


def _write_column(target: Path, group: h5py.Group, values: pl.Series) -> None:
    if values.dtype == pl.String:
        array = group.create_dataset(values.name, data=_coded(target, group, values), **_packed(values))
    elif values.dtype.is_numeric() or values.dtype == pl.Boolean:
        if values.null_count() and not values.dtype.is_float():
            missing = group.require_group(MISSING)
            missing.create_dataset(values.name, data=values.is_null().to_numpy(), **_packed(values))
            values = values.fill_null(False if values.dtype == pl.Boolean else 0)
        array = group.create_dataset(values.name, data=values.to_numpy(), **_packed(values))
    elif values.dtype == pl.Null:
        array = group.create_dataset(values.name, data=np.full(values.len(), np.nan), **_packed(values))
    else:
        raise SchemaError(f"{target}: column {values.name} holds {values.dtype}, which HDF5 has no array for")
    if column := BY_NAME.get(values.name):
        array.attrs["unit"], array.attrs["description"] = column.unit, column.description


def _coded(target: Path, group: h5py.Group, values: pl.Series) -> np.ndarray[Any, Any]:
    words = values.drop_nulls().unique(maintain_order=True)
    encoded = np.array([word.encode() for word in words] or [b""], dtype=np.bytes_)
    if encoded.nbytes > MAX_NAMES_BYTES:
        raise SchemaError(f"{target}: column {values.name} holds {len(words)} different texts; write .parquet instead")
    group.require_group(WORDS).create_dataset(values.name, data=encoded)
    codes = values.replace_strict(words, pl.Series(range(len(words)), dtype=pl.Int32), default=None)
    return codes.fill_null(-1).cast(pl.Int32).to_numpy()


def _packed(values: pl.Series) -> dict[str, Any]:
    return {"compression": "gzip", "compression_opts": 1, "shuffle": True} if values.len() else {}
