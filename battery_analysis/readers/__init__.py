"""Readers: bytes of one file format to canonical columns.

``READERS`` is the registry: order is visible, content decides, a suffix is only a hint. ``plug_ins()`` are the
readers that other packages bring along.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from battery_analysis.readers.arbin import ArbinCsv
from battery_analysis.readers.arbin_h5 import ArbinH5
from battery_analysis.readers.arbin_res import ArbinRes
from battery_analysis.readers.arbin_workbook import ArbinXlsx
from battery_analysis.readers.aurora import AuroraParquet
from battery_analysis.readers.autolab import AutolabText
from battery_analysis.readers.autolab_fra import AutolabFra
from battery_analysis.readers.base import Reader
from battery_analysis.readers.basytec import BasytecText
from battery_analysis.readers.battery_archive import BatteryArchiveCsv
from battery_analysis.readers.bdf import BdfCsv, BdfParquet
from battery_analysis.readers.bdf_containers import BdfHdf5, BdfJson, BdfWorkbook
from battery_analysis.readers.biologic import BiologicText
from battery_analysis.readers.biologic_mpr import BiologicMpr
from battery_analysis.readers.cellpy import CellpyH5
from battery_analysis.readers.chinstruments import ChInstrumentsText
from battery_analysis.readers.digatron import DigatronCsv
from battery_analysis.readers.gamry import GamryDta
from battery_analysis.readers.indigo import IndigoH5
from battery_analysis.readers.ivium import IviumIdf
from battery_analysis.readers.ivium_text import IviumText
from battery_analysis.readers.landt import LandtText, LandtWorkbook
from battery_analysis.readers.landt_ccs import LandtCcs, LandtCex
from battery_analysis.readers.maccor import MaccorImpedance, MaccorText, MaccorWorkbook
from battery_analysis.readers.neware import NewareNda, NewareNdax
from battery_analysis.readers.neware_text import NewareText
from battery_analysis.readers.neware_workbook import NewareWorkbook
from battery_analysis.readers.novonix import NovonixCsv
from battery_analysis.readers.parstat import ParstatText
from battery_analysis.readers.pec import PecCsv
from battery_analysis.readers.powersuite import PowerSuiteText
from battery_analysis.readers.pyprobe import PyProbeParquet
from battery_analysis.readers.tomato import TomatoJson, TomatoNetCdf
from battery_analysis.readers.versastudio import VersaStudioPar
from battery_analysis.readers.voltaiq import VoltaiqCsv
from battery_analysis.readers.zplot import ZPlotText

if TYPE_CHECKING:
    from battery_analysis.readers.plugins import Plugins

READERS: tuple[Reader, ...] = (
    NewareNdax(),
    NewareNda(),
    BiologicMpr(),
    BiologicText(),
    BatteryArchiveCsv(),
    BdfCsv(),  # before Landt, which also writes quantity / unit
    BdfParquet(),
    BdfHdf5(),
    BdfWorkbook(),
    BdfJson(),
    PyProbeParquet(),
    AuroraParquet(),
    CellpyH5(),
    TomatoJson(),
    TomatoNetCdf(),
    VoltaiqCsv(),
    LandtText(),  # before Arbin, whose names one of its layouts has
    ArbinCsv(),
    ArbinRes(),
    ArbinXlsx(),
    ArbinH5(),
    PecCsv(),  # before Neware, whose text reports have some of its names
    NewareText(),
    NewareWorkbook(),
    MaccorText(),
    MaccorWorkbook(),
    MaccorImpedance(),
    GamryDta(),
    ZPlotText(),
    AutolabText(),
    AutolabFra(),
    ParstatText(),
    PowerSuiteText(),
    VersaStudioPar(),
    ChInstrumentsText(),
    IviumIdf(),
    IviumText(),
    DigatronCsv(),
    BasytecText(),
    NovonixCsv(),
    LandtWorkbook(),
    LandtCcs(),
    LandtCex(),
    IndigoH5(),
)


def plug_ins() -> Plugins:
    """Return the readers of other packages, and those that were refused; they are looked for once."""
    from battery_analysis.readers.plugins import plugins

    return plugins(frozenset(reader.name for reader in READERS))
