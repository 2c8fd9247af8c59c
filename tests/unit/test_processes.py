"""What the driver tells of processes, on the stand-in driver."""

import textwrap
from pathlib import Path

import pytest
from tests.unit.driver import run
from tests.unit.processes import HEAD, READ, TWO, tell


def test_memory_type_and_use(simulator: Path, scenario: Path) -> None:
    told = tell(simulator, scenario, TWO, "tell(rows=rows(), refused=reader.refused)")
    assert told == {
        "rows": [
            [11, "compute", "", "", 10 * 2**30, [0.4, 0.3, 0.2, 0.1]],
            [12, "graphics", "", "", 2**30, [0.0, 0.0, 0.0, 0.0]],
        ],
        "refused": "",
    }


@pytest.mark.parametrize("version", ["_v3", "_v2"])
def test_an_older_driver_is_asked_in_its_own_words(
    simulator: Path, scenario: Path, version: str
) -> None:
    newer = {"_v3": ("_v3",), "_v2": ("_v3", "_v2")}[version]
    kinds = ("Compute", "Graphics", "MPSCompute")
    missing = " ".join(f"nvmlDeviceGet{k}RunningProcesses{v}" for k in kinds for v in newer)
    told = tell(simulator, scenario, f"{TWO}missing {missing}\n", "tell(rows=rows())")
    assert [(*row[:2], row[4]) for row in told["rows"]] == [
        (11, "compute", 10 * 2**30),
        (12, "graphics", 2**30),
    ]


def test_without_lists_the_reason_is_known(simulator: Path, scenario: Path) -> None:
    faults = "".join(
        f"at 0s error call=nvmlDeviceGet{kind}RunningProcesses{version} code=no_permission\n"
        for kind in ("Compute", "Graphics", "MPSCompute")
        for version in ("_v3", "_v2", "")
    )
    told = tell(simulator, scenario, TWO + faults, "tell(rows=rows(), refused=reader.refused)")
    assert told == {"rows": [], "refused": "no_permission"}


def test_without_use_there_is_memory(simulator: Path, scenario: Path) -> None:
    fault = "at 0s error call=nvmlDeviceGetProcessUtilization code=not_supported\n"
    told = tell(simulator, scenario, TWO + fault, "tell(rows=rows(), why=reader.without_use)")
    assert [row[5] for row in told["rows"]] == [[None] * 4, [None] * 4]
    assert told["why"] == "not_supported"


def test_lists_that_are_empty_on_most_cards_are_not_asked_each_time(
    simulator: Path, scenario: Path
) -> None:
    code = """
    from gpuglass.probe import processes
    def asked():
        names = []
        reader.read(names.append)
        return names
    def pids():
        return [row[0] for row in rows()]
    first, second = asked(), asked()
    play(text + "process pid=12 gpu=0 type=graphics\\n")
    before = pids()
    reader._all_at -= processes._EMPTY_SECONDS
    found, then = pids(), asked()
    play(text + "process pid=11 gpu=0 type=compute\\n")
    tell(first=first, second=second, before=before, found=found, then=then, at_once=pids())
    """
    told = tell(simulator, scenario, "", f"text = {HEAD!r}\n" + textwrap.dedent(code))
    compute, graphics, mps = (
        f"nvmlDeviceGet{kind}RunningProcesses_v3" for kind in ("Compute", "Graphics", "MPSCompute")
    )
    assert told["first"] == [compute, graphics, mps]
    assert told["second"] == [compute]
    assert told["before"] == []
    assert told["found"] == [12]
    assert told["then"] == [compute, graphics, "nvmlDeviceGetProcessUtilization"]
    assert told["at_once"] == [11]


def test_the_last_sample_stands_until_the_next(simulator: Path, scenario: Path) -> None:
    code = """
    from gpuglass.probe import processes
    first = rows()
    second = rows()
    processes._SAMPLE_SECONDS = 0
    time.sleep(0.01)
    tell(first=first, second=second, third=rows())
    """
    told = tell(simulator, scenario, TWO, code)
    assert told["first"] == told["second"]
    assert told["first"][0][5][0] == 0.4
    assert told["third"][0][5][0] == 0.0


def test_who_uses_nothing_any_more_is_not_shown_with_what_was(
    simulator: Path, scenario: Path
) -> None:
    code = """
    from gpuglass.probe import processes
    processes._SAMPLE_SECONDS = 0.1
    reader = Processes(library, library.device(0))
    use = [rows()[0][5][0]]
    for _ in range(5):
        time.sleep(0.2)
        use.append(rows()[0][5][0])
    tell(use=use)
    """
    assert tell(simulator, scenario, TWO, code)["use"][2:] == [0.0] * 4


def test_use_is_told_on_when_the_drivers_clock_is_set_back(simulator: Path, scenario: Path) -> None:
    """Its samples are older then than the last one that was seen."""
    code = """
    from gpuglass.probe import processes
    processes._SAMPLE_SECONDS = 0.5
    text = scenario.read_text()
    def use():
        return [row[5][0] for row in rows()]
    def wait(expected):
        deadline = time.monotonic() + 20
        seen = []
        while not seen or seen[-1] != expected:
            assert time.monotonic() < deadline, seen
            seen.append(use())
            time.sleep(0.1)
        return seen
    wait([0.4])
    play(text + "at 0s set time-back 3600\\n")
    wait([0.0])
    after = wait([0.4])
    # Once they are followed again, there is no gap.
    processes._SAMPLE_SECONDS = 2.5
    tell(after=[use() for _ in range(20) if time.sleep(0.1) is None])
    """
    busy = "gpus 1 preset=h200\nload gpu=0 constant 0.5\n"
    text = busy + "process pid=11 gpu=0 type=compute memory=10GiB sm=40\n"
    told = run(simulator, scenario, text, READ + textwrap.dedent(code))
    assert told["after"] == [[0.4]] * 20


def test_thousands_of_processes(simulator: Path, scenario: Path) -> None:
    many = "".join(
        f"process pid={5_000_000 + n} gpu=0 type=compute memory=1MiB\n" for n in range(700)
    )
    told = tell(simulator, scenario, many, "tell(pids=[row[0] for row in rows()])")
    assert told["pids"] == [5_000_000 + n for n in range(700)]


def test_a_call_that_fails_for_now_tells_nothing(simulator: Path, scenario: Path) -> None:
    fault = "at 0s error call=nvmlDeviceGetComputeRunningProcesses_v3 code=timeout\n"
    code = f"""
    before = rows()
    play({HEAD + TWO + fault!r})
    tell(before=len(before), failed=rows(), listed=reader.listed)
    """
    assert tell(simulator, scenario, TWO, code) == {
        "before": 2,
        "failed": [],
        "listed": None,
    }


def test_the_list_stays_the_same_object_until_somebody_comes(
    simulator: Path, scenario: Path
) -> None:
    code = f"""
    before = rows() and reader.listed
    same = rows() and reader.listed is before
    play({HEAD + TWO + "process pid=13 gpu=0"!r})
    other = rows() and reader.listed is not before
    tell(same=same, other=other, pids=[process.pid for process in reader.listed])
    """
    told = tell(simulator, scenario, TWO, code)
    assert told == {"same": True, "other": True, "pids": [11, 12, 13]}
