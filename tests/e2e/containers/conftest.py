"""Fixtures: the site that a run has prepared, a single node on it, and a release.

Files run beside each other, each in one process. What a release is made of is built in the single
node's; a file whose tests need the release waits for it there.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.e2e.clone import wait_for
from tests.e2e.containers.engine import Engine
from tests.e2e.containers.node import Node
from tests.e2e.containers.site import PREPARED, Site, working_tree

from gpuglass import __version__

# The version that comes after this one, when it has been developed.
RELEASE = __version__.partition(".dev")[0]
IMAGES = ("exporter", "keeper", "demo")
# The first builds, the last wait for what it built.
FIRST = ("test_single_node.py",)
LAST = ("test_two_machines.py", "test_offline.py", "test_exporter.py")
_BUILD_SECONDS = 900


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let what others wait for come first."""

    def turn(item: pytest.Item) -> int:
        name = item.path.name
        return 0 if name in FIRST else 2 + LAST.index(name) if name in LAST else 1

    items.sort(key=turn)


@pytest.fixture(scope="session")
def site() -> Site:
    if PREPARED not in os.environ:
        pytest.exit("nothing is prepared; run these tests by: make e2e", 2)
    return Site(**json.loads(os.environ[PREPARED]))


@pytest.fixture(scope="session")
def engine(site: Site) -> Engine:
    return site.engine


@pytest.fixture(scope="session")
def node(site: Site) -> Node:
    """One with the previous commit's gpuglass."""
    with _told(site):
        return Node(site.machine("alone"))


@pytest.fixture(scope="session")
def upgraded(node: Node, site: Site) -> Node:
    """The node after an upgrade to the working tree, whose images are a release's from then on."""
    with _told(site):
        node.machine.put_clone(working_tree())
        node.install()
        # With the demo an install has no use for this one.
        node.machine.run("docker", "compose", "-f", "docker-compose.worker.yml", "build", "--quiet")
        built = {name: f"gpuglass/{name}:{__version__}" for name in IMAGES}
        archive = _archive(site)
        site.engine.write(archive, "exec", node.machine.name, "docker", "save", *built.values())
        site.store.load(archive, {built[name]: f"gpuglass/{name}:{RELEASE}" for name in IMAGES})
    _outcome(site).write_text("built")
    return node


@contextmanager
def _told(site: Site) -> Iterator[None]:
    """Let those who wait for the release know that it fails."""
    try:
        yield
    except BaseException:
        _outcome(site).write_text("failed")
        raise


@pytest.fixture(scope="session")
def built(request: pytest.FixtureRequest, site: Site) -> Path:
    """The archive of the working tree's images, which can be pulled as a release's, too."""
    outcome = _outcome(site)
    # Another process has the node, unless there is none or it has no tests.
    items = request.session.items
    elsewhere = any("upgraded" in getattr(item, "fixturenames", ()) for item in items)
    if elsewhere and "PYTEST_XDIST_WORKER" in os.environ:
        wait_for("the release's images", outcome.exists, _BUILD_SECONDS)
    else:
        request.getfixturevalue("upgraded")
    assert outcome.read_text() == "built", "the release's images could not be built"
    return _archive(site)


@pytest.fixture(scope="session")
def release(built: Path) -> bytes:
    """The files of a release whose images can be pulled."""
    return working_tree(RELEASE)


@pytest.fixture(scope="session")
def image(site: Site, built: Path) -> str:
    """The image with the exporter and the stand-in driver, in the site's own engine."""
    site.engine.docker("load", "--quiet", f"--input={built}")
    return f"gpuglass/demo:{__version__}"


def _archive(site: Site) -> Path:
    return Path(site.folder, "release.tar")


def _outcome(site: Site) -> Path:
    return Path(site.folder, "release.outcome")
