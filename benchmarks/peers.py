"""The environment of established readers that need other library versions: ``python -m benchmarks.peers`` makes it.

It lies in the user's cache folder and holds what ``peers.txt`` pins. Benchmarks say ``not installed`` without it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path

from platformdirs import user_cache_path

PINS = Path(__file__).with_name("peers.txt")


def main() -> int:
    """Make the environment anew, unless it stands as pinned; exit status 1 if a package cannot be installed."""
    if peer_python() is None:
        print(f"Installing {PINS.name} into {_folder()} (once; some minutes) ...", flush=True)
        shutil.rmtree(_folder(), ignore_errors=True)
        venv.create(_folder(), with_pip=True)
        pip = [_python(), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "-r", PINS]
        if subprocess.run(pip, check=False).returncode:
            return 1
        shutil.copy(PINS, _installed())
    print(f"{peer_python()} has {', '.join(line for line in PINS.read_text().splitlines() if '==' in line)}")
    return 0


def peer_python() -> Path | None:
    """Return the interpreter of the environment; None where it is absent, unfinished or pinned otherwise."""
    finished = _installed().is_file() and _installed().read_bytes() == PINS.read_bytes()
    return _python() if finished else None


def _folder() -> Path:
    return user_cache_path("battery-analysis") / "bench-peers"


def _python() -> Path:
    return _folder() / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def _installed() -> Path:
    return _folder() / PINS.name


if __name__ == "__main__":
    sys.exit(main())
