"""Two clusters as the real programs see them, in both storage profiles, with days behind them.

The newest seconds came from the exporters on stand-in drivers by way of vmagent. What was before
is made of them (`past`), rules and alerts by vmalert, the tiers by the keeper's own code.
"""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from prometheus_client import generate_latest
from tests.bench.storage.programs import HOUR, MINUTE, RAW, Programs
from tests.dashboards import boards
from tests.dashboards.grafana import Grafana, Source
from tests.dashboards.past import Past, Recorded
from tests.dashboards.remote import Remote
from tests.dashboards.scenario import ENDED, ENDED_AGO, ENDED_LIKE, PERIOD, Nodes
from tests.integration.alerting import AlertingStack
from tests.integration.stack import wait_for
from tests.rules.conftest import RULES
from tests.rules.replay import replay_all

from gpuglass.keeper.metrics import registry
from gpuglass.keeper.rollups import plan
from gpuglass.keeper.rollups.keeper import RollupKeeper
from gpuglass.keeper.rollups.ledger import Ledger
from gpuglass.keeper.rollups.plan import SCRAPE, Replay
from gpuglass.keeper.rollups.replay import Replayer
from gpuglass.keeper.runner import Runner
from gpuglass.keeper.victoriametrics import VictoriaMetrics

INTERVAL = {"vm-raw": 5.0, "vm-1m": 60.0, "vm-1h": 3600.0}
# Raw storage: whole hours before the newest one, of which the tiers are made; and then some.
_HOURS = 2
_SPARSE, _SPARSE_BACK = 600, 2 * 86400
# A tier, and its rules.
_TIERS = {"vm-1m": (plan.MINUTE, "minute.yml"), "vm-1h": (plan.HOUR, "hour.yml")}
# How many more windows there are.
_BACK = {"vm-1m": 480, "vm-1h": 24 * 14}
_SCRAPED = '{__name__!~"ALERTS.*|gpuglass_rollup_.*|.+:.+:.+"}'
_RESULTS = '{__name__=~"ALERTS.*|.+:.+:.+"}'
_PATIENCE = 120.0
# Nobody is there.
_RECEIVERS = """\
receivers:
- name: page
  webhook_configs: [{url: "http://127.0.0.1:9/page"}]
"""
_OWN_RULES = """\
groups:
  - name: own
    rules:
      - record: own
        expr: vector(1)
"""


class Stage(NamedTuple):
    """All of it.

    Attributes:
        end: The Unix time at which all ends: the newest moment.
        nodes: What there is to see.
        profiles: What asks each kind of storage, by its name.
        raw: Each one's raw storage.
    """

    end: int
    nodes: Nodes
    profiles: dict[str, Grafana]
    raw: dict[str, Remote]


@contextmanager
def staged(folder: Path, components: Path, simulator: Path) -> Iterator[Stage]:
    """Play, store, and let the storages run."""
    with ExitStack() as running:
        stack = AlertingStack(folder / "stack", components)
        running.callback(stack.victoriametrics.stop)
        nodes = Nodes(stack, simulator, folder / "machine")
        start, end = _record(stack, nodes)
        single = Remote(stack.url)
        _look_back(single, start, end)
        vmalert = components / "vmalert"
        replay_all(vmalert, single.url, (_begin(end), end), single.flush, folder)
        programs = Programs(folder, components)
        kinds = {"vm-raw": RAW, "vm-1m": MINUTE, "vm-1h": HOUR}
        tiered = {
            uid: Remote(running.enter_context(programs.storage(uid, kind)).url)
            for uid, kind in kinds.items()
        }
        tiered["vm-raw"].take_all_of(single)
        _roll_up(tiered, vmalert, end, stack.keeper_url.removeprefix("http://"))
        yield Stage(
            end,
            nodes,
            {
                "single": _grafana(dict.fromkeys(INTERVAL, single)),
                "tiered": _grafana(tiered),
            },
            {"single": single, "tiered": tiered["vm-raw"]},
        )


def _grafana(storages: dict[str, Remote]) -> Grafana:
    return Grafana({uid: Source(one.url, INTERVAL[uid]) for uid, one in storages.items()})


