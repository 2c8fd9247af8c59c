"""What vmagent.sh does to vmagent's queues on disk before it starts vmagent."""

import fcntl
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "victoriametrics/vmagent.sh"
FIRST, SECOND = "0000000000000000", "0000000020000080"
SHELLS = [("sh",), ("dash",), ("bash", "--posix"), ("busybox", "sh")]


@pytest.fixture(params=SHELLS, ids=" ".join)
def shell(request: pytest.FixtureRequest) -> tuple[str, ...]:
    command: tuple[str, ...] = request.param
    if not shutil.which(command[0]):
        pytest.skip(f"no {command[0]} here")
    return command


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "a folder" / "$data [1]*"


def make_queue(
    data: Path, end: int, files: dict[str, int], name: str = "1_8224D4332C88D6AB"
) -> Path:
    queue = data / "persistent-queue" / name
    queue.mkdir(parents=True)
    (queue / "flock.lock").touch()
    metainfo = {"Name": '1:secret-url {"WriterOffset":1}', "ReaderOffset": 0, "WriterOffset": end}
    (queue / "metainfo.json").write_text(json.dumps(metainfo, separators=(",", ":")))
    for file, size in files.items():
        (queue / file).write_bytes(os.urandom(size))
    return queue


def start(shell: tuple[str, ...], data: Path, flag: str = "-remoteWrite.tmpDataPath") -> str:
    """Start a stand-in that prints its arguments; what the script said."""
    arguments = ["-a=b c", f"{flag}={data}", "-z="]
    done = subprocess.run(
        [*shell, str(SCRIPT), "printf", r"%s\n", *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == arguments
    return done.stderr


def contents(queue: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in queue.iterdir() if file.is_file()}


@pytest.mark.parametrize("flag", ["-remoteWrite.tmpDataPath", "--remoteWrite.tmpDataPath"])
def test_tail_is_cut(shell: tuple[str, ...], data: Path, flag: str) -> None:
    queue = make_queue(data, 100, {FIRST: 137})
    before = contents(queue)
    said = start(shell, data, flag)
    assert said.startswith(f"vmagent.sh: {queue / FIRST}: cut 37 bytes ")
    assert said.count("\n") == 1
    assert contents(queue) == {**before, FIRST: before[FIRST][:100]}
    assert start(shell, data, flag) == ""


def test_end_is_counted_from_the_start_of_its_file(shell: tuple[str, ...], data: Path) -> None:
    end = int(SECOND, 16) + 50
    queue = make_queue(data, end, {FIRST: 400, SECOND: 60, "0000000040000100": 70})
    before = contents(queue)
    assert "cut 10 bytes" in start(shell, data)
    assert contents(queue) == {**before, SECOND: before[SECOND][:50]}


def test_file_that_was_only_begun_is_emptied(shell: tuple[str, ...], data: Path) -> None:
    queue = make_queue(data, int(SECOND, 16), {FIRST: 400, SECOND: 60})
    assert "cut 60 bytes" in start(shell, data)
    assert (queue / SECOND).stat().st_size == 0


@pytest.mark.parametrize("size", [0, 99, 100])
def test_exact_and_shorter_files_stay(shell: tuple[str, ...], data: Path, size: int) -> None:
    queue = make_queue(data, 100, {FIRST: size})
    before = contents(queue)
    assert start(shell, data) == ""
    assert contents(queue) == before


def test_every_queue_is_looked_at(shell: tuple[str, ...], data: Path) -> None:
    queues = [make_queue(data, end, {FIRST: 90}, f"{end}_8224D4332C88D6AB") for end in (30, 60, 90)]
    assert start(shell, data).count("\n") == 2
    assert [(queue / FIRST).stat().st_size for queue in queues] == [30, 60, 90]


@pytest.mark.parametrize(
    "metainfo",
    [
        "",
        "nonsense",
        '{"Name":"1:secret-url","ReaderOffset":0,"WriterOffset":1',
        '{"WriterOffset":-1}',
        '{"WriterOffset":"1"}',
        '{"WriterOffset":1.5}',
        '{"WriterOffset":010}',
        '{"WriterOffset":18446744073709551615}',
        '{"WriterOffset":1}\n{"WriterOffset":1}',
    ],
)
def test_garbled_metainfo_is_told(shell: tuple[str, ...], data: Path, metainfo: str) -> None:
    queue = make_queue(data, 0, {FIRST: 90})
    (queue / "metainfo.json").write_text(metainfo)
    before = contents(queue)
    said = start(shell, data)
    assert said == (
        f"vmagent.sh: {queue}/metainfo.json does not say where the queue ends; left as it is\n"
    )
    assert contents(queue) == before


def test_queue_without_metainfo_stays(shell: tuple[str, ...], data: Path) -> None:
    queue = make_queue(data, 0, {FIRST: 90})
    (queue / "metainfo.json").unlink()
    before = contents(queue)
    assert start(shell, data) == ""
    assert contents(queue) == before


def test_other_files_stay(shell: tuple[str, ...], data: Path) -> None:
    odd = ["000000000000000", "00000000000000000", "000000000000000a", "F000000000000000", "x" * 16]
    queue = make_queue(data, 10, dict.fromkeys(odd, 90))
    elsewhere = data / "elsewhere"
    elsewhere.write_bytes(b"x" * 90)
    (queue / FIRST).symlink_to(elsewhere)
    (data / "persistent-queue" / "file").touch()
    before = contents(queue)
    said = start(shell, data)
    assert said == f"vmagent.sh: {queue} has no file for the end of its queue; left as it is\n"
    assert contents(queue) == before


def test_queue_in_use_stays(shell: tuple[str, ...], data: Path) -> None:
    queue = make_queue(data, 10, {FIRST: 90})
    with (queue / "flock.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = start(shell, data)
    assert said == (
        f"vmagent.sh: {queue} cannot be locked, another vmagent may use it; left as it is\n"
    )
    assert (queue / FIRST).stat().st_size == 90


def test_no_queue_folder(shell: tuple[str, ...], data: Path) -> None:
    assert start(shell, data) == ""
    assert not data.exists()


def test_exit_status_is_that_of_the_program(shell: tuple[str, ...]) -> None:
    assert subprocess.run([*shell, str(SCRIPT), "sh", "-c", "exit 7"], check=False).returncode == 7
