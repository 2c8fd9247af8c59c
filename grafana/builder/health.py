"""gpu-health: which GPUs are not well, why, and what to do."""

from grafana.builder import annotations, health_details, links
from grafana.builder.grids import Column, sparse, table
from grafana.builder.meanings import (
    ACTIONS,
    RECOVERIES,
    SEVERITIES,
    XID_ADVICE,
    XID_MEANINGS,
    XID_NUMBERS,
)
from grafana.builder.model import TIER, Dashboard, Query, Row, row
from grafana.builder.panels import counts, stat, state_timeline
from grafana.builder.queries import GPU, GPU_LINKS, MOST_ROWS, xid_columns
from grafana.builder.style import (
    BAD_FROM_1,
    CALM,
    HEALTH,
    WARN_FROM_1,
)
from grafana.builder.variables import CLUSTER, NODE, RESOLUTION
from grafana.builder.variables import GPU as GPU_INDEX

_BY = ", ".join(GPU)
_SCORE = (
    "The score is 1 less what firing alerts of the card and its links take off: 1 for a critical "
    "one, 0.3 for a warning, 0.1 for an info; at least 0."
)


def _now() -> Row:
    firing = 'ALERTS{$gpus,alertstate="firing",uuid!="",severity="%s"}'
    # Only where vmalert is known to work.
    none = '0 * count(ALERTS{alertname="GPUStackWatchdog"})'
    return row(
        "",
        stat(
            "Least health",
            f"The health of the least healthy GPU. {_SCORE}",
            Query("min(gpu:health_ratio:sum{$gpus})"),
            steps=HEALTH,
            width=3,
            empty="not rated yet",
        ),
        stat(
            "GPUs not well",
            "GPUs whose health is below 1.",
            Query("sum(gpu:health_ratio:sum{$gpus} < bool 1)"),
            unit="short",
            steps=WARN_FROM_1,
            width=3,
            empty="not rated yet",
        ),
        stat(
            "Lost or silent",
            "GPUs that the driver lists, or did until a while ago, and that do not answer.",
            Query("sum(gpu_up{$gpus} == bool 0)"),
            unit="short",
            steps=BAD_FROM_1,
            width=3,
        ),
        stat(
            "Critical alerts",
            "Alerts of GPUs for which somebody is called.",
            Query(f"count({firing % 'critical'}) or {none}"),
            unit="short",
            steps=BAD_FROM_1,
            width=3,
        ),
        stat(
            "Warnings",
            "Alerts of GPUs that somebody should see to soon.",
            Query(f"count({firing % 'warning'}) or {none}"),
            unit="short",
            steps=WARN_FROM_1,
            width=3,
        ),
        stat(
            "Ask for recovery",
            "GPUs of which the driver says that they need a reset, a reboot or the like.",
            Query("sum(gpu_recovery_action{$gpus} > bool 0)"),
            unit="short",
            steps=BAD_FROM_1,
            width=3,
            empty="not told",
        ),
        stat(
            "XIDs in range",
            "Errors that the drivers reported; most are mistakes of applications.",
            Query("sum(increase(gpu_xid_errors_total{$gpus}[$__range]))"),
            unit="short",
            source=TIER,
            steps=CALM,
            decimals=0,
            width=3,
            empty="0",
        ),
        stat(
            "To be replaced",
            "GPUs whose memory cannot be repaired, as the card itself says.",
            Query(
                f"sum(max by ({_BY}) (gpu_row_remap_failure{{$gpus}}, "
                "gpu_memory_unrepairable{$gpus}, gpu_ecc_sram_threshold_exceeded{$gpus}))"
            ),
            unit="short",
            steps=BAD_FROM_1,
            width=3,
            empty="not told",
        ),
    )


