"""How alike cells are: features of their lives, distances between them, groups, and principal components.

Features come from cycle tables (``features``) or from anywhere else: a table with one row per cell, a column
``cell``, and numbers. Before anything is compared, ``scaled`` makes them comparable and says what it left out, and why:

- a feature that has gaps in more than a fifth of the cells, and one that is the same in all of them (within 1e-9 of
  its size), is left out
- ``standard`` scaling subtracts the mean and divides by the standard deviation (n - 1); ``robust`` subtracts the
  median and divides by 1.4826 times the median absolute deviation, or, where more than half of the cells agree so that
  this is zero, by the standard deviation. Scaled features have no unit.

Nothing is filled in. A distance counts the features that both cells have, and is null where they share less than
half; clusters and components need all features, so cells with a gap are left out there.

Distances: ``euclidean`` is the root mean square of the differences of scaled features, ``manhattan`` their mean
magnitude. Both are per feature, so a distance of 1 is one standard deviation in each of them. Assumed is that all
features count alike; two that say the same count twice.

Clusters are none of nature's: k-means and agglomerative clustering (Ward) part any data. The silhouette (-1 to 1) says
how well; below about 0.25 there is no structure to speak of. Without a number of clusters, that with the best
silhouette is taken. k-means starts 20 times from a stated seed.

Clusters need scikit-learn (extra ``advanced``); distances and components do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import polars as pl

from battery_analysis.analysis.extras import needs
from battery_analysis.analysis.features import CELL
from battery_analysis.analysis.records import BoolArray, FloatArray, IntArray
from battery_analysis.analysis.wording import counted
from battery_analysis.errors import AnalysisError

Scaling = Literal["standard", "robust"]
Distance = Literal["euclidean", "manhattan"]
Clustering = Literal["kmeans", "agglomerative"]

MOST_GAPS = 0.2
LEAST_SHARED = 0.5
CONSTANT = 1e-9
MOST_CLUSTERS = 8
STARTS = 20
LARGEST = 1e100

_MAD = 1.4826


class LeftOut(NamedTuple):
    """A feature or a cell that was not used, and why."""

    what: Literal["feature", "cell"]
    name: str
    reason: str


@dataclass(frozen=True)
class Scaled:
    """Features of cells without units, NaN where a cell has a gap; ``center`` and ``spread`` have the features' own."""

    cells: tuple[str, ...]
    features: tuple[str, ...]
    values: FloatArray
    center: FloatArray
    spread: FloatArray
    scaling: Scaling
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True)
class Distances:
    """``table`` has one row per pair of cells: ``cell``, ``other``, ``distance``, ``features`` shared, ``reason``."""

    table: pl.DataFrame
    distance: Distance
    scaled: Scaled


@dataclass(frozen=True)
class Clusters:
    """``table`` says for each cell its ``cluster`` (from 1, the largest first) and its own ``silhouette``.

    ``tried`` has the mean silhouette of each number of clusters that was tried.
    """

    table: pl.DataFrame
    count: int
    silhouette: float
    tried: Mapping[int, float]
    method: Clustering
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True)
class Components:
    """``scores`` has cell, pc1, pc2, …, ``loadings`` feature, pc1, …; ``explained`` are shares of the variance."""

    scores: pl.DataFrame
    loadings: pl.DataFrame
    explained: tuple[float, ...]
    left_out: tuple[LeftOut, ...]


def scaled(table: pl.DataFrame, features: Sequence[str] | None = None, *, scaling: Scaling = "standard") -> Scaled:
    """Make features comparable.

    Args:
        table: One row per cell, with a column ``cell``.
        features: Which columns count; without them, all that hold numbers.
        scaling: By mean and standard deviation, or by median and median absolute deviation.

    Raises:
        AnalysisError: There is no such column, fewer than two cells, a cell twice, or no feature is left.

    Example:
        >>> table = pl.DataFrame({"cell": ["A", "B", "C"], "capacity_ah": [1.0, 2.0, 3.0], "rig": [7, 7, 7]})
        >>> found = scaled(table)
        >>> found.values.tolist(), found.left_out[0].reason
        ([[-1.0], [0.0], [1.0]], 'the same in all cells: 7')
    """
    _one_of("scaling", scaling, get_args(Scaling))
    names = _features(table, features)
    kept, columns, centers, spreads, left_out = [], [], [], [], []
    for name in names:
        values = table[name].cast(pl.Float64).to_numpy().copy()
        values[~np.isfinite(values)] = np.nan
        if reason := _unusable(values, table[CELL].to_list()):
            left_out.append(LeftOut("feature", name, reason))
            continue
        with np.errstate(all="ignore"):
            center, spread = _center_and_spread(values[np.isfinite(values)], scaling)
            own = (values - center) / spread
        if not np.abs(own[np.isfinite(values)]).max() < LARGEST:
            left_out.append(LeftOut("feature", name, "its numbers are too large, or too unlike, to be scaled"))
            continue
        kept.append(name)
        columns.append(own)
        centers.append(center)
        spreads.append(spread)
    if not kept:
        why = "; ".join(f"{each.name}: {each.reason}" for each in left_out)
        raise AnalysisError(f"similarity: no feature is left of {len(names)} ({why})")
    cells = tuple(table[CELL].cast(pl.String).to_list())
    return Scaled(
        cells, tuple(kept), np.column_stack(columns), np.array(centers), np.array(spreads), scaling, tuple(left_out)
    )


