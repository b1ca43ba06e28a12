"""What an import would take files for: read in the background, nothing stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from threading import Lock, Thread

from battery_analysis.errors import BatteryAnalysisError
from battery_analysis.ingest.discover import Candidate
from battery_analysis.ingest.importer import ImportOptions, candidates_of
from battery_analysis.ingest.preview import Preview, preview_files
from battery_analysis.ingest.sources import is_archive
from dashboard.data import incoming, settings
from dashboard.data.requests import Asked

Found = Preview

MOST = 500
"""Files that are looked at before they are imported."""
MOST_OF_A_FOLDER = 20

REMEMBERED = 10

Files = Callable[[], tuple[ImportOptions, Iterable[tuple[str, Candidate]]]]
"""How they would be imported, and the files, each with what comes before its name."""


@dataclass
class Look:
    """A preview under way or done."""

    total: int = 0
    """Files that are looked at."""
    left_out: int = 0
    """Files that are not, because there are so many."""
    found: list[Preview] = field(default_factory=list)
    """By path, those in an archive as ``ARCHIVE!/PATH``."""
    problem: str | None = None
    is_done: bool = False


_lock = Lock()
_one_at_a_time = Lock()
_looks: dict[str, Look] = {}


def of_batch(batch_id: str) -> Look:
    """Return the preview of an upload; it is begun where it was not.

    Raises:
        NotFoundError: There is no such batch any more.
    """
    batch = incoming.spool().batch(batch_id)
    return _begun(f"batch {batch_id}", lambda: _uploaded(batch), MOST)


def forget_batch(batch_id: str) -> None:
    """Forget the preview of an upload that was imported or removed: what is uploaded next may have the same names."""
    with _lock:
        _looks.pop(f"batch {batch_id}", None)


def of_folder(path: Path, how: Asked, *, anew: bool = False) -> Look:
    """Return the preview of the first files of a folder or archive of the server; it is begun where it was not."""
    key = f"folder {path} {how}"
    if anew:
        with _lock:
            _looks.pop(key, None)

    def files() -> tuple[ImportOptions, Iterable[tuple[str, Candidate]]]:
        options = _options(how, path)
        return options, (("", each) for each in candidates_of(options))

    return _begun(key, files, MOST_OF_A_FOLDER)


def _uploaded(batch: incoming.Batch) -> tuple[ImportOptions, Iterable[tuple[str, Candidate]]]:
    options = _options(Asked(), batch.place)
    archives = [each.path for each in batch.files if is_archive(batch.place / each.path)]
    plain = [each for each in candidates_of(options) if str(each.relative) not in archives]

    def inside(archive: str) -> Iterator[tuple[str, Candidate]]:
        for each in candidates_of(replace(options, root=batch.place / archive)):
            yield f"{archive}!/", each

    return options, chain((("", each) for each in plain), *(inside(archive) for archive in archives))


def _options(how: Asked, path: Path) -> ImportOptions:
    return how.request(str(path)).options(settings())


def _begun(key: str, files: Files, most: int) -> Look:
    with _lock:
        if key in _looks:
            return _looks[key]
        look = _looks[key] = Look()
        for old in list(_looks)[:-REMEMBERED]:
            del _looks[old]
    Thread(target=_look, args=(look, files, most), name="preview", daemon=True).start()
    return look


def _look(look: Look, files: Files, most: int) -> None:
    try:
        with _one_at_a_time:  # each has reading processes of its own
            options, found = files()
            listed = list(found)
            look.left_out = max(len(listed) - most, 0)
            chosen = listed[:most]
            look.total = len(chosen)
            prefixes = {candidate.source: prefix for prefix, candidate in chosen}
            for each in preview_files(options, [candidate for _, candidate in chosen]):
                look.found.append(replace(each, relative=f"{prefixes[each.path]}{each.relative}"))
    except BatteryAnalysisError as exc:
        look.problem = str(exc)
    except Exception as exc:
        look.problem = f"the preview failed ({type(exc).__name__}); the log tells more"
        raise
    finally:
        look.is_done = True
