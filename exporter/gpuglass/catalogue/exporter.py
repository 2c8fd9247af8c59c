"""Metrics of the exporter itself."""

from gpuglass.catalogue.model import Metric, Type

BUILD_INFO = Metric(
    "gpuglass_build_info",
    Type.INFO,
    "Version of gpuglass and of the Python that runs it",
    "the exporter",
    ("version", "python_version"),
)
COLLECTOR_SUCCESS = Metric(
    "gpuglass_collector_success",
    Type.GAUGE,
    "1 if the collector's last run succeeded",
    "the exporter",
    ("collector",),
)
COLLECTOR_FAILURE = Metric(
    "gpuglass_collector_failure_info",
    Type.INFO,
    "Why the collector fails; only there while it does",
    "the exporter",
    ("collector", "reason"),
)
COLLECTOR_DURATION = Metric(
    "gpuglass_collector_duration_seconds",
    Type.GAUGE,
    "Time that the collector's last run took; for nvml, the slowest GPU's",
    "the exporter",
    ("collector",),
    unit="seconds",
    digits=4,
)
COLLECTOR_LAST_SUCCESS = Metric(
    "gpuglass_collector_last_success_timestamp_seconds",
    Type.GAUGE,
    "Unix time of the collector's last success",
    "the exporter",
    ("collector",),
    unit="seconds",
)
DATA_AGE = Metric(
    "gpuglass_data_age_seconds",
    Type.GAUGE,
    "Age of the collector's data on this page; for nvml, the oldest GPU's",
    "the exporter",
    ("collector",),
    unit="seconds",
    digits=1,
)
XID_SOURCE = Metric(
    "gpuglass_xid_source_info",
    Type.INFO,
    "Where XIDs come from, and why from nowhere better: the kernel log sees more than NVML tells",
    "the exporter",
    ("source", "why"),
)
OWNERS = Metric(
    "gpuglass_owner_capability",
    Type.GAUGE,
    "1 if this part of a process's owner can be told; 0 if not, and why",
    "the exporter",
    ("part", "why"),
)
PROBE_RESTARTS = Metric(
    "gpuglass_probe_restarts_total",
    Type.COUNTER,
    "Starts of the probe's process after the first, by what ended the one before; "
    "not where that was let go on purpose",
    "the supervisor",
    ("cause",),
)
PROBE_WAITING = Metric(
    "gpuglass_probe_waiting_seconds",
    Type.GAUGE,
    "How long the probe has been in a driver's call; only there while one takes longer than a "
    "second; gpu is empty for a call that is not of one GPU, uuid also where it is not known",
    "the probe",
    ("gpu", "uuid", "call"),
    unit="seconds",
    digits=1,
)
PROBE_ABANDONED = Metric(
    "gpuglass_probe_abandoned",
    Type.GAUGE,
    "Probe processes that did not end when asked and were left behind",
    "the supervisor",
)
RELEASED_UNTIL = Metric(
    "gpuglass_released_until_timestamp_seconds",
    Type.GAUGE,
    "Unix time until which the GPUs are let go by gpuglass release; only there until then",
    "gpuglass release",
    unit="seconds",
    digits=0,
)
WEB_CONFIGURATION_VALID = Metric(
    "gpuglass_web_configuration_valid",
    Type.GAUGE,
    "1 if the web configuration file is in force as it is now, 0 if an earlier version of it is; "
    "only there with --web.config.file",
    "--web.config.file",
)
WEB_CERTIFICATE_EXPIRY = Metric(
    "gpuglass_web_certificate_expiry_timestamp_seconds",
    Type.GAUGE,
    "Unix time at which the certificate ends that is shown to clients; only there with TLS",
    "--web.config.file",
    unit="seconds",
    digits=0,
)
PUSH_CLOCK_OFFSET = Metric(
    "gpuglass_push_clock_offset_seconds",
    Type.GAUGE,
    "How far this machine's clock is ahead of the monitoring host's, to half a second or half the "
    "time of the request; only there with --push.url",
    "the Date of the monitoring host's answers",
    unit="seconds",
    digits=1,
)
PUSH_PENDING = Metric(
    "gpuglass_push_pending_bytes",
    Type.GAUGE,
    "Bytes that wait in vmagent to be pushed; only there with --push.url",
    "vmagent",
    unit="bytes",
    digits=0,
)
PUSH_DROPPED = Metric(
    "gpuglass_push_dropped_bytes_total",
    Type.COUNTER,
    "Bytes that vmagent threw away because its queue was full; only there with --push.url",
    "vmagent",
    unit="bytes",
    digits=0,
)
PROCESS_CPU = Metric(
    "gpuglass_process_cpu_seconds_total",
    Type.COUNTER,
    "CPU time of the exporter's processes, of the probe's over all its restarts",
    "/proc/PID/stat",
    ("process",),
    unit="seconds",
    digits=2,
)
PROCESS_MEMORY = Metric(
    "gpuglass_process_resident_memory_bytes",
    Type.GAUGE,
    "Resident memory of the exporter's processes",
    "/proc/PID/stat",
    ("process",),
    unit="bytes",
)

METRICS: tuple[Metric, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Metric)
)
