"""The units that setup.sh writes: the supervisor's commands, and what systemd says of them."""

import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from tests.conftest import ROOT

PROGRAMS = (
    "victoria-metrics",
    "keeper",
    "alertmanager",
    "vmalert",
    "vmagent",
    "exporter",
    "grafana",
)
SCRIPT = """
prefix={prefix} venv={prefix}/venvs/one role=single-node grafana=yes web=none runner=systemd
setting[GPUGLASS_STORAGE]=tiered setting[GPUGLASS_DASHBOARD_URL]=https://boards.example.org/gpus
supervisor_configuration >{prefix}/supervisord.conf
write_units {prefix}/units
"""


def setup_parts() -> str:
    """What setup.sh begins with: its parts and its variables, without its acts."""
    text = (ROOT / "setup.sh").read_text().partition("usage() {")[0]
    return text.replace("${BASH_SOURCE[0]}", str(ROOT / "setup.sh"))


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prefix with units and the supervisor's configuration, and programs that do nothing."""
    made = tmp_path_factory.mktemp("a prefix")
    for folder in ("bin", "units", "venvs/one/bin", "data"):
        (made / folder).mkdir(parents=True)
    for name in ("victoria-metrics", "alertmanager", "vmalert", "vmagent", "amtool", "grafana"):
        shutil.copy("/bin/true", made / "bin" / name)
    shutil.copy("/bin/true", made / "venvs/one/bin/gpuglass")
    (made / "venvs/one/bin/python").symlink_to(shutil.which("python3") or "")
    script = setup_parts() + SCRIPT.format(prefix=shlex.quote(str(made)))
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return made


def words_of(unit: str, key: str) -> list[list[str]]:
    """The words of each line of a unit that sets ``key``."""
    lines = unit.replace("\\\n", " ").splitlines()
    return [shlex.split(line.partition("=")[2]) for line in lines if line.startswith(f"{key}=")]


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_unit_runs_what_the_supervisor_runs(prefix: Path, program: str) -> None:
    supervisor = configparser.RawConfigParser()
    supervisor.read_string((prefix / "supervisord.conf").read_text())
    section = supervisor[f"program:{program}"]
    unit = (prefix / f"units/gpuglass-{program}.service").read_text()
    (command,) = words_of(unit, "ExecStart")
    assert [command[0].removeprefix(":"), *command[1:]] == shlex.split(section["command"])
    pairs = {pair for (pair,) in words_of(unit, "Environment") if "GPUGLASS_PATH_" not in pair}
    given = re.findall(r'^(\w+)="(.*?)",?$', section["environment"], re.MULTILINE)
    assert pairs == {f"{name}={value}" for name, value in given}
    assert f"TimeoutStopSec={section['stopwaitsecs']}s" in unit
    assert not re.search(r"@[A-Z_]+@", unit)


def test_systemd_takes_the_units(prefix: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd-analyze here; make e2e asks one in a container")
    units = sorted(str(path) for path in (prefix / "units").iterdir())
    assert len(units) == len(PROGRAMS) + 2 + 3
    check = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *units]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_limits_of_memory_are_those_of_the_containers() -> None:
    """Where those have one: what bounds itself has none in either."""
    services = {
        **yaml.safe_load((ROOT / "docker-compose.host.yml").read_text())["services"],
        **yaml.safe_load((ROOT / "docker-compose.worker.yml").read_text())["services"],
    }
    script = f'. "{ROOT}/deploy/systemd/systemd.sh"; for p in "$@"; do memory_limit "$p"; done'
    command = ["bash", "-c", script, "bash", *PROGRAMS, "vmauth"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    wanted = [services[program].get("mem_limit", "infinity").upper() for program in command[4:]]
    assert [limit.upper() for limit in said] == wanted
