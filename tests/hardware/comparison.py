"""What the page says beside what nvidia-smi says at the same moment."""

import csv
import io
import re
from typing import NamedTuple

from tests.hardware import commands
from tests.hardware.job import Json
from tests.hardware.page import Page

_SECONDS = 20.0
_MIB = 1024.0 * 1024.0
_INVALID = re.compile(r'Field "([^"]+)" is not a valid field')


class Fact(NamedTuple):
    """Something that both tell.

    Attributes:
        query: nvidia-smi's name of it.
        metric: Ours.
        labels: Those that it has besides the GPU's.
        factor: Our unit in nvidia-smi's.
        tolerance: How far apart they may be, in nvidia-smi's unit.
        share: And the share of the value that they may be apart besides.
    """

    query: str
    metric: str
    labels: tuple[tuple[str, str], ...] = ()
    factor: float = 1.0
    tolerance: float = 0.0
    share: float = 0.0


def _labelled(**labels: str) -> tuple[tuple[str, str], ...]:
    return tuple(labels.items())


# What changes from moment to moment may have changed between the three readings.
FACTS = (
    Fact("utilization.gpu", "gpu_utilization_ratio", factor=100, tolerance=10),
    Fact("utilization.memory", "gpu_memory_activity_ratio", factor=100, tolerance=10),
    *(
        Fact(
            f"utilization.{name}",
            "gpu_engine_utilization_ratio",
            _labelled(engine=name),
            100,
            tolerance=10,
        )
        for name in ("encoder", "decoder", "jpeg", "ofa")
    ),
    Fact("memory.total", "gpu_memory_total_bytes", factor=1 / _MIB, tolerance=1),
    Fact("memory.reserved", "gpu_memory_reserved_bytes", factor=1 / _MIB, tolerance=1),
    Fact("memory.used", "gpu_memory_used_bytes", factor=1 / _MIB, tolerance=16),
    Fact("memory.free", "gpu_memory_free_bytes", factor=1 / _MIB, tolerance=16),
    Fact("power.draw.average", "gpu_power_watts", tolerance=5, share=0.1),
    Fact("power.draw.instant", "gpu_power_instant_watts", tolerance=10, share=0.2),
    Fact("enforced.power.limit", "gpu_power_limit_watts", _labelled(limit="enforced"), 1, 0.1),
    Fact("power.limit", "gpu_power_limit_watts", _labelled(limit="requested"), 1, 0.1),
    Fact("power.default_limit", "gpu_power_limit_watts", _labelled(limit="default"), 1, 0.1),
    Fact("power.min_limit", "gpu_power_limit_watts", _labelled(limit="min"), 1, 0.1),
    Fact("power.max_limit", "gpu_power_limit_watts", _labelled(limit="max"), 1, 0.1),
    Fact("temperature.gpu", "gpu_temperature_celsius", _labelled(sensor="core"), tolerance=2),
    Fact("temperature.memory", "gpu_temperature_celsius", _labelled(sensor="memory"), tolerance=2),
    Fact("temperature.gpu.tlimit", "gpu_temperature_margin_celsius", tolerance=2),
    *(
        Fact(
            f"clocks.current.{name}",
            "gpu_clock_hertz",
            _labelled(domain=name),
            1e-6,
            tolerance=1,
            share=0.1,
        )
        for name in ("graphics", "sm", "memory", "video")
    ),
    *(
        Fact(f"clocks.max.{name}", "gpu_clock_max_hertz", _labelled(domain=name), 1e-6)
        for name in ("graphics", "sm", "memory")
    ),
    Fact("pstate", "gpu_performance_state"),
    Fact("pcie.link.gen.current", "gpu_pcie_link_generation"),
    Fact("pcie.link.gen.max", "gpu_pcie_link_generation_max"),
    Fact("pcie.link.gen.gpumax", "gpu_pcie_link_generation_gpu_max"),
    Fact("pcie.link.width.current", "gpu_pcie_link_width"),
    Fact("pcie.link.width.max", "gpu_pcie_link_width_max"),
    Fact("fan.speed", "gpu_fan_speed_ratio", _labelled(fan="0"), 100, tolerance=3),
    Fact("persistence_mode", "gpu_persistence_mode"),
    Fact("ecc.mode.current", "gpu_ecc_mode"),
    Fact("mig.mode.current", "gpu_mig_mode"),
    *(
        Fact(
            f"remapped_rows.{theirs}",
            "gpu_remapped_rows",
            _labelled(cause=ours),
        )
        for theirs, ours in (("correctable", "corrected"), ("uncorrectable", "uncorrected"))
    ),
    Fact("remapped_rows.pending", "gpu_row_remap_pending"),
    Fact("remapped_rows.failure", "gpu_row_remap_failure"),
)
# Texts: nvidia-smi's name of each and the label of gpu_info.
TEXTS = {
    "name": "name",
    "uuid": "uuid",
    "serial": "serial",
    "vbios_version": "vbios_version",
    "driver_version": "driver_version",
    "pci.bus_id": "pci_bus_id",
    "compute_cap": "compute_capability",
}
_WORDS = {"enabled": 1.0, "disabled": 0.0, "yes": 1.0, "no": 0.0}


