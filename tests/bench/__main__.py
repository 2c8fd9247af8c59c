"""``python -m tests.bench``: measure gpuglass beside nvitop-exporter and a constant server."""

import argparse
from pathlib import Path

from tests.bench import report, rounds


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="turns of each server (default 3)")
    parser.add_argument(
        "--quick", action="store_true", help="few scrapes, short windows: no figures to keep"
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the report there too")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    return arguments


def main() -> None:
    """Measure, and print the report."""
    arguments = _arguments()
    plan = rounds.Plan(arguments.rounds)
    if arguments.quick:
        plan = rounds.Plan(arguments.rounds, scrapes=40, window=12.0, starts=2)
    command = "python -m tests.bench" + (
        f" --rounds {arguments.rounds}" if arguments.rounds != 3 else ""
    )
    text = report.render(rounds.run(plan), command + (" --quick" if arguments.quick else ""))
    print(text)
    if arguments.write:
        arguments.write.write_text(text)


main()
