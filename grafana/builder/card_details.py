"""gpu-card, its lower half: links, media, errors, processes, MIG, and what the card cannot tell."""

from collections.abc import Iterator

from grafana.builder import links
from grafana.builder.meanings import (
    GROUP_NAMES,
    RECOVERIES,
    WHY_NOT,
    XID_ADVICE,
    XID_MEANINGS,
    XID_NUMBERS,
    YES_IS_BAD,
    YES_IS_WORTH_A_LOOK,
)
from grafana.builder.model import TIER, Query, Row, row
from grafana.builder.panels import (
    BAD_FROM_1,
    CALM,
    WARMER,
    WARN_FROM_1,
    Column,
    below_zero,
    limit,
    stat,
    table,
    timeseries,
)
from grafana.builder.queries import PROCESS, PROCESS_WIDTHS, XID, process_columns, xid_columns

_MIG = "gpu_instance, compute_instance, profile"
_DOWN = below_zero("^received")
_SIGNED = {"bottom": None}


def rows() -> Iterator[Row]:
    """From top to bottom; what few cards have is closed at first."""
    yield _links()
    yield _errors()
    yield _processes()
    yield _mig()
    yield _media()
    yield _unknown()


def _traffic(counter: str, gauge: str) -> tuple[Query, Query]:
    """Both directions, by the counter, else by what the performance monitor sees."""

    def one(direction: str, title: str) -> Query:
        where = f'{{$gpus,direction="{direction}"}}'
        counted = counter.replace("}", f',direction="{direction}"}}')
        return Query(
            f"sum by (cluster, node, uuid) (rate({counted}[$__rate_interval])) "
            "or on (cluster, node, uuid) "
            f"sum by (cluster, node, uuid) (avg_over_time({gauge}{where}[$__interval]))",
            title,
        )

    return one("transmit", "sent"), one("receive", "received")


def _links() -> Row:
    return row(
        "PCIe and NVLink",
        timeseries(
            "PCIe traffic",
            "Bytes a second over PCIe, as the card sees it: sent upwards, received downwards.",
            *_traffic("gpu_pcie_bytes_total{$gpus}", "gpu_pcie_bytes_per_second"),
            unit="Bps",
            bottom=None,
            width=8,
            overrides=(_DOWN,),
            empty="This card counts no bytes over PCIe",
        ),
        timeseries(
            "NVLink traffic",
            "Bytes a second over all NVLinks together: sent upwards, received downwards.",
            *_traffic('gpu_nvlink_bytes_total{$gpus,link="all"}', "gpu_nvlink_bytes_per_second"),
            unit="Bps",
            bottom=None,
            width=8,
            overrides=(_DOWN,),
            empty="This card has no NVLink, or none that counts bytes",
        ),
        timeseries(
            "PCIe link",
            "Generation and lanes in use. The generation falls while the card idles, by design; "
            "fewer lanes than the most seen point to seat, riser or slot.",
            Query(
                "max_over_time(gpu_pcie_link_generation${max}{$gpus}[$__interval])", "generation"
            ),
            Query("min_over_time(gpu_pcie_link_width${min}{$gpus}[$__interval])", "lanes"),
            Query(
                "last_over_time(gpu_pcie_link_width_best{$gpus}[$__interval])", "lanes, most seen"
            ),
            overrides=(limit("most seen", "orange"),),
            unit="short",
            width=8,
            empty="This card does not tell of its link",
        ),
        timeseries(
            "PCIe errors",
            "Packets that had to be sent again, and errors by kind, of each step. Some are normal; "
            "many, and ever more, are not.",
            Query("increase(gpu_pcie_replays_total{$gpus}[$__interval]) > 0", "sent again"),
            Query("increase(gpu_pcie_errors_total{$gpus}[$__interval]) > 0", "{{type}}"),
            unit="short",
            bars=True,
            stacked=True,
            calcs=("sum",),
            width=8,
            empty="None, or this card does not count them",
        ),
        timeseries(
            "NVLink errors",
            "Errors and what was done about them, of each step. One event may count in several "
            "kinds.",
            Query(
                'increase(gpu_nvlink_errors_total{$gpus,link="all"}[$__interval]) > 0', "{{type}}"
            ),
            unit="short",
            bars=True,
            stacked=True,
            calcs=("sum",),
            width=8,
            empty="None, or this card has no NVLink",
        ),
        timeseries(
            "NVLinks up",
            "Links that are up, of those that the card has.",
            Query("min_over_time(gpu_nvlink_links_up${min}{$gpus}[$__interval])", "up"),
            Query("max_over_time(gpu_nvlink_links${max}{$gpus}[$__interval])", "all"),
            overrides=(limit("^all$", "orange"),),
            unit="short",
            width=8,
            empty="This card has no NVLink",
        ),
    )


