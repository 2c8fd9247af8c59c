"""gpu-history: months and a year, what comes next, and the time before compared."""

from grafana.builder import annotations, history_details, links
from grafana.builder.grids import Column, table
from grafana.builder.history_details import DAY, HOURS, KWH
from grafana.builder.model import TIER, Dashboard, Panel, Query, Row, row
from grafana.builder.panels import limit, stat, timeseries
from grafana.builder.queries import named_clusters
from grafana.builder.style import NEAR_FULL
from grafana.builder.variables import CLUSTER, NODE, RESOLUTION

_MONTH_S = 30 * 86400
_BY_CLUSTER = "by (cluster) "
_NOT_YET = "not known yet"


def _over(series: str, by: str = "", scope: str = "$nodes") -> str:
    """How much of a series of increases there was in the time range."""
    return f"sum {by}(sum_over_time({series}{{{scope}}}[$__range]))"


def _before(series: str, by: str = "", scope: str = "$nodes") -> str:
    """The same of the time range before; nothing if that was not seen from its beginning on."""
    window = f"{series}{{{scope}}}[$__range] offset $__range"
    seen = f"min(tfirst_over_time({window})) < end() - 1.9 * $__range_s"
    return f"(sum {by}(sum_over_time({window})) if on () ({seen}))"


def _each_step(series: str, scope: str = "$nodes", by: str = "") -> str:
    """How much of a series of increases there was in each step of a graph."""
    return f"sum {by}(sum_over_time({series}{{{scope}}}[$__interval]))"


def _compared(
    title: str, description: str, series: str, divided: str = "", unit: str | None = None
) -> Panel:
    """An amount of the time range, beside that of the time range before."""
    return stat(
        title,
        f"{description} Beside it, the same of the time before, which is as long.",
        Query(f"{_over(series)}{divided}", "now"),
        Query(f"{_before(series)}{divided}", "before"),
        unit=unit,
        source=TIER,
        empty=_NOT_YET,
    )


def _amounts() -> Row:
    return row(
        "",
        _compared(
            "GPU-hours held",
            "Hours for which processes held GPUs.",
            "node:allocated_seconds:increase",
            HOURS,
            "short",
        ),
        _compared(
            "GPU-hours worked",
            "Hours in which kernels ran.",
            "node:busy_seconds:increase",
            HOURS,
            "short",
        ),
        _compared(
            "GPU-hours wasted",
            "Hours for which GPUs were held while nothing ran on them for half an hour or more.",
            "node:wasted_seconds:increase",
            HOURS,
            "short",
        ),
        _compared(
            "Energy used", "Energy of all GPUs.", "node:energy_joules:increase", KWH, "kwatth"
        ),
        stat(
            "Energy cost",
            "What the energy of the time range cost, with cooling and supply (PUE), at the prices "
            "of the time.",
            Query(_over("node:energy_cost:increase", "by (currency) "), "{{currency}}"),
            unit="short",
            names=True,
            source=TIER,
            empty="no price set",
        ),
        stat(
            "Carbon",
            "What the energy emitted, in grams of CO2 equivalent, with cooling and supply (PUE).",
            Query(_over("node:carbon_grams:increase")),
            source=TIER,
            empty="no grams per kWh set",
        ),
    )


