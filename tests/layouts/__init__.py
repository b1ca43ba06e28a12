"""Every layout that is read, as its tester writes it, from records of which everything is known."""

from __future__ import annotations

from tests.layouts import binaries, exchange, testers, testers_by_step, workbooks
from tests.layouts.table import Layout

TEXTS: tuple[Layout, ...] = (*testers.LAYOUTS, *testers_by_step.LAYOUTS, *exchange.LAYOUTS)
"""Layouts whose records are lines, so that a file grows by appending."""

LAYOUTS: tuple[Layout, ...] = (*TEXTS, *workbooks.LAYOUTS, *binaries.LAYOUTS)
