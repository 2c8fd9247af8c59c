"""What the stand-in NVML library answers, as functions of a GPU and the time.

A transcription of simulator/src/model.c and integral.c: the same arithmetic in the same order, so
that the results are equal and not merely close. Times are seconds since the scenario's start.
Tests describe a GPU with `Gpu` as their scenario file does and compare.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.simulator.presets import Preset

MIB = 1 << 20


GPU_IDLE = 0x1
SW_POWER_CAP = 0x4
HW_SLOWDOWN = 0x8
SYNC_BOOST = 0x10
SW_THERMAL = 0x20
HW_THERMAL = 0x40
HW_POWER_BRAKE = 0x80


@dataclass(frozen=True)
class Constant:
    """`load gpu=0 constant VALUE`, and `idle` for 0."""

    value: float = 0.0

    def at(self, t: float) -> float:
        return self.value

    def integral(self, t: float) -> float:
        return self.value * t


@dataclass(frozen=True)
class Wave:
    """`load gpu=0 wave min= max= period= phase=`."""

    min: float
    max: float
    period: float
    phase: float = 0.0

    def at(self, t: float) -> float:
        turns = t / self.period + self.phase
        return (self.min + self.max) / 2 + (self.max - self.min) / 2 * math.sin(math.tau * turns)

    def integral(self, t: float) -> float:
        turns = t / self.period + self.phase
        swing = math.cos(math.tau * self.phase) - math.cos(math.tau * turns)
        return (self.min + self.max) / 2 * t + (
            self.max - self.min
        ) / 2 * self.period / math.tau * swing


@dataclass(frozen=True)
class Burst:
    """`load gpu=0 burst min= max= period= phase= duty=`: at max for the first part of a period."""

    min: float
    max: float
    period: float
    phase: float = 0.0
    duty: float = 0.5

    def at(self, t: float) -> float:
        turns = t / self.period + self.phase
        return self.max if turns - math.floor(turns) < self.duty else self.min

    def _sum(self, turns: float) -> float:
        whole = math.floor(turns)
        high = whole * self.duty + min(turns - whole, self.duty)
        return high * self.max + (turns - high) * self.min

    def integral(self, t: float) -> float:
        return self.period * (self._sum(t / self.period + self.phase) - self._sum(self.phase))


@dataclass(frozen=True)
class Window:
    """`at AT [for DURATION] [every EVERY]`, and the load or throttle reasons that it brings."""

    at: float
    duration: float = math.inf
    every: float = 0.0
    load: float = 0.0
    reasons: int = 0

    def number(self, t: float) -> int:
        """The number of the latest window that began at or before t, from 0; -1 if none did."""
        if t < self.at:
            return -1
        if self.every <= 0:
            return 0
        number = math.floor((t - self.at) / self.every)
        if self._start(number + 1) <= t:
            return number + 1
        return number - 1 if self._start(number) > t else number

    def _start(self, number: int) -> float:
        return self.at + number * self.every

    def last_start(self, t: float) -> float:
        number = self.number(t)
        return -1.0 if number < 0 else self._start(number)

    def next_start(self, t: float) -> float:
        number = self.number(t)
        if number < 0:
            return self.at
        return self._start(number + 1) if self.every > 0 else math.inf

    def active(self, t: float) -> bool:
        return self.at <= t < self.last_start(t) + self.duration

    def seconds_inside(self, t: float) -> float:
        """Time spent inside the windows from 0 to t."""
        starts = self.number(t) + 1
        if starts == 0:
            return 0.0
        now = min(t - self.last_start(t), self.duration)
        return (starts - 1) * self.duration + now if starts > 1 else now


@dataclass(frozen=True)
class Gpu:
    """One GPU of a scenario. Lists are in the order of the file's lines."""

    preset: Preset
    load: Constant | Wave | Burst = field(default_factory=Constant)
    power_limit: int | None = None
    memory_base: int = 0
    memory_load: int = 0
    process_memory: int = 0
    overrides: tuple[Window, ...] = ()
    throttles: tuple[Window, ...] = ()
    resets: tuple[Window, ...] = ()

    @property
    def limit(self) -> int:
        return self.preset.power_default if self.power_limit is None else self.power_limit


def _override(gpu: Gpu, t: float) -> Window | None:
    active = [window for window in gpu.overrides if window.active(t)]
    return active[-1] if active else None


def load(gpu: Gpu, t: float) -> float:
    """The load, 0 to 1."""
    override = _override(gpu, t)
    return gpu.load.at(t) if override is None else override.load


def _edges(gpu: Gpu, t: float) -> Iterator[float]:
    apart = 1e-7
    for window in gpu.overrides:
        last = window.last_start(t + apart)
        if last >= 0 and last + window.duration > t + apart:
            yield last + window.duration
        yield window.next_start(t + apart)


def load_integral(gpu: Gpu, t: float) -> float:
    """Seconds of full load from 0 to t."""
    edge = total = 0.0
    while True:
        end = min(_edges(gpu, edge), default=math.inf)
        stop = min(end, t)
        override = _override(gpu, edge + (stop - edge) / 2)
        if override is not None:
            total += override.load * (stop - edge)
        else:
            total += gpu.load.integral(stop) - gpu.load.integral(edge)
        if end > t:
            return total
        edge = end


