"""Events are found in time ranges of every length, at the few moments that Grafana asks for."""

import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.dashboards.boards import shipped
from tests.dashboards.grafana import Grafana, Source
from tests.dashboards.interpolation import Range, Raw, Value
from tests.integration.stack import Program, environment, get
from tests.ports import free_port

HOUR, DAY = 3600, 86400
BOARD = next(board for board in shipped() if board.uid == "gpu-card")
CHOSEN: dict[str, Value | Raw] = {
    "cluster": Raw(".*"),
    "node": "n1",
    "gpu": "0",
    "tier": "vm-raw",
}
# The node started once more, and something else happened, each at an hour of its own of the day.
FIRED, BROKE, CHANGED, AGAIN, STARTED = (hour * HOUR + 100 for hour in (3, 7, 11, 15, 19))


def samples(begin: int) -> Iterator[str]:
    """A day of a node, a sample in 30 s; times are seconds from the beginning."""
    alert = 'ALERTS{alertname="GPUHot",alertstate="firing",severity="warning",node="n1",gpu="0"}'
    xid = 'gpu_xid_last_timestamp_seconds{node="n1",gpu="0",xid="79"}'
    cpu = 'gpuglass_process_cpu_seconds_total{node="n1",process="exporter"}'
    for at in range(0, DAY, 30):
        now = (begin + at) * 1000
        # Both are over after four minutes: the alert is resolved, the exporter forgets.
        if FIRED <= at < FIRED + 240:
            yield f"{alert} 1 {now}"
        if BROKE <= at < BROKE + 240:
            yield f"{xid} {begin + BROKE} {now}"
        version = "580" if at >= CHANGED else "570"
        yield f'gpu_driver_info{{node="n1",driver_version="{version}"}} 1 {now}'
        yield f"{cpu} {at - AGAIN if at >= AGAIN else at} {now}"
        boot = STARTED if at >= STARTED else -DAY
        yield f'host_boot_time_seconds{{node="n1"}} {begin + boot} {now}'


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory, components: Path) -> Iterator[str]:
    folder, url = tmp_path_factory.mktemp("annotations"), f"http://127.0.0.1:{free_port()}"
    program = Program(
        [
            str(components / "victoria-metrics"),
            f"-storageDataPath={folder / 'data'}",
            f"-httpListenAddr={url.removeprefix('http://')}",
            "-retentionPeriod=400d",
        ],
        folder / "log",
        f"{url}/health",
        environment(),
    )
    program.start()
    yield url
    program.stop()


@pytest.mark.parametrize("length", [DAY, 30 * DAY, 360 * DAY], ids=["day", "month", "year"])
def test_each_event_is_found_once(storage: str, length: int) -> None:
    end = int(time.time()) // DAY * DAY
    body = "\n".join(samples(end - DAY)).encode()
    urllib.request.urlopen(f"{storage}/api/v1/import/prometheus", body, timeout=60).close()
    get(f"{storage}/internal/force_flush")
    grafana = Grafana({"vm-raw": Source(storage, 5)})
    found: dict[str, list[float]] = {}
    for name, query in BOARD.annotations:
        series = grafana.annotate(BOARD, query, CHOSEN, Range(end - length, end))
        found[name] = [value for one in series for _, value in one.points]
    for name in ("Alerts", "Driver changes", "Exporter restarts"):
        assert len(found[name]) == 1, name
    # Those that tell their time are drawn at it, however often they are found.
    assert {value / 1000 for value in found["XIDs"]} == {end - DAY + BROKE}
    assert end - DAY + STARTED in {value / 1000 for value in found["Restarts"]}
