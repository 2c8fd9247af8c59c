"""Grafana's unit of a query, from what the catalogue says of its metrics."""

import re

from grafana.builder.metricsql import named, substituted

from gpuglass.catalogue import exporter, gpu, host, keeper, rollups
from gpuglass.catalogue.model import Metric, Type
from gpuglass.catalogue.records import RECORDS

CATALOGUE: dict[str, Metric] = {
    metric.name: metric
    for module in (gpu, host, exporter, keeper, rollups)
    for metric in module.METRICS
}
RECORDED = {record.name: record for record in RECORDS}

# By base unit: the unit of a level, and of what a counter of it gains in a second.
_LEVEL = {
    "seconds": "s",
    "bytes": "bytes",
    "watts": "watt",
    "joules": "joule",
    "celsius": "celsius",
    "ratio": "percentunit",
    "hertz": "hertz",
    "bytes_per_second": "Bps",
    "grams": "massg",
    "": "short",
}
_RATE = {"seconds": "percentunit", "bytes": "Bps", "joules": "watt", "": "cps"}
_RATES = {"rate", "irate"}
_COUNTS = {"count", "count_values", "changes", "resets", "group", "count_over_time"}
# What changes a unit in a way that is not guessed.
_ARITHMETIC = re.compile(r"[*/^]")
# What any metric tells of itself.
_OTHERS = {"up": "", "scrape_duration_seconds": "seconds"}


def unit_of(expr: str) -> str:
    """Grafana's unit of an expression.

    Raises:
        ValueError: It is not a plain one, or its metrics differ in unit: it has to be given.
    """
    # What stands behind these only chooses.
    expr = re.split(r"\b(?:and|unless|if|ifnot)\b", expr)[0]
    found = named(substituted(expr))
    if _ARITHMETIC.search(re.sub(r'"[^"]*"|\[[^]]*\]', "", expr)):
        raise ValueError(f"give the unit of {expr}: it is calculated")
    if found.functions & _COUNTS or re.search(r"\bbool\b", expr):
        return "short"
    units = {_base_unit(metric) for metric in found.metrics}
    if len(units) != 1:
        raise ValueError(f"give the unit of {expr}: its metrics have {sorted(units)}")
    (unit,) = units
    table = _RATE if found.functions & _RATES else _LEVEL
    if unit not in table:
        raise ValueError(f"give the unit of {expr}: {unit!r} has none")
    return table[unit]


def _base_unit(metric: str) -> str:
    name = re.sub(":(min|max)$", "", metric) if metric not in RECORDED else metric
    if name in CATALOGUE:
        known = CATALOGUE[name]
        # A counter's family ends in its unit, and its unit may not be declared besides.
        return known.unit or (_ending(known.family) if known.type is Type.COUNTER else "")
    if name in RECORDED:
        return _ending(RECORDED[name].metric)
    if name in _OTHERS:
        return _OTHERS[name]
    raise ValueError(f"{metric} is in no catalogue: give the unit")


def _ending(name: str) -> str:
    return next((unit for unit in _LEVEL if unit and name.endswith(f"_{unit}")), "")
