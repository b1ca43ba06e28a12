"""RO-Crates among what is imported: files that a crate itself says were made from others beside them.

Records that were exported together with their originals are passed over, so that nothing becomes two tests; where a
crate holds no originals, what was made from them is taken. A description that cannot be read says nothing.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

METADATA = "ro-crate-metadata.json"
"""Name of the description, at the root of a crate."""
MAX_BYTES = 1 << 26

DESCRIPTION = "describes the crate"

logger = logging.getLogger(__name__)


def passed_over(description: bytes, names: Collection[str]) -> dict[str, str]:
    """Return which files of a crate need not be taken, each with the reason.

    Args:
        description: The bytes of ``ro-crate-metadata.json``.
        names: Paths of all files in the crate, below its root.

    Example:
        >>> graph = '[{"@id": "a.bdf.csv", "isBasedOn": {"@id": "a%20b.csv"}}, {"@id": "c.csv", "isBasedOn": []}]'
        >>> passed_over(b'{"@graph": ' + graph.encode() + b"}", ["a.bdf.csv", "a b.csv", "c.csv"])
        {'a.bdf.csv': 'made from a b.csv, which is in the same crate'}
        >>> passed_over(b'{"@graph": ' + graph.encode() + b"}", ["a.bdf.csv", "c.csv"])
        {}
    """
    made_from = {path: bases for path, bases in _files(description).items() if bases and path in names}
    # What is made from something that is taken is passed over, and what is made from that in turn; a file that is
    # said to be made from itself, by whatever detour, is never reached.
    settled = set(names) - made_from.keys()
    found: dict[str, str] = {}
    while fresh := [path for path, bases in made_from.items() if path not in settled and settled >= set(bases)]:
        found |= {path: _reason(made_from[path]) for path in fresh}
        settled.update(fresh)
    return found


def made_from(description: bytes, path: str) -> set[str]:
    """Return a path and all that its file was made from, in turn, as a description says.

    Example:
        >>> graph = '[{"@id": "a", "isBasedOn": {"@id": "b"}}, {"@id": "b", "isBasedOn": {"@id": "c"}}, {"@id": "d"}]'
        >>> sorted(made_from(b'{"@graph": ' + graph.encode() + b"}", "a"))
        ['a', 'b', 'c']
    """
    files, found, waiting = _files(description), {path}, [path]
    while waiting:
        fresh = set(files.get(waiting.pop(), ())) - found
        found |= fresh
        waiting += fresh
    return found


def mentioned(description: bytes) -> set[str]:
    """Return the paths that a description names, as far as they lie below its root."""
    named = {path for entity, bases in _files(description).items() for path in (entity, *bases)}
    return {path for path in named if is_below(path)}


def is_below(path: str) -> bool:
    """Say whether a path that a description names lies below its root."""
    return bool(path) and ".." not in path.split("/") and not path.startswith("/")


def _files(description: bytes) -> dict[str, list[str]]:
    """Return what each entity is based on."""
    try:
        return _parsed(description)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
        logger.warning("the description of a crate cannot be read: %r", exc)
        return {}


@lru_cache(maxsize=2)
def _parsed(description: bytes) -> dict[str, list[str]]:
    """A watcher asks for each file of a crate anew."""
    return {_path(each): _bases(each) for each in json.loads(description)["@graph"]}


def _path(entity: Mapping[str, Any]) -> str:
    return unquote(str(entity["@id"])).removeprefix("./")


def _bases(entity: Mapping[str, Any]) -> list[str]:
    bases = entity.get("isBasedOn", [])
    return [_path(each) for each in (bases if isinstance(bases, list) else [bases])]


def _reason(bases: list[str]) -> str:
    shown = bases[0].rpartition("/")[2] + (f" and {len(bases) - 1} more" if len(bases) > 1 else "")
    return f"made from {shown}, which {'are' if len(bases) > 1 else 'is'} in the same crate"
