"""A small battery lab that exists only as code: cells by a stated model, written as testers' files.

Every file says in its comment field that it is synthetic (``SYNTHETIC``). ``python -m examples FOLDER`` writes the
lab; ``examples.lab.make_lab`` does the same from Python.
"""

SYNTHETIC = "SYNTHETIC example data, computed by battery-analysis examples; no real cell was measured"
"""What every written file says in its comment field."""
