"""The driver's buffers: each sample once, and no clock makes a counter jump or fall."""

import ctypes
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pynvml
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuglass.probe import buffers
from gpuglass.probe.buffers import Buffer, Followed, Stream, Taken
from gpuglass.probe.calls import Call
from gpuglass.probe.frames import Column
from gpuglass.probe.nvml import Handle, Library, NvmlError

SECOND = 1_000_000
LONGEST = 5 * SECOND
DEVICE = Handle()
MEAN, PEAK, SECONDS = Column("mean"), Column("peak"), Column("seconds", source="buffers")
MEMBERS = {
    pynvml.NVML_VALUE_TYPE_DOUBLE: "dVal",
    pynvml.NVML_VALUE_TYPE_UNSIGNED_INT: "uiVal",
    pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG: "ulVal",
    pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG: "ullVal",
    pynvml.NVML_VALUE_TYPE_SIGNED_LONG_LONG: "sllVal",
    pynvml.NVML_VALUE_TYPE_SIGNED_INT: "siVal",
    pynvml.NVML_VALUE_TYPE_UNSIGNED_SHORT: "usVal",
}


class Driver(Library):
    """A driver with one buffer, and the present value that goes with it."""

    def __init__(self) -> None:
        self.samples: list[tuple[int, float]] = []
        self.type = pynvml.NVML_VALUE_TYPE_UNSIGNED_INT
        self.code = 0
        self.calls: list[tuple[int, int]] = []
        self.fits: Callable[[int], bool] = lambda places: True

    def function(self, symbol: str) -> Any:
        assert symbol == "nvmlDeviceGetSamples"
        return self._get

    def _get(self, device: Any, kind: Any, since: Any, type: Any, count: Any, memory: Any) -> int:
        places = count._obj.value
        self.calls.append((since.value, places))
        if self.code:
            return self.code
        if not self.fits(places):
            return int(pynvml.NVML_ERROR_INSUFFICIENT_SIZE)
        found = [sample for sample in self.samples if sample[0] > since.value][:places]
        count._obj.value = len(found)
        type._obj.value = self.type
        ctypes.memset(memory, 0xFF, 16 * places)
        entries = (pynvml.c_nvmlSample_t * places).from_buffer(memory)
        for entry, (time, value) in zip(entries, found, strict=False):
            entry.timeStamp = time
            setattr(entry.sampleValue, MEMBERS[self.type], value)
        return 0 if found else int(pynvml.NVML_ERROR_NOT_FOUND)


def buffer(driver: Driver, most: int = 100) -> Buffer:
    return Buffer(driver, DEVICE, 1, most, LONGEST)


@pytest.mark.parametrize("type", MEMBERS)
def test_a_sample_stands_for_the_time_since_the_one_before(type: int) -> None:
    driver = Driver()
    driver.type = type
    driver.samples = [(100, 7), (110, 50), (130, 20)]
    one = buffer(driver)
    assert one.take() == Taken(50 * 10 + 20 * 20, 30, 50)
    driver.samples += [(135, 40), (140, 40)]
    assert one.take() == Taken(40 * 10, 10, 40)
    assert one.take() is None
    assert [since for since, _ in driver.calls] == [0, 130, 140]


def test_what_cannot_be_true_is_no_sample_and_its_time_is_not_counted() -> None:
    driver = Driver()
    driver.samples = [(100, 10), (110, 101), (120, 30)]
    one = buffer(driver)
    assert one.take() == Taken(30 * 10, 10, 30)
    driver.samples += [(130, 2**32 - 1)]
    assert one.take() is None
    driver.samples += [(140, 5)]
    assert one.take() == Taken(50, 10, 5)


def test_a_gap_that_nobody_saw_is_not_counted() -> None:
    driver = Driver()
    driver.samples = [(100, 10)]
    one = buffer(driver)
    one.take()
    start = 100 + LONGEST + 1
    driver.samples += [(start, 80), (start + 10, 90)]
    assert one.take() == Taken(900, 10, 90)


