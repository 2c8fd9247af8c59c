"""What setup.sh says when it cannot, and that it leaves nothing behind."""

import fcntl
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.clone import Clone, give_away, is_root, wait_for

SINGLE = ("--single-node", "--no-docker")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--singlenode"], "unknown option '--singlenode'"),
        (["--host", "--worker"], "--host and --worker exclude each other"),
        (["--single-node", "--stop"], "--single-node and --stop exclude each other"),
        (["--status", "--stop"], "--status and --stop exclude each other"),
        (
            ["--single-node", "--docker", "--no-docker"],
            "--docker and --no-docker exclude each other",
        ),
        (["--single-node", "--purge"], "--purge goes with --uninstall only"),
        (["--single-node", "--tls", "-"], "--tls goes with --worker only"),
        (["--worker", "--insecure"], "--insecure goes with --single-node and --host only"),
        (["--host", "--insecure", "--secure"], "--insecure and --secure exclude each other"),
        (["--worker", "--tls"], "--tls needs a file, - or none"),
        (["--worker", "--tls", "/nonexistent"], "--tls: /nonexistent cannot be read"),
        (["--worker", "--tls", "-"], "--tls: nothing came; give what gpuglass enrol printed"),
        (["--host", "--demo"], "--demo needs an exporter"),
        (["--stop", "--demo"], "--stop takes neither --demo"),
        (["--single-node", "--prefix"], "--prefix needs a folder"),
        (["--single-node", "--prefix", "/tmp/a;b"], "characters that do not survive"),
        (["--single-node", "--prefix", "/tmp/100%"], "characters that do not survive"),
        (["--single-node", "--prefix", "/tmp/a,b"], "characters that do not survive"),
        (["--single-node", "--prefix", "/tmp/" + "a" * 80], "too long"),
    ],
)
def test_arguments(clone: Clone, arguments: list[str], complaint: str) -> None:
    assert complaint in clone.fails(*arguments, code=2)


def test_no_arguments_shows_usage(clone: Clone) -> None:
    code, output = clone.setup()
    assert code == 2
    assert output.startswith("usage: ./setup.sh")
    assert clone.setup("--help")[0] == 0


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("GPUGLASS_EXPORTER_PORT=9400\nnonsense\n", "gpuglass.env:2: 'nonsense' is not KEY=VALUE"),
        ("\n# ports\nGPUGLASS_PORT=1\n", "gpuglass.env:3: unknown setting 'GPUGLASS_PORT'"),
        ("GPUGLASS_OPEN=grafana,x", "GPUGLASS_OPEN: 'grafana,x' is not a list of grafana, "),
        (
            "GPUGLASS_OPEN=keeper",
            "gpuglass.env:1: GPUGLASS_OPEN: keeper asks nobody for a password",
        ),
        ("GPUGLASS_RETENTION=forever", "gpuglass.env:1: GPUGLASS_RETENTION: 'forever' is not days"),
        (
            "GPUGLASS_RETENTION=1d\nGPUGLASS_RETENTION=2d",
            "gpuglass.env:2: GPUGLASS_RETENTION is set twice",
        ),
        ("GPUGLASS_SCRAPE_INTERVAL=61s", "'61s' is not whole seconds from 1s to 60s"),
        ("GPUGLASS_SCRAPE_INTERVAL=0s", "'0s' is not whole seconds"),
        ("GPUGLASS_KEEPER_PORT=65536", "'65536' is not a port"),
        ("GPUGLASS_NODE_NAME='$(reboot)'", "'$(reboot)' is not a name"),
        ('GPUGLASS_VM_VERSION="latest"', "'latest' is not a version"),
        (
            "GPUGLASS_RETENTION_1H=101y",
            "'101y' is not days, weeks or years such as 400d, up to 100y",
        ),
        ("GPUGLASS_DASHBOARD_URL=grafana:3000", "'grafana:3000' is not an address such as https:"),
        ("GPUGLASS_STORAGE=three", "'three' is not single or tiered"),
        ("GPUGLASS_COST_KWH_PRICE=-0.3", "GPUGLASS_COST_KWH_PRICE: '-0.3' is not a number from 0"),
        ("GPUGLASS_COST_KWH_PRICE=0.3", "GPUGLASS_COST_KWH_PRICE needs GPUGLASS_COST_CURRENCY"),
        ("GPUGLASS_COST_CURRENCY=euros", "'euros' is not a currency of three letters"),
        ("GPUGLASS_COST_PUE=0.9", "'0.9' is not a number from 1 to 10"),
        ("GPUGLASS_ALERT_MEMORY_RATIO=90", "'90' is not a number from 0 to 1"),
    ],
)
def test_settings_file(clone: Clone, text: str, complaint: str) -> None:
    (clone.folder / "gpuglass.env").write_text(text)
    assert complaint in clone.fails(*SINGLE, code=2)


