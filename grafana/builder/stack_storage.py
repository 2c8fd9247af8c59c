"""The rows of gpu-stack from vmagent on: intake, storage, rollups, rules and alerts."""

from grafana.builder.grids import Column, table
from grafana.builder.model import NOW, Query, Row, row
from grafana.builder.panels import stat, timeseries
from grafana.builder.style import BAD_FROM_1, WARN_FROM_1

_SIZE = "sum by (instance) (vm_data_size_bytes)"
_ROWS = "sum by (instance) (vm_rows)"
_ADDED = "sum by (instance) (rate(vm_rows_added_to_storage_total[1d]))"
DISK_LASTS = (
    "min(vm_free_disk_space_bytes) "
    f"/ (sum({_ADDED} * on (instance) {_SIZE} / on (instance) {_ROWS}) > 0)"
)


def intake() -> Row:
    """From the exporters into the storage."""
    return row(
        "Intake",
        timeseries(
            "Samples",
            "Samples a second that vmagent takes in, and that each tier's storage gets.",
            Query("sum(rate(vm_promscrape_scraped_samples_sum[$__rate_interval]))", "scraped"),
            Query(
                "sum by (tier) (rate(vm_rows_added_to_storage_total[$__rate_interval]))",
                "stored, {{tier}}",
            ),
            unit="short",
            source=NOW,
            width=8,
        ),
        timeseries(
            "Waiting to be stored",
            "What vmagent keeps on its disk as the storage does not take it; it catches up by "
            "itself, unless that disk fills up.",
            Query(
                "sum(avg_over_time(vmagent_remotewrite_pending_data_bytes[$__interval]))", "waiting"
            ),
            unit="bytes",
            source=NOW,
            width=8,
        ),
        timeseries(
            "Lost on the way",
            "Scrapes that failed, blocks of samples that were dropped, and rows that vmalert could "
            "not write, each second. None are best.",
            Query(
                "sum(rate(vm_promscrape_scrapes_failed_total[$__rate_interval]))", "failed scrapes"
            ),
            Query(
                "sum(rate(vmagent_remotewrite_packets_dropped_total[$__rate_interval]))",
                "dropped blocks of vmagent",
            ),
            Query(
                "sum(rate(vmalert_remotewrite_dropped_rows_total[$__rate_interval]))",
                "dropped rows of vmalert",
            ),
            unit="cps",
            source=NOW,
            width=8,
        ),
    )


def storage() -> Row:
    """VictoriaMetrics, each tier."""
    return row(
        "Storage",
        table(
            "Tiers",
            "What each storage holds: all samples, minutes, hours. Without tiers there is one.",
            Column("Data", "sum by (tier) (vm_data_size_bytes)", unit="bytes"),
            Column("Samples", 'sum by (tier) (vm_rows{type!~"indexdb.*"})', unit="short"),
            Column(
                "Bytes a sample",
                'sum by (tier) (vm_data_size_bytes{type!~"indexdb.*"}) '
                '/ (sum by (tier) (vm_rows{type!~"indexdb.*"}) > 0)',
                unit="short",
                decimals=2,
            ),
            Column(
                "Series, 1 h",
                'sum by (tier) (vm_cache_entries{type="storage/hour_metric_ids"})',
                unit="short",
            ),
            Column("Disk free", "min by (tier) (vm_free_disk_space_bytes)", unit="bytes"),
            Column(
                "Takes samples",
                "max by (tier) (vm_storage_is_read_only)",
                unit="short",
                mappings={"0": ("yes", "green"), "1": ("no: disk full", "red")},
            ),
            labels={"tier": "Tier"},
            height=6,
        ),
        timeseries(
            "Disk",
            "Size of each tier's data, and what is free of the disk that they are on.",
            Query(
                "sum by (tier) (avg_over_time(vm_data_size_bytes[$__interval]))", "{{tier}} data"
            ),
            Query("min(avg_over_time(vm_free_disk_space_bytes[$__interval]))", "free"),
            unit="bytes",
            source=NOW,
            width=8,
        ),
        timeseries(
            "Time of queries",
            "How long the slowest percent of queries takes: those of dashboards, rules, alerts.",
            Query(
                "max by (tier) (max_over_time(vm_request_duration_seconds"
                '{path=~"/api/v1/query|/api/v1/query_range",quantile="0.99"}[$__interval]))',
                "{{tier}}",
            ),
            unit="s",
            source=NOW,
            width=8,
        ),
        timeseries(
            "New and slow",
            "New series a second: many of them for long mean a label that changes all the time. "
            "Slow inserts are those for which the storage had to look up the series on disk.",
            Query("sum(rate(vm_new_timeseries_created_total[$__rate_interval]))", "new series"),
            Query("sum(rate(vm_slow_row_inserts_total[$__rate_interval]))", "slow inserts"),
            unit="cps",
            source=NOW,
            width=8,
        ),
    )


