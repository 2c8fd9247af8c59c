"""The live page has words for what the exporter tells in tokens."""

import re
from pathlib import Path

import pytest
from tests.conftest import ROOT

from gpuglass.catalogue.groups import GROUPS
from gpuglass.catalogue.xid_table import Class
from gpuglass.pipeline.gpu import _THROTTLE_REASONS
from gpuglass.pipeline.history import _KEPT
from gpuglass.probe.groups.core import _REASON_NAMES, _THROTTLE_TIMES
from gpuglass.probe.nvml import PERMANENT, NvmlError

STATIC = ROOT / "exporter/gpuglass/web/static"


def table(name: str, file: Path = STATIC / "words.js") -> set[str]:
    """The keys of a table."""
    found = re.search(rf"const {name} = (?:from\()?\{{(.*?)^\}}", file.read_text(), re.M | re.S)
    assert found, name
    keys: list[str] = re.findall(r'^  "?([\w-]+)"?:', found[1], re.M)
    assert len(keys) == len(set(keys))
    return set(keys)


@pytest.mark.parametrize(
    ("name", "tokens"),
    [
        ("clockReason", {*_REASON_NAMES.values(), *_THROTTLE_TIMES.values()}),
        ("throttling", _THROTTLE_REASONS),
        ("group", {group.name for group in GROUPS}),
        ("action", {cls.action for cls in Class}),
    ],
)
def test_there_is_a_word_for_each(name: str, tokens: set[str]) -> None:
    assert table(name) == tokens


def test_there_is_a_word_for_each_lasting_reason() -> None:
    assert {NvmlError(code).reason for code in PERMANENT} <= table("why")


def test_page_and_exporter_keep_the_same_history() -> None:
    text = (STATIC / "history.js").read_text()
    names = re.findall(r'^  "(gpu_\w+)",$', text, re.M)
    assert names == [kept.metric.name for kept in _KEPT]
