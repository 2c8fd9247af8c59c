"""gpu-stack: whether what measures, stores and alerts does its work."""

from grafana.builder import annotations, links, stack_storage
from grafana.builder.grids import Column, sparse, table
from grafana.builder.meanings import STATES
from grafana.builder.model import NOW, Dashboard, Query, Row, row
from grafana.builder.panels import stat, timeseries
from grafana.builder.queries import last_answers
from grafana.builder.style import BAD_FROM_1, GOOD, WARN_FROM_1
from grafana.builder.tables import firing_alerts
from grafana.builder.variables import CLUSTER, NODE, RESOLUTION

# By the value of what says whether a file is in force as it is.
_VALID = {"1": ("in force", "green"), "0": ("has a mistake", "red")}
_OURS = 'job!="gpu"'
_WHERE = {"cluster": "Cluster", "node": "Node"}


def _now() -> Row:
    return row(
        "",
        stat(
            "Programs down",
            "Our own programs that do not answer: storage, vmagent, vmalert, Alertmanager, keeper.",
            Query(f"sum(up{{{_OURS}}} == bool 0)"),
            steps=BAD_FROM_1,
            width=3,
            height=3,
        ),
        stat(
            "Exporters online",
            "Nodes whose exporter answers.",
            Query('sum(up{job="gpu",$nodes})'),
            steps=GOOD,
            width=3,
            height=3,
        ),
        stat(
            "Exporters offline",
            "Nodes whose exporter does not answer; which they are stands below.",
            Query('sum(up{job="gpu",$nodes} == bool 0)'),
            steps=BAD_FROM_1,
            width=3,
            height=3,
        ),
        stat(
            "Files with mistakes",
            "Files of targets, rules and receivers whose last good version is used, since they "
            "have a mistake now: gpuglass targets check says which.",
            Query(
                "sum(gpuglass_keeper_targets_file_valid == bool 0) "
                "+ (sum(gpuglass_keeper_rules_file_valid == bool 0) or vector(0)) "
                "+ (sum(gpuglass_keeper_receivers_file_valid == bool 0) or vector(0))"
            ),
            unit="short",
            steps=BAD_FROM_1,
            width=3,
            height=3,
        ),
        stat(
            "Samples a second",
            "Samples that vmagent takes in from all targets.",
            Query("sum(rate(vm_promscrape_scraped_samples_sum[1m]))"),
            unit="short",
            width=3,
            height=3,
        ),
        stat(
            "Series in use",
            "Series that got a sample within the last hour, in the storage of all samples.",
            Query('sum(vm_cache_entries{type="storage/hour_metric_ids",tier="raw"})'),
            unit="short",
            width=3,
            height=3,
        ),
        stat(
            "Disk free",
            "What is free of the disk that the storage is on; of the fullest, if there are many.",
            Query("min(vm_free_disk_space_bytes)"),
            unit="bytes",
            steps=((None, "red"), (2e9, "orange"), (20e9, "green")),
            width=3,
            height=3,
            decimals=0,
        ),
        stat(
            "Disk lasts for",
            "Time until the disk is full if samples come as in the last day and none expired. "
            "Where that is longer than samples are kept, it never is.",
            Query(stack_storage.DISK_LASTS),
            unit="s",
            steps=((None, "red"), (7 * 86400, "orange"), (30 * 86400, "green")),
            width=3,
            height=3,
            decimals=0,
        ),
    )


def _programs() -> Row:
    by = "by (job, instance, tier)"
    return row(
        "Programs",
        table(
            "Our programs",
            "Each program of the pipeline but the exporters: whether it answers, and what it "
            "takes.",
            Column(
                "State",
                f"max {by} (up{{{_OURS}}})",
                mappings=STATES,
                look="colored",
                width=90,
            ),
            Column(
                "Up for",
                f"time() - max {by} (process_start_time_seconds{{{_OURS}}})",
                unit="s",
                decimals=0,
            ),
            Column(
                "Cores",
                f"max {by} (rate(process_cpu_seconds_total{{{_OURS}}}[5m]))",
                unit="short",
                decimals=2,
            ),
            Column("Memory", f"max {by} (process_resident_memory_bytes{{{_OURS}}})", unit="bytes"),
            labels={"job": "Program", "tier": "Tier", "instance": "Address"},
            sort="Program",
            ascending=True,
            width=14,
            height=9,
        ),
        firing_alerts('component=~"stack|exporter"', width=10, height=9, ours=True),
        timeseries(
            "Cores of our programs",
            "Processor time that each program takes a second: 1 is a whole core.",
            Query(
                f"sum {by} (rate(process_cpu_seconds_total{{{_OURS}}}[$__rate_interval]))",
                "{{job}} {{tier}}",
            ),
            unit="short",
            source=NOW,
        ),
        timeseries(
            "Memory of our programs",
            "Main memory that each program holds.",
            Query(
                f"sum {by} (avg_over_time(process_resident_memory_bytes{{{_OURS}}}[$__interval]))",
                "{{job}} {{tier}}",
            ),
            unit="bytes",
            source=NOW,
        ),
    )