def last_reset(gpu: Gpu, t: float) -> float:
    """When the counters last began anew."""
    return max([0.0, *(window.last_start(t) for window in gpu.resets)])


def load_seconds(gpu: Gpu, t: float) -> float:
    """Seconds of full load since the counters last began anew."""
    reset = last_reset(gpu, t)
    return load_integral(gpu, t) - (load_integral(gpu, reset) if reset > 0 else 0.0)


def mean_load(gpu: Gpu, t: float, seconds: float) -> float:
    """The mean load of the last `seconds`."""
    span = min(seconds, t)
    if span <= 0:
        return load(gpu, t)
    return (load_integral(gpu, t) - load_integral(gpu, t - span)) / span


def percent(ratio: float) -> int:
    """A ratio as NVML gives it: whole percent, halves up."""
    return math.floor(100 * ratio + 0.5)


def utilization_percent(gpu: Gpu, t: float) -> int:
    return percent(load(gpu, t))


def memory_utilization_percent(gpu: Gpu, t: float) -> int:
    return percent(0.6 * load(gpu, t))


def power_at_load(gpu: Gpu, u: float) -> int:
    """Milliwatts at a load."""
    idle = gpu.preset.power_idle
    return math.floor(idle + (gpu.limit - idle) * u + 0.5)


def power_milliwatts(gpu: Gpu, t: float) -> int:
    """Power at this moment (field 186)."""
    return power_at_load(gpu, load(gpu, t))


def power_average_milliwatts(gpu: Gpu, t: float) -> int:
    """The mean of the last second (field 185)."""
    return power_at_load(gpu, mean_load(gpu, t, 1))


def module_power_milliwatts(gpu: Gpu, t: float, average: bool = False) -> int:
    """Power of a module, with the processor beside the GPU (scope 1 of the power fields)."""
    u = mean_load(gpu, t, 1) if average else load(gpu, t)
    idle = gpu.preset.power_idle
    beside = gpu.preset.module_idle + (gpu.preset.module_load - gpu.preset.module_idle) * u
    return math.floor(idle + (gpu.limit - idle) * u + beside + 0.5)


def module_limit_milliwatts(preset: Preset, limit: int) -> int:
    """The limit of a module whose GPU has this one."""
    return limit + preset.module_load


def memory_power_milliwatts(gpu: Gpu, t: float) -> int:
    """What the memory draws of a GPU's power, over the last second (field 185 with scope 2)."""
    u = mean_load(gpu, t, 1)
    idle = gpu.preset.power_idle
    return math.floor(0.15 * (idle + (gpu.limit - idle) * u) + 0.5)


def power_usage_milliwatts(gpu: Gpu, t: float) -> int:
    """What nvmlDeviceGetPowerUsage answers: the mean where the card has one."""
    if gpu.preset.has_power_average:
        return power_average_milliwatts(gpu, t)
    return power_milliwatts(gpu, t)


def power_watts(preset: Preset, u: float) -> float:
    """Power of a card with its default limit at load u."""
    return power_at_load(Gpu(preset), u) / 1000


def energy_millijoules(gpu: Gpu, t: float) -> int:
    """Energy since the counters last began anew."""
    idle = gpu.preset.power_idle
    seconds = t - last_reset(gpu, t)
    return int(idle * seconds + (gpu.limit - idle) * load_seconds(gpu, t))


def energy_joules(gpu: Gpu, t: float) -> float:
    return energy_millijoules(gpu, t) / 1000


def _warmed(gpu: Gpu, t: float, idle: int, full: int) -> int:
    return math.floor(idle + (full - idle) * mean_load(gpu, t, 30) + 0.5)


def temperature(gpu: Gpu, t: float) -> int:
    """The core's temperature: the mean load of half a minute, or the limit when throttled by it."""
    if reasons(gpu, t) & (SW_THERMAL | HW_THERMAL):
        return gpu.preset.temp_slowdown
    return _warmed(gpu, t, gpu.preset.temp_idle, gpu.preset.temp_load)


def memory_temperature(gpu: Gpu, t: float) -> int:
    return _warmed(gpu, t, gpu.preset.memory_temp_idle, gpu.preset.memory_temp_load)


def fan_percent(gpu: Gpu, t: float) -> int:
    above = temperature(gpu, t) - 50
    return percent(min(max(above / (gpu.preset.temp_max - 50), 0), 1))


def idle(gpu: Gpu, t: float) -> bool:
    return load(gpu, t) < 0.01


def reasons(gpu: Gpu, t: float) -> int:
    """The clock event reasons in force."""
    found = 0
    for window in gpu.throttles:
        if window.active(t):
            found |= window.reasons
    return GPU_IDLE if found == 0 and idle(gpu, t) else found