def test_environment_settings(clone: Clone) -> None:
    line = clone.fails(*SINGLE, env={"GPUGLASS_EXPORTER_PORT": "http"}, code=2)
    assert "environment: GPUGLASS_EXPORTER_PORT: 'http' is not a port" in line
    same = {"GPUGLASS_EXPORTER_PORT": "9000", "GPUGLASS_VMAGENT_PORT": "9000"}
    assert "are both 9000" in clone.fails(*SINGLE, env=same, code=2)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"RETENTION_RAW": "6d"}, "GPUGLASS_RETENTION_RAW is 6d; at least 7d are needed"),
        ({"RETENTION": "90d"}, "environment: GPUGLASS_RETENTION is for single storage"),
        ({"RETENTION_1M": "7d"}, "no longer than GPUGLASS_RETENTION_RAW, 7d"),
        ({"RETENTION_1H": "4w"}, "no longer than GPUGLASS_RETENTION_1M, 30d"),
        ({"VMALERT_PORT": "8438"}, "are both 8438"),
    ],
)
def test_tiers_that_cannot_be(clone: Clone, settings: dict[str, str], complaint: str) -> None:
    given = {"GPUGLASS_STORAGE": "tiered", "GPUGLASS_VICTORIAMETRICS_1M_PORT": "8438"}
    given |= {f"GPUGLASS_{name}": value for name, value in settings.items()}
    assert complaint in clone.fails(*SINGLE, env=given, code=2)
    assert not clone.prefix.exists()


@pytest.mark.parametrize(
    ("role", "settings", "complaint"),
    [
        ("--single-node", {"RETENTION": "3d"}, "GPUGLASS_RETENTION is 3d; at least 7d are needed"),
        (
            "--single-node",
            {"RETENTION_1H": "2y"},
            "GPUGLASS_RETENTION_1H: it is for tiered storage",
        ),
        ("--worker", {"STORAGE": "tiered"}, "GPUGLASS_STORAGE: a worker has neither storage nor"),
        ("--worker", {"RETENTION": "90d"}, "GPUGLASS_RETENTION: a worker"),
        ("--worker", {"COST_PUE": "1.2"}, "GPUGLASS_COST_PUE: a worker"),
        ("--worker", {"ALERT_MEMORY_RATIO": "0.9"}, "set it on the monitoring host"),
    ],
)
def test_settings_that_would_change_nothing(
    clone: Clone, role: str, settings: dict[str, str], complaint: str
) -> None:
    given = {f"GPUGLASS_{name}": value for name, value in settings.items()}
    assert complaint in clone.fails(role, "--no-docker", env=given, code=2)
    assert not clone.prefix.exists()


def test_busy_port(clone: Clone) -> None:
    with socket.create_server(("127.0.0.1", clone.ports["victoria-metrics"])):
        line = clone.fails(*SINGLE)
    assert f"port {clone.ports['victoria-metrics']} is in use by " in line
    assert "GPUGLASS_VICTORIAMETRICS_PORT" in line
    assert not clone.prefix.exists()


def test_prefix_that_cannot_be_written(clone: Clone) -> None:
    line = clone.fails(*SINGLE, "--prefix", "/proc/gpuglass")
    assert "/proc/gpuglass cannot be made" in line


