"""What testers' own words for the kind of a step mean, whichever tester wrote them.

A word is taken apart into what is held (current, voltage, …) and which way the current flows. It has a meaning only if
every part of it is known: nothing is guessed from a part, nor from the data. Kinds are written as the Battery Data
Format writes its examples: ``REST``, ``OCV``, ``EIS``, ``CC_CHG``, ``CC_DCH``, ``CV_CHG``, ``CCCV_CHG``; where a word
tells only one half, that half alone (``CC``, ``CHG``).
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
import polars as pl

from battery_analysis.columns import STEP_KIND, STEP_TYPE, insert

Held = Literal["CC", "CV", "CCCV", "CP", "CPCV", "CR", "CRCV"]
Control = Held | Literal["REST", "OCV", "EIS", "PULSE", "RAMP", "PROFILE", "DCIR", "SWEEP", ""]
Hold = Literal["rest", "cc", "cv", "cccv", "other"]

_LETTERS: dict[str, tuple[Control, int]] = {
    **dict.fromkeys("RPSO", ("REST", 0)),  # Maccor: rest, pause, suspended, test over; Landt: rest
    "C": ("", 1),
    "D": ("", -1),
}
_PHRASES: tuple[tuple[str, str], ...] = (
    ("constant[ _-]?current|恒流", "cc"),
    ("constant[ _-]?voltage|恒压", "cv"),
    ("constant[ _-]?power|恒功率", "cp"),
    ("constant[ _-]?resistance|恒阻|恒电阻", "cr"),
    ("open[ _-]?circuit(?:[ _-]?(?:voltage|potential|storage))?|开路(?:电压)?", "ocv"),
    ("cyclic[ _-]?voltammetry|循环伏安", "sweep"),
    ("drive[ _-]?cycle|模拟工况|工况模拟|工况", "sim"),
    ("搁置|静置|休眠|暂停", "rest"),
    ("脉冲", "pulse"),
    ("斜坡", "ramp"),
    ("直流内阻", "dcir"),
    ("倍率", "rate"),
    ("充放电", "charge discharge"),
    ("充电", "charge"),
    ("放电", "discharge"),
    (r"\bd[ _-]+(?=ch)", "d"),  # D_Chg, D Charge
    (r"\b(?:\d+(?:[.,]\d+)?)?c */ *\d+(?:[.,]\d+)?\b", " "),  # C/10
)
_CONTROLS: dict[str, Control] = {
    **dict.fromkeys(("rest", "pause", "pau", "idle", "wait", "ruhe"), "REST"),
    **dict.fromkeys(("ocv", "ocp", "ocvcurve"), "OCV"),
    **dict.fromkeys(("eis", "peis", "geis", "fra", "impedance", "zcurve"), "EIS"),
    "cc": "CC",
    "cv": "CV",
    "cccv": "CCCV",
    "cp": "CP",
    "cpcv": "CPCV",
    "cr": "CR",
    "crcv": "CRCV",
    "pulse": "PULSE",
    "ramp": "RAMP",
    **dict.fromkeys(("sim", "simulation", "profile"), "PROFILE"),
    "dcir": "DCIR",
    "sweep": "SWEEP",
    **dict.fromkeys(("rate", "pcccv"), ""),  # say which way by what else stands there
}
_DIRECTIONS = {
    **dict.fromkeys(("charge", "charging", "chg", "cha", "laden", "ladung", "lad"), 1),
    **dict.fromkeys(
        (
            *("discharge", "discharging", "dcharge", "dischg", "disch", "dchg", "dch", "dis"),
            *("entladen", "entladung", "ela"),
        ),
        -1,
    ),
}
_HELD = {"cc", "cv", "cccv", "cp", "cpcv", "cr", "crcv"}
_FILLERS = {"step", "hold", "mode"}
_TOGETHER: dict[frozenset[Control], Control] = {
    frozenset({"CC", "CV"}): "CCCV",
    frozenset({"CP", "CV"}): "CPCV",
    frozenset({"CR", "CV"}): "CRCV",
}
_JOINED = re.compile(r"(cccv|cpcv|crcv|cc|cv|cp|cr|rate)_?(charge|discharge|chg|dchg|dch|c|d)")
_NUMBER = re.compile(r"\d+[a-z]*")
_WAY = {1: "CHG", -1: "DCH"}


class Step(NamedTuple):
    """What a word means: what is held, and 1 for charge, -1 for discharge, 0 in a rest, None where it does not say."""

    control: Control
    direction: int | None


@lru_cache(maxsize=1024)
def meaning(word: str | None) -> Step | None:
    """Take a tester's own word for a step apart; None where any part of it is unknown.

    >>> meaning("CC_DChg"), meaning("恒流恒压充电"), meaning("Rest"), meaning("Charge, then wait")
    (Step(control='CC', direction=-1), Step(control='CCCV', direction=1), Step(control='REST', direction=0), None)
    """
    bare = unicodedata.normalize("NFKC", word or "").strip()
    if bare.upper() in _LETTERS:
        return Step(*_LETTERS[bare.upper()])
    spelled = bare.lower()
    for phrase, plain in _PHRASES:
        spelled = re.sub(phrase, f" {plain} " if plain != "d" else plain, spelled)
    controls: set[Control] = set()
    directions: set[int] = set()
    parts = [part for part in re.split(r"[\W_]+", spelled) if part and part not in _FILLERS]
    for part in (part for part in parts if not _NUMBER.fullmatch(part)):
        known = part.rstrip("0123456789")
        joined = _JOINED.fullmatch(part)
        if known in _CONTROLS:
            controls.add(_CONTROLS[known])
        elif known in _DIRECTIONS:
            directions.add(_DIRECTIONS[known])
        elif joined:
            controls.add(_CONTROLS[joined[1]])
            directions.add(1 if joined[2].startswith("c") else -1)
        elif part in ("c", "d") and not _HELD.isdisjoint(parts):  # C_CC, D_CV; not C-Rate
            directions.add(1 if part == "c" else -1)
        else:
            return None
    return _combined(controls - {""}, directions)


def _combined(controls: set[Control], directions: set[int]) -> Step | None:
    """Make one meaning of the parts of a word; None where they contradict each other or say too little."""
    if len(controls) > 1 and frozenset(controls) not in _TOGETHER:
        return None
    alone: Control = next(iter(controls), "")
    control = _TOGETHER.get(frozenset(controls), alone)
    direction = next(iter(directions)) if len(directions) == 1 else None
    if control in ("REST", "OCV"):
        return None if directions else Step(control, 0)
    says_nothing = not control and direction is None
    is_unclear = control == "CP" and not directions  # constant power, or chronopotentiometry
    return None if says_nothing or is_unclear else Step(control, direction)


def step_kind(word: str | None) -> str | None:
    """Name the kind of step that a tester's own word means; None for an unknown word.

    >>> [step_kind(word) for word in ("CC_Chg", "CC-CV charge", "RateD", "恒功率放电", "FRA", "CC", "Undefined")]
    ['CC_CHG', 'CCCV_CHG', 'DCH', 'CP_DCH', 'EIS', 'CC', None]
    """
    found = meaning(word)
    if found is None:
        return None
    return "_".join(filter(None, (found.control, _WAY.get(found.direction or 0))))


def step_hold(word: str | None) -> Hold:
    """Say what a tester's own word holds, as far as a cycle's constant-current and constant-voltage parts ask.

    >>> [step_hold(word) for word in ("CC_Chg", "CCCV Chg", "CV_DChg", "Rest", "OCV", "Pulse", "R", "C", None)]
    ['cc', 'cccv', 'cv', 'rest', 'rest', 'other', 'rest', 'other', 'other']
    """
    holds: dict[Control, Hold] = {"REST": "rest", "OCV": "rest", "CC": "cc", "CV": "cv", "CCCV": "cccv"}
    found = meaning(word)
    return holds.get(found.control, "other") if found else "other"


def step_direction(word: str | None) -> int | None:
    """Say which way the current flows in a step by the tester's own word: 1, -1, 0 in a rest, None if it does not say.

    >>> [step_direction(word) for word in ("CC_Chg", "CC DChg", "恒流恒压放电", "RateC", "D", "Rest", "CC", None)]
    [1, -1, -1, 1, -1, 0, None, None]
    """
    found = meaning(word)
    return found.direction if found else None


def with_step_kind(frame: pl.DataFrame) -> pl.DataFrame:
    """Add ``step_kind`` beside the tester's own words, where any of them is known; null for those that are not.

    >>> with_step_kind(pl.DataFrame({"step_type": ["恒流充电", "搁置", "结束"]}))["step_kind"].to_list()
    ['CC_CHG', 'REST', None]
    """
    if STEP_TYPE.name not in frame.columns or STEP_KIND.name in frame.columns:
        return frame
    runs = frame[STEP_TYPE.name].rle().struct.unnest()
    known = {word: step_kind(word) for word in runs["value"].unique().drop_nulls()}
    if not any(known.values()):
        return frame
    kinds = runs["value"].replace_strict(known, default=None, return_dtype=pl.String)
    of_record = np.repeat(np.arange(runs.height), runs["len"].to_numpy())
    return insert(frame, kinds.gather(of_record).alias(STEP_KIND.name))
