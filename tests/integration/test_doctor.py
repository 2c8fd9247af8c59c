"""The doctor's checks of a host, each in both states, against the real programs."""

import json
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.integration.alertmanager import TestedAlertmanager
from tests.integration.stack import Program, Stack, environment, wait_for
from tests.ports import free_port
from tests.serving import serving
from tests.unit.doctor.test_node import is_, put

from gpuglass.doctor import alerting, boards, pipeline, storing
from gpuglass.doctor.install import Addresses, Install
from gpuglass.doctor.model import Finding, Status, examine
from gpuglass.doctor.registry import CHECKS
from gpuglass.keeper.alertmanager.api import AlertmanagerError
from gpuglass.keeper.http import Login, Way
from gpuglass.keeper.passwords import USER, prepare
from gpuglass.keeper.victoriametrics import QueryError

NOBODY = "http://127.0.0.1:1"
RULES = """\
groups:
  - name: g
    interval: 1s
    rules: [{record: a, expr: vector(1)}, {alert: B, expr: vector(1)}]
"""
GIB = 1 << 30
VMALERT_STARTED = 'process_start_time_seconds{job="vmalert"}'
JOB = 'job="victoriametrics",tier="raw"'


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, components: Path) -> Iterator[Stack]:
    """VictoriaMetrics alone."""
    made = Stack(tmp_path_factory.mktemp("doctor"), components)
    # The tests clean up by deleting.
    made.victoriametrics.command.append("-deleteAuthKey=")
    made.victoriametrics.start()
    yield made
    made.victoriametrics.stop()


@pytest.fixture
def install(stack: Stack, tmp_path: Path) -> Iterator[Install]:
    """An install whose storage is empty, and where nothing else runs."""
    nobody = Addresses(
        NOBODY, NOBODY, stack.url, vmagent=NOBODY, vmalert=NOBODY, alertmanager=NOBODY
    )
    yield Install(nobody, tmp_path / "targets", tmp_path / "proc", tmp_path / "sys", tmp_path)
    delete = f"{stack.url}/api/v1/admin/tsdb/delete_series?match[]={{__name__!=''}}"
    urllib.request.urlopen(delete, timeout=10).close()


def write(stack: Stack, *samples: str, ago: float = 1.0) -> None:
    """Store samples of some seconds ago."""
    moment = round((time.time() - ago) * 1000)
    stack.write(*(f"{sample} {moment}" for sample in samples))


def test_ports(install: Install, stack: Stack) -> None:
    finding = pipeline.ports(install)
    assert is_(Status.FAILED, f"no answer from vmagent at {NOBODY} (", finding)
    all_ = ("minute", "hour", "vmagent", "vmalert", "alertmanager", "keeper")
    pages = {"/metrics": "vm_rows vmagent_x vmalert_x alertmanager_x gpuglass_keeper_x"}
    with serving(pages) as url:
        places = replace(install.addresses, **dict.fromkeys(all_, url))
        assert is_(
            Status.OK, "7 programs answer", pipeline.ports(replace(install, addresses=places))
        )
        places = replace(places, alertmanager=stack.url)
        finding = pipeline.ports(replace(install, addresses=places))
    told = f"something else answers for alertmanager at {stack.url}"
    assert is_(Status.FAILED, told, finding)


@pytest.mark.parametrize(
    ("table", "address", "status"),
    [
        ("tcp", "0100007F", Status.OK),
        ("tcp", "00000000", Status.WARNING),
        ("tcp", "0A00000A", Status.WARNING),
        ("tcp6", "00000000000000000000000001000000", Status.OK),
        ("tcp6", "0000000000000000FFFF00000100007F", Status.OK),
        ("tcp6", "00000000000000000000000000000000", Status.WARNING),
    ],
)
def test_exposure(tmp_path: Path, table: str, address: str, status: Status) -> None:
    head = "  sl  local_address rem_address   st\n"
    row = "   0: {}:{:04X} 00000000:0000 {} 0 0 0 0 0 1\n"
    other = row.format("00000000", 22, "0A") + row.format("00000000", 8429, "01")
    put(tmp_path / "net" / table, head + other + row.format(address, 8429, "0A"))
    told = "listening beyond the loopback without a password: vmagent"
    if status is Status.OK:
        told = "the host's programs listen on the loopback alone"
    assert is_(status, told, pipeline.exposure(Install(procfs=tmp_path)))


