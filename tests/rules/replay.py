"""Rules over some time of the past, by the real vmalert."""

import subprocess
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml
from grafana.builder.metricsql import named
from tests.rules.conftest import ALERTS, RECORDS
from tests.rules.conftest import rules as rules_of

_RESULT = "ALERTS"
# Up to then before now, a range is answered with what was before (-search.latencyOffset of the
# shipped command line).
_LATENCY_SECONDS = 3.0


def replay(
    vmalert: Path,
    url: str,
    rules: list[dict[str, Any]],
    interval: float,
    span: tuple[float, float],
    folder: Path,
) -> None:
    """Evaluate rules, none of which looks at another one.

    Args:
        vmalert: The program.
        url: Of the storage that is asked, and that the results are written to.
        rules: As a file has them.
        interval: Seconds between two evaluations.
        span: Unix times of the first and of the last one at most.
        folder: For the file of rules.
    """
    file = folder / "rules.yml"
    group = {"name": "replayed", "interval": f"{interval:g}s", "rules": rules}
    file.write_text(yaml.safe_dump({"groups": [group]}))
    first, last = (f"{datetime.fromtimestamp(t, timezone.utc):%FT%TZ}" for t in span)
    time.sleep(max(0.0, span[1] + _LATENCY_SECONDS - time.time()))
    made = subprocess.run(
        [
            vmalert,
            f"-rule={file}",
            f"-datasource.url={url}",
            f"-remoteWrite.url={url}",
            f"-replay.timeFrom={first}",
            f"-replay.timeTo={last}",
            "-replay.rulesDelay=0",
            "-replay.disableProgressBar",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert made.returncode == 0, made.stderr


def replay_all(
    vmalert: Path,
    url: str,
    span: tuple[float, float],
    flush: Callable[[], None],
    folder: Path,
) -> None:
    """Evaluate all alerts and records that are shipped; what looks at another one comes after it.

    Args:
        vmalert: The program.
        url: Of the storage.
        span: Unix times of the first evaluation and of the last one at most.
        flush: Lets queries see what was written.
        folder: For files of rules.
    """
    waiting = [*rules_of(ALERTS), *rules_of(RECORDS)]
    while waiting:
        unmade = {rule.get("record", _RESULT) for rule in waiting}
        due = [rule for rule in waiting if not named(rule["expr"]).metrics & unmade]
        assert due, f"rules that wait for each other: {unmade}"
        for kind, interval in (("alert", 15), ("record", 60)):
            if some := [rule for rule in due if kind in rule]:
                replay(vmalert, url, some, interval, span, folder)
        flush()
        waiting = [rule for rule in waiting if rule not in due]
