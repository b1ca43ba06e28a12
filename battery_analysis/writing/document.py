"""A test as one JSON document: a list for each column, under the machine names of the Battery Data Format.

File structure:
    ``format``, ``columns`` (the unit of each), ``metadata`` (what was said of the test), then ``cycles`` and
    ``records``: for each column the list of its values, null where one is missing, each list in a line of its own.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import BinaryIO

import polars as pl

from battery_analysis.columns import BY_NAME
from battery_analysis.errors import SchemaError
from battery_analysis.readers.base import TestMetadata
from battery_analysis.readers.bdf_containers import JSON_FORMAT, MAX_JSON_BYTES
from battery_analysis.readers.notes import to_note
from battery_analysis.writing import for_text


def write_document(
    target: Path, file: BinaryIO, frame: pl.DataFrame, cycles: pl.DataFrame, metadata: TestMetadata
) -> None:
    """Write records, cycle table and facts of one test.

    Raises:
        SchemaError: The text gets longer than what is read again.
    """
    units = {name: _unit(name, metadata) for name in frame.columns}
    head = {"format": JSON_FORMAT, "columns": units, "metadata": json.loads(to_note(metadata))}
    length = file.write(json.dumps(head, ensure_ascii=False)[:-1].encode())
    for name, table in (("cycles", cycles), ("records", frame)):
        length += file.write(f',\n"{name}": {{'.encode())
        for place, values in enumerate(for_text(table).iter_columns()):
            mark = "," if place else ""
            length += file.write(f"{mark}\n{json.dumps(values.name)}: {_listed(values)}".encode())
            if length > MAX_JSON_BYTES:
                raise SchemaError(
                    f"{target}: {frame.height} records make more than the {MAX_JSON_BYTES} bytes of JSON that are read "
                    "again; write .parquet or .h5 instead"
                )
        file.write(b"}")
    file.write(b"}\n")


def _unit(name: str, metadata: TestMetadata) -> str:
    if name in BY_NAME:
        return BY_NAME[name].unit
    return metadata.sources[name].unit if name in metadata.sources else ""


def _listed(values: pl.Series) -> str:
    return json.dumps(values.to_list(), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
