"""The Compose files: valid, closed by default, and with the flags of the native way."""

import os
import pty
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.e2e.clone import REPOSITORY, Clone, give_away, pins

from gpuglass import __version__
from gpuglass.cli import alerts, maintenance, rollups, status
from gpuglass.cli.settings import environment_name, settings_of

COMPOSE = REPOSITORY / ".cache" / "tools" / "docker-compose"
HOST, WORKER = "docker-compose.host.yml", "docker-compose.worker.yml"
TIERS = ("victoria-metrics-1m", "victoria-metrics-1h")
OTHERS = ("victoria-metrics", *TIERS, "vmagent", "vmalert", "alertmanager", "grafana")
# For workers that push: the host's door, and the overlay of such a worker.
DOOR, PUSHES = "vmauth", "deploy/docker/push.yml"
# What runs as root, for a moment; and what bounds its memory itself.
PREPARES, UNLIMITED = "volumes", "victoriametrics/victoria-metrics:"
# On the loopback, unless a setting says otherwise.
CLOSED = re.compile(r"(127\.0\.0\.1|\$\{GPUGLASS_(BIND|LISTEN_\w+):-127\.0\.0\.1\}):")
OVERLAYS = ("deploy/docker/gpu.yml", "deploy/docker/demo.yml")


def services(*files: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for file in files:
        found.update(yaml.safe_load((REPOSITORY / file).read_text())["services"])
    return found


def native_flags(program: str) -> set[str]:
    text = (REPOSITORY / f"deploy/native/programs/{program}.conf").read_text()
    return set(re.findall(r'^\s+"?(--?[A-Za-z][\w.-]*=[^"\n]*)"?$', text, re.MULTILINE))


def names(words: Iterable[str]) -> list[str]:
    return sorted(word.partition("=")[0] for word in words)


@pytest.mark.parametrize(
    ("file", "program"),
    [*((HOST, each) for each in (*OTHERS, "keeper", DOOR)), (PUSHES, "vmagent")],
)
def test_same_flags_as_without_containers(file: str, program: str) -> None:
    native = native_flags(program if file == HOST else f"{program}-push")
    inside = [word for word in services(file)[program]["command"] if word.startswith("-")]
    assert names(inside) == names(native)
    plain = {word for word in native if "@" not in word}
    assert plain <= set(inside)


def test_vmagent_is_started_by_the_script() -> None:
    vmagent = services(HOST)["vmagent"]
    assert "./victoriametrics:/etc/gpuglass/victoriametrics:ro" in vmagent["volumes"]
    shell, script, program = vmagent["entrypoint"]
    assert (shell, program) == ("/bin/sh", "/vmagent-prod")
    assert (REPOSITORY / script.removeprefix("/etc/gpuglass/")).is_file()
    (folder,) = (word for word in vmagent["command"] if "tmpDataPath" in word)
    assert f"vmagent:{folder.partition('=')[2]}" in vmagent["volumes"]


def test_versions_are_in_one_place() -> None:
    files = [REPOSITORY / file for file in (HOST, WORKER, PUSHES, *OVERLAYS, "exporter/Dockerfile")]
    pinned = pins()
    for file in files:
        text = file.read_text()
        assert not [value for value in pinned.values() if value in text], file
        for name in re.findall(r"\$\{GPUGLASS_(\w*VERSION|PYTHON_IMAGE)\b", text):
            assert f"GPUGLASS_{name}" in pinned, file
    images = [each["image"] for each in services(HOST).values()]
    images += [services(file)["exporter"]["image"] for file in (WORKER, "deploy/docker/demo.yml")]
    images.append(services(PUSHES)["vmagent"]["image"])
    assert all(re.search(r":\$\{GPUGLASS_\w*VERSION:\?", image) for image in images)
    assert pinned["GPUGLASS_VERSION"] == __version__


def test_checksums_are_of_the_pinned_versions() -> None:
    checksums = (REPOSITORY / "deploy/native/checksums.txt").read_text()
    for name, archive in (
        ("VM", r"(?:victoria-metrics|vmutils)-linux-\w+-v([\d.]+)\.tar\.gz"),
        ("ALERTMANAGER", r"alertmanager-([\d.]+)\.linux-\w+\.tar\.gz"),
        ("GRAFANA", r"grafana_([\d.]+)_\d+_linux_\w+\.tar\.gz"),
    ):
        found = re.findall(archive, checksums)
        assert set(found) == {pins()[f"GPUGLASS_{name}_VERSION"].removeprefix("v")}


def test_the_ca_s_key_is_the_keeper_s_alone() -> None:
    holders = {
        name
        for name, service in services(HOST, WORKER).items()
        if any(str(volume).startswith("tls-ca:") for volume in service.get("volumes", ()))
    }
    assert holders == {"keeper", PREPARES}


def test_volumes_become_the_user_s_that_all_run_as() -> None:
    found = services(HOST)
    given = {volume.partition(":")[0] for volume in found[PREPARES]["volumes"]}
    assert given == set(yaml.safe_load((REPOSITORY / HOST).read_text())["volumes"])
    users = {service.pop("user") for name, service in found.items() if name != PREPARES}
    assert users == {"9400:9400"}


def test_tiers_and_door_are_profiles() -> None:
    found = services(HOST)
    profiles = {
        name: service["profiles"] for name, service in found.items() if "profiles" in service
    }
    assert profiles == {**{name: ["tiered"] for name in TIERS}, DOOR: ["push"]}


@pytest.mark.parametrize(
    ("name", "service"),
    [*services(HOST, WORKER).items(), ("vmagent", services(PUSHES)["vmagent"])],
)
def test_each_service_is_closed_and_watched(name: str, service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["init"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["pids_limit"] <= 512
    assert "mem_limit" in service or service["image"].startswith(UNLIMITED)
    if name == PREPARES:
        assert service["network_mode"] == "none"
        assert service["cap_add"] == ["CHOWN", "SETGID", "SETUID"]
        return
    assert "cap_add" not in service
    assert "127.0.0.1" in " ".join(service["healthcheck"]["test"])
    if name == DOOR:
        outside = ["${GPUGLASS_VMAUTH_PORT:-8427}:8427"]
        inside = ["127.0.0.1:${GPUGLASS_VMAUTH_METRICS_PORT:-8426}:8426"]
        assert service["ports"] == outside + inside
    else:
        assert all(CLOSED.match(port) for port in service.get("ports", []))
    assert not any("docker.sock" in volume for volume in service.get("volumes", []))
    assert "ulimits" not in service
    if service.get("network_mode") == "host":
        listening = [word for word in service["command"] if "isten" in word]
        assert len(listening) == 1
        assert CLOSED.match(listening[0].partition("=")[2]), name


def compose(files: Iterable[str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [str(COMPOSE), "--project-directory", str(REPOSITORY)]
    for file in files:
        command += ["-f", str(REPOSITORY / file)]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "files",
    [(HOST,), (WORKER,), (HOST, WORKER), (WORKER, PUSHES), *((HOST, WORKER, o) for o in OVERLAYS)],
)
def test_compose_accepts(files: tuple[str, ...]) -> None:
    for profiles in ([], ["--profile", "tiered", "--profile", "push"]):
        done = compose(files, *profiles, "config", "-q")
        assert (done.returncode, done.stderr) == (0, "")


def test_commands_in_the_keeper_s_container_ask_the_right_programs() -> None:
    told = yaml.safe_load((REPOSITORY / HOST).read_text())["services"]["keeper"]["environment"]
    groups = (
        *alerts.command.commands.values(),
        *maintenance.command.commands.values(),
        *rollups.command.commands.values(),
    )
    asked = {
        environment_name(setting)
        for command in (status.command, *groups)
        for setting in settings_of(command)
        if setting.endswith("url")
    }
    assert len(asked) == 4
    assert asked <= told.keys()


class YesDocker:
    """A Docker that says yes to all, and notes what it is told."""

    def __init__(self, clone: Clone) -> None:
        volumes = " ".join(yaml.safe_load((REPOSITORY / HOST).read_text())["volumes"])
        tools, self._log = clone.home / "tools", clone.home / "log"
        self.containers = clone.home / "containers"
        self.containers.touch()
        tools.mkdir()
        (tools / "docker").write_text(
            '#!/bin/sh\n[ "$*" != "compose version --short" ] || echo 2.30.0\n'
            f'echo "$*: [$COMPOSE_PROFILES] $GPUGLASS_RETENTION" >>"{self._log}"\n'
            f'[ "$1" != ps ] || cat "{self.containers}"\n'
            'case "$*" in *"ps --quiet --status running" | *"images --quiet "*) echo id ;; esac\n'
            f'[ "$1 $2" != "volume ls" ] || printf "gpuglass_%s\\n" {volumes}\n'
        )
        (tools / "docker").chmod(0o755)
        give_away(clone.home)
        self.path = {"PATH": f"{tools}:{os.environ['PATH']}"}

    def told(self) -> str:
        """What it was told since it was asked last."""
        told = self._log.read_text()
        self._log.unlink()
        return told


def test_a_later_install_keeps_the_storage_of_the_volumes(clone: Clone) -> None:
    docker = YesDocker(clone)

    def install(*arguments: str, **settings: str) -> tuple[str, str]:
        code, output = clone.setup(*arguments, env={**docker.path, **settings})
        assert code == 0, output
        told = docker.told()
        (up,) = (line for line in told.splitlines() if " up " in line)
        return up.rpartition(": ")[2], told

    assert install("--host", "--docker")[0] == "[tiered] 7d"
    retention, told = install("--host", GPUGLASS_STORAGE="single")
    assert retention == "[] 400d"
    assert "rm --stop --force victoria-metrics-1m victoria-metrics-1h" in told
    code, output = clone.setup("--uninstall", env=docker.path)
    assert (code, "The data stay in Docker's volumes" in output) == (0, True)
    docker.told()
    assert install("--host")[0] == "[] 400d"
    assert clone.setup("--uninstall", "--purge", env=docker.path)[0] == 0
    assert not clone.prefix.exists()
    docker.told()
    assert install("--host")[0] == "[tiered] 7d"


def test_a_second_install_is_refused(clone: Clone) -> None:
    docker = YesDocker(clone)
    docker.containers.write_text("/srv/other clone\n/srv/other clone\n")
    told = clone.fails("--host", "--docker", env=docker.path)
    assert "with Docker already, from /srv/other clone: one install" in told
    assert " up " not in docker.told()
    assert not clone.prefix.exists()
    docker.containers.write_text("")
    assert clone.setup("--host", "--docker", env=docker.path)[0] == 0
    # Its own containers are no second install.
    docker.containers.write_text(f"{clone.folder}\n")
    assert clone.setup("--host", env=docker.path)[0] == 0


def test_a_host_needs_no_nodes(clone: Clone) -> None:
    docker = YesDocker(clone)
    code, output = clone.setup("--host", "--docker", env=docker.path)
    assert (code, "Nobody is told of alerts yet" in output) == (0, True)
    # Which fails where no node is scraped.
    assert "gpuglass status" not in docker.told()


def test_what_is_not_well_is_told(clone: Clone) -> None:
    docker = YesDocker(clone)
    assert clone.setup("--worker", "--docker", env=docker.path)[0] == 0
    docker.containers.write_text(
        "volumes: Exited (0) 2 minutes ago\nexporter: Up 2 days (healthy)\n"
    )
    code, output = clone.setup("--status", env=docker.path)
    assert (code, "The exporter answers." in output) == (0, True)
    for state in (
        "Up 2 days (unhealthy)",
        "Up 3 seconds (health: starting)",
        "Exited (1) 5 days ago",
    ):
        docker.containers.write_text(f"exporter: {state}\nother: Restarting (1) 4 seconds ago\n")
        code, output = clone.setup("--status", env=docker.path)
        assert code == 1
        assert f"Not well: exporter: {state}, other: Restarting (1) 4 seconds ago; see " in output
        assert "The exporter answers." not in output


def test_the_firewall_that_is_named_is_one_that_works(tmp_path: Path) -> None:
    (tmp_path / "ufw").touch(0o755)
    for enabled, rule in (("yes", "ufw allow "), ("no", "iptables -I INPUT ")):
        (tmp_path / "ufw.conf").write_text(f"# settings\nENABLED={enabled}\n")
        script = ". deploy/native/worker.sh; firewall_rule 9400"
        done = subprocess.run(
            ["/bin/bash", "-c", f"ufw_settings={tmp_path}/ufw.conf; {script}"],
            cwd=REPOSITORY,
            env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.startswith(rule)


@pytest.mark.parametrize(("role", "terminal"), [("--single-node", False), ("--worker", True)])
def test_the_command_runs_in_the_containers(clone: Clone, role: str, terminal: bool) -> None:
    docker = YesDocker(clone)
    code, output = clone.setup(role, "--docker", env=docker.path)
    assert code == 0, output
    command = clone.prefix / "bin/gpuglass"
    assert (f"Command:   {command} --help" in output) == (role != "--worker")
    docker.told()

    def run(*arguments: str) -> str:
        controller, device = pty.openpty()
        try:
            done = subprocess.run(
                [command, *arguments],
                stdin=device if terminal else subprocess.DEVNULL,
                stdout=device,
                env={**os.environ, **docker.path, "GPUGLASS_AUTHOR": "eve"},
                check=False,
            )
        finally:
            os.close(device)
            os.close(controller)
        assert done.returncode == 0
        *_, last = docker.told().splitlines()
        return last.partition(": [")[0]

    service = "exporter" if role == "--worker" else "keeper"
    exec_ = "compose -p gpuglass exec" + ("" if terminal else " -T") + " -e GPUGLASS_AUTHOR=eve"
    assert run("alerts", "list") == f"{exec_} {service} gpuglass alerts list"
    assert run("release", "--end") == f"{exec_} exporter gpuglass release --end"
    if role != "--worker":
        files, inside = clone.folder / "victoriametrics", "/etc/gpuglass/victoriametrics"
        owner = files.stat()
        assert " --user 9400:9400 " in run("targets", "check")
        started = run("targets", "add", "n1:9400", "--label", "a=b")
        assert started.startswith("run --rm --interactive --init --network host --pid host ")
        assert f" --user {owner.st_uid}:{owner.st_gid} " in started
        for mount in (f"{files},dst={inside},readonly", f"{files}/targets,dst={inside}/targets"):
            assert f" --mount type=bind,src={mount} " in started
        assert started.endswith(" targets add n1:9400 --label a=b")
    examined = run("doctor", "--json")
    assert examined.startswith("run --rm ") and " --pid host " in examined
    assert f" --env GPUGLASS_ROLE={role.removeprefix('--')} " in examined
    assert examined.endswith(" doctor --json")
    assert clone.setup("--uninstall", env=docker.path)[0] == 0
    assert not command.exists()


def test_backups_see_every_volume_whose_content_is_not_made_anew(clone: Clone) -> None:
    docker = YesDocker(clone)
    assert clone.setup("--single-node", "--docker", env=docker.path)[0] == 0
    docker.told()
    folder = clone.home / "a disk"

    def run(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [clone.prefix / "bin/gpuglass", *arguments],
            cwd=clone.home,
            env={**os.environ, **docker.path},
            capture_output=True,
            text=True,
            check=False,
        )
        *_, last = docker.told().splitlines()
        return done.returncode, done.stderr or last.partition(": [")[0]

    assert run("restore", "a disk") == (1, "gpuglass: error: a disk: no such folder\n")
    code, started = run("backup", "--keep", "3", "a disk")
    assert (code, folder.is_dir()) == (0, True)
    assert started.endswith(f" --entrypoint gpuglass id backup --keep 3 {folder}")
    assert f" --mount type=bind,src={folder},dst={folder} " in started
    volumes = yaml.safe_load((REPOSITORY / HOST).read_text())["volumes"].keys()
    seen = set(re.findall(r" type=volume,src=gpuglass_(\S+),dst=/data/\1 ", started))
    assert seen == volumes - {"vmagent", "targets", "rules"}
    assert " --env GPUGLASS_VICTORIAMETRICS_URL " in started
    assert run("restore", "--replace", "a disk")[1].endswith(f" restore --replace {folder}")
    folder.rmdir()


def test_commands_in_the_keeper_s_container_find_files_as_in_the_clone() -> None:
    keeper = services(HOST)["keeper"]
    assert f"./victoriametrics:{keeper['working_dir']}/victoriametrics:ro" in keeper["volumes"]


def who_may_ask(config: dict[str, Any]) -> set[str]:
    """The users that the programs know; nobody is asked by one that knows the empty one."""
    words = [word for service in config["services"].values() for word in service["command"] or ()]
    users = {w.partition("=")[2] for w in words if w.startswith("-httpAuth.username=")}
    (file,) = (w.partition("=")[2] for w in words if w.startswith("--web.config.file="))
    assert bool(file) == (users != {""})
    return users


def test_setup_hands_its_settings_over(tmp_path: Path) -> None:
    """By a Compose that only shows what it would start."""
    docker = tmp_path / "docker"
    docker.write_text(f'#!/bin/sh\nshift\nexec "{COMPOSE}" "$@"\n')
    docker.chmod(0o755)
    script = f"""
        set -euo pipefail
        source_dir={REPOSITORY} role=host demo=no prefix={tmp_path} insecure=no
        usage_error() {{ echo "$*" >&2; exit 2; }}
        for part in native/{{settings,programs,push}} docker/docker access; do
            . deploy/$part.sh
        done
        grafana=yes
        load_settings /nonexistent
        compose config
        echo ---
        insecure=yes compose config
        echo ---
        venv=''
        render deploy/native/programs/vmalert.conf | sed -n 's/^ *"\\(-external.*\\)"$/- \\1/p'
    """
    settings = {"STORAGE": "tiered", "RETENTION_RAW": "9d", "COST_PUE": "1.4", "VMALERT_PORT": "88"}
    settings |= {"GRAFANA_PORT": "3003", "OPEN": "grafana,vmagent"}
    settings |= {"PUSH": "yes", "NODE_NAME": "mon"}
    settings["DASHBOARD_URL"] = "https://boards.example.org/gpus/"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=REPOSITORY,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}
        | {f"GPUGLASS_{name}": value for name, value in settings.items()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    config, insecure, native = yaml.safe_load_all(done.stdout)
    made = config["services"]
    assert {*OTHERS, "keeper", PREPARES, DOOR} == set(made)
    assert "-retentionPeriod=9d" in made["victoria-metrics"]["command"]
    assert "-memory.allowedPercent=15" in made["victoria-metrics"]["command"]
    assert who_may_ask(config) == {"gpuglass"}
    assert who_may_ask(insecure) == {""}
    addresses = {n: p.get("host_ip") for n, s in made.items() for p in s.get("ports", [])}
    assert addresses.pop("grafana") == "0.0.0.0"
    assert set(addresses.values()) == {"127.0.0.1"}
    assert "-httpListenAddr=0.0.0.0:8429" in made["vmagent"]["command"]
    links = [word for word in made["vmalert"]["command"] if "external" in word]
    assert links == [
        "-external.url=https://boards.example.org/gpus/d",
        "-external.alert.source=gpu-fleet",
    ]
    assert native == links
    group = str((REPOSITORY / "victoriametrics/alertmanager").stat().st_gid or 9400)
    assert made["keeper"]["group_add"] == made["alertmanager"]["group_add"] == [group]
    told = made["keeper"]["environment"]
    assert told["GPUGLASS_ROLLUP_MINUTE_URL"] == "http://victoria-metrics-1m:8428"
    assert told["GPUGLASS_ROLLUP_HOUR_URL"] == "http://victoria-metrics-1h:8428"
    assert told["GPUGLASS_ROLLUP_LOOK_BACK"] == "8d"
    assert told["GPUGLASS_COST_PUE"] == "1.4"
    assert told["GPUGLASS_PUSH_URL"] == "https://mon:8427"
    scraped = made["vmagent"]["environment"]
    assert scraped["GPUGLASS_VICTORIAMETRICS_1H_ADDRESS"] == "127.0.0.1:8448"
    assert scraped["GPUGLASS_VMALERT_ADDRESS"] == "127.0.0.1:88"
    assert scraped["GPUGLASS_GRAFANA_ADDRESS"] == "127.0.0.1:3003"
    assert scraped["GPUGLASS_VMAUTH_ADDRESS"] == "127.0.0.1:8426"
    shown = made["grafana"]["environment"]
    assert shown["GPUGLASS_VICTORIAMETRICS_1M_URL"] == "http://victoria-metrics-1m:8428"
    assert shown["GPUGLASS_VICTORIAMETRICS_1H_URL"] == "http://victoria-metrics-1h:8428"
    assert shown["GPUGLASS_VICTORIAMETRICS_URL"] == "http://victoria-metrics:8428"


def test_compose_1_is_told_apart(clone: Clone) -> None:
    docker = YesDocker(clone)
    tools = Path(docker.path["PATH"].partition(":")[0])
    (tools / "docker").write_text('#!/bin/sh\n[ "$1" != compose ]\n')
    missing = "--docker: Docker's compose plugin, version 2 or newer, is missing"
    assert clone.fails("--host", "--docker", env=docker.path).endswith(missing)
    (tools / "docker-compose").symlink_to("docker")
    told = clone.fails("--host", "--docker", env=docker.path)
    assert told.endswith(f"{missing}; docker-compose is version 1, which will not do")


def test_images_are_built_but_those_of_a_release(clone: Clone) -> None:
    docker = YesDocker(clone)
    version = clone.folder / "exporter/gpuglass/__init__.py"

    def up(*arguments: str) -> str:
        code, output = clone.setup("--host", *arguments, env=docker.path)
        assert code == 0, output
        (line,) = (line for line in docker.told().splitlines() if " up " in line)
        return line

    assert " --build" in up("--docker")
    version.write_text(version.read_text().replace(".dev0", ""))
    assert " --build" not in up()
    assert " --build" in up("--build")
    clone.fails("--host", "--build", "--no-docker", code=2)