def test_samples_in_disorder() -> None:
    driver = Driver()
    driver.samples = [(120, 30), (100, 10), (110, 20)]
    one = buffer(driver)
    assert one.take() == Taken(20 * 10 + 30 * 10, 20, 30)
    driver.samples += [(150, 5), (140, 6)]
    assert one.take() == Taken(6 * 20 + 5 * 10, 30, 6)
    assert one.take() is None


def test_a_clock_that_was_set_back() -> None:
    driver = Driver()
    driver.samples = [(9000, 10), (9010, 10)]
    one = buffer(driver)
    one.take()
    driver.samples += [(500, 70), (510, 70)]
    assert one.take() is None
    # As long as there are samples from before, the newest of all is the same.
    assert one.take(whole=True) is None
    driver.samples = [(510, 70), (520, 70)]
    assert one.take(whole=True) is None
    driver.samples += [(530, 70)]
    assert one.take() == Taken(700, 10, 70)


def test_the_whole_buffer_gives_no_sample_twice() -> None:
    driver = Driver()
    driver.samples = [(100, 10), (110, 20)]
    one = buffer(driver)
    one.take()
    assert one.take(whole=True) is None
    driver.samples += [(120, 30)]
    assert one.take(whole=True) == Taken(300, 10, 30)


def test_a_buffer_that_has_more_places() -> None:
    driver = Driver()
    driver.samples = [(100 + index, 1) for index in range(300)]
    driver.fits = lambda places: places >= 300
    one = buffer(driver)
    assert one.take() == Taken(299, 299, 1)
    assert [places for _, places in driver.calls] == [128, 256, 512]
    driver.calls.clear()
    driver.samples += [(400, 1)]
    assert one.take() == Taken(1, 1, 1)
    assert len(driver.calls) == 1


def test_a_buffer_that_nothing_is_large_enough_for() -> None:
    driver = Driver()
    driver.fits = lambda places: False
    with pytest.raises(NvmlError) as caught:
        buffer(driver).take()
    assert caught.value.reason == "insufficient_size"


clocks = st.lists(
    st.lists(st.tuples(st.integers(-(10**7), 10**7), st.integers(0, 150)), max_size=20),
    max_size=10,
)


@given(clocks, st.booleans())
def test_time_is_never_negative_whatever_the_clock_does(
    readings: list[list[tuple[int, int]]], whole: bool
) -> None:
    driver = Driver()
    one = buffer(driver)
    now = 10**9
    for reading in readings:
        for step, value in reading:
            now += step
            driver.samples = [*driver.samples, (now, value)][-50:]
        taken = one.take(whole)
        if taken:
            assert 0 <= taken.area <= taken.length * taken.peak
            assert 0 <= taken.peak <= 100


# With the present value


