"""A bundle of images, on a machine that no network reaches."""

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from tests.e2e.clone import REPOSITORY, wait_for
from tests.e2e.containers.engine import Engine
from tests.e2e.containers.node import WHOLE
from tests.e2e.containers.site import NETWORK, Machine, Site

COMPOSE = REPOSITORY / ".cache/tools/docker-compose"


@pytest.fixture(scope="module")
def archive(site: Site, release: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make bundle` writes for a release, with the engine of a machine."""
    folder = tmp_path_factory.mktemp("bundle")
    (folder / "cli-plugins").mkdir()
    (folder / "cli-plugins/docker-compose").symlink_to(COMPOSE)
    clone = folder / "clone"
    clone.mkdir()
    with tarfile.open(fileobj=io.BytesIO(release)) as tar:
        tar.extractall(clone)
    for command in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["git", *command], cwd=clone, check=True)
    machine = site.machine("bundler")
    process = site.engine.docker("inspect", "--format={{.State.Pid}}", machine.name)
    settings = {
        "DOCKER_HOST": f"unix:///proc/{process}/root/run/docker.sock",
        "DOCKER_CONFIG": str(folder),
        "SOURCE_DATE_EPOCH": "1700000000",
    }
    subprocess.run(
        [sys.executable, "-m", "deploy.bundle", "--docker", f"--out={folder}"],
        cwd=clone,
        env={**site.engine.environment, **settings, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
    )
    (made,) = folder.glob("*-docker.tar.gz")
    return made


@pytest.fixture(scope="module")
def closed(engine: Engine, site: Site, archive: Path) -> Machine:
    """A machine with the unpacked bundle, and no network."""
    machine = site.machine("closed")
    machine.put_file(archive, "/opt/bundle.tar.gz")
    engine.docker("network", "disconnect", NETWORK, machine.name)
    machine.run("tar", "-xzf", "/opt/bundle.tar.gz", "-C", "/opt")
    machine.run("rm", "/opt/bundle.tar.gz")
    machine.enter()
    return machine


def test_a_single_node(closed: Machine) -> None:
    assert closed.setup("--offline", *WHOLE).count("NVIDIA H200") == 8
    wait_for("eight GPUs", lambda: closed.value("count(gpu_up == 1)") == 8)


def test_a_host_and_a_worker(closed: Machine) -> None:
    assert "VictoriaMetrics answers." in closed.setup("--offline", "--host")
    assert "The exporter answers." in closed.setup("--offline", "--worker")
    assert "gpuglass-exporter-1" in closed.run("docker", "ps", "--format={{.Names}}")


def test_an_image_that_the_bundle_lacks(closed: Machine) -> None:
    code, output = closed.try_run(
        *("env", "GPUGLASS_VM_VERSION=v0.0.1", "./setup.sh", "--offline", "--host")
    )
    assert code == 1
    assert output.splitlines()[-1].startswith(
        "setup.sh: error: --offline: the bundle has no image victoriametrics/"
    )
