"""Writes the dashboards: `python -m grafana.builder`, or says which differ: with --check."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from grafana.builder import card, fleet, jobs, processes
from grafana.builder.checks import complaints
from grafana.builder.layout import built, page

DASHBOARDS = (fleet.dashboard, card.dashboard, processes.dashboard, jobs.dashboard)
FOLDER = Path(__file__).resolve().parents[1] / "dashboards"


def files(folder: Path = FOLDER) -> dict[Path, str]:
    """The text of every dashboard, by its path."""
    return {folder / f"{board.uid}.json": page(board) for board in (d() for d in DASHBOARDS)}


def wrong() -> list[str]:
    """What the own check says of the dashboards."""
    return [
        f"{board.uid}: {said}"
        for board in (d() for d in DASHBOARDS)
        for said in complaints(built(board))
    ]


def differing(texts: Mapping[Path, str], folder: Path = FOLDER) -> list[Path]:
    """Files that are not what is built, or that nothing builds."""
    left = [path for path in folder.glob("*.json") if path not in texts]
    changed = [p for p, text in texts.items() if not p.exists() or p.read_text("utf-8") != text]
    return [*changed, *left]


def main() -> None:
    """Write the files, or with --check only say which are not up to date."""
    parser = argparse.ArgumentParser(prog="python -m grafana.builder", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if one differs")
    check = parser.parse_args().check
    if said := wrong():
        sys.exit("\n".join(said))
    texts = files()
    changed = differing(texts)
    if check and changed:
        names = ", ".join(path.name for path in changed)
        sys.exit(f"{names}: not what grafana/builder/ builds; run make docs")
    for path in changed:
        if path in texts:
            path.write_text(texts[path], "utf-8")
        else:
            path.unlink()


if __name__ == "__main__":
    main()
