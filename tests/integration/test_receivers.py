"""Our base with users' receivers, judged by the real amtool, and taken by the real Alertmanager."""

import logging
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from tests.integration.alerting import SOURCE, ShippedAlertmanager
from tests.integration.stack import copy_base, environment, wait_for
from tests.ports import free_port
from tests.rules.conftest import rules

from gpuglass.catalogue import keeper as catalogue
from gpuglass.keeper import metrics
from gpuglass.keeper.receivers.keeper import ReceiversKeeper

PAGE = "receivers: [{name: page, webhook_configs: [{url: 'http://h/'}]}]\n"
ACTIONS = ("restart-node", "reset-gpu", "plan-reset", "restart-app", "replace", "inspect")


class House:
    """A keeper with a receivers file and the folder that Alertmanager reads."""

    def __init__(self, folder: Path, components: Path, published: Path, url: str) -> None:
        self.file = copy_base(folder / "source")
        self.published = published / "alertmanager.yml"
        self.amtool = str(components / "amtool")
        self.keeper = ReceiversKeeper(self.file, published, self.amtool, url)

    def settle(self) -> None:
        """Two looks: the first sees a change, the second that it has stayed."""
        self.keeper.check()
        self.keeper.check()

    def write(self, text: str) -> None:
        self.file.write_text(text)
        self.settle()

    def metrics(self) -> dict[str, float]:
        page = generate_latest(metrics.registry([self.keeper])).decode()
        return {
            sample.name: sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
        }

    @property
    def is_valid(self) -> bool:
        return self.metrics()[catalogue.RECEIVERS_FILE_VALID.name] == 1

    def receivers_of(self, **labels: str) -> list[str]:
        """Whom what is published would tell of an alert."""
        done = subprocess.run(
            [
                *(self.amtool, "config", "routes", "test", f"--config.file={self.published}"),
                *(f"{name}={value}" for name, value in labels.items()),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip().split(",")


@pytest.fixture
def house(tmp_path: Path, components: Path) -> House:
    """A house without an Alertmanager."""
    return House(tmp_path, components, tmp_path / "published", f"http://127.0.0.1:{free_port()}")


def having(*names: str) -> str:
    """A file with receivers of these names."""
    lines = (f"- {{name: {name}, webhook_configs: [{{url: 'http://h/'}}]}}\n" for name in names)
    return "receivers:\n" + "".join(lines)


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


def test_the_example_is_good(house: House) -> None:
    shutil.copy(SOURCE / "receivers.example.yml", house.file)
    house.keeper.start()
    assert house.is_valid
    assert house.metrics()[catalogue.RECEIVERS.name] == 3
    text = house.published.read_text()
    assert f'"smtp_auth_password_file": "{house.file.parent}/secrets/smtp"' in text


def test_without_a_file_alerts_are_only_shown(house: House) -> None:
    house.keeper.start()
    assert house.is_valid
    assert house.metrics()[catalogue.RECEIVERS.name] == 0
    assert house.receivers_of(severity="critical") == ["nobody"]


def test_what_is_published_is_for_alertmanager_alone(house: House) -> None:
    house.file.write_text(PAGE)
    house.keeper.start()
    assert stat.S_IMODE(house.published.stat().st_mode) == 0o600
    assert [path.name for path in house.published.parent.iterdir()] == ["alertmanager.yml"]


SECRET = "hunter2-verysecret"
# What is wrong with the integrations is told by amtool, of the file that was composed.
BROKEN = {
    "unknown integration": (
        "receivers:\n- name: page\n  slack_config:\n  - channel: x\n",
        '3: unknown key "slack_config"; correct or remove it',
    ),
    "unknown key": (
        "receivers:\n- name: page\n  webhook_configs:\n  - url: http://h/\n    urll: x\n",
        '5: unknown key "urll"; correct or remove it',
    ),
    "key twice": (
        "receivers:\n- name: page\n  webhook_configs:\n  - url: http://h/\n    url: http://h/\n",
        '5: "url" is there twice; keep one',
    ),
    "wrong type": (
        f"receivers:\n- name: page\n  webhook_configs:\n  - send_resolved: {SECRET}\n",
        "4: cannot unmarshal !!str a value into bool",
    ),
    "no address": (
        f"{having('ticket')}- name: page\n  webhook_configs: [{{}}]\n",
        "3: one of url or url_file must be configured",
    ),
    "bad address": (
        f"{having('ticket')}- name: page\n  webhook_configs: [{{url: 'http://h%zz/{SECRET}'}}]\n",
        "3: invalid URL: it cannot be parsed: invalid URL escape",
    ),
    "bad scheme": (
        f"receivers:\n- name: page\n  slack_configs: [{{channel: x, api_url: 'x://{SECRET}'}}]\n",
        '2: unsupported scheme "x" for URL',
    ),
    "no mail server": (
        "receivers:\n- name: page\n  email_configs: [{to: a@b.c}]\n",
        "2: no global SMTP smarthost set",
    ),
    "settings for all": (
        f"global:\n  smtp_smarthost: mail\n  smtp_auth_password: {SECRET}\n{PAGE}",
        "2: address mail: missing port in address",
    ),
    "matchers": (
        f"{PAGE}routes:\n- matchers: ['severity=~(']\n  receiver: page\n",
        "3: error parsing regexp: missing closing )",
    ),
    "time": (
        f"{PAGE}routes:\n- {{receiver: page, active_time_intervals: [night]}}\n",
        '3: undefined time interval "night" used in route',
    ),
    "duration": (
        f"{PAGE}routes:\n- receiver: page\n- receiver: page\n  group_wait: 5 minutes\n",
        '4: unknown unit " minutes" in duration "5 minutes"',
    ),
    "aliases": (
        "receivers: [{name: page, webhook_configs: [&a [1,1,1,1,1,1,1,1,1,1,1,1],"
        + "".join(
            f"&{b} [{','.join([f'*{a}'] * 12)}]," for a, b in zip("abcd", "bcde", strict=True)
        )
        + "]}]\n",
        "1: its aliases make it too large; write it out",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_told_once_and_changes_nothing(
    case: str, house: House, caplog: pytest.LogCaptureFixture
) -> None:
    text, expected = BROKEN[case]
    house.file.write_text(PAGE)
    house.keeper.start()
    before = house.published.read_bytes()
    house.write(text)
    house.settle()
    assert not house.is_valid
    assert house.published.read_bytes() == before
    assert house.metrics()[catalogue.RECEIVERS.name] == 1
    told = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    told = [line for line in told if "receivers.yml" in line]
    assert len(told) == 1, told
    assert told[0].startswith(f"{house.file}:{expected}")
    assert told[0].endswith("; the last good version stays")
    # The program itself quotes the first seven characters of a value.
    assert SECRET[:7] not in caplog.text
    house.write(PAGE)
    assert house.is_valid


def test_a_file_that_was_never_good_leaves_alerts_to_be_seen(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.file.write_text("receivers: [{name: page}]\n")
    house.keeper.start()
    assert not house.is_valid
    assert house.receivers_of(severity="critical") == ["nobody"]
    assert "nowhere to send to" in caplog.text
    assert "until then nobody is told of alerts" in caplog.text


def test_a_change_counts_when_it_has_stayed(house: House) -> None:
    house.file.write_text(PAGE)
    house.keeper.start()
    house.file.write_text(having("ticket"))
    house.keeper.check()
    assert house.receivers_of(severity="critical") == ["page"]
    house.keeper.check()
    assert house.receivers_of(severity="critical") == ["ticket"]


def test_a_removed_file_takes_its_receivers_along(house: House) -> None:
    house.file.write_text(PAGE)
    house.keeper.start()
    house.file.unlink()
    house.settle()
    assert house.receivers_of(severity="critical") == ["nobody"]


def test_templates_are_checked_and_watched(house: House, caplog: pytest.LogCaptureFixture) -> None:
    own = house.file.with_name("own.tmpl")
    own.write_text('{{ define "own" }}{{ .Status }}{{ end }}')
    house.file.write_text(PAGE + "templates: ['*.tmpl']\n")
    house.keeper.start()
    assert house.is_valid
    own.write_text('{{ define "own" }}{{ .Status | nonsense }}{{ end }}')
    house.settle()
    assert not house.is_valid
    assert f'{house.file}:2: template: own.tmpl:1: function "nonsense" not defined' in caplog.text


def test_without_amtool_nothing_is_published(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(tmp_path, tmp_path / "nowhere", tmp_path / "published", "http://127.0.0.1:9")
    house.keeper.start()
    house.keeper.check()
    assert not house.published.exists()
    assert house.metrics()[f"{catalogue.RECEIVERS_ERRORS.name}"] == 2
    assert caplog.text.count("cannot be run (No such file or directory); it comes with") == 1


def test_our_base_has_to_be_whole(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.keeper.start()
    base = house.file.with_name("base.yml")
    base.write_text(base.read_text().replace("group_wait: 5s", "group_waits: 5s"))
    house.settle()
    assert re.search(r'base\.yml:\d+: unknown key "group_waits"', caplog.text)
    base.unlink()
    house.settle()
    assert "base.yml: No such file or directory; it belongs beside" in caplog.text
    assert house.receivers_of(severity="critical") == ["nobody"]


def run_check(*arguments: str, path: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "gpuglass", "alertmanager", "check", *arguments],
        env=environment(PATH=path),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout


def test_the_command_says_what_the_keeper_would(house: House, components: Path) -> None:
    path, file = f"{components}:/usr/bin", str(house.file)
    house.file.write_text(PAGE)
    assert run_check(file, path=path) == (0, f"{file}: ok, page\n")
    text, expected = BROKEN["unknown key"]
    house.file.write_text(text)
    assert run_check(file, path=path) == (2, f"{file}:{expected}\n")
    house.file.unlink()
    code, output = run_check(file, path=path)
    assert (code, "there is no such file" in output) == (2, True)


@pytest.fixture(scope="module")
def alertmanager(
    tmp_path_factory: pytest.TempPathFactory, components: Path
) -> Iterator[tuple[ShippedAlertmanager, House]]:
    """A real one, with a keeper that sees to it."""
    folder = tmp_path_factory.mktemp("alertmanager")
    running = ShippedAlertmanager(components, folder)
    house = House(folder, components, running.published, running.base)
    house.file.write_text(PAGE)
    house.keeper.start()
    try:
        running.start()
        yield running, house
    finally:
        running.stop()


def test_alertmanager_takes_what_is_published(
    alertmanager: tuple[ShippedAlertmanager, House], caplog: pytest.LogCaptureFixture
) -> None:
    running, house = alertmanager
    house.keeper.check()
    assert house.metrics()[catalogue.RECEIVERS_TAKEN.name] == 1
    house.write(having("page", "ticket"))
    assert "ticket" in running.running
    assert house.metrics()[catalogue.RECEIVERS.name] == 2


def test_what_alertmanager_refuses_is_taken_back(
    alertmanager: tuple[ShippedAlertmanager, House], caplog: pytest.LogCaptureFixture
) -> None:
    running, house = alertmanager
    house.write(having("page", "ticket"))
    content = house.published.read_bytes()
    # The checker does not look for this file.
    house.write(
        "receivers:\n- name: page\n  webhook_configs:\n"
        "  - {url: 'https://h/', http_config: {tls_config: {ca_file: no.pem}}}\n"
    )
    assert not house.is_valid
    assert f"{house.file}: Alertmanager refuses it: failed to reload config: " in caplog.text
    assert f"open {house.file.parent}/no.pem: no such file" in caplog.text
    # It would not start with the refused one.
    assert house.published.read_bytes() == content
    running.stop()
    running.start()
    assert "ticket" in running.running
    values = house.metrics()
    assert (values[catalogue.RECEIVERS.name], values[catalogue.RECEIVERS_TAKEN.name]) == (2, 1)
    house.write(PAGE)
    assert house.is_valid
    assert "ticket" not in running.running


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
