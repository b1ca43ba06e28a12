"""A window of tests as the controls of the time series say it, and what is drawn of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from battery_analysis.errors import BatteryAnalysisError
from dashboard import links
from dashboard.data import series
from dashboard.data.names import told_apart
from dashboard.figures_series import Strip, View, series_figure

if TYPE_CHECKING:
    import plotly.graph_objects as go

AXES = {"h": "Test time / h", "s": "Test time / s", "d": "Test time / d", "date": "Date and time (UTC)"}
SECONDS = {"h": 3600.0, "s": 1.0, "d": 86_400.0}

MOST_SIGNALS = 8


class Wanted:
    """Tests, columns and window as the controls say them."""

    def __init__(self, found: Sequence[series.Test], names: Sequence[str], axis: str, first: str, last: str) -> None:
        """Read the window.

        Raises:
            BatteryAnalysisError: An end of the window is no number or moment, or there is nothing to draw.
        """
        self.remarks: list[str] = []
        self.axis = axis if axis in AXES else "h"
        self.tests = self._placed(found)
        self.ends = (self._end("From", first), self._end("To", last))
        if None not in self.ends and self.ends[0] >= self.ends[1]:  # type: ignore[operator]
            raise BatteryAnalysisError(f"From must be before To, got {first} and {last}")
        known = series.signals(self.tests)
        self.names = [name for name in names if name in known][:MOST_SIGNALS] or series.usual(self.tests)
        self.signals = [known[name] for name in self.names]
        if not self.names:
            raise BatteryAnalysisError("these tests have no column of numbers to draw")

    def _placed(self, found: Sequence[series.Test]) -> list[series.Test]:
        timed = [test for test in found if series.has_time(test)]
        if timed and len(timed) < len(found):
            self.remarks.append("Tests without a test time are not shown beside those with one.")
        self.counted = not timed
        if self.axis != "date" or self.counted:
            return timed or list(found)
        dated = [test for test in timed if series.starts_at(test) is not None]
        if not dated:
            raise BatteryAnalysisError("none of these tests says when it was started: choose an axis of test time")
        if len(dated) < len(timed):
            self.remarks.append(f"Not shown, since their start is unknown: {len(timed) - len(dated)}.")
        return dated

    def _end(self, label: str, text: str) -> float | None:
        """Return an end of the window, in the unit of the axis or in s since 1970."""
        if not text.strip() or self.counted:
            return None
        if self.axis == "date":
            return series.moment(text)
        value = links.number(text.strip())
        if value is None:
            raise BatteryAnalysisError(f"{label} must be a number in {self.axis}, got {text[:40]!r}")
        return value

    def span(self, test: series.Test) -> series.Span:
        """Return the window in s of this test's own time."""
        first, last = self.ends
        if self.axis == "date":
            start = series.starts_at(test) or 0.0
            return None if first is None else first - start, None if last is None else last - start
        scale = SECONDS[self.axis]
        return None if first is None else first * scale, None if last is None else last * scale

    def place(self, test: series.Test, seconds: Any) -> Any:
        """Return test times as places on the axis."""
        if self.counted:
            return seconds
        if self.axis == "date":
            return series.moments(seconds, series.starts_at(test) or 0.0)
        return seconds / SECONDS[self.axis]

    def figure(self, marks: str) -> tuple[go.Figure, list[str]]:
        """Return the figure and what is to be said of it."""
        found = [series.curves(test, self.names, self.span(test)) for test in self.tests]
        told = told_apart((str(test.id), test.name, test.cell_code) for test in self.tests)
        strips = [
            Strip(
                each.name,
                each.title,
                each.unit,
                [
                    (told[str(test.id)], self.place(test, curves[each.name][0]), curves[each.name][1])
                    for test, curves in zip(self.tests, found, strict=True)
                    if each.name in curves
                ],
                counted=not each.unit and each.name.endswith(("_count", "_id")),
            )
            for each in self.signals
        ]
        if not any(values.size for strip in strips for _, _, values in strip.curves):
            self.remarks.append("There are no records in this window.")
        title = "Record" if self.counted else AXES[self.axis]
        view = View(title, self._window(), self._marks(marks), is_date=self.axis == "date" and not self.counted)
        return series_figure(strips, view), self.remarks

    def _window(self) -> list[Any] | None:
        if None in self.ends or self.counted:
            return None
        if self.axis == "date":
            return [str(each) for each in series.moments(_array(self.ends), 0.0)]
        return list(self.ends)

    def _marks(self, wanted: str) -> list[tuple[Any, str]]:
        """Return the marks of the first test; those of several would be told apart by nothing."""
        test = self.tests[0]
        if self.counted or wanted == "none":
            return []
        if wanted == "steps":
            found, reason = series.step_marks(test, self.span(test))
            if reason:
                self.remarks.append(f"{reason[0].upper()}{reason[1:]}.")
        else:
            found = series.cycle_marks(test, self.span(test))
        places = self.place(test, _array([each.second for each in found]))
        return [(_plain(place), each.label) for place, each in zip(places, found, strict=True)]


def _array(values: Sequence[Any]) -> Any:
    import numpy as np

    return np.asarray(values, dtype=np.float64)


def _plain(place: Any) -> Any:
    return str(place) if place.dtype.kind == "M" else float(place)
