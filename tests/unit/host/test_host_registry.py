import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.host.conftest import Gather

from gpuglass.catalogue import host as catalogue
from gpuglass.catalogue.model import Sample
from gpuglass.host import NAMES, Paths, collectors
from gpuglass.host.registry import register


def test_names_are_those_of_the_collectors_and_their_files() -> None:
    assert [collector.name for collector in collectors(Paths())] == list(NAMES)
    for collector in collectors(Paths()):
        assert type(collector).__module__ == f"gpuglass.host.{collector.name}"


def test_only_what_may_block_is_slow() -> None:
    slow = {collector.name for collector in collectors(Paths()) if collector.slow}
    assert slow == {"filesystem", "link"}


def test_a_second_collector_of_one_name_is_refused() -> None:
    class Impostor:
        name = "cpu"
        slow = False

        def __init__(self, paths: Paths) -> None: ...

        def read(self) -> list[Sample]:
            return []

    with pytest.raises(ValueError, match="cpu"):
        register(Impostor)


def test_the_names_cost_no_heavy_import() -> None:
    program = (
        "import sys, gpuglass.host as host; print(host.NAMES); sys.exit('psutil' in sys.modules)"
    )
    package = Path(sys.modules["gpuglass"].__file__ or "").parents[1]
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(package)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(NAMES)


def test_the_fixture_machine_shows_every_metric(
    machine: Paths, monkeypatch: pytest.MonkeyPatch, facts: Gather
) -> None:
    answer = type("Answer", (), dict.fromkeys(_STATVFS, 8))()
    monkeypatch.setattr("os.statvfs", lambda path: answer)
    samples = [sample for collector in collectors(machine) for sample in collector.read()]
    facts(samples)
    assert {sample.metric for sample in samples} == set(catalogue.METRICS)


_STATVFS = ("f_frsize", "f_blocks", "f_bfree", "f_bavail", "f_files", "f_ffree")


def test_metric_names_are_unique_and_of_the_machine() -> None:
    names = [metric.name for metric in catalogue.METRICS]
    assert len(set(names)) == len(names)
    assert all(name.startswith("host_") for name in names)
    assert not [metric.name for metric in catalogue.METRICS if metric.help.endswith(".")]


def test_nothing_is_read_before_it_is_asked_for() -> None:
    nowhere = Paths(Path("/nonexistent"), Path("/nonexistent"), Path("/nonexistent"))
    assert len(collectors(nowhere)) == len(NAMES)
