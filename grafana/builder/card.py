"""gpu-card: everything of one GPU."""

from grafana.builder import annotations, card_heat, card_links, card_use
from grafana.builder.grids import Column, table
from grafana.builder.meanings import ANSWERS
from grafana.builder.model import TIER, Dashboard, Query, Row, row
from grafana.builder.panels import limit, stat, timeseries
from grafana.builder.style import CALM, HEALTH, MARGIN, NEAR_FULL, WARMER
from grafana.builder.variables import CLUSTER, GPU, NODE, RESOLUTION, single

_NO_GPM = "This card tells nothing of its SMs; Hopper and newer do, outside of MIG mode"


def _what() -> Row:
    info = (
        "name, architecture, compute_capability, pci_bus_id, serial, vbios_version, driver_version"
    )
    return row(
        "",
        table(
            "Card",
            "What the driver says of this card, and whether it answers. A label that the card does "
            "not tell is empty.",
            Column(
                "State",
                f"max by (cluster, node, uuid, {info}) (gpu_info{{$gpus}}) "
                "* on (cluster, node, uuid) group_left () "
                "max by (cluster, node, uuid) (gpu_up{$gpus})",
                unit="short",
                mappings=ANSWERS,
                look="colored",
                width=110,
            ),
            labels={
                "name": "Name",
                "architecture": "Architecture",
                "compute_capability": "CUDA",
                "driver_version": "Driver",
                "vbios_version": "VBIOS",
                "pci_bus_id": "PCI address",
                "serial": "Serial",
                "uuid": "UUID",
                "cluster": "",
                "node": "",
            },
            empty="No such GPU: choose another node or number above",
            height=3,
        ),
    )


def _now() -> Row:
    return row(
        "",
        stat(
            "Health",
            "1 for a GPU of which nothing is known to be wrong, less what firing alerts take off; "
            "the dashboard Health says which.",
            Query("gpu:health_ratio:sum{$gpus}"),
            width=3,
            steps=HEALTH,
            empty="not rated yet",
        ),
        stat(
            "Utilisation",
            "Share of the last second or less in which at least one kernel ran. It says nothing of "
            "how much of the card the kernel used: see the activity of SMs below.",
            Query("gpu_utilization_ratio{$gpus}"),
            width=3,
            steps=WARMER,
            empty="not told in MIG mode",
        ),
        stat(
            "Memory in use",
            "Share of the card's memory that is allocated.",
            Query("gpu_memory_used_bytes{$gpus} / gpu_memory_total_bytes{$gpus}"),
            unit="percentunit",
            width=3,
            steps=NEAR_FULL,
        ),
        stat(
            "Power of its limit",
            "Power draw as a share of the limit that is enforced. Near 1 under load is normal.",
            Query(
                "gpu_power_watts{$gpus} "
                '/ ignoring (limit) gpu_power_limit_watts{$gpus,limit="enforced"}'
            ),
            unit="percentunit",
            width=3,
            steps=CALM,
            empty="no limit told",
        ),
        stat(
            "Core temperature",
            "Temperature of the core now. How far it is from the card's own limit is beside it.",
            Query('gpu_temperature_celsius{$gpus,sensor="core"}'),
            width=3,
        ),
        stat(
            "Margin to slowdown",
            "Degrees that are left until the card slows down, as the card itself says, or else by "
            "its limit. Red from 3 degrees on.",
            Query(
                "gpu_temperature_margin_celsius{$gpus} or on (instance, uuid) ("
                'gpu_temperature_limit_celsius{$gpus,limit="slowdown"} '
                '- ignoring (limit, sensor) gpu_temperature_celsius{$gpus,sensor="core"})'
            ),
            width=3,
            steps=MARGIN,
            empty="no limit told",
        ),
        stat(
            "Energy in range",
            "What the card has used between the beginning and the end of the time range.",
            Query("increase(gpu_energy_joules_total{$gpus}[$__range]) / 3.6e6"),
            unit="kwatth",
            width=3,
            source=TIER,
            decimals=2,
        ),
        stat(
            "Held by",
            "Who has processes on the card now, and how much of its memory.",
            Query("sum by (user) (gpu_owner_memory_used_bytes{$gpus}) > 0", "{{user}}"),
            width=3,
            names=True,
            empty="nobody",
        ),
    )


