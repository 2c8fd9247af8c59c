"""gpu-card: its links, and errors."""

from collections.abc import Iterator

from grafana.builder.grids import table
from grafana.builder.meanings import (
    RECOVERIES,
    XID_ADVICE,
    XID_MEANINGS,
    XID_NUMBERS,
    YES_IS_BAD,
    YES_IS_WORTH_A_LOOK,
)
from grafana.builder.model import TIER, Query, Row, row
from grafana.builder.panels import below_zero, counts, limit, stat, timeseries
from grafana.builder.queries import XID, xid_columns
from grafana.builder.style import BAD_FROM_1, CALM, WARN_FROM_1

_DOWN = below_zero("^received")


def rows() -> Iterator[Row]:
    """From top to bottom."""
    yield _links()
    yield _errors()


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
        counts(
            "PCIe errors",
            "Packets that had to be sent again, and errors by kind, of each step. Some are normal; "
            "many, and ever more, are not.",
            Query("increase(gpu_pcie_replays_total{$gpus}[$__interval]) > 0", "sent again"),
            Query("increase(gpu_pcie_errors_total{$gpus}[$__interval]) > 0", "{{type}}"),
            width=8,
            empty="None, or this card does not count them",
        ),
        counts(
            "NVLink errors",
            "Errors and what was done about them, of each step. One event may count in several "
            "kinds.",
            Query(
                'increase(gpu_nvlink_errors_total{$gpus,link="all"}[$__interval]) > 0', "{{type}}"
            ),
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
            empty="not told",
        ),
        stat(
            "Corrected memory errors",
            "Errors that ECC corrected, since the driver was loaded. A few are harmless.",
            Query('sum(gpu_ecc_errors_total{$gpus,kind="corrected",scope="volatile"})'),
            width=4,
            steps=CALM,
            empty="not told",
        ),
        stat(
            "Rows replaced",
            "Rows of memory, or pages before Ampere, that were taken out of use.",
            Query("sum(gpu_remapped_rows{$gpus}, gpu_retired_pages{$gpus})"),
            width=4,
            steps=WARN_FROM_1,
            empty="not told",
        ),
        stat(
            "Waits for a reset",
            "Whether a row, or a page before Ampere, is to be replaced at the next reset.",
            Query("max(gpu_row_remap_pending{$gpus}, gpu_retired_pages_pending{$gpus})"),
            width=4,
            mappings=YES_IS_WORTH_A_LOOK,
            empty="not told",
        ),
        stat(
            "To be replaced",
            "Whether the card says that its memory cannot be repaired: a row that could not be "
            "replaced, or more errors in SRAM than it should be kept with.",
            Query(
                "max(gpu_row_remap_failure{$gpus}, gpu_memory_unrepairable{$gpus}, "
                "gpu_ecc_sram_threshold_exceeded{$gpus})"
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
            height=6,
            empty="No XIDs",
        ),
        counts(
            "Memory errors",
            "Errors that ECC corrected or could only detect, of each step.",
            Query(
                "sum by (kind, location) ("
                'increase(gpu_ecc_errors_total{$gpus,scope="volatile"}[$__interval])) > 0',
                "{{kind}}, {{location}}",
            ),
            width=24,
            height=6,
            empty="None, or ECC is not there or off",
        ),
    )
