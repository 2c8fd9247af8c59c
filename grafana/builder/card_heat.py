"""gpu-card: power, temperatures and clocks, and what held these down."""

from collections.abc import Iterator

from grafana.builder.grids import Column, table
from grafana.builder.meanings import REASONS, REASONS_EXPLAINED, in_words
from grafana.builder.model import TIER, Query, Row, row
from grafana.builder.panels import limit, state_timeline, timeseries
from grafana.builder.style import MARGIN, WARMER


def rows() -> Iterator[Row]:
    """From top to bottom."""
    yield _heat()
    yield _throttling()


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
            empty="Nothing held the clocks down, as far as is known",
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
            empty="Nothing held the clocks down, as far as is known",
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
