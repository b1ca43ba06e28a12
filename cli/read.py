"""``battery-analysis read FILE``: parse one file without a database and say what it holds."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from battery_analysis.errors import one_line
from battery_analysis.writing import FORMATS, SUFFIXES, left_out
from cli.common import Context, command, new_app, run
from cli.output import cell_text, duration_text, print_facts, print_json, print_table, say_written

if TYPE_CHECKING:
    import polars as pl

    from battery_analysis.reading import ReadResult

COLUMNS = {
    "name": "column",
    "unit": "unit",
    "min": "min",
    "max": "max",
    "source": "in the file",
    "source_unit": "unit there",
}
CYCLES = {
    "cycle_count": "cycle",
    "records": "records",
    "charge_capacity_ah": "charge / Ah",
    "discharge_capacity_ah": "discharge / Ah",
    "coulombic_efficiency": "coulombic eff.",
    "charge_energy_wh": "charge / Wh",
    "discharge_energy_wh": "discharge / Wh",
    "energy_efficiency": "energy eff.",
    "complete": "complete",
    "has_gap": "gap",
}
_HEAD_CYCLES = 10
_TAIL_CYCLES = 5

app = new_app()


def _writable(out: Path | None) -> Path | None:
    if out is not None and not out.name.lower().endswith(SUFFIXES):
        raise typer.BadParameter(f"{str(out)!r} ends in {out.suffix!r}, not in {FORMATS}")
    return out


@command(app, "read")
def read(
    context: Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Cycler or impedance file.")],
    reader: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Use this reader (see 'formats'); without it the content decides."),
    ] = None,
    time_zone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="Zone of time stamps that carry none, such as Europe/Berlin.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="OUT", callback=_writable, help=f"Also write the records: {FORMATS} (see docs/formats)."),
    ] = None,
    suggest_mapping: Annotated[
        bool,
        typer.Option("--suggest-mapping", help="Print a first mapping for delimited text (see docs/readers) and end."),
    ] = False,
) -> None:
    """Parse FILE without a database: metadata, columns, cycle table.

    Exit status: 0 all done; 1 --out has no place for a part of the records.
    """
    import battery_analysis

    settings = context.load_settings(time_zone=time_zone)
    if suggest_mapping:
        _print_suggestion(context, file, settings.mappings)
        return
    result = battery_analysis.read(file, reader=reader, time_zone=settings.time_zone, mappings=settings.mappings)
    missing = None
    if out is not None:
        result.write(out)
        say_written(out)
        if missing := left_out(out, result.frame):
            print(one_line(f"{out}: {missing}"), file=sys.stderr)
    if context.json:
        print_json(describe(result))
    else:
        _print_result(file, result)
    if missing:
        raise typer.Exit(1)


def _print_suggestion(context: Context, file: Path, folder: Path) -> None:
    from battery_analysis.readers.mapping_suggestion import suggest_mapping
    from battery_analysis.reading import read_head

    text = suggest_mapping(read_head(file), file)
    if context.json:
        print_json({"folder": str(folder), "mapping": text})
    else:
        print(f"# Save as a .toml file in {one_line(str(folder))}\n{text}", end="")


def describe(result: ReadResult) -> dict[str, Any]:
    """Everything that was read except the records, as one JSON object."""
    metadata = asdict(result.metadata)
    del metadata["sources"]  # stands with its column
    return {
        "reader": result.reader,
        "reader_version": result.reader_version,
        "records": result.frame.height,
        "duration_second": _duration(result.frame),
        "columns": _describe_columns(result),
        "metadata": metadata,
        "warnings": result.warnings,
        "checks": [asdict(check) for check in result.checks],
        "cycle_method": result.cycle_method,
        "efficiency_convention": result.efficiency_convention,
        "cycles": result.cycles.to_dicts(),
    }


def _describe_columns(result: ReadResult) -> dict[str, dict[str, Any]]:
    from battery_analysis.columns import BY_NAME

    frame, sources = result.frame, result.metadata.sources
    described = {}
    ordered = _ordered_names(frame)
    lowest = frame.select(ordered).min().to_dicts()[0]
    highest = frame.select(ordered).max().to_dicts()[0]
    for name in frame.columns:
        source = sources.get(name)
        described[name] = {
            "min": lowest.get(name),
            "max": highest.get(name),
            "unit": BY_NAME[name].unit if name in BY_NAME else source.unit if source else "",
            "source": source.name if source else None,
            "source_unit": source.unit if source else None,
        }
    return described


def _ordered_names(frame: pl.DataFrame) -> list[str]:
    return [name for name, dtype in frame.schema.items() if dtype.is_numeric() or dtype.is_temporal()]


def _duration(frame: pl.DataFrame) -> float | None:
    if "test_time_second" not in frame.columns:
        return None
    times = frame["test_time_second"].drop_nulls()
    return float(times[-1] - times[0]) if len(times) else None


def _print_result(file: Path, result: ReadResult) -> None:
    metadata = result.metadata
    shown = {
        "file": str(file),
        "reader": f"{result.reader} {result.reader_version}",
        "tester": metadata.tester,
        "test_type": metadata.test_type,
        "started": f"{cell_text(metadata.started_at)} UTC" if metadata.started_at else "the file does not say",
        "records": result.frame.height,
        "duration": duration_text(_duration(result.frame)),
    }
    further = asdict(metadata)
    for known in ("tester", "test_type", "started_at", "sources", "header"):
        del further[known]
    print_facts(shown | {name: value for name, value in further.items() if value is not False})
    print()
    print_table([{"name": name, **facts} for name, facts in _describe_columns(result).items()], COLUMNS)
    _print_cycles(result)
    for warning in result.warnings:
        print_facts({"warning": warning})
    for check in result.checks:
        if check.status == "failed":
            print_facts({"check": f"{check.name} failed: {check.message}"})


def _print_cycles(result: ReadResult) -> None:
    cycles = result.cycles
    print()
    if not cycles.height:
        print("no cycles")
        return
    print(f"{cycles.height} cycles (numbers: {result.cycle_method}; efficiency: {result.efficiency_convention})")
    shown = {name: heading for name, heading in CYCLES.items() if name in cycles.columns}
    if cycles.height <= _HEAD_CYCLES + _TAIL_CYCLES:
        print_table(cycles.to_dicts(), shown)
    else:
        import polars as pl

        print_table(pl.concat([cycles.head(_HEAD_CYCLES), cycles.tail(_TAIL_CYCLES)]).to_dicts(), shown)
        hidden = cycles.height - _HEAD_CYCLES - _TAIL_CYCLES
        print(f"({hidden} cycles between the first {_HEAD_CYCLES} and the last {_TAIL_CYCLES} are not shown)")


if __name__ == "__main__":
    sys.exit(run(app))
