"""The clock of a board: its oscillator, or the vendor's PLL behind it (docs/board.md)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from pcedge.errors import UsageError
from pcedge.export.open_target import OpenTarget

#: a clock so near to the oscillator's is the oscillator's
_SAME = 0.001


@dataclass(frozen=True)
class Clock:
    """Hold the clock of a board: the oscillator's times `multiply` by `divide`, and what the PLL runs at."""

    family: str
    #: as nextpnr names it; Gowin's PLL asks for it
    device: str
    oscillator_mhz: float
    #: None: it is the oscillator's
    pll: Pll | None = None

    @property
    def mhz(self) -> float:
        """Give its frequency."""
        return self.oscillator_mhz if self.pll is None else self.pll.mhz(self.oscillator_mhz)


@dataclass(frozen=True)
class Pll:
    """Hold the dividers of a PLL: of its input, of what comes back to it, and of its output."""

    before: int
    back: int
    after: int

    def mhz(self, oscillator_mhz: float) -> float:
        """Give the frequency of its output."""
        return oscillator_mhz * self.back / self.before


@dataclass(frozen=True)
class _Limits:
    """Hold what a family's PLL can do, in MHz."""

    #: of its output, at least
    least: float
    #: of what is compared, and of the oscillator in it
    compared: tuple[float, float]
    oscillates: tuple[float, float]
    before: range
    back: range
    after: tuple[int, ...]


#: dividers behind Gowin's oscillator
_GOWIN = (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128)

#: Lattice FPGA-DS-02012 and FPGA-DS-02008, Gowin DS226 and DS117 for their slower grades, by family or Gowin's device.
#: iCE40's second divider is a power of two.
_LIMITS = {
    "ecp5": _Limits(10.0, (3.125, 400.0), (400.0, 800.0), range(1, 41), range(1, 81), tuple(range(1, 129))),
    "ice40": _Limits(16.0, (10.0, 133.0), (533.0, 1066.0), range(1, 17), range(1, 65), (2, 4, 8, 16, 32, 64)),
    "GW2A-18C": _Limits(3.125, (3.0, 500.0), (500.0, 1250.0), range(1, 65), range(1, 65), _GOWIN),
    "GW1N-9C": _Limits(3.125, (3.0, 400.0), (400.0, 1200.0), range(1, 65), range(1, 65), _GOWIN),
}  # fmt: skip


def clock_of(target: OpenTarget) -> Clock:
    """Choose the clock of a target with a board: that of `clock_ns`, or the fastest below it that a PLL makes.

    Raises:
        UsageError: there is no board, or no PLL makes such a clock.
    """
    if target.board is None:
        raise UsageError(f"{target.name} must have a board, it has none")
    oscillator, asked = target.board.oscillator_mhz, target.frequency_mhz
    clock = Clock(target.family, target.device, oscillator)
    if abs(asked / oscillator - 1) <= _SAME:
        return clock
    limits = _LIMITS.get(target.family if target.family != "gowin" else target.device)
    found = [] if limits is None else list(_settings(target.family, limits, oscillator, asked))
    if not found:
        raise UsageError(
            f"clock_ns of {target.name} must be its oscillator's, {1000 / oscillator:g}, or one that its PLL makes, "
            f"got {target.clock_ns:g}"
        )
    # the fastest, then the one whose input is compared most often
    best = max(found, key=lambda pll: (round(pll.mhz(oscillator), 6), -pll.before))
    return Clock(target.family, target.device, oscillator, best)


def _settings(family: str, limits: _Limits, oscillator: float, asked: float) -> Iterator[Pll]:
    low, high = limits.oscillates
    # iCE40 compares with the oscillator's output itself, so its multiplier takes the second divider in
    for before, back in product(limits.before, limits.back):
        compared = oscillator / before
        if not limits.compared[0] <= compared <= limits.compared[1]:
            continue
        for after in limits.after:
            made = compared * back / (after if family == "ice40" else 1)
            if limits.least <= made <= asked * (1 + _SAME) and low <= made * after <= high:
                yield Pll(before * after, back, after) if family == "ice40" else Pll(before, back, after)


