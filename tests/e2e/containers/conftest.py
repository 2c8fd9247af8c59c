"""Fixtures: an engine, a site of machines on it, a single node, and a release."""

from collections.abc import Iterator

import pytest
from tests.e2e.containers.engine import Engine
from tests.e2e.containers.node import Node
from tests.e2e.containers.site import MIRROR_NAME, Site, working_tree

from gpuglass import __version__

# The version that comes after this one, when it has been developed.
RELEASE = __version__.partition(".dev")[0]


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    started = Engine()
    yield started
    started.stop()


@pytest.fixture(scope="session")
def site(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(engine, tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="session")
def node(site: Site) -> Node:
    """One with the previous commit's gpuglass."""
    return Node(site.machine("alone"))


@pytest.fixture(scope="session")
def upgraded(node: Node) -> Node:
    """The node after an upgrade to the working tree, whose images are a release's from then on."""
    node.machine.put_clone(working_tree())
    node.install()
    node.machine.run("docker", "compose", "-f", "docker-compose.worker.yml", "build", "--quiet")
    for name in ("exporter", "keeper", "demo"):
        image = f"{MIRROR_NAME}/gpuglass/{name}:{RELEASE}"
        node.machine.run("docker", "tag", f"gpuglass/{name}:{__version__}", image)
        node.machine.run("docker", "push", "--quiet", image)
        node.machine.run("docker", "image", "rm", image)
    return node


@pytest.fixture(scope="session")
def release(upgraded: Node) -> bytes:
    """The files of that release."""
    return working_tree(RELEASE)


@pytest.fixture(scope="session")
def image(engine: Engine, site: Site, upgraded: Node) -> str:
    """The image with the exporter and the stand-in driver, by the name that ``engine`` knows."""
    name = f"{site.registry}/gpuglass/demo:{RELEASE}"
    engine.docker("pull", "--quiet", name)
    return name
