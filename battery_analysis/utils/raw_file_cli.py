"""``python -m battery_analysis.utils.raw_file_cli``: a door to ``battery-analysis raw``."""

from __future__ import annotations

import sys

from cli.common import run
from cli.raw import app

if __name__ == "__main__":
    sys.exit(run(app))
