"""Faults in the stand-in driver become messages of the real vmalert, by way of the real storage.

Only what fires at once: to wait for the rest is the task of the tests of the rules.
"""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.conftest import ROOT
from tests.integration.stack import Program, Stack, environment, get, wait_for
from tests.ports import free_port
from tests.rules.test_names import OTHERS

SCENARIO = """\
start {start}
gpus 3 preset=h200
at 10s every 10s xid code=119 gpu=0
at 20s xid code=13 gpu=0
at 10s every 10s xid code=63 gpu=1
at 1s ecc uncorrected=2 location=dram gpu=1
at 1s remap uncorrected=1 failure=1 gpu=1
at 1s recovery action=gpu_reset gpu=2
at 1s repair memory=1 gpu=2
process pid=4194400 gpu=0 memory=10GiB
"""
EXPECTED = {
    ("GPUXidResetGPU", "0"),
    ("GPUXidPlanReset", "1"),
    ("GPUEccUncorrectable", "1"),
    ("GPURowRemapFailure", "1"),
    ("GPUResetNeeded", "2"),
    ("GPUMemoryUnrepairable", "2"),
}

Alerts = dict[tuple[str, str], dict[str, Any]]


class Told(NamedTuple):
    """What fires of GPUs, by alert and GPU, and what the programs tell of themselves."""

    alerts: Alerts
    pages: str


@pytest.fixture(scope="module")
def told(
    tmp_path_factory: pytest.TempPathFactory, components: Path, simulator: Path
) -> Iterator[Told]:
    stack = Stack(tmp_path_factory.mktemp("stack"), components)
    url = f"http://127.0.0.1:{free_port()}"
    vmalert = Program(
        [
            str(components / "vmalert"),
            f"-httpListenAddr={url.removeprefix('http://')}",
            f"-rule={ROOT}/victoriametrics/rules/alerts/*.yml",
            f"-rule={ROOT}/victoriametrics/rules/records/*.yml",
            f"-remoteWrite.url={stack.url}",
            f"-datasource.url={stack.url}",
            "-notifier.blackhole",
            "-external.url=http://grafana.example.org/d",
            "-group.maxStartDelay=1s",
        ],
        stack.folder / "vmalert.log",
        f"{url}/health",
        environment(),
    )
    try:
        scenario = SCENARIO.format(start=int(time.time()))
        address = stack.exporter("sick", scenario, simulator, "--path.kmsg", "/nonexistent")
        stack.write_targets("fleet.yml", ("sick", address))
        stack.start()
        vmalert.start()

        def firing() -> Alerts:
            found = json.loads(get(f"{url}/api/v1/alerts"))["data"]["alerts"]
            return {
                (alert["name"], alert["labels"]["gpu"]): alert
                for alert in found
                if alert["state"] == "firing" and "gpu" in alert["labels"]
            }

        wait_for("all faults are told", lambda: not EXPECTED - set(firing()), seconds=150)
        pages = [get(f"{base}/metrics") for base in (stack.url, stack.vmagent_url, url)]
        yield Told(firing(), "\n".join(pages))
    finally:
        vmalert.stop()
        stack.stop()


def test_no_fault_is_told_that_is_none(told: Told) -> None:
    assert set(told.alerts) == EXPECTED


def test_messages_say_where_who_and_what_to_do(told: Told) -> None:
    message = told.alerts["GPUXidResetGPU", "0"]
    assert message["labels"]["node"] == "sick"
    assert message["labels"]["severity"] == "critical"
    annotations = message["annotations"]
    assert annotations["summary"] == "sick GPU 0: XID 119"
    assert annotations["owner"].split() == ["unattributed"]
    assert "(GSP) did not answer the driver in time." in annotations["description"]
    assert annotations["description"].endswith("Drain the GPU and reset it.")
    assert annotations["runbook_url"] == "docs/runbooks/xid-119.md"
    assert annotations["dashboard_url"] == (
        "http://grafana.example.org/d/gpu-node?var-node=sick&var-gpu=0"
    )


def test_programs_tell_what_the_rules_ask_them(told: Told) -> None:
    # Only with an Alertmanager.
    for metric in OTHERS.keys() - {"vmalert_alerts_send_errors_total"}:
        if metric.startswith("vm"):
            assert re.search(rf"^{metric}[ {{]", told.pages, re.MULTILINE), metric


def test_runbooks_of_messages_exist(told: Told) -> None:
    for alert in told.alerts.values():
        assert (ROOT / alert["annotations"]["runbook_url"]).exists()