def test_prefix_that_holds_something_else(clone: Clone) -> None:
    taken = clone.home / "mine"
    (taken / "bin").mkdir(parents=True)
    give_away(clone.home)
    assert "not an install of gpuglass" in clone.fails(*SINGLE, "--prefix", str(taken))
    code, output = clone.setup("--uninstall", "--purge", "--prefix", str(taken))
    assert (code, "Nothing is installed" in output) == (0, True)
    assert (taken / "bin").exists()


def test_two_at_once(clone: Clone) -> None:
    clone.prefix.mkdir()
    (clone.prefix / ".gpuglass-install").touch()
    with (clone.prefix / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("4711")
        lock.flush()
        give_away(clone.prefix)
        assert "another setup.sh (process 4711) is at work" in clone.fails(*SINGLE)


def test_no_python(clone: Clone) -> None:
    line = clone.fails(*SINGLE, env={"GPUGLASS_PYTHON": "no-such-python"})
    assert "no python3 here" in line
    old = clone.home / "old-python"
    old.write_text('#!/bin/sh\n[ "$1" = -V ] && echo Python 3.7.3 || exit 1\n')
    old.chmod(0o755)
    line = clone.fails(*SINGLE, env={"GPUGLASS_PYTHON": str(old)})
    assert "Python 3.10 or newer is needed, Python 3.7.3 is what is here" in line


def test_no_network(clone: Clone) -> None:
    empty = clone.home / "empty"
    empty.mkdir()
    give_away(clone.home)
    offline = {
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_FIND_LINKS": str(empty),
        "PIP_CACHE_DIR": str(empty),
        "PIP_RETRIES": "1",
    }
    line = clone.fails(*SINGLE, env=offline)
    assert "the supervisor could not be installed: the network cannot be reached" in line
    assert Path(line.rpartition("the whole story: ")[2]).read_text()
    assert not clone.prefix.exists()


@pytest.fixture
def small_disk(clone: Clone) -> Iterator[Path]:
    """Room enough for the check up front, but so few inodes that it fills up on the way."""
    folder = clone.home / "disk"
    folder.mkdir()
    mounted = (
        is_root()
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=600m,nr_inodes=120,mode=777", "tmpfs", folder],
            capture_output=True,
            check=False,
        ).returncode
    )
    if not mounted:
        pytest.skip("a small file system takes the right to mount one")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_disk_fills_up(clone: Clone, small_disk: Path) -> None:
    line = clone.fails(*SINGLE, "--prefix", str(small_disk / "install"))
    assert "the disk is full" in line
    assert list(small_disk.iterdir()) == []


def test_too_little_room(clone: Clone) -> None:
    # Stands in for df, so that this needs no disk of its own.
    tools = clone.home / "tools"
    tools.mkdir()
    (tools / "df").write_text("#!/bin/sh\necho header\necho disk 900000 890000 10240 99% /\n")
    (tools / "df").chmod(0o755)
    give_away(clone.home)
    line = clone.fails(*SINGLE, env={"PATH": f"{tools}:{os.environ['PATH']}"})
    assert "has 10 MB free, 500 MB are needed" in line
    assert not clone.prefix.exists()


def test_interrupted_run_leaves_nothing(clone: Clone) -> None:
    process = clone.start("--worker", "--no-docker")
    wait_for("a half-made environment", lambda: list(clone.prefix.glob("venvs/*/bin")), 60)
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert not clone.prefix.exists()
    assert not list(clone.home.glob("gpuglass-*"))


def test_run_after_one_that_was_killed_completes(clone: Clone) -> None:
    killed = clone.start("--worker", "--no-docker")
    wait_for("a half-made environment", lambda: list(clone.prefix.glob("venvs/*/bin")), 60)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not list(clone.prefix.glob("venvs/gpuglass-*/.complete"))
    (clone.prefix / "simulator-0.part").mkdir()
    give_away(clone.prefix)

    code, output = clone.setup("--worker", "--no-docker")
    assert code == 0, output
    assert "The exporter answers." in output
    assert list(clone.pids()) == ["exporter"]
    assert not list(clone.prefix.glob("*.part"))
    assert all((venv / ".complete").exists() for venv in clone.prefix.glob("venvs/*"))
    code, output = clone.setup("--uninstall")
    assert code == 0, output
    assert not clone.prefix.exists()