def _capacity() -> Row:
    there = "sum(avg_over_time(gpu_devices{$nodes}[$__interval]))"
    held = f"{_each_step('node:allocated_seconds:increase')} / step()"
    # Of the whole time range, in the steps of the tier: what a trend is drawn through.
    trend = f"({held})[$__range:$__interval]"
    now = "sum(last_over_time(gpu_devices{$nodes}[$__range]))"
    return row(
        "Capacity",
        stat(
            "Held in 30 days",
            "How many GPUs would be held in 30 days if the trend of this time range went on. A "
            "trend of less than some weeks says little.",
            Query(f"clamp_min(predict_linear({trend}, {_MONTH_S}), 0)"),
            unit="short",
            decimals=1,
            source=TIER,
            empty=_NOT_YET,
            height=3,
            width=8,
        ),
        stat(
            "All held in",
            "Time until all GPUs that there are now would be held if the trend of this time range "
            "went on.",
            Query(f"({now} - last_over_time({trend})) / (deriv({trend}) > 0)"),
            unit="s",
            steps=((None, "red"), (_MONTH_S, "orange"), (6 * _MONTH_S, "green")),
            decimals=0,
            source=TIER,
            empty="never, by this trend",
            height=3,
            width=8,
        ),
        stat(
            "Most held at once",
            "The highest share of the GPUs that was held in any step of this time range.",
            Query(f"max_over_time({trend}) / {now}"),
            unit="percentunit",
            steps=NEAR_FULL,
            decimals=0,
            source=TIER,
            empty=_NOT_YET,
            height=3,
            width=8,
        ),
        timeseries(
            "GPUs by day",
            "How many GPUs there were on the mean of each day, how many were held, on how many "
            "kernels ran; dashed, the trend of those that were held.",
            Query(there, "there", step=DAY),
            Query(held, "held", step=DAY),
            Query(f"{_each_step('node:busy_seconds:increase')} / step()", "working", step=DAY),
            Query(f"range_linear_regression({held})", "trend of held", step=DAY),
            unit="short",
            width=24,
            overrides=(limit("^trend of held$", "orange"),),
        ),
        timeseries(
            "Busy by cluster, by day",
            "Share of the time in which kernels ran, the mean of a cluster's GPUs and of each day.",
            Query(
                named_clusters(
                    "topk_avg(10, avg_over_time(cluster:busy_ratio:avg5m{$clusters}[$__interval]))"
                ),
                "{{cluster}}",
                step=DAY,
            ),
            top=1,
        ),
        timeseries(
            "Memory by cluster, by day",
            "Highest share of the memory of all GPUs that was held on each day.",
            Query(
                named_clusters(
                    "topk_avg(10, max_over_time("
                    "cluster:memory_used_ratio:sum${max}{$clusters}[$__interval]))"
                ),
                "{{cluster}}",
                step=DAY,
            ),
            top=1,
        ),
    )


def _clusters() -> Row:
    held, energy = "cluster:allocated_seconds:increase", "cluster:energy_joules:increase"
    busy = "cluster:busy_seconds:increase"

    def over(series: str) -> str:
        return _over(series, _BY_CLUSTER, "$clusters")

    def before(series: str) -> str:
        return _before(series, _BY_CLUSTER, "$clusters")

    return row(
        "Compared with the time before",
        table(
            "Clusters now and before",
            "What each cluster held, worked and used in this time range, and by how much that is "
            "more or less than in the time before, which is as long.",
            Column("GPU-hours held", f"{over(held)}{HOURS}", unit="short"),
            Column("Held, change", f"{over(held)} / {before(held)} - 1", unit="percentunit"),
            Column("Worked", f"{over(busy)}{HOURS}", unit="short"),
            Column("Worked, change", f"{over(busy)} / {before(busy)} - 1", unit="percentunit"),
            Column(
                "Worked of held",
                f"clamp_max({over(busy)} / ({over(held)} > 0), 1)",
                unit="percentunit",
                look="bar",
            ),
            Column("Energy", f"{over(energy)}{KWH}", unit="kwatth"),
            Column("Energy, change", f"{over(energy)} / {before(energy)} - 1", unit="percentunit"),
            labels={"cluster": "Cluster"},
            links={"Cluster": links.CLUSTER_OF_ROW},
            sort="GPU-hours held",
            source=TIER,
            empty=_NOT_YET,
            height=6,
        ),
        timeseries(
            "Held now and before",
            "GPUs that were held, on the mean of each day; dashed, as many days before.",
            Query(
                f"{_each_step('node:allocated_seconds:increase')} / step()", "this time", step=DAY
            ),
            Query(
                "sum(sum_over_time(node:allocated_seconds:increase{$nodes}[$__interval] "
                "offset $__range)) / step()",
                "before",
                step=DAY,
            ),
            unit="short",
            overrides=(limit("^before$", "semi-dark-blue"),),
        ),
        timeseries(
            "Energy now and before",
            "Energy of each day; dashed, as many days before.",
            Query(f"{_each_step('node:energy_joules:increase')}{KWH}", "this time", step=DAY),
            Query(
                "sum(sum_over_time(node:energy_joules:increase{$nodes}[$__interval] "
                f"offset $__range)){KWH}",
                "before",
                step=DAY,
            ),
            unit="kwatth",
            overrides=(limit("^before$", "semi-dark-blue"),),
        ),
    )


def dashboard() -> Dashboard:
    """Months and years."""
    return Dashboard(
        uid="gpu-history",
        title="GPU history",
        description="Months and a year: use, capacity, cost, wear, and the time before compared.",
        rows=(_amounts(), _capacity(), _clusters(), history_details.who(), history_details.wear()),
        variables=(CLUSTER, NODE, RESOLUTION),
        annotations=(
            annotations.drivers(),
            # Of months they may be many: shown when they are asked for.
            annotations.alerts(severity="critical", on=False),
        ),
        span="now-90d",
        looks_back=2,
    )
