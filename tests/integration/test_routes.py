"""Who is told of what, by the real amtool; what the real Alertmanager holds back."""

import functools
import itertools
import re
from typing import Any

import pytest
import yaml
from grafana.builder.metricsql import seconds
from tests.integration.alerting import SOURCE, ShippedAlertmanager
from tests.integration.house import House, having
from tests.integration.stack import wait_for
from tests.rules.conftest import RULES, rules

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


def matches(matchers: list[str], labels: dict[str, str]) -> bool:
    """Whether all of them do, as Alertmanager reads them."""
    for matcher in matchers:
        parts = re.fullmatch(r'(\w+)(=~|!~|!=|=)"?(.*?)"?', matcher)
        assert parts is not None, matcher
        name, sign, value = parts.groups()
        pattern = value if "~" in sign else re.escape(value)
        if bool(re.fullmatch(pattern, labels.get(name, ""))) == sign.startswith("!"):
            return False
    return True


def holds_back(
    holding: list[dict[str, list[str]]], source: dict[str, str], target: dict[str, str]
) -> bool:
    return any(
        matches(rule["source_matchers"], source)
        and matches(rule["target_matchers"], target)
        and all(source.get(name) == target.get(name) for name in rule["equal"])
        for rule in holding
    )


def without_gpu(labels: dict[str, str]) -> dict[str, str]:
    """As of a call that is not of one GPU."""
    return {name: value for name, value in labels.items() if name not in ("gpu", "uuid")}


def identity(labels: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))


@functools.cache
def cases() -> dict[str, dict[str, str]]:
    """The labels with which each rule fires in its own cases."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted((RULES / "tests").glob("*.yml")):
        for case in yaml.safe_load(path.read_text())["tests"]:
            for check in case["alert_rule_test"]:
                for fired in check["exp_alerts"]:
                    found.setdefault(check["alertname"], fired["exp_labels"])
    return found


def real(name: str, **places: str) -> dict[str, str]:
    """The labels with which a rule fires, but of another place.

    What is no label of the rule cannot be given, for a real alert does not have it either.
    """
    labels = cases()[name]
    assert places.keys() - {"cluster"} <= labels.keys(), name
    other = {"instance": f"{places['node']}:9400"} if "node" in places else {}
    return {"alertname": name, **labels, **other, **places}


def test_alerts_that_another_explains_are_held_back(
    alertmanager: tuple[ShippedAlertmanager, House],
) -> None:
    running, _ = alertmanager
    gone = {"node": "gone", "cluster": "c"}
    lost = {"node": "lost", "uuid": "GPU-1"}
    fell = {"node": "fell", "uuid": "GPU-3"}
    hot = {"node": "hot", "uuid": "GPU-2"}
    held = [
        # Of a node that does not answer, whatever the component.
        alert("Held1", "critical", "gpu", **gone, uuid="GPU-0"),
        alert("Held2", "warning", "exporter", **gone),
        alert("Held3", "warning", "memory", node="a-name", instance="10.0.0.1:9400"),
        # Of a GPU that is lost.
        real("GPUXidNvLink", **lost),
        real("GPUDriverCallHangs", **lost),
        real("GPUFanStopped", **lost),
        real("GPUDataStale", node="lost"),
        real("GPUProbeAbandoned", node="lost"),
        # Of a GPU whose XID says why it is lost.
        real("GPULost", **fell),
        real("GPUDriverCallHangs", **fell),
        # Of a driver that does not answer.
        *(real(name, node="blind") for name in ("GPUMissing", "GPUProbeCrashing", "GPUDataStale")),
        real("GPUDriverFailing", node="stuck"),
        # Less of the same.
        alert("HeldWarm", "warning", "cooling", **hot),
    ]
    told = [
        alert("GPUNodeUnreachable", "critical", "node", **gone),
        alert("GPUNodeUnreachable", "critical", "node", node="10.0.0.1", instance="10.0.0.1:9400"),
        real("GPULost", **lost),
        real("GPUXidRestartNode", **fell),
        real("GPUDriverFailing", node="blind"),
        without_gpu(real("GPUDriverCallHangs", node="stuck")),
        alert("TooHot", "critical", "cooling", **hot),
        # Another node, cluster, GPU, component; and the monitor itself on that node.
        alert("OtherNode", "critical", "gpu", node="other", cluster="c", instance="10.0.0.2:9400"),
        alert("OtherCluster", "critical", "gpu", node="gone", cluster="d"),
        real("GPUDriverCallHangs", node="lost", uuid="GPU-9"),
        real("GPUProbeCrashing", node="lost"),
        alert("OtherPart", "warning", "memory", **hot),
        alert("GPUStackTargetsInvalid", "warning", "stack", **gone),
        alert("NoNode", "warning", "stack"),
    ]
    running.fire(*told, *held)
    expected = {identity(labels) for labels in held}

    def suppressed() -> set[Any]:
        return {identity(a["labels"]) for a in running.alerts() if a["status"]["inhibitedBy"]}

    wait_for("alerts are held back", lambda: suppressed() == expected, seconds=20)
    assert len(running.alerts()) == len(held) + len(told)


def test_no_two_alerts_hold_back_each_other() -> None:
    holding = yaml.safe_load((SOURCE / "base.yml").read_text())["inhibit_rules"]
    place = {"node": "n", "instance": "n:9400", "uuid": "GPU-1"}
    names = [rule["alert"] for rule in rules()]
    alerts = [{k: place.get(k, v) for k, v in real(name).items()} for name in names]
    assert holds_back(
        holding, *(a for a in alerts if a["alertname"] in ("GPULost", "GPUXidNvLink"))
    )
    for one, other in itertools.combinations(alerts, 2):
        both = holds_back(holding, one, other) and holds_back(holding, other, one)
        assert not both, (one["alertname"], other["alertname"])


def test_every_heartbeat_is_sent(house: House) -> None:
    """One that falls due when its group is looked at is put off until the next time."""
    house.file.write_text(having("heartbeat"))
    house.keeper.start()
    (route,) = (
        route
        for route in yaml.safe_load(house.published.read_text())["route"]["routes"]
        if route["receiver"] == "heartbeat"
    )
    assert seconds(route["repeat_interval"]) < seconds(route["group_interval"]) <= 60
