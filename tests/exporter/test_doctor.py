"""`gpuglass doctor` of an exporter that asks others for TLS or a password."""

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import bcrypt
import pytest
from tests.certificates import Authority
from tests.exporter.process import Serve, run
from tests.exporter.test_release import FAST

PASSWORD = f"basic_auth_users: {{anna: '{bcrypt.hashpw(b'secret', bcrypt.gensalt(4)).decode()}'}}\n"
TLS = "tls_server_config: {cert_file: node.crt, key_file: node.key}\n"

Guarded = Callable[[str], Serve]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


@pytest.fixture
def guarded(simulator: Path, scenario: Path, tmp_path: Path, place: Path) -> Iterator[Guarded]:
    """Starts an exporter of two GPUs by a web configuration."""
    running: list[Serve] = []

    def start(configuration: str) -> Serve:
        authority = Authority(tmp_path / "ca")
        pair = authority.issue("node")
        (tmp_path / "node.crt").write_text(pair.certificate.read_text())
        (tmp_path / "node.key").write_text(pair.key.read_text())
        (tmp_path / "web.yml").write_text(configuration)
        tls = ssl.create_default_context(cafile=authority.certificate)
        arguments = (*FAST, "--control.socket", str(place))
        arguments += ("--web.config.file", str(tmp_path / "web.yml"))
        serve = Serve(arguments, simulator, scenario, {}, tls if TLS in configuration else None)
        running.append(serve)
        serve.wait_ready()
        return serve

    yield start
    for serve in running:
        serve.close()


def look(serve: Serve, place: Path) -> list[str]:
    """What the doctor says of the exporter and of NVML."""
    url = f"http://127.0.0.1:{serve.port}"
    asked = ("doctor", "exporter", "nvml", "--exporter.url", url, "--control.socket", str(place))
    result = run(*asked)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout.splitlines()


@pytest.mark.parametrize(
    ("configuration", "wanted"),
    [(TLS, "TLS"), (PASSWORD, "a password"), (TLS + PASSWORD, "TLS")],
    ids=["tls", "password", "both"],
)
def test_who_may_command_it_is_told_all(
    guarded: Guarded, place: Path, configuration: str, wanted: str
) -> None:
    serve = guarded(configuration)
    exporter, nvml = look(serve, place)
    assert exporter.startswith("ok       exporter           gpuglass ")
    assert nvml == "ok       nvml               2 GPUs can be read"

    exporter, nvml = look(serve, place.with_name("none"))
    assert exporter.startswith(f"ok       exporter           it asks for {wanted}; look as root")
    assert nvml.startswith("skipped  nvml               the exporter tells us nothing")


def test_another_exporter_on_the_machine_is_not_taken_for_it(
    guarded: Guarded, start: Callable[..., Serve], tmp_path: Path
) -> None:
    other = tmp_path / "other.sock"
    start(*FAST, "--control.socket", str(other)).wait_ready()
    exporter, _ = look(guarded(TLS), other)
    assert exporter.startswith("ok       exporter           it asks for TLS; look as root")
