"""Whose use it was: answers of PromQL without a join."""

import math
import re
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from grafana.builder.metricsql import named
from tests.integration.conftest import Fleet
from tests.integration.stack import GPU_HOUR_PRICE, KWH_CARBON, KWH_PRICE, PUE, Stack, get, wait_for
from tests.rules.conftest import RECORDS as RECORD_FILES
from tests.rules.conftest import rules as rules_of
from tests.rules.replay import replay
from tests.unit.owners.machine import Machine

from gpuglass.catalogue.records import RECORDS

# Of GPU 1 half is a process that cannot be found; GPU 2 is busy at low power, GPU 3 held in vain,
# GPU 4 in parts.
SCENARIO = """\
start {start}
gpus 5 preset=h200
load gpu=0 constant 0.8
process pid=101 gpu=0 type=compute memory=30GiB sm=60
load gpu=1 constant 0.5
process pid=101 gpu=1 type=compute memory=10GiB sm=10
process pid=4194400 gpu=1 type=compute memory=30GiB sm=40
load gpu=2 constant 1
at 0s throttle reason=hw_thermal gpu=2
at 0s set power 110000 gpu=2
process pid=101 gpu=2 type=compute memory=30GiB sm=99
process pid=104 gpu=3 type=compute memory=30GiB sm=0
at 5s every 5s xid code=119 gpu=3
load gpu=4 constant 0.6
mig gpu=4 profile=3g.71gb count=2
process pid=101 gpu=4 mig=0 type=compute memory=30GiB
process pid=102 gpu=4 mig=1 type=compute memory=10GiB
"""
# Twenty seconds later a second job shares GPU 0; a third is there for a second only.
MORE = """\
process pid=102 gpu=0 type=compute memory=10GiB sm=20 from={second}s
process pid=103 gpu=0 type=compute memory=10GiB sm=20 from={third:.1f}s until={left:.1f}s
"""
# Everyone who is there at first, by what is on the page.
OWNERS = (
    *(f'gpu="{gpu}".*job_id="7"' for gpu in (0, 1, 2, 4)),
    *('gpu="4".*job_id="8"', 'gpu="1".*user="unattributed"', 'container="c0ffeec0ffee"'),
)
JOB = "0::/system.slice/slurmstepd.scope/job_{job}/step_0/user/task_0"
CONTAINER = "0::/system.slice/docker-" + "c0ffee" * 10 + "c0ff.scope"
END = 50.0
# Who was there at first has shown 0 for long enough by then, and who comes later has not come.
STEADY = 19.0
PACE = 10.0


class Story(NamedTuple):
    """The node as it was from ``start`` on, when all were there, in a cluster of its own."""

    stack: Stack
    start: float

    @property
    def steady(self) -> tuple[float, float]:
        """Between these nothing is new to those who look; a whole number of evaluations."""
        return self.start + STEADY, self.start + STEADY + 3 * PACE


