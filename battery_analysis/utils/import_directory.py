"""``python -m battery_analysis.utils.import_directory``: a door to ``battery-analysis import``."""

from __future__ import annotations

import sys

from cli.common import run
from cli.import_directory import app

if __name__ == "__main__":
    sys.exit(run(app))