def _record(stack: AlertingStack, nodes: Nodes) -> tuple[float, int]:
    """Let the programs work for a while; when a period of it began, and when all ended."""
    try:
        stack.receivers.write_text(_RECEIVERS)
        (stack.targets.parent / "rules/custom/own.yml").write_text(_OWN_RULES)
        nodes.start()
        stack.start()
        start = wait_for("all is seen", nodes.seen, _PATIENCE) + 1
        nodes.later(start + PERIOD + 2)
        time.sleep(max(0.0, start + PERIOD + 2 - time.time()))
        nodes.lose_one()
        end = int(time.time()) + 8
        time.sleep(end - time.time())
    finally:
        for program in (stack.vmagent, stack.vmalert, stack.keeper, stack.alertmanager):
            program.stop()
        nodes.stop()
    stack.flush()
    return start, end


def _begin(end: int) -> int:
    """From when on the raw storage has samples as often as the tiers need."""
    return end // 3600 * 3600 - _HOURS * 3600


def _look_back(storage: Remote, start: float, end: int) -> None:
    """Make what was before the first scrape."""
    series = storage.series(f'{{__name__=~"{"|".join(sorted(_asked()))}"}}')
    recorded = Recorded(series, start, PERIOD)
    newest = int(min(samples[0][0] for samples in series.values())) - 1
    hour, whole = newest - newest % 30 - 3600, _begin(end)
    for past in (
        Past(5, hour + 5, newest),
        Past(30, whole + 30, hour),
        Past(_SPARSE, whole - _SPARSE_BACK, whole),
    ):
        storage.take(recorded.before(past))
    # A process that ended some minutes ago.
    ended = Recorded(storage.series(f'{{pid="{ENDED_LIKE}"}}'), start, PERIOD)
    storage.take(ended.before(Past(5, hour + 5, end - ENDED_AGO), pid=ENDED))
    storage.flush()


def _asked() -> set[str]:
    """Every word that dashboards and rules have, names of metrics among them."""
    texts = [path.read_text() for path in boards.FOLDER.glob("*.json")]
    texts += [path.read_text() for path in RULES.rglob("*.yml")]
    return {word for text in texts for word in re.findall(r"[a-z][a-z0-9_]+", text)} | {"up"}


def _roll_up(storages: dict[str, Remote], vmalert: Path, end: int, instance: str) -> None:
    """Fill the tiers as the keeper does, add what was before, and what the keeper says of it."""
    stop = threading.Event()
    raw = storages["vm-raw"]
    replayers, keepers = {}, []
    for uid, (tier, rules) in _TIERS.items():
        storage = VictoriaMetrics(storages[uid].url, "-")
        ledger = Ledger(VictoriaMetrics(raw.url, "-"), storage)
        replayer = Replayer(vmalert, RULES / "rollups" / rules, raw.url, storage.url, stop)
        now = partial(float, end + tier.delay)
        # The keeper takes whole spans, the hours of a day for one.
        look_back = tier.closed(now()) - _begin(end) // tier.span * tier.span
        keeper = RollupKeeper(tier, ledger, replayer, look_back, stop, now, 0)
        keeper.check()
        assert keeper.state.failures == 0 and keeper.state.windows > 0
        replayers[uid] = replayer
        keepers.append(keeper)
    page = generate_latest(registry([Runner(keepers, clock=lambda: end), *keepers])).decode()
    for at in range(_begin(end), end + 1, 60):
        raw.take_page(page, at, "keeper", instance)
    raw.flush()
    for uid, (tier, _) in _TIERS.items():
        # Once more for our own programs, now that the keeper has told of itself.
        first = _begin(end) + tier.step
        replayers[uid].run(Replay(SCRAPE, ("",), first, tier.closed(end + tier.delay)))
        storages[uid].flush()
        _look_farther_back(storages[uid], _SCRAPED, tier.step, _BACK[uid])
        # The first window with all results in it.
        _look_farther_back(storages[uid], _RESULTS, tier.step, _BACK[uid], first)
        storages[uid].flush()


def _look_farther_back(
    storage: Remote, selector: str, step: int, windows: int, first: int = 0
) -> None:
    series = storage.series(selector)
    first = first or round(min(samples[0][0] for samples in series.values()))
    recorded = Recorded(series, first, step)
    storage.take(recorded.before(Past(step, first - windows * step, first - step)))
