"""What the driver tells of processes on MIG instances, on the stand-in driver."""

import textwrap
from pathlib import Path
from typing import Any

import pytest
from tests.unit.driver import run
from tests.unit.processes import READ, TWO, tell

CUT = """
freeze 100
gpus 1 preset=h200
root {root}
mig gpu=0 profile=3g.71gb
mig gpu=0 profile=1g.18gb count=2 until=150
mig gpu=0 profile=2g.35gb from=150
process pid=11 gpu=0 memory=10GiB mig=0
process pid=12 gpu=0 memory=2GiB mig=1
process pid=13 gpu=0 memory=3GiB mig=2 until=150
process pid=14 gpu=0 memory=4GiB mig=1 type=graphics
"""
THEN = """
plan = Plan(library, library.device(0))
reader = plan.processes
def at(moment, text=None):
    play((text or scenario.read_text()).replace("freeze 100", f"freeze {moment}"))
def renew():
    global reader
    plan.processes._look_at = 0
    renewed = plan.renew(["processes"], lambda call: None)
    reader = plan.processes
    return renewed
"""
ON_THREE = [
    [11, "compute", "1", "0", 10 * 2**30, [None] * 4],
    [12, "compute", "7", "0", 2 * 2**30, [None] * 4],
    [13, "compute", "8", "0", 3 * 2**30, [None] * 4],
    [14, "graphics", "7", "0", 4 * 2**30, [None] * 4],
]


def cut(simulator: Path, scenario: Path, code: str, root: str = "off", more: str = "") -> Any:
    text = CUT.format(root=root) + more
    return run(simulator, scenario, text, READ + THEN + textwrap.dedent(code))


@pytest.mark.parametrize("root", ["on", "off"])
@pytest.mark.parametrize("more", ["", "missing {}_v3\n", "missing {}_v3 {}_v2\n"])
def test_each_instance_tells_of_its_own(
    simulator: Path, scenario: Path, root: str, more: str
) -> None:
    """Also to those who are not told of the whole GPU, and by drivers that tell no numbers."""
    missing = more.replace("{}", "nvmlDeviceGetComputeRunningProcesses")
    code = """
    tell(
        rows=rows(),
        refused=plan.refused,
        uuids=sorted({p.instance_uuid[:4] for p in reader.listed}),
        count=len({p.instance_uuid for p in reader.listed}),
        without_use=reader.without_use,
    )
    """
    told = cut(simulator, scenario, code, root, missing)
    assert told["rows"] == ON_THREE
    assert "processes" not in told["refused"]
    assert (told["uuids"], told["count"]) == (["MIG-"], 3)
    assert told["without_use"] == "not_supported"


def test_without_its_memory_a_process_is_there(simulator: Path, scenario: Path) -> None:
    told = cut(simulator, scenario, "tell(rows=rows())", more="at 0s set process-memory na\n")
    assert told["rows"] == [[*row[:4], None, row[5]] for row in ON_THREE]


def test_a_process_on_two_instances_is_listed_on_each(simulator: Path, scenario: Path) -> None:
    more = "process pid=11 gpu=0 memory=1GiB mig=1\nprocess pid=12 gpu=0 mig=1 type=graphics\n"
    told = cut(simulator, scenario, "tell(rows=rows())", more=more)
    assert [row[:5] for row in told["rows"]] == [
        [11, "compute", "1", "0", 10 * 2**30],
        [11, "compute", "7", "0", 2**30],
        [12, "compute+graphics", "7", "0", 2 * 2**30],
        *[row[:5] for row in ON_THREE[2:]],
    ]


@pytest.mark.parametrize("root", ["on", "off"])
def test_instances_come_and_go(simulator: Path, scenario: Path, root: str) -> None:
    code = """
    text = scenario.read_text()
    first = rows()
    same = renew()
    at(150, text)
    dead = rows()
    seen = reader.listed
    renewed = plan.renew(["processes"], lambda call: None)
    reader = plan.processes
    second = rows()
    tell(first=first, same=same, dead=dead, seen=seen, renewed=renewed, second=second,
         again=renew(), refused=plan.refused.get("processes", ""))
    """
    told = cut(simulator, scenario, code, root)
    assert (told["first"], told["same"]) == (ON_THREE, False)
    # Which of them is gone is not known before the next look, which is at once.
    assert (told["dead"], told["seen"], told["renewed"]) == ([], None, True)
    assert told["second"] == [
        ON_THREE[0],
        [12, "compute", "3", "0", 2 * 2**30, [None] * 4],
        [14, "graphics", "3", "0", 4 * 2**30, [None] * 4],
    ]
    assert (told["again"], told["refused"]) == (False, "")


