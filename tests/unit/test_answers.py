"""Whether an exporter answers, as setup.sh and the container's health check ask it."""

import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

import pytest
import yaml
from tests.certificates import Authority
from tests.e2e.clone import REPOSITORY
from tests.ports import free_port
from tests.serving import serving

Asked: TypeAlias = Callable[[str, str], bool]


def by_setup(scheme: str, port: str) -> bool:
    script = REPOSITORY / "deploy/native/answers.py"
    return run(str(script), f"{scheme}://127.0.0.1:{port}/-/healthy")


def by_compose(scheme: str, port: str) -> bool:
    services = yaml.safe_load((REPOSITORY / "docker-compose.worker.yml").read_text())["services"]
    kind, program, *command = services["exporter"]["healthcheck"]["test"]
    assert (kind, program) == ("CMD", "python3")
    for name, value in (("SCHEME:-http", scheme), ("PORT:-9400", port)):
        command = [word.replace(f"${{GPUGLASS_EXPORTER_{name}}}", value) for word in command]
    return run(*command)


def run(*command: str) -> bool:
    done = subprocess.run([sys.executable, *command], capture_output=True, timeout=60, check=False)
    return done.returncode == 0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


def speaking(
    authority: Authority, version: ssl.TLSVersion, asks_who: bool = False
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = version
    pair = authority.issue("here")
    context.load_cert_chain(pair.certificate, pair.key)
    if asks_who:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(authority.certificate)
    return context


@contextmanager
def healthy(tls: ssl.SSLContext | None = None, path: str = "/-/healthy") -> Iterator[str]:
    with serving({path: "healthy\n"}, tls=tls) as url:
        yield url.rpartition(":")[2]


@pytest.mark.parametrize("ask", [by_setup, by_compose])
def test_without_tls(ask: Asked) -> None:
    with healthy() as port:
        assert ask("http", port)
    with healthy(path="/other") as port:
        assert not ask("http", port)
    assert not ask("http", str(free_port()))


@pytest.mark.parametrize("ask", [by_setup, by_compose])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_with_tls(ask: Asked, version: ssl.TLSVersion, authority: Authority) -> None:
    with healthy(speaking(authority, version)) as port:
        assert ask("https", port)
        assert not ask("http", port)
    with healthy(speaking(authority, version, asks_who=True)) as port:
        assert ask("https", port)
    assert not ask("https", str(free_port()))
