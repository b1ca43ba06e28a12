"""A text file that is still written reads as the beginning of what it will be, wherever it ends at the moment.

A last line without line end is left out, with a warning, when it lacks fields, ends inside quotes, or lacks what many
lines before it end with. Otherwise it is a record, because many testers end their finished files so: then its last cell
is believed as it stands, and may be the beginning of what it will be once the file goes on. No other cell may be, and
no record before it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest

from battery_analysis.columns import conform
from battery_analysis.errors import ReadError, SchemaError
from battery_analysis.readers.base import Reader
from battery_analysis.reading import find_reader, read_head
from tests.layouts import TEXTS
from tests.layouts.cell import records
from tests.layouts.table import Layout

GROWING = [layout for layout in TEXTS if not layout.lines_like]
BEGINNING = 1
"""Records behind which a file is cut anywhere."""
COLUMNS_KNOWN = 6
"""Records after which a file tells which columns it has: by a second step, or by a counter that starts again."""
ELSEWHERE = 12
BEGUN = re.compile(rb"[0-9]\0?[\t,; ]|[\t,; ]\0?[0-9]")
"""A number beside a delimiter: the last line is one of records, and holds something."""


class State(NamedTuple):
    """What a file reads as at the moment."""

    frame: pl.DataFrame
    warnings: list[str]
    sources: Mapping[str, str]


class GrowingFile:
    """A layout's file of few records that is cut anywhere and read."""

    def __init__(self, folder: Path, layout: Layout) -> None:
        numbering = layout.numberings[0] if layout.numberings else "from one"
        self.path, self.mappings = folder / layout.file, folder / "mappings"
        self.mappings.mkdir()
        if layout.mapping:
            (self.mappings / "rig.toml").write_text(layout.mapping)
        layout.write(self.path, records(1800.0, numbering, step_starts=layout.step_starts))
        self.content = self.path.read_bytes()
        self.line_end = next(end for end in (b"\r\0\n\0", b"\n\0", b"\r\n", b"\n", b"\r") if self.content.endswith(end))
        self.found: Reader | None = None
        self.whole = self.state(len(self.content))

    @lru_cache(maxsize=128)  # noqa: B019  lives as long as its test
    def state(self, length: int) -> State | None:
        """Read the beginning of the file; None where it is refused, with one line."""
        self.path.write_bytes(self.content[:length])
        try:
            reading = self.reader(length).read(self.path)
            frame, warnings = conform(reading.frame)
        except (ReadError, SchemaError) as exc:
            assert "\n" not in str(exc)
            return None
        sources = {name: source.name for name, source in reading.metadata.sources.items()}
        return State(frame, [*reading.warnings, *warnings], sources) if frame.height else None

    def reader(self, length: int) -> Reader:
        """Ask all readers, except where only the last line is missing."""
        if length < self.last_line() or self.found is None:
            self.found = find_reader(self.path, read_head(self.path), self.mappings)
        return self.found

    def last_line(self) -> int:
        """Where the last line begins."""
        return self.last_line_end(len(self.content) - 1)

    def last_line_end(self, length: int) -> int:
        """Behind the last line end of the beginning of the file."""
        return max(self.content.rfind(self.line_end, 0, length) + len(self.line_end), 0)

    def behind(self, count: int) -> int:
        """Behind the line of a record, counted from 1."""
        end = 0
        while (state := self.state(end)) is None or state.frame.height < count:
            end = self.content.index(self.line_end, end) + len(self.line_end)
        return end

    def cuts(self, seed: str) -> Iterator[int]:
        """Some behind the beginning, in order, and every byte of the last line."""
        begun, last = self.behind(BEGINNING), self.last_line()
        yield from sorted(random.Random(seed).sample(range(begun, last), ELSEWHERE))
        yield from range(last, len(self.content))


def differing(one: pl.DataFrame, other: pl.DataFrame) -> list[str]:
    """Columns of both that differ."""
    return [name for name in other.columns if name in one.columns and not one[name].equals(other[name])]


@pytest.mark.parametrize("layout", GROWING, ids=lambda layout: layout.name)
def test_a_file_cut_at_any_byte_holds_the_first_records_of_the_whole(tmp_path: Path, layout: Layout) -> None:
    file = GrowingFile(tmp_path, layout)
    whole = file.whole
    assert whole is not None
    begun = False
    for length in file.cuts(layout.name):
        now, certain = file.state(length), file.state(file.last_line_end(length))
        certain_height = certain.frame.height if certain else 0
        if now is None:
            assert not begun, f"refused at {length}, read before"
            assert certain is None, f"refused at {length}, though it holds {certain_height} records"
            continue
        begun = True
        where = f"cut at {length} behind {file.content[max(0, length - 60) : length]!r}"
        assert certain_height <= now.frame.height <= certain_height + 1, where
        assert not differing(now.frame.head(certain_height), whole.frame.head(certain_height)), where
        last = slice(certain_height, now.frame.height)
        cut_short = {whole.sources[name] for name in differing(now.frame[last], whole.frame[last])}
        label = min(cut_short, key=len, default="")
        assert all(label in source for source in cut_short), f"{cut_short} differ, {where}"
        if certain_height >= COLUMNS_KNOWN:
            assert now.frame.schema == whole.frame.schema, where
        begun_line = file.content[file.last_line() : length]
        if now.frame.height == certain_height and BEGUN.search(begun_line):
            assert any("the last line is incomplete" in said for said in now.warnings), where


@pytest.mark.parametrize("layout", GROWING, ids=lambda layout: layout.name)
def test_a_file_without_a_whole_record_is_refused_in_one_line(tmp_path: Path, layout: Layout) -> None:
    file = GrowingFile(tmp_path, layout)
    first_record = file.last_line_end(file.behind(1) - 1)
    for length in random.Random(layout.name).sample(range(1, first_record), ELSEWHERE // 2):
        assert file.state(length) is None, f"read at {length} of {first_record}"
