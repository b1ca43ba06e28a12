"""Options that say which files to take and what is said of them, shared by all commands that import."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from battery_analysis.errors import IngestError
from cli.common import MOST

Include = Annotated[list[str] | None, typer.Option(metavar="PAT", help="Glob of files to take; repeatable.")]
Exclude = Annotated[
    list[str] | None, typer.Option(metavar="PAT", help="Glob of files and folders to leave out; repeatable.")
]
Depth = Annotated[
    int | None, typer.Option(min=0, max=MOST, metavar="N", help="Folder levels below ROOT; 0: files in ROOT alone.")
]
Workers = Annotated[int | None, typer.Option(min=1, max=MOST, metavar="N", help="Reading processes.")]
Scheduler = Annotated[
    str | None, typer.Option(metavar="tcp://HOST:PORT", help="Read on the workers of this Dask cluster.")
]
Retries = Annotated[
    int | None,
    typer.Option(min=0, max=20, metavar="N", help="How often a server away or a locked file is waited for."),
]
SampleLookup = Annotated[
    bool, typer.Option("--sample-lookup", help="Take the sample from the file's header alone, or fail the file.")
]
SampleMap = Annotated[
    Path | None, typer.Option(metavar="FILE", help="CSV (file_path,sample) or TOML ([samples]) of files and samples.")
]
SampleName = Annotated[
    str | None, typer.Option("--sample", metavar="NAME", help="One sample for all files but those of --sample-map.")
]
NoArchive = Annotated[bool, typer.Option("--no-archive", help="Do not keep the original bytes.")]
Tags = Annotated[list[str] | None, typer.Option(metavar="T", help="Tag of files, tests and new samples; repeatable.")]
Operator = Annotated[str | None, typer.Option(metavar="NAME", help="Who ran the tests.")]
Device = Annotated[str | None, typer.Option(metavar="NAME", help="On which tester they ran.")]
Metadata = Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="Kept on files and tests; repeatable.")]


def refuse_mixed_samples(sample: str | None, sample_map: Path | None, sample_lookup: bool) -> None:
    """Refuse two answers to one question; a map names the exceptions to one sample for all.

    Raises:
        IngestError: The header alone shall say it, and something else, too.
    """
    if sample_lookup and (sample_map is not None or sample is not None):
        raise IngestError("--sample-lookup and --sample or --sample-map exclude one another")


def pairs(texts: Iterable[str]) -> dict[str, str]:
    """Return what ``--metadata KEY=VALUE`` says.

    Raises:
        IngestError: A text has no key or no value.
    """
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise IngestError(f"--metadata: KEY=VALUE wanted, got {text!r}")
        found[key.strip()] = value.strip()
    return found
