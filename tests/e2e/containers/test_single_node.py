"""A single node on a machine of its own, from the previous commit on to its removal."""

import json
from collections.abc import Iterator

import pytest
from tests.e2e.clone import wait_for
from tests.e2e.containers.node import WHOLE, Node
from tests.e2e.containers.site import Site, host_services
from tests.integration.inbox import Inbox

# Those of tiers and of workers that push are in profiles, which nobody asks for here.
SERVICES = {
    "exporter",
    *(name for name, service in host_services().items() if "profiles" not in service),
} - {"volumes"}
RECEIVERS = """\
receivers:
  - name: page
    webhook_configs:
      - url: {url}/page
"""
RULES = """\
groups:
  - name: lab
    interval: 5s
    rules:
      - alert: LabGPUIsThere
        expr: gpu_up == 1
        labels: {severity: critical, component: usage, action: none}
        annotations: {summary: It is}
"""

STRANGER = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1])"


@pytest.fixture
def inbox(site: Site) -> Iterator[Inbox]:
    opened = Inbox(site.gateway)
    yield opened
    opened.close()


def test_shows_the_demo_s_gpus(node: Node) -> None:
    assert node.first_install.count("NVIDIA H200") == 8


def test_an_upgrade_keeps_the_data(upgraded: Node) -> None:
    states = upgraded.states()
    assert states.pop("volumes").split() == ["exited"]
    assert states == dict.fromkeys(SERVICES, "running healthy")
    assert upgraded.first_sample() == upgraded.began
    assert upgraded.machine.gpuglass("status").count("NVIDIA H200") == 8


def test_every_program_is_scraped(upgraded: Node) -> None:
    def down() -> list[str] | None:
        found = upgraded.machine.query("up")
        jobs = {series["metric"]["job"] for series in found}
        ours = {"gpu", "keeper", "victoriametrics", "vmagent", "vmalert", "alertmanager"}
        return [] if ours <= jobs and all(s["value"][1] == "1" for s in found) else None

    wait_for("all programs", lambda: down() is not None)


def test_the_doctor_looks_over_the_containers_and_the_machine(upgraded: Node) -> None:
    def look() -> dict[str, str]:
        command = (upgraded.machine.command, "doctor", "--json")
        told = json.loads(upgraded.machine.try_run(*command)[1])
        return {check["id"]: check["status"] for check in told["checks"]}

    def well() -> dict[str, str] | None:
        found = look()
        failed = {id for id, status in found.items() if status == "failed"}
        evaluated = found["rules"] == found["test-alert"] == "ok"
        # The stand-in for Grafana has no dashboards.
        return found if evaluated and failed == {"grafana"} else None

    found = wait_for("all is well", well, 240)
    for id in ("nvml", "exporter", "ports", "exposure", "targets", "series", "node-clocks"):
        assert found[id] == "ok", id
    for id in ("passwords", "rules", "test-alert", "disk"):
        assert found[id] == "ok", id
    assert "ok, 1 target" in upgraded.machine.gpuglass("targets", "check")


def test_only_who_knows_the_password_gets_in(upgraded: Node) -> None:
    machine = upgraded.machine
    password = machine.gpuglass("password").strip()
    for port, path in ((8428, "/api/v1/query?query=up"), (8429, "/"), (8880, "/"), (9093, "/")):
        url = f"http://127.0.0.1:{port}{path}"
        assert "HTTP Error 401" in machine.try_run("python3", "-c", STRANGER, url)[1]
        assert machine.ask(url) is not None
    volume = "/var/lib/docker/volumes/gpuglass_access/_data"
    assert machine.run("stat", "-c", "%u %a", f"{volume}/password") == "9400 600\n"
    assert password not in machine.run("ps", "-eww", "-o", "args")


def test_an_alert_reaches_a_webhook(upgraded: Node, inbox: Inbox) -> None:
    folder = "victoriametrics"
    upgraded.machine.write(f"{folder}/alertmanager/receivers.yml", RECEIVERS.format(url=inbox.url))
    upgraded.machine.write(f"{folder}/rules/custom/lab.yml", RULES)
    upgraded.machine.gpuglass("alertmanager", "check")
    upgraded.machine.gpuglass("rules", "check")
    wait_for("the alert", lambda: inbox.with_alert("/page", "LabGPUIsThere"), 120)
    upgraded.machine.run(
        "rm", f"{folder}/alertmanager/receivers.yml", f"{folder}/rules/custom/lab.yml"
    )


def test_a_stop_keeps_the_data(upgraded: Node) -> None:
    upgraded.machine.gpuglass("backup", "backups", "--keep", "3")
    restore = (upgraded.machine.command, "restore", "--replace", "backups")
    assert "./setup.sh --stop first" in upgraded.machine.try_run(*restore)[1]
    upgraded.machine.setup("--stop")
    assert {state.split()[0] for state in upgraded.states().values()} == {"exited"}
    stopped = upgraded.machine.try_run("./setup.sh", "--status")
    assert (stopped[0], "not running" in stopped[1]) == (1, True)
    # What is put back is what goes on.
    upgraded.machine.gpuglass("backup", "--check", "backups")
    upgraded.machine.run(*restore)
    upgraded.machine.run("rm", "-r", "backups")
    upgraded.machine.setup(*WHOLE)
    assert upgraded.first_sample() == upgraded.began
    assert upgraded.machine.setup("--status").count("NVIDIA H200") == 8


def test_removal_keeps_the_data_and_then_nothing(upgraded: Node) -> None:
    upgraded.machine.setup("--uninstall")
    after = upgraded.state()
    assert after["volumes"] > upgraded.bare["volumes"]
    assert {**after, "volumes": set()} == {**upgraded.bare, "volumes": set()}
    upgraded.machine.setup(*WHOLE)
    assert upgraded.first_sample() == upgraded.began
    upgraded.machine.setup("--uninstall", "--purge")
    assert upgraded.state() == upgraded.bare
    found = upgraded.machine.run("find", "-type", "f", "-printf", "%P\\n").splitlines()
    assert set(found) == set(upgraded.machine.files)