def test_an_open_program_with_a_password_is_not_exposed(guarded: Install) -> None:
    port = int(guarded.addresses.victoriametrics.rpartition(":")[2])
    row = f"   0: 00000000:{port:04X} 00000000:0000 0A 0 0 0 0 0 1\n"
    put(guarded.procfs / "net/tcp", "  sl  local_address rem_address   st\n" + row)
    told = "other machines reach victoria-metrics with a password"
    assert is_(Status.OK, told, pipeline.exposure(guarded))


@pytest.fixture
def guarded(components: Path, install: Install, tmp_path: Path) -> Iterator[Install]:
    """An install with a VictoriaMetrics that asks for its password."""
    prepare(tmp_path / "access")
    password = tmp_path / "access/password"
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        str(components / "victoria-metrics"),
        f"-httpListenAddr={url.removeprefix('http://')}",
        f"-storageDataPath={tmp_path / 'storage'}",
        f"-httpAuth.username={USER}",
        f"-httpAuth.password=file://{password}",
    ]
    running = Program(command, tmp_path / "log", f"{url}/health", environment())
    running.start()
    places = replace(install.addresses, victoriametrics=url)
    yield replace(install, addresses=places, way=Way(login=Login(USER, password)))
    running.stop()


def test_passwords(guarded: Install, install: Install, tmp_path: Path) -> None:
    assert is_(Status.OK, "1 program ask", pipeline.passwords(guarded))
    assert not list(guarded.storage.query("up"))
    file = tmp_path / "access/password"
    file.chmod(0o640)
    told = f"others than its owner may read {file}"
    assert is_(Status.FAILED, told, pipeline.passwords(guarded))
    other = tmp_path / "other"
    wrong = replace(guarded, way=Way(login=Login(USER, other)))
    told = f"victoria-metrics asks for the password in {other}, which cannot be read"
    assert is_(Status.FAILED, told, pipeline.passwords(wrong))
    other.write_text("wrong")
    told = f"victoria-metrics refuses the password in {other}"
    assert is_(Status.FAILED, told, pipeline.passwords(wrong))
    places = replace(wrong.addresses, vmalert=wrong.addresses.victoriametrics)
    both = replace(wrong, addresses=places)
    assert is_(Status.FAILED, f"{told}; so with vmalert", pipeline.passwords(both))
    (rules,) = examine(both, [check for check in CHECKS if check.id == "rules"])
    told = "an answer is missing (Unauthorized); see the check passwords"
    assert is_(Status.SKIPPED, told, rules.finding)
    with pytest.raises(QueryError, match=f"refuses the password in {other}"):
        wrong.storage.query("up")
    told = "no password is asked for by victoria-metrics"
    assert is_(Status.WARNING, told, pipeline.passwords(install))
    nobody = replace(install, addresses=replace(install.addresses, victoriametrics=NOBODY))
    assert is_(Status.SKIPPED, "none of the programs answers", pipeline.passwords(nobody))


def test_targets(install: Install, stack: Stack) -> None:
    assert is_(Status.FAILED, f"{install.targets}: No such file", pipeline.targets(install))
    put(install.targets / "a.yml", "[]\n")
    assert is_(Status.WARNING, "no targets are listed", pipeline.targets(install))
    write(stack, 'gpuglass_keeper_worker_silent_seconds{node="pod"} 1')
    wait_for("the worker", lambda: pipeline.targets(install).status is Status.OK)
    assert is_(Status.OK, "1 worker listed to push, no targets", pipeline.targets(install))
    put(install.targets / "a.yml", "- targets: [n1:9400, n2:9400]\n")
    assert is_(Status.FAILED, "2 targets listed, 0 scraped", pipeline.targets(install))
    up = 'up{{job="gpu",instance="{0}:9400",node="{0}"}} {1}'
    write(stack, up.format("n1", 1), up.format("n2", 0))
    assert is_(Status.FAILED, "no answer from 1 of 2 nodes: n2", pipeline.targets(install))
    write(stack, up.format("n1", 1), up.format("n2", 1), ago=0)
    good = "2 targets listed, scraped and answering"
    wait_for("both are up", lambda: pipeline.targets(install).status is Status.OK)
    assert is_(Status.OK, good, pipeline.targets(install))
    put(install.targets / "b.yml", "- targets: [n3]\n- targets: [n4]\n")
    told = 'b.yml:1: target "n3" has no port; write host:port, such as node1:9400 (and 1 more)'
    assert is_(Status.FAILED, told, pipeline.targets(install))


