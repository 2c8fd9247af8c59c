"""The keeper's own page of metrics."""

from collections.abc import Iterable, Sequence
from itertools import chain

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from gpuglass.catalogue.model import Metric
from gpuglass.keeper.duty import Told


def registry(told: Sequence[Told]) -> CollectorRegistry:
    """A registry with the metrics of the duties and the like, and those of the keeper's process."""
    made = CollectorRegistry()
    made.register(_Told(told))
    ProcessCollector(registry=made)
    return made


def gauge(metric: Metric) -> GaugeMetricFamily:
    """An empty family as the catalogue declares it."""
    return GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)


def counter(metric: Metric) -> CounterMetricFamily:
    """An empty family as the catalogue declares it."""
    return CounterMetricFamily(metric.name, metric.help, labels=metric.labels)


class _Told(Collector):
    def __init__(self, told: Sequence[Told]) -> None:
        self._told = told

    def collect(self) -> Iterable[Family]:
        # What two tell of, each of its own part, is one family of the page.
        families: dict[str, Family] = {}
        for family in chain.from_iterable(each.collect() for each in self._told):
            known = families.setdefault(family.name, family)
            if known is not family:
                known.samples.extend(family.samples)
        yield from families.values()
