"""A monitoring host and a GPU node, each a machine of its own, out of a release's images."""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest
from tests.e2e.clone import wait_for
from tests.e2e.containers.conftest import RELEASE
from tests.e2e.containers.site import Machine, Site

MINUTES = 8438
HOUR = 3600.0


class Pair(NamedTuple):
    """The two, what each said at its installation, and where the node's exporter is."""

    host: Machine
    worker: Machine
    said: dict[str, str]
    target: str


@pytest.fixture(scope="module")
def pair(site: Site, release: bytes) -> Pair:
    host, worker = site.machine("monitor"), site.machine("gpu01")
    for machine in (host, worker):
        machine.put_clone(release)
    # What tests wait for comes sooner.
    host.write("gpuglass.env", "GPUGLASS_SCRAPE_INTERVAL=1s\nGPUGLASS_PUSH=yes\n")
    with ThreadPoolExecutor(2) as pool:
        there = pool.submit(worker.setup, "--worker", "--demo")
        said = {"--host": host.setup("--host"), "--worker": there.result()}
    return Pair(host, worker, said, f"{worker.address}:9400")


def test_images_are_pulled(pair: Pair) -> None:
    for machine, names in ((pair.worker, ["demo"]), (pair.host, ["keeper"])):
        for name in names:
            form = "{{json .RepoDigests}}"
            image = f"gpuglass/{name}:{RELEASE}"
            pulled = machine.run("docker", "image", "inspect", "--format", form, image)
            assert f"gpuglass/{name}@sha256:" in pulled


def test_a_worker_says_what_to_add(pair: Pair) -> None:
    said = pair.said["--worker"]
    assert f'- targets: ["{pair.target}"]\n  labels: {{node: "gpu01"}}' in said


def test_a_node_is_added_by_file(pair: Pair) -> None:
    lines = pair.said["--worker"].partition("- targets")
    pair.host.write("victoriametrics/targets/nodes.yml", "".join(lines[1:]))
    gpus = 'count(gpu_up{node="gpu01"} == 1)'
    wait_for("the node's GPUs", lambda: pair.host.value(gpus) == 8, 90)
    assert "gpu01" in pair.host.gpuglass("status")


def test_a_broken_file_takes_no_node_away(pair: Pair) -> None:
    pair.host.write("victoriametrics/targets/nodes.yml", "- targets: [gpu01:9400")
    invalid = "gpuglass_keeper_targets_file_valid == 0"
    wait_for("the complaint", lambda: pair.host.query(invalid), 60)
    assert pair.host.value('up{job="gpu"}') == 1
    code, output = pair.host.try_run(pair.host.command, "targets", "check")
    assert (code, "nodes.yml:" in output) == (1, True)
    pair.host.run("rm", "victoriametrics/targets/nodes.yml")


def test_a_node_is_added_and_removed_by_command(pair: Pair) -> None:
    pair.host.gpuglass(
        "targets", "add", pair.target, "--label", "node=gpu01", "--label", "cluster=a"
    )
    gpus = 'count(gpu_up{cluster="a"} == 1)'
    wait_for("the node's GPUs", lambda: pair.host.value(gpus) == 8, 90)
    # Which asks the exporter.
    assert "ok, 1 target" in pair.host.gpuglass("targets", "check")
    pair.host.gpuglass("targets", "remove", pair.target)
    wait_for("the end of the node", lambda: not pair.host.query('up{job="gpu"}'), 90)


def test_tiers_are_filled_by_the_keeper(pair: Pair) -> None:
    """By samples of hours ago, for those of now are rolled up after minutes."""
    end = time.time() // HOUR * HOUR - HOUR
    # By `up` the keeper sees that there was a scrape.
    series = (
        'gpu_utilization_ratio{node="before",gpu="0",uuid="GPU-1"} 0.25',
        'up{node="before"} 1',
    )
    lines = [
        f"{one} {at * 1000}" for at in range(int(end - 2 * HOUR), int(end), 15) for one in series
    ]
    pair.host.send("http://127.0.0.1:8428/api/v1/import/prometheus", "\n".join(lines))
    pair.host.run("docker", "compose", "-p", "gpuglass", "restart", "keeper")
    peak = f'max_over_time(gpu_utilization_ratio:max{{node="before"}}[1h] @ {end:.0f})'
    wait_for("minutes", lambda: pair.host.value(peak, MINUTES) == 0.25, 120)