def test_series(install: Install, stack: Stack) -> None:
    page = 'gpuglass_build_info{node="n1",version="1"} 1\n'
    with serving({"/metrics": page}) as url:
        here = replace(install, addresses=replace(install.addresses, exporter=url))
        assert is_(Status.FAILED, "nothing of n1 has arrived", pipeline.series(here))
        assert is_(
            Status.SKIPPED, "nothing is scraped, and nobody pushes", pipeline.series(install)
        )
        write(stack, 'up{job="gpu",instance="n2:1",node="n2"} 0')
        failed = "nothing of any node has arrived"
        wait_for("it", lambda: pipeline.series(install).status is Status.FAILED)
        assert is_(Status.FAILED, failed, pipeline.series(install))
        write(stack, 'gpuglass_build_info{job="gpu",instance="n2:1",node="n2"} 1')
        assert is_(Status.FAILED, "nothing of n1 has arrived", pipeline.series(here))
        assert is_(Status.OK, "series of any node arrived", pipeline.series(install))
        write(stack, 'gpuglass_build_info{job="gpu",instance="n1:1",node="n1"} 1')
        assert is_(Status.OK, "series of n1 arrived ", pipeline.series(here))
        later = replace(here, clock=lambda: time.time() + 100)
        assert is_(Status.FAILED, "the last series of n1 arrived 10", pipeline.series(later))


@pytest.mark.parametrize(
    ("offset", "status", "told"),
    [
        (0.0, Status.OK, "the clocks of 2 nodes agree with this one"),
        (20.0, Status.WARNING, "the clock of n2 is +20 s off"),
        (-200.0, Status.FAILED, "the clock of n2 is -200 s off"),
    ],
)
def test_node_clocks(
    install: Install, stack: Stack, offset: float, status: Status, told: str
) -> None:
    assert is_(Status.SKIPPED, "no node answers", pipeline.node_clocks(install))
    name, now = "gpuglass_collector_last_success_timestamp_seconds", round(time.time() - 1)
    for node, off in (("n1", 0.0), ("n2", offset)):
        labels = f'job="gpu",instance="{node}:1",node="{node}"'
        stack.write(f"up{{{labels}}} 1 {now * 1000}")
        stack.write(f'{name}{{{labels},collector="cpu"}} {now + off} {now * 1000}')
        stack.write(f'{name}{{{labels},collector="disk"}} {now + off - 400} {now * 1000}')
    assert is_(status, told, pipeline.node_clocks(install))


def test_receivers(install: Install, stack: Stack) -> None:
    assert is_(Status.SKIPPED, "the keeper tells nothing", alerting.receivers(install))
    keeper = "gpuglass_keeper_receivers"
    write(stack, f"{keeper} 0", f"{keeper}_file_valid 1", f"{keeper}_taken 1", ago=3)
    assert is_(Status.WARNING, "nobody is told of alerts", alerting.receivers(install))
    write(stack, f"{keeper} 2", ago=2)
    assert is_(Status.OK, "2 receivers of alerts", alerting.receivers(install))
    failures = 'alertmanager_notifications_failed_total{{receiver_name="a",integration="{}"}} {}'
    write(stack, failures.format("slack", 1), failures.format("email", 7), ago=60)
    write(stack, failures.format("slack", 4), failures.format("email", 7), ago=2)
    told = "messages of the last hour were not taken by a (slack)"
    assert is_(Status.FAILED, told, alerting.receivers(install))
    write(stack, f"{keeper}_file_valid 0", ago=1)
    assert is_(Status.FAILED, "the receivers as they are now", alerting.receivers(install))


