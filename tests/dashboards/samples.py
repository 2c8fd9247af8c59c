"""What panels show that the model does not have, held against the samples themselves."""

from collections.abc import Callable

from tests.dashboards.scenario import TRAIN
from tests.integration.stack import Labels, Samples

# What the model does not have is held against the samples: a query, what it looks at, its value.
SAMPLES: dict[str, tuple[str, str, Callable[[dict[Labels, Samples]], float]]] = {
    "gpu-node: Running for": (
        "A",
        f'host_uptime_seconds{{node="{TRAIN}"}}',
        lambda stored: _newest(stored)["host_uptime_seconds"],
    ),
    "gpu-node: Memory": (
        "A",
        f'{{__name__=~"host_memory_(available|total)_bytes",node="{TRAIN}"}}',
        lambda stored: (
            1
            - _newest(stored)["host_memory_available_bytes"]
            / _newest(stored)["host_memory_total_bytes"]
        ),
    ),
    "gpu-stack: Disk free": (
        "A",
        'vm_free_disk_space_bytes{tier="raw"}',
        lambda stored: _newest(stored)["vm_free_disk_space_bytes"],
    ),
}


def _card_says(metric: str) -> tuple[str, str, Callable[[dict[Labels, Samples]], float]]:
    selector = f'{metric}{{node="{TRAIN}",gpu="4"}}'
    return "A", selector, lambda stored: _newest(stored)[metric]


SAMPLES |= {
    "gpu-card: BAR1 window": _card_says("gpu_bar1_memory_used_bytes"),
    "gpu-card: Performance state": _card_says("gpu_performance_state"),
    "gpu-card: PCIe link": _card_says("gpu_pcie_link_generation"),
}


def _newest(stored: dict[Labels, Samples]) -> dict[str, float]:
    """By metric the last value of its series."""
    return {dict(labels)["__name__"]: samples[-1][1] for labels, samples in stored.items()}
