"""Which files below a folder are found."""

from __future__ import annotations

import inspect
import os
import sys
from pathlib import Path

import pytest

from battery_analysis.errors import IngestError
from battery_analysis.ingest.discover import Selection, discover
from tests.realdata import hostile


def tree(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


def found(root: Path, **selection: object) -> list[str]:
    candidates = discover(root, Selection(**selection))  # type: ignore[arg-type]
    return [str(candidate.relative) for candidate in candidates if candidate.problem is None]


def test_every_file_is_found_in_order_of_name(tmp_path: Path) -> None:
    tree(tmp_path, "b.csv", "a/2.csv", "a/1.csv")
    assert found(tmp_path) == ["a/1.csv", "a/2.csv", "b.csv"]


def test_a_file_is_its_own_root(tmp_path: Path) -> None:
    tree(tmp_path, "one.csv")
    assert found(tmp_path / "one.csv") == ["one.csv"]


def test_include_and_exclude_match_the_name_and_the_path(tmp_path: Path) -> None:
    tree(tmp_path, "x/keep.csv", "x/drop.txt", "y/keep.csv")
    assert found(tmp_path, include=["*.csv"]) == ["x/keep.csv", "y/keep.csv"]
    assert found(tmp_path, include=["x/*"]) == ["x/drop.txt", "x/keep.csv"]
    assert found(tmp_path, exclude=["keep.csv"]) == ["x/drop.txt"]


def test_a_folder_pattern_excludes_files_directly_in_it_at_any_level(tmp_path: Path) -> None:
    tree(tmp_path, "archive/old.csv", "a/archive/old.csv", "a/archive/b/old.csv", "a/new.csv")
    assert found(tmp_path, exclude=["*/archive/*"]) == ["a/new.csv"]


def test_an_excluded_folder_is_not_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, "archive/old.csv", "new.csv")
    entered = []
    listing = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: entered.append(Path(path).name) or listing(path))
    assert found(tmp_path, exclude=["archive"]) == ["new.csv"]
    assert "archive" not in entered


@pytest.mark.parametrize(
    ("depth", "names"), [(0, ["0.csv"]), (1, ["0.csv", "a/1.csv"]), (None, ["0.csv", "a/1.csv", "a/b/2.csv"])]
)
def test_depth_counts_folder_levels_below_the_root(tmp_path: Path, depth: int | None, names: list[str]) -> None:
    tree(tmp_path, "0.csv", "a/1.csv", "a/b/2.csv")
    assert found(tmp_path, depth=depth) == names


def test_a_missing_root_is_named(tmp_path: Path) -> None:
    with pytest.raises(IngestError, match="nowhere: No such file or directory"):
        list(discover(tmp_path / "nowhere", Selection()))


def test_links_are_reported_and_not_followed() -> None:
    root = hostile("symlink_loop")
    problems = {str(each.relative): each.problem for each in discover(root, Selection()) if each.problem}
    assert found(root) == ["sub/good.csv"]
    assert "dangling" in problems["dangling.mpr"]
    assert "loop" in problems["self"]
    assert "loop" in problems["sub/up"]


def test_a_name_that_is_no_text_is_stored_with_escapes(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"cell\xff.csv")).write_text("x")
    (only,) = discover(tmp_path, Selection())
    assert only.filename == "cell\\xff.csv"
    only.source.encode("utf-8")


def test_a_special_file_is_a_problem_and_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (only,) = discover(tmp_path, Selection())
    assert only.problem == "not a regular file"


def test_a_tree_deeper_than_the_stack_is_walked(tmp_path: Path) -> None:
    levels = "/".join("d" * 150)
    tree(tmp_path, f"{levels}/AB12.csv")
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 100)
    try:
        names = found(tmp_path)
    finally:
        sys.setrecursionlimit(limit)
    assert names == [f"{levels}/AB12.csv"]
