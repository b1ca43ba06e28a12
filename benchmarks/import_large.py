"""Import of one large Neware file, from file to stored test, beside bare reads of it."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from battery_analysis.ingest.discover import Candidate
from battery_analysis.ingest.importer import ImportOptions, open_importer
from battery_analysis.ingest.sample_rules import rules_from
from benchmarks.measuring import Row, apart, median_seconds, scratch_store
from examples.bulk import write_large_ndax

RECORDS = 700_000
TIMES = 5
WARM_UP = 4
"""Files of the same size that go before, as one goes before every bare read: two for each worker."""


def run() -> Iterator[Row]:
    """Measure."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        paths = [folder / f"BM{number:03d}.ndax" for number in range(WARM_UP + TIMES)]
        for number, path in enumerate(paths):  # all different: equal bytes would not be read twice
            write_large_ndax(path, RECORDS, seed=number)
        megabytes = paths[-1].stat().st_size / 1e6
        (bare, neware), _ = apart(_bare_reads, str(paths[-1]))
        _, fastnda_peak = apart(_fastnda, str(paths[-1]))
        (own, frame_mb), worker_peak = apart(_own_read, str(paths[-1]))
        (whole, _), main_peak = apart(_imports, [str(path) for path in paths])
    yield Row(f"file of {RECORDS:,} records", f"{megabytes:.1f} MB")
    yield Row("bare fastnda.read, warm", f"{bare:.3f} s")
    yield Row("bare NewareNDA.read, warm", f"{neware:.3f} s", "the import is faster", whole < neware)
    yield Row("battery_analysis.read, warm (frame, clock, cycles)", f"{own:.3f} s = {own / bare:.2f} x fastnda")
    yield Row(
        "import end to end, warm workers",
        f"{whole:.3f} s = {whole / bare:.2f} x fastnda",
        "<= 2.5 x",
        whole <= 2.5 * bare,
    )
    yield Row("peak memory: fastnda.read", f"{fastnda_peak:.0f} MB")
    yield Row(
        "peak memory: worker (read and encode)",
        f"{worker_peak:.0f} MB = {worker_peak / frame_mb:.1f} x frame of {frame_mb:.0f} MB",
        "< 6 x",
        worker_peak < 6 * frame_mb,
    )
    yield Row("peak memory: importing process", f"{main_peak:.0f} MB above start", "< 400 MB", main_peak < 400)


def _bare_reads(path: str) -> tuple[float, float]:
    import fastnda
    import NewareNDA

    return median_seconds(lambda: fastnda.read(path), TIMES), median_seconds(lambda: NewareNDA.read(path), 1)


def _fastnda(path: str) -> int:
    import fastnda

    return fastnda.read(path).height


def _own_read(path: str) -> tuple[float, float]:
    from battery_analysis.reading import read
    from battery_analysis.store.parcel import pack

    result = read(path)
    pack(result, Path(path).with_suffix(".parcel"))
    size = result.frame.estimated_size("mb")
    del result
    return median_seconds(lambda: read(path), 3), size


def _imports(paths: list[str]) -> tuple[float, int]:
    """Import one file after the other; the first ones warm the workers."""
    with scratch_store() as (store, settings):
        options = ImportOptions(Path(paths[0]).parent, rules_from(settings), settings.data_dir, workers=2)
        with open_importer(store, options) as importer:
            outcomes = [importer.take(Candidate(Path(path), PurePosixPath(Path(path).name))) for path in paths]
    taken = [outcome.seconds or 0.0 for outcome in outcomes[WARM_UP:]]
    return statistics.median(taken), len(taken)
