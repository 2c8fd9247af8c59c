"""What is used of a GPU is split among those who are on it, and nothing is lost."""

from collections.abc import Iterable, Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuglass.catalogue import processes as metrics
from gpuglass.catalogue.model import Metric
from gpuglass.owners import Owner, Process
from gpuglass.pipeline import usage as module
from gpuglass.pipeline.usage import Usage
from gpuglass.probe.frames import Process as Listed

ALICE = Owner("alice")
BOB = Owner("bob", job_id="7")
NOBODY = "unattributed"


class People:
    """A resolver that is told who is who."""

    def __init__(self) -> None:
        self.people: dict[int, Process | None] = {}
        self.asked: dict[int, tuple[str, ...]] = {}

    def is_at(self, pid: int, owner: Owner, name: str = "python") -> None:
        self.people[pid] = Process(pid, 1000.0 + pid, name, "", owner)

    def look_up(self, gpus: Mapping[int, Iterable[str]]) -> None:
        self.asked |= {pid: tuple(names) for pid, names in gpus.items()}

    def known(self, pids: Iterable[int]) -> Mapping[int, Process | None]:
        return {pid: self.people[pid] for pid in pids if pid in self.people}


Row = tuple[int, float | None, float | None]


def row(pid: int, memory: float | None = 100, sm: float | None = None) -> Row:
    return pid, memory, sm


class Gpu(Usage):
    """Takes rows of pid, memory and SM time."""

    def see(
        self, rows: Sequence[Row] | None, time: float, busy: float | None, energy: float | None
    ) -> None:
        listed = None if rows is None else [Listed(pid, "compute") for pid, _, _ in rows]
        if listed != self._listed:
            self.enter(listed)
        values: list[float | None] = []
        for _, memory, sm in rows or ():
            others = None if sm is None else 0.0
            values += [memory, sm, others, others, others]
        self.take(values, time, busy, energy)


@pytest.fixture
def people() -> People:
    people = People()
    people.is_at(1, ALICE)
    people.is_at(2, BOB)
    return people


