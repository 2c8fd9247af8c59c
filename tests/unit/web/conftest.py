"""A CA, once for all tests of this folder."""

from pathlib import Path

import pytest
from tests.certificates import Authority


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    authority = Authority(tmp_path_factory.mktemp("ca"))
    authority.issue("node")
    authority.issue("other")
    return authority


@pytest.fixture
def folder(authority: Authority, tmp_path: Path) -> Path:
    """A folder with the pairs node.crt, node.key and other.crt, other.key, and ca.crt."""
    for path in authority.certificate.parent.glob("*.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path
