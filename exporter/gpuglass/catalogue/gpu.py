"""Every metric of a GPU, in the order of the page."""

from gpuglass.catalogue import device, processes, xids
from gpuglass.catalogue.model import Metric

METRICS: tuple[Metric, ...] = (*device.METRICS, *processes.METRICS, *xids.METRICS)
