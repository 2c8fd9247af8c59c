"""What processes cost: CPU, memory, and where the memory goes."""

import json
import resource
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import NamedTuple

import psutil
from tests.bench.client import scrape
from tests.bench.stage import ROOT

_MIB = 1024.0  # smaps_rollup counts in KiB


class Memory(NamedTuple):
    """The memory of a process or of an import step, in MiB.

    Attributes:
        name: Of what.
        pss: Proportional set size.
        anonymous: The part of it that no file backs.
        rss: Resident set size, in which a page shared by two processes counts twice.
        threads: How many the process has.
    """

    name: str
    pss: float
    anonymous: float
    rss: float
    threads: int = 1


class Window(NamedTuple):
    """What a server needs while it is scraped now and then.

    Attributes:
        cpu: User and system seconds a minute, of the process and its children.
        memory: Of each of its processes, at the end.
        others: CPUs that the rest of the machine kept busy meanwhile.
    """

    cpu: float
    memory: list[Memory]
    others: float


class Machine:
    """How busy the rest of the machine is."""

    def __init__(self) -> None:
        self._begin = self._busy()
        self._time = time.monotonic()

    def others(self, cpu: float) -> float:
        """CPUs kept busy since then, by others than the ones that used ``cpu`` seconds."""
        return (self._busy() - self._begin - cpu) / (time.monotonic() - self._time)

    def _busy(self) -> float:
        times = psutil.cpu_times()
        own = resource.getrusage(resource.RUSAGE_CHILDREN)
        busy: float = times.user + times.nice + times.system + times.irq + times.softirq
        return busy + times.steal - own.ru_utime - own.ru_stime


class Clocks:
    """What a process and its children use from now on, exactly; those who end meanwhile count not.

    The kernel's clock of a process has nanoseconds where its statistics have hundredths.

    Args:
        pid: The process.
        children: Whether its children count too.
    """

    def __init__(self, pid: int, children: bool = True) -> None:
        # As clock_getcpuclockid makes it: all threads, also those that have ended.
        processes = _tree(pid) if children else _tree(pid)[:1]
        self._clocks = [~process.pid << 3 | 2 for process in processes]
        self._begin = self._now()

    def used(self) -> float:
        """User and system seconds since the beginning."""
        return self._now() - self._begin

    def _now(self) -> float:
        return sum(map(time.clock_gettime, self._clocks))


def window(pid: int, port: int, seconds: float) -> Window:
    """Watch a server, and scrape gzip each quarter of the time."""
    machine = Machine()
    clocks = Clocks(pid)
    for _ in range(4):
        time.sleep(seconds / 4)
        scrape(port, True)
    used = clocks.used()
    return Window(used * 60 / seconds, memory(pid), machine.others(used))


def cpu_seconds(pid: int) -> float:
    """User and system time so far, of a process and its children."""
    total = 0.0
    for process in _tree(pid):
        times = process.cpu_times()
        total += times.user + times.system
    return total


def memory(pid: int) -> list[Memory]:
    """The memory of a process and its children."""
    return [
        smaps(process.pid, "child" if number else "parent", process.num_threads())
        for number, process in enumerate(_tree(pid))
    ]


def _tree(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def smaps(pid: int, name: str, threads: int) -> Memory:
    """The memory of one process."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    sizes = {line.split(":")[0]: int(line.split()[1]) / _MIB for line in lines}
    return Memory(name, sizes["Pss"], sizes["Pss_Anon"], sizes["Rss"], threads)


# Each import in the order in which it is measured; the last one needs all others that count.
_STEPS = {
    "parent": {
        "asyncio": ("asyncio",),
        "click": ("click",),
        "PyYAML": ("yaml",),
        "psutil": ("psutil",),
        "prometheus_client": ("prometheus_client",),
        "aiohttp": ("aiohttp.web",),
        "gpuglass": (
            "gpuglass.cli.serve",
            "gpuglass.pipeline.exporter",
            "gpuglass.web.app",
            "gpuglass.web.server",
        ),
    },
    "child": {
        "ctypes, json, threading": ("ctypes", "json", "threading"),
        "pynvml": ("pynvml",),
        "gpuglass.probe": ("gpuglass.probe.worker",),
    },
}
_IMPORTER = """
    import json, sys
    from importlib import import_module

    def size():
        with open("/proc/self/smaps_rollup") as file:
            lines = file.read().splitlines()[1:]
        return {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines}

    size()
    sizes = [("bare Python", size())]
    for name, modules in json.loads(sys.argv[1]):
        for module in modules:
            import_module(module)
        sizes.append((name, size()))
    print(json.dumps([(n, s["Pss"], s["Pss_Anon"], s["Rss"]) for n, s in sizes]))
"""


def import_steps() -> dict[str, list[Memory]]:
    """The memory of an interpreter after each import that the exporter makes, and the probe."""
    return {role: _steps(steps) for role, steps in _STEPS.items()}


def _steps(steps: dict[str, tuple[str, ...]]) -> list[Memory]:
    *_, last = steps.values()
    loaded = _python(f"import sys, {', '.join(last)}; print(*sys.modules)").split()
    needed = [(name, modules) for name, modules in steps.items() if set(modules) <= set(loaded)]
    sizes = json.loads(_python(textwrap.dedent(_IMPORTER), json.dumps(needed)))
    return [Memory(*size) for size in sizes]


def _python(code: str, *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