def test_an_instance_that_comes_is_seen_at_the_next_look(simulator: Path, scenario: Path) -> None:
    more = "process pid=15 gpu=0 mig=3\n"
    code = """
    before = [row[0] for row in rows()]
    play(scenario.read_text() + "mig gpu=0 profile=2g.35gb until=150\\n")
    waiting = plan.renew(["processes"], lambda call: None)
    tell(before=before, waiting=waiting, renewed=renew(), after=[row[0] for row in rows()])
    """
    told = cut(simulator, scenario, code, more=more)
    assert told == {
        "before": [11, 12, 13, 14],
        "waiting": False,
        "renewed": True,
        "after": [11, 12, 13, 14, 15],
    }


@pytest.mark.parametrize("code", ["uninitialized", "gpu_is_lost", "invalid_argument", "unknown"])
def test_whatever_the_handle_of_a_dead_instance_answers(
    simulator: Path, scenario: Path, code: str
) -> None:
    fault = f"at 0s error call=nvmlDeviceGetComputeRunningProcesses_v3 code={code}\n"
    told = cut(
        simulator,
        scenario,
        f"""
        rows()
        text = scenario.read_text()
        play(text + {fault!r})
        failed = rows()
        play(text)
        tell(failed=failed, after=len(rows()))
        """,
    )
    assert told == {"failed": [], "after": 4}


@pytest.mark.parametrize("root", ["on", "off"])
def test_a_gpu_that_is_cut_into_nothing_has_nobody(
    simulator: Path, scenario: Path, root: str
) -> None:
    text = f"gpus 1 preset=h200\nroot {root}\ngpu 0 mig=on\n"
    more = "mig gpu=0 profile=1g.18gb\nprocess pid=11 gpu=0 mig=0\n"
    code = f"""
    empty = rows()
    listed, refused = reader.listed, reader.refused
    play({text + more!r})
    tell(empty=empty, listed=listed, refused=refused, renewed=renew(), rows=len(rows()))
    """
    told = run(simulator, scenario, text, READ + THEN + textwrap.dedent(code))
    assert told == {"empty": [], "listed": [], "refused": "", "renewed": True, "rows": 1}


@pytest.mark.parametrize("root", ["on", "off"])
def test_the_mode_changes(simulator: Path, scenario: Path, root: str) -> None:
    """A driver would not let it while anybody has the GPU open."""
    whole = (
        f"freeze 100\nroot {root}\ngpus 1 preset=h200\nprocess pid=11 gpu=0 memory=10GiB sm=40\n"
    )
    parts = CUT.format(root=root)
    code = f"""
    first = rows()
    play({parts!r})
    rows()
    on = renew(), len(rows()), plan.refused.get("processes"), reader.without_use
    play({whole!r})
    rows()
    off = renew(), rows() == first, plan.refused.get("processes"), reader.without_use
    tell(first=first, on=on, off=off)
    """
    told = run(simulator, scenario, whole, READ + THEN + textwrap.dedent(code))
    assert told["first"] == [[11, "compute", "", "", 10 * 2**30, [0.4, 0.0, 0.0, 0.0]]]
    assert told["on"] == [True, 4, None, "not_supported"]
    assert told["off"] == [True, True, None, ""]


def test_without_mig_nothing_more_is_asked(simulator: Path, scenario: Path) -> None:
    code = """
    asked = []
    reader._library.call = reader._library.function = asked.append
    for _ in range(5):
        reader._look_at = 0
        reader.outdated()
        rows()
    tell(asked=asked)
    """
    assert tell(simulator, scenario, TWO, code) == {"asked": []}


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("nvmlDeviceGetMigDeviceHandleByIndex code=no_permission", "no_permission"),
        ("nvmlDeviceGetMaxMigDeviceCount code=unknown", "no_permission"),
        ("nvmlDeviceGetMigMode code=timeout", "no_permission"),
    ],
)
def test_where_instances_cannot_be_found_the_gpu_is_asked(
    simulator: Path, scenario: Path, fault: str, why: str
) -> None:
    code = "tell(rows=[row[:4] for row in rows()], refused=reader.refused)"
    for root in ("on", "off"):
        told = cut(simulator, scenario, code, root, f"at 0s error call={fault}\n")
        assert told["refused"] == ("" if root == "on" else why)
        assert told["rows"] == ([row[:4] for row in ON_THREE] if root == "on" else [])