def distances(
    table: pl.DataFrame,
    features: Sequence[str] | None = None,
    *,
    distance: Distance = "euclidean",
    scaling: Scaling = "standard",
) -> Distances:
    """Tabulate how far each two cells are apart, the closest first.

    Raises:
        AnalysisError: As ``scaled`` says.

    Example:
        >>> table = pl.DataFrame({"cell": ["A", "B", "C"], "capacity_ah": [1.0, 1.5, 3.0], "fade": [1.0, 1.0, None]})
        >>> distances(table).table.select("cell", "other", "features").rows()
        [('A', 'B', 1), ('B', 'C', 1), ('A', 'C', 1)]
    """
    _one_of("distance", distance, get_args(Distance))
    found = scaled(table, features, scaling=scaling)
    rows = []
    for first, name in enumerate(found.cells):
        for second in range(first + 1, len(found.cells)):
            apart = np.abs(found.values[first] - found.values[second])
            apart = apart[np.isfinite(apart)]
            enough = apart.size >= max(1.0, LEAST_SHARED * len(found.features))
            size = float(np.sqrt(np.mean(apart**2)) if distance == "euclidean" else np.mean(apart)) if enough else None
            rows.append(
                {
                    CELL: name,
                    "other": found.cells[second],
                    "distance": size,
                    "features": int(apart.size),
                    "reason": None if enough else f"{apart.size} of {len(found.features)} features in common",
                }
            )
    schema = {CELL: pl.String, "other": pl.String, "distance": pl.Float64, "features": pl.Int64, "reason": pl.String}
    return Distances(pl.DataFrame(rows, schema=schema).sort("distance", nulls_last=True), distance, found)


def clusters(
    table: pl.DataFrame,
    features: Sequence[str] | None = None,
    *,
    count: int | None = None,
    method: Clustering = "kmeans",
    scaling: Scaling = "standard",
    seed: int = 0,
) -> Clusters:
    """Part cells into clusters.

    Raises:
        AnalysisError: Fewer than three cells have all features, ``count`` is not from 2 to one less than their number,
            or scikit-learn is not installed (the extra is named).

    Example:
        >>> table = pl.DataFrame({"cell": list("ABCDE"), "capacity_ah": [1.0, 1.1, 1.2, 3.0, 3.1]})
        >>> found = clusters(table)
        >>> found.count, found.table["cluster"].to_list()
        (2, [1, 1, 1, 2, 2])
    """
    _one_of("method", method, get_args(Clustering))
    with needs("advanced", "similarity"):
        from sklearn.metrics import silhouette_samples
    cells, values, left_out = _whole(scaled(table, features, scaling=scaling))
    distinct = np.unique(values, axis=0).shape[0]
    most = min(len(cells) - 1, distinct)
    if most < 2:
        raise AnalysisError(f"similarity: at least 3 cells with 2 different sets of features are needed, got {cells}")
    if count is not None and not 2 <= count <= most:
        raise AnalysisError(f"similarity: count must lie between 2 and {most} for {len(cells)} cells, got {count}")
    counts = range(2, min(most, MOST_CLUSTERS) + 1) if count is None else [count]
    labels = {number: _labels(values, number, method, seed) for number in counts}
    samples = {number: np.asarray(silhouette_samples(values, own)) for number, own in labels.items()}
    tried = {number: float(own.mean()) for number, own in samples.items()}
    best = max(tried, key=lambda number: (tried[number], -number))
    of_cells = pl.DataFrame({CELL: cells, "cluster": labels[best], "silhouette": samples[best]})
    return Clusters(of_cells, best, tried[best], tried, method, left_out)