@pytest.fixture(scope="module")
def story(fleet: Fleet, simulator: Path, tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("machine")
    machine = Machine(folder)
    for pid, job in ((101, 7), (102, 8), (103, 9)):
        machine.add(pid, JOB.format(job=job))
    machine.add(104, CONTAINER)
    played = int(time.time())
    scenario = SCENARIO.format(start=played)
    address = fleet.stack.exporter(
        "shared",
        scenario,
        simulator,
        *("--probe.interval", "100ms", "--path.kmsg", "/nonexistent"),
        *("--path.procfs", str(machine.procfs), "--path.rootfs", str(machine.rootfs)),
    )
    targets = fleet.stack.targets / "shared.yml"
    targets.write_text(f"- targets: ['{address}']\n  labels: {{node: shared, cluster: story}}\n")
    page = f"http://{address}/metrics"
    there = [re.compile(rf"gpu_owner_processes{{.*{owner}.*}} [1-9]") for owner in OWNERS]
    wait_for("all owners", lambda: all(owner.search(get(page)) for owner in there))
    # Whole seconds: at these the driver looks who is active.
    start = math.ceil(time.time())
    second = start - played + 20
    more = MORE.format(second=second, third=second + 4.6, left=second + 5.6)
    fleet.stack.change("shared", scenario + more)
    at_end = f'timestamp(up{{instance="{address}"}}) > {start + END:.0f}'
    wait_for("the end of the story", lambda: fleet.stack.values(at_end), 90)
    targets.unlink()
    fleet.stack.flush()
    return Story(fleet.stack, start)


def test_use_adds_up_by_job(story: Story) -> None:
    def increase(by: str, metric: str) -> dict[str, float]:
        whole = f'increase({metric}{{node="shared",gpu="0"}}[1h])'
        found = story.stack.query(f"sum by ({by}) ({whole})")
        return {labels.get(by, ""): value for labels, value in found}

    for used, whole in (
        ("gpu_owner_busy_seconds_total", "gpu_busy_seconds_total"),
        ("gpu_owner_allocated_seconds_total", "gpu_allocated_seconds_total"),
    ):
        parts = increase("job_id", used)
        assert {"7", "8", "9"} <= parts.keys()
        # The first scrape saw the GPU's counter at a little more than 0 already.
        assert sum(parts.values()) == pytest.approx(increase("gpu", whole)["0"], abs=0.3)
    energy = increase("job_id", "gpu_owner_energy_joules_total")
    # The driver samples who is active at whole seconds: the last 0.6 s of job 9 were seen.
    # A machine that is busy reads it later, and books up to a second more.
    # 0.8 of the range of an H200 of 700 W that idles at 75 W.
    watts = 75 + 0.8 * 625
    assert 0.3 * watts * 0.2 < energy["9"] < 1.8 * watts * 0.2
    assert energy["8"] == pytest.approx(energy["7"] * 20 / 60 * 0.53, rel=0.25)
    users = increase("user", "gpu_owner_energy_joules_total")
    assert users["alice"] == pytest.approx(energy["7"] + energy["8"] + energy["9"])


@pytest.fixture(scope="module")
def recorded(story: Story, components: Path, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The story with what an alert and the recording rules make of it."""
    rules = [rule for rule in rules_of() if rule["alert"] == "GPUXidResetGPU"]
    waiting = rules_of(RECORD_FILES)
    # A record that looks at another comes after it, as in the minute after.
    while rules:
        _replay(story, components, rules, tmp_path_factory.mktemp("rules"))
        unmade = {rule["record"] for rule in waiting}
        rules = [rule for rule in waiting if not named(rule["expr"]).metrics & unmade]
        waiting = [rule for rule in waiting if rule not in rules]
    assert not waiting
    return story


def _replay(story: Story, components: Path, rules: list[dict[str, Any]], folder: Path) -> None:
    # Six times as often as they are, and all that they look back at is as short.
    short = [
        {**rule, "expr": re.sub(r"(\[|offset )\d+m", rf"\g<1>{PACE:g}s", rule["expr"])}
        for rule in rules
    ]
    replay(components / "vmalert", story.stack.url, short, PACE, story.steady, folder)
    story.stack.flush()


def added_up(story: Story, record: str) -> float:
    """The sum of a record's increases over the steady time, and over all its series."""
    first, last = story.steady
    whole = f'sum_over_time({record}:increase{{cluster="story"}}[{last - first:g}s])'
    return math.fsum(value for _, value in story.stack.query(whole, last))


def grown(story: Story, counter: str) -> float:
    """By how much a counter of all GPUs grew over the steady time, out of its samples."""
    growth = 0.0
    for samples in story.stack.export(f'{counter}{{node="shared"}}').values():
        first, last = (
            [value for time, value in samples if time <= moment][-1] for moment in story.steady
        )
        growth += last - first
    return growth


PARTS = ("node", "user", "container", "job")


@pytest.mark.parametrize(
    ("measure", "counter", "factor"),
    [
        ("busy_seconds", "gpu_busy_seconds_total", 1),
        ("allocated_seconds", "gpu_allocated_seconds_total", 1),
        ("energy_joules", "gpu_energy_joules_total", 1),
        ("energy_cost", "gpu_energy_joules_total", KWH_PRICE * PUE / 3.6e6),
        ("carbon_grams", "gpu_energy_joules_total", KWH_CARBON * PUE / 3.6e6),
        ("gpu_hour_cost", "gpu_allocated_seconds_total", GPU_HOUR_PRICE / 3600),
    ],
)
def test_parts_add_up_to_what_the_gpus_did(
    recorded: Story, measure: str, counter: str, factor: float
) -> None:
    whole = grown(recorded, counter) * factor
    assert whole > 0
    assert added_up(recorded, f"cluster:{measure}") == pytest.approx(whole, rel=1e-9)
    for level in PARTS:
        # The page rounds what owners used to a thousandth of a second or joule.
        assert added_up(recorded, f"{level}:{measure}") == pytest.approx(whole, rel=1e-4), level


@pytest.mark.parametrize("measure", ["idle_seconds", "wasted_seconds"])
def test_waste_adds_up(recorded: Story, measure: str) -> None:
    whole = added_up(recorded, f"gpu:{measure}")
    assert whole > 0
    for level in ("cluster", *PARTS):
        assert added_up(recorded, f"{level}:{measure}") == pytest.approx(whole, rel=1e-4), level


def test_only_who_holds_an_idle_gpu_wastes_it(recorded: Story) -> None:
    query = f'sum_over_time(container:wasted_seconds:increase{{cluster="story"}}[{PACE:g}s])'
    ((labels, seconds),) = recorded.stack.query(query, recorded.steady[1])
    assert labels == {"cluster": "story", "container": "c0ffeec0ffee"}
    assert seconds == pytest.approx(PACE, abs=1)


def test_every_record_is_made_and_has_the_labels_that_it_may_have(recorded: Story) -> None:
    made: dict[str, set[str]] = {}
    for series in recorded.stack.export('{__name__=~".+:.+:.+",cluster="story"}'):
        labels = dict(series)
        made.setdefault(labels.pop("__name__"), set()).update(labels)
    assert made.keys() == {record.name for record in RECORDS}
    for record in RECORDS:
        assert made[record.name] <= set(record.labels), record.name
        assert set(record.more) <= made[record.name], record.name


def test_the_sick_gpu_says_why_and_the_hung_one_is_found(recorded: Story) -> None:
    def last(record: str) -> dict[tuple[str, str], float]:
        found = recorded.stack.query(f'{record}{{cluster="story"}}', recorded.steady[1])
        return {(s.get("gpu", ""), s.get("reason", s.get("job_id", ""))): v for s, v in found}

    assert last("gpu:health_penalty_ratio:max") == {("3", "GPUXidResetGPU"): 1}
    assert [v for _, v in sorted(last("gpu:health_ratio:sum").items())] == [1, 1, 1, 0, 1]
    hung = {gpu for (gpu, _), value in last("gpu:hang_suspected:min10m").items() if value}
    assert hung == {"2"}
    assert last("job:hang_suspected:min")["", "7"] == 0