def test_what_is_mounted_later_is_seen(pair: Pair) -> None:
    pair.worker.run("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", "/mnt")
    page = f"http://{pair.target}/metrics"
    size = re.compile(r'host_filesystem_size_bytes{.*mountpoint="/mnt".*} 8\.388608e\+06')
    wait_for("the file system", lambda: size.search(pair.worker.ask(page) or ""), 60)


def test_a_node_is_enrolled_by_what_its_host_prints(pair: Pair) -> None:
    pair.worker.run("mknod", "/dev/nvidia0", "c", "195", "0")
    there, _, here = pair.host.gpuglass("enrol", pair.worker.address).partition("\n# Then, here:\n")
    pair.worker.run("bash", "-c", there)
    assert pair.worker.ask(f"http://{pair.target}/metrics") is None
    added = pair.host.run(pair.host.command, *here.split()[1:])
    assert added.endswith(": 1 target added\nwhether they answer: gpuglass targets check\n")
    # It is asked over TLS, with the password.
    code, said = pair.host.try_run(pair.host.command, "targets", "check")
    assert (code, f"{pair.target} calls itself " in said) == (1, True)
    wait_for("the node", lambda: pair.host.value('up{job="gpu"}') == 1, 90)
    # Whose page asks for a password tells the doctor through its socket.
    assert " answers as " in pair.worker.gpuglass("doctor", "exporter")


def test_an_exporter_gets_the_gpus(pair: Pair) -> None:
    """By an engine that knows the NVIDIA runtime, though that gives nothing here."""
    container = pair.worker.run("docker", "compose", "-p", "gpuglass", "ps", "--quiet").strip()
    form = "{{.Config.Image}} {{json .HostConfig.DeviceRequests}}"
    found = pair.worker.run("docker", "inspect", f"--format={form}", container)
    image, _, requests = found.partition(" ")
    assert image == f"gpuglass/exporter:{RELEASE}"
    (request,) = json.loads(requests)
    assert (request["Driver"], request["Count"]) == ("nvidia", -1)
    assert request["Capabilities"] == [["utility"]]


def test_a_node_that_goes_back_to_plain_http_keeps_no_key(pair: Pair) -> None:
    file = "/var/lib/docker/volumes/gpuglass_web/_data/web.yml"
    pair.worker.run("test", "-s", file)
    pair.worker.setup("--worker", "--tls", "none")
    assert pair.worker.try_run("test", "-e", file)[0] == 1
    assert pair.worker.ask(f"http://{pair.target}/-/healthy")


def test_a_node_pushes_what_its_host_cannot_scrape(pair: Pair) -> None:
    door = f"https://{pair.host.address}:8427"
    lines = pair.host.gpuglass("workers", "add", "pod-1", "--label", "cluster=rented").splitlines()
    (command,) = (line for line in lines if line.startswith("./setup.sh"))
    given = "\n".join(lines[lines.index(command) + 1 : lines.index("END")])
    pair.worker.write("given.yml", given)
    joined = pair.worker.setup("--worker", "--demo", "--push", door, "--credentials", "given.yml")
    assert f"{door} takes what pod-1 pushes" in joined
    # It listens to nobody else any more.
    assert pair.host.ask(f"http://{pair.target}/metrics") is None
    pushed = 'count(gpu_up{node="pod-1",cluster="rented"} == 1)'
    wait_for("the pod's GPUs", lambda: pair.host.value(pushed) == 8, 90)
    doctor = pair.worker.gpuglass("doctor", "push")
    assert doctor.startswith("ok       push"), doctor


def test_a_revoked_node_is_told_so(pair: Pair) -> None:
    pair.host.gpuglass("workers", "revoke", "pod-1")
    refused = "does not know the token of pod-1: it is wrong or was revoked"

    def told() -> bool:
        code, output = pair.worker.try_run(pair.worker.command, "push", "check")
        return code == 1 and refused in output

    wait_for("the refusal", told, 60)


def test_removal_leaves_nothing_on_a_worker(pair: Pair) -> None:
    pair.worker.setup("--uninstall", "--purge")
    for kind in ("container", "volume", "image"):
        assert (
            pair.worker.run("docker", kind, "ls", "-q", *(["-a"] if kind == "container" else []))
            == ""
        )