def _reasons() -> Row:
    reasons = f"topk({MOST_ROWS}, gpu:health_penalty_ratio:max{{$gpus}})"
    by = f"{_BY}, reason"

    def of_these(value: str) -> str:
        return f"{value} and on ({by}) {reasons}"

    def by_reason(series: str, labels: str, matchers: str = "") -> str:
        alerts = f'{series}{{$gpus,uuid!=""{matchers}}}'
        return f'max by ({by}{labels}) (label_move({alerts}, "alertname", "reason"))'

    firing = by_reason("ALERTS", ", severity, action", ',alertstate="firing"')
    since = by_reason("ALERTS_FOR_STATE", "")
    return row(
        "Why GPUs are not well",
        table(
            "Reasons",
            f"Each alert that takes something off the health of a GPU. {_SCORE} The page of an "
            "alert of this name, in docs/runbooks, says how to confirm it and what to do.",
            Column(
                "Health",
                f"max by ({by}) ({reasons}) * 0 + on ({_BY}) group_left () "
                f"max by ({_BY}) (gpu:health_ratio:sum{{$gpus}})",
                unit="percentunit",
                look="colored",
                steps=HEALTH,
                width=90,
            ),
            Column("Takes off", f"max by ({by}) ({reasons})", unit="percentunit", width=100),
            Column("", of_these(firing), unit="short"),
            Column("Since", of_these(f"{since} * 1000"), unit="dateTimeAsIso", width=160),
            labels={
                **GPU,
                "reason": "Reason",
                "severity": "Severity",
                "action": "What to do",
            },
            words={"Severity": SEVERITIES, "What to do": ACTIONS},
            widths={"Cluster": 90, "GPU": 60, "Severity": 95},
            links=GPU_LINKS,
            sort="Health",
            ascending=True,
            width=24,
            empty="All GPUs are well, as far as is known",
        ),
        state_timeline(
            "What was wrong, and when",
            "Alerts that took something off the health of a GPU, the 30 gravest.",
            Query(
                "topk_max(30, max by (node, gpu, reason) (max_over_time("
                "gpu:health_penalty_ratio:max${max}{$gpus}[$__interval])))",
                "{{node}} GPU {{gpu}}: {{reason}}",
            ),
            steps=((None, "blue"), (0.2, "orange"), (0.9, "red")),
            height=10,
            empty="All GPUs were well",
            links=(links.CARD,),
        ),
    )


def _recovery() -> Row:
    def asks(metric: str) -> str:
        return f"max by ({_BY}) ({metric}{{$gpus}}) > 0"

    def yes(title: str, metrics: tuple[str, ...], color: str) -> Column:
        expr = ", ".join(f"{metric}{{$gpus}}" for metric in metrics)
        expr = f"max by ({_BY}) ({expr}) > 0"
        return Column(title, expr, unit="short", mappings={"1": ("yes", color)}, width=150)

    return row(
        "What GPUs wait for",
        table(
            "Recovery and repair",
            "What the drivers ask for, and repairs of memory that wait for a reset. GPUs that wait "
            "for nothing have no row.",
            *sparse(
                Column(
                    "Driver asks for",
                    asks("gpu_recovery_action"),
                    unit="short",
                    mappings=RECOVERIES,
                    width=170,
                ),
                yes(
                    "Row remap waits", ("gpu_row_remap_pending", "gpu_bank_remap_pending"), "orange"
                ),
                yes("Page waits", ("gpu_retired_pages_pending",), "orange"),
                yes("Repair waits", ("gpu_repair_pending",), "orange"),
                yes("Remap failed", ("gpu_row_remap_failure",), "red"),
                yes(
                    "Beyond repair",
                    ("gpu_memory_unrepairable", "gpu_ecc_sram_threshold_exceeded"),
                    "red",
                ),
            ),
            labels=GPU,
            links=GPU_LINKS,
            sort="Driver asks for",
            width=24,
            height=7,
            empty="No GPU waits for anything",
        ),
    )


def _xids() -> Row:
    return row(
        "XIDs",
        table(
            "XIDs, what they mean and call for",
            "Errors that the drivers reported within the time range, by GPU and number. Red "
            "calls for somebody now, orange soon; blue is mostly the application's own mistake.",
            *xid_columns("$gpus"),
            labels={"xid": "XID", **GPU, "meaning": "What it means", "advice": "What to do"},
            words={"XID": XID_NUMBERS, "What it means": XID_MEANINGS, "What to do": XID_ADVICE},
            widths={"XID": 65, "Cluster": 90, "Node": 110, "GPU": 60, "What to do": 280},
            links=GPU_LINKS,
            sort="Last",
            source=TIER,
            width=24,
            height=10,
            empty="No XIDs in this time range",
        ),
        counts(
            "XIDs over time",
            "How many of each number came in each step.",
            Query(
                "topk_max(15, sum by (xid) (increase(gpu_xid_errors_total{$gpus}[$__interval])) "
                "> 0)",
                "XID {{xid}}",
            ),
            height=7,
            empty="No XIDs in this time range",
        ),
        counts(
            "XIDs by node",
            "Nodes with most XIDs, in each step.",
            Query(
                "topk_max(15, sum by (node) (increase(gpu_xid_errors_total{$gpus}[$__interval])) "
                "> 0)",
                "{{node}}",
            ),
            height=7,
            empty="No XIDs in this time range",
            links=(links.NODE,),
        ),
    )


def dashboard() -> Dashboard:
    """Which GPUs are not well."""
    return Dashboard(
        uid="gpu-health",
        title="GPU health",
        description="Which GPUs are not well, why, and what to do: XIDs, memory errors, links, "
        "throttling, recoveries, alerts.",
        rows=(_now(), _reasons(), _recovery(), _xids(), *health_details.rows()),
        variables=(CLUSTER, NODE, GPU_INDEX, RESOLUTION),
        annotations=(
            annotations.alerts("$gpus", "critical"),
            annotations.drivers(),
            annotations.restarts(),
        ),
        refresh="30s",
        span="now-24h",
    )
