"""Metrics of the keeper, which publishes the users' targets on the monitoring host."""

from gpuglass.catalogue.model import Metric, Type

TARGETS = Metric(
    "gpuglass_keeper_targets",
    Type.GAUGE,
    "Targets that are published from the file",
    "the keeper",
    ("file",),
)
FILE_VALID = Metric(
    "gpuglass_keeper_targets_file_valid",
    Type.GAUGE,
    "1 if the file as it is now is published; 0 if it has a mistake and its last good version is",
    "the keeper",
    ("file",),
)
FILE_LAST_SUCCESS = Metric(
    "gpuglass_keeper_targets_file_last_success_timestamp_seconds",
    Type.GAUGE,
    "Unix time at which the file was last found good",
    "the keeper",
    ("file",),
    unit="seconds",
    digits=0,
)
PUBLISH_ERRORS = Metric(
    "gpuglass_keeper_publish_errors_total",
    Type.COUNTER,
    "Checks in which the targets folder could not be read or the published one not be written",
    "the keeper",
)
LAST_CHECK = Metric(
    "gpuglass_keeper_last_check_timestamp_seconds",
    Type.GAUGE,
    "Unix time of the last check of the targets folder",
    "the keeper",
    unit="seconds",
    digits=0,
)

METRICS: tuple[Metric, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Metric)
)
