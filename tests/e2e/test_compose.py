"""The Compose files: valid, closed by default, and with the flags of the native way."""

import re
import subprocess
from typing import Any

import pytest
import yaml
from tests.e2e.clone import REPOSITORY

HOST, WORKER = "docker-compose.host.yml", "docker-compose.worker.yml"
OVERLAYS = ("deploy/docker/gpu.yml", "deploy/docker/demo.yml")


def services(*files: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for file in files:
        found.update(yaml.safe_load((REPOSITORY / file).read_text())["services"])
    return found


def native_flags(program: str) -> dict[str, str]:
    text = (REPOSITORY / f"deploy/native/programs/{program}.conf").read_text()
    return dict(re.findall(r'^\s+"?(-[A-Za-z][\w.]*)=([^"\n]*)"?$', text, re.MULTILINE))


@pytest.mark.parametrize("program", ["victoria-metrics", "vmagent"])
def test_same_flags_as_without_containers(program: str) -> None:
    native = native_flags(program)
    inside = dict(word.split("=", 1) for word in services(HOST)[program]["command"])
    assert inside.keys() == native.keys()
    plain = {flag for flag, value in native.items() if "@" not in value}
    assert plain
    assert {flag: inside[flag] for flag in plain} == {flag: native[flag] for flag in plain}


def test_vmagent_is_started_by_the_script() -> None:
    vmagent = services(HOST)["vmagent"]
    assert "./victoriametrics:/etc/gpuglass/victoriametrics:ro" in vmagent["volumes"]
    shell, script, program = vmagent["entrypoint"]
    assert (shell, program) == ("/bin/sh", "/vmagent-prod")
    assert (REPOSITORY / script.removeprefix("/etc/gpuglass/")).is_file()
    (folder,) = (word for word in vmagent["command"] if "tmpDataPath" in word)
    assert f"vmagent:{folder.partition('=')[2]}" in vmagent["volumes"]


def test_release_is_the_pinned_one() -> None:
    pinned = re.search(
        r"-(v\d+\.\d+\.\d+)\.tar\.gz", (REPOSITORY / "deploy/native/checksums.txt").read_text()
    )
    images = {service["image"] for name, service in services(HOST).items() if name != "keeper"}
    assert pinned
    assert all(image.endswith(f":${{GPUGLASS_VM_VERSION:-{pinned[1]}}}") for image in images)


@pytest.mark.parametrize(("name", "service"), services(HOST, WORKER).items())
def test_each_service_is_closed_and_watched(name: str, service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["init"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "127.0.0.1" in " ".join(service["healthcheck"]["test"])
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert not any("docker.sock" in volume for volume in service.get("volumes", []))
    assert "ulimits" not in service
    if service.get("network_mode") == "host":
        listening = [word for word in service["command"] if "isten" in word]
        assert len(listening) == 1
        assert re.search(r"=(127\.0\.0\.1|\$\{GPUGLASS_BIND:-127\.0\.0\.1\}):", listening[0]), name


@pytest.mark.parametrize(
    "files", [(HOST,), (WORKER,), (HOST, WORKER), *((HOST, WORKER, o) for o in OVERLAYS)]
)
def test_compose_accepts(files: tuple[str, ...]) -> None:
    compose = REPOSITORY / ".cache" / "tools" / "docker-compose"
    command = [str(compose), "--project-directory", str(REPOSITORY)]
    for file in files:
        command += ["-f", str(REPOSITORY / file)]
    done = subprocess.run([*command, "config", "-q"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
