"""An ideal cell as Maccor's programs would export it, in each of their layouts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

START = datetime(2023, 11, 23, 9, 30, 0)
CHARGED_AH = DISCHARGED_AH = 1.5
VOLT = {"R": 3.6, "C": 3.8, "D": 3.5}
PROGRAMME = (("R", 0.0, 600), ("C", 1.0, 3600), ("C", 0.5, 3600), ("R", 0.0, 600), ("D", 1.5, 3600), ("R", 0.0, 600))
"""State, magnitude of the current in A, and seconds of each step; two cycles of it make the test."""


@dataclass(frozen=True)
class Record:
    """One record: times in s, current in A without sign, capacity and energy of the step, in Ah and Wh."""

    number: int
    cycle: int
    step: int
    time: float
    step_time: float
    current: float
    state: str
    capacity: float
    half_cycle_capacity: float

    @property
    def volt(self) -> float:
        return VOLT[self.state]

    @property
    def stamp(self) -> datetime:
        return START + timedelta(seconds=self.time)

    @property
    def signed_current(self) -> float:
        return -self.current if self.state == "D" else self.current


def ideal_cell(interval: int = 300) -> list[Record]:
    """Two cycles, logged at the end of each interval."""
    records: list[Record] = []
    start = 0.0
    for cycle in (1, 2):
        before = {"R": 0.0, "C": 0.0, "D": 0.0}
        for step, (state, current, seconds) in enumerate(PROGRAMME, 1):
            for passed in range(interval, seconds + 1, interval):
                charge = current * passed / 3600
                number, half = len(records) + 1, before[state] + charge
                records.append(Record(number, cycle, step, start + passed, float(passed), current, state, charge, half))
            before[state] += current * seconds / 3600
            start += seconds
    return records


def clock_time(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    days, hours = divmod(hours, 24)
    return f"  {days}d {hours:02}:{minutes:02}:{rest:g}"


Layout = Callable[[Iterable[Record]], str]


def amps(records: Iterable[Record]) -> str:
    """Unsigned current, clock times, counters of each step, auxiliary inputs with units."""
    lines = [
        "Today's Date:\t24 November 2023\tDate of Test:\t23 November 2023, 9:30:00 AM",
        "    Filename:\tcell_01\tTester Channel:\t7",
        "Procedure:\tcycling.000\tDescription:\tideal",
        "Rec#\tCyc#\tStep\tTestTime\tStepTime\tAmp-hr\tWatt-hr\tAmps\tVolts\tState\tES\tDPt Time\tDCIR/Ohms\t"
        "Aux #1\t Units\tAux #2\t Units\tWF Chg Cap",
    ]
    lines += [
        f"{r.number}\t{r.cycle}\t{r.step}\t{clock_time(r.time)}\t{clock_time(r.step_time)}\t{r.capacity:.6f}\t"
        f"{r.capacity * r.volt:.6f}\t{r.current:.5f}\t{r.volt:.5f}\t{r.state}\t1\t{r.stamp:%m/%d/%Y %H:%M:%S}\t"
        f"{0.05 if r.step == 5 else 0:.5f}\t25.0\t C  \t1.5\t bar\tN/A"
        for r in records
    ]
    return "\n".join([*lines, ""])


def milli(records: Iterable[Record]) -> str:
    """All in thousandths, the voltage too; counters of each half cycle; blank lines; a surplus name."""
    lines = [
        "Today''s Date\t11/24/2023 12:50:27 PM\n",
        "Date of Test:\t11/23/2023 9:30:00 AM\n",
        "Rec#\tCyc#\tStep\tTestTime\tStepTime\tmAmp-hr\tmWatt-hr\tmAmps\tVolts\tState\tES\tDPt Time\tUnnamed: 12",
    ]
    lines += [
        f"{r.number}\t{r.cycle}\t{r.step}\t{clock_time(r.time)}\t{clock_time(r.step_time)}\t"
        f"{1e3 * r.half_cycle_capacity:.3f}\t{1e3 * r.half_cycle_capacity * r.volt:.3f}\t{1e3 * r.current:.3f}\t"
        f"{1e3 * r.volt:.4f}\t{r.state}\t1\t{r.stamp:%m/%d/%Y %I:%M:%S %p}"
        for r in records
    ]
    return "\n".join([*lines, ""])


def minutes(records: Iterable[Record]) -> str:
    """Decimal comma, times in minutes without saying so, a header of keys and values."""
    lines = [
        "Name:\tKIT-013.081\nChannel:\t81\nTester\tMaccor #4\nProcedure\tSIMBA.000\nStarted\t11/23/2023 09:30:00",
        "Ch. max. V\t6,00 V\nDisCh. min. V\t0,00 V\n",
        "Rec\tCycle P\tCycle C\tStep\tTestTime\tStepTime\tCap. [Ah]\tEner. [Wh]\tCurrent [A]\tVoltage [V]\tMd\tES\t"
        "DPT Time\n",
    ]
    lines += [
        f"{r.number}\t0\t{r.cycle}\t{r.step}\t{r.time / 60:.6f}\t{r.step_time / 60:.6f}\t{r.capacity:.8f}\t"
        f"{r.capacity * r.volt:.8f}\t{r.current:.8f}\t{r.volt:.4f}\t{r.state}\t1\t".replace(".", ",")
        + f"{r.stamp:%m/%d/%Y %H:%M:%S}"
        for r in records
    ]
    return "\n".join([*lines, ""])


def signed(records: Iterable[Record]) -> str:
    """Commas, seconds, no state, names of months, thousands set apart."""
    lines = [
        "Today's Date ,28-Nov-23",
        "Date of Test:,23-Nov-23 9:29:58 AM",
        "Rec,Cycle C,Step,Test Time (sec),Step Time (sec),Capacity,Energy,Current,Voltage,DPT Time,Temp 1",
    ]
    lines += [
        f'{r.number},{r.cycle},{r.step},"{r.time:,.4f}",{r.step_time:.4f},{r.capacity:.6f},{r.capacity * r.volt:.6f},'
        f"{r.signed_current:.3f},{r.volt:.3f},{r.stamp:%d-%b-%y %I:%M:%S %p},22.25"
        for r in records
    ]
    return "\n".join([*lines, ""])


LAYOUTS: dict[str, Layout] = {"amps": amps, "milli": milli, "minutes": minutes, "signed": signed}


def write(folder: Path, layout: Layout, name: str = "cell.txt", interval: int = 300) -> Path:
    """Write the ideal cell in one of the layouts."""
    path = folder / name
    path.write_text(layout(ideal_cell(interval)), encoding="latin-1")
    return path
