"""Damage files in many ways and watch what reading them does: ``python -m benchmarks.fuzz [COUNT] [SEED]``.

Every input is read in a worker process with limits, as an import does. It must end in records or in one line that says
why not: no death of a process, no hang beyond ``HANG_SECONDS``, no memory beyond the limit, no file written beside the
input, no error of several lines, and never fewer records than the undamaged file without a warning where the damage
cut a container that announces its length.

Seeds are files of the example lab and, where they are at hand (``BATTERY_TEST_DATA``), real and hostile ones.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from battery_analysis.errors import ReaderLimitError, ReadError, UnknownFormatError
from battery_analysis.ingest import reader_pool
from battery_analysis.ingest.reader_pool import ReaderPool
from examples.lab import make_lab

HANG_SECONDS = 10
MEMORY_BYTES = 3 << 30
LARGEST_SEED = 600_000
CONTAINERS = (".ndax", ".xlsx", ".parquet", ".h5", ".gz")


@dataclass
class Tally:
    """What became of the inputs; ``broken`` holds what must not happen."""

    outcomes: Counter[str] = field(default_factory=Counter)
    by_reader: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")


def main() -> int:
    """Fuzz and print what came of it; exit status 1 if something happened that must not."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    began = time.perf_counter()
    tally = fuzz(count, seed)
    print(f"{count} damaged inputs, seed {seed}, in {time.perf_counter() - began:.0f} s")
    for name, number in tally.outcomes.most_common():
        print(f"  {name}: {number}")
    print("  by reader: " + ", ".join(f"{name} {number}" for name, number in tally.by_reader.most_common()))
    print(f"  slowest: {tally.slowest[0]:.1f} s ({tally.slowest[1]})")
    for line in tally.broken:
        print(f"  BROKEN {line}")
    return int(bool(tally.broken))


def fuzz(count: int, seed: int) -> Tally:
    """Read ``count`` damaged inputs and say what became of them."""
    reader_pool.READ_SECONDS, reader_pool.MEMORY_BYTES = HANG_SECONDS, MEMORY_BYTES
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name, ReaderPool(os.cpu_count() or 1) as pool:
        folder = Path(name)
        seeds = list(_seeds(folder / "lab"))
        records = {path: _records(pool, path, folder) for path in seeds}
        inputs = islice(_inputs(seeds, random.Random(seed)), count)
        with ThreadPoolExecutor(2 * (os.cpu_count() or 1)) as threads:
            work = ((number, *each) for number, each in enumerate(inputs))
            for done in threads.map(lambda each: _read(pool, folder, records, *each), work):
                _count(tally, *done)
    return tally


def _seeds(lab: Path) -> Iterator[Path]:
    found = make_lab(lab)
    data = Path(os.environ.get("BATTERY_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    found += sorted(path for path in (data / "real").rglob("*") if path.is_file() and path.parent.name != "LICENCES")
    yield from (path for path in found if path.suffix not in (".json", ".md") and path.stat().st_size <= LARGEST_SEED)


def _records(pool: ReaderPool, path: Path, folder: Path) -> int | None:
    try:
        return pool.submit(path, folder / "seed.parcel", str(path), "UTC").result().record_count
    except ReadError:
        return None


def _inputs(seeds: list[Path], chance: random.Random) -> Iterator[tuple[str, Path, bytes]]:
    while True:
        path = chance.choice(seeds)
        name, damage = chance.choice(list(DAMAGES.items()))
        yield name, path, damage(path.read_bytes(), chance)


def _read(
    pool: ReaderPool,
    folder: Path,
    records: dict[Path, int | None],
    number: int,
    damage: str,
    seed: Path,
    content: bytes,
) -> tuple[str, str, float, str | None, str]:
    place = folder / str(number)
    place.mkdir()
    path = place / seed.name
    path.write_bytes(content)
    about = f"input {number}: {damage} of {seed.name}"
    began = time.perf_counter()
    problem = None
    reader = "none"
    try:
        parcel = pool.submit(path, folder / f"{number}.parcel", seed.name, "UTC").result()
        outcome, reader = "records with a warning" if parcel.warnings else "records", parcel.reader
        whole = records[seed]
        if damage == "cut" and seed.suffix in CONTAINERS and not parcel.warnings and parcel.record_count < (whole or 0):
            problem = f"{parcel.record_count} of {whole} records without a warning"
    except ReaderLimitError as exc:
        outcome = "stopped by a limit"
        # A reader that is told there is no more memory ends in order; one that hangs or dies does not.
        problem = None if "takes more than" in exc.reason else str(exc)
    except UnknownFormatError as exc:
        outcome = "not recognised"
        problem = _of_several_lines(exc)
    except ReadError as exc:
        outcome, reader = "refused", exc.reader or "none"
        problem = _of_several_lines(exc)
        if "its reader failed with" in exc.reason:
            problem = exc.reason
    if sorted(path.name for path in place.iterdir()) != [seed.name] or path.read_bytes() != content:
        problem = "the folder of the input was written to"
    (folder / f"{number}.parcel").unlink(missing_ok=True)
    path.unlink()
    place.rmdir()
    return outcome, reader, time.perf_counter() - began, problem, about


def _of_several_lines(error: ReadError) -> str | None:
    return "an error of several lines" if "\n" in str(error) else None


def _count(tally: Tally, outcome: str, reader: str, seconds: float, problem: str | None, about: str) -> None:
    tally.outcomes[outcome] += 1
    tally.by_reader[reader] += 1
    tally.slowest = max(tally.slowest, (seconds, about))
    if problem:
        tally.broken.append(f"{about}: {problem}")


def _flipped(content: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(chance.choice((1, 1, 4, 32))):
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def _cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content))]


def _spliced(content: bytes, chance: random.Random) -> bytes:
    first, second = sorted(chance.randrange(len(content)) for _ in range(2))
    return content[:second] + content[first:]


def _holed(content: bytes, chance: random.Random) -> bytes:
    first = chance.randrange(len(content))
    return content[:first] + content[first + chance.randrange(1, 5000) :]


def _overwritten(content: bytes, chance: random.Random) -> bytes:
    first = chance.randrange(len(content))
    filler = chance.choice((b"\x00", b"\xff", b"9", b",", b"\n", b'"'))
    length = chance.choice((1, 4, 64, 4096))
    return content[:first] + filler * length + content[first + length :]


def _huge_counts(content: bytes, chance: random.Random) -> bytes:
    """Set four bytes to the largest numbers there are: lengths and counts mostly stand near the beginning."""
    first = chance.randrange(min(len(content), 4096))
    return content[:first] + chance.choice((b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff")) + content[first + 4 :]


DAMAGES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "flip": _flipped,
    "cut": _cut,
    "splice": _spliced,
    "hole": _holed,
    "overwrite": _overwritten,
    "huge counts": _huge_counts,
}

if __name__ == "__main__":
    sys.exit(main())
