"""The password of an installation's programs: made once, kept, and told to those who ask."""

import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import bcrypt
import pytest
import yaml
from click.testing import CliRunner
from tests.ports import free_port

from gpuglass.cli import gpuglass_command
from gpuglass.keeper.http import HttpError, Login, Way, ask, basic
from gpuglass.keeper.passwords import USER, PasswordError, prepare


def test_it_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "access"
    prepare(folder)
    password = (folder / "password").read_text()
    assert len(password.strip()) == 32
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert (modes["password"], modes["alertmanager.yml"]) == (0o600, 0o600)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    web = (folder / "alertmanager.yml").read_bytes()
    assert password.strip() not in web.decode()
    prepare(folder)
    assert (folder / "password").read_text() == password
    assert (folder / "alertmanager.yml").read_bytes() == web
    prepare(tmp_path / "another")
    assert (tmp_path / "another/password").read_text() != password


@pytest.mark.parametrize("before", ["", "basic_auth_users: {gpuglass: ???}\n", '"$2b$10$x"\n'])
def test_alertmanager_has_the_hash_of_the_one_that_is_there(tmp_path: Path, before: str) -> None:
    (tmp_path / "alertmanager.yml").write_text(before)
    (tmp_path / "password").write_text("of-my-own\n")
    prepare(tmp_path)
    users = yaml.safe_load((tmp_path / "alertmanager.yml").read_text())["basic_auth_users"]
    assert list(users) == [USER]
    assert bcrypt.checkpw(b"of-my-own", users[USER].encode())


@pytest.mark.parametrize("password", ["", "\n", "a b", "a$b", "é", "x" * 73])
def test_one_that_would_not_do_is_refused(tmp_path: Path, password: str) -> None:
    (tmp_path / "password").write_text(password)
    with pytest.raises(PasswordError, match="write such a one, or remove the file"):
        prepare(tmp_path)
    command = [sys.executable, "-m", "gpuglass.keeper.passwords", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith(f"error: {tmp_path}/password: ")


def test_the_command_prints_it(tmp_path: Path) -> None:
    prepare(tmp_path)
    file = tmp_path / "password"
    asked = ["password", "--password-file", str(file)]
    assert CliRunner().invoke(gpuglass_command, asked).output == file.read_text()
    file.unlink()
    refused = CliRunner().invoke(gpuglass_command, asked)
    assert refused.exit_code == 1
    assert "ask as the user who installed gpuglass" in refused.output


@contextmanager
def closed(password: str) -> Iterator[str]:
    """A server that lets in who knows a password."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers["Authorization"] == basic(USER, password)["Authorization"]
            self.send_response(200 if known else 401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    port = free_port()
    server = HTTPServer(("127.0.0.1", port), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_file_is_read_each_time(tmp_path: Path) -> None:
    file = tmp_path / "password"
    way = Way(login=Login(USER, file))
    with closed("right") as url:
        for content in (None, "wrong\n"):
            if content:
                file.write_text(content)
            with pytest.raises(HttpError) as refused:
                ask(url, way=way)
            assert refused.value.status == 401
        file.write_text("right\n")
        assert ask(url, way=way) == b""


def test_a_refusal_says_which_password_is_meant(tmp_path: Path) -> None:
    file = tmp_path / "password"

    def told(*command: str) -> str:
        done = CliRunner().invoke(gpuglass_command, command)
        assert done.exit_code == 1
        return done.output.strip()

    with closed("right") as url:
        commands = (
            ("VictoriaMetrics", ("status", "--victoriametrics.url", url)),
            ("Alertmanager", ("alerts", "list", "--alertmanager.url", url)),
        )
        for name, command in commands:
            named = (*command, "--password-file", str(file))
            asks = "asks for a password; name the file that holds it with --password-file"
            assert told(*command).endswith(f"{name} at {url} {asks}")
            file.unlink(missing_ok=True)
            asks = f"asks for the password in {file}, which cannot be read ("
            assert f"{name} at {url} {asks}" in told(*named)
            file.write_text("wrong")
            assert told(*named).endswith(f"{name} at {url} refuses the password in {file}")
