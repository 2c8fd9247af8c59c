"""What Grafana writes in place of the variables of a query: its own rules, for Prometheus.

As in Grafana's packages: runtime's templateSrv with prometheus's ``interpolateQueryExpr``, and the
intervals of prometheus's backend.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

# One value, several of them, or those of "All" as a regular expression of the dashboard's own.
Value = str | tuple[str, ...]
Values = Mapping[str, Value]

_VARIABLE = re.compile(r"\$(\w+)|\[\[(\w+?)(?::(\w+))?\]\]|\$\{(\w+)(?:\.[^:^}]+)?(?::([^}]+))?\}")
_MOST_POINTS = 11_000
# Below the first number (ms) an interval becomes the second one.
_ROUND = (
    *((15, 10), (35, 20), (75, 50), (150, 100), (350, 200), (750, 500), (1500, 1000)),
    *((3500, 2000), (7500, 5000), (12500, 10_000), (17500, 15_000), (25_000, 20_000)),
    *((45_000, 30_000), (90_000, 60_000), (210_000, 120_000), (450_000, 300_000)),
    *((750_000, 600_000), (1_050_000, 900_000), (1_500_000, 1_200_000), (2_700_000, 1_800_000)),
    *((5_400_000, 3_600_000), (9_000_000, 7_200_000), (16_200_000, 10_800_000)),
    *((32_400_000, 21_600_000), (86_400_000, 43_200_000), (604_800_000, 86_400_000)),
    *((1_814_400_000, 604_800_000), (3_628_800_000, 2_592_000_000)),
)
_YEAR = 31_536_000_000


@dataclass(frozen=True)
class Raw:
    """A value that is written as it is, such as a dashboard's own for "All"."""

    text: str


@dataclass(frozen=True)
class Range:
    """The time range of a dashboard, in Unix seconds."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end - self.start


@dataclass(frozen=True)
class Step:
    """The times of a query.

    Attributes:
        range: Of the dashboard.
        scrape: The interval of the data source in seconds, and the least step.
        points: How many points the panel has at most.
    """

    range: Range
    scrape: float
    points: int = 1000

    @property
    def interval(self) -> float:
        """Seconds from one point to the next: ``$__interval``."""
        wanted = _rounded(1000 * self.range.seconds / self.points) / 1000
        safe = _rounded(1000 * self.range.seconds / _MOST_POINTS) / 1000
        return max(wanted, self.scrape, safe)

    @property
    def rate_interval(self) -> float:
        """Seconds of ``$__rate_interval``."""
        return max(self.interval + self.scrape, 4 * self.scrape)

    @property
    def values(self) -> dict[str, str]:
        """The variables that Grafana has of itself."""
        seconds, interval = round(self.range.seconds), self.interval
        return {
            "__interval": duration(interval),
            "__interval_ms": f"{1000 * interval:.0f}",
            "__rate_interval": duration(self.rate_interval),
            "__range": f"{seconds}s",
            "__range_s": f"{seconds}",
            "__range_ms": f"{1000 * seconds}",
            "__from": f"{1000 * self.range.start:.0f}",
            "__to": f"{1000 * self.range.end:.0f}",
        }


def _rounded(milliseconds: float) -> int:
    return next((nice for below, nice in _ROUND if milliseconds < below), _YEAR)


def duration(seconds: float) -> str:
    """As PromQL has it."""
    milliseconds = round(1000 * seconds)
    return f"{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{milliseconds}ms"


def interpolate(text: str, values: Mapping[str, "Value | Raw"], multi: Sequence[str] = ()) -> str:
    """A text with values in place of its variables.

    Args:
        text: A query, the uid of a data source, or the like.
        values: By the name of the variable; one that is unknown stays.
        multi: The variables that may have several values or all; others are for plain matchers.
    """

    def value(match: "re.Match[str]") -> str:
        plain, square, square_format, name, form = match.groups()
        known = values.get(plain or square or name)
        if known is None:
            return match.group()
        if isinstance(known, Raw):
            return known.text
        return _written(known, form or square_format or "", (plain or square or name) in multi)

    return _VARIABLE.sub(value, text)


def _written(value: Value, form: str, multi: bool) -> str:
    parts = (value,) if isinstance(value, str) else value
    if form.startswith("date"):
        return _date(int(parts[0]) / 1000, form)
    if form == "pipe":
        return "|".join(parts)
    if form in ("csv", "raw"):
        return ",".join(parts)
    if form == "regex":
        return _alternatives([re.sub(r"[\\^$.*+?()\[\]{}|/]", r"\\\g<0>", part) for part in parts])
    if form:
        raise ValueError(f"the format {form!r} is not known")
    if not multi:
        return parts[0].replace("\\", r"\\").replace("'", r"\\'")
    # In a text of PromQL's a backslash is two.
    escaped = [part.replace("\\", "\\" * 4) for part in parts]
    return _alternatives([re.sub(r"[$^*{}\[\]'+?.()|]", r"\\\\\g<0>", part) for part in escaped])


def _alternatives(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"({'|'.join(parts)})"


def _date(seconds: float, form: str) -> str:
    if form == "date:seconds":
        return f"{seconds:.0f}"
    if form in ("date", "date:iso"):
        return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    raise ValueError(f"the format {form!r} is not known")