def _exporters() -> Row:
    by, on = "by (cluster, node)", "on (cluster, node)"
    largest = f"topk(20, sum {by} (gpuglass_process_resident_memory_bytes{{$nodes}}))"
    return row(
        "Exporters",
        timeseries(
            "Exporters that answer",
            "How many exporters answer, and how many do not.",
            Query('sum(avg_over_time(up{job="gpu",$nodes}[$__interval]))', "online"),
            Query(
                'count(avg_over_time(up{job="gpu",$nodes}[$__interval])) '
                '- sum(avg_over_time(up{job="gpu",$nodes}[$__interval]))',
                "offline",
            ),
            unit="short",
            width=8,
        ),
        timeseries(
            "Slowest scrapes",
            "Time that vmagent waits for a node's page; the ten slowest nodes. The scrape interval "
            "is the limit.",
            Query(
                "topk_max(10, max by (node) (max_over_time("
                'scrape_duration_seconds${max}{job="gpu",$nodes}[$__interval])))',
                "{{node}}",
            ),
            width=8,
            links=(links.NODE,),
        ),
        timeseries(
            "Slowest readings",
            "Time that an exporter takes to read its GPUs or its machine; the ten slowest. An NVML "
            "that takes longer and longer comes before a driver that hangs.",
            Query(
                "topk_max(10, max by (node, collector) (max_over_time("
                "gpuglass_collector_duration_seconds${max}{$nodes}[$__interval])))",
                "{{node}} {{collector}}",
            ),
            width=8,
            links=(links.NODE,),
        ),
        table(
            "Offline, or without GPUs",
            "Exporters that do not answer, and collectors that fail, with the reason.",
            *sparse(
                Column(
                    "Since it last answered",
                    f"time() - ({last_answers(by)})",
                    unit="s",
                    decimals=0,
                ),
                Column(
                    "Fails",
                    "max by (cluster, node, collector, reason) "
                    "(gpuglass_collector_failure_info{$nodes})",
                    unit="short",
                    mappings={"1": ("now", "red")},
                ),
            ),
            labels={**_WHERE, "collector": "Collector", "reason": "Reason"},
            links={"Node": links.NODE_OF_ROW},
            empty="none known of",
            width=12,
            height=7,
        ),
        table(
            "Exporters that take most",
            "Memory and processor time of exporters; the 20 that hold most memory.",
            Column("Memory", largest),
            Column(
                "Cores",
                f"sum {by} (rate(gpuglass_process_cpu_seconds_total{{$nodes}}[5m])) "
                f"and {on} {largest}",
                unit="short",
                decimals=3,
            ),
            Column(
                "Probe restarts, 1 d",
                f"(sum {by} (increase(gpuglass_probe_restarts_total{{$nodes}}[1d])) > 0) "
                f"and {on} {largest}",
                unit="short",
                steps=WARN_FROM_1,
                decimals=0,
            ),
            labels=_WHERE,
            links={"Node": links.NODE_OF_ROW},
            sort="Memory",
            width=12,
            height=7,
        ),
    )


def _files() -> Row:
    return row(
        "What you edit",
        table(
            "Files of targets",
            "Each file in victoriametrics/targets/: how many targets it gives, and whether it is "
            "in force as it is.",
            Column("State", "max by (file) (gpuglass_keeper_targets_file_valid)", mappings=_VALID),
            Column("Targets", "max by (file) (gpuglass_keeper_targets)"),
            Column(
                "Last found good",
                "max by (file) (gpuglass_keeper_targets_file_last_success_timestamp_seconds) * "
                "1000",
                unit="dateTimeFromNow",
            ),
            labels={"file": "File"},
            sort="State",
            empty="no file of targets: see victoriametrics/targets/README.md",
            width=12,
            height=6,
        ),
        table(
            "Files of your own rules",
            "Each file in victoriametrics/rules/custom/: how many rules it gives, and whether it "
            "is in force as it is.",
            Column("State", "max by (file) (gpuglass_keeper_rules_file_valid)", mappings=_VALID),
            Column("Rules", "max by (file) (gpuglass_keeper_rules)"),
            labels={"file": "File"},
            sort="State",
            empty="no rules of your own",
            width=12,
            height=6,
        ),
    )


def dashboard() -> Dashboard:
    """The pipeline itself."""
    return Dashboard(
        uid="gpu-stack",
        title="GPU pipeline",
        description="Whether exporters, scraping, storage, rollups, rules and alerts work.",
        rows=(
            _now(),
            _programs(),
            _exporters(),
            _files(),
            stack_storage.intake(),
            stack_storage.storage(),
            stack_storage.rollups(),
            stack_storage.rules(),
        ),
        variables=(CLUSTER, NODE, RESOLUTION),
        annotations=(annotations.program_restarts(),),
        refresh="30s",
    )
