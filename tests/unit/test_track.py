"""Integrals without rounding, and a recent past that is no longer than its window."""

from hypothesis import given
from hypothesis import strategies as st

from gpuglass.probe.track import Track

WINDOW = 60
takings = st.lists(
    st.tuples(st.integers(0, 40), st.integers(0, 10**7), st.integers(0, 10**6)), max_size=60
)


def test_nothing_was_seen_yet() -> None:
    track = Track(WINDOW)
    assert (track.mean, track.peak, track.integral) == (None, None, 0)
    track.take(0, 0, 0, 7)
    assert (track.mean, track.peak) == (None, 7)


@given(takings)
def test_mean_and_peak_are_those_of_the_window(takings: list[tuple[int, int, int]]) -> None:
    track = Track(WINDOW)
    now, taken = 0, []
    for step, value, length in takings:
        now += step
        track.take(now, value * length, length, value)
        track.forget(now)
        taken.append((now, value, length))
        recent = [(value, length) for when, value, length in taken if when > now - WINDOW]
        total = sum(length for _, length in recent)
        assert track.peak == max(value for value, _ in recent)
        area = sum(value * length for value, length in recent)
        assert track.mean == (area / total if total else None)
        assert track.integral == sum(value * length for _, value, length in taken)
    track.forget(now + WINDOW)
    assert (track.mean, track.peak) == (None, None)
