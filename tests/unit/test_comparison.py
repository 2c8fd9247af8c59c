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
from tests.unit.generations import CARDS, SCENARIO, T

from gpuglass.catalogue import gpu, processes, xids
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
# What the exporter sums up, or makes of lists of processes and of events.
COUNTED = {
    *("gpu_sm_active_seconds_total", "gpu_dram_active_seconds_total"),
    *("gpu_mig_sm_active_seconds_total", "gpu_mig_dram_active_seconds_total"),
    *(metric.name for module in (processes, xids) for metric in module.METRICS),
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
    r"(?<!Event)Set[A-Z]|Clear|Reset|Create|Destroy|Free|Alloc|Register|Remove|Freeze|Discover"
    r"|Modify|Init|Shutdown|ErrorString|Activate|Update|Write|Force"
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
# What calls and fields are asked for, by a number of its own; not what their answers mean.
_ASKED_FOR = (
    *("NVML_GPM_METRIC_(?!MAX)", "NVML_POWER_SCOPE_(?!COUNT)", "nvmlEventType(?!None|All)"),
    *(r"NVML_\w+_SAMPLES$", "NVML_TEMPERATURE_THRESHOLD_(?!COUNT)"),
    *("NVML_MEMORY_LOCATION_(?!COUNT)", "NVML_INFOROM_(?!COUNT)"),
)
_WORDS = set(re.findall(r"\w+", CODE))
# The first one of several stands for all.
_NUMBERED = re.compile("NVML_GPM_METRIC_NV(DEC|JPG|OFA|ENC)_[1-9]_UTIL")
CONSTANTS: set[str] = set()
# The whole GPU is what a field is of unless it says otherwise.
READ_CONSTANTS = {"NVML_POWER_SCOPE_GPU"}
for kind in _ASKED_FOR:
    members = {name: number for name, number in vars(pynvml).items() if re.match(kind, name)}
    # Some have two names.
    read = {number for name, number in members.items() if name in _WORDS or _NUMBERED.match(name)}
    CONSTANTS |= members.keys()
    READ_CONSTANTS |= {name for name, number in members.items() if number in read}
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
def test_everything_that_can_be_asked_for_is_read_or_listed() -> None:
    assert {name for name in CONSTANTS if name not in READ_CONSTANTS and not listed(name)} == set()


@reviewed
@pytest.mark.parametrize("pattern", PATTERNS)
def test_what_is_listed_exists_and_is_not_read(pattern: str) -> None:
    if constants := {name for name in CONSTANTS if matches(pattern, name)}:
        assert constants - READ_CONSTANTS
        found = constants
    elif pattern.startswith("nvml"):
        found = {name for name in CALLS if matches(pattern, name)}
        assert found - READ_CALLS
    else:
        found = {name for name in FIELDS if matches(pattern, name)}
        assert {name for name in found if FIELDS[name] not in READ_FIELDS}
    if "*" not in pattern:
        assert len(found) == 1


def test_every_metric_can_be_read(simulator: Path, tmp_path: Path) -> None:
    """On some kind of card, at work, with everything in trouble and in use that can be."""
    cards = (
        SCENARIO.replace("preset=l40s", "preset=l40s virtualization=host_vgpu encoder=1 captures=1")
        .replace("preset=v100", "preset=v100 virtualization=vgpu")
        .replace(f"freeze {T}\n", "")
    )
    text = (
        f"{cards}driver 615.20 cuda=13.4\nconfidential on\nroot on\n"
        'vgpu gpu=3 type="NVIDIA L40S-12Q" size=12GiB memory=4GiB share=0.3 vm=one\n'
    )
    code = """
        seen = set()
        def see():
            for each in (False, True):
                for index in range(%d):
                    plan = Plan(Library(), Library().device(index), 1.0, each_nvlink=each)
                    plan.read(plan.columns, str)
                    time.sleep(0.12)  # what the performance monitor needs between two samples
                    told = [name for name, value in show(plan).items() if value is not None]
                    seen.update(name.split(" ")[0] for name in told)
        see()
        play(scenario.read_text() + "mig gpu=5 profile=1g.18gb\\n")
        see()
        tell(seen=sorted(seen))
    """
    seen = set(run(simulator, tmp_path / "scenario.conf", text, code % len(CARDS))["seen"])
    assert seen <= METRICS.keys()
    assert METRICS.keys() - seen == MADE_BY_THE_EXPORTER | COUNTED


@pytest.mark.parametrize("metric", gpu.METRICS, ids=lambda metric: metric.name)
def test_sources_name_calls_and_fields_that_are_read(metric: Metric) -> None:
    for symbol in re.findall(r"\bnvml[A-Z]\w+", metric.source):
        assert bare(symbol) in READ_CALLS
    for field in re.findall(r"fields? (\d+)", metric.source):
        assert int(field) in READ_FIELDS
