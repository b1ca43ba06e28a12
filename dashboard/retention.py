"""What is left of the capacity of lives that are compared: a row for each, and the means of groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dashboard import comparing
from dashboard.comparing import ALL, EACH
from dashboard.cycle_numbers import cycles_named
from dashboard.data.lives import Life
from dashboard.grid import Column


def retention_table(
    found: Sequence[Life], group: str, at: str | None, reference: int | None
) -> tuple[list[Column], list[dict[str, Any]]]:
    """Return what is left of the capacity of each life at some cycles, and the numbers that sum it up."""
    longest = max((int(life.cycles["cycle_count"].max() or 0) for life in found), default=0)  # type: ignore[arg-type]
    cycles, _ = cycles_named(at, range(longest + 1))
    columns = [
        Column("cell", "Cell", sort="cell", link="/cell?cell=", link_field="code", width=130),
        *(
            [Column("test", "Test", sort="test", link="/test/", width=220)]
            if any(each.of == "test" for each in found)
            else []
        ),
        *([Column("group", "Group", sort="group", width=140)] if group not in (EACH, ALL) else []),
        Column("cycles", "Cycles", kind="whole", sort="cycles"),
        Column("initial_capacity_ah", "Initial", "Ah", kind="number", sort="initial"),
        *(Column(f"at_{cycle}", f"At {cycle}", "%", kind="percent", sort=f"at_{cycle}") for cycle in cycles),
        Column("capacity_retention", "Last", "%", kind="percent", sort="last"),
        Column("cycle_life", "Cycles to 80 %", kind="whole", sort="life", width=150),
        Column("fade", "Fade per cycle", "%", kind="number", sort="fade", width=150),
        Column("mean_coulombic_efficiency", "Mean CE", "%", kind="percent", sort="ce"),
        Column("mean_energy_efficiency", "Mean EE", "%", kind="percent", sort="ee"),
    ]
    rows = []
    for life, of in zip(found, comparing.grouped(found, group), strict=True):
        numbers = comparing.summed_up(life)
        left = comparing.retention(life, cycles, reference)
        rows.append(
            {
                "id": life.id,
                "cell": (code := life.traits.get("cell", life.name)),
                "code": code,
                "test": life.name if life.of == "test" else None,
                "group": of,
                **numbers,
                "fade": comparing.shown("fade_per_cycle", numbers["fade_per_cycle"]),
                **{f"at_{cycle}": share for cycle, share in left.items()},
            }
        )
    return columns, rows


def group_means(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the mean of each group of a ``retention_table``, over those of its rows that have the number.

    Groups of one have none, and where every life is a group of its own there is none. The cycles to 80 % have a mean
    only where all of a group have come so far: the mean of the others would be too small.

    Example:
        >>> columns = [Column("cell", "Cell"), Column("cycles", "Cycles", kind="whole")]
        >>> group_means(columns, [{"group": "a", "cycles": each} for each in (2, 4)] + [{"group": "b", "cycles": 1}])
        [{'id': 'mean of a', 'cell': 'Mean of 2', 'group': 'a', 'cycles': 3.0}]
    """
    numbers = [column.field for column in columns if column.kind in ("number", "whole", "percent")]
    means = []
    for group in comparing.in_order([row["group"] for row in rows]):
        own = [row for row in rows if row["group"] == group]
        if len(own) > 1:
            known = {name: [row[name] for row in own if row.get(name) is not None] for name in numbers}
            mean = {
                name: sum(each) / len(each)
                for name, each in known.items()
                if each and (name != "cycle_life" or len(each) == len(own))
            }
            means.append({"id": f"mean of {group}", "cell": f"Mean of {len(own)}", "group": group, **mean})
    return means
