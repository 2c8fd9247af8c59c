"""A counter never falls, and counts exactly what the driver counted."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from gpuglass.pipeline.counters import Counter

WRAP = 2**32
finite = st.floats(min_value=0, max_value=1e18, allow_nan=False)


@dataclass(frozen=True)
class Follow:
    value: float
    wraps: int


@dataclass(frozen=True)
class Integrate:
    rate: float | None
    time: float


steps = st.lists(
    st.one_of(
        st.builds(Follow, finite, st.sampled_from([0, WRAP])),
        st.builds(Integrate, st.none() | st.floats(0, 1e6), st.floats(0, 1e9)),
        st.just(None),
    ),
    max_size=40,
)


@given(steps)
def test_it_never_falls(steps: "list[Follow | Integrate | None]") -> None:
    counter = Counter()
    before = counter.total
    for step in steps:
        if isinstance(step, Follow):
            counter.follow(step.value, step.wraps)
        elif isinstance(step, Integrate):
            counter.integrate(step.rate, step.time, 5.0)
        else:
            counter.forget()
        assert counter.total >= before
        before = counter.total


@given(st.integers(0, 2**50), st.lists(st.integers(0, 2**40), max_size=30))
def test_it_is_the_drivers_counter(first: int, increments: list[int]) -> None:
    counter = Counter()
    value = first
    counter.follow(value)
    for increment in increments:
        value += increment
        counter.follow(value)
        assert counter.total == value


@given(st.integers(0, 2**50), st.lists(st.integers(0, WRAP - 1), max_size=30))
def test_a_wrap_loses_nothing(first: int, increments: list[int]) -> None:
    counter = Counter()
    value = first % WRAP
    total = value
    counter.follow(value, WRAP)
    for increment in increments:
        value = (value + increment) % WRAP
        total += increment
        counter.follow(value, WRAP)
        assert counter.total == total


@given(st.lists(st.lists(st.integers(0, 2**40), min_size=1, max_size=5), min_size=1, max_size=8))
def test_what_was_counted_before_a_reset_stays(lives: list[list[int]]) -> None:
    """Each life of the driver starts below the end of the one before, as a reset shows itself."""
    counter = Counter()
    done = last = 0
    for increments in lives:
        value = 0
        if last:
            counter.follow(value)
            done += last
        for increment in increments:
            value += increment
            counter.follow(value)
            assert counter.total == done + value
        last = value


def test_a_wide_counter_that_is_reset_where_a_narrow_one_was_expected() -> None:
    counter = Counter()
    counter.follow(3 * WRAP, WRAP)
    counter.follow(10, WRAP)
    assert counter.total == 3 * WRAP + 10


@given(
    st.floats(0, 1e6),
    st.lists(st.tuples(finite, st.sampled_from([0, WRAP]), st.floats(0, 1e6)), max_size=30),
)
def test_it_never_grows_by_more_than_it_can(
    first: float, steps: list[tuple[float, int, float]]
) -> None:
    counter = Counter()
    counter.follow(first)
    for value, wraps, most in steps:
        before = counter.total
        counter.follow(value, wraps, most)
        assert before <= counter.total <= before + most * (1 + 1e-6) + 1e-6 * before + 1e3


def test_forgetting_makes_the_next_value_a_new_start() -> None:
    counter = Counter()
    counter.follow(1000)
    counter.forget()
    counter.follow(20)
    assert counter.total == 1000
    counter.follow(25)
    assert counter.total == 1005


def test_samples_stand_for_the_time_since_the_last_one() -> None:
    counter = Counter()
    counter.integrate(1.0, 100.0, 5.0)
    assert counter.total == 0
    counter.integrate(0.5, 102.0, 5.0)
    assert counter.total == 1.0
    counter.integrate(None, 103.0, 5.0)
    counter.integrate(1.0, 104.0, 5.0)
    assert counter.total == 1.0
    counter.integrate(1.0, 104.5, 5.0)
    assert counter.total == 1.5


def test_time_that_nobody_saw_is_not_counted() -> None:
    counter = Counter()
    counter.integrate(1.0, 100.0, 5.0)
    counter.integrate(1.0, 105.5, 5.0)
    assert counter.total == 0
    counter.integrate(1.0, 105.0, 5.0)
    assert counter.total == 0
    counter.integrate(1.0, 106.0, 5.0)
    assert counter.total == 1


def test_from_samples_to_the_driver_and_back() -> None:
    counter = Counter()
    counter.integrate(10.0, 1.0, 5.0)
    counter.integrate(10.0, 2.0, 5.0)
    counter.follow(5000.0)
    assert counter.total == 10
    counter.follow(5001.0)
    assert counter.total == 11
    counter.integrate(10.0, 2.5, 5.0)
    assert counter.total == 16
    counter.follow(5002.0)
    assert counter.total == 16
    counter.follow(5010.0)
    assert counter.total == 20
