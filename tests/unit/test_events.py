"""What the driver tells of XIDs, on the stand-in driver."""

import textwrap
from pathlib import Path

from tests.unit.driver import run

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