class Present(Call):
    def __init__(self) -> None:
        super().__init__("present", lambda: 0, (), (Column(""),), lambda: [self.value])
        self.value: float | None = 0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the time, in seconds."""
    now = [10**15]
    monkeypatch.setattr(buffers, "monotonic_ns", lambda: now[0])

    def set(seconds: float) -> None:
        now[0] = 10**15 + round(seconds * 1e9)

    return set


class Following:
    """A stream that is read at each second, from a buffer with a sample each half a second."""

    def __init__(
        self, clock: Callable[[float], None], buffered: bool = True, eager: bool = True
    ) -> None:
        self.driver, self.present = Driver(), Present()
        self._clock = clock
        stream = Stream(1, lambda *_: self.present, 100, MEAN, PEAK, SECONDS, 100, eager=eager)
        one = buffer(self.driver) if buffered else None
        self.call = Followed(stream, self.present, one, LONGEST, 60)

    def sample(self, seconds: float, value: float) -> None:
        self.driver.samples.append((round(seconds * SECOND), value))

    def read(self, seconds: float) -> Sequence[float | None]:
        self._clock(seconds)
        return self.call.read()


def test_a_burst_between_two_readings(clock: Callable[[float], None]) -> None:
    following = Following(clock)
    assert following.call.columns == (MEAN, PEAK, SECONDS)
    for half in range(200, 205):
        following.sample(half / 2, 0)
    assert following.read(102) == [0, 0, 0]
    following.sample(102.5, 100)
    following.sample(103, 0)
    assert following.read(103) == [pytest.approx(0.5 / 3), 1, 0.5]
    # Nothing new is no news.
    assert following.read(103.2) == [pytest.approx(0.5 / 3), 1, 0.5]


def test_a_buffer_that_holds_long_is_asked_rarely(clock: Callable[[float], None]) -> None:
    following = Following(clock, eager=False)
    following.sample(100, 0)
    following.read(100)
    told = []
    for second in range(101, 107):
        following.sample(second, 50)
        told.append(following.read(second)[2])
    assert told == [0, 1, 1, 2, 2, 3]
    assert len(following.driver.calls) == 4


def test_the_past_before_the_first_reading_is_not_counted(clock: Callable[[float], None]) -> None:
    following = Following(clock)
    for half in range(200, 205):
        following.sample(half / 2, 60)
    assert following.read(102) == [0.6, 0.6, 0]
    following.sample(102.5, 60)
    assert following.read(102.5) == [0.6, 0.6, 0.3]


def test_the_window_moves_on(clock: Callable[[float], None]) -> None:
    following = Following(clock)
    following.sample(100, 90)
    assert following.read(100) == [None, 0.9, 0]
    for second in range(101, 160):
        following.sample(second, 20)
        assert following.read(second)[1] == 0.9
    following.sample(160, 20)
    assert following.read(160)[:2] == [0.2, 0.2]


def test_the_present_stands_in_for_a_buffer_that_is_dry(clock: Callable[[float], None]) -> None:
    following = Following(clock)
    following.sample(100, 40)
    following.read(100)
    following.present.value = 10
    assert following.read(103) == [None, 0.4, 0]
    assert following.read(104) == [0.1, 0.4, 0.4]
    # What comes late was counted already, or else is counted now.
    for second in (101, 102, 103, 104, 105):
        following.sample(second, 50)
    assert following.read(105)[2] == 0.4
    following.sample(106, 50)
    assert following.read(106)[2] == 0.9


def test_without_a_buffer_only_the_recent_past_is_told(clock: Callable[[float], None]) -> None:
    following = Following(clock, buffered=False)
    assert following.call.columns == (MEAN, PEAK)
    assert following.call.symbol == "present"
    following.present.value = 50
    assert following.read(100) == [None, 0.5]
    following.present.value = 10
    assert following.read(101) == [0.1, 0.5]
    following.present.value = 101
    assert following.read(102) == [0.1, 0.5]
    following.present.value = 20
    assert following.read(103) == [pytest.approx(0.5 / 3), 0.5]
    # Nobody saw so long a time.
    assert following.read(109) == [pytest.approx(0.5 / 3), 0.5]


@given(st.lists(st.tuples(st.floats(0.5, 20), st.integers(-(10**7), 10**7)), max_size=30))
def test_a_counter_never_falls_and_is_never_ahead_of_the_time(
    steps: list[tuple[float, int]],
) -> None:
    """Whatever jumps the clock makes that dates the samples."""
    with pytest.MonkeyPatch.context() as patch:
        now = [10**15]
        patch.setattr(buffers, "monotonic_ns", lambda: now[0])
        following = Following(lambda seconds: None)
        following.present.value = 100
        offset, begin, last = 10**10, now[0], 0.0
        following.driver.samples = [(offset, 100)]
        for (seconds, jump), number in zip(steps, itertools.count(1), strict=False):
            offset += jump
            for part in range(1, 11):
                moment = now[0] + round(seconds * part * 1e8) - begin
                following.driver.samples.append((offset + moment // 1000, 100))
            following.driver.samples = following.driver.samples[-50:]
            now[0] += round(seconds * 1e9)
            counted = following.call.read()[2]
            assert counted is not None
            assert last <= counted <= (now[0] - begin) / 1e9 + number
            last = counted
