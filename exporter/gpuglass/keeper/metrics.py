"""The keeper's own page of metrics."""

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from gpuglass.catalogue import keeper as catalogue
from gpuglass.catalogue.model import Metric
from gpuglass.keeper.keeper import State


def registry(state: Callable[[], State]) -> CollectorRegistry:
    """A registry with the keeper's metrics and those of its process.

    Args:
        state: Gives the present state; called on every scrape.
    """
    made = CollectorRegistry()
    made.register(_StateCollector(state))
    ProcessCollector(registry=made)
    return made


class _StateCollector(Collector):
    def __init__(self, state: Callable[[], State]) -> None:
        self._state = state

    def collect(self) -> Iterable[GaugeMetricFamily | CounterMetricFamily]:
        state = self._state()
        targets = _gauge(catalogue.TARGETS)
        valid = _gauge(catalogue.FILE_VALID)
        success = _gauge(catalogue.FILE_LAST_SUCCESS)
        for name, file in sorted(state.files.items()):
            targets.add_metric([name], file.targets)
            valid.add_metric([name], float(file.valid))
            if file.last_success is not None:
                success.add_metric([name], round(file.last_success))
        errors = catalogue.PUBLISH_ERRORS
        yield from (targets, valid, success)
        yield CounterMetricFamily(errors.name, errors.help, value=state.publish_errors)
        if state.last_check is not None:
            last_check = _gauge(catalogue.LAST_CHECK)
            last_check.add_metric([], round(state.last_check))
            yield last_check


def _gauge(metric: Metric) -> GaugeMetricFamily:
    return GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
