"""Who is left out, and for how long."""

from gpuglass.pipeline.suspects import Suspects


def test_one_that_was_accused_is_left_out_until_it_is_due() -> None:
    suspects = Suspects(60, 1800)
    suspects.accuse(3, now=1000)
    suspects.accuse(1, now=1030)
    assert suspects.skipped() == (1, 3)
    assert not suspects.due(1059)
    assert suspects.due(1060)
    suspects.release(1060)
    assert suspects.skipped() == (1,)


def test_each_try_comes_later_until_one_succeeds() -> None:
    suspects = Suspects(60, 1800)

    def wait() -> float:
        suspects.accuse(0, now=0)
        seconds = next(s for s in range(10_000) if suspects.due(s))
        suspects.release(seconds)
        return seconds

    assert [wait() for _ in range(7)] == [60, 120, 240, 480, 960, 1800, 1800]
    suspects.acquit({1, 2})
    assert wait() == 1800
    suspects.acquit({0, 1})
    assert wait() == 60


def test_one_that_is_left_out_is_not_acquitted() -> None:
    suspects = Suspects(60, 1800)
    suspects.accuse(0, now=0)
    suspects.acquit({0})
    suspects.accuse(0, now=0)
    assert not suspects.due(119)


def test_all_are_released_when_indexes_may_mean_others() -> None:
    suspects = Suspects(60, 1800)
    suspects.accuse(0, now=0)
    suspects.release_all()
    assert suspects.skipped() == ()
    suspects.accuse(0, now=0)
    assert not suspects.due(119)
