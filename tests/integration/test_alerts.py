"""From a fault in the driver to a message: every program between them is the real one.

The rules are those that are shipped, but the times of GPUNodeUnreachable and GPULost are shortened
here from minutes to seconds; docs/benchmarks/alerts.md has what they come to unchanged.
"""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.integration.alerting import AlertingStack
from tests.integration.inbox import Inbox, Message
from tests.integration.stack import get, wait_for

RECEIVERS = """\
receivers:
- name: page
  webhook_configs: [{{url: "{inbox}/page"}}]
  slack_configs: [{{api_url: "{inbox}/slack", channel: "#gpu", send_resolved: true}}]
- name: ticket
  webhook_configs: [{{url: "{inbox}/ticket"}}]
- name: heartbeat
  webhook_configs: [{{url: "{inbox}/heartbeat"}}]
"""
# A process holds the second GPU.
WELL = """\
start {start}
gpus 2 preset=h200
process pid=4194400 gpu=1 memory=10GiB
"""
# Two XIDs at the same moment, after which that GPU is lost.
SICK = """\
at {xids}s xid code=79 gpu=1
at {xids}s xid code=48 gpu=1
at {lost}s lost gpu=1
"""
# The driver asks for a reset, and then the node is gone.
GONE = """\
gpus 1 preset=h200
at 1s recovery action=gpu_reset gpu=0
"""


class Told(NamedTuple):
    stack: AlertingStack
    inbox: Inbox


def hasten(rules: Path) -> None:
    """Shorten the times of GPUNodeUnreachable and GPULost, and those of their groups."""
    for file, alert in ((rules / "nodes.yml", "NodeUnreachable"), (rules / "hardware.yml", "Lost")):
        text = file.read_text()
        head, rule, rest = re.split(rf"(- alert: GPU{alert}\n.*?\n\n)", text, flags=re.DOTALL)
        rule, changed = re.subn(r"( for:) \w+(\n.*)*?\n +keep_firing_for: \w+", r"\1 3s", rule)
        assert changed == 1
        file.write_text(head.replace("interval: 15s", "interval: 2s") + rule + rest)


@pytest.fixture(scope="module")
def told(
    tmp_path_factory: pytest.TempPathFactory, components: Path, simulator: Path
) -> Iterator[Told]:
    stack = AlertingStack(tmp_path_factory.mktemp("alerting"), components)
    inbox = Inbox()
    try:
        hasten(stack.rules)
        stack.receivers.write_text(RECEIVERS.format(inbox=inbox.url))
        no_log = ("--path.kmsg", "/nonexistent")
        start = int(time.time())
        well = WELL.format(start=start)
        sick = stack.exporter("sick", well, simulator, *no_log)
        gone = stack.exporter("gone", GONE, simulator, *no_log)
        stack.write_targets("fleet.yml", ("sick", sick), ("gone", gone))
        stack.start()
        # What an owner held is known from the second scrape on.
        owned = 'gpu_owner_allocated_seconds_total{node="sick",user="unattributed"} > 2'
        wait_for("the GPU's owner is known", lambda: stack.query(owned), seconds=60)
        xids = int(time.time()) - start + 3
        stack.change("sick", well + SICK.format(xids=xids, lost=xids + 2))
        yield Told(stack, inbox)
    finally:
        inbox.close()
        stack.stop()


def of_node(inbox: Inbox, path: str, node: str) -> list[Message]:
    return [m for m in inbox.to(path) if m.body["commonLabels"].get("node") == node]


def test_two_xids_of_a_moment_are_one_message_that_says_what_to_do(told: Told) -> None:
    wait_for("the message on XIDs", lambda: of_node(told.inbox, "/page", "sick"), seconds=90)
    message = of_node(told.inbox, "/page", "sick")[0]
    assert set(message.alerts) == {"GPUXidRestartNode", "GPUXidResetGPU"}
    assert message.body["groupLabels"] == {"node": "sick"}
    lost = message.alerts["GPUXidRestartNode"]
    assert {name: lost["labels"][name] for name in ("severity", "action", "gpu", "xid")} == {
        "severity": "critical",
        "action": "restart-node",
        "gpu": "1",
        "xid": "79",
    }
    annotations = lost["annotations"]
    assert annotations["summary"] == "sick GPU 1: XID 79"
    assert annotations["description"].endswith("Drain the node and restart it.")
    assert annotations["owner"].split() == ["unattributed"]
    assert annotations["runbook_url"] == "docs/runbooks/xid-79.md"
    assert not annotations.get("dashboard_url"), "there are no boards"
    assert "GPUXidRestartNode" in get(lost["generatorURL"])


def test_an_xid_and_the_loss_of_its_gpu_are_one_message(told: Told) -> None:
    wait_for("the loss is known", lambda: "GPULost" in told.stack.alertmanager.suppressed())
    assert not told.inbox.with_alert("/page", "GPULost")


def test_messages_for_people_say_the_same_in_words(told: Told) -> None:
    message = wait_for(
        "the words on XIDs",
        lambda: next((m for m in told.inbox.to("/slack") if "sick" in str(m.body)), None),
        seconds=90,
    )
    (words,) = message.body["attachments"]
    assert re.fullmatch(r"CRITICAL: sick GPU 1: XID (79|48) \(and 1 more\)", words["title"])
    for line in (
        "GPUXidRestartNode: sick GPU 1: XID 79",
        "In use by: unattributed",
        "Runbook: docs/runbooks/xid-48.md",
    ):
        assert line in words["text"].splitlines()


def test_the_heartbeat_goes_to_whoever_watches_for_it_alone(told: Told) -> None:
    wait_for("a heartbeat", lambda: told.inbox.to("/heartbeat"), seconds=60)
    assert set(told.inbox.to("/heartbeat")[0].alerts) == {"GPUStackWatchdog"}
    others = [m for m in told.inbox.messages if m.path in ("/page", "/ticket")]
    assert not [m for m in others if "GPUStackWatchdog" in m.alerts]


def test_a_node_that_is_gone_is_one_message_and_holds_back_those_of_its_gpus(told: Told) -> None:
    stack, inbox = told
    wait_for("the driver's wish", lambda: inbox.with_alert("/page", "GPUResetNeeded"), seconds=90)
    exporter = stack.exporters[1]
    exporter.kill()
    message = wait_for(
        "the message on the node",
        lambda: inbox.with_alert("/page", "GPUNodeUnreachable"),
        seconds=60,
    )
    assert set(message.alerts) == {"GPUNodeUnreachable"}
    assert message.alerts["GPUNodeUnreachable"]["annotations"]["summary"].startswith(
        "gone does not answer: "
    )
    held = stack.alertmanager.suppressed
    wait_for("its GPU's alert is held back", lambda: "GPUResetNeeded" in held())

    exporter.start()
    over = wait_for(
        "the message that it is over",
        lambda: inbox.with_alert("/page", "GPUNodeUnreachable", "resolved"),
        seconds=90,
    )
    assert over.body["status"] == "resolved"
    wait_for("its GPU's alert is told again", lambda: "GPUResetNeeded" not in held())
