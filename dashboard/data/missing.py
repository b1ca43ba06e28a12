"""What samples lack, and how it is filled in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bson import ObjectId

from battery_analysis.store import filling
from battery_analysis.store.filling import Filled
from battery_analysis.store.sample_search import PROPERTIES, RELATIVES, SampleQuery
from dashboard.data import asked, samples, settings, store

if TYPE_CHECKING:
    from battery_analysis.settings import Settings

__all__ = ["Filled"]

AT_ONCE = 25
"""Samples that are filled in without a word of waiting, and in each step of more."""


@asked
def fields() -> list[str]:
    """Return what samples can lack: their properties, relatives, tags, and what the lab adds to some."""
    return [*PROPERTIES, *RELATIVES, "tags", *(f"metadata.{key}" for key in samples.metadata_keys())]


@asked
def lacking(wanted: SampleQuery, field: str, among: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Return id and name of the samples that lack a field, only ``among`` these if any are given."""
    chosen = [ObjectId(each) for each in among]
    return [(str(identity), name) for identity, name in filling.lacking(wanted, field, chosen)]


@asked
def check(sample: str, field: str, value: str) -> None:
    """Refuse a value that a field cannot hold.

    Raises:
        InvalidDocumentError: It is empty, or does not fit.
        NotFoundError: It names a sample that does not exist.
    """
    filling.check(ObjectId(sample), field, value)


@asked
def fill(samples: Sequence[str], field: str, value: str, author: str | None) -> Filled:
    """Fill in what these samples still lack."""
    return filling.fill(store(), map(ObjectId, samples), field, value, author)


def fill_apart(settings: Settings, samples: Sequence[str], field: str, value: str, author: str | None) -> Filled:
    """Do the same in a process of its own, which opens the store anew."""
    from battery_analysis.store import open_store

    with open_store(settings) as opened:
        return filling.fill(opened, map(ObjectId, samples), field, value, author)


def task_settings() -> Settings:
    """Return what ``fill_apart`` opens the store with."""
    return settings()
