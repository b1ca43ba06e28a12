"""Files that testers write beside those with records: what they are, and to which data they belong.

EC-Lab and BT-Lab name all files of a run alike: ``run.mps`` holds the settings of ``run_01_OCV_C01.mpr``. While a
technique runs, its log and the starts of its loops lie in ``run_01_OCV_C01.mpl`` and ``run_01_OCV_C01_LOOP.txt``;
EC-Lab moves both into the ``.mpr`` at the end. Arbin's and Maccor's data name their schedule or procedure in their
header; beside ``run_CH8.csv`` as Arbin's database gives it lies ``run_CH8_Metadata.csv``.

A file and the data it belongs to have a *link* in common: a text made of the tester, the folder and the name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal

Kind = Literal["settings", "log"]
_Naming = Literal["run", "file", "protocol"]

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class BesideFormat:
    """A kind of file without records, and how it tells to which data it belongs.

    ``names`` says what its name is: the beginning of the data files' names (``run``), their name (``file``), or what
    their header calls schedule or procedure (``protocol``). Such a file need not lie beside its data where
    ``anywhere`` says so.
    """

    name: str
    tester: str
    title: str
    kind: Kind
    suffixes: frozenset[str]
    what: str
    beginning: str
    pattern: re.Pattern[bytes]
    names: _Naming
    tail: str = ""
    anywhere: bool = False

    @property
    def description(self) -> str:
        """One line: which data it is attached to, and how it is recognised."""
        data = {
            "run": "the tests of its run",
            "file": "the test of the same name",
            "protocol": f"tests that name it{'' if self.anywhere else ' and lie beside it'}",
        }
        return f"{self.title}, attached to {data[self.names]}; begins with {self.beginning}"

    def beginning_of_data(self, path: str) -> str | None:
        """Return how the paths of its data begin; None where their header decides."""
        place = PurePath(path)
        return None if self.names == "protocol" else _folder(path) + place.stem.removesuffix(self.tail)

    def link(self, path: str) -> str:
        """Return what this file has in common with its data."""
        place = PurePath(path)
        called = place.name.casefold()
        named = called if self.anywhere else _folder(path) + called
        return _link(self.tester, self.names, self.beginning_of_data(path) or named)


BESIDE: tuple[BesideFormat, ...] = (
    BesideFormat(
        name="eclab_settings",
        tester="BioLogic",
        title="EC-Lab settings",
        kind="settings",
        suffixes=frozenset({".mps"}),
        what="an EC-Lab settings file (.mps)",
        beginning="'EC-LAB SETTING FILE' or 'BT-LAB SETTING FILE'",
        pattern=re.compile(rb"EC-LAB SETTING FILE|BT-LAB SETTING FILE"),
        names="run",
    ),
    BesideFormat(
        name="eclab_log",
        tester="BioLogic",
        title="EC-Lab log",
        kind="log",
        suffixes=frozenset({".mpl"}),
        what="an EC-Lab log (.mpl)",
        beginning="'EC-Lab LOG FILE' or 'BT-Lab LOG FILE'",
        pattern=re.compile(rb"(EC|BT)-Lab LOG FILE"),
        names="file",
    ),
    BesideFormat(
        name="eclab_loops",
        tester="BioLogic",
        title="EC-Lab list of loops",
        kind="log",
        suffixes=frozenset({".txt"}),
        what="an EC-Lab list of loops (_LOOP.txt)",
        beginning="'VMP EXPERIMENT LOOP INDEXES'",
        pattern=re.compile(rb"VMP EXPERIMENT LOOP INDEXES"),
        names="file",
        tail="_LOOP",
    ),
    BesideFormat(
        name="maccor_procedure",
        tester="Maccor",
        title="Maccor procedure",
        kind="settings",
        suffixes=frozenset({".000"}),
        what="a Maccor procedure",
        beginning="'<?maccor-application' and 'Maccor Procedure File'",
        pattern=re.compile(rb"\s*<\?maccor-application\b[^>]*Maccor Procedure File"),
        names="protocol",
        anywhere=True,
    ),
    BesideFormat(
        name="arbin_schedule",
        tester="Arbin",
        title="Arbin schedule",
        kind="settings",
        suffixes=frozenset({".sdu"}),
        what="an Arbin schedule (.sdu)",
        beginning="sections, '[Schedule…]' among them",
        pattern=re.compile(rb"(?s).*?^\[Schedule(_\w+)?\]", re.MULTILINE),
        names="protocol",
    ),
    BesideFormat(
        name="arbin_metadata",
        tester="Arbin",
        title="Arbin test description",
        kind="settings",
        suffixes=frozenset({".csv"}),
        what="the description of an Arbin test (_Metadata.csv)",
        beginning="the column names 'test_id', 'device_id', 'iv_ch_id'",
        pattern=re.compile(rb"[\"\w]*,?\"?test_id\"?,\"?device_id\"?,\"?iv_ch_id\"?,"),
        names="file",
        tail="_Metadata",
    ),
)

BESIDE_SUFFIXES = frozenset[str]().union(*(each.suffixes for each in BESIDE)) - {".txt", ".csv"}
"""Suffixes that files with records rarely have: a hint."""


def beside_format(head: bytes) -> BesideFormat | None:
    """Return what kind of file without records begins with ``head``."""
    return next((each for each in BESIDE if each.pattern.match(head.removeprefix(_BOM))), None)


def links_of_data(path: str, tester: str, protocol: str | None) -> list[str]:
    """Return the links of a file with records, whatever lies beside it.

    >>> links_of_data("/lab/run_C01.mpr", "BioLogic", None)
    ['BioLogic file /lab/run_C01', 'BioLogic run /lab/run', 'BioLogic run /lab/run_C01']
    """
    folder, stem = _folder(path), PurePath(path).stem
    # "run.mps" belongs to "run_01.mpr", not to "run2.mpr".
    beginnings = [stem[:at] for at, char in enumerate(stem) if at and not char.isalnum()] + [stem]
    links = [_link(tester, "file", folder + stem), *(_link(tester, "run", folder + each) for each in beginnings)]
    if called := re.split(r"[\\/]", (protocol or "").strip())[-1].casefold():
        links += [_link(tester, "protocol", folder + called), _link(tester, "protocol", called)]
    return links


def regular_file_beside(path: Path, suffixes: Iterable[str]) -> Path | None:
    """Return a file with the name of ``path`` and another suffix; links are not followed."""
    named = (path.with_suffix(suffix) for suffix in suffixes)
    return next((each for each in named if each.is_file() and not each.is_symlink()), None)


def _folder(path: str) -> str:
    # As text: a path would lose one of the strokes of an address such as "s3://bucket/run.mpr".
    return path[: len(path) - len(PurePath(path).name)]


def _link(tester: str, names: _Naming, what: str) -> str:
    return f"{tester} {names} {what}"
