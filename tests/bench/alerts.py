"""How long it takes from a fault to the message that tells of it, by the rules as shipped."""

import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from tests import programs
from tests.bench import stage, text
from tests.integration.alerting import AlertingStack
from tests.integration.inbox import Inbox
from tests.integration.stack import Program, wait_for

_SCRAPE_INTERVAL = 5.0
# From the start of the exporters to the first fault: all programs are at work by then.
_SETTLE = 60.0
# No multiple of any interval, so that faults meet scrapes and evaluations at all their phases.
_EACH = 7.3
_XID_GOAL = 20.0
_NODE_GOAL = 210.0
_RECEIVERS = """\
receivers:
- name: page
  webhook_configs: [{{url: "{inbox}/page"}}]
"""


@dataclass(frozen=True)
class Plan:
    """How much to measure.

    Attributes:
        xids: How many nodes have two XIDs, one after the other.
        nodes: How many of those are lost after that; half of them die, half do not answer.
    """

    xids: int = 10
    nodes: int = 6


class Delay(NamedTuple):
    """What was seen of one fault, in seconds after it.

    Attributes:
        fires: When the rule says that its alert began to fire.
        told: When the message came.
    """

    fires: float
    told: float


class Result(NamedTuple):
    """One kind of fault."""

    fault: str
    goal: float
    delays: list[Delay]


class _Node(NamedTuple):
    name: str
    exporter: Program
    xid_at: float


def run(plan: Plan) -> list[Result]:
    """Measure all faults."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stage.build_driver(folder)
        stack = AlertingStack(folder / "stack", programs.fetch(folder), _SCRAPE_INTERVAL)
        inbox = Inbox()
        try:
            return _suffer(stack, inbox, folder, plan)
        finally:
            inbox.close()
            stack.stop()


def _suffer(stack: AlertingStack, inbox: Inbox, driver: Path, plan: Plan) -> list[Result]:
    stack.receivers.write_text(_RECEIVERS.format(inbox=inbox.url))
    nodes = _nodes(stack, driver, plan.xids)
    stack.start()
    _tell("XIDs")
    xids = [_delay(inbox, node.name, "GPUXidRestartNode", node.xid_at, _XID_GOAL) for node in nodes]
    _tell("nodes that are lost")
    lost = nodes[: plan.nodes]
    died = [_lose(node, _kill) for node in lost[::2]]
    mute = [_lose(node, _stop) for node in lost[1::2]]
    try:
        delays = [
            [_delay(inbox, name, "GPUNodeUnreachable", at, _NODE_GOAL) for name, at in faults]
            for faults in (died, mute)
        ]
    finally:
        for node in lost[1::2]:
            os.kill(node.exporter.pid, signal.SIGCONT)
    return [
        Result("two XIDs at once, 79 and 48", _XID_GOAL, xids),
        Result("a node refuses connections", _NODE_GOAL, delays[0]),
        Result("a node does not answer", _NODE_GOAL, delays[1]),
    ]


def _nodes(stack: AlertingStack, driver: Path, count: int) -> list[_Node]:
    """Nodes with a GPU each, in a cluster each, so that none waits for another's messages."""
    start = int(time.time())
    groups, nodes = [], []
    for number in range(count):
        name = f"n{number}"
        # The exporters start meanwhile, each within 2 s.
        at = 2 * count + _SETTLE + number * _EACH
        scenario = f"start {start}\ngpus 1 preset=h200\n" + "".join(
            f"at {at:.1f}s xid code={code} gpu=0\n" for code in (79, 48)
        )
        address = stack.exporter(name, scenario, driver, "--path.kmsg", "/nonexistent")
        labels = f"{{node: {name}, cluster: c{number}}}"
        groups.append(f"- targets: ['{address}']\n  labels: {labels}\n")
        nodes.append(_Node(name, stack.exporters[-1], start + at))
    (stack.targets / "fleet.yml").write_text("".join(groups))
    return nodes


def _lose(node: _Node, how: Callable[[Program], None]) -> tuple[str, float]:
    time.sleep(_EACH)
    how(node.exporter)
    return node.name, time.time()


def _kill(exporter: Program) -> None:
    exporter.kill()


def _stop(exporter: Program) -> None:
    """Its connections are still taken, by the kernel, and nothing is ever answered."""
    os.kill(exporter.pid, signal.SIGSTOP)


def _delay(inbox: Inbox, node: str, alert: str, fault: float, goal: float) -> Delay:
    def told() -> Delay | None:
        for message in inbox.to("/page"):
            found = message.alerts.get(alert)
            if found and found["labels"]["node"] == node:
                fires = datetime.fromisoformat(found["startsAt"].replace("Z", "+00:00"))
                return Delay(fires.timestamp() - fault, message.time - fault)
        return None

    patience = fault + 3 * goal - time.time()
    return wait_for(f"the message on {node}", told, patience)


def _tell(what: str) -> None:
    print(f"alerts: {what}", file=sys.stderr, flush=True)


_HEAD = """# From a fault to its message

{written}
Exporters on stand-in drivers, vmagent, VictoriaMetrics, vmalert with all rules as they are shipped,
Alertmanager with `victoriametrics/alertmanager/base.yml`, a webhook; a scrape every {scrape:g} s,
the other settings as `setup.sh` has them. Each fault is on a node, and in a cluster, of which
nothing has been told for a while, at another phase of scrapes and evaluations. *Fires* is the time
that the alert itself names as its beginning, *told* is when the webhook had the message; seconds
after the fault, median [least - most].

"""
_TAIL = """
The way of an XID: up to {scrape:g} s to the next scrape, up to 5 s to the next evaluation, which
looks 3 s back, and 5 s in which Alertmanager waits for what belongs to it. A node is told of once
it was not reached for 2.5 minutes, so that a restart tells nobody.
"""


def render(results: list[Result], command: str) -> str:
    """The report."""
    rows = []
    for fault, goal, delays in results:
        told = text.Spread.of(delay.told for delay in delays)
        fires = text.Spread.of(delay.fires for delay in delays)
        form = "{:.1f}"
        met = text.yes(told.most <= goal)
        rows.append(
            (fault, f"{len(delays)}", fires.show(form), told.show(form), f"<= {goal:g} s", met)
        )
    head = _HEAD.format(written=text.written_by(command), scrape=_SCRAPE_INTERVAL)
    columns = ("what happens", "times", "fires, s", "told, s", "goal", "met?")
    return head + text.table(columns, rows) + _TAIL.format(scrape=_SCRAPE_INTERVAL)
