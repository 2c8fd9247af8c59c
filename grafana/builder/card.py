"""gpu-card: everything of one GPU."""

from grafana.builder import annotations, card_details
from grafana.builder.meanings import ANSWERS, REASONS, REASONS_EXPLAINED, in_words
from grafana.builder.model import TIER, Dashboard, Query, Row, row
from grafana.builder.panels import (
    CALM,
    HEALTH,
    MARGIN,
    NEAR_FULL,
    WARMER,
    Column,
    limit,
    stat,
    state_timeline,
    table,
    timeseries,
)
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
            "Energy in the time range",
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


def _heat() -> Row:
    return row(
        "Power and heat",
        timeseries(
            "Power",
            "Draw and its peaks, below the limit that is enforced and the default. Where the "
            "enforced one is lower, somebody lowered it.",
            Query("avg_over_time(gpu_power_watts{$gpus}[$__interval])", "draw"),
            Query("max_over_time(gpu_power_peak_watts${max}{$gpus}[$__interval])", "peak"),
            Query("avg_over_time(gpu_memory_power_watts{$gpus}[$__interval])", "memory's part"),
            Query("avg_over_time(gpu_module_power_watts{$gpus}[$__interval])", "module"),
            Query(
                'min_over_time(gpu_power_limit_watts${min}{$gpus,limit="enforced"}[$__interval])',
                "limit enforced",
            ),
            Query(
                'min_over_time(gpu_power_limit_watts${min}{$gpus,limit="default"}[$__interval])',
                "limit by default",
            ),
            overrides=(limit("enforced"), limit("default", "orange")),
            calcs=("mean", "max"),
            empty="This card does not tell its power",
        ),
        timeseries(
            "Temperatures",
            "Core, memory and hottest spot, below the card's own limits: where it slows down, "
            "where it switches off, and what it should not exceed.",
            Query("max_over_time(gpu_temperature_celsius${max}{$gpus}[$__interval])", "{{sensor}}"),
            Query(
                "max_over_time(gpu_temperature_limit_celsius${max}{$gpus}[$__interval])",
                "limit {{limit}}",
            ),
            overrides=(limit("^limit", "orange"), limit("shutdown|slowdown")),
            bottom=None,
            calcs=("mean", "max"),
            empty="This card does not tell its temperature",
        ),
        timeseries(
            "Margin over time",
            "Degrees to the nearest slowdown, as the card says; at 0 it slows down.",
            Query(
                "min_over_time(gpu_temperature_margin_celsius${min}{$gpus}[$__interval])",
                "to slowdown",
            ),
            steps=MARGIN,
            bottom=None,
            legend=False,
            width=6,
            height=6,
            empty="Driver 570 or newer tells it, on cards that can",
        ),
        timeseries(
            "Fans",
            "Speed of each fan and what is aimed at, as a share of the most.",
            Query("avg_over_time(gpu_fan_speed_ratio{$gpus}[$__interval])", "fan {{fan}}"),
            Query("avg_over_time(gpu_fan_target_ratio{$gpus}[$__interval])", "fan {{fan}}, aim"),
            width=6,
            height=6,
            empty="This card has no fan of its own",
        ),
        timeseries(
            "Clocks",
            "Clocks of the card, below the highest that SMs and memory can run.",
            Query("avg_over_time(gpu_clock_hertz{$gpus}[$__interval])", "{{domain}}"),
            Query(
                'max_over_time(gpu_clock_max_hertz${max}{$gpus,domain=~"sm|memory"}[$__interval])',
                "{{domain}}, most",
            ),
            overrides=(limit("most$", "orange"),),
            height=6,
            calcs=("mean", "max"),
            empty="This card does not tell its clocks",
        ),
    )


def _throttling() -> Row:
    named = in_words(
        "clamp_max(rate(gpu_throttle_seconds_total{$gpus}[$__rate_interval]), 1)", "reason", REASONS
    )
    return row(
        "Throttling, explained",
        timeseries(
            "What held the clocks down",
            "Share of time, by reason. Several may hold at once, so they are not added up.",
            Query(f"{named} and range_max({named}) > 0", "{{reason}}"),
            unit="percentunit",
            top=1,
            width=10,
            empty="Nothing held the clocks down, or the card does not tell",
        ),
        table(
            "Time held back in the time range",
            "How long each reason held the clocks down within the time range, and what to make of "
            "it. Reasons overlap: a power brake is also a hardware slowdown.",
            Column(
                "Time",
                "sum by (cluster, node, uuid, reason, meaning) (label_copy("
                "increase(gpu_throttle_seconds_total{$gpus}[$__range]), "
                '"reason", "meaning")) > 0',
                unit="s",
                width=90,
            ),
            Column(
                "Share",
                "sum by (cluster, node, uuid, reason, meaning) (label_copy("
                "increase(gpu_throttle_seconds_total{$gpus}[$__range]), "
                '"reason", "meaning")) / $__range_s > 0',
                unit="percentunit",
                look="bar",
                steps=WARMER,
                width=150,
            ),
            labels={
                "reason": "Reason",
                "meaning": "What it means",
                "cluster": "",
                "node": "",
                "uuid": "",
            },
            words={"Reason": REASONS, "What it means": REASONS_EXPLAINED},
            widths={"Reason": 140},
            sort="Time",
            source=TIER,
            width=14,
            height=8,
            empty="Nothing held the clocks down",
        ),
        state_timeline(
            "Reasons in force",
            "When which reason held the clocks where they were, also harmless ones such as having "
            "nothing to do.",
            Query(
                in_words(
                    "max_over_time(gpu_clock_event_reason_active${max}{$gpus}[$__interval])",
                    "reason",
                    REASONS,
                ),
                "{{reason}}",
            ),
            mappings={"0": ("not in force", "transparent"), "1": ("in force", "orange")},
            unit="short",
            width=16,
            height=8,
            empty="The card tells of none",
        ),
        timeseries(
            "Performance state",
            "0 is the fastest, 15 the slowest. A busy card that is not at 0 is held back.",
            Query("max_over_time(gpu_performance_state${max}{$gpus}[$__interval])", "P-state"),
            unit="short",
            top=15,
            width=8,
            height=8,
            legend=False,
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
            _heat(),
            _throttling(),
            *card_details.rows(),
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
