"""XIDs: the errors that the driver reports in the kernel log, by number."""

from gpuglass.catalogue.model import Metric, Type, of_device

_SOURCE = (
    "the kernel log where it may be read, else nvmlEventSetWait_v2: see gpuglass_xid_source_info"
)

XID_ERRORS = of_device(
    "gpu_xid_errors_total",
    Type.COUNTER,
    "XIDs since boot, or since the exporter started where NVML tells of them; "
    "uuid is the PCI address of a GPU that NVML does not list",
    _SOURCE,
    "xid",
)
XID_LAST = of_device(
    "gpu_xid_last_timestamp_seconds",
    Type.GAUGE,
    "Unix time of the last XID with this number",
    _SOURCE,
    "xid",
    unit="seconds",
    digits=0,
)

METRICS: tuple[Metric, ...] = (XID_ERRORS, XID_LAST)
