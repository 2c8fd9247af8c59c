"""Every metric of a GPU, in the order of the page."""

from gpuglass.catalogue import (
    activity,
    confidential,
    device,
    errors,
    links,
    media,
    mig,
    modes,
    processes,
    smoothing,
    vgpu,
    xids,
)
from gpuglass.catalogue.model import Metric

MODULES = (
    *(device, activity, links, errors, xids, mig, processes),
    *(modes, media, smoothing, confidential, vgpu),
)

METRICS: tuple[Metric, ...] = tuple(metric for module in MODULES for metric in module.METRICS)
