"""Runs the tests of this folder on an engine of their own; takes pytest's arguments.

With ``--prepare`` alone it fetches into .cache what takes long, and runs nothing.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from tests import programs
from tests.e2e.clone import REPOSITORY
from tests.e2e.containers import images
from tests.e2e.containers.engine import Engine, NoEngineError, require, started
from tests.e2e.containers.registry import Registry, Store
from tests.e2e.containers.site import (
    CACHE,
    MACHINE,
    NETWORK,
    PREPARED,
    PYTHON,
    Site,
    host_services,
    image_of,
)

# They wait more than they work: what is built is built in one of the files.
_WORKERS = ("--numprocesses=3", "--dist=loadfile", "--no-loadscope-reorder")


def main(arguments: list[str]) -> int:
    """Run pytest, and return how it ended."""
    require()
    work = Path(tempfile.mkdtemp(prefix="gpuglass-site-"))
    daemon = started()
    try:
        if arguments == ["--prepare"]:
            _bases(daemon.engine, work, Store(work / "store"))
            return 0
        with _site(daemon.engine, work) as site:
            return _pytest(site, arguments)
    finally:
        daemon.stop()
        shutil.rmtree(work, ignore_errors=True)


@contextmanager
def _site(engine: Engine, work: Path) -> Iterator[Site]:
    """What machines need, made as much at once as can be."""
    store = Store(work / "store")
    engine.docker("network", "create", NETWORK)
    config = json.loads(engine.docker("network", "inspect", NETWORK))[0]["IPAM"]["Config"]
    gateway: str = config[0]["Gateway"]
    with ThreadPoolExecutor(1) as pool:
        others = pool.submit(_programs, work, store)
        _bases(engine, work, store)
        others.result()
    registry = Registry(gateway, store)
    try:
        yield Site(engine.host, gateway, registry.address, str(work / "store"))
    finally:
        registry.close()


def _bases(engine: Engine, work: Path, store: Store) -> None:
    """What stands in for Python's image, and what machines are made of."""
    base = images.debian(CACHE)
    store.put(PYTHON, base, {"Cmd": ["python3"]})
    images.build_machine(engine.docker, work, CACHE, base, MACHINE)


def _programs(work: Path, store: Store) -> None:
    found = programs.fetch(work / "components")
    for stand_in in images.program_images(image_of):
        images.put_program(store, work, found, stand_in)
    if "grafana" in host_services():
        images.put_grafana(store, work, image_of("grafana"))


def _pytest(site: Site, arguments: list[str]) -> int:
    environment = {**os.environ, PREPARED: json.dumps(asdict(site))}
    command = [sys.executable, "-m", "pytest", *_WORKERS, str(Path(__file__).parent), *arguments]
    return subprocess.run(command, cwd=REPOSITORY, env=environment, check=False).returncode


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except NoEngineError as reason:
        sys.exit(f"no Docker engine here: {reason}")
