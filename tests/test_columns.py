"""Columns without a canonical term keep names that say what they hold, and stay apart."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from battery_analysis.columns import AUX_PREFIX, aux_name, conform, is_aux
from battery_analysis.errors import SchemaError
from battery_analysis.readers.base import ColumnSource
from battery_analysis.readers.mapping import to_canonical


@pytest.mark.parametrize(
    ("vendor_name", "name"),
    [
        ("-Im(Zce)/Ohm", "aux_minus_im_zce_ohm"),
        ("Im(Zce)/Ohm", "aux_im_zce_ohm"),
        ("\u2212Phase(Z)/deg", "aux_minus_phase_z_deg"),
        ("log(-Im)", "aux_log_minus_im"),
        ("-|Z|", "aux_minus_abs_z_abs"),
        ("V+", "aux_v_plus"),
        ("V- (mV)", "aux_v_minus_mv"),
        ("E(-)", "aux_e_minus"),
        ("Ewe-Ece/V", "aux_ewe_ece_v"),
        ("(Q-Qo)/mA.h", "aux_q_qo_ma_h"),
        ("Ah-Cyc-Charge-0", "aux_ah_cyc_charge_0"),
        ("Aux - 1", "aux_aux_1"),
        ("Cs-2/µF-2", "aux_cs_2_uf_2"),
        ("电压差(mV)", "aux_电压差_mv"),
        ("辅助通道TU1 U（V）", "aux_辅助通道tu1_u_v"),
        ("Lüfter", "aux_lüfter"),
        ("Temp(℃)", "aux_temp_degc"),
        ("R (kΩ)", "aux_r_kohm"),
        ("R (m\u2126)", "aux_r_mohm"),
        ("dV/dt (µV/s)", "aux_dv_dt_uv_s"),
        ("A²", "aux_a2"),
        ("# %", "aux_unnamed"),
    ],
)
def test_a_name_says_what_the_vendors_does(vendor_name: str, name: str) -> None:
    assert aux_name(vendor_name) == name


@given(st.text(max_size=30))
def test_every_name_becomes_one_that_a_frame_may_have(vendor_name: str) -> None:
    name = aux_name(vendor_name)
    assert is_aux(name)
    assert aux_name(name) == AUX_PREFIX + name, "a name that was made already stays as it is"


def test_columns_that_differ_in_a_sign_or_in_chinese_words_stay_apart() -> None:
    raw = pl.DataFrame({"-Im(Y)": [1.0], "Im(Y)": [2.0], "电压差": [3.0], "温度差": [4.0]})
    frame, sources = to_canonical(raw, [])
    assert frame.to_dicts() == [{"aux_minus_im_y": 1.0, "aux_im_y": 2.0, "aux_电压差": 3.0, "aux_温度差": 4.0}]
    assert sources["aux_温度差"] == ColumnSource("温度差")


@pytest.mark.parametrize("name", ["aux_", "aux_Pressure", "aux_a b", "aux_a-b", "Aux_a", "pressure"])
def test_other_names_are_refused(name: str) -> None:
    assert not is_aux(name)
    frame = pl.DataFrame({"test_time_second": [0.0], "voltage_volt": [3.7], name: [1.0]})
    with pytest.raises(SchemaError, match="neither canonical nor aux_ columns"):
        conform(frame)
