"""Builds the rollup rules of both tiers from the catalogue: `make docs`.

Which values of a metric a tier keeps follows from the metric's rollup policy, so that a new metric
needs no rule of its own. Each rule takes fewer names than VictoriaMetrics looks up one by one.
"""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from docs import writer

from gpuglass.catalogue import exporter, gpu, host, keeper, rollups
from gpuglass.catalogue.model import Metric, Rollup

FOLDER = Path(__file__).resolve().parents[1] / "victoriametrics/rules/rollups"

# vmagent adds them to every scrape. The average of up is the share of scrapes that succeeded.
_OF_SCRAPES = {"up": Rollup.MIN_AVG_MAX, "scrape_duration_seconds": Rollup.MIN_AVG_MAX}
# What vmalert writes: alerts and the results of recording rules, users' own among them, which have
# a colon in their names. One that ends like this adds up over time, or is a counter.
_RESULTS = ".+:.+"
_INCREASES, _COUNTERS = ".+:increase", ".+:.+_total"
_ALERTS = ("ALERTS", "ALERTS_FOR_STATE")
# At most 100 alternatives of a regular expression become exact look-ups in VictoriaMetrics's index.
_MOST_NAMES = 80

_MINUTE = {Rollup.MIN_AVG_MAX, Rollup.MINUTE}
_HOUR = {Rollup.MIN_AVG_MAX}
_TIERS = {"minute": ("1m", _MINUTE), "hour": ("1h", _HOUR)}

_HEAD = """\
# What a window of {step} keeps of each metric. Built from exporter/gpuglass/catalogue/ by
# `make docs`; do not edit.
#
# The keeper runs these with `vmalert -replay` over closed windows of some nodes. tier.yml gives
# the results their names: a rule's own name would take the place of the metric's.

groups:
"""
_GROUP = """\
  - name: {name}
    interval: {step}
    rules:
      - record: rollup
        expr: "label_copy({function}({{__name__=~'\\
{names}'{more}}}[{step}])\\
          \\ keep_metric_names, '__name__', 'rollup_name')"
"""


def pages() -> dict[Path, str]:
    """The text of each file of rules."""
    return {FOLDER / f"{name}.yml": _page(*tier) for name, tier in _TIERS.items()}


def policies() -> dict[str, Rollup]:
    """What the tiers keep of each series that is scraped, by its name."""
    modules = (gpu, host, exporter, keeper, rollups)
    declared: Iterable[Metric] = (metric for module in modules for metric in module.METRICS)
    return {**{m.name: m.rollup for m in declared if m.rollup is not None}, **_OF_SCRAPES}


def _page(step: str, spread: set[Rollup]) -> str:
    known = policies()
    extremes = [name for name, policy in known.items() if policy in spread]
    sums = [name for name, policy in known.items() if policy is Rollup.SUM]
    last = [name for name, policy in known.items() if policy is Rollup.LAST]
    parts = [_HEAD.format(step=step)]
    parts += _groups("gauges", step, "rollup", extremes)
    parts += _groups("last", step, "last_over_time", last)
    parts += _groups("sums", step, "sum_over_time", sums)
    parts.append(_group("alerts", step, "last_over_time", "|".join(_ALERTS)))
    parts.append(_group("recorded-sums", step, "sum_over_time", _INCREASES))
    parts.append(_group("recorded-counters", step, "last_over_time", _COUNTERS))
    others = f",__name__!~'{_INCREASES}|{_COUNTERS}'"
    parts.append(_group("recorded", step, "rollup", _RESULTS, others))
    return "".join(parts)


def _groups(title: str, step: str, function: str, names: Sequence[str]) -> Iterator[str]:
    for part, start in enumerate(range(0, len(names), _MOST_NAMES), 1):
        some = names[start : start + _MOST_NAMES]
        yield _group(f"{title}-{part}", step, function, "|".join(some))


def _group(name: str, step: str, function: str, names: str, more: str = "") -> str:
    # Names are wrapped where one ends; the backslash at the end of a line joins it with the next.
    lines = textwrap.wrap(names.replace("|", "| "), 100, break_on_hyphens=False)
    wrapped = "\\\n".join(f"          {line.replace('| ', '|')}" for line in lines)
    return _GROUP.format(name=name, step=step, function=function, names=wrapped, more=more)


if __name__ == "__main__":
    writer.main(__doc__, pages())
