"""What the report of open live pages says."""

from tests.bench.live import Plan, Turn, render


def report(first: float, most: float) -> str:
    turns = [
        *(Turn(pages, True, cpu, 12 * 1024, 1.0, 55.0) for pages, cpu in ((0, 0.004), (4, first))),
        *(Turn(1, True, cpu, 12 * 1024, 1.0, 55.0) for cpu in (first - 0.001, first, first + 0.1)),
        Turn(16, True, most, 12 * 1024, 1.0, 55.5),
        Turn(1, False, first, 100 * 1024, 1.0, 55.0),
    ]
    return render(turns, Plan(3, 30.0), "bench")


def test_pages_cost_what_they_add() -> None:
    text = report(0.006, 0.0075)
    assert "| 1 | 0.60 [0.50 - 10.60] | 12.0 | 1.00 | 55.0 |" in text
    assert "| 1, plain | 0.60 [0.60 - 0.60] | 100.0 |" in text
    assert "costs 0.20%" in text and "each page more 0.01%" in text
    assert "Goal met: yes." in text


def test_a_goal_that_is_not_met_is_told() -> None:
    assert "Goal met: **no**." in report(0.0095, 0.0099)
    assert "Goal met: **no**." in report(0.005, 0.105)
