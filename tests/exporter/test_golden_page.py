"""One page, compared byte for byte, and held to the formats that it claims."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.core import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from tests.conftest import ROOT
from tests.exporter.conftest import Start
from tests.exporter.process import run

GOLDEN = ROOT / "tests" / "golden" / "page.prom"
HOST = ROOT / "tests" / "fixtures" / "host"

# What differs from run to run and from machine to machine; everything else is decided by the
# scenario and the fixtures.
VOLATILE = re.compile(
    r"^((?:gpuglass_collector_(?:duration|last_success_timestamp)_seconds"
    r"|gpuglass_data_age_seconds|gpu_data_age_seconds"
    r"|gpuglass_process_(?:cpu_seconds_total|resident_memory_bytes))\{.*\}) .*$",
    re.MULTILINE,
)
# The probe may not have been looked at yet when the page is complete.
RACING = re.compile(r'^gpuglass_process_.*process="probe".*\n', re.MULTILINE)
BUILD = re.compile(r'(python_version|version)="[^"]*"')
MACHINE = re.compile(r'machine="[^"]*"')

SCENARIO = """\
driver 580.95.05 cuda=13.0
start 1763700000
freeze 86400.25
gpus 2 preset=h200
gpu 1 preset=rtx4090
load gpu=0 wave min=0.1 max=0.9 period=60 phase=0.25
load gpu=1 constant 0.4
process pid=4242 gpu=0 type=compute memory=10GiB sm=40
"""


def stable(page: str) -> str:
    page = VOLATILE.sub(r"\1 #", RACING.sub("", page))
    page = MACHINE.sub('machine="#"', page)
    return re.sub(
        r"^gpuglass_build_info\{.*$",
        lambda line: BUILD.sub(r'\1="#"', line[0]),
        page,
        flags=re.MULTILINE,
    )


@pytest.fixture(scope="module")
def page(simulator: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    scenario = tmp_path_factory.mktemp("golden") / "scenario.conf"
    scenario.write_text(SCENARIO)
    result = run(
        *("serve", "--once", "--node.name", "golden"),
        *("--probe.interval", "60s", "--probe.slow-interval", "60s"),
        *("--path.procfs", str(HOST / "procfs"), "--path.sysfs", str(HOST / "sysfs")),
        *("--path.rootfs", str(HOST / "rootfs"), "--no-collector.filesystem"),
        "--no-collector.xid",
        driver=simulator,
        scenario=scenario,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_page_is_the_golden_one(page: str, pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("--update-golden"):
        GOLDEN.write_text(stable(page))
    assert stable(page) == GOLDEN.read_text()


def test_promtool_has_nothing_to_say(page: str) -> None:
    promtool = ROOT / ".cache" / "tools" / "promtool"
    result = subprocess.run(
        [promtool, "check", "metrics"], input=page, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


class _Families:
    """A registry's collector that gives back families that were parsed."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def registry_of(families: list[Metric]) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(families))
    return registry


def test_the_page_is_what_prometheus_client_writes(page: str) -> None:
    families = list(parse_text(page))
    assert len(families) > 80
    assert generate_latest(registry_of(families)).decode() == page


def test_openmetrics_is_what_prometheus_client_writes(start: Start) -> None:
    serve = start()
    serve.wait_ready()
    answer = serve.get(Accept="application/openmetrics-text; version=1.0.0")
    families = list(parse_openmetrics(answer.text))
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert {family.name for family in families} >= {"gpu", "gpu_energy_joules", "host_load1"}
    assert openmetrics.generate_latest(registry_of(families)).decode() == answer.text
