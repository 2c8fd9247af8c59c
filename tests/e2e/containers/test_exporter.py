"""The worker's exporter in a container of this machine, beside one without."""

import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from tests.e2e.clone import REPOSITORY, as_ordinary_user, wait_for
from tests.e2e.containers.engine import Engine
from tests.e2e.containers.site import Site
from tests.ports import free_port

COMPOSE = REPOSITORY / ".cache/tools/docker-compose"
# Whose values stay as they are while two exporters are asked one after the other.
STEADY = re.compile(
    r"host_(boot_time_seconds|cpus|info|memory_total_bytes|swap_total_bytes|file_descriptors_max"
    r"|network_(up|speed_bytes_per_second)|filesystem_(size_bytes|files|readonly|error))"
)
SCENARIO = """\
gpus 2 preset=h200
process pid={native} gpu=0 type=compute memory=10GiB sm=30
process pid={contained} gpu=1 type=compute memory=20GiB sm=40
"""

Sample = tuple[str, frozenset[tuple[str, str]]]


class Run(NamedTuple):
    """The container's page, and who is on the GPUs that it stands for."""

    page: Callable[[], dict[Sample, float]]
    container: str


def samples(page: str) -> dict[Sample, float]:
    """The samples of a page by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


@pytest.fixture(scope="module")
def run(
    engine: Engine, site: Site, image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("scenario")
    folder.chmod(0o755)
    sleeper = subprocess.Popen(as_ordinary_user(["sleep", "600"]))
    entry = ("--entrypoint=python3", image, "-c", "import time; time.sleep(600)")
    container = engine.docker("run", "--detach", *entry)
    pid = engine.docker("inspect", "--format={{.State.Pid}}", container)
    (folder / "two.conf").write_text(SCENARIO.format(native=sleeper.pid, contained=pid))
    (folder / "two.conf").chmod(0o644)
    port = free_port()
    overlay = {
        "image": image,
        "entrypoint": ["gpuglass"],
        "environment": {
            "GPUGLASS_SIM_SCENARIO": "/scenario/two.conf",
            "GPUGLASS_PATH_KMSG": "/nonexistent",
        },
        "volumes": [f"{folder}:/scenario:ro"],
    }
    (folder / "overlay.yml").write_text(yaml.safe_dump({"services": {"exporter": overlay}}))

    def compose(*arguments: str) -> None:
        files = (REPOSITORY / "docker-compose.worker.yml", folder / "overlay.yml")
        command = [str(COMPOSE), *(f"--file={file}" for file in files), *arguments]
        settings = {"GPUGLASS_EXPORTER_PORT": str(port)}
        done = subprocess.run(
            command,
            env={**engine.environment, **settings},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def page() -> dict[Sample, float]:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            return samples(answer.read().decode())

    compose("up", "--detach", "--wait", "--no-build")
    yield Run(page, container[:12])
    compose("down")
    engine.docker("rm", "--force", container)
    sleeper.kill()
    sleeper.wait()


def native() -> dict[Sample, float]:
    """What an exporter without a container says."""
    environment = {
        **os.environ,
        "PYTHONPATH": f"{REPOSITORY}/exporter",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "gpuglass", "serve", "--once"],
        cwd="/",
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return samples(done.stdout)


def test_facts_of_the_host_are_those_without_a_container(run: Run) -> None:
    def of_host(found: dict[Sample, float]) -> dict[Sample, float]:
        return {sample: value for sample, value in found.items() if sample[0].startswith("host_")}

    # Machines come and go beside this test, and interfaces with them.
    for _ in range(10):
        outside, inside = of_host(native()), of_host(run.page())
        if inside.keys() == outside.keys():
            break
    named = {name for name, _ in outside}
    assert {"host_filesystem_size_bytes", "host_disk_read_bytes_total"} <= named
    assert {"host_network_receive_bytes_total", "host_cpu_seconds_total"} <= named
    assert inside.keys() == outside.keys()
    steady = [sample for sample in outside if STEADY.fullmatch(sample[0])]
    assert {sample: inside[sample] for sample in steady} == {s: outside[s] for s in steady}


def test_owners_are_known_from_inside(run: Run) -> None:
    def holders() -> dict[str, dict[str, str]]:
        found = run.page()
        labels = [dict(pairs) for name, pairs in found if name == "gpu_owner_memory_used_bytes"]
        return {one["gpu"]: one for one in labels}

    found = wait_for("both owners", lambda: (h := holders()) and len(h) == 2 and h)
    assert found["0"]["user"] == "nobody"
    assert "container" not in found["0"]
    assert found["1"]["container"] == run.container
