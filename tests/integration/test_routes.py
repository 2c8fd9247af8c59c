"""Who is told of what, by the real amtool; what the real Alertmanager holds back."""

import pytest
from tests.integration.alerting import ShippedAlertmanager
from tests.integration.house import House, having
from tests.integration.stack import wait_for
from tests.rules.conftest import rules

ACTIONS = ("restart-node", "reset-gpu", "plan-reset", "restart-app", "replace", "inspect")

# By the receivers that there are: who is told of critical, warning, info and none.
SEVERITIES = {
    (): ("nobody", "nobody", "nobody", "nobody"),
    ("page",): ("page", "nobody", "nobody", "nobody"),
    ("ticket",): ("ticket", "ticket", "nobody", "nobody"),
    ("info",): ("nobody", "nobody", "info", "nobody"),
    ("heartbeat",): ("nobody", "nobody", "nobody", "nobody"),
    ("page", "ticket"): ("page", "ticket", "nobody", "nobody"),
    ("page", "ticket", "info", "heartbeat"): ("page", "ticket", "info", "nobody"),
}


@pytest.mark.parametrize("names", SEVERITIES, ids=lambda names: "+".join(names) or "none")
def test_severities_go_to_whom_there_is(names: tuple[str, ...], house: House) -> None:
    house.file.write_text(having(*names) if names else "receivers: []\n")
    house.keeper.start()
    assert house.is_valid
    told = [
        house.receivers_of(alertname="A", severity=severity, component="gpu", action="inspect")
        for severity in ("critical", "warning", "info", "none")
    ]
    assert told == [[name] for name in SEVERITIES[names]]
    watchdog = house.receivers_of(alertname="GPUStackWatchdog", severity="none")
    assert watchdog == (["heartbeat"] if "heartbeat" in names else ["nobody"])


@pytest.mark.parametrize("action", ACTIONS)
def test_actions_go_to_their_receivers_as_well(action: str, house: House) -> None:
    house.file.write_text(having("page", "ticket", action))
    house.keeper.start()
    for severity, expected in (
        ("critical", [action, "page"]),
        ("warning", [action, "ticket"]),
        ("info", ["nobody"]),
    ):
        labels = {"alertname": "A", "severity": severity, "component": "node"}
        assert house.receivers_of(action=action, **labels) == expected
        other = "none" if action == "inspect" else "inspect"
        assert house.receivers_of(action=other, **labels) == expected[-1:]


def test_every_rule_is_told_to_somebody(house: House) -> None:
    house.file.write_text(having("page", "ticket", "info", "heartbeat", *ACTIONS))
    house.keeper.start()
    labels = {tuple(rule["labels"].items()): rule["alert"] for rule in rules()}
    assert {dict(each)["action"] for each in labels} <= {*ACTIONS, "none"}
    for each, alert in labels.items():
        assert "nobody" not in house.receivers_of(alertname=alert, **dict(each)), alert


def test_own_routes_come_first_but_not_before_the_heartbeat(house: House) -> None:
    house.file.write_text(
        having("page", "own", "heartbeat")
        + "routes:\n- {matchers: [cluster=a], receiver: own, continue: true}\n- receiver: nobody\n"
    )
    house.keeper.start()
    assert house.receivers_of(severity="critical", cluster="a") == ["own", "nobody"]
    assert house.receivers_of(severity="critical", cluster="b") == ["nobody"]
    assert house.receivers_of(alertname="GPUStackWatchdog") == ["heartbeat"]


def alert(name: str, severity: str, component: str, **labels: str) -> dict[str, str]:
    return {"alertname": name, "severity": severity, "component": component, **labels}


def test_alerts_that_another_explains_are_held_back(
    alertmanager: tuple[ShippedAlertmanager, House],
) -> None:
    running, _ = alertmanager
    gone = {"node": "gone", "cluster": "c"}
    lost = {"node": "lost", "uuid": "GPU-1"}
    hot = {"node": "hot", "uuid": "GPU-2"}
    held = [
        # Of a node that does not answer, whatever the component.
        alert("Held1", "critical", "gpu", **gone, uuid="GPU-0"),
        alert("Held2", "warning", "exporter", **gone),
        alert("Held3", "warning", "memory", node="a-name", instance="10.0.0.1:9400"),
        # Of a GPU that is lost.
        alert("HeldXid", "critical", "gpu", **lost, xid="79"),
        alert("HeldFan", "warning", "cooling", **lost),
        # Less of the same.
        alert("HeldWarm", "warning", "cooling", **hot),
    ]
    told = [
        alert("GPUNodeUnreachable", "critical", "node", **gone),
        alert("GPUNodeUnreachable", "critical", "node", node="10.0.0.1", instance="10.0.0.1:9400"),
        alert("GPULost", "critical", "gpu", **lost),
        alert("TooHot", "critical", "cooling", **hot),
        # Another node, cluster, GPU, component; and the monitor itself on that node.
        alert("OtherNode", "critical", "gpu", node="other", cluster="c", instance="10.0.0.2:9400"),
        alert("OtherCluster", "critical", "gpu", node="gone", cluster="d"),
        alert("OtherGpu", "critical", "gpu", node="lost", uuid="GPU-9"),
        alert("OtherPart", "warning", "memory", **hot),
        alert("GPUStackTargetsInvalid", "warning", "stack", **gone),
        alert("NoNode", "warning", "stack"),
    ]
    running.fire(*told, *held)
    expected = {labels["alertname"] for labels in held}
    wait_for("alerts are held back", lambda: running.suppressed() == expected, seconds=20)
    assert len(running.alerts()) == len(held) + len(told)
