"""What a part has found, in a file that is whole at any moment."""

import json
import time
from pathlib import Path
from typing import Any

from tests.hardware.fakes import Fakes
from tests.hardware.job import Json

_WRITE_SECONDS = 1.0


class Results:
    """The results of a part.

    Args:
        folder: Where files go.
        name: The name of the part's file, without its ending.
        fakes: Takes private names out of all that is written.

    Attributes:
        head: What is said of the part itself.
        steps: What its steps have found, by their names.
    """

    def __init__(self, folder: Path, name: str, fakes: Fakes) -> None:
        self.head: dict[str, Json] = {}
        self.steps: dict[str, Any] = {}
        self._folder, self._name, self._fakes = folder, name, fakes
        self._write_at = 0.0

    def take(self, line: list[Json]) -> None:
        """Take what the part's process has told.

        Raises:
            OSError: It cannot be written.
        """
        kind, name, *rest = line
        if kind == "file":
            path = self._folder / f"{self._name}.{name}"
            path.write_text(self._fakes.text(rest[0]))
        elif kind == "tell":
            self._put(name, self._fakes.value(rest[0]))
        if time.monotonic() >= self._write_at:
            self.write()

    def note(self, step: str, what: str) -> None:
        """Say what became of a step that did not end by itself."""
        self._put([step], {"ended": what})

    def write(self) -> None:
        """Write everything.

        Raises:
            OSError: It cannot be written.
        """
        path = self._folder / f"{self._name}.json"
        rows = [f"  {json.dumps(name)}: {json.dumps(found)}" for name, found in self.steps.items()]
        head = "".join(
            f" {json.dumps(name)}: {json.dumps(found)},\n" for name, found in self.head.items()
        )
        new = path.with_suffix(".new")
        new.write_text(f'{{\n{head} "steps": {{\n' + ",\n".join(rows) + "\n }\n}\n")
        new.replace(path)
        self._write_at = time.monotonic() + _WRITE_SECONDS

    def _put(self, path: list[str], value: Json) -> None:
        place = self.steps
        for name in path[:-1]:
            if not isinstance(place.get(name), dict):
                place[name] = {}
            place = place[name]
        old = place.get(path[-1])
        if isinstance(old, dict) and isinstance(value, dict):
            old.update(value)
        else:
            place[path[-1]] = value
