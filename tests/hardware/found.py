"""The results of a run, as its folder has them."""

import json
from pathlib import Path
from typing import Any


class UnansweredError(Exception):
    """Why a question has no answer."""


class Found:
    """The results of a run.

    Args:
        folder: Where they are.
    """

    def __init__(self, folder: Path) -> None:
        self.parts: dict[str, Any] = {
            path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))
        }

    def steps(self, part: str) -> dict[str, Any]:
        """What a part found.

        Raises:
            UnansweredError: It was not run.
        """
        if part not in self.parts:
            raise UnansweredError(f"{part} was not run")
        steps: dict[str, Any] = self.parts[part]["steps"]
        return steps

    def step(self, part: str, step: str) -> Any:
        """What a step of a part found.

        Raises:
            UnansweredError: It was not taken, ended early, or the driver refused.
        """
        found = self.steps(part).get(step)
        if found is None:
            raise UnansweredError(f"{part}: {step} was not reached")
        if isinstance(found, dict):
            for word in ("ended", "refused", "error"):
                if isinstance(found.get(word), str) and found[word]:
                    raise UnansweredError(f"{part}: {found[word]}")
        return found
