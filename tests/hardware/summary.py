"""What a run has found, for people: summary.md."""

import re
from pathlib import Path
from typing import Any

from tests.hardware.answers import QUESTIONS
from tests.hardware.found import Found, UnansweredError


def render(folder: Path) -> str:
    """The summary of the results in a folder."""
    found = Found(folder)
    lines = ["# What this machine answers", "", *_machine(found), ""]
    for question, answer in QUESTIONS.items():
        try:
            text = f"answered: {answer(found)}"
        except UnansweredError as why:
            text = f"not answered: {why}"
        except Exception as error:  # a driver may answer what nobody thought of
            text = f"not answered: the results are of another shape ({error!r})"
        lines.append(f"- **{question}** {text}")
    lines += ["", "## Parts", ""]
    for name, part in found.parts.items():
        lines.append(
            f"- {name}: {part.get('ended', 'still running')}, {part.get('seconds', '?')} s"
            f"{_troubles(part)}"
        )
    lines += [
        "",
        "Serial numbers, UUIDs and names of hosts, users and containers in these files are made",
        "up, the same one for the same thing.",
    ]
    return "\n".join(lines) + "\n"


def _troubles(part: Any) -> str:
    """The steps that did not end by themselves."""
    ended = [
        f"{name}: {step['ended']}"
        for name, step in part["steps"].items()
        if isinstance(step, dict) and isinstance(step.get("ended"), str)
    ]
    return f"; {'; '.join(ended)}" if ended else ""


def _machine(found: Found) -> list[str]:
    steps = found.parts.get("environment", {}).get("steps", {})
    driver, machine = steps.get("driver", {}), steps.get("machine", {})
    cards = [step.get("name") for name, step in steps.items() if re.fullmatch(r"gpu\d+", name)]
    return [
        f"{len(cards)} GPU: {', '.join(sorted({str(card) for card in cards}))}; driver "
        f"{driver.get('driver')}, NVML {driver.get('nvml')}; kernel {machine.get('kernel')}, "
        f"Python {machine.get('python')}, {'root' if machine.get('root') else 'not root'}."
    ]
