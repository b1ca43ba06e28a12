"""``python -m battery_analysis.utils.search_tests``: a door to ``battery-analysis search``."""

from __future__ import annotations

import sys

from cli.common import run
from cli.search import app

if __name__ == "__main__":
    sys.exit(run(app))
