"""The page's facts as a document: every change of a value, and what comes and goes."""

import random
from collections.abc import Sequence

import pytest

from gpuglass.catalogue import device, exporter, host, processes, xids
from gpuglass.catalogue.model import Series
from gpuglass.pipeline.page import Block
from gpuglass.pipeline.snapshot import Document, Snapshot

ZERO, ONE = ("0", "GPU-0"), ("1", "GPU-1")
PROCESS = ("42", "python", "alice", "", "")
OTHER = ("43", "train", "bob", "2", "0")
SERIES = (
    Series(device.UP, ZERO),
    Series(device.UP, ONE),
    Series(device.INFO_, (*ZERO, "H200", "", "", "", "", "hopper", "", "", "")),
    Series(device.POWER, ZERO),
    Series(device.TEMPERATURE, (*ZERO, "core")),
    Series(device.TEMPERATURE, (*ZERO, "memory")),
    Series(device.CAPABILITY, (*ONE, "fans", "not_supported")),
    Series(processes.PROCESS_INFO, (*ZERO, *PROCESS, "compute", "", "", "", "7", "")),
    Series(processes.PROCESS_MEMORY, (*ZERO, *PROCESS)),
    Series(processes.PROCESS_SM, (*ZERO, *PROCESS)),
    Series(processes.PROCESS_MEMORY, (*ZERO, *OTHER)),
    Series(processes.OWNER_MEMORY, (*ZERO, "alice", "", "", "", "7")),
    Series(host.LOAD1),
)
VALUES = [1.0, 1.0, 1.0, 637.34, 51.0, 61.0, 0.0, 1.0, 1e9, 0.4, 2e9, 1e9, 1.25]


def document(*values: float | None) -> Document:
    return Snapshot().document([Block(SERIES, list(values))])


def test_facts_are_arranged_by_their_labels() -> None:
    assert document(*VALUES) == {
        "metrics": {"host_load1": 1.25},
        "gpus": [
            {
                "gpu": "0",
                "uuid": "GPU-0",
                "metrics": {
                    "gpu_up": 1.0,
                    "gpu_info": [{"name": "H200", "architecture": "hopper"}],
                    "gpu_power_watts": 637.3,
                    "gpu_temperature_celsius": {"core": 51.0, "memory": 61.0},
                },
                "processes": [
                    {
                        **{"pid": "42", "name": "python", "user": "alice"},
                        **{"type": "compute", "job_id": "7"},
                        "gpu_process_memory_used_bytes": 1e9,
                        "gpu_process_sm_utilization_ratio": 0.4,
                    },
                    {
                        **{"pid": "43", "name": "train", "user": "bob"},
                        **{"gpu_instance": "2", "compute_instance": "0"},
                        "gpu_process_memory_used_bytes": 2e9,
                    },
                ],
                "owners": [{"user": "alice", "job_id": "7", "gpu_owner_memory_used_bytes": 1e9}],
            },
            {
                "gpu": "1",
                "uuid": "GPU-1",
                "metrics": {
                    "gpu_up": 1.0,
                    "gpu_capability": [{"group": "fans", "why": "not_supported", "value": 0.0}],
                },
                "processes": [],
                "owners": [],
            },
        ],
        "xids": {},
    }


def test_what_has_no_value_is_not_there() -> None:
    values = [1.0, 1.0, *[None] * (len(SERIES) - 2)]
    first, second = document(*values)["gpus"]
    assert first["metrics"] == second["metrics"] == {"gpu_up": 1.0}
    assert first["processes"] == first["owners"] == []


def rounds(random: random.Random) -> list[list[float | None]]:
    """Values that change, come and go."""
    found: list[list[float | None]] = []
    for _ in range(60):
        new: list[float | None] = [*(found[-1] if found else VALUES)]
        for i in random.sample(range(2, len(SERIES)), random.randrange(4)):
            new[i] = random.choice([None, VALUES[i], float(random.randrange(100))])
            if SERIES[i].metric.type.value == "info" and new[i] is not None:
                new[i] = 1.0
        found.append(new)
    return found


@pytest.mark.parametrize("seed", range(5))
def test_each_round_is_as_if_it_were_the_first(seed: int) -> None:
    snapshot = Snapshot()
    for values in rounds(random.Random(seed)):
        blocks: Sequence[Block] = [Block(SERIES[:5], values[:5]), Block(SERIES[5:], values[5:])]
        assert snapshot.document(blocks) == document(*values)


def test_other_series_are_another_arrangement() -> None:
    snapshot = Snapshot()
    snapshot.document([Block(SERIES, VALUES)])
    swapped = (Series(device.UP, ("0", "GPU-1")), Series(device.UP, ("1", "GPU-0")))
    gpus = snapshot.document([Block(swapped, [1.0, 0.0])])["gpus"]
    assert [(gpu["gpu"], gpu["uuid"], gpu["metrics"]) for gpu in gpus] == [
        ("0", "GPU-1", {"gpu_up": 1.0}),
        ("1", "GPU-0", {"gpu_up": 0.0}),
    ]


def test_what_is_of_no_listed_gpu_is_the_nodes() -> None:
    series = (
        Series(xids.XID_ERRORS, ("", "0000:3b:00", "79")),
        Series(exporter.PROBE_WAITING, ("", "", "nvmlInit")),
    )
    assert Snapshot().document([Block(series, [2.0, 3.04])])["metrics"] == {
        "gpu_xid_errors_total": [{"uuid": "0000:3b:00", "xid": "79", "value": 2.0}],
        "gpuglass_probe_waiting_seconds": [{"call": "nvmlInit", "value": 3.0}],
    }


def test_xids_are_explained() -> None:
    series = (
        Series(device.UP, ZERO),
        *(Series(xids.XID_ERRORS, (*ZERO, x)) for x in ("9999", "79")),
    )
    found = Snapshot().document([Block(series, [1.0, 1.0, 1.0])])["xids"]
    assert list(found) == ["79"]
    assert found["79"]["severity"] == "critical"
