"""Everything that NVML gives, and everything that others publish of it, has its place."""

import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pynvml
import pytest
import yaml
from tests.conftest import ROOT
from tests.unit.driver import run
from tests.unit.test_groups import CARDS, SCENARIO

from gpuglass.catalogue import activity, gpu, mig, processes, xids
from gpuglass.catalogue.model import Metric

PEERS: dict[str, Any] = yaml.safe_load((ROOT / "docs" / "peers.yml").read_text())
ROWS = [row for rows in PEERS["topics"].values() for row in rows]
NOT_PUBLISHED = (ROOT / "docs" / "not-published.md").read_text()
METRICS = {metric.name: metric for metric in gpu.METRICS}
EXPORTER = ROOT / "exporter" / "gpuglass"
CODE = "".join(path.read_text() for path in EXPORTER.rglob("*.py"))

# What the probe does not tell but the exporter makes of it.
MADE_BY_THE_EXPORTER = {
    *("gpu_devices", "gpu_driver_info", "gpu_info", "gpu_up", "gpu_data_age_seconds"),
    *("gpu_capability", "gpu_source_info"),
    *("gpu_pcie_link_generation_best", "gpu_pcie_link_width_best", "gpu_runtime_suspended"),
}
# What no stand-in card has, and why.
NOT_PLAYED = {
    **dict.fromkeys(
        (
            *("gpu_remapped_rows_inactive", "gpu_bank_remappings", "gpu_bank_remap_pending"),
            *("gpu_bank_remap_groups", "gpu_power_smoothing_state_of_charge_enabled"),
        ),
        "a newer driver than the one that is played",
    ),
    **dict.fromkeys(
        (
            *("gpu_fabric_misconfiguration", "gpu_fabric_partition_assigned"),
            "gpu_fabric_manager_connected",
        ),
        "the fabric's newer states",
    ),
    **dict.fromkeys(
        ("gpu_vgpu_scheduler_policy", "gpu_vgpu_scheduler_arr_mode"), "the host's scheduler"
    ),
    **dict.fromkeys(
        ("gpu_dram_encryption_mode", "gpu_dram_encryption_mode_pending"), "encrypted memory"
    ),
    "gpu_license_active": "the inside of a virtual machine",
}


def ours(row: dict[str, Any]) -> list[str]:
    names = row.get("ours", [])
    return [names] if isinstance(names, str) else names


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["fact"])
def test_what_others_publish_has_our_metric_or_a_reason(row: dict[str, Any]) -> None:
    assert row.keys() <= {"fact", "ours", "why", *PEERS["exporters"]}
    assert bool(ours(row)) != bool(row.get("why"))
    assert set(ours(row)) <= METRICS.keys()


def test_facts_stand_once() -> None:
    facts = [row["fact"] for row in ROWS]
    assert len(facts) == len(set(facts))


def bare(symbol: str) -> str:
    """A function's name without its version."""
    return re.sub(r"_?v\d+$", "", symbol, flags=re.IGNORECASE)


# What changes something, and what makes no facts.
_ACTS = re.compile(
    r"Set[A-Z]|Clear|Reset|Create|Destroy|Free|Alloc|Register|Remove|Freeze|Discover|Modify"
    r"|Validate|Init|Shutdown|Error|Activate|Update|Write|Force"
)
_LIBRARY = Path(pynvml.__file__).read_text()
CALLS = {
    bare(symbol)
    for symbol in re.findall(r'_nvmlGetFunctionPointer\("(\w+)"\)', _LIBRARY)
    if not _ACTS.search(symbol) or symbol.endswith("GpuSet")
}
FIELDS = {
    name: number for name, number in vars(pynvml).items() if re.match("NVML_FI_(?!MAX)", name)
}
READ_CALLS = {bare(symbol) for symbol in re.findall(r"nvml[A-Z]\w+", CODE)}
READ_FIELDS = {FIELDS[name] for name in re.findall(r"NVML_FI_\w+", CODE) if name in FIELDS}
# The first one of several stands for all.
READ_FIELDS |= {pynvml.NVML_FI_DEV_NVLINK_COUNT_FEC_HISTORY_0 + place for place in range(16)}
PATTERNS = re.findall(r"`((?:nvml|NVML_)[\w*]+)`", NOT_PUBLISHED)

reviewed = pytest.mark.skipif(
    not version("nvidia-ml-py").startswith("13.615."),
    reason="what this nvidia-ml-py has new has not been sorted",
)


def matches(pattern: str, name: str) -> bool:
    return re.fullmatch(pattern.replace("*", r"\w*"), name) is not None


def listed(name: str) -> bool:
    return any(matches(pattern, name) for pattern in PATTERNS)


@reviewed
def test_every_call_is_read_or_listed() -> None:
    unsorted = {name for name in CALLS - READ_CALLS if not listed(name)}
    assert unsorted == set()


@reviewed
def test_every_field_is_read_or_listed() -> None:
    unread = {name for name, number in FIELDS.items() if number not in READ_FIELDS}
    assert {name for name in unread if not listed(name)} == set()


@reviewed
@pytest.mark.parametrize("pattern", PATTERNS)
def test_what_is_listed_exists_and_is_not_read(pattern: str) -> None:
    if pattern.startswith("nvml"):
        found = {name for name in CALLS if matches(pattern, name)}
        assert found - READ_CALLS
    else:
        found = {name for name in FIELDS if matches(pattern, name)}
        assert {name for name in found if FIELDS[name] not in READ_FIELDS}
    if "*" not in pattern:
        assert len(found) == 1


def test_every_metric_can_be_read(simulator: Path, tmp_path: Path) -> None:
    """On some kind of card, at work, with everything in trouble and in use that can be."""
    text = (
        SCENARIO.replace("preset=l40s", "preset=l40s virtualization=host_vgpu encoder=1 captures=1")
        + "confidential on\nroot on\n"
        + 'vgpu gpu=3 type="NVIDIA L40S-12Q" size=12GiB memory=4GiB share=0.3 vm=one\n'
    )
    code = """
        seen = set()
        for each in (False, True):
            for index in range(%d):
                plan = Plan(Library(), Library().device(index), 1.0, each_nvlink=each)
                told = [name for name, value in show(plan).items() if value is not None]
                seen |= {name.split(" ")[0] for name in told}
        tell(seen=sorted(seen))
    """
    seen = set(run(simulator, tmp_path / "scenario.conf", text, code % len(CARDS))["seen"])
    elsewhere = {
        metric.name for module in (activity, mig, processes, xids) for metric in module.METRICS
    }
    assert seen <= METRICS.keys()
    assert METRICS.keys() - seen - elsewhere == MADE_BY_THE_EXPORTER | NOT_PLAYED.keys()


@pytest.mark.parametrize("metric", gpu.METRICS, ids=lambda metric: metric.name)
def test_sources_name_calls_and_fields_that_are_read(metric: Metric) -> None:
    for symbol in re.findall(r"\bnvml[A-Z]\w+", metric.source):
        assert bare(symbol) in READ_CALLS
    for field in re.findall(r"fields? (\d+)", metric.source):
        assert int(field) in READ_FIELDS
