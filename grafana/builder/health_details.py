"""gpu-health, its lower half: memory errors, links, throttling, and the history of alerts."""

from collections.abc import Iterator

from grafana.builder import links
from grafana.builder.grids import Column, sparse, table
from grafana.builder.meanings import (
    ACTIONS,
    FABRIC,
    HARMFUL,
    REASONS,
    REASONS_EXPLAINED,
    SEVERITIES,
    in_words,
)
from grafana.builder.model import TIER, Query, Row, row
from grafana.builder.panels import counts, timeseries
from grafana.builder.queries import GPU, GPU_LINKS, MOST_ROWS
from grafana.builder.style import (
    BAD_FROM_1,
    WARMER,
    WARN_FROM_1,
    Steps,
)

_BY = ", ".join(GPU)
_HARMFUL = "|".join(HARMFUL)
_MANY: Steps = ((None, "text"), (100, "orange"))


def rows() -> Iterator[Row]:
    """From top to bottom."""
    yield _memory()
    yield _links()
    yield _throttling()
    yield _alerts()


def _worst(expr: str) -> str:
    """The largest ones of each GPU, without those that have none."""
    return f"topk({MOST_ROWS}, sum by ({_BY}) ({expr}) > 0)"


def _memory() -> Row:
    def counted(kind: str, scope: str) -> str:
        return f'gpu_ecc_errors_total{{$gpus,kind="{kind}",scope="{scope}"}}'

    return row(
        "Memory errors",
        table(
            "Memory errors and repairs",
            "GPUs with errors that ECC corrected or could only detect, since the driver was loaded "
            "and in the card's life, and what was taken out of use because of them: rows from "
            "Ampere on, pages before.",
            *sparse(
                Column(
                    "Uncorrected",
                    _worst(counted("uncorrected", "volatile")),
                    steps=BAD_FROM_1,
                    width=115,
                ),
                Column(
                    "Corrected", _worst(counted("corrected", "volatile")), steps=_MANY, width=105
                ),
                Column(
                    "Uncorrected, life",
                    _worst(counted("uncorrected", "aggregate")),
                    steps=WARN_FROM_1,
                    width=145,
                ),
                Column("Corrected, life", _worst(counted("corrected", "aggregate")), width=130),
                Column(
                    "Replaced, uncorrected",
                    _worst(
                        'gpu_remapped_rows{$gpus,cause="uncorrected"}, '
                        'gpu_retired_pages{$gpus,cause="uncorrected"}'
                    ),
                    unit="short",
                    steps=WARN_FROM_1,
                    width=180,
                ),
                Column(
                    "Replaced, corrected",
                    _worst(
                        'gpu_remapped_rows{$gpus,cause="corrected"}, '
                        'gpu_retired_pages{$gpus,cause="corrected"}'
                    ),
                    unit="short",
                    width=165,
                ),
                Column(
                    "Banks low on spares",
                    _worst('gpu_row_remap_banks{$gpus,availability=~"low|none"}'),
                    steps=WARN_FROM_1,
                    width=165,
                ),
            ),
            labels=GPU,
            links=GPU_LINKS,
            sort="Uncorrected",
            empty="No memory errors, as far as cards have ECC and tell",
        ),
        counts(
            "Memory errors over time",
            "Errors of each step that ECC corrected, or could only detect; the GPUs with most.",
            Query(
                "topk_max(15, sum by (node, gpu, kind) ("
                'increase(gpu_ecc_errors_total{$gpus,scope="volatile"}[$__interval])) > 0)',
                "{{node}} GPU {{gpu}}, {{kind}}",
            ),
            width=24,
            height=7,
            empty="No memory errors in this time range",
            links=(links.CARD,),
        ),
    )


def _links() -> Row:
    lanes = f"max by ({_BY}) (gpu_pcie_link_width_best{{$gpus}} - gpu_pcie_link_width{{$gpus}}) > 0"
    down = (
        f"max by ({_BY}) ((gpu_nvlink_links{{$gpus}} - gpu_nvlink_links_up{{$gpus}}) "
        "unless on (instance, uuid) gpu_mig_mode{$gpus} == 1) > 0"
    )

    def came(link: str, counter: str, kind: str = "") -> str:
        each = f"increase({counter}[$__range])"
        named = f'label_set({each}, "type", "{kind}")' if kind else each
        return f'label_set(sum by ({_BY}, type) ({named}) > 0, "link", "{link}")'

    came_all = " or ".join(
        (
            came("PCIe", "gpu_pcie_replays_total{$gpus}", "sent again"),
            came("PCIe", "gpu_pcie_errors_total{$gpus}"),
            came("NVLink", 'gpu_nvlink_errors_total{$gpus,link="all"}'),
            came("C2C", "gpu_c2c_errors_total{$gpus}"),
        )
    )
    return row(
        "Links",
        table(
            "Links that are not as they should be",
            "GPUs with fewer PCIe lanes than the most that were seen, NVLinks that are down (in "
            "MIG mode they are off on purpose), or trouble with the fabric. GPUs without any "
            "have no row.",
            *sparse(
                Column("PCIe lanes missing", lanes, unit="short", steps=WARN_FROM_1, width=160),
                Column("NVLinks down", down, unit="short", steps=BAD_FROM_1, width=130),
                Column(
                    "Fabric",
                    f"max by ({_BY}) (gpu_fabric_healthy{{$gpus}}) == 0",
                    unit="short",
                    mappings=FABRIC,
                    width=100,
                ),
                Column(
                    "C2C links down",
                    f"count by ({_BY}) (gpu_c2c_link_up{{$gpus}} == 0)",
                    unit="short",
                    steps=BAD_FROM_1,
                    width=135,
                ),
            ),
            labels=GPU,
            links=GPU_LINKS,
            sort="NVLinks down",
            width=12,
            empty="All links are as they should be",
        ),
        table(
            "Errors on links in the time range",
            "Packets that were sent again over PCIe, other errors there, and errors on NVLinks; "
            "one event may count in several kinds. A few are normal.",
            Column(
                "Times",
                f"topk({MOST_ROWS}, {came_all})",
                unit="short",
                steps=_MANY,
                decimals=0,
                width=90,
            ),
            labels={**GPU, "link": "Link", "type": "Kind"},
            links=GPU_LINKS,
            sort="Times",
            source=TIER,
            width=12,
            empty="No errors on links in this time range",
        ),
    )


