"""What goes into the image: pinned, with checksums, and what pyproject.toml asks for."""

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = (ROOT / "pyproject.toml").read_text()


def asked_for(table: str, key: str) -> dict[str, Requirement]:
    """The requirements in a list of pyproject.toml, by name."""
    listed = re.search(rf"^\[{table}\]$.*?^{key} = \[(.*?)\]$", PROJECT, re.MULTILINE | re.DOTALL)
    assert listed
    found = [Requirement(text) for text in re.findall(r'"([^"]+)"', listed[1])]
    return {canonicalize_name(r.name): r for r in found}


@pytest.mark.parametrize(
    ("lock", "table", "key"),
    [("requirements", "project", "dependencies"), ("build", "build-system", "requires")],
)
def test_lock_is_of_what_is_asked_for(lock: str, table: str, key: str) -> None:
    pinned: dict[str, list[str]] = {}
    for entry in re.split(r"\n(?=\S)", (ROOT / f"exporter/{lock}.lock").read_text()):
        requirement, *sums = re.split(r"\s*\\\n\s+", entry.strip())
        assert sums and all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", s) for s in sums), entry
        found = re.fullmatch(r"([\w.-]+)==([\w.]+)( ;.*)?", requirement)
        assert found, requirement
        pinned.setdefault(found[1], []).append(found[2])
    wanted = asked_for(table, key)
    assert wanted
    for name, requirement in wanted.items():
        assert pinned.get(name), f"{name} is not locked: make lock"
        assert all(v in requirement.specifier for v in pinned[name]), f"{name}: make lock"
