"""Every metric of a GPU, in the order of the page."""

from gpuglass.catalogue import activity, device, mig, processes, xids
from gpuglass.catalogue.model import Metric

METRICS: tuple[Metric, ...] = (
    *device.METRICS,
    *activity.METRICS,
    *mig.METRICS,
    *processes.METRICS,
    *xids.METRICS,
)