def _errors() -> Row:
    return row(
        "Errors",
        stat(
            "Driver asks for",
            "What the driver says that the GPU needs to work again.",
            Query("gpu_recovery_action{$gpus}"),
            unit="short",
            mappings=RECOVERIES,
            width=4,
            empty="not told",
        ),
        stat(
            "Uncorrected memory errors",
            "Errors that ECC could only detect, since the driver was loaded. From 1 on, results "
            "may be wrong until the GPU is reset.",
            Query('sum(gpu_ecc_errors_total{$gpus,kind="uncorrected",scope="volatile"})'),
            width=4,
            steps=BAD_FROM_1,
            empty="no ECC",
        ),
        stat(
            "Corrected memory errors",
            "Errors that ECC corrected, since the driver was loaded. A few are harmless.",
            Query('sum(gpu_ecc_errors_total{$gpus,kind="corrected",scope="volatile"})'),
            width=4,
            steps=CALM,
            empty="no ECC",
        ),
        stat(
            "Rows replaced",
            "Rows of memory, or pages before Ampere, that were taken out of use.",
            Query("sum(gpu_remapped_rows{$gpus} or gpu_retired_pages{$gpus})"),
            width=4,
            steps=WARN_FROM_1,
            empty="not told",
        ),
        stat(
            "Waits for a reset",
            "Whether a row, or a page before Ampere, is to be replaced at the next reset.",
            Query("max(gpu_row_remap_pending{$gpus} or gpu_retired_pages_pending{$gpus})"),
            width=4,
            mappings=YES_IS_WORTH_A_LOOK,
            empty="not told",
        ),
        stat(
            "To be replaced",
            "Whether the card says that its memory cannot be repaired: a row that could not be "
            "replaced, or more errors in SRAM than it should be kept with.",
            Query(
                "max(gpu_row_remap_failure{$gpus} or gpu_memory_unrepairable{$gpus} "
                "or gpu_ecc_sram_threshold_exceeded{$gpus})"
            ),
            width=4,
            mappings=YES_IS_BAD,
            empty="not told",
        ),
        table(
            "XIDs",
            "Errors that the driver reported within the time range: what they mean, what to do.",
            *xid_columns("$gpus"),
            labels={"xid": "XID", "meaning": "What it means", "advice": "What to do", **XID},
            words={"XID": XID_NUMBERS, "What it means": XID_MEANINGS, "What to do": XID_ADVICE},
            widths={"XID": 60},
            sort="Last",
            source=TIER,
            width=14,
            empty="No XIDs",
        ),
        timeseries(
            "Memory errors",
            "Errors that ECC corrected or could only detect, of each step.",
            Query(
                "sum by (kind, location) ("
                'increase(gpu_ecc_errors_total{$gpus,scope="volatile"}[$__interval])) > 0',
                "{{kind}}, {{location}}",
            ),
            unit="short",
            bars=True,
            stacked=True,
            calcs=("sum",),
            width=10,
            height=9,
            empty="None, or ECC is not there or off",
        ),
    )


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