class SmiError(Exception):
    """nvidia-smi did not answer."""


def ask_nvidia_smi() -> list[dict[str, str]]:
    """What nvidia-smi says of each GPU, without what this version of it does not know.

    Raises:
        SmiError: It is not there, or says nothing.
    """
    wanted = ["index", *TEXTS, *(fact.query for fact in FACTS)]
    while True:
        command = ["nvidia-smi", f"--query-gpu={','.join(wanted)}", "--format=csv,nounits"]
        try:
            done = commands.run(command, _SECONDS)
        except OSError as error:
            raise SmiError(f"nvidia-smi: {error.strerror}") from None
        unknown = _INVALID.search(done.output + done.log)
        if unknown and unknown[1] in wanted:
            wanted.remove(unknown[1])
            continue
        if done.status:
            raise SmiError(f"nvidia-smi: exit {done.status}: {done.log[-300:]}")
        rows = list(csv.reader(io.StringIO(done.output), skipinitialspace=True))
        return [dict(zip(wanted, row, strict=False)) for row in rows[1:] if row]


def number(text: str) -> float | None:
    """What nvidia-smi writes for a number; ``None`` where it has none."""
    text = text.strip().lower()
    if text in _WORDS:
        return _WORDS[text]
    found = re.fullmatch(r"p?(-?\d+(?:\.\d+)?).*", text)
    return float(found[1]) if found else None


def compare(before: Page, rows: list[dict[str, str]], after: Page) -> list[Json]:
    """Put both side by side.

    Args:
        before: The page of before nvidia-smi was asked.
        rows: What ``ask_nvidia_smi`` gave.
        after: The page of after it.

    Returns:
        For each fact of each GPU both values, the tolerance, and whether they agree; that is
        ``None`` where neither has it.
    """
    return [line for row in rows for line in _of_gpu(before, row, after)]


def _of_gpu(before: Page, row: dict[str, str], after: Page) -> list[Json]:
    gpu = row.get("index", "").strip()
    lines = []
    for fact in FACTS:
        if fact.query not in row:
            continue
        theirs = number(row[fact.query])
        ours = [page.value(fact.metric, gpu=gpu, **dict(fact.labels)) for page in (before, after)]
        scaled = [None if value is None else value * fact.factor for value in ours]
        lines.append(
            {
                "gpu": gpu,
                "fact": fact.query,
                "metric": fact.metric,
                "labels": dict(fact.labels),
                "nvidia_smi": row[fact.query].strip(),
                "ours": [None if value is None else round(value, 3) for value in scaled],
                "tolerance": f"{fact.tolerance:g} + {100 * fact.share:g} %",
                "agree": _agree(fact, theirs, [v for v in scaled if v is not None]),
            }
        )
    labels = before.labels("gpu_info", gpu=gpu)
    for query, label in TEXTS.items():
        if query in row:
            theirs_text, ours_text = row[query].strip(), labels.get(label, "")
            lines.append(
                {
                    "gpu": gpu,
                    "fact": query,
                    "metric": "gpu_info",
                    "agree": _same_text(theirs_text, ours_text),
                }
            )
            if query not in ("uuid", "serial"):
                lines[-1] |= {"nvidia_smi": theirs_text, "ours": ours_text}
    return lines


def _agree(fact: Fact, theirs: float | None, ours: list[float]) -> bool | None:
    if theirs is None or not ours:
        return None if theirs is None and not ours else False
    tolerance = fact.tolerance + fact.share * abs(theirs)
    # A rounding error is no difference.
    return min(ours) - tolerance - 1e-6 <= theirs <= max(ours) + tolerance + 1e-6


def _same_text(theirs: str, ours: str) -> bool | None:
    if theirs in ("N/A", "[N/A]", "[Not Supported]", "0") and not ours:
        return None
    # PCI domains have eight digits there, four here.
    return theirs.lower().endswith(ours.lower()) if ours else False
