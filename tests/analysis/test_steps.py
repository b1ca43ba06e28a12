"""The words of every tester for a kind of step come out as the same kinds; unknown words stay unknown."""

from __future__ import annotations

import polars as pl
import pytest

import battery_analysis as ba
from battery_analysis.analysis.steps import step_direction, step_kind, with_step_kind
from tests.realdata import real, real_entries

WORDS = {
    "Neware": {
        "CC_Chg": "CC_CHG",
        "CC DChg": "CC_DCH",
        "CV_DChg": "CV_DCH",
        "CCCV Chg": "CCCV_CHG",
        "CP_DChg": "CP_DCH",
        "CPCV_Chg": "CPCV_CHG",
        "CR_DChg": "CR_DCH",
        "CRCV_DChg": "CRCV_DCH",
        "PCCCV_Chg": "CHG",
        "Rest": "REST",
        "Pause": "REST",
        "OCV": "OCV",
        "Pulse": "PULSE",
        "Ramp": "RAMP",
        "SIM": "PROFILE",
        "CyclicVoltammetry": "SWEEP",
        **dict.fromkeys(("Undefined", "Cycle", "End", "Control", "SubStep", "Follow", "IR", "Type 99")),
    },
    "Neware and Landt in Chinese": {
        "恒流充电": "CC_CHG",
        "恒流放电": "CC_DCH",
        "恒压充电": "CV_CHG",
        "恒流恒压充电": "CCCV_CHG",
        "恒功率放电": "CP_DCH",
        "恒阻放电": "CR_DCH",
        "倍率充电": "CHG",
        "搁置": "REST",
        "静置": "REST",
        "暂停": "REST",
        "开路电压": "OCV",
        "脉冲": "PULSE",
        "模拟工况": "PROFILE",
        "直流内阻": "DCIR",
        "循环伏安": "SWEEP",
        **dict.fromkeys(("充放电", "循环", "结束")),
    },
    "Landt": {
        "RateC": "CHG",
        "RateD": "DCH",
        "D_CC": "CC_DCH",
        "C_CV": "CV_CHG",
        "CCC": "CC_CHG",
        "CCCVD": "CCCV_DCH",
        "charge CC": "CC_CHG",
        "R": "REST",
    },
    "Maccor": {"C": "CHG", "D": "DCH", "R": "REST", "P": "REST", "S": "REST", "O": "REST", "FRA": "EIS", "M": None},
    "BaSyTec and Digatron": {
        "Charge": "CHG",
        "Discharge": "DCH",
        "Pause": "REST",
        "Laden": "CHG",
        "Entladen": "DCH",
        "CHA": "CHG",
        "DCH": "DCH",
        "PAU": "REST",
    },
    "Novonix": {
        "Open circuit storage": "OCV",
        "CC charge": "CC_CHG",
        "CC-CV discharge": "CCCV_DCH",
        "CV hold charge": "CV_CHG",
        "type 12": None,
    },
    # The program's controlled potential may be swept, its chronopotentiometry is a held current.
    "EC-Lab": {
        "CC": "CC",
        "CV": "CV",
        "PEIS": "EIS",
        **dict.fromkeys(("galvanostatic", "potentiostatic", "CP", "Loop")),
    },
    "Gamry": {"OCVCURVE": "OCV", "ZCURVE2": "EIS", "CURVE1": None},
    "Battery Data Format": {word: word for word in ("CC_CHG", "CC_DCH", "CV_CHG", "CCCV_CHG", "REST", "OCV", "EIS")},
    "what people write": {
        "Constant current charge": "CC_CHG",
        "CC/CV Charge C/10": "CCCV_CHG",
        "D_Chg": "DCH",
        "Charge 0.5C": "CHG",
        **dict.fromkeys(
            ("Recharge", "End of charge", "Charge/Discharge", "Rest charge", "C-Rate", "CC CP", "Forest", "1")
        ),
    },
}


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        pytest.param(word, kind, id=f"{tester}: {word}")
        for tester, words in WORDS.items()
        for word, kind in words.items()
    ],
)
def test_words_of_testers(word: str, kind: str | None) -> None:
    assert step_kind(word) == kind


def test_kinds_mean_themselves() -> None:
    kinds = {kind for words in WORDS.values() for kind in words.values() if kind}
    assert {kind: step_kind(kind) for kind in kinds} == {kind: kind for kind in kinds}


def test_a_kind_says_which_way_the_current_flows() -> None:
    ways = {word: step_direction(word) for words in WORDS.values() for word in words}
    for words in WORDS.values():
        for word, kind in words.items():
            told = {"CHG": 1, "DCH": -1, "REST": 0, "OCV": 0}.get((kind or "").rpartition("_")[2])
            assert ways[word] == told, word


def test_records_keep_the_testers_words_and_get_their_kind_beside() -> None:
    words = ["搁置", "搁置", None, "恒流充电", "结束", "搁置"]
    frame = pl.DataFrame({"step_id": range(6), "step_type": words, "step_time_second": [0.0] * 6})
    named = with_step_kind(frame)
    assert named.columns == ["step_id", "step_type", "step_kind", "step_time_second"]
    assert named["step_kind"].to_list() == ["REST", "REST", None, "CC_CHG", None, "REST"]
    assert named.drop("step_kind").equals(frame)


@pytest.mark.parametrize("words", [["Unknown"], [None]])
def test_no_column_where_no_word_is_known(words: list[str | None]) -> None:
    frame = pl.DataFrame({"step_type": words}, schema={"step_type": pl.String})
    assert with_step_kind(frame).columns == ["step_type"]


def test_the_words_of_every_real_file_are_known() -> None:
    unknown: dict[str, set[str]] = {}
    for entry in real_entries():
        if entry["path"].endswith(".mps"):  # settings, no records
            continue
        frame = ba.read(real(entry["path"])).frame
        if "step_type" not in frame.columns:
            assert "step_kind" not in frame.columns
            continue
        words = set(frame["step_type"].drop_nulls())
        named = frame.filter(pl.col("step_kind").is_not_null()) if "step_kind" in frame.columns else frame.clear()
        unknown[entry["path"]] = words - set(named["step_type"])
    if not unknown:
        pytest.skip("no real cycler files")
    # In a cyclic voltammetry the controlled potential is swept.
    assert {path: words for path, words in unknown.items() if words} == {"biologic/cv.mpr": {"potentiostatic"}}
