"""How well a model explains data, less what its parameters explain of any data."""

from __future__ import annotations

import math

import numpy as np


def aicc(squares: float, points: int, parameters: int) -> float:
    """Corrected Akaike criterion of a least-squares fit (Hurvich and Tsai, Biometrika 76, 297, 1989); lower is better.

    Args:
        squares: Sum of the squared residuals.
        points: Number of residuals.
        parameters: Number of fitted parameters; the variance of the residuals counts as one more.

    Returns:
        Infinity where there are too few points for so many parameters. Only differences between models of the same
        residuals, weighted alike, mean something.

    >>> aicc(1.0, 100, 3) < aicc(1.0, 100, 4) < aicc(2.0, 100, 3)
    True
    """
    count = parameters + 1
    if points - count - 1 <= 0:
        return math.inf
    # Exact data leave nothing but rounding, which must not choose the model.
    variance = max(squares / points, float(np.finfo(np.float64).eps) ** 1.5)
    return points * math.log(variance) + 2 * count + 2 * count * (count + 1) / (points - count - 1)
