"""What is loaded of a cell stays what it was while its files grow."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from polars.testing import assert_frame_equal

from battery_analysis.store import Store, datasets
from battery_analysis.store.dataset_frames import Dataset, load_dataset
from tests.builders import arbin_csv
from tests.ingest.conftest import Importing


def loaded(dataset: Dataset, **options: object) -> pl.DataFrame:
    return dataset.frame(form="polars", **options)  # type: ignore[return-value, arg-type]


def test_records_that_came_since_belong_to_the_next_version(store: Store, lab: Path, importing: Importing) -> None:
    whole = arbin_csv(6).splitlines(keepends=True)
    (lab / "AB12.csv").write_text("".join(whole[:71]))  # in the middle of cycle 4
    importing()
    before = load_dataset(store, "AB12")
    everything, last = loaded(before), loaded(before, cycles=(3, 4))
    (lab / "AB12.csv").write_text("".join(whole))
    importing()
    assert datasets.version_of("AB12").version == 2
    assert_frame_equal(loaded(before), everything)
    assert_frame_equal(loaded(load_dataset(store, "AB12", 1), cycles=(3, 4)), last)
    now = load_dataset(store, "AB12")
    assert (loaded(now).height, loaded(now, cycles=(4, None)).height) == (120, 60)
