"""The pieces of the command that need no driver."""

import inspect
import json
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pynvml
import pytest
from tests.hardware import fields, signatures, summary
from tests.hardware.comparison import FACTS, compare, number
from tests.hardware.fakes import Fakes
from tests.hardware.job import private
from tests.hardware.page import Page
from tests.hardware.pcie import counted
from tests.hardware.samples import described
from tests.hardware.values import plain

from gpuglass.catalogue import gpu

UUID = "GPU-5ec2e700-1111-2222-3333-444444444444"


@pytest.mark.skipif(
    not version("nvidia-ml-py").startswith("13.615."),
    reason="what this nvidia-ml-py has new has not been sorted",
)
def test_every_function_that_reads_is_called_or_left_out_for_a_reason() -> None:
    readers = {
        name
        for name, function in inspect.getmembers(pynvml, inspect.isfunction)
        if re.match("nvml(Device|System)Get", name)
    }
    without_arguments = {
        name
        for name, function in signatures.functions().items()
        if signatures.needs_more(function) and name not in signatures.MORE
    }
    assert without_arguments == set()
    assert readers <= {*signatures.functions(), *signatures.STRUCTURES, *signatures.LEFT_OUT}
    for layouts in signatures.STRUCTURES.values():
        for layout in layouts:
            known = getattr(pynvml, layout.name)
            assert bool(layout.version) == (known._fields_[0][0] == "version")


def test_nothing_that_acts_is_called() -> None:
    names = {*signatures.functions(), *signatures.STRUCTURES}
    acts = re.compile("Set[A-Z]|Clear|Reset|Create|Destroy|Register|Remove|Freeze|Modify|Write")
    assert {name for name in names if acts.search(name)} <= {
        # The words stand for what is told.
        "nvmlDeviceGetCreatableVgpus",
        "nvmlSystemGetTopologyGpuSet",
    }


def test_the_exporters_fields_are_found_in_its_source() -> None:
    assert {83, 185, 197, 198, 230} <= set(fields.used())
    assert 80 not in fields.used()


def test_private_names_are_replaced_everywhere_by_the_same() -> None:
    fakes = Fakes()
    told = fakes.value({"uuid": private("uuid", UUID), "serial": private("serial", "165432")})
    fakes.value([private("host", "node17.example.org"), private("host", "node17")])
    uuid = told["uuid"]
    assert uuid.startswith("GPU-0000") and told["serial"] == "serial-1"
    assert fakes.text(f'gpu_info{{serial="165432",uuid="{UUID}"}} 1') == (
        f'gpu_info{{serial="serial-1",uuid="{uuid}"}} 1'
    )
    assert fakes.text(f"<uuid>{UUID}</uuid><serial>165432</serial>") == (
        f"<uuid>{uuid}</uuid><serial>serial-1</serial>"
    )
    assert fakes.text("on node17.example.org, not node171: node17") == (
        "on host-1, not node171: host-2"
    )
    assert fakes.text('x{user="jane",pod="a"} 1\nx{user="jane"} 2\nx{user="root"} 3') == (
        'x{user="user-1",pod="pod-1"} 1\nx{user="user-1"} 2\nx{user="root"} 3'
    )
    assert fakes.text("/home/jane/x.py") == "/home/user/x.py"
    assert fakes.value({"serial": private("serial", "N/A"), "n": 1}) == {"serial": "N/A", "n": 1}
    assert fakes.of("uuid", uuid) == uuid


def test_structures_become_json_without_what_names_a_card() -> None:
    info = pynvml.c_nvmlPlatformInfo_v2_t()
    info.chassisSerialNumber = b"1821325"
    info.ibGuid = b"\x01\xff"
    found = plain(info)
    assert found["chassisSerialNumber"] == private("serial", "1821325")
    assert found["ibGuid"] == private("id", "01ff")
    assert plain(list(range(100))) == {"count": 100, "first": list(range(8)), "last": 99}
    assert plain(float("nan")) == "nan"


def test_a_counter_that_wraps_is_seen_to_fall() -> None:
    rows = [(0.0, 2.0**32 - 10), (0.1, 5.0), (0.2, 5.0), (0.3, 105.0)]
    assert counted(rows) == {
        "first": 2**32 - 10,
        "last": 105,
        "seconds": 0.3,
        "beyond_32_bits": False,
        "falls": 1,
        "most_in_a_step": 100,
        "steps_without_gain": 1,
        "steps": 3,
    }


def test_samples_are_described() -> None:
    found = described([(1000, 5.0), (3000, 6.0), (4000, 10.0)])
    assert (found["count"], found["in_order"], found["span_us"]) == (3, True, 3000)
    assert found["spacing_us"] == {"min": 1000, "median": 1500, "max": 2000}
    assert found["values"] == {"min": 5, "mean": 7, "max": 10}
    assert not described([(2000, 5.0), (1000, 5.0)])["in_order"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("50", 50),
        ("12.50 W", 12.5),
        ("P8", 8),
        ("-3", -3),
        ("Enabled", 1),
        ("No", 0),
        ("[N/A]", None),
        ("[Unknown Error]", None),
    ],
)
def test_numbers_of_nvidia_smi(text: str, value: float | None) -> None:
    assert number(text) == value


def test_values_between_two_pages_agree_and_others_do_not() -> None:
    def page(temperature: float) -> Page:
        return Page(
            f'gpu_temperature_celsius{{gpu="0",sensor="core"}} {temperature}\n'
            'gpu_memory_total_bytes{gpu="0"} 1073741824\n'
            'gpu_info{gpu="0",name="NVIDIA H200",pci_bus_id="0000:1b:00.0"} 1\n'
        )

    row = {
        "index": "0",
        "name": "NVIDIA H100",
        "pci.bus_id": "00000000:1B:00.0",
        "temperature.gpu": "45",
        "memory.total": "1026",
        "fan.speed": "30",
    }
    agree = {line["fact"]: line["agree"] for line in compare(page(40), [row], page(50))}
    assert agree == {
        "temperature.gpu": True,
        "memory.total": False,
        "fan.speed": False,
        "name": False,
        "pci.bus_id": True,
    }


def test_what_is_compared_is_published() -> None:
    metrics = {metric.name: metric for metric in gpu.METRICS}
    for fact in FACTS:
        assert {name for name, _ in fact.labels} <= set(metrics[fact.metric].labels)


def write(folder: Path, part: str, **steps: Any) -> None:
    (folder / f"{part}.json").write_text(json.dumps({"part": part, "steps": steps}))


def test_the_summary_of_counters_that_wrap_of_an_abort_and_of_nothing(tmp_path: Path) -> None:
    rows = [(0.0, 2.0**32 - 10), (0.1, 5.0)]
    watch = {
        "transmit": counted(rows),
        "receive": counted(rows),
        "rows": [[*row, row[1]] for row in rows],
    }
    write(tmp_path, "pcie", watch=watch)
    write(tmp_path, "events", **{"gpu0 types": {"ended": "crashed: SIGSEGV"}})
    text = summary.render(tmp_path)
    assert "198 wrap?** answered: they wrap: 2 falls, none beyond 4294967286" in text
    assert "- events: still running, ? s; gpu0 types: crashed: SIGSEGV" in text
    assert "**What do the fields cost?** not answered: fields was not run" in text
    assert "events can be registered?** not answered: crashed: SIGSEGV" in text
