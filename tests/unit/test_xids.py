"""XIDs are counted from one source, whatever the kernel log holds."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuglass.catalogue import exporter, xids
from gpuglass.pipeline.kernel_log import KernelLog
from gpuglass.pipeline.xids import Xids

GPUS: dict[str, str | None] = {"GPU-a": "0", "GPU-b": "1"}
Seen = tuple[str, int, float]


class Log:
    """A pipe in the place of /dev/kmsg."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.seen: list[Seen] = []
        self.log = KernelLog(path, lambda *one: self.seen.append(one))
        self._pipe = path.open("wb", buffering=0)

    def write(self, message: str, microseconds: int = 5_000_000) -> None:
        record = f"6,1,{microseconds},-;{message}\n SUBSYSTEM=pci\n DEVICE=+pci:x\n"
        self._pipe.write(record.encode())

    async def read(self, condition: Callable[[], bool]) -> None:
        task = asyncio.create_task(self.log.run())
        try:
            deadline = time.monotonic() + 10
            while not condition():
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)
        finally:
            task.cancel()

    def close(self) -> None:
        self._pipe.close()
        self.log.close()


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Log]:
    log = Log(tmp_path / "kmsg")
    yield log
    log.close()


@pytest.mark.parametrize(
    ("message", "address", "xid"),
    [
        (
            "NVRM: Xid (PCI:0000:3b:00): 79, pid=1234, name=python, GPU has fallen off the bus.",
            "0000:3b:00",
            79,
        ),
        ("NVRM: Xid (PCI:0000:AF:00): 13, Graphics SM Warp Exception", "0000:af:00", 13),
        ("NVRM: Xid (0000:3b:00): 31, Ch 00000001", "0000:3b:00", 31),
        ("NVRM: Xid (PCI:0000:3b:00.0): 154, GPU recovery action changed", "0000:3b:00", 154),
    ],
)
async def test_the_drivers_words_are_understood(
    kernel: Log, message: str, address: str, xid: int
) -> None:
    kernel.write(message, microseconds=7_500_000)
    await kernel.read(lambda: bool(kernel.seen))
    ((seen_address, seen_xid, at),) = kernel.seen
    assert (seen_address, seen_xid) == (address, xid)
    assert at == pytest.approx(time.time() - time.monotonic() + 7.5, abs=1)


async def test_others_words_are_not(kernel: Log) -> None:
    for message in (
        "NVRM: loading NVIDIA UNIX x86_64 Kernel Module  580.95.05",
        "user: NVRM: Xid (PCI:0000:3b:00): 79, forged",
        "NVRM: Xid (PCI:0000:3b:00): ",
        "NVRM: Xid (PCI:0000:3b:00): 123456",
        "",
    ):
        kernel.write(message)
    kernel.write("NVRM: Xid (PCI:0000:3b:00): 62, real")
    await kernel.read(lambda: bool(kernel.seen))
    assert [(address, xid) for address, xid, _ in kernel.seen] == [("0000:3b:00", 62)]


async def test_a_flood_is_counted_to_the_last_one(kernel: Log) -> None:
    record = f"6,1,5000000,-;{'NVRM: Xid (PCI:0000:3b:00): 45, pid=1':<49}\n".encode()
    assert len(record) == 64

    def flood() -> None:
        for _ in range(100):
            kernel._pipe.write(record * 100)

    writing = asyncio.get_running_loop().run_in_executor(None, flood)
    await kernel.read(lambda: len(kernel.seen) == 10_000)
    await writing


def test_a_log_that_may_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        KernelLog(tmp_path / "nothing", lambda *_: None)


@given(st.binary())
def test_garbage_is_no_xid(record: bytes) -> None:
    log = KernelLog(Path(os.devnull), lambda *_: None)
    log._parse(record)
    log.close()


def new() -> Xids:
    seen = Xids()
    seen.told_by_kernel()
    seen.place("GPU-a", "0000:3b:00.0")
    seen.place("GPU-b", "0000:af:00.0")
    return seen


def series(seen: Xids) -> dict[tuple[str, ...], float | None]:
    block = seen.block(GPUS)
    return {
        (series.metric.name, *series.labels): value
        for series, value in zip(block.series, block.values, strict=True)
    }


def test_the_two_names_of_a_gpu_are_one() -> None:
    seen = new()
    seen.add("0000:3b:00", 79, 1, 1000.0)
    seen.add("GPU-b", 13, 5, 1001.0)
    seen.add("GPU-b", 13, 2, 1000.5)
    assert series(seen) == {
        (exporter.XID_SOURCE.name, "kernel_log", ""): 1,
        (xids.XID_ERRORS.name, "0", "GPU-a", "79"): 1,
        (xids.XID_LAST.name, "0", "GPU-a", "79"): 1000.0,
        (xids.XID_ERRORS.name, "1", "GPU-b", "13"): 7,
        # The one that came last, though the clock was set back in between.
        (xids.XID_LAST.name, "1", "GPU-b", "13"): 1000.5,
    }


def test_a_gpu_that_nvml_does_not_list_has_its_address() -> None:
    seen = new()
    seen.add("0000:5e:00", 79, 1, 1000.0)
    assert series(seen)[xids.XID_ERRORS.name, "", "0000:5e:00", "79"] == 1


def test_a_card_that_takes_anothers_place_has_none_of_its_xids() -> None:
    seen = Xids()
    seen.told_by_kernel()
    seen.add("0000:3b:00", 79, 1, 1000.0)
    seen.place("GPU-a", "0000:3b:00.0")
    seen.add("0000:3b:00", 79, 2, 1001.0)
    seen.place("GPU-b", "0000:3b:00.0")
    seen.add("0000:3b:00", 79, 4, 1002.0)
    shown = series(seen)
    assert shown[xids.XID_ERRORS.name, "0", "GPU-a", "79"] == 3
    assert shown[xids.XID_ERRORS.name, "1", "GPU-b", "79"] == 4
    # Each follows its card to another index; and leaves the page with it, but is not forgotten.
    block = seen.block({"GPU-a": "1", "GPU-b": None})
    assert [one.labels for one in block.series[1:]] == [("1", "GPU-a", "79")] * 2
    assert series(seen) == shown


def test_numbers_are_bounded() -> None:
    seen = new()
    for xid in range(1000):
        seen.add("GPU-a", xid, 1, 1000.0)
    seen.add("GPU-b", 1, 1, 1000.0)
    assert len(series(seen)) == 1 + 2 * 64 + 2


def test_the_series_stay_the_same_object_until_there_is_another() -> None:
    seen = new()
    seen.add("GPU-a", 13, 1, 1000.0)
    before = seen.block(GPUS).series
    seen.add("GPU-a", 13, 1, 1001.0)
    assert seen.block(GPUS).series is before
    seen.add("GPU-a", 14, 1, 1001.0)
    assert seen.block(GPUS).series is not before


def test_the_next_best_source_and_why() -> None:
    seen = Xids()
    assert series(seen) == {}
    seen.hidden_by_kernel("eperm")
    assert (exporter.XID_SOURCE.name, "none", "kernel_log_eperm") in series(seen)
    seen.told_by_nvml("")
    assert (exporter.XID_SOURCE.name, "nvml_events", "kernel_log_eperm") in series(seen)
    seen.told_by_nvml("not_supported")
    assert (exporter.XID_SOURCE.name, "none", "nvml_not_supported") in series(seen)
