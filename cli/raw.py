"""``battery-analysis raw``: the archived original bytes of raw files and attachments."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from battery_analysis.errors import ArchiveError, NotFoundError
from battery_analysis.files import replacing
from cli.common import MOST, Context, command, fail, new_app, open_store, run
from cli.output import print_json, print_table, say_written

if TYPE_CHECKING:
    from battery_analysis.models import RawDataFile

_TABLE = {
    "id": "id",
    "filename": "file",
    "size": "bytes",
    "versions": "versions",
    "sha256": "SHA-256",
    "test_id": "test",
}

Out = Annotated[Path | None, typer.Option(metavar="F", help="Write here; without it, to standard output.")]
Version = Annotated[str | None, typer.Option(metavar="SHA256", help="This version; without it, the newest.")]

app = new_app("The archived original bytes.")


@command(app, "download")
def download(
    context: Context,
    file_id: Annotated[str, typer.Argument(metavar="FILE_ID", help="Raw file.")],
    out: Out = None,
    version: Version = None,
) -> None:
    """Write the original bytes of a raw file."""
    _refuse_terminal(out)
    from battery_analysis.models import RawDataFile
    from battery_analysis.store.access import by_id

    with open_store(context) as store:
        raw = by_id(RawDataFile, file_id)
        _write(store.archive.stream(raw, version), out)


@command(app, "attachment")
def attachment(
    context: Context,
    attachment_id: Annotated[str, typer.Argument(metavar="ATTACHMENT_ID", help="Attachment; 'test show' lists them.")],
    out: Out = None,
) -> None:
    """Write the bytes of what is attached to a test, such as its settings."""
    _refuse_terminal(out)
    from battery_analysis.models import Attachment
    from battery_analysis.store import attachments
    from battery_analysis.store.access import by_id

    with open_store(context) as store:
        _write(attachments.stream(store, by_id(Attachment, attachment_id)), out)


@command(app, "by-test")
def by_test(
    context: Context,
    test_id: Annotated[str, typer.Argument(metavar="TEST_ID", help="Test.")],
    out: Out = None,
    version: Version = None,
    part: Annotated[
        int | None,
        typer.Option(min=1, max=MOST, metavar="N", help="Which of the test's files."),
    ] = None,
) -> None:
    """Write the original bytes that a test was read from."""
    _refuse_terminal(out)
    from battery_analysis.models import RawDataFile, TestResult
    from battery_analysis.store.access import by_id

    with open_store(context) as store:
        test = by_id(TestResult, test_id)
        count = len(test.raw_files)
        if count > 1 and part is None:
            names = ", ".join(f"{number} {each.filename}" for number, each in enumerate(test.raw_files, start=1))
            raise NotFoundError(f"test {test_id} has {count} files, say which with --part: {names}")
        number = part or 1
        if number > count:
            raise NotFoundError(f"test {test_id} has {count} files, no part {number}")
        raw = by_id(RawDataFile, test.raw_files[number - 1].raw_file)
        _write(store.archive.stream(raw, version), out)


@command(app, "list")
def list_files(
    context: Context,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="File name, whole.")] = None,
    sha256: Annotated[str | None, typer.Option(metavar="SHA256", help="Digest of any version.")] = None,
    operator: Annotated[str | None, typer.Option(metavar="NAME", help="Who ran the test.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, max=MOST, metavar="N", help="At most so many files.")] = None,
) -> None:
    """List raw files, newest first."""
    from battery_analysis.models import RawDataFile
    from battery_analysis.store.access import visible

    wanted = {"filename": name, "versions__sha256": sha256, "operator": operator}
    with open_store(context):
        found = visible(RawDataFile).filter(**{key: value for key, value in wanted.items() if value})
        ordered = found.order_by("-created_at")
        rows = [_row(raw) for raw in (ordered.limit(limit) if limit else ordered)]
    if context.json:
        print_json(rows)
    elif rows:
        print_table(rows, _TABLE)
    else:
        print("no raw file fits" if any(wanted.values()) else "no raw file yet")


@command(app, "verify")
def verify(
    context: Context,
    file_id: Annotated[str | None, typer.Argument(metavar="[FILE_ID]", help="One raw file; without it, all.")] = None,
) -> None:
    """Read archived bytes and compare them with their digests.

    Exit status: 0 all are as they were; 1 some are missing or differ.
    """
    from battery_analysis.models import RawDataFile
    from battery_analysis.store.access import by_id, visible

    rows = []
    with open_store(context) as store:
        for raw in [by_id(RawDataFile, file_id)] if file_id else visible(RawDataFile).order_by("filename"):
            try:
                store.archive.verify(raw)
                problem = None
            except ArchiveError as exc:
                problem = str(exc)
            rows.append({"id": raw.id, "filename": raw.filename, "ok": problem is None, "problem": problem})
    bad = [row for row in rows if not row["ok"]]
    if context.json:
        print_json({"checked": len(rows), "damaged": bad})
    else:
        if bad:
            print_table(bad, ("id", "filename", "problem"))
        print(f"{len(rows) - len(bad)} of {len(rows)} raw files are as they were")
    if bad:
        raise typer.Exit(1)


def _row(raw: RawDataFile) -> dict[str, Any]:
    return {
        "id": raw.id,
        "filename": raw.filename,
        "size": raw.size,
        "sha256": raw.sha256,
        "versions": len(raw.versions),
        "test_id": raw.test_result,
        "sample_id": raw.sample,
        "operator": raw.operator,
        "acquisition_device": raw.acquisition_device,
        "sources": [place.path for place in raw.sources],
        "tags": list(raw.tags),
        "created_at": raw.created_at,
    }


def _write(chunks: Iterable[bytes], out: Path | None) -> None:
    """Write to a temporary name first: a file that is there is whole and checked."""
    if out is None:
        sys.stdout.buffer.writelines(chunks)
        return
    with replacing(out) as file:
        file.writelines(chunks)
    say_written(out)


def _refuse_terminal(out: Path | None) -> None:
    if out is None and sys.stdout.isatty():
        fail("raw bytes are not for a terminal; name a file with --out, or pipe them on")


def main() -> int:
    """Run this command alone and return its exit status."""
    return run(app, name="raw_file_cli")


if __name__ == "__main__":
    sys.exit(main())
