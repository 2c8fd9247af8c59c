"""The control socket: who may ask, what, and what is said to everybody else."""

import asyncio
import contextlib
import json
import logging
import os
import socket
import stat
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from gpuglass.control import client, commands, places, server

Handler = Callable[[Mapping[str, Any]], Any]
PORTS = (9400,)
# Longer than one piece of what a socket takes.
LARGE = "gpu_up 1\n" * 100_000


class Exporter:
    """Lets go of GPUs and takes them back, and notes it."""

    def __init__(self) -> None:
        self.asked: list[float | None] = []

    async def release(self, seconds: float) -> tuple[float | None, list[int]]:
        self.asked.append(seconds)
        return 1000.0 + seconds, []

    def take_back(self) -> bool:
        self.asked.append(None)
        return len(self.asked) > 1

    def page(self) -> bytes:
        return LARGE.encode()


@pytest.fixture
def exporter() -> Exporter:
    return Exporter()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


@pytest.fixture
async def control(path: Path, exporter: Exporter) -> AsyncIterator[server.Control]:
    control = server.Control(path, commands.handler(exporter, PORTS))
    await control.start()
    yield control
    control.stop()


async def ask(path: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    return await asyncio.to_thread(client.ask, [path], request)


async def send(path: Path, data: bytes) -> bytes:
    """What is answered to some bytes."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(data)
    with contextlib.suppress(OSError):
        await writer.drain()
    try:
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_a_question_and_its_answer(
    control: server.Control, path: Path, exporter: Exporter
) -> None:
    assert await ask(path, commands.release(60)) == {"until": 1060.0, "left_behind": []}
    assert await ask(path, commands.take_back()) == {"was_released": True}
    assert exporter.asked == [60, None]
    assert await ask(path, commands.metrics()) == {"metrics": LARGE, "ports": [9400]}


async def test_nobody_else_may_open_it(control: server.Control, path: Path) -> None:
    assert stat.S_IMODE(path.lstat().st_mode) == 0o600


async def test_it_is_gone_when_it_is_not_listened_on(control: server.Control, path: Path) -> None:
    control.stop()
    assert not path.exists()
    with pytest.raises(client.AskError, match="no exporter listens at"):
        await ask(path, commands.take_back())
    control.stop()


@pytest.mark.parametrize(
    "nonsense",
    [
        b"nonsense\n",
        b"\xff\xfe\n",
        b"[]\n",
        b"[" * 2000 + b"\n",
        b"{}\n",
        b'{"command": "explode"}\n',
        b'{"command": "release"}\n',
        b'{"command": "release", "seconds": "60"}\n',
        b'{"command": "release", "seconds": true}\n',
        b'{"command": "release", "seconds": 0}\n',
        b'{"command": "release", "seconds": -1}\n',
        b'{"command": "release", "seconds": 86401}\n',
        b'{"command": "release", "seconds": NaN}\n',
        b'{"command": "release", "seconds": 1e999}\n',
    ],
)
async def test_what_is_no_request_is_refused(
    control: server.Control, path: Path, exporter: Exporter, nonsense: bytes
) -> None:
    answer = json.loads(await send(path, nonsense))
    assert answer["error"].startswith("not a request: ")
    assert exporter.asked == []


async def test_a_request_that_is_too_long_has_no_answer(
    control: server.Control, path: Path, exporter: Exporter
) -> None:
    assert await send(path, b"x" * 1_000_000) == b""
    assert await ask(path, commands.release(1)) == {"until": 1001.0, "left_behind": []}


async def test_who_says_nothing_is_hung_up_on(
    control: server.Control, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_REQUEST_SECONDS", 0.1)
    assert await send(path, b"") == b""
    assert await send(path, b'{"command":') == b""


async def test_so_many_at_once_and_no_more(
    control: server.Control, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections = [await asyncio.open_unix_connection(path) for _ in range(16)]
    with pytest.raises(client.AskError, match="too many"):
        await ask(path, commands.take_back())
    for _, writer in connections:
        writer.close()
    while control._connections:
        await asyncio.sleep(0.01)
    assert "was_released" in await ask(path, commands.take_back())


async def test_the_kernels_word_on_who_asks_counts(
    control: server.Control, path: Path, exporter: Exporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_uid", lambda connection: os.getuid() + 1)
    with pytest.raises(client.AskError, match="only root"):
        await ask(path, commands.release(60))
    assert exporter.asked == []


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to be another user")
async def test_another_user_is_told_so(control: server.Control, tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            client.ask([control.path], {})
        except BaseException as error:
            os.write(writer, str(error).encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as said:
        assert said.read().startswith("no permission to command the exporter")


# Whose socket it is


async def test_a_dead_exporters_socket_is_replaced(path: Path, exporter: Exporter) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(os.fspath(path))
        dead.listen()
    control = server.Control(path, commands.handler(exporter, PORTS))
    await control.start()
    assert await ask(path, commands.take_back()) == {"was_released": False}
    control.stop()


async def test_a_living_exporters_socket_is_not_taken(
    control: server.Control, path: Path, exporter: Exporter, caplog: pytest.LogCaptureFixture
) -> None:
    other = path.with_name("other.sock")
    paths = iter([path, other])
    assert await server.listen(paths, commands.handler(exporter, PORTS)) is None
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "another exporter listens there" in record.getMessage()
    assert not other.exists()
    assert "was_released" in await ask(path, commands.take_back())


async def test_what_is_no_socket_stays(
    path: Path, exporter: Exporter, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text("mine")
    assert await server.listen(iter([path]), commands.handler(exporter, PORTS)) is None
    assert path.read_text() == "mine"
    assert "is there and is no socket" in caplog.text


@pytest.mark.parametrize(
    ("name", "word"), [("none/control.sock", "No such file"), ("x" * 200, "at most 107")]
)
async def test_a_place_that_cannot_be(
    tmp_path: Path, exporter: Exporter, name: str, word: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert await server.listen(iter([tmp_path / name]), commands.handler(exporter, PORTS)) is None
    (record,) = caplog.records
    assert word in record.getMessage()
    assert "--control.socket" in record.getMessage()


async def test_the_next_place_is_tried(tmp_path: Path, exporter: Exporter) -> None:
    paths = iter([tmp_path / "none" / "a.sock", tmp_path / "b.sock"])
    control = await server.listen(paths, commands.handler(exporter, PORTS))
    assert control and control.path == tmp_path / "b.sock"
    control.stop()


async def test_a_socket_that_another_one_has_replaced_is_not_removed(
    control: server.Control, path: Path
) -> None:
    path.unlink()
    path.write_text("another's")
    control.stop()
    assert path.read_text() == "another's"


async def test_who_starts_at_the_same_moment_waits(
    path: Path, exporter: Exporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_LOCK_SECONDS", 0.1)
    with server._locked(path.parent), pytest.raises(server.ControlError, match="locked"):
        await server.Control(path, commands.handler(exporter, PORTS)).start()


# What a client is told


@pytest.fixture
def impostor(path: Path) -> Iterator[Callable[[bytes], None]]:
    """Listens on the path and answers one client with some bytes."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.fspath(path))
    listener.listen()

    def answer(data: bytes) -> None:
        def run() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(data)

        threading.Thread(target=run, daemon=True).start()

    yield answer
    listener.close()


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"[]\n", b"\xff\n"])
async def test_what_is_no_exporter(
    impostor: Callable[[bytes], None], path: Path, answer: bytes
) -> None:
    impostor(answer)
    with pytest.raises(client.AskError, match="does not answer as an exporter does"):
        await ask(path, {})


