"""The rows of gpu-history about who used GPUs, and how these wear."""

from grafana.builder import links
from grafana.builder.grids import Column, table
from grafana.builder.model import TIER, Query, Row, row
from grafana.builder.panels import timeseries
from grafana.builder.queries import named_clusters
from grafana.builder.style import WARN_FROM_1

# The step of graphs, and what sums are divided by for kilowatt-hours and hours.
DAY = "1d"
KWH = " / 3.6e6"
HOURS = " / 3600"


def who() -> Row:
    """Users, energy and cost by day."""

    def by_user(series: str, divided: str) -> Query:
        each = f"sum by (user) (sum_over_time({series}{{$clusters}}[$__interval])){divided}"
        return Query(f"topk_avg(10, {each})", "{{user}}", step=DAY)

    return row(
        "Who",
        timeseries(
            "GPU-hours held by user",
            "Hours of GPUs that each user held on each day; the ten that held most.",
            by_user("user:allocated_seconds:increase", HOURS),
            unit="short",
            bars=True,
            stacked=True,
        ),
        timeseries(
            "GPU-hours wasted by user",
            "Hours of GPUs that each user held on each day while nothing ran on them for half an "
            "hour or more; the ten with most.",
            by_user("user:wasted_seconds:increase", HOURS),
            unit="short",
            bars=True,
            stacked=True,
            empty="nobody wasted GPUs",
        ),
        timeseries(
            "Energy by cluster",
            "Energy of each day.",
            Query(
                named_clusters(
                    "topk_avg(10, sum by (cluster) (sum_over_time("
                    f"cluster:energy_joules:increase{{$clusters}}[$__interval])){KWH})"
                ),
                "{{cluster}}",
                step=DAY,
            ),
            unit="kwatth",
            bars=True,
            stacked=True,
        ),
        timeseries(
            "Cost by cluster",
            "Cost of the energy of each day, with cooling and supply (PUE).",
            Query(
                named_clusters(
                    "topk_avg(10, sum by (cluster, currency) (sum_over_time("
                    "cluster:energy_cost:increase{$clusters}[$__interval])))"
                ),
                "{{cluster}}, {{currency}}",
                step=DAY,
            ),
            unit="short",
            bars=True,
            stacked=True,
            empty="no price set",
        ),
    )


def wear() -> Row:
    """Errors, heat, and nodes that were away."""
    return row(
        "Wear",
        timeseries(
            "XIDs by day",
            "Errors that drivers told of, by their number.",
            Query(
                "sum by (xid) (increase(gpu_xid_errors_total{$nodes}[$__interval])) > 0",
                "XID {{xid}}",
                step=DAY,
            ),
            bars=True,
            stacked=True,
            empty="no XID in this time range",
            width=8,
        ),
        timeseries(
            "Alerts by day",
            "How many GPUs and nodes had an alert that fired on a day, by severity.",
            Query(
                "sum by (severity) (count_over_time("
                'ALERTS{$nodes,alertstate="firing",severity!="none"}[$__interval]) > bool 0)',
                "{{severity}}",
                step=DAY,
            ),
            bars=True,
            stacked=True,
            empty="no alert fired in this time range",
            width=8,
        ),
        timeseries(
            "Hottest nodes",
            "Highest temperature of a core on each day; the ten hottest nodes. One that rises over "
            "weeks wants its filters and fans looked at.",
            Query(
                "topk_max(10, max by (node) (max_over_time("
                'gpu_temperature_celsius${max}{$nodes,sensor="core"}[$__interval])))',
                "{{node}}",
                step=DAY,
            ),
            bottom=None,
            width=8,
            links=(links.NODE,),
        ),
        table(
            "Least available nodes",
            "Share of the time range in which the exporter of a node answered, while it was to be "
            "scraped; the 20 lowest.",
            Column(
                "Online",
                "bottomk(20, avg by (cluster, node) (avg_over_time("
                'up{job="gpu",$nodes}[$__range])))',
                unit="percentunit",
                steps=((None, "red"), (0.95, "orange"), (0.99, "green")),
                decimals=2,
            ),
            labels={"cluster": "Cluster", "node": "Node"},
            links={"Cluster": links.CLUSTER_OF_ROW, "Node": links.NODE_OF_ROW},
            sort="Online",
            ascending=True,
            source=TIER,
            width=12,
        ),
        table(
            "GPUs with most errors",
            "XIDs of each GPU in the time range; the 20 with most.",
            Column(
                "XIDs",
                "topk(20, sum by (cluster, node, gpu, uuid) "
                "(increase(gpu_xid_errors_total{$nodes}[$__range])) > 0)",
                steps=WARN_FROM_1,
                decimals=0,
            ),
            labels={"cluster": "Cluster", "node": "Node", "gpu": "GPU", "uuid": "UUID"},
            links={"Node": links.NODE_OF_ROW, "GPU": links.CARD_OF_ROW},
            sort="XIDs",
            source=TIER,
            empty="no XID in this time range",
            width=12,
        ),
    )
