"""`gpuglass keeper` and `gpuglass targets check` as processes."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[3]
GPUGLASS = (sys.executable, "-m", "gpuglass")
GOOD = "- targets: [n1:9400]\n"


def environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GPUGLASS_")}
    return {**kept, "PYTHONPATH": str(ROOT / "exporter")}


def run(*arguments: str, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*GPUGLASS, *arguments],
        env=environment(),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def keeper_arguments(folder: Path, address: str) -> tuple[str, ...]:
    return (
        *("keeper", "--targets.dir", str(folder / "targets")),
        *("--targets.published-dir", str(folder / "published")),
        *("--web.listen-address", address),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets/a.yml").write_text(GOOD)
    return tmp_path


def test_it_serves_its_metrics_and_ends_when_told(folder: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    keeper = subprocess.Popen(
        [*GPUGLASS, *keeper_arguments(folder, address), "--targets.check-interval", "60s"],
        env={**environment(), "GPUGLASS_COST_KWH_PRICE": "0.31", "GPUGLASS_COST_CURRENCY": "eur"},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        page = ""
        deadline = time.monotonic() + 20
        while not page and time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as answer:
                    page = answer.read().decode()
            except OSError:
                time.sleep(0.05)
        assert 'gpuglass_keeper_targets{file="a.yml"} 1.0' in page
        assert 'gpuglass_cost_kwh_price{currency="EUR"} 0.31' in page
        assert "process_cpu_seconds_total" in page
        asked = time.monotonic()
        keeper.send_signal(signal.SIGTERM)
        _, log = keeper.communicate(timeout=10)
        assert time.monotonic() - asked < 3
    finally:
        keeper.kill()
    assert keeper.returncode == 0
    assert 'level=info msg="' in log
    assert "1 target published" in log
    assert "Traceback" not in log


def test_a_busy_port(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run(*keeper_arguments(folder, address))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"gpuglass: error: cannot listen on {address} (Address already in use); "
        "is another keeper running? See --web.listen-address"
    )


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    done = run(*keeper_arguments(tmp_path, "127.0.0.1:1"))
    assert done.returncode == 2
    assert done.stderr == (
        f"gpuglass: error: {tmp_path}/targets: No such file or directory; "
        "see --targets.dir and --targets.published-dir\n"
    )


def test_a_published_folder_that_cannot_be_written(folder: Path) -> None:
    (folder / "published").write_text("in the way")
    done = run(*keeper_arguments(folder, "127.0.0.1:1"))
    assert done.returncode == 2
    assert done.stderr == (
        f"gpuglass: error: {folder}/published: File exists; "
        "see --targets.dir and --targets.published-dir\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--targets.published-dir", "targets"), "is --targets.dir; name another folder"),
        (("--web.listen-address", "9401"), "'9401' has no port"),
        (("--web.listen-address", "[::x]:9401"), "not an IPv6 address"),
        (("--targets.check-interval", "2"), "no duration"),
        (("--log.level", "loud"), "--log.level"),
        (("--target.dir", "x"), "No such option"),
        (("--cost.kwh-price", "0.3"), "--cost.kwh-price needs --cost.currency, such as EUR"),
        (("--alert.memory-ratio", "95"), "95 is not between 0 and 1"),
    ],
)
def test_wrong_settings(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    done = run(
        *("keeper", "--targets.dir", "targets", "--targets.published-dir", "published"),
        *arguments,
        cwd=folder,
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert message in done.stderr


def test_check_says_what_is_wrong_and_what_is_right(folder: Path) -> None:
    (folder / "targets/b.yml").write_text("- targets: [N1:9400, n2]\n  lables: {}\n")
    (folder / "targets/c.yml").write_text("# c\n- targets: [N1:9400]\n")
    done = run("targets", "check", "targets", "--no-ask", cwd=folder)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines() == [
        "targets/a.yml: ok, 1 target",
        'targets/b.yml:2: unknown key "lables"; did you mean "labels"?',
        'targets/b.yml:1: target "n2" has no port; write host:port, such as node1:9400',
        "targets/c.yml:2: N1:9400 is already a target at targets/a.yml:1; keep it in one file",
    ]


def test_check_of_good_files(folder: Path) -> None:
    done = run("targets", "check", "targets/a.yml", "--no-ask", cwd=folder)
    assert (done.returncode, done.stdout) == (0, "targets/a.yml: ok, 1 target\n")


def test_check_of_a_file_that_is_not_there(folder: Path) -> None:
    done = run("targets", "check", "targets/x.yml", cwd=folder)
    assert done.returncode == 2
    assert done.stderr == "gpuglass: error: targets/x.yml: No such file or directory\n"