def components(
    table: pl.DataFrame,
    features: Sequence[str] | None = None,
    *,
    count: int = 2,
    scaling: Scaling = "standard",
) -> Components:
    """Find the principal components of the features, by singular values.

    Signs are fixed: the largest loading of each component is positive.

    Raises:
        AnalysisError: Fewer than two cells have all features, or ``count`` is less than 1 or more than there can be.

    Example:
        Two features that go together are one component:

        >>> table = pl.DataFrame({"cell": list("ABC"), "x": [1.0, 2.0, 3.0], "y": [2.0, 4.0, 6.0]})
        >>> found = components(table, count=1)
        >>> [round(share, 6) for share in found.explained], found.loadings["pc1"].round(3).to_list()
        ([1.0], [0.707, 0.707])
    """
    whole = scaled(table, features, scaling=scaling)
    cells, values, left_out = _whole(whole)
    most = min(len(cells) - 1, len(whole.features))
    if not 1 <= count <= most:
        raise AnalysisError(
            f"similarity: {len(cells)} cells with all of {len(whole.features)} features have "
            f"{counted(max(most, 0), 'component')}, got count {count}"
        )
    centered = values - values.mean(axis=0)
    left, singular, right = np.linalg.svd(centered, full_matrices=False)
    signs = np.sign(right[np.arange(right.shape[0]), np.abs(right).argmax(axis=1)])
    variance = singular**2
    if not variance.sum():
        raise AnalysisError(f"similarity: the {len(cells)} cells that have all features are the same in all of them")
    names = [f"pc{number}" for number in range(1, count + 1)]
    scores = (left * singular * signs)[:, :count]
    loadings = (right.T * signs)[:, :count]
    return Components(
        pl.DataFrame({CELL: cells}).hstack(pl.DataFrame(scores, schema=names)),
        pl.DataFrame({"feature": whole.features}).hstack(pl.DataFrame(loadings, schema=names)),
        tuple((variance / variance.sum())[:count].tolist()),
        left_out,
    )


def _features(table: pl.DataFrame, features: Sequence[str] | None) -> list[str]:
    if CELL not in table.columns:
        raise AnalysisError(f"similarity: column {CELL!r} not found; the table has {table.columns}")
    if table.height < 2:
        raise AnalysisError(f"similarity: at least 2 cells are needed, got {table.height}")
    if twice := table[CELL].filter(table[CELL].is_duplicated()).unique().to_list():
        raise AnalysisError(f"similarity: cells stand in the table twice: {sorted(map(str, twice))}")
    numeric = [name for name in table.columns if name != CELL and table[name].dtype.is_numeric()]
    if features is None:
        names = numeric
    elif unknown := [name for name in features if name not in numeric]:
        raise AnalysisError(f"similarity: no columns of numbers {unknown}; there are {numeric}")
    else:
        names = list(features)
    if not names:
        raise AnalysisError(f"similarity: no column holds numbers; the table has {table.columns}")
    return names


def _unusable(values: FloatArray, cells: Sequence[Any]) -> str | None:
    """Why a feature cannot be used; None if it can."""
    known = values[np.isfinite(values)]
    if values.size - known.size > MOST_GAPS * values.size:
        lacking = [str(cell) for cell, value in zip(cells, values, strict=True) if not np.isfinite(value)]
        shown = ", ".join(lacking[:5]) + (", …" if len(lacking) > 5 else "")
        return f"not known of {len(lacking)} of {values.size} cells ({shown})"
    if known.max() - CONSTANT * np.abs(known).max() <= known.min():
        return f"the same in all cells: {known[0]:g}"
    return None


def _center_and_spread(known: FloatArray, scaling: Scaling) -> tuple[float, float]:
    deviation = float(known.std(ddof=1))
    if scaling == "standard":
        return float(known.mean()), deviation
    center = float(np.median(known))
    return center, _MAD * float(np.median(np.abs(known - center))) or deviation


def _whole(found: Scaled) -> tuple[list[str], FloatArray, tuple[LeftOut, ...]]:
    """The cells that have all features, and all that was left out."""
    gaps: BoolArray = ~np.isfinite(found.values)
    lacking = [
        LeftOut("cell", cell, "not known: " + ", ".join(np.array(found.features)[gap].tolist()))
        for cell, gap in zip(found.cells, gaps, strict=True)
        if gap.any()
    ]
    whole: BoolArray = ~np.any(gaps, axis=1)
    cells = [cell for cell, is_whole in zip(found.cells, whole.tolist(), strict=True) if is_whole]
    return cells, found.values[whole], (*found.left_out, *lacking)


def _labels(values: FloatArray, count: int, method: Clustering, seed: int) -> IntArray:
    """Cluster of each cell from 1, the largest first; of equal ones that of the earlier cell."""
    with needs("advanced", "similarity"):
        from sklearn.cluster import AgglomerativeClustering, KMeans
    model = KMeans(count, n_init=STARTS, random_state=seed) if method == "kmeans" else AgglomerativeClustering(count)
    found = np.asarray(model.fit_predict(values))
    names, firsts, sizes = np.unique(found, return_index=True, return_counts=True)
    order = names[np.lexsort((firsts, -sizes))].tolist()
    return np.array([order.index(each) + 1 for each in found.tolist()], dtype=np.int64)


def _one_of(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise AnalysisError(f"similarity: {name} must be one of {', '.join(known)}, got {value!r}")
