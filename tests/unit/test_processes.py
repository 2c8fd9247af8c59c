"""What the driver tells of processes and XIDs, on the stand-in driver."""

import textwrap
from pathlib import Path
from typing import Any

import pytest
from tests.unit.driver import run

HEAD = "freeze 100.25\ngpus 1 preset=h200\nload gpu=0 constant 0.5\n"
READ = """
from gpuglass.probe.processes import Processes
library = Library()
reader = Processes(library, library.device(0))
def rows():
    values = reader.read(lambda call: None)
    listed = reader.listed or []
    assert len(values) == 5 * len(listed)
    use = [values[n : n + 5] for n in range(0, len(values), 5)]
    return [[*one[:4], memory, others] for one, (memory, *others) in zip(listed, use)]
"""
TWO = """
process pid=11 gpu=0 type=compute memory=10GiB sm=40 mem=30 enc=20 dec=10
process pid=12 gpu=0 type=graphics memory=1GiB sm=0
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    return tmp_path / "scenario.conf"


def tell(simulator: Path, scenario: Path, text: str, code: str) -> dict[str, Any]:
    return run(simulator, scenario, HEAD + text, READ + textwrap.dedent(code))


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


# On MIG instances

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


# XIDs

EVENTS = """
library = Library()
told = []
events = Events(library, where(-1), range(2), told.append)
events.start()
def xids():
    return sorted((f.uuid, f.xid, f.count) for f in told if f.kind == "xid")
def wait(condition):
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline, told
        time.sleep(0.01)
"""
MOVING = "gpus 2 preset=h200\n"


def test_xids_are_told_with_their_gpu(simulator: Path, scenario: Path) -> None:
    code = """
    wait(lambda: sum(count for _, _, count in xids()) >= 4)
    from gpuglass.probe import identity
    uuids = [identity.uuid(library, library.device(i)) for i in (0, 1)]
    seen = {(uuids.index(uuid), xid) for uuid, xid, _ in xids()}
    tell(sources=[f.reason for f in told if f.kind == "xid_source"], seen=sorted(seen))
    """
    text = f"{MOVING}at 0s every 500ms xid code=79 gpu=1\nat 0s every 500ms xid code=13 gpu=0\n"
    told = run(simulator, scenario, text, EVENTS + textwrap.dedent(code))
    assert told == {"sources": [""], "seen": [[0, 13], [1, 79]]}


def test_cards_without_such_events_say_so(simulator: Path, scenario: Path) -> None:
    fault = "at 0s error call=nvmlDeviceGetSupportedEventTypes code=no_permission\n"
    code = """
    wait(lambda: told)
    events.join(5)
    tell(source=told[0].reason, alive=events.is_alive())
    """
    told = run(simulator, scenario, MOVING + fault, EVENTS + textwrap.dedent(code))
    assert told == {"source": "no_permission", "alive": False}


def test_the_xids_of_a_gpu_that_was_gone_are_asked_for_again(
    simulator: Path, scenario: Path
) -> None:
    """Also where it was the only one."""
    only = "gpus 1 preset=h200\n"
    code = f"""
    wait(lambda: told)
    play({only + "at 0s every 500ms xid code=13 gpu=0" + chr(10)!r})
    wait(xids)
    tell(sources=[f.reason for f in told if f.kind == "xid_source"])
    """
    setup = EVENTS.replace("range(2)", "range(1)")
    setup = "from gpuglass.probe import events as m\nm._REGISTER_SECONDS = 0.1\n" + setup
    text = f"{only}at 0s lost gpu=0\n"
    told = run(simulator, scenario, text, setup + textwrap.dedent(code))
    assert told == {"sources": ["gpu_is_lost", ""]}


def test_a_lost_gpu_does_not_spin(simulator: Path, scenario: Path) -> None:
    fault = "at 0s error call=nvmlEventSetWait_v2 code=gpu_is_lost\n"
    code = """
    wait(lambda: told)
    begin = time.process_time()
    time.sleep(2)
    tell(cpu=time.process_time() - begin)
    """
    told = run(simulator, scenario, MOVING + fault, EVENTS + textwrap.dedent(code))
    assert told["cpu"] < 0.2


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
