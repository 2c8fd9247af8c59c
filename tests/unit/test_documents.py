"""The documents: what they link to is there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("docs", "deploy", "exporter", "grafana", "simulator", "tests", "victoriametrics")
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(file for name in FOLDERS for file in (ROOT / name).rglob("*.md"))]
)
_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s#]*)(?:#([^)\s]+))?\)")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def anchors(document: Path) -> set[str]:
    """What GitHub calls a document's headings."""
    text = _FENCE.sub("", document.read_text())
    plain = (heading.lower().replace("`", "") for heading in _HEADING.findall(text))
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


def broken(document: Path) -> Iterator[str]:
    for path, anchor in _LINK.findall(_FENCE.sub("", document.read_text())):
        target = (document.parent / path).resolve() if path else document
        if not target.exists():
            yield f"{path} is not there"
        elif anchor and anchor not in anchors(target):
            yield f"{path} has no heading {anchor}"


def test_there_are_documents() -> None:
    assert len(DOCUMENTS) > 100


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: str(d.relative_to(ROOT)))
def test_what_is_linked_to_is_there(document: Path) -> None:
    assert not [*broken(document)]