def usage(people: People, most: int = 32) -> Gpu:
    used = Gpu("GPU-0", people, most)
    used.announce(0)
    return used


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show what owners use from their first second on."""
    monkeypatch.setattr(module, "_FIRST_SECONDS", 0.0)


def values(usage: Usage, metric: Metric) -> dict[tuple[str, ...], float]:
    block = usage.block()
    found = {}
    for series, value in zip(block.series, block.values, strict=True):
        if series.metric is metric and value is not None:
            assert series.labels[2:] not in found
            found[series.labels[2:]] = value
    return found


def by_user(usage: Usage, metric: Metric) -> dict[str, float]:
    return {labels[0]: value for labels, value in values(usage, metric).items()}


def test_use_is_split_by_sm_time(people: People) -> None:
    used = usage(people)
    rows = [row(1, sm=0.6), row(2, memory=300, sm=0.2)]
    used.see(rows, 10.0, 5.0, 1000.0)
    used.see(rows, 12.0, 6.6, 1400.0)
    assert by_user(used, metrics.OWNER_BUSY) == pytest.approx(
        {"alice": 1.2, "bob": 0.4, NOBODY: 0.0}
    )
    assert by_user(used, metrics.OWNER_ENERGY) == pytest.approx(
        {"alice": 300, "bob": 100, NOBODY: 0.0}
    )
    # Who holds the GPU is a question of memory.
    assert by_user(used, metrics.OWNER_ALLOCATED) == pytest.approx(
        {"alice": 0.5, "bob": 1.5, NOBODY: 0.0}
    )
    assert values(used, metrics.ALLOCATED) == {(): 2.0}


@pytest.mark.parametrize("sm", [None, 0.0])
def test_without_sm_time_it_is_split_by_memory(people: People, sm: float | None) -> None:
    used = usage(people)
    rows = [row(1, memory=100, sm=sm), row(2, memory=300, sm=sm)]
    used.see(rows, 10.0, 5.0, 1000.0)
    used.see(rows, 11.0, 6.0, 1100.0)
    assert by_user(used, metrics.OWNER_BUSY) == pytest.approx(
        {"alice": 0.25, "bob": 0.75, NOBODY: 0.0}
    )


def test_without_memory_all_are_equal(people: People) -> None:
    used = usage(people)
    rows = [row(1, memory=None), row(2, memory=None)]
    used.see(rows, 10.0, 5.0, None)
    used.see(rows, 11.0, 6.0, None)
    assert by_user(used, metrics.OWNER_BUSY) == {"alice": 0.5, "bob": 0.5, NOBODY: 0.0}
    assert by_user(used, metrics.OWNER_MEMORY) == {}
    assert by_user(used, metrics.OWNER_ENERGY) == {}


def test_what_the_card_does_not_count_nobody_has(people: People) -> None:
    """As busy time in MIG mode: 0 would say that they do nothing."""
    used = usage(people)
    used.see([row(1)], 10.0, None, 1000.0)
    used.see([row(1)], 12.0, None, 1400.0)
    assert by_user(used, metrics.OWNER_BUSY) == {}
    assert by_user(used, metrics.OWNER_ENERGY) == {"alice": 400.0, NOBODY: 0.0}
    assert by_user(used, metrics.OWNER_ALLOCATED) == {"alice": 2.0, NOBODY: 0.0}


def test_a_new_owner_shows_0_until_every_scraper_has_seen_it(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FIRST_SECONDS", 15.0)
    used = usage(people)
    used.see([], 100.0, 0.0, 0.0)
    used.see([row(1)], 101.0, 1.0, 100.0)
    used.see([], 102.0, 2.0, 200.0)
    assert by_user(used, metrics.OWNER_ENERGY) == {"alice": 0, NOBODY: 100}
    used.see([], 116.0, 2.0, 200.0)
    assert by_user(used, metrics.OWNER_ENERGY) == {"alice": 100, NOBODY: 100}


def test_what_is_used_while_nobody_looks_is_nobodys(people: People) -> None:
    used = usage(people)
    rows = [row(1)]
    used.see(rows, 10.0, 5.0, 1000.0)
    used.look_away()
    used.see(rows, 40.0, 25.0, 9000.0)
    used.see(rows, 41.0, 26.0, 9500.0)
    assert by_user(used, metrics.OWNER_BUSY) == {"alice": 1, NOBODY: 20}
    assert by_user(used, metrics.OWNER_ENERGY) == {"alice": 500, NOBODY: 8000}
    assert by_user(used, metrics.OWNER_ALLOCATED) == {"alice": 1, NOBODY: 0}
    assert values(used, metrics.ALLOCATED) == {(): 1}


def test_an_empty_gpu_is_nobodys(people: People) -> None:
    used = usage(people)
    used.see([], 10.0, 5.0, 1000.0)
    used.see([], 11.0, 5.0, 1100.0)
    assert by_user(used, metrics.OWNER_ENERGY) == {NOBODY: 100}
    assert by_user(used, metrics.OWNER_ALLOCATED) == {NOBODY: 0}
    assert values(used, metrics.ALLOCATED) == {(): 0}
    assert values(used, metrics.PROCESSES) == {(): 0}


def test_what_is_used_before_its_owner_is_known_waits_for_the_owner(people: People) -> None:
    used = usage(people)
    rows = [row(1), row(9)]
    used.see(rows, 10.0, 0.0, 0.0)
    used.see(rows, 11.0, 1.0, 0.0)
    assert by_user(used, metrics.OWNER_BUSY) == {"alice": 0.5, NOBODY: 0}
    people.is_at(9, BOB)
    used.see(rows, 12.0, 2.0, 0.0)
    assert by_user(used, metrics.OWNER_BUSY) == {"alice": 1.0, "bob": 1.0, NOBODY: 0}


@pytest.mark.parametrize("hidden", [True, False])
def test_what_no_owner_can_be_found_for_is_nobodys(people: People, hidden: bool) -> None:
    used = usage(people)
    used.see([row(9)], 10.0, 0.0, 0.0)
    if hidden:
        people.people[9] = None
    used.see([row(9)], 11.0, 1.0, 0.0)
    used.see([], 12.0, 1.0, 0.0)
    assert by_user(used, metrics.OWNER_BUSY) == {NOBODY: 1}
    assert by_user(used, metrics.OWNER_ALLOCATED) == {NOBODY: 1}


def test_a_pid_that_is_used_again_is_another_process(people: People) -> None:
    used = usage(people)
    used.see([row(1)], 10.0, 0.0, 0.0)
    used.see([row(1)], 11.0, 1.0, 0.0)
    people.is_at(1, BOB, "cat")
    used.see([row(1)], 12.0, 2.0, 0.0)
    assert by_user(used, metrics.OWNER_BUSY) == {"alice": 1, "bob": 1, NOBODY: 0}
    assert values(used, metrics.PROCESS_MEMORY) == {("1", "cat", "bob", "", ""): 100}


def test_a_process_that_is_gone_leaves_the_page_and_its_owner_stays_for_a_while(
    people: People,
) -> None:
    used = usage(people)
    used.see([row(1), row(2)], 10.0, 0.0, 0.0)
    used.see([row(2)], 11.0, 1.0, 0.0)
    assert {labels[0] for labels in values(used, metrics.PROCESS_MEMORY)} == {"2"}
    assert by_user(used, metrics.OWNER_PROCESSES) == {"alice": 0, "bob": 1, NOBODY: 0}
    assert "alice" not in by_user(used, metrics.OWNER_MEMORY)
    used.see([row(2)], 610.0, 1.0, 0.0)
    assert "alice" in by_user(used, metrics.OWNER_BUSY)
    used.see([row(2)], 610.1, 1.0, 0.0)
    assert "alice" not in by_user(used, metrics.OWNER_BUSY)


def memories(usage: Usage) -> dict[str, float]:
    return {labels[0]: m for labels, m in values(usage, metrics.PROCESS_MEMORY).items()}


def test_who_comes_is_there_once_it_is_known_what_they_use(people: People) -> None:
    used = usage(people)
    used.see([row(1, 100)], 1, 0, 0)
    del people.people[2]
    used.enter([Listed(pid, "compute") for pid in (2, 1)])
    assert memories(used) == {"1": 100}
    assert values(used, metrics.PROCESSES) == {(): 1}
    assert not used.settled()
    assert not used.free()
    used.take([7.0, *[None] * 4, 8.0, *[None] * 4], 2, 1, 1)
    assert memories(used) == {"1": 8}  # nobody knows yet who the other one is
    assert values(used, metrics.PROCESSES) == {(): 2}


def test_what_does_not_fit_to_those_who_are_there_is_not_theirs(people: People) -> None:
    used = usage(people)
    used.see([row(2, 100), row(1, 50)], 1, 0, 0)
    used.enter([Listed(1, "compute")])
    used.take([7.0, *[None] * 4, 8.0, *[None] * 4], 2, 1, 1)
    assert 7 not in memories(used).values()


def test_a_process_is_not_shown_before_it_is_known(people: People) -> None:
    used = usage(people)
    used.see([row(1), row(9)], 10.0, 0.0, 0.0)
    assert values(used, metrics.PROCESSES) == {(): 2}
    assert values(used, metrics.PROCESS_MEMORY) == {("1", "python", "alice", "", ""): 100}
    assert not used.settled()
    people.is_at(9, BOB)
    assert used.settled()
    assert len(values(used, metrics.PROCESS_MEMORY)) == 2


def test_one_that_is_never_found_is_not_waited_for(people: People) -> None:
    used = usage(people)
    used.see([row(9)], 10.0, 0.0, 0.0)
    assert any(used.settled() for _ in range(200))


def test_the_largest_processes_have_series_and_the_rest_a_sum(people: People) -> None:
    used = usage(people, most=2)
    rows = [row(pid, memory=pid * 10, sm=0.01 * pid) for pid in range(1, 6)]
    people.people |= dict.fromkeys(range(1, 6))
    used.see(rows, 10.0, 0.0, 0.0)
    assert values(used, metrics.PROCESSES) == {(): 5}
    assert values(used, metrics.PROCESS_MEMORY) == {
        ("4", "", "", "", ""): 40,
        ("5", "", "", "", ""): 50,
        ("others", "", "", "", ""): 60,
    }
    assert values(used, metrics.PROCESS_SM)[("others", "", "", "", "")] == pytest.approx(0.06)


def test_the_series_stay_the_same_object_while_nobody_comes_or_goes(people: People) -> None:
    used = usage(people)
    used.see([row(1), row(2)], 10.0, 0.0, 0.0)
    series = used.block().series
    used.see([row(1, memory=5), row(2)], 11.0, 1.0, 0.0)
    assert used.block().series is series
    used.see([row(2)], 12.0, 1.0, 0.0)
    assert used.block().series is not series


def test_owners_are_bounded(people: People) -> None:
    used = usage(people)
    for pid in range(1, 501):
        people.is_at(pid, Owner(f"user{pid}"))
        used.see([row(pid)], 10.0 + pid, float(pid), 0.0)
    assert len(values(used, metrics.OWNER_BUSY)) == 64
    rows = [row(pid) for pid in range(1, 201)]
    used.see(rows, 600.0, 500.0, 0.0)
    used.see(rows, 601.0, 700.0, 0.0)
    busy = by_user(used, metrics.OWNER_BUSY)
    assert len(busy) == 65
    assert busy["others"] > 100


def test_owners_are_asked_for_by_both_names_of_the_gpu(people: People) -> None:
    used = usage(people)
    used.see([row(1)], 10.0, 0.0, 0.0)
    assert people.asked == {1: ("0", "GPU-0")}


def on(pid: int, number: int) -> Listed:
    return Listed(pid, "compute", str(number), "0", f"MIG-{number}")


def test_who_is_on_an_instance_is_asked_for_by_its_names_too(people: People) -> None:
    used = usage(people)
    used.enter([on(1, 2), on(2, 3)])
    used.take([100.0, *[None] * 4] * 2, 10.0, None, 0.0)
    assert people.asked == {
        1: ("0", "GPU-0", "0.2", "MIG-2"),
        2: ("0", "GPU-0", "0.3", "MIG-3"),
    }
    used.announce(5)
    used.take([100.0, *[None] * 4] * 2, 11.0, None, 0.0)
    assert people.asked[1] == ("5", "GPU-0", "5.2", "MIG-2")


def test_a_process_on_two_instances_is_one_process_with_two_memories(people: People) -> None:
    used = usage(people)
    used.enter([on(1, 2), on(1, 3), on(2, 3)])
    memories: list[float | None] = [300.0, 100.0, 400.0]
    for time in (10.0, 11.0):
        rows = [value for memory in memories for value in (memory, None, None, None, None)]
        used.take(rows, time, None, 800 * (time - 10))
    assert values(used, metrics.PROCESS_MEMORY) == {
        ("1", "python", "alice", "2", "0"): 300,
        ("1", "python", "alice", "3", "0"): 100,
        ("2", "python", "bob", "3", "0"): 400,
    }
    assert values(used, metrics.PROCESSES) == {(): 2}
    assert by_user(used, metrics.OWNER_PROCESSES) == {"alice": 1, "bob": 1, NOBODY: 0}
    assert by_user(used, metrics.OWNER_MEMORY) == {"alice": 400, "bob": 400}
    assert by_user(used, metrics.OWNER_ENERGY) == {"alice": 400, "bob": 400, NOBODY: 0}
    assert used.settled()


def test_instances_share_the_series_that_a_gpu_has(people: People) -> None:
    used = usage(people, most=2)
    people.people |= dict.fromkeys(range(1, 5))
    used.enter([on(pid, pid % 2) for pid in range(1, 5)])
    used.take([value for pid in range(1, 5) for value in (pid, *[None] * 4)], 10.0, None, 0.0)
    assert values(used, metrics.PROCESS_MEMORY) == {
        ("3", "", "", "1", "0"): 3,
        ("4", "", "", "0", "0"): 4,
        ("others", "", "", "", ""): 3,
    }


def test_another_index_is_on_the_page_at_once(people: People) -> None:
    used = usage(people)
    used.see([row(1)], 10.0, 0.0, 0.0)
    used.announce(3)
    used.see([row(1)], 11.0, 1.0, 0.0)
    assert {series.labels[0] for series in used.block().series} == {"3"}
    assert by_user(used, metrics.OWNER_BUSY) == {"alice": 1, NOBODY: 0}


def test_nothing_is_shown_while_the_driver_does_not_tell(people: People) -> None:
    used = usage(people)
    used.see([row(1)], 10.0, 0.0, 0.0)
    used.see(None, 11.0, 1.0, 0.0)
    assert used.block().series == ()
    used.see([row(1)], 12.0, 2.0, 0.0)
    assert by_user(used, metrics.OWNER_BUSY) == {"alice": 2, NOBODY: 0}


steps = st.lists(
    st.tuples(
        st.dictionaries(
            st.integers(1, 6),
            st.tuples(st.none() | st.integers(0, 2**40), st.none() | st.floats(0, 1)),
            max_size=5,
        ),
        st.floats(0, 2),
        st.floats(0, 1000),
        st.floats(0.1, 100),
    ),
    max_size=20,
)


@given(steps)
def test_the_parts_add_up_to_the_whole(
    steps: list[tuple[dict[int, tuple[int | None, float | None]], float, float, float]],
) -> None:
    people = People()
    for pid, owner in ((1, ALICE), (2, BOB), (3, BOB), (4, ALICE)):
        people.is_at(pid, owner)
    people.people[5] = None
    used = usage(people)
    used.see([], 0.0, 0.0, 0.0)
    time = busy = energy = 0.0
    for processes, more_busy, more_energy, passed in steps:
        time, busy, energy = time + passed, busy + more_busy, energy + more_energy
        rows = [row(pid, memory, sm) for pid, (memory, sm) in processes.items()]
        used.see(rows, time, busy, energy)
    used.see([], time, busy, energy)
    assert sum(by_user(used, metrics.OWNER_BUSY).values()) == pytest.approx(busy)
    assert sum(by_user(used, metrics.OWNER_ENERGY).values()) == pytest.approx(energy)
    assert sum(by_user(used, metrics.OWNER_ALLOCATED).values()) == pytest.approx(
        values(used, metrics.ALLOCATED)[()]
    )
