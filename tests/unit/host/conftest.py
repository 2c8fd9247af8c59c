"""A machine made of files, and a way to read one collector of it."""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from gpuglass.catalogue.model import Sample
from gpuglass.host import Collector, Paths, collectors

FIXTURES = Path(__file__).parents[2] / "fixtures/host"

Facts = dict[tuple[str, ...], float]
Read = Callable[[str], Facts]
Build = Callable[[str], Collector]
Gather = Callable[[Iterable[Sample]], Facts]


def named(name: str, paths: Paths) -> Collector:
    return next(collector for collector in collectors(paths) if collector.name == name)


def facts_of(samples: Iterable[Sample]) -> Facts:
    """Map (metric name, label values...) to the value; a series that comes twice is an error."""
    facts: Facts = {}
    for sample in samples:
        key = (sample.metric.name, *sample.labels)
        assert key not in facts, key
        assert len(sample.labels) == len(sample.metric.labels), key
        facts[key] = sample.value
    return facts


@pytest.fixture
def machine(tmp_path: Path) -> Paths:
    """A copy of the fixture machine, for a test to break."""
    shutil.copytree(FIXTURES, tmp_path / "machine")
    root = tmp_path / "machine"
    return Paths(procfs=root / "procfs", sysfs=root / "sysfs", rootfs=root / "rootfs")


@pytest.fixture
def read(machine: Paths) -> Read:
    """Read one collector of the fixture machine, by name."""
    return lambda name: facts_of(named(name, machine).read())


@pytest.fixture
def collector(machine: Paths) -> Build:
    """Build one collector of the fixture machine, by name."""
    return lambda name: named(name, machine)


@pytest.fixture
def facts() -> Gather:
    return facts_of


@pytest.fixture
def real() -> Read:
    """Read one collector of the machine that runs the tests, by name."""
    return lambda name: facts_of(named(name, Paths()).read())
