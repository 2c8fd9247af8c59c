"""Every dashboard in Grafana's own scenes: which tier a time range is asked of, and how often.

The variables, their order, what they make of a time range and when panels ask is the code of three
versions of Grafana; the variables' answers are VictoriaMetrics's.
"""

import json
import subprocess
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import ROOT
from tests.grafana.conftest import HERE, MAJORS
from tests.integration.stack import Program, environment, get, wait_for
from tests.ports import free_port

BOARDS = sorted((ROOT / "grafana/dashboards").glob("*.json"))
RAW, MINUTES, HOURS = "vm-raw", "vm-1m", "vm-1h"
# By the span of the range and by its age, and then as somebody chooses by hand.
STEPS: list[tuple[dict[str, str], str]] = [
    ({"from": "now-1h", "to": "now"}, RAW),
    ({"from": "now-6h", "to": "now"}, RAW),
    ({"from": "now-24h", "to": "now"}, RAW),
    ({"from": "now-3d", "to": "now"}, MINUTES),
    ({"from": "now-28d", "to": "now"}, MINUTES),
    ({"from": "now-90d", "to": "now"}, HOURS),
    ({"from": "now-20d", "to": "now-479h"}, MINUTES),
    ({"from": "now-60d", "to": "now-1439h"}, HOURS),
    ({"from": "now-1h", "to": "now"}, RAW),
    ({"resolution": "1m"}, MINUTES),
    ({"resolution": "1h"}, HOURS),
    ({"from": "now-3d", "to": "now"}, HOURS),
    ({"resolution": "raw"}, RAW),
]
# These ask for the time before too, as long as the range: 28 days begin 56 days ago.
COMPARING = {"gpu-history"}
STEPS_OF_COMPARISON = [
    (step, HOURS if step == {"from": "now-28d", "to": "now"} else tier) for step, tier in STEPS
]
SERIES = (
    'up{job="gpu",cluster="lab",node="n1"}',
    'gpu_up{cluster="lab",node="n1",gpu="0",uuid="GPU-1"}',
    'gpu_owner_processes{cluster="lab",node="n1",gpu="0",uuid="GPU-1",user="ann"}',
)
# Only where storage is tiered the keeper has this duty.
DUTY = 'gpuglass_keeper_duty_last_check_timestamp_seconds{job="keeper",duty="rollup 1h"}'
LEAST_INTERVAL = {RAW: "5s", MINUTES: "1m", HOURS: "1h"}
SUFFIX = {RAW: "", MINUTES: ":max", HOURS: ":max"}

Outcome = dict[str, Any]
Tours = dict[str, dict[str, list[Outcome]]]


def storage(folder: Path, programs: Path, name: str) -> tuple[Program, str]:
    """A VictoriaMetrics with a GPU in it now and at the ages that are looked at."""
    address = f"127.0.0.1:{free_port()}"
    command = [
        str(programs / "victoria-metrics"),
        f"-storageDataPath={folder / name}",
        f"-httpListenAddr={address}",
        "-retentionPeriod=400d",
        # A connection that it ends while it is asked through would be an error.
        "-http.connTimeout=1h",
    ]
    url = f"http://{address}"
    program = Program(command, folder / f"{name}.log", f"{url}/health", environment())
    program.start()
    now = int(time.time())
    times = [
        now - age for day in (0, 20, 60) for age in range(day * 86400, day * 86400 - 3600, -300)
    ]
    duty = [f"{DUTY} {now} {now}000"] if name == "tiered" else []
    lines = [f"{series} 1 {moment}000" for series in SERIES for moment in times]
    request = f"{url}/api/v1/import/prometheus"
    with urllib.request.urlopen(request, "\n".join([*lines, *duty]).encode(), timeout=30):
        pass
    wait_for(
        "the samples are visible",
        lambda: (
            get(f"{url}/internal/force_flush") is not None
            and len(get(f"{url}/api/v1/export", **{"match[]": SERIES[2]})) > 0
        ),
    )
    return program, url


@pytest.fixture(scope="module")
def tours(
    tmp_path_factory: pytest.TempPathFactory, components: Path, packages: Path
) -> Iterator[dict[int, Tours]]:
    """By major version, dashboard and storage what was asked at each step."""
    folder = tmp_path_factory.mktemp("ranges")
    storages = {name: storage(folder, components, name) for name in ("tiered", "single")}
    request = {
        "dashboards": [str(board) for board in BOARDS],
        "storages": {name: url for name, (_, url) in storages.items()},
        "steps": [step for step, _ in STEPS],
    }

    def run(major: int) -> Tours:
        done = subprocess.run(
            ["node", str(HERE / "ranges.cjs"), str(packages), str(major)],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stderr[-3000:]
        found: Tours = json.loads(done.stdout)
        return found

    try:
        with ThreadPoolExecutor() as pool:
            yield dict(zip(MAJORS, pool.map(run, MAJORS), strict=True))
    finally:
        for program, _ in storages.values():
            program.stop()


def panels(board: dict[str, Any]) -> dict[int, str]:
    """The data source of each panel that asks one."""
    every = [p for panel in board["panels"] for p in (panel, *panel.get("panels", []))]
    return {p["id"]: p["datasource"]["uid"] for p in every if p.get("targets")}


CASES = [(major, path) for major in MAJORS for path in BOARDS]


@pytest.mark.parametrize(("major", "path"), CASES, ids=[f"{m}-{p.stem}" for m, p in CASES])
@pytest.mark.parametrize("storage", ["tiered", "single"])
def test_each_range_is_asked_once_of_the_tier_that_fits(
    tours: dict[int, Tours], major: int, path: Path, storage: str
) -> None:
    board = json.loads(path.read_text())
    by_panel = panels(board)
    variables = {variable["name"] for variable in board["templating"]["list"]}
    outcomes = tours[major][str(path)][storage]
    steps = STEPS_OF_COMPARISON if path.stem in COMPARING else STEPS
    wanted = [tier if storage == "tiered" else RAW for _, tier in steps]
    for (step, _), tier, outcome in zip(steps, wanted, outcomes, strict=True):
        if "tier" not in variables:
            assert set(by_panel.values()) <= {RAW, MINUTES, HOURS}
            continue
        assert outcome["errors"] == [], step
        assert outcome["values"]["tier"] == tier, step
        assert outcome["values"].get("max", SUFFIX[tier]) == SUFFIX[tier], step
        sources = {entry["panel"]: entry["source"] for entry in outcome["asked"]}
        assert sources == {
            panel: tier if uid == "${tier}" else uid
            for panel, uid in by_panel.items()
            if "from" in step or panel in sources
        }, step
        twice = [
            panel for panel, n in Counter(e["panel"] for e in outcome["asked"]).items() if n > 1
        ]
        assert twice == [], step
        assert not [e for e in outcome["asked"] if "${" in json.dumps(e["expressions"])], step
    for (before, after), (step, _), outcome in zip(
        pairwise(wanted), STEPS[1:], outcomes[1:], strict=True
    ):
        if "resolution" in step and before != after and "${tier}" in by_panel.values():
            asked = {entry["panel"] for entry in outcome["asked"]}
            assert asked >= {panel for panel, uid in by_panel.items() if uid == "${tier}"}
