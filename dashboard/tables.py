"""Tables as files: all rows that the filter let through, with the filter and the units in the file."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

_NO_SHEET = re.compile(r"[\[\]:*?/\\']")
"""What Excel refuses in the name of a sheet."""

FORMS = {"csv": "CSV", "xlsx": "Excel", "json": "JSON", "parquet": "Parquet"}


def written(
    form: str, title: str, headings: Mapping[str, str], rows: Sequence[Mapping[str, Any]], chosen: Mapping[str, Any]
) -> bytes:
    """Return a table as the bytes of a file.

    CSV opens with lines that begin with ``#``, Excel has a second sheet, JSON an object ``about`` and Parquet metadata
    of its schema: what it is, when it was made, and by which filter.

    Args:
        form: One of ``FORMS``.
        title: What the rows are.
        headings: Title with unit, by key of a row.
        rows: What to write; lists are joined by commas.
        chosen: The filter, by name; what is not set is left out.
    """
    about = {"table": title, **described(chosen, len(rows))}
    table = frame(headings, rows)
    match form:
        case "csv":
            return as_csv(about, table)
        case "xlsx":
            return _workbook(about, table)
        case "json":
            return _json(about, headings, rows)
        case "parquet":
            return as_parquet(about, table)
    raise ValueError(f"form: one of {', '.join(FORMS)} wanted, got {form!r}")


def described(chosen: Mapping[str, Any], rows: int | None = None) -> dict[str, str]:
    """Return what a file says of its rows: how many, where that is known, when they were written, by which filter."""
    return {
        **({} if rows is None else {"rows": str(rows)}),
        "exported": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
        "filter": json.dumps({name: value for name, value in chosen.items() if value not in (None, "", [])}),
    }


def frame(headings: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Return rows as a table under the headings."""
    import polars as pl

    plain = {heading: [_plain(row.get(key)) for row in rows] for key, heading in headings.items()}
    return pl.DataFrame({name: pl.Series(name, values, strict=False) for name, values in plain.items()})


def _plain(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value


def as_csv(about: Mapping[str, str], table: pl.DataFrame) -> bytes:
    """Return a table as CSV below lines that begin with ``#`` and say what it is."""
    from battery_analysis.writing import for_text

    buffer = io.BytesIO(head(about))
    buffer.seek(0, io.SEEK_END)
    for_text(table).write_csv(buffer)
    return buffer.getvalue()


def head(about: Mapping[str, str]) -> bytes:
    """Return the lines above a CSV that say what it is."""
    return "".join(f"# {name}: {value}\n" for name, value in about.items()).encode()


def as_parquet(about: Mapping[str, str], table: pl.DataFrame) -> bytes:
    """Return a table as Parquet whose metadata say what it is."""
    buffer = io.BytesIO()
    table.write_parquet(buffer, metadata=dict(about))
    return buffer.getvalue()


def _workbook(about: Mapping[str, str], table: pl.DataFrame) -> bytes:
    import xlsxwriter

    buffer = io.BytesIO()
    # Names that begin with "=" or "http" are texts here, never formulas or links.
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "nan_inf_to_errors": True}
    with xlsxwriter.Workbook(buffer, options) as book:
        table.write_excel(book, _NO_SHEET.sub(" ", about["table"])[:31].strip(), autofit=True)
        sheet = book.add_worksheet("about")
        for number, line in enumerate(about.items()):
            sheet.write_row(number, 0, line)
    return buffer.getvalue()


def _json(about: Mapping[str, str], headings: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> bytes:
    kept = [{key: row.get(key) for key in headings} for row in rows]
    document = {"about": about, "columns": headings, "rows": kept}
    return json.dumps(document, indent=1, default=str, ensure_ascii=False).encode()