async def test_what_it_says_harms_no_terminal(
    impostor: Callable[[bytes], None], path: Path
) -> None:
    impostor(b'{"error": "\\u001b[2Jbad\\nline"}\n')
    with pytest.raises(client.AskError) as caught:
        await ask(path, {})
    assert str(caught.value).endswith("refuses: ?[2Jbad?line")


async def test_an_exporter_that_hangs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_TIMEOUT", 0.1)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(path))
        listener.listen()
        with pytest.raises(client.AskError, match="does not answer; see its log"):
            await ask(path, {})


async def test_two_exporters(control: server.Control, tmp_path: Path, exporter: Exporter) -> None:
    other = server.Control(tmp_path / "other.sock", commands.handler(exporter, PORTS))
    await other.start()
    paths = [control.path, other.path]
    with pytest.raises(client.AskError, match="more than one exporter") as caught:
        await asyncio.to_thread(client.ask, paths, {})
    assert all(str(path) in str(caught.value) for path in paths)
    other.stop()
    assert "was_released" in await asyncio.to_thread(client.ask, paths, commands.take_back())


# Where it is


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for the machine's root directory."""
    monkeypatch.setattr(places, "_RUN", tmp_path / "run")
    monkeypatch.setattr(places, "_TEMPORARY", tmp_path / "tmp")
    (tmp_path / "run" / "user" / "1000").mkdir(parents=True)
    (tmp_path / "tmp").mkdir()
    return tmp_path


