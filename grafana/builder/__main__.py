"""Writes the dashboards: `python -m grafana.builder`, or says which differ: with --check."""

import sys
from pathlib import Path

from docs import writer
from grafana.builder import card, fleet, health, history, jobs, node, processes, stack
from grafana.builder.checks import complaints
from grafana.builder.layout import built, page

DASHBOARDS = (
    fleet.dashboard,
    node.dashboard,
    card.dashboard,
    processes.dashboard,
    jobs.dashboard,
    history.dashboard,
    stack.dashboard,
    health.dashboard,
)
FOLDER = Path(__file__).resolve().parents[1] / "dashboards"


def files() -> dict[Path, str]:
    """The text of every dashboard, by its path."""
    return {FOLDER / f"{board.uid}.json": page(board) for board in (d() for d in DASHBOARDS)}


def wrong() -> list[str]:
    """What the own check says of the dashboards."""
    return [
        f"{board.uid}: {said}"
        for board in (d() for d in DASHBOARDS)
        for said in complaints(built(board))
    ]


def main() -> None:
    """Write the files, or with --check only say which are not up to date."""
    if said := wrong():
        sys.exit("\n".join(said))
    writer.main(__doc__, files(), "grafana/builder/", FOLDER.glob("*.json"))


if __name__ == "__main__":
    main()
