"""Figures on their way out: plotly would copy each, walk through the copy twice, and pack its numbers at leisure."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import plotly.graph_objects as go
from _plotly_utils.utils import to_typed_array_spec

_FORMS = {np.dtype(np.float32): "f4", np.dtype(np.float64): "f8"}
_NEVER_PACKED = frozenset({"geojson", "layer", "layers", "range"})
"""Properties of which plotly's script wants the numbers themselves."""


class Drawn(go.Figure):
    """A figure that is sent without being copied."""

    def to_plotly_json(self) -> dict[str, Any]:
        """Return what the browser gets; whatever is no array is shared with the figure."""
        return {"data": _sent(self._data), "layout": _sent(self._layout)}


def _sent(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: each if name in _NEVER_PACKED else _sent(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_sent(each) for each in value]
    if isinstance(value, np.ndarray) and value.ndim == 1 and value.size and (form := _FORMS.get(value.dtype)):
        return {"dtype": form, "bdata": base64.b64encode(value.tobytes()).decode("ascii")}
    is_array = hasattr(value, "__array__") and not isinstance(value, np.generic)
    return to_typed_array_spec(value) if is_array else value
