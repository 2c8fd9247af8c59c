import threading

import pytest

from gpuglass.owners.errands import Errands


def fail() -> None:
    raise KeyError("no")


def test_what_is_returned_and_raised_comes_through() -> None:
    errands = Errands(most=1)
    assert errands.run(1, lambda: 42, 30) == 42
    with pytest.raises(KeyError):
        errands.run(1, fail, 30)


def test_what_hangs_is_left_behind_and_not_tried_again() -> None:
    errands = Errands(most=2)
    end = threading.Event()
    with pytest.raises(TimeoutError, match=r"0\.01 s"):
        errands.run("a", lambda: end.wait(30), 0.01)
    with pytest.raises(TimeoutError, match="earlier"):
        errands.run("a", lambda: True, 30)
    assert errands.run("b", lambda: True, 30)
    with pytest.raises(TimeoutError):
        errands.run("b", lambda: end.wait(30), 0.01)
    with pytest.raises(TimeoutError, match="earlier"):
        errands.run("c", lambda: True, 30)
    end.set()
    for thread in threading.enumerate():
        if thread.name == "gpuglass-errand":
            thread.join(30)
    assert errands.run("a", lambda: True, 30)
