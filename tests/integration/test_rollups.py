"""Both tiers are complete and right whatever was down, killed, late, sent twice or set back.

Hours pass in seconds: the samples have the times that the test gives them, and the keeper's duties
have the test's clock. All else is real, the queue of vmagent on disk above all.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.conftest import ROOT
from tests.integration.stack import Labels, wait_for
from tests.integration.tiers import START, Storages, Timeline, expected, held

from gpuglass.catalogue import rollups
from gpuglass.keeper.rollups import plan
from gpuglass.keeper.rollups.keeper import RollupKeeper
from gpuglass.keeper.rollups.ledger import Ledger
from gpuglass.keeper.rollups.replay import Replayer
from gpuglass.keeper.victoriametrics import VictoriaMetrics

TIERS = {"minute": plan.MINUTE, "hour": plan.HOUR}
NODES = ("n1", 'n.2|"x"', "n3", "p.1")
# The one is scraped, the other pushes.
LATE, PUSHED = NODES[2:]
RULES = ROOT / "victoriametrics/rules/rollups"


class SabotagedReplayer(Replayer):
    """The real one; the test may do something after it has filled some windows."""

    afterwards: Callable[[], None] | None = None

    def exchange(self, program: Path) -> Path:
        """Run another program instead of vmalert from now on; the one before."""
        before, self._program = self._program, program
        return before

    def run(self, replay: plan.Replay) -> None:
        super().run(replay)
        doing, self.afterwards = self.afterwards, None
        if doing is not None:
            doing()


class Pauses(threading.Event):
    """Tells the keeper to end, never; the test may do something in the keeper's next pause."""

    then: Callable[[], None] | None = None

    def wait(self, timeout: float | None = None) -> bool:
        doing, self.then = self.then, None
        if doing is not None:
            doing()
        return super().wait(timeout)


class World:
    """Time, and what happens in it."""

    def __init__(self, storages: Storages) -> None:
        self.storages = storages
        self.timeline = Timeline(NODES)
        self.now = START
        self.settle = 0.0
        self.late_windows = dict.fromkeys(TIERS, 0)
        self.start_keeper()

    def start_keeper(self) -> None:
        """A keeper that knows nothing of an earlier one."""
        self.keepers: dict[str, RollupKeeper] = {}
        self.replayers: dict[str, SabotagedReplayer] = {}
        self.pauses: dict[str, Pauses] = {}
        url = self.storages.url
        for name, tier in TIERS.items():
            ledger = Ledger(VictoriaMetrics(url["raw"], "-"), VictoriaMetrics(url[name], "-"))
            rules = RULES / f"{name}.yml"
            stop = self.pauses[name] = Pauses()
            replayer = SabotagedReplayer(self.storages.vmalert, rules, url["raw"], url[name], stop)
            self.replayers[name] = replayer
            self.keepers[name] = RollupKeeper(
                tier,
                ledger,
                replayer,
                160 * 3600,
                stop,
                lambda: self.now,
                self.settle,
                lambda: {PUSHED},
            )

    def pass_time(self, seconds: int, without: tuple[str, ...] = (), twice: bool = False) -> None:
        """All nodes deliver what they saw in the next seconds, but for some; a part even twice."""
        start, self.now = self.now, self.now + seconds
        lines = list(self.timeline.own(start, self.now))
        for node in NODES:
            if node not in without:
                lines += self.timeline.scrapes(node, start, self.now)
        self.storages.push(lines)
        if twice:
            self.storages.push(lines[::3])

    def deliver_late(self, node: str, start: int, end: int) -> None:
        self.storages.push(self.timeline.scrapes(node, start, end))
        self.storages.delivered()

    def run_keeper(self, *names: str) -> None:
        """One run over each tier, or those that are named."""
        for name in names or TIERS:
            before = self.keepers[name].state
            self.keepers[name].check()
            after = self.keepers[name].state
            self.late_windows[name] += after.late_windows - before.late_windows
            if after.failures == before.failures:
                self.storages.flush(name)

    def settled(self) -> None:
        """Wait until the storages have all on disk that they have taken, as they would in hours."""
        end = time.monotonic() + 2.5
        wait_for("the storages' disks have all", lambda: time.monotonic() > end)

    def failures(self, name: str) -> int:
        return self.keepers[name].state.failures

    def live(self, seconds: int, twice: bool = False) -> None:
        """Time passes with a run of the keeper every ten minutes."""
        self.pass_time(seconds, twice=twice)
        self.storages.delivered()
        # What is in the storage before its time changes nothing: its windows are not closed.
        end = self.now
        for self.now in range(end - seconds + 600, end + 1, 600):
            self.run_keeper("minute")
            if self.now % 3600 < 600:
                self.run_keeper("hour")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, components: Path) -> Iterator[World]:
    storages = Storages(tmp_path_factory.mktemp("tiers"), components)
    try:
        storages.start()
        yield World(storages)
    finally:
        storages.stop()


def test_tiers_are_complete_and_right_after_all_disruptions(world: World) -> None:
    world.live(3600, twice=True)
    keeper_is_down(world)
    raw_storage_is_down_and_vmagent_is_killed(world)
    tiers_are_down_and_killed(world)
    late = a_node_is_cut_off(world)
    clock_is_stepped(world)
    world.live(7200)
    world.run_keeper()

    raw = world.storages.export("raw")
    for name, tier in TIERS.items():
        closed = tier.closed(world.now)
        stored = world.storages.export(name)
        assert late_windows(stored) == late[name]
        assert world.late_windows[name] == len(late[name])
        compare(expected(raw, name, closed), held(stored), late[name])
        assert world.keepers[name].state.pending == 0


