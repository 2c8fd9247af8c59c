"""What the report on dashboards makes of its times."""

from tests.bench.dashboards import fill
from tests.bench.dashboards.part import LAST_HOUR, LAST_MONTH, QUICK, Result, Timed, render


def timed(milliseconds: float, number: int) -> Timed:
    times = [2 * milliseconds, milliseconds, 0.0]
    return Timed("board: panel", str(number), times, 1000, number == 0)


def test_the_report_tells_medians_and_whether_goals_are_met() -> None:
    hour = [timed(float(number), number) for number in range(1, 101)]
    month = [timed(900.0, number) for number in range(2)]
    text = render([Result("tiered", 1000, {LAST_HOUR: hour, LAST_MONTH: month}, 0.25)], QUICK, "c")
    rows = [line for line in text.splitlines() if line.startswith("| `tiered`")]
    assert rows == [
        "| `tiered`, 1,000 GPUs, last hour | 100 | 0 | 50.5 | 95.0 | 100.0 | <= 300 | yes |",
        "| `tiered`, 1,000 GPUs, last 30 days | 2 | 1 | 900.0 | 900.0 | 900.0 | <= 800 | **no** |",
    ]
    slowest = text.partition("## The slowest")[2].splitlines()[4]
    assert slowest.split(" | ")[1:] == ["`tiered`, last 30 days", "900", "1 |"]


def test_dashboards_name_what_is_stored() -> None:
    everything, long = fill.asked(), fill.asked(tiers_alone=True)
    assert {"gpu_power_watts", "gpu_owner_processes", "node:busy_ratio:avg5m"} <= everything
    assert long < everything
    assert "gpu_power_watts" in long and "gpu_processes" not in long
