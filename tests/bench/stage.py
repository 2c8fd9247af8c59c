"""The machine that all servers are measured on: a stand-in driver, its scenario, 64 processes."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GPUS = 8
PROCESSES_PER_GPU = 8

LATENCIES = {
    "zero": "",
    "realistic": "latency default=100us nvmlDeviceGetPcieThroughput=20ms\n",
}
"""What the calls of the driver cost, as a line of the scenario."""


def build_driver(folder: Path) -> None:
    """Build the stand-in library into a folder."""
    subprocess.run(
        ["make", "-s", "-C", str(ROOT / "simulator"), f"BUILD={folder}"],
        check=True,
        stdout=subprocess.DEVNULL,
    )


@contextlib.contextmanager
def workers(count: int = GPUS * PROCESSES_PER_GPU) -> Iterator[list[int]]:
    """Real processes that do nothing, for the driver to name; yields their ids."""
    sleepers = [
        subprocess.Popen(["sleep", "infinity"], stdin=subprocess.DEVNULL) for _ in range(count)
    ]
    try:
        yield [sleeper.pid for sleeper in sleepers]
    finally:
        for sleeper in sleepers:
            sleeper.terminate()
        for sleeper in sleepers:
            sleeper.wait()


def write_scenario(path: Path, latency: str, pids: list[int], driver: Path, more: str = "") -> None:
    """Write what the stand-in driver plays, and have it judged.

    Args:
        path: Where to.
        latency: One of ``LATENCIES``.
        pids: The processes, to be spread evenly over the GPUs.
        driver: The folder that ``build_driver`` has filled.
        more: More lines.
    """
    lines = [f"gpus {GPUS} preset=h200\n", LATENCIES[latency]]
    lines += [
        f"load gpu={gpu} wave min=0.7 max=0.98 period=60s phase={gpu / 100}\n"
        for gpu in range(GPUS)
    ]
    lines += [
        f"process pid={pid} gpu={index % GPUS} type=compute memory=12GiB name=worker\n"
        for index, pid in enumerate(pids)
    ]
    play(path, "".join([*lines, more]), driver)


def play(path: Path, scenario: str, driver: Path) -> None:
    """Have the stand-in driver play another scenario, all of it at once, once it is judged.

    Args:
        path: The file that the driver reads.
        scenario: What to write there.
        driver: The folder that ``build_driver`` has filled.
    """
    new = path.with_suffix(".new")
    new.write_text(scenario)
    subprocess.run(
        [str(driver / "check-scenario"), str(new)], check=True, stdout=subprocess.DEVNULL
    )
    new.replace(path)
