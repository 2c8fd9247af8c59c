"""Metrics of the keeper, which runs on the monitoring host."""

from gpuglass.catalogue.model import Metric, Rollup, Type

DUTY_LAST_CHECK = Metric(
    "gpuglass_keeper_duty_last_check_timestamp_seconds",
    Type.GAUGE,
    "Unix time at which the keeper last saw to a duty of its own, or at which it started",
    "the keeper",
    ("duty",),
    unit="seconds",
    digits=0,
)
CERTIFICATE_EXPIRY = Metric(
    "gpuglass_keeper_certificate_expiry_timestamp_seconds",
    Type.GAUGE,
    "Unix time at which a certificate of the installation ends",
    "--tls.dir",
    ("file",),
    unit="seconds",
    digits=0,
)
DUTY_FAILURES = Metric(
    "gpuglass_keeper_duty_failures_total",
    Type.COUNTER,
    "Checks that a fault of the keeper itself ended; the log has it",
    "the keeper",
    ("duty",),
)
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
RULES = Metric(
    "gpuglass_keeper_rules",
    Type.GAUGE,
    "Rules of the users' own that are published from the file",
    "the keeper",
    ("file",),
)
RULES_FILE_VALID = Metric(
    "gpuglass_keeper_rules_file_valid",
    Type.GAUGE,
    "1 if the file as it is now is published; 0 if it has a mistake and its last good version is",
    "the keeper",
    ("file",),
)
RULES_FILE_LAST_SUCCESS = Metric(
    "gpuglass_keeper_rules_file_last_success_timestamp_seconds",
    Type.GAUGE,
    "Unix time at which the file was last found good",
    "the keeper",
    ("file",),
    unit="seconds",
    digits=0,
)
RULES_ERRORS = Metric(
    "gpuglass_keeper_rules_errors_total",
    Type.COUNTER,
    "Checks in which a folder of rules could not be read or written, or vmalert not be asked",
    "the keeper",
)
WORKERS = Metric(
    "gpuglass_keeper_workers",
    Type.GAUGE,
    "Workers that may push, as vmauth is told",
    "the keeper",
    ("file",),
)
WORKERS_FILE_VALID = Metric(
    "gpuglass_keeper_workers_file_valid",
    Type.GAUGE,
    "1 if the list of workers as it is now is in force; 0 if its last good version is",
    "the keeper",
    ("file",),
)
WORKERS_FILE_LAST_SUCCESS = Metric(
    "gpuglass_keeper_workers_file_last_success_timestamp_seconds",
    Type.GAUGE,
    "Unix time at which the list of workers was last found good",
    "the keeper",
    ("file",),
    unit="seconds",
    digits=0,
)
WORKERS_ERRORS = Metric(
    "gpuglass_keeper_workers_errors_total",
    Type.COUNTER,
    "Checks in which the list of workers could not be read or not be handed to vmauth",
    "the keeper",
)
WORKER_SILENT = Metric(
    "gpuglass_keeper_worker_silent_seconds",
    Type.GAUGE,
    "How long nothing new has come from a worker that pushes; one that was just added has an hour",
    "the keeper",
    ("ephemeral", "worker"),
    unit="seconds",
    digits=0,
)
WORKER_CLOCK_OFFSET = Metric(
    "gpuglass_keeper_worker_clock_offset_seconds",
    Type.GAUGE,
    "How far the clock of a worker that pushes is ahead of the monitor's, as it last measured; "
    "its samples bear its time",
    "the keeper",
    ("worker",),
    unit="seconds",
    digits=1,
)
ACKNOWLEDGEMENTS = Metric(
    "gpuglass_keeper_acknowledgements",
    Type.GAUGE,
    "Acknowledgements of alerts that are in force; absent while Alertmanager does not answer",
    "Alertmanager",
)
ACKNOWLEDGEMENTS_ENDED = Metric(
    "gpuglass_keeper_acknowledgements_ended_total",
    Type.COUNTER,
    "Acknowledgements that were ended because their alerts had",
    "the keeper",
)
ALERTMANAGER_ERRORS = Metric(
    "gpuglass_keeper_alertmanager_errors_total",
    Type.COUNTER,
    "Checks of acknowledgements in which Alertmanager did not answer, or refused",
    "the keeper",
)
RECEIVERS_FILE_VALID = Metric(
    "gpuglass_keeper_receivers_file_valid",
    Type.GAUGE,
    "1 if the receivers file as it is now is published; 0 if its last good version is",
    "the keeper",
)
RECEIVERS = Metric(
    "gpuglass_keeper_receivers",
    Type.GAUGE,
    "Receivers of alerts that are published; at 0 nobody is told",
    "the keeper",
)
RECEIVERS_TAKEN = Metric(
    "gpuglass_keeper_receivers_taken",
    Type.GAUGE,
    "1 if Alertmanager has taken what is published; 0 if it refused or does not answer",
    "Alertmanager",
)
RECEIVERS_ERRORS = Metric(
    "gpuglass_keeper_receivers_errors_total",
    Type.COUNTER,
    "Checks of receivers in which a file or amtool failed, or in which Alertmanager refused",
    "the keeper",
)

# What whoever runs this chose: prices and thresholds, as gauges for the rules to calculate with.


def _chosen(name: str, help: str, flag: str, *labels: str, unit: str = "") -> Metric:
    return Metric(name, Type.GAUGE, help, f"the keeper's {flag}", labels, unit, rollup=Rollup.LAST)


KWH_PRICE = _chosen(
    "gpuglass_cost_kwh_price", "Price of a kilowatt-hour", "--cost.kwh-price", "currency"
)
GPU_HOUR_PRICE = _chosen(
    "gpuglass_cost_gpu_hour_price",
    "Price of an hour in which one GPU is held",
    "--cost.gpu-hour-price",
    "currency",
)
PUE = _chosen(
    "gpuglass_cost_pue",
    "Energy of the site for each joule of the machines, cooling and supply included (PUE)",
    "--cost.pue",
)
KWH_CARBON = _chosen(
    "gpuglass_cost_kwh_carbon_grams",
    "Grams of CO2 equivalent that a kilowatt-hour emits",
    "--cost.carbon-grams-per-kwh",
)
ALERT_TEMPERATURE = _chosen(
    "gpuglass_alert_temperature_celsius",
    "Temperature of a GPU's core above which somebody wants to be told",
    "--alert.temperature-celsius",
    unit="celsius",
)
ALERT_UTILIZATION = _chosen(
    "gpuglass_alert_utilization_ratio",
    "Utilisation of a GPU above which somebody wants to be told",
    "--alert.utilization-ratio",
    unit="ratio",
)
ALERT_MEMORY = _chosen(
    "gpuglass_alert_memory_ratio",
    "Share of a GPU's memory above which somebody wants to be told",
    "--alert.memory-ratio",
    unit="ratio",
)

METRICS: tuple[Metric, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Metric)
)
