"""Which properties of samples go together with which results.

One row for each property and result, from the samples that have both:

- a number against a number: Pearson's r (how well a straight line fits), Spearman's rho (how well any rising or
  falling line does), each with its two-sided p. The p of Pearson's r assumes normal scatter; that of Spearman's rho is
  approximated by Student's t, which is rough for fewer than ten samples.
- a category (texts, truth values) against a number: eta squared, the share of the result's variance that lies between
  the categories, and the Kruskal-Wallis H with its p, approximated by chi squared, which is rough for fewer than five
  samples in a category.

No p is corrected for the number of rows: of twenty properties without any effect, one has a p below 0.05. A
correlation is no cause. At least four samples are needed; at least two categories with two samples each, and those
with a single sample are left out. What cannot be computed is null, and ``reason`` says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from battery_analysis.analysis.records import BoolArray, FloatArray
from battery_analysis.analysis.wording import counted
from battery_analysis.errors import AnalysisError

FEWEST = 4
FEWEST_IN_CATEGORY = 2
CONSTANT = 1e-9

SCHEMA: dict[str, type[pl.DataType]] = {
    "property": pl.String,
    "result": pl.String,
    "kind": pl.String,
    "n": pl.Int64,
    "pearson_r": pl.Float64,
    "pearson_p": pl.Float64,
    "spearman_rho": pl.Float64,
    "spearman_p": pl.Float64,
    "categories": pl.Int64,
    "eta_squared": pl.Float64,
    "kruskal_h": pl.Float64,
    "kruskal_p": pl.Float64,
    "reason": pl.String,
}


def correlations(table: pl.DataFrame, properties: Sequence[str], results: Sequence[str]) -> pl.DataFrame:
    """Correlate properties of samples with their results.

    Args:
        table: One row per sample.
        properties: Columns of numbers, texts or truth values.
        results: Columns of numbers.

    Returns:
        One row per pair, with the columns of ``SCHEMA``; ``kind`` is ``numeric`` or ``categorical``.

    Raises:
        AnalysisError: A column is not found, or a result holds no numbers.

    Example:
        >>> table = pl.DataFrame({
        ...     "loading_mg_cm2": [1.0, 2.0, 3.0, 4.0], "binder": ["A", "A", "B", "B"], "fade": [0.1, 0.2, 0.3, 0.4],
        ... })
        >>> found = correlations(table, ["loading_mg_cm2", "binder"], ["fade"])
        >>> found.select("kind", pl.col("pearson_r", "eta_squared").round(3)).rows()
        [('numeric', 1.0, None), ('categorical', None, 0.8)]
    """
    if absent := [name for name in (*properties, *results) if name not in table.columns]:
        raise AnalysisError(f"correlations: columns {absent} not found; the table has {table.columns}")
    if texts := [name for name in results if not table[name].dtype.is_numeric()]:
        raise AnalysisError(f"correlations: results must be numbers, got {texts}")
    rows = []
    for name in properties:
        numeric = table[name].dtype.is_numeric()
        for result in results:
            facts = _numeric(table[name], table[result]) if numeric else _categorical(table[name], table[result])
            kind = "numeric" if numeric else "categorical"
            rows.append({"property": name, "result": result, "kind": kind, **facts})
    return pl.DataFrame(rows, schema=SCHEMA)


def _numeric(one: pl.Series, other: pl.Series) -> dict[str, Any]:
    x, y = one.cast(pl.Float64).to_numpy(), other.cast(pl.Float64).to_numpy()
    both = np.isfinite(x) & np.isfinite(y)
    x, y = x[both], y[both]
    facts: dict[str, Any] = {"n": int(both.sum())}
    if reason := _too_little(x.size) or _constant(one.name, x) or _constant(other.name, y):
        return {**facts, "reason": reason}
    from scipy import stats

    pearson, spearman = stats.pearsonr(x, y), stats.spearmanr(x, y)
    return {
        **facts,
        "pearson_r": float(pearson.statistic),
        "pearson_p": float(pearson.pvalue),
        "spearman_rho": float(spearman.statistic),
        "spearman_p": float(spearman.pvalue),
    }


def _categorical(one: pl.Series, other: pl.Series) -> dict[str, Any]:
    y = other.cast(pl.Float64).to_numpy()
    known = np.isfinite(y) & one.is_not_null().to_numpy()
    words = one.cast(pl.String).to_numpy()[known].astype(str)
    y = y[known]
    names, place, sizes = np.unique(words, return_inverse=True, return_counts=True)
    kept: BoolArray = (sizes >= FEWEST_IN_CATEGORY)[place]
    alone = names[sizes < FEWEST_IN_CATEGORY].tolist()
    groups = [y[place == number] for number in np.flatnonzero(sizes >= FEWEST_IN_CATEGORY)]
    y = y[kept]
    facts: dict[str, Any] = {"n": int(y.size), "categories": len(groups)}
    left_out = f"one sample only, left out: {', '.join(alone)}" if alone else None
    if len(groups) < 2:
        few = f"{counted(len(groups), 'category', 'categories')} with {FEWEST_IN_CATEGORY} samples or more, 2 needed"
        return {**facts, "reason": "; ".join(filter(None, (few, left_out)))}
    if reason := _too_little(y.size) or _constant(other.name, y):
        return {**facts, "reason": reason}
    from scipy import stats

    between = sum(group.size * (group.mean() - y.mean()) ** 2 for group in groups)
    kruskal = stats.kruskal(*groups)
    return {
        **facts,
        "eta_squared": float(between / np.sum((y - y.mean()) ** 2)),
        "kruskal_h": float(kruskal.statistic),
        "kruskal_p": float(kruskal.pvalue),
        "reason": left_out,
    }


def _too_little(count: int) -> str | None:
    return f"{counted(count, 'sample')} with both, {FEWEST} needed" if count < FEWEST else None


def _constant(name: str, values: FloatArray) -> str | None:
    same = np.ptp(values) <= CONSTANT * np.abs(values).max()
    return f"{name} is the same in all {values.size} samples: {values[0]:g}" if same else None