def first(root: Path, environment: dict[str, str], uid: int) -> str:
    return str(next(places.to_listen(environment, uid)).relative_to(root))


def test_root_has_it_in_run(root: Path) -> None:
    environment = {"XDG_RUNTIME_DIR": str(root / "run/user/1000")}
    assert first(root, environment, 0) == "run/gpuglass/control.sock"
    assert root / "run/gpuglass/control.sock" in places.to_ask({}, 0)


def test_systemd_says_where(root: Path) -> None:
    (root / "run/service").mkdir()
    environment = {"RUNTIME_DIRECTORY": f"{root}/run/service:{root}/run/other"}
    assert first(root, environment, 0) == "run/service/control.sock"
    assert first(root, environment, 1000) == "run/service/control.sock"


def test_an_ordinary_user_has_it_in_the_session(root: Path) -> None:
    (root / "run/gpuglass").touch()  # cannot be made
    environment = {"XDG_RUNTIME_DIR": str(root / "run/user/1000")}
    assert first(root, environment, 1000) == "run/user/1000/gpuglass/control.sock"
    # Without the variable, as under cron; and root finds it.
    assert first(root, {}, 1000) == "run/user/1000/gpuglass/control.sock"
    assert root / "run/user/1000/gpuglass/control.sock" in places.to_ask({}, 0)


def test_without_a_session_it_is_in_a_private_folder(root: Path) -> None:
    (root / "run/gpuglass").touch()
    uid = os.getuid()
    environment = {"XDG_RUNTIME_DIR": "relative"}
    folder = root / "tmp" / f"gpuglass-{uid}"
    assert next(places.to_listen(environment, uid)) == folder / "control.sock"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert folder / "control.sock" in places.to_ask({"SUDO_UID": str(uid)}, 0)
    assert folder / "control.sock" in places.to_ask({}, uid)


def test_a_shared_folder_that_others_may_write_is_not_used(root: Path) -> None:
    (root / "run/gpuglass").touch()
    uid = os.getuid()
    folder = root / "tmp" / f"gpuglass-{uid}"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    assert list(places.to_listen({}, uid)) == []
    folder.rmdir()
    folder.symlink_to(root / "run/user")
    assert list(places.to_listen({}, uid)) == []


def test_every_place_where_it_may_be_made_is_looked_at(root: Path) -> None:
    for uid in (0, 1000):
        for environment in ({}, {"XDG_RUNTIME_DIR": f"{root}/x"}, {"RUNTIME_DIRECTORY": f"{root}"}):
            assert set(places.to_listen(environment, uid)) <= set(places.to_ask(environment, uid))
