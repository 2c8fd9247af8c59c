"""The last five minutes of a GPU."""

from gpuglass.pipeline.history import History
from gpuglass.probe.frames import Column

CORE = [
    Column("gpu_utilization_ratio"),
    Column("gpu_temperature_celsius", ("memory",)),
    Column("gpu_temperature_celsius", ("core",)),
    Column("gpu_clock_hertz", ("sm",)),
]
FANS = [Column("gpu_fan_speed_ratio", ("0",)), Column("gpu_fan_speed_ratio", ("1",))]


def filled(times: list[float], **values: list[float | None]) -> History:
    history = History()
    history.arrange({"core": CORE, "fans": FANS})
    all: dict[str, list[float | None]] = {"core": [None] * 4, "fans": [None] * 2, **values}
    for at in times:
        history.take(at, lambda name, i: all[name][i])
    return history


def test_points_have_ages_and_values() -> None:
    history = filled([1000.0, 1001.0], core=[0.12345, 71.0, 50.0, 1.7551e9], fans=[0.3, 0.402])
    assert history.document(1002.0) == {
        "age": [2.0, 1.0],
        "gpu_utilization_ratio": [0.123, 0.123],
        "gpu_temperature_celsius": [50.0, 50.0],
        "gpu_clock_hertz": [1.755e9, 1.755e9],
        "gpu_fan_speed_ratio": [0.4, 0.4],
    }


def test_what_a_card_does_not_tell_is_not_there() -> None:
    assert filled([1000.0], core=[0.5, None, None, None]).document(1000.0) == {
        "age": [0.0],
        "gpu_utilization_ratio": [0.5],
    }


def test_one_point_a_second_is_enough() -> None:
    history = filled([1000 + i / 4 for i in range(20)], core=[0.5] * 4)
    assert history.document(1005.0)["age"] == [5.0, 4.0, 3.0, 2.0, 1.0]


def test_the_oldest_make_way() -> None:
    history = filled([1000.0 + i for i in range(700)], core=[0.5] * 4)
    ages = history.document(1700.0)["age"]
    assert (len(ages), ages[0], ages[-1]) == (300, 300.0, 1.0)
    assert history.document(1900.0)["age"][0] == 300.0
    assert history.document(2500.0)["age"] == []
