"""``python -m battery_analysis.utils.import_watcher``: a door to ``battery-analysis watch``."""

from __future__ import annotations

import sys

from cli.common import run
from cli.watch import app

if __name__ == "__main__":
    sys.exit(run(app))
