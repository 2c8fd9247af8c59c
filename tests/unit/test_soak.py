"""What the soak takes for growth."""

from collections.abc import Callable

import pytest
from tests.bench.measure import Memory
from tests.bench.soak import Result, Sample, Schedule, render

SCHEDULE = Schedule.of(30)


def result(parent: Callable[[float], float], child: Callable[[float], float | None]) -> Result:
    """A soak in which both have so many MiB after so many minutes."""
    samples = []
    for number in range(35 * 6):
        minutes = number / 6
        sizes = {"parent": parent(minutes), "child": child(minutes)}
        memory = {
            role: Memory(role, size, size, size) for role, size in sizes.items() if size is not None
        }
        files = dict.fromkeys(memory, 10)
        samples.append(Sample(60 * minutes, memory, files, 1000, 100_000, 5 * number))
    return Result(SCHEDULE, samples, [1.0, 2.0], 6)


def test_memory_that_stays_as_it_is() -> None:
    # But for the warm-up, and that of the last child, which comes in minute 11.
    flat = result(lambda now: min(50, 40 + 2 * now), lambda now: 20 + min(5, abs(now - 11)))
    assert flat.total("rss") == pytest.approx(0, abs=0.01)
    report = render(flat, "soak")
    assert "| yes |" in report
    assert "| **both, RSS, MiB** |  |  | +0.00 |" in report


def test_memory_that_grows() -> None:
    grows = result(lambda now: 50 + now / 10, lambda now: 20 if now > 12 else None)
    # From the middle of minutes 5 to 10 to that of minutes 30 to 35.
    assert grows.total("rss") == pytest.approx(2.5, abs=0.05)
    assert grows.growth("parent", "rss").slope == pytest.approx(6)
    assert grows.growth("child", "rss").slope == pytest.approx(0)
    assert "**no**" in render(grows, "soak")


def test_a_short_soak_has_short_times() -> None:
    short = Schedule.of(3)
    assert (short.warm_up, short.window, short.end) == (30, 30, 210)
    assert short.restarts == (36, 42, 48, 54, 60, 66)