def _throttle_factor(found: int) -> float:
    if found & (HW_SLOWDOWN | HW_THERMAL | HW_POWER_BRAKE):
        return 0.5
    if found & SW_THERMAL:
        return 0.75
    return 0.85 if found & SW_POWER_CAP else 1.0


def _to_step(mhz: float) -> int:
    return math.floor(mhz / 15) * 15


def _sm_mhz(gpu: Gpu, t: float) -> float:
    if idle(gpu, t):
        return gpu.preset.sm_idle
    return gpu.preset.sm_max * (1 - 0.1 * load(gpu, t)) * _throttle_factor(reasons(gpu, t))


def sm_clock_mhz(gpu: Gpu, t: float) -> int:
    """The graphics and the SM clock."""
    return _to_step(_sm_mhz(gpu, t))


def video_clock_mhz(gpu: Gpu, t: float) -> int:
    return _to_step(0.9 * _sm_mhz(gpu, t))


def memory_clock_mhz(gpu: Gpu, t: float) -> int:
    return gpu.preset.mem_idle if idle(gpu, t) else gpu.preset.mem_max


def reason_nanoseconds(gpu: Gpu, t: float, wanted: int) -> int:
    """Time throttled for any of these reasons since the counters last began anew."""
    reset = last_reset(gpu, t)
    seconds = 0.0
    for window in gpu.throttles:
        if window.reasons & wanted:
            seconds += window.seconds_inside(t) - window.seconds_inside(reset)
    return math.floor(seconds * 1e9 + 0.5)


def memory_used_bytes(gpu: Gpu, t: float) -> int:
    """What NVML's second memory call answers; the first one adds what the driver keeps."""
    used = gpu.memory_base + int(gpu.memory_load * load(gpu, t)) + gpu.process_memory
    return min(used, (gpu.preset.memory_mib - gpu.preset.memory_reserved_mib) * MIB)


def pcie_bytes(gpu: Gpu, t: float, bytes_per_second: int, bits: int = 64) -> int:
    """A PCIe byte counter; the rate is one of the preset's two."""
    return int(bytes_per_second * load_seconds(gpu, t)) % (1 << bits)


def nvlink_kib(gpu: Gpu, t: float, raw: bool = False) -> int:
    """One link's data counter, or with `raw` that of everything on the wire."""
    factor = 1.1 if raw else 1.0
    return int(gpu.preset.nvlink_kib * factor * load_seconds(gpu, t))


def nvlink_bytes(gpu: Gpu, t: float) -> int:
    """One link's bytes in the counters of the fifth NVLink."""
    return nvlink_kib(gpu, t) * 1024


def nvlink_packets(gpu: Gpu, t: float) -> int:
    return nvlink_bytes(gpu, t) // 256


def mma_stall_percent(gpu: Gpu, t: float) -> int:
    return percent(0.15 * load(gpu, t))


# What part of the load each percentage of the performance monitor shows.
GPM_SHARES = {
    1: 1.0,
    2: 0.8,
    3: 0.5,
    4: 0.2,
    5: 0.6,
    6: 0.02,
    7: 0.5,
    8: 0.03,
    9: 0.05,
    10: 0.45,
    11: 0.01,
    12: 0.25,
    13: 0.1,
}


def mean_load_between(gpu: Gpu, first: float, second: float) -> float:
    before = load_integral(gpu, first)
    return (load_integral(gpu, second) - before) / (second - first)


def gpm_percent(gpu: Gpu, metric: int, first: float, second: float) -> float:
    """A percentage of the performance monitor over the time between two samples."""
    return 100 * GPM_SHARES[metric] * mean_load_between(gpu, first, second)


def gpm_engine_percent(gpu: Gpu, factor: float, first: float, second: float) -> float:
    """An engine's; the factor is that of the scenario's `gpu` line."""
    return 100 * factor * mean_load_between(gpu, first, second)


def gpm_mib_per_second(gpu: Gpu, bytes_per_second: float, first: float, second: float) -> float:
    """A stream's: PCIe's rates, or 1024 times a link's KiB a second."""
    return bytes_per_second * mean_load_between(gpu, first, second) / 1048576


@dataclass(frozen=True)
class Profile:
    """A size of MIG instances: slices of seven, slices of memory of eight, the first id."""

    slices: int
    memory_slices: int
    first_id: int


MIG_PROFILES = {
    "h200": {
        "1g.18gb": Profile(1, 1, 7),
        "1g.18gb+me": Profile(1, 1, 7),
        "1g.35gb": Profile(1, 2, 7),
        "2g.35gb": Profile(2, 2, 3),
        "3g.71gb": Profile(3, 4, 1),
        "4g.71gb": Profile(4, 4, 1),
        "7g.141gb": Profile(7, 8, 0),
    },
    "a100": {
        "1g.10gb": Profile(1, 1, 7),
        "2g.20gb": Profile(2, 2, 3),
        "3g.40gb": Profile(3, 4, 1),
        "7g.80gb": Profile(7, 8, 0),
    },
}


def mig_memory_total(preset: Preset, profile: Profile) -> int:
    usable = preset.memory_mib - preset.memory_reserved_mib
    return usable * profile.memory_slices // 8 * MIB