def test_rollups(install: Install, stack: Stack) -> None:
    assert is_(Status.SKIPPED, "storage is single", storing.rollups(install))
    tiered = replace(install, addresses=replace(install.addresses, minute=NOBODY, hour=NOBODY))
    assert is_(Status.FAILED, "no run over tier 1m has succeeded", storing.rollups(tiered))
    write(stack, f'process_start_time_seconds{{job="keeper"}} {time.time() - 60:.0f}')
    assert is_(Status.SKIPPED, "the keeper has just started", storing.rollups(tiered))
    prefix, now = "gpuglass_keeper_rollup", time.time()
    success = f"{prefix}_last_success_timestamp_seconds"
    minute, hour = '{tier="1m"}', '{tier="1h"}'
    write(stack, f"{success}{minute} {now - 600:.0f}", f"{success}{hour} {now - 3600:.0f}")
    pending = f"{prefix}_pending_windows"
    write(stack, f"{pending}{minute} 0", f"{pending}{hour} 0", ago=3)
    assert is_(Status.OK, "complete: 1m, 1h", storing.rollups(tiered))
    write(stack, f"{pending}{hour} 12")
    assert is_(Status.WARNING, "12 windows are missing", storing.rollups(tiered))
    late = replace(tiered, clock=lambda: now + 2 * 3600)
    assert is_(Status.FAILED, "the last good run over tier 1m is 2 h old", storing.rollups(late))


def disk_samples(stack: Stack, free: float, a_day: float, hours: float) -> None:
    """A disk with so many GiB free above its limit, which become fewer by some a day."""
    now = time.time()
    lines = [f"vm_free_disk_space_limit_bytes{{{JOB}}} {GIB} {round(now * 1000) - 1000}"]
    steps = round(hours * 12)
    for step in range(steps + 1):
        at = now - 1 - 300 * step
        left = (free + 1 + a_day * 300 * step / 86400) * GIB
        lines.append(f"vm_free_disk_space_bytes{{{JOB}}} {left:.0f} {round(at * 1000)}")
    stack.write(*lines)


@pytest.mark.parametrize(
    ("free", "a_day", "hours", "status", "told"),
    [
        (100, 1, 12, Status.OK, "100 GiB are left, enough for 100 days at the present rate"),
        (100, 0, 12, Status.OK, "100 GiB are left, and do not become less"),
        (100, 99, 2, Status.OK, "100 GiB are left, the rate is known in 6 hours"),
        (100, 5, 12, Status.WARNING, "100 GiB are left, enough for 20 days"),
        (20, 10, 12, Status.FAILED, "20 GiB are left, enough for 2 days"),
    ],
)
def test_disk(
    install: Install,
    stack: Stack,
    free: float,
    a_day: float,
    hours: float,
    status: Status,
    told: str,
) -> None:
    assert is_(Status.SKIPPED, "VictoriaMetrics tells nothing", storing.disk(install))
    disk_samples(stack, free, a_day, hours)
    assert is_(status, told, storing.disk(install))


def test_a_full_disk(install: Install, stack: Stack) -> None:
    write(stack, f"vm_storage_is_read_only{{{JOB}}} 1")
    assert is_(Status.FAILED, "the disk is full", storing.disk(install))


def vmalert(stack: Stack, folder: Path, rules: str) -> Program:
    put(folder / "rules.yml", rules)
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        str(Path(stack.places["BIN"]) / "vmalert"),
        f"-rule={folder}/rules.yml",
        *(f"-{flag}.url={stack.url}" for flag in ("datasource", "remoteWrite")),
        f"-httpListenAddr={url.removeprefix('http://')}",
        *("-notifier.blackhole", "-group.maxStartDelay=1ms"),
    ]
    started = Program(command, folder / "vmalert.log", f"{url}/health", environment())
    started.start()
    return started


