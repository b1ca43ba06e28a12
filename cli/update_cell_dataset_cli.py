"""``python cli/update_cell_dataset_cli.py``, also with ``-m``: a door to ``battery-analysis dataset``."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    if not __package__:  # run as a file, Python looks for modules beside it, and not in the project's folder
        sys.path[0] = str(Path(__file__).resolve().parents[1])
    from cli.common import run
    from cli.dataset import app

    sys.exit(run(app))
