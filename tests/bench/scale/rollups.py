"""How long the keeper's replays take, of windows that have just closed."""

import math
import resource
import threading
import time
from pathlib import Path
from typing import NamedTuple

from tests.bench.measure import Clocks
from tests.bench.storage.programs import Storage
from tests.integration.stack import ROOT

from gpuglass.keeper.rollups import plan
from gpuglass.keeper.rollups.plan import SCRAPE, Gaps, Source, Tier
from gpuglass.keeper.rollups.replay import Replayer, ReplayError, StoppedError

RULES = {plan.MINUTE: "minute.yml", plan.HOUR: "hour.yml"}


# Several times what it may take.
_PATIENCE = 120.0


class Rolled(NamedTuple):
    """What was rolled up.

    Attributes:
        nodes: Of how many nodes; of fewer than were wanted where something went wrong.
        windows: Of each node.
        seconds: That it took.
        cpu: Seconds of CPU that vmalert and the storages used meanwhile.
        trouble: What went wrong; empty if nothing did.
    """

    nodes: int
    windows: int
    seconds: float
    cpu: float
    trouble: str

    @property
    def each(self) -> float:
        """Seconds for a window of a node; without end where something went wrong."""
        return math.inf if self.trouble else self.seconds / (self.nodes * self.windows)


def roll_up(
    vmalert: Path,
    tier: Tier,
    storages: tuple[Storage, Storage],
    nodes: list[str],
    span: tuple[int, int],
) -> Rolled:
    """Roll up windows as a run of the keeper does, some nodes after the others.

    Args:
        vmalert: The program.
        tier: Which one is filled.
        storages: Of the samples, and of the tier.
        nodes: Their names.
        span: The first window and the last.
    """
    raw, own = storages
    rules = ROOT / "victoriametrics/rules/rollups" / RULES[tier]
    stop = threading.Event()
    replayer = Replayer(vmalert, rules, raw.url, own.url, stop)
    windows = dict.fromkeys(range(span[0], span[1] + 1, tier.step), 1.0)
    missing = {Source(SCRAPE, node): windows for node in nodes}
    gaps = Gaps(missing, {}, 0, {source: set() for source in missing})
    clocks = [Clocks(storage.pid) for storage in storages]
    begin, before, done, trouble = time.monotonic(), _children(), 0, ""
    timer = threading.Timer(_PATIENCE, stop.set)
    timer.start()
    try:
        for replay in plan.replays(gaps, tier.step):
            replayer.run(replay)
            done += len(replay.nodes)
    except ReplayError as error:
        trouble = str(error)
    except StoppedError:
        trouble = f"no end within {_PATIENCE:g} s"
    finally:
        timer.cancel()
    seconds = time.monotonic() - begin
    cpu = _children() - before + sum(clock.used() for clock in clocks)
    return Rolled(done, len(windows), seconds, cpu, trouble)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
