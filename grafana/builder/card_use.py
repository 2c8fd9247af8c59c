"""gpu-card: processes, MIG instances and video engines, and what the card cannot tell."""

from collections.abc import Iterator

from grafana.builder import links
from grafana.builder.grids import Column, table
from grafana.builder.meanings import (
    GROUP_NAMES,
    WHY_NOT,
)
from grafana.builder.model import Query, Row, row
from grafana.builder.panels import timeseries
from grafana.builder.queries import PROCESS, PROCESS_WIDTHS, process_columns
from grafana.builder.style import WARMER

_MIG = "gpu_instance, compute_instance, profile"


def rows() -> Iterator[Row]:
    """From top to bottom; what few cards have is closed at first."""
    yield _processes()
    yield _mig()
    yield _media()
    yield _unknown()


def _processes() -> Row:
    return row(
        "Processes",
        table(
            "Processes on this GPU",
            "Who is on the card now. The largest 32 are told one by one, the rest as others.",
            *process_columns("$gpus"),
            labels={**PROCESS, "cluster": "", "node": "", "gpu": ""},
            widths=PROCESS_WIDTHS,
            links={"User": links.USER_OF_ROW},
            sort="Memory",
            height=7,
            empty="No process is on this GPU",
        ),
        timeseries(
            "Memory of processes",
            "Device memory that each process held. Single processes are kept for 30 days at most: "
            "they are not in the hourly tier.",
            Query(
                "topk_max(20, max_over_time("
                "gpu_process_memory_used_bytes${max}{$gpus}[$__interval]))",
                "{{name}} {{pid}} {{user}}",
            ),
            stacked=True,
            calcs=("mean", "max"),
            empty="No process was on this GPU, or it is too long ago to tell single ones",
        ),
        timeseries(
            "Use by owner",
            "Share of time in which kernels of each owner ran. Where the driver does not tell SM "
            "time of processes, it is split by memory.",
            Query(
                "sum by (user, job_id, container) ("
                "rate(gpu_owner_busy_seconds_total{$gpus}[$__rate_interval])) > 0",
                "{{user}} {{job_id}} {{container}}",
            ),
            unit="percentunit",
            stacked=True,
            calcs=("mean", "max"),
            empty="Nobody's kernels ran; in MIG mode it is not told",
        ),
    )


def _mig() -> Row:
    key = f"cluster, node, uuid, {_MIG}"
    gpm = "cluster, node, uuid, gpu_instance, profile"
    held = f"group by ({gpm}, compute_instance) (gpu_mig_info{{$gpus}})"
    return row(
        "MIG instances",
        table(
            "Instances",
            "Parts that the GPU is cut into: what each has, and what it does.",
            Column(
                "SMs",
                f'max by ({key}) (label_value(gpu_mig_info{{$gpus}}, "multiprocessors"))',
                unit="short",
                width=70,
            ),
            Column(
                "Memory used",
                f"max by ({key}) (gpu_mig_memory_used_bytes{{$gpus}})",
                width=130,
            ),
            Column(
                "Of all",
                f"max by ({key}) (gpu_mig_memory_used_bytes{{$gpus}} "
                "/ gpu_mig_memory_total_bytes{$gpus})",
                unit="percentunit",
                look="bar",
                steps=WARMER,
                width=130,
            ),
            Column(
                "SM activity",
                f"{held} * on ({gpm}) group_left () "
                f"max by ({gpm}) (gpu_mig_sm_active_ratio{{$gpus}})",
                unit="percentunit",
                look="bar",
                steps=WARMER,
                width=130,
            ),
            labels={
                "gpu_instance": "Instance",
                "compute_instance": "Compute",
                "profile": "Profile",
                "cluster": "",
                "node": "",
                "uuid": "",
            },
            sort="Instance",
            ascending=True,
            width=12,
            empty="This GPU is not cut into MIG instances",
        ),
        timeseries(
            "SM activity of instances",
            "Share of the instance's SMs that were busy.",
            Query(
                "avg_over_time(gpu_mig_sm_active_ratio{$gpus}[$__interval])",
                "{{gpu_instance}}, {{profile}}",
            ),
            top=1,
            width=6,
            height=9,
            empty="This GPU is not cut into MIG instances, or tells nothing of their SMs",
        ),
        timeseries(
            "Memory of instances",
            "Device memory that is allocated in each instance.",
            Query(
                "avg_over_time(gpu_mig_memory_used_bytes{$gpus}[$__interval])",
                "{{gpu_instance}}/{{compute_instance}}, {{profile}}",
            ),
            width=6,
            height=9,
            empty="This GPU is not cut into MIG instances",
        ),
        collapsed=True,
    )


def _media() -> Row:
    return row(
        "Video engines",
        timeseries(
            "Encoder and decoder",
            "Share of time in which each media engine was busy.",
            Query("avg_over_time(gpu_engine_utilization_ratio{$gpus}[$__interval])", "{{engine}}"),
            top=1,
            width=12,
            calcs=("mean", "max"),
            empty="This card does not tell of its media engines",
        ),
        timeseries(
            "Sessions",
            "Sessions of the video encoder and of frame capture.",
            Query("max_over_time(gpu_encoder_sessions${max}{$gpus}[$__interval])", "encoder"),
            Query("max_over_time(gpu_fbc_sessions${max}{$gpus}[$__interval])", "capture"),
            width=6,
            empty="This card has no encoder",
        ),
        timeseries(
            "Time of a frame",
            "Time that encoding or capturing a frame takes, the mean of all sessions.",
            Query("avg_over_time(gpu_encoder_latency_seconds{$gpus}[$__interval])", "encoder"),
            Query("avg_over_time(gpu_fbc_latency_seconds{$gpus}[$__interval])", "capture"),
            width=6,
            empty="No session, or no encoder",
        ),
        collapsed=True,
    )


def _unknown() -> Row:
    return row(
        "What this card cannot tell",
        table(
            "Facts that are missing, and why",
            "Groups of facts that card, driver or permission do not give. Their panels stay empty; "
            "nothing is shown as 0 that is not known.",
            Column(
                "Told",
                "max by (cluster, node, uuid, group, why) (gpu_capability{$gpus}) == 0",
                unit="short",
                mappings={"0": ("no", "orange")},
                width=80,
            ),
            labels={"group": "Facts", "why": "Why not", "cluster": "", "node": "", "uuid": ""},
            words={"Facts": GROUP_NAMES, "Why not": WHY_NOT},
            sort="Facts",
            ascending=True,
            width=12,
            empty="This card tells everything",
        ),
        table(
            "Where counters come from",
            "Counters that are not the driver's own: from its buffers of samples, from its "
            "performance monitor, or sampled by the exporter.",
            Column(
                "Known",
                "max by (cluster, node, uuid, metric, source, why) (gpu_source_info{$gpus})",
                unit="short",
                mappings={"1": ("yes", "text")},
                width=80,
            ),
            labels={
                "metric": "Counter",
                "source": "Source",
                "why": "Why not the driver's",
                "cluster": "",
                "node": "",
                "uuid": "",
            },
            words={"Why not the driver's": WHY_NOT},
            sort="Counter",
            ascending=True,
            width=12,
            empty="All are the driver's own",
        ),
        collapsed=True,
    )
