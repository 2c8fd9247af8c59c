"""A host with its door for workers, and a worker that pushes: ordinary users, plain processes."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.clone import wait_for
from tests.e2e.conftest import make_clone
from tests.ports import free_port

NODE = "testnode"


class Pair:
    """Two clones, as on two machines."""

    def __init__(self, cache: Path) -> None:
        self.host, self.worker = make_clone(cache), make_clone(cache)
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"

    def open(self) -> None:
        ports = {"VMAUTH_PORT": str(self.port), "VMAUTH_METRICS_PORT": str(free_port())}
        settings = {"PUSH": "yes", "STORAGE": "single", "GRAFANA": "no", **ports}
        env = {f"GPUGLASS_{name}": value for name, value in settings.items()}
        code, output = self.host.setup("--host", "--no-docker", env=env)
        assert code == 0, output
        assert f"Push:      port {self.port} of this machine" in output

    def given(self) -> str:
        """What the worker is given, as its user would paste it."""
        printed = self.host.gpuglass("workers", "add", NODE, "--label", "cluster=rented")
        assert f":{self.port} --credentials - <<'END'\n" in printed
        return printed.partition("<<'END'\n")[2].partition("END\n")[0]

    def join(self, given: str) -> tuple[int, str]:
        file = self.worker.folder / "given"
        file.write_text(given)
        arguments = ("--worker", "--no-docker", "--push", self.url, "--credentials", "-")
        return self.worker.setup(*arguments, stdin=file)

    def remove(self) -> None:
        self.worker.remove()
        self.host.remove()


@pytest.fixture
def pair(download_cache: Path) -> Iterator[Pair]:
    made = Pair(download_cache)
    try:
        yield made
    finally:
        made.remove()


def refused(pair: Pair) -> str:
    return f"{pair.url} does not know the token of {NODE}: it is wrong or was revoked"


def test_a_worker_pushes_until_it_is_revoked(pair: Pair) -> None:
    pair.open()
    given = pair.given()
    code, output = pair.join(given)
    assert code == 0, output
    assert f"{pair.url} takes what {NODE} pushes" in output
    assert output.index("takes what") < output.index(f"Pushes to:  {pair.url}, as {NODE}")
    assert set(pair.worker.pids()) == {"exporter", "vmagent-push"}

    # The door tells VictoriaMetrics the installation's password, which it asks for.
    ups = wait_for("its samples", lambda: pair.host.query(f'up{{node="{NODE}"}} == 1'))
    own = {"job": "gpu", "node": NODE, "instance": NODE, "cluster": "rented"}
    assert [up["metric"] for up in ups] == [{"__name__": "up", **own}]
    listed = json.loads(pair.host.gpuglass("workers", "list", "--json"))["workers"]
    assert [worker["node"] for worker in listed] == [NODE]
    # What a process's owner can be told by is told, too.
    assert wait_for("capabilities", lambda: pair.host.query("gpuglass_collector_success"))

    # A wrong token changes nothing.
    wrong = re.sub(r"token: '[^']+'", f"token: '{'x' * 43}'", given)
    code, output = pair.join(wrong)
    assert code == 1
    assert output.splitlines()[-1].startswith(f"setup.sh: error: --push: {refused(pair)}")
    assert pair.worker.gpuglass("push", "check").startswith(f"{pair.url} takes what {NODE} pushes")

    pair.host.gpuglass("workers", "revoke", NODE)
    wait_for("it is refused", lambda: pair.worker.command("push", "check").returncode)
    told = pair.worker.command("push", "check").stderr
    assert told.startswith(f"gpuglass: error: {refused(pair)}")
    assert told.count("\n") == 1
    doctor = pair.worker.command("doctor", "push")
    assert doctor.returncode == 1
    assert doctor.stdout.startswith(f"failed   push               {refused(pair)}")
    code, output = pair.worker.setup("--uninstall", "--purge")
    assert (code, pair.worker.processes()) == (0, []), output
    assert not pair.worker.prefix.exists()