def _activity() -> Row:
    return row(
        "Activity",
        timeseries(
            "Utilisation, SMs and tensor cores",
            "Share of time with any kernel, beside how much of the card was at work: SMs that were "
            "busy, tensor pipes, bandwidth of memory. A high utilisation with idle SMs means small "
            "kernels or waiting.",
            Query("avg_over_time(gpu_utilization_ratio{$gpus}[$__interval])", "any kernel"),
            Query(
                "max_over_time(gpu_utilization_peak_ratio${max}{$gpus}[$__interval])",
                "any kernel, peak",
            ),
            Query("avg_over_time(gpu_sm_active_ratio{$gpus}[$__interval])", "SMs"),
            Query(
                'avg_over_time(gpu_pipe_active_ratio{$gpus,pipe="tensor"}[$__interval])', "tensor"
            ),
            Query("avg_over_time(gpu_dram_active_ratio{$gpus}[$__interval])", "memory bandwidth"),
            top=1,
            calcs=("mean", "max"),
            empty="Not told: in MIG mode see the instances below",
        ),
        timeseries(
            "Pipes of the SMs",
            "Share of time in which each pipe was busy: which kind of arithmetic the work is. "
            "Tensor is any of the tensor pipes.",
            Query(
                "avg_over_time(gpu_pipe_active_ratio{$gpus}[$__interval])",
                "{{pipe}}",
            ),
            Query("avg_over_time(gpu_sm_occupancy_ratio{$gpus}[$__interval])", "warps resident"),
            calcs=("mean", "max"),
            empty=_NO_GPM,
        ),
    )


def _memory() -> Row:
    return row(
        "Memory",
        timeseries(
            "Allocated memory",
            "What is allocated, and what driver and firmware keep for themselves, of all there is.",
            Query("avg_over_time(gpu_memory_used_bytes{$gpus}[$__interval])", "used"),
            Query("avg_over_time(gpu_memory_reserved_bytes{$gpus}[$__interval])", "reserved"),
            Query("max_over_time(gpu_memory_total_bytes${max}{$gpus}[$__interval])", "total"),
            overrides=(limit("^total$"),),
            stacked=True,
            calcs=("mean", "max"),
            empty="This card shares the memory of the machine: see its processes",
        ),
        timeseries(
            "Memory activity",
            "Share of time in which memory was read or written; not how full it is.",
            Query("avg_over_time(gpu_memory_activity_ratio{$gpus}[$__interval])", "mean"),
            Query(
                "max_over_time(gpu_memory_activity_peak_ratio${max}{$gpus}[$__interval])", "peak"
            ),
            top=1,
            width=6,
            empty="Not told by this card, or in MIG mode",
        ),
        timeseries(
            "BAR1 window",
            "The window through which CPU and other devices reach the card's memory. Full, it "
            "refuses new mappings.",
            Query("avg_over_time(gpu_bar1_memory_used_bytes{$gpus}[$__interval])", "mapped"),
            Query("max_over_time(gpu_bar1_memory_total_bytes${max}{$gpus}[$__interval])", "total"),
            overrides=(limit("^total$"),),
            width=6,
            empty="Not told by this card",
        ),
    )


def dashboard() -> Dashboard:
    """Everything of one GPU."""
    return Dashboard(
        uid="gpu-card",
        title="GPU",
        description="Everything of one card: activity, memory, power, heat, clocks and what held "
        "them down, links, errors, processes.",
        rows=(
            _what(),
            _now(),
            _activity(),
            _memory(),
            *card_heat.rows(),
            *card_links.rows(),
            *card_use.rows(),
        ),
        variables=(CLUSTER, single(NODE), single(GPU), RESOLUTION),
        annotations=(
            annotations.alerts("$gpus"),
            annotations.xids("$gpus"),
            annotations.drivers(),
            annotations.restarts(),
            annotations.exporter_restarts(),
        ),
        refresh="5s",
        span="now-30m",
    )