def test_rules(install: Install, stack: Stack, tmp_path: Path) -> None:
    def look(rules: str, told: str, late: float = 0.0) -> Finding:
        program = vmalert(stack, tmp_path, rules)
        try:
            places = replace(install.addresses, vmalert=program.url.removesuffix("/health"))
            here = replace(install, addresses=places)
            wait_for(told, lambda: alerting.rules(here).what.startswith(told))
            return alerting.rules(replace(here, clock=lambda: time.time() + late))
        finally:
            program.stop()

    good = "2 rules evaluated, the last "
    assert is_(Status.OK, good, look(RULES, good))
    assert is_(Status.FAILED, "2 rules not evaluated in time, as ", look(RULES, good, late=3600))
    write(stack, f"{VMALERT_STARTED} {time.time() + 3540:.0f}")
    just = "vmalert has just started"
    assert is_(Status.SKIPPED, just, look(RULES, good, late=3600))
    # Good for the parser, and wrong whenever it is evaluated.
    wrong = """'label_replace(vector(1), "a", "b", "c", "(")'"""
    told = "1 rule cannot be evaluated: B: "
    assert is_(
        Status.FAILED, told, look(RULES.replace("B, expr: vector(1)", f"B, expr: {wrong}"), told)
    )
    with serving({"/api/v1/rules": "[]"}) as url:
        stranger = replace(install, addresses=replace(install.addresses, vmalert=url))
        assert is_(Status.FAILED, f"what answers at {url}", alerting.rules(stranger))
    none = "vmalert has no rules"
    assert is_(Status.FAILED, none, look("groups: []\n", none))


def test_an_alert_reaches_alertmanager(
    install: Install, stack: Stack, tmp_path: Path, components: Path
) -> None:
    with pytest.raises(AlertmanagerError):
        alerting.test_alert(install)
    running = TestedAlertmanager(components, tmp_path)
    here = replace(install, addresses=replace(install.addresses, alertmanager=running.base))
    running.start()
    try:
        running.fire({"alertname": "GPULost"})
        absent = "GPUStackWatchdog, which always fires, is not in Alertmanager"
        assert is_(Status.FAILED, absent, alerting.test_alert(here))
        write(stack, f"{VMALERT_STARTED} {time.time() - 60:.0f}")
        assert is_(Status.SKIPPED, "vmalert has just started", alerting.test_alert(here))
        later = replace(here, clock=lambda: time.time() + 600)
        assert is_(Status.FAILED, absent, alerting.test_alert(later))
        running.fire({"alertname": "GPUStackWatchdog"})
        present = "GPUStackWatchdog, which always fires, is in Alertmanager"
        assert is_(Status.OK, present, alerting.test_alert(here))
    finally:
        running.stop()


def test_grafana(install: Install, tmp_path: Path) -> None:
    assert is_(Status.SKIPPED, "this install has no Grafana", boards.grafana(install))
    sources = {f"/api/datasources/uid/{uid}": "{}" for uid in ("vm-raw", "vm-1m", "vm-1h")}
    proxied = {
        f"/api/datasources/uid/{uid}/resources/api/v1/labels": "{}"
        for uid in ("vm-raw", "vm-1m", "vm-1h")
    }
    ours = [{"uid": uid, "folderUid": "gpuglass"} for uid in ("gpu-fleet", "gpu-node")]
    search = {"/api/search": json.dumps([*ours, {"uid": "mine"}])}

    def look(answers: dict[str, str], password: str = "", file: Path | None = None) -> Finding:
        with serving(answers, password) as url:
            places = replace(install.addresses, grafana=url)
            return boards.grafana(replace(install, addresses=places, grafana_password=file))

    whole = {**sources, **proxied, **search}
    assert is_(Status.OK, "2 dashboards and 3 data sources are there", look(whole))
    assert is_(Status.FAILED, "what answers at http", look({"/api/health": "ok"}))
    assert is_(Status.FAILED, "what answers at http", look({**whole, "/api/search": "<html>"}))
    others = {"/api/search": '[{"uid": "mine", "folderUid": "general"}]'}
    assert is_(Status.FAILED, "Grafana has none", look({**whole, **others}))
    told = "data source vm-1m: is not there"
    lacking = {path: text for path, text in whole.items() if path != "/api/datasources/uid/vm-1m"}
    assert is_(Status.FAILED, told, look(lacking))
    password = tmp_path / "password"
    password.write_text("s3cret\n")
    secret = "Basic YWRtaW46czNjcmV0"
    assert is_(Status.OK, "2 dashboards", look(whole, secret, password))
    assert is_(Status.SKIPPED, "Grafana asks for a password", look(whole, secret))
    assert is_(Status.SKIPPED, "Grafana asks for", look(whole, secret, tmp_path / "none"))
