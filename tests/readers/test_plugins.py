"""Readers of other packages are found by their entry point, used after those of this one, and checked."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from battery_analysis.errors import CorruptFileError, ReadError
from battery_analysis.ingest.reader_pool import ReaderPool
from battery_analysis.readers import plug_ins, plugins
from battery_analysis.reading import find_reader, read
from cli.main import main

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "readers.md"
LOG = "ACME cell logger 2\nt_s,U_mV,I_mA,fan\n0,3700,-1000,7\n10,3690,-1000,8\n"
WHOLE = """
class Whole:
    name = "whole"
    version = "1"
    tester = "Whole"
    suffixes = frozenset({".whole"})
    description = "Whole files"

    def recognises(self, head, path):
        return False

    def read(self, path, *, time_zone="UTC"):
        raise NotImplementedError
"""

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Put a module and its entry points where an installed package would be."""
    modules: list[str] = []

    def put(module: str, code: str, **points: str) -> None:
        site = tmp_path / f"site_{module}"
        info = site / f"{module}-1.0.dist-info"
        info.mkdir(parents=True)
        (site / f"{module}.py").write_text(code, encoding="utf-8")
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        lines = [f"{name} = {module}:{value}" for name, value in points.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{plugins.GROUP}]", *lines, ""]))
        monkeypatch.syspath_prepend(str(site))
        modules.append(module)
        plugins.plugins.cache_clear()

    yield put
    plugins.plugins.cache_clear()
    for module in modules:
        sys.modules.pop(module, None)


def documented() -> tuple[str, str]:
    """The reader that the documentation shows, and its entry point."""
    text = DOCUMENT.read_text(encoding="utf-8")
    code = next(iter(re.findall(r"```python\n(.*?)```", text, re.DOTALL)))
    point = re.search(r'\[project\.entry-points\."battery_analysis\.readers"\]\nacme_log = "acme_reader:(\w+)"', text)
    assert point is not None
    return code, point[1]


def saved(folder: Path, text: str = LOG) -> Path:
    path = folder / "cell.log"
    path.write_text(text)
    return path


def test_the_documented_reader_is_short_and_reads(tmp_path: Path, install: Install) -> None:
    code, name = documented()
    assert len([line for line in code.splitlines() if line.strip()]) <= 32
    install("acme_reader", code, acme_log=name)
    result = read(saved(tmp_path))
    assert result.reader == "acme_log"
    assert result.metadata.tester == "ACME"
    assert result.frame["voltage_volt"].to_list() == [3.7, 3.69]
    assert result.frame["current_ampere"].to_list() == [-1.0, -1.0]
    assert result.frame["aux_fan"].to_list() == [7, 8]
    assert result.warnings == []


def test_the_documented_reader_also_takes_units_from_names(tmp_path: Path, install: Install) -> None:
    code, name = documented()
    text = DOCUMENT.read_text(encoding="utf-8")
    table, mapped = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[1].rsplit("\n\n", 1)
    fixed = next(line for line in code.splitlines() if "to_canonical(raw, MAPS)" in line)
    code = code.replace(fixed, f"        {mapped.strip()}").replace("\n\nclass", f"\n{table}\n\nclass")
    install("acme_reader", code, acme_log=name)
    result = read(
        saved(tmp_path, "ACME cell logger 2\nTime (min),Voltage [mV],Current(A),fan\n1d 00:00:01,3700,-1,7\n")
    )
    assert result.frame.row(0) == (86_401.0, 3.7, -1.0, 1, 7)
    assert result.metadata.sources["voltage_volt"].unit == "mV"


def test_the_documented_reader_refuses_damage(tmp_path: Path, install: Install) -> None:
    code, name = documented()
    install("acme_reader", code, acme_log=name)
    for text in ("ACME cell logger 2\n", LOG.replace("U_mV", "U"), LOG + "1,2,3,4,5,6,7\n"):
        with pytest.raises(CorruptFileError):
            read(saved(tmp_path, text))


def test_worker_processes_see_plug_ins(tmp_path: Path, install: Install) -> None:
    code, name = documented()
    install("acme_reader", code, acme_log=name)
    path = saved(tmp_path)
    with ReaderPool(1) as pool:
        assert pool.submit(path, tmp_path / "1.parcel", str(path), "UTC").result().reader == "acme_log"


def test_formats_lists_plug_ins_and_those_refused(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    install("good_one", WHOLE, whole="Whole")
    install("bad_one", WHOLE.replace("    version", "    edition"), broken="Whole")
    assert main(["formats", "--json"]) == 0
    good, bad = json.loads(capsys.readouterr().out)[-2:]
    assert (good["name"], good["tester"]) == ("whole", "Whole")
    assert bad["name"] == "broken"
    assert bad["description"] == "refused, from package bad_one: bad_one:Whole has no 'version'"


@pytest.mark.parametrize(
    ("code", "value", "reason"),
    [
        (WHOLE, "Absent", "bad:Absent cannot be loaded: AttributeError"),
        ("raise RuntimeError('no licence')", "Whole", "bad:Whole cannot be loaded: RuntimeError: no licence"),
        (WHOLE + "    def __init__(self, port): ...\n", "Whole", "cannot be loaded: TypeError"),
        (WHOLE.replace('"Whole files"', '"two\\nlines"'), "Whole", "has a 'description' that is no line of text"),
        (WHOLE.replace('name = "whole"', "name = 7"), "Whole", "has a 'name' that is no line of text: 7"),
        (WHOLE.replace('".whole"', '"WHOLE"'), "Whole", "has no 'suffixes'"),
        (WHOLE.replace("head, path", "path"), "Whole", r"has no method 'recognises\(head, path\)'"),
        (WHOLE.replace(', time_zone="UTC"', "").replace(", *", ""), "Whole", r"has no method 'read\("),
        (WHOLE.replace('name = "whole"', 'name = "arbin_csv"'), "Whole", "there is a reader 'arbin_csv' already"),
    ],
)
def test_one_that_breaks_the_protocol_is_refused_and_the_others_stay(
    install: Install, caplog: pytest.LogCaptureFixture, code: str, value: str, reason: str
) -> None:
    install("bad", code, bad_reader=value)
    install("good", WHOLE.replace('"whole"', '"good"'), good="Whole")
    with caplog.at_level(logging.WARNING):
        found = plug_ins()
    assert [reader.name for reader in found.readers] == ["good"]
    assert [(each.name, each.package) for each in found.refused] == [("bad_reader", "bad")]
    assert re.search(reason, found.refused[0].reason)
    assert [record.getMessage().count("bad_reader") for record in caplog.records] == [1]


def test_an_object_serves_as_well_as_a_class(install: Install) -> None:
    install("good", WHOLE + "\nreader = Whole()\n", good="reader")
    assert [reader.name for reader in plug_ins().readers] == ["whole"]


def test_plug_ins_are_looked_for_once(install: Install) -> None:
    install("good", WHOLE, good="Whole")
    assert plug_ins() is plug_ins()


def test_one_that_fails_to_say_fails_the_file_by_its_name(tmp_path: Path, install: Install) -> None:
    install("bad", WHOLE.replace("return False", "return head[10**9]"), bad="Whole")
    path = saved(tmp_path)
    with pytest.raises(ReadError, match=r"\(whole\): could not say whether it reads it: IndexError"):
        find_reader(path, path.read_bytes())


def test_one_can_be_named(tmp_path: Path, install: Install) -> None:
    code, name = documented()
    install("acme_reader", code, acme_log=name)
    path = saved(tmp_path).rename(tmp_path / "cell.xyz")
    assert read(path, reader="acme_log").frame.height == 2
