"""``python -m tests.bench``: measure what gpuglass costs; each part has a report of its own."""

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.bench import alerts, faults, groups, live, report, rounds, sizes
from tests.bench.dashboards import part as dashboards
from tests.bench.scale import part as scale
from tests.bench.scale import report as scale_report
from tests.bench.storage import part as storage

from gpuglass.catalogue.groups import CORE, GROUPS

_CORE = ("engines", "fans", "limits", "pcie", "pcie_state", "ratings")
_OPTIONAL = (*(group.name for group in GROUPS if group.name != CORE), "xid")
_NOT_CORE = tuple(name for name in _OPTIONAL if name not in _CORE)


def _compare(arguments: argparse.Namespace, command: str, off: tuple[str, ...] = ()) -> str:
    plan = rounds.Plan(arguments.rounds, off=off)
    if arguments.quick:
        plan = rounds.Plan(1, scrapes=15, window=4.0, starts=1, off=off)
    return report.render(rounds.run(plan), command)


def _compare_core(arguments: argparse.Namespace, command: str) -> str:
    return _compare(arguments, command, _NOT_CORE)


def _groups(arguments: argparse.Namespace, command: str) -> str:
    plan = groups.Plan(1, 5.0) if arguments.quick else groups.Plan(arguments.rounds)
    return groups.render(groups.run(plan), plan, command)


def _sizes(arguments: argparse.Namespace, command: str) -> str:
    plan = sizes.Plan(3) if arguments.quick else sizes.Plan()
    return sizes.render(sizes.run(plan), plan, command)


def _faults(arguments: argparse.Namespace, command: str) -> str:
    plan = faults.Plan(2.0, 3) if arguments.quick else faults.Plan()
    return faults.render(faults.run(plan), plan, command)


def _alerts(arguments: argparse.Namespace, command: str) -> str:
    return alerts.render(
        alerts.run(alerts.Plan(2, 2) if arguments.quick else alerts.Plan()), command
    )


def _live(arguments: argparse.Namespace, command: str) -> str:
    plan = live.Plan(1, 5.0) if arguments.quick else live.Plan(arguments.rounds)
    return live.render(live.run(plan), plan, command)


def _storage(arguments: argparse.Namespace, command: str) -> str:
    plan = storage.Plan(arguments.minutes, arguments.rounds)
    plan = storage.QUICK if arguments.quick else plan
    return storage.render(storage.run(plan), plan, command)


def _dashboards(arguments: argparse.Namespace, command: str) -> str:
    plan = dashboards.QUICK if arguments.quick else dashboards.Plan(rounds=arguments.rounds)
    return dashboards.render(dashboards.run(plan), plan, command)


def _scale(arguments: argparse.Namespace, command: str) -> str:
    plan = scale.QUICK if arguments.quick else scale.Plan(tuple(arguments.steps))
    return scale_report.render(scale.run(plan), plan, command)


_PARTS: dict[str, Callable[[argparse.Namespace, str], str]] = {
    "compare": _compare,
    "core": _compare_core,
    "groups": _groups,
    "sizes": _sizes,
    "faults": _faults,
    "alerts": _alerts,
    "live": _live,
    "storage": _storage,
    "dashboards": _dashboards,
    "scale": _scale,
}


def _step(text: str) -> scale.Step:
    try:
        return scale.Step.of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _written(steps: Iterable[scale.Step]) -> str:
    return " ".join(f"{step.nodes}@{step.interval}" for step in steps)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "--only",
        nargs="+",
        choices=_PARTS,
        default=[*_PARTS],
        metavar="PART",
        help=f"which parts: {', '.join(_PARTS)} (default all)",
    )
    parser.add_argument(
        "--rounds", type=int, default=3, help="turns of what is measured in turns (default 3)"
    )
    parser.add_argument(
        "--minutes", type=float, default=5.0, help="that storage records a node for (default 5)"
    )
    parser.add_argument(
        "--steps",
        nargs="+",
        type=_step,
        default=list(scale.Plan().steps),
        metavar="NODES@SECONDS",
        help="fleets of scale, each larger than the one before, and the interval at which they "
        f"are scraped (default {_written(scale.Plan().steps)})",
    )
    parser.add_argument("--quick", action="store_true", help="little of each: no figures to keep")
    parser.add_argument(
        "--write", type=Path, metavar="FOLDER", help="write each part's report there too: PART.md"
    )
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    if not arguments.minutes >= 1:
        parser.error("--minutes must be at least 1")
    sizes = [step.nodes for step in arguments.steps]
    if sizes != sorted(set(sizes)):
        parser.error("--steps: each fleet has to be larger than the one before")
    if arguments.write and not arguments.write.is_dir():
        parser.error(f"--write: {arguments.write} is no folder")
    return arguments


def main() -> None:
    """Measure, and print the reports."""
    arguments = _arguments()
    options = f" --rounds {arguments.rounds}" if arguments.rounds != 3 else ""
    options += " --quick" if arguments.quick else ""
    for name in arguments.only:
        more = f" --minutes {arguments.minutes:g}" if name == "storage" else ""
        if name == "scale" and not arguments.quick:
            more = f" --steps {_written(arguments.steps)}"
        text = _PARTS[name](arguments, f"python -m tests.bench --only {name}{options}{more}")
        print(text, flush=True)
        if arguments.write:
            (arguments.write / f"{name}.md").write_text(text)


main()
