"""What a recorded series is, and the levels at which the same question is asked."""

import textwrap
from dataclasses import dataclass

from gpuglass.catalogue.model import Rollup

# A GPU's series keep all labels of their metric: these, and what a targets file adds.
_DEVICE = ("cluster", "node", "instance", "job", "gpu", "uuid")
OWNER = ("user", "container", "namespace", "pod", "job_id")
# How often, and so what an increase looks back at: each second of it is counted once.
INTERVAL = "1m"
# Until when the samples of a minute have all arrived: one that came later would be in no increase.
DELAY = "30s"
_WIDTH = 80


@dataclass(frozen=True)
class Level:
    """Whom a series is about.

    Attributes:
        name: The first part of the series' names.
        labels: The labels that tell one from another; a label that is missing is one value more,
            so nodes without a cluster, and what runs in no job, are never left out.
    """

    name: str
    labels: tuple[str, ...]

    @property
    def by(self) -> str:
        """How PromQL groups by the level."""
        return f"by ({', '.join(self.labels)})"

    @property
    def on(self) -> str:
        """How PromQL joins by the level."""
        # Needed even where labels are the same: VictoriaMetrics takes a lone series without any
        # label, as a cluster without a name, for a number that goes with everything.
        return f"on ({', '.join(self.labels)})"


GPU = Level("gpu", _DEVICE)
NODE = Level("node", ("cluster", "node"))
CLUSTER = Level("cluster", ("cluster",))
USER = Level("user", ("cluster", "user"))
CONTAINER = Level("container", ("cluster", "namespace", "pod", "container"))
JOB = Level("job", ("cluster", "job_id", "user"))

PLACES = (NODE, CLUSTER)
OWNERS = (USER, CONTAINER, JOB)


@dataclass(frozen=True)
class Record:
    """A series that vmalert records once a minute.

    Attributes:
        level: Whom it is about.
        metric: What it says; ends in its unit.
        operation: How it was made: ``avg5m``, ``sum`` and so on; ``increase`` is what came since
            the sample before, so that samples add up over any time.
        help: One sentence for people, without a full stop at its end.
        expr: The MetricsQL expression.
        more: Labels besides those of the level.
    """

    level: Level
    metric: str
    operation: str
    help: str
    expr: str
    more: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The series' name: level:metric:operation."""
        return f"{self.level.name}:{self.metric}:{self.operation}"

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels that the series may have, and what a GPU's targets file adds."""
        return (*self.level.labels, *self.more)

    @property
    def rollup(self) -> Rollup:
        """What the long-term tiers keep."""
        return Rollup.SUM if self.operation == "increase" else Rollup.MIN_AVG_MAX


@dataclass(frozen=True)
class Subject:
    """The records of one file.

    Attributes:
        name: The file's name without its ending.
        about: What its records answer.
        records: In the order in which they are evaluated.
    """

    name: str
    about: str
    records: tuple[Record, ...]


def aggregate(operator: str, level: Level, inner: str, *more: str) -> str:
    """An aggregation by a level, and by more labels."""
    head = f"{operator} by ({', '.join((*level.labels, *more))})"
    return f"{head} {block(inner, len(head))}"


def block(inner: str, before: int = 0) -> str:
    """An expression in brackets; on lines of its own if it is long, with what is before it."""
    if "\n" not in inner and before + len(inner) < _WIDTH:
        return f"({inner})"
    return f"(\n{indented(inner)}\n)"


def indented(inner: str) -> str:
    """An expression two places further right."""
    return textwrap.indent(inner, "  ")
