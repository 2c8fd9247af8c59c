"""The rows of gpu-node that are about the machine itself."""

from grafana.builder.model import Query, Row, row
from grafana.builder.panels import (
    bar_gauge,
    below_zero,
    limit,
    timeseries,
)
from grafana.builder.style import NEAR_FULL

_NO_PRESSURE = "this kernel does not measure pressure"


def processors() -> Row:
    """CPU and memory."""
    return row(
        "Machine",
        timeseries(
            "CPU by what it does",
            "Share of the time of all CPUs, by what they did; what is missing from the top was "
            "idle. Input is prepared here: full CPUs may keep GPUs waiting.",
            Query(
                "sum by (mode) (rate(host_cpu_seconds_total"
                '{$nodes,mode!="idle"}[$__rate_interval])) / ignoring (mode) group_left () '
                "sum(avg_over_time(host_cpus{$nodes}[$__interval]))",
                "{{mode}}",
            ),
            unit="percentunit",
            stacked=True,
            top=1,
        ),
        timeseries(
            "Load",
            "Tasks that ran or waited for a CPU or a disk; dashed, how many CPUs there are.",
            Query("avg_over_time(host_load1{$nodes}[$__interval])", "1 minute"),
            Query("avg_over_time(host_load15{$nodes}[$__interval])", "15 minutes"),
            Query("avg_over_time(host_cpus{$nodes}[$__interval])", "CPUs"),
            overrides=(limit("^CPUs$"),),
        ),
        timeseries(
            "Memory of the machine",
            "What programs use, what is shared memory, and what caches hold; dashed, all there is.",
            Query(
                "sum(avg_over_time(host_memory_total_bytes{$nodes}[$__interval])) "
                "- sum(avg_over_time(host_memory_available_bytes{$nodes}[$__interval]))",
                "in use",
            ),
            Query("sum(avg_over_time(host_memory_shared_bytes{$nodes}[$__interval]))", "shared"),
            Query("sum(avg_over_time(host_memory_cached_bytes{$nodes}[$__interval]))", "cached"),
            Query("sum(avg_over_time(host_memory_total_bytes{$nodes}[$__interval]))", "size"),
            unit="bytes",
            overrides=(limit("^size$"),),
        ),
        timeseries(
            "Pressure",
            "Share of the time in which tasks waited for a CPU, for memory or for input and "
            "output; stalled is the time in which none could go on.",
            *(
                Query(f"rate(host_pressure_{what}_seconds_total{{$nodes}}[$__rate_interval])", name)
                for what, name in (
                    ("cpu_waiting", "CPU"),
                    ("io_waiting", "input and output"),
                    ("io_stalled", "input and output, stalled"),
                    ("memory_waiting", "memory"),
                    ("memory_stalled", "memory, stalled"),
                )
            ),
            empty=_NO_PRESSURE,
        ),
    )


def traffic() -> Row:
    """Disks and network."""
    return row(
        "Disks and network",
        timeseries(
            "Disks: bytes",
            "Bytes read above, written below; the eight busiest devices.",
            Query(
                "topk_avg(8, rate(host_disk_read_bytes_total{$nodes}[$__rate_interval]))",
                "{{device}} read",
            ),
            Query(
                "topk_avg(8, rate(host_disk_written_bytes_total{$nodes}[$__rate_interval]))",
                "{{device}} written",
            ),
            bottom=None,
            overrides=(below_zero("written$"),),
        ),
        timeseries(
            "Disks: time busy",
            "Share of the time in which a device had something to do; the eight busiest.",
            Query(
                "topk_avg(8, rate(host_disk_io_seconds_total{$nodes}[$__rate_interval]))",
                "{{device}}",
            ),
            top=1,
        ),
        timeseries(
            "Network: bytes",
            "Bytes received above, sent below; the eight busiest devices.",
            Query(
                "topk_avg(8, rate(host_network_receive_bytes_total{$nodes}[$__rate_interval]))",
                "{{device}} receives",
            ),
            Query(
                "topk_avg(8, rate(host_network_transmit_bytes_total{$nodes}[$__rate_interval]))",
                "{{device}} sends",
            ),
            bottom=None,
            overrides=(below_zero("sends$"),),
        ),
        timeseries(
            "Network: errors and drops",
            "Packets that came or went in error, or were dropped, each second. None are best.",
            *(
                Query(
                    f"sum by (device) (rate(host_network_{what}_total"
                    "{$nodes}[$__rate_interval])) > 0",
                    f"{{{{device}}}} {name}",
                )
                for what, name in (
                    ("receive_errors", "received in error"),
                    ("receive_drops", "received and dropped"),
                    ("transmit_errors", "not sent for an error"),
                    ("transmit_drops", "not sent but dropped"),
                )
            ),
            empty="no packet was lost in this time range",
        ),
    )


def trouble() -> Row:
    """What fills up or runs out."""
    return row(
        "Space",
        bar_gauge(
            "File systems",
            "Share of each file system that users other than root can fill no more.",
            Query(
                "sort_desc(1 - max by (mountpoint) (host_filesystem_available_bytes{$nodes} "
                "/ host_filesystem_size_bytes{$nodes}))",
                "{{mountpoint}}",
            ),
            unit="percentunit",
            steps=NEAR_FULL,
            top=1,
            width=8,
        ),
        timeseries(
            "Swap",
            "Swap space in use; and bytes that come back from it or go out to it each second, "
            "which is what makes a machine slow.",
            Query(
                "sum(avg_over_time(host_swap_total_bytes{$nodes}[$__interval])) "
                "- sum(avg_over_time(host_swap_free_bytes{$nodes}[$__interval]))",
                "in use",
                unit="bytes",
            ),
            Query(
                "sum(rate(host_swap_in_bytes_total{$nodes}[$__rate_interval]))", "in", unit="Bps"
            ),
            Query(
                "sum(rate(host_swap_out_bytes_total{$nodes}[$__rate_interval]))", "out", unit="Bps"
            ),
            unit="bytes",
            width=8,
        ),
        timeseries(
            "Processes killed for want of memory",
            "Processes that the kernel killed as the machine or a container had no memory left.",
            Query("increase(host_oom_kills_total{$nodes}[$__interval])", "killed"),
            bars=True,
            width=8,
        ),
    )
