"""``python -m tests.bench``: measure gpuglass beside nvitop-exporter and a constant server."""

import argparse
from pathlib import Path

from tests.bench import report, rounds

from gpuglass.catalogue.groups import CORE, GROUPS

_CORE = ("engines", "fans", "limits", "pcie", "pcie_state")
_OPTIONAL = (*(group.name for group in GROUPS if group.name != CORE), "xid")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="turns of each server (default 3)")
    parser.add_argument(
        "--quick", action="store_true", help="few scrapes, short windows: no figures to keep"
    )
    parser.add_argument(
        "--core",
        action="store_true",
        help="of the GPUs only the groups whose facts nvitop-exporter has too, without processes",
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the report there too")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    return arguments


def main() -> None:
    """Measure, and print the report."""
    arguments = _arguments()
    off = tuple(name for name in _OPTIONAL if name not in _CORE) if arguments.core else ()
    plan = rounds.Plan(arguments.rounds, off=off)
    if arguments.quick:
        plan = rounds.Plan(arguments.rounds, scrapes=40, window=12.0, starts=2, off=off)
    command = "python -m tests.bench" + (
        f" --rounds {arguments.rounds}" if arguments.rounds != 3 else ""
    )
    flags = [flag for flag in ("core", "quick") if getattr(arguments, flag)]
    text = report.render(rounds.run(plan), " --".join([command, *flags]))
    print(text)
    if arguments.write:
        arguments.write.write_text(text)


main()
