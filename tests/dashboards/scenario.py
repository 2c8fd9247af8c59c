"""What happens on the stage: nodes, their GPUs as the model knows them, who uses them."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from tests.integration.stack import Program, Stack
from tests.simulator import model
from tests.simulator.model import Burst, Constant, Gpu, Window
from tests.simulator.presets import PRESETS
from tests.unit.owners.machine import Machine

# Seconds after which all repeats itself.
PERIOD = 10
_WEEK = 7 * 86400
_GIB = 1 << 30
_JOB = "0::/system.slice/slurmstepd.scope/job_{job}/step_0/user/task_0"
_CONTAINER = "0::/system.slice/docker-" + "c0ffee" * 10 + "c0ff.scope"

# Degrees of a GPU for half of each period; the mean is far from it.
PEAK = 86
# Its name has signs that mean something to a regular expression.
TRAIN, MIXED, GONE = "train-01", "mixed.lab+1", "gone-02"
CLUSTERS = {TRAIN: "prod", MIXED: "lab", GONE: "lab"}
JOB, HUNG_JOB, USER, CONTAINER = "7", "8", "alice", "c0ffeec0ffee"
# Watts of a GPU that the model does not have.
LOW_POWER = {(TRAIN, 5): 110.0}
# A process that was like another one, and ended some time ago.
ENDED, ENDED_LIKE, ENDED_AGO = "99", "105", 600
_H200 = PRESETS["h200"]
GPUS: dict[str, tuple[Gpu, ...]] = {
    TRAIN: (
        Gpu(_H200, Constant(0.6), process_memory=30 * _GIB),
        Gpu(
            _H200,
            Constant(0.8),
            power_limit=450_000,
            process_memory=60 * _GIB,
            throttles=(Window(0, reasons=model.SW_POWER_CAP),),
        ),
        # It lags behind the others of its job.
        Gpu(_H200, Constant(0.3), process_memory=30 * _GIB),
        # Held in vain.
        Gpu(_H200, process_memory=40 * _GIB),
        Gpu(_H200, Burst(0.2, 0.8, PERIOD), process_memory=20 * _GIB),
        # It is busy, and draws little.
        Gpu(_H200, Constant(1), process_memory=50 * _GIB),
    ),
    MIXED: (
        Gpu(PRESETS["rtx4090"], Constant(0.4), memory_base=8 * _GIB),
        Gpu(PRESETS["gtx1080"]),
        Gpu(
            PRESETS["l40s"],
            Constant(0.5),
            memory_base=20 * _GIB,
            throttles=(Window(0, reasons=model.HW_THERMAL),),
        ),
        # In two parts.
        Gpu(_H200, Constant(0.6), memory_base=20 * _GIB),
    ),
    GONE: (Gpu(PRESETS["a100"], Constant(0.25)),),
}
_TRAIN = f"""\
start {{start}}
gpus 6 preset=h200
gpu 1 power-limit=450W
load gpu=0 constant 0.6
load gpu=1 constant 0.8
load gpu=2 constant 0.3
load gpu=3 idle
load gpu=4 burst min=0.2 max=0.8 period={PERIOD}s
at 0s throttle gpu=1 reason=sw_power_cap
process pid=101 gpu=0 type=compute memory=30GiB name=train
process pid=102 gpu=1 type=compute memory=60GiB name=train
process pid=103 gpu=2 type=compute memory=30GiB name=train
process pid=104 gpu=3 type=compute memory=40GiB name=notebook sm=0
process pid=105 gpu=4 type=compute memory=20GiB name=serve
load gpu=5 constant 1
process pid=106 gpu=5 type=compute memory=50GiB name=stuck
at 0s set power 110000 gpu=5
at 0s for 5s every {PERIOD}s set temperature {PEAK} gpu=4
at 5s every 5s xid code=43 gpu=4
at 0s ecc gpu=1 corrected=3 location=dram
at 0s remap gpu=1 corrected=1 pending=1
at 0s nvlink-down link=3 gpu=2
at 5s every 5s pcie-replay count=1 gpu=5
at 5s every 5s counter field=160 count=1 gpu=5
at 5s every 5s ecc gpu=5 corrected=1 location=dram
at 0s remap gpu=5 failure=1
"""
_MIXED = """\
start {start}
gpus 4
gpu 0 preset=rtx4090 memory-base=8GiB
gpu 1 preset=gtx1080
gpu 2 preset=l40s memory-base=20GiB encoder=0.4 decoder=0.6
load gpu=0 constant 0.4
load gpu=1 idle
load gpu=2 constant 0.5
load gpu=3 constant 0.6
mig gpu=3 profile=3g.71gb count=2 memory=10GiB
at 0s throttle gpu=2 reason=hw_thermal
"""
_GONE = """\
start {start}
gpus 1 preset=a100
load gpu=0 constant 0.25
"""
SCENARIOS = {TRAIN: _TRAIN, MIXED: _MIXED, GONE: _GONE}
# XIDs and errors are counted again and again: so many a second of each.
ERRORS_A_SECOND = 1 / 5
# What happens once, near the end: a GPU asks for a reset.
LATE_XID = "119"
LATE_GPU = 0


class Nodes:
    """The exporters on stand-in drivers.

    Args:
        stack: What scrapes them.
        simulator: Where the driver is.
        folder: Of the machine's files.
    """

    def __init__(self, stack: Stack, simulator: Path, folder: Path) -> None:
        self._stack, self._simulator = stack, simulator
        folder.mkdir(parents=True)
        self._machine = Machine(folder)
        for pid, group in (
            *((pid, _JOB.format(job=JOB)) for pid in (101, 102, 103)),
            (104, _CONTAINER),
            (106, _JOB.format(job=HUNG_JOB)),
        ):
            self._machine.add(pid, group)
        self._machine.add(105)
        # What is not of processes is the machine's own.
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() and not (self._machine.procfs / entry.name).is_symlink():
                (self._machine.procfs / entry.name).symlink_to(entry)
        self.start_time = int(time.time()) - _WEEK
        self.addresses: dict[str, str] = {}

    def start(self) -> None:
        """Start them, and tell the users' file of them."""
        with ThreadPoolExecutor() as pool:
            started = dict(zip(SCENARIOS, pool.map(self._start, SCENARIOS), strict=True))
        self.addresses.update(started)
        (self._stack.targets / "fleet.yml").write_text(
            "".join(
                f"- targets: ['{address}']\n  labels: {{node: {node}, cluster: {CLUSTERS[node]}}}\n"
                for node, address in self.addresses.items()
            )
        )

    def _start(self, node: str) -> str:
        files = ("--path.procfs", str(self._machine.procfs), "--path.rootfs")
        return self._stack.exporter(
            node,
            SCENARIOS[node].format(start=self.start_time),
            self._simulator,
            *("--path.kmsg", "/nonexistent"),
            *((*files, str(self._machine.rootfs)) if node == TRAIN else ()),
        )

    def seen(self) -> float:
        """The time at which all was stored that there is to see; 0 before."""
        wanted = {
            'count(up{job="gpu"} == 1) == 3': len(SCENARIOS),
            "count(gpu_up)": sum(map(len, GPUS.values())),
            # They come some time after their processes.
            'count(gpu_owner_allocated_seconds_total{user="alice"} > 0)': 6,
            'count(gpu_xid_errors_total{xid="43"})': 1,
            "count(gpu_nvlink_links_up) > 0": None,
            "count(gpu_row_remap_pending) > 0": None,
            'count(up{job!="gpu"} == 1)': None,
        }
        for query, count in wanted.items():
            found = self._stack.values(query)
            if not found or (count is not None and found[0] < count):
                return 0
        return time.time()

    def later(self, at: float) -> None:
        """Let a GPU fail once."""
        before = (self._stack.folder / f"{TRAIN}.conf").read_text()
        line = f"at {at - self.start_time:.1f}s xid code={LATE_XID} gpu={LATE_GPU}\n"
        self._stack.change(TRAIN, before + line)

    def lose_one(self) -> None:
        """Let a node go away."""
        self._program(GONE).stop()

    def _program(self, node: str) -> Program:
        return next(p for p in self._stack.exporters if node in p.command)

    def stop(self) -> None:
        """End them."""
        for program in self._stack.exporters:
            program.stop()


def twins(gpu: Gpu) -> tuple[Gpu, Gpu]:
    """A GPU at the least and at the most of its load."""
    assert isinstance(gpu.load, Burst)
    least, most = gpu.load.min, gpu.load.max
    return replace(gpu, load=Constant(least)), replace(gpu, load=Constant(most))