def keeper_is_down(world: World) -> None:
    world.pass_time(5400)
    world.storages.delivered()
    world.start_keeper()
    world.run_keeper()


def raw_storage_is_down_and_vmagent_is_killed(world: World) -> None:
    raw, vmagent = world.storages.program["raw"], world.storages.program["vmagent"]
    world.settled()
    raw.kill()
    before = world.failures("minute")
    for _ in range(3):
        world.pass_time(600)
        world.run_keeper("minute")
    assert world.failures("minute") == before + 3
    world.storages.on_disk()
    vmagent.kill()
    vmagent.start()
    world.pass_time(600)
    raw.start()
    # Killed in the midst of handing on, so that the next one sends again what has arrived.
    vmagent.kill()
    vmagent.start()
    world.storages.delivered()
    world.run_keeper()


def tiers_are_down_and_killed(world: World) -> None:
    for node in NODES[:2]:
        world.timeline.reset(node)
    minute, hour = world.storages.program["minute"], world.storages.program["hour"]
    world.settled()
    minute.stop()
    hour.kill()
    world.pass_time(3600)
    world.storages.delivered()
    before = world.failures("minute"), world.failures("hour")
    world.run_keeper()
    assert (world.failures("minute"), world.failures("hour")) == (before[0] + 1, before[1] + 1)
    minute.start()
    hour.start()
    # In the midst of a run: what the first replay wrote is lost in part, the next ones fail.
    world.replayers["minute"].afterwards = minute.kill
    done = world.keepers["minute"].state.windows
    world.run_keeper("minute")
    assert world.keepers["minute"].state.windows == done
    minute.start()

    # Only vmalert is broken.
    replayer = world.replayers["minute"]
    vmalert = replayer.exchange(Path("/bin/false"))
    world.run_keeper("minute")
    replayer.exchange(vmalert)
    assert world.keepers["minute"].state.windows == done

    # After the last replay, before it is noted.
    def restart() -> None:
        minute.kill()
        # The storage tells its start in whole seconds.
        wait_for("another second", lambda: int(time.time()) > int(minute.started))
        minute.start()

    world.replayers["minute"].afterwards = restart
    world.run_keeper("minute")
    assert world.keepers["minute"].state.windows == done
    assert world.failures("minute") == before[0] + 4
    world.run_keeper()


def a_node_is_cut_off(world: World) -> dict[str, set[tuple[str, int]]]:
    """For an hour and for two; the windows of each tier that were rolled up without its samples.

    So is one that pushes, for which there are none: both its windows wait.
    """
    world.live(1200)
    begin = world.now
    world.pass_time(30)
    cut = world.now
    for _ in range(6):
        world.pass_time(600, without=(LATE, PUSHED))
        world.storages.delivered()
        world.run_keeper()
    # In two parts, the second while the keeper looks: the window between them waits for both.
    half = cut + 1800
    for node in (LATE, PUSHED):
        world.deliver_late(node, cut, half)

    def deliver_the_rest() -> None:
        for node in (LATE, PUSHED):
            world.deliver_late(node, half, world.now)

    world.pauses["minute"].then = deliver_the_rest
    world.run_keeper("minute")
    assert world.keepers["minute"].state.pending > 0
    assert 0 < world.keepers["minute"].interval <= 60
    world.run_keeper()
    world.pass_time(570)
    world.live(3600)
    hour = -(-cut // 3600) * 3600
    return {"minute": {(LATE, begin + 60)}, "hour": {(LATE, hour)}}


def clock_is_stepped(world: World) -> None:
    world.live(1200)
    world.now += 1801
    world.live(1800)
    world.now -= 299
    world.live(1200)
    world.now += 1200 - (world.now - START) % 600


def late_windows(stored: dict[Labels, list[tuple[int, float]]]) -> set[tuple[str, int]]:
    """By the keeper's notes: the nodes and windows that got samples too late."""
    return {
        (dict(labels).get("node", ""), moment // 1000)
        for labels, points in stored.items()
        if dict(labels)["__name__"] == rollups.LATE_SAMPLES.name
        for moment, _ in points
    }


def compare(
    wanted: dict[Labels, dict[int, float]],
    found: dict[Labels, dict[int, float]],
    late: set[tuple[str, int]],
) -> None:
    """Every value is there, none besides, and all are equal but in the windows named."""
    wanted_values, found_values = flat(wanted), flat(found)
    missing, extra = wanted_values.keys() - found_values, found_values.keys() - wanted_values
    assert (len(missing), sorted(missing)[:5]) == (0, [])
    assert (len(extra), sorted(extra)[:5]) == (0, [])
    wrong = {
        (labels, window): (value, found_values[labels, window])
        for (labels, window), value in wanted_values.items()
        if (dict(labels).get("node", ""), window) not in late
        and not math.isclose(value, found_values[labels, window], rel_tol=1e-9)
    }
    assert (len(wrong), sorted(wrong.items())[:5]) == (0, [])
    assert len(wanted_values) > 500


def flat(rollups: dict[Labels, dict[int, float]]) -> dict[tuple[Labels, int], float]:
    return {(labels, w): v for labels, windows in rollups.items() for w, v in windows.items()}