def rollups() -> Row:
    """What the keeper rolls up into tiers."""
    none = "storage has no tiers: all samples are kept"
    return row(
        "Rollups",
        stat(
            "Rollups behind",
            "Age of the oldest window that should be in a tier and is not; 0 if none is missing.",
            Query("max by (tier) (gpuglass_keeper_rollup_lag_seconds)", "{{tier}}"),
            steps=((None, "green"), (1800, "orange"), (86400, "red")),
            names=True,
            empty="no tiers",
            width=5,
            height=8,
            decimals=0,
        ),
        stat(
            "Rollups pending",
            "Windows of nodes that the last run could not fill; the next one tries again.",
            Query("max by (tier) (gpuglass_keeper_rollup_pending_windows)", "{{tier}}"),
            steps=WARN_FROM_1,
            names=True,
            empty="no tiers",
            width=5,
            height=8,
        ),
        timeseries(
            "Time of rollups",
            "How long a run over a tier took. Minutes are rolled up every ten minutes, hours every "
            "hour.",
            Query(
                "max by (tier) (max_over_time("
                "gpuglass_keeper_rollup_duration_seconds${max}[$__interval]))",
                "{{tier}}",
            ),
            width=7,
            empty=none,
        ),
        timeseries(
            "Rollups that failed or came too early",
            "Runs in which something failed, and windows that got samples after they had been "
            "rolled up: these are without them.",
            Query(
                "sum by (tier) (increase(gpuglass_keeper_rollup_failures_total[$__interval]))",
                "{{tier}} failures",
            ),
            Query(
                "sum by (tier) (increase(gpuglass_keeper_rollup_late_windows_total[$__interval]))",
                "{{tier}} late",
            ),
            bars=True,
            width=7,
            empty=none,
        ),
    )


def rules() -> Row:
    """vmalert, Alertmanager, and who is told."""
    return row(
        "Rules and alerts",
        stat(
            "Rules that fail",
            "Rules whose last 10 minutes had an error.",
            Query(
                "(sum(increase(vmalert_alerting_rules_errors_total[10m]) > bool 0) or vector(0)) "
                "+ (sum(increase(vmalert_recording_rules_errors_total[10m]) > bool 0) "
                "or vector(0))"
            ),
            unit="short",
            steps=BAD_FROM_1,
            width=4,
            height=8,
        ),
        stat(
            "Who is told",
            "Receivers of alerts. At 0 nobody is told: see victoriametrics/alertmanager/README.md.",
            Query("max(gpuglass_keeper_receivers)"),
            steps=((None, "orange"), (1, "green")),
            width=4,
            height=8,
        ),
        timeseries(
            "Time of rules",
            "How long a group of rules takes; the ten slowest. They run every 5 seconds to every "
            "minute.",
            Query(
                "topk_max(10, max by (group) (max_over_time(vmalert_iteration_duration_seconds"
                '{quantile="0.9"}[$__interval])))',
                "{{group}}",
            ),
            unit="s",
            source=NOW,
            width=8,
        ),
        timeseries(
            "Alerts by severity",
            "How many alerts fired.",
            Query(
                "sum by (severity) (count_over_time("
                'ALERTS{alertstate="firing",severity!="none"}[$__interval]) > bool 0)',
                "{{severity}}",
            ),
            bars=True,
            stacked=True,
            width=8,
            empty="no alert fired in this time range",
        ),
        timeseries(
            "Messages",
            "Messages to people that Alertmanager sent, and those that failed.",
            Query("sum(increase(alertmanager_notifications_total[$__interval]))", "sent"),
            Query("sum(increase(alertmanager_notifications_failed_total[$__interval]))", "failed"),
            unit="short",
            source=NOW,
            bars=True,
            empty="nobody is to be told: see victoriametrics/alertmanager/README.md",
        ),
        timeseries(
            "Faults of the keeper",
            "Checks that failed: of targets, rules, receivers, acknowledgements, and of itself.",
            Query("sum(increase(gpuglass_keeper_publish_errors_total[$__interval]))", "targets"),
            Query("sum(increase(gpuglass_keeper_rules_errors_total[$__interval]))", "rules"),
            Query(
                "sum(increase(gpuglass_keeper_receivers_errors_total[$__interval]))", "receivers"
            ),
            Query(
                "sum(increase(gpuglass_keeper_alertmanager_errors_total[$__interval]))",
                "acknowledgements",
            ),
            Query("sum(increase(gpuglass_keeper_duty_failures_total[$__interval]))", "itself"),
            bars=True,
        ),
    )
