"""Metrics of the rollups: what the keeper tells of its work, and what it notes in the tiers."""

from gpuglass.catalogue.model import Metric, Rollup, Type

_TIER = ("tier",)

LAST_SUCCESS = Metric(
    "gpuglass_keeper_rollup_last_success_timestamp_seconds",
    Type.GAUGE,
    "Unix time at which a run over the tier last ended without a failure",
    "the keeper",
    _TIER,
    unit="seconds",
    digits=0,
)
DURATION = Metric(
    "gpuglass_keeper_rollup_duration_seconds",
    Type.GAUGE,
    "Time that the last run over the tier took",
    "the keeper",
    _TIER,
    unit="seconds",
    digits=1,
)
PENDING = Metric(
    "gpuglass_keeper_rollup_pending_windows",
    Type.GAUGE,
    "Windows of nodes that the last run found missing in the tier and could not fill",
    "the keeper",
    _TIER,
)
LAG = Metric(
    "gpuglass_keeper_rollup_lag_seconds",
    Type.GAUGE,
    "Age of the oldest pending window of the tier, from its end; 0 if none is pending",
    "the keeper",
    _TIER,
    unit="seconds",
    digits=0,
)
WINDOWS = Metric(
    "gpuglass_keeper_rollup_windows_total",
    Type.COUNTER,
    "Windows of nodes that were rolled up into the tier",
    "the keeper",
    _TIER,
)
LATE_WINDOWS = Metric(
    "gpuglass_keeper_rollup_late_windows_total",
    Type.COUNTER,
    "Windows of nodes that got more samples after they had been rolled up, and stay without them",
    "the keeper",
    _TIER,
)
FAILURES = Metric(
    "gpuglass_keeper_rollup_failures_total",
    Type.COUNTER,
    "Runs over the tier in which something failed; the next run does again what is missing",
    "the keeper",
    _TIER,
)

# In the tiers themselves, at the end of each window.

SAMPLES = Metric(
    "gpuglass_rollup_samples",
    Type.GAUGE,
    "Scrapes of the node in the window when it was rolled up, each counted once for every series "
    "that all pages have; node is empty for our own components; source is rules for what vmalert "
    "wrote",
    "the keeper",
    ("source",),
    rollup=Rollup.NONE,
)
LATE_SAMPLES = Metric(
    "gpuglass_rollup_late_samples",
    Type.GAUGE,
    "As gpuglass_rollup_samples, those that came after the window was rolled up; only there if any",
    "the keeper",
    ("source",),
    rollup=Rollup.NONE,
)

METRICS: tuple[Metric, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Metric)
)
