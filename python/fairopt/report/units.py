"""Numbers as the report prints them: signed, with a true minus, and never a signed zero."""

from __future__ import annotations

import math
from dataclasses import dataclass

MINUS = "\u2212"
NBSP = "\u00a0"
UNDEFINED = "undefined"


@dataclass(frozen=True)
class Unit:
    """How a metric's values and their changes are written."""

    factor: float  # printed value = value * factor
    digits: int  # of changes
    level_digits: int
    of_change: str  # "pp"; empty for a bare number
    of_level: str  # "%"
    signed: bool = True  # whether a plus stands before what is positive

    def bare(self, value: float, digits: int | None = None) -> str:
        """A change without its unit: ``+3.1``, ``−0.4``, ``0.0``."""
        text = signed(value * self.factor, self.digits if digits is None else digits)
        return text if self.signed else text.removeprefix("+")

    def change(self, value: float) -> str:
        """A change with its unit: ``+3.1 pp``."""
        return self.named(self.bare(value))

    def named(self, bare: str) -> str:
        """Put the unit of changes behind a number, and nothing behind ``undefined``."""
        return bare if bare == UNDEFINED else f"{bare}{NBSP}{self.of_change}".rstrip(NBSP)

    def apart(self, value: float, limit: float) -> str:
        """A change without its unit, with as many digits as it takes not to look equal to ``limit``."""
        digits = self.digits
        while digits < 6 and value != limit and self.bare(value, digits) == self.bare(limit, digits):
            digits += 1
        return self.bare(value, digits)

    def size(self, value: float) -> str:
        """A size without a sign and without idle zeros: ``5 pp``."""
        return self.named(trimmed(value * self.factor))

    def level(self, value: float) -> str:
        """A value of the metric itself: ``45.0 %``, or a signed number for log-odds."""
        if not math.isfinite(value):
            return UNDEFINED
        if self.of_level:
            return f"{value * self.factor:.{self.level_digits}f}{NBSP}{self.of_level}"
        return self.bare(value, self.level_digits)

    def interval(self, low: float, high: float) -> str:
        """``[−0.3, +7.1]`` without the unit and without a line break; empty when undefined."""
        if not (math.isfinite(low) and math.isfinite(high)):
            return ""
        return f"[{self.bare(low)},{NBSP}{self.bare(high)}]"


UNITS = {
    "share": Unit(factor=100, digits=1, level_digits=1, of_change="pp", of_level="%"),
    "log-odds": Unit(factor=1, digits=3, level_digits=2, of_change="log-odds", of_level=""),
    "nats": Unit(factor=1, digits=3, level_digits=2, of_change="nats", of_level=""),
    "bits": Unit(factor=1, digits=3, level_digits=3, of_change="bits", of_level="bits"),
    "score": Unit(factor=1, digits=3, level_digits=3, of_change="", of_level=""),
}
# A limit can be on the variant's own value, on its share of the base model's, or on answers changed beyond a rerun's.
LEVELS = {
    "share": Unit(factor=100, digits=1, level_digits=1, of_change="%", of_level="%", signed=False),
    **{name: unit for name, unit in UNITS.items() if name != "share"},
}
RECOVERY = Unit(factor=100, digits=1, level_digits=1, of_change="%", of_level="%", signed=False)
CHURN = UNITS["share"]


def signed(value: float, digits: int) -> str:
    """``+1.5``, ``−1.5`` or ``0.0``; ``undefined`` for NaN."""
    if not math.isfinite(value):
        return UNDEFINED
    text = f"{abs(value):.{digits}f}"
    if not text.strip("0."):
        return text
    return f"{'+' if value > 0 else MINUS}{text}"


def trimmed(value: float) -> str:
    """At most three significant digits, no exponent, no trailing zeros."""
    if not math.isfinite(value):
        return UNDEFINED
    digits = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    text = f"{abs(value):.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"{MINUS}{text}" if value < 0 else text


def scientific(value: float) -> str:
    """``3.1 × 10⁻⁶`` for what is small, else as :func:`trimmed`."""
    if value == 0 or not 0 < abs(value) < 1e-3:
        return trimmed(value)
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    superscript = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{mantissa}{NBSP}×{NBSP}10{superscript}"


def p_value(p: float) -> str:
    """``.024``, ``< .001`` or ``1``."""
    if not math.isfinite(p):
        return "–"
    if p < 0.001:
        return "< .001"
    return "1" if p >= 0.9995 else f"{p:.3f}".removeprefix("0")


def count(n: int, noun: str, plural: str = "") -> str:
    """``1 item``, ``1,508 items``."""
    return f"{n:,}{NBSP}{noun if n == 1 else plural or noun + 's'}"


def percent(share: float, digits: int = 1) -> str:
    """``5.7 %`` without a sign."""
    return f"{100 * share:.{digits}f}{NBSP}%" if math.isfinite(share) else UNDEFINED


def storage(n: int) -> str:
    """Bytes for people: ``2.63 MB``."""
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if n >= factor:
            return f"{trimmed(n / factor)}{NBSP}{unit}"
    return f"{n}{NBSP}B"


def listed(names: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
