"""Files that were uploaded: received, looked at, and handed to an import."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from battery_analysis.ingest import sample_rules
from battery_analysis.ingest.uploads import KEPT_SECONDS, Announced, Batch, Taken, Uploads
from dashboard.data import asked, processes, settings
from dashboard.data.requests import Asked

__all__ = ["KEPT_HOURS", "Batch", "begin", "confirm", "spool", "tidy", "under_way"]

KEPT_HOURS = KEPT_SECONDS // 3600
"""What nobody imports goes so long after its last byte came."""

_confirming = Lock()
"""Of two people who confirm files of the same name, the second finds the import of the first."""


@functools.cache
def spool() -> Uploads:
    """Return the uploads of the data folder."""
    return Uploads(settings().data_dir)


@asked
def begin(announced: Sequence[tuple[str, int, int]]) -> dict[str, Any]:
    """Open a batch of files, each a path, a size in bytes and a time of change in ms, and say what is here of each.

    Raises:
        IngestError: A path is unsafe, there are too many or too large files, or no room for them.
    """
    tidy()
    batch = spool().begin([Announced(*each) for each in announced])
    files = [
        {"path": each.path, "size": each.size, "received": batch.received(number)}
        for number, each in enumerate(batch.files)
    ]
    return {"id": batch.id, "files": files}


def under_way() -> list[Batch]:
    """Return the batches that are not imported yet, the newest first."""
    return spool().under_way()


@asked
def tidy() -> None:
    """Remove what was imported, and what is older than a day."""
    spool().tidy()


@asked
def confirm(batch_id: str, how: Asked, samples: Mapping[str, str]) -> list[processes.Started]:
    """Import a batch: its archives each by themselves, all else together.

    Args:
        batch_id: The batch.
        how: What is said of all its files.
        samples: The sample of files for which people have named one, by path; those in an archive as
            ``ARCHIVE!/PATH``; theirs goes before the one that is said of all.

    Raises:
        NotFoundError: There is no such batch any more.
        IngestError: It is not complete, what is said of its files cannot be stored, or a file of the same name is
            being imported. What is not being imported then waits as it did.
    """
    how.request(str(spool().files)).options(settings())  # what is wrong with what was asked shows while all is here
    with _confirming:
        is_starting = any(each.kind == "import" and each.is_running for each in processes.recent())
        waiting = {each.path: each for each in spool().batch(batch_id).files}
        taken = spool().take_in(batch_id, is_starting=is_starting)
        started = []
        try:
            for paths, root, words in _imports(batch_id, taken, how, samples):
                command = ["import", *words, "--", str(root)]
                started.append(processes.start("import", command, about=", ".join(paths), then=tidy))
                for path in paths:
                    del waiting[path]
        except Exception:
            spool().put_back(list(waiting.values()))
            raise
        return started


def _imports(
    batch_id: str, taken: Taken, how: Asked, samples: Mapping[str, str]
) -> Iterator[tuple[tuple[str, ...], Path, list[str]]]:
    """Yield what each import takes, its root and its options."""
    if taken.plain:
        chosen = {path: samples[path] for path in taken.plain if samples.get(path)}
        words = [*how.words(), *_map(batch_id, chosen)]
        yield taken.plain, taken.folder, [*words, *(f"--include=/{_literally(path)}" for path in taken.plain)]
    for number, archive in enumerate(taken.archives):
        prefix = f"{archive}!/"
        chosen = {path.removeprefix(prefix): name for path, name in samples.items() if path.startswith(prefix) and name}
        words = [*how.words(), *_map(f"{batch_id}-{number}", chosen)]
        yield (archive,), taken.folder / archive, words


def _map(name: str, chosen: Mapping[str, str]) -> list[str]:
    if not chosen:
        return []
    folder = spool().maps
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.csv"
    sample_rules.write_sample_map(path, chosen)
    return [f"--sample-map={path}"]


def _literally(path: str) -> str:
    """Return a glob that means this path alone."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in path)
