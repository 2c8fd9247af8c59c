"""What a metric and a sample are."""

import enum
from dataclasses import dataclass
from typing import NamedTuple


class Type(enum.Enum):
    """The OpenMetrics type of a metric family."""

    GAUGE = "gauge"
    COUNTER = "counter"
    INFO = "info"


class Rollup(enum.Enum):
    """What the long-term tiers keep of a metric."""

    MIN_AVG_MAX = "min, average, max"
    MINUTE = "min, average, max of each minute only"
    LAST = "last value"
    SUM = "sum"
    NONE = "raw only"


_SUFFIX = {Type.GAUGE: "", Type.COUNTER: "_total", Type.INFO: "_info"}
_ROLLUP = {Type.GAUGE: Rollup.MIN_AVG_MAX, Type.COUNTER: Rollup.LAST, Type.INFO: Rollup.LAST}


@dataclass(frozen=True, eq=False)
class Metric:
    """One metric, declared once and compared by identity.

    Attributes:
        name: The name on the page, with the suffix that its type asks for.
        type: Gauge, counter or info.
        help: One sentence for people, without a full stop at its end.
        source: Where the value comes from: the NVML call or field, or the file of the kernel.
        labels: Label names after ``node``, which every sample carries.
        unit: The base unit, also the end of the name; empty for counts and states.
        digits: Decimal places worth publishing; ``None`` publishes the value as it is.
        rollup: What the long-term tiers keep; follows from the type unless given.
    """

    name: str
    type: Type
    help: str
    source: str
    labels: tuple[str, ...] = ()
    unit: str = ""
    digits: int | None = None
    rollup: Rollup | None = None

    def __post_init__(self) -> None:
        suffix = _SUFFIX[self.type]
        if not self.name.endswith(suffix):
            raise ValueError(f"{self.name}: a {self.type.value} ends in {suffix}")
        if self.unit and not self.family.endswith(f"_{self.unit}"):
            raise ValueError(f"{self.name}: does not end in its unit, {self.unit}")
        if self.rollup is None:
            object.__setattr__(self, "rollup", _ROLLUP[self.type])

    @property
    def family(self) -> str:
        """The name of the OpenMetrics family: the metric's name without the type's suffix."""
        return self.name.removesuffix(_SUFFIX[self.type])


def of_device(
    name: str,
    type: Type,
    help: str,
    source: str,
    *labels: str,
    unit: str = "",
    digits: int | None = None,
    rollup: Rollup | None = None,
) -> Metric:
    """A metric of one GPU: ``gpu``, its index, and ``uuid``, its identity, are the first labels."""
    return Metric(name, type, help, source, ("gpu", "uuid", *labels), unit, digits, rollup)


class Series(NamedTuple):
    """A metric with the values of its labels, in the order of ``Metric.labels``."""

    metric: Metric
    labels: tuple[str, ...] = ()


class Sample(NamedTuple):
    """One value of one series, in the metric's base unit."""

    metric: Metric
    labels: tuple[str, ...]
    value: float