def clock_code(clock: Clock) -> str:
    """Write what makes `clock` and `locked` of the port `clk`; nothing where the clock is the oscillator's."""
    pll = clock.pll
    if pll is None:
        return ""
    if clock.family == "ecp5":
        return _instance(
            "EHXPLLL",
            {
                "CLKI_DIV": pll.before, "CLKFB_DIV": pll.back, "CLKOP_DIV": pll.after, "CLKOP_ENABLE": "ENABLED",
                "CLKOP_CPHASE": pll.after // 2 - 1 if pll.after > 1 else 0, "CLKOP_FPHASE": 0, "FEEDBK_PATH": "CLKOP",
                "PLLRST_ENA": "DISABLED", "INTFB_WAKE": "DISABLED", "STDBY_ENABLE": "DISABLED",
                "DPHASE_SOURCE": "DISABLED", "OUTDIVIDER_MUXA": "DIVA",
            },
            {
                "RST": "1'b0", "STDBY": "1'b0", "CLKI": "clk", "CLKOP": "clock", "CLKFB": "clock", "CLKINTFB": "",
                "PHASESEL0": "1'b0", "PHASESEL1": "1'b0", "PHASEDIR": "1'b1", "PHASESTEP": "1'b1",
                "PHASELOADREG": "1'b1", "PLLWAKESYNC": "1'b0", "ENCLKOP": "1'b0", "LOCK": "locked",
            },
            attributes=f'(* FREQUENCY_PIN_CLKI="{clock.oscillator_mhz:g}", FREQUENCY_PIN_CLKOP="{clock.mhz:g}" *)\n  ',
        )  # fmt: skip
    if clock.family == "ice40":
        before = pll.before // pll.after
        compared = clock.oscillator_mhz / before
        filters = ((17, 1), (26, 2), (44, 3), (66, 4), (101, 5), (133, 6))
        return _instance(
            "SB_PLL40_PAD",
            {
                "FEEDBACK_PATH": "SIMPLE", "DIVR": before - 1, "DIVF": pll.back - 1,
                "DIVQ": pll.after.bit_length() - 1, "FILTER_RANGE": next(n for top, n in filters if compared <= top),
            },
            {"PACKAGEPIN": "clk", "PLLOUTCORE": "clock", "LOCK": "locked", "RESETB": "1'b1", "BYPASS": "1'b0"},
        )  # fmt: skip
    return _instance(
        "rPLL",
        {
            "FCLKIN": f"{clock.oscillator_mhz:g}", "IDIV_SEL": pll.before - 1, "FBDIV_SEL": pll.back - 1,
            "ODIV_SEL": pll.after, "DEVICE": clock.device, "DYN_IDIV_SEL": "false", "DYN_FBDIV_SEL": "false",
            "DYN_ODIV_SEL": "false", "CLKFB_SEL": "internal",
        },
        {
            "CLKIN": "clk", "CLKFB": "1'b0", "RESET": "1'b0", "RESET_P": "1'b0", "FBDSEL": "6'd0", "IDSEL": "6'd0",
            "ODSEL": "6'd0", "PSDA": "4'd0", "DUTYDA": "4'd0", "FDLY": "4'd0", "CLKOUT": "clock", "LOCK": "locked",
        },
    )  # fmt: skip


def _instance(cell: str, parameters: dict[str, int | str], ports: dict[str, str], attributes: str = "") -> str:
    values = ", ".join(f'.{name}("{v}")' if isinstance(v, str) else f".{name}({v})" for name, v in parameters.items())
    joined = ", ".join(f".{name}({wire})" for name, wire in ports.items())
    return f"  {attributes}{cell} #({values}) pll ({joined});"
