"""A project of aurora-cycler-manager with some files in it, made by its own importers and its own analysis.

A program for aurora's own environment, ``PYTHON -m benchmarks.aurora_project FOLDER FILE…``: each file becomes the
sample of its name. ``aurora-app --user-config FOLDER/user.json`` then shows the project.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

USER_CONFIG = "user.json"


def main() -> int:
    """Make the project; prints a line of JSON: how many records aurora kept of each sample, and draws of them."""
    folder, *files = (Path(each) for each in sys.argv[1:])
    config = folder / USER_CONFIG
    config.write_text(json.dumps({"Snapshots folder path": str(folder / "snapshots"), "Time zone": "UTC"}))
    os.environ["AURORA_USER_CONFIG"] = str(config)
    # They read the configuration while they are imported.
    from aurora_cycler_manager.database_setup import create_new_setup

    create_new_setup(folder / "project")
    from aurora_cycler_manager import analysis, database_funcs, eclab_harvester, neware_harvester

    database_funcs.add_samples_from_object([{"Sample ID": path.stem} for path in files])
    kept = {}
    for path in files:
        if path.suffix == ".mpr":
            eclab_harvester.convert_mpr(path, sample_id=path.stem)
        else:
            neware_harvester.convert_neware_data(path, sampleid=path.stem)
        made = analysis.analyse_sample(path.stem)
        kept[path.stem] = made.cycling.height, made.cycling_shrunk.height
    print(json.dumps(kept))
    return 0


if __name__ == "__main__":
    sys.exit(main())
