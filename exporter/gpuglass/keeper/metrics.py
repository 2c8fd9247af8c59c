"""The keeper's own page of metrics."""

from collections.abc import Iterable, Sequence

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
        for each in self._told:
            yield from each.collect()
