"""Environments of established packages that need other library versions: ``python -m benchmarks.peers`` makes them.

They lie in the user's cache folder, each with what a file of pins beside this one says. Benchmarks say
``not installed`` without them.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path

from platformdirs import user_cache_path

from benchmarks.contenders import AURORA, PEERS, PYPROBE

ENVIRONMENTS = (PEERS, PYPROBE, AURORA)


def main() -> int:
    """Make each environment anew, unless it stands as pinned; exit status 1 if a package cannot be installed."""
    return max(_made(name) for name in ENVIRONMENTS)


def peer_python(environment: str = PEERS) -> Path | None:
    """Return the interpreter of an environment; None where it is absent, unfinished or pinned otherwise."""
    pins, installed = _pins(environment), _installed(environment)
    return _python(environment) if installed.is_file() and installed.read_bytes() == pins.read_bytes() else None


def _made(environment: str) -> int:
    pins, folder = _pins(environment), _folder(environment)
    if peer_python(environment) is None:
        print(f"Installing {pins.name} into {folder} (once; some minutes) ...", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        pip = [_python(environment), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "-r", pins]
        if subprocess.run(pip, check=False).returncode:
            return 1
        shutil.copy(pins, _installed(environment))
    print(f"{peer_python(environment)} has {', '.join(line for line in pins.read_text().splitlines() if '==' in line)}")
    return 0


def _pins(environment: str) -> Path:
    return Path(__file__).with_name(f"{environment}.txt")


def _folder(environment: str) -> Path:
    return user_cache_path("battery-analysis") / f"bench-{environment}"


def _python(environment: str) -> Path:
    return _folder(environment) / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def _installed(environment: str) -> Path:
    return _folder(environment) / _pins(environment).name


if __name__ == "__main__":
    sys.exit(main())