def _throttling() -> Row:
    by = f"{_BY}, reason, meaning"
    throttled = f'gpu_throttle_seconds_total{{$gpus,reason=~"{_HARMFUL}"}}'
    held = f"topk(100, sum by ({_BY}, reason) (increase({throttled}[$__range])) > 60)"
    explained = f'sum by ({by}) (label_copy({held}, "reason", "meaning"))'
    cooled = in_words(
        "sum by (node, reason) (avg_over_time("
        f'node:throttled_ratio:avg5m{{$nodes,reason=~"{_HARMFUL}"}}[$__interval]))',
        "reason",
        REASONS,
    )
    return row(
        "Throttling",
        table(
            "GPUs held back in the time range",
            "How long each reason held the clocks of a GPU down, from a minute on, the longest "
            "first. Reasons overlap: a power brake is also a hardware slowdown.",
            Column("Time", explained, unit="s", width=95),
            Column(
                "Share",
                f"({explained}) / $__range_s",
                unit="percentunit",
                look="bar",
                steps=WARMER,
                width=140,
            ),
            labels={**GPU, "reason": "Reason", "meaning": "What it means"},
            words={"Reason": REASONS, "What it means": REASONS_EXPLAINED},
            widths={"Cluster": 90, "Node": 110, "GPU": 60, "Reason": 150},
            links=GPU_LINKS,
            sort="Time",
            source=TIER,
            width=24,
            height=8,
            empty="No GPU was held back for a minute or more",
        ),
        timeseries(
            "Throttling of nodes",
            "Share of time in which a reason held clocks down, the mean of a node's GPUs; the 12 "
            "nodes and reasons with most.",
            Query(f"topk_avg(12, {cooled} > 0)", "{{node}}, {{reason}}"),
            unit="percentunit",
            calcs=("mean", "max"),
            width=24,
            height=7,
            empty="No GPU was held back",
            links=(links.NODE,),
        ),
    )


def _alerts() -> Row:
    by = "alertname, severity, component, action, cluster, node, gpu, uuid"
    fired = 'ALERTS{$gpus,alertstate="firing",severity!="none"}[$__range]'
    last = f"max by ({by}) (tlast_over_time({fired}))"
    shown = f"topk({MOST_ROWS}, {last})"
    lasting = f"max by ({by}) (duration_over_time({fired}, $__rate_interval))"
    asked = 'max(tlast_over_time(ALERTS{alertname="GPUStackWatchdog"}[$__range]))'
    return row(
        "History of alerts",
        table(
            "Alerts of the time range",
            f"What fired on the chosen nodes and GPUs, the {MOST_ROWS} that fired last. With "
            "gpuglass alerts history each time that one fired is told apart.",
            Column(
                "State",
                f"({last} >= bool on () group_left () ({asked} - 90)) and on ({by}) {shown}",
                unit="short",
                mappings={"0": ("ended", "green"), "1": ("fires", "red")},
                width=80,
            ),
            Column(
                "First",
                f"min by ({by}) (tfirst_over_time({fired})) * 1000 and on ({by}) {shown}",
                unit="dateTimeAsIso",
                width=160,
            ),
            Column("Last", f"{shown} * 1000", unit="dateTimeAsIso", width=160),
            Column("Fired for", f"{lasting} and on ({by}) {shown}", unit="dtdurations", width=140),
            labels={
                "alertname": "Alert",
                "severity": "Severity",
                **GPU,
                "action": "What to do",
                "component": "",
            },
            words={"Severity": SEVERITIES, "What to do": ACTIONS},
            widths={"Severity": 95, "Cluster": 90, "Node": 110, "GPU": 60},
            links=GPU_LINKS,
            sort="Last",
            source=TIER,
            height=12,
            empty="Nothing fired in this time range",
        ),
    )
