"""Names of tests that stand beside one another: testers call the files of different cells the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable


def told_apart(tests: Iterable[tuple[str, str, str]]) -> dict[str, str]:
    """Return names by id that differ: of tests called the same with their cells, and with their ids where those agree.

    Args:
        tests: Id, name and cell code of each.

    Example:
        >>> told_apart([("1", "run", "A"), ("2", "run", "B"), ("3", "rest", "B")])
        {'1': 'run (A)', '2': 'run (B)', '3': 'rest'}
        >>> told_apart([("1", "run", "A"), ("2", "run", "A"), ("2", "run", "A")])
        {'1': 'run (A, 1)', '2': 'run (A, 2)'}
    """
    known = {identity: (name, cell) for identity, name, cell in tests}
    of_name, of_both = Counter(name for name, _ in known.values()), Counter(known.values())
    told = {}
    for identity, (name, cell) in known.items():
        further = cell if of_both[name, cell] == 1 else f"{cell}, {identity}"
        told[identity] = name if of_name[name] == 1 else f"{name} ({further})"
    return told
